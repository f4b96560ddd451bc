/* SPDX-License-Identifier: BSD-2-Clause */
/* Views of callers: whether they make sense, and copies. Only api/ includes it. */
#ifndef SFI_VIEWS_H
#define SFI_VIEWS_H

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

/* "[2, 3, 32, 32]": the shape of a checked view. */
#define SFI_SHAPE_TEXT 96
void sfi_put_shape(char text[SFI_SHAPE_TEXT], const sfconv_view *view);

/* Copies between two checked views of one rank and shape, whatever their strides. */
void sfi_copy_view(const sfconv_view *target, const sfconv_view *source);

#endif
