/* SPDX-License-Identifier: BSD-2-Clause */
#include "auc.h"
#include "confusion.h"
#include "overlap.h"
#include "views.h"

#include <float.h>
#include <math.h>

#define MOST_CLASSES 10000

static sfconv_status check_confusion(const sfconv_confusion *confusion)
{
    return confusion && confusion->magic == SFI_CONFUSION_MAGIC ? SFCONV_OK : SFCONV_ERROR_ARGUMENT;
}

sfconv_status sfconv_confusion_create(sfconv_confusion **confusion, sfconv_context *context,
                                      int32_t classes)
{
    static const char call[] = "sfconv_confusion_create";
    if (confusion) {
        *confusion = NULL;
    }
    if (!confusion || !context) {
        return sfi_refuse_null(context, call, "confusion");
    }
    const sfconv_status status =
        sfi_check_integer(context, call, "classes", classes, 2, MOST_CLASSES);
    return status < 0 ? status : sfi_confusion_new(confusion, context, classes);
}

void sfconv_confusion_destroy(sfconv_confusion *confusion)
{
    if (check_confusion(confusion) == SFCONV_OK) {
        sfi_confusion_release(confusion);
    }
}

sfconv_status sfconv_confusion_add(sfconv_confusion *confusion, int32_t truth, int32_t prediction)
{
    static const char call[] = "sfconv_confusion_add";
    sfconv_status status = check_confusion(confusion);
    if (status < 0) {
        return status;
    }
    status = sfi_check_integer(confusion->context, call, "truth", truth, 0, confusion->classes - 1);
    if (status < 0) {
        return status;
    }
    status = sfi_check_integer(confusion->context, call, "prediction", prediction, 0,
                               confusion->classes - 1);
    if (status >= 0) {
        sfi_confusion_add(confusion, truth, prediction);
    }
    return status;
}

sfconv_status sfconv_confusion_add_logits(sfconv_confusion *confusion, const sfconv_view *logits,
                                          const int32_t *labels)
{
    static const char call[] = "sfconv_confusion_add_logits";
    sfconv_status status = check_confusion(confusion);
    if (status < 0) {
        return status;
    }
    if (!labels) {
        return sfi_refuse_null(confusion->context, call, "labels");
    }
    status = sfi_check_class_logits(confusion->context, call, logits);
    if (status < 0) {
        return status;
    }
    const int64_t classes = logits->rank > 1 ? logits->shape[1] : 1;
    if (classes != confusion->classes) {
        return sfi_fail(confusion->context, SFCONV_ERROR_SHAPE,
                        "%s: logits: expected %d classes, got %lld", call, (int)confusion->classes,
                        (long long)classes);
    }
    return sfi_confusion_add_logits(confusion, logits, labels);
}

sfconv_status sfconv_confusion_count(const sfconv_confusion *confusion, int32_t truth,
                                     int32_t prediction, int64_t *count)
{
    static const char call[] = "sfconv_confusion_count";
    const sfconv_status status = check_confusion(confusion);
    if (status < 0) {
        return status;
    }
    if (!count) {
        return sfi_refuse_null(confusion->context, call, "count");
    }
    const int32_t classes = confusion->classes;
    if (truth < 0 || truth >= classes || prediction < 0 || prediction >= classes) {
        return sfi_fail(confusion->context, SFCONV_ERROR_NOT_FOUND,
                        "%s: there is no count [%d][%d] of %d classes", call, (int)truth,
                        (int)prediction, (int)classes);
    }
    *count = sfi_confusion_count(confusion, truth, prediction);
    return SFCONV_OK;
}

static sfconv_status measure(const sfconv_confusion *confusion, const char *call,
                             double (*metric)(const sfconv_confusion *), double *value)
{
    const sfconv_status status = check_confusion(confusion);
    if (status < 0) {
        return status;
    }
    if (!value) {
        return sfi_refuse_null(confusion->context, call, "value");
    }
    if (confusion->total == 0) {
        return sfi_fail(confusion->context, SFCONV_ERROR_STATE, "%s: no sample has been counted",
                        call);
    }
    *value = metric(confusion);
    return SFCONV_OK;
}

sfconv_status sfconv_confusion_accuracy(const sfconv_confusion *confusion, double *value)
{
    return measure(confusion, "sfconv_confusion_accuracy", sfi_confusion_accuracy, value);
}

sfconv_status sfconv_confusion_balanced_accuracy(const sfconv_confusion *confusion, double *value)
{
    return measure(confusion, "sfconv_confusion_balanced_accuracy", sfi_confusion_balanced_accuracy,
                   value);
}

sfconv_status sfconv_confusion_quadratic_kappa(const sfconv_confusion *confusion, double *value)
{
    return measure(confusion, "sfconv_confusion_quadratic_kappa", sfi_confusion_quadratic_kappa,
                   value);
}

sfconv_status sfconv_metric_auc(sfconv_context *context, const float *scores, const int32_t *labels,
                                int64_t count, double *value)
{
    static const char call[] = "sfconv_metric_auc";
    if (!context || !scores || !labels || !value) {
        return sfi_refuse_null(context, call, !scores ? "scores" : !labels ? "labels" : "value");
    }
    const sfconv_status status = sfi_check_integer(context, call, "count", count, 1, INT64_MAX);
    return status < 0 ? status : sfi_auc(context, scores, labels, count, value);
}

/* Counts that `pixels` more can be added to, whichever they belong to. */
static sfconv_status check_counts(sfconv_context *context, const char *call,
                                  const sfconv_overlap *overlap, int64_t pixels)
{
    const struct {
        const char *name;
        int64_t value;
    } counts[] = {{"true_positive", overlap->true_positive},
                  {"false_positive", overlap->false_positive},
                  {"false_negative", overlap->false_negative},
                  {"true_negative", overlap->true_negative}};
    sfconv_status status = SFCONV_OK;
    for (int i = 0; i < 4 && status == SFCONV_OK; i++) {
        status = sfi_check_integer(context, call, counts[i].name, counts[i].value, 0,
                                   INT64_MAX - pixels);
    }
    return status;
}

sfconv_status sfconv_overlap_add(sfconv_context *context, sfconv_overlap *overlap,
                                 const sfconv_view *logits, const sfconv_view *mask,
                                 double threshold)
{
    static const char call[] = "sfconv_overlap_add";
    if (!context || !overlap) {
        return sfi_refuse_null(context, call, "overlap");
    }
    sfconv_status status = sfi_check_out(context, call, overlap->struct_size, sizeof *overlap);
    if (status < 0) {
        return status;
    }
    status = sfi_check_number(context, call, "threshold", threshold, -DBL_MAX, DBL_MAX);
    if (status < 0) {
        return status;
    }
    status = sfi_check_view(context, call, "logits", logits);
    if (status < 0) {
        return status;
    }
    status = sfi_check_view_like(context, call, "mask", mask, "logits", logits);
    if (status < 0) {
        return status;
    }
    status = check_counts(context, call, overlap, sfconv_view_count(logits));
    return status < 0 ? status : sfi_overlap_add(context, overlap, logits, mask, threshold);
}

/* part / (part + others); 1 when there is nothing to find and nothing was found wrong. */
static double share(double part, double others)
{
    return part + others == 0.0 ? 1.0 : part / (part + others);
}

double sfconv_overlap_dice(const sfconv_overlap *overlap)
{
    return overlap ? share(2.0 * (double)overlap->true_positive,
                           (double)overlap->false_positive + (double)overlap->false_negative)
                   : NAN;
}

double sfconv_overlap_iou(const sfconv_overlap *overlap)
{
    return overlap ? share((double)overlap->true_positive,
                           (double)overlap->false_positive + (double)overlap->false_negative)
                   : NAN;
}

double sfconv_overlap_sensitivity(const sfconv_overlap *overlap)
{
    return overlap ? share((double)overlap->true_positive, (double)overlap->false_negative) : NAN;
}

double sfconv_overlap_specificity(const sfconv_overlap *overlap)
{
    return overlap ? share((double)overlap->true_negative, (double)overlap->false_positive) : NAN;
}
