/* SPDX-License-Identifier: BSD-2-Clause */
#include "winograd_channels.h"

#include "convolution_operand.h"
#include "parallel.h"
#include "sizes.h"
#include "winograd_boxes.h"

#include <assert.h>
#include <string.h>

#define PLANES SFK_WINOGRAD_PLANES
#define TILE SFK_WINOGRAD_TILE
#define TAPS 9
/* Channels of the source whose tiles are transformed at a time. */
#define BLOCK_CHANNELS SFK_WINOGRAD_BLOCK
/* Channels of the source whose part of the weight is transformed and multiplied at a time: with
 * very few tiles, which use each coefficient once, so many that those of a panel fill no more than
 * a third of the first-level cache; with few, 16; many where sums come from the second level, or
 * where coefficients are not stored. */
#define FIRST_LEVEL_FILTERS 256
#define FEW_CHANNELS 16
#define MANY_CHANNELS 64
#define VERY_FEW_TILES 8
#define FEW_TILES 24

/* Most tiles of a map where lanes over tiles would be partly empty. */
#define MOST_TILES 256

bool sfi_winograd_by_channels(const sfi_conv_product *product)
{
    return sfi_winograd_grid_of(product).tiles <= MOST_TILES ||
           (product->target_channels % SFK_MAX_PANEL == 0 &&
            product->source_channels >= BLOCK_CHANNELS);
}

/* Bytes of a worker's areas. */
typedef struct channels_layout {
    /* Coefficients of a box of tiles, block after block of channels: [plane][tile][channel]. One
     * for all workers, or one each. */
    int64_t source;
    /* A block of channels of the source: the pixels of an image with what the windows see around
     * them. */
    int64_t patch;
    int64_t packed;
    int64_t filters;
    int64_t sums;
    /* Of a row of tiles: pixels by pixels, and one channel after the other. */
    int64_t pixels;
    int64_t planes;
} channels_layout;

/* Elements of a row of a patch, and rows. */
static int64_t patch_row(const sfi_winograd_box *box)
{
    return (box->columns * TILE + 2) * BLOCK_CHANNELS;
}

static int64_t patch_rows(const sfi_winograd_box *box)
{
    return box->rows * TILE + 2;
}

static bool make_layout(channels_layout *layout, const sfi_conv_product *product,
                        const sfi_winograd_boxes *boxes)
{
    const int64_t item = (int64_t)sizeof(float);
    const sfi_winograd_box *box = &boxes->largest;
    const int64_t pixels = TILE * TILE * box->columns * SFK_MAX_PANEL;
    const int64_t source[] = {PLANES * item, box->tiles, BLOCK_CHANNELS,
                              sfi_ceil_div(product->source_channels, BLOCK_CHANNELS)};
    *layout = (channels_layout){
        .patch = sfi_round64(patch_row(box) * patch_rows(box) * item),
        .packed = sfi_round64((MANY_CHANNELS * TAPS * SFK_MAX_PANEL + 2 * SFK_SLACK) * item),
        .filters = MANY_CHANNELS * SFK_WINOGRAD_FILTERS * item,
        .sums = sfi_round64(PLANES * box->tiles * SFK_MAX_PANEL * item),
        .pixels = sfi_round64(pixels * item),
        .planes = sfi_round64(pixels * item),
    };
    return sfi_product(&layout->source, source, 4);
}

static int64_t worker_bytes(const channels_layout *layout, bool own)
{
    return (own ? layout->source : 0) + layout->patch + layout->packed + layout->filters +
           layout->sums + layout->pixels + layout->planes;
}

bool sfi_winograd_channels_scratch(int64_t *bytes, const sfconv_context *context,
                                   const sfi_conv_product *product)
{
    const sfi_winograd_boxes boxes = sfi_winograd_boxes_of(product);
    channels_layout layout;
    return make_layout(&layout, product, &boxes) &&
           sfi_mul(bytes, sfi_workers(context), worker_bytes(&layout, boxes.own)) &&
           sfi_add(bytes, *bytes, boxes.own ? 0 : layout.source);
}

typedef struct channels_run {
    const sfk_table *kernels;
    const sfi_conv_product *product;
    sfi_winograd_boxes boxes;
    channels_layout layout;
    char *areas;
    /* Where workers share the coefficients: of this box. */
    float *source;
    sfi_winograd_box box;
    /* Of the taps of a panel in the weight. */
    int64_t tap_steps[MANY_CHANNELS * TAPS];
} channels_run;

typedef struct channels_area {
    float *patch;
    float *packed;
    float *filters;
    /* [plane][tile][channel]. */
    float *sums;
    float *pixels;
    float *planes;
    float *source;
} channels_area;

static channels_area area_of(const channels_run *run, int32_t worker)
{
    const channels_layout *layout = &run->layout;
    char *base = run->areas + worker * worker_bytes(layout, run->boxes.own);
    channels_area area;
    area.patch = (float *)base;
    area.packed = (float *)(base += layout->patch);
    area.filters = (float *)(base += layout->packed);
    area.sums = (float *)(base += layout->filters);
    area.pixels = (float *)(base += layout->sums);
    area.planes = (float *)(base += layout->pixels);
    area.source = run->boxes.own ? (float *)(base + layout->planes) : run->source;
    return area;
}

/* The smallest shift of a tap. */
static int64_t first_shift(const sfi_pixel_axis *axis)
{
    return sfi_min(axis->offset, axis->offset + 2 * axis->spacing);
}

/* Some channels of an image, pixel by pixel, zeros around it and behind the last channel. */
static void fill_patch(const channels_run *run, const sfi_winograd_box *box, int64_t image,
                       int64_t first, float *patch)
{
    const sfi_conv_product *product = run->product;
    const sfi_pixel_axis *axis = product->grid.axis;
    const int64_t row_size = patch_row(box);
    const int64_t rows = patch_rows(box);
    const int64_t plane = axis[0].source_size * axis[1].source_size;
    const int64_t top = first_shift(&axis[0]) + box->row * TILE;
    const int64_t left = first_shift(&axis[1]) + box->column * TILE;
    const int64_t skipped = sfi_max(left, 0);
    const int64_t length =
        sfi_min(axis[1].source_size - skipped, row_size / BLOCK_CHANNELS - (skipped - left));
    const int64_t channels = sfi_min(BLOCK_CHANNELS, product->source_channels - first);
    const float *source = product->source + image * product->grid.image_stride + first * plane;
    for (int64_t row = 0; row < rows; row++) {
        const int64_t from = row + top;
        float *to = patch + row * row_size;
        if (length <= 0 || from < 0 || from >= axis[0].source_size || channels < BLOCK_CHANNELS) {
            memset(to, 0, (size_t)row_size * sizeof *to);
        }
        if (length > 0 && from >= 0 && from < axis[0].source_size) {
            const int64_t before = (skipped - left) * BLOCK_CHANNELS;
            const int64_t end = before + length * BLOCK_CHANNELS;
            memset(to, 0, (size_t)before * sizeof *to);
            run->kernels->transpose(to + before, BLOCK_CHANNELS,
                                    source + from * axis[1].source_size + skipped, plane, channels,
                                    length);
            memset(to + end, 0, (size_t)(row_size - end) * sizeof *to);
        }
    }
}

static void transform_source(const channels_run *run, const sfi_winograd_box *box, int64_t first,
                             const channels_area *area)
{
    float *to = area->source + first * PLANES * box->tiles;
    for (int64_t image = 0; image < box->images; image++) {
        fill_patch(run, box, box->image + image, first, area->patch);
        for (int64_t row = 0; row < box->rows; row++) {
            run->kernels->winograd_input_block(to, box->tiles * BLOCK_CHANNELS,
                                               area->patch + row * TILE * patch_row(box),
                                               patch_row(box), box->columns);
            to += box->columns * BLOCK_CHANNELS;
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

/* One channel after the other in `planes`: `count` pixels, those of the target from `place` on. */
static void put_segment(const channels_run *run, const channels_panel *panel, int64_t place,
                        const float *pixels, int64_t count, float *planes)
{
    const sfi_conv_product *product = run->product;
    const sfk_table *kernels = run->kernels;
    const int64_t plane = product->target_plane;
    float *target = product->target + place;
    if (product->accumulate) {
        kernels->transpose(planes, count, pixels, kernels->panel_columns, count, panel->rows);
        for (int64_t m = 0; m < panel->rows; m++) {
            kernels->add_to(target + m * plane, planes + m * count, count);
        }
    } else {
        kernels->transpose(target, plane, pixels, kernels->panel_columns, count, panel->rows);
    }
    for (int64_t m = 0; product->finish && m < panel->rows; m++) {
        sfi_finish_pixels(kernels, product->finish, panel->row + m, product->target,
                          place + m * plane, count);
    }
}

/* A row of tiles back to pixels. */
static void put_row(const channels_run *run, const sfi_winograd_box *box,
                    const channels_panel *panel, int64_t image, int64_t row, const float *bias,
                    const float *sums, const channels_area *area)
{
    const sfi_conv_product *product = run->product;
    const sfi_pixel_axis *axis = product->grid.axis;
    const int64_t columns = run->kernels->panel_columns;
    const int64_t left = box->column * TILE;
    const int64_t width = sfi_min(box->columns * TILE, axis[1].size - left);
    const int64_t height = sfi_min(TILE, axis[0].size - row * TILE);
    for (int64_t tile = 0; tile < box->columns; tile++) {
        run->kernels->winograd_output_panel(area->pixels + tile * TILE * columns, width * columns,
                                            sums + tile * columns, box->tiles * columns, bias,
                                            height, sfi_min(TILE, width - tile * TILE));
    }
    const int64_t place = (image * product->target_channels + panel->row) * product->target_plane +
                          row * TILE * axis[1].size + left;
    const bool whole = width == axis[1].size;
    const int64_t length = whole ? height * width : width;
    for (int64_t i = 0; i < (whole ? 1 : height); i++) {
        put_segment(run, panel, place + i * axis[1].size, area->pixels + i * length * columns,
                    length, area->planes);
    }
}

static void put_panel(const channels_run *run, const sfi_winograd_box *box,
                      const channels_panel *panel, const channels_area *area)
{
    const sfi_conv_product *product = run->product;
    const float *sums = area->sums;
    float bias[SFK_MAX_PANEL] = {0};
    for (int64_t m = 0; product->bias && m < panel->rows; m++) {
        bias[m] = product->bias[panel->row + m];
    }
    for (int64_t image = 0; image < box->images; image++) {
        for (int64_t row = 0; row < box->rows; row++) {
            put_row(run, box, panel, box->image + image, box->row + row, bias, sums, area);
            sums += box->columns * run->kernels->panel_columns;
        }
    }
}

/* Where the coefficients of `channel` begin: its block may have begun before. */
static const float *source_of(const sfi_winograd_box *box, int64_t channel,
                              const channels_area *area)
{
    const int64_t place = channel % BLOCK_CHANNELS;
    return area->source + (channel - place) * PLANES * box->tiles + place;
}

/* Some channels of the source times one panel of rows. What a frozen weight has behind their taps,
 * those of the next channels or of the next panel, comes from memory meanwhile. */
static void add_panel(const channels_run *run, const sfi_winograd_box *box,
                      const channels_panel *panel, const channels_area *area)
{
    const sfi_conv_product *product = run->product;
    const int64_t columns = run->kernels->panel_columns;
    const bool flipped = product->grid.axis[0].spacing < 0;
    const float *taps = panel_taps(run, panel, area->packed);
    const sfk_winograd_panel block = {
        .taps = taps,
        .next = product->frozen ? taps + panel->channels * TAPS * columns : NULL,
        .source = source_of(box, panel->channel, area),
        .sums = area->sums,
        .filters = area->filters,
        .tiles = box->tiles,
        .channels = panel->channels,
        .flipped = flipped,
        .accumulate = panel->channel > 0,
    };
    run->kernels->winograd_panel(&block);
}

static int64_t channels_at_a_time(const channels_run *run, const sfi_winograd_box *box)
{
    const int64_t columns = run->kernels->panel_columns;
    if (box->tiles == SFK_WINOGRAD_KEPT_TILES && columns == SFK_MAX_PANEL) {
        return MANY_CHANNELS;
    }
    if (box->tiles <= VERY_FEW_TILES) {
        return FIRST_LEVEL_FILTERS / columns;
    }
    return box->tiles <= FEW_TILES ? FEW_CHANNELS : MANY_CHANNELS;
}

/* A panel of the target. */
static void multiply_panel(const channels_run *run, const sfi_winograd_box *box, int64_t row,
                           const channels_area *area)
{
    const sfi_conv_product *product = run->product;
    const int64_t most = channels_at_a_time(run, box);
    channels_panel panel = {
        .row = row, .rows = sfi_min(run->kernels->panel_columns, product->target_channels - row)};
    for (; panel.channel < product->source_channels; panel.channel += most) {
        panel.channels = sfi_min(most, product->source_channels - panel.channel);
        add_panel(run, box, &panel, area);
    }
    put_panel(run, box, &panel, area);
}

static void source_task(void *argument, int64_t index, int32_t worker)
{
    const channels_run *run = argument;
    const channels_area area = area_of(run, worker);
    transform_source(run, &run->box, index * BLOCK_CHANNELS, &area);
}

static void panel_task(void *argument, int64_t index, int32_t worker)
{
    const channels_run *run = argument;
    const channels_area area = area_of(run, worker);
    multiply_panel(run, &run->box, index * run->kernels->panel_columns, &area);
}

/* All of a box, whose coefficients stay in the second-level cache. */
static void box_task(void *argument, int64_t index, int32_t worker)
{
    const channels_run *run = argument;
    const sfi_conv_product *product = run->product;
    const channels_area area = area_of(run, worker);
    const sfi_winograd_box box = sfi_winograd_box_number(&run->boxes, index);
    for (int64_t first = 0; first < product->source_channels; first += BLOCK_CHANNELS) {
        transform_source(run, &box, first, &area);
    }
    for (int64_t row = 0; row < product->target_channels; row += run->kernels->panel_columns) {
        multiply_panel(run, &box, row, &area);
    }
}

void sfi_winograd_channels_run(sfconv_context *context, const sfi_conv_product *product,
                               void *scratch)
{
    channels_run run = {.kernels = context->kernels,
                        .product = product,
                        .boxes = sfi_winograd_boxes_of(product),
                        .areas = scratch};
    const int64_t blocks = sfi_ceil_div(product->source_channels, BLOCK_CHANNELS);
    const int64_t panels = sfi_ceil_div(product->target_channels, context->kernels->panel_columns);
    const bool counted = make_layout(&run.layout, product, &run.boxes);
    assert(counted);
    (void)counted;
    for (int64_t k = 0; k < MANY_CHANNELS * TAPS; k++) {
        run.tap_steps[k] = k / TAPS * product->weight_channel + k % TAPS;
    }
    if (run.boxes.own) {
        sfi_parallel_for(context, run.boxes.count, box_task, &run);
        return;
    }
    run.source = scratch;
    run.areas += run.layout.source;
    for (int64_t i = 0; i < run.boxes.count; i++) {
        run.box = sfi_winograd_box_number(&run.boxes, i);
        sfi_parallel_for(context, blocks, source_task, &run);
        sfi_parallel_for(context, panels, panel_task, &run);
    }
}
