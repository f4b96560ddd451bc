/* SPDX-License-Identifier: BSD-2-Clause */
#include "winograd_channels.h"

#include "convolution_operand.h"
#include "parallel.h"
#include "sizes.h"
#include "winograd_source.h"

#include <string.h>

#define PLANES SFK_WINOGRAD_PLANES
#define TILE SFK_WINOGRAD_TILE
#define TAPS 9

/* Most tiles: with more, lanes over them are full enough, and the coefficients of a weight are used
 * so often that fewer tasks had better share them. */
#define MOST_TILES 256
/* Channels of the source whose part of the weight is transformed and multiplied at a time. */
#define BLOCK_CHANNELS SFK_WINOGRAD_BLOCK

bool sfi_winograd_few_tiles(const sfi_conv_product *product)
{
    return sfi_winograd_grid_of(product).tiles <= MOST_TILES;
}

/* Bytes of a worker's areas. */
typedef struct channels_layout {
    /* A block of channels of the source: the pixels of an image with what the windows see around
     * them. */
    int64_t patch;
    int64_t packed;
    int64_t sums;
    /* Pixels by pixels, and one channel after the other. */
    int64_t pixels;
    int64_t planes;
} channels_layout;

/* Elements of a row of a patch, and rows. */
static int64_t patch_row(const sfi_winograd_grid *grid)
{
    return (grid->columns * TILE + 2) * BLOCK_CHANNELS;
}

static int64_t patch_rows(const sfi_winograd_grid *grid)
{
    return grid->rows * TILE + 2;
}

static channels_layout layout_of(const sfi_winograd_grid *grid)
{
    const int64_t item = (int64_t)sizeof(float);
    const int64_t pixels = grid->image_tiles * TILE * TILE * SFK_MAX_PANEL;
    return (channels_layout){
        .patch = sfi_round64(patch_row(grid) * patch_rows(grid) * item),
        .packed = sfi_round64((BLOCK_CHANNELS * TAPS * SFK_MAX_PANEL + 2 * SFK_SLACK) * item),
        .sums = sfi_round64(PLANES * grid->tiles * SFK_MAX_PANEL * item),
        .pixels = sfi_round64(pixels * item),
        .planes = sfi_round64(pixels * item),
    };
}

static int64_t worker_bytes(const channels_layout *layout)
{
    return layout->patch + layout->packed + layout->sums + layout->pixels + layout->planes;
}

bool sfi_winograd_channels_scratch(int64_t *bytes, const sfconv_context *context,
                                   const sfi_conv_product *product)
{
    const sfi_winograd_grid grid = sfi_winograd_grid_of(product);
    const channels_layout layout = layout_of(&grid);
    const int64_t source[] = {
        PLANES, sfi_ceil_div(product->source_channels, BLOCK_CHANNELS) * BLOCK_CHANNELS, grid.tiles,
        (int64_t)sizeof(float)};
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
    /* Block after block of channels: [plane][tile][channel]. */
    float *source;
    char *areas;
    /* Of the taps of a block of channels in the weight. */
    int64_t tap_steps[BLOCK_CHANNELS * TAPS];
} channels_run;

typedef struct channels_area {
    float *patch;
    float *packed;
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
    area.packed = (float *)(base += layout->patch);
    area.sums = (float *)(base += layout->packed);
    area.pixels = (float *)(base += layout->sums);
    area.planes = (float *)(base + layout->pixels);
    return area;
}

/* Channels of the block that begins with `first`. */
static int64_t block_channels(const channels_run *run, int64_t first)
{
    return sfi_min(BLOCK_CHANNELS, run->product->source_channels - first);
}

static float *source_block(const channels_run *run, int64_t first)
{
    return run->source + first * PLANES * run->grid.tiles;
}

/* The smallest shift of a tap. */
static int64_t first_shift(const sfi_pixel_axis *axis)
{
    return sfi_min(axis->offset, axis->offset + 2 * axis->spacing);
}

/* Some channels of an image, pixel by pixel, zeros around it and behind the last channel. */
static void fill_patch(const channels_run *run, int64_t image, int64_t first, float *patch)
{
    const sfi_conv_product *product = run->product;
    const sfi_pixel_axis *axis = product->grid.axis;
    const int64_t row_size = patch_row(&run->grid);
    const int64_t rows = patch_rows(&run->grid);
    const int64_t plane = axis[0].source_size * axis[1].source_size;
    const int64_t top = first_shift(&axis[0]);
    const int64_t left = first_shift(&axis[1]);
    const int64_t skipped = sfi_max(left, 0);
    const int64_t length =
        sfi_min(axis[1].source_size - skipped, row_size / BLOCK_CHANNELS - (skipped - left));
    const float *source = product->source + image * product->grid.image_stride + first * plane;
    memset(patch, 0, (size_t)(row_size * rows) * sizeof *patch);
    for (int64_t row = 0; row < rows && length > 0; row++) {
        const int64_t from = row + top;
        if (from >= 0 && from < axis[0].source_size) {
            run->kernels->transpose(patch + row * row_size + (skipped - left) * BLOCK_CHANNELS,
                                    BLOCK_CHANNELS, source + from * axis[1].source_size + skipped,
                                    plane, block_channels(run, first), length);
        }
    }
}

/* A block of channels. */
static void source_task(void *argument, int64_t index, int32_t worker)
{
    const channels_run *run = argument;
    const sfi_winograd_grid *grid = &run->grid;
    const int64_t first = index * BLOCK_CHANNELS;
    float *patch = area_of(run, worker).patch;
    float *to = source_block(run, first);
    for (int64_t image = 0; image < run->product->grid.batch; image++) {
        fill_patch(run, image, first, patch);
        for (int64_t row = 0; row < grid->rows; row++) {
            run->kernels->winograd_input_block(to, grid->tiles * BLOCK_CHANNELS,
                                               patch + row * TILE * patch_row(grid),
                                               patch_row(grid), grid->columns);
            to += grid->columns * BLOCK_CHANNELS;
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

/* Some channels of the source times one panel of rows. What a frozen weight has behind their taps,
 * those of the next channels or of the next panel, comes from memory meanwhile. */
static void add_panel(const channels_run *run, const channels_panel *panel,
                      const channels_area *area)
{
    const sfi_conv_product *product = run->product;
    const int64_t columns = run->kernels->panel_columns;
    const bool flipped = product->grid.axis[0].spacing < 0;
    const float *taps = panel_taps(run, panel, area->packed);
    const sfk_winograd_panel block = {
        .taps = taps,
        .next = product->frozen ? taps + panel->channels * TAPS * columns : NULL,
        .source = source_block(run, panel->channel),
        .sums = area->sums,
        .tiles = run->grid.tiles,
        .channels = panel->channels,
        .flipped = flipped,
        .accumulate = panel->channel > 0,
    };
    run->kernels->winograd_panel(&block);
}

/* A panel of the target. */
static void multiply_task(void *argument, int64_t index, int32_t worker)
{
    const channels_run *run = argument;
    const sfi_conv_product *product = run->product;
    const channels_area area = area_of(run, worker);
    const int64_t columns = run->kernels->panel_columns;
    const int64_t row = index * columns;
    channels_panel panel = {.row = row, .rows = sfi_min(columns, product->target_channels - row)};
    for (; panel.channel < product->source_channels; panel.channel += BLOCK_CHANNELS) {
        panel.channels = block_channels(run, panel.channel);
        add_panel(run, &panel, &area);
    }
    put_panel(run, &panel, area.sums, &area);
}

void sfi_winograd_channels_run(sfconv_context *context, const sfi_conv_product *product,
                               void *scratch)
{
    channels_run run = {.kernels = context->kernels,
                        .product = product,
                        .grid = sfi_winograd_grid_of(product),
                        .source = scratch};
    const int64_t tiles = run.grid.tiles;
    const int64_t blocks = sfi_ceil_div(product->source_channels, BLOCK_CHANNELS);
    run.layout = layout_of(&run.grid);
    run.areas = (char *)scratch +
                sfi_round64(PLANES * blocks * BLOCK_CHANNELS * tiles * (int64_t)sizeof *run.source);
    for (int64_t k = 0; k < BLOCK_CHANNELS * TAPS; k++) {
        run.tap_steps[k] = k / TAPS * product->weight_channel + k % TAPS;
    }
    sfi_parallel_for(context, blocks, source_task, &run);
    sfi_parallel_for(context,
                     sfi_ceil_div(product->target_channels, context->kernels->panel_columns),
                     multiply_task, &run);
}
