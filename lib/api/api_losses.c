/* SPDX-License-Identifier: BSD-2-Clause */
#include "losses.h"
#include "views.h"

#include "sfconv/train.h"

#include <float.h>

/* Gradients are float32, and that of one pixel may be all of the weights. */
#define LARGEST_WEIGHT ((double)FLT_MAX)

/* What all losses share: where the value and the gradient go. */
static sfconv_status check_results(sfconv_context *context, const char *call,
                                   const char *logits_name, const sfconv_view *logits,
                                   const double *value, const sfconv_view *gradient)
{
    if (!value) {
        return sfi_refuse_null(context, call, "value");
    }
    return gradient
               ? sfi_check_target_like(context, call, "gradient", gradient, logits_name, logits)
               : SFCONV_OK;
}

static sfconv_status check_pair(sfconv_context *context, const char *call, const char *logits_name,
                                const sfconv_view *logits, const sfconv_view *targets,
                                const double *value, const sfconv_view *gradient)
{
    sfconv_status status = sfi_check_view(context, call, logits_name, logits);
    if (status < 0) {
        return status;
    }
    status = sfi_check_view_like(context, call, "targets", targets, logits_name, logits);
    if (status < 0) {
        return status;
    }
    return check_results(context, call, logits_name, logits, value, gradient);
}

sfconv_status sfconv_loss_cross_entropy(sfconv_context *context, const sfconv_view *logits,
                                        const int32_t *labels,
                                        const sfconv_cross_entropy_desc *desc, double *value,
                                        const sfconv_view *gradient)
{
    static const char call[] = "sfconv_loss_cross_entropy";
    sfconv_cross_entropy_desc settings = SFCONV_CROSS_ENTROPY_DESC_INIT;
    if (!context) {
        return SFCONV_ERROR_ARGUMENT;
    }
    sfconv_status status = sfi_take_desc(context, call, &settings, sizeof settings, desc);
    if (status < 0) {
        return status;
    }
    status = sfi_check_below_one(context, call, "label_smoothing", settings.label_smoothing);
    if (status < 0) {
        return status;
    }
    if (!labels) {
        return sfi_refuse_null(context, call, "labels");
    }
    status = sfi_check_class_logits(context, call, logits);
    if (status < 0) {
        return status;
    }
    status = check_results(context, call, "logits", logits, value, gradient);
    if (status < 0) {
        return status;
    }
    return sfi_loss_cross_entropy(context, logits, labels, settings.class_weights,
                                  settings.label_smoothing, value, gradient);
}

static sfconv_status binary_loss(sfconv_context *context, const char *call,
                                 const sfconv_view *logits, const sfconv_view *targets,
                                 const sfi_binary_loss *settings, double *value,
                                 const sfconv_view *gradient)
{
    const sfconv_status status =
        check_pair(context, call, "logits", logits, targets, value, gradient);
    return status < 0 ? status
                      : sfi_loss_binary(context, logits, targets, settings, value, gradient);
}

sfconv_status sfconv_loss_bce(sfconv_context *context, const sfconv_view *logits,
                              const sfconv_view *targets, double positive_weight, double *value,
                              const sfconv_view *gradient)
{
    static const char call[] = "sfconv_loss_bce";
    const sfi_binary_loss settings = {1.0, positive_weight, 0.0, 1.0};
    if (!context) {
        return SFCONV_ERROR_ARGUMENT;
    }
    sfconv_status status = sfi_check_positive(context, call, "positive_weight", positive_weight);
    if (status >= 0) {
        status = sfi_check_number(context, call, "positive_weight", positive_weight, 0.0,
                                  LARGEST_WEIGHT);
    }
    return status < 0 ? status
                      : binary_loss(context, call, logits, targets, &settings, value, gradient);
}

sfconv_status sfconv_loss_dice(sfconv_context *context, const sfconv_view *logits,
                               const sfconv_view *targets, double smooth, double *value,
                               const sfconv_view *gradient)
{
    static const char call[] = "sfconv_loss_dice";
    const sfi_binary_loss settings = {0.0, 1.0, 1.0, smooth};
    if (!context) {
        return SFCONV_ERROR_ARGUMENT;
    }
    const sfconv_status status = sfi_check_positive(context, call, "smooth", smooth);
    return status < 0 ? status
                      : binary_loss(context, call, logits, targets, &settings, value, gradient);
}

sfconv_status sfconv_loss_bce_dice(sfconv_context *context, const sfconv_view *logits,
                                   const sfconv_view *targets, double bce_weight,
                                   double dice_weight, double *value, const sfconv_view *gradient)
{
    static const char call[] = "sfconv_loss_bce_dice";
    const sfi_binary_loss settings = {bce_weight, 1.0, dice_weight, 1.0};
    if (!context) {
        return SFCONV_ERROR_ARGUMENT;
    }
    sfconv_status status =
        sfi_check_number(context, call, "bce_weight", bce_weight, 0.0, LARGEST_WEIGHT);
    if (status < 0) {
        return status;
    }
    status = sfi_check_number(context, call, "dice_weight", dice_weight, 0.0,
                              LARGEST_WEIGHT - bce_weight);
    return status < 0 ? status
                      : binary_loss(context, call, logits, targets, &settings, value, gradient);
}

sfconv_status sfconv_loss_mse(sfconv_context *context, const sfconv_view *predictions,
                              const sfconv_view *targets, double *value,
                              const sfconv_view *gradient)
{
    if (!context) {
        return SFCONV_ERROR_ARGUMENT;
    }
    const sfconv_status status = check_pair(context, "sfconv_loss_mse", "predictions", predictions,
                                            targets, value, gradient);
    return status < 0 ? status : sfi_loss_mse(context, predictions, targets, value, gradient);
}
