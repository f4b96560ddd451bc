/* SPDX-License-Identifier: BSD-2-Clause */
#include "decay.h"

#include "error.h"
#include "products.h"
#include "sizes.h"

#include <float.h>
#include <math.h>

bool sfi_decay_scratch(int64_t *bytes, int64_t rank)
{
    int64_t count;
    if (!sfi_mul(&count, rank, 2 * rank + sfi_pitch(rank)) ||
        !sfi_mul(&count, count, (int64_t)sizeof(double))) {
        return false;
    }
    *bytes = sfi_round64(count);
    return true;
}

/* No element of factor * gram exceeds this, by Cauchy and Schwarz: rows of the factor are no longer
 * than the factor itself, whose squared length is the trace of its own Gram matrix. */
static double bound_of_product(int64_t rank, const double *own, const double *other)
{
    double own_trace = 0;
    double other_trace = 0;
    for (int64_t i = 0; i < rank; i++) {
        own_trace += own[i * rank + i];
        other_trace += other[i * rank + i];
    }
    return sqrt(own_trace) * other_trace;
}

sfconv_status sfi_decay(sfconv_context *context, const struct sfi_factors *factors, double scale,
                        double *value, float *gradient_p, float *gradient_qt, void *scratch)
{
    const int64_t rank = factors->rank;
    double *gram_p = scratch;
    double *gram_q = gram_p + rank * rank;
    double *padded = gram_q + rank * rank;
    sfi_gram(context, factors->p_rows, rank, factors->p, gram_p);
    sfi_gram(context, factors->q_cols, rank, factors->qt, gram_q);
    if (!sfi_gram_is_finite(rank, gram_p) || !sfi_gram_is_finite(rank, gram_q)) {
        return sfi_fail(
            context, SFCONV_ERROR_NUMERIC,
            "Frobenius decay: expected finite numbers, got NaN or infinity in a factor");
    }
    if (gradient_p) {
        const double bound = fabs(scale) * fmax(bound_of_product(rank, gram_p, gram_q),
                                                bound_of_product(rank, gram_q, gram_p));
        if (!(bound <= (double)FLT_MAX / 4)) {
            return sfi_fail(context, SFCONV_ERROR_NUMERIC,
                            "Frobenius decay: the gradient is beyond float (up to %g)", bound);
        }
        sfi_pad_columns(rank, rank, gram_q, padded);
        sfi_add_product(context, factors->p_rows, rank, rank, scale, factors->p, padded,
                        gradient_p);
        sfi_pad_columns(rank, rank, gram_p, padded);
        sfi_add_product(context, factors->q_cols, rank, rank, scale, factors->qt, padded,
                        gradient_qt);
    }
    /* ||P Q||² = trace(PᵀP · Q Qᵀ), never negative but for rounding. */
    *value = 0.5 * fmax(sfi_dot(rank * rank, gram_p, gram_q), 0.0);
    return SFCONV_OK;
}
