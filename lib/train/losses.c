/* SPDX-License-Identifier: BSD-2-Clause */
#include "losses.h"

#include "chunks.h"
#include "error.h"
#include "grid.h"
#include "kernels.h"
#include "maths.h"
#include "parallel.h"

#include <float.h>
#include <math.h>

/* Fewer elements than this are not worth a task. */
#define LEAST_ELEMENTS 2048

/* What the tasks of one loss call share. */
struct loss_job {
    const sfk_table *kernels;
    sfi_grid logits;
    sfi_grid targets;
    sfi_grid gradient;
    bool wants_gradient;
    /* Planes, or samples for the cross-entropy. */
    sfi_chunks chunks;
    double partial[SFI_MAX_CHUNKS];
    const sfi_binary_loss *binary;
    const int32_t *labels;
    const float *class_weights;
    double smoothing;
    double total_weight;
};

static sfi_chunks chunks_of_planes(int64_t planes, int64_t plane_size)
{
    return sfi_chunks_of(planes, sfi_max(1, LEAST_ELEMENTS / plane_size));
}

static void take_gradient(struct loss_job *job, const sfconv_view *gradient)
{
    job->wants_gradient = gradient != NULL;
    if (gradient) {
        job->gradient = sfi_grid_of(gradient);
    }
}

static double run_job(sfconv_context *context, struct loss_job *job, sfconv_task_fn task)
{
    sfi_parallel_for(context, job->chunks.count, task, job);
    return sfi_chunks_sum(&job->chunks, job->partial);
}

static double class_weight(const struct loss_job *job, int64_t class)
{
    return job->class_weights ? (double)job->class_weights[class] : 1.0;
}

/* Loss of one sample, not yet divided by the total weight. */
static double cross_entropy_sample(const struct loss_job *job, int64_t sample)
{
    const int64_t classes = job->logits.shape[1];
    const int64_t step = job->logits.stride[1];
    const float *x = job->logits.data + sample * job->logits.stride[0];
    const int32_t label = job->labels[sample];
    const double own = (1.0 - job->smoothing) * class_weight(job, label);
    const double spread = job->smoothing / (double)classes;

    double largest = (double)x[0];
    for (int64_t c = 1; c < classes; c++) {
        /* Not fmax(): gcc 12 for ARM cannot compile it here. */
        largest = (double)x[c * step] > largest ? (double)x[c * step] : largest;
    }
    double sum = 0.0;
    for (int64_t c = 0; c < classes; c++) {
        sum += sfi_exp((double)x[c * step] - largest);
    }
    const double log_sum = largest + sfi_log(sum);
    double loss = own * (log_sum - (double)x[label * step]);
    double mass = own;
    if (spread > 0.0) {
        for (int64_t c = 0; c < classes; c++) {
            const double share = spread * class_weight(job, c);
            loss += share * (log_sum - (double)x[c * step]);
            mass += share;
        }
    }
    if (job->wants_gradient) {
        float *g = job->gradient.data + sample * job->gradient.stride[0];
        for (int64_t c = 0; c < classes; c++) {
            const double softmax = sfi_exp((double)x[c * step] - largest) / sum;
            const double target = spread * class_weight(job, c) + (c == label ? own : 0.0);
            g[c * job->gradient.stride[1]] = (float)((mass * softmax - target) / job->total_weight);
        }
    }
    return loss;
}

static void cross_entropy_task(void *argument, int64_t index, int32_t worker)
{
    struct loss_job *job = argument;
    const int64_t end = sfi_chunk_end(&job->chunks, index);
    double sum = 0.0;
    (void)worker;
    for (int64_t i = sfi_chunk_begin(&job->chunks, index); i < end; i++) {
        sum += cross_entropy_sample(job, i);
    }
    job->partial[index] = sum;
}

static sfconv_status check_class_weights(sfconv_context *context, const float *weights,
                                         int64_t classes)
{
    for (int64_t c = 0; weights && c < classes; c++) {
        if (!(weights[c] >= 0.0f && isfinite(weights[c]))) {
            return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                            "class_weights[%lld]: expected a number that is not negative, got %g",
                            (long long)c, (double)weights[c]);
        }
    }
    return SFCONV_OK;
}

/* Checks the labels and sums the weights of their classes. */
static sfconv_status take_labels(sfconv_context *context, struct loss_job *job)
{
    const int64_t classes = job->logits.shape[1];
    double total = 0.0;
    for (int64_t i = 0; i < job->logits.shape[0]; i++) {
        const int32_t label = job->labels[i];
        if (label < 0 || label >= classes) {
            return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                            "labels[%lld]: expected a class 0 to %lld, got %d", (long long)i,
                            (long long)(classes - 1), (int)label);
        }
        total += class_weight(job, label);
    }
    if (!(total > 0.0)) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                        "class_weights: the weights of the batch's labels sum to 0, so the mean is "
                        "not defined");
    }
    job->total_weight = total;
    return SFCONV_OK;
}

/* By smoothing every class has a part in every sample: its weight, over the sum that the mean
 * divides by, bounds the gradient, which is a float. */
static sfconv_status check_smoothed_weights(sfconv_context *context, const struct loss_job *job)
{
    for (int64_t c = 0; c < job->logits.shape[1]; c++) {
        if (job->smoothing * class_weight(job, c) > (double)FLT_MAX * job->total_weight) {
            return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                            "class_weights[%lld]: expected at most %g beside labels whose weights "
                            "sum to %g, got %g",
                            (long long)c, (double)FLT_MAX * job->total_weight / job->smoothing,
                            job->total_weight, class_weight(job, c));
        }
    }
    return SFCONV_OK;
}

sfconv_status sfi_loss_cross_entropy(sfconv_context *context, const sfconv_view *logits,
                                     const int32_t *labels, const float *class_weights,
                                     double smoothing, double *value, const sfconv_view *gradient)
{
    struct loss_job job = {.logits = sfi_grid_of(logits),
                           .labels = labels,
                           .class_weights = class_weights,
                           .smoothing = smoothing};
    sfconv_status status = check_class_weights(context, class_weights, job.logits.shape[1]);
    if (status == SFCONV_OK) {
        status = take_labels(context, &job);
    }
    if (status == SFCONV_OK) {
        status = check_smoothed_weights(context, &job);
    }
    if (status == SFCONV_OK) {
        status = sfi_grid_check(context, "logits", &job.logits, sfi_is_not_finite,
                                SFCONV_ERROR_NUMERIC, "a finite number");
    }
    if (status < 0) {
        return status;
    }
    take_gradient(&job, gradient);
    job.chunks = chunks_of_planes(job.logits.shape[0], job.logits.shape[1]);
    *value = run_job(context, &job, cross_entropy_task) / job.total_weight;
    return SFCONV_OK;
}

struct plane_sums {
    double bce;
    double prediction;
    double target;
    double both;
};

/* Elements of a row that are brought together where they do not follow each other. */
#define PIECE 256

/* Elements first … first+count-1 of a row, where they lie or in `copy`. */
static const float *piece_of(const sfi_grid *grid, int64_t plane, int64_t row, int64_t first,
                             int64_t count, float copy[PIECE])
{
    const int64_t step = grid->stride[3];
    const float *from = sfi_grid_row(grid, plane, row) + first * step;
    if (step == 1) {
        return from;
    }
    for (int64_t i = 0; i < count; i++) {
        copy[i] = from[i * step];
    }
    return copy;
}

static struct plane_sums sum_plane(const struct loss_job *job, int64_t plane)
{
    const int64_t width = job->logits.shape[3];
    const sfi_binary_loss *binary = job->binary;
    double sums[4] = {0.0};
    float logits[PIECE], targets[PIECE];
    for (int64_t row = 0; row < job->logits.shape[2]; row++) {
        for (int64_t first = 0; first < width; first += PIECE) {
            const int64_t count = sfi_min(PIECE, width - first);
            job->kernels->binary_sums(sums,
                                      piece_of(&job->logits, plane, row, first, count, logits),
                                      piece_of(&job->targets, plane, row, first, count, targets),
                                      binary->positive_weight, binary->bce_weight > 0.0, count);
        }
    }
    return (struct plane_sums){sums[0], sums[1], sums[2], sums[3]};
}

static void gradient_of_row(const struct loss_job *job, int64_t plane, int64_t row,
                            const sfk_binary *factors)
{
    const int64_t width = job->logits.shape[3];
    const int64_t step = job->gradient.stride[3];
    float *to = sfi_grid_row(&job->gradient, plane, row);
    float logits[PIECE], targets[PIECE], gradient[PIECE];
    for (int64_t first = 0; first < width; first += PIECE) {
        const int64_t count = sfi_min(PIECE, width - first);
        job->kernels->binary_gradient(step == 1 ? to + first : gradient,
                                      piece_of(&job->logits, plane, row, first, count, logits),
                                      piece_of(&job->targets, plane, row, first, count, targets),
                                      factors, count);
        for (int64_t i = 0; step != 1 && i < count; i++) {
            to[(first + i) * step] = gradient[i];
        }
    }
}

/* The gradient of one plane; element counts and weights are already in the factors. */
static void binary_gradient(const struct loss_job *job, int64_t plane,
                            const struct plane_sums *sums)
{
    const sfi_binary_loss *binary = job->binary;
    const double planes = (double)sfi_grid_planes(&job->logits);
    /* d/dp (2I + ε) / U = (2t − (2I + ε) / U) / U */
    const double denominator = sums->prediction + sums->target + binary->smooth;
    const sfk_binary factors = {.bce = binary->bce_weight /
                                       (planes * (double)sfi_grid_plane_size(&job->logits)),
                                .positive_weight = binary->positive_weight,
                                .dice = binary->dice_weight / (planes * denominator),
                                .overlap = (2.0 * sums->both + binary->smooth) / denominator};
    for (int64_t row = 0; row < job->logits.shape[2]; row++) {
        gradient_of_row(job, plane, row, &factors);
    }
}

static void binary_task(void *argument, int64_t index, int32_t worker)
{
    struct loss_job *job = argument;
    const sfi_binary_loss *binary = job->binary;
    const int64_t end = sfi_chunk_end(&job->chunks, index);
    const double plane_size = (double)sfi_grid_plane_size(&job->logits);
    double sum = 0.0;
    (void)worker;
    for (int64_t plane = sfi_chunk_begin(&job->chunks, index); plane < end; plane++) {
        const struct plane_sums sums = sum_plane(job, plane);
        const double denominator = sums.prediction + sums.target + binary->smooth;
        const double dice_loss = 1.0 - (2.0 * sums.both + binary->smooth) / denominator;
        sum += binary->bce_weight * sums.bce / plane_size + binary->dice_weight * dice_loss;
        if (job->wants_gradient) {
            binary_gradient(job, plane, &sums);
        }
    }
    job->partial[index] = sum;
}

sfconv_status sfi_loss_binary(sfconv_context *context, const sfconv_view *logits,
                              const sfconv_view *targets, const sfi_binary_loss *settings,
                              double *value, const sfconv_view *gradient)
{
    struct loss_job job = {.kernels = context->kernels,
                           .logits = sfi_grid_of(logits),
                           .targets = sfi_grid_of(targets),
                           .binary = settings};
    sfconv_status status = sfi_grid_check(context, "targets", &job.targets, sfi_is_no_probability,
                                          SFCONV_ERROR_ARGUMENT, "a number from 0 to 1");
    if (status == SFCONV_OK) {
        status = sfi_grid_check(context, "logits", &job.logits, sfi_is_not_finite,
                                SFCONV_ERROR_NUMERIC, "a finite number");
    }
    if (status < 0) {
        return status;
    }
    const int64_t planes = sfi_grid_planes(&job.logits);
    take_gradient(&job, gradient);
    job.chunks = chunks_of_planes(planes, sfi_grid_plane_size(&job.logits));
    *value = run_job(context, &job, binary_task) / (double)planes;
    return SFCONV_OK;
}

static double squared_error_row(const struct loss_job *job, int64_t plane, int64_t row,
                                double gradient_factor)
{
    const float *prediction = sfi_grid_row(&job->logits, plane, row);
    const float *target = sfi_grid_row(&job->targets, plane, row);
    float *gradient = job->wants_gradient ? sfi_grid_row(&job->gradient, plane, row) : NULL;
    double sum = 0.0;
    for (int64_t j = 0; j < job->logits.shape[3]; j++) {
        const double difference = (double)prediction[j * job->logits.stride[3]] -
                                  (double)target[j * job->targets.stride[3]];
        sum += difference * difference;
        if (gradient) {
            gradient[j * job->gradient.stride[3]] = (float)(gradient_factor * difference);
        }
    }
    return sum;
}

static void mse_task(void *argument, int64_t index, int32_t worker)
{
    struct loss_job *job = argument;
    const int64_t end = sfi_chunk_end(&job->chunks, index);
    const double count =
        (double)sfi_grid_planes(&job->logits) * (double)sfi_grid_plane_size(&job->logits);
    double sum = 0.0;
    (void)worker;
    for (int64_t plane = sfi_chunk_begin(&job->chunks, index); plane < end; plane++) {
        for (int64_t row = 0; row < job->logits.shape[2]; row++) {
            sum += squared_error_row(job, plane, row, 2.0 / count);
        }
    }
    job->partial[index] = sum / count;
}

sfconv_status sfi_loss_mse(sfconv_context *context, const sfconv_view *predictions,
                           const sfconv_view *targets, double *value, const sfconv_view *gradient)
{
    struct loss_job job = {.logits = sfi_grid_of(predictions), .targets = sfi_grid_of(targets)};
    sfconv_status status = sfi_grid_check(context, "predictions", &job.logits, sfi_is_not_finite,
                                          SFCONV_ERROR_NUMERIC, "a finite number");
    if (status == SFCONV_OK) {
        status = sfi_grid_check(context, "targets", &job.targets, sfi_is_not_finite,
                                SFCONV_ERROR_NUMERIC, "a finite number");
    }
    if (status < 0) {
        return status;
    }
    take_gradient(&job, gradient);
    job.chunks = chunks_of_planes(sfi_grid_planes(&job.logits), sfi_grid_plane_size(&job.logits));
    *value = run_job(context, &job, mse_task);
    return SFCONV_OK;
}
