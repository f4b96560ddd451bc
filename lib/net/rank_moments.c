/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_stem_back.h"

#include "layer_facts.h"
#include "parallel.h"

#include <math.h>
#include <string.h>

/* Mean and variance of every channel of u = P·p from the moments of the taps p alone:
 *   mean = P·S / N,  variance = P (M/N - (S/N)(S/N)ᵀ) Pᵀ,  S = Σ p, M = Σ p·pᵀ,
 * in double, so that what is lost where the variance is tiny against the mean is 2^-53 of the
 * square of their ratio. */

/* Moments of a stem's image, summed in float along its rows, are off by some 2^-32 of what stands
 * there if no taps cancel. A variance may be this part of that; smooth images, and filters whose
 * taps sum to zero, come near. */
#define LEAST_VARIANCE_OF_FLOAT (1.0 / 65536.0)

/* Pixels of a block, and the most bytes of all partial moments. */
#define BLOCK_PIXELS 2048
#define MAX_PARTIAL_BYTES (4 << 20)
/* Channels that a task takes through a product of doubles. */
#define CHANNELS SFK_DOUBLE_ROWS

typedef struct moments_job {
    const sfconv_run *run;
    const sfconv_layer *conv;
    sfconv_layer *norm;
    int32_t conv_node;
    sfi_shape shape;
    sfi_rank_batch batch;
    int64_t blocks_per_image;
    int64_t blocks;
    int64_t tasks;
    /* One a task: products, then sums. */
    double *partials;
    int64_t partial_elements;
    /* Per worker: pointers to taps; rows of P transposed and its product with the covariance. */
    const float **taps;
    double *rows;
    int64_t row_elements;
    /* M/N - (S/N)(S/N)ᵀ, and of each channel its variance. */
    double *covariance;
    double *variances;
    /* Of a stem, in place of the partial sums; and (Σ |P_k| √(M_kk/N))² of each channel. */
    bool is_stem;
    void *of_stem;
    double *uncancelled;
} moments_job;

bool sfi_rank_is_norm(const sfi_rank_plan *plan, const sfconv_net *net, int32_t node)
{
    const sfconv_layer *layer = net->nodes[node].layer;
    return plan->active && plan->nodes[node].unit >= 0 && layer && sfi_is_batchnorm2d(layer);
}

static int64_t depth_of(const sfconv_net *net, int32_t norm)
{
    return sfi_rank_taps(net->nodes[net->nodes[norm].inputs[0]].layer);
}

/* Lays out the record of a BatchNorm from address `memory` on; returns its bytes. */
static int64_t lay_out_batch(sfi_rank_batch *batch, const sfi_plan *plan, const sfconv_net *net,
                             int32_t norm, uintptr_t memory)
{
    const sfi_shape shape = plan->steps[norm].shape;
    uintptr_t at = memory;
    batch->depth = depth_of(net, norm);
    batch->pitch = sfi_rank_pitch(batch->depth);
    batch->values = shape.n * shape.h * shape.w;
    batch->centre = sfi_rank_take(&at, batch->pitch, sizeof(float));
    batch->sums = sfi_rank_take(&at, batch->pitch, sizeof(double));
    batch->products = sfi_rank_take(&at, batch->depth * batch->pitch, sizeof(double));
    batch->mean = sfi_rank_take(&at, shape.c, sizeof(double));
    batch->inverse_deviation = sfi_rank_take(&at, shape.c, sizeof(double));
    batch->image = NULL;
    if (plan->rank.nodes[net->nodes[norm].inputs[0]].lines) {
        const sfi_stem_image image = sfi_stem_image_of(plan, net, net->nodes[norm].inputs[0]);
        batch->image = sfi_rank_take(&at, sfi_stem_image_elements(&image), sizeof(float));
    }
    return (int64_t)(at - memory);
}

int64_t sfi_rank_batch_bytes(const sfi_plan *plan, const sfconv_net *net, int32_t norm)
{
    sfi_rank_batch batch;
    return lay_out_batch(&batch, plan, net, norm, 0);
}

sfi_rank_batch sfi_rank_batch_of(const sfconv_run *run, int32_t norm)
{
    sfi_rank_batch batch;
    lay_out_batch(&batch, &run->plan, run->net, norm,
                  (uintptr_t)(run->memory + run->plan.rank.nodes[norm].batch));
    return batch;
}

void sfi_rank_batch_line(const sfconv_run *run, int32_t norm, int64_t channel, double *scale,
                         double *shift)
{
    const sfi_rank_batch batch = sfi_rank_batch_of(run, norm);
    double weight;
    sfi_batchnorm2d_affine(run->net->nodes[norm].layer, channel, &weight, shift);
    *scale = weight * batch.inverse_deviation[channel];
    *shift -= *scale * batch.mean[channel];
}

static int64_t lay_out(moments_job *job, const sfi_plan *plan, const sfconv_net *net, int32_t norm,
                       uintptr_t memory)
{
    const int64_t workers = sfi_workers(net->context);
    uintptr_t at = memory;
    job->conv_node = net->nodes[norm].inputs[0];
    job->conv = net->nodes[job->conv_node].layer;
    job->norm = net->nodes[norm].layer;
    job->shape = plan->steps[norm].shape;
    const int64_t depth = sfi_rank_taps(job->conv);
    const int64_t pitch = sfi_rank_pitch(depth);
    job->partial_elements = depth * depth + pitch;
    const int64_t fit = MAX_PARTIAL_BYTES / (job->partial_elements * (int64_t)sizeof(double));
    job->blocks_per_image = sfi_ceil_div(job->shape.h * job->shape.w, BLOCK_PIXELS);
    job->blocks = job->shape.n * job->blocks_per_image;
    job->tasks = sfi_min(job->blocks, sfi_max(2, sfi_min(SFI_RANK_TASKS, fit)));
    job->row_elements = CHANNELS * (depth + pitch);
    job->is_stem = plan->rank.nodes[job->conv_node].lines;
    job->of_stem =
        sfi_rank_take(&at, job->is_stem ? sfi_stem_moments_bytes(plan, net, job->conv_node) : 0, 1);
    job->partials =
        sfi_rank_take(&at, job->is_stem ? 0 : job->tasks * job->partial_elements, sizeof(double));
    job->covariance = sfi_rank_take(&at, depth * pitch, sizeof(double));
    job->variances = sfi_rank_take(&at, job->shape.c, sizeof(double));
    job->uncancelled = sfi_rank_take(&at, job->is_stem ? job->shape.c : 0, sizeof(double));
    job->rows = sfi_rank_take(&at, workers * job->row_elements, sizeof(double));
    job->taps = sfi_rank_take(&at, workers * depth, sizeof(float *));
    return (int64_t)(at - memory);
}

int64_t sfi_rank_observe_bytes(const sfi_plan *plan, const sfconv_net *net, int32_t norm)
{
    moments_job job;
    return lay_out(&job, plan, net, norm, 0);
}

static void sum_task(void *argument, int64_t index, int32_t worker)
{
    const moments_job *job = argument;
    const int64_t depth = job->batch.depth;
    const int64_t plane = job->shape.h * job->shape.w;
    double *products = job->partials + index * job->partial_elements;
    double *sums = products + depth * depth;
    const float **taps = job->taps + worker * depth;
    memset(products, 0, (size_t)job->partial_elements * sizeof *products);
    const int64_t end = sfi_spread_begin(job->blocks, job->tasks, index + 1);
    for (int64_t block = sfi_spread_begin(job->blocks, job->tasks, index); block < end; block++) {
        const int64_t image = block / job->blocks_per_image;
        const int64_t first = block % job->blocks_per_image * BLOCK_PIXELS;
        sfi_rank_point_at_taps(job->run, job->conv_node, image, taps);
        job->run->context->kernels->moments(products, sums, taps, first, depth,
                                            sfi_min(BLOCK_PIXELS, plane - first));
    }
}

static double total_of(const moments_job *job, int64_t element)
{
    double sum = 0.0;
    for (int64_t task = 0; task < job->tasks; task++) {
        sum += job->partials[task * job->partial_elements + element];
    }
    return sum;
}

/* Totals of the partial sums, then moments about the centre, the mean rounded to float. */
static void centre_moments(const moments_job *job)
{
    const sfi_rank_batch *batch = &job->batch;
    const int64_t depth = batch->depth;
    const double values = (double)batch->values;
    memset(batch->products, 0, (size_t)(depth * batch->pitch) * sizeof(double));
    memset(job->covariance, 0, (size_t)(depth * batch->pitch) * sizeof(double));
    memset(batch->centre, 0, (size_t)batch->pitch * sizeof(float));
    memset(batch->sums, 0, (size_t)batch->pitch * sizeof(double));
    for (int64_t i = 0; i < depth; i++) {
        batch->sums[i] = total_of(job, depth * depth + i);
        batch->centre[i] = (float)(batch->sums[i] / values);
    }
    for (int64_t i = 0; i < depth; i++) {
        const double centre = (double)batch->centre[i];
        for (int64_t j = i; j < depth; j++) {
            const double other = (double)batch->centre[j];
            const double product = total_of(job, i * depth + j) - centre * batch->sums[j] -
                                   other * batch->sums[i] + values * centre * other;
            batch->products[i * batch->pitch + j] = product;
            batch->products[j * batch->pitch + i] = product;
        }
    }
    for (int64_t i = 0; i < depth; i++) {
        batch->sums[i] -= values * (double)batch->centre[i];
    }
    for (int64_t i = 0; i < depth; i++) {
        for (int64_t j = 0; j < depth; j++) {
            job->covariance[i * batch->pitch + j] =
                (batch->products[i * batch->pitch + j] - batch->sums[i] * batch->sums[j] / values) /
                values;
        }
    }
}

/* Columns k … of what the variances take of P·Cov: as Cov is symmetric, what lies above a block on
 * the diagonal stands for what lies below it, too. */
static void multiply_covariance(const moments_job *job, const double *rows, double *products,
                                int64_t k)
{
    const sfk_table *kernels = job->run->context->kernels;
    const int64_t pitch = job->batch.pitch;
    const double *above = job->covariance + k;
    kernels->double_tile(k, rows, CHANNELS, above, pitch, products + k, pitch);
    for (int64_t c = 0; c < CHANNELS; c++) {
        for (int64_t i = k; i < k + SFK_DOUBLE_COLUMNS; i++) {
            products[c * pitch + i] *= 2;
        }
    }
    kernels->double_tile(sfi_min(SFK_DOUBLE_COLUMNS, job->batch.depth - k), rows + k * CHANNELS,
                         CHANNELS, above + k * pitch, pitch, products + k, pitch);
}

static double uncancelled_variance(const moments_job *job, const float *weights)
{
    const sfi_rank_batch *batch = &job->batch;
    double deviation = 0.0;
    for (int64_t k = 0; k < batch->depth; k++) {
        deviation += fabs((double)weights[k]) *
                     sqrt(batch->products[k * batch->pitch + k] / (double)batch->values);
    }
    return deviation * deviation;
}

/* Mean and variance of some channels. */
static void project_task(void *argument, int64_t index, int32_t worker)
{
    const moments_job *job = argument;
    const sfi_rank_batch *batch = &job->batch;
    const int64_t first = index * CHANNELS;
    const int64_t count = sfi_min(CHANNELS, job->shape.c - first);
    const float *weights = sfi_rank_expanding_weights(job->conv) + first * batch->depth;
    double *rows = job->rows + worker * job->row_elements;
    double *products = rows + CHANNELS * batch->depth;
    memset(rows, 0, (size_t)job->row_elements * sizeof *rows);
    for (int64_t c = 0; c < count; c++) {
        for (int64_t k = 0; k < batch->depth; k++) {
            rows[k * CHANNELS + c] = (double)weights[c * batch->depth + k];
        }
    }
    for (int64_t k = 0; k < batch->pitch; k += SFK_DOUBLE_COLUMNS) {
        multiply_covariance(job, rows, products, k);
    }
    for (int64_t c = 0; c < count; c++) {
        double away = 0.0;
        double mean = 0.0;
        double variance = 0.0;
        for (int64_t k = 0; k < batch->depth; k++) {
            const double weight = rows[k * CHANNELS + c];
            mean += weight * (double)batch->centre[k];
            away += weight * batch->sums[k];
            variance += weight * products[c * batch->pitch + k];
        }
        batch->mean[first + c] = mean + away / (double)batch->values;
        job->variances[first + c] = variance < 0.0 ? 0.0 : variance;
        if (job->is_stem) {
            job->uncancelled[first + c] = uncancelled_variance(job, weights + c * batch->depth);
        }
    }
}

static void project(moments_job *job)
{
    sfi_parallel_for(job->run->context, sfi_ceil_div(job->shape.c, CHANNELS), project_task, job);
}

/* Not where it overflows, either. */
static bool float_suffices(const moments_job *job)
{
    for (int64_t c = 0; c < job->shape.c; c++) {
        if (!(job->variances[c] >= LEAST_VARIANCE_OF_FLOAT * job->uncancelled[c])) {
            return false;
        }
    }
    return true;
}

static void find_stem_moments(moments_job *job, bool in_double)
{
    sfi_stem_moments(job->run, job->conv_node, &job->batch, job->covariance, in_double,
                     job->of_stem);
    project(job);
}

void sfi_rank_observe(const sfconv_run *run, int32_t norm)
{
    moments_job job = {.run = run, .batch = sfi_rank_batch_of(run, norm)};
    lay_out(&job, &run->plan, run->net, norm,
            (uintptr_t)(run->memory + run->plan.rank.nodes[norm].observing));
    if (job.is_stem) {
        find_stem_moments(&job, false);
        if (!float_suffices(&job)) {
            find_stem_moments(&job, true);
        }
    } else {
        sfi_parallel_for(run->context, job.tasks, sum_task, &job);
        centre_moments(&job);
        project(&job);
    }
    const float *bias = sfi_rank_bias(job.conv);
    for (int64_t c = 0; c < job.shape.c; c++) {
        const double shift = bias ? (double)bias[c] : 0.0;
        job.batch.inverse_deviation[c] = sfi_batchnorm2d_observe(
            job.norm, c, job.batch.mean[c] + shift, job.variances[c], (double)job.batch.values);
    }
}
