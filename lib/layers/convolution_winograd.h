/* SPDX-License-Identifier: BSD-2-Clause */
/* The implicit product by Winograd's F(4x4, 3x3): 36 multiply-adds for 16 pixels of a channel pair
 * in place of 144. docs/mathematics.md has the transforms and the bound of the error. */
#ifndef SFI_CONVOLUTION_WINOGRAD_H
#define SFI_CONVOLUTION_WINOGRAD_H

#include "convolution_product.h"

/* Whether this product is computed so: 3x3 taps that are neighbours, no stride, one group; and, as
 * the context says, never, always, or where the counts of operations promise time. The pointers
 * of the product do not matter, here and in the query. */
bool sfi_winograd_chosen(const sfconv_context *context, const sfi_conv_product *product);

/* Multiply-adds of its products, those of tiles' parts behind the target's end included. */
int64_t sfi_winograd_macs(const sfi_conv_product *product);

bool sfi_winograd_scratch(int64_t *bytes, const sfconv_context *context,
                          const sfi_conv_product *product);

/* The weight in panels, made once for many passes; 0 bytes where lanes run over tiles. */
bool sfi_winograd_frozen_bytes(int64_t *bytes, const sfi_conv_product *product);
void sfi_winograd_freeze(sfconv_context *context, const sfi_conv_product *product, float *frozen);

void sfi_winograd_run(sfconv_context *context, const sfi_conv_product *product, void *scratch);

#endif
