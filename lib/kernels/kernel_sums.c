/* SPDX-License-Identifier: BSD-2-Clause */
#include "vec.h"

void SFK_NAME(add_to)(float *to, const float *from, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        to[i] += from[i];
    }
}

void SFK_NAME(sum)(float *total, const float *x, int64_t count)
{
    sfv sums[SFV_PER_16];
    int64_t i = 0;
    for (int v = 0; v < SFV_PER_16; v++) {
        sums[v] = sfv_zero();
    }
    for (; i + SFV_SUMS <= count; i += SFV_SUMS) {
        for (int v = 0; v < SFV_PER_16; v++) {
            sums[v] = sfv_add(sums[v], sfv_load(x + i + v * SFV_LANES));
        }
    }
    float last[SFV_SUMS] = {0};
    for (int64_t j = i; j < count; j++) {
        last[j - i] = x[j];
    }
    for (int v = 0; v < SFV_PER_16; v++) {
        sums[v] = sfv_add(sums[v], sfv_load(last + v * SFV_LANES));
    }
    *total = sfv_sum16(sums);
}
