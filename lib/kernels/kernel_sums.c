/* SPDX-License-Identifier: BSD-2-Clause */
#include "vec.h"

void SFK_NAME(add_to)(float *to, const float *from, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        to[i] += from[i];
    }
}
