/* SPDX-License-Identifier: BSD-2-Clause */
/* What layers over a dense convolution share. conv2d and linear are one convolution each with
 * parameter 0, the weight, and perhaps parameter 1, the bias; the shape tells them apart. */
#ifndef SFI_DENSE_H
#define SFI_DENSE_H

#include "convolution.h"
#include "layer_class.h"

/* A window of the public descriptors. */
typedef struct sfi_window {
    const int64_t *kernel;
    const int64_t *stride;
    const int64_t *padding;
    const int64_t *dilation;
} sfi_window;

/* Shape that a window of in_channels x out_channels makes of `in`, or SHAPE with the reason. */
sfconv_status sfi_window_infer(sfconv_context *context, const sfi_window *window,
                               int64_t in_channels, int64_t out_channels, sfi_shape in,
                               sfi_shape *out);

/* The convolution from `in` to `out`. */
sfi_conv_shape sfi_window_shape(const sfi_window *window, int64_t groups, sfi_shape in,
                                sfi_shape out);

/* OVERFLOW with the reason unless all sizes and counts of this convolution fit. */
sfconv_status sfi_dense_check(sfconv_context *context, const sfi_conv_shape *shape);

/* Bytes of scratch of one pass over this convolution; OVERFLOW with the reason. */
sfconv_status sfi_dense_scratch(sfconv_context *context, const sfi_conv_shape *shape, bool training,
                                int64_t *forward_bytes, int64_t *backward_bytes);

/* The calls of sfi_layer_class for conv2d and linear, with the shape worked out. */
sfconv_status sfi_dense_memory(const sfconv_layer *layer, const sfi_conv_shape *shape,
                               bool training, sfi_layer_memory *memory);
int64_t sfi_dense_macs(const sfi_conv_shape *shape);
void sfi_dense_forward(const sfconv_layer *layer, const sfi_conv_shape *shape,
                       const sfi_pass *pass);
/* For every kind whose weight is that of a convolution. */
sfconv_status sfi_dense_frozen_bytes(const sfconv_layer *layer, const sfi_conv_shape *shape,
                                     int64_t *bytes);
void sfi_dense_backward(const sfconv_layer *layer, const sfi_conv_shape *shape,
                        const sfi_pass *pass);

/* Adds the weight and, where asked, the bias [shape[0]]. */
sfconv_status sfi_dense_add_parameters(sfconv_layer *layer, int32_t rank, const int64_t *shape,
                                       bool has_bias);

/* Weight uniform in ±gain / sqrt(fan_in), bias in ±1 / sqrt(fan_in). */
void sfi_dense_initialize(sfconv_layer *layer, uint64_t seed, double gain);

#endif
