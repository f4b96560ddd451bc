/* SPDX-License-Identifier: BSD-2-Clause */
/* The KL term of a factor whose singular values are not far apart, without its decomposition: value
 * and gradient are functions of the Gram matrix, which Chebyshev polynomials give. */
#ifndef SFI_KL_SERIES_H
#define SFI_KL_SERIES_H

#include "chebyshev.h"
#include "kl.h"

/* *value = KL and, where `core` is not NULL, *core = the matrix of floats (symmetric.h) with
 *   scale * dKL/dM = M * core.
 * gram: n x n, whole. What `core` points to lives in `scratch`, which is sfi_chebyshev_scratch()'s.
 * False where the spectrum is too wide, or the numbers too large or too small for floats; then
 * nothing is written. */
bool sfi_kl_by_series(const sfk_table *kernels, int64_t n, const double *gram,
                      sfi_kl_direction direction, double scale, double *value, const float **core,
                      void *scratch);

#endif
