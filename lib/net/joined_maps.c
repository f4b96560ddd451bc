/* SPDX-License-Identifier: BSD-2-Clause */
/* Inference: maps that a concatenation joins are computed where they lie in its map, so that
 * nothing is copied. That needs a batch of one image, as the maps of an image follow each other
 * there, and maps that are not the caller's, inputs and outputs, which outlive a forward. A map
 * that is made long before it is joined holds the place of the whole until then, which may take
 * more memory than copies: sfi_plan_make() has maps join only if the run takes no more. */
#include "layer_facts.h"
#include "memory.h"
#include "plan.h"

/* Whether the map of `node` may lie `shift` bytes into another: not where strips read it, which
 * need elements behind its end. */
static bool may_join(const sfi_plan *plan, const sfconv_net *net, int32_t node, int64_t shift)
{
    const sfi_rank_node *ranked = &plan->rank.nodes[node];
    const bool needs_no_slack = !plan->rank.active || (ranked->stored && !ranked->read_in_strips);
    return net->nodes[node].layer && needs_no_slack && !sfi_plan_is_output(plan, net, node) &&
           shift % SFI_ALIGNMENT == 0 && plan->steps[node].slice == SFI_NO_SLICE &&
           plan->steps[node].slice_count == 0;
}

static void join_inputs(sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    const sfi_node *self = &net->nodes[node];
    sfi_step *step = &plan->steps[node];
    int64_t shift = 0;
    step->first_slice = plan->slice_count;
    for (int32_t i = 0; i < self->input_count; i++) {
        const int32_t part = plan->steps[self->inputs[i]].holder;
        const int64_t bytes = sfi_shape_count(plan->steps[part].shape) * (int64_t)sizeof(float);
        if (may_join(plan, net, part, shift)) {
            plan->steps[part].slice = plan->slice_count;
            plan->slices[plan->slice_count++] = (sfi_slice){
                .shift = shift, .bytes = bytes, .offset = &plan->steps[part].value, .node = node};
        }
        shift += bytes;
    }
    step->slice_count = plan->slice_count - step->first_slice;
}

void sfi_plan_part_maps(sfi_plan *plan, const sfconv_net *net)
{
    plan->slice_count = 0;
    for (int32_t i = 0; i < net->node_count; i++) {
        plan->steps[i].slice = SFI_NO_SLICE;
        plan->steps[i].slice_count = 0;
    }
}

bool sfi_plan_join_maps(sfi_plan *plan, const sfconv_net *net)
{
    for (int32_t i = 0; i < net->node_count; i++) {
        const sfi_step *step = &plan->steps[i];
        if (step->live && step->shape.n == 1 && sfi_plan_goes_by_layer(plan, net, i) &&
            sfi_is_concat(net->nodes[i].layer)) {
            join_inputs(plan, net, i);
        }
    }
    return plan->slice_count > 0;
}
