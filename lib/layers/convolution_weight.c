/* SPDX-License-Identifier: BSD-2-Clause */
/* Gradients by weight and bias.
 *
 * dweight(o, c, tap) = Σ over pixels of dy(o, pixel) * x(c, pixel seen by the tap). One of the two
 * images gives lines, one for each channel and tap, the other is transposed so that lanes run over
 * its channels: each element is one chain over the pixels of a segment, and segments are added in
 * order. Lines come from x; or, where nothing is strided and dy has fewer channels, from dy, seen
 * from the pixels of x.
 *
 * On maps of few pixels the weights outweigh both images, so that transposing their sums would cost
 * more than the sums. There the lines of x are transposed instead: lanes run over (channel, tap),
 * as the weights do, and tiles write them in place. The chains are the same. */
#include "convolution.h"
#include "convolution_lines.h"
#include "convolution_pixels.h"

#include "parallel.h"
#include "sizes.h"

#include <assert.h>
#include <string.h>

/* Channels of the transposed image in one task. */
#define TASK_COLUMNS 192
/* Segments are made until there are this many tasks, for the sake of few channels on large maps. */
#define ENOUGH_TASKS 16

/* One of the two images; channels of one group, and of all. */
struct side {
    const float *values;
    int64_t group;
    int64_t channels;
    int64_t plane;
    /* Channels of a task, and tasks for all channels of a group. */
    int64_t block;
    int64_t blocks;
};

struct weight_run {
    const sfk_table *kernels;
    float *dweight;
    bool accumulate;
    int64_t groups;
    /* Seen from the transposed image: its pixels, and where the taps meet the lines' image. */
    sfi_pixel_grid grid;
    int64_t taps;
    bool lines_from_dy;
    bool lines_transposed;
    struct side lines;
    struct side columns;
    /* Weights of one output channel, and of all. */
    int64_t depth;
    int64_t weight_count;
    int64_t segments;
    int64_t segment_blocks;
    /* Distance between rows of lines, and of columns and sums. */
    int64_t line_pitch;
    int64_t column_pitch;
    /* Scratch: steps, one area a worker, partial weights of all segments. */
    int64_t steps_bytes;
    int64_t lines_bytes;
    int64_t columns_bytes;
    int64_t sums_bytes;
    int64_t runs_bytes;
    int64_t *image_steps;
    int64_t *column_steps;
    char *areas;
    float *partial;
};

struct worker_area {
    float *lines;
    float *columns;
    /* Or, where lines are transposed, the rows of the other side, packed. */
    float *sums;
    sfk_run *runs;
};

static sfi_pixel_axis seen_from_y(const sfi_conv_shape *shape, int a, int64_t in, int64_t out)
{
    return (sfi_pixel_axis){.size = out,
                            .source_size = in,
                            .step = shape->stride[a],
                            .taps = shape->kernel[a],
                            .offset = -shape->padding[a],
                            .spacing = shape->dilation[a]};
}

static sfi_pixel_axis seen_from_x(const sfi_conv_shape *shape, int a, int64_t in, int64_t out)
{
    return (sfi_pixel_axis){.size = in,
                            .source_size = out,
                            .step = 1,
                            .taps = shape->kernel[a],
                            .offset = shape->padding[a],
                            .spacing = -shape->dilation[a]};
}

/* Columns of the transposed matrix in one task, in whole vectors. */
static int64_t transposed_columns(const struct weight_run *run)
{
    return run->lines_transposed ? sfi_ceil_div(run->lines.block * run->taps, 16) * 16
                                 : run->columns.block;
}

static void split_work(struct weight_run *run)
{
    struct side *lines = &run->lines;
    struct side *columns = &run->columns;
    lines->block = sfi_min(sfi_block_channels(run->taps), lines->group);
    lines->blocks = sfi_ceil_div(lines->group, lines->block);
    columns->blocks = sfi_ceil_div(columns->group, TASK_COLUMNS);
    if (run->lines_transposed) {
        /* No sums to keep near: as few gathers of the lines as the number of tasks allows. */
        columns->blocks =
            sfi_min(columns->blocks, sfi_ceil_div(ENOUGH_TASKS, run->groups * lines->blocks));
    }
    columns->block = sfi_ceil_div(sfi_ceil_div(columns->group, columns->blocks), 16) * 16;
    const int64_t tasks = run->groups * lines->blocks * columns->blocks;
    run->segments = sfi_min(sfi_ceil_div(ENOUGH_TASKS, tasks), run->grid.blocks);
    run->segment_blocks = sfi_ceil_div(run->grid.blocks, run->segments);
    run->segments = sfi_ceil_div(run->grid.blocks, run->segment_blocks);
    run->line_pitch = sfi_pixel_pitch(&run->grid);
    run->column_pitch = (transposed_columns(run) / 16 | 1) * 16;
}

static void plan(struct weight_run *run, const sfi_conv_shape *shape, const float *x,
                 const float *dy)
{
    const struct side in = {.values = x,
                            .group = shape->in_channels / shape->groups,
                            .channels = shape->in_channels,
                            .plane = shape->in_height * shape->in_width};
    const struct side out = {.values = dy,
                             .group = shape->out_channels / shape->groups,
                             .channels = shape->out_channels,
                             .plane = shape->out_height * shape->out_width};
    run->groups = shape->groups;
    run->taps = shape->kernel[0] * shape->kernel[1];
    run->depth = in.group * run->taps;
    run->weight_count = shape->out_channels * run->depth;
    run->lines_from_dy = shape->stride[0] == 1 && shape->stride[1] == 1 && out.group < in.group;
    run->lines = run->lines_from_dy ? out : in;
    run->columns = run->lines_from_dy ? in : out;
    sfi_pixel_axis (*const axis)(const sfi_conv_shape *, int, int64_t, int64_t) =
        run->lines_from_dy ? seen_from_x : seen_from_y;
    run->grid = (sfi_pixel_grid){
        .batch = shape->batch,
        .image_stride = run->lines.channels * run->lines.plane,
        .axis = {axis(shape, 0, shape->in_height, shape->out_height),
                 axis(shape, 1, shape->in_width, shape->out_width)},
    };
    sfi_pixel_grid_finish(&run->grid, true);
    run->lines_transposed =
        !run->lines_from_dy && run->grid.blocks == 1 && run->depth >= SFK_MAX_COLUMNS;
    split_work(run);
}

static int64_t area_bytes(const struct weight_run *run)
{
    return run->lines_bytes + run->sums_bytes + run->columns_bytes + run->runs_bytes;
}

/* Rows in whole tiles of any size. */
static int64_t packed_rows(int64_t rows)
{
    return rows + SFK_MAX_ROWS - 1;
}

static bool measure(int64_t *bytes, struct weight_run *run, const sfconv_context *context)
{
    const int64_t item = (int64_t)sizeof(float);
    const int64_t rows = run->lines.block * run->taps;
    const int64_t sum_rows = run->lines_transposed ? packed_rows(run->columns.block) : rows;
    const int64_t sum_pitch = run->lines_transposed ? run->grid.block : run->column_pitch;
    const int64_t pixels = run->line_pitch;
    int64_t lines, columns, sums, workers, partial = 0;
    if (!sfi_mul(&lines, rows, pixels * item) ||
        !sfi_mul(&columns, run->column_pitch, pixels * item) ||
        !sfi_mul(&sums, sum_rows, sum_pitch * item) ||
        (run->segments > 1 && !sfi_mul(&partial, run->weight_count, run->segments * item))) {
        return false;
    }
    run->lines_bytes = sfi_round64(lines + SFK_SLACK * item);
    run->sums_bytes = sfi_round64(sums + SFK_SLACK * item);
    run->columns_bytes = sfi_round64(columns);
    run->runs_bytes = sfi_round64(pixels * (int64_t)sizeof(sfk_run));
    run->steps_bytes = sfi_round64(pixels * (int64_t)sizeof(int64_t));
    return sfi_mul(&workers, sfi_workers(context), area_bytes(run)) &&
           sfi_add(bytes, workers, 2 * run->steps_bytes) &&
           sfi_add(bytes, *bytes, sfi_round64(partial));
}

bool sfi_conv_backward_weight_scratch(int64_t *bytes, const sfconv_context *context,
                                      const sfi_conv_shape *shape)
{
    struct weight_run run = {0};
    if (sfi_lines_chosen(context, shape)) {
        return sfi_lines_weight_scratch(bytes, context, shape);
    }
    plan(&run, shape, NULL, NULL);
    return measure(bytes, &run, context);
}

static struct worker_area area_of(const struct weight_run *run, int32_t worker)
{
    char *base = run->areas + worker * area_bytes(run);
    struct worker_area area;
    area.lines = (float *)base;
    area.sums = (float *)(base += run->lines_bytes);
    area.columns = (float *)(base += run->sums_bytes);
    area.runs = (sfk_run *)(base + run->columns_bytes);
    return area;
}

/* What one task works on: some channels of both sides, pixel blocks from first_block to end_block.
 * `target` is where the weights of its first channels go. */
struct part {
    int64_t group;
    int64_t first_line;
    int64_t lines;
    int64_t first_column;
    int64_t columns;
    int64_t first_block;
    int64_t end_block;
    float *target;
};

static struct part part_of(const struct weight_run *run, int64_t index)
{
    struct part part;
    part.first_line = index % run->lines.blocks * run->lines.block;
    part.lines = sfi_min(run->lines.block, run->lines.group - part.first_line);
    index /= run->lines.blocks;
    part.first_column = index % run->columns.blocks * run->columns.block;
    part.columns = sfi_min(run->columns.block, run->columns.group - part.first_column);
    index /= run->columns.blocks;
    part.group = index % run->groups;
    const int64_t segment = index / run->groups;
    part.first_block = segment * run->segment_blocks;
    part.end_block = sfi_min(part.first_block + run->segment_blocks, run->grid.blocks);
    const int64_t out = run->lines_from_dy ? part.first_line : part.first_column;
    const int64_t in = run->lines_from_dy ? part.first_column : part.first_line;
    const int64_t group_out = run->lines_from_dy ? run->lines.group : run->columns.group;
    part.target = run->segments > 1 ? run->partial + segment * run->weight_count : run->dweight;
    part.target += (part.group * group_out + out) * run->depth + in * run->taps;
    return part;
}

/* columns[pixel][channel] of the pixels first … first + count - 1. */
static void transpose_columns(const struct weight_run *run, const struct part *part, int64_t first,
                              int64_t count, float *columns)
{
    const struct side *side = &run->columns;
    const int64_t channel = part->group * side->group + part->first_column;
    while (count > 0) {
        const int64_t image = first / side->plane;
        const int64_t pixel = first % side->plane;
        const int64_t length = sfi_min(count, side->plane - pixel);
        run->kernels->transpose(columns, run->column_pitch,
                                side->values + (image * side->channels + channel) * side->plane +
                                    pixel,
                                side->plane, part->columns, length);
        columns += length * run->column_pitch;
        first += length;
        count -= length;
    }
}

/* c[m][n] = Σ over pixels of a[m][pixel] * b[pixel][n]. Inside a tile rows and pixels of a are
 * a_row and a_step apart, tiles follow each other at a distance of a_tile. */
struct matrices {
    const float *a;
    int64_t a_row;
    int64_t a_step;
    int64_t a_tile;
    const float *b;
    float *c;
    int64_t c_stride;
    int64_t rows;
    int64_t columns;
    int64_t pixels;
    bool accumulate;
};

static void multiply(const struct weight_run *run, const struct matrices *matrices)
{
    const sfk_table *kernels = run->kernels;
    /* The columns of a tile stay in the first-level cache while the rows pass by. */
    for (int64_t n = 0; n < matrices->columns; n += kernels->tile_columns) {
        for (int64_t m = 0; m < matrices->rows; m += kernels->tile_rows) {
            const sfk_tile tile = {
                .a = matrices->a + m / kernels->tile_rows * matrices->a_tile,
                .a_row = matrices->a_row,
                .a_step = matrices->a_step,
                .b = matrices->b + n,
                .b_steps = run->column_steps,
                .c = matrices->c + m * matrices->c_stride + n,
                .c_stride = matrices->c_stride,
                .accumulate = matrices->accumulate,
                .rows = (int32_t)sfi_min(kernels->tile_rows, matrices->rows - m),
                .columns = (int32_t)sfi_min(kernels->tile_columns, matrices->columns - n),
                .depth = matrices->pixels,
            };
            kernels->matrix_tile(&tile);
        }
    }
}

/* Sums are [line channel, tap][column channel], weights [out][in, tap]. */
static void store_sums(const struct weight_run *run, const struct part *part, const float *sums)
{
    if (!run->lines_from_dy) {
        run->kernels->transpose(part->target, run->depth, sums, run->column_pitch,
                                part->lines * run->taps, part->columns);
        return;
    }
    for (int64_t out = 0; out < part->lines; out++) {
        run->kernels->transpose(part->target + out * run->depth, run->taps,
                                sums + out * run->taps * run->column_pitch, run->column_pitch,
                                run->taps, part->columns);
    }
}

static void load_sums(const struct weight_run *run, const struct part *part, float *sums)
{
    if (!run->lines_from_dy) {
        run->kernels->transpose(sums, run->column_pitch, part->target, run->depth, part->columns,
                                part->lines * run->taps);
        return;
    }
    for (int64_t out = 0; out < part->lines; out++) {
        run->kernels->transpose(sums + out * run->taps * run->column_pitch, run->column_pitch,
                                part->target + out * run->depth, run->taps, part->columns,
                                run->taps);
    }
}

/* Gathers the lines of a block of pixels; returns how many pixels. */
static int64_t gather_lines(const struct weight_run *run, const struct part *part, int64_t block,
                            const struct worker_area *area)
{
    const sfi_pixel_grid *grid = &run->grid;
    const int64_t channel = part->group * run->lines.group + part->first_line;
    const int64_t first = block * grid->block;
    const int64_t pixels = sfi_min(grid->block, grid->count - first);
    const int64_t run_count = sfi_pixel_runs(grid, first, pixels, area->runs);
    sfi_pixel_gather(run->kernels, grid, area->runs, run_count,
                     run->lines.values + channel * run->lines.plane, part->lines, area->lines);
    return pixels;
}

static void sums_task(void *argument, int64_t index, int32_t worker)
{
    const struct weight_run *run = argument;
    const struct part part = part_of(run, index);
    const struct worker_area area = area_of(run, worker);
    struct matrices matrices = {
        .a = area.lines,
        .a_row = run->line_pitch,
        .a_step = 1,
        .a_tile = run->kernels->tile_rows * run->line_pitch,
        .b = area.columns,
        .c = area.sums,
        .c_stride = run->column_pitch,
        .rows = part.lines * run->taps,
        /* Whole vectors: what lies behind the last channel is computed and never read. */
        .columns = sfi_ceil_div(part.columns, 16) * 16,
        .accumulate = run->segments == 1 && run->accumulate,
    };
    if (matrices.accumulate) {
        load_sums(run, &part, area.sums);
    }
    for (int64_t block = part.first_block; block < part.end_block; block++) {
        matrices.pixels = gather_lines(run, &part, block, &area);
        transpose_columns(run, &part, block * run->grid.block, matrices.pixels, area.columns);
        multiply(run, &matrices);
        matrices.accumulate = true;
    }
    store_sums(run, &part, area.sums);
}

/* The rows of all tiles of the part, in place of lines that need none. */
static void pack_rows(const struct weight_run *run, const float *from, int64_t rows, int64_t pixels,
                      float *to)
{
    const sfk_table *kernels = run->kernels;
    const int64_t plane = run->columns.plane;
    for (int64_t m = 0; m < rows; m += kernels->tile_rows) {
        kernels->pack_rows(to + m * pixels, kernels->tile_rows, from + m * plane, plane,
                           run->image_steps, sfi_min(kernels->tile_rows, rows - m), pixels);
    }
}

/* All pixels in one block, lines transposed. */
static void in_place_task(void *argument, int64_t index, int32_t worker)
{
    const struct weight_run *run = argument;
    const struct side *side = &run->columns;
    const struct part part = part_of(run, index);
    const struct worker_area area = area_of(run, worker);
    const int64_t channel = part.group * side->group + part.first_column;
    const int64_t pixels = gather_lines(run, &part, 0, &area);
    const struct matrices matrices = {
        .a = area.sums,
        .a_row = 1,
        .a_step = run->kernels->tile_rows,
        .a_tile = run->kernels->tile_rows * pixels,
        .b = area.columns,
        .c = part.target,
        .c_stride = run->depth,
        .rows = part.columns,
        .columns = part.lines * run->taps,
        .pixels = pixels,
        .accumulate = run->accumulate,
    };
    pack_rows(run, side->values + channel * side->plane, part.columns, pixels, area.sums);
    run->kernels->transpose(area.columns, run->column_pitch, area.lines, run->line_pitch,
                            matrices.columns, matrices.pixels);
    multiply(run, &matrices);
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

static void fill_steps(const struct weight_run *run)
{
    const struct side *side = &run->columns;
    for (int64_t pixel = 0; pixel < run->grid.block; pixel++) {
        const int64_t image = pixel / side->plane;
        run->image_steps[pixel] = image * side->channels * side->plane + pixel % side->plane;
        run->column_steps[pixel] = pixel * run->column_pitch;
    }
}

void sfi_conv_backward_weight(sfconv_context *context, const sfi_conv_shape *shape, const float *x,
                              const float *dy, float *dweight, bool accumulate, void *scratch)
{
    struct weight_run run = {
        .kernels = context->kernels, .dweight = dweight, .accumulate = accumulate};
    int64_t bytes;
    assert(sfi_conv_shape_fits(shape));
    if (sfi_lines_chosen(context, shape)) {
        sfi_lines_weight(context, shape, x, dy, dweight, accumulate, scratch);
        return;
    }
    plan(&run, shape, x, dy);
    const bool counted = measure(&bytes, &run, context);
    assert(counted);
    (void)counted;
    run.image_steps = scratch;
    run.column_steps = (int64_t *)((char *)scratch + run.steps_bytes);
    run.areas = (char *)scratch + 2 * run.steps_bytes;
    run.partial = (float *)(run.areas + sfi_workers(context) * area_bytes(&run));
    fill_steps(&run);
    sfi_parallel_for(context, run.segments * run.groups * run.columns.blocks * run.lines.blocks,
                     run.lines_transposed ? in_place_task : sums_task, &run);
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
    double sum = run->accumulate ? run->dbias[channel] : 0.0;
    (void)worker;
    for (int64_t image = 0; image < run->shape->batch; image++) {
        run->kernels->plane_sum(
            &sum, run->dy + (image * run->shape->out_channels + channel) * plane, plane);
    }
    run->dbias[channel] = (float)sum;
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
