/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_step.h"

#include "kernels.h"
#include "layer_facts.h"
#include "parallel.h"
#include "sizes.h"

#include <math.h>
#include <string.h>

/* Rows of the mixed maps that a task widens, beside one neighbour at either end. */
#define TASK_ROWS 8

/* A worker's rows: one mixed row with a neighbour at either end, one widened row a tap, three rows
 * with their taps added (the present one and its neighbours), one interpolated row. */
typedef struct up_job {
    const sfconv_run *run;
    const sfi_rank_sink *sink;
    sfi_rank_maps maps;
    int32_t which;
    int64_t factor[2];
    sfi_shape in;
    int64_t wide;
    int64_t tasks_per_map;
    /* Horizontal offsets, [factor][in.w + 2] with a zero at either end. */
    float *offsets;
    float *rows;
    int64_t rows_per_worker;
} up_job;

static int64_t offset_elements(const up_job *job)
{
    return (job->in.w + 2) * job->factor[1];
}

static int64_t row_elements(const up_job *job)
{
    return job->in.w + 2 + job->maps.taps * job->wide + 4 * job->maps.width;
}

static up_job job_of(const sfi_plan *plan, const sfconv_net *net, const sfi_rank_sink *sink)
{
    up_job job = {.sink = sink,
                  .maps = sfi_rank_maps_of(net, plan->steps, sink->consumer),
                  .in = plan->steps[sink->base].shape};
    sfi_upsample2d_facts(net->nodes[sink->transport].layer, &job.which, job.factor);
    job.wide = job.in.w * job.factor[1];
    job.tasks_per_map = sfi_ceil_div(job.in.h, TASK_ROWS);
    job.rows_per_worker = row_elements(&job);
    return job;
}

int64_t sfi_rank_upsample_bytes(const sfi_plan *plan, const sfconv_net *net,
                                const sfi_rank_sink *sink)
{
    const up_job job = job_of(plan, net, sink);
    return (offset_elements(&job) + job.rows_per_worker * sfi_workers(net->context)) *
           (int64_t)sizeof(float);
}

static float offset_at(const up_job *job, int axis, int64_t size, int64_t k, int64_t r)
{
    return job->which == SFCONV_UPSAMPLE_NEAREST
               ? 0.0f
               : sfi_upsample2d_offset(job->which, job->factor[axis], size, k, r);
}

static void fill_offsets(const up_job *job)
{
    for (int64_t r = 0; r < job->factor[1]; r++) {
        float *offsets = job->offsets + r * (job->in.w + 2);
        offsets[0] = 0.0f;
        offsets[job->in.w + 1] = 0.0f;
        for (int64_t k = 0; k < job->in.w; k++) {
            offsets[k + 1] = offset_at(job, 1, job->in.w, k, r);
        }
    }
}

/* Row `row` of one map's mixed taps (`plane` apart), widened and added up, into its place among the
 * three. */
static void gather_row(const up_job *job, const float *mixed, int64_t row, float *rows)
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
    const sfk_shift shift = {.from = widened,
                             .from_stride = job->wide,
                             .taps = job->maps.taps,
                             .stride = job->maps.stride,
                             .dilation = job->maps.dilation,
                             .padding = job->maps.shift,
                             .width = job->wide,
                             .out_width = job->maps.width};
    kernels->shift_add(gathered, &shift);
}

/* The rows of the up-sampled map that lie nearest to mixed row k. */
static void interpolate_rows(const up_job *job, int64_t k, float *rows, float *target)
{
    const sfk_table *kernels = job->run->context->kernels;
    const int64_t width = job->maps.width;
    float *gathered = rows + job->in.w + 2 + job->maps.taps * job->wide;
    float *between = gathered + 3 * width;
    for (int64_t r = 0; r < job->factor[0]; r++) {
        const int64_t row = k * job->factor[0] + r;
        const float offset = offset_at(job, 0, job->in.h, k, r);
        const int64_t other = offset < 0.0f ? k - 1 : offset > 0.0f ? k + 1 : k;
        float *to = target + sfi_rank_row(&job->maps, row);
        if (!sfi_rank_row_is_read(&job->maps, row)) {
            continue;
        }
        kernels->blend_rows(job->sink->accumulate ? between : to, gathered + k % 3 * width,
                            gathered + other % 3 * width, fabsf(offset), width);
        if (job->sink->accumulate) {
            kernels->add_to(to, between, width);
        }
    }
}

static void run_task(void *argument, int64_t index, int32_t worker)
{
    const up_job *job = argument;
    const int64_t map = index / job->tasks_per_map;
    const int64_t first = index % job->tasks_per_map * TASK_ROWS;
    const int64_t end = sfi_min(job->in.h, first + TASK_ROWS);
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
    up_job job = job_of(&run->plan, run->net, sink);
    job.run = run;
    job.offsets = scratch;
    job.rows = job.offsets + offset_elements(&job);
    fill_offsets(&job);
    sfi_parallel_for(run->context, job.in.n * job.maps.count * job.tasks_per_map, run_task, &job);
}
