/* SPDX-License-Identifier: BSD-2-Clause */
/* Thin doors to LAPACK, in double, row-major. All memory is the caller's or the context's: the
 * _work variants of LAPACKE allocate nothing. The number of BLAS threads is the host's business and
 * is never touched. Bits may differ between machines: what promises bits goes through spectral/'s
 * own eigensolver. */
#ifndef SFI_LINALG_H
#define SFI_LINALG_H

#include "ctx.h"

#include <stdbool.h>

/* Bytes of scratch that sfi_thin_svd() needs for rows x cols; false when the size is beyond
 * LAPACK's 32-bit numbers. */
bool sfi_thin_svd_scratch(int64_t *bytes, int64_t rows, int64_t cols);

/* matrix (rows x cols, destroyed) = left * diag(values) * right, k = min(rows, cols): left rows x
 * k, values k in descending order, right k x cols. The input must be finite. Errors: OVERFLOW
 * (size), NUMERIC (no convergence). Allocates nothing. */
sfconv_status sfi_thin_svd(sfconv_context *context, int64_t rows, int64_t cols, double *matrix,
                           double *values, double *left, double *right, void *scratch);

/* Bytes of scratch that sfi_leading_eigen() needs; false as above. */
bool sfi_leading_eigen_scratch(int64_t *bytes, int64_t n, int64_t count);

/* The `count` largest eigenvalues of a symmetric matrix (n x n, finite, destroyed), ascending, and
 * their unit eigenvectors, the rows of vectors (count x n). `values` has room for n. Errors:
 * OVERFLOW (size), NUMERIC (no convergence). Allocates nothing. */
sfconv_status sfi_leading_eigen(sfconv_context *context, int64_t n, int64_t count, double *matrix,
                                double *values, double *vectors, void *scratch);

/* matrix (rows x cols, rows >= cols) becomes an orthonormal basis q of the same shape, and
 * q * upper (cols x cols, zero below the diagonal) is what it was. Columns of q are orthonormal
 * whatever the rank.
 * Errors: OVERFLOW (size), MEMORY, NUMERIC. */
sfconv_status sfi_thin_qr(sfconv_context *context, int64_t rows, int64_t cols, double *matrix,
                          double *upper);

/* result (rows x cols) = left (rows x inner) * right (inner x cols), or * rightᵀ (cols x inner)
 * when `transposed`. Sizes are those of matrices that passed one of the calls above. */
void sfi_dense_product(int64_t rows, int64_t inner, int64_t cols, const double *left,
                       const double *right, bool transposed, double *result);

#endif
