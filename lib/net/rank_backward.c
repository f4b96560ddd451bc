/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_stem_back.h"

#include "conv2d.h"
#include "parallel.h"
#include "rank_transport.h"

#include <string.h>

/* The most bytes of the sums of all tasks, unless two need more. */
#define MAX_SUMS_BYTES (8 << 20)

float *sfi_rank_target_gradient(const sfconv_run *run, int32_t consumer)
{
    const sfi_rank_node *node = &run->plan.rank.nodes[consumer];
    return node->role == SFI_RANK_SINK ? sfi_run_gradient(run, consumer)
                                       : (float *)(run->memory + node->maps_gradient);
}

/* The unit of a stem, whose map is stored as that of a layer is: what makes it comes after. */
static bool is_stem(const sfi_rank_plan *plan, int32_t node)
{
    return plan->nodes[node].unpooled >= 0;
}

static bool has_strips(const sfi_rank_plan *plan, int32_t node)
{
    int32_t index = 0;
    return (plan->nodes[node].role == SFI_RANK_UNIT && !is_stem(plan, node)) ||
           sfi_back_next_sink(plan, node, &index) != NULL;
}

/* Sizes: how the work is cut and how many maps there are. */
static void measure(sfi_back_job *job, const sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    int32_t index = 0;
    const sfi_rank_sink *sink;
    job->node = node;
    job->cut = sfi_rank_cut_of(plan, node);
    job->has_unit = plan->rank.nodes[node].role == SFI_RANK_UNIT && !is_stem(&plan->rank, node);
    if (job->has_unit) {
        sfi_rank_unit_of(&job->unit, &plan->rank, net, node);
    }
    while ((sink = sfi_back_next_sink(&plan->rank, node, &index)) != NULL) {
        const sfi_rank_maps maps = sfi_rank_maps_of(plan, net, sink->consumer);
        sfi_back_mixed *mixed = sink->via == SFI_VIA_POOL ? &job->half : &job->full;
        mixed->count += sfi_rank_mixed_count(&maps);
    }
    job->tap_pitch = sfi_back_lanes(job->unit.depth);
    job->channel_pitch = sfi_back_lanes(job->cut.shape.c);
    job->blocks = job->cut.shape.n * job->cut.tasks_per_image;
    const int64_t elements = job->unit.depth + job->full.count + job->half.count + 2;
    const int64_t fit =
        MAX_SUMS_BYTES / (job->channel_pitch * elements * (int64_t)sizeof(float) + 256);
    job->tasks = sfi_min(job->blocks, sfi_max(2, sfi_min(SFI_RANK_TASKS, fit)));
}

int64_t sfi_back_summed(const sfi_back_job *job)
{
    return (job->unit.depth + job->full.count + job->half.count) * job->channel_pitch;
}

static int64_t lay_out_sums(sfi_back_sums *sums, const sfi_back_job *job, uintptr_t memory)
{
    const int64_t pitch = job->channel_pitch;
    uintptr_t at = memory;
    sums->taps = sfi_rank_take(&at, job->unit.depth * pitch, sizeof(float));
    sums->full = sfi_rank_take(&at, job->full.count * pitch, sizeof(float));
    sums->half = sfi_rank_take(&at, job->half.count * pitch, sizeof(float));
    sums->channel = sfi_rank_take(&at, job->has_unit ? pitch : 0, sizeof(double));
    return (int64_t)(at - memory);
}

sfi_back_sums sfi_back_sums_of(const sfi_back_job *job, int64_t task)
{
    sfi_back_sums sums;
    lay_out_sums(&sums, job, (uintptr_t)(job->sums + task * job->sums_per_task));
    return sums;
}

static void lay_out_side(sfi_back_side *side, const sfi_back_job *job, uintptr_t *at)
{
    const int64_t depth = job->unit.depth;
    side->values = sfi_rank_take(at, SFI_BACK_TILE, sizeof(float));
    side->gradients = sfi_rank_take(at, SFI_BACK_TILE, sizeof(float));
    side->centred = sfi_rank_take(at, depth * SFI_BACK_STRIP + SFK_SLACK, sizeof(float));
    side->centred_rows = sfi_rank_take(at, depth, sizeof(float *));
    side->tap_gradient = sfi_rank_take(at, depth * SFI_BACK_STRIP, sizeof(float));
}

static int64_t lay_out_bench(sfi_back_bench *bench, const sfi_back_job *job, uintptr_t memory)
{
    const sfi_rank_cut *cut = &job->cut;
    const int64_t pooled = cut->pooled ? SFI_BACK_TILE : 0;
    const int64_t depth = job->unit.depth;
    uintptr_t at = memory;
    bench->full_stride = sfi_rank_mixed_stride(cut, SFI_VIA_NOTHING) + SFK_SLACK;
    bench->half_stride = sfi_rank_mixed_stride(cut, SFI_VIA_POOL) + SFK_SLACK;
    for (int i = 0; i < (cut->pooled ? 2 : 1); i++) {
        lay_out_side(&bench->sides[i], job, &at);
    }
    bench->pooled_values = sfi_rank_take(&at, pooled, sizeof(float));
    bench->pooled_gradients = sfi_rank_take(&at, pooled, sizeof(float));
    bench->residuals = sfi_rank_take(&at, job->unit.residual_count * SFI_BACK_TILE, sizeof(float));
    bench->channel_sums = sfi_rank_take(&at, SFI_BACK_CHANNELS, sizeof(float));
    bench->rows_of_tile = sfi_rank_take(&at, SFI_BACK_TILE + SFK_SLACK, sizeof(float));
    bench->taps = sfi_rank_take(&at, depth, sizeof(float *));
    bench->full = sfi_rank_take(&at, job->full.count, sizeof(float *));
    bench->half = sfi_rank_take(&at, job->half.count, sizeof(float *));
    bench->full_maps = sfi_rank_take(&at, job->full.count * bench->full_stride, sizeof(float));
    bench->half_maps = sfi_rank_take(&at, job->half.count * bench->half_stride, sizeof(float));
    const int64_t pitch = sfi_rank_pitch(depth);
    const int64_t longest = sfi_max(depth, job->has_unit ? cut->shape.c : 0);
    bench->rows = sfi_rank_take(&at, SFK_DOUBLE_ROWS * longest, sizeof(double));
    bench->products = sfi_rank_take(&at, SFK_DOUBLE_ROWS * pitch, sizeof(double));
    bench->totals = sfi_rank_take(&at, SFK_DOUBLE_ROWS * pitch, sizeof(double));
    return (int64_t)(at - memory);
}

void sfi_back_lay_out_bench(sfi_back_bench *bench, const sfi_back_job *job, int32_t worker)
{
    lay_out_bench(bench, job, (uintptr_t)(job->scratch + worker * job->scratch_per_worker));
}

/* Everything from address `memory` on, but the folded weights, which come last; returns where. */
static uintptr_t lay_out(sfi_back_job *job, const sfconv_net *net, int64_t transport,
                         uintptr_t memory)
{
    const int64_t workers = sfi_workers(net->context);
    const int64_t channels = job->cut.shape.c;
    const int64_t depth = job->unit.depth;
    const int64_t pitch = sfi_rank_pitch(depth);
    const int64_t taps = job->has_unit ? job->cut.shape.n * depth * job->cut.plane + SFK_SLACK : 0;
    const int64_t of_unit = job->has_unit ? channels : 0;
    uintptr_t at = memory;
    sfi_back_sums sums;
    sfi_back_bench bench;
    job->tap_gradient = sfi_rank_take(&at, taps, sizeof(float));
    job->sums_per_task = lay_out_sums(&sums, job, 0);
    job->sums = sfi_rank_take(&at, job->tasks * job->sums_per_task, 1);
    job->totals = sfi_rank_take(&at, sfi_back_summed(job), sizeof(double));
    job->scratch_per_worker = lay_out_bench(&bench, job, 0);
    job->scratch = sfi_rank_take(&at, sfi_max(workers * job->scratch_per_worker, transport), 1);
    job->expansion = sfi_rank_take(&at, depth * job->channel_pitch, sizeof(float));
    job->bias = sfi_rank_take(&at, job->has_unit ? job->channel_pitch : 0, sizeof(float));
    job->contraction = sfi_rank_take(&at, of_unit * job->tap_pitch, sizeof(float));
    job->centre = sfi_rank_take(&at, job->tap_pitch, sizeof(float));
    job->weights = sfi_rank_take(&at, of_unit * pitch, sizeof(double));
    job->factors = sfi_rank_take(&at, of_unit, sizeof(double));
    job->offsets = sfi_rank_take(&at, of_unit, sizeof(double));
    job->correction = sfi_rank_take(&at, depth * depth, sizeof(float));
    job->correction_rows = sfi_rank_take(&at, depth, sizeof(float *));
    job->correction_bias = sfi_rank_take(&at, depth, sizeof(float));
    return at;
}

/* Of each mixed map a row of weights, a channel each: what these give to it. */
static uintptr_t lay_out_weights(sfi_back_mixed *mixed, const sfi_back_job *job, bool pooled,
                                 uintptr_t at)
{
    const sfconv_run *run = job->run;
    const int64_t channels = job->cut.shape.c;
    float *weights = sfi_rank_take(&at, job->channel_pitch * mixed->count, sizeof(float));
    const sfi_rank_sink *sink;
    int32_t index = 0;
    if (!run) {
        return at;
    }
    mixed->weights = weights;
    memset(weights, 0, (size_t)(job->channel_pitch * mixed->count) * sizeof *weights);
    while ((sink = sfi_back_next_sink(&run->plan.rank, job->node, &index)) != NULL) {
        const sfi_rank_maps maps = sfi_rank_maps_of(&run->plan, run->net, sink->consumer);
        const sfi_node *consumer = &run->net->nodes[sink->consumer];
        const float *from = sfi_rank_mixing_weights(consumer->layer);
        const int64_t per_map = run->plan.steps[consumer->inputs[0]].shape.c * maps.taps;
        if ((sink->via == SFI_VIA_POOL) != pooled) {
            continue;
        }
        for (int64_t j = 0; j < sfi_rank_mixed_count(&maps); j++, weights += job->channel_pitch) {
            const float *row =
                from + j / maps.taps * per_map + sink->channel * maps.taps + j % maps.taps;
            for (int64_t c = 0; c < channels; c++) {
                weights[c] = row[c * maps.taps];
            }
        }
    }
    return at;
}

static int64_t transport_bytes(const sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    int64_t bytes = 0;
    int32_t index = 0;
    const sfi_rank_sink *sink;
    while ((sink = sfi_back_next_sink(&plan->rank, node, &index)) != NULL) {
        if (sfi_rank_waits(sink)) {
            bytes = sfi_max(bytes, sfi_rank_transport_gradient_bytes(plan, net, sink));
        }
    }
    return bytes;
}

int64_t sfi_rank_backward_bytes(const sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    sfi_back_job job = {0};
    const int64_t of_stem =
        is_stem(&plan->rank, node) ? sfi_stem_backward_bytes(plan, net, node) : 0;
    if (!has_strips(&plan->rank, node)) {
        return of_stem;
    }
    measure(&job, plan, net, node);
    uintptr_t at = lay_out(&job, net, transport_bytes(plan, net, node), 0);
    at = lay_out_weights(&job.full, &job, false, at);
    at = lay_out_weights(&job.half, &job, true, at);
    if (job.has_unit) {
        sfi_rank_folded_at(&job.unit, job.cut.shape.c, &at);
    }
    return sfi_max((int64_t)at, of_stem);
}

/* The folded weights both ways, zeros behind the last tap and channel. */
static void fold_weights(sfi_back_job *job, uintptr_t at)
{
    const int64_t channels = job->cut.shape.c;
    const int64_t depth = job->unit.depth;
    const sfi_rank_folded folded = sfi_rank_folded_at(&job->unit, channels, &at);
    sfi_rank_fold(&folded, job->run, &job->unit, channels);
    memset(job->expansion, 0, (size_t)(depth * job->channel_pitch) * sizeof(float));
    memset(job->bias, 0, (size_t)job->channel_pitch * sizeof(float));
    memset(job->contraction, 0, (size_t)(channels * job->tap_pitch) * sizeof(float));
    memcpy(job->bias, folded.bias, (size_t)channels * sizeof(float));
    for (int64_t c = 0; c < channels; c++) {
        memcpy(job->contraction + c * job->tap_pitch, folded.rows[c],
               (size_t)depth * sizeof(float));
        for (int64_t k = 0; k < depth; k++) {
            job->expansion[k * job->channel_pitch + c] = folded.rows[c][k];
        }
    }
}

/* Points at what the unit's strips need. */
static void open_unit(sfi_back_job *job, uintptr_t at)
{
    const sfconv_run *run = job->run;
    const sfi_rank_plan *plan = &run->plan.rank;
    const sfi_rank_unit *unit = &job->unit;
    float *centre = job->centre;
    fold_weights(job, at);
    memset(centre, 0, (size_t)job->tap_pitch * sizeof *centre);
    for (int32_t part = 0; part < unit->part_count; part++) {
        const int64_t taps = sfi_rank_taps(run->net->nodes[unit->conv[part]].layer);
        if (unit->norm[part] >= 0) {
            memcpy(centre, sfi_rank_batch_of(run, unit->norm[part]).centre,
                   (size_t)taps * sizeof *centre);
        }
        centre += taps;
    }
    const sfi_node *sum =
        unit->residual_count ? &run->net->nodes[plan->nodes[job->node].sum] : NULL;
    int32_t count = 0;
    for (int32_t i = 0; sum && i < sum->input_count; i++) {
        const int32_t input = sum->inputs[i];
        if (plan->nodes[input].unit == job->node) {
            continue;
        }
        job->residual_gradient[count] =
            run->plan.steps[input].wants_gradient ? sfi_run_gradient(run, input) : NULL;
        job->residual_begun[count++] =
            sfi_rank_gradient_begun(run, input, plan->nodes[job->node].sum, i);
    }
}

/* Rows of the block's mixed gradients: spread from the consumer's, or waiting there since their
 * up-sampling or pooling was taken back. */
static void spread_sink(const sfi_back_task *task, const sfi_rank_sink *sink, const float **rows,
                        float *to, int64_t stride)
{
    const sfi_back_job *job = task->job;
    const sfconv_run *run = job->run;
    const sfi_rank_maps maps = sfi_rank_maps_of(&run->plan, run->net, sink->consumer);
    const int64_t scale = sink->via == SFI_VIA_POOL ? 2 : 1;
    const int64_t width = job->cut.shape.w / scale;
    const int64_t first = task->first_row / scale;
    const int64_t end = task->end_row / scale;
    const int64_t count = sfi_rank_mixed_count(&maps);
    for (int64_t j = 0; j < count; j++) {
        rows[j] = to + j * stride;
        if (sfi_rank_waits(sink)) {
            rows[j] = (const float *)(run->memory + sink->mixed_gradient) +
                      (task->image * count + j) * job->cut.plane + first * width;
        }
    }
    if (sfi_rank_waits(sink)) {
        return;
    }
    const float *from = sfi_rank_target_gradient(run, sink->consumer) + task->image * maps.image;
    for (int64_t row = first; row < end; row++) {
        for (int64_t t = 0; t < maps.count; t++) {
            float *rows_of_map = to + t * maps.taps * stride + (row - first) * width;
            const sfk_shift spread = sfi_rank_shift_of(
                &maps, from + t * maps.plane + sfi_rank_row(&maps, row), stride, width);
            if (sfi_rank_row_is_read(&maps, row)) {
                job->kernels->spread_taps(rows_of_map, &spread);
                continue;
            }
            for (int64_t tap = 0; tap < maps.taps; tap++) {
                memset(rows_of_map + tap * stride, 0, (size_t)width * sizeof(float));
            }
        }
    }
}

static void spread_block(const sfi_back_task *task)
{
    const sfi_back_bench *bench = &task->bench;
    const sfconv_run *run = task->job->run;
    const sfi_rank_sink *sink;
    int64_t full = 0;
    int64_t half = 0;
    int32_t index = 0;
    while ((sink = sfi_back_next_sink(&run->plan.rank, task->job->node, &index)) != NULL) {
        const sfi_rank_maps maps = sfi_rank_maps_of(&run->plan, run->net, sink->consumer);
        if (sink->via == SFI_VIA_POOL) {
            spread_sink(task, sink, bench->half + half,
                        bench->half_maps + half * bench->half_stride, bench->half_stride);
            half += sfi_rank_mixed_count(&maps);
        } else {
            spread_sink(task, sink, bench->full + full,
                        bench->full_maps + full * bench->full_stride, bench->full_stride);
            full += sfi_rank_mixed_count(&maps);
        }
    }
}

/* Tiles by pixels before their first use: lanes behind the last channel are added up, and never
 * looked at. */
static void open_tiles(const sfi_back_task *task)
{
    const sfi_back_bench *bench = &task->bench;
    const bool has_spare_lanes = task->job->channel_pitch > task->job->cut.shape.c;
    for (int i = 0; i < (task->job->cut.pooled ? 2 : 1); i++) {
        const sfi_back_side *side = &bench->sides[i];
        if (has_spare_lanes) {
            memset(side->values, 0, SFI_BACK_TILE * sizeof(float));
            memset(side->gradients, 0, SFI_BACK_TILE * sizeof(float));
        }
    }
    if (has_spare_lanes) {
        memset(bench->residuals, 0,
               (size_t)(task->job->unit.residual_count * SFI_BACK_TILE) * sizeof(float));
    }
    memset(bench->channel_sums, 0, SFI_BACK_CHANNELS * sizeof(float));
}

static void run_task(void *argument, int64_t index, int32_t worker)
{
    const sfi_back_job *job = argument;
    const sfi_rank_cut *cut = &job->cut;
    sfi_back_task task = {.job = job, .sums = sfi_back_sums_of(job, index)};
    sfi_back_lay_out_bench(&task.bench, job, worker);
    memset(task.sums.channel, 0,
           (size_t)(job->has_unit ? job->channel_pitch : 0) * sizeof *task.sums.channel);
    open_tiles(&task);
    const int64_t end = sfi_spread_begin(job->blocks, job->tasks, index + 1);
    for (int64_t block = sfi_spread_begin(job->blocks, job->tasks, index); block < end; block++) {
        const float **taps = task.bench.taps;
        task.image = block / cut->tasks_per_image;
        task.first_row = sfi_rank_first_row(cut, block % cut->tasks_per_image);
        task.end_row = sfi_rank_first_row(cut, block % cut->tasks_per_image + 1);
        for (int32_t part = 0; part < job->unit.part_count; part++) {
            const int32_t conv = job->unit.conv[part];
            sfi_rank_point_at_taps(job->run, conv, task.image, taps);
            taps += sfi_rank_taps(job->run->net->nodes[conv].layer);
        }
        spread_block(&task);
        sfi_back_run_strips(&task);
    }
    if (!task.half_begun) {
        memset(task.sums.half, 0,
               (size_t)(job->half.count * job->channel_pitch) * sizeof *task.sums.half);
    }
}

static void backward_of_strips(const sfconv_run *run, int32_t node)
{
    const sfi_plan *plan = &run->plan;
    const sfi_rank_node *self = &plan->rank.nodes[node];
    const sfi_rank_sink *sink;
    int32_t index = 0;
    sfi_back_job job = {.run = run,
                        .kernels = run->context->kernels,
                        .map = self->stored ? sfi_run_value(run, node) : NULL,
                        .gradient = self->stored && plan->steps[node].wants_gradient
                                        ? sfi_run_gradient(run, node)
                                        : NULL,
                        .begun = sfi_rank_gradient_begun(run, node, node, 0)};
    measure(&job, plan, run->net, node);
    uintptr_t at = lay_out(&job, run->net, transport_bytes(plan, run->net, node),
                           (uintptr_t)(run->memory + self->backward));
    at = lay_out_weights(&job.full, &job, false, at);
    at = lay_out_weights(&job.half, &job, true, at);
    if (job.has_unit) {
        open_unit(&job, at);
    }
    while ((sink = sfi_back_next_sink(&plan->rank, node, &index)) != NULL) {
        if (sfi_rank_waits(sink)) {
            sfi_rank_transport_gradient(run, sink, job.scratch);
        }
    }
    sfi_parallel_for(run->context, job.tasks, run_task, &job);
    sfi_back_finish(&job);
}

void sfi_rank_backward(const sfconv_run *run, int32_t node)
{
    const sfi_rank_plan *plan = &run->plan.rank;
    if (has_strips(plan, node)) {
        backward_of_strips(run, node);
    }
    if (is_stem(plan, node)) {
        sfi_stem_backward(run, node, run->memory + plan->nodes[node].backward);
    }
}

typedef struct bias_job {
    const sfconv_run *run;
    int32_t node;
    sfi_shape shape;
    float *gradient;
} bias_job;

static void bias_task(void *argument, int64_t channel, int32_t worker)
{
    const bias_job *job = argument;
    const int64_t plane = job->shape.h * job->shape.w;
    double sum = 0.0;
    (void)worker;
    for (int64_t n = 0; n < job->shape.n; n++) {
        job->run->context->kernels->plane_sum(
            &sum, sfi_run_gradient(job->run, job->node) + (n * job->shape.c + channel) * plane,
            plane);
    }
    job->gradient[channel] += (float)sum;
}

void sfi_rank_backward_bias(const sfconv_run *run, int32_t node)
{
    const sfi_node *self = &run->net->nodes[node];
    const sfi_conv2d *dense = sfi_as_conv2d(self->layer);
    bias_job job = {.run = run, .node = node, .shape = run->plan.steps[node].shape};
    if (dense->desc.has_bias) {
        job.gradient = run->gradients[self->first_parameter + 1];
        sfi_parallel_for(run->context, job.shape.c, bias_task, &job);
    }
}
