/* SPDX-License-Identifier: BSD-2-Clause */
/* Nets drawn at random: chains, residual sums, skips and concatenations, pooling, up-sampling,
 * several consumers and several outputs, odd sizes, kernels 1 to 7, strides and dilations 1 and 2.
 */
#ifndef TESTS_RANDOM_NETS_H
#define TESTS_RANDOM_NETS_H

#include "nets.h"

#include <stdio.h>

#define RANDOM_NODES 48
/* Those that one step may add. */
#define RANDOM_STEP 10

typedef struct random_map {
    int32_t node;
    int64_t channels;
    int64_t height;
    int64_t width;
    bool used;
} random_map;

typedef struct random_net {
    sfconv_context *context;
    sfconv_net *net;
    sfi_random random;
    uint64_t drawn;
    random_map maps[RANDOM_NODES];
    int count;
    int wanted;
    int64_t batch;
} random_net;

/* 0 … bound - 1. */
static inline int64_t draw(random_net *made, int64_t bound)
{
    return (int64_t)sfi_random_below(made->random, made->drawn++, (uint64_t)bound);
}

/* Mostly the latest, so that nets become deep and what follows a layer can be fused with it. */
static inline random_map *draw_map(random_net *made)
{
    const int64_t back = draw(made, 4) ? 0 : draw(made, made->count);
    return &made->maps[made->count - 1 - back];
}

static inline void put_map(random_net *made, sfconv_layer *layer, random_map *const *inputs,
                           int count, random_map result)
{
    int32_t nodes[4];
    char name[24];
    for (int i = 0; i < count; i++) {
        nodes[i] = inputs[i]->node;
        inputs[i]->used = true;
    }
    snprintf(name, sizeof name, "%s%d", sfconv_layer_kind(layer), made->count);
    result.node = put_layer(made->net, name, layer, nodes, count);
    result.used = false;
    made->maps[made->count++] = result;
}

/* `keep`: as many maps of the same size come out. */
static inline void put_random_sfconv(random_net *made, random_map *in, bool keep)
{
    sfconv_sfconv2d_desc desc = SFCONV_SFCONV2D_DESC_INIT;
    sfconv_layer *layer;
    random_map out = *in;
    int64_t *size[2] = {&out.height, &out.width};
    desc.in_channels = in->channels;
    out.channels = keep || draw(made, 2) ? in->channels : 3 + draw(made, 40);
    desc.out_channels = out.channels;
    for (int axis = 0; axis < 2; axis++) {
        desc.kernel[axis] = 2 * draw(made, 4) + 1;
        desc.stride[axis] = !keep && draw(made, 4) == 0 && *size[axis] > 8 ? 2 : 1;
        desc.dilation[axis] = draw(made, 5) == 0 ? 2 : 1;
        desc.padding[axis] = desc.dilation[axis] * (desc.kernel[axis] / 2);
        *size[axis] = (*size[axis] - 1) / desc.stride[axis] + 1;
    }
    const int64_t most = draw(made, 4) ? 3 : 12;
    const int64_t limit = in->channels < out.channels ? in->channels : out.channels;
    desc.rank = 1 + draw(made, most < limit ? most : limit);
    desc.has_bias = (int32_t)draw(made, 2);
    desc.seed = made->drawn;
    ck_assert_int_eq(sfconv_sfconv2d_create(&layer, made->context, &desc), SFCONV_OK);
    put_map(made, layer, &in, 1, out);
}

static inline void put_random_conv(random_net *made, random_map *in)
{
    sfconv_conv2d_desc desc = SFCONV_CONV2D_DESC_INIT;
    sfconv_layer *layer;
    random_map out = *in;
    const int64_t kernel = draw(made, 3) ? 1 : 3;
    desc.in_channels = in->channels;
    desc.out_channels = out.channels = 1 + draw(made, 9);
    desc.kernel[0] = desc.kernel[1] = kernel;
    desc.padding[0] = desc.padding[1] = kernel / 2;
    desc.has_bias = (int32_t)draw(made, 2);
    desc.seed = made->drawn;
    ck_assert_int_eq(sfconv_conv2d_create(&layer, made->context, &desc), SFCONV_OK);
    put_map(made, layer, &in, 1, out);
}

static inline void put_random_pool(random_net *made, random_map *in)
{
    sfconv_pool2d_desc desc = SFCONV_POOL2D_DESC_INIT;
    sfconv_layer *layer;
    random_map out = *in;
    if (draw(made, 4) == 0) {
        desc.kernel[0] = desc.kernel[1] = 3;
        desc.padding[0] = desc.padding[1] = 1;
    }
    out.height = (in->height + 2 * desc.padding[0] - desc.kernel[0]) / 2 + 1;
    out.width = (in->width + 2 * desc.padding[1] - desc.kernel[1]) / 2 + 1;
    ck_assert_int_eq(sfconv_pool2d_create(&layer, made->context, &desc), SFCONV_OK);
    put_map(made, layer, &in, 1, out);
}

static inline void put_random_upsample(random_net *made, random_map *in)
{
    static const int32_t kinds[] = {SFCONV_UPSAMPLE_NEAREST, SFCONV_UPSAMPLE_BILINEAR_ALIGNED,
                                    SFCONV_UPSAMPLE_BILINEAR};
    const int64_t factor[2] = {1 + draw(made, 3), 1 + draw(made, 3)};
    sfconv_layer *layer;
    random_map out = *in;
    out.height *= factor[0];
    out.width *= factor[1];
    ck_assert_int_eq(sfconv_upsample2d_create(&layer, made->context, kinds[draw(made, 3)], factor),
                     SFCONV_OK);
    put_map(made, layer, &in, 1, out);
}

/* Sum or concatenation of `in` with maps that fit it. */
static inline void put_random_join(random_net *made, random_map *in, bool sum)
{
    random_map *inputs[3] = {in};
    random_map out = *in;
    int count = 1;
    for (int i = made->count - 1; i >= 0 && count < 3; i--) {
        random_map *other = &made->maps[i];
        const bool fits = draw(made, 3) && other->height == in->height &&
                          other->width == in->width && (!sum || other->channels == in->channels);
        if (fits && (other != in || draw(made, 4) == 0)) {
            inputs[count++] = other;
            out.channels += sum ? 0 : other->channels;
        }
    }
    if (count > 1) {
        put_map(made, sum ? new_add(made->context) : new_concat(made->context), inputs, count, out);
    }
}

static inline random_map *last_map(random_net *made)
{
    return &made->maps[made->count - 1];
}

static inline void put_random_norm(random_net *made)
{
    random_map *in = last_map(made);
    put_map(made, new_batchnorm(made->context, in->channels), &in, 1, *in);
}

static inline void put_random_relu(random_net *made)
{
    random_map *in = last_map(made);
    put_map(made, new_activation(made->context, SFCONV_ACTIVATION_RELU), &in, 1, *in);
}

/* relu(bn(sfconv(in)) + in), or + another sfconv of in. */
static inline void put_residual(random_net *made, random_map *in)
{
    random_map *sum[2] = {NULL, in};
    put_random_sfconv(made, in, true);
    if (draw(made, 2)) {
        put_random_norm(made);
    }
    sum[0] = last_map(made);
    if (draw(made, 3) == 0) {
        put_random_sfconv(made, in, true);
        sum[1] = last_map(made);
    }
    put_map(made, new_add(made->context), sum, 2, *in);
    put_random_relu(made);
}

/* sfconv([in, up-sampled relu(sfconv(pooled in))]) */
static inline void put_skip(random_net *made, random_map *in)
{
    const random_map whole = *in;
    random_map half = *in;
    put_random_sfconv(made, in, true);
    put_random_relu(made);
    random_map *skip = last_map(made);
    half.height /= 2;
    half.width /= 2;
    put_map(made, new_pool(made->context, SFCONV_POOL_MAX), &skip, 1, half);
    put_random_sfconv(made, last_map(made), true);
    put_random_relu(made);
    random_map *deep = last_map(made);
    random_map *join[2] = {skip, NULL};
    put_map(made, new_upsample(made->context, SFCONV_UPSAMPLE_BILINEAR_ALIGNED), &deep, 1, whole);
    join[1] = last_map(made);
    random_map both = whole;
    both.channels *= 2;
    put_map(made, new_concat(made->context), join, 2, both);
    put_random_sfconv(made, last_map(made), false);
}

static inline void put_random_node(random_net *made)
{
    static const int32_t activations[] = {SFCONV_ACTIVATION_RELU, SFCONV_ACTIVATION_RELU,
                                          SFCONV_ACTIVATION_LEAKY_RELU, SFCONV_ACTIVATION_SIGMOID,
                                          SFCONV_ACTIVATION_SILU};
    random_map *in = draw_map(made);
    const bool even = in->height % 2 == 0 && in->width % 2 == 0;
    switch (draw(made, 18)) {
    case 0:
        put_random_conv(made, in);
        break;
    case 1:
    case 2:
        put_map(made, new_batchnorm(made->context, in->channels), &in, 1, *in);
        break;
    case 3:
    case 4:
    case 5:
        put_map(made, new_activation(made->context, activations[draw(made, 5)]), &in, 1, *in);
        break;
    case 6:
    case 7:
        if (in->height > 3 && in->width > 3) {
            put_random_pool(made, in);
        }
        break;
    case 8:
    case 9:
        if (in->height < 16 && in->width < 16) {
            put_random_upsample(made, in);
        }
        break;
    case 10:
    case 11:
        put_random_join(made, in, draw(made, 2) == 0);
        break;
    case 12:
        put_residual(made, in);
        break;
    case 13:
        if (even && in->channels < 100) {
            put_skip(made, in);
        }
        break;
    default:
        put_random_sfconv(made, in, false);
    }
}

/* BatchNorms that scale and shift, so that folding shows. */
static inline void settle_random_net(random_net *made)
{
    for (int32_t i = 0; i < sfconv_net_parameter_count(made->net); i++) {
        const sfconv_parameter_info info = parameter_of(made->net, i);
        for (int64_t j = 0;
             info.view.shape[1] == 0 && info.view.rank == 1 && j < sfconv_view_count(&info.view);
             j++) {
            info.view.data[j] += 0.3f * (float)draw(made, 100) / 100.0f;
        }
    }
}

static inline random_net begin_random_net(sfconv_context *context, uint64_t seed, uint64_t stream)
{
    random_net made = {.context = context, .net = empty_net(context), .random = {seed, stream}};
    made.wanted = 6 + (int)draw(&made, RANDOM_NODES - RANDOM_STEP - 6);
    made.batch = 1 + draw(&made, 2);
    made.maps[0] = (random_map){.channels = 3 + draw(&made, 5),
                                .height = 5 + draw(&made, 30),
                                .width = 5 + draw(&made, 30)};
    return made;
}

static inline void put_random_input(random_net *made)
{
    made->maps[0].node = put_input(made->net, "x", made->maps[0].channels);
    made->count = 1;
}

static inline void complete_random_net(random_net *made)
{
    while (made->count < made->wanted) {
        put_random_node(made);
    }
    for (int i = 0; i < made->count; i++) {
        if (!made->maps[i].used || draw(made, 30) == 0) {
            put_output(made->net, made->maps[i].node);
        }
    }
    settle_random_net(made);
}

static inline random_net new_random_net(sfconv_context *context, uint64_t seed)
{
    random_net made = begin_random_net(context, seed, 0);
    put_random_input(&made);
    complete_random_net(&made);
    return made;
}

/* A dense convolution of horizontal stride 2 on few channels, a norm or none, an activation or
 * none, 3x3 max pooling. */
static inline void put_random_stem(random_net *made)
{
    static const int32_t activations[] = {SFCONV_ACTIVATION_RELU, SFCONV_ACTIVATION_LEAKY_RELU};
    sfconv_conv2d_desc desc = SFCONV_CONV2D_DESC_INIT;
    sfconv_pool2d_desc pool = SFCONV_POOL2D_DESC_INIT;
    sfconv_layer *layer;
    random_map *in = last_map(made);
    random_map out = *in;
    desc.in_channels = in->channels;
    desc.out_channels = out.channels = 1 + draw(made, 80);
    desc.kernel[0] = 1 + draw(made, 7);
    desc.kernel[1] = 4 + draw(made, 5);
    desc.stride[0] = 1 + draw(made, 2);
    desc.stride[1] = 2;
    desc.dilation[0] = 1 + draw(made, 2);
    desc.padding[0] = desc.dilation[0] * (desc.kernel[0] / 2);
    desc.padding[1] = desc.kernel[1] / 2;
    desc.has_bias = (int32_t)draw(made, 2);
    desc.seed = made->drawn;
    out.height = (in->height + 2 * desc.padding[0] - desc.dilation[0] * (desc.kernel[0] - 1) - 1) /
                     desc.stride[0] +
                 1;
    out.width = (in->width + 2 * desc.padding[1] - desc.kernel[1]) / 2 + 1;
    ck_assert_int_eq(sfconv_conv2d_create(&layer, made->context, &desc), SFCONV_OK);
    put_map(made, layer, &in, 1, out);
    if (draw(made, 3)) {
        put_random_norm(made);
    }
    if (draw(made, 4)) {
        in = last_map(made);
        put_map(made, new_activation(made->context, activations[draw(made, 2)]), &in, 1, *in);
    }
    in = last_map(made);
    pool.kernel[0] = pool.kernel[1] = 3;
    pool.padding[0] = pool.padding[1] = 1;
    out = *in;
    out.height = (in->height - 1) / 2 + 1;
    out.width = (in->width - 1) / 2 + 1;
    ck_assert_int_eq(sfconv_pool2d_create(&layer, made->context, &pool), SFCONV_OK);
    put_map(made, layer, &in, 1, out);
}

/* Begins with such a stem, on images of up to 300 columns. */
static inline random_net new_random_stem_net(sfconv_context *context, uint64_t seed)
{
    random_net made = begin_random_net(context, seed, 1);
    made.maps[0].width += draw(&made, 4) ? draw(&made, 40) : draw(&made, 270);
    made.maps[0].channels = 1 + draw(&made, 3);
    put_random_input(&made);
    put_random_stem(&made);
    complete_random_net(&made);
    return made;
}

static inline sfconv_shape random_net_shape(const random_net *made)
{
    const random_map *in = &made->maps[0];
    return (sfconv_shape){made->batch, in->channels, in->height, in->width};
}

#endif
