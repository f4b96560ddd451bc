/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_back.h"

#include "layer_facts.h"
#include "parallel.h"
#include "sfconv2d.h"

#include <string.h>

/* With N pixels, taps p less their centre, S = Σ p, M = Σ p·pᵀ, mean u = P·S / N, dv the gradient
 * behind BatchNorm, G = Σ dv·pᵀ and S1 = Σ dv of each channel:
 *   m1 = S1 / N,  m2 = (P·G - u·S1) / (σ·N),  dshift = S1,  dscale = N·m2,
 *   dP = scale/σ · (G - m1·S - m2·(P·M - u·S) / σ),
 *   dp = Wᵀ·dv - k0 - K·p,  K = Pᵀ·diag(scale·m2 / σ²)·P,  k0 = Pᵀ·(scale·m1/σ - scale·m2·u/σ²):
 * the second pass over full-width maps that the gradient of BatchNorm is elsewhere is a product of
 * rank-many maps. */

/* One part of the unit: an sfconv2d and the BatchNorm behind it. */
typedef struct part_job {
    const sfi_back_job *job;
    int32_t conv;
    int32_t norm;
    /* Its first tap among those of the unit. */
    int64_t first;
    int64_t depth;
    int64_t pitch;
    sfi_rank_batch batch;
    const float *weights;
} part_job;

static part_job part_of(const sfi_back_job *job, int32_t index)
{
    const sfi_node *nodes = job->run->net->nodes;
    part_job part = {.job = job, .conv = job->unit.conv[index], .norm = job->unit.norm[index]};
    for (int32_t i = 0; i < index; i++) {
        part.first += sfi_rank_taps(nodes[job->unit.conv[i]].layer);
    }
    const sfconv_layer *layer = nodes[part.conv].layer;
    part.depth = sfi_rank_taps(layer);
    part.pitch = sfi_rank_pitch(part.depth);
    part.weights = sfi_sfconv2d_p(sfi_as_const_sfconv2d(layer));
    if (part.norm >= 0) {
        part.batch = sfi_rank_batch_of(job->run, part.norm);
    }
    return part;
}

static float *gradient_of(const sfi_back_job *job, int32_t node, int32_t parameter)
{
    return job->run->gradients[job->run->net->nodes[node].first_parameter + parameter];
}

/* Q, P and bias of an sfconv2d; scale and shift of a BatchNorm. */
enum { Q, P, BIAS };
enum { SCALE, SHIFT };

/* P·M of some channels, and P in double for K. */
static void multiply_moments(const part_job *part, sfi_back_bench *bench, int64_t first,
                             int64_t count)
{
    const int64_t depth = part->depth;
    memset(bench->rows, 0, (size_t)(SFK_DOUBLE_ROWS * depth) * sizeof(double));
    memset(bench->products, 0, (size_t)(SFK_DOUBLE_ROWS * part->pitch) * sizeof(double));
    for (int64_t c = 0; c < count; c++) {
        double *row = part->job->weights + (first + c) * part->pitch;
        memset(row, 0, (size_t)part->pitch * sizeof *row);
        for (int64_t k = 0; k < depth; k++) {
            row[k] = (double)part->weights[(first + c) * depth + k];
            bench->rows[k * SFK_DOUBLE_ROWS + c] = row[k];
        }
    }
    for (int64_t k = 0; k < part->pitch; k += SFK_DOUBLE_COLUMNS) {
        part->job->kernels->double_tile(depth, bench->rows, SFK_DOUBLE_ROWS,
                                        part->batch.products + k, part->pitch, bench->products + k,
                                        part->pitch);
    }
}

sfi_back_factors sfi_back_correct_channel(const sfconv_run *run, const sfi_rank_batch *batch,
                                          const sfi_back_channel *channel)
{
    const sfi_node *norm = &run->net->nodes[channel->norm];
    float *const *gradients = run->gradients + norm->first_parameter;
    const double inverse = batch->inverse_deviation[channel->channel];
    const double values = (double)batch->values;
    double mean = 0.0;
    double product = 0.0;
    double scale;
    double shift;
    sfi_batchnorm2d_affine(norm->layer, channel->channel, &scale, &shift);
    for (int64_t k = 0; k < batch->depth; k++) {
        mean += channel->weights[k] * batch->sums[k] / values;
        product += channel->weights[k] * channel->totals[k];
    }
    const double m1 = channel->sum / values;
    const double m2 = (product - mean * channel->sum) * inverse / values;
    for (int64_t k = 0; k < batch->depth; k++) {
        const double away = channel->products[k] - mean * batch->sums[k];
        channel->gradient[k] +=
            (float)(scale * inverse *
                    (channel->totals[k] - m1 * batch->sums[k] - m2 * inverse * away));
    }
    gradients[SCALE][channel->channel] += (float)(values * m2);
    gradients[SHIFT][channel->channel] += (float)channel->sum;
    return (sfi_back_factors){scale * m2 * inverse * inverse,
                              scale * inverse * (m1 - m2 * inverse * mean)};
}

/* Of one channel of a part; `products` is its row of P·M. */
static void correct_channel(const part_job *part, int64_t channel, const double *products,
                            const double *totals, double sum)
{
    const sfi_back_job *job = part->job;
    const sfi_back_channel row = {.norm = part->norm,
                                  .channel = channel,
                                  .weights = job->weights + channel * part->pitch,
                                  .products = products,
                                  .totals = totals,
                                  .sum = sum,
                                  .gradient =
                                      gradient_of(job, part->conv, P) + channel * part->depth};
    const sfi_back_factors factors = sfi_back_correct_channel(job->run, &part->batch, &row);
    job->factors[channel] = factors.factor;
    job->offsets[channel] = factors.offset;
}

/* Sums over the tasks in their order. */
static double total_of(const sfi_back_job *job, const double *of_first)
{
    const unsigned char *at = (const unsigned char *)of_first;
    double sum = 0.0;
    for (int64_t task = 0; task < job->tasks; task++) {
        sum += *(const double *)(at + task * job->sums_per_task);
    }
    return sum;
}

/* Sums that one task adds up. */
#define TOTALS_PER_TASK 1024

/* Some sums of all tasks; each adds a row of memory, as their places are far apart. */
static void totals_task(void *argument, int64_t index, int32_t worker)
{
    const sfi_back_job *job = argument;
    const int64_t first = index * TOTALS_PER_TASK;
    const int64_t count = sfi_min(TOTALS_PER_TASK, sfi_back_summed(job) - first);
    double *totals = job->totals + first;
    (void)worker;
    memset(totals, 0, (size_t)count * sizeof *totals);
    for (int64_t task = 0; task < job->tasks; task++) {
        const float *from = sfi_back_sums_of(job, task).taps + first;
        for (int64_t i = 0; i < count; i++) {
            totals[i] += (double)from[i];
        }
    }
}

/* G of some channels, a row each. */
static void take_tap_totals(const part_job *part, int64_t first, int64_t count, double *rows)
{
    const int64_t pitch = part->job->channel_pitch;
    const double *totals = part->job->totals + part->first * pitch + first;
    for (int64_t k = 0; k < part->depth; k++) {
        for (int64_t c = 0; c < count; c++) {
            rows[c * part->pitch + k] = totals[k * pitch + c];
        }
    }
}

static void part_task(void *argument, int64_t index, int32_t worker)
{
    const part_job *part = argument;
    const sfi_back_job *job = part->job;
    const sfi_back_sums sums = sfi_back_sums_of(job, 0);
    const int64_t first = index * SFK_DOUBLE_ROWS;
    const int64_t count = sfi_min(SFK_DOUBLE_ROWS, job->cut.shape.c - first);
    const sfi_sfconv2d *conv = sfi_as_const_sfconv2d(job->run->net->nodes[part->conv].layer);
    sfi_back_bench bench;
    sfi_back_lay_out_bench(&bench, job, worker);
    if (part->norm >= 0) {
        multiply_moments(part, &bench, first, count);
    }
    take_tap_totals(part, first, count, bench.totals);
    for (int64_t c = first; c < first + count; c++) {
        const double sum = total_of(job, sums.channel + c);
        const double *totals = bench.totals + (c - first) * part->pitch;
        if (part->norm >= 0) {
            correct_channel(part, c, bench.products + (c - first) * part->pitch, totals, sum);
            continue;
        }
        float *gradient = gradient_of(job, part->conv, P) + c * part->depth;
        for (int64_t k = 0; k < part->depth; k++) {
            gradient[k] += (float)totals[k];
        }
        if (conv->desc.has_bias) {
            gradient_of(job, part->conv, BIAS)[c] += (float)sum;
        }
    }
}

/* Rows of -K from their diagonal on, and what lies opposite of them, as K is symmetric. */
static void keep_correction(const part_job *part, int64_t first, int64_t count,
                            const double *products)
{
    const int64_t depth = part->depth;
    float *correction = part->job->correction;
    for (int64_t i = 0; i < count; i++) {
        for (int64_t k = first; k < depth; k++) {
            const float value = (float)-products[i * part->pitch + k];
            correction[(first + i) * depth + k] = value;
            if (k >= first + count) {
                correction[k * depth + first + i] = value;
            }
        }
    }
}

/* Some rows of -K, and of -k0. */
static void correction_task(void *argument, int64_t index, int32_t worker)
{
    const part_job *part = argument;
    const sfi_back_job *job = part->job;
    const int64_t channels = job->cut.shape.c;
    const int64_t first = index * SFK_DOUBLE_ROWS;
    const int64_t count = sfi_min(SFK_DOUBLE_ROWS, part->depth - first);
    double constants[SFK_DOUBLE_ROWS] = {0.0};
    sfi_back_bench bench;
    sfi_back_lay_out_bench(&bench, job, worker);
    memset(bench.products, 0, (size_t)(SFK_DOUBLE_ROWS * part->pitch) * sizeof(double));
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t i = 0; i < SFK_DOUBLE_ROWS; i++) {
            const double weight = i < count ? job->weights[c * part->pitch + first + i] : 0.0;
            bench.rows[c * SFK_DOUBLE_ROWS + i] = job->factors[c] * weight;
            constants[i] -= job->offsets[c] * weight;
        }
    }
    for (int64_t k = first / SFK_DOUBLE_COLUMNS * SFK_DOUBLE_COLUMNS; k < part->pitch;
         k += SFK_DOUBLE_COLUMNS) {
        job->kernels->double_tile(channels, bench.rows, SFK_DOUBLE_ROWS, job->weights + k,
                                  part->pitch, bench.products + k, part->pitch);
    }
    keep_correction(part, first, count, bench.products);
    for (int64_t i = 0; i < count; i++) {
        job->correction_rows[first + i] = job->correction + (first + i) * part->depth;
        job->correction_bias[first + i] = (float)constants[i];
    }
}

/* No BatchNorm: no taps take part, nothing is subtracted. */
static void leave_uncorrected(const part_job *part)
{
    const sfi_back_job *job = part->job;
    for (int64_t k = 0; k < part->depth; k++) {
        job->correction_rows[k] = job->correction;
        job->correction_bias[k] = 0.0f;
    }
}

/* The gathered maps that a task takes back: several, so that the centred taps serve all of them,
 * and still enough tasks. */
static int64_t maps_per_task(int64_t images, int64_t maps)
{
    const int64_t wanted = images * maps / SFI_RANK_TASKS;
    return sfi_max(1, sfi_min(8, wanted));
}

/* Taps less their centre: where they lie far from zero, K·p would cancel against a constant whose
 * rounding is the same for every pixel. */
static void centre_taps(const part_job *part, const float *const *taps, int64_t first,
                        int64_t columns, float *centred)
{
    for (int64_t k = 0; k < part->depth && part->norm >= 0; k++) {
        const sfk_normal normal = {.mean = part->batch.centre[k], .scale = 1.0f};
        part->job->kernels->normalize(centred + k * SFI_BACK_STRIP, taps[k] + first, &normal,
                                      columns);
    }
}

/* One gathered map: the gradients of its vertical taps, corrected, go back to where each tap found
 * it. What falls on the padding is never read. */
static void gather_map(const part_job *part, const sfi_rank_maps *maps, int64_t map,
                       const float *const *centred, const float *from, int64_t first,
                       int64_t columns, float *corrected, float *to)
{
    const sfi_back_job *job = part->job;
    const int64_t plane = job->cut.plane;
    for (int64_t tap = 0; tap < maps->reach; tap += SFI_BACK_CHANNELS) {
        const int64_t row = map * maps->reach + tap;
        const float *const residual[] = {from + row * plane + first};
        const sfk_strip correction = {.weights = job->correction_rows + row,
                                      .weight_step = 1,
                                      .sources = centred,
                                      .depth = part->norm >= 0 ? part->depth : 0,
                                      .residuals = residual,
                                      .residual_count = 1,
                                      .residual_stride = plane,
                                      .to = corrected,
                                      .to_stride = SFI_BACK_STRIP,
                                      .rows = sfi_min(SFI_BACK_CHANNELS, maps->reach - tap),
                                      .columns = columns,
                                      .bias = job->correction_bias + row};
        job->kernels->strip_product(&correction);
        for (int64_t i = 0; i < correction.rows; i++) {
            job->kernels->add_to(to + sfi_rank_tap_offset(maps, tap + i) + first,
                                 corrected + i * SFI_BACK_STRIP, columns);
        }
    }
}

static void gather_task(void *argument, int64_t index, int32_t worker)
{
    const part_job *part = argument;
    const sfi_back_job *job = part->job;
    const sfconv_run *run = job->run;
    const sfi_rank_maps maps = sfi_rank_maps_of(&run->plan, run->net, part->conv);
    const int64_t group = maps_per_task(job->cut.shape.n, maps.count);
    const int64_t groups = sfi_ceil_div(maps.count, group);
    const int64_t image = index / groups;
    const int64_t begin = index % groups * group;
    const int64_t end = sfi_min(maps.count, begin + group);
    const int64_t plane = job->cut.plane;
    const float *from = job->tap_gradient + (image * job->unit.depth + part->first) * plane;
    float *to = sfi_rank_target_gradient(run, part->conv) + image * maps.image;
    sfi_back_bench bench;
    sfi_back_lay_out_bench(&bench, job, worker);
    const sfi_back_side *side = &bench.sides[0];
    sfi_rank_point_at_taps(run, part->conv, image, bench.taps);
    memset(to + begin * maps.plane, 0, (size_t)((end - begin) * maps.plane) * sizeof *to);
    for (int64_t k = 0; k < part->depth; k++) {
        side->centred_rows[k] = side->centred + k * SFI_BACK_STRIP;
    }
    for (int64_t first = 0; first < plane; first += SFI_BACK_STRIP) {
        const int64_t columns = sfi_min(SFI_BACK_STRIP, plane - first);
        centre_taps(part, bench.taps, first, columns, side->centred);
        for (int64_t map = begin; map < end; map++) {
            gather_map(part, &maps, map, side->centred_rows, from, first, columns,
                       bench.rows_of_tile, to + map * maps.plane);
        }
    }
}

/* Channels whose sums share a cache line. */
#define MIXING_CHANNELS 16

/* Gradients of the sinks' weights, some channels of them. */
static void mixing_task(void *argument, int64_t index, int32_t worker)
{
    const sfi_back_job *job = argument;
    const sfconv_run *run = job->run;
    const int64_t channel = index * MIXING_CHANNELS;
    const int64_t count = sfi_min(MIXING_CHANNELS, job->cut.shape.c - channel);
    const double *full = job->totals + job->unit.depth * job->channel_pitch + channel;
    const double *half = full + job->full.count * job->channel_pitch;
    const sfi_rank_sink *sink;
    int32_t next = 0;
    (void)worker;
    while ((sink = sfi_back_next_sink(&run->plan.rank, job->node, &next)) != NULL) {
        const sfi_rank_maps maps = sfi_rank_maps_of(&run->plan, run->net, sink->consumer);
        const int32_t input = run->net->nodes[sink->consumer].inputs[0];
        const int64_t per_map = run->plan.steps[input].shape.c * maps.taps;
        const double **totals = sink->via == SFI_VIA_POOL ? &half : &full;
        float *gradient =
            gradient_of(job, sink->consumer, Q) + (sink->channel + channel) * maps.taps;
        for (int64_t j = 0; j < sfi_rank_mixed_count(&maps); j++, *totals += job->channel_pitch) {
            float *row = gradient + j / maps.taps * per_map + j % maps.taps;
            for (int64_t c = 0; c < count; c++) {
                row[c * maps.taps] += (float)(*totals)[c];
            }
        }
    }
}

void sfi_back_finish(const sfi_back_job *job)
{
    sfconv_context *context = job->run->context;
    const int64_t channels = job->cut.shape.c;
    sfi_parallel_for(context, sfi_ceil_div(sfi_back_summed(job), TOTALS_PER_TASK), totals_task,
                     (void *)job);
    sfi_parallel_for(context, sfi_ceil_div(channels, MIXING_CHANNELS), mixing_task, (void *)job);
    for (int32_t i = 0; i < job->unit.part_count; i++) {
        part_job part = part_of(job, i);
        const sfi_rank_maps maps = sfi_rank_maps_of(&job->run->plan, job->run->net, part.conv);
        sfi_parallel_for(context, sfi_ceil_div(channels, SFK_DOUBLE_ROWS), part_task, &part);
        if (part.norm >= 0) {
            sfi_parallel_for(context, sfi_ceil_div(part.depth, SFK_DOUBLE_ROWS), correction_task,
                             &part);
        } else {
            leave_uncorrected(&part);
        }
        const int64_t images = job->cut.shape.n;
        const int64_t groups = sfi_ceil_div(maps.count, maps_per_task(images, maps.count));
        sfi_parallel_for(context, images * groups, gather_task, &part);
    }
}
