/* SPDX-License-Identifier: BSD-2-Clause */
/* Weights of a rank-space step as it takes them: BatchNorm folded into those of a unit, and both
 * products of a pair laid out for its tiles. They are made for each forward, or once for a frozen
 * run, in memory of the same layout. */
#include "rank_work.h"

#include "convolution_lines.h"
#include "layer_facts.h"
#include "parallel.h"
#include "rank_tiles.h"
#include "sfconv2d.h"

static const sfi_parameter *expansion_of(const sfconv_layer *conv)
{
    return &conv->parameters[sfi_as_const_sfconv2d(conv) ? 1 : 0];
}

/* P lies in the order of the taps, [out][rank][kh]; a stem's weight does not. */
static bool lies_in_order(const sfconv_layer *conv)
{
    return expansion_of(conv)->shape[3] == 1;
}

/* Weights of channel c times `factor`, in the order of the taps; a stem's weight [out][in][kh][kw]
 * with the vertical taps innermost. */
static void copy_taps(const sfconv_layer *layer, int64_t c, float factor, float *row)
{
    const sfi_parameter *weight = expansion_of(layer);
    const int64_t taps = sfi_rank_taps(layer);
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

/* BatchNorm folds into the weights and the bias of a channel: scale·(P·z + b) + shift, returned as
 * scale and what is added. In training the mean is that of P·z, as b cancels. */
static float fold_channel(const sfconv_run *run, const sfi_rank_unit *unit, int32_t part, int64_t c,
                          double *scale)
{
    const sfi_node *nodes = run->net->nodes;
    const int32_t norm = unit->norm[part];
    const float *added =
        norm >= 0 && run->training ? NULL : sfi_rank_bias(nodes[unit->conv[part]].layer);
    double shift = 0.0;
    *scale = 1.0;
    if (norm >= 0 && run->training) {
        sfi_rank_batch_line(run, norm, c, scale, &shift);
    } else if (norm >= 0) {
        sfi_batchnorm2d_line(nodes[norm].layer, c, scale, &shift);
    }
    shift += added ? *scale * (double)added[c] : 0.0;
    return (float)shift;
}

typedef struct fold_job {
    const sfconv_run *run;
    const sfi_rank_unit *unit;
    int64_t channels;
    int64_t channels_per_task;
    float *weights;
    float *bias;
} fold_job;

static void fold_part(const fold_job *job, int32_t part, int64_t first, int64_t channel,
                      int64_t end)
{
    const sfi_rank_unit *unit = job->unit;
    const sfconv_layer *conv = job->run->net->nodes[unit->conv[part]].layer;
    for (int64_t c = channel; c < end; c++) {
        double scale;
        const float added = fold_channel(job->run, unit, part, c, &scale);
        float *row = job->weights + c * unit->depth;
        if (unit->lines) {
            const int64_t *shape = conv->parameters[0].shape;
            const float *filter = conv->parameters[0].data + c * shape[1] * shape[2] * shape[3];
            sfi_line_weights(row, filter, shape[1], shape[2], shape[3], scale);
        } else {
            copy_taps(conv, c, (float)scale, row + first);
        }
        job->bias[c] = part == 0 ? added : job->bias[c] + added;
    }
}

static void fold_task(void *argument, int64_t index, int32_t worker)
{
    const fold_job *job = argument;
    const int64_t channel = index * job->channels_per_task;
    const int64_t end = sfi_min(job->channels, channel + job->channels_per_task);
    int64_t first = 0;
    (void)worker;
    for (int32_t part = 0; part < job->unit->part_count; part++) {
        fold_part(job, part, first, channel, end);
        first += sfi_rank_taps(job->run->net->nodes[job->unit->conv[part]].layer);
    }
}

sfi_rank_folded sfi_rank_folded_at(const sfi_rank_unit *unit, int64_t channels, uintptr_t *memory)
{
    sfi_rank_folded folded;
    folded.weights = sfi_rank_take(memory, channels * unit->depth, sizeof(float));
    folded.bias = sfi_rank_take(memory, channels, sizeof(float));
    folded.rows = sfi_rank_take(memory, channels, sizeof(float *));
    return folded;
}

void sfi_rank_fold(const sfi_rank_folded *folded, const sfconv_run *run, const sfi_rank_unit *unit,
                   int64_t channels)
{
    fold_job job = {.run = run,
                    .unit = unit,
                    .channels = channels,
                    .channels_per_task = sfi_rank_channels_of_task(unit->depth),
                    .weights = folded->weights,
                    .bias = folded->bias};
    sfi_parallel_for(run->context, sfi_ceil_div(channels, job.channels_per_task), fold_task, &job);
    for (int64_t c = 0; c < channels; c++) {
        folded->rows[c] = folded->weights + c * unit->depth;
    }
}

const float *sfi_rank_expanding_weights(const sfconv_layer *layer)
{
    return expansion_of(layer)->data;
}

const float *sfi_rank_mixing_weights(const sfconv_layer *layer)
{
    const sfi_sfconv2d *conv = sfi_as_const_sfconv2d(layer);
    return conv ? sfi_sfconv2d_q(conv) : layer->parameters[0].data;
}

static void point_at_mixing(const sfi_rank_job *job)
{
    const sfconv_run *run = job->run;
    const float **rows = job->weights.mix;
    int64_t *steps = job->weights.mix_step;
    const sfi_rank_sink *sink;
    int32_t index = 0;
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

/* --- Pairs --- */

static int64_t packed_per_channel(const sfi_rank_unit *unit, const sfi_rank_mixing *mixing)
{
    return unit->quads ? SFK_QUAD_PACKED(unit->depth / 3)
                       : 1 + unit->depth + mixing->full + mixing->pooled;
}

/* Pairs of some channels are packed as if these were all: a step takes them apart. */
static bool packs_apart(const sfi_rank_job *job)
{
    return job->cut.averaged && !job->unit.quads;
}

static int64_t channels_of_task(const sfi_rank_job *job)
{
    if (packs_apart(job)) {
        return job->cut.channels_per_task;
    }
    const int64_t channels =
        sfi_rank_channels_of_task(packed_per_channel(&job->unit, &job->mixing));
    return sfi_ceil_div(channels, SFK_SLACK) * SFK_SLACK;
}

/* What pack_pair reads of the channels of a task. */
static void part_task(void *argument, int64_t index, int32_t worker)
{
    const sfi_rank_job *job = argument;
    const sfi_rank_weights *weights = &job->weights;
    const int64_t channels = job->cut.shape.c;
    const int64_t first = index * channels_of_task(job);
    const int64_t end = sfi_min(channels, first + channels_of_task(job));
    float *reordered = weights->reordered;
    (void)worker;
    for (int32_t part = 0; part < job->unit.part_count; part++) {
        const sfconv_layer *conv = job->run->net->nodes[job->unit.conv[part]].layer;
        const int64_t taps = sfi_rank_taps(conv);
        const float *in_order = expansion_of(conv)->data;
        float *scales = weights->scales + part * channels;
        const float **rows = weights->rows + part * channels;
        if (!lies_in_order(conv)) {
            for (int64_t c = first; c < end; c++) {
                copy_taps(conv, c, 1.0f, reordered + c * taps);
            }
            in_order = reordered;
            reordered += channels * taps;
        }
        for (int64_t c = first; c < end; c++) {
            double scale;
            const float added = fold_channel(job->run, &job->unit, part, c, &scale);
            rows[c] = in_order + c * taps;
            scales[c] = (float)(scale / weights->divisors[part]);
            weights->bias[c] = part == 0 ? added : weights->bias[c] + added;
        }
    }
}

static void pack_apart(const sfi_rank_job *job, int64_t first)
{
    const sfi_rank_weights *weights = &job->weights;
    const int64_t channels = sfi_min(job->cut.channels_per_task, job->cut.shape.c - first);
    sfk_pair_part parts[SFI_MAX_INPUTS];
    const sfk_pair_weights from = {.channels = channels,
                                   .end_channel = channels,
                                   .parts = parts,
                                   .part_count = job->unit.part_count,
                                   .depth = job->unit.depth,
                                   .bias = weights->bias + first};
    for (int32_t part = 0; part < job->unit.part_count; part++) {
        parts[part] = weights->parts[part];
        parts[part].weights += first;
        parts[part].scales += first;
    }
    job->kernels->pack_pair(weights->packed + first * (1 + job->unit.depth), &from);
}

static void pack_task(void *argument, int64_t index, int32_t worker)
{
    const sfi_rank_job *job = argument;
    const sfi_rank_weights *weights = &job->weights;
    const int64_t channels = channels_of_task(job);
    const sfk_pair_weights from = {.channels = job->cut.shape.c,
                                   .first_channel = index * channels,
                                   .end_channel = (index + 1) * channels,
                                   .parts = weights->parts,
                                   .part_count = job->unit.part_count,
                                   .depth = job->unit.depth,
                                   .bias = weights->bias,
                                   .mix = weights->mix,
                                   .mix_step = weights->mix_step,
                                   .mixed_count = job->mixing.full,
                                   .pooled_count = job->mixing.pooled};
    (void)worker;
    if (packs_apart(job)) {
        pack_apart(job, from.first_channel);
    } else if (job->unit.quads) {
        job->kernels->pack_quad(weights->packed, &from);
    } else {
        job->kernels->pack_pair(weights->packed, &from);
    }
}

/* The layer of a part with spectral normalization; NULL of another. */
static const sfi_sfconv2d *normalized(const sfi_rank_unit *unit, const sfconv_net *net,
                                      int32_t part)
{
    const sfi_sfconv2d *conv = sfi_as_const_sfconv2d(net->nodes[unit->conv[part]].layer);
    return conv && conv->desc.spectral_norm ? conv : NULL;
}

/* Before the weights are packed, σ is found in their memory. */
static int64_t packed_elements(const sfi_rank_job *job, const sfconv_net *net)
{
    const int64_t channels = sfi_ceil_div(job->cut.shape.c, SFK_QUAD_BLOCK) * SFK_QUAD_BLOCK;
    int64_t elements = channels * packed_per_channel(&job->unit, &job->mixing);
    for (int32_t part = 0; part < job->unit.part_count; part++) {
        const sfi_sfconv2d *conv = normalized(&job->unit, net, part);
        const int64_t bytes = conv ? sfi_norm_divisor_bytes(conv) : 0;
        elements = sfi_max(elements, sfi_ceil_div(bytes, (int64_t)sizeof(float)));
    }
    return elements;
}

static void lay_out_parts(sfi_rank_weights *weights, const sfi_rank_job *job, const sfconv_net *net,
                          uintptr_t *memory)
{
    const sfi_rank_unit *unit = &job->unit;
    const int64_t channels = job->cut.shape.c;
    int64_t reordered = 0;
    for (int32_t part = 0; part < unit->part_count; part++) {
        const sfconv_layer *conv = net->nodes[unit->conv[part]].layer;
        reordered += lies_in_order(conv) ? 0 : channels * sfi_rank_taps(conv);
    }
    weights->parts = sfi_rank_take(memory, unit->part_count, sizeof *weights->parts);
    weights->divisors = sfi_rank_take(memory, unit->part_count, sizeof *weights->divisors);
    weights->rows = sfi_rank_take(memory, unit->part_count * channels, sizeof(float *));
    weights->scales = sfi_rank_take(memory, unit->part_count * channels, sizeof(float));
    weights->bias = sfi_rank_take(memory, channels, sizeof(float));
    weights->reordered = sfi_rank_take(memory, reordered, sizeof(float));
    weights->packed = sfi_rank_take(memory, packed_elements(job, net), sizeof(float));
}

static void make_pair(sfi_rank_job *job)
{
    const int64_t channels = job->cut.shape.c;
    const int64_t tasks = sfi_ceil_div(channels, channels_of_task(job));
    for (int32_t part = 0; part < job->unit.part_count; part++) {
        const sfi_sfconv2d *conv = normalized(&job->unit, job->run->net, part);
        job->weights.divisors[part] = conv ? sfi_norm_divisor(conv, job->weights.packed) : 1.0;
        job->weights.parts[part] = (sfk_pair_part){
            .weights = job->weights.rows + part * channels,
            .depth = sfi_rank_taps(job->run->net->nodes[job->unit.conv[part]].layer),
            .scales = job->weights.scales + part * channels};
    }
    sfi_parallel_for(job->run->context, tasks, part_task, job);
    sfi_parallel_for(job->run->context, tasks, pack_task, job);
}

/* --- All of a step --- */

int64_t sfi_rank_lay_out_weights(sfi_rank_job *job, const sfconv_net *net, uintptr_t memory)
{
    const int64_t maps = job->mixing.full + job->mixing.pooled;
    uintptr_t at = memory;
    job->weights.mix = sfi_rank_take(&at, maps, sizeof(float *));
    job->weights.mix_step = sfi_rank_take(&at, maps, sizeof(int64_t));
    if (sfi_rank_is_packed(&job->unit)) {
        lay_out_parts(&job->weights, job, net, &at);
    } else if (job->unit.part_count > 0) {
        job->weights.folded = sfi_rank_folded_at(&job->unit, job->cut.shape.c, &at);
    }
    job->weights.tiled = sfi_rank_take(&at, job->tiled, sizeof(float));
    return (int64_t)(at - memory);
}

void sfi_rank_make_weights(sfi_rank_job *job)
{
    point_at_mixing(job);
    sfi_rank_pack_tiles(job);
    if (sfi_rank_is_packed(&job->unit)) {
        make_pair(job);
    } else if (job->unit.part_count > 0) {
        sfi_rank_fold(&job->weights.folded, job->run, &job->unit, job->cut.shape.c);
    }
}
