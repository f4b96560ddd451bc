/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_OVERLAP_H
#define SFI_OVERLAP_H

#include "ctx.h"

#include "sfconv/train.h"

/* Adds the counts of two views of one shape. NUMERIC: NaN, and then nothing is counted. */
sfconv_status sfi_overlap_add(sfconv_context *context, sfconv_overlap *overlap,
                              const sfconv_view *logits, const sfconv_view *mask, double threshold);

#endif
