/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_bands.h"

#include "conv2d.h"
#include "convolution_lines.h"
#include "kernels.h"
#include "layer_facts.h"
#include "memory.h"
#include "plan.h"
#include "rank_finish.h"
#include "rank_kinds.h"
#include "rank_quads.h"
#include "rank_sinks.h"
#include "rank_stem_back.h"
#include "rank_tiles.h"
#include "sfconv2d.h"
#include "sizes.h"

#include <string.h>

/* Multiply-adds in the time that an element of a full-width map takes which is stored, normalized,
 * activated and read again, with its gradient on the way back: a few hundred, found by measurement
 * (docs/performance.md). A constant, as the plan decides the bits. */
#define MAP_COST 350.0

bool sfi_rank_plan_create(sfi_rank_plan *plan, const sfconv_net *net)
{
    *plan = (sfi_rank_plan){.sink_capacity = sfi_rank_max_sinks(net)};
    plan->nodes = sfi_calloc(net->context, (size_t)net->node_count, sizeof *plan->nodes);
    plan->sinks = sfi_calloc(net->context, (size_t)plan->sink_capacity, sizeof *plan->sinks);
    if (plan->nodes && plan->sinks) {
        return true;
    }
    sfi_rank_plan_destroy(plan, net);
    return false;
}

void sfi_rank_plan_destroy(sfi_rank_plan *plan, const sfconv_net *net)
{
    sfi_free(net->context, plan->nodes, (size_t)net->node_count * sizeof *plan->nodes);
    sfi_free(net->context, plan->sinks, (size_t)plan->sink_capacity * sizeof *plan->sinks);
    *plan = (sfi_rank_plan){0};
}

/* Where the window of a convolution sees maps of `height` rows: both axes of each. */
static void take_window(sfi_rank_maps *maps, int64_t height, const int64_t kernel[2],
                        const int64_t stride[2], const int64_t padding[2],
                        const int64_t dilation[2])
{
    const int64_t padded = height + 2 * padding[0];
    /* A longer stride leaves one row of windows, as one of the padded height does. */
    maps->residues = sfi_min(stride[0], padded);
    maps->rows = sfi_ceil_div(padded, maps->residues);
    maps->padding = padding[0];
    maps->reach = kernel[0];
    maps->spacing = dilation[0];
    maps->stride = stride[1];
    maps->shift = padding[1];
    maps->dilation = dilation[1];
}

sfi_rank_maps sfi_rank_maps_of(const sfi_plan *plan, const sfconv_net *net, int32_t consumer)
{
    const sfi_step *steps = plan->steps;
    const sfi_node *node = &net->nodes[consumer];
    const sfi_sfconv2d *conv = sfi_as_const_sfconv2d(node->layer);
    const sfi_shape in = steps[node->inputs[0]].shape;
    const sfi_shape out = steps[consumer].shape;
    sfi_rank_maps maps = {.count = out.c,
                          .residues = 1,
                          .rows = in.h,
                          .width = out.w,
                          .taps = 1,
                          .stride = 1,
                          .dilation = 1,
                          .reach = 1,
                          .spacing = 1};
    if (conv) {
        const sfconv_sfconv2d_desc *desc = &conv->desc;
        maps.count = desc->rank;
        maps.taps = desc->kernel[1];
        take_window(&maps, in.h, desc->kernel, desc->stride, desc->padding, desc->dilation);
    }
    const sfi_conv2d *dense = sfi_as_conv2d(node->layer);
    if (dense && !sfi_rank_is_pointwise(dense)) {
        const sfconv_conv2d_desc *desc = &dense->desc;
        maps.count = in.c * desc->kernel[1];
        take_window(&maps, in.h, desc->kernel, desc->stride, desc->padding, desc->dilation);
    }
    if (plan->rank.nodes[consumer].lines) {
        maps.count = in.c * SFK_LINE_POINTS * SFK_LINE_PHASES;
        maps.width = sfi_ceil_div(out.w, SFK_LINE_TILE);
    }
    maps.plane = maps.residues * maps.rows * maps.width;
    maps.image = maps.count * maps.plane;
    return maps;
}

static void count_uses(sfi_rank_plan *plan, const sfconv_net *net, const sfi_step *steps,
                       bool training)
{
    for (int32_t i = 0; i < net->node_count; i++) {
        sfi_rank_node *node = &plan->nodes[i];
        *node = (sfi_rank_node){.role = steps[i].holder == i ? SFI_RANK_LAYER : SFI_RANK_ALIAS,
                                .holder = steps[i].holder,
                                .reader = -1,
                                .user = -1,
                                .unit = -1,
                                .sum = -1,
                                .chain = -1,
                                .unpooled = -1,
                                .finished_at = -1,
                                .finished_by = -1,
                                .normals = SFI_NO_BUFFER,
                                .first_base = -1,
                                .maps = SFI_NO_BUFFER,
                                .folded = SFI_NO_BUFFER,
                                .frozen = SFI_NO_BUFFER,
                                .scratch = SFI_NO_BUFFER,
                                .maps_gradient = SFI_NO_BUFFER,
                                .backward = SFI_NO_BUFFER,
                                .batch = SFI_NO_BUFFER,
                                .observing = SFI_NO_BUFFER};
        sfi_rank_judge_kind(node, net, steps, i, training);
        for (int32_t j = 0; sfi_is_computed(steps, i) && j < net->nodes[i].input_count; j++) {
            sfi_rank_node *input = &plan->nodes[sfi_rank_input(plan, net, i, j)];
            input->uses++;
            input->user = i;
        }
    }
    for (int32_t i = 0; i < net->output_count; i++) {
        plan->nodes[steps[net->outputs[i]].holder].is_output = true;
    }
}

int32_t sfi_rank_only_user(const sfi_rank_plan *plan, int32_t node)
{
    const sfi_rank_node *self = &plan->nodes[node];
    return self->uses == 1 && !self->is_output ? self->user : -1;
}

static const sfconv_layer *layer_of(const sfconv_net *net, int32_t node)
{
    return node < 0 ? NULL : net->nodes[node].layer;
}

/* The one node that a unit which ends in `node` may go on with; where there are others, each of
 * them is left to its layer. */
static int32_t next_of_unit(sfi_rank_plan *plan, const sfconv_net *net, int32_t node)
{
    const int32_t user = sfi_rank_only_user(plan, node);
    for (int32_t i = node + 1; user < 0 && i < net->node_count; i++) {
        for (int32_t j = 0; j < net->nodes[i].input_count; j++) {
            sfi_rank_node *reader = &plan->nodes[i];
            if (sfi_rank_input(plan, net, i, j) == node && reader->reason == SFI_REASON_APART) {
                reader->reason = SFI_REASON_SHARED;
                reader->reader = node;
            }
        }
    }
    return user;
}

/* The activation behind `node`, if a unit can take it in; `node` itself otherwise. */
static int32_t take_activation(sfi_rank_plan *plan, const sfconv_net *net, int32_t node)
{
    const int32_t user = next_of_unit(plan, net, node);
    const sfconv_layer *layer = layer_of(net, user);
    return layer && sfi_rank_is_relu(layer) ? user : node;
}

/* `last` computes the unit whose chain ends in `node`, or in its sum. */
static void close_unit(sfi_rank_plan *plan, int32_t node, int32_t sum, int32_t last)
{
    plan->nodes[node].role = SFI_RANK_ABSORBED;
    plan->nodes[node].unit = last;
    plan->nodes[last].role = SFI_RANK_UNIT;
    plan->nodes[last].unit = last;
    plan->nodes[last].sum = sum;
    plan->nodes[last].chain = node;
}

/* A convolution, and BatchNorm where it follows. */
static int32_t open_chain(sfi_rank_plan *plan, const sfconv_net *net, int32_t conv)
{
    const int32_t user = next_of_unit(plan, net, conv);
    const sfconv_layer *layer = layer_of(net, user);
    plan->nodes[conv].role = SFI_RANK_ABSORBED;
    if (!layer || !sfi_is_batchnorm2d(layer)) {
        return conv;
    }
    plan->nodes[user].role = SFI_RANK_ABSORBED;
    return user;
}

/* Rows for which Winograd's F(4, 4) pays. */
static bool has_lines(const sfconv_net *net, int32_t stem)
{
    const sfconv_conv2d_desc *desc = &sfi_as_conv2d(net->nodes[stem].layer)->desc;
    return net->context->convolution != SFCONV_CONVOLUTION_DIRECT &&
           sfi_lines_fit(desc->kernel[1], desc->stride[1], desc->dilation[1]);
}

/* The pooling behind `node`, the end of a stem, if a unit can take it in; -1 otherwise. */
static int32_t pooling_behind(const sfi_rank_plan *plan, const sfconv_net *net, int32_t stem,
                              int32_t node)
{
    const int32_t pool = sfi_rank_only_user(plan, node);
    const sfconv_layer *layer = layer_of(net, pool);
    return layer && sfi_is_max_pool_of_stem(layer) && has_lines(net, stem) ? pool : -1;
}

/* In training a stem is one only with BatchNorm and a pooling behind it. */
static void choose_trained_stems(sfi_rank_plan *plan, const sfconv_net *net, const sfi_step *steps)
{
    for (int32_t i = 0; i < net->node_count; i++) {
        sfi_rank_node *node = &plan->nodes[i];
        const int32_t norm = sfi_rank_only_user(plan, i);
        const sfconv_layer *layer = layer_of(net, norm);
        if (!node->copies) {
            continue;
        }
        node->copies = layer && sfi_is_batchnorm2d(layer) &&
                       pooling_behind(plan, net, i, take_activation(plan, net, norm)) >= 0 &&
                       sfi_stem_is_trained(net, steps, i);
        node->reason = node->copies ? SFI_REASON_NONE : SFI_REASON_STEM;
    }
}

/* Multiply-adds for each element of its full-width map that training takes more where that is never
 * stored: half of the moments of K taps, P·p once more in backward, and for all pixels together
 * products of P with K x K matrices of doubles, in all some six times C·K². */
static double moment_cost(int64_t taps, sfi_shape shape)
{
    const double depth = (double)taps;
    const double pixels = (double)shape.n * (double)shape.h * (double)shape.w;
    return depth * depth / (2 * (double)shape.c) + depth + 6 * depth * depth / pixels;
}

/* In training, factorized layers whose moments would take longer than a map in memory does are left
 * to themselves. */
static void leave_costly_moments(sfi_rank_plan *plan, const sfconv_net *net, const sfi_step *steps)
{
    for (int32_t i = 0; i < net->node_count; i++) {
        sfi_rank_node *node = &plan->nodes[i];
        const sfconv_layer *layer = net->nodes[i].layer;
        const sfconv_layer *user = layer_of(net, sfi_rank_only_user(plan, i));
        const bool has_moments =
            node->contracts && sfi_as_const_sfconv2d(layer) && user && sfi_is_batchnorm2d(user);
        if (has_moments && moment_cost(sfi_rank_taps(layer), steps[i].shape) > MAP_COST) {
            node->contracts = false;
            node->reason = SFI_REASON_MOMENTS;
        }
    }
}

/* The pooling behind the unit of a stem whose chain ends in `end`. */
static void take_pooling(sfi_rank_plan *plan, const sfconv_net *net, int32_t stem, int32_t end)
{
    const int32_t full = plan->nodes[end].unit;
    const int32_t pool = pooling_behind(plan, net, stem, full);
    if (pool < 0) {
        return;
    }
    plan->nodes[stem].lines = true;
    plan->nodes[full].role = SFI_RANK_ABSORBED;
    plan->nodes[full].unit = pool;
    close_unit(plan, end, -1, pool);
    plan->nodes[pool].unpooled = full;
}

/* Chains end in a sum that takes them all in, or alone in an activation. A sum comes after its
 * inputs, so it finds their chains marked. */
static void find_units(sfi_rank_plan *plan, const sfconv_net *net, const sfi_step *steps)
{
    for (int32_t i = 0; i < net->node_count; i++) {
        const sfconv_layer *layer = net->nodes[i].layer;
        sfi_rank_node *node = &plan->nodes[i];
        if (node->copies || (node->contracts && sfi_as_const_sfconv2d(layer))) {
            const int32_t end = open_chain(plan, net, i);
            const sfconv_layer *user = layer_of(net, sfi_rank_only_user(plan, end));
            if (user && sfi_is_add(user)) {
                plan->nodes[sfi_rank_only_user(plan, end)].chain = end;
                continue;
            }
            close_unit(plan, end, -1, take_activation(plan, net, end));
            if (node->copies) {
                take_pooling(plan, net, i, end);
            }
        } else if (layer && steps[i].live && sfi_is_add(layer) && node->chain >= 0) {
            close_unit(plan, i, i, take_activation(plan, net, i));
        }
    }
}

/* Every node of a unit knows its last one. */
static void join_units(sfi_rank_plan *plan, const sfconv_net *net)
{
    for (int32_t i = net->node_count - 1; i >= 0; i--) {
        sfi_rank_node *node = &plan->nodes[i];
        if (node->role == SFI_RANK_ABSORBED && node->unit < 0) {
            node->unit = plan->nodes[node->user].unit;
        }
    }
}

/* A map is stored when a user reads it as a map, and when it is pooled rows of a stem. */
static void find_stored(sfi_rank_plan *plan, const sfconv_net *net, const sfi_step *steps)
{
    for (int32_t i = 0; i < net->node_count; i++) {
        sfi_rank_node *node = &plan->nodes[i];
        if (node->contracts && node->role == SFI_RANK_LAYER) {
            node->role = SFI_RANK_SINK;
        }
        node->stored = node->role == SFI_RANK_LAYER || node->role == SFI_RANK_SINK ||
                       node->is_output || node->unpooled >= 0;
        if (node->role == SFI_RANK_UNIT) {
            node->reason = node->is_output ? SFI_REASON_OUTPUT : SFI_REASON_POOLED;
        }
        for (int32_t j = 0; sfi_is_computed(steps, i) && j < net->nodes[i].input_count; j++) {
            sfi_rank_node *input = &plan->nodes[sfi_rank_input(plan, net, i, j)];
            const bool reads = !node->contracts && node->role != SFI_RANK_VIRTUAL;
            if (reads && input->role == SFI_RANK_UNIT && !input->stored) {
                input->stored = true;
                input->reason = SFI_REASON_READ;
                input->reader = i;
            }
            input->read_in_strips |= reads && node->unit >= 0;
        }
    }
}

/* What goes through Winograd's F(4, 3): units along the columns, their sinks along the rows. */
static void choose_transforms(sfi_rank_plan *plan, const sfconv_net *net, const sfi_step *steps)
{
    for (int32_t i = 0; i < net->node_count; i++) {
        sfi_rank_node *node = &plan->nodes[i];
        node->quads = sfi_rank_quads_fit(plan, net, steps, i);
        node->band = sfi_rank_band_of(plan, net, steps, i, node->quads);
        /* Quads mix nothing themselves. */
        if (node->quads && node->band == SFI_BAND_NONE && sfi_rank_has_sinks(plan, i)) {
            node->quads = false;
            node->band = sfi_rank_band_of(plan, net, steps, i, false);
        }
    }
    for (int32_t i = 0; i < plan->sink_count; i++) {
        sfi_rank_sink *sink = &plan->sinks[i];
        sink->tiled = sfi_rank_is_tiled(plan, net, steps, sink);
    }
}

void sfi_rank_plan_make(sfi_rank_plan *plan, const sfconv_net *net, const sfi_step *steps,
                        bool training)
{
    count_uses(plan, net, steps, training);
    if (training) {
        choose_trained_stems(plan, net, steps);
        leave_costly_moments(plan, net, steps);
    }
    find_units(plan, net, steps);
    join_units(plan, net);
    sfi_rank_find_virtual(plan, net, steps);
    find_stored(plan, net, steps);
    sfi_rank_list_sinks(plan, net, steps);
    if (!training) {
        choose_transforms(plan, net, steps);
        sfi_rank_find_finishes(plan, net);
    }
}

int64_t sfi_rank_taps(const sfconv_layer *conv)
{
    const sfi_sfconv2d *factorized = sfi_as_const_sfconv2d(conv);
    return factorized ? factorized->desc.rank * factorized->desc.kernel[0]
                      : conv->parameters[0].count / conv->parameters[0].shape[0];
}

static void add_part(sfi_rank_unit *unit, const sfi_rank_plan *plan, const sfconv_net *net,
                     int32_t end)
{
    const bool has_norm = sfi_is_batchnorm2d(net->nodes[end].layer);
    const int32_t conv = has_norm ? sfi_rank_input(plan, net, end, 0) : end;
    unit->conv[unit->part_count] = conv;
    unit->norm[unit->part_count++] = has_norm ? end : -1;
    unit->depth += sfi_rank_taps(net->nodes[conv].layer);
}

/* Coefficients of a channel: every vertical tap of every parity at every point. */
static int64_t line_depth(const sfconv_layer *stem)
{
    const int64_t *shape = stem->parameters[0].shape;
    return shape[1] * shape[2] * SFK_LINE_PHASES * SFK_LINE_POINTS;
}

void sfi_rank_unit_of(sfi_rank_unit *unit, const sfi_rank_plan *plan, const sfconv_net *net,
                      int32_t node)
{
    const sfi_rank_node *self = &plan->nodes[node];
    int32_t which;
    const int32_t full = self->unpooled >= 0 ? self->unpooled : node;
    *unit = (sfi_rank_unit){.activation = SFK_IDENTITY, .quads = self->quads, .band = self->band};
    if (sfi_activation_facts(net->nodes[full].layer, &which, &unit->slope)) {
        unit->activation = unit->slope > 0.0f ? SFK_LEAKY_RELU : SFK_RELU;
    }
    if (self->sum < 0) {
        add_part(unit, plan, net, self->chain);
        unit->lines = plan->nodes[unit->conv[0]].lines;
        unit->depth = unit->lines ? line_depth(net->nodes[unit->conv[0]].layer) : unit->depth;
        return;
    }
    const sfi_node *sum = &net->nodes[self->sum];
    for (int32_t i = 0; i < sum->input_count; i++) {
        const int32_t input = plan->nodes[sum->inputs[i]].holder;
        if (plan->nodes[input].unit == node) {
            add_part(unit, plan, net, input);
        } else {
            unit->residual[unit->residual_count++] = input;
        }
    }
}

int32_t sfi_rank_reads_at(const sfi_rank_plan *plan, int32_t user)
{
    const sfi_rank_node *node = &plan->nodes[user];
    if (!plan->active || node->role == SFI_RANK_LAYER) {
        return user;
    }
    if (node->role == SFI_RANK_FINISHED) {
        return node->finished_by;
    }
    const bool by_sinks = node->contracts || node->copies;
    return by_sinks || node->role == SFI_RANK_VIRTUAL ? -1 : node->unit;
}

bool sfi_rank_reads_again(const sfi_rank_plan *plan, int32_t user)
{
    return !plan->nodes[plan->nodes[user].unit].stored;
}

bool sfi_rank_has_sinks(const sfi_rank_plan *plan, int32_t node)
{
    bool has = false;
    for (int32_t i = 0; !has && i < plan->sink_count; i++) {
        has = plan->sinks[i].base == node;
    }
    return has;
}

bool sfi_rank_has_step(const sfi_rank_plan *plan, int32_t node)
{
    return plan->active &&
           (plan->nodes[node].role == SFI_RANK_UNIT || sfi_rank_has_sinks(plan, node));
}
