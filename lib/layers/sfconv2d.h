/* SPDX-License-Identifier: BSD-2-Clause */
/* The factorized convolution as a layer: Q, a 1 x kw convolution, then P, a kh x 1 convolution, and
 * what can be done to its spectra. */
#ifndef SFI_SFCONV2D_H
#define SFI_SFCONV2D_H

#include "dense.h"
#include "factorize.h"
#include "layer_kinds.h"
#include "svd.h"

/* Parameters in this order: q.weight, p.weight, bias where has_bias, then u and v where
 * spectral_norm. */
typedef struct sfi_sfconv2d {
    sfconv_layer base;
    /* With the rank decided. */
    sfconv_sfconv2d_desc desc;
    /* Spectra as of the last update; not ready before the first. */
    sfi_svd svd_p;
    sfi_svd svd_q;
    int64_t regularizer_bytes;
} sfi_sfconv2d;

/* The layer as what it is; NULL for any other kind. */
sfi_sfconv2d *sfi_as_sfconv2d(sfconv_layer *layer);
const sfi_sfconv2d *sfi_as_const_sfconv2d(const sfconv_layer *layer);

/* A layer whose parameters are all zero: OVERFLOW or MEMORY with the reason. */
sfconv_status sfi_sfconv2d_allocate(sfi_sfconv2d **layer, sfconv_context *context,
                                    const sfconv_sfconv2d_desc *desc);

float *sfi_sfconv2d_q(const sfi_sfconv2d *layer);
float *sfi_sfconv2d_p(const sfi_sfconv2d *layer);
/* NULL where the layer has none. */
float *sfi_sfconv2d_bias(const sfi_sfconv2d *layer);
float *sfi_sfconv2d_u(const sfi_sfconv2d *layer);
float *sfi_sfconv2d_v(const sfi_sfconv2d *layer);

/* Sizes of the factor matrices; both pointers NULL. */
sfi_factors sfi_sfconv2d_sizes(const sfi_sfconv2d *layer);
/* Numbers in P, or Q. */
int64_t sfi_count_p(const sfi_factors *factors);
int64_t sfi_count_q(const sfi_factors *factors);
/* The factor matrices, written to p and qt. */
sfi_factors sfi_sfconv2d_factors(const sfi_sfconv2d *layer, float *p, float *qt);
/* The opposite: weights from matrices. */
void sfi_sfconv2d_set_factors(sfi_sfconv2d *layer, const float *p, const float *qt);

/* Spectral normalization (sfconv2d_norm.c). `state` lives from forward to backward; `work` dies
 * with the call. */
typedef struct sfi_norm_memory {
    int64_t state;
    int64_t work_forward;
    int64_t work_backward;
} sfi_norm_memory;
bool sfi_norm_bytes(const sfi_sfconv2d *layer, sfi_norm_memory *memory);
/* p.weight / σ, in `work`. Where `training`, one step of the power iteration comes first and
 * changes u and v. Where σ is not a positive number the weight stays undivided: zero gives zero,
 * NaN gives NaN, and the context keeps the reason. */
const float *sfi_norm_forward(const sfi_sfconv2d *layer, bool training, void *state, void *work);
/* The same weight once more, from a state. */
const float *sfi_norm_weight(const sfi_sfconv2d *layer, const void *state, void *work);
/* Where the gradient with respect to that weight goes, in the same `work`. */
float *sfi_norm_gradient(const sfi_sfconv2d *layer, void *work);
/* What inference divides P by: σ, or 1 where that is not a positive number. `memory` holds
 * sfi_norm_divisor_bytes(). */
int64_t sfi_norm_divisor_bytes(const sfi_sfconv2d *layer);
double sfi_norm_divisor(const sfi_sfconv2d *layer, void *memory);
/* Takes that gradient on to the factors, through P and through σ. */
void sfi_norm_backward(const sfi_sfconv2d *layer, void *state, void *work, float *gradient_p,
                       float *gradient_q);
/* Iterations from the present u on; σ of the product where `sigma` is not NULL. Errors: NUMERIC,
 * MEMORY. */
sfconv_status sfi_norm_settle(const sfi_sfconv2d *layer, int32_t iterations, double *sigma);

/* Regularizers (sfconv2d_regularizer.c). */
bool sfi_regularizer_bytes(const sfi_sfconv2d *layer, int64_t *bytes);
int64_t sfi_sfconv2d_regularizer_scratch(const sfconv_layer *layer);
int32_t sfi_sfconv2d_regularizer_parts(const sfconv_layer *layer,
                                       double work[SFI_REGULARIZER_PARTS]);
sfi_term sfi_sfconv2d_regularize(const sfconv_layer *layer, int32_t part,
                                 float *const *grad_parameter, void *scratch);
/* *value of the layer's regularizer without λ. Errors: NUMERIC, MEMORY. */
sfconv_status sfi_sfconv2d_regularizer_value(const sfi_sfconv2d *layer, sfi_svd_method method,
                                             double *value);
/* *value = KL term of a tall matrix; gradient (may be NULL) += scale · its gradient. `kind` is
 * SFCONV_REGULARIZER_KL or _KL_REVERSE. Errors: NUMERIC, OVERFLOW, MEMORY. */
sfconv_status sfi_kl_term(sfconv_context *context, int64_t rows, int64_t cols, const float *matrix,
                          int32_t kind, sfi_svd_method method, double scale, double *value,
                          float *gradient);

/* Spectral operations (sfconv2d_spectral.c); errors as the public calls have them. */
sfconv_status sfi_sfconv2d_svd_update(sfi_sfconv2d *layer, sfi_svd_method method);
sfconv_status sfi_sfconv2d_product_values(const sfi_sfconv2d *layer, double *values);
sfconv_status sfi_sfconv2d_compose(sfconv_layer **dense, const sfi_sfconv2d *layer);
/* desc has the sizes of the dense layer and a rank. */
sfconv_status sfi_sfconv2d_decompose(sfconv_layer **factorized, const sfconv_layer *dense,
                                     const sfconv_sfconv2d_desc *desc, double *error,
                                     sfi_progress progress);
sfconv_status sfi_sfconv2d_rebalance(sfi_sfconv2d *layer);
sfconv_status sfi_sfconv2d_cut_rank(sfconv_layer **cut, const sfi_sfconv2d *layer, int64_t rank,
                                    double *error);

/* Choice of ranks (sfconv2d_ranks.c). Each layer is an sfconv2d or a conv2d of one group. */
sfconv_status sfi_choose_ranks(sfconv_context *context, int64_t *ranks,
                               const sfconv_layer *const *layers, int32_t count,
                               int32_t budget_kind, double budget, const double *macs_per_rank,
                               sfi_progress progress);

#endif
