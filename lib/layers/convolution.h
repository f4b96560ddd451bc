/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_CONVOLUTION_H
#define SFI_CONVOLUTION_H

#include "ctx.h"
#include "finish.h"
#include "macs.h"

#include <stdbool.h>

/* The dense convolution and its three gradients, as implicit matrix products. Tensors are
 * contiguous float32: images [batch][channels][height][width], weight
 * [out_channels][in_channels / groups][kernel[0]][kernel[1]]. Pairs are {vertical, horizontal}.
 * A linear layer is a 1x1 kernel on 1x1 images: the batch then supplies the pixels.
 *
 * Shapes must fit: channels divisible by groups, out_* as sfi_conv_output_size() says, every
 * product of extents within int64_t (see sfi_conv_shape_fits). Sums that have no terms are 0.
 *
 * scratch: 64-byte aligned, as many bytes as the query of the same name says for this context and
 * shape; contents do not matter before or after. Outputs must not overlap inputs. */
typedef struct sfi_conv_shape {
    int64_t batch;
    int64_t in_channels;
    int64_t in_height;
    int64_t in_width;
    int64_t out_channels;
    int64_t out_height;
    int64_t out_width;
    int64_t kernel[2];
    int64_t stride[2];
    int64_t padding[2];
    int64_t dilation[2];
    int64_t groups;
} sfi_conv_shape;

/* Extent of the output along one axis; below 1 when the padded input is smaller than the kernel. */
int64_t sfi_conv_output_size(int64_t in, int64_t kernel, int64_t stride, int64_t padding,
                             int64_t dilation);

/* Whether the extents are positive, fit each other, and the bytes of both images and of the weight
 * are countable. */
bool sfi_conv_shape_fits(const sfi_conv_shape *shape);

/* Multiply-adds of the forward pass, those with padding included; false on overflow. */
bool sfi_conv_macs(int64_t *macs, const sfi_conv_shape *shape);

/* Multiply-adds of each pass by the algorithm that this context chooses; the shape's are countable.
 */
typedef struct sfi_conv_counts {
    sfi_macs forward;
    sfi_macs data;
    sfi_macs weight;
} sfi_conv_counts;

sfi_conv_counts sfi_conv_count(const sfconv_context *context, const sfi_conv_shape *shape);

/* y = conv(x, weight) + bias; bias [out_channels] or NULL. `frozen`: NULL, or what
 * sfi_conv_freeze() made, and then the weight is not read. Either gives the same bits. `finish`:
 * NULL, or what is done to y. */
void sfi_conv_forward(sfconv_context *context, const sfi_conv_shape *shape, const float *x,
                      const float *weight, const void *frozen, const float *bias,
                      const sfi_finish *finish, float *y, void *scratch);
bool sfi_conv_forward_scratch(int64_t *bytes, const sfconv_context *context,
                              const sfi_conv_shape *shape);

/* The weight in the form that forward reads soonest, 64-byte aligned, made once for many passes of
 * this shape by this context. 0 bytes: there is nothing to gain, and no call then. */
bool sfi_conv_frozen_bytes(int64_t *bytes, const sfconv_context *context,
                           const sfi_conv_shape *shape);
void sfi_conv_freeze(sfconv_context *context, const sfi_conv_shape *shape, const float *weight,
                     void *frozen);

/* dx = gradient by x, added to what dx holds when `accumulate`. */
void sfi_conv_backward_data(sfconv_context *context, const sfi_conv_shape *shape, const float *dy,
                            const float *weight, float *dx, bool accumulate, void *scratch);
bool sfi_conv_backward_data_scratch(int64_t *bytes, const sfconv_context *context,
                                    const sfi_conv_shape *shape);

/* dweight = gradient by weight, added to what dweight holds when `accumulate`. */
void sfi_conv_backward_weight(sfconv_context *context, const sfi_conv_shape *shape, const float *x,
                              const float *dy, float *dweight, bool accumulate, void *scratch);
bool sfi_conv_backward_weight_scratch(int64_t *bytes, const sfconv_context *context,
                                      const sfi_conv_shape *shape);

/* dbias[o] = sum of dy over batch and pixels, added when `accumulate`. Needs no scratch. */
void sfi_conv_backward_bias(sfconv_context *context, const sfi_conv_shape *shape, const float *dy,
                            float *dbias, bool accumulate);

#endif
