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
    for (; x < count; x++) {
        float sum = 0.0f;
        for (int64_t t = 0; t < taps; t++) {
            sum = __builtin_fmaf(weights[t], rows[t][x], sum);
        }
        out[x] = sum;
    }
}

void SFK_NAME(row_products)(double *products, const float *const *rows, const float *row,
                            int64_t taps, int64_t count)
{
    const int64_t whole = count / SFV_SUMS * SFV_SUMS;
    for (int64_t t = 0; t < taps; t++) {
        const float *other = rows[t];
        sfv sums[SFV_PER_16];
        for (int v = 0; v < SFV_PER_16; v++) {
            sums[v] = sfv_zero();
        }
        for (int64_t x = 0; x < whole; x += SFV_SUMS) {
            for (int v = 0; v < SFV_PER_16; v++) {
                const int64_t at = x + v * SFV_LANES;
                sums[v] = sfv_fma(sfv_load(row + at), sfv_load(other + at), sums[v]);
            }
        }
        float sum = sfv_sum16(sums);
        for (int64_t x = whole; x < count; x++) {
            sum = __builtin_fmaf(row[x], other[x], sum);
        }
        products[t] += (double)sum;
    }
}
