/* SPDX-License-Identifier: BSD-2-Clause */
/* How far the singular values of a matrix are from being equal: the Kullback-Leibler divergence
 * between p = s / sum(s) and the uniform distribution u of r = cols numbers. Both directions are 0
 * for equal values and do not change when the matrix is scaled. */
#ifndef SFI_KL_H
#define SFI_KL_H

#include "factor_view.h"
#include "svd.h"

typedef enum sfi_kl_direction {
    SFI_KL_FORWARD, /* KL(p || u) = log r + sum p log p: at most log r, at rank one */
    SFI_KL_REVERSE  /* KL(u || p) = -log r - (1/r) sum log p */
} sfi_kl_direction;

/* Where p enters a logarithm or a denominator it counts as at least this: about ten times what the
 * Gram matrix makes of a singular value that is zero. Below it the reverse divergence stays where
 * it is, and a gradient's part fades with p itself, so that the arbitrary left vector of a zero
 * singular value never shows. */
#define SFI_KL_FLOOR 0x1p-20

/* The divergence of a state that is ready. One column that is not zero: 0.
 * Errors: NUMERIC (all singular values are zero: p is not defined). */
sfconv_status sfi_kl_value(sfconv_context *context, const sfi_svd *svd, sfi_kl_direction direction,
                           double *value);

/* gradient += scale * dKL/dmatrix (rows x cols), for the matrix that the state was taken from:
 * matrix * V diag(dKL/ds / s) Vᵀ. One column: adds nothing.
 * `scratch` is that of sfi_svd_scratch(), either method. Allocates nothing.
 * Errors: NUMERIC (all singular values are zero, or the gradient is beyond float: values below
 * about 1e-37); then gradient is what it was. */
sfconv_status sfi_kl_add_gradient(sfconv_context *context, const sfi_svd *svd,
                                  sfi_kl_direction direction, double scale, int64_t rows,
                                  const float *matrix, float *gradient, void *scratch);

/* Up to this condition number the gradient of sfi_kl_evaluate() is summed in float: the error is
 * some 1e-7 of its norm times the condition number. Beyond, and where floats would leave their
 * range, in double. */
#define SFI_KL_SINGLE 16.0

/* From this rank on sfi_kl_evaluate() tries the series of kl_series.h first; smaller matrices are
 * decomposed as soon. */
#define SFI_KL_LEAST_SERIES 12

/* Bytes of scratch for sfi_kl_evaluate(); false on overflow. */
bool sfi_kl_scratch(int64_t *bytes, const sfi_factor_view *view);

/* The whole term of one factor by its Gram matrix: *value = KL and, where not NULL,
 * gradient += scale * dKL/dweight in the order of the weight. By series where that serves, else by
 * decomposition; docs/mathematics.md says how accurate either is. On the calling thread alone,
 * without a context, so that factors can be shared out; the same bits everywhere. Returns NULL, or
 * the reason of a NUMERIC failure (not finite, all zero, no convergence, a gradient beyond float);
 * then gradient is what it was. Allocates nothing. */
const char *sfi_kl_evaluate(const sfk_table *kernels, const sfi_factor_view *view,
                            sfi_kl_direction direction, double scale, double *value,
                            float *gradient, void *scratch);

#endif
