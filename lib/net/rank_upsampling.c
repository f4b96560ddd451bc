/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_upsampling.h"

#include "layer_facts.h"
#include "parallel.h"
#include "sizes.h"

sfi_rank_upsampling sfi_rank_upsampling_of(const sfi_plan *plan, const sfconv_net *net,
                                           const sfi_rank_sink *sink)
{
    sfi_rank_upsampling job = {.sink = sink,
                               .maps = sfi_rank_maps_of(plan, net, sink->consumer),
                               .in = plan->steps[sink->base].shape};
    sfi_upsample2d_facts(net->nodes[sink->transport].layer, &job.which, job.factor);
    job.wide = job.in.w * job.factor[1];
    job.tasks_per_map = sfi_ceil_div(job.in.h, SFI_RANK_UPSAMPLE_ROWS);
    return job;
}

static int64_t offset_elements(const sfi_rank_upsampling *job)
{
    return (job->in.w + 2) * job->factor[1];
}

int64_t sfi_rank_upsampling_bytes(const sfi_rank_upsampling *job, const sfconv_net *net)
{
    return (offset_elements(job) + job->rows_per_worker * sfi_workers(net->context)) *
           (int64_t)sizeof(float);
}

float sfi_rank_upsampling_offset(const sfi_rank_upsampling *job, int axis, int64_t k, int64_t r)
{
    return job->which == SFCONV_UPSAMPLE_NEAREST
               ? 0.0f
               : sfi_upsample2d_offset(job->which, job->factor[axis], job->span[axis], k, r);
}

static void fill_offsets(const sfi_rank_upsampling *job)
{
    for (int64_t r = 0; r < job->factor[1]; r++) {
        float *offsets = job->offsets + r * (job->in.w + 2);
        offsets[0] = 0.0f;
        offsets[job->in.w + 1] = 0.0f;
        for (int64_t k = 0; k < job->in.w; k++) {
            offsets[k + 1] = sfi_rank_upsampling_offset(job, 1, k, r);
        }
    }
}

void sfi_rank_upsampling_run(sfi_rank_upsampling *job, const sfconv_run *run, void *scratch,
                             sfconv_task_fn task)
{
    job->run = run;
    for (int axis = 0; axis < 2; axis++) {
        job->span[axis] = sfi_run_span(run, job->sink->base, axis);
    }
    job->offsets = scratch;
    job->rows = job->offsets + offset_elements(job);
    fill_offsets(job);
    sfi_parallel_for(run->context, job->in.n * job->maps.count * job->tasks_per_map, task, job);
}
