/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFCONV_TRAIN_H
#define SFCONV_TRAIN_H

#include "sfconv/net.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A training step: write inputs, sfconv_run_forward(), a loss that writes the output gradient,
 * sfconv_run_zero_gradients(), sfconv_run_backward(), sfconv_run_regularize(),
 * sfconv_run_clip_gradients(), sfconv_optimizer_step(). */

/* Losses: *value is the mean over the batch (and pixels); `gradient` gets the derivative with
 * respect to the logits and may be NULL. `logits` and `gradient` are views of one shape. Any
 * thread. All loss calls: errors ARGUMENT, SHAPE, NUMERIC (NaN or infinite logits; gradient
 * untouched). The context keeps the reason. */

/** Settings of the classification loss. Since: 0.1 */
typedef struct sfconv_cross_entropy_desc {
    size_t struct_size;
    /** Weight of each class, not negative, or NULL for 1; the mean divides by the sum of the
     * weights of the samples, and label_smoothing times a weight is at most FLT_MAX times it. */
    const float *class_weights;
    /** 0 <= smoothing < 1 of the target goes evenly to all classes. */
    double label_smoothing;
} sfconv_cross_entropy_desc;

#define SFCONV_CROSS_ENTROPY_DESC_INIT                                                             \
    {                                                                                              \
        sizeof(sfconv_cross_entropy_desc), NULL, 0.0                                               \
    }

/** Softmax cross-entropy of logits [batch][classes][1][1] and labels[batch] of 0 … classes-1. desc
 * may be NULL. Formula and means as torch.nn.CrossEntropyLoss. Since: 0.1 */
SFCONV_API sfconv_status sfconv_loss_cross_entropy(sfconv_context *context,
                                                   const sfconv_view *logits, const int32_t *labels,
                                                   const sfconv_cross_entropy_desc *desc,
                                                   double *value, const sfconv_view *gradient);

/** Binary cross-entropy with logits; targets 0 to 1, the shape of logits; `positive_weight` (> 0,
 * at most FLT_MAX) multiplies the positive part. Since: 0.1 */
SFCONV_API sfconv_status sfconv_loss_bce(sfconv_context *context, const sfconv_view *logits,
                                         const sfconv_view *targets, double positive_weight,
                                         double *value, const sfconv_view *gradient);

/** Soft Dice: 1 − mean over batch and channels of (2 Σ p t + ε) / (Σ p + Σ t + ε), p =
 * sigmoid(logit), ε = smooth > 0: an empty mask that is predicted empty has loss 0. Since: 0.1 */
SFCONV_API sfconv_status sfconv_loss_dice(sfconv_context *context, const sfconv_view *logits,
                                          const sfconv_view *targets, double smooth, double *value,
                                          const sfconv_view *gradient);

/** bce_weight · BCE + dice_weight · Dice with smooth 1; weights not negative, together at most
 * FLT_MAX. Since: 0.1 */
SFCONV_API sfconv_status sfconv_loss_bce_dice(sfconv_context *context, const sfconv_view *logits,
                                              const sfconv_view *targets, double bce_weight,
                                              double dice_weight, double *value,
                                              const sfconv_view *gradient);

/** Mean squared error. Since: 0.1 */
SFCONV_API sfconv_status sfconv_loss_mse(sfconv_context *context, const sfconv_view *predictions,
                                         const sfconv_view *targets, double *value,
                                         const sfconv_view *gradient);

/** Scales all parameter gradients so that their common Euclidean norm is at most `max_norm` (> 0);
 * *norm (may be NULL) is the norm before. Errors: ARGUMENT, STATE, NUMERIC (a gradient that is not
 * finite, with the parameter's name; nothing is scaled). Since: 0.1 */
SFCONV_API sfconv_status sfconv_run_clip_gradients(sfconv_run *run, double max_norm, double *norm);

#define SFCONV_OPTIMIZER_SGD 1
#define SFCONV_OPTIMIZER_ADAM 2
#define SFCONV_OPTIMIZER_ADAMW 3

/** Settings of an optimizer; formulas as torch.optim.SGD, Adam and AdamW. Since: 0.1 */
typedef struct sfconv_optimizer_desc {
    size_t struct_size;
    /** SFCONV_OPTIMIZER_… */
    int32_t kind;
    /** SGD: 1 for Nesterov's momentum. */
    int32_t nesterov;
    /** SGD: 0 <= momentum < 1. */
    double momentum;
    /** Adam: each 0 <= β < 1. */
    double beta1;
    double beta2;
    /** Adam: above 0. */
    double epsilon;
    /** Not negative. SGD and Adam add it to the gradient, AdamW shrinks the weights. */
    double weight_decay;
    /** 1: factors P and Q decay too; 0: not (their layer's regularizer takes its place). */
    int32_t decay_factors;
    /** 1: biases and the scale and shift of BatchNorm decay too. */
    int32_t decay_bias_and_norm;
} sfconv_optimizer_desc;

#define SFCONV_OPTIMIZER_DESC_INIT                                                                 \
    {                                                                                              \
        sizeof(sfconv_optimizer_desc), SFCONV_OPTIMIZER_SGD, 0, 0.9, 0.9, 0.999, 1e-8, 0.0, 1, 0   \
    }

/** State of an optimizer for the parameters of one net. Used by one thread at a time. Since: 0.1 */
typedef struct sfconv_optimizer sfconv_optimizer;

/** Errors: ARGUMENT (a setting out of range or NaN; Nesterov without momentum), MEMORY. Since: 0.1
 */
SFCONV_API sfconv_status sfconv_optimizer_create(sfconv_optimizer **optimizer, sfconv_net *net,
                                                 const sfconv_optimizer_desc *desc);
SFCONV_API void sfconv_optimizer_destroy(sfconv_optimizer *optimizer);

/** Changes the parameters of the net by the gradients of `run`, with this learning rate (>= 0).
 * Errors: ARGUMENT (a run of another net, a rate that is negative or not finite), STATE, NUMERIC (a
 * gradient that is not finite, with the parameter's name; nothing is changed). Since: 0.1 */
SFCONV_API sfconv_status sfconv_optimizer_step(sfconv_optimizer *optimizer, sfconv_run *run,
                                               double rate);
/** Number of steps taken; 0 for NULL. Since: 0.1 */
SFCONV_API int64_t sfconv_optimizer_steps(const sfconv_optimizer *optimizer);

#define SFCONV_SCHEDULE_CONSTANT 1
/** rate · factor^floor(step / period) */
#define SFCONV_SCHEDULE_STEP 2
/** From rate to rate · factor by half a cosine over `total` steps (after warm-up). */
#define SFCONV_SCHEDULE_COSINE 3
/** rate · factor each time `patience` observations in a row brought no better value. */
#define SFCONV_SCHEDULE_PLATEAU 4

/** Settings of a schedule of learning rates. Since: 0.1 */
typedef struct sfconv_schedule_desc {
    size_t struct_size;
    int32_t kind;
    /** PLATEAU: 1 when larger observations are better. */
    int32_t larger_is_better;
    /** Above 0. */
    double rate;
    /** 0 <= factor <= 1. */
    double factor;
    /** Steps of the linear warm-up from rate / (warmup + 1); every kind. */
    int64_t warmup;
    /** COSINE: length in steps, warm-up included. */
    int64_t total;
    /** STEP: in steps. */
    int64_t period;
    /** PLATEAU: observations. */
    int64_t patience;
} sfconv_schedule_desc;

#define SFCONV_SCHEDULE_DESC_INIT                                                                  \
    {                                                                                              \
        sizeof(sfconv_schedule_desc), SFCONV_SCHEDULE_CONSTANT, 0, 0.01, 0.1, 0, 1, 1, 10          \
    }

typedef struct sfconv_schedule sfconv_schedule;

/** Errors: ARGUMENT, MEMORY. Since: 0.1 */
SFCONV_API sfconv_status sfconv_schedule_create(sfconv_schedule **schedule, sfconv_context *context,
                                                const sfconv_schedule_desc *desc);
SFCONV_API void sfconv_schedule_destroy(sfconv_schedule *schedule);
/** Rate of step `step` (from 0). Errors: ARGUMENT. Since: 0.1 */
SFCONV_API sfconv_status sfconv_schedule_rate(const sfconv_schedule *schedule, int64_t step,
                                              double *rate);
/** Tells a PLATEAU schedule a validation value; the others take no notice. Errors: ARGUMENT (NaN).
 * Since: 0.1 */
SFCONV_API sfconv_status sfconv_schedule_observe(sfconv_schedule *schedule, double value);

/** Exponential moving average of a net's parameters (buffers are copied). Since: 0.1 */
typedef struct sfconv_average sfconv_average;
/** average = decay · average + (1 − decay) · parameters, starting from the present ones; 0 <= decay
 * <
 * 1. Errors: ARGUMENT, MEMORY. Since: 0.1 */
SFCONV_API sfconv_status sfconv_average_create(sfconv_average **average, sfconv_net *net,
                                               double decay);
SFCONV_API void sfconv_average_destroy(sfconv_average *average);
/** Takes the net's present parameters in. Errors: ARGUMENT, STATE (while exchanged; the net has
 * changed). Since: 0.1 */
SFCONV_API sfconv_status sfconv_average_update(sfconv_average *average);
/** Exchanges the parameters of the net and the average; twice gives the former state. Errors:
 * ARGUMENT, STATE (the net has changed). Since: 0.1 */
SFCONV_API sfconv_status sfconv_average_swap(sfconv_average *average);

/* Metrics. Each has a defined result where a textbook would divide by zero; see there. */

/** Counts of a classification: matrix[truth][prediction]. Since: 0.1 */
typedef struct sfconv_confusion sfconv_confusion;
/** classes 2 to 10,000. Errors: ARGUMENT, MEMORY. Since: 0.1 */
SFCONV_API sfconv_status sfconv_confusion_create(sfconv_confusion **confusion,
                                                 sfconv_context *context, int32_t classes);
SFCONV_API void sfconv_confusion_destroy(sfconv_confusion *confusion);
/** Counts one sample. Errors: ARGUMENT. Since: 0.1 */
SFCONV_API sfconv_status sfconv_confusion_add(sfconv_confusion *confusion, int32_t truth,
                                              int32_t prediction);
/** Counts a batch: the prediction is the first largest logit. Errors: ARGUMENT, SHAPE, NUMERIC.
 * Since: 0.1 */
SFCONV_API sfconv_status sfconv_confusion_add_logits(sfconv_confusion *confusion,
                                                     const sfconv_view *logits,
                                                     const int32_t *labels);
/** Errors: ARGUMENT, NOT_FOUND. Since: 0.1 */
SFCONV_API sfconv_status sfconv_confusion_count(const sfconv_confusion *confusion, int32_t truth,
                                                int32_t prediction, int64_t *count);
/** Right / all; STATE before the first sample. Since: 0.1 */
SFCONV_API sfconv_status sfconv_confusion_accuracy(const sfconv_confusion *confusion,
                                                   double *value);
/** Mean over classes that occur of the part recognised. Since: 0.1 */
SFCONV_API sfconv_status sfconv_confusion_balanced_accuracy(const sfconv_confusion *confusion,
                                                            double *value);
/** Cohen's kappa with quadratic weights (1968); 1 when truth and prediction are one and the same
 * class throughout, 0 when only one of them varies. Since: 0.1 */
SFCONV_API sfconv_status sfconv_confusion_quadratic_kappa(const sfconv_confusion *confusion,
                                                          double *value);

/** Area under the ROC curve of scores against labels (0 or 1), ties count half; 0.5 when one class
 * is absent. Errors: ARGUMENT, NUMERIC (NaN scores), MEMORY. Since: 0.1 */
SFCONV_API sfconv_status sfconv_metric_auc(sfconv_context *context, const float *scores,
                                           const int32_t *labels, int64_t count, double *value);

/** Counts of a binary segmentation. Since: 0.1 */
typedef struct sfconv_overlap {
    size_t struct_size;
    int64_t true_positive;
    int64_t false_positive;
    int64_t false_negative;
    int64_t true_negative;
} sfconv_overlap;

#define SFCONV_OVERLAP_INIT                                                                        \
    {                                                                                              \
        sizeof(sfconv_overlap), 0, 0, 0, 0                                                         \
    }

/** Adds the counts of logits (> threshold is foreground; logit 0 is probability ½) against a mask
 * (> 0.5 is foreground). Errors: ARGUMENT (counts so far that are negative, or to which the pixels
 * cannot be added in 63 bits), SHAPE, NUMERIC. Since: 0.1 */
SFCONV_API sfconv_status sfconv_overlap_add(sfconv_context *context, sfconv_overlap *overlap,
                                            const sfconv_view *logits, const sfconv_view *mask,
                                            double threshold);
/* 2TP/(2TP+FP+FN); TP/(TP+FP+FN); TP/(TP+FN); TN/(TN+FP). A measure whose denominator is 0 has
 * nothing to find and found nothing wrong: 1. NaN for NULL. Since: 0.1 */
SFCONV_API double sfconv_overlap_dice(const sfconv_overlap *overlap);
SFCONV_API double sfconv_overlap_iou(const sfconv_overlap *overlap);
SFCONV_API double sfconv_overlap_sensitivity(const sfconv_overlap *overlap);
SFCONV_API double sfconv_overlap_specificity(const sfconv_overlap *overlap);

#ifdef __cplusplus
}
#endif

#endif
