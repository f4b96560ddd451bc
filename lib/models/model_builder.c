/* SPDX-License-Identifier: BSD-2-Clause */
#include "model_builder.h"

#include "error.h"
#include "layer_kinds.h"
#include "ranks.h"

#include <stdio.h>

static void join_name(char full[SFI_MAX_NAME], const char *prefix, const char *name)
{
    snprintf(full, SFI_MAX_NAME, "%s%s%s", prefix, prefix[0] ? "." : "", name);
}

/* As sfconv_net_initialize() seeds the layer, so that it need not be drawn twice. */
static uint64_t seed_of(const sfi_builder *builder, const char *prefix, const char *name)
{
    char full[SFI_MAX_NAME];
    join_name(full, prefix, name);
    return sfi_node_seed(builder->desc->seed, full);
}

/* Adds a layer just made and lets go of it. */
static int32_t add(sfi_builder *builder, const char *prefix, const char *name, sfconv_layer *layer,
                   const int32_t *inputs, int32_t count)
{
    int32_t node = -1;
    if (builder->status >= 0) {
        char full[SFI_MAX_NAME];
        join_name(full, prefix, name);
        builder->status = sfi_net_add_layer(builder->net, full, layer, inputs, count, &node);
    }
    sfi_layer_release(layer);
    return node;
}

int32_t sfi_build_input(sfi_builder *builder)
{
    int32_t node = -1;
    if (builder->status >= 0) {
        builder->status =
            sfi_net_add_input(builder->net, "input", builder->desc->in_channels, &node);
    }
    return node;
}

/* Takes the numbers of a weight from the room before the weight is made. Channels and ranks are
 * bounded, so that no product of theirs overflows. */
static sfconv_status take_room(sfi_builder *builder, int64_t numbers)
{
    if (numbers > builder->room) {
        return sfi_fail(builder->net->context, SFCONV_ERROR_ARGUMENT,
                        "model: expected weights of at most %lld more numbers, got %lld",
                        (long long)builder->room, (long long)numbers);
    }
    builder->room -= numbers;
    return SFCONV_OK;
}

static sfconv_conv2d_desc dense_desc(sfi_conv_unit unit, bool has_bias, uint64_t seed)
{
    sfconv_conv2d_desc desc = SFCONV_CONV2D_DESC_INIT;
    desc.in_channels = unit.in;
    desc.out_channels = unit.out;
    for (int axis = 0; axis < 2; axis++) {
        desc.kernel[axis] = unit.kernel;
        desc.stride[axis] = unit.stride;
        desc.padding[axis] = unit.kernel / 2;
    }
    desc.has_bias = has_bias;
    desc.seed = seed;
    return desc;
}

static sfconv_status make_dense(sfi_builder *builder, const sfconv_conv2d_desc *desc,
                                sfconv_layer **layer)
{
    const sfconv_status status = take_room(builder, desc->in_channels * desc->out_channels *
                                                        desc->kernel[0] * desc->kernel[1]);
    return status < 0 ? status : sfi_conv2d_new(layer, builder->net->context, desc);
}

static sfconv_status make_separable(sfi_builder *builder, const sfconv_conv2d_desc *desc,
                                    sfconv_layer **layer)
{
    const sfconv_status status = take_room(
        builder, desc->in_channels * (desc->kernel[0] * desc->kernel[1] + desc->out_channels));
    return status < 0 ? status : sfi_dsconv2d_new(layer, builder->net->context, desc);
}

/* The rank that the caller lists, or that of the rule. */
static int64_t next_rank(sfi_builder *builder, sfi_conv_unit unit)
{
    const sfconv_model_desc *desc = builder->desc;
    const int64_t index = builder->factorized++;
    const int64_t most = (unit.in < unit.out ? unit.in : unit.out) * unit.kernel;
    if (!desc->rank_count) {
        return sfi_rank_of_ratio(unit.out, unit.in, unit.kernel, unit.kernel, desc->ratio,
                                 desc->min_rank);
    }
    if (index >= desc->rank_count) {
        return 1;
    }
    if (desc->ranks[index] < 1 || desc->ranks[index] > most) {
        builder->status =
            sfi_fail(builder->net->context, SFCONV_ERROR_ARGUMENT,
                     "model: rank %lld of the list is %lld, expected 1 to %lld", (long long)index,
                     (long long)desc->ranks[index], (long long)most);
    }
    return desc->ranks[index];
}

static sfconv_status make_factorized(sfi_builder *builder, sfi_conv_unit unit, uint64_t seed,
                                     sfconv_layer **layer)
{
    sfconv_sfconv2d_desc desc = SFCONV_SFCONV2D_DESC_INIT;
    const int32_t method = builder->desc->method;
    desc.in_channels = unit.in;
    desc.out_channels = unit.out;
    for (int axis = 0; axis < 2; axis++) {
        desc.kernel[axis] = unit.kernel;
        desc.stride[axis] = unit.stride;
        desc.padding[axis] = unit.kernel / 2;
    }
    desc.seed = seed;
    desc.rank = next_rank(builder, unit);
    desc.regularizer_weight = builder->desc->regularizer_weight;
    desc.spectral_norm = method == SFCONV_METHOD_FCONVSN;
    if (method == SFCONV_METHOD_FCONV) {
        desc.initialization = SFCONV_INITIALIZATION_SPECTRAL;
        desc.regularizer = SFCONV_REGULARIZER_FROBENIUS;
    } else if (method == SFCONV_METHOD_SFCONV) {
        desc.regularizer = SFCONV_REGULARIZER_KL;
    }
    sfconv_status status = builder->status;
    if (status >= 0) {
        status = take_room(builder, desc.rank * unit.kernel * (unit.in + unit.out));
    }
    return status < 0 ? status : sfi_sfconv2d_new(layer, builder->net->context, &desc);
}

int32_t sfi_build_conv(sfi_builder *builder, const char *prefix, const char *name, int32_t input,
                       sfi_conv_unit unit)
{
    sfconv_layer *layer = NULL;
    const uint64_t seed = seed_of(builder, prefix, name);
    const sfconv_conv2d_desc desc = dense_desc(unit, false, seed);
    if (builder->status < 0) {
        return -1;
    }
    switch (builder->desc->method) {
    case SFCONV_METHOD_CONV:
        builder->status = make_dense(builder, &desc, &layer);
        break;
    case SFCONV_METHOD_DPCCONV:
        /* A 1x1 convolution has no depthwise part to separate. */
        builder->status = unit.kernel == 1 ? make_dense(builder, &desc, &layer)
                                           : make_separable(builder, &desc, &layer);
        break;
    default:
        builder->status = make_factorized(builder, unit, seed, &layer);
    }
    return add(builder, prefix, name, layer, &input, 1);
}

int32_t sfi_build_dense(sfi_builder *builder, const char *prefix, const char *name, int32_t input,
                        sfi_conv_unit unit, bool has_bias)
{
    sfconv_layer *layer = NULL;
    const sfconv_conv2d_desc desc = dense_desc(unit, has_bias, seed_of(builder, prefix, name));
    if (builder->status >= 0) {
        builder->status = make_dense(builder, &desc, &layer);
    }
    return add(builder, prefix, name, layer, &input, 1);
}

int32_t sfi_build_batchnorm(sfi_builder *builder, const char *prefix, const char *name,
                            int32_t input, int64_t channels)
{
    sfconv_layer *layer = NULL;
    sfconv_batchnorm2d_desc desc = SFCONV_BATCHNORM2D_DESC_INIT;
    desc.channels = channels;
    if (builder->status >= 0) {
        builder->status = sfi_batchnorm2d_new(&layer, builder->net->context, &desc);
    }
    return add(builder, prefix, name, layer, &input, 1);
}

int32_t sfi_build_relu(sfi_builder *builder, const char *prefix, const char *name, int32_t input)
{
    sfconv_layer *layer = NULL;
    if (builder->status >= 0) {
        builder->status =
            sfi_activation_new(&layer, builder->net->context, SFCONV_ACTIVATION_RELU, 0.0);
    }
    return add(builder, prefix, name, layer, &input, 1);
}

int32_t sfi_build_pool(sfi_builder *builder, const char *prefix, const char *name, int32_t input,
                       const sfconv_pool2d_desc *desc)
{
    sfconv_layer *layer = NULL;
    if (builder->status >= 0) {
        builder->status = sfi_pool2d_new(&layer, builder->net->context, desc);
    }
    return add(builder, prefix, name, layer, &input, 1);
}

int32_t sfi_build_upsample(sfi_builder *builder, const char *prefix, const char *name,
                           int32_t input)
{
    static const int64_t twice[2] = {2, 2};
    sfconv_layer *layer = NULL;
    if (builder->status >= 0) {
        builder->status = sfi_upsample2d_new(&layer, builder->net->context,
                                             SFCONV_UPSAMPLE_BILINEAR_ALIGNED, twice);
    }
    return add(builder, prefix, name, layer, &input, 1);
}

/* A node of two inputs, of a kind without settings. */
static int32_t build_joint(sfi_builder *builder, const char *prefix, const char *name, int32_t a,
                           int32_t b, sfconv_status (*make)(sfconv_layer **, sfconv_context *))
{
    const int32_t inputs[2] = {a, b};
    sfconv_layer *layer = NULL;
    if (builder->status >= 0) {
        builder->status = make(&layer, builder->net->context);
    }
    return add(builder, prefix, name, layer, inputs, 2);
}

int32_t sfi_build_add(sfi_builder *builder, const char *prefix, const char *name, int32_t a,
                      int32_t b)
{
    return build_joint(builder, prefix, name, a, b, sfi_add_new);
}

int32_t sfi_build_concat(sfi_builder *builder, const char *prefix, const char *name, int32_t a,
                         int32_t b)
{
    return build_joint(builder, prefix, name, a, b, sfi_concat_new);
}

int32_t sfi_build_linear(sfi_builder *builder, const char *prefix, const char *name, int32_t input,
                         int64_t in, int64_t out)
{
    sfconv_layer *layer = NULL;
    sfconv_linear_desc desc = SFCONV_LINEAR_DESC_INIT;
    desc.in_features = in;
    desc.out_features = out;
    desc.seed = seed_of(builder, prefix, name);
    if (builder->status >= 0) {
        builder->status = take_room(builder, in * out);
    }
    if (builder->status >= 0) {
        builder->status = sfi_linear_new(&layer, builder->net->context, &desc);
    }
    return add(builder, prefix, name, layer, &input, 1);
}

void sfi_build_output(sfi_builder *builder, int32_t node)
{
    if (builder->status >= 0) {
        builder->status = sfi_net_add_output(builder->net, node);
    }
}
