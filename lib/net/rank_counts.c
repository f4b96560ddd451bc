/* SPDX-License-Identifier: BSD-2-Clause */
/* Multiply-adds of a training step in rank space, beyond those of forward (rank_layout.c). */
#include "rank_stem_back.h"

/* Moments of the taps, the upper half of a symmetric matrix, and the product of P with it. */
int64_t sfi_rank_observe_macs(const sfi_plan *plan, const sfconv_net *net, int32_t norm)
{
    const sfi_shape shape = plan->steps[norm].shape;
    const int32_t conv = net->nodes[norm].inputs[0];
    const int64_t depth = sfi_rank_taps(net->nodes[conv].layer);
    if (plan->rank.nodes[conv].lines) {
        return sfi_stem_moments_macs(plan, net, conv) + shape.c * depth * depth;
    }
    return shape.n * shape.h * shape.w * (depth * (depth + 1) / 2) + shape.c * depth * depth;
}

/* The maps made again unless they are stored, gradients of P, gradients of the taps; what BatchNorm
 * subtracts from these: P·M, K, and K·p at each pixel. */
static int64_t unit_macs(const sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    const sfi_shape shape = plan->steps[node].shape;
    sfi_rank_unit unit;
    sfi_rank_unit_of(&unit, &plan->rank, net, node);
    if (unit.lines) {
        return sfi_stem_backward_macs(plan, net, node);
    }
    const int64_t expansion = sfi_shape_count(shape) * unit.depth;
    int64_t macs = (plan->rank.nodes[node].stored ? 2 : 3) * expansion;
    for (int32_t part = 0; part < unit.part_count; part++) {
        const int64_t depth = sfi_rank_taps(net->nodes[unit.conv[part]].layer);
        const bool corrected = unit.norm[part] >= 0;
        macs += corrected ? (2 * shape.c + shape.n * shape.h * shape.w) * depth * depth : 0;
    }
    return macs;
}

int64_t sfi_rank_backward_macs(const sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    const sfi_shape shape = plan->steps[node].shape;
    const bool has_unit = plan->rank.nodes[node].role == SFI_RANK_UNIT;
    const bool pulls = has_unit || plan->steps[node].wants_gradient;
    const sfi_rank_sink *sink;
    int64_t macs = 0;
    int32_t index = 0;
    if (!sfi_rank_has_step(&plan->rank, node)) {
        return 0;
    }
    /* Gradients of Q, and Qᵀ times those of the mixed maps. */
    while ((sink = sfi_back_next_sink(&plan->rank, node, &index)) != NULL) {
        const sfi_rank_maps maps = sfi_rank_maps_of(plan, net, sink->consumer);
        const int64_t pixels =
            sink->via == SFI_VIA_POOL ? shape.h / 2 * (shape.w / 2) : shape.h * shape.w;
        macs += (pulls ? 2 : 1) * shape.n * shape.c * pixels * sfi_rank_mixed_count(&maps);
    }
    return macs + (has_unit ? unit_macs(plan, net, node) : 0);
}
