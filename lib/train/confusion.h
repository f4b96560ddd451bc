/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_CONFUSION_H
#define SFI_CONFUSION_H

#include "ctx.h"

#include "sfconv/train.h"

struct sfconv_confusion {
    uint32_t magic;
    sfconv_context *context;
    int32_t classes;
    int64_t total;
    /* [truth][prediction], and its sums by truth and by prediction. */
    int64_t *counts;
    int64_t *truths;
    int64_t *predictions;
};

#define SFI_CONFUSION_MAGIC 0x5fc04346u

sfconv_status sfi_confusion_new(sfconv_confusion **confusion, sfconv_context *context,
                                int32_t classes);
void sfi_confusion_release(sfconv_confusion *confusion);

/* Both below classes. */
void sfi_confusion_add(sfconv_confusion *confusion, int32_t truth, int32_t prediction);
/* logits [batch][classes][1][1]. ARGUMENT: a label that is no class; NUMERIC: NaN; then nothing is
 * counted. */
sfconv_status sfi_confusion_add_logits(sfconv_confusion *confusion, const sfconv_view *logits,
                                       const int32_t *labels);
int64_t sfi_confusion_count(const sfconv_confusion *confusion, int32_t truth, int32_t prediction);

/* At least one sample has been counted. */
double sfi_confusion_accuracy(const sfconv_confusion *confusion);
double sfi_confusion_balanced_accuracy(const sfconv_confusion *confusion);
double sfi_confusion_quadratic_kappa(const sfconv_confusion *confusion);

#endif
