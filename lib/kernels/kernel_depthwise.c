/* SPDX-License-Identifier: BSD-2-Clause */
#include "vec.h"

/* `vectors` is a constant at every call: the sums are registers. */
SFV_INLINE void sum_columns(float *out, const float *const *rows, const float *weights,
                            int64_t taps, int64_t x, int vectors)
{
    sfv sums[4];
    for (int v = 0; v < vectors; v++) {
        sums[v] = sfv_zero();
    }
    for (int64_t t = 0; t < taps; t++) {
        const sfv weight = sfv_set1(weights[t]);
        for (int v = 0; v < vectors; v++) {
            sums[v] = sfv_fma(weight, sfv_load(rows[t] + x + v * SFV_LANES), sums[v]);
        }
    }
    for (int v = 0; v < vectors; v++) {
        sfv_store(out + x + v * SFV_LANES, sums[v]);
    }
}

void SFK_NAME(weighted_rows)(float *out, const float *const *rows, const float *weights,
                             int64_t taps, int64_t count)
{
    int64_t x = 0;
    for (; x + 4 * SFV_LANES <= count; x += 4 * SFV_LANES) {
        sum_columns(out, rows, weights, taps, x, 4);
    }
    for (; x + SFV_LANES <= count; x += SFV_LANES) {
        sum_columns(out, rows, weights, taps, x, 1);
    }
    if (x < count) {
        sfv sum = sfv_zero();
        for (int64_t t = 0; t < taps; t++) {
            sum = sfv_fma(sfv_set1(weights[t]), sfv_load_part(rows[t] + x, count - x), sum);
        }
        sfv_store_part(out + x, sum, count - x);
    }
}

/* Taps that are summed side by side, as each alone waits for its own additions; `taps` is a
 * constant at every call. */
SFV_INLINE void multiply_taps(double *products, const float *const *rows, const float *row,
                              int64_t count, int taps)
{
    const int64_t whole = count / SFV_SUMS * SFV_SUMS;
    sfv sums[4][SFV_PER_16];
    float ends[4];
    for (int t = 0; t < taps; t++) {
        for (int v = 0; v < SFV_PER_16; v++) {
            sums[t][v] = sfv_zero();
        }
    }
    for (int64_t x = 0; x < whole; x += SFV_SUMS) {
        SFV_UNROLL
        for (int v = 0; v < SFV_PER_16; v++) {
            const int64_t at = x + v * SFV_LANES;
            const sfv value = sfv_load(row + at);
            SFV_UNROLL
            for (int t = 0; t < taps; t++) {
                sums[t][v] = sfv_fma(value, sfv_load(rows[t] + at), sums[t][v]);
            }
        }
    }
    for (int t = 0; t < taps; t++) {
        ends[t] = sfv_sum16(sums[t]);
    }
    for (int64_t x = whole; x < count; x++) {
        for (int t = 0; t < taps; t++) {
            ends[t] = __builtin_fmaf(row[x], rows[t][x], ends[t]);
        }
    }
    for (int t = 0; t < taps; t++) {
        products[t] += (double)ends[t];
    }
}

void SFK_NAME(row_products)(double *products, const float *const *rows, const float *row,
                            int64_t taps, int64_t count)
{
    int64_t t = 0;
    for (; t + 4 <= taps; t += 4) {
        multiply_taps(products + t, rows + t, row, count, 4);
    }
    for (; t + 3 <= taps; t += 3) {
        multiply_taps(products + t, rows + t, row, count, 3);
    }
    for (; t < taps; t++) {
        multiply_taps(products + t, rows + t, row, count, 1);
    }
}
