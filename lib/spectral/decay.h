/* SPDX-License-Identifier: BSD-2-Clause */
/* Frobenius decay of a product (Khodak et al., ICLR 2021): half the squared Frobenius norm of P Q
 * in place of weight decay on the factors. P is p_rows x rank, qt is Q transposed, q_cols x rank.
 * The product is never formed: all comes from the two Gram matrices PᵀP and Q Qᵀ. */
#ifndef SFI_DECAY_H
#define SFI_DECAY_H

#include "ctx.h"

#include <stdbool.h>

struct sfi_factors {
    int64_t p_rows;
    int64_t q_cols;
    int64_t rank;
    const float *p;  /* p_rows x rank */
    const float *qt; /* q_cols x rank: Q transposed */
};

/* Bytes of scratch; false on overflow. */
bool sfi_decay_scratch(int64_t *bytes, int64_t rank);

/* *value = 1/2 ||P Q||²; gradient_p += scale * P Q Qᵀ and gradient_qt += scale * Qᵀ PᵀP (shapes of
 * p and qt); both gradients NULL: only the value. Allocates nothing.
 * Errors: NUMERIC (NaN or infinity in a factor, a gradient that may be beyond float); then nothing
 * has changed. */
sfconv_status sfi_decay(sfconv_context *context, const struct sfi_factors *factors, double scale,
                        double *value, float *gradient_p, float *gradient_qt, void *scratch);

#endif
