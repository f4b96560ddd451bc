/* SPDX-License-Identifier: BSD-2-Clause */
/* Spectral norm sigma of a product P Q by power iteration through the factors, with a left vector u
 * that is a parameter: sigma is a function of P, Q and u alone, so that evaluation, which iterates
 * no further, is pure and agrees with the last step of training. */
#ifndef SFI_SIGMA_H
#define SFI_SIGMA_H

#include "ctx.h"
#include "decay.h"

/* What a pass leaves for its backward. */
typedef struct sfi_sigma {
    double sigma;
    double *u; /* p_rows, unit */
    double *v; /* q_cols, unit: Wᵀu / |Wᵀu| */
} sfi_sigma;

/* Bytes that hold a sfi_sigma's vectors and the working room; false on overflow. One block may
 * serve forward and backward, and must live from one to the other. */
bool sfi_sigma_scratch(int64_t *bytes, int64_t p_rows, int64_t q_cols, int64_t rank);

/* `iterations` times v = Wᵀu / |Wᵀu|, u = W v / |W v|; then v once more and sigma = |Wᵀu|.
 * `u` (p_rows floats, not zero) is read and, when iterations > 0, written. Divide the weights by
 * sigma->sigma. Allocates nothing. Returns OK, or NUMERIC (NaN or infinity in a factor or in u, a
 * norm of zero); then u is what it was and sigma->sigma what was found. The reason is the caller's
 * to give, if the call fails of it. */
sfconv_status sfi_sigma_forward(const sfi_factors *factors, int32_t iterations, float *u,
                                sfi_sigma *sigma, void *scratch);

/* The layer computed with P / sigma and Q. From the gradient with respect to P / sigma (p_rows x
 * rank) adds to those of P and Qᵀ what runs through P and through sigma, with u and v constant:
 *   gradient_p  += effective / sigma - c u (Q v)ᵀ,   gradient_qt -= c v (Pᵀu)ᵀ,
 *   c = <effective, P> / sigma².
 * What runs through Q outside sigma is the layer's own. Arrays do not overlap; `scratch` is that of
 * the forward pass. */
void sfi_sigma_backward(const sfi_factors *factors, const sfi_sigma *sigma, const float *effective,
                        float *gradient_p, float *gradient_qt, void *scratch);

#endif
