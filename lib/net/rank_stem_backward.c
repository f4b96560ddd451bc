/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_stem_back.h"

#include "parallel.h"

#include <string.h>

/* Partial sums, each over some rows of the pooled map. */
#define SEGMENTS 16

typedef struct stem_job {
    const sfconv_run *run;
    const sfk_table *kernels;
    int32_t conv;
    int32_t norm;
    sfi_stem_image image;
    sfi_rank_batch batch;
    sfi_shape pooled;
    /* What the activation lets through. */
    float slope;
    const float *map;
    const float *gradient;
    const uint8_t *cells;
    int64_t segments;
    /* Of a segment: [channel][row of a tap][column of a patch], and Σ g of each channel. */
    float *sums;
    int64_t sums_per_segment;
    double *channel_sums;
    /* Per worker: the winners of a pooled row of all channels. */
    unsigned char *winners;
    int64_t winners_per_worker;
    /* And rows of some channels: W across, its product with the moments, W again and G. */
    double *rows;
    int64_t rows_per_worker;
} stem_job;

/* Of each channel of a pooled row. */
typedef struct stem_winners {
    int64_t *counts;
    int64_t *places;
    float *factors;
} stem_winners;

static int64_t lay_out_winners(stem_winners *winners, sfi_shape pooled, uintptr_t memory)
{
    uintptr_t at = memory;
    winners->counts = sfi_rank_take(&at, pooled.c, sizeof(int64_t));
    winners->places = sfi_rank_take(&at, pooled.c * pooled.w, sizeof(int64_t));
    winners->factors = sfi_rank_take(&at, pooled.c * pooled.w, sizeof(float));
    return (int64_t)(at - memory);
}

static stem_winners winners_of(const stem_job *job, int32_t worker)
{
    stem_winners winners;
    lay_out_winners(&winners, job->pooled,
                    (uintptr_t)(job->winners + worker * job->winners_per_worker));
    return winners;
}

static int64_t lay_out(stem_job *job, const sfi_plan *plan, const sfconv_net *net, int32_t node,
                       uintptr_t memory)
{
    const int64_t workers = sfi_workers(net->context);
    uintptr_t at = memory;
    sfi_rank_unit unit;
    sfi_rank_unit_of(&unit, &plan->rank, net, node);
    job->conv = unit.conv[0];
    job->norm = unit.norm[0];
    job->slope = sfi_back_slope(&unit);
    job->image = sfi_stem_image_of(plan, net, job->conv);
    job->pooled = plan->steps[node].shape;
    job->segments = sfi_min(SEGMENTS, job->pooled.n * job->pooled.h);
    job->sums_per_segment =
        job->pooled.c * job->image.in.c * job->image.kernel[0] * SFK_PATCH_COLUMNS;
    const int64_t depth = sfi_rank_taps(net->nodes[job->conv].layer);
    job->rows_per_worker = SFK_DOUBLE_ROWS * (depth + 3 * sfi_rank_pitch(depth));
    job->sums = sfi_rank_take(&at, job->segments * job->sums_per_segment, sizeof(float));
    job->channel_sums = sfi_rank_take(&at, job->segments * job->pooled.c, sizeof(double));
    stem_winners winners;
    job->winners_per_worker = lay_out_winners(&winners, job->pooled, 0);
    job->winners = sfi_rank_take(&at, workers * job->winners_per_worker, 1);
    job->rows = sfi_rank_take(&at, workers * job->rows_per_worker, sizeof(double));
    return (int64_t)(at - memory);
}

int64_t sfi_stem_backward_bytes(const sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    stem_job job;
    return lay_out(&job, plan, net, node, 0);
}

/* The winners of one pooled row of a channel that a gradient comes to: where their windows of the
 * image begin, counted from its first column, and how large it is. Returns how many. */
static int64_t find_winners(const stem_job *job, int64_t plane, int64_t row, int64_t *places,
                            float *factors, double *sum)
{
    const int64_t width = job->pooled.w;
    const int64_t first = (plane * job->pooled.h + row) * width;
    const uint8_t *cells = job->cells + first;
    int64_t offsets[9];
    int64_t count = 0;
    for (int64_t cell = 0; cell < 9; cell++) {
        offsets[cell] = 2 * (2 * row + cell / 3 - 1) * job->image.pitch + 2 * (cell % 3 - 1);
    }
    job->kernels->leaky_relu_gradient(factors, job->map + first, job->gradient + first, job->slope,
                                      false, width);
    job->kernels->plane_sum(sum, factors, width);
    for (int64_t x = 0; x < width; x++) {
        places[count] = offsets[cells[x]] + 4 * x;
        factors[count] = factors[x];
        count += factors[x] != 0.0f;
    }
    return count;
}

/* All channels of one pooled row; the windows of one channel of the image stay in the first-level
 * cache. */
static void add_row(const stem_job *job, int64_t index, int32_t worker, float *sums,
                    double *channel_sums)
{
    const sfi_stem_image *image = &job->image;
    const sfi_shape pooled = job->pooled;
    const int64_t n = index / pooled.h;
    const int64_t rows = image->kernel[0];
    const stem_winners winners = winners_of(job, worker);
    for (int64_t c = 0; c < pooled.c; c++) {
        winners.counts[c] =
            find_winners(job, n * pooled.c + c, index % pooled.h, winners.places + c * pooled.w,
                         winners.factors + c * pooled.w, channel_sums + c);
    }
    for (int64_t in = 0; in < image->in.c; in++) {
        for (int64_t c = 0; c < pooled.c; c++) {
            const sfk_patches patches = {
                .from = job->batch.image + (n * image->in.c + in) * image->plane + image->margin,
                .pitch = image->pitch,
                .rows = rows,
                .places = winners.places + c * pooled.w,
                .factors = winners.factors + c * pooled.w,
                .count = winners.counts[c],
                .to = sums + (c * image->in.c + in) * rows * SFK_PATCH_COLUMNS};
            job->kernels->add_patches(&patches);
        }
    }
}

static void segment_task(void *argument, int64_t segment, int32_t worker)
{
    const stem_job *job = argument;
    const int64_t rows = job->pooled.n * job->pooled.h;
    float *sums = job->sums + segment * job->sums_per_segment;
    double *channel_sums = job->channel_sums + segment * job->pooled.c;
    memset(sums, 0, (size_t)job->sums_per_segment * sizeof *sums);
    memset(channel_sums, 0, (size_t)job->pooled.c * sizeof *channel_sums);
    for (int64_t row = segment * rows / job->segments; row < (segment + 1) * rows / job->segments;
         row++) {
        add_row(job, row, worker, sums, channel_sums);
    }
}

/* G and Σ g of a channel: segments in their order. */
static double add_segments(const stem_job *job, int64_t channel, double *totals)
{
    const int64_t width = job->image.kernel[1];
    const int64_t rows = job->image.in.c * job->image.kernel[0];
    double sum = 0.0;
    memset(totals, 0, (size_t)(rows * width) * sizeof *totals);
    for (int64_t segment = 0; segment < job->segments; segment++) {
        const float *from =
            job->sums + segment * job->sums_per_segment + channel * rows * SFK_PATCH_COLUMNS;
        for (int64_t k = 0; k < rows * width; k++) {
            totals[k] += (double)from[k / width * SFK_PATCH_COLUMNS + k % width];
        }
        sum += job->channel_sums[segment * job->pooled.c + channel];
    }
    return sum;
}

static void finish_task(void *argument, int64_t index, int32_t worker)
{
    const stem_job *job = argument;
    const int64_t depth = job->batch.depth;
    const int64_t pitch = job->batch.pitch;
    const int64_t first = index * SFK_DOUBLE_ROWS;
    const int64_t count = sfi_min(SFK_DOUBLE_ROWS, job->pooled.c - first);
    const sfi_node *nodes = job->run->net->nodes;
    const float *filters = nodes[job->conv].layer->parameters[0].data;
    double *across = job->rows + worker * job->rows_per_worker;
    double *products = across + SFK_DOUBLE_ROWS * depth;
    double *weights = products + SFK_DOUBLE_ROWS * pitch;
    double *totals = weights + SFK_DOUBLE_ROWS * pitch;
    memset(across, 0, (size_t)job->rows_per_worker * sizeof *across);
    for (int64_t c = 0; c < count; c++) {
        for (int64_t k = 0; k < depth; k++) {
            weights[c * pitch + k] = (double)filters[(first + c) * depth + k];
            across[k * SFK_DOUBLE_ROWS + c] = weights[c * pitch + k];
        }
    }
    for (int64_t k = 0; k < pitch; k += SFK_DOUBLE_COLUMNS) {
        job->kernels->double_tile(depth, across, SFK_DOUBLE_ROWS, job->batch.products + k, pitch,
                                  products + k, pitch);
    }
    for (int64_t c = 0; c < count; c++) {
        const sfi_back_channel channel = {
            .norm = job->norm,
            .channel = first + c,
            .weights = weights + c * pitch,
            .products = products + c * pitch,
            .totals = totals + c * pitch,
            .sum = add_segments(job, first + c, totals + c * pitch),
            .gradient =
                job->run->gradients[nodes[job->conv].first_parameter] + (first + c) * depth};
        sfi_back_correct_channel(job->run, &job->batch, &channel);
    }
}

void sfi_stem_backward(const sfconv_run *run, int32_t node, void *memory)
{
    stem_job job = {.run = run,
                    .kernels = run->context->kernels,
                    .map = sfi_run_value(run, node),
                    .gradient = sfi_run_gradient(run, node),
                    .cells = run->memory + run->plan.steps[node].tape};
    lay_out(&job, &run->plan, run->net, node, (uintptr_t)memory);
    job.batch = sfi_rank_batch_of(run, job.norm);
    sfi_parallel_for(run->context, job.segments, segment_task, &job);
    sfi_parallel_for(run->context, sfi_ceil_div(job.pooled.c, SFK_DOUBLE_ROWS), finish_task, &job);
}

/* As if every window had a gradient; and the product of W with the moments. */
int64_t sfi_stem_backward_macs(const sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    sfi_rank_unit unit;
    sfi_rank_unit_of(&unit, &plan->rank, net, node);
    const sfi_shape pooled = plan->steps[node].shape;
    const int64_t depth = sfi_rank_taps(net->nodes[unit.conv[0]].layer);
    return sfi_shape_count(pooled) * depth + pooled.c * depth * depth;
}
