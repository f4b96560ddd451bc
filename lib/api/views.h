/* SPDX-License-Identifier: BSD-2-Clause */
/* Views that callers hand in. Only api/ includes it. */
#ifndef SFI_VIEWS_H
#define SFI_VIEWS_H

#include "arguments.h"

#include "sfconv/tensor.h"

/* Whether a view may be read and written: data, 1 to 4 axes, sizes from 1, strides from 0, offsets
 * that fit the address space. */
bool sfi_view_is_valid(const sfconv_view *view);

/* ARGUMENT with the reason "CALL: NAME …" for a view that is NULL, not valid or not of `rank` axes
 * (0: any). */
sfconv_status sfi_check_view(sfconv_context *context, const char *call, const char *name,
                             const sfconv_view *view, int32_t rank);

/* Whether two valid views have the same axes. */
bool sfi_same_shape(const sfconv_view *a, const sfconv_view *b);

/* Copies between two valid views of one shape. */
void sfi_copy_view(const sfconv_view *target, const sfconv_view *source);

#endif
