/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_upsampling.h"

#include "layer_facts.h"
#include "parallel.h"

#include <string.h>

/* The transpose of rank_upsample.c, in the opposite order: rows between rows, then horizontal taps,
 * then columns between columns. */

static int64_t wide_stride(const sfi_rank_upsampling *job)
{
    return job->wide + 2 * job->factor[1];
}

/* A worker's rows: one of the consumer's maps, and a widened one a tap with `factor` zeros at
 * either end. */
static sfi_rank_upsampling job_of(const sfi_plan *plan, const sfconv_net *net,
                                  const sfi_rank_sink *sink)
{
    sfi_rank_upsampling job = sfi_rank_upsampling_of(plan, net, sink);
    job.rows_per_worker = job.maps.width + SFK_SLACK + job.maps.taps * wide_stride(&job);
    return job;
}

int64_t sfi_rank_upsample_gradient_bytes(const sfi_plan *plan, const sfconv_net *net,
                                         const sfi_rank_sink *sink)
{
    const sfi_rank_upsampling job = job_of(plan, net, sink);
    return sfi_rank_upsampling_bytes(&job, net);
}

/* What row k of the mixed maps gave to rows of the consumer's map `from`. */
static void gather_rows(const sfi_rank_upsampling *job, const float *from, int64_t k, float *to)
{
    const float *rows[SFI_UPSAMPLE_TERMS];
    float weights[SFI_UPSAMPLE_TERMS];
    int64_t positions[SFI_UPSAMPLE_TERMS];
    const int64_t terms =
        sfi_upsample2d_terms(job->which, job->factor[0], job->span[0], k, positions, weights);
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
    const sfi_rank_upsampling *job = argument;
    const sfk_table *kernels = job->run->context->kernels;
    const int64_t map = index / job->tasks_per_map;
    const int64_t first = index % job->tasks_per_map * SFI_RANK_UPSAMPLE_ROWS;
    const int64_t end = sfi_min(job->in.h, first + SFI_RANK_UPSAMPLE_ROWS);
    const int64_t factor = job->factor[1];
    const float *from =
        sfi_rank_target_gradient(job->run, job->sink->consumer) + map * job->maps.plane;
    float *mixed = (float *)(job->run->memory + job->sink->mixed_gradient) +
                   map * job->maps.taps * job->in.h * job->in.w;
    float *gathered = job->rows + worker * job->rows_per_worker;
    float *wide = gathered + job->maps.width + SFK_SLACK;
    memset(wide, 0, (size_t)(job->maps.taps * wide_stride(job)) * sizeof *wide);
    for (int64_t k = first; k < end; k++) {
        gather_rows(job, from, k, gathered);
        const sfk_shift spread =
            sfi_rank_shift_of(&job->maps, gathered, wide_stride(job), job->wide);
        kernels->spread_taps(wide + factor, &spread);
        for (int64_t tap = 0; tap < job->maps.taps; tap++) {
            float *to = mixed + (tap * job->in.h + k) * job->in.w;
            const float *row = wide + tap * wide_stride(job) + factor;
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
    sfi_rank_upsampling job = job_of(&run->plan, run->net, sink);
    sfi_rank_upsampling_run(&job, run, scratch, run_task);
}
