/* SPDX-License-Identifier: BSD-2-Clause */
/* Gradients by weight and bias. dweight(o, k) = Σ over pixels of dy(o, pixel) * x(k, pixel), k a
 * pair of channel and tap. Lanes run over output channels, so each element is one chain over the
 * pixels of a segment; segments are added in order. */
#include "convolution.h"
#include "convolution_pixels.h"

#include "parallel.h"
#include "sizes.h"

#include <assert.h>
#include <string.h>

/* Output channels of a task. */
#define TASK_CHANNELS 192
/* Segments are made until there are this many tasks, for the sake of few channels on large maps. */
#define ENOUGH_TASKS 16

struct weight_run {
    const sfk_table *kernels;
    const sfi_conv_shape *shape;
    const float *x;
    const float *dy;
    float *dweight;
    bool accumulate;
    sfi_pixel_grid grid;
    /* Channels and (channel, tap) pairs of one group. */
    int64_t group_in;
    int64_t group_out;
    int64_t depth;
    int64_t weight_count;
    int64_t block_in;
    int64_t in_blocks;
    int64_t block_out;
    int64_t out_blocks;
    int64_t segments;
    int64_t segment_blocks;
    /* Distance between rows of the transposed blocks. */
    int64_t out_pitch;
    int64_t line_pitch;
    /* Scratch: partial weights of all segments, steps, then one area a worker. */
    int64_t steps_bytes;
    int64_t lines_bytes;
    int64_t columns_bytes;
    int64_t sums_bytes;
    int64_t runs_bytes;
    float *partial;
    int64_t *line_steps;
    int64_t *column_steps;
    char *areas;
};

struct worker_area {
    float *lines;
    float *columns;
    float *sums;
    sfk_run *runs;
};

static int64_t odd_lines(int64_t elements)
{
    return (sfi_ceil_div(elements, 16) | 1) * 16;
}

static void split_work(struct weight_run *run)
{
    const int64_t taps = sfi_pixel_taps(&run->grid);
    run->block_in = sfi_min(sfi_block_channels(taps), run->group_in);
    run->in_blocks = sfi_ceil_div(run->group_in, run->block_in);
    run->out_blocks = sfi_ceil_div(run->group_out, TASK_CHANNELS);
    run->block_out = sfi_ceil_div(sfi_ceil_div(run->group_out, run->out_blocks), 16) * 16;
    const int64_t tasks = run->shape->groups * run->in_blocks * run->out_blocks;
    run->segments = sfi_min(sfi_ceil_div(ENOUGH_TASKS, tasks), run->grid.blocks);
    run->segment_blocks = sfi_ceil_div(run->grid.blocks, run->segments);
    run->segments = sfi_ceil_div(run->grid.blocks, run->segment_blocks);
}

static void plan(struct weight_run *run, const sfi_conv_shape *shape)
{
    const int64_t in_sizes[2] = {shape->in_height, shape->in_width};
    const int64_t out_sizes[2] = {shape->out_height, shape->out_width};
    run->shape = shape;
    run->group_in = shape->in_channels / shape->groups;
    run->group_out = shape->out_channels / shape->groups;
    run->depth = run->group_in * shape->kernel[0] * shape->kernel[1];
    run->weight_count = shape->out_channels * run->depth;
    run->grid.batch = shape->batch;
    run->grid.image_stride = shape->in_channels * shape->in_height * shape->in_width;
    for (int a = 0; a < 2; a++) {
        run->grid.axis[a] = (sfi_pixel_axis){.size = out_sizes[a],
                                             .source_size = in_sizes[a],
                                             .step = shape->stride[a],
                                             .taps = shape->kernel[a],
                                             .offset = -shape->padding[a],
                                             .spacing = shape->dilation[a]};
    }
    sfi_pixel_grid_finish(&run->grid, true);
    split_work(run);
    run->out_pitch = odd_lines(run->block_out);
    run->line_pitch = sfi_pixel_pitch(&run->grid);
}

static bool measure(int64_t *bytes, struct weight_run *run, const sfconv_context *context)
{
    const int64_t item = (int64_t)sizeof(float);
    const int64_t rows = run->block_in * sfi_pixel_taps(&run->grid);
    const int64_t block = run->line_pitch;
    int64_t lines, sums, workers, partial = 0;
    if (!sfi_mul(&lines, rows, block * item) || !sfi_mul(&sums, rows, run->out_pitch * item) ||
        (run->segments > 1 && !sfi_mul(&partial, run->weight_count, run->segments * item))) {
        return false;
    }
    run->lines_bytes = sfi_round64(lines + SFK_SLACK * item);
    run->sums_bytes = sfi_round64(sums);
    run->columns_bytes = sfi_round64(block * run->out_pitch * item);
    run->runs_bytes = sfi_round64(block * (int64_t)sizeof(sfk_run));
    run->steps_bytes = sfi_round64(block * (int64_t)sizeof(int64_t));
    const int64_t area = run->lines_bytes + run->sums_bytes + run->columns_bytes + run->runs_bytes;
    return sfi_mul(&workers, sfi_workers(context), area) &&
           sfi_add(bytes, workers, 2 * run->steps_bytes) &&
           sfi_add(bytes, *bytes, sfi_round64(partial));
}

bool sfi_conv_backward_weight_scratch(int64_t *bytes, const sfconv_context *context,
                                      const sfi_conv_shape *shape)
{
    struct weight_run run = {0};
    plan(&run, shape);
    return measure(bytes, &run, context);
}

static struct worker_area area_of(const struct weight_run *run, int32_t worker)
{
    char *base = run->areas + worker * (run->lines_bytes + run->sums_bytes + run->columns_bytes +
                                        run->runs_bytes);
    struct worker_area area;
    area.lines = (float *)base;
    area.sums = (float *)(base += run->lines_bytes);
    area.columns = (float *)(base += run->sums_bytes);
    area.runs = (sfk_run *)(base + run->columns_bytes);
    return area;
}

/* What one task works on: weights of `out` output and `in` input channels, pixel blocks from
 * first_block to end_block. */
struct part {
    int64_t group;
    int64_t segment;
    int64_t first_in;
    int64_t in;
    int64_t first_out;
    int64_t out;
    int64_t first_block;
    int64_t end_block;
};

static struct part part_of(const struct weight_run *run, int64_t index)
{
    struct part part;
    part.first_in = index % run->in_blocks * run->block_in;
    part.in = sfi_min(run->block_in, run->group_in - part.first_in);
    index /= run->in_blocks;
    part.first_out = index % run->out_blocks * run->block_out;
    part.out = sfi_min(run->block_out, run->group_out - part.first_out);
    index /= run->out_blocks;
    part.group = index % run->shape->groups;
    part.segment = index / run->shape->groups;
    part.first_block = part.segment * run->segment_blocks;
    part.end_block = sfi_min(part.first_block + run->segment_blocks, run->grid.blocks);
    return part;
}

/* columns[pixel][o] of the pixels first … first + count - 1. */
static void transpose_dy(const struct weight_run *run, const struct part *part, int64_t first,
                         int64_t count, float *columns)
{
    const sfi_conv_shape *shape = run->shape;
    const int64_t plane = shape->out_height * shape->out_width;
    const int64_t channel = part->group * run->group_out + part->first_out;
    while (count > 0) {
        const int64_t image = first / plane;
        const int64_t length = sfi_min(count, plane - first % plane);
        run->kernels->transpose(columns, run->out_pitch,
                                run->dy + (image * shape->out_channels + channel) * plane +
                                    first % plane,
                                plane, part->out, length);
        columns += length * run->out_pitch;
        first += length;
        count -= length;
    }
}

static void multiply(const struct weight_run *run, const struct part *part, int64_t pixels,
                     const struct worker_area *area)
{
    const sfk_table *kernels = run->kernels;
    const int64_t rows = part->in * sfi_pixel_taps(&run->grid);
    /* Whole vectors: what lies behind the last channel is computed and never read. */
    const int64_t width = sfi_ceil_div(part->out, 16) * 16;
    int64_t line_rows[SFK_MAX_ROWS];
    for (int m = 0; m < SFK_MAX_ROWS; m++) {
        line_rows[m] = m * run->line_pitch;
    }
    for (int64_t n = 0; n < width; n += kernels->tile_columns) {
        for (int64_t m = 0; m < rows; m += kernels->tile_rows) {
            const sfk_tile tile = {
                .a = area->lines + m * run->line_pitch,
                .a_rows = line_rows,
                .a_steps = run->line_steps,
                .b = area->columns + n,
                .b_steps = run->column_steps,
                .c = area->sums + m * run->out_pitch + n,
                .c_stride = run->out_pitch,
                .accumulate = true,
                .rows = (int32_t)sfi_min(kernels->tile_rows, rows - m),
                .columns = (int32_t)sfi_min(kernels->tile_columns, width - n),
                .depth = pixels,
            };
            kernels->matrix_tile(&tile);
        }
    }
}

static void weight_task(void *argument, int64_t index, int32_t worker)
{
    const struct weight_run *run = argument;
    const sfi_pixel_grid *grid = &run->grid;
    const struct part part = part_of(run, index);
    const struct worker_area area = area_of(run, worker);
    const int64_t taps = sfi_pixel_taps(grid);
    const int64_t plane = grid->axis[0].source_size * grid->axis[1].source_size;
    const float *planes = run->x + (part.group * run->group_in + part.first_in) * plane;
    float *target =
        run->segments > 1 ? run->partial + part.segment * run->weight_count : run->dweight;
    target += (part.group * run->group_out + part.first_out) * run->depth + part.first_in * taps;
    memset(area.sums, 0, (size_t)run->sums_bytes);
    if (run->segments == 1 && run->accumulate) {
        run->kernels->transpose(area.sums, run->out_pitch, target, run->depth, part.out,
                                part.in * taps);
    }
    for (int64_t block = part.first_block; block < part.end_block; block++) {
        const int64_t first = block * grid->block;
        const int64_t pixels = sfi_min(grid->block, grid->count - first);
        const int64_t run_count = sfi_pixel_runs(grid, first, pixels, area.runs);
        sfi_pixel_gather(run->kernels, grid, area.runs, run_count, planes, part.in, area.lines);
        transpose_dy(run, &part, first, pixels, area.columns);
        multiply(run, &part, pixels, &area);
    }
    run->kernels->transpose(target, run->depth, area.sums, run->out_pitch, part.in * taps,
                            part.out);
}

#define JOIN_CHUNK 8192

static void join_task(void *argument, int64_t index, int32_t worker)
{
    const struct weight_run *run = argument;
    const int64_t first = index * JOIN_CHUNK;
    const int64_t count = sfi_min(JOIN_CHUNK, run->weight_count - first);
    float *target = run->dweight + first;
    (void)worker;
    if (!run->accumulate) {
        memset(target, 0, (size_t)count * sizeof(float));
    }
    for (int64_t segment = 0; segment < run->segments; segment++) {
        run->kernels->add_to(target, run->partial + segment * run->weight_count + first, count);
    }
}

void sfi_conv_backward_weight(sfconv_context *context, const sfi_conv_shape *shape, const float *x,
                              const float *dy, float *dweight, bool accumulate, void *scratch)
{
    struct weight_run run = {.kernels = context->kernels,
                             .x = x,
                             .dy = dy,
                             .dweight = dweight,
                             .accumulate = accumulate};
    int64_t bytes;
    char *next = scratch;
    assert(sfi_conv_shape_fits(shape));
    plan(&run, shape);
    const bool counted = measure(&bytes, &run, context);
    assert(counted);
    (void)counted;
    run.line_steps = (int64_t *)next;
    run.column_steps = (int64_t *)(next += run.steps_bytes);
    run.areas = (next += run.steps_bytes);
    run.partial =
        (float *)(run.areas + sfi_workers(context) * (run.lines_bytes + run.sums_bytes +
                                                      run.columns_bytes + run.runs_bytes));
    for (int64_t pixel = 0; pixel < run.grid.block; pixel++) {
        run.line_steps[pixel] = pixel;
        run.column_steps[pixel] = pixel * run.out_pitch;
    }
    sfi_parallel_for(context, run.segments * shape->groups * run.out_blocks * run.in_blocks,
                     weight_task, &run);
    if (run.segments > 1) {
        sfi_parallel_for(context, sfi_ceil_div(run.weight_count, JOIN_CHUNK), join_task, &run);
    }
}

struct bias_run {
    const sfk_table *kernels;
    const sfi_conv_shape *shape;
    const float *dy;
    float *dbias;
    bool accumulate;
};

static void bias_task(void *argument, int64_t channel, int32_t worker)
{
    const struct bias_run *run = argument;
    const int64_t plane = run->shape->out_height * run->shape->out_width;
    float sum = run->accumulate ? run->dbias[channel] : 0.0f;
    (void)worker;
    for (int64_t image = 0; image < run->shape->batch; image++) {
        float part;
        run->kernels->sum(&part, run->dy + (image * run->shape->out_channels + channel) * plane,
                          plane);
        sum += part;
    }
    run->dbias[channel] = sum;
}

void sfi_conv_backward_bias(sfconv_context *context, const sfi_conv_shape *shape, const float *dy,
                            float *dbias, bool accumulate)
{
    struct bias_run run = {.kernels = context->kernels,
                           .shape = shape,
                           .dy = dy,
                           .dbias = dbias,
                           .accumulate = accumulate};
    assert(sfi_conv_shape_fits(shape));
    sfi_parallel_for(context, shape->out_channels, bias_task, &run);
}
