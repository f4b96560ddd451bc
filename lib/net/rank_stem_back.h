/* SPDX-License-Identifier: BSD-2-Clause */
/* Training of a stem with BatchNorm, an activation and a 3x3 max pooling behind it, without its
 * full-width map: x = W·p with the taps p of a pixel, the numbers of the image under the window.
 * Statistics follow from the moments of the taps, which are those of the image at some distances;
 * the gradient that comes through the pooling is zero but for the winners, so that G = Σ g·pᵀ is a
 * sum over these; and what BatchNorm takes from it is W times the moments (rank_correct.c). */
#ifndef SFI_RANK_STEM_BACK_H
#define SFI_RANK_STEM_BACK_H

#include "rank_back.h"

/* The padded image less the mean of each channel: [image][channel][row][column]. Elements in front
 * of a row's first column and behind its last are padding too. */
typedef struct sfi_stem_image {
    sfi_shape in;
    /* Of the full-width map. */
    sfi_shape out;
    int64_t kernel[2];
    int64_t padding[2];
    /* Columns in front of a row, rows, and distances. */
    int64_t margin;
    int64_t rows;
    int64_t pitch;
    int64_t plane;
} sfi_stem_image;

/* Whether shapes and windows are such. */
bool sfi_stem_is_trained(const sfconv_net *net, const sfi_step *steps, int32_t conv);
sfi_stem_image sfi_stem_image_of(const sfi_plan *plan, const sfconv_net *net, int32_t conv);
int64_t sfi_stem_image_elements(const sfi_stem_image *image);

/* Centre, sums and products of the batch, and the image itself, whose memory `batch` holds;
 * `covariance` like its products. Along a row sums are in float; or once more, after a first call,
 * `in_double`. */
int64_t sfi_stem_moments_bytes(const sfi_plan *plan, const sfconv_net *net, int32_t conv);
void sfi_stem_moments(const sfconv_run *run, int32_t conv, const sfi_rank_batch *batch,
                      double *covariance, bool in_double, void *memory);
int64_t sfi_stem_moments_macs(const sfi_plan *plan, const sfconv_net *net, int32_t conv);

/* Gradients of the weights of stem and BatchNorm from that of the pooled map `node`. */
int64_t sfi_stem_backward_bytes(const sfi_plan *plan, const sfconv_net *net, int32_t node);
void sfi_stem_backward(const sfconv_run *run, int32_t node, void *memory);
int64_t sfi_stem_backward_macs(const sfi_plan *plan, const sfconv_net *net, int32_t node);

#endif
