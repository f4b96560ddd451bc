/* SPDX-License-Identifier: BSD-2-Clause */
/* What the doors of losses, optimizers and metrics doubt besides arguments.h: views and settings
 * with open ends. Only api/ includes it. */
#ifndef SFI_TRAIN_ARGUMENTS_H
#define SFI_TRAIN_ARGUMENTS_H

#include "arguments.h"

#include "sfconv/tensor.h"

/* ARGUMENT unless the view has memory, 1 to 4 axes, sizes of at least 1, strides that are not
 * negative, and an extent that does not overflow. */
sfconv_status sfi_check_view(sfconv_context *context, const char *call, const char *name,
                             const sfconv_view *view);

/* As sfi_check_view, of the shape of another view that has been checked (SHAPE). */
sfconv_status sfi_check_view_like(sfconv_context *context, const char *call, const char *name,
                                  const sfconv_view *view, const char *model_name,
                                  const sfconv_view *model);

/* As sfi_check_view_like for a view that is written: no two elements may share memory because of a
 * stride of 0. */
sfconv_status sfi_check_target_like(sfconv_context *context, const char *call, const char *name,
                                    const sfconv_view *view, const char *model_name,
                                    const sfconv_view *model);

/* As sfi_check_view for logits [batch][classes][1][1]: SHAPE with the reason. */
sfconv_status sfi_check_class_logits(sfconv_context *context, const char *call,
                                     const sfconv_view *logits);

/* ARGUMENT unless the value is finite and above 0, finite and not negative, or 0 <= value < 1. */
sfconv_status sfi_check_positive(sfconv_context *context, const char *call, const char *name,
                                 double value);
sfconv_status sfi_check_not_negative(sfconv_context *context, const char *call, const char *name,
                                     double value);
sfconv_status sfi_check_below_one(sfconv_context *context, const char *call, const char *name,
                                  double value);
/* ARGUMENT unless 0 or 1. */
sfconv_status sfi_check_flag(sfconv_context *context, const char *call, const char *name,
                             int32_t value);

#endif
