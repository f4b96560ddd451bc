/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_work.h"

#include "conv2d.h"
#include "convolution_lines.h"
#include "layer_facts.h"
#include "parallel.h"
#include "sfconv2d.h"

/* Weights of channel c times `factor`, in the order of the taps: P as it lies, [out][rank][kh]; a
 * stem's weight [out][in][kh][kw] with the vertical taps innermost. */
static void copy_taps(const sfconv_layer *layer, int64_t c, float factor, float *row)
{
    const sfi_parameter *weight = &layer->parameters[sfi_as_const_sfconv2d(layer) ? 1 : 0];
    const int64_t taps = weight->count / weight->shape[0];
    const int64_t kh = weight->shape[2];
    const int64_t kw = weight->shape[3];
    const float *from = weight->data + c * taps;
    if (kw == 1) {
        for (int64_t k = 0; k < taps; k++) {
            row[k] = factor * from[k];
        }
        return;
    }
    for (int64_t k = 0; k < taps; k++) {
        row[(k / (kh * kw) * kw + k % kw) * kh + k / kw % kh] = factor * from[k];
    }
}

const float *sfi_rank_bias(const sfconv_layer *layer)
{
    const sfi_sfconv2d *conv = sfi_as_const_sfconv2d(layer);
    const float *of_dense = layer->parameter_count > 1 ? layer->parameters[1].data : NULL;
    return conv ? sfi_sfconv2d_bias(conv) : of_dense;
}

/* BatchNorm folds into the weights and the bias: scale·(P·z + b) + shift. In training the mean is
 * that of P·z, as b cancels. */
static void fold_part(const sfconv_run *run, const sfi_rank_unit *unit, int32_t part, int64_t first,
                      int64_t channel, int64_t end, float *weights, float *bias)
{
    const sfi_node *nodes = run->net->nodes;
    const sfconv_layer *conv = nodes[unit->conv[part]].layer;
    const int32_t norm = unit->norm[part];
    const float *added = norm >= 0 && run->training ? NULL : sfi_rank_bias(conv);
    for (int64_t c = channel; c < end; c++) {
        double scale = 1.0;
        double shift = 0.0;
        if (norm >= 0 && run->training) {
            sfi_rank_batch_line(run, norm, c, &scale, &shift);
        } else if (norm >= 0) {
            sfi_batchnorm2d_line(nodes[norm].layer, c, &scale, &shift);
        }
        if (unit->lines) {
            const int64_t *shape = conv->parameters[0].shape;
            const float *filter = conv->parameters[0].data + c * shape[1] * shape[2] * shape[3];
            sfi_line_weights(weights + c * unit->depth, filter, shape[1], shape[2], shape[3],
                             scale);
        } else {
            copy_taps(conv, c, (float)scale, weights + c * unit->depth + first);
        }
        shift += added ? scale * (double)added[c] : 0.0;
        bias[c] = part == 0 ? (float)shift : bias[c] + (float)shift;
    }
}

typedef struct fold_job {
    const sfconv_run *run;
    const sfi_rank_unit *unit;
    int64_t channels;
    int64_t channels_per_task;
    float *weights;
    float *bias;
} fold_job;

static void fold_task(void *argument, int64_t index, int32_t worker)
{
    const fold_job *job = argument;
    const int64_t channel = index * job->channels_per_task;
    const int64_t end = sfi_min(job->channels, channel + job->channels_per_task);
    int64_t first = 0;
    (void)worker;
    for (int32_t part = 0; part < job->unit->part_count; part++) {
        fold_part(job->run, job->unit, part, first, channel, end, job->weights, job->bias);
        first += sfi_rank_taps(job->run->net->nodes[job->unit->conv[part]].layer);
    }
}

void sfi_rank_fold(sfi_rank_folded *folded, const sfconv_run *run, const sfi_rank_unit *unit,
                   int64_t channels, uintptr_t *memory)
{
    fold_job job = {.run = run,
                    .unit = unit,
                    .channels = channels,
                    .channels_per_task = sfi_rank_channels_of_task(unit->depth),
                    .weights = sfi_rank_take(memory, channels * unit->depth, sizeof(float)),
                    .bias = sfi_rank_take(memory, channels, sizeof(float))};
    const float **rows = sfi_rank_take(memory, channels, sizeof(float *));
    sfi_parallel_for(run->context, sfi_ceil_div(channels, job.channels_per_task), fold_task, &job);
    for (int64_t c = 0; c < channels; c++) {
        rows[c] = job.weights + c * unit->depth;
    }
    *folded = (sfi_rank_folded){rows, job.bias};
}

const float *sfi_rank_expanding_weights(const sfconv_layer *layer)
{
    const sfi_sfconv2d *conv = sfi_as_const_sfconv2d(layer);
    return conv ? sfi_sfconv2d_p(conv) : layer->parameters[0].data;
}

const float *sfi_rank_mixing_weights(const sfconv_layer *layer)
{
    const sfi_sfconv2d *conv = sfi_as_const_sfconv2d(layer);
    return conv ? sfi_sfconv2d_q(conv) : layer->parameters[0].data;
}

static void point_at_weights(sfi_rank_job *job, uintptr_t *memory)
{
    const sfconv_run *run = job->run;
    const int64_t count = job->mixing.full + job->mixing.pooled;
    const float **rows = sfi_rank_take(memory, count, sizeof(float *));
    int64_t *steps = sfi_rank_take(memory, count, sizeof(int64_t));
    const sfi_rank_sink *sink;
    int32_t index = 0;
    job->sink_weights = rows;
    job->sink_steps = steps;
    while ((sink = sfi_rank_next_mixed(&run->plan.rank, job->node, &index)) != NULL) {
        const sfi_rank_maps maps = sfi_rank_maps_of(&run->plan, run->net, sink->consumer);
        const sfi_node *consumer = &run->net->nodes[sink->consumer];
        const float *weights = sfi_rank_mixing_weights(consumer->layer);
        const int64_t per_map = run->plan.steps[consumer->inputs[0]].shape.c * maps.taps;
        for (int64_t j = 0; j < sfi_rank_mixed_count(&maps); j++) {
            *rows++ = weights + j / maps.taps * per_map + sink->channel * maps.taps + j % maps.taps;
            *steps++ = maps.taps;
        }
    }
}

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
    for (int64_t t = 0; t < maps.count; t++) {
        for (int64_t tap = 0; tap < maps.reach; tap++) {
            *taps++ = source + t * maps.plane + sfi_rank_tap_offset(&maps, tap);
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
            const sfk_shift shift = {.from = sink->to + t * maps->taps * sink->stride +
                                             (row - first) * width,
                                     .from_stride = sink->stride,
                                     .taps = maps->taps,
                                     .stride = maps->stride,
                                     .dilation = maps->dilation,
                                     .padding = maps->shift,
                                     .width = width,
                                     .out_width = maps->width,
                                     .accumulate = sink->sink->accumulate};
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
    if (sink->via == SFI_VIA_UPSAMPLE) {
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
    const float *const *weights = job->sink_weights;
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

static void run_task(void *argument, int64_t index, int32_t worker)
{
    const sfi_rank_job *job = argument;
    const sfi_rank_cut *cut = &job->cut;
    const sfconv_run *run = job->run;
    sfi_rank_task task = {.job = job, .image = index / cut->tasks_per_image};
    task.first_row = index % cut->tasks_per_image * cut->rows_per_task;
    task.end_row = sfi_min(cut->shape.h, task.first_row + cut->rows_per_task);
    sfi_rank_lay_out(&task.bench, &run->plan, run->net, job->node,
                     (uintptr_t)(job->scratch + worker * job->scratch_per_worker));
    point_at_all_taps(job, task.image, task.bench.taps);
    for (int32_t i = 0; i < job->unit.residual_count; i++) {
        task.bench.residuals[i] =
            sfi_run_value(run, job->unit.residual[i]) + task.image * cut->shape.c * cut->plane;
    }
    task.sink_count = open_sinks(&task);
    if (sfi_rank_is_pair(&job->unit)) {
        sfi_rank_run_pairs(&task);
    } else {
        if (job->unit.lines) {
            sfi_rank_stem_rows(&task);
        }
        sfi_rank_run_strips(&task);
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

void sfi_rank_step(const sfconv_run *run, int32_t node)
{
    const sfi_rank_plan *plan = &run->plan.rank;
    const sfi_rank_node *self = &plan->nodes[node];
    uintptr_t folded = self->folded == SFI_NO_BUFFER ? 0 : (uintptr_t)(run->memory + self->folded);
    sfi_rank_bench bench;
    sfi_rank_job job = {.run = run,
                        .kernels = run->context->kernels,
                        .node = node,
                        .cut = sfi_rank_cut_of(&run->plan, node),
                        .map = self->stored ? sfi_run_value(run, node) : NULL,
                        .scratch = run->memory + self->scratch};
    job.scratch_per_worker = sfi_rank_lay_out(&bench, &run->plan, run->net, node, 0);
    job.mixing = sfi_rank_mixing_of(&run->plan, run->net, node);
    point_at_weights(&job, &folded);
    if (self->role == SFI_RANK_UNIT) {
        sfi_rank_unit_of(&job.unit, plan, run->net, node);
        sfi_rank_fold(&job.folded, run, &job.unit, job.cut.shape.c, &folded);
    }
    if (sfi_rank_is_pair(&job.unit)) {
        sfi_rank_pack(&job, &folded);
    }
    clear_paddings(run, node);
    if (self->role == SFI_RANK_UNIT || job.mixing.sinks > 0) {
        sfi_parallel_for(run->context, job.cut.shape.n * job.cut.tasks_per_image, run_task, &job);
    }
    for (int32_t i = 0; i < plan->sink_count; i++) {
        const sfi_rank_sink *sink = &plan->sinks[i];
        if (sink->base == node && sink->via == SFI_VIA_UPSAMPLE) {
            sfi_rank_upsample(run, sink, job.scratch);
        } else if (sink->base == node && sink->via == SFI_VIA_COPY) {
            copy_for_stem(run, sink);
        }
    }
}
