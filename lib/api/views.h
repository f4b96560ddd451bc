/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_VIEWS_H
#define SFI_VIEWS_H

#include "sfconv/tensor.h"

/* Copies between two checked views of one rank and shape, whatever their strides. */
void sfi_copy_view(const sfconv_view *target, const sfconv_view *source);

#endif
