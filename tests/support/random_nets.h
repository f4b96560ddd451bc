/* SPDX-License-Identifier: BSD-2-Clause */
/* Nets drawn at random, of what a user may build: chains, residual sums also with a convolution on
 * the short way, skips, concatenations also of one map twice, pooling, up-sampling also by 1,
 * several inputs, consumers and outputs, dropout, heads, nodes that no output needs; images from
 * 1x1 on and long ones, kernels from 1 to 7, strides and dilations up to 3, any padding, any rank.
 */
#ifndef TESTS_RANDOM_NETS_H
#define TESTS_RANDOM_NETS_H

#include "nets.h"

#include <stdio.h>

#define RANDOM_NODES 48
/* Those that one step may add. */
#define RANDOM_STEP 10
#define RANDOM_INPUTS 3
/* Sizes and channels beyond which nothing is added. */
#define RANDOM_SIZE 64
#define RANDOM_CHANNELS 300

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
    /* Of each net input. */
    sfconv_shape shapes[RANDOM_INPUTS];
    int32_t input_count;
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

static inline random_map *last_map(random_net *made)
{
    return &made->maps[made->count - 1];
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

static inline void put_random_input(random_net *made, random_map map)
{
    char name[8];
    snprintf(name, sizeof name, "x%d", made->input_count);
    map.node = put_input(made->net, name, map.channels);
    map.used = false;
    made->shapes[made->input_count++] =
        (sfconv_shape){made->batch, map.channels, map.height, map.width};
    made->maps[made->count++] = map;
}

/* A window that slides over a map. */
typedef struct random_window {
    int64_t kernel[2];
    int64_t stride[2];
    int64_t padding[2];
    int64_t dilation[2];
} random_window;

/* Into the fields of a layer's description. */
static inline void copy_window(const random_window *window, int64_t kernel[2], int64_t stride[2],
                               int64_t padding[2], int64_t dilation[2])
{
    memcpy(kernel, window->kernel, sizeof window->kernel);
    memcpy(stride, window->stride, sizeof window->stride);
    memcpy(padding, window->padding, sizeof window->padding);
    memcpy(dilation, window->dilation, sizeof window->dilation);
}

/* `keep`: as many pixels come out. */
static inline random_window draw_window(random_net *made, bool keep)
{
    random_window window;
    for (int axis = 0; axis < 2; axis++) {
        const bool odd = keep || draw(made, 6) > 0;
        window.kernel[axis] = odd ? 2 * draw(made, 4) + 1 : 1 + draw(made, 6);
        window.stride[axis] = !keep && draw(made, 4) == 0 ? 1 + draw(made, 3) : 1;
        window.dilation[axis] = draw(made, 5) == 0 ? 1 + draw(made, 3) : 1;
        window.padding[axis] = keep || draw(made, 6)
                                   ? window.dilation[axis] * (window.kernel[axis] / 2)
                                   : draw(made, 5);
    }
    return window;
}

/* Takes the map's size through the window; whether anything sensible is left. */
static inline bool pass_window(random_map *map, const random_window *window)
{
    int64_t *size[2] = {&map->height, &map->width};
    for (int axis = 0; axis < 2; axis++) {
        const int64_t room = *size[axis] + 2 * window->padding[axis] -
                             window->dilation[axis] * (window->kernel[axis] - 1) - 1;
        const int64_t result = room / window->stride[axis] + 1;
        if (room < 0 || (result > RANDOM_SIZE && result > *size[axis])) {
            return false;
        }
        *size[axis] = result;
    }
    return true;
}

/* Rank: mostly small, at times whatever the weights can have, which may be more than channels. */
static inline int64_t draw_rank(random_net *made, const sfconv_sfconv2d_desc *desc)
{
    const int64_t by_q = desc->in_channels * desc->kernel[1];
    const int64_t by_p = desc->out_channels * desc->kernel[0];
    const int64_t most = by_q < by_p ? by_q : by_p;
    const int64_t usual = draw(made, 4) ? 3 : 12;
    const int64_t limit = draw(made, 8) == 0 ? 70 : usual;
    return 1 + draw(made, most < limit ? most : limit);
}

/* `keep`: as many maps of the same size come out. */
static inline void put_random_sfconv(random_net *made, random_map *in, bool keep)
{
    sfconv_sfconv2d_desc desc = SFCONV_SFCONV2D_DESC_INIT;
    sfconv_layer *layer;
    random_map out = *in;
    const random_window window = draw_window(made, keep);
    if (!pass_window(&out, &window)) {
        return;
    }
    copy_window(&window, desc.kernel, desc.stride, desc.padding, desc.dilation);
    desc.in_channels = in->channels;
    out.channels = keep || draw(made, 2) ? in->channels : 1 + draw(made, draw(made, 8) ? 40 : 130);
    desc.out_channels = out.channels;
    desc.rank = draw_rank(made, &desc);
    desc.has_bias = (int32_t)draw(made, 2);
    desc.spectral_norm = draw(made, 20) == 0;
    desc.seed = made->drawn;
    ck_assert_int_eq(sfconv_sfconv2d_create(&layer, made->context, &desc), SFCONV_OK);
    put_map(made, layer, &in, 1, out);
}

/* Dense, as a stem or a head, in groups or depthwise separable. */
static inline void put_random_conv(random_net *made, random_map *in)
{
    sfconv_conv2d_desc desc = SFCONV_CONV2D_DESC_INIT;
    sfconv_layer *layer;
    random_map out = *in;
    random_window window = draw_window(made, false);
    if (draw(made, 2)) {
        const int64_t stride = draw(made, 3) ? 1 : 2;
        window = (random_window){{1, 1}, {stride, stride}, {0, 0}, {1, 1}};
    }
    if (!pass_window(&out, &window)) {
        return;
    }
    copy_window(&window, desc.kernel, desc.stride, desc.padding, desc.dilation);
    desc.in_channels = in->channels;
    out.channels = 1 + draw(made, 40);
    const bool separable = draw(made, 6) == 0;
    if (!separable && draw(made, 6) == 0) {
        desc.groups = in->channels;
        out.channels = in->channels * (1 + draw(made, 2));
    }
    desc.out_channels = out.channels;
    desc.has_bias = (int32_t)draw(made, 2);
    desc.seed = made->drawn;
    ck_assert_int_eq(separable ? sfconv_dsconv2d_create(&layer, made->context, &desc)
                               : sfconv_conv2d_create(&layer, made->context, &desc),
                     SFCONV_OK);
    put_map(made, layer, &in, 1, out);
}

/* Mostly 2x2 maxima. */
static inline void put_random_pool(random_net *made, random_map *in)
{
    sfconv_pool2d_desc desc = SFCONV_POOL2D_DESC_INIT;
    sfconv_layer *layer;
    random_map out = *in;
    random_window window = {{2, 2}, {2, 2}, {0, 0}, {1, 1}};
    if (draw(made, 10) == 0) {
        desc.kind = SFCONV_POOL_GLOBAL_AVERAGE;
        window = (random_window){{in->height, in->width}, {1, 1}, {0, 0}, {1, 1}};
    } else if (draw(made, 3) == 0) {
        desc.kind = draw(made, 2) ? SFCONV_POOL_MAX : SFCONV_POOL_AVERAGE;
        for (int axis = 0; axis < 2; axis++) {
            window.kernel[axis] = 1 + draw(made, 4);
            window.stride[axis] = 1 + draw(made, 3);
            window.padding[axis] = draw(made, window.kernel[axis] / 2 + 1);
        }
    }
    if (!pass_window(&out, &window)) {
        return;
    }
    if (desc.kind != SFCONV_POOL_GLOBAL_AVERAGE) {
        memcpy(desc.kernel, window.kernel, sizeof desc.kernel);
        memcpy(desc.stride, window.stride, sizeof desc.stride);
        memcpy(desc.padding, window.padding, sizeof desc.padding);
    }
    ck_assert_int_eq(sfconv_pool2d_create(&layer, made->context, &desc), SFCONV_OK);
    put_map(made, layer, &in, 1, out);
}

static inline void put_random_upsample(random_net *made, random_map *in)
{
    static const int32_t kinds[] = {SFCONV_UPSAMPLE_NEAREST, SFCONV_UPSAMPLE_BILINEAR_ALIGNED,
                                    SFCONV_UPSAMPLE_BILINEAR};
    const bool wider = draw(made, 4) > 0;
    const int64_t factor[2] = {wider ? 1 + draw(made, 3) : 1, wider ? 1 + draw(made, 3) : 1};
    sfconv_layer *layer;
    random_map out = *in;
    out.height *= factor[0];
    out.width *= factor[1];
    if (wider && (out.height > RANDOM_SIZE || out.width > RANDOM_SIZE)) {
        return;
    }
    ck_assert_int_eq(sfconv_upsample2d_create(&layer, made->context, kinds[draw(made, 3)], factor),
                     SFCONV_OK);
    put_map(made, layer, &in, 1, out);
}

/* Sum or concatenation of `in` with maps that fit it, in either order. */
static inline void put_random_join(random_net *made, random_map *in, bool sum)
{
    random_map *inputs[4] = {in};
    random_map out = *in;
    const int most = 2 + (int)draw(made, 3);
    int count = 1;
    for (int i = made->count - 1; i >= 0 && count < most; i--) {
        random_map *other = &made->maps[i];
        const bool fits = draw(made, 3) && other->height == in->height &&
                          other->width == in->width && (!sum || other->channels == in->channels);
        if (fits && (other != in || draw(made, 3) == 0) &&
            out.channels + other->channels <= RANDOM_CHANNELS) {
            inputs[count++] = other;
            out.channels += sum ? 0 : other->channels;
        }
    }
    if (count == 1) {
        return;
    }
    if (draw(made, 2)) {
        inputs[0] = inputs[count - 1];
        inputs[count - 1] = in;
    }
    put_map(made, sum ? new_add(made->context) : new_concat(made->context), inputs, count, out);
}

/* Fewer values have statistics that are all rounding. */
static inline bool can_normalize(const random_net *made, const random_map *in)
{
    return made->batch * in->height * in->width > 3;
}

static inline void put_random_norm(random_net *made, random_map *in)
{
    sfconv_batchnorm2d_desc desc = SFCONV_BATCHNORM2D_DESC_INIT;
    sfconv_layer *layer;
    if (!can_normalize(made, in)) {
        return;
    }
    desc.channels = in->channels;
    desc.epsilon = draw(made, 3) ? desc.epsilon : 1e-3;
    desc.momentum = draw(made, 3) ? desc.momentum : 0.5;
    ck_assert_int_eq(sfconv_batchnorm2d_create(&layer, made->context, &desc), SFCONV_OK);
    put_map(made, layer, &in, 1, *in);
}

static inline void put_random_activation(random_net *made, random_map *in)
{
    static const int32_t kinds[] = {SFCONV_ACTIVATION_RELU,       SFCONV_ACTIVATION_RELU,
                                    SFCONV_ACTIVATION_LEAKY_RELU, SFCONV_ACTIVATION_LEAKY_RELU,
                                    SFCONV_ACTIVATION_SILU,       SFCONV_ACTIVATION_SIGMOID};
    static const double slopes[] = {0, 0.1, 0.3, 1};
    sfconv_layer *layer;
    ck_assert_int_eq(sfconv_activation_create(&layer, made->context, kinds[draw(made, 6)],
                                              slopes[draw(made, 4)]),
                     SFCONV_OK);
    put_map(made, layer, &in, 1, *in);
}

static inline void put_random_relu(random_net *made)
{
    random_map *in = last_map(made);
    put_map(made, new_activation(made->context, SFCONV_ACTIVATION_RELU), &in, 1, *in);
}

/* Dropout, or a dense layer of everything. */
static inline void put_random_head(random_net *made, random_map *in)
{
    const int64_t features = in->channels * in->height * in->width;
    if (draw(made, 3)) {
        put_map(made, new_dropout(made->context), &in, 1, *in);
    } else if (features <= 2000) {
        const random_map out = {.channels = 1 + draw(made, 9), .height = 1, .width = 1};
        put_map(made, new_linear(made->context, features, out.channels, made->drawn), &in, 1, out);
    }
}

/* relu(bn(sfconv(in)) + in), or + another sfconv of in. */
static inline void put_residual(random_net *made, random_map *in)
{
    random_map *sum[2] = {NULL, in};
    put_random_sfconv(made, in, true);
    if (draw(made, 2)) {
        put_random_norm(made, last_map(made));
    }
    sum[0] = last_map(made);
    if (draw(made, 3) == 0) {
        put_random_sfconv(made, in, true);
        sum[1] = last_map(made);
    }
    put_map(made, new_add(made->context), sum, 2, *in);
    put_random_relu(made);
}

/* A layer of kernel `kernel` to the maps of `out`, dense or of rank 2. */
static inline void put_strided(random_net *made, random_map *in, int64_t kernel, int64_t stride,
                               bool dense, random_map out)
{
    const int64_t padding = kernel / 2;
    sfconv_layer *layer;
    if (dense) {
        sfconv_conv2d_desc desc = SFCONV_CONV2D_DESC_INIT;
        desc.in_channels = in->channels;
        desc.out_channels = out.channels;
        desc.kernel[0] = desc.kernel[1] = kernel;
        desc.stride[0] = desc.stride[1] = stride;
        desc.padding[0] = desc.padding[1] = padding;
        desc.seed = made->drawn;
        ck_assert_int_eq(sfconv_conv2d_create(&layer, made->context, &desc), SFCONV_OK);
    } else {
        sfconv_sfconv2d_desc desc = SFCONV_SFCONV2D_DESC_INIT;
        desc.in_channels = in->channels;
        desc.out_channels = out.channels;
        desc.kernel[0] = desc.kernel[1] = kernel;
        desc.stride[0] = desc.stride[1] = stride;
        desc.padding[0] = desc.padding[1] = padding;
        desc.rank = kernel == 1 ? 1 : 2;
        desc.seed = made->drawn;
        ck_assert_int_eq(sfconv_sfconv2d_create(&layer, made->context, &desc), SFCONV_OK);
    }
    put_map(made, layer, &in, 1, out);
}

/* The block of a ResNet that makes maps smaller: two convolutions, and one on the short way. */
static inline void put_down_block(random_net *made, random_map *in)
{
    const int64_t stride = 1 + draw(made, 2);
    const random_map out = {.channels = 4 + draw(made, 20),
                            .height = (in->height - 1) / stride + 1,
                            .width = (in->width - 1) / stride + 1};
    random_map *sum[2];
    if (!can_normalize(made, &out)) {
        return;
    }
    put_strided(made, in, 3, stride, false, out);
    put_random_norm(made, last_map(made));
    put_random_relu(made);
    put_strided(made, last_map(made), 3, 1, false, out);
    put_random_norm(made, last_map(made));
    sum[0] = last_map(made);
    put_strided(made, in, 1, stride, draw(made, 2) == 0, out);
    if (draw(made, 2)) {
        put_random_norm(made, last_map(made));
    }
    sum[1] = last_map(made);
    put_map(made, new_add(made->context), sum, 2, out);
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
    random_map *in = draw_map(made);
    const bool even = in->height % 2 == 0 && in->width % 2 == 0;
    switch (draw(made, 26)) {
    case 0:
    case 1:
        put_random_conv(made, in);
        break;
    case 2:
    case 3:
        put_random_norm(made, in);
        break;
    case 4:
    case 5:
    case 6:
        put_random_activation(made, in);
        break;
    case 7:
    case 8:
        put_random_pool(made, in);
        break;
    case 9:
    case 10:
        put_random_upsample(made, in);
        break;
    case 11:
    case 12:
    case 13:
        put_random_join(made, in, draw(made, 2) == 0);
        break;
    case 14:
    case 15:
        put_down_block(made, in);
        break;
    case 16:
        put_residual(made, in);
        break;
    case 17:
        if (even && in->channels < 100) {
            put_skip(made, in);
        }
        break;
    case 18:
        put_random_head(made, in);
        break;
    case 19:
        if (made->input_count < RANDOM_INPUTS && draw(made, 3) == 0) {
            random_map beside = *in;
            beside.channels = draw(made, 2) ? in->channels : 1 + draw(made, 9);
            put_random_input(made, beside);
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

/* Most maps that nobody uses are outputs, and a few of the others. */
static inline void choose_outputs(random_net *made)
{
    int outputs = 0;
    for (int i = 0; i < made->count; i++) {
        const bool open = !made->maps[i].used && draw(made, 12);
        if (open || draw(made, 30) == 0 || (i == made->count - 1 && outputs == 0)) {
            put_output(made->net, made->maps[i].node);
            outputs++;
        }
    }
}

static inline random_net begin_random_net(sfconv_context *context, uint64_t seed, uint64_t stream)
{
    random_net made = {.context = context, .net = empty_net(context), .random = {seed, stream}};
    made.wanted = 4 + (int)draw(&made, RANDOM_NODES - RANDOM_STEP - 4);
    made.batch = 1 + draw(&made, 4);
    return made;
}

static inline void complete_random_net(random_net *made)
{
    for (int tries = 0; made->count < made->wanted && tries < 4 * RANDOM_NODES; tries++) {
        put_random_node(made);
    }
    choose_outputs(made);
    settle_random_net(made);
}

static inline random_net new_random_net(sfconv_context *context, uint64_t seed)
{
    random_net made = begin_random_net(context, seed, 0);
    const int64_t largest = draw(&made, 4) ? 34 : 6;
    random_map image = {.channels = 1 + draw(&made, 7),
                        .height = 1 + draw(&made, largest),
                        .width = 1 + draw(&made, largest)};
    if (draw(&made, 12) == 0) {
        image.height = 1 + draw(&made, 3);
        image.width = 150 + draw(&made, 300);
    }
    put_random_input(&made, image);
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
        put_random_norm(made, last_map(made));
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
    random_map image = {.channels = 1 + draw(&made, 3), .height = 5 + draw(&made, 30)};
    image.width = 5 + draw(&made, draw(&made, 4) ? 70 : 300);
    put_random_input(&made, image);
    put_random_stem(&made);
    complete_random_net(&made);
    return made;
}

/* Multiplies every weight by 1 ± 2^-22: what rounding may do to results that cancel. */
static inline void shake_weights(const sfconv_net *net)
{
    for (int32_t i = 0; i < sfconv_net_parameter_count(net); i++) {
        const sfconv_parameter_info info = parameter_of(net, i);
        const sfi_random random = {NETS_SEED, 1000 + (uint64_t)i};
        for (int64_t j = 0; info.trainable && j < sfconv_view_count(&info.view); j++) {
            const double part = 2 * sfi_random_uniform(random, (uint64_t)j) - 1;
            info.view.data[j] *= (float)(1 + part * 0x1p-22);
        }
    }
}

static inline void reshape_random(sfconv_run *run, const random_net *made)
{
    ck_assert_int_eq(sfconv_run_reshape(run, made->shapes, made->input_count, NULL, 0), SFCONV_OK);
}

#endif
