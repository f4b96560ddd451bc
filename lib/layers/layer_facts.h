/* SPDX-License-Identifier: BSD-2-Clause */
/* Settings of layers whose structures are private to their files, for whoever computes a net in
 * another way than layer by layer. Each answers whether the layer is of its kind. */
#ifndef SFI_LAYER_FACTS_H
#define SFI_LAYER_FACTS_H

#include "layer_class.h"

/* y = scale·x + shift of channel `channel` at inference. */
bool sfi_is_batchnorm2d(const sfconv_layer *layer);
void sfi_batchnorm2d_line(const sfconv_layer *layer, int64_t channel, double *scale, double *shift);
/* What inference does to each channel. */
void sfi_batchnorm2d_normals(const sfconv_layer *layer, sfk_normal *normals);
/* The parameters of channel `channel`: y = scale·x̂ + shift. */
void sfi_batchnorm2d_affine(const sfconv_layer *layer, int64_t channel, double *scale,
                            double *shift);
/* Takes the mean and the biased variance of a batch of `values` values into the running statistics;
 * the result is 1 / √(variance + ε). */
double sfi_batchnorm2d_observe(sfconv_layer *layer, int64_t channel, double mean, double variance,
                               double values);

/* `which` is SFCONV_ACTIVATION_…; the slope below 0 of LeakyReLU, 0 for the others. */
bool sfi_activation_facts(const sfconv_layer *layer, int32_t *which, float *slope);

/* Max pooling over 2 x 2 pixels without overlap or padding. */
bool sfi_is_max_pool_2x2(const sfconv_layer *layer);
/* Max pooling over 3 x 3 pixels with stride 2 and padding 1, as behind the stem of a ResNet. */
bool sfi_is_max_pool_of_stem(const sfconv_layer *layer);

/* Average pooling, but not of the whole map. */
bool sfi_is_average_pool(const sfconv_layer *layer);
bool sfi_is_global_average(const sfconv_layer *layer);
/* Of a pooling: the windows of row `row` of its output, whose `in` is the caller's to set, and the
 * row of the input that is the first inside. */
sfk_window sfi_pool2d_window(const sfconv_layer *layer, sfi_shape in, sfi_shape out, int64_t row);
int64_t sfi_pool2d_first_row(const sfconv_layer *layer, int64_t row);

/* `which` is SFCONV_UPSAMPLE_…. */
bool sfi_upsample2d_facts(const sfconv_layer *layer, int32_t *which, int64_t factor[2]);
/* Position k·factor + r of an up-sampled axis lies at k + offset of its input, -1 < offset < 1; 0
 * where the neighbour on that side is missing. `which` is bilinear. */
float sfi_upsample2d_offset(int32_t which, int64_t factor, sfi_span in, int64_t k, int64_t r);
/* Largest factor of the public contract, and the most positions that one input takes part in. */
#define SFI_UPSAMPLE_FACTOR 64
#define SFI_UPSAMPLE_TERMS (3 * SFI_UPSAMPLE_FACTOR)
/* The up-sampled positions that input position k takes part in, in their order, and its weights
 * there; returns how many. */
int64_t sfi_upsample2d_terms(int32_t which, int64_t factor, sfi_span in, int64_t k,
                             int64_t *positions, float *weights);

bool sfi_is_add(const sfconv_layer *layer);
bool sfi_is_concat(const sfconv_layer *layer);

#endif
