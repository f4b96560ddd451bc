/* SPDX-License-Identifier: BSD-2-Clause */
#include "plan.h"

#include "error.h"
#include "kernels.h"
#include "memory.h"
#include "parallel.h"
#include "rank_finish.h"
#include "rank_training.h"
#include "sizes.h"

#include <assert.h>
#include <string.h>

/* Values, gradients, tape and two scratches a node; in rank space maps and their gradients, folded
 * weights, scratch of both passes, and a record of BatchNorm with its scratch too, and mixed maps
 * and their gradients a sink. */
#define BUFFERS_PER_NODE 12

static size_t max_buffers(const sfi_plan *plan, const sfconv_net *net)
{
    return (size_t)net->node_count * BUFFERS_PER_NODE + 2 * (size_t)plan->rank.sink_capacity;
}

bool sfi_plan_create(sfi_plan *plan, const sfconv_net *net)
{
    *plan = (sfi_plan){0};
    plan->steps = sfi_calloc(net->context, (size_t)net->node_count, sizeof *plan->steps);
    /* One more than needed: a net may have no parameters at all. */
    plan->parameter_gradients = sfi_calloc(net->context, (size_t)net->parameter_count + 1,
                                           sizeof *plan->parameter_gradients);
    const bool ranked = sfi_rank_plan_create(&plan->rank, net);
    plan->buffers = sfi_calloc(net->context, max_buffers(plan, net), sizeof *plan->buffers);
    plan->slices = sfi_calloc(net->context, (size_t)net->node_count, sizeof *plan->slices);
    if (plan->steps && plan->parameter_gradients && ranked && plan->buffers && plan->slices) {
        return true;
    }
    sfi_plan_destroy(plan, net);
    return false;
}

void sfi_plan_destroy(sfi_plan *plan, const sfconv_net *net)
{
    sfconv_context *context = net->context;
    sfi_free(context, plan->steps, (size_t)net->node_count * sizeof *plan->steps);
    sfi_free(context, plan->parameter_gradients,
             ((size_t)net->parameter_count + 1) * sizeof *plan->parameter_gradients);
    sfi_free(context, plan->buffers, max_buffers(plan, net) * sizeof *plan->buffers);
    sfi_free(context, plan->slices, (size_t)net->node_count * sizeof *plan->slices);
    sfi_rank_plan_destroy(&plan->rank, net);
    *plan = (sfi_plan){0};
}

static void find_holders(sfi_plan *plan, const sfconv_net *net, bool training)
{
    for (int32_t i = 0; i < net->node_count; i++) {
        const sfi_node *node = &net->nodes[i];
        const bool passes = !training && node->layer && node->layer->kind->passes_in_inference;
        plan->steps[i].holder = passes ? plan->steps[node->inputs[0]].holder : i;
    }
}

static void mark_live(sfi_plan *plan, const sfconv_net *net)
{
    for (int32_t i = 0; i < net->output_count; i++) {
        plan->steps[net->outputs[i]].live = true;
    }
    for (int32_t i = net->node_count - 1; i >= 0; i--) {
        const sfi_node *node = &net->nodes[i];
        for (int32_t j = 0; plan->steps[i].live && j < node->input_count; j++) {
            plan->steps[node->inputs[j]].live = true;
        }
    }
}

static bool has_trainable(const sfconv_layer *layer)
{
    for (int32_t i = 0; i < layer->parameter_count; i++) {
        if (sfi_parameter_trainable(&layer->parameters[i])) {
            return true;
        }
    }
    return false;
}

static void mark_gradients(sfi_plan *plan, const sfconv_net *net, bool want_input_gradients)
{
    for (int32_t i = 0; i < net->node_count; i++) {
        const sfi_node *node = &net->nodes[i];
        sfi_step *step = &plan->steps[i];
        step->wants_gradient = node->layer ? has_trainable(node->layer) : want_input_gradients;
        for (int32_t j = 0; j < node->input_count; j++) {
            step->wants_gradient |= plan->steps[node->inputs[j]].wants_gradient;
        }
        /* An input that no output depends on has a gradient too: zero. */
        step->wants_gradient &= step->live || !node->layer;
    }
}

static sfconv_status ask_memory(sfi_plan *plan, const sfconv_net *net, bool training)
{
    for (int32_t i = 0; i < net->node_count; i++) {
        const sfi_node *node = &net->nodes[i];
        sfi_step *step = &plan->steps[i];
        sfi_shape in[SFI_MAX_INPUTS];
        if (!node->layer || !step->live || !node->layer->kind->memory) {
            continue;
        }
        sfi_plan_input_shapes(plan, node, in);
        sfi_error_scope scope = {.name = node->name};
        sfi_error_enter(net->context, &scope);
        const sfconv_status status = node->layer->kind->memory(
            node->layer, training, in, node->input_count, step->shape, &step->memory);
        sfi_error_leave(net->context, &scope);
        if (status < 0) {
            return status;
        }
    }
    return SFCONV_OK;
}

/* Of the node that is being listed. */
static void add_buffer(sfi_plan *plan, enum sfi_buffer_kind kind, int64_t *offset, int64_t bytes,
                       int32_t first, int32_t last)
{
    *offset = SFI_NO_BUFFER;
    if (bytes > 0) {
        plan->buffers[plan->buffer_count++] = (sfi_buffer){.bytes = sfi_round64(bytes),
                                                           .first = first,
                                                           .last = last,
                                                           .offset = offset,
                                                           .kind = kind};
    }
}

bool sfi_plan_is_output(const sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    for (int32_t i = 0; i < net->output_count; i++) {
        if (plan->steps[net->outputs[i]].holder == node) {
            return true;
        }
    }
    return false;
}

/* The map of a node: memory of its own, or of the concatenation that joins it. */
static void add_map(sfi_plan *plan, int32_t node, int64_t bytes, int32_t first, int32_t last)
{
    sfi_step *step = &plan->steps[node];
    if (step->slice != SFI_NO_SLICE) {
        plan->slices[step->slice].first = first;
        plan->slices[step->slice].last = last;
        return;
    }
    add_buffer(plan, SFI_BUFFER_MAP, &step->value, bytes, first, last);
    if (step->slice_count > 0) {
        assert(bytes > 0);
        sfi_buffer *buffer = &plan->buffers[plan->buffer_count - 1];
        buffer->slices = plan->slices + step->first_slice;
        buffer->slice_count = step->slice_count;
    }
}

/* Forward of node i is time i, its backward time 2·count − 1 − i. What the caller reads or writes
 * between calls lives from −1, before the first step, to 2·count, behind the last. */
typedef struct use_times {
    int32_t value_last;
    int32_t gradient_first;
} use_times;

/* Whether backward reads the map of `node` when it comes to its user `user`. */
static bool kept_for(const sfi_plan *plan, int32_t user)
{
    const sfi_step *step = &plan->steps[user];
    const bool by_layer = !plan->rank.active || plan->rank.nodes[user].role == SFI_RANK_LAYER;
    return by_layer ? step->wants_gradient && step->memory.keeps_inputs
                    : sfi_rank_reads_again(&plan->rank, user);
}

static use_times times_of(const sfi_plan *plan, const sfconv_net *net, int32_t node, bool training)
{
    const int32_t count = net->node_count;
    use_times times = {node, 2 * count - 1 - node};
    const sfi_step *self = &plan->steps[node];
    const bool keeps_output = self->wants_gradient && self->memory.keeps_output;
    if (training && (keeps_output || sfi_rank_has_step(&plan->rank, node))) {
        times.value_last = 2 * count - 1 - node;
    }
    for (int32_t i = node + 1; i < count; i++) {
        const sfi_node *user = &net->nodes[i];
        const int32_t reads_at = sfi_rank_reads_at(&plan->rank, i);
        for (int32_t j = 0; sfi_is_computed(plan->steps, i) && j < user->input_count; j++) {
            if (plan->steps[user->inputs[j]].holder != node || reads_at < 0) {
                continue;
            }
            const bool kept = training && kept_for(plan, i);
            const int32_t backward = 2 * count - 1 - reads_at;
            times.value_last = (int32_t)sfi_max(times.value_last, kept ? backward : reads_at);
            times.gradient_first = (int32_t)sfi_min(times.gradient_first, backward);
        }
    }
    if (sfi_plan_is_output(plan, net, node)) {
        times.gradient_first = count;
    }
    return times;
}

/* What a backward pass in rank space needs beside. */
static void list_rank_gradients(sfi_plan *plan, const sfconv_net *net, int32_t node,
                                const use_times *times)
{
    const int32_t count = net->node_count;
    const int32_t backward = 2 * count - 1 - node;
    sfi_step *step = &plan->steps[node];
    sfi_rank_node *self = &plan->rank.nodes[node];
    const bool is_input = !net->nodes[node].layer;
    const bool by_layer = self->role == SFI_RANK_LAYER;
    const bool wanted = self->stored && (step->wants_gradient || self->is_output);
    const int64_t bytes = (sfi_shape_count(step->shape) + SFK_SLACK) * (int64_t)sizeof(float);
    const int32_t begun = 2 * count - 1 - self->first_base;
    const int32_t mixed_last = self->role == SFI_RANK_SINK ? begun : backward;
    add_buffer(plan, SFI_BUFFER_MAP_GRADIENT, &step->gradient, wanted ? bytes : 0,
               times->gradient_first, is_input ? 2 * count : mixed_last);
    const bool taped = by_layer || self->unpooled >= 0;
    add_buffer(plan, SFI_BUFFER_TAPE, &step->tape, taped ? step->memory.tape : 0, node, backward);
    add_buffer(plan, SFI_BUFFER_SCRATCH, &step->scratch_backward,
               by_layer && step->wants_gradient ? step->memory.scratch_backward : 0, backward,
               backward);
    add_buffer(plan, SFI_BUFFER_SCRATCH, &self->backward, sfi_rank_backward_bytes(plan, net, node),
               backward, backward);
    if (self->contracts) {
        add_buffer(plan, SFI_BUFFER_RANK_GRADIENTS, &self->maps_gradient,
                   sfi_rank_maps_bytes(plan, net, node), 2 * count - 1 - self->unit, begun);
    }
    if (sfi_rank_is_norm(&plan->rank, net, node)) {
        add_buffer(plan, SFI_BUFFER_TAPE, &self->batch, sfi_rank_batch_bytes(plan, net, node), node,
                   2 * count - 1 - self->unit);
        add_buffer(plan, SFI_BUFFER_SCRATCH, &self->observing,
                   sfi_rank_observe_bytes(plan, net, node), node, node);
    }
    for (int32_t i = 0; i < plan->rank.sink_count; i++) {
        sfi_rank_sink *sink = &plan->rank.sinks[i];
        if (sink->base == node) {
            add_buffer(plan, SFI_BUFFER_RANK_GRADIENTS, &sink->mixed_gradient,
                       sfi_rank_mixed_bytes(plan, net, sink), backward, backward);
        }
    }
}

/* Rank space: the map only where somebody reads it, and what a step needs beside. */
static void list_rank_buffers(sfi_plan *plan, const sfconv_net *net, int32_t node, bool training)
{
    const int32_t after = 2 * net->node_count;
    sfi_step *step = &plan->steps[node];
    sfi_rank_node *self = &plan->rank.nodes[node];
    const use_times times = times_of(plan, net, node, training);
    const int64_t slack = self->read_in_strips ? SFK_SLACK : 0;
    const int64_t bytes = (sfi_shape_count(step->shape) + slack) * (int64_t)sizeof(float);
    const sfi_rank_bytes needed = sfi_rank_step_bytes(plan, net, node);
    const bool is_input = !net->nodes[node].layer;
    const bool kept = self->is_output || (training && is_input);
    const int32_t first = self->role == SFI_RANK_SINK       ? self->first_base
                          : self->role == SFI_RANK_FINISHED ? self->finished_by
                                                            : node;
    add_map(plan, node, self->stored ? bytes : 0, is_input || self->is_output ? -1 : first,
            kept ? after : times.value_last);
    add_buffer(plan, SFI_BUFFER_SCRATCH, &step->scratch_forward,
               self->role == SFI_RANK_LAYER ? step->memory.scratch_forward : 0, node, node);
    add_buffer(plan, SFI_BUFFER_WEIGHTS, &self->normals,
               sfi_rank_normals_bytes(&plan->rank, net, node), node, node);
    add_buffer(plan, SFI_BUFFER_WEIGHTS, &self->folded, needed.folded, node, node);
    add_buffer(plan, SFI_BUFFER_SCRATCH, &self->scratch, needed.scratch, node, node);
    if (self->contracts || self->copies) {
        add_buffer(plan, SFI_BUFFER_RANK_MAPS, &self->maps, sfi_rank_maps_bytes(plan, net, node),
                   self->first_base,
                   training && !self->copies ? 2 * net->node_count - 1 - self->unit : self->unit);
    }
    for (int32_t i = 0; i < plan->rank.sink_count; i++) {
        sfi_rank_sink *sink = &plan->rank.sinks[i];
        if (sink->base == node) {
            add_buffer(plan, SFI_BUFFER_MIXED_MAPS, &sink->mixed,
                       sfi_rank_mixed_bytes(plan, net, sink), node, node);
        }
    }
    if (training) {
        list_rank_gradients(plan, net, node, &times);
    }
}

static void list_node_buffers(sfi_plan *plan, const sfconv_net *net, int32_t node, bool training)
{
    const int32_t count = net->node_count;
    const int32_t after = 2 * count;
    sfi_step *step = &plan->steps[node];
    const sfi_layer_memory *memory = &step->memory;
    const int64_t bytes = sfi_shape_count(step->shape) * (int64_t)sizeof(float);
    const bool is_input = !net->nodes[node].layer;
    const bool outside = is_input || sfi_plan_is_output(plan, net, node);
    const use_times times = times_of(plan, net, node, training);
    const int32_t backward = 2 * count - 1 - node;
    /* The caller fills inputs before the first step and reads outputs after the last; an inference
     * run may use an input's memory again once nobody reads it. */
    const bool kept = sfi_plan_is_output(plan, net, node) || (training && is_input);
    add_map(plan, node, bytes, outside ? -1 : node, kept ? after : times.value_last);
    const bool gradient = training && (step->wants_gradient || sfi_plan_is_output(plan, net, node));
    add_buffer(plan, SFI_BUFFER_MAP_GRADIENT, &step->gradient, gradient ? bytes : 0,
               times.gradient_first, is_input ? after : backward);
    add_buffer(plan, SFI_BUFFER_TAPE, &step->tape, training ? memory->tape : 0, node, backward);
    add_buffer(plan, SFI_BUFFER_SCRATCH, &step->scratch_forward, memory->scratch_forward, node,
               node);
    add_buffer(plan, SFI_BUFFER_SCRATCH, &step->scratch_backward,
               training && step->wants_gradient ? memory->scratch_backward : 0, backward, backward);
}

static sfconv_status list_buffers(sfi_plan *plan, const sfconv_net *net, bool training)
{
    int64_t sum = 0;
    plan->buffer_count = 0;
    if (plan->rank.active) {
        plan->rank.worker_bytes = sfi_rank_worker_bytes(plan, net);
    }
    for (int32_t i = 0; i < net->node_count; i++) {
        sfi_step *step = &plan->steps[i];
        step->value = step->gradient = step->tape = SFI_NO_BUFFER;
        step->scratch_forward = step->scratch_backward = SFI_NO_BUFFER;
        if (!sfi_is_computed(plan->steps, i) && net->nodes[i].layer) {
            continue;
        }
        const int32_t begin = plan->buffer_count;
        if (plan->rank.active) {
            list_rank_buffers(plan, net, i, training);
        } else {
            list_node_buffers(plan, net, i, training);
        }
        for (int32_t j = begin; j < plan->buffer_count; j++) {
            plan->buffers[j].node = i;
        }
    }
    for (int32_t i = 0; i < plan->buffer_count; i++) {
        if (!sfi_add(&sum, sum, plan->buffers[i].bytes)) {
            return sfi_fail(net->context, SFCONV_ERROR_OVERFLOW,
                            "net: the memory of the run overflows");
        }
    }
    return SFCONV_OK;
}

static sfconv_status list_and_place(sfi_plan *plan, const sfconv_net *net, bool training)
{
    const sfconv_status status = list_buffers(plan, net, training);
    if (status >= 0) {
        plan->bytes =
            sfi_place_buffers(plan->buffers, plan->buffer_count, sfi_workers(net->context) > 1);
    }
    return status;
}

/* With maps in concatenations if that takes no more memory. */
static sfconv_status place_all(sfi_plan *plan, const sfconv_net *net, bool training)
{
    sfi_plan_part_maps(plan, net);
    sfconv_status status = list_and_place(plan, net, training);
    const int64_t apart = plan->bytes;
    if (status < 0 || training || !sfi_plan_join_maps(plan, net)) {
        return status;
    }
    status = list_and_place(plan, net, training);
    if (status >= 0 && plan->bytes > apart) {
        sfi_plan_part_maps(plan, net);
        status = list_and_place(plan, net, training);
    }
    return status;
}

/* Behind the shared part: parameter gradients, which live from call to call. */
static void place_parameter_gradients(sfi_plan *plan, const sfconv_net *net, bool training)
{
    plan->gradients_offset = plan->bytes;
    for (int32_t i = 0; i < net->parameter_count; i++) {
        const sfi_parameter *parameter = net->parameters[i].parameter;
        plan->parameter_gradients[i] = SFI_NO_BUFFER;
        if (training && sfi_parameter_trainable(parameter)) {
            plan->parameter_gradients[i] = plan->bytes;
            plan->bytes += sfi_round64(parameter->count * (int64_t)sizeof(float));
        }
    }
    plan->gradients_bytes = plan->bytes - plan->gradients_offset;
}

/* And the room of the regularizers, which the caller may ask for at any time between. */
static sfconv_status place_regularizers(sfi_plan *plan, const sfconv_net *net, bool training)
{
    int64_t scratch = 0;
    int64_t parts = 0;
    int64_t all;
    for (int32_t i = 0; training && i < net->node_count; i++) {
        const sfconv_layer *layer = net->nodes[i].layer;
        if (layer && layer->kind->regularizer_scratch) {
            scratch = sfi_max(scratch, layer->kind->regularizer_scratch(layer));
            parts += SFI_REGULARIZER_PARTS;
        }
    }
    plan->regularizer_parts = plan->bytes;
    plan->bytes += sfi_round64(parts * (int64_t)sizeof(sfi_regularizer_part));
    plan->regularizer_scratch = plan->bytes;
    plan->regularizer_worker_bytes = sfi_round64(scratch);
    if (!sfi_mul(&all, plan->regularizer_worker_bytes, sfi_workers(net->context)) ||
        !sfi_add(&plan->bytes, plan->bytes, all)) {
        return sfi_fail(net->context, SFCONV_ERROR_OVERFLOW,
                        "net: the scratch of its regularizers overflows");
    }
    return SFCONV_OK;
}

static sfconv_status add_frozen(sfi_plan *plan, const sfconv_net *net, int64_t *offset,
                                int64_t bytes)
{
    *offset = SFI_NO_BUFFER;
    if (bytes > 0) {
        *offset = plan->frozen_bytes;
        if (!sfi_add(&plan->frozen_bytes, plan->frozen_bytes, sfi_round64(bytes))) {
            return sfi_fail(net->context, SFCONV_ERROR_OVERFLOW,
                            "net: its frozen weights overflow");
        }
    }
    return SFCONV_OK;
}

/* Bytes of a layer that is computed by itself and has such a form of its weights; otherwise 0. */
static sfconv_status frozen_layer_bytes(const sfi_plan *plan, const sfconv_net *net, int32_t node,
                                        int64_t *bytes)
{
    const sfi_node *self = &net->nodes[node];
    sfi_shape in[SFI_MAX_INPUTS];
    *bytes = 0;
    if (!sfi_plan_goes_by_layer(plan, net, node) || !self->layer->kind->frozen_bytes) {
        return SFCONV_OK;
    }
    sfi_plan_input_shapes(plan, self, in);
    sfi_error_scope scope = {.name = self->name};
    sfi_error_enter(net->context, &scope);
    const sfconv_status status =
        self->layer->kind->frozen_bytes(self->layer, in, plan->steps[node].shape, bytes);
    sfi_error_leave(net->context, &scope);
    return status;
}

/* What forward reads in another form than the parameters have: weights of layers, and of steps in
 * rank space. */
static sfconv_status place_frozen(sfi_plan *plan, const sfconv_net *net, bool training)
{
    plan->frozen_bytes = 0;
    for (int32_t i = 0; i < net->node_count; i++) {
        sfi_step *step = &plan->steps[i];
        sfconv_status status = SFCONV_OK;
        int64_t bytes = 0;
        step->frozen = SFI_NO_BUFFER;
        if (training || !step->live) {
            continue;
        }
        status = frozen_layer_bytes(plan, net, i, &bytes);
        if (status >= 0) {
            status = add_frozen(plan, net, &step->frozen, bytes);
        }
        if (status >= 0 && plan->rank.active) {
            status = add_frozen(plan, net, &plan->rank.nodes[i].frozen,
                                sfi_rank_frozen_bytes(plan, net, i));
        }
        if (status < 0) {
            return status;
        }
    }
    return SFCONV_OK;
}

sfconv_status sfi_plan_make(sfi_plan *plan, const sfconv_net *net, sfi_plan_mode mode,
                            const sfconv_shape *inputs, int32_t count)
{
    const bool training = mode.training;
    sfconv_status status = sfi_plan_shapes(plan, net, training, inputs, count);
    if (status < 0) {
        return status;
    }
    find_holders(plan, net, training);
    mark_live(plan, net);
    mark_gradients(plan, net, training && mode.want_input_gradients);
    plan->rank.active = mode.rank_space;
    if (plan->rank.active) {
        sfi_rank_plan_make(&plan->rank, net, plan->steps, training);
    }
    status = ask_memory(plan, net, training);
    if (status >= 0) {
        status = place_all(plan, net, training);
    }
    if (status >= 0) {
        status = place_frozen(plan, net, training);
    }
    if (status < 0) {
        return status;
    }
    place_parameter_gradients(plan, net, training);
    return place_regularizers(plan, net, training);
}

sfconv_status sfi_plan_cost(sfi_plan *plan, const sfconv_net *net, const sfconv_shape *inputs,
                            int32_t count, sfconv_cost *cost)
{
    int64_t parameters = 0;
    int64_t macs = 0;
    int64_t bytes = 0;
    bool fits = true;
    const sfconv_status status = sfi_plan_shapes(plan, net, false, inputs, count);
    if (status < 0) {
        return status;
    }
    for (int32_t i = 0; i < net->parameter_count; i++) {
        const sfi_parameter *parameter = net->parameters[i].parameter;
        parameters += sfi_parameter_trainable(parameter) ? parameter->count : 0;
    }
    for (int32_t i = 0; i < net->node_count; i++) {
        const sfi_step *step = &plan->steps[i];
        /* Inputs are the caller's to write. */
        const int64_t written = net->nodes[i].layer ? sfi_shape_count(step->shape) : 0;
        fits &= sfi_add(&macs, macs, step->macs);
        fits &= sfi_add(&bytes, bytes, written * (int64_t)sizeof(float));
    }
    if (!fits || macs > INT64_MAX / 4) {
        return sfi_fail(net->context, SFCONV_ERROR_OVERFLOW, "net: its counts overflow");
    }
    cost->parameters = parameters;
    cost->macs = macs;
    cost->flops = 2 * macs;
    cost->activation_bytes = bytes;
    return SFCONV_OK;
}
