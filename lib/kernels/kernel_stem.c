/* SPDX-License-Identifier: BSD-2-Clause */
/* Sums over the patches of an image that a stem passes over, in training. */
#include "sums.h"

/* Rows of a tile; its sums stay in registers. */
#define LEFT_ROWS 6
#define PATCH_ROWS 8
#define PATCH_VECTORS (SFV_LANES < SFK_PATCH_COLUMNS ? SFK_PATCH_COLUMNS / SFV_LANES : 1)

/* `rows` is a constant at every call. */
SFV_INLINE void add_lags(const sfk_lags *lags, int64_t first, int64_t rows)
{
    sfv sums[LEFT_ROWS][SFV_PER_16];
    for (int64_t m = 0; m < rows; m++) {
        for (int v = 0; v < SFV_PER_16; v++) {
            sums[m][v] = sfv_zero();
        }
    }
    for (int64_t k = 0; k < lags->count; k++) {
        sfv right[SFV_PER_16];
        for (int v = 0; v < SFV_PER_16; v++) {
            right[v] = sfv_load(lags->right + k * lags->right_step + v * SFV_LANES);
        }
        for (int64_t m = 0; m < rows; m++) {
            const sfv left = sfv_set1(lags->left[first + m][k * lags->left_step]);
            for (int v = 0; v < SFV_PER_16; v++) {
                sums[m][v] = sfv_fma(left, right[v], sums[m][v]);
            }
        }
    }
    for (int64_t m = 0; m < rows; m++) {
        float row[SFK_LAGS];
        for (int v = 0; v < SFV_PER_16; v++) {
            sfv_store(row + v * SFV_LANES, sums[m][v]);
        }
        double *to = lags->to + (first + m) * SFK_LAGS;
        for (int lag = 0; lag < SFK_LAGS; lag += SFD_LANES) {
            sfd_store(to + lag, sfd_load(to + lag) + sfd_from_floats(row + lag));
        }
    }
}

void SFK_NAME(lag_products)(const sfk_lags *lags)
{
    int64_t row = 0;
    for (; row + LEFT_ROWS <= lags->rows; row += LEFT_ROWS) {
        add_lags(lags, row, LEFT_ROWS);
    }
    for (; row + 2 <= lags->rows; row += 2) {
        add_lags(lags, row, 2);
    }
    for (; row < lags->rows; row++) {
        add_lags(lags, row, 1);
    }
}

SFV_INLINE sfv load_columns(const float *from)
{
    return SFV_LANES > SFK_PATCH_COLUMNS ? sfv_load_part(from, SFK_PATCH_COLUMNS) : sfv_load(from);
}

SFV_INLINE void store_columns(float *to, sfv value)
{
    if (SFV_LANES > SFK_PATCH_COLUMNS) {
        sfv_store_part(to, value, SFK_PATCH_COLUMNS);
    } else {
        sfv_store(to, value);
    }
}

/* `rows` is a constant at every call. */
SFV_INLINE void add_rows(const sfk_patches *patches, int64_t first, int64_t rows)
{
    sfv sums[PATCH_ROWS][PATCH_VECTORS];
    const float *from = patches->from + first * patches->pitch;
    float *to = patches->to + first * SFK_PATCH_COLUMNS;
    for (int64_t row = 0; row < rows; row++) {
        for (int v = 0; v < PATCH_VECTORS; v++) {
            sums[row][v] = load_columns(to + row * SFK_PATCH_COLUMNS + v * SFV_LANES);
        }
    }
    for (int64_t n = 0; n < patches->count; n++) {
        const sfv factor = sfv_set1(patches->factors[n]);
        const float *patch = from + patches->places[n];
        for (int64_t row = 0; row < rows; row++) {
            for (int v = 0; v < PATCH_VECTORS; v++) {
                sums[row][v] = sfv_fma(
                    factor, sfv_load(patch + row * patches->pitch + v * SFV_LANES), sums[row][v]);
            }
        }
    }
    for (int64_t row = 0; row < rows; row++) {
        for (int v = 0; v < PATCH_VECTORS; v++) {
            store_columns(to + row * SFK_PATCH_COLUMNS + v * SFV_LANES, sums[row][v]);
        }
    }
}

void SFK_NAME(add_patches)(const sfk_patches *patches)
{
    int64_t row = 0;
    for (; row + PATCH_ROWS <= patches->rows; row += PATCH_ROWS) {
        add_rows(patches, row, PATCH_ROWS);
    }
    if (patches->rows - row == 7) {
        add_rows(patches, row, 7);
        return;
    }
    if (patches->rows - row >= 5) {
        add_rows(patches, row, 5);
        row += 5;
    }
    if (patches->rows - row >= 3) {
        add_rows(patches, row, 3);
        row += 3;
    }
    for (; row < patches->rows; row++) {
        add_rows(patches, row, 1);
    }
}
