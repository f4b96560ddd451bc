/* SPDX-License-Identifier: BSD-2-Clause */
/* Average pooling is linear and acts on each channel alike: as an up-sampling, it is done to the
 * few mixed maps. */
#include "rank_transport.h"

#include "kernels.h"
#include "layer_facts.h"
#include "parallel.h"
#include "sizes.h"

#include <string.h>

/* Rows of the averages that one task makes. */
#define AVERAGED_ROWS 8

typedef struct average_job {
    const sfconv_run *run;
    const sfi_rank_sink *sink;
    const sfconv_layer *pooling;
    sfi_rank_maps maps;
    sfi_shape in;
    sfi_shape out;
    int64_t tasks_per_map;
    /* Of each worker a row of averages a tap. */
    float *rows;
    int64_t rows_per_worker;
} average_job;

static average_job job_of(const sfi_plan *plan, const sfconv_net *net, const sfi_rank_sink *sink)
{
    average_job job = {.sink = sink,
                       .pooling = net->nodes[sink->transport].layer,
                       .maps = sfi_rank_maps_of(plan, net, sink->consumer),
                       .in = plan->steps[sink->base].shape,
                       .out = plan->steps[sink->transport].shape};
    job.tasks_per_map = sfi_ceil_div(job.out.h, AVERAGED_ROWS);
    job.rows_per_worker = job.maps.taps * job.out.w + SFK_SLACK;
    return job;
}

int64_t sfi_rank_average_bytes(const sfi_plan *plan, const sfconv_net *net,
                               const sfi_rank_sink *sink)
{
    const average_job job = job_of(plan, net, sink);
    return job.rows_per_worker * sfi_workers(net->context) * (int64_t)sizeof(float);
}

/* The windows of row `row` of the averages, and where its first row lies in a mixed map. */
static sfk_window window_of(const average_job *job, int64_t row, int64_t *first)
{
    *first = sfi_pool2d_first_row(job->pooling, row) * job->in.w;
    return sfi_pool2d_window(job->pooling, job->in, job->out, row);
}

static void average_task(void *argument, int64_t index, int32_t worker)
{
    const average_job *job = argument;
    const sfk_table *kernels = job->run->context->kernels;
    const int64_t map = index / job->tasks_per_map;
    const int64_t begin = index % job->tasks_per_map * AVERAGED_ROWS;
    const int64_t end = sfi_min(job->out.h, begin + AVERAGED_ROWS);
    const int64_t plane = job->in.h * job->in.w;
    const float *mixed =
        (const float *)(job->run->memory + job->sink->mixed) + map * job->maps.taps * plane;
    float *target = sfi_rank_target(job->run, job->sink->consumer) + map * job->maps.plane;
    float *rows = job->rows + worker * job->rows_per_worker;
    for (int64_t row = begin; row < end; row++) {
        int64_t first;
        sfk_window window = window_of(job, row, &first);
        sfk_shift shift = sfi_rank_shift_of(&job->maps, rows, job->out.w, job->out.w);
        shift.accumulate = job->sink->accumulate;
        if (!sfi_rank_row_is_read(&job->maps, row)) {
            continue;
        }
        for (int64_t tap = 0; tap < job->maps.taps; tap++) {
            window.in = mixed + tap * plane + first;
            kernels->average_row(rows + tap * job->out.w, &window);
        }
        kernels->shift_add(target + sfi_rank_row(&job->maps, row), &shift);
    }
}

/* The transpose, one of the consumer's maps at a time, since windows may overlap. */
static void share_task(void *argument, int64_t map, int32_t worker)
{
    const average_job *job = argument;
    const sfk_table *kernels = job->run->context->kernels;
    const int64_t plane = job->in.h * job->in.w;
    const float *from =
        sfi_rank_target_gradient(job->run, job->sink->consumer) + map * job->maps.plane;
    float *mixed =
        (float *)(job->run->memory + job->sink->mixed_gradient) + map * job->maps.taps * plane;
    float *rows = job->rows + worker * job->rows_per_worker;
    memset(mixed, 0, (size_t)(job->maps.taps * plane) * sizeof *mixed);
    for (int64_t row = 0; row < job->out.h; row++) {
        int64_t first;
        const sfk_window window = window_of(job, row, &first);
        const sfk_shift spread = sfi_rank_shift_of(&job->maps, from + sfi_rank_row(&job->maps, row),
                                                   job->out.w, job->out.w);
        if (!sfi_rank_row_is_read(&job->maps, row)) {
            continue;
        }
        kernels->spread_taps(rows, &spread);
        for (int64_t tap = 0; tap < job->maps.taps; tap++) {
            kernels->average_row_gradient(mixed + tap * plane + first, rows + tap * job->out.w,
                                          &window);
        }
    }
}

void sfi_rank_average(const sfconv_run *run, const sfi_rank_sink *sink, void *scratch)
{
    average_job job = job_of(&run->plan, run->net, sink);
    job.run = run;
    job.rows = scratch;
    sfi_parallel_for(run->context, job.in.n * job.maps.count * job.tasks_per_map, average_task,
                     &job);
}

void sfi_rank_average_gradient(const sfconv_run *run, const sfi_rank_sink *sink, void *scratch)
{
    average_job job = job_of(&run->plan, run->net, sink);
    job.run = run;
    job.rows = scratch;
    sfi_parallel_for(run->context, job.in.n * job.maps.count, share_task, &job);
}
