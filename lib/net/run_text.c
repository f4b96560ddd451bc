/* SPDX-License-Identifier: BSD-2-Clause */
#include "error.h"
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

static bool goes_by_layer(const sfconv_run *run, int32_t node)
{
    const sfi_rank_plan *ranked = &run->plan.rank;
    return !ranked->active || ranked->nodes[node].role == SFI_RANK_LAYER;
}

/* Multiply-adds at the node's turn: in rank space a consumer's first half is computed with the maps
 * that it mixes. */
static int64_t forward_macs(const sfconv_run *run, int32_t node)
{
    const sfi_step *step = &run->plan.steps[node];
    const sfi_rank_plan *ranked = &run->plan.rank;
    if (!step->live) {
        return 0;
    }
    int64_t macs = goes_by_layer(run, node) ? step->macs : 0;
    macs += ranked->active ? ranked->nodes[node].macs : 0;
    if (run->training && sfi_rank_is_norm(ranked, run->net, node)) {
        macs += sfi_rank_observe_macs(&run->plan, run->net, node);
    }
    return macs;
}

static int64_t backward_macs(const sfconv_run *run, int32_t node)
{
    const sfi_node *self = &run->net->nodes[node];
    const sfi_step *steps = run->plan.steps;
    sfi_shape in[SFI_MAX_INPUTS];
    bool wanted = false;
    if (!steps[node].live) {
        return 0;
    }
    const int64_t macs = sfi_rank_backward_macs(&run->plan, run->net, node);
    if (!self->layer || !steps[node].wants_gradient || !goes_by_layer(run, node)) {
        return macs;
    }
    for (int32_t i = 0; i < self->input_count; i++) {
        in[i] = steps[self->inputs[i]].shape;
        wanted |= steps[self->inputs[i]].wants_gradient;
    }
    return macs + sfi_layer_backward_macs(self->layer, in, steps[node].shape, wanted);
}

/* Of a node's map, or of its gradient, which lies at `offset`. */
static int64_t map_bytes(const sfi_step *step, int64_t offset)
{
    const bool stored = step->live && offset != SFI_NO_BUFFER;
    return stored ? sfi_shape_count(step->shape) * (int64_t)sizeof(float) : 0;
}

static int64_t rank_bytes(const sfconv_run *run, int32_t node)
{
    const sfi_rank_plan *ranked = &run->plan.rank;
    if (!ranked->active || !(ranked->nodes[node].contracts || ranked->nodes[node].copies)) {
        return 0;
    }
    return sfi_rank_maps_bytes(&run->plan, run->net, node);
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

static void append_step(const sfconv_run *run, int32_t index, text *out)
{
    const sfi_node *node = &run->net->nodes[index];
    const sfi_step *step = &run->plan.steps[index];
    const int64_t rank_maps = rank_bytes(run, index);
    char shape[64];
    snprintf(shape, sizeof shape, "%" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64, step->shape.n,
             step->shape.c, step->shape.h, step->shape.w);
    append(out, "%-7s %-36s %-12s %-18s stored %11" PRId64 " B %14" PRId64 " MACs",
           verb(run, index), node->name, node->layer ? node->layer->kind->kind : "-", shape,
           map_bytes(step, step->value), forward_macs(run, index));
    if (run->training) {
        append(out, ", backward: gradient %11" PRId64 " B %14" PRId64 " MACs",
               map_bytes(step, step->gradient), backward_macs(run, index));
    }
    if (rank_maps > 0) {
        append(out, ", rank maps %" PRId64 " B", rank_maps);
    }
    if (rank_maps > 0 && run->training && run->plan.rank.nodes[index].contracts) {
        append(out, " and as much for their gradients");
    }
    append_reason(run, index, out);
    append(out, "\n");
}

size_t sfi_run_describe(const sfconv_run *run, char *buffer, size_t capacity)
{
    text out = {buffer, capacity, 0};
    int64_t forward = 0;
    int64_t backward = 0;
    append(&out, "%s, %s\n", run->training ? "training" : "inference",
           run->plan.rank.active ? "in rank space" : "layer by layer");
    for (int32_t i = 0; i < run->net->node_count; i++) {
        append_step(run, i, &out);
        forward += forward_macs(run, i);
        backward += run->training ? backward_macs(run, i) : 0;
    }
    append(&out, "total  %" PRId64 " MACs forward, ", forward);
    if (run->training) {
        append(&out, "%" PRId64 " MACs backward, %" PRId64 " bytes of gradients of parameters, ",
               backward, run->plan.gradients_bytes);
    }
    append(&out, "%" PRId64 " bytes of memory\n", run->plan.bytes);
    return out.length;
}
