/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_training.h"

#include "layer_facts.h"
#include "parallel.h"

#include <string.h>

/* The transpose of rank_upsample.c, in the opposite order: rows between rows, then horizontal taps,
 * then columns between columns. */

/* Rows of the mixed maps that a task makes. */
#define TASK_ROWS 8

/* A worker's rows: one of the consumer's maps, and a widened one a tap with `factor` zeros at
 * either end. */
typedef struct down_job {
    const sfconv_run *run;
    const sfi_rank_sink *sink;
    sfi_rank_maps maps;
    int32_t which;
    int64_t factor[2];
    sfi_shape in;
    int64_t wide;
    int64_t wide_stride;
    int64_t tasks_per_map;
    /* Horizontal offsets, [factor][in.w + 2] with a zero at either end. */
    float *offsets;
    float *rows;
    int64_t rows_per_worker;
} down_job;

static down_job job_of(const sfi_plan *plan, const sfconv_net *net, const sfi_rank_sink *sink)
{
    down_job job = {.sink = sink,
                    .maps = sfi_rank_maps_of(net, plan->steps, sink->consumer),
                    .in = plan->steps[sink->base].shape};
    sfi_upsample2d_facts(net->nodes[sink->transport].layer, &job.which, job.factor);
    job.wide = job.in.w * job.factor[1];
    job.wide_stride = job.wide + 2 * job.factor[1];
    job.tasks_per_map = sfi_ceil_div(job.in.h, TASK_ROWS);
    job.rows_per_worker = job.maps.width + SFK_SLACK + job.maps.taps * job.wide_stride;
    return job;
}

static int64_t offset_elements(const down_job *job)
{
    return (job->in.w + 2) * job->factor[1];
}

int64_t sfi_rank_upsample_gradient_bytes(const sfi_plan *plan, const sfconv_net *net,
                                         const sfi_rank_sink *sink)
{
    const down_job job = job_of(plan, net, sink);
    return (offset_elements(&job) + job.rows_per_worker * sfi_workers(net->context)) *
           (int64_t)sizeof(float);
}

static void fill_offsets(const down_job *job)
{
    for (int64_t r = 0; r < job->factor[1]; r++) {
        float *offsets = job->offsets + r * (job->in.w + 2);
        memset(offsets, 0, (size_t)(job->in.w + 2) * sizeof *offsets);
        for (int64_t k = 0; k < job->in.w && job->which != SFCONV_UPSAMPLE_NEAREST; k++) {
            offsets[k + 1] = sfi_upsample2d_offset(job->which, job->factor[1], job->in.w, k, r);
        }
    }
}

/* What row k of the mixed maps gave to rows of the consumer's map `from`. */
static void gather_rows(const down_job *job, const float *from, int64_t k, float *to)
{
    const float *rows[SFI_UPSAMPLE_TERMS];
    float weights[SFI_UPSAMPLE_TERMS];
    int64_t positions[SFI_UPSAMPLE_TERMS];
    const int64_t terms =
        sfi_upsample2d_terms(job->which, job->factor[0], job->in.h, k, positions, weights);
    int64_t count = 0;
    for (int64_t i = 0; i < terms; i++) {
        if (sfi_rank_row_is_read(&job->maps, positions[i])) {
            rows[count] = from + sfi_rank_row(&job->maps, positions[i]);
            weights[count++] = weights[i];
        }
    }
    job->run->context->kernels->weighted_rows(to, rows, weights, count, job->maps.width);
}

static void run_task(void *argument, int64_t index, int32_t worker)
{
    const down_job *job = argument;
    const sfk_table *kernels = job->run->context->kernels;
    const int64_t map = index / job->tasks_per_map;
    const int64_t first = index % job->tasks_per_map * TASK_ROWS;
    const int64_t end = sfi_min(job->in.h, first + TASK_ROWS);
    const int64_t factor = job->factor[1];
    const float *from =
        sfi_rank_target_gradient(job->run, job->sink->consumer) + map * job->maps.plane;
    float *mixed = (float *)(job->run->memory + job->sink->mixed_gradient) +
                   map * job->maps.taps * job->in.h * job->in.w;
    float *gathered = job->rows + worker * job->rows_per_worker;
    float *wide = gathered + job->maps.width + SFK_SLACK;
    memset(wide, 0, (size_t)(job->maps.taps * job->wide_stride) * sizeof *wide);
    for (int64_t k = first; k < end; k++) {
        gather_rows(job, from, k, gathered);
        const sfk_spread spread = {.from = gathered,
                                   .to_stride = job->wide_stride,
                                   .taps = job->maps.taps,
                                   .stride = job->maps.stride,
                                   .dilation = job->maps.dilation,
                                   .padding = job->maps.shift,
                                   .width = job->wide,
                                   .out_width = job->maps.width};
        kernels->spread_taps(wide + factor, &spread);
        for (int64_t tap = 0; tap < job->maps.taps; tap++) {
            float *to = mixed + (tap * job->in.h + k) * job->in.w;
            const float *row = wide + tap * job->wide_stride + factor;
            if (job->which == SFCONV_UPSAMPLE_NEAREST) {
                kernels->repeat_row_gradient(to, row, job->wide, 1, factor, false, job->in.w);
            } else {
                kernels->interpolate_row_gradient(to, row, job->offsets + 1, job->in.w + 2, factor,
                                                  false, job->in.w);
            }
        }
    }
}

void sfi_rank_upsample_gradient(const sfconv_run *run, const sfi_rank_sink *sink, void *scratch)
{
    down_job job = job_of(&run->plan, run->net, sink);
    job.run = run;
    job.offsets = scratch;
    job.rows = job.offsets + offset_elements(&job);
    fill_offsets(&job);
    sfi_parallel_for(run->context, job.in.n * job.maps.count * job.tasks_per_map, run_task, &job);
}
