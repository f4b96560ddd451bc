/* SPDX-License-Identifier: BSD-2-Clause */
#include "run.h"

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
    const sfi_step *step = &run->plan.steps[node];
    if (!step->live) {
        return "unused";
    }
    if (!run->net->nodes[node].layer) {
        return "input";
    }
    return "layer";
}

static void append_step(const sfconv_run *run, int32_t index, text *out)
{
    const sfi_node *node = &run->net->nodes[index];
    const sfi_step *step = &run->plan.steps[index];
    const int64_t value = sfi_shape_count(step->shape) * (int64_t)sizeof(float);
    char shape[64];
    snprintf(shape, sizeof shape, "%" PRId64 "x%" PRId64 "x%" PRId64 "x%" PRId64, step->shape.n,
             step->shape.c, step->shape.h, step->shape.w);
    append(out, "%-6s %-36s %-12s %-18s stored %12" PRId64 " B %14" PRId64 " MACs\n",
           verb(run, index), node->name, node->layer ? node->layer->kind->kind : "-", shape,
           step->live ? value : 0, step->live ? step->macs : 0);
}

size_t sfi_run_describe(const sfconv_run *run, char *buffer, size_t capacity)
{
    text out = {buffer, capacity, 0};
    int64_t macs = 0;
    append(&out, "%s, layer by layer\n", run->training ? "training" : "inference");
    for (int32_t i = 0; i < run->net->node_count; i++) {
        append_step(run, i, &out);
        macs += run->plan.steps[i].live ? run->plan.steps[i].macs : 0;
    }
    append(&out, "total  %" PRId64 " MACs forward, %" PRId64 " bytes of memory\n", macs,
           run->plan.bytes);
    return out.length;
}
