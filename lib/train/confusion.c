/* SPDX-License-Identifier: BSD-2-Clause */
#include "confusion.h"

#include "error.h"
#include "grid.h"
#include "memory.h"

#include <assert.h>

static size_t count_bytes(int32_t classes)
{
    /* The matrix and its two margins. */
    return ((size_t)classes + 2) * (size_t)classes * sizeof(int64_t);
}

sfconv_status sfi_confusion_new(sfconv_confusion **out, sfconv_context *context, int32_t classes)
{
    sfconv_confusion *confusion = sfi_calloc(context, 1, sizeof *confusion);
    int64_t *counts = sfi_calloc(context, 1, count_bytes(classes));
    *out = NULL;
    if (!confusion || !counts) {
        sfi_free(context, confusion, sizeof *confusion);
        sfi_free(context, counts, count_bytes(classes));
        return sfi_fail_memory(context, "confusion matrix", count_bytes(classes));
    }
    *confusion = (sfconv_confusion){
        .magic = SFI_CONFUSION_MAGIC,
        .context = sfi_context_retain(context),
        .classes = classes,
        .counts = counts,
        .truths = counts + (size_t)classes * (size_t)classes,
        .predictions = counts + ((size_t)classes + 1) * (size_t)classes,
    };
    *out = confusion;
    return SFCONV_OK;
}

void sfi_confusion_release(sfconv_confusion *confusion)
{
    if (!confusion) {
        return;
    }
    sfconv_context *context = confusion->context;
    sfi_free(context, confusion->counts, count_bytes(confusion->classes));
    confusion->magic = 0;
    sfi_free(context, confusion, sizeof *confusion);
    sfi_context_release(context);
}

int64_t sfi_confusion_count(const sfconv_confusion *confusion, int32_t truth, int32_t prediction)
{
    return confusion->counts[(int64_t)truth * confusion->classes + prediction];
}

void sfi_confusion_add(sfconv_confusion *confusion, int32_t truth, int32_t prediction)
{
    assert(truth >= 0 && truth < confusion->classes);
    assert(prediction >= 0 && prediction < confusion->classes);
    confusion->counts[(int64_t)truth * confusion->classes + prediction]++;
    confusion->truths[truth]++;
    confusion->predictions[prediction]++;
    confusion->total++;
}

static int32_t first_largest(const sfi_grid *logits, int64_t sample)
{
    const float *x = logits->data + sample * logits->stride[0];
    int32_t largest = 0;
    for (int32_t c = 1; c < logits->shape[1]; c++) {
        if (x[c * logits->stride[1]] > x[largest * logits->stride[1]]) {
            largest = c;
        }
    }
    return largest;
}

sfconv_status sfi_confusion_add_logits(sfconv_confusion *confusion, const sfconv_view *logits,
                                       const int32_t *labels)
{
    const sfi_grid grid = sfi_grid_of(logits);
    for (int64_t i = 0; i < grid.shape[0]; i++) {
        if (labels[i] < 0 || labels[i] >= confusion->classes) {
            return sfi_fail(confusion->context, SFCONV_ERROR_ARGUMENT,
                            "labels[%lld]: expected a class 0 to %d, got %d", (long long)i,
                            (int)confusion->classes - 1, (int)labels[i]);
        }
    }
    const sfconv_status status = sfi_grid_check(confusion->context, "logits", &grid, sfi_is_nan,
                                                SFCONV_ERROR_NUMERIC, "a number");
    if (status < 0) {
        return status;
    }
    for (int64_t i = 0; i < grid.shape[0]; i++) {
        sfi_confusion_add(confusion, labels[i], first_largest(&grid, i));
    }
    return SFCONV_OK;
}

double sfi_confusion_accuracy(const sfconv_confusion *confusion)
{
    int64_t right = 0;
    for (int32_t c = 0; c < confusion->classes; c++) {
        right += sfi_confusion_count(confusion, c, c);
    }
    return (double)right / (double)confusion->total;
}

double sfi_confusion_balanced_accuracy(const sfconv_confusion *confusion)
{
    double sum = 0.0;
    int32_t occurring = 0;
    for (int32_t c = 0; c < confusion->classes; c++) {
        if (confusion->truths[c] > 0) {
            sum += (double)sfi_confusion_count(confusion, c, c) / (double)confusion->truths[c];
            occurring++;
        }
    }
    return sum / occurring;
}

/* 1 − Σ w O / Σ w E with weights w = (truth − prediction)², counts O and the counts E = (margin of
 * truth) · (margin of prediction) / total that independence would give. */
double sfi_confusion_quadratic_kappa(const sfconv_confusion *confusion)
{
    double observed = 0.0;
    double expected = 0.0;
    for (int32_t i = 0; i < confusion->classes; i++) {
        for (int32_t j = 0; confusion->truths[i] > 0 && j < confusion->classes; j++) {
            const double weight = (double)(i - j) * (double)(i - j);
            observed += weight * (double)sfi_confusion_count(confusion, i, j);
            expected += weight * (double)confusion->truths[i] * (double)confusion->predictions[j];
        }
    }
    if (expected == 0.0) {
        /* All samples are of one class and recognised. */
        return 1.0;
    }
    return 1.0 - observed * (double)confusion->total / expected;
}
