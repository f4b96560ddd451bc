/* SPDX-License-Identifier: BSD-2-Clause */
/* The dense convolution as a layer. */
#ifndef SFI_CONV2D_H
#define SFI_CONV2D_H

#include "dense.h"
#include "layer_kinds.h"

/* Parameters: weight, bias where the descriptor has one. */
typedef struct sfi_conv2d {
    sfconv_layer base;
    sfconv_conv2d_desc desc;
} sfi_conv2d;

/* The layer as what it is; NULL for any other kind. */
const sfi_conv2d *sfi_as_conv2d(const sfconv_layer *layer);

#endif
