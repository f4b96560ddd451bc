/* SPDX-License-Identifier: BSD-2-Clause */
#include "winograd_channels.h"

#include "convolution_operand.h"
#include "parallel.h"
#include "sizes.h"
#include "winograd_source.h"

#define PLANES SFK_WINOGRAD_PLANES
#define TILE SFK_WINOGRAD_TILE
#define TAPS 9

/* Most tiles: with more, lanes over them are full enough, and the coefficients of a weight are used
 * so often that fewer tasks had better share them. */
#define MOST_TILES 8
/* Channels of the source whose part of the weight is transformed and multiplied at a time, and rows
 * of a task: the coefficients stay in the second-level cache beside the sums. */
#define BLOCK_CHANNELS 32
#define TASK_ROWS SFK_MAX_PANEL
/* Channels of one task that transforms the source. */
#define SOURCE_CHANNELS 8
/* Between planes of coefficients: planes at a distance of 4096 bytes would share few sets. */
#define WEIGHT_PLANE(columns) (BLOCK_CHANNELS * (columns) + 16)
#define BUFFER_PLANE (MOST_TILES + SFK_SLACK)

bool sfi_winograd_few_tiles(const sfi_conv_product *product)
{
    return sfi_winograd_grid_of(product).tiles <= MOST_TILES;
}

/* Bytes of a worker's areas. */
typedef struct channels_layout {
    int64_t patch;
    /* Transformed channels of the source, before they are put side by side. */
    int64_t buffer;
    int64_t packed;
    int64_t weight;
    int64_t sums;
    /* Pixels by pixels, and one channel after the other. */
    int64_t pixels;
    int64_t planes;
} channels_layout;

static channels_layout layout_of(const sfi_winograd_grid *grid)
{
    const int64_t item = (int64_t)sizeof(float);
    const int64_t pixels = grid->image_tiles * TILE * TILE * SFK_MAX_PANEL;
    return (channels_layout){
        .patch = sfi_round64(SFI_WINOGRAD_PATCH * item),
        .buffer = sfi_round64(PLANES * BUFFER_PLANE * item),
        .packed = sfi_round64((BLOCK_CHANNELS * TAPS * SFK_MAX_PANEL + 2 * SFK_SLACK) * item),
        .weight = sfi_round64(PLANES * WEIGHT_PLANE(SFK_MAX_PANEL) * item),
        .sums = sfi_round64(PLANES * grid->tiles * SFK_MAX_PANEL * item),
        .pixels = sfi_round64(pixels * item),
        .planes = sfi_round64(pixels * item),
    };
}

static int64_t worker_bytes(const channels_layout *layout)
{
    return layout->patch + layout->buffer + layout->packed + layout->weight + layout->sums +
           layout->pixels + layout->planes;
}

bool sfi_winograd_channels_scratch(int64_t *bytes, const sfconv_context *context,
                                   const sfi_conv_product *product)
{
    const sfi_winograd_grid grid = sfi_winograd_grid_of(product);
    const channels_layout layout = layout_of(&grid);
    const int64_t source[] = {PLANES, product->source_channels, grid.tiles, (int64_t)sizeof(float)};
    int64_t workers;
    return sfi_product(bytes, source, 4) && sfi_add(bytes, *bytes, 63) &&
           sfi_mul(&workers, sfi_workers(context), worker_bytes(&layout)) &&
           sfi_add(bytes, sfi_round64(*bytes - 63), workers);
}

typedef struct channels_run {
    const sfk_table *kernels;
    const sfi_conv_product *product;
    sfi_winograd_grid grid;
    channels_layout layout;
    /* [plane][channel][tile]. */
    float *source;
    int64_t source_plane;
    char *areas;
    /* Of the channels of a block in the source, of its tiles, and of the taps in the weight. */
    int64_t steps[BLOCK_CHANNELS];
    int64_t places[MOST_TILES];
    int64_t tap_steps[BLOCK_CHANNELS * TAPS];
} channels_run;

typedef struct channels_area {
    float *patch;
    float *buffer;
    float *packed;
    float *weight;
    /* [plane][tile][channel]. */
    float *sums;
    float *pixels;
    float *planes;
} channels_area;

static channels_area area_of(const channels_run *run, int32_t worker)
{
    const channels_layout *layout = &run->layout;
    char *base = run->areas + worker * worker_bytes(layout);
    channels_area area;
    area.patch = (float *)base;
    area.buffer = (float *)(base += layout->patch);
    area.packed = (float *)(base += layout->buffer);
    area.weight = (float *)(base += layout->packed);
    area.sums = (float *)(base += layout->weight);
    area.pixels = (float *)(base += layout->sums);
    area.planes = (float *)(base + layout->pixels);
    return area;
}

/* Kernels write whole vectors, which channels that lie side by side have no room for. */
static void source_task(void *argument, int64_t index, int32_t worker)
{
    const channels_run *run = argument;
    const channels_area area = area_of(run, worker);
    const int64_t tiles = run->grid.tiles;
    const int64_t end = sfi_min((index + 1) * SOURCE_CHANNELS, run->product->source_channels);
    for (int64_t channel = index * SOURCE_CHANNELS; channel < end; channel++) {
        sfi_winograd_source(run->kernels, run->product, &run->grid, channel, 0, tiles, area.buffer,
                            BUFFER_PLANE, area.patch);
        for (int64_t plane = 0; plane < PLANES; plane++) {
            float *to = run->source + plane * run->source_plane + channel * tiles;
            for (int64_t tile = 0; tile < tiles; tile++) {
                to[tile] = area.buffer[plane * BUFFER_PLANE + tile];
            }
        }
    }
}

/* A panel of rows of the target, and some channels of the source. */
typedef struct channels_panel {
    int64_t row;
    int64_t rows;
    int64_t channel;
    int64_t channels;
} channels_panel;

static const float *panel_taps(const channels_run *run, const channels_panel *panel, float *packed)
{
    const sfi_conv_product *product = run->product;
    const int64_t columns = run->kernels->panel_columns;
    if (product->frozen) {
        return product->frozen +
               (panel->row * product->source_channels + panel->channel * columns) * TAPS;
    }
    sfi_pack_panel(run->kernels, packed,
                   product->weight + panel->row * product->weight_row +
                       panel->channel * product->weight_channel,
                   product->weight_row, run->tap_steps, panel->rows, panel->channels * TAPS);
    return packed;
}

/* The sums of every plane. */
static void multiply_panel(const channels_run *run, const channels_panel *panel,
                           const float *weight, float *sums)
{
    const int64_t columns = run->kernels->panel_columns;
    const int64_t tiles = run->grid.tiles;
    const int64_t groups = sfi_ceil_div(tiles, run->kernels->panel_rows);
    for (int64_t i = 0; i < groups; i++) {
        const int64_t first = i * tiles / groups;
        const int64_t end = (i + 1) * tiles / groups;
        const sfk_panel_tile tile = {
            .pixels = run->source + panel->channel * tiles,
            .steps = run->steps,
            .places = run->places + first,
            .weights = weight,
            .to = sums + first * columns,
            .accumulate = panel->channel > 0,
            .rows = (int32_t)(end - first),
            .channels = (int32_t)panel->rows,
            .depth = panel->channels,
        };
        run->kernels->panel_tiles(&tile, PLANES, run->source_plane, WEIGHT_PLANE(columns),
                                  tiles * columns);
    }
}

/* Back to pixels, one image: into `area->pixels`. */
static void put_pixels(const channels_run *run, int64_t image, const float *bias, const float *sums,
                       float *pixels)
{
    const sfi_winograd_grid *grid = &run->grid;
    const sfi_pixel_axis *axis = run->product->grid.axis;
    const int64_t columns = run->kernels->panel_columns;
    for (int64_t tile = 0; tile < grid->image_tiles; tile++) {
        const int64_t row = tile / grid->columns * TILE;
        const int64_t column = tile % grid->columns * TILE;
        run->kernels->winograd_output_panel(
            pixels + (row * axis[1].size + column) * columns, axis[1].size * columns,
            sums + (image * grid->image_tiles + tile) * columns, grid->tiles * columns, bias,
            sfi_min(TILE, axis[0].size - row), sfi_min(TILE, axis[1].size - column));
    }
}

/* The channels of a panel, all images. */
static void put_panel(const channels_run *run, const channels_panel *panel, const float *sums,
                      const channels_area *area)
{
    const sfi_conv_product *product = run->product;
    const sfk_table *kernels = run->kernels;
    const int64_t count = product->target_plane;
    float bias[SFK_MAX_PANEL] = {0};
    for (int64_t m = 0; product->bias && m < panel->rows; m++) {
        bias[m] = product->bias[panel->row + m];
    }
    for (int64_t image = 0; image < product->grid.batch; image++) {
        const int64_t place = (image * product->target_channels + panel->row) * count;
        float *planes = product->accumulate ? area->planes : product->target + place;
        put_pixels(run, image, bias, sums, area->pixels);
        kernels->transpose(planes, count, area->pixels, kernels->panel_columns, count, panel->rows);
        if (product->accumulate) {
            kernels->add_to(product->target + place, planes, panel->rows * count);
        }
        for (int64_t m = 0; m < panel->rows; m++) {
            sfi_finish_pixels(kernels, product->finish, panel->row + m, product->target,
                              place + m * count, count);
        }
    }
}

/* Some channels of the source times one panel of rows, whose part of the weight is transformed
 * first. */
static void add_panel(const channels_run *run, const channels_panel *panel,
                      const channels_area *area, float *sums)
{
    const int64_t columns = run->kernels->panel_columns;
    run->kernels->winograd_weight(area->weight, WEIGHT_PLANE(columns),
                                  panel_taps(run, panel, area->packed), columns, panel->channels,
                                  run->product->grid.axis[0].spacing < 0);
    multiply_panel(run, panel, area->weight, sums);
}

static void multiply_task(void *argument, int64_t index, int32_t worker)
{
    const channels_run *run = argument;
    const sfi_conv_product *product = run->product;
    const channels_area area = area_of(run, worker);
    const int64_t columns = run->kernels->panel_columns;
    const int64_t first = index * TASK_ROWS;
    const int64_t end = sfi_min(first + TASK_ROWS, product->target_channels);
    for (int64_t row = first; row < end; row += columns) {
        channels_panel panel = {.row = row, .rows = sfi_min(columns, end - row)};
        for (; panel.channel < product->source_channels; panel.channel += BLOCK_CHANNELS) {
            panel.channels = sfi_min(BLOCK_CHANNELS, product->source_channels - panel.channel);
            add_panel(run, &panel, &area, area.sums);
        }
        put_panel(run, &panel, area.sums, &area);
    }
}

void sfi_winograd_channels_run(sfconv_context *context, const sfi_conv_product *product,
                               void *scratch)
{
    channels_run run = {.kernels = context->kernels,
                        .product = product,
                        .grid = sfi_winograd_grid_of(product),
                        .source = scratch};
    const int64_t tiles = run.grid.tiles;
    run.layout = layout_of(&run.grid);
    run.source_plane = product->source_channels * tiles;
    run.areas =
        (char *)scratch + sfi_round64(PLANES * run.source_plane * (int64_t)sizeof *run.source);
    for (int64_t k = 0; k < BLOCK_CHANNELS; k++) {
        run.steps[k] = k * tiles;
    }
    for (int64_t tile = 0; tile < tiles; tile++) {
        run.places[tile] = tile;
    }
    for (int64_t k = 0; k < BLOCK_CHANNELS * TAPS; k++) {
        run.tap_steps[k] = k / TAPS * product->weight_channel + k % TAPS;
    }
    sfi_parallel_for(context, sfi_ceil_div(product->source_channels, SOURCE_CHANNELS), source_task,
                     &run);
    sfi_parallel_for(context, sfi_ceil_div(product->target_channels, TASK_ROWS), multiply_task,
                     &run);
}
