/* SPDX-License-Identifier: BSD-2-Clause */
#include "decay.h"

#include "products.h"
#include "sizes.h"

#include <float.h>
#include <math.h>

static int64_t decay_doubles(int64_t rank)
{
    return 3 * rank * rank;
}

bool sfi_decay_scratch(int64_t *bytes, const sfi_factor_view *p, const sfi_factor_view *q)
{
    int64_t square, p_bytes, q_bytes;
    if (!sfi_mul(&square, p->rank, p->rank) ||
        !sfi_mul(&square, square, 3 * (int64_t)sizeof(double)) || !sfi_view_scratch(&p_bytes, p) ||
        !sfi_view_scratch(&q_bytes, q)) {
        return false;
    }
    return sfi_add(bytes, sfi_round64(square), sfi_max(p_bytes, q_bytes));
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

static void scale_matrix(int64_t count, double scale, const double *source, double *result)
{
    for (int64_t i = 0; i < count; i++) {
        result[i] = scale * source[i];
    }
}

const char *sfi_decay(const sfk_table *kernels, const sfi_factor_view *p, const sfi_factor_view *q,
                      double scale, double *value, float *gradient_p, float *gradient_q,
                      void *scratch)
{
    const int64_t rank = p->rank;
    const int64_t square = rank * rank;
    double *gram_p = scratch;
    double *gram_q = gram_p + square;
    double *core = gram_q + square;
    void *rest =
        (unsigned char *)scratch + sfi_round64(decay_doubles(rank) * (int64_t)sizeof(double));
    sfi_view_gram(kernels, p, gram_p, rest);
    sfi_view_gram(kernels, q, gram_q, rest);
    if (!sfi_gram_is_finite(rank, gram_p) || !sfi_gram_is_finite(rank, gram_q)) {
        return "expected finite numbers, got NaN or infinity";
    }
    if (gradient_p) {
        const double bound = fabs(scale) * fmax(bound_of_product(rank, gram_p, gram_q),
                                                bound_of_product(rank, gram_q, gram_p));
        if (!(bound <= (double)FLT_MAX / 4)) {
            return "the gradient is beyond float";
        }
        scale_matrix(square, scale, gram_q, core);
        sfi_view_add_product(kernels, p, core, gradient_p, rest);
        scale_matrix(square, scale, gram_p, core);
        sfi_view_add_product(kernels, q, core, gradient_q, rest);
    }
    /* ||P Q||² = trace(PᵀP · Q Qᵀ), never negative but for rounding. */
    *value = 0.5 * fmax(sfi_dot(square, gram_p, gram_q), 0.0);
    return NULL;
}
