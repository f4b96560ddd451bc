/* SPDX-License-Identifier: BSD-2-Clause */
#include "convolution_product.h"

#include "parallel.h"
#include "sizes.h"

/* Copying one element for each tap costs about as much as this many rows of products. */
#define COPY_ROWS 7
/* Most output pixels of a patch. */
#define PATCH_PIXELS 2048
/* Rows of a task: enough to pay for gathering the pixels, few enough to share small maps. */
#define TASK_ROWS 256
/* Every number of rows of a tile divides it. */
#define TILE_MULTIPLE 24
/* Rows of weights are packed for so many pixels of a task; for fewer only where they must be. */
#define PACKED_PIXELS 64

/* The tables for one block of depth, shared by all tasks, then one area a worker. */
struct layout {
    int64_t depth;
    int64_t pitch;
    int64_t steps_bytes;
    int64_t lines_bytes;
    int64_t panels_bytes;
    int64_t runs_bytes;
    int64_t offsets_bytes;
};

/* Rows of a task: they are shared out evenly, in whole tiles of any size. */
static int64_t rows_per_task(int64_t rows)
{
    const int64_t tasks = sfi_max(sfi_ceil_div(rows, TASK_ROWS), 1);
    return sfi_ceil_div(sfi_ceil_div(rows, tasks), TILE_MULTIPLE) * TILE_MULTIPLE;
}

static bool make_layout(struct layout *layout, int64_t taps, int64_t pixels, int64_t rows)
{
    int64_t lines, panels;
    layout->depth = sfi_max(SFI_BLOCK_DEPTH, taps);
    layout->pitch = SFI_BLOCK_PIXELS;
    if (pixels < SFI_BLOCK_PIXELS) {
        layout->pitch = (sfi_ceil_div(pixels, 16) | 1) * 16;
    }
    if (!sfi_mul(&lines, layout->depth, layout->pitch * (int64_t)sizeof(float)) ||
        !sfi_mul(&panels, layout->depth, rows_per_task(rows) * (int64_t)sizeof(float))) {
        return false;
    }
    layout->lines_bytes = sfi_round64(lines + SFK_SLACK * (int64_t)sizeof(float));
    layout->panels_bytes = sfi_round64(panels + SFK_SLACK * (int64_t)sizeof(float));
    layout->steps_bytes = sfi_round64(layout->depth * (int64_t)sizeof(int64_t));
    layout->runs_bytes = sfi_round64(layout->pitch * (int64_t)sizeof(sfk_run));
    layout->offsets_bytes = sfi_round64(PATCH_PIXELS * (int64_t)sizeof(int64_t));
    return true;
}

static int64_t worker_bytes(const struct layout *layout)
{
    return layout->lines_bytes + layout->panels_bytes + layout->runs_bytes + layout->offsets_bytes;
}

bool sfi_conv_product_scratch(int64_t *bytes, const sfconv_context *context, int64_t taps,
                              int64_t pixels, int64_t rows)
{
    struct layout layout;
    int64_t workers;
    return make_layout(&layout, taps, pixels, rows) &&
           sfi_mul(&workers, sfi_workers(context), worker_bytes(&layout)) &&
           sfi_add(bytes, workers, 3 * layout.steps_bytes);
}

/* Wide maps are copied row by row instead, zeros around them, and all taps share the copy. With a
 * horizontal stride s columns 0, s, 2s … come first, then 1, s + 1 …, each such phase a plane of
 * its own: so the pixels that a tap sees are neighbours. No rows: this is not done. */
struct patch {
    /* Output rows at a time, and what source rows and columns their taps reach beyond. */
    int64_t rows;
    int64_t extra[2];
    int64_t row_pitch;
    int64_t phase_pitch;
    int64_t channel_pitch;
    int64_t row_blocks;
};

struct product_run {
    const sfk_table *kernels;
    const sfi_conv_product *product;
    struct layout layout;
    int64_t *weight_steps;
    /* Of all weight_steps, 0 where they differ. */
    int64_t weight_step;
    int64_t *line_steps;
    int64_t *patch_steps;
    char *areas;
    int64_t row_blocks;
    int64_t rows_per_block;
    int64_t block_channels;
    struct patch patch;
};

struct worker_area {
    float *lines;
    float *panels;
    sfk_run *runs;
    int64_t *offsets;
};

static struct worker_area area_of(const struct product_run *run, int32_t worker)
{
    const struct layout *layout = &run->layout;
    char *base = run->areas + worker * worker_bytes(layout);
    struct worker_area area;
    area.lines = (float *)base;
    area.panels = (float *)(base += layout->lines_bytes);
    area.runs = (sfk_run *)(base += layout->panels_bytes);
    area.offsets = (int64_t *)(base + layout->runs_bytes);
    return area;
}

static int64_t source_plane(const sfi_pixel_grid *grid)
{
    return grid->axis[0].source_size * grid->axis[1].source_size;
}

/* The smallest shift of a tap, and how much further tap t reaches. */
static int64_t first_shift(const sfi_pixel_axis *axis)
{
    return axis->offset + sfi_min(0, (axis->taps - 1) * axis->spacing);
}

static int64_t patch_tap(const sfi_pixel_axis *axis, int64_t tap)
{
    return axis->offset + tap * axis->spacing - first_shift(axis);
}

/* Rows of the source that the taps of so many output rows of a patch see. */
static int64_t source_rows(const sfi_pixel_grid *grid, const struct patch *patch, int64_t rows)
{
    return (rows - 1) * grid->axis[0].step + patch->extra[0] + 1;
}

/* Whether patches pay, and their size. They waste the lanes behind the end of each row, and cost
 * one copy where lines cost one for each tap. */
static struct patch make_patch(const struct product_run *run)
{
    const sfi_conv_product *product = run->product;
    const sfi_pixel_axis *rows = &product->grid.axis[0];
    const sfi_pixel_axis *columns = &product->grid.axis[1];
    const int64_t taps = sfi_pixel_taps(&product->grid);
    const int64_t whole = sfi_ceil_div(columns->size, 16) * 16;
    const int64_t channels = sfi_min(run->block_channels, product->source_channels);
    struct patch patch = {0};
    const bool worth_it = (whole - columns->size) * product->target_channels <= COPY_ROWS * whole;
    if (taps <= rows->step * columns->step || !worth_it) {
        return patch;
    }
    for (int a = 0; a < 2; a++) {
        const sfi_pixel_axis *axis = &product->grid.axis[a];
        const int64_t spacing = axis->spacing < 0 ? -axis->spacing : axis->spacing;
        patch.extra[a] = (axis->taps - 1) * spacing;
    }
    patch.row_pitch = (sfi_ceil_div(whole + patch.extra[1] / columns->step, 16) | 1) * 16;
    const int64_t room = sfi_min(run->layout.depth * run->layout.pitch /
                                     (channels * columns->step * patch.row_pitch),
                                 run->layout.pitch);
    const int64_t most =
        sfi_min((room - patch.extra[0] - 1) / rows->step + 1, PATCH_PIXELS / columns->size);
    if (room <= patch.extra[0] || most < 1) {
        return patch;
    }
    patch.row_blocks = sfi_ceil_div(rows->size, sfi_min(most, sfi_ceil_div(rows->size, 8)));
    patch.rows = sfi_ceil_div(rows->size, patch.row_blocks);
    patch.phase_pitch = source_rows(&product->grid, &patch, patch.rows) * patch.row_pitch;
    patch.channel_pitch = columns->step * patch.phase_pitch;
    return patch;
}

/* Where one block of depth lies: in the weight, in gathered lines, in patches. */
static void fill_steps(struct product_run *run)
{
    const sfi_conv_product *product = run->product;
    const sfi_pixel_axis *rows = &product->grid.axis[0];
    const sfi_pixel_axis *columns = &product->grid.axis[1];
    const int64_t channels = sfi_min(run->block_channels, product->source_channels);
    const int64_t pitch = sfi_pixel_pitch(&product->grid);
    int64_t k = 0;
    for (int64_t channel = 0; channel < channels; channel++) {
        for (int64_t i = 0; i < rows->taps; i++) {
            for (int64_t j = 0; j < columns->taps; j++) {
                run->weight_steps[k] = channel * product->weight_channel +
                                       i * product->weight_tap[0] + j * product->weight_tap[1];
                run->line_steps[k] = k * pitch;
                run->patch_steps[k] =
                    channel * run->patch.channel_pitch +
                    patch_tap(columns, j) % columns->step * run->patch.phase_pitch +
                    patch_tap(rows, i) * run->patch.row_pitch +
                    patch_tap(columns, j) / columns->step;
                k++;
            }
        }
    }
    run->weight_step = k > 1 ? run->weight_steps[1] : 1;
    for (int64_t i = 0; i < k; i++) {
        if (run->weight_steps[i] != i * run->weight_step) {
            run->weight_step = 0;
        }
    }
}

/* Where the pixels of the runs lie in a target plane, counted from the plane of image 0; returns
 * their number. */
static int64_t fill_offsets(const sfi_conv_product *product, const sfk_run *runs, int64_t run_count,
                            int64_t *offsets)
{
    const int64_t image_stride = product->groups * product->target_channels * product->target_plane;
    int64_t pixels = 0;
    for (int64_t r = 0; r < run_count; r++) {
        const int64_t start = runs[r].image * image_stride + runs[r].row * product->target_step[0];
        for (int64_t i = 0; i < runs[r].length; i++) {
            offsets[pixels++] = start + (runs[r].column + i) * product->target_step[1];
        }
    }
    return pixels;
}

/* A tile whose pixels are not neighbours in the target goes through a buffer. */
static void run_scattered(const sfk_table *kernels, sfk_tile tile, const int64_t *offsets)
{
    float buffer[SFK_MAX_ROWS][SFK_MAX_COLUMNS];
    float *target = tile.c;
    const int64_t plane = tile.c_stride;
    for (int32_t m = 0; tile.accumulate && m < tile.rows; m++) {
        for (int32_t n = 0; n < tile.columns; n++) {
            buffer[m][n] = target[m * plane + offsets[n]];
        }
    }
    tile.c = buffer[0];
    tile.c_stride = SFK_MAX_COLUMNS;
    kernels->matrix_tile(&tile);
    for (int32_t m = 0; m < tile.rows; m++) {
        for (int32_t n = 0; n < tile.columns; n++) {
            target[m * plane + offsets[n]] = buffer[m][n];
        }
    }
}

/* The rows of one task. */
struct part {
    int64_t group;
    int64_t first_row;
    int64_t rows;
};

/* A block of depth for some rows of pixels: element (k, row, pixel) is
 * values[steps[k] + row * row_pitch + pixel]. */
struct operand {
    const float *values;
    const int64_t *steps;
    int64_t channel;
    int64_t depth;
    int64_t rows;
    int64_t row_pitch;
    int64_t pixels;
    /* Of all rows, one after the other. */
    const int64_t *offsets;
};

/* The weights of one block of depth, as tiles find them: tiles are `tile_step` apart. */
struct weights {
    const float *values;
    int64_t row;
    int64_t step;
    int64_t tile_step;
};

/* Packs the rows of the part. Where they are used for few pixels and their steps are all the same,
 * as they are for whole filters and for 1x1, they are read where they lie. */
static struct weights prepare_weights(const struct product_run *run, const struct part *part,
                                      const struct operand *operand, float *panels)
{
    const sfi_conv_product *product = run->product;
    const int64_t tile_rows = run->kernels->tile_rows;
    const int64_t row = product->weight_row;
    const float *from = product->weight + part->group * product->weight_group +
                        part->first_row * row + operand->channel * product->weight_channel;
    if (run->weight_step > 0 && operand->rows * operand->pixels < PACKED_PIXELS) {
        return (struct weights){from, row, run->weight_step, tile_rows * row};
    }
    for (int64_t m = 0; m < part->rows; m += tile_rows) {
        run->kernels->pack_rows(panels + m * operand->depth, tile_rows, from + m * row, row,
                                run->weight_steps, sfi_min(tile_rows, part->rows - m),
                                operand->depth);
    }
    return (struct weights){panels, 1, tile_rows, tile_rows * operand->depth};
}

/* The rows of the part, tile by tile, times some columns that stay in the first-level cache;
 * `tile` has the weights of the first, and b, columns and c of image 0, channel 0. */
static void multiply_columns(const struct product_run *run, const struct part *part, sfk_tile tile,
                             int64_t tile_step, const int64_t *offsets)
{
    const sfi_conv_product *product = run->product;
    const sfk_table *kernels = run->kernels;
    const int64_t first = part->group * product->target_channels + part->first_row;
    /* Offsets grow, so these are neighbours. */
    const bool neighbours = offsets[tile.columns - 1] - offsets[0] == tile.columns - 1;
    for (int64_t m = 0; m < part->rows; m += kernels->tile_rows) {
        tile.bias = product->bias ? product->bias + first + m : NULL;
        tile.rows = (int32_t)sfi_min(kernels->tile_rows, part->rows - m);
        tile.c = product->target + (first + m) * product->target_plane;
        if (neighbours) {
            tile.c += offsets[0];
            kernels->matrix_tile(&tile);
        } else {
            run_scattered(kernels, tile, offsets);
        }
        tile.a += tile_step;
    }
}

/* Adds one block of depth to all tiles of the part. */
static void multiply(const struct product_run *run, const struct part *part,
                     const struct operand *operand, float *panels)
{
    const sfi_conv_product *product = run->product;
    const struct weights weights = prepare_weights(run, part, operand, panels);
    sfk_tile tile = {
        .a = weights.values,
        .a_row = weights.row,
        .a_step = weights.step,
        .b_steps = operand->steps,
        .c_stride = product->target_plane,
        .accumulate = product->accumulate || operand->channel > 0,
        .depth = operand->depth,
    };
    for (int64_t row = 0; row < operand->rows; row++) {
        for (int64_t n = 0; n < operand->pixels; n += run->kernels->tile_columns) {
            tile.b = operand->values + row * operand->row_pitch + n;
            tile.columns = (int32_t)sfi_min(run->kernels->tile_columns, operand->pixels - n);
            multiply_columns(run, part, tile, weights.tile_step,
                             operand->offsets + row * operand->pixels + n);
        }
    }
}

static const float *group_source(const struct product_run *run, const struct part *part)
{
    const sfi_conv_product *product = run->product;
    return product->source + part->group * product->source_channels * source_plane(&product->grid);
}

static struct part part_of(const struct product_run *run, int64_t index, int64_t blocks)
{
    const int64_t channels = run->product->target_channels;
    const int64_t first_row = index % run->row_blocks * run->rows_per_block;
    return (struct part){.group = index / run->row_blocks / blocks,
                         .first_row = first_row,
                         .rows = sfi_min(run->rows_per_block, channels - first_row)};
}

static void run_gathered(const struct product_run *run, const struct part *part,
                         const sfk_run *runs, int64_t run_count, const struct worker_area *area)
{
    const sfi_conv_product *product = run->product;
    const int64_t taps = sfi_pixel_taps(&product->grid);
    struct operand operand = {
        .values = area->lines,
        .steps = run->line_steps,
        .rows = 1,
        .offsets = area->offsets,
        .pixels = fill_offsets(product, runs, run_count, area->offsets),
    };
    /* A product without taps has no depth, but its target is written. */
    const int64_t channel_count = taps > 0 ? product->source_channels : 1;
    while (operand.channel < channel_count) {
        const int64_t channels = sfi_min(run->block_channels, channel_count - operand.channel);
        operand.depth = channels * taps;
        sfi_pixel_gather(run->kernels, &product->grid, runs, run_count,
                         group_source(run, part) + operand.channel * source_plane(&product->grid),
                         channels, area->lines);
        multiply(run, part, &operand, area->panels);
        operand.channel += channels;
    }
}

static void fill_row_runs(sfk_run *runs, int64_t count, int64_t image, int64_t first_row,
                          int64_t length)
{
    for (int64_t row = 0; row < count; row++) {
        runs[row] = (sfk_run){.image = image, .row = first_row + row, .length = length};
    }
}

/* One phase of the `rows` rows of area->runs, from the first column that a tap sees on. */
static sfk_gather phase_copy(const struct product_run *run, int64_t phase, int64_t rows,
                             const sfk_run *runs)
{
    const sfi_pixel_grid *grid = &run->product->grid;
    const int64_t step = grid->axis[1].step;
    const int64_t shift = first_shift(&grid->axis[1]) + phase;
    const int64_t inside = grid->axis[1].source_size - shift;
    return (sfk_gather){
        .image_stride = grid->image_stride,
        .height = grid->axis[0].source_size,
        .width = grid->axis[1].source_size,
        .tap_row = first_shift(&grid->axis[0]),
        .tap_column = shift,
        .row_step = 1,
        .column_step = step,
        .first_column = shift < 0 ? sfi_ceil_div(-shift, step) : 0,
        .end_column = inside > 0 ? sfi_ceil_div(inside, step) : 0,
        .runs = runs,
        .run_count = rows,
    };
}

/* In the order of memory, as a copy may write over the beginning of the next. */
static void fill_patch(const struct product_run *run, const float *planes, int64_t channels,
                       int64_t rows, const struct worker_area *area)
{
    const sfi_pixel_grid *grid = &run->product->grid;
    float *to = area->lines;
    for (int64_t channel = 0; channel < channels; channel++) {
        for (int64_t phase = 0; phase < grid->axis[1].step; phase++) {
            sfk_gather copy = phase_copy(run, phase, rows, area->runs);
            copy.plane = planes + channel * source_plane(grid);
            run->kernels->gather(to, &copy);
            to += run->patch.phase_pitch;
        }
    }
}

static void patch_task(void *argument, int64_t index, int32_t worker)
{
    const struct product_run *run = argument;
    const sfi_conv_product *product = run->product;
    const sfi_pixel_grid *grid = &product->grid;
    const struct worker_area area = area_of(run, worker);
    const int64_t blocks = run->patch.row_blocks * grid->batch;
    const struct part part = part_of(run, index, blocks);
    const int64_t block = index / run->row_blocks % blocks;
    const int64_t image = block / run->patch.row_blocks;
    const int64_t first_row = block % run->patch.row_blocks * run->patch.rows;
    struct operand operand = {
        .values = area.lines,
        .steps = run->patch_steps,
        .rows = sfi_min(run->patch.rows, grid->axis[0].size - first_row),
        .row_pitch = grid->axis[0].step * run->patch.row_pitch,
        .pixels = grid->axis[1].size,
        .offsets = area.offsets,
    };
    fill_row_runs(area.runs, operand.rows, image, first_row, operand.pixels);
    fill_offsets(product, area.runs, operand.rows, area.offsets);
    const int64_t copied_rows = source_rows(grid, &run->patch, operand.rows);
    fill_row_runs(area.runs, copied_rows, image, first_row * grid->axis[0].step,
                  run->patch.row_pitch);
    while (operand.channel < product->source_channels) {
        const int64_t channels =
            sfi_min(run->block_channels, product->source_channels - operand.channel);
        operand.depth = channels * sfi_pixel_taps(grid);
        fill_patch(run, group_source(run, &part) + operand.channel * source_plane(grid), channels,
                   copied_rows, &area);
        multiply(run, &part, &operand, area.panels);
        operand.channel += channels;
    }
}

static void line_task(void *argument, int64_t index, int32_t worker)
{
    const struct product_run *run = argument;
    const sfi_pixel_grid *grid = &run->product->grid;
    const struct worker_area area = area_of(run, worker);
    const struct part part = part_of(run, index, grid->blocks);
    const int64_t first_pixel = index / run->row_blocks % grid->blocks * grid->block;
    const int64_t run_count = sfi_pixel_runs(
        grid, first_pixel, sfi_min(grid->block, grid->count - first_pixel), area.runs);
    run_gathered(run, &part, area.runs, run_count, &area);
}

void sfi_conv_product_run(sfconv_context *context, const sfi_conv_product *product, void *scratch)
{
    const int64_t taps = sfi_pixel_taps(&product->grid);
    struct product_run run = {.kernels = context->kernels, .product = product};
    make_layout(&run.layout, taps, product->grid.count, product->target_channels);
    run.weight_steps = scratch;
    run.line_steps = (int64_t *)((char *)scratch + run.layout.steps_bytes);
    run.patch_steps = (int64_t *)((char *)scratch + 2 * run.layout.steps_bytes);
    run.areas = (char *)scratch + 3 * run.layout.steps_bytes;
    run.block_channels = sfi_block_channels(taps);
    run.rows_per_block = rows_per_task(product->target_channels);
    run.row_blocks = sfi_ceil_div(product->target_channels, run.rows_per_block);
    run.patch = make_patch(&run);
    fill_steps(&run);
    if (run.patch.rows > 0) {
        const int64_t blocks = run.patch.row_blocks * product->grid.batch;
        sfi_parallel_for(context, product->groups * blocks * run.row_blocks, patch_task, &run);
    } else {
        const int64_t blocks = product->grid.blocks;
        sfi_parallel_for(context, product->groups * blocks * run.row_blocks, line_task, &run);
    }
}
