/* SPDX-License-Identifier: BSD-2-Clause */
/* Constructors of the layer kinds, one file each. Settings are checked by the caller; what remains
 * are OVERFLOW, MEMORY and NUMERIC, with the reason in the context. */
#ifndef SFI_LAYER_KINDS_H
#define SFI_LAYER_KINDS_H

#include "layer_class.h"

sfconv_status sfi_conv2d_new(sfconv_layer **layer, sfconv_context *context,
                             const sfconv_conv2d_desc *desc);
/* desc->rank is decided: 1 to min(in·kw, out·kh). */
sfconv_status sfi_sfconv2d_new(sfconv_layer **layer, sfconv_context *context,
                               const sfconv_sfconv2d_desc *desc);
sfconv_status sfi_dsconv2d_new(sfconv_layer **layer, sfconv_context *context,
                               const sfconv_conv2d_desc *desc);
sfconv_status sfi_batchnorm2d_new(sfconv_layer **layer, sfconv_context *context,
                                  const sfconv_batchnorm2d_desc *desc);
sfconv_status sfi_activation_new(sfconv_layer **layer, sfconv_context *context, int32_t activation,
                                 double slope);
sfconv_status sfi_pool2d_new(sfconv_layer **layer, sfconv_context *context,
                             const sfconv_pool2d_desc *desc);
sfconv_status sfi_upsample2d_new(sfconv_layer **layer, sfconv_context *context, int32_t kind,
                                 const int64_t factor[2]);
sfconv_status sfi_linear_new(sfconv_layer **layer, sfconv_context *context,
                             const sfconv_linear_desc *desc);
sfconv_status sfi_dropout_new(sfconv_layer **layer, sfconv_context *context, double probability);
sfconv_status sfi_add_new(sfconv_layer **layer, sfconv_context *context);
sfconv_status sfi_concat_new(sfconv_layer **layer, sfconv_context *context);

#endif
