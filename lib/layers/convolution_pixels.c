/* SPDX-License-Identifier: BSD-2-Clause */
#include "convolution_pixels.h"

#include "sizes.h"

static bool copies(const sfi_pixel_axis *axis)
{
    return axis->taps == 1 && axis->offset == 0 && axis->step == 1 &&
           axis->size == axis->source_size;
}

void sfi_pixel_grid_finish(sfi_pixel_grid *grid, bool target_flat)
{
    sfi_pixel_axis *rows = &grid->axis[0];
    sfi_pixel_axis *columns = &grid->axis[1];
    if (target_flat && copies(rows) && copies(columns)) {
        columns->size *= rows->size;
        columns->source_size = columns->size;
        rows->size = rows->source_size = 1;
    }
    grid->count = grid->batch * rows->size * columns->size;
    grid->blocks = sfi_ceil_div(grid->count, SFI_BLOCK_PIXELS);
    grid->block = sfi_ceil_div(sfi_ceil_div(grid->count, sfi_max(grid->blocks, 1)), 16) * 16;
    grid->blocks = sfi_ceil_div(grid->count, sfi_max(grid->block, 1));
}

int64_t sfi_pixel_pitch(const sfi_pixel_grid *grid)
{
    /* An odd number of cache lines, so that rows do not compete for the same sets. */
    return (grid->block / 16 | 1) * 16;
}

int64_t sfi_block_channels(int64_t taps)
{
    return sfi_max(SFI_BLOCK_DEPTH / sfi_max(taps, 1), 1);
}

int64_t sfi_pixel_runs(const sfi_pixel_grid *grid, int64_t first, int64_t count, sfk_run *runs)
{
    const sfi_pixel_axis *rows = &grid->axis[0];
    const sfi_pixel_axis *columns = &grid->axis[1];
    int64_t column = first % columns->size;
    int64_t row = first / columns->size % rows->size;
    int64_t image = first / columns->size / rows->size;
    int64_t run_count = 0;
    while (count > 0) {
        const int64_t length = sfi_min(columns->size - column, count);
        runs[run_count++] =
            (sfk_run){.image = image, .row = row, .column = column, .length = length};
        count -= length;
        column = 0;
        if (++row == rows->size) {
            row = 0;
            image++;
        }
    }
    return run_count;
}

/* The gather of one horizontal tap; vertical tap and plane are filled in later. */
static sfk_gather horizontal_tap(const sfi_pixel_grid *grid, const sfk_run *runs, int64_t run_count,
                                 int64_t tap)
{
    const sfi_pixel_axis *columns = &grid->axis[1];
    const int64_t shift = columns->offset + tap * columns->spacing;
    const int64_t inside = columns->source_size - shift;
    return (sfk_gather){
        .image_stride = grid->image_stride,
        .height = grid->axis[0].source_size,
        .width = columns->source_size,
        .tap_column = shift,
        .row_step = grid->axis[0].step,
        .column_step = columns->step,
        .first_column = shift < 0 ? sfi_ceil_div(-shift, columns->step) : 0,
        .end_column = inside > 0 ? sfi_ceil_div(inside, columns->step) : 0,
        .runs = runs,
        .run_count = run_count,
    };
}

void sfi_pixel_gather(const sfk_table *kernels, const sfi_pixel_grid *grid, const sfk_run *runs,
                      int64_t run_count, const float *planes, int64_t channels, float *lines)
{
    const sfi_pixel_axis *rows = &grid->axis[0];
    const int64_t plane = rows->source_size * grid->axis[1].source_size;
    const int64_t pitch = sfi_pixel_pitch(grid);
    for (int64_t channel = 0; channel < channels; channel++) {
        for (int64_t i = 0; i < rows->taps; i++) {
            for (int64_t j = 0; j < grid->axis[1].taps; j++) {
                sfk_gather tap = horizontal_tap(grid, runs, run_count, j);
                tap.plane = planes + channel * plane;
                tap.tap_row = rows->offset + i * rows->spacing;
                kernels->gather(lines, &tap);
                lines += pitch;
            }
        }
    }
}
