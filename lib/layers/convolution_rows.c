/* SPDX-License-Identifier: BSD-2-Clause */
/* Products whose lanes run over pixels. */
#include "convolution_operand.h"

#include "sizes.h"

/* Rows of weights are packed for so many pixels of a task; for fewer only where they must be. */
#define PACKED_PIXELS 64

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

/* The weights of one block of depth, as tiles find them: tiles are `tile_step` apart. */
struct weights {
    const float *values;
    int64_t row;
    int64_t step;
    int64_t tile_step;
};

/* Packs the rows of the part. Where they are used for few pixels and their steps are all the same,
 * as they are for whole filters and for 1x1, they are read where they lie. */
static struct weights prepare_weights(const sfi_product_run *run, const sfi_product_part *part,
                                      const sfi_product_operand *operand, float *panels)
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
static void multiply_columns(const sfi_product_run *run, const sfi_product_part *part,
                             sfk_tile tile, int64_t tile_step, const int64_t *offsets)
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

void sfi_product_multiply_rows(const sfi_product_run *run, const sfi_product_part *part,
                               const sfi_product_operand *operand, const sfi_product_area *area)
{
    const sfi_conv_product *product = run->product;
    const struct weights weights = prepare_weights(run, part, operand, area->panels);
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
