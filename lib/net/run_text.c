/* SPDX-License-Identifier: BSD-2-Clause */
#include "error.h"
#include "rank_counts.h"
#include "rank_training.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* A text that grows into a buffer of fixed size and goes on counting behind its end. */
typedef struct text {
    char *buffer;
    size_t capacity;
    size_t length;
} text;

static void SFI_PRINTF(2, 3) append(text *out, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const size_t room = out->length < out->capacity ? out->capacity - out->length : 0;
    const int added = vsnprintf(room ? out->buffer + out->length : NULL, room, format, arguments);
    va_end(arguments);
    out->length += added > 0 ? (size_t)added : 0;
}

static const char *verb(const sfconv_run *run, int32_t node)
{
    static const char *const roles[] = {
        [SFI_RANK_LAYER] = "layer",     [SFI_RANK_UNIT] = "expand", [SFI_RANK_ABSORBED] = "fused",
        [SFI_RANK_VIRTUAL] = "virtual", [SFI_RANK_SINK] = "mixed",  [SFI_RANK_FINISHED] = "fused"};
    const sfi_step *step = &run->plan.steps[node];
    if (!step->live) {
        return "unused";
    }
    if (!run->net->nodes[node].layer) {
        return "input";
    }
    if (step->holder != node) {
        return "alias";
    }
    return roles[run->plan.rank.active ? run->plan.rank.nodes[node].role : SFI_RANK_LAYER];
}

/* What a pass computes, forward and backward. */
typedef struct work {
    sfi_macs forward;
    sfi_macs backward;
} work;

static work sum_of(work a, work b)
{
    return (work){sfi_macs_sum(a.forward, b.forward), sfi_macs_sum(a.backward, b.backward)};
}

static work work_of_layer(const sfconv_run *run, int32_t node)
{
    const sfi_node *self = &run->net->nodes[node];
    const sfi_step *steps = run->plan.steps;
    sfi_shape in[SFI_MAX_INPUTS];
    bool wanted = false;
    sfi_plan_input_shapes(&run->plan, self, in);
    for (int32_t i = 0; i < self->input_count; i++) {
        wanted |= steps[self->inputs[i]].wants_gradient;
    }
    const sfi_layer_macs macs = sfi_layer_count(self->layer, in, steps[node].shape);
    work found = {.forward = macs.forward};
    if (steps[node].wants_gradient) {
        found.backward = wanted ? sfi_macs_sum(macs.backward, macs.input_gradient) : macs.backward;
    }
    return found;
}

/* Of a node without its sinks. */
static work work_of(const sfconv_run *run, int32_t node)
{
    const sfi_plan *plan = &run->plan;
    work found = {0};
    if (!plan->steps[node].live) {
        return found;
    }
    if (sfi_plan_goes_by_layer(plan, run->net, node)) {
        found = work_of_layer(run, node);
    } else if (plan->rank.active) {
        found.forward = sfi_rank_unit_macs(plan, run->net, node);
        found.backward = sfi_rank_unit_backward_macs(plan, run->net, node);
    }
    if (run->training && sfi_rank_is_norm(&plan->rank, run->net, node)) {
        found.forward = sfi_macs_sum(found.forward, sfi_rank_observe_macs(plan, run->net, node));
    }
    return found;
}

static work work_of_sink(const sfconv_run *run, const sfi_rank_sink *sink)
{
    return (work){sfi_rank_sink_macs(&run->plan, run->net, sink),
                  sfi_rank_sink_backward_macs(&run->plan, run->net, sink)};
}

static int32_t sinks_of(const sfconv_run *run)
{
    return run->plan.rank.active ? run->plan.rank.sink_count : 0;
}

/* Of all buffers of a kind, of one node or, for -1, of all. */
static int64_t buffer_bytes(const sfi_plan *plan, enum sfi_buffer_kind kind, int32_t node)
{
    int64_t bytes = 0;
    for (int32_t i = 0; i < plan->buffer_count; i++) {
        const sfi_buffer *buffer = &plan->buffers[i];
        const bool counts = buffer->kind == kind && (node < 0 || buffer->node == node);
        bytes += counts ? buffer->bytes : 0;
    }
    return bytes;
}

/* Of the map of a node, 0 where it lies in another's, or of its gradient, which lies at `offset`,
 * without what pads it. */
static int64_t map_bytes(const sfi_step *step, int64_t offset)
{
    if (step->slice != SFI_NO_SLICE) {
        return 0;
    }
    return offset == SFI_NO_BUFFER ? 0 : sfi_shape_count(step->shape) * (int64_t)sizeof(float);
}

static void append_macs(text *out, sfi_macs macs, int width)
{
    static const struct {
        uint32_t algorithm;
        const char *name;
    } names[] = {{SFI_DIRECT_SUMS, "direct"},
                 {SFI_F_4X4_3X3, "F(4x4, 3x3)"},
                 {SFI_F_4_4, "F(4, 4)"},
                 {SFI_F_4_3, "F(4, 3)"}};
    const char *before = " ";
    append(out, "%*" PRId64 " MACs", width, macs.computed);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (macs.algorithms & names[i].algorithm) {
            append(out, "%s%s", before, names[i].name);
            before = " and ";
        }
    }
    if (macs.computed != macs.direct) {
        append(out, " in place of %" PRId64, macs.direct);
    }
}

/* Why a node of a run in rank space goes by its layer, or why a unit stores its map. */
static void append_reason(const sfconv_run *run, int32_t index, text *out)
{
    const sfi_rank_node *self = &run->plan.rank.nodes[index];
    const bool is_live_layer = run->net->nodes[index].layer && run->plan.steps[index].live;
    const bool by_layer = self->role == SFI_RANK_LAYER;
    char reason[128];
    if (run->plan.rank.active && is_live_layer &&
        (by_layer || (self->role == SFI_RANK_UNIT && self->stored))) {
        sfi_rank_reason_text(self, run->net, index, reason, sizeof reason);
        append(out, by_layer ? ", by its layer: %s" : ", stored: %s", reason);
    }
}

static void append_row(const sfconv_run *run, int32_t index, work done, text *out)
{
    const sfi_node *node = &run->net->nodes[index];
    const sfi_step *step = &run->plan.steps[index];
    char shape[64];
    snprintf(shape, sizeof shape, "%" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64, step->shape.n,
             step->shape.c, step->shape.h, step->shape.w);
    append(out, "%-7s %-36s %-12s %-18s stored %11" PRId64 " B ", verb(run, index), node->name,
           node->layer ? node->layer->kind->kind : "-", shape, map_bytes(step, step->value));
    append_macs(out, done.forward, 14);
    if (run->training) {
        append(out, ", backward: gradient %11" PRId64 " B ", map_bytes(step, step->gradient));
        append_macs(out, done.backward, 14);
    }
    if (step->slice != SFI_NO_SLICE) {
        append(out, ", in the map of %s", run->net->nodes[run->plan.slices[step->slice].node].name);
    }
    append_reason(run, index, out);
    append(out, "\n");
}

static const char *const buffer_names[] = {
    [SFI_BUFFER_MAP] = "maps",
    [SFI_BUFFER_RANK_MAPS] = "rank maps",
    [SFI_BUFFER_MIXED_MAPS] = "mixed maps",
    [SFI_BUFFER_WEIGHTS] = "weights",
    [SFI_BUFFER_SCRATCH] = "scratch",
    [SFI_BUFFER_TAPE] = "tape",
    [SFI_BUFFER_MAP_GRADIENT] = "gradients of maps",
    [SFI_BUFFER_RANK_GRADIENTS] = "gradients of rank maps",
};

/* What a node has in memory beside its map and the gradient of that. */
static void append_buffers(const sfconv_run *run, int32_t node, text *out)
{
    bool any = false;
    for (enum sfi_buffer_kind kind = 0; kind < SFI_BUFFER_KINDS; kind++) {
        const int64_t bytes = buffer_bytes(&run->plan, kind, node);
        if (bytes > 0 && kind != SFI_BUFFER_MAP && kind != SFI_BUFFER_MAP_GRADIENT) {
            append(out, "%s%s %" PRId64 " B", any ? ", " : "        with ", buffer_names[kind],
                   bytes);
            any = true;
        }
    }
    append(out, "%s", any ? "\n" : "");
}

/* How the base's map comes to the consumer. */
static void append_way(const sfconv_run *run, const sfi_rank_sink *sink, text *out)
{
    static const char *const ways[] = {[SFI_VIA_POOL] = "max pool",
                                       [SFI_VIA_UPSAMPLE] = "up-sampling",
                                       [SFI_VIA_AVERAGE] = "average pool"};
    const sfi_node *nodes = run->net->nodes;
    const int32_t source = run->plan.steps[nodes[sink->consumer].inputs[0]].holder;
    const char *before = " via ";
    if (sink->transport >= 0) {
        append(out, " via %s %s", ways[sink->via], nodes[sink->transport].name);
        before = " and ";
    }
    if (source != sink->base && source != sink->transport) {
        append(out, "%sconcatenation %s", before, nodes[source].name);
    }
}

static void append_sink(const sfconv_run *run, const sfi_rank_sink *sink, work done, text *out)
{
    const sfi_rank_maps maps = sfi_rank_maps_of(&run->plan, run->net, sink->consumer);
    const bool copies = sink->via == SFI_VIA_COPY;
    append(out, "        -> %s", run->net->nodes[sink->consumer].name);
    append_way(run, sink, out);
    append(out, ": %" PRId64 " %s maps, ", copies ? maps.count : sfi_rank_mixed_count(&maps),
           copies ? "copied" : "mixed");
    append_macs(out, done.forward, 0);
    if (run->training) {
        append(out, ", backward: ");
        append_macs(out, done.backward, 0);
    }
    append(out, "\n");
}

static void append_work(text *out, const char *pass, sfi_macs macs)
{
    append(out, "total %-8s %18" PRId64 " MACs computed, %18" PRId64 " by direct sums\n", pass,
           macs.computed, macs.direct);
}

static void append_bytes(text *out, const char *name, int64_t bytes)
{
    append(out, "memory %-26s %18" PRId64 " B\n", name, bytes);
}

/* The kinds of buffers; what pads maps; what buffers of different times share; and what lives from
 * call to call. The sum is what the run asks for. */
static void append_memory(const sfconv_run *run, text *out)
{
    const sfi_plan *plan = &run->plan;
    const int kinds = run->training ? SFI_BUFFER_KINDS : SFI_BUFFER_TAPE;
    int64_t bytes[SFI_BUFFER_KINDS];
    int64_t maps = 0;
    int64_t gradients = 0;
    int64_t buffers = 0;
    for (int32_t i = 0; i < run->net->node_count; i++) {
        maps += map_bytes(&plan->steps[i], plan->steps[i].value);
        gradients += map_bytes(&plan->steps[i], plan->steps[i].gradient);
    }
    for (enum sfi_buffer_kind kind = 0; kind < SFI_BUFFER_KINDS; kind++) {
        bytes[kind] = buffer_bytes(plan, kind, -1);
        buffers += bytes[kind];
    }
    const int64_t padding =
        bytes[SFI_BUFFER_MAP] - maps + bytes[SFI_BUFFER_MAP_GRADIENT] - gradients;
    bytes[SFI_BUFFER_MAP] = maps;
    bytes[SFI_BUFFER_MAP_GRADIENT] = gradients;
    for (int kind = 0; kind < kinds; kind++) {
        append_bytes(out, buffer_names[kind], bytes[kind]);
    }
    append_bytes(out, "padding of maps", padding);
    append_bytes(out, "shared in turn", plan->gradients_offset - buffers);
    if (run->training) {
        append_bytes(out, "gradients of parameters", plan->gradients_bytes);
        append_bytes(out, "regularizers",
                     plan->bytes - plan->gradients_offset - plan->gradients_bytes);
    }
    append_bytes(out, "total", plan->bytes);
    if (run->is_frozen) {
        append_bytes(out, "beside: frozen weights", plan->frozen_bytes);
    }
}

size_t sfi_run_describe(const sfconv_run *run, char *buffer, size_t capacity)
{
    text out = {buffer, capacity, 0};
    work total = {0};
    append(&out, "%s, %s\n", run->training ? "training" : "inference",
           run->plan.rank.active ? "in rank space" : "layer by layer");
    for (int32_t i = 0; i < run->net->node_count; i++) {
        const work of_node = work_of(run, i);
        append_row(run, i, of_node, &out);
        append_buffers(run, i, &out);
        total = sum_of(total, of_node);
        for (int32_t j = 0; j < sinks_of(run); j++) {
            const sfi_rank_sink *sink = &run->plan.rank.sinks[j];
            if (sink->base == i) {
                const work of_sink = work_of_sink(run, sink);
                append_sink(run, sink, of_sink, &out);
                total = sum_of(total, of_sink);
            }
        }
    }
    append_work(&out, "forward", total.forward);
    if (run->training) {
        append_work(&out, "backward", total.backward);
    }
    append_memory(run, &out);
    return out.length;
}
