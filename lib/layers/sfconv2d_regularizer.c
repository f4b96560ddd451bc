/* SPDX-License-Identifier: BSD-2-Clause */
/* The terms of the loss that act on the factors: KL of each factor's singular values, or half the
 * squared Frobenius norm of the product. */
#include "sfconv2d.h"

#include "error.h"
#include "kl.h"
#include "memory.h"
#include "sizes.h"
#include "unfold.h"

#include <assert.h>
#include <string.h>

enum { Q, P };

/* Blocks of memory for one evaluation, with gradients in the order of the matrices. */
struct evaluation {
    float *p;
    float *qt;
    float *gradient_p;
    float *gradient_qt;
    double *values;
    double *vectors;
    void *work;
};

#define EVALUATION_BLOCKS 7

static bool evaluation_sizes(const sfi_sfconv2d *layer, enum sfi_svd_method method,
                             int64_t bytes[EVALUATION_BLOCKS])
{
    const struct sfi_factors sizes = sfi_sfconv2d_sizes(layer);
    const int64_t p = sfi_count_p(&sizes) * (int64_t)sizeof(float);
    const int64_t q = sfi_count_q(&sizes) * (int64_t)sizeof(float);
    const int64_t values = sizes.rank * (int64_t)sizeof(double);
    int64_t vectors, work_p, work_q, work_decay;
    if (!sfi_mul(&vectors, values, sizes.rank) ||
        !sfi_svd_scratch(&work_p, sizes.p_rows, sizes.rank, method) ||
        !sfi_svd_scratch(&work_q, sizes.q_cols, sizes.rank, method) ||
        !sfi_decay_scratch(&work_decay, sizes.rank)) {
        return false;
    }
    const int64_t work = sfi_max(sfi_max(work_p, work_q), work_decay);
    memcpy(bytes, (int64_t[]){p, q, p, q, values, vectors, work},
           EVALUATION_BLOCKS * sizeof *bytes);
    return true;
}

static bool evaluation_bytes(const sfi_sfconv2d *layer, enum sfi_svd_method method, int64_t *total)
{
    int64_t bytes[EVALUATION_BLOCKS];
    if (!evaluation_sizes(layer, method, bytes)) {
        return false;
    }
    *total = 0;
    for (int i = 0; i < EVALUATION_BLOCKS; i++) {
        if (!sfi_add(total, *total, sfi_round64(bytes[i]))) {
            return false;
        }
    }
    return true;
}

static struct evaluation evaluation_in(const sfi_sfconv2d *layer, enum sfi_svd_method method,
                                       void *memory)
{
    int64_t bytes[EVALUATION_BLOCKS];
    void *blocks[EVALUATION_BLOCKS];
    unsigned char *next = memory;
    const bool fits = evaluation_sizes(layer, method, bytes);
    assert(fits);
    (void)fits;
    for (int i = 0; i < EVALUATION_BLOCKS; i++) {
        blocks[i] = next;
        next += sfi_round64(bytes[i]);
    }
    return (struct evaluation){blocks[0], blocks[1], blocks[2], blocks[3],
                               blocks[4], blocks[5], blocks[6]};
}

bool sfi_regularizer_bytes(const sfi_sfconv2d *layer, int64_t *bytes)
{
    return evaluation_bytes(layer, SFI_SVD_GRAM, bytes);
}

int64_t sfi_sfconv2d_regularizer_scratch(const sfconv_layer *layer)
{
    return sfi_as_const_sfconv2d(layer)->regularizer_bytes;
}

static enum sfi_kl_direction direction_of(int32_t kind)
{
    return kind == SFCONV_REGULARIZER_KL_REVERSE ? SFI_KL_REVERSE : SFI_KL_FORWARD;
}

/* The KL term of one matrix with the memory of `svd` and `work`. */
static sfconv_status evaluate_kl(sfconv_context *context, struct sfi_svd *svd, int64_t rows,
                                 const float *matrix, int32_t kind, enum sfi_svd_method method,
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

/* *value = F; where `gradients`, scale · ∂F goes to the gradient blocks, which are zero. */
static sfconv_status evaluate(const sfi_sfconv2d *layer, enum sfi_svd_method method, double scale,
                              bool gradients, const struct evaluation *room, double *value)
{
    sfconv_context *context = layer->base.context;
    const int32_t kind = layer->desc.regularizer;
    const struct sfi_factors factors = sfi_sfconv2d_factors(layer, room->p, room->qt);
    float *gradient_p = gradients ? room->gradient_p : NULL;
    float *gradient_qt = gradients ? room->gradient_qt : NULL;
    if (kind == SFCONV_REGULARIZER_FROBENIUS) {
        return sfi_decay(context, &factors, scale, value, gradient_p, gradient_qt, room->work);
    }
    struct sfi_svd svd = {.cols = factors.rank, .values = room->values, .vectors = room->vectors};
    double p_value = 0;
    double q_value = 0;
    sfconv_status status = evaluate_kl(context, &svd, factors.p_rows, factors.p, kind, method,
                                       scale, &p_value, gradient_p, room->work);
    if (status < 0) {
        sfi_error_prefix(context, "p.weight");
        return status;
    }
    status = evaluate_kl(context, &svd, factors.q_cols, factors.qt, kind, method, scale, &q_value,
                         gradient_qt, room->work);
    if (status < 0) {
        sfi_error_prefix(context, "q.weight");
        return status;
    }
    *value = p_value + q_value;
    return SFCONV_OK;
}

/* Gradients in the order of the matrices to those in the order of the weights. */
static void add_gradients(const sfi_sfconv2d *layer, const struct evaluation *room,
                          float *const *grad_parameter)
{
    const struct sfi_factors sizes = sfi_sfconv2d_sizes(layer);
    const int64_t kh = layer->desc.kernel[0];
    for (int64_t row = 0; row < sizes.p_rows; row++) {
        for (int64_t t = 0; t < sizes.rank; t++) {
            const int64_t weight = (row / kh * sizes.rank + t) * kh + row % kh;
            grad_parameter[P][weight] += room->gradient_p[row * sizes.rank + t];
        }
    }
    for (int64_t t = 0; t < sizes.rank; t++) {
        for (int64_t column = 0; column < sizes.q_cols; column++) {
            grad_parameter[Q][t * sizes.q_cols + column] +=
                room->gradient_qt[column * sizes.rank + t];
        }
    }
}

sfconv_status sfi_sfconv2d_regularize(const sfconv_layer *layer, float *const *grad_parameter,
                                      void *scratch, double *value)
{
    const sfi_sfconv2d *self = sfi_as_const_sfconv2d(layer);
    const struct sfi_factors sizes = sfi_sfconv2d_sizes(self);
    const double weight = self->desc.regularizer_weight;
    double term = 0;
    if (!layer->kind->regularizes(layer)) {
        return SFCONV_OK;
    }
    const struct evaluation room = evaluation_in(self, SFI_SVD_GRAM, scratch);
    memset(room.gradient_p, 0, (size_t)sfi_count_p(&sizes) * sizeof(float));
    memset(room.gradient_qt, 0, (size_t)sfi_count_q(&sizes) * sizeof(float));
    const sfconv_status status = evaluate(self, SFI_SVD_GRAM, weight, true, &room, &term);
    if (status < 0) {
        return status;
    }
    add_gradients(self, &room, grad_parameter);
    *value += weight * term;
    return SFCONV_OK;
}

sfconv_status sfi_sfconv2d_regularizer_value(const sfi_sfconv2d *layer, enum sfi_svd_method method,
                                             double *value)
{
    sfconv_context *context = layer->base.context;
    int64_t bytes;
    if (layer->desc.regularizer == SFCONV_REGULARIZER_NONE) {
        *value = 0;
        return SFCONV_OK;
    }
    if (!evaluation_bytes(layer, method, &bytes)) {
        return sfi_fail(context, SFCONV_ERROR_OVERFLOW, "regularizer: its scratch overflows");
    }
    void *memory = sfi_alloc(context, (size_t)bytes);
    if (!memory) {
        return sfi_fail_memory(context, "regularizer", (size_t)bytes);
    }
    const struct evaluation room = evaluation_in(layer, method, memory);
    const sfconv_status status = evaluate(layer, method, 0, false, &room, value);
    sfi_free(context, memory, (size_t)bytes);
    return status;
}

sfconv_status sfi_kl_term(sfconv_context *context, int64_t rows, int64_t cols, const float *matrix,
                          int32_t kind, enum sfi_svd_method method, double scale, double *value,
                          float *gradient)
{
    struct sfi_svd svd = {0};
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
