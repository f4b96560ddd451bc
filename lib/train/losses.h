/* SPDX-License-Identifier: BSD-2-Clause */
/* Losses: value in double, gradient with respect to the logits. Sums run in an order that the shape
 * fixes. The views are valid, of one shape and any strides; a gradient that is NULL is not
 * computed, and may be the memory of the logits. A failed call leaves value and gradient alone. */
#ifndef SFI_LOSSES_H
#define SFI_LOSSES_H

#include "ctx.h"

#include "sfconv/tensor.h"

/* Softmax cross-entropy of logits [batch][classes][1][1]:
 *     −1/W Σ_i Σ_c q_ic log softmax(x_i)_c,  W = Σ_i w[y_i],
 *     q_ic = (1 − ε) w[y_i] [c = y_i] + ε w_c / classes,
 * with class weights w (NULL for 1) and smoothing ε. ARGUMENT: a label that is no class, a weight
 * that is negative or not finite, W = 0, ε w_c / W beyond float32. NUMERIC: logits that are not
 * finite. */
sfconv_status sfi_loss_cross_entropy(sfconv_context *context, const sfconv_view *logits,
                                     const int32_t *labels, const float *class_weights,
                                     double smoothing, double *value, const sfconv_view *gradient);

/* bce_weight · (mean of −π t log p − (1 − t) log(1 − p)) +
 * dice_weight · (mean over planes of 1 − (2 Σ p t + ε) / (Σ p + Σ t + ε)), p = sigmoid(logit). */
typedef struct sfi_binary_loss {
    double bce_weight;
    /* π */
    double positive_weight;
    double dice_weight;
    /* ε, above 0 */
    double smooth;
} sfi_binary_loss;

/* NUMERIC: logits that are not finite; ARGUMENT: targets outside 0 to 1. */
sfconv_status sfi_loss_binary(sfconv_context *context, const sfconv_view *logits,
                              const sfconv_view *targets, const sfi_binary_loss *settings,
                              double *value, const sfconv_view *gradient);

/* Mean of the squared differences. NUMERIC: predictions or targets that are not finite. */
sfconv_status sfi_loss_mse(sfconv_context *context, const sfconv_view *predictions,
                           const sfconv_view *targets, double *value, const sfconv_view *gradient);

#endif
