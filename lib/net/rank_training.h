/* SPDX-License-Identifier: BSD-2-Clause */
/* Training in rank space: full-width maps are made again in backward, a strip at a time, and what
 * BatchNorm adds to a gradient is a product of rank-many maps. Formulas: docs/mathematics.md. */
#ifndef SFI_RANK_TRAINING_H
#define SFI_RANK_TRAINING_H

#include "rank_work.h"

/* Partial sums are kept for so many tasks at most, so that memory does not grow with the batch, and
 * added in the order of the tasks. */
#define SFI_RANK_TASKS 16
/* Rows of matrices of doubles are padded to whole tiles. */
static inline int64_t sfi_rank_pitch(int64_t count)
{
    return sfi_ceil_div(count, SFK_DOUBLE_COLUMNS) * SFK_DOUBLE_COLUMNS;
}

/* What a BatchNorm behind an sfconv2d leaves to backward. With the taps p of one pixel, centre c
 * (near their mean, so that sums do not cancel) and N pixels: */
typedef struct sfi_rank_batch {
    /* Taps of the convolution, rows of `products`. */
    int64_t depth;
    int64_t pitch;
    int64_t values;
    float *centre;
    /* Σ (p - c) and Σ (p - c)(p - c)ᵀ. */
    double *sums;
    double *products;
    /* Of each channel of P·p: its mean and 1/σ. */
    double *mean;
    double *inverse_deviation;
    /* Of a stem: the image that the taps are taken from, see rank_stem_back.h. */
    float *image;
} sfi_rank_batch;

/* Whether a node is the BatchNorm of a unit. */
bool sfi_rank_is_norm(const sfi_rank_plan *plan, const sfconv_net *net, int32_t node);
/* Bytes of its record and of the scratch of finding it. */
int64_t sfi_rank_batch_bytes(const sfi_plan *plan, const sfconv_net *net, int32_t norm);
int64_t sfi_rank_observe_bytes(const sfi_plan *plan, const sfconv_net *net, int32_t norm);
sfi_rank_batch sfi_rank_batch_of(const sfconv_run *run, int32_t norm);
/* The forward step of the BatchNorm: statistics of the batch from moments of the taps. */
void sfi_rank_observe(const sfconv_run *run, int32_t norm);

/* The backward step of base `node`, see sfi_rank_step(), and its bytes. */
int64_t sfi_rank_backward_bytes(const sfi_plan *plan, const sfconv_net *net, int32_t node);
void sfi_rank_backward(const sfconv_run *run, int32_t node);
/* The gradient of the bias of a 1x1 convolution that is a sink. */
void sfi_rank_backward_bias(const sfconv_run *run, int32_t node);

/* Gradient of a consumer's maps. */
float *sfi_rank_target_gradient(const sfconv_run *run, int32_t consumer);
/* Whether the gradient of `target`'s map holds something already when its reader `user` takes
 * input `input` back to it; `user` == `target`: when its own step comes. */
bool sfi_rank_gradient_begun(const sfconv_run *run, int32_t target, int32_t user, int32_t input);

#endif
