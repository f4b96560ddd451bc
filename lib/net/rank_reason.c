/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_reason.h"

#include "conv2d.h"
#include "layer_facts.h"
#include "rank_plan.h"

#include <inttypes.h>
#include <stdio.h>

/* What a reason says without a number or a name. */
static const char *const phrases[] = {[SFI_REASON_NONE] = "",
                                      [SFI_REASON_KIND] = "no part in rank space",
                                      [SFI_REASON_SPECTRAL_NORM] = "spectral norm",
                                      [SFI_REASON_MOMENTS] = "moments cost more than a map",
                                      [SFI_REASON_SIZES] = "sizes overflow",
                                      [SFI_REASON_STEM] =
                                          "stem without BatchNorm and pooling to train it by",
                                      [SFI_REASON_APART] = "not behind a unit",
                                      [SFI_REASON_AVERAGED] = "many maps are mixed of its averages",
                                      [SFI_REASON_OUTPUT] = "wanted as output",
                                      [SFI_REASON_POOLED] = "pooled stem"};

static void convolution_text(enum sfi_rank_reason reason, const sfi_conv2d *dense, char *text,
                             size_t capacity)
{
    const sfconv_conv2d_desc *desc = &dense->desc;
    if (reason == SFI_REASON_GROUPS) {
        snprintf(text, capacity, "%" PRId64 " groups", desc->groups);
    } else if (reason == SFI_REASON_CHANNELS) {
        snprintf(text, capacity, "%" PRId64 " output channels", desc->out_channels);
    } else if (reason == SFI_REASON_TAPS) {
        snprintf(text, capacity, "stem of %" PRId64 " taps",
                 desc->in_channels * desc->kernel[0] * desc->kernel[1]);
    } else {
        const int64_t *sizes = reason == SFI_REASON_KERNEL   ? desc->kernel
                               : reason == SFI_REASON_STRIDE ? desc->stride
                                                             : desc->padding;
        snprintf(text, capacity, "%s %" PRId64 "x%" PRId64,
                 reason == SFI_REASON_KERNEL   ? "kernel"
                 : reason == SFI_REASON_STRIDE ? "stride"
                                               : "padding",
                 sizes[0], sizes[1]);
    }
}

static const char *activation_name(const sfconv_layer *layer)
{
    int32_t which = 0;
    float slope;
    const bool known = sfi_activation_facts(layer, &which, &slope);
    return known && which == SFCONV_ACTIVATION_SILU      ? "activation silu"
           : known && which == SFCONV_ACTIVATION_SIGMOID ? "activation sigmoid"
                                                         : "activation";
}

void sfi_rank_reason_text(const sfi_rank_node *self, const sfconv_net *net, int32_t index,
                          char *text, size_t capacity)
{
    const sfconv_layer *layer = net->nodes[index].layer;
    switch (self->reason) {
    case SFI_REASON_KERNEL:
    case SFI_REASON_STRIDE:
    case SFI_REASON_PADDING:
    case SFI_REASON_GROUPS:
    case SFI_REASON_CHANNELS:
    case SFI_REASON_TAPS:
        convolution_text(self->reason, sfi_as_conv2d(layer), text, capacity);
        break;
    case SFI_REASON_ACTIVATION:
        snprintf(text, capacity, "%s", activation_name(layer));
        break;
    case SFI_REASON_SHARED:
        snprintf(text, capacity, "others read the map of %s", net->nodes[self->reader].name);
        break;
    case SFI_REASON_READ:
        snprintf(text, capacity, "read by %s", net->nodes[self->reader].name);
        break;
    default:
        snprintf(text, capacity, "%s", phrases[self->reason]);
        break;
    }
}
