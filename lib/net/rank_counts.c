/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_counts.h"

#include "rank_quads.h"
#include "rank_stem_back.h"
#include "rank_tiles.h"

static sfi_rank_unit unit_of(const sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    sfi_rank_unit unit;
    sfi_rank_unit_of(&unit, &plan->rank, net, node);
    return unit;
}

sfi_macs sfi_rank_unit_macs(const sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    const sfi_shape shape = plan->steps[node].shape;
    if (plan->rank.nodes[node].role != SFI_RANK_UNIT) {
        return sfi_direct_macs(0);
    }
    const sfi_rank_unit unit = unit_of(plan, net, node);
    if (unit.lines) {
        const int32_t stem = unit.conv[0];
        return (sfi_macs){sfi_rank_stem_macs(plan, net, stem),
                          sfi_shape_count(plan->steps[stem].shape) *
                              sfi_rank_taps(net->nodes[stem].layer),
                          SFI_F_4_4};
    }
    const int64_t direct = sfi_shape_count(shape) * unit.depth;
    return unit.quads ? (sfi_macs){sfi_rank_quads_macs(&unit, shape), direct, SFI_F_4_3}
                      : sfi_direct_macs(direct);
}

/* The maps made again unless they are stored, gradients of P, gradients of the taps; what BatchNorm
 * subtracts from these: P·M, K, and K·p at each pixel. */
sfi_macs sfi_rank_unit_backward_macs(const sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    const sfi_shape shape = plan->steps[node].shape;
    if (plan->rank.nodes[node].role != SFI_RANK_UNIT) {
        return sfi_direct_macs(0);
    }
    const sfi_rank_unit unit = unit_of(plan, net, node);
    if (unit.lines) {
        return sfi_direct_macs(sfi_stem_backward_macs(plan, net, node));
    }
    const int64_t expansion = sfi_shape_count(shape) * unit.depth;
    int64_t macs = (plan->rank.nodes[node].stored ? 2 : 3) * expansion;
    for (int32_t part = 0; part < unit.part_count; part++) {
        const int64_t depth = sfi_rank_taps(net->nodes[unit.conv[part]].layer);
        const bool corrected = unit.norm[part] >= 0;
        /* P·M, half of K, K·p. */
        macs += corrected ? shape.c * (depth * depth + depth * (depth + 1) / 2) +
                                shape.n * shape.h * shape.w * depth * depth
                          : 0;
    }
    return sfi_direct_macs(macs);
}

/* Products of the channels of the base's map, or of the pooled one, with the mixed maps. */
static int64_t mixing_macs(const sfi_plan *plan, const sfconv_net *net, const sfi_rank_sink *sink)
{
    const sfi_shape shape = plan->steps[sink->base].shape;
    const sfi_rank_maps maps = sfi_rank_maps_of(plan, net, sink->consumer);
    const int64_t pixels =
        sink->via == SFI_VIA_POOL ? shape.h / 2 * (shape.w / 2) : shape.h * shape.w;
    return sink->via == SFI_VIA_COPY ? 0 : shape.n * shape.c * pixels * sfi_rank_mixed_count(&maps);
}

sfi_macs sfi_rank_sink_macs(const sfi_plan *plan, const sfconv_net *net, const sfi_rank_sink *sink)
{
    const int64_t direct = mixing_macs(plan, net, sink);
    return sink->tiled ? (sfi_macs){sfi_rank_tiles_macs(plan, net, sink), direct, SFI_F_4_3}
                       : sfi_direct_macs(direct);
}

/* Gradients of Q, and Qᵀ times those of the mixed maps where somebody wants them. */
sfi_macs sfi_rank_sink_backward_macs(const sfi_plan *plan, const sfconv_net *net,
                                     const sfi_rank_sink *sink)
{
    const bool pulls = plan->rank.nodes[sink->base].role == SFI_RANK_UNIT ||
                       plan->steps[sink->base].wants_gradient;
    return sfi_direct_macs((pulls ? 2 : 1) * mixing_macs(plan, net, sink));
}

/* Moments of the taps, the upper half of a symmetric matrix, and the product of P with it. */
sfi_macs sfi_rank_observe_macs(const sfi_plan *plan, const sfconv_net *net, int32_t norm)
{
    const sfi_shape shape = plan->steps[norm].shape;
    const int32_t conv = net->nodes[norm].inputs[0];
    const int64_t depth = sfi_rank_taps(net->nodes[conv].layer);
    const int64_t moments = plan->rank.nodes[conv].lines
                                ? sfi_stem_moments_macs(plan, net, conv)
                                : shape.n * shape.h * shape.w * (depth * (depth + 1) / 2);
    return sfi_direct_macs(moments + shape.c * (depth * (depth + 1) / 2));
}
