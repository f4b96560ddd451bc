/* SPDX-License-Identifier: BSD-2-Clause */
/* Winograd's F(4x4, 3x3) with lanes over the channels of the target, so that a handful of tiles
 * fills them; a task transforms its part of the weight itself, some channels at a time, from the
 * panels that the direct sum reads too. */
#ifndef SFI_WINOGRAD_CHANNELS_H
#define SFI_WINOGRAD_CHANNELS_H

#include "convolution_product.h"

/* Of a product that Winograd's transform fits. */
bool sfi_winograd_by_channels(const sfi_conv_product *product);

/* A frozen weight is that of sfi_conv_product_freeze(). */
bool sfi_winograd_channels_scratch(int64_t *bytes, const sfconv_context *context,
                                   const sfi_conv_product *product);
void sfi_winograd_channels_run(sfconv_context *context, const sfi_conv_product *product,
                               void *scratch);

#endif
