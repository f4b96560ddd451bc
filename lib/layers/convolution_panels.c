/* SPDX-License-Identifier: BSD-2-Clause */
/* Products whose lanes run over channels: the pixels of a task are cut into tiles as if they were
 * one row, so no end of a row leaves lanes empty. Weights come in panels of as many channels as a
 * tile has: [panel][channel of the source and tap][channel]. */
#include "convolution_operand.h"

#include "parallel.h"
#include "sizes.h"

#include <string.h>

/* Target channels that fill lanes well enough. */
#define LEAST_CHANNELS 16
/* Pixels that pay for packing weights which are used once. */
#define PACKED_PIXELS 64
/* Rows of a task; more where copying pixels for each task would show: on tiny maps, where a stride
 * parts the columns, and wherever there are tasks enough all the same; most where the first two
 * meet, where lines are gathered for each tap, unless all were one task of several workers, and for
 * a single worker where all pixels of a map are then copied once. */
#define TASK_ROWS 64
#define MORE_ROWS 128
#define MOST_ROWS 256
/* Pixels of a task that pay for packing its weights, and of tiny maps. */
#define SMALL_PIXELS 192
#define TINY_PIXELS 64
/* Of a tile of panel_row: fewer would wait for each other's multiply-adds. */
#define LEAST_PIXELS 4
/* Most sums of a task: they fit the second-level cache. */
#define TASK_SUMS (MORE_ROWS * MORE_PIXELS)
#define MORE_PIXELS 640
/* Terms of one block, and elements of its panel, 18 KB: the pixels of a tile and of those around it
 * find room in the first-level cache, too. */
#define DEPTH 216
#define PANEL_ELEMENTS 4608

bool sfi_product_by_channels(const sfi_conv_product *product)
{
    return product->target_channels >= LEAST_CHANNELS &&
           (product->frozen || product->grid.count >= PACKED_PIXELS);
}

bool sfi_product_has_patches(const sfi_pixel_grid *grid)
{
    return sfi_pixel_taps(grid) > grid->axis[0].step * grid->axis[1].step;
}

static int64_t rows_wanted(const sfi_conv_product *product, int64_t tasks_wanted)
{
    const sfi_pixel_grid *grid = &product->grid;
    const int64_t pixels = grid->axis[0].size * grid->axis[1].size;
    const int64_t tasks =
        grid->count / MORE_PIXELS * sfi_ceil_div(product->target_channels, MORE_ROWS);
    const bool is_tiny = grid->count < TINY_PIXELS;
    const bool is_strided = grid->axis[1].step > 1;
    const bool is_alone = tasks_wanted == 1 && pixels * MOST_ROWS <= TASK_SUMS;
    if (!sfi_product_has_patches(grid)) {
        const bool is_one_task = grid->blocks == 1 && product->target_channels <= MOST_ROWS;
        return is_one_task && tasks_wanted > 1 ? MORE_ROWS : MOST_ROWS;
    }
    if ((is_tiny && is_strided) || is_alone) {
        return MOST_ROWS;
    }
    return is_tiny || is_strided || tasks >= tasks_wanted ? MORE_ROWS : TASK_ROWS;
}

static int64_t tiles_of_row(const sfk_table *kernels, int64_t pixels)
{
    return sfi_ceil_div(pixels, kernels->panel_pixels);
}

bool sfi_product_is_in_rows(const sfi_product_run *run)
{
    const sfi_pixel_axis *columns = &run->product->grid.axis[1];
    const int64_t tiles = tiles_of_row(run->kernels, columns->size);
    return columns->taps == SFK_PANEL_TAPS && columns->step == 1 &&
           (columns->spacing == 1 || columns->spacing == -1) &&
           columns->size >= LEAST_PIXELS * tiles;
}

int64_t sfi_product_panel_rows(const sfi_conv_product *product, int64_t tasks_wanted)
{
    const int64_t rows = product->target_channels;
    const int64_t even = sfi_ceil_div(rows, sfi_ceil_div(rows, rows_wanted(product, tasks_wanted)));
    return sfi_ceil_div(even, SFK_MAX_PANEL) * SFK_MAX_PANEL;
}

int64_t sfi_product_patch_rows(const sfi_product_run *run)
{
    const sfi_pixel_axis *axis = run->product->grid.axis;
    const int64_t parts = sfi_max(1, sfi_min(sfi_ceil_div(run->tasks_wanted, run->row_blocks),
                                             axis[0].size * axis[1].size / SMALL_PIXELS));
    const int64_t most = TASK_SUMS / run->rows_per_block / axis[1].size;
    return sfi_min(sfi_ceil_div(axis[0].size, parts), sfi_max(most, 1));
}

int64_t sfi_product_panel_depth(const sfk_table *kernels, int64_t taps)
{
    const int64_t terms = sfi_min(PANEL_ELEMENTS / kernels->panel_columns, DEPTH);
    return sfi_max(terms / sfi_max(taps, 1), 1);
}

int64_t sfi_product_panel_sums(const sfi_product_sizes *sizes)
{
    const int64_t rows = sfi_ceil_div(sizes->rows, SFK_MAX_PANEL) * SFK_MAX_PANEL;
    const int64_t line_rows = sfi_min(rows, MOST_ROWS);
    /* A row of the map is never cut. */
    const int64_t row = line_rows * sfi_min(sizes->columns, SFI_PATCH_PIXELS);
    const int64_t task = sfi_max(TASK_SUMS, row);
    const int64_t most = sizes->pixels > task / line_rows ? task : line_rows * sizes->pixels;
    return sfi_max(most, line_rows * sfi_min(sizes->pixels, SFI_BLOCK_PIXELS));
}

static int64_t count_pixels(const sfi_product_operand *operand)
{
    return operand->rows * operand->pixels;
}

/* Target channels of the part's panel from row `row` on. */
static int64_t panel_channels(const sfi_product_run *run, const sfi_product_part *part, int64_t row)
{
    return sfi_min(run->kernels->panel_columns, part->rows - row);
}

void sfi_pack_panel(const sfk_table *kernels, float *panel, const float *from, int64_t row_step,
                    const int64_t *steps, int64_t rows, int64_t depth)
{
    const int64_t columns = kernels->panel_columns;
    if (rows < columns) {
        memset(panel, 0, (size_t)(depth * columns) * sizeof *panel);
    }
    for (int64_t m = 0; m < rows; m += SFK_MAX_ROWS) {
        kernels->pack_rows(panel + m, columns, from + m * row_step, row_step, steps,
                           sfi_min(SFK_MAX_ROWS, rows - m), depth);
    }
}

/* Target channels of a group in whole panels of any size. */
static int64_t padded_rows(const sfi_conv_product *product)
{
    return sfi_ceil_div(product->target_channels, SFK_MAX_PANEL) * SFK_MAX_PANEL;
}

/* Where the rows from `row` of the part on have their panel for source channels `channel` …. */
static const float *frozen_panel(const sfi_product_run *run, const sfi_product_part *part,
                                 int64_t row, int64_t channel)
{
    const sfi_conv_product *product = run->product;
    const int64_t taps = sfi_pixel_taps(&product->grid);
    return product->frozen +
           (part->group * padded_rows(product) + part->first_row + row) * product->source_channels *
               taps +
           channel * taps * run->kernels->panel_columns;
}

/* The frozen panel behind this one: of the next rows, or the first of the next block of depth. */
static const float *next_panel(const sfi_product_run *run, const sfi_product_part *part,
                               const sfi_product_operand *operand, int64_t row)
{
    const int64_t next = row + run->kernels->panel_columns;
    if (next < part->rows) {
        return frozen_panel(run, part, next, operand->channel);
    }
    return operand->last ? NULL
                         : frozen_panel(run, part, 0, operand->channel + run->block_channels);
}

static const float *packed_panel(const sfi_product_run *run, const sfi_product_part *part,
                                 const sfi_product_operand *operand, int64_t row, float *packed)
{
    const sfi_conv_product *product = run->product;
    sfi_pack_panel(run->kernels, packed,
                   product->weight + part->group * product->weight_group +
                       (part->first_row + row) * product->weight_row +
                       operand->channel * product->weight_channel,
                   product->weight_row, run->weight_steps, panel_channels(run, part, row),
                   operand->depth);
    return packed;
}

/* Between sums and target: `channels` planes, some pixels. */
static void move_sums(const sfi_product_run *run, const sfi_product_operand *operand, float *planes,
                      int64_t channels, float *sums, bool to_target)
{
    const int64_t plane = run->product->target_plane;
    const int64_t columns = run->kernels->panel_columns;
    int64_t length;
    for (int64_t first = 0; first < count_pixels(operand); first += length) {
        float *pixels = planes + operand->offsets[first];
        length = sfi_product_neighbours(operand, first);
        if (to_target) {
            run->kernels->transpose(pixels, plane, sums + first * columns, columns, length,
                                    channels);
        } else {
            run->kernels->transpose(sums + first * columns, columns, pixels, plane, channels,
                                    length);
        }
    }
}

/* Has the tile ask for `count` elements from `next` on, or for nothing. Frozen panels come from
 * memory, each from another page: without it the first tile of each would wait for them. Lines that
 * are more than the steps of the tile are asked for at once. The last block is shorter; what is
 * asked for behind it is never read, which a prefetch allows. */
static void ask_meanwhile(sfk_panel_tile *tile, const float *next, int64_t count, int64_t steps)
{
    if (!next) {
        return;
    }
    tile->next = next;
    tile->next_end = next + count;
    for (; tile->next_end - tile->next > steps * SFK_CACHE_LINE; tile->next += SFK_CACHE_LINE) {
        __builtin_prefetch(tile->next, 0, 2);
    }
}

/* Adds one block of depth to the sums of a panel; meanwhile the panel `next`, or NULL, is brought.
 * Tiles have nearly equal size, the first `higher` a pixel more: nothing is divided for each. */
static void multiply_pixels(const sfi_product_run *run, const sfi_product_operand *operand,
                            sfk_panel_tile tile, const float *next)
{
    int64_t places[SFK_MAX_ROWS];
    const int64_t columns = run->kernels->panel_columns;
    const int64_t count = count_pixels(operand);
    const int64_t tiles = sfi_ceil_div(count, run->kernels->panel_rows);
    const int64_t height = count / tiles;
    const int64_t higher = count % tiles;
    const int64_t share = sfi_ceil_div(operand->depth * columns, tiles);
    int64_t column = 0;
    int64_t place = 0;
    for (int64_t i = 0; i < tiles; i++) {
        ask_meanwhile(&tile, next ? next + i * share : NULL, share, operand->depth);
        tile.rows = (int32_t)(height + (i < higher));
        for (int32_t m = 0; m < tile.rows; m++) {
            places[m] = place + column;
            if (++column == operand->pixels) {
                column = 0;
                place += operand->row_pitch;
            }
        }
        tile.places = places;
        run->kernels->panel_tile(&tile);
        tile.to += tile.rows * columns;
    }
}

/* The same where a tile lies in one row and pixels are shared by taps. */
static void multiply_in_rows(const sfi_product_run *run, const sfi_product_operand *operand,
                             sfk_panel_tile tile, const float *next)
{
    const int64_t columns = run->kernels->panel_columns;
    const int64_t tiles = tiles_of_row(run->kernels, operand->pixels);
    const int64_t width = operand->pixels / tiles;
    const int64_t wider = operand->pixels % tiles;
    const int64_t share = sfi_ceil_div(operand->depth * columns, tiles * operand->rows);
    for (int64_t row = 0; row < operand->rows; row++) {
        int64_t place = row * operand->row_pitch;
        tile.places = &place;
        for (int64_t i = 0; i < tiles; i++) {
            ask_meanwhile(&tile, next, share, operand->depth / SFK_PANEL_TAPS);
            next += next ? share : 0;
            tile.rows = (int32_t)(width + (i < wider));
            run->kernels->panel_row(&tile);
            place += tile.rows;
            tile.to += tile.rows * columns;
        }
    }
}

void sfi_product_multiply_panels(const sfi_product_run *run, const sfi_product_part *part,
                                 const sfi_product_operand *operand, const sfi_product_area *area)
{
    const sfi_conv_product *product = run->product;
    const int64_t columns = run->kernels->panel_columns;
    float *sums = area->sums;
    for (int64_t row = 0; row < part->rows; row += columns) {
        const int64_t channel = part->group * product->target_channels + part->first_row + row;
        const int64_t channels = panel_channels(run, part, row);
        float *planes = product->target + channel * product->target_plane;
        const bool begins = operand->channel == 0;
        if (begins && product->accumulate) {
            move_sums(run, operand, planes, channels, sums, false);
        }
        const float *weights = product->frozen
                                   ? frozen_panel(run, part, row, operand->channel)
                                   : packed_panel(run, part, operand, row, area->panels);
        const float *next = product->frozen ? next_panel(run, part, operand, row) : NULL;
        const sfk_panel_tile tile = {.pixels = operand->values,
                                     .steps = operand->steps,
                                     .weights = weights,
                                     .to = sums,
                                     .bias = product->bias ? product->bias + channel : NULL,
                                     .accumulate = product->accumulate || !begins,
                                     .channels = (int32_t)channels,
                                     .depth = operand->depth};
        if (operand->is_in_rows) {
            multiply_in_rows(run, operand, tile, next);
        } else {
            multiply_pixels(run, operand, tile, next);
        }
        if (operand->last) {
            move_sums(run, operand, planes, channels, sums, true);
        }
        sums += count_pixels(operand) * columns;
    }
}

bool sfi_conv_product_frozen_bytes(int64_t *bytes, const sfi_conv_product *product)
{
    *bytes = 0;
    if (product->target_channels < LEAST_CHANNELS) {
        return true;
    }
    const int64_t sizes[] = {product->groups, padded_rows(product), product->source_channels,
                             sfi_pixel_taps(&product->grid), (int64_t)sizeof(float)};
    return sfi_product(bytes, sizes, 5);
}

typedef struct freeze_job {
    const sfk_table *kernels;
    const sfi_conv_product *product;
    float *frozen;
    /* Terms of a channel, which follow each other in the weight. */
    int64_t depth;
    int64_t panels;
    int64_t steps[DEPTH];
} freeze_job;

/* One panel, some terms at a time. */
static void freeze_task(void *argument, int64_t index, int32_t worker)
{
    const freeze_job *job = argument;
    const sfi_conv_product *product = job->product;
    const int64_t columns = job->kernels->panel_columns;
    const int64_t group = index / job->panels;
    const int64_t row = index % job->panels * columns;
    const int64_t rows = sfi_min(columns, product->target_channels - row);
    const float *from = product->weight + group * product->weight_group + row * product->weight_row;
    float packed[DEPTH * SFK_MAX_PANEL + 2 * SFK_SLACK];
    float *to = job->frozen + (group * padded_rows(product) + row) * job->depth;
    (void)worker;
    for (int64_t k = 0; k < job->depth; k += DEPTH) {
        const int64_t terms = sfi_min(DEPTH, job->depth - k);
        /* By a buffer, as packing overwrites what lies behind, which is another task's. */
        sfi_pack_panel(job->kernels, packed, from + k, product->weight_row, job->steps, rows,
                       terms);
        memcpy(to + k * columns, packed, (size_t)(terms * columns) * sizeof *to);
    }
}

void sfi_conv_product_freeze(sfconv_context *context, const sfi_conv_product *product,
                             float *frozen)
{
    freeze_job job = {.kernels = context->kernels,
                      .product = product,
                      .frozen = frozen,
                      .depth = product->source_channels * sfi_pixel_taps(&product->grid)};
    job.panels = sfi_ceil_div(product->target_channels, context->kernels->panel_columns);
    for (int64_t k = 0; k < DEPTH; k++) {
        job.steps[k] = k;
    }
    sfi_parallel_for(context, product->groups * job.panels, freeze_task, &job);
}
