/* SPDX-License-Identifier: BSD-2-Clause */
/* Between layers through their spectra: update, compose, decompose, rebalance, cut. */
#include "sfconv2d.h"

#include "conv2d.h"
#include "error.h"
#include "memory.h"
#include "sizes.h"
#include "unfold.h"

#include <string.h>

/* Steps of the power iteration after the factors were replaced as a whole. */
#define SETTLE_ITERATIONS 100

/* Memory for two matrices. */
struct matrices {
    float *a;
    float *b;
    size_t bytes;
};

static sfconv_status make_matrices(sfconv_context *context, int64_t count_a, int64_t count_b,
                                   struct matrices *matrices)
{
    const int64_t bytes_a = sfi_round64(count_a * (int64_t)sizeof(float));
    const int64_t bytes_b = sfi_round64(count_b * (int64_t)sizeof(float));
    *matrices = (struct matrices){.bytes = (size_t)(bytes_a + bytes_b)};
    unsigned char *memory = sfi_alloc(context, matrices->bytes);
    if (!memory) {
        return sfi_fail_memory(context, "matrices", matrices->bytes);
    }
    matrices->a = (float *)memory;
    matrices->b = (float *)(memory + bytes_a);
    return SFCONV_OK;
}

static void free_matrices(sfconv_context *context, struct matrices *matrices)
{
    sfi_free(context, matrices->a, matrices->bytes);
}

/* P and Qᵀ of a layer in memory of their own. */
static sfconv_status take_factors(const sfi_sfconv2d *layer, struct matrices *matrices,
                                  sfi_factors *factors)
{
    const sfi_factors sizes = sfi_sfconv2d_sizes(layer);
    const sfconv_status status =
        make_matrices(layer->base.context, sfi_count_p(&sizes), sfi_count_q(&sizes), matrices);
    if (status == SFCONV_OK) {
        *factors = sfi_sfconv2d_factors(layer, matrices->a, matrices->b);
    }
    return status;
}

static sfconv_status make_svd(sfconv_context *context, sfi_svd *svd, int64_t rows, int64_t cols,
                              const float *matrix, sfi_svd_method method)
{
    int64_t bytes;
    void *scratch = NULL;
    sfconv_status status = sfi_svd_create(context, svd, cols);
    if (status < 0) {
        return status;
    }
    if (!sfi_svd_scratch(&bytes, rows, cols, method)) {
        return sfi_fail(context, SFCONV_ERROR_OVERFLOW, "singular values: scratch overflows");
    }
    if (!(scratch = sfi_alloc(context, (size_t)bytes))) {
        return sfi_fail_memory(context, "singular values", (size_t)bytes);
    }
    status = sfi_svd_update(context, svd, rows, matrix, method, scratch);
    sfi_free(context, scratch, (size_t)bytes);
    return status;
}

static sfconv_status make_svd_of(const char *name, sfconv_context *context, sfi_svd *svd,
                                 int64_t rows, int64_t cols, const float *matrix,
                                 sfi_svd_method method)
{
    sfi_error_scope scope = {.name = name};
    sfi_error_enter(context, &scope);
    const sfconv_status status = make_svd(context, svd, rows, cols, matrix, method);
    sfi_error_leave(context, &scope);
    return status;
}

sfconv_status sfi_sfconv2d_svd_update(sfi_sfconv2d *layer, sfi_svd_method method)
{
    sfconv_context *context = layer->base.context;
    struct matrices matrices;
    sfi_factors factors;
    sfi_svd p = {0};
    sfi_svd q = {0};
    sfconv_status status = take_factors(layer, &matrices, &factors);
    if (status < 0) {
        return status;
    }
    const int64_t rank = factors.rank;
    if ((status = make_svd_of("p.weight", context, &p, factors.p_rows, rank, factors.p, method)) <
            0 ||
        (status = make_svd_of("q.weight", context, &q, factors.q_cols, rank, factors.qt, method)) <
            0) {
        goto done;
    }
    const sfi_svd old_p = layer->svd_p;
    const sfi_svd old_q = layer->svd_q;
    layer->svd_p = p;
    layer->svd_q = q;
    p = old_p;
    q = old_q;
done:
    sfi_svd_destroy(context, &p);
    sfi_svd_destroy(context, &q);
    free_matrices(context, &matrices);
    return status;
}

sfconv_status sfi_sfconv2d_product_values(const sfi_sfconv2d *layer, double *values)
{
    const sfi_progress no_progress = {NULL, NULL};
    struct matrices matrices;
    sfi_factors factors;
    double error;
    sfconv_status status = take_factors(layer, &matrices, &factors);
    if (status == SFCONV_OK) {
        status = sfi_cut_rank(layer->base.context, &factors, factors.rank, matrices.a, matrices.b,
                              &error, values, no_progress);
        free_matrices(layer->base.context, &matrices);
    }
    return status;
}

/* weight [out][in][kh][kw] of the dense layer = P·Q / σ. */
static sfconv_status compose_weight(const sfi_sfconv2d *layer, float *weight)
{
    const sfconv_sfconv2d_desc *desc = &layer->desc;
    const sfi_factors sizes = sfi_sfconv2d_sizes(layer);
    sfconv_context *context = layer->base.context;
    const int64_t count = sizes.p_rows * sizes.q_cols;
    double sigma = 1;
    struct matrices matrices;
    sfconv_status status = make_matrices(context, sfi_count_p(&sizes), count, &matrices);
    if (status < 0) {
        return status;
    }
    sfi_p_from_weight(desc->out_channels, desc->rank, desc->kernel[0], sfi_sfconv2d_p(layer),
                      matrices.a);
    if ((status = sfi_compose(context, sizes.p_rows, sizes.q_cols, sizes.rank, matrices.a,
                              sfi_sfconv2d_q(layer), matrices.b)) < 0 ||
        (desc->spectral_norm && (status = sfi_norm_settle(layer, 0, &sigma)) < 0)) {
        goto done;
    }
    for (int64_t i = 0; i < count; i++) {
        matrices.b[i] = (float)((double)matrices.b[i] / sigma);
    }
    sfi_fold(desc->out_channels, desc->in_channels, desc->kernel[0], desc->kernel[1], matrices.b,
             weight);
done:
    free_matrices(context, &matrices);
    return status;
}

static void copy_pair(int64_t to[2], const int64_t from[2])
{
    to[0] = from[0];
    to[1] = from[1];
}

sfconv_status sfi_sfconv2d_compose(sfconv_layer **out, const sfi_sfconv2d *layer)
{
    const sfconv_sfconv2d_desc *from = &layer->desc;
    sfconv_conv2d_desc desc = {
        .struct_size = sizeof desc,
        .in_channels = from->in_channels,
        .out_channels = from->out_channels,
        .groups = 1,
        .has_bias = from->has_bias,
        .seed = from->seed,
    };
    sfconv_layer *dense;
    copy_pair(desc.kernel, from->kernel);
    copy_pair(desc.stride, from->stride);
    copy_pair(desc.padding, from->padding);
    copy_pair(desc.dilation, from->dilation);
    *out = NULL;
    sfconv_status status = sfi_conv2d_new(&dense, layer->base.context, &desc);
    if (status < 0) {
        return status;
    }
    status = compose_weight(layer, dense->parameters[0].data);
    if (status < 0) {
        sfi_layer_release(dense);
        return status;
    }
    if (desc.has_bias) {
        memcpy(dense->parameters[1].data, sfi_sfconv2d_bias(layer),
               (size_t)desc.out_channels * sizeof(float));
    }
    *out = dense;
    return SFCONV_OK;
}

/* The power iteration of a layer with new factors begins from the vector of all ones. */
static sfconv_status settle_anew(const sfi_sfconv2d *layer)
{
    const sfi_factors sizes = sfi_sfconv2d_sizes(layer);
    if (!layer->desc.spectral_norm) {
        return SFCONV_OK;
    }
    for (int64_t i = 0; i < sizes.p_rows; i++) {
        sfi_sfconv2d_u(layer)[i] = 1.0f;
    }
    return sfi_norm_settle(layer, SETTLE_ITERATIONS, NULL);
}

/* The rest of a layer with new factors: `bias`, which is read where the layer has one, and the
 * power iteration. */
static sfconv_status finish_new(sfi_sfconv2d *layer, const float *bias)
{
    if (layer->desc.has_bias) {
        memcpy(sfi_sfconv2d_bias(layer), bias, (size_t)layer->desc.out_channels * sizeof(float));
    }
    return settle_anew(layer);
}

sfconv_status sfi_sfconv2d_decompose(sfconv_layer **out, const sfconv_layer *dense,
                                     const sfconv_sfconv2d_desc *desc, double *error,
                                     sfi_progress progress)
{
    sfconv_context *context = dense->context;
    const float *weight = dense->parameters[0].data;
    double relative_error = 0;
    struct matrices matrices;
    sfi_sfconv2d *self = NULL;
    *out = NULL;
    sfconv_status status =
        make_matrices(context, dense->parameters[0].count,
                      desc->out_channels * desc->kernel[0] * desc->rank, &matrices);
    if (status < 0) {
        return status;
    }
    if ((status = sfi_sfconv2d_allocate(&self, context, desc)) < 0) {
        goto done;
    }
    const sfi_factors sizes = sfi_sfconv2d_sizes(self);
    sfi_unfold(desc->out_channels, desc->in_channels, desc->kernel[0], desc->kernel[1], weight,
               matrices.a);
    if ((status = sfi_decompose(context, sizes.p_rows, sizes.q_cols, matrices.a, sizes.rank,
                                SFI_SVD_EXACT, matrices.b, sfi_sfconv2d_q(self), &relative_error,
                                NULL, progress)) < 0) {
        goto done;
    }
    sfi_p_to_weight(desc->out_channels, desc->rank, desc->kernel[0], matrices.b,
                    sfi_sfconv2d_p(self));
    if ((status = finish_new(self, dense->parameters[1].data)) < 0) {
        goto done;
    }
    if (error) {
        *error = relative_error;
    }
    *out = &self->base;
done:
    if (status < 0 && self) {
        sfi_layer_release(&self->base);
    }
    free_matrices(context, &matrices);
    return status;
}

sfconv_status sfi_sfconv2d_rebalance(sfi_sfconv2d *layer)
{
    const sfi_progress no_progress = {NULL, NULL};
    struct matrices matrices;
    sfi_factors factors;
    double error;
    sfconv_status status = take_factors(layer, &matrices, &factors);
    if (status < 0) {
        return status;
    }
    status = sfi_cut_rank(layer->base.context, &factors, factors.rank, matrices.a, matrices.b,
                          &error, NULL, no_progress);
    if (status == SFCONV_OK) {
        sfi_sfconv2d_set_factors(layer, matrices.a, matrices.b);
    }
    free_matrices(layer->base.context, &matrices);
    return status;
}

sfconv_status sfi_sfconv2d_cut_rank(sfconv_layer **out, const sfi_sfconv2d *layer, int64_t rank,
                                    double *error)
{
    const sfi_progress no_progress = {NULL, NULL};
    sfconv_sfconv2d_desc desc = layer->desc;
    sfi_sfconv2d *self = NULL;
    double relative_error = 0;
    struct matrices matrices;
    sfi_factors factors;
    desc.rank = rank;
    *out = NULL;
    sfconv_status status = take_factors(layer, &matrices, &factors);
    if (status < 0) {
        return status;
    }
    if ((status = sfi_cut_rank(layer->base.context, &factors, rank, matrices.a, matrices.b,
                               &relative_error, NULL, no_progress)) < 0 ||
        (status = sfi_sfconv2d_allocate(&self, layer->base.context, &desc)) < 0) {
        goto done;
    }
    sfi_sfconv2d_set_factors(self, matrices.a, matrices.b);
    if ((status = finish_new(self, sfi_sfconv2d_bias(layer))) < 0) {
        goto done;
    }
    if (error) {
        *error = relative_error;
    }
    *out = &self->base;
done:
    if (status < 0 && self) {
        sfi_layer_release(&self->base);
    }
    free_matrices(layer->base.context, &matrices);
    return status;
}
