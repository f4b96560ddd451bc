/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_bands.h"
#include "rank_quads.h"
#include "rank_tiles.h"
#include "rank_transport.h"

#include "conv2d.h"
#include "layer_facts.h"
#include "parallel.h"
#include "sfconv2d.h"

float *sfi_rank_target(const sfconv_run *run, int32_t consumer)
{
    const sfi_rank_node *node = &run->plan.rank.nodes[consumer];
    return node->role == SFI_RANK_SINK ? sfi_run_value(run, consumer)
                                       : (float *)(run->memory + node->maps);
}

void sfi_rank_point_at_taps(const sfconv_run *run, int32_t conv, int64_t image, const float **taps)
{
    const sfi_rank_maps maps = sfi_rank_maps_of(&run->plan, run->net, conv);
    const float *source = sfi_rank_target(run, conv) + image * maps.image;
    for (int64_t tap = 0; tap < maps.reach; tap++) {
        const float *first = source + sfi_rank_tap_offset(&maps, tap);
        for (int64_t t = 0; t < maps.count; t++) {
            taps[t * maps.reach + tap] = first + t * maps.plane;
        }
    }
}

static void point_at_all_taps(const sfi_rank_job *job, int64_t image, const float **taps)
{
    for (int32_t part = 0; part < job->unit.part_count; part++) {
        const int32_t conv = job->unit.conv[part];
        sfi_rank_point_at_taps(job->run, conv, image, taps);
        taps += sfi_rank_taps(job->run->net->nodes[conv].layer);
    }
}

/* Adds the shifted taps of a task's mixed maps into the consumer's maps. */
static void shift_rows(const sfi_rank_task *task, const sfi_rank_open *sink)
{
    const sfi_rank_job *job = task->job;
    const sfi_rank_maps *maps = &sink->maps;
    const int64_t scale = sink->sink->via == SFI_VIA_POOL ? 2 : 1;
    const int64_t width = job->cut.shape.w / scale;
    const int64_t first = task->first_row / scale;
    const int64_t end = task->end_row / scale;
    float *target = sfi_rank_target(job->run, sink->sink->consumer) + task->image * maps->image;
    for (int64_t row = first; row < end; row++) {
        if (!sfi_rank_row_is_read(maps, row)) {
            continue;
        }
        for (int64_t t = 0; t < maps->count; t++) {
            const float *from = sink->to + t * maps->taps * sink->stride + (row - first) * width;
            sfk_shift shift = sfi_rank_shift_of(maps, from, sink->stride, width);
            shift.accumulate = sink->sink->accumulate;
            job->kernels->shift_add(target + t * maps->plane + sfi_rank_row(maps, row), &shift);
        }
    }
}

/* Bias of a 1x1 convolution, once. */
static const float *sink_bias(const sfconv_run *run, const sfi_rank_sink *sink)
{
    const sfconv_layer *layer = run->net->nodes[sink->consumer].layer;
    const sfi_conv2d *dense = sfi_as_conv2d(layer);
    return dense && dense->desc.has_bias && !sink->accumulate ? layer->parameters[1].data : NULL;
}

static void open_one(const sfi_rank_task *task, const sfi_rank_sink *sink, sfi_rank_open *open,
                     float **mixed)
{
    const sfi_rank_job *job = task->job;
    const sfconv_run *run = job->run;
    const int64_t first = task->first_row * job->cut.shape.w;
    open->sink = sink;
    open->maps = sfi_rank_maps_of(&run->plan, run->net, sink->consumer);
    open->mixed_count = sfi_rank_mixed_count(&open->maps);
    open->bias = sink_bias(run, sink);
    open->direct = sfi_rank_is_direct(&run->plan.rank, sink, &open->maps);
    open->adds = open->direct && sink->accumulate && sink->via == SFI_VIA_NOTHING;
    if (sfi_rank_waits(sink)) {
        open->stride = job->cut.plane;
        open->to = (float *)(run->memory + sink->mixed) +
                   task->image * open->mixed_count * open->stride + first;
    } else if (open->direct) {
        open->stride = open->maps.plane;
        open->to = sfi_rank_target(run, sink->consumer) + task->image * open->maps.image +
                   open->maps.padding * open->maps.width + first;
    } else {
        open->stride = sfi_rank_mixed_stride(&job->cut, sink->via);
        open->to = *mixed;
        *mixed += open->mixed_count * open->stride;
    }
}

static int32_t open_sinks(const sfi_rank_task *task)
{
    const sfi_rank_job *job = task->job;
    const float *const *weights = job->weights.mix;
    float *mixed = task->bench.mixed;
    const sfi_rank_sink *sink;
    int32_t index = 0;
    int32_t count = 0;
    while ((sink = sfi_rank_next_mixed(&job->run->plan.rank, job->node, &index)) != NULL) {
        sfi_rank_open *open = &task->bench.sinks[count++];
        open_one(task, sink, open, &mixed);
        open->weights = weights;
        weights += open->mixed_count;
    }
    return count;
}

/* Where the channels of a unit's task go. */
static float *map_of_task(const sfi_rank_task *task)
{
    const sfi_rank_job *job = task->job;
    const sfi_rank_cut *cut = &job->cut;
    if (job->averages) {
        return task->bench.averaged;
    }
    return job->map ? job->map + (task->image * cut->shape.c + task->first_channel) * cut->plane
                    : NULL;
}

static void average(const sfi_rank_task *task)
{
    const sfi_rank_job *job = task->job;
    const int64_t plane = job->cut.plane;
    float *to = job->averages + task->image * job->cut.shape.c;
    const float *from = task->map;
    for (int64_t c = task->first_channel; c < task->end_channel; c++, from += plane) {
        double sum = 0.0;
        job->kernels->plane_sum(&sum, from, plane);
        to[c] = (float)(sum / (double)plane);
    }
}

/* Rows and channels of part `part` of an image. */
static void find_part(sfi_rank_task *task, int64_t part)
{
    const sfi_rank_cut *cut = &task->job->cut;
    const int64_t middle = cut->row_tasks / 2;
    const bool is_half = cut->halves_middle && (part == middle || part == middle + 1);
    int64_t rows = part % cut->row_tasks;
    int64_t channels = part / cut->row_tasks;
    if (cut->halves_middle) {
        rows = part > middle ? part - 1 : part;
        channels = is_half ? part - middle : 0;
    }
    const int64_t most = is_half ? sfi_rank_quad_channels(cut->shape) : cut->channels_per_task;
    task->first_row = sfi_rank_first_row(cut, rows);
    task->end_row = sfi_rank_first_row(cut, rows + 1);
    task->first_channel = channels * most;
    task->end_channel = sfi_min(cut->shape.c, task->first_channel + most);
}

static void run_task(void *argument, int64_t index, int32_t worker)
{
    const sfi_rank_job *job = argument;
    const sfi_rank_cut *cut = &job->cut;
    const sfconv_run *run = job->run;
    sfi_rank_task task = {.job = job, .image = index / cut->tasks_per_image};
    find_part(&task, index % cut->tasks_per_image);
    sfi_rank_lay_out(&task.bench, &run->plan, run->net, job->node,
                     (uintptr_t)(job->scratch + worker * job->scratch_per_worker));
    point_at_all_taps(job, task.image, task.bench.taps);
    for (int32_t i = 0; i < job->unit.residual_count; i++) {
        task.bench.residuals[i] = sfi_run_value(run, job->unit.residual[i]) +
                                  (task.image * cut->shape.c + task.first_channel) * cut->plane;
    }
    task.map = map_of_task(&task);
    task.map_plane = cut->plane;
    task.sink_count = open_sinks(&task);
    if (job->unit.band == SFI_BAND_OF_ROWS) {
        sfi_rank_run_band(&task);
    } else if (job->unit.quads) {
        sfi_rank_run_quads(&task);
    } else if (sfi_rank_is_pair(&job->unit)) {
        sfi_rank_run_pairs(&task);
    } else {
        if (job->unit.lines) {
            sfi_rank_stem_rows(&task);
        }
        sfi_rank_run_strips(&task);
    }
    if (job->averages) {
        average(&task);
    }
    for (int32_t i = 0; i < task.sink_count; i++) {
        if (!task.bench.sinks[i].direct) {
            shift_rows(&task, &task.bench.sinks[i]);
        }
    }
}

/* Padding of the maps that this step begins. */
static void clear_paddings(const sfconv_run *run, int32_t node)
{
    const sfi_rank_plan *plan = &run->plan.rank;
    for (int32_t i = 0; i < plan->sink_count; i++) {
        const sfi_rank_sink *sink = &plan->sinks[i];
        if (sink->base == node && !sink->accumulate) {
            const sfi_rank_maps maps = sfi_rank_maps_of(&run->plan, run->net, sink->consumer);
            const int32_t input = run->net->nodes[sink->consumer].inputs[0];
            const sfi_shape in = run->plan.steps[input].shape;
            sfi_rank_clear_padding(&maps, in.n, in.h, sfi_rank_target(run, sink->consumer));
        }
    }
}

/* Of a task that copies rows for a stem. */
#define COPY_ROWS 32

typedef struct copy_job {
    const sfconv_run *run;
    const sfi_rank_sink *sink;
    sfi_rank_maps maps;
    sfi_shape in;
    bool lines;
    /* Maps of a channel that follow each other. */
    int64_t maps_per_channel;
    int64_t tasks_per_plane;
} copy_job;

/* A row of one channel, once for each horizontal tap. */
static void copy_row(const copy_job *job, const float *from, float *to)
{
    const sfi_rank_maps *maps = &job->maps;
    for (int64_t tap = 0; tap < maps->count / job->in.c; tap++) {
        const sfk_shift shift = {.from = from,
                                 .taps = 1,
                                 .stride = maps->stride,
                                 .padding = maps->shift - tap * maps->dilation,
                                 .width = job->in.w,
                                 .out_width = maps->width};
        job->run->context->kernels->shift_add(to + tap * maps->plane, &shift);
    }
}

/* The coefficients of a row of one channel; maps are ordered by points, channels, parities. */
static void transform_row(const copy_job *job, const float *from, float *to)
{
    const sfk_line line = {.from = from,
                           .width = job->in.w,
                           .padding = job->maps.shift,
                           .to = to,
                           .point_stride = job->in.c * SFK_LINE_PHASES * job->maps.plane,
                           .phase_stride = job->maps.plane,
                           .tiles = job->maps.width};
    job->run->context->kernels->line_input(&line);
}

/* Some rows of one channel of one image. */
static void copy_task(void *argument, int64_t index, int32_t worker)
{
    const copy_job *job = argument;
    const sfi_rank_maps *maps = &job->maps;
    const int64_t plane = index / job->tasks_per_plane;
    const int64_t channel = plane % job->in.c;
    const int64_t first = index % job->tasks_per_plane * COPY_ROWS;
    const float *source = sfi_run_value(job->run, job->sink->base) + plane * job->in.h * job->in.w;
    float *target = sfi_rank_target(job->run, job->sink->consumer) +
                    plane / job->in.c * maps->image + channel * job->maps_per_channel * maps->plane;
    (void)worker;
    for (int64_t row = first; row < sfi_min(job->in.h, first + COPY_ROWS); row++) {
        if (sfi_rank_row_is_read(maps, row)) {
            const float *from = source + row * job->in.w;
            float *to = target + sfi_rank_row(maps, row);
            if (job->lines) {
                transform_row(job, from, to);
            } else {
                copy_row(job, from, to);
            }
        }
    }
}

static void copy_for_stem(const sfconv_run *run, const sfi_rank_sink *sink)
{
    copy_job job = {.run = run,
                    .sink = sink,
                    .maps = sfi_rank_maps_of(&run->plan, run->net, sink->consumer),
                    .in = run->plan.steps[sink->base].shape,
                    .lines = run->plan.rank.nodes[sink->consumer].lines};
    job.maps_per_channel = job.lines ? SFK_LINE_PHASES : job.maps.count / job.in.c;
    job.tasks_per_plane = sfi_ceil_div(job.in.h, COPY_ROWS);
    sfi_parallel_for(run->context, job.in.n * job.in.c * job.tasks_per_plane, copy_task, &job);
}

/* All but where its weights and its memory are. */
static void measure(sfi_rank_job *job, const sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    *job = (sfi_rank_job){.node = node,
                          .cut = sfi_rank_cut_of(plan, node),
                          .mixing = sfi_rank_mixing_of(plan, net, node),
                          .tiled = sfi_rank_tiles_weights(plan, net, node)};
    if (plan->rank.nodes[node].role == SFI_RANK_UNIT) {
        sfi_rank_unit_of(&job->unit, &plan->rank, net, node);
    }
}

int64_t sfi_rank_weights_bytes(const sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    sfi_rank_job job;
    measure(&job, plan, net, node);
    return sfi_rank_lay_out_weights(&job, net, 0);
}

int64_t sfi_rank_frozen_bytes(const sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    const bool makes =
        plan->rank.nodes[node].role == SFI_RANK_UNIT || sfi_rank_tiles_weights(plan, net, node) > 0;
    return sfi_rank_has_step(&plan->rank, node) && makes ? sfi_rank_weights_bytes(plan, net, node)
                                                         : 0;
}

static void open_job(sfi_rank_job *job, const sfconv_run *run, int32_t node, unsigned char *weights)
{
    measure(job, &run->plan, run->net, node);
    job->run = run;
    job->kernels = run->context->kernels;
    sfi_rank_lay_out_weights(job, run->net, (uintptr_t)weights);
}

void sfi_rank_freeze(const sfconv_run *run, int32_t node, unsigned char *frozen)
{
    sfi_rank_job job;
    open_job(&job, run, node, frozen);
    sfi_rank_make_weights(&job);
}

void sfi_rank_step(const sfconv_run *run, int32_t node)
{
    const sfi_rank_plan *plan = &run->plan.rank;
    const sfi_rank_node *self = &plan->nodes[node];
    const bool frozen = run->is_frozen && self->frozen != SFI_NO_BUFFER;
    sfi_rank_job job;
    open_job(&job, run, node, frozen ? run->frozen + self->frozen : run->memory + self->folded);
    job.map = self->stored ? sfi_run_value(run, node) : NULL;
    job.averages = sfi_rank_is_averaged(plan, node) ? sfi_run_value(run, self->finished_at) : NULL;
    job.scratch = run->memory + self->scratch;
    job.scratch_per_worker = plan->worker_bytes;
    if (sfi_rank_waiting_bytes(&run->plan, node) > 0) {
        job.map = (float *)(job.scratch + sfi_workers(run->context) * job.scratch_per_worker +
                            sfi_rank_tiles_shared(&run->plan, run->net, node));
    }
    if (!frozen) {
        sfi_rank_make_weights(&job);
    }
    clear_paddings(run, node);
    if (self->role == SFI_RANK_UNIT || job.mixing.sinks > 0) {
        sfi_parallel_for(run->context, job.cut.shape.n * job.cut.tasks_per_image, run_task, &job);
    }
    if (job.unit.band != SFI_BAND_OF_ROWS) {
        sfi_rank_run_tiles(&job);
    }
    for (int32_t i = 0; i < plan->sink_count; i++) {
        const sfi_rank_sink *sink = &plan->sinks[i];
        if (sink->base == node && sfi_rank_waits(sink)) {
            sfi_rank_transport(run, sink, job.scratch);
        } else if (sink->base == node && sink->via == SFI_VIA_COPY) {
            copy_for_stem(run, sink);
        }
    }
}
