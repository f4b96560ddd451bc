/* SPDX-License-Identifier: BSD-2-Clause */
#include "convolution_winograd.h"

#include "parallel.h"
#include "sizes.h"
#include "winograd_channels.h"
#include "winograd_plan.h"

#include <assert.h>

#define PLANES SFK_WINOGRAD_PLANES
#define TILE SFK_WINOGRAD_TILE
#define TAPS SFI_WINOGRAD_TAPS
#define PACKED_CHANNELS SFI_WINOGRAD_PACKED

/* Terms that are added before the next columns come, so that they stay in the first level. */
#define DEPTH 256
/* Channels of one task that transforms the source. */
#define TASK_CHANNELS 8

static bool fits(const sfi_conv_product *product)
{
    const sfi_pixel_axis *axis = product->grid.axis;
    for (int a = 0; a < 2; a++) {
        if (axis[a].taps != 3 || axis[a].step != 1 || axis[a].spacing != axis[0].spacing) {
            return false;
        }
    }
    /* Rows of the target that do not follow each other are a phase of a stride, which sees every
     * other tap. */
    return (axis[0].spacing == 1 || axis[0].spacing == -1) && product->groups == 1 &&
           product->target_step[1] == 1 && product->target_step[0] == axis[1].size;
}

/* Costs in multiply-adds, as the transforms were measured to take: those of source and target take
 * as long as 300 and 260 of the products, for each channel and tile; that of a filter WEIGHT, or
 * less where it is multiplied at once. Products take whole vectors of tiles, or of channels. */
#define WEIGHT 400
#define FUSED_WEIGHT 160

static bool pays(const sfi_conv_product *product)
{
    const double pixels = (double)product->grid.count;
    const int64_t tiles = sfi_winograd_grid_of(product).tiles;
    const double channels = (double)product->source_channels;
    const double rows = (double)product->target_channels;
    const bool by_channels = sfi_winograd_by_channels(product);
    const double lanes =
        by_channels ? (double)(sfi_ceil_div(product->target_channels, 16) * 16) : rows;
    const int64_t whole = by_channels ? tiles : sfi_ceil_div(tiles, 16) * 16;
    return TAPS * pixels * channels * rows >
           (PLANES * (double)whole + (by_channels ? FUSED_WEIGHT : WEIGHT)) * channels * lanes +
               (300 * channels + 260 * rows) * (double)tiles;
}

bool sfi_winograd_chosen(const sfconv_context *context, const sfi_conv_product *product)
{
    switch (context->convolution) {
    case SFCONV_CONVOLUTION_DIRECT:
        return false;
    case SFCONV_CONVOLUTION_WINOGRAD:
        return fits(product);
    default:
        return fits(product) && pays(product);
    }
}

int64_t sfi_winograd_macs(const sfi_conv_product *product)
{
    return PLANES * sfi_winograd_grid_of(product).tiles * product->source_channels *
           product->target_channels;
}

static int64_t worker_bytes(const sfi_winograd_plan *plan)
{
    return plan->sums_bytes + plan->patch_bytes + plan->packed_bytes;
}

bool sfi_winograd_scratch(int64_t *bytes, const sfconv_context *context,
                          const sfi_conv_product *product)
{
    sfi_winograd_plan plan;
    int64_t workers;
    if (sfi_winograd_by_channels(product)) {
        return sfi_winograd_channels_scratch(bytes, context, product);
    }
    return sfi_winograd_plan_make(&plan, product) &&
           sfi_mul(&workers, sfi_workers(context), worker_bytes(&plan)) &&
           sfi_add(bytes, workers, plan.steps_bytes) && sfi_add(bytes, *bytes, plan.source_bytes) &&
           sfi_add(bytes, *bytes, plan.weight_bytes);
}

struct winograd_run {
    const sfk_table *kernels;
    const sfi_conv_product *product;
    sfi_winograd_plan plan;
    int64_t *source_steps;
    /* Of the taps of PACKED_CHANNELS channels in the weight. */
    int64_t tap_steps[PACKED_CHANNELS * TAPS];
    float *source;
    /* Of the round in hand. */
    float *weight;
    char *areas;
    /* The tiles of the block and the rows of the round in hand. */
    int64_t first_tile;
    int64_t end_tile;
    int64_t first_row;
    int64_t end_row;
    int64_t source_tasks;
};

/* One worker's scratch. */
struct area {
    float *sums;
    float *patch;
    float *packed;
};

static struct area area_of(const struct winograd_run *run, int32_t worker)
{
    const sfi_winograd_plan *plan = &run->plan;
    char *base = run->areas + worker * worker_bytes(plan);
    struct area area;
    area.sums = (float *)base;
    area.patch = (float *)(base += plan->sums_bytes);
    area.packed = (float *)(base + plan->patch_bytes);
    return area;
}

/* Coefficients of the weight lie by planes, then by tiles of rows: a panel has those of one tile,
 * the rows of a channel side by side. */
static int64_t panel_pitch(const struct winograd_run *run)
{
    return run->plan.channels * run->kernels->tile_rows + SFK_SLACK;
}

/* The panel of the round's rows that has number `panel`. */
static void transform_panel(const struct winograd_run *run, int64_t panel, float *packed)
{
    const sfi_winograd_plan *plan = &run->plan;
    const sfi_conv_product *product = run->product;
    const bool flipped = product->grid.axis[0].spacing < 0;
    const int64_t tile_rows = run->kernels->tile_rows;
    const int64_t row = run->first_row + panel * tile_rows;
    const float *from = product->weight + row * product->weight_row;
    float *to = run->weight + panel * panel_pitch(run);
    for (int64_t c = 0; c < plan->channels; c += PACKED_CHANNELS) {
        const int64_t channels = sfi_min(PACKED_CHANNELS, plan->channels - c);
        run->kernels->pack_rows(packed, tile_rows, from + c * product->weight_channel,
                                product->weight_row, run->tap_steps,
                                sfi_min(tile_rows, run->end_row - row), channels * TAPS);
        run->kernels->winograd_weight(to + c * tile_rows, plan->weight_plane, packed, tile_rows,
                                      channels, flipped);
    }
}

static void transform_task(void *argument, int64_t index, int32_t worker)
{
    const struct winograd_run *run = argument;
    const struct area area = area_of(run, worker);
    if (index < run->source_tasks) {
        const int64_t first = index * TASK_CHANNELS;
        for (int64_t c = first; c < sfi_min(first + TASK_CHANNELS, run->plan.channels); c++) {
            sfi_winograd_source(run->kernels, run->product, &run->plan.grid, c, run->first_tile,
                                run->end_tile, run->source + c * run->plan.source_pitch,
                                run->plan.channels * run->plan.source_pitch, area.patch);
        }
        return;
    }
    transform_panel(run, index - run->source_tasks, area.packed);
}

/* Rows and tiles of one task, counted in the round and in the block. */
struct part {
    int64_t first_row;
    int64_t rows;
    int64_t first_tile;
    int64_t tiles;
};

/* The product of one plane, some terms of the sums; `weight` is where the panel of the part's first
 * rows has the first of them. */
static void multiply_terms(const struct winograd_run *run, const struct part *part, int64_t plane,
                           int64_t first_term, int64_t terms, const float *weight, float *sums)
{
    const sfi_winograd_plan *plan = &run->plan;
    const sfk_table *kernels = run->kernels;
    const int64_t tile_rows = kernels->tile_rows;
    const float *source =
        run->source + (plane * plan->channels + first_term) * plan->source_pitch + part->first_tile;
    for (int64_t n = 0; n < part->tiles; n += kernels->tile_columns) {
        for (int64_t m = 0; m < part->rows; m += tile_rows) {
            const sfk_tile tile = {
                .a = weight + m / tile_rows * panel_pitch(run),
                .a_row = 1,
                .a_step = tile_rows,
                .b = source + n,
                .b_steps = run->source_steps,
                .c = sums + m * plan->sum_pitch + n,
                .c_stride = plan->sum_pitch,
                .accumulate = first_term > 0,
                .rows = (int32_t)sfi_min(tile_rows, part->rows - m),
                .columns = (int32_t)sfi_min(kernels->tile_columns, part->tiles - n),
                .depth = terms,
            };
            kernels->matrix_tile(&tile);
        }
    }
}

/* Whole rows of the target follow each other. */
static void finish_run(const struct winograd_run *run, const sfk_winograd_pixels *pixels,
                       int64_t channel)
{
    const sfi_conv_product *product = run->product;
    const int64_t place = pixels->to - product->target;
    const bool whole = pixels->columns == pixels->to_stride;
    const int64_t rows = whole ? 1 : pixels->rows;
    for (int64_t row = 0; row < rows; row++) {
        sfi_finish_pixels(run->kernels, product->finish, channel, product->target,
                          place + row * pixels->to_stride,
                          whole ? pixels->rows * pixels->columns : pixels->columns);
    }
}

/* Back to pixels: one row of the part. */
static void put_row(const struct winograd_run *run, const struct part *part, int64_t row,
                    int64_t plane_size, const float *sums)
{
    const sfi_winograd_plan *plan = &run->plan;
    const sfi_conv_product *product = run->product;
    const sfi_pixel_axis *axis = product->grid.axis;
    const int64_t channel = run->first_row + part->first_row + row;
    const int64_t end = part->first_tile + part->tiles;
    for (int64_t tile = part->first_tile; tile < end;) {
        const sfi_tile_run tiles =
            sfi_winograd_run_from(&plan->grid, run->first_tile + tile, end - tile);
        const int64_t pixel_row = tiles.row * TILE;
        const int64_t pixel_column = tiles.column * TILE;
        const sfk_winograd_pixels pixels = {
            .from = sums + row * plan->sum_pitch + tile - part->first_tile,
            .plane = plane_size,
            .to = product->target +
                  (tiles.image * product->target_channels + channel) * product->target_plane +
                  pixel_row * product->target_step[0] + pixel_column,
            .to_stride = product->target_step[0],
            .rows = sfi_min(TILE, axis[0].size - pixel_row),
            .columns = sfi_min(tiles.count * TILE, axis[1].size - pixel_column),
            .bias = product->bias ? product->bias[channel] : 0.0f,
            .accumulate = product->accumulate,
        };
        run->kernels->winograd_output(&pixels);
        if (product->finish) {
            finish_run(run, &pixels, channel);
        }
        tile += tiles.count;
    }
}

static void multiply_part(const struct winograd_run *run, const struct part *part, float *sums)
{
    const sfi_winograd_plan *plan = &run->plan;
    const int64_t tile_rows = run->kernels->tile_rows;
    for (int64_t plane = 0; plane < PLANES; plane++) {
        const float *weight = run->weight + plane * plan->weight_plane +
                              part->first_row / tile_rows * panel_pitch(run);
        for (int64_t term = 0; term < plan->channels; term += DEPTH) {
            multiply_terms(run, part, plane, term, sfi_min(DEPTH, plan->channels - term),
                           weight + term * tile_rows, sums + plane * part->rows * plan->sum_pitch);
        }
    }
}

static void multiply_task(void *argument, int64_t index, int32_t worker)
{
    const struct winograd_run *run = argument;
    const sfi_winograd_plan *plan = &run->plan;
    const int64_t chunks = sfi_ceil_div(run->end_tile - run->first_tile, plan->task_tiles);
    const int64_t first_row = index / chunks * plan->task_rows;
    const int64_t first_tile = index % chunks * plan->task_tiles;
    const struct part part = {
        .first_row = first_row,
        .rows = sfi_min(plan->task_rows, run->end_row - run->first_row - first_row),
        .first_tile = first_tile,
        .tiles = sfi_min(plan->task_tiles, run->end_tile - run->first_tile - first_tile),
    };
    const struct area area = area_of(run, worker);
    const int64_t plane_size = part.rows * plan->sum_pitch;
    multiply_part(run, &part, area.sums);
    for (int64_t row = 0; row < part.rows; row++) {
        put_row(run, &part, row, plane_size, area.sums);
    }
}

/* The weight of one round is kept for all blocks. */
static void run_round(sfconv_context *context, struct winograd_run *run, int64_t block,
                      int64_t round)
{
    const sfi_winograd_plan *plan = &run->plan;
    const int64_t channel_tasks = sfi_ceil_div(plan->channels, TASK_CHANNELS);
    run->first_row = round * plan->round_rows;
    run->end_row = sfi_min(run->first_row + plan->round_rows, plan->rows);
    const int64_t rows = run->end_row - run->first_row;
    const int64_t weight_tasks = sfi_ceil_div(rows, run->kernels->tile_rows);
    const bool has_weight = plan->rounds == 1 && block > 0;
    run->source_tasks = round == 0 ? channel_tasks : 0;
    sfi_parallel_for(context, run->source_tasks + (has_weight ? 0 : weight_tasks), transform_task,
                     run);
    sfi_parallel_for(context,
                     sfi_ceil_div(rows, plan->task_rows) *
                         sfi_ceil_div(run->end_tile - run->first_tile, plan->task_tiles),
                     multiply_task, run);
}

bool sfi_winograd_frozen_bytes(int64_t *bytes, const sfi_conv_product *product)
{
    *bytes = 0;
    return !sfi_winograd_by_channels(product) || sfi_conv_product_frozen_bytes(bytes, product);
}

void sfi_winograd_freeze(sfconv_context *context, const sfi_conv_product *product, float *frozen)
{
    assert(sfi_winograd_by_channels(product));
    sfi_conv_product_freeze(context, product, frozen);
}

void sfi_winograd_run(sfconv_context *context, const sfi_conv_product *product, void *scratch)
{
    if (sfi_winograd_by_channels(product)) {
        sfi_winograd_channels_run(context, product, scratch);
        return;
    }
    struct winograd_run run = {.kernels = context->kernels, .product = product};
    sfi_winograd_plan *plan = &run.plan;
    char *base = scratch;
    const bool counted = sfi_winograd_plan_make(plan, product);
    assert(counted);
    (void)counted;
    run.source_steps = (int64_t *)base;
    run.source = (float *)(base += plan->steps_bytes);
    run.weight = (float *)(base += plan->source_bytes);
    run.areas = base + plan->weight_bytes;
    for (int64_t k = 0; k < plan->channels; k++) {
        run.source_steps[k] = k * plan->source_pitch;
    }
    for (int64_t k = 0; k < PACKED_CHANNELS * TAPS; k++) {
        run.tap_steps[k] = k / TAPS * product->weight_channel + k % TAPS;
    }
    for (int64_t block = 0; block < plan->blocks; block++) {
        run.first_tile = block * plan->block_tiles;
        run.end_tile = sfi_min(run.first_tile + plan->block_tiles, plan->grid.tiles);
        for (int64_t round = 0; round < plan->rounds; round++) {
            run_round(context, &run, block, round);
        }
    }
}
