/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_sinks.h"

#include "layer_facts.h"
#include "sfconv2d.h"
#include "sizes.h"

/* Sinks of one consumer, unless a single concatenation has more inputs. */
#define MAX_JOINED 64

static bool is_upsampling(const sfconv_layer *layer)
{
    int32_t which;
    int64_t factor[2];
    return sfi_upsample2d_facts(layer, &which, factor);
}

/* Maps that a node joins when every concatenation on the way is taken apart, MAX_JOINED + 1 at
 * most. A concatenation joins two or more, so `depth` of them one in the other are more than
 * `depth` maps. */
static int32_t joined_maps(const sfconv_net *net, int32_t node, int32_t depth)
{
    const sfi_node *self = &net->nodes[node];
    while (self->layer && (is_upsampling(self->layer) || self->layer->kind->passes_in_inference)) {
        self = &net->nodes[self->inputs[0]];
    }
    if (!self->layer || !sfi_is_concat(self->layer)) {
        return 1;
    }
    int32_t count = depth < MAX_JOINED ? 0 : MAX_JOINED + 1;
    for (int32_t j = 0; j < self->input_count && count <= MAX_JOINED; j++) {
        count += joined_maps(net, self->inputs[j], depth + 1);
    }
    return (int32_t)sfi_min(count, MAX_JOINED + 1);
}

int32_t sfi_rank_max_sinks(const sfconv_net *net)
{
    int32_t count = 1;
    for (int32_t i = 0; i < net->node_count; i++) {
        if (net->nodes[i].layer) {
            count += joined_maps(net, net->nodes[i].inputs[0], 0);
        }
    }
    return count;
}

static bool is_pooling(const sfconv_layer *layer)
{
    return sfi_is_max_pool_2x2(layer) || sfi_is_average_pool(layer);
}

/* Pools or up-samples, and may do so as the map is made or behind the mixing of channels. */
static bool is_transport(const sfconv_layer *layer)
{
    return is_upsampling(layer) || is_pooling(layer);
}

/* More than these are better mixed of the averages, which are fewer pixels. */
#define MAX_AVERAGED 32

/* Maps that are mixed of the map before they are averaged. */
static int64_t averaged_maps(const sfi_rank_plan *plan, const sfconv_net *net,
                             const sfi_step *steps, int32_t node)
{
    int64_t count = 0;
    for (int32_t user = node + 1; user < net->node_count; user++) {
        const bool mixes = plan->nodes[user].contracts && sfi_is_computed(steps, user) &&
                           sfi_rank_input(plan, net, user, 0) == node;
        if (mixes) {
            const sfi_sfconv2d *conv = sfi_as_const_sfconv2d(net->nodes[user].layer);
            count += conv ? conv->desc.rank * conv->desc.kernel[1] : steps[user].shape.c;
        }
    }
    return count;
}

/* The first node that needs the map of `node`, a concatenation or a transport; -1 where all
 * contract it or are virtual. What is behind these is noted in `self`. */
static int32_t reader_of(const sfi_rank_plan *plan, const sfconv_net *net, const sfi_step *steps,
                         int32_t node, sfi_rank_node *self)
{
    const bool joins = sfi_is_concat(net->nodes[node].layer);
    for (int32_t user = node + 1; user < net->node_count; user++) {
        const sfi_rank_node *behind = &plan->nodes[user];
        for (int32_t j = 0; sfi_is_computed(steps, user) && j < net->nodes[user].input_count; j++) {
            if (sfi_rank_input(plan, net, user, j) != node || behind->contracts) {
                continue;
            }
            if (behind->role != SFI_RANK_VIRTUAL ||
                (joins ? behind->crowded : behind->transported)) {
                return user;
            }
            self->transported |= behind->transported;
            self->crowded |= behind->crowded;
        }
    }
    return -1;
}

void sfi_rank_find_virtual(sfi_rank_plan *plan, const sfconv_net *net, const sfi_step *steps)
{
    for (int32_t i = net->node_count - 1; i >= 0; i--) {
        sfi_rank_node *self = &plan->nodes[i];
        const sfconv_layer *layer = net->nodes[i].layer;
        if (!layer || !steps[i].live || !(sfi_is_concat(layer) || is_transport(layer))) {
            continue;
        }
        self->reader = reader_of(plan, net, steps, i, self);
        if (self->is_output) {
            self->reason = SFI_REASON_OUTPUT;
        } else if (is_pooling(layer) &&
                   plan->nodes[sfi_rank_input(plan, net, i, 0)].role != SFI_RANK_UNIT) {
            self->reason = SFI_REASON_APART;
        } else if (sfi_is_average_pool(layer) &&
                   averaged_maps(plan, net, steps, i) > MAX_AVERAGED) {
            self->reason = SFI_REASON_AVERAGED;
        } else if (self->reader >= 0) {
            self->reason = SFI_REASON_READ;
        } else {
            self->reason = SFI_REASON_NONE;
            self->role = SFI_RANK_VIRTUAL;
            self->transported |= is_transport(layer);
            self->crowded |= joined_maps(net, i, 0) > MAX_JOINED;
        }
    }
}

static enum sfi_rank_via via_of(const sfi_rank_plan *plan, const sfconv_net *net, int32_t consumer,
                                int32_t transport)
{
    if (plan->nodes[consumer].copies) {
        return SFI_VIA_COPY;
    }
    if (transport < 0) {
        return SFI_VIA_NOTHING;
    }
    const sfconv_layer *layer = net->nodes[transport].layer;
    if (sfi_is_average_pool(layer)) {
        return SFI_VIA_AVERAGE;
    }
    return sfi_is_max_pool_2x2(layer) ? SFI_VIA_POOL : SFI_VIA_UPSAMPLE;
}

/* Sinks of the map of `source`, or of the maps that it joins: channels `channel` … of the
 * consumer's input. */
static void add_sinks(sfi_rank_plan *plan, const sfconv_net *net, const sfi_step *steps,
                      int32_t consumer, int32_t source, int32_t transport, int64_t channel)
{
    if (plan->nodes[source].role != SFI_RANK_VIRTUAL) {
        plan->nodes[source].read_in_strips = true;
        plan->sinks[plan->sink_count++] =
            (sfi_rank_sink){.base = source,
                            .consumer = consumer,
                            .via = via_of(plan, net, consumer, transport),
                            .transport = transport,
                            .channel = channel,
                            .mixed = SFI_NO_BUFFER,
                            .mixed_gradient = SFI_NO_BUFFER};
        return;
    }
    const bool joins = sfi_is_concat(net->nodes[source].layer);
    for (int32_t j = 0; j < net->nodes[source].input_count; j++) {
        const int32_t input = sfi_rank_input(plan, net, source, j);
        add_sinks(plan, net, steps, consumer, input, joins ? transport : source, channel);
        channel += steps[input].shape.c;
    }
}

/* Whether sink a is computed before sink b, which comes later in the list: the step of a base
 * leaves what waits to the end. */
static bool comes_before(const sfi_rank_sink *a, const sfi_rank_sink *b)
{
    const bool waits = sfi_rank_waits(a) && !sfi_rank_waits(b);
    return a->base < b->base || (a->base == b->base && !waits);
}

/* The sink that is computed first begins the maps. */
static void choose_first(sfi_rank_plan *plan, int32_t consumer, int32_t begin)
{
    int32_t first = begin;
    for (int32_t i = begin; i < plan->sink_count; i++) {
        plan->sinks[i].accumulate = true;
        if (!comes_before(&plan->sinks[first], &plan->sinks[i])) {
            first = i;
        }
    }
    plan->sinks[first].accumulate = false;
    plan->nodes[consumer].first_base = plan->sinks[first].base;
}

void sfi_rank_list_sinks(sfi_rank_plan *plan, const sfconv_net *net, const sfi_step *steps)
{
    plan->sink_count = 0;
    for (int32_t i = 0; i < net->node_count; i++) {
        const int32_t begin = plan->sink_count;
        if (plan->nodes[i].contracts || plan->nodes[i].copies) {
            add_sinks(plan, net, steps, i, sfi_rank_input(plan, net, i, 0), -1, 0);
            choose_first(plan, i, begin);
        }
    }
}
