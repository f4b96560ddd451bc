/* SPDX-License-Identifier: BSD-2-Clause */
/* Products of small matrices in double, from float matrices. The order of each sum is the order of
 * the rows (or of the inner index), whatever the machine and the number of workers. A product of
 * two floats is exact in double, so that the Gram matrix has the same bits with and without fused
 * multiply-add; the other sums round product and sum apart, for the same reason. */
#ifndef SFI_PRODUCTS_H
#define SFI_PRODUCTS_H

#include "ctx.h"
#include "kernels.h"

#include <stdbool.h>

/* Lanes of one strip of columns. */
#define SFI_STRIP SFK_DOUBLE_COLUMNS

/* `cols` rounded up to whole strips: the pitch of the padded matrices below. */
static inline int64_t sfi_pitch(int64_t cols)
{
    return (cols + SFI_STRIP - 1) / SFI_STRIP * SFI_STRIP;
}

/* gram (cols x cols) = matrixᵀ * matrix, matrix rows x cols. Never overflows: squares of floats fit
 * double. NaN or infinity in the matrix shows on the diagonal. */
void sfi_gram(sfconv_context *context, int64_t rows, int64_t cols, const float *matrix,
              double *gram);

/* Whether all elements of a Gram matrix's diagonal are finite: then so is the matrix it came from.
 */
bool sfi_gram_is_finite(int64_t cols, const double *gram);

/* result (n x n) = vectorsᵀ * diag(weights) * vectors, vectors n x n. On the calling thread. */
void sfi_weighted_gram(const sfk_table *kernels, int64_t n, const double *vectors,
                       const double *weights, double *result);

/* right (inner x cols, contiguous) into a padded copy of pitch sfi_pitch(cols), zeros behind. */
void sfi_pad_columns(int64_t inner, int64_t cols, const double *right, double *padded);

/* result (rows x cols) += scale * left (rows x inner) * right (inner x cols, of pitch
 * sfi_pitch(cols)). */
void sfi_add_product(sfconv_context *context, int64_t rows, int64_t inner, int64_t cols,
                     double scale, const float *left, const double *right, float *result);

/* Sum of a[i] * b[i] in 16 virtual lanes. */
double sfi_dot(int64_t count, const double *a, const double *b);

#endif
