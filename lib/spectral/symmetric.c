/* SPDX-License-Identifier: BSD-2-Clause */
#include "symmetric.h"

#include "sizes.h"
#include "tile_columns.h"

/* Sides of the squares that are mirrored one after the other. */
#define SQUARE 16

/* The square at (row, column), of which the part above the diagonal counts. */
static void mirror_on_diagonal(float *square, int64_t pitch, int64_t side)
{
    for (int64_t i = 1; i < side; i++) {
        for (int64_t j = 0; j < i; j++) {
            square[i * pitch + j] = square[j * pitch + i];
        }
    }
}

void sfi_symmetric_mirror(const sfk_table *kernels, int64_t n, float *matrix)
{
    const int64_t pitch = sfi_symmetric_pitch(n);
    for (int64_t i = 0; i < n; i += SQUARE) {
        const int64_t below = i + SQUARE;
        mirror_on_diagonal(matrix + i * pitch + i, pitch, sfi_min(SQUARE, n - i));
        if (below < n) {
            kernels->transpose(matrix + below * pitch + i, pitch, matrix + i * pitch + below, pitch,
                               SQUARE, n - below);
        }
    }
}

void sfi_symmetric_mirror_double(int64_t n, double *matrix, int64_t pitch)
{
    for (int64_t top = 0; top < n; top += SQUARE) {
        for (int64_t left = 0; left <= top; left += SQUARE) {
            for (int64_t i = top; i < sfi_min(top + SQUARE, n); i++) {
                for (int64_t j = left; j < sfi_min(left + SQUARE, i); j++) {
                    matrix[i * pitch + j] = matrix[j * pitch + i];
                }
            }
        }
    }
}

void sfi_symmetric_multiply(const sfk_table *kernels, int64_t n, int64_t depth, const float *left,
                            const float *right, bool accumulate, float *result, int64_t *steps)
{
    const int64_t pitch = sfi_symmetric_pitch(n);
    const int64_t whole = sfi_ceil_div(n, SQUARE) * SQUARE;
    int64_t width;
    for (int64_t k = 0; k < depth; k++) {
        steps[k] = k * pitch;
    }
    for (int64_t column = 0; column < whole; column += width) {
        width = sfi_tile_columns(kernels, whole - column);
        const int64_t end = column + width;
        const int64_t rows = sfi_min(end, n);
        for (int64_t row = 0; row < rows; row += kernels->tile_rows) {
            /* What is left of the square on the diagonal is the mirror image of what is above. */
            const int64_t first = sfi_max(column, row / SQUARE * SQUARE);
            const sfk_tile tile = {.a = left + row,
                                   .a_row = 1,
                                   .a_step = pitch,
                                   .b = right + first,
                                   .b_steps = steps,
                                   .c = result + row * pitch + first,
                                   .c_stride = pitch,
                                   .accumulate = accumulate,
                                   .rows = (int32_t)sfi_min(kernels->tile_rows, rows - row),
                                   .columns = (int32_t)(end - first),
                                   .depth = depth};
            kernels->matrix_tile(&tile);
        }
    }
}
