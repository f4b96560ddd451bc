/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_AUC_H
#define SFI_AUC_H

#include "ctx.h"

/* Area under the ROC curve: the part of the pairs (positive, negative) in which the positive has
 * the larger score, equal scores counting half; 0.5 without pairs. ARGUMENT: a label that is not 0
 * or 1; NUMERIC: NaN; MEMORY. */
sfconv_status sfi_auc(sfconv_context *context, const float *scores, const int32_t *labels,
                      int64_t count, double *value);

#endif
