/* SPDX-License-Identifier: BSD-2-Clause */
/* Frobenius decay of a product (Khodak et al., ICLR 2021): half the squared Frobenius norm of P Q
 * in place of weight decay on the factors. P is p_rows x rank, qt is Q transposed, q_cols x rank.
 * The product is never formed: all comes from the two Gram matrices PᵀP and Q Qᵀ. */
#ifndef SFI_DECAY_H
#define SFI_DECAY_H

#include "factor_view.h"

#include <stdbool.h>

typedef struct sfi_factors {
    int64_t p_rows;
    int64_t q_cols;
    int64_t rank;
    const float *p;  /* p_rows x rank */
    const float *qt; /* q_cols x rank: Q transposed */
} sfi_factors;

/* Bytes of scratch; false on overflow. */
bool sfi_decay_scratch(int64_t *bytes, const sfi_factor_view *p, const sfi_factor_view *q);

/* *value = 1/2 ||P Q||²; gradient_p += scale * P Q Qᵀ and gradient_q += scale * PᵀP Q, each in the
 * order of its weight; both gradients NULL: only the value. `q` is a view of Qᵀ. On the calling
 * thread alone, without a context; allocates nothing. Returns NULL, or the reason of a NUMERIC
 * failure (NaN or infinity in a factor, a gradient that may be beyond float); then nothing has
 * changed. */
const char *sfi_decay(const sfk_table *kernels, const sfi_factor_view *p, const sfi_factor_view *q,
                      double scale, double *value, float *gradient_p, float *gradient_q,
                      void *scratch);

#endif
