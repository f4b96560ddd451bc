/* SPDX-License-Identifier: BSD-2-Clause */
/* Random floats of mean 0 and deviation 1 by the million. */
#ifndef SFCONV_TESTS_RANDOM_VALUES_H
#define SFCONV_TESTS_RANDOM_VALUES_H

#include "random.h"

#include <stdint.h>

/* The sum of four uniform numbers of 16 bits: close to the normal distribution, and a tenth of the
   time of sfi_random_normal(), which is most of a kernel test's under sanitizers. */
static inline void fill_random(float *values, int64_t count, sfi_random random)
{
    const float mean = 2 * 65535;
    const float deviation = 37837.2f; /* 2^16 / sqrt(3) */
    for (int64_t i = 0; i < count; i++) {
        const uint64_t bits = sfi_random_bits(random, (uint64_t)i);
        const uint64_t sum =
            (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
        values[i] = ((float)sum - mean) / deviation;
    }
}

#endif
