/* SPDX-License-Identifier: BSD-2-Clause */
/* Symmetric matrices of floats whose products are symmetric, as those of polynomials of one matrix
 * are: only what lies on and above the diagonal is computed, the rest is its mirror image. Row i of
 * an n x n matrix begins at i * pitch; what lies between n and pitch is zero. */
#ifndef SFI_SYMMETRIC_H
#define SFI_SYMMETRIC_H

#include "kernels.h"

#include <stdbool.h>
#include <stdint.h>

/* Whole vectors, and an odd number of cache lines, so that rows do not share their places. */
static inline int64_t sfi_symmetric_pitch(int64_t n)
{
    return ((n + 15) / 16 | 1) * 16;
}

/* Floats of a matrix, with what a kernel may read behind its end. */
static inline int64_t sfi_symmetric_size(int64_t n)
{
    return n * sfi_symmetric_pitch(n) + SFK_SLACK;
}

/* Elements below the diagonal from those above. */
void sfi_symmetric_mirror(const sfk_table *kernels, int64_t n, float *matrix);
void sfi_symmetric_mirror_double(int64_t n, double *matrix, int64_t pitch);

/* result = leftᵀ * right, or += where `accumulate`, each element one chain over the `depth` rows of
 * both: the part on and above the diagonal, and what else its tiles hold. `steps` is room for
 * `depth`. */
void sfi_symmetric_multiply(const sfk_table *kernels, int64_t n, int64_t depth, const float *left,
                            const float *right, bool accumulate, float *result, int64_t *steps);

#endif
