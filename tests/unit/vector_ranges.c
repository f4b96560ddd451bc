/* SPDX-License-Identifier: BSD-2-Clause */
/* Parts of vectors of the instruction set that is compiled, for test_vectors.c. */
#include "vec.h"

void SFK_NAME(load_onto)(float *to, const float *from, int64_t first, int64_t end);
void SFK_NAME(load_set)(float *to, const float *from, uint32_t lanes);
void SFK_NAME(store_range)(float *to, const float *value, int64_t first, int64_t end);

void SFK_NAME(load_onto)(float *to, const float *from, int64_t first, int64_t end)
{
    sfv_store(to, sfv_load_onto(sfv_load(to), from, first, end));
}

void SFK_NAME(load_set)(float *to, const float *from, uint32_t lanes)
{
    sfv_store(to, sfv_load_set(sfv_load(to), from, lanes));
}

void SFK_NAME(store_range)(float *to, const float *value, int64_t first, int64_t end)
{
    sfv_store_range(to, sfv_load(value), first, end);
}
