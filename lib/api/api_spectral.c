/* SPDX-License-Identifier: BSD-2-Clause */
/* The door of spectra. */
#include "conv2d.h"
#include "handles.h"
#include "kl.h"
#include "memory.h"
#include "ranks.h"
#include "settings.h"
#include "sfconv2d.h"
#include "sizes.h"
#include "views.h"

#include "sfconv/spectral.h"

#include <string.h>

static sfconv_status check_factorized(const sfconv_layer *layer, const char *call)
{
    const sfconv_status status = sfi_check_layer(layer);
    if (status < 0 || sfi_as_const_sfconv2d(layer)) {
        return status;
    }
    return sfi_fail(layer->context, SFCONV_ERROR_UNSUPPORTED, "%s: expected an sfconv2d, got a %s",
                    call, layer->kind->kind);
}

static sfconv_status take_method(sfconv_context *context, const char *call, int32_t number,
                                 sfi_svd_method *method)
{
    *method = number == SFCONV_SVD_EXACT ? SFI_SVD_EXACT : SFI_SVD_GRAM;
    return sfi_check_integer(context, call, "method", number, SFCONV_SVD_GRAM, SFCONV_SVD_EXACT);
}

sfconv_status sfconv_layer_svd_update(sfconv_layer *layer, int32_t method)
{
    sfi_svd_method known;
    sfconv_status status;
    if ((status = check_factorized(layer, __func__)) < 0 ||
        (status = take_method(layer->context, __func__, method, &known)) < 0) {
        return status;
    }
    return sfi_sfconv2d_svd_update(sfi_as_sfconv2d(layer), known);
}

/* The cached spectrum of factor P or Q. */
static sfconv_status take_spectrum(const sfconv_layer *layer, const char *call, int32_t factor,
                                   const sfi_svd **svd)
{
    const sfi_sfconv2d *factorized = sfi_as_const_sfconv2d(layer);
    *svd = factor == SFCONV_FACTOR_P ? &factorized->svd_p : &factorized->svd_q;
    if (!(*svd)->ready) {
        return sfi_fail(layer->context, SFCONV_ERROR_STATE,
                        "%s: no singular values yet; call sfconv_layer_svd_update first", call);
    }
    return SFCONV_OK;
}

sfconv_status sfconv_layer_spectrum(const sfconv_layer *layer, int32_t factor,
                                    sfconv_spectrum *spectrum)
{
    const sfi_svd *svd;
    double kl;
    double kl_reverse;
    sfconv_status status = check_factorized(layer, __func__);
    if (status < 0) {
        return status;
    }
    if (!spectrum) {
        return sfi_refuse_null(layer->context, __func__, "spectrum");
    }
    if ((status = sfi_check_out(layer->context, __func__, spectrum->struct_size,
                                sizeof *spectrum)) < 0 ||
        (status = sfi_check_integer(layer->context, __func__, "factor", factor, SFCONV_FACTOR_P,
                                    SFCONV_FACTOR_Q)) < 0 ||
        (status = take_spectrum(layer, __func__, factor, &svd)) < 0 ||
        (status = sfi_kl_value(layer->context, svd, SFI_KL_FORWARD, &kl)) < 0 ||
        (status = sfi_kl_value(layer->context, svd, SFI_KL_REVERSE, &kl_reverse)) < 0) {
        return status;
    }
    spectrum->count = svd->cols;
    spectrum->largest = svd->values[0];
    spectrum->smallest = svd->values[svd->cols - 1];
    spectrum->effective_rank = sfi_effective_rank(svd);
    spectrum->condition = sfi_condition_number(svd);
    spectrum->kl = kl;
    spectrum->kl_reverse = kl_reverse;
    return SFCONV_OK;
}

/* Singular values of factor `factor` into room for layer->desc.rank. */
static sfconv_status read_values(const sfconv_layer *layer, const char *call, int32_t factor,
                                 double *values)
{
    const sfi_sfconv2d *factorized = sfi_as_const_sfconv2d(layer);
    const sfi_svd *svd;
    if (factor == SFCONV_FACTOR_PRODUCT) {
        return sfi_sfconv2d_product_values(factorized, values);
    }
    const sfconv_status status = take_spectrum(layer, call, factor, &svd);
    if (status == SFCONV_OK) {
        memcpy(values, svd->values, (size_t)svd->cols * sizeof *values);
    }
    return status;
}

sfconv_status sfconv_layer_singular_values(const sfconv_layer *layer, int32_t factor,
                                           double *values, int64_t capacity, int64_t *count)
{
    sfconv_status status = check_factorized(layer, __func__);
    if (status < 0) {
        return status;
    }
    if (!values || !count) {
        return sfi_refuse_null(layer->context, __func__, values ? "count" : "values");
    }
    const int64_t rank = sfi_as_const_sfconv2d(layer)->desc.rank;
    if ((status = sfi_check_integer(layer->context, __func__, "factor", factor, SFCONV_FACTOR_P,
                                    SFCONV_FACTOR_PRODUCT)) < 0 ||
        (status = sfi_check_integer(layer->context, __func__, "capacity", capacity, rank,
                                    INT64_MAX)) < 0 ||
        (status = read_values(layer, __func__, factor, values)) < 0) {
        return status;
    }
    *count = rank;
    return SFCONV_OK;
}

sfconv_status sfconv_layer_regularizer(const sfconv_layer *layer, int32_t method, double *value)
{
    sfi_svd_method known;
    double result;
    sfconv_status status = check_factorized(layer, __func__);
    if (status < 0) {
        return status;
    }
    if (!value) {
        return sfi_refuse_null(layer->context, __func__, "value");
    }
    if ((status = take_method(layer->context, __func__, method, &known)) < 0 ||
        (status = sfi_sfconv2d_regularizer_value(sfi_as_const_sfconv2d(layer), known, &result)) <
            0) {
        return status;
    }
    *value = result;
    return SFCONV_OK;
}

/* The view with its two axes exchanged where that makes it tall. */
static sfconv_view tall(const sfconv_view *view)
{
    sfconv_view result = *view;
    if (view->shape[0] < view->shape[1]) {
        for (int i = 0; i < 2; i++) {
            result.shape[i] = view->shape[1 - i];
            result.stride[i] = view->stride[1 - i];
        }
    }
    return result;
}

/* The KL term through contiguous copies of matrix and gradient. */
static sfconv_status evaluate_kl(sfconv_context *context, const sfconv_view *matrix, int32_t kind,
                                 sfi_svd_method method, double weight, double *value,
                                 const sfconv_view *gradient)
{
    const sfconv_view from = tall(matrix);
    const int64_t count = from.shape[0] * from.shape[1];
    sfconv_view copy;
    sfconv_view gradient_copy;
    int64_t bytes;
    if (!sfi_mul(&bytes, count, 2 * (int64_t)sizeof(float))) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT, "sfconv_kl: the size of matrix overflows");
    }
    float *memory = sfi_alloc(context, (size_t)bytes);
    if (!memory) {
        return sfi_fail_memory(context, "matrix", (size_t)bytes);
    }
    sfi_fill_view(&copy, memory, 2, from.shape);
    sfi_copy_view(&copy, &from);
    if (gradient) {
        const sfconv_view to = tall(gradient);
        sfi_fill_view(&gradient_copy, memory + count, 2, from.shape);
        sfi_copy_view(&gradient_copy, &to);
    }
    const sfconv_status status =
        sfi_kl_term(context, from.shape[0], from.shape[1], memory, kind, method, weight, value,
                    gradient ? memory + count : NULL);
    if (status == SFCONV_OK && gradient) {
        const sfconv_view to = tall(gradient);
        sfi_copy_view(&to, &gradient_copy);
    }
    sfi_free(context, memory, (size_t)bytes);
    return status;
}

static sfconv_status check_matrix(sfconv_context *context, const char *call,
                                  const sfconv_view *matrix)
{
    const sfconv_status status = sfi_check_view(context, call, "matrix", matrix);
    if (status < 0) {
        return status;
    }
    if (matrix->rank != 2) {
        return sfi_fail(context, SFCONV_ERROR_SHAPE, "%s: matrix has rank %d, expected 2", call,
                        (int)matrix->rank);
    }
    return SFCONV_OK;
}

sfconv_status sfconv_kl(sfconv_context *context, const sfconv_view *matrix, int32_t kind,
                        int32_t method, double weight, double *value, const sfconv_view *gradient)
{
    sfi_svd_method known;
    double result;
    sfconv_status status;
    if (!context) {
        return SFCONV_ERROR_ARGUMENT;
    }
    if (!value) {
        return sfi_refuse_null(context, __func__, "value");
    }
    if ((status = check_matrix(context, __func__, matrix)) < 0 ||
        (gradient && (status = sfi_check_target_like(context, __func__, "gradient", gradient,
                                                     "matrix", matrix)) < 0) ||
        (status = sfi_check_integer(context, __func__, "kind", kind, SFCONV_REGULARIZER_KL,
                                    SFCONV_REGULARIZER_KL_REVERSE)) < 0 ||
        (status = take_method(context, __func__, method, &known)) < 0 ||
        (status = sfi_check_not_negative(context, __func__, "weight", weight)) < 0 ||
        (status = evaluate_kl(context, matrix, kind, known, weight, &result, gradient)) < 0) {
        return status;
    }
    *value = result;
    return SFCONV_OK;
}

sfconv_status sfconv_rank_from_ratio(int64_t *rank, int64_t in_channels, int64_t out_channels,
                                     const int64_t kernel[2], double ratio, int64_t min_rank)
{
    sfconv_status status;
    if (!rank || !kernel) {
        return SFCONV_ERROR_ARGUMENT;
    }
    if ((status = sfi_check_size(NULL, __func__, "in_channels", in_channels, 1)) < 0 ||
        (status = sfi_check_size(NULL, __func__, "out_channels", out_channels, 1)) < 0 ||
        (status = sfi_check_pair(NULL, __func__, "kernel", kernel, 1)) < 0 ||
        (status = sfi_check_rank_rule(NULL, __func__, ratio, min_rank)) < 0) {
        return SFCONV_ERROR_ARGUMENT;
    }
    *rank = sfi_rank_of_ratio(out_channels, in_channels, kernel[0], kernel[1], ratio, min_rank);
    return SFCONV_OK;
}

sfconv_status sfconv_layer_compose(sfconv_layer **dense, const sfconv_layer *layer)
{
    if (dense) {
        *dense = NULL;
    }
    const sfconv_status status = check_factorized(layer, __func__);
    if (status < 0) {
        return status;
    }
    if (!dense) {
        return sfi_refuse_null(layer->context, __func__, "dense");
    }
    return sfi_sfconv2d_compose(dense, sfi_as_const_sfconv2d(layer));
}

static sfconv_status check_dense(const sfconv_layer *layer, const char *call)
{
    const sfi_conv2d *dense = sfi_as_conv2d(layer);
    if (!dense) {
        return sfi_fail(layer->context, SFCONV_ERROR_UNSUPPORTED, "%s: expected a conv2d, got a %s",
                        call, layer->kind->kind);
    }
    if (dense->desc.groups != 1) {
        return sfi_fail(layer->context, SFCONV_ERROR_UNSUPPORTED,
                        "%s: expected a conv2d of 1 group, got %lld groups", call,
                        (long long)dense->desc.groups);
    }
    return SFCONV_OK;
}

/* Everything that the factorized layer has from the dense one. */
static void take_sizes(sfconv_sfconv2d_desc *desc, const sfconv_conv2d_desc *dense)
{
    desc->in_channels = dense->in_channels;
    desc->out_channels = dense->out_channels;
    desc->has_bias = dense->has_bias;
    for (int i = 0; i < 2; i++) {
        desc->kernel[i] = dense->kernel[i];
        desc->stride[i] = dense->stride[i];
        desc->padding[i] = dense->padding[i];
        desc->dilation[i] = dense->dilation[i];
    }
}

sfconv_status sfconv_layer_decompose(sfconv_layer **factorized, const sfconv_layer *dense,
                                     const sfconv_sfconv2d_desc *desc, double *error,
                                     sfconv_progress_fn progress, void *user)
{
    sfconv_sfconv2d_desc known = SFCONV_SFCONV2D_DESC_INIT;
    if (factorized) {
        *factorized = NULL;
    }
    sfconv_status status = sfi_check_layer(dense);
    if (status < 0) {
        return status;
    }
    if (!factorized || !desc) {
        return sfi_refuse_null(dense->context, __func__, desc ? "factorized" : "desc");
    }
    if ((status = check_dense(dense, __func__)) < 0 ||
        (status = sfi_take_desc(dense->context, __func__, &known, sizeof known, desc)) < 0) {
        return status;
    }
    take_sizes(&known, &sfi_as_conv2d(dense)->desc);
    status = sfi_settle_sfconv2d(dense->context, __func__, &known);
    return status < 0 ? status
                      : sfi_sfconv2d_decompose(factorized, dense, &known, error,
                                               (sfi_progress){progress, user});
}

sfconv_status sfconv_layer_rebalance(sfconv_layer *layer)
{
    const sfconv_status status = check_factorized(layer, __func__);
    return status < 0 ? status : sfi_sfconv2d_rebalance(sfi_as_sfconv2d(layer));
}

sfconv_status sfconv_layer_cut_rank(sfconv_layer **cut, const sfconv_layer *layer, int64_t rank,
                                    double *error)
{
    if (cut) {
        *cut = NULL;
    }
    sfconv_status status = check_factorized(layer, __func__);
    if (status < 0) {
        return status;
    }
    if (!cut) {
        return sfi_refuse_null(layer->context, __func__, "cut");
    }
    const sfi_sfconv2d *factorized = sfi_as_const_sfconv2d(layer);
    status = sfi_check_integer(layer->context, __func__, "rank", rank, 1, factorized->desc.rank);
    return status < 0 ? status : sfi_sfconv2d_cut_rank(cut, factorized, rank, error);
}

static sfconv_status check_budget(sfconv_context *context, const char *call, int32_t kind,
                                  double budget, const double *macs_per_rank, int32_t count)
{
    sfconv_status status = sfi_check_integer(context, call, "budget_kind", kind,
                                             SFCONV_BUDGET_PARAMETERS, SFCONV_BUDGET_ENERGY);
    if (status < 0) {
        return status;
    }
    if (kind == SFCONV_BUDGET_ENERGY) {
        return sfi_check_number(context, call, "budget", budget, 0, 1);
    }
    status = sfi_check_positive(context, call, "budget", budget);
    if (status < 0 || kind == SFCONV_BUDGET_PARAMETERS) {
        return status;
    }
    if (!macs_per_rank) {
        return sfi_refuse_null(context, call, "macs_per_rank");
    }
    for (int32_t i = 0; i < count && status == SFCONV_OK; i++) {
        status = sfi_check_number(context, call, "macs_per_rank", macs_per_rank[i], 1, 0x1p60);
    }
    return status;
}

sfconv_status sfconv_choose_ranks(int64_t *ranks, const sfconv_layer *const *layers, int32_t count,
                                  int32_t budget_kind, double budget, const double *macs_per_rank,
                                  sfconv_progress_fn progress, void *user)
{
    if (!ranks || !layers || count < 1) {
        return SFCONV_ERROR_ARGUMENT;
    }
    for (int32_t i = 0; i < count; i++) {
        if (sfi_check_layer(layers[i]) < 0) {
            return SFCONV_ERROR_ARGUMENT;
        }
    }
    sfconv_context *context = layers[0]->context;
    sfconv_status status =
        check_budget(context, __func__, budget_kind, budget, macs_per_rank, count);
    for (int32_t i = 0; i < count && status == SFCONV_OK; i++) {
        if (!sfi_as_const_sfconv2d(layers[i])) {
            status = check_dense(layers[i], __func__);
        }
    }
    return status < 0 ? status
                      : sfi_choose_ranks(context, ranks, layers, count, budget_kind, budget,
                                         macs_per_rank, (sfi_progress){progress, user});
}
