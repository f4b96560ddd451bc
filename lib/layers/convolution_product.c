/* SPDX-License-Identifier: BSD-2-Clause */
#include "convolution_product.h"

#include "convolution_operand.h"
#include "parallel.h"
#include "sizes.h"

/* Copying one element for each tap costs about as much as this many rows of products. */
#define COPY_ROWS 7
/* Rows of a task: enough to pay for gathering the pixels, few enough to share small maps. */
#define TASK_ROWS 256

/* Rows of a task: they are shared out evenly, in whole tiles of any size. */
static int64_t rows_per_task(int64_t rows)
{
    const int64_t tasks = sfi_max(sfi_ceil_div(rows, TASK_ROWS), 1);
    return sfi_ceil_div(sfi_ceil_div(rows, tasks), SFI_TILE_MULTIPLE) * SFI_TILE_MULTIPLE;
}

/* Room for lanes of either kind. */
static bool make_layout(sfi_product_layout *layout, const sfi_product_sizes *sizes)
{
    const int64_t item = (int64_t)sizeof(float);
    const int64_t rows = sfi_max(rows_per_task(sizes->rows), SFK_MAX_PANEL);
    int64_t lines, panels;
    layout->depth = sfi_max(SFI_BLOCK_DEPTH, sizes->taps);
    layout->pitch = SFI_BLOCK_PIXELS;
    if (sizes->pixels < SFI_BLOCK_PIXELS) {
        layout->pitch = (sfi_ceil_div(sizes->pixels, 16) | 1) * 16;
    }
    if (!sfi_mul(&lines, layout->depth, layout->pitch * item) ||
        !sfi_mul(&panels, layout->depth, rows * item)) {
        return false;
    }
    layout->lines_bytes = sfi_round64(lines + SFK_SLACK * item);
    layout->panels_bytes = sfi_round64(panels + 2 * SFK_SLACK * item);
    layout->sums_bytes = sfi_round64(sfi_product_panel_sums(sizes) * item);
    layout->steps_bytes = sfi_round64(layout->depth * (int64_t)sizeof(int64_t));
    layout->runs_bytes = sfi_round64(layout->pitch * (int64_t)sizeof(sfk_run));
    layout->offsets_bytes = sfi_round64(SFI_PATCH_PIXELS * (int64_t)sizeof(int64_t));
    return true;
}

static int64_t worker_bytes(const sfi_product_layout *layout)
{
    return layout->lines_bytes + layout->panels_bytes + layout->sums_bytes + layout->runs_bytes +
           layout->offsets_bytes;
}

bool sfi_conv_product_scratch(int64_t *bytes, const sfconv_context *context,
                              const sfi_product_sizes *sizes)
{
    sfi_product_layout layout;
    int64_t workers;
    return make_layout(&layout, sizes) &&
           sfi_mul(&workers, sfi_workers(context), worker_bytes(&layout)) &&
           sfi_add(bytes, workers, 3 * layout.steps_bytes);
}

static sfi_product_area area_of(const sfi_product_run *run, int32_t worker)
{
    const sfi_product_layout *layout = &run->layout;
    char *base = run->areas + worker * worker_bytes(layout);
    sfi_product_area area;
    area.lines = (float *)base;
    area.panels = (float *)(base += layout->lines_bytes);
    area.sums = (float *)(base += layout->panels_bytes);
    area.runs = (sfk_run *)(base += layout->sums_bytes);
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
static int64_t source_rows(const sfi_pixel_grid *grid, const sfi_product_patch *patch, int64_t rows)
{
    return (rows - 1) * grid->axis[0].step + patch->extra[0] + 1;
}

/* Whether patches pay: lanes over pixels waste those behind the end of each row. */
static bool patches_pay(const sfi_product_run *run)
{
    const sfi_conv_product *product = run->product;
    const int64_t size = product->grid.axis[1].size;
    const int64_t whole = sfi_ceil_div(size, 16) * 16;
    const bool full = (whole - size) * product->target_channels <= COPY_ROWS * whole;
    return sfi_product_has_patches(&product->grid) && (run->by_channels || full);
}

/* Output rows of a patch: enough of them for a task, few enough to share the map. */
static int64_t patch_rows(const sfi_product_run *run, int64_t most)
{
    const int64_t rows = run->product->grid.axis[0].size;
    const int64_t wanted =
        run->by_channels ? sfi_product_patch_rows(run) : sfi_ceil_div(rows, run->tasks_wanted);
    return sfi_min(most, wanted);
}

static sfi_product_patch make_patch(const sfi_product_run *run)
{
    const sfi_conv_product *product = run->product;
    const sfi_pixel_axis *rows = &product->grid.axis[0];
    const sfi_pixel_axis *columns = &product->grid.axis[1];
    const int64_t channels = sfi_min(run->block_channels, product->source_channels);
    const int64_t whole = run->by_channels ? columns->size : sfi_ceil_div(columns->size, 16) * 16;
    sfi_product_patch patch = {0};
    if (!patches_pay(run)) {
        return patch;
    }
    for (int a = 0; a < 2; a++) {
        const sfi_pixel_axis *axis = &product->grid.axis[a];
        const int64_t spacing = axis->spacing < 0 ? -axis->spacing : axis->spacing;
        patch.extra[a] = (axis->taps - 1) * spacing;
    }
    patch.row_pitch = (sfi_ceil_div(whole + patch.extra[1] / columns->step, 16) | 1) * 16;
    /* Less one row: planes are an odd number of cache lines apart. */
    const int64_t room = sfi_min(
        run->layout.depth * run->layout.pitch / (channels * columns->step * patch.row_pitch) - 1,
        run->layout.pitch);
    const int64_t most =
        sfi_min((room - patch.extra[0] - 1) / rows->step + 1, SFI_PATCH_PIXELS / columns->size);
    if (room <= patch.extra[0] || most < 1) {
        return patch;
    }
    patch.row_blocks = sfi_ceil_div(rows->size, patch_rows(run, most));
    patch.rows = sfi_ceil_div(rows->size, patch.row_blocks);
    patch.phase_pitch =
        (source_rows(&product->grid, &patch, patch.rows) * patch.row_pitch / 16 | 1) * 16;
    patch.channel_pitch = columns->step * patch.phase_pitch;
    return patch;
}

/* Where one block of depth lies: in the weight, in gathered lines, in patches. */
static void fill_steps(sfi_product_run *run)
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

int64_t sfi_product_neighbours(const sfi_product_operand *operand, int64_t first)
{
    const int64_t count = operand->rows * operand->pixels;
    int64_t end = first + 1;
    while (end < count && operand->offsets[end] == operand->offsets[end - 1] + 1) {
        end++;
    }
    return end - first;
}

/* Of the pixels of the operand, runs of neighbours in the target. */
static void finish_target(const sfi_product_run *run, const sfi_product_part *part,
                          const sfi_product_operand *operand)
{
    const sfi_conv_product *product = run->product;
    const int64_t first = part->group * product->target_channels + part->first_row;
    int64_t length;
    for (int64_t p = 0; p < operand->rows * operand->pixels; p += length) {
        length = sfi_product_neighbours(operand, p);
        for (int64_t m = first; m < first + part->rows; m++) {
            sfi_finish_pixels(run->kernels, product->finish, m, product->target,
                              m * product->target_plane + operand->offsets[p], length);
        }
    }
}

/* Adds one block of depth to all tiles of the part. */
static void multiply(const sfi_product_run *run, const sfi_product_part *part,
                     const sfi_product_operand *operand, const sfi_product_area *area)
{
    if (run->by_channels) {
        sfi_product_multiply_panels(run, part, operand, area);
    } else {
        sfi_product_multiply_rows(run, part, operand, area);
    }
    if (operand->last && run->product->finish) {
        finish_target(run, part, operand);
    }
}

static const float *group_source(const sfi_product_run *run, const sfi_product_part *part)
{
    const sfi_conv_product *product = run->product;
    return product->source + part->group * product->source_channels * source_plane(&product->grid);
}

static sfi_product_part part_of(const sfi_product_run *run, int64_t index, int64_t blocks)
{
    const int64_t channels = run->product->target_channels;
    const int64_t first_row = index % run->row_blocks * run->rows_per_block;
    return (sfi_product_part){.group = index / run->row_blocks / blocks,
                              .first_row = first_row,
                              .rows = sfi_min(run->rows_per_block, channels - first_row)};
}

static void run_gathered(const sfi_product_run *run, const sfi_product_part *part,
                         const sfk_run *runs, int64_t run_count, const sfi_product_area *area)
{
    const sfi_conv_product *product = run->product;
    const int64_t taps = sfi_pixel_taps(&product->grid);
    sfi_product_operand operand = {
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
        operand.last = operand.channel + channels == channel_count;
        sfi_pixel_gather(run->kernels, &product->grid, runs, run_count,
                         group_source(run, part) + operand.channel * source_plane(&product->grid),
                         channels, area->lines);
        multiply(run, part, &operand, area);
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
static sfk_gather phase_copy(const sfi_product_run *run, int64_t phase, int64_t rows,
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
static void fill_patch(const sfi_product_run *run, const float *planes, int64_t channels,
                       int64_t rows, const sfi_product_area *area)
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
    const sfi_product_run *run = argument;
    const sfi_conv_product *product = run->product;
    const sfi_pixel_grid *grid = &product->grid;
    const sfi_product_area area = area_of(run, worker);
    const int64_t blocks = run->patch.row_blocks * grid->batch;
    const sfi_product_part part = part_of(run, index, blocks);
    const int64_t block = index / run->row_blocks % blocks;
    const int64_t image = block / run->patch.row_blocks;
    const int64_t first_row = block % run->patch.row_blocks * run->patch.rows;
    sfi_product_operand operand = {
        .values = area.lines,
        .steps = run->patch_steps,
        .rows = sfi_min(run->patch.rows, grid->axis[0].size - first_row),
        .row_pitch = grid->axis[0].step * run->patch.row_pitch,
        .pixels = grid->axis[1].size,
        .is_in_rows = sfi_product_is_in_rows(run),
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
        operand.last = operand.channel + channels == product->source_channels;
        fill_patch(run, group_source(run, &part) + operand.channel * source_plane(grid), channels,
                   copied_rows, &area);
        multiply(run, &part, &operand, &area);
        operand.channel += channels;
    }
}

static void line_task(void *argument, int64_t index, int32_t worker)
{
    const sfi_product_run *run = argument;
    const sfi_pixel_grid *grid = &run->product->grid;
    const sfi_product_area area = area_of(run, worker);
    const sfi_product_part part = part_of(run, index, grid->blocks);
    const int64_t first_pixel = index / run->row_blocks % grid->blocks * grid->block;
    const int64_t run_count = sfi_pixel_runs(
        grid, first_pixel, sfi_min(grid->block, grid->count - first_pixel), area.runs);
    run_gathered(run, &part, area.runs, run_count, &area);
}

void sfi_conv_product_run(sfconv_context *context, const sfi_conv_product *product, void *scratch)
{
    const int64_t taps = sfi_pixel_taps(&product->grid);
    sfi_product_run run = {.kernels = context->kernels,
                           .product = product,
                           .tasks_wanted = sfi_workers(context) > 1 ? SFI_TASKS_WANTED : 1};
    /* A grid that is flat has no patches, and its one row is cut into blocks. */
    const sfi_product_sizes sizes = {
        taps, product->grid.count,
        sfi_product_has_patches(&product->grid) ? product->grid.axis[1].size : 0,
        product->target_channels};
    make_layout(&run.layout, &sizes);
    run.by_channels = sfi_product_by_channels(product);
    run.block_channels =
        run.by_channels ? sfi_product_panel_depth(run.kernels, taps) : sfi_block_channels(taps);
    run.weight_steps = scratch;
    run.line_steps = (int64_t *)((char *)scratch + run.layout.steps_bytes);
    run.patch_steps = (int64_t *)((char *)scratch + 2 * run.layout.steps_bytes);
    run.areas = (char *)scratch + 3 * run.layout.steps_bytes;
    run.rows_per_block = run.by_channels ? sfi_product_panel_rows(product, run.tasks_wanted)
                                         : rows_per_task(product->target_channels);
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
