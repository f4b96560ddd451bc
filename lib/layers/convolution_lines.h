/* SPDX-License-Identifier: BSD-2-Clause */
/* Convolutions of horizontal stride 2 by Winograd's F(4, 4) along their rows: 14 multiply-adds in
 * place of 20 to 32 for 4 outputs of a vertical tap and a channel. docs/mathematics.md has the
 * transforms. */
#ifndef SFI_CONVOLUTION_LINES_H
#define SFI_CONVOLUTION_LINES_H

#include "convolution.h"

/* Whether the rows of such a convolution can be computed so, and three or four taps of one parity
 * make it worth while. */
bool sfi_lines_fit(int64_t taps, int64_t stride, int64_t dilation);

/* The coefficients of one filter [in][height][width] times `factor`:
 * [point][in][parity][vertical tap]. */
void sfi_line_weights(float *to, const float *filter, int64_t in, int64_t height, int64_t width,
                      double factor);

/* Whether forward and the gradient by the weight are computed so: as the context says, never,
 * always where it can be done, or where the counts of operations promise time. */
bool sfi_lines_chosen(const sfconv_context *context, const sfi_conv_shape *shape);

/* Multiply-adds of the products of either pass. */
int64_t sfi_lines_macs(const sfi_conv_shape *shape);

/* As the passes of convolution.h. */
bool sfi_lines_forward_scratch(int64_t *bytes, const sfconv_context *context,
                               const sfi_conv_shape *shape);
void sfi_lines_forward(sfconv_context *context, const sfi_conv_shape *shape, const float *x,
                       const float *weight, const float *bias, const sfi_finish *finish, float *y,
                       void *scratch);
bool sfi_lines_weight_scratch(int64_t *bytes, const sfconv_context *context,
                              const sfi_conv_shape *shape);
void sfi_lines_weight(sfconv_context *context, const sfi_conv_shape *shape, const float *x,
                      const float *dy, float *dweight, bool accumulate, void *scratch);

#endif
