/* SPDX-License-Identifier: BSD-2-Clause */
#include "cuts.h"

/* Rows that are found from one pointer: one and two strides from it are an address each. */
#define SHARING 3
#define POINTERS ((SFV_TILE_ROWS + SHARING - 1) / SHARING)

/* A tile of `rows` x `vectors` registers. Both are constants at every call, so that the arrays
 * become registers; `tail` lanes of the last vector are columns of c, 0 for all. */
SFV_INLINE void start_sums(sfv (*sums)[SFV_TILE_VECTORS], const sfk_tile *tile, int rows,
                           int vectors, int64_t tail)
{
    if (!tile->accumulate) {
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            const sfv start = sfv_set1(tile->bias ? tile->bias[m] : 0.0f);
            SFV_UNROLL
            for (int v = 0; v < vectors; v++) {
                sums[m][v] = start;
            }
        }
        return;
    }
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        const float *c = tile->c + m * tile->c_stride;
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            const float *from = c + v * SFV_LANES;
            sums[m][v] = sfv_load_lanes(from, lanes_of_vector(v, vectors, tail));
        }
    }
}

/* Callers go down the rows: so the next sums have come when their tile's turn has. Those that are
 * only written wait for nothing: the first line of each row, its page with it, is enough. */
SFV_INLINE void ask_for_next(const sfk_tile *tile, int rows, int lines)
{
    const float *next = tile->c + rows * tile->c_stride;
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        for (int v = 0; v < lines; v++) {
            __builtin_prefetch(next + m * tile->c_stride + v * SFV_LANES, 1);
        }
    }
}

SFV_INLINE void run_tile(const sfk_tile *tile, int rows, int vectors, int64_t tail)
{
    sfv sums[SFV_TILE_ROWS][SFV_TILE_VECTORS];
    const float *a[POINTERS];
    const int64_t a_row = tile->a_row;
    ask_for_next(tile, rows, tile->accumulate ? vectors : 1);
    start_sums(sums, tile, rows, vectors, tail);
    SFV_UNROLL
    for (int i = 0; i < POINTERS; i++) {
        a[i] = tile->a + i * SHARING * a_row;
    }
#pragma GCC unroll 2
    for (int64_t k = 0; k < tile->depth; k++) {
        const float *b = tile->b + tile->b_steps[k];
        sfv columns[SFV_TILE_VECTORS];
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            columns[v] = sfv_load(b + v * SFV_LANES);
        }
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            const sfv weight = sfv_set1(a[m / SHARING][m % SHARING * a_row]);
            SFV_UNROLL
            for (int v = 0; v < vectors; v++) {
                sums[m][v] = sfv_fma(weight, columns[v], sums[m][v]);
            }
        }
        SFV_UNROLL
        for (int i = 0; i < POINTERS; i++) {
            a[i] += tile->a_step;
        }
    }
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        float *c = tile->c + m * tile->c_stride;
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            sfv_store_lanes(c + v * SFV_LANES, sums[m][v], lanes_of_vector(v, vectors, tail));
        }
    }
}

SFV_INLINE void run_rows(const sfk_tile *tile, int rows)
{
    const int64_t tail = tile->columns % SFV_LANES;
    if (tile->columns == SFV_TILE_VECTORS * SFV_LANES) {
        run_tile(tile, rows, SFV_TILE_VECTORS, 0);
        return;
    }
    switch ((tile->columns + SFV_LANES - 1) / SFV_LANES) {
#if SFV_TILE_VECTORS > 2
    case 3:
        run_tile(tile, rows, 3, tail);
        return;
#endif
    case 2:
        run_tile(tile, rows, 2, tail);
        return;
    default:
        run_tile(tile, rows, 1, tail);
    }
}

void SFK_NAME(matrix_tile)(const sfk_tile *tile)
{
    switch (tile->rows) {
#if SFV_TILE_ROWS > 6
    case 8:
        run_rows(tile, 8);
        return;
    case 7:
        run_rows(tile, 7);
        return;
#endif
#if SFV_TILE_ROWS > 4
    case 6:
        run_rows(tile, 6);
        return;
    case 5:
        run_rows(tile, 5);
        return;
#endif
    case 4:
        run_rows(tile, 4);
        return;
    case 3:
        run_rows(tile, 3);
        return;
    case 2:
        run_rows(tile, 2);
        return;
    default:
        run_rows(tile, 1);
    }
}
