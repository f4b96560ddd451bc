/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_step.h"

#include "error.h"

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
    static const char *const roles[] = {[SFI_RANK_LAYER] = "layer",
                                        [SFI_RANK_UNIT] = "expand",
                                        [SFI_RANK_ABSORBED] = "fused",
                                        [SFI_RANK_VIRTUAL] = "virtual",
                                        [SFI_RANK_SINK] = "mixed"};
    const sfi_step *step = &run->plan.steps[node];
    if (!step->live) {
        return "unused";
    }
    if (!run->net->nodes[node].layer) {
        return "input";
    }
    return roles[run->plan.rank.active ? run->plan.rank.nodes[node].role : SFI_RANK_LAYER];
}

/* Multiply-adds at the node's turn: in rank space a consumer's first half is computed with the maps
 * that it mixes. */
static int64_t macs_of(const sfconv_run *run, int32_t node)
{
    const sfi_step *step = &run->plan.steps[node];
    const sfi_rank_plan *ranked = &run->plan.rank;
    if (!step->live) {
        return 0;
    }
    if (!ranked->active) {
        return step->macs;
    }
    const bool by_layer = ranked->nodes[node].role == SFI_RANK_LAYER;
    return (by_layer ? step->macs : 0) + ranked->nodes[node].macs;
}

static int64_t stored_bytes(const sfconv_run *run, int32_t node)
{
    const sfi_step *step = &run->plan.steps[node];
    const bool stored = step->live && step->value != SFI_NO_BUFFER;
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

static void append_step(const sfconv_run *run, int32_t index, text *out)
{
    const sfi_node *node = &run->net->nodes[index];
    const sfi_step *step = &run->plan.steps[index];
    char shape[64];
    snprintf(shape, sizeof shape, "%" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64, step->shape.n,
             step->shape.c, step->shape.h, step->shape.w);
    append(out, "%-7s %-36s %-12s %-18s stored %11" PRId64 " B %14" PRId64 " MACs",
           verb(run, index), node->name, node->layer ? node->layer->kind->kind : "-", shape,
           stored_bytes(run, index), macs_of(run, index));
    if (rank_bytes(run, index) > 0) {
        append(out, ", rank maps %" PRId64 " B", rank_bytes(run, index));
    }
    append(out, "\n");
}

size_t sfi_run_describe(const sfconv_run *run, char *buffer, size_t capacity)
{
    text out = {buffer, capacity, 0};
    int64_t macs = 0;
    append(&out, "%s, %s\n", run->training ? "training" : "inference",
           run->plan.rank.active ? "in rank space" : "layer by layer");
    for (int32_t i = 0; i < run->net->node_count; i++) {
        append_step(run, i, &out);
        macs += macs_of(run, i);
    }
    append(&out, "total  %" PRId64 " MACs forward, %" PRId64 " bytes of memory\n", macs,
           run->plan.bytes);
    return out.length;
}
