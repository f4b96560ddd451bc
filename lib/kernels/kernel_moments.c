/* SPDX-License-Identifier: BSD-2-Clause */
#include "cuts.h"
#include "sums.h"

#include <string.h>

/* Running sums of a product. */
#define SUMS 8
#define PER_SUMS (SUMS / SFD_LANES)
/* Products that stay in registers together. */
#if SFD_LANES > 4
#define TILE_ROWS 4
#define TILE_COLUMNS 6
#else
#define TILE_ROWS 2
#define TILE_COLUMNS 3
#endif
/* Taps that stay in the nearest cache as doubles, and those that pass by. Multiples of both sides
 * of the tile. */
#define PANEL 24
#define PASSING 6

typedef struct panel {
    int64_t first;
    int64_t rows;
    double values[PANEL][SFK_MOMENT_BLOCK];
} panel;

/* A row as doubles, zeros up to the next multiple of SUMS, and its sum. */
SFV_INLINE double widen(double *to, const float *from, int64_t count)
{
    const int64_t whole = count / SUMS * SUMS;
    sfd sums[PER_SUMS] = {0};
    float rest[SUMS] = {0};
    memcpy(rest, from + whole, (size_t)(count - whole) * sizeof *rest);
    for (int64_t n = 0; n < count; n += SUMS) {
        const float *at = n < whole ? from + n : rest;
        for (int v = 0; v < PER_SUMS; v++) {
            const sfd value = sfd_from_floats(at + v * SFD_LANES);
            sfd_store(to + n + v * SFD_LANES, value);
            sums[v] += value;
        }
    }
    return sfd_join(sums, PER_SUMS);
}

/* `sums`: NULL where they are known already. */
SFV_INLINE void fill_panel(panel *to, double *sums, const float *const *taps, int64_t first,
                           int64_t count)
{
    for (int64_t i = 0; i < to->rows; i++) {
        const double sum = widen(to->values[i], taps[to->first + i] + first, count);
        if (sums) {
            sums[to->first + i] += sum;
        }
    }
}

/* The products of rows i and columns j of two panels onwards; those below the diagonal and behind
 * the last row are thrown away. */
SFV_INLINE void add_tile(double *products, int64_t depth, const panel *left, int64_t i,
                         const panel *right, int64_t j, int64_t count)
{
    sfd sums[TILE_ROWS][TILE_COLUMNS][PER_SUMS] = {0};
    const double *rows[TILE_ROWS];
    const double *columns[TILE_COLUMNS];
    for (int r = 0; r < TILE_ROWS; r++) {
        rows[r] = left->values[i + r < left->rows ? i + r : i];
    }
    for (int c = 0; c < TILE_COLUMNS; c++) {
        columns[c] = right->values[j + c < right->rows ? j + c : j];
    }
    for (int64_t n = 0; n < count; n += SUMS) {
        for (int v = 0; v < PER_SUMS; v++) {
            const int64_t at = n + v * SFD_LANES;
            sfd factors[TILE_ROWS];
            for (int r = 0; r < TILE_ROWS; r++) {
                factors[r] = sfd_load(rows[r] + at);
            }
            for (int c = 0; c < TILE_COLUMNS; c++) {
                sfd column = sfd_load(columns[c] + at);
                SFV_KEEP(column);
                for (int r = 0; r < TILE_ROWS; r++) {
                    sums[r][c][v] = sfd_add_exact_product(factors[r], column, sums[r][c][v]);
                }
            }
        }
    }
    double totals[TILE_ROWS][TILE_COLUMNS];
    for (int r = 0; r < TILE_ROWS; r++) {
        for (int c = 0; c < TILE_COLUMNS; c++) {
            totals[r][c] = sfd_join(sums[r][c], PER_SUMS);
        }
    }
    for (int r = 0; r < TILE_ROWS && i + r < left->rows; r++) {
        const int64_t row = left->first + i + r;
        for (int c = 0; c < TILE_COLUMNS && j + c < right->rows; c++) {
            const int64_t column = right->first + j + c;
            if (row <= column) {
                products[row * depth + column] += totals[r][c];
            }
        }
    }
}

SFV_INLINE void add_panels(double *products, int64_t depth, const panel *left, const panel *right,
                           int64_t count)
{
    for (int64_t i = 0; i < left->rows; i += TILE_ROWS) {
        for (int64_t j = left == right ? i : 0; j < right->rows; j += TILE_COLUMNS) {
            add_tile(products, depth, left, i, right, j, count);
        }
    }
}

void SFK_NAME(moments)(double *products, double *sums, const float *const *taps, int64_t first,
                       int64_t depth, int64_t count)
{
    panel left;
    panel right;
    for (int64_t n = 0; n < count; n += SFK_MOMENT_BLOCK) {
        const int64_t pixels = smaller(SFK_MOMENT_BLOCK, count - n);
        for (left.first = 0; left.first < depth; left.first += PANEL) {
            left.rows = smaller(PANEL, depth - left.first);
            fill_panel(&left, sums, taps, first + n, pixels);
            add_panels(products, depth, &left, &left, pixels);
            for (right.first = left.first + PANEL; right.first < depth; right.first += PASSING) {
                right.rows = smaller(PASSING, depth - right.first);
                fill_panel(&right, NULL, taps, first + n, pixels);
                add_panels(products, depth, &left, &right, pixels);
            }
        }
    }
}
