/* SPDX-License-Identifier: BSD-2-Clause */
/* The regularizers of a net. Their parts are independent: workers take them from a list, the most
 * work first, and the values are added in the order of the nodes. */
#include "error.h"
#include "parallel.h"
#include "run.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* What a parameter holds. */
struct contents {
    bool finite;
    bool zero;
};

static struct contents contents_of(const sfi_parameter *parameter)
{
    uint32_t some = 0;
    uint32_t carried = 0;
    for (int64_t i = 0; i < parameter->count; i++) {
        uint32_t bits;
        memcpy(&bits, &parameter->data[i], sizeof bits);
        bits &= 0x7fffffffu;
        some |= bits;
        /* The exponent of NaN and infinity is all ones: one more carries into the sign. */
        carried |= bits + 0x00800000u;
    }
    return (struct contents){carried >> 31 == 0, some == 0};
}

static sfconv_status fail_not_finite(const sfconv_run *run, const sfi_node *node,
                                     const sfi_parameter *parameter)
{
    int64_t i = 0;
    while (isfinite(parameter->data[i])) {
        i++;
    }
    return sfi_fail(run->context, SFCONV_ERROR_NUMERIC, "%s.%s: element %lld is not finite",
                    node->name, parameter->name, (long long)i);
}

/* What can fail in a regularizer is looked at before any gradient changes. */
static sfconv_status check_factors(const sfconv_run *run, const sfi_node *node)
{
    const sfconv_layer *layer = node->layer;
    for (int32_t i = 0; i < layer->parameter_count; i++) {
        const sfi_parameter *parameter = &layer->parameters[i];
        if (parameter->role != SFCONV_PARAMETER_FACTOR_P &&
            parameter->role != SFCONV_PARAMETER_FACTOR_Q) {
            continue;
        }
        const struct contents contents = contents_of(parameter);
        if (!contents.finite) {
            return fail_not_finite(run, node, parameter);
        }
        if (contents.zero) {
            return sfi_fail(run->context, SFCONV_ERROR_NUMERIC,
                            "%s.%s: all elements are zero, its spectrum is undefined", node->name,
                            parameter->name);
        }
    }
    return SFCONV_OK;
}

static bool regularizes(const sfconv_run *run, int32_t node)
{
    const sfconv_layer *layer = run->net->nodes[node].layer;
    return layer && layer->kind->regularizes && layer->kind->regularizes(layer) &&
           sfi_net_layer_node(run->net, layer) == node;
}

struct work {
    const sfconv_run *run;
    /* In the order of the nodes. */
    sfi_regularizer_part *parts;
    int64_t count;
};

/* Writes the order of work: most first, equal ones as they stand. */
static void order_parts(const struct work *work)
{
    sfi_regularizer_part *parts = work->parts;
    for (int64_t i = 0; i < work->count; i++) {
        int64_t at = i;
        for (; at > 0 && parts[parts[at - 1].turn].work < parts[i].work; at--) {
            parts[at].turn = parts[at - 1].turn;
        }
        parts[at].turn = i;
    }
}

static void run_part(void *argument, int64_t index, int32_t worker)
{
    const struct work *work = argument;
    const sfconv_run *run = work->run;
    const sfi_plan *plan = &run->plan;
    sfi_regularizer_part *part = &work->parts[work->parts[index].turn];
    const sfi_node *node = &run->net->nodes[part->node];
    part->term = node->layer->kind->regularize(
        node->layer, part->part, run->gradients + node->first_parameter,
        run->memory + plan->regularizer_scratch + worker * plan->regularizer_worker_bytes);
}

sfconv_status sfi_run_regularize(sfconv_run *run, double *value)
{
    const sfconv_net *net = run->net;
    struct work work = {.run = run, .parts = (void *)(run->memory + run->plan.regularizer_parts)};
    double sum = 0.0;
    for (int32_t i = 0; i < net->node_count; i++) {
        double sizes[SFI_REGULARIZER_PARTS];
        if (!regularizes(run, i)) {
            continue;
        }
        const sfconv_status status = check_factors(run, &net->nodes[i]);
        if (status < 0) {
            return status;
        }
        const sfconv_layer *layer = net->nodes[i].layer;
        const int32_t parts = layer->kind->regularizer_parts(layer, sizes);
        for (int32_t part = 0; part < parts; part++) {
            work.parts[work.count++] =
                (sfi_regularizer_part){.work = sizes[part], .node = i, .part = part};
        }
    }
    order_parts(&work);
    sfi_parallel_for(run->context, work.count, run_part, &work);
    for (int64_t i = 0; i < work.count; i++) {
        const sfi_regularizer_part *part = &work.parts[i];
        if (part->term.reason) {
            sfi_error_scope scope = {.name = net->nodes[part->node].name};
            sfi_error_enter(run->context, &scope);
            const sfconv_status status = sfi_fail_term(run->context, &part->term);
            sfi_error_leave(run->context, &scope);
            return status;
        }
        sum += part->term.value;
    }
    if (value) {
        *value = sum;
    }
    return SFCONV_OK;
}
