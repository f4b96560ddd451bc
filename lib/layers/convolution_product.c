/* SPDX-License-Identifier: BSD-2-Clause */
#include "convolution_product.h"

#include "parallel.h"
#include "sizes.h"

/* Rows of a task: enough to pay for gathering the pixels, few enough to share small maps. */
#define TASK_ROWS 256

/* The tables for one block of depth, shared by all tasks, then one area a worker. */
struct layout {
    int64_t depth;
    int64_t pitch;
    int64_t steps_bytes;
    int64_t lines_bytes;
    int64_t runs_bytes;
    int64_t offsets_bytes;
};

static bool make_layout(struct layout *layout, int64_t taps, int64_t pixels)
{
    int64_t lines;
    layout->depth = sfi_max(SFI_BLOCK_DEPTH, taps);
    layout->pitch = SFI_BLOCK_PIXELS;
    if (pixels < SFI_BLOCK_PIXELS) {
        layout->pitch = (sfi_ceil_div(pixels, 16) | 1) * 16;
    }
    if (!sfi_mul(&lines, layout->depth, layout->pitch * (int64_t)sizeof(float))) {
        return false;
    }
    layout->lines_bytes = sfi_round64(lines + SFK_SLACK * (int64_t)sizeof(float));
    layout->steps_bytes = sfi_round64(layout->depth * (int64_t)sizeof(int64_t));
    layout->runs_bytes = sfi_round64(layout->pitch * (int64_t)sizeof(sfk_run));
    layout->offsets_bytes = sfi_round64(layout->pitch * (int64_t)sizeof(int64_t));
    return true;
}

static int64_t worker_bytes(const struct layout *layout)
{
    return layout->lines_bytes + layout->runs_bytes + layout->offsets_bytes;
}

bool sfi_conv_product_scratch(int64_t *bytes, const sfconv_context *context, int64_t taps,
                              int64_t pixels)
{
    struct layout layout;
    int64_t workers;
    return make_layout(&layout, taps, pixels) &&
           sfi_mul(&workers, sfi_workers(context), worker_bytes(&layout)) &&
           sfi_add(bytes, workers, 2 * layout.steps_bytes);
}

struct product_run {
    const sfk_table *kernels;
    const sfi_conv_product *product;
    struct layout layout;
    int64_t *weight_steps;
    int64_t *line_steps;
    char *areas;
    int64_t row_blocks;
    int64_t rows_per_block;
    int64_t block_channels;
};

struct worker_area {
    float *lines;
    sfk_run *runs;
    int64_t *offsets;
};

static struct worker_area area_of(const struct product_run *run, int32_t worker)
{
    char *base = run->areas + worker * worker_bytes(&run->layout);
    return (struct worker_area){
        .lines = (float *)base,
        .runs = (sfk_run *)(base + run->layout.lines_bytes),
        .offsets = (int64_t *)(base + run->layout.lines_bytes + run->layout.runs_bytes),
    };
}

static void fill_steps(const struct product_run *run)
{
    const sfi_conv_product *product = run->product;
    const sfi_pixel_axis *axis = product->grid.axis;
    const int64_t channels = sfi_min(run->block_channels, product->source_channels);
    const int64_t pitch = sfi_pixel_pitch(&product->grid);
    int64_t k = 0;
    for (int64_t channel = 0; channel < channels; channel++) {
        for (int64_t i = 0; i < axis[0].taps; i++) {
            for (int64_t j = 0; j < axis[1].taps; j++) {
                run->weight_steps[k] = channel * product->weight_channel +
                                       i * product->weight_tap[0] + j * product->weight_tap[1];
                run->line_steps[k] = k * pitch;
                k++;
            }
        }
    }
}

/* Where the pixels of a block lie in a target plane, counted from the plane of image 0. */
static void fill_offsets(const sfi_conv_product *product, int64_t first, int64_t count,
                         int64_t *offsets)
{
    const int64_t columns = product->grid.axis[1].size;
    const int64_t rows = product->grid.axis[0].size;
    const int64_t image_stride = product->groups * product->target_channels * product->target_plane;
    int64_t column = first % columns;
    int64_t row = first / columns % rows;
    int64_t image = first / columns / rows;
    for (int64_t i = 0; i < count; i++) {
        offsets[i] =
            image * image_stride + row * product->target_step[0] + column * product->target_step[1];
        if (++column == columns) {
            column = 0;
            if (++row == rows) {
                row = 0;
                image++;
            }
        }
    }
}

/* A tile whose pixels are not neighbours in the target goes through a buffer. */
static void run_scattered(const sfk_table *kernels, sfk_tile *tile, const int64_t *offsets)
{
    float buffer[SFK_MAX_ROWS][SFK_MAX_COLUMNS];
    float *target = tile->c;
    const int64_t plane = tile->c_stride;
    for (int32_t m = 0; tile->accumulate && m < tile->rows; m++) {
        for (int32_t n = 0; n < tile->columns; n++) {
            buffer[m][n] = target[m * plane + offsets[n]];
        }
    }
    tile->c = buffer[0];
    tile->c_stride = SFK_MAX_COLUMNS;
    kernels->matrix_tile(tile);
    for (int32_t m = 0; m < tile->rows; m++) {
        for (int32_t n = 0; n < tile->columns; n++) {
            target[m * plane + offsets[n]] = buffer[m][n];
        }
    }
}

/* What one task works on. */
struct part {
    int64_t group;
    int64_t first_row;
    int64_t rows;
    int64_t first_pixel;
    int64_t pixels;
};

/* Adds the block of depth that starts at `channel` to all tiles of the part. */
static void multiply(const struct product_run *run, const struct part *part, int64_t channel,
                     int64_t depth, const struct worker_area *area)
{
    const sfi_conv_product *product = run->product;
    const sfk_table *kernels = run->kernels;
    const float *weight =
        product->weight + part->group * product->weight_group + channel * product->weight_channel;
    int64_t weight_rows[SFK_MAX_ROWS];
    for (int m = 0; m < SFK_MAX_ROWS; m++) {
        weight_rows[m] = m * product->weight_row;
    }
    for (int64_t m = part->first_row; m < part->first_row + part->rows; m += kernels->tile_rows) {
        const int64_t row = part->group * product->target_channels + m;
        for (int64_t n = 0; n < part->pixels; n += kernels->tile_columns) {
            const int64_t *offsets = area->offsets + n;
            const int64_t columns = sfi_min(kernels->tile_columns, part->pixels - n);
            sfk_tile tile = {
                .a = weight + m * product->weight_row,
                .a_rows = weight_rows,
                .a_steps = run->weight_steps,
                .b = area->lines + n,
                .b_steps = run->line_steps,
                .c = product->target + row * product->target_plane,
                .c_stride = product->target_plane,
                .bias = product->bias ? product->bias + row : NULL,
                .accumulate = product->accumulate || channel > 0,
                .rows = (int32_t)sfi_min(kernels->tile_rows, part->first_row + part->rows - m),
                .columns = (int32_t)columns,
                .depth = depth,
            };
            /* Offsets grow, so these are neighbours. */
            if (offsets[columns - 1] - offsets[0] == columns - 1) {
                tile.c += offsets[0];
                kernels->matrix_tile(&tile);
            } else {
                run_scattered(kernels, &tile, offsets);
            }
        }
    }
}

static void product_task(void *argument, int64_t index, int32_t worker)
{
    const struct product_run *run = argument;
    const sfi_conv_product *product = run->product;
    const sfi_pixel_grid *grid = &product->grid;
    const struct worker_area area = area_of(run, worker);
    const int64_t taps = sfi_pixel_taps(grid);
    const int64_t plane = grid->axis[0].source_size * grid->axis[1].source_size;
    struct part part;
    part.first_row = index % run->row_blocks * run->rows_per_block;
    part.rows = sfi_min(run->rows_per_block, product->target_channels - part.first_row);
    part.first_pixel = index / run->row_blocks % grid->blocks * grid->block;
    part.pixels = sfi_min(grid->block, grid->count - part.first_pixel);
    part.group = index / run->row_blocks / grid->blocks;
    const float *source = product->source + part.group * product->source_channels * plane;
    const int64_t run_count = sfi_pixel_runs(grid, part.first_pixel, part.pixels, area.runs);
    fill_offsets(product, part.first_pixel, part.pixels, area.offsets);
    if (taps == 0) {
        multiply(run, &part, 0, 0, &area);
        return;
    }
    for (int64_t channel = 0; channel < product->source_channels; channel += run->block_channels) {
        const int64_t channels = sfi_min(run->block_channels, product->source_channels - channel);
        sfi_pixel_gather(run->kernels, grid, area.runs, run_count, source + channel * plane,
                         channels, area.lines);
        multiply(run, &part, channel, channels * taps, &area);
    }
}

void sfi_conv_product_run(sfconv_context *context, const sfi_conv_product *product, void *scratch)
{
    const int64_t taps = sfi_pixel_taps(&product->grid);
    struct product_run run = {.kernels = context->kernels, .product = product};
    make_layout(&run.layout, taps, product->grid.count);
    run.weight_steps = scratch;
    run.line_steps = (int64_t *)((char *)scratch + run.layout.steps_bytes);
    run.areas = (char *)scratch + 2 * run.layout.steps_bytes;
    run.block_channels = sfi_block_channels(taps);
    run.row_blocks = sfi_ceil_div(product->target_channels, TASK_ROWS);
    run.rows_per_block =
        sfi_ceil_div(sfi_ceil_div(product->target_channels, run.row_blocks), SFK_MAX_ROWS) *
        SFK_MAX_ROWS;
    fill_steps(&run);
    sfi_parallel_for(context, product->groups * product->grid.blocks * run.row_blocks, product_task,
                     &run);
}
