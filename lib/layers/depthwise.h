/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_DEPTHWISE_H
#define SFI_DEPTHWISE_H

#include "ctx.h"

#include <stdbool.h>

/* Depthwise convolution: each channel has a kernel of its own, weight [channels][kernel[0]]
 * [kernel[1]]. Pairs are {vertical, horizontal}; images are contiguous [batch][channels][height]
 * [width]. `out` is what sfi_window_size() says of each axis. Rows are taken into a ring of copies
 * with their padding, the columns of each residue modulo the stride together, so that every tap is
 * a contiguous row whatever the stride and dilation. scratch: as many bytes as the query says. */
typedef struct sfi_depthwise {
    int64_t batch;
    int64_t channels;
    int64_t in[2];
    int64_t out[2];
    int64_t kernel[2];
    int64_t stride[2];
    int64_t padding[2];
    int64_t dilation[2];
} sfi_depthwise;

/* Scratch of any of the calls below; false on overflow. */
bool sfi_depthwise_scratch(int64_t *bytes, const sfconv_context *context,
                           const sfi_depthwise *shape);

void sfi_depthwise_forward(sfconv_context *context, const sfi_depthwise *shape, const float *x,
                           const float *weight, float *y, void *scratch);

/* dx = gradient by x, added to what dx holds when `accumulate`. */
void sfi_depthwise_backward_data(sfconv_context *context, const sfi_depthwise *shape,
                                 const float *dy, const float *weight, float *dx, bool accumulate,
                                 void *scratch);
/* Adds the gradient by weight to dweight. */
void sfi_depthwise_backward_weight(sfconv_context *context, const sfi_depthwise *shape,
                                   const float *x, const float *dy, float *dweight, void *scratch);

#endif
