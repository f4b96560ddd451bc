/* SPDX-License-Identifier: BSD-2-Clause */
#include "vec.h"

/* Steps between requests for the next tile: half a cache line where a is contiguous. */
#define FETCH_STEPS 8
/* clang no longer keeps the sums in registers when its loop has these requests. */
#if defined(__clang__)
#define FETCH_AHEAD false
#else
#define FETCH_AHEAD true
#endif

/* The tile of `rows` x `vectors` registers. Both are constants at every call, so that the arrays
 * become registers; `tail` lanes of the last vector are columns of c, 0 for all. */
SFV_INLINE void run_tile(const sfk_tile *tile, int rows, int vectors, int64_t tail)
{
    sfv sums[SFV_TILE_ROWS][SFV_TILE_VECTORS];
    const float *a[SFV_TILE_ROWS];
    const int whole = tail ? vectors - 1 : vectors;
    for (int m = 0; m < rows; m++) {
        float *c = tile->c + m * tile->c_stride;
        a[m] = tile->a + tile->a_rows[m];
        for (int v = 0; v < vectors; v++) {
            if (!tile->accumulate) {
                /* So that the line has come when the sums are stored. */
                __builtin_prefetch(c + v * SFV_LANES, 1);
                sums[m][v] = sfv_set1(tile->bias ? tile->bias[m] : 0.0f);
            } else if (v < whole) {
                sums[m][v] = sfv_load(c + v * SFV_LANES);
            } else {
                sums[m][v] = sfv_load_part(c + v * SFV_LANES, tail);
            }
        }
    }
    for (int64_t k = 0; k < tile->depth; k++) {
        const int64_t a_step = tile->a_steps[k];
        const float *b = tile->b + tile->b_steps[k];
        sfv columns[SFV_TILE_VECTORS];
        for (int v = 0; v < vectors; v++) {
            columns[v] = sfv_load(b + v * SFV_LANES);
        }
        for (int m = 0; m < rows; m++) {
            const sfv weight = sfv_set1(a[m][a_step]);
            for (int v = 0; v < vectors; v++) {
                sums[m][v] = sfv_fma(weight, columns[v], sums[m][v]);
            }
        }
        if (FETCH_AHEAD && k % FETCH_STEPS == 0) {
            for (int m = 0; m < rows; m++) {
                __builtin_prefetch(a[m] + a_step + tile->a_ahead);
            }
        }
    }
    for (int m = 0; m < rows; m++) {
        float *c = tile->c + m * tile->c_stride;
        for (int v = 0; v < vectors; v++) {
            if (v < whole) {
                sfv_store(c + v * SFV_LANES, sums[m][v]);
            } else {
                sfv_store_part(c + v * SFV_LANES, sums[m][v], tail);
            }
        }
    }
}

SFV_INLINE void run_rows(const sfk_tile *tile, int rows)
{
    const int64_t tail = tile->columns % SFV_LANES;
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
