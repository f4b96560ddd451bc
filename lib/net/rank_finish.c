/* SPDX-License-Identifier: BSD-2-Clause */
/* Inference: what follows a convolution that is computed by its layer, pixel by pixel, is done to
 * its output while that is in the cache; only the map behind it is stored. Of a unit whose map is
 * averaged as a whole, the averages are. */
#include "rank_finish.h"

#include "layer_facts.h"
#include "rank_kinds.h"

static bool by_layer(const sfi_rank_plan *plan, const sfconv_net *net, int32_t node)
{
    return node >= 0 && net->nodes[node].layer && plan->nodes[node].role == SFI_RANK_LAYER;
}

static bool takes_norm(const sfi_rank_plan *plan, const sfconv_net *net, int32_t node)
{
    return by_layer(plan, net, node) && sfi_is_batchnorm2d(net->nodes[node].layer);
}

/* The input of a sum that is not `own`. */
static int32_t other_input(const sfi_rank_plan *plan, const sfi_node *sum, int32_t own)
{
    const int32_t first = plan->nodes[sum->inputs[0]].holder;
    return first == own ? plan->nodes[sum->inputs[1]].holder : first;
}

/* A sum of two maps, the other of which is there before the convolution begins. */
static bool takes_sum(const sfi_rank_plan *plan, const sfconv_net *net, int32_t node, int32_t own,
                      int32_t conv)
{
    const sfi_node *sum = &net->nodes[node < 0 ? 0 : node];
    if (!by_layer(plan, net, node) || !sfi_is_add(sum->layer) || sum->input_count != 2) {
        return false;
    }
    const int32_t other = other_input(plan, sum, own);
    return other < conv && plan->nodes[other].stored;
}

static bool takes_activation(const sfi_rank_plan *plan, const sfconv_net *net, int32_t node)
{
    return by_layer(plan, net, node) && sfi_rank_is_relu(net->nodes[node].layer);
}

/* `node` takes the place of `last`, whose map nobody else reads. */
static int32_t take(sfi_rank_plan *plan, int32_t conv, int32_t last, int32_t node)
{
    plan->nodes[last].stored = false;
    plan->nodes[node].role = SFI_RANK_FINISHED;
    plan->nodes[node].finished_by = conv;
    plan->nodes[conv].finished_at = node;
    return node;
}

/* The global average of a unit's map that nobody else reads. */
static void take_average(sfi_rank_plan *plan, const sfconv_net *net, int32_t node)
{
    const sfconv_layer *layer = net->nodes[node].layer;
    if (!by_layer(plan, net, node) || !sfi_is_global_average(layer)) {
        return;
    }
    const int32_t unit = sfi_rank_input(plan, net, node, 0);
    if (plan->nodes[unit].role == SFI_RANK_UNIT && plan->nodes[unit].unpooled < 0 &&
        sfi_rank_only_user(plan, unit) == node) {
        take(plan, unit, unit, node);
    }
}

void sfi_rank_find_finishes(sfi_rank_plan *plan, const sfconv_net *net)
{
    for (int32_t node = 0; node < net->node_count; node++) {
        take_average(plan, net, node);
    }
    for (int32_t conv = 0; conv < net->node_count; conv++) {
        int32_t last = conv;
        int32_t next = sfi_rank_only_user(plan, conv);
        if (!by_layer(plan, net, conv) || !net->nodes[conv].layer->kind->finishes) {
            continue;
        }
        if (takes_norm(plan, net, next)) {
            last = take(plan, conv, last, next);
            next = sfi_rank_only_user(plan, last);
        }
        if (takes_sum(plan, net, next, last, conv)) {
            last = take(plan, conv, last, next);
            next = sfi_rank_only_user(plan, last);
        }
        if (takes_activation(plan, net, next)) {
            take(plan, conv, last, next);
        }
    }
}

/* The BatchNorm behind `conv` that it does itself, or NULL. */
static const sfconv_layer *norm_of(const sfi_rank_plan *plan, const sfconv_net *net, int32_t conv)
{
    const int32_t next = plan->nodes[conv].finished_at < 0 ? -1 : plan->nodes[conv].user;
    const sfconv_layer *layer = next < 0 ? NULL : net->nodes[next].layer;
    return layer && sfi_is_batchnorm2d(layer) ? layer : NULL;
}

int64_t sfi_rank_normals_bytes(const sfi_rank_plan *plan, const sfconv_net *net, int32_t conv)
{
    const sfconv_layer *norm = norm_of(plan, net, conv);
    return norm ? norm->parameters[0].count * (int64_t)sizeof(sfk_normal) : 0;
}

const sfi_finish *sfi_rank_fill_finish(const sfconv_run *run, int32_t conv, sfi_finish *finish)
{
    const sfi_rank_plan *plan = &run->plan.rank;
    const sfconv_net *net = run->net;
    const int32_t last = plan->active ? plan->nodes[conv].finished_at : -1;
    int32_t which;
    *finish = (sfi_finish){.activation = SFK_IDENTITY};
    for (int32_t node = conv; node != last && last >= 0;) {
        const int32_t before = node;
        node = plan->nodes[node].user;
        const sfconv_layer *layer = net->nodes[node].layer;
        if (sfi_is_batchnorm2d(layer)) {
            sfk_normal *normals = (sfk_normal *)(run->memory + plan->nodes[conv].normals);
            sfi_batchnorm2d_normals(layer, normals);
            finish->normals = normals;
        } else if (sfi_activation_facts(layer, &which, &finish->slope)) {
            finish->activation = finish->slope > 0.0f ? SFK_LEAKY_RELU : SFK_RELU;
        } else {
            finish->addend = sfi_run_value(run, other_input(plan, &net->nodes[node], before));
        }
    }
    return last >= 0 ? finish : NULL;
}
