/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_kinds.h"

#include "conv2d.h"
#include "layer_facts.h"
#include "plan.h"
#include "sfconv2d.h"
#include "sizes.h"

/* A wider 1x1 convolution is better served by the dense product. */
#define MAX_POINTWISE 32
/* Taps of a stem: few enough to be passed over for each channel. */
#define MAX_STEM 256

/* Why a dense convolution does not mix the channels of each pixel and nothing else. */
static enum sfi_rank_reason why_not_pointwise(const sfi_conv2d *dense)
{
    const sfconv_conv2d_desc *desc = &dense->desc;
    if (desc->kernel[0] != 1 || desc->kernel[1] != 1) {
        return SFI_REASON_KERNEL;
    }
    if (desc->stride[0] != 1 || desc->stride[1] != 1) {
        return SFI_REASON_STRIDE;
    }
    if (desc->padding[0] != 0 || desc->padding[1] != 0) {
        return SFI_REASON_PADDING;
    }
    if (desc->groups != 1) {
        return SFI_REASON_GROUPS;
    }
    return desc->out_channels > MAX_POINTWISE ? SFI_REASON_CHANNELS : SFI_REASON_NONE;
}

bool sfi_rank_is_pointwise(const sfi_conv2d *dense)
{
    return why_not_pointwise(dense) == SFI_REASON_NONE;
}

/* Sizes that the step multiplies must be countable: maps, mixed maps and folded weights. */
static bool sizes_fit(const sfi_sfconv2d *conv, sfi_shape in, sfi_shape out)
{
    const sfconv_sfconv2d_desc *desc = &conv->desc;
    int64_t padded;
    int64_t bytes;
    return sfi_add(&padded, in.h, 2 * desc->padding[0] + desc->stride[0]) &&
           sfi_product(&bytes, (int64_t[]){in.n, desc->rank, padded, out.w, 8}, 5) &&
           sfi_product(&bytes, (int64_t[]){in.n, desc->rank, desc->kernel[1], in.h, in.w, 8}, 6) &&
           sfi_product(&bytes, (int64_t[]){in.n, desc->rank, desc->kernel[0], out.h, out.w, 8},
                       6) &&
           sfi_product(&bytes,
                       (int64_t[]){desc->rank, desc->kernel[0], desc->rank, desc->kernel[0], 512},
                       5) &&
           sfi_product(&bytes, (int64_t[]){desc->rank, desc->kernel[0], out.c, 256}, 4) &&
           sfi_product(&bytes, (int64_t[]){desc->rank, desc->kernel[1], in.c, 256}, 4);
}

bool sfi_rank_is_relu(const sfconv_layer *layer)
{
    int32_t which;
    float slope;
    return sfi_activation_facts(layer, &which, &slope) &&
           (which == SFCONV_ACTIVATION_RELU || which == SFCONV_ACTIVATION_LEAKY_RELU);
}

/* Why a live layer is not a first half, by its kind; SFI_REASON_APART: a unit may take it in. */
static enum sfi_rank_reason why_not_contracted(const sfconv_net *net, const sfi_step *steps,
                                               int32_t index, bool training)
{
    const sfi_node *node = &net->nodes[index];
    const sfi_sfconv2d *factorized = sfi_as_const_sfconv2d(node->layer);
    const sfi_conv2d *dense = sfi_as_conv2d(node->layer);
    int32_t which;
    float slope;
    if (factorized && factorized->desc.spectral_norm && training) {
        return SFI_REASON_SPECTRAL_NORM;
    }
    if (factorized) {
        const sfi_shape in = steps[node->inputs[0]].shape;
        return sizes_fit(factorized, in, steps[index].shape) ? SFI_REASON_NONE : SFI_REASON_SIZES;
    }
    if (dense) {
        return why_not_pointwise(dense);
    }
    if (sfi_activation_facts(node->layer, &which, &slope) && !sfi_rank_is_relu(node->layer)) {
        return SFI_REASON_ACTIVATION;
    }
    const bool takes_part =
        sfi_rank_is_relu(node->layer) || sfi_is_batchnorm2d(node->layer) || sfi_is_add(node->layer);
    return takes_part ? SFI_REASON_APART : SFI_REASON_KIND;
}

/* Why a live dense convolution of an input is not a stem. */
static enum sfi_rank_reason why_no_stem(const sfconv_net *net, const sfi_step *steps, int32_t index)
{
    const sfi_node *node = &net->nodes[index];
    const sfconv_conv2d_desc *desc = &sfi_as_conv2d(node->layer)->desc;
    const sfi_shape in = steps[node->inputs[0]].shape;
    int64_t taps, padded, bytes;
    if (desc->groups != 1) {
        return SFI_REASON_GROUPS;
    }
    if (!sfi_product(&taps, (int64_t[]){in.c, desc->kernel[0], desc->kernel[1]}, 3) ||
        taps > MAX_STEM) {
        return SFI_REASON_TAPS;
    }
    const bool fits =
        sfi_add(&padded, in.h, 2 * desc->padding[0] + desc->stride[0]) &&
        sfi_product(&bytes, (int64_t[]){in.n, taps, padded, steps[index].shape.w, 8}, 5);
    return fits ? SFI_REASON_NONE : SFI_REASON_SIZES;
}

void sfi_rank_judge_kind(sfi_rank_node *self, const sfconv_net *net, const sfi_step *steps,
                         int32_t index, bool training)
{
    const sfi_node *node = &net->nodes[index];
    if (!node->layer || !steps[index].live) {
        return;
    }
    self->reason = why_not_contracted(net, steps, index, training);
    self->contracts = self->reason == SFI_REASON_NONE;
    if (!self->contracts && sfi_as_conv2d(node->layer) &&
        !net->nodes[steps[node->inputs[0]].holder].layer) {
        self->reason = why_no_stem(net, steps, index);
        self->copies = self->reason == SFI_REASON_NONE;
    }
}
