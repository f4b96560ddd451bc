/* SPDX-License-Identifier: BSD-2-Clause */
/* How kernels cut rows and columns into what fits registers and caches. */
#ifndef SFK_CUTS_H
#define SFK_CUTS_H

#include "vec.h"

SFV_INLINE int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

SFV_INLINE int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Rows in blocks of nearly equal height: the first `higher` are a row higher. */
typedef struct row_cut {
    int64_t blocks;
    int64_t height;
    int64_t higher;
} row_cut;

SFV_INLINE row_cut cut_rows(int64_t rows, int64_t most)
{
    const int64_t blocks = (rows + most - 1) / most;
    return (row_cut){blocks, rows / blocks, rows % blocks};
}

/* Lanes of vector v that are wanted, where of the last of `vectors` only `tail` are; 0: all. */
SFV_INLINE int64_t lanes_of_vector(int v, int vectors, int64_t tail)
{
    return tail && v == vectors - 1 ? tail : SFV_LANES;
}

/* `count` elements, which may be more than a vector; none, or fewer: zeros. */
SFV_INLINE sfv load_some(const float *from, int64_t count)
{
    return count > 0 ? sfv_load_lanes(from, smaller(count, SFV_LANES)) : sfv_zero();
}

#endif
