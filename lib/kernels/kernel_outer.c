/* SPDX-License-Identifier: BSD-2-Clause */
#include "vec.h"

/* Rows of sums beside one, two and three vectors of columns: as many chains as hide the latency of
 * fma, and no more row pointers than there are registers for addresses. */
#define ROWS_OF_ONE 10
#if SFV_TILE_ROWS > 6
#define ROWS_OF_TWO 8
#define ROWS_OF_THREE 8
#else
#define ROWS_OF_TWO 6
#define ROWS_OF_THREE 4
#endif
/* Few rows have as many sums beside four vectors. */
#define ROWS_OF_FOUR 3
#define MAX_VECTORS 4

typedef sfv outer_sums[ROWS_OF_ONE][MAX_VECTORS];

/* Where the sums start; `tail` lanes of the last vector are columns, 0 for all. */
SFV_INLINE void start_tile(outer_sums sums, const float *to, int64_t stride, int rows, int vectors,
                           int64_t tail)
{
    const int whole = tail ? vectors - 1 : vectors;
    for (int m = 0; m < rows; m++, to += stride) {
        for (int v = 0; v < whole; v++) {
            sums[m][v] = sfv_load(to + v * SFV_LANES);
        }
        if (tail) {
            sums[m][whole] = sfv_load_part(to + whole * SFV_LANES, tail);
        }
    }
}

SFV_INLINE void store_tile(float *to, int64_t stride, outer_sums sums, int rows, int vectors,
                           int64_t tail)
{
    const int whole = tail ? vectors - 1 : vectors;
    for (int m = 0; m < rows; m++, to += stride) {
        for (int v = 0; v < whole; v++) {
            sfv_store(to + v * SFV_LANES, sums[m][v]);
        }
        if (tail) {
            sfv_store_part(to + whole * SFV_LANES, sums[m][whole], tail);
        }
    }
}

/* A tile of `rows` x `vectors` registers, both constants at every call. */
SFV_INLINE void run_tile(const sfk_outer *outer, int64_t row, int64_t column, int rows, int vectors,
                         int64_t tail)
{
    outer_sums sums;
    const float *left[ROWS_OF_ONE];
    const int64_t stride = outer->to_stride;
    float *to = outer->to + row * stride + column;
    for (int m = 0; m < rows; m++) {
        left[m] = outer->left[row + m] + outer->left_first;
        for (int v = 0; v < vectors; v++) {
            sums[m][v] = sfv_zero();
        }
    }
    if (outer->accumulate && tail) {
        start_tile(sums, to, stride, rows, vectors, tail);
    } else if (outer->accumulate) {
        start_tile(sums, to, stride, rows, vectors, 0);
    }
    const float *right = outer->right + column;
    for (int64_t n = 0; n < outer->depth; n++) {
        sfv columns[MAX_VECTORS];
        for (int v = 0; v < vectors; v++) {
            columns[v] = sfv_load(right + v * SFV_LANES);
        }
        right += outer->right_stride;
        for (int m = 0; m < rows; m++) {
            const sfv factor = sfv_set1(left[m][n]);
            for (int v = 0; v < vectors; v++) {
                sums[m][v] = sfv_fma(factor, columns[v], sums[m][v]);
            }
        }
    }
    if (tail) {
        store_tile(to, stride, sums, rows, vectors, tail);
    } else {
        store_tile(to, stride, sums, rows, vectors, 0);
    }
}

/* A tile of `rows` <= `most` rows. `most` is a constant at every call: higher tiles are not
 * compiled. */
SFV_INLINE void run_height(const sfk_outer *outer, int64_t row, int64_t column, int64_t rows,
                           int most, int vectors, int64_t tail)
{
    switch (rows) {
    case 10:
        if (most >= 10) {
            run_tile(outer, row, column, 10, vectors, tail);
        }
        break;
    case 9:
        if (most >= 9) {
            run_tile(outer, row, column, 9, vectors, tail);
        }
        break;
    case 8:
        if (most >= 8) {
            run_tile(outer, row, column, 8, vectors, tail);
        }
        break;
    case 7:
        if (most >= 7) {
            run_tile(outer, row, column, 7, vectors, tail);
        }
        break;
    case 6:
        if (most >= 6) {
            run_tile(outer, row, column, 6, vectors, tail);
        }
        break;
    case 5:
        if (most >= 5) {
            run_tile(outer, row, column, 5, vectors, tail);
        }
        break;
    case 4:
        if (most >= 4) {
            run_tile(outer, row, column, 4, vectors, tail);
        }
        break;
    case 3:
        run_tile(outer, row, column, 3, vectors, tail);
        break;
    case 2:
        run_tile(outer, row, column, 2, vectors, tail);
        break;
    default:
        run_tile(outer, row, column, 1, vectors, tail);
    }
}

/* The rows in tiles of nearly equal height, `most` or less. */
SFV_INLINE void run_rows(const sfk_outer *outer, int64_t column, int most, int vectors,
                         int64_t tail)
{
    const int64_t tiles = (outer->rows + most - 1) / most;
    int64_t row = 0;
    for (int64_t tile = 0; tile < tiles; tile++) {
        const int64_t rows = (outer->rows - row + tiles - tile - 1) / (tiles - tile);
        run_height(outer, row, column, rows, most, vectors, tail);
        row += rows;
    }
}

void SFK_NAME(strip_outer)(const sfk_outer *outer)
{
    int64_t column = 0;
    while (column < outer->columns) {
        const int64_t rest = outer->columns - column;
        const int64_t vectors = (rest + SFV_LANES - 1) / SFV_LANES;
        if (vectors >= 4 && rest >= 4 * SFV_LANES && outer->rows <= ROWS_OF_FOUR) {
            run_rows(outer, column, ROWS_OF_FOUR, 4, 0);
            column += 4 * SFV_LANES;
            continue;
        }
        /* Four vectors are two twos. */
        switch (vectors == 4 ? 2 : vectors) {
        case 1:
            run_rows(outer, column, ROWS_OF_ONE, 1, rest % SFV_LANES);
            return;
        case 2:
            run_rows(outer, column, ROWS_OF_TWO, 2, vectors == 2 ? rest % SFV_LANES : 0);
            column += 2 * SFV_LANES;
            break;
        default:
            run_rows(outer, column, ROWS_OF_THREE, 3, vectors == 3 ? rest % SFV_LANES : 0);
            column += 3 * SFV_LANES;
        }
    }
}
