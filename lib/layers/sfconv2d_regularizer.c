/* SPDX-License-Identifier: BSD-2-Clause */
/* The terms of the loss that act on the factors: KL of each factor's singular values, or half the
 * squared Frobenius norm of the product. */
#include "sfconv2d.h"

#include "error.h"
#include "kl.h"
#include "memory.h"
#include "sizes.h"

enum { Q, P };

static sfi_factor_view view_of(const sfi_sfconv2d *layer, int32_t factor)
{
    const sfconv_sfconv2d_desc *desc = &layer->desc;
    const float *weight = layer->base.parameters[factor].data;
    if (factor == Q) {
        return (sfi_factor_view){.rank = desc->rank,
                                 .count = desc->in_channels * desc->kernel[1],
                                 .inner = 1,
                                 .lying = true,
                                 .weight = weight};
    }
    return (sfi_factor_view){.rank = desc->rank,
                             .count = desc->out_channels,
                             .inner = desc->kernel[0],
                             .weight = weight};
}

bool sfi_regularizer_bytes(const sfi_sfconv2d *layer, int64_t *bytes)
{
    const sfi_factor_view q = view_of(layer, Q);
    const sfi_factor_view p = view_of(layer, P);
    int64_t q_bytes, p_bytes, decay_bytes;
    if (!sfi_kl_scratch(&q_bytes, &q) || !sfi_kl_scratch(&p_bytes, &p) ||
        !sfi_decay_scratch(&decay_bytes, &p, &q)) {
        return false;
    }
    *bytes = sfi_max(decay_bytes, sfi_max(q_bytes, p_bytes));
    return true;
}

int64_t sfi_sfconv2d_regularizer_scratch(const sfconv_layer *layer)
{
    return sfi_as_const_sfconv2d(layer)->regularizer_bytes;
}

static sfi_kl_direction direction_of(int32_t kind)
{
    return kind == SFCONV_REGULARIZER_KL_REVERSE ? SFI_KL_REVERSE : SFI_KL_FORWARD;
}

int32_t sfi_sfconv2d_regularizer_parts(const sfconv_layer *layer,
                                       double work[SFI_REGULARIZER_PARTS])
{
    const sfi_sfconv2d *self = sfi_as_const_sfconv2d(layer);
    if (!layer->kind->regularizes(layer)) {
        return 0;
    }
    for (int32_t i = Q; i <= P; i++) {
        /* Two products of the factor with a square, and some of squares; more where it takes the
         * eigensolver. */
        const sfi_factor_view view = view_of(self, i);
        const double rank = (double)view.rank;
        work[i] = rank * rank * (1.5 * (double)(view.count * view.inner) + 4.0 * rank);
    }
    if (self->desc.regularizer == SFCONV_REGULARIZER_FROBENIUS) {
        work[0] += work[1];
        return 1;
    }
    return 2;
}

/* F without λ and, where gradients, += scale · ∂F. */
static sfi_term evaluate_part(const sfi_sfconv2d *layer, int32_t part, double scale,
                              float *const *gradient, void *scratch)
{
    const sfk_table *kernels = layer->base.context->kernels;
    const int32_t kind = layer->desc.regularizer;
    sfi_term term = {0};
    if (kind == SFCONV_REGULARIZER_FROBENIUS) {
        const sfi_factor_view p = view_of(layer, P);
        const sfi_factor_view q = view_of(layer, Q);
        term.reason = sfi_decay(kernels, &p, &q, scale, &term.value, gradient ? gradient[P] : NULL,
                                gradient ? gradient[Q] : NULL, scratch);
        return term;
    }
    const sfi_factor_view view = view_of(layer, part);
    term.reason = sfi_kl_evaluate(kernels, &view, direction_of(kind), scale, &term.value,
                                  gradient ? gradient[part] : NULL, scratch);
    term.parameter = layer->base.parameters[part].name;
    return term;
}

sfi_term sfi_sfconv2d_regularize(const sfconv_layer *layer, int32_t part,
                                 float *const *grad_parameter, void *scratch)
{
    const sfi_sfconv2d *self = sfi_as_const_sfconv2d(layer);
    const double weight = self->desc.regularizer_weight;
    sfi_term term = evaluate_part(self, part, weight, grad_parameter, scratch);
    term.value *= weight;
    return term;
}

/* The KL term of one matrix with the memory of `svd` and `work`. */
static sfconv_status evaluate_kl(sfconv_context *context, sfi_svd *svd, int64_t rows,
                                 const float *matrix, int32_t kind, sfi_svd_method method,
                                 double scale, double *value, float *gradient, void *work)
{
    sfconv_status status;
    if ((status = sfi_svd_update(context, svd, rows, matrix, method, work)) < 0 ||
        (status = sfi_kl_value(context, svd, direction_of(kind), value)) < 0 || !gradient) {
        return status;
    }
    return sfi_kl_add_gradient(context, svd, direction_of(kind), scale, rows, matrix, gradient,
                               work);
}

static sfconv_status factor_value(const sfi_sfconv2d *layer, const char *name, int64_t rows,
                                  const float *matrix, double *value)
{
    sfconv_context *context = layer->base.context;
    sfi_error_scope scope = {.name = name};
    sfi_error_enter(context, &scope);
    const sfconv_status status =
        sfi_kl_term(context, rows, sfi_sfconv2d_sizes(layer).rank, matrix, layer->desc.regularizer,
                    SFI_SVD_EXACT, 0, value, NULL);
    sfi_error_leave(context, &scope);
    return status;
}

/* The KL term of both factors by LAPACK. */
static sfconv_status exact_value(const sfi_sfconv2d *layer, double *value)
{
    sfconv_context *context = layer->base.context;
    const sfi_factors sizes = sfi_sfconv2d_sizes(layer);
    const size_t p_bytes = (size_t)sfi_count_p(&sizes) * sizeof(float);
    const size_t q_bytes = (size_t)sfi_count_q(&sizes) * sizeof(float);
    float *p = sfi_alloc(context, p_bytes);
    float *qt = sfi_alloc(context, q_bytes);
    double p_value = 0;
    double q_value = 0;
    sfconv_status status;
    if (!p || !qt) {
        status = sfi_fail_memory(context, "regularizer", p_bytes + q_bytes);
        goto done;
    }
    const sfi_factors factors = sfi_sfconv2d_factors(layer, p, qt);
    if ((status = factor_value(layer, "p.weight", factors.p_rows, p, &p_value)) >= 0 &&
        (status = factor_value(layer, "q.weight", factors.q_cols, qt, &q_value)) >= 0) {
        *value = p_value + q_value;
    }
done:
    sfi_free(context, p, p_bytes);
    sfi_free(context, qt, q_bytes);
    return status;
}

sfconv_status sfi_sfconv2d_regularizer_value(const sfi_sfconv2d *layer, sfi_svd_method method,
                                             double *value)
{
    sfconv_context *context = layer->base.context;
    const int32_t kind = layer->desc.regularizer;
    const size_t bytes = (size_t)layer->regularizer_bytes;
    if (kind == SFCONV_REGULARIZER_NONE) {
        *value = 0;
        return SFCONV_OK;
    }
    if (method == SFI_SVD_EXACT && kind != SFCONV_REGULARIZER_FROBENIUS) {
        return exact_value(layer, value);
    }
    void *scratch = sfi_alloc(context, bytes);
    if (!scratch) {
        return sfi_fail_memory(context, "regularizer", bytes);
    }
    sfconv_status status = SFCONV_OK;
    double sum = 0;
    const int32_t parts = kind == SFCONV_REGULARIZER_FROBENIUS ? 1 : SFI_REGULARIZER_PARTS;
    for (int32_t i = 0; i < parts && status == SFCONV_OK; i++) {
        const sfi_term term = evaluate_part(layer, i, 0, NULL, scratch);
        status = term.reason ? sfi_fail_term(context, &term) : SFCONV_OK;
        sum += term.value;
    }
    sfi_free(context, scratch, bytes);
    if (status == SFCONV_OK) {
        *value = sum;
    }
    return status;
}

sfconv_status sfi_kl_term(sfconv_context *context, int64_t rows, int64_t cols, const float *matrix,
                          int32_t kind, sfi_svd_method method, double scale, double *value,
                          float *gradient)
{
    sfi_svd svd = {0};
    void *work = NULL;
    int64_t bytes = 0;
    sfconv_status status = sfi_svd_create(context, &svd, cols);
    if (status < 0) {
        return status;
    }
    if (!sfi_svd_scratch(&bytes, rows, cols, method)) {
        status = sfi_fail(context, SFCONV_ERROR_OVERFLOW, "matrix: its scratch overflows");
    } else if (!(work = sfi_alloc(context, (size_t)bytes))) {
        status = sfi_fail_memory(context, "matrix", (size_t)bytes);
    } else {
        status =
            evaluate_kl(context, &svd, rows, matrix, kind, method, scale, value, gradient, work);
    }
    sfi_free(context, work, (size_t)bytes);
    sfi_svd_destroy(context, &svd);
    return status;
}
