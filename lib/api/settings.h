/* SPDX-License-Identifier: BSD-2-Clause */
/* Settings of layers: the checks that several create calls share. Only api/ includes it. */
#ifndef SFI_SETTINGS_H
#define SFI_SETTINGS_H

#include "arguments.h"
#include "dense.h"

#include "sfconv/layer.h"

/* A call that makes a layer: `*layer` becomes NULL, and the two pointers are there. */
sfconv_status sfi_begin_create(const char *call, sfconv_layer **layer, sfconv_context *context);

/* ARGUMENT below `min`; OVERFLOW above 2^31 - 1, so that products of two sizes always fit. */
sfconv_status sfi_check_size(sfconv_context *context, const char *call, const char *name,
                             int64_t value, int64_t min);
/* The same for a pair, named "NAME[0]" and "NAME[1]" in the reason. */
sfconv_status sfi_check_pair(sfconv_context *context, const char *call, const char *name,
                             const int64_t pair[2], int64_t min);

/* Kernel, stride, padding and dilation. */
sfconv_status sfi_check_window(sfconv_context *context, const char *call, const sfi_window *window);

/* Takes and checks a descriptor of conv2d (dsconv2d has the same). */
sfconv_status sfi_take_conv2d(sfconv_context *context, const char *call, sfconv_conv2d_desc *known,
                              const sfconv_conv2d_desc *desc);

/* Ratio and smallest rank of the rule that decides a rank. */
sfconv_status sfi_check_rank_rule(sfconv_context *context, const char *call, double ratio,
                                  int64_t min_rank);
sfconv_status sfi_check_regularizer(sfconv_context *context, const char *call, int32_t regularizer,
                                    double weight);
/* Checks what an sfconv2d has beside sizes, and decides desc->rank, for sizes that are checked. */
sfconv_status sfi_settle_sfconv2d(sfconv_context *context, const char *call,
                                  sfconv_sfconv2d_desc *desc);

#endif
