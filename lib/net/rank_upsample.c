/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_upsampling.h"

#include "kernels.h"
#include "layer_facts.h"
#include "parallel.h"
#include "sizes.h"

#include <math.h>
#include <string.h>

/* A worker's rows: one mixed row with a neighbour at either end, one widened row a tap, three rows
 * with their taps added (the present one and its neighbours). */
static int64_t row_elements(const sfi_rank_upsampling *job)
{
    return job->in.w + 2 + job->maps.taps * job->wide + 3 * job->maps.width;
}

static sfi_rank_upsampling job_of(const sfi_plan *plan, const sfconv_net *net,
                                  const sfi_rank_sink *sink)
{
    sfi_rank_upsampling job = sfi_rank_upsampling_of(plan, net, sink);
    job.rows_per_worker = row_elements(&job);
    return job;
}

int64_t sfi_rank_upsample_bytes(const sfi_plan *plan, const sfconv_net *net,
                                const sfi_rank_sink *sink)
{
    const sfi_rank_upsampling job = job_of(plan, net, sink);
    return sfi_rank_upsampling_bytes(&job, net);
}

/* Row `row` of one map's mixed taps (`plane` apart), widened and added up, into its place among the
 * three. */
static void gather_row(const sfi_rank_upsampling *job, const float *mixed, int64_t row, float *rows)
{
    const sfk_table *kernels = job->run->context->kernels;
    const int64_t width = job->in.w;
    float *padded = rows;
    float *widened = rows + width + 2;
    float *gathered = widened + job->maps.taps * job->wide + row % 3 * job->maps.width;
    for (int64_t tap = 0; tap < job->maps.taps; tap++) {
        float *out = widened + tap * job->wide;
        memcpy(padded + 1, mixed + (tap * job->in.h + row) * width, (size_t)width * sizeof *padded);
        padded[0] = padded[1];
        padded[width + 1] = padded[width];
        if (job->which == SFCONV_UPSAMPLE_NEAREST) {
            kernels->repeat_row(out, padded + 1, job->factor[1], width);
        } else {
            kernels->interpolate_row(out, padded + 1, job->offsets + 1, width + 2, job->factor[1],
                                     width);
        }
    }
    const sfk_shift shift = sfi_rank_shift_of(&job->maps, widened, job->wide, job->wide);
    kernels->shift_add(gathered, &shift);
}

/* The rows of the up-sampled map that lie nearest to mixed row k. */
static void interpolate_rows(const sfi_rank_upsampling *job, int64_t k, float *rows, float *target)
{
    const sfk_table *kernels = job->run->context->kernels;
    const int64_t width = job->maps.width;
    float *gathered = rows + job->in.w + 2 + job->maps.taps * job->wide;
    for (int64_t r = 0; r < job->factor[0]; r++) {
        const int64_t row = k * job->factor[0] + r;
        const float offset = sfi_rank_upsampling_offset(job, 0, k, r);
        const int64_t other = offset < 0.0f ? k - 1 : offset > 0.0f ? k + 1 : k;
        float *to = target + sfi_rank_row(&job->maps, row);
        if (!sfi_rank_row_is_read(&job->maps, row)) {
            continue;
        }
        kernels->blend_rows(to, gathered + k % 3 * width, gathered + other % 3 * width,
                            fabsf(offset), job->sink->accumulate, width);
    }
}

static void run_task(void *argument, int64_t index, int32_t worker)
{
    const sfi_rank_upsampling *job = argument;
    const int64_t map = index / job->tasks_per_map;
    const int64_t first = index % job->tasks_per_map * SFI_RANK_UPSAMPLE_ROWS;
    const int64_t end = sfi_min(job->in.h, first + SFI_RANK_UPSAMPLE_ROWS);
    const float *mixed = (const float *)(job->run->memory + job->sink->mixed) +
                         map * job->maps.taps * job->in.h * job->in.w;
    float *target = sfi_rank_target(job->run, job->sink->consumer) + map * job->maps.plane;
    float *rows = job->rows + worker * job->rows_per_worker;
    for (int64_t row = sfi_max(0, first - 1); row <= first; row++) {
        gather_row(job, mixed, row, rows);
    }
    for (int64_t k = first; k < end; k++) {
        if (k + 1 < job->in.h) {
            gather_row(job, mixed, k + 1, rows);
        }
        interpolate_rows(job, k, rows, target);
    }
}

void sfi_rank_upsample(const sfconv_run *run, const sfi_rank_sink *sink, void *scratch)
{
    sfi_rank_upsampling job = job_of(&run->plan, run->net, sink);
    sfi_rank_upsampling_run(&job, run, scratch, run_task);
}
