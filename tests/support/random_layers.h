/* SPDX-License-Identifier: BSD-2-Clause */
/* Layers drawn at random and put into a net that is being drawn (random_nets.h): each fits the map
 * it is put behind, or nothing is put. */
#ifndef TESTS_RANDOM_LAYERS_H
#define TESTS_RANDOM_LAYERS_H

#include "nets.h"

#include <stdio.h>

#define RANDOM_NODES 56
/* Those that one step may add. */
#define RANDOM_STEP 18
#define RANDOM_INPUTS 3
/* Sizes and channels beyond which nothing is added. */
#define RANDOM_SIZE 64
#define RANDOM_CHANNELS 300
/* Of a batch of maps in wide nets, more than which are slow to compute everything with; of a few.
 */
#define RANDOM_VALUES 40000
#define MANY_RANDOM_VALUES 160000

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
    /* Of ranks, channels and windows as in networks that are in use: many code paths begin at 8
     * mixed maps or at dozens of channels. */
    bool wide;
    /* Whether training finds those of the inputs: some stems are trained otherwise then. */
    bool input_gradients;
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

/* At times, behind the map that was put last. */
static inline void put_random_dropout(random_net *made)
{
    random_map *in = last_map(made);
    if (draw(made, 10) == 0) {
        put_map(made, new_dropout(made->context), &in, 1, *in);
    }
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

/* Channels for a map of this size: any number up to what is quickly computed, at times a whole
 * number of vectors; or `least` and fewer than `most` more. */
static inline int64_t draw_channels(random_net *made, const random_map *size, int64_t least,
                                    int64_t most)
{
    if (!made->wide) {
        return least + draw(made, most);
    }
    const int64_t values = draw(made, 6) ? RANDOM_VALUES : MANY_RANDOM_VALUES;
    const int64_t affordable = values / (size->height * size->width * made->batch);
    const int64_t limit = affordable < 16 ? 16 : affordable;
    const int64_t channels = 1 + draw(made, limit < RANDOM_CHANNELS ? limit : RANDOM_CHANNELS);
    return draw(made, 3) || channels < 16 ? channels : channels / 16 * 16;
}

/* `keep`: as many pixels come out. */
static inline random_window draw_window(random_net *made, bool keep)
{
    random_window window = {{3, 3}, {1, 1}, {1, 1}, {1, 1}};
    if (made->wide && draw(made, 6)) {
        return window;
    }
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

/* Rank: mostly small, in wide nets up to 40, at times whatever the weights can have, which may be
 * more than channels. */
static inline int64_t draw_rank(random_net *made, const sfconv_sfconv2d_desc *desc)
{
    const int64_t by_q = desc->in_channels * desc->kernel[1];
    const int64_t by_p = desc->out_channels * desc->kernel[0];
    const int64_t most = by_q < by_p ? by_q : by_p;
    const int64_t usual = draw(made, 4) ? made->wide ? 40 : 3 : 12;
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
    if (!keep && draw(made, 2) == 0) {
        out.channels = draw_channels(made, &out, 1, draw(made, 8) ? 40 : 130);
    }
    desc.out_channels = out.channels;
    desc.rank = draw_rank(made, &desc);
    desc.has_bias = (int32_t)draw(made, 2);
    desc.spectral_norm = draw(made, 8) == 0;
    desc.seed = made->drawn;
    ck_assert_int_eq(sfconv_sfconv2d_create(&layer, made->context, &desc), SFCONV_OK);
    put_map(made, layer, &in, 1, out);
    put_random_dropout(made);
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
    out.channels = draw_channels(made, &out, 1, 40);
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

/* Mostly 2x2, and of these mostly maxima. */
static inline void put_random_pool(random_net *made, random_map *in)
{
    sfconv_pool2d_desc desc = SFCONV_POOL2D_DESC_INIT;
    sfconv_layer *layer;
    random_map out = *in;
    random_window window = {{2, 2}, {2, 2}, {0, 0}, {1, 1}};
    if (draw(made, 10) == 0) {
        desc.kind = SFCONV_POOL_GLOBAL_AVERAGE;
        window = (random_window){{in->height, in->width}, {1, 1}, {0, 0}, {1, 1}};
    } else if (draw(made, made->wide ? 2 : 4) == 0) {
        desc.kind = SFCONV_POOL_AVERAGE;
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
    put_random_dropout(made);
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
    put_random_dropout(made);
}

static inline void put_random_relu(random_net *made)
{
    random_map *in = last_map(made);
    put_map(made, new_activation(made->context, SFCONV_ACTIVATION_RELU), &in, 1, *in);
    put_random_dropout(made);
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

#endif
