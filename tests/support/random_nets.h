/* SPDX-License-Identifier: BSD-2-Clause */
/* Nets drawn at random, of what a user may build: chains, residual sums also with a convolution on
 * the short way, skips, concatenations also of one map twice, pooling, up-sampling also by 1,
 * several inputs, consumers and outputs, dropout, heads, nodes that no output needs; images from
 * 1x1 on and long ones, kernels from 1 to 7, strides and dilations up to 3, any padding, any rank.
 */
#ifndef TESTS_RANDOM_NETS_H
#define TESTS_RANDOM_NETS_H

#include "random_layers.h"

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

/* A layer of kernel `kernel` to the maps of `out`, dense or of rank 2, or any in wide nets. */
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
        desc.rank = made->wide ? draw_rank(made, &desc) : kernel == 1 ? 1 : 2;
        desc.seed = made->drawn;
        ck_assert_int_eq(sfconv_sfconv2d_create(&layer, made->context, &desc), SFCONV_OK);
    }
    put_map(made, layer, &in, 1, out);
}

/* The block of a ResNet that makes maps smaller: two convolutions, and one on the short way. */
static inline void put_down_block(random_net *made, random_map *in)
{
    const int64_t stride = 1 + draw(made, 2);
    random_map out = {.height = (in->height - 1) / stride + 1,
                      .width = (in->width - 1) / stride + 1};
    random_map *sum[2];
    out.channels = draw_channels(made, &out, 4, 20);
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
    const int32_t pooling = made->wide && draw(made, 2) ? SFCONV_POOL_AVERAGE : SFCONV_POOL_MAX;
    const random_map whole = *in;
    random_map half = *in;
    put_random_sfconv(made, in, true);
    put_random_relu(made);
    random_map *skip = last_map(made);
    half.height /= 2;
    half.width /= 2;
    put_map(made, new_pool(made->context, pooling), &skip, 1, half);
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

/* sfconv([[relu(sfconv(in)), in], relu(sfconv(in))]), up-sampled at times in between. */
static inline void put_nested_join(random_net *made, random_map *in)
{
    random_map both = *in;
    both.channels *= 2;
    put_random_sfconv(made, in, true);
    put_random_relu(made);
    random_map *first[2] = {last_map(made), in};
    put_map(made, new_concat(made->context), first, 2, both);
    put_random_dropout(made);
    random_map *inner = last_map(made);
    put_random_sfconv(made, in, true);
    put_random_relu(made);
    random_map *second[2] = {inner, last_map(made)};
    both.channels += in->channels;
    put_map(made, new_concat(made->context), second, 2, both);
    if (draw(made, 2)) {
        put_random_upsample(made, last_map(made));
    }
    put_random_sfconv(made, last_map(made), false);
}

/* The end of a ResNet: averages of a sum or of a factorized layer, and a dense layer of them. */
static inline void put_classifier(random_net *made, random_map *in)
{
    if (draw(made, 2)) {
        put_residual(made, in);
    } else {
        put_random_sfconv(made, in, true);
        put_random_relu(made);
    }
    random_map *whole = last_map(made);
    random_map one = {.channels = whole->channels, .height = 1, .width = 1};
    put_map(made, new_pool(made->context, SFCONV_POOL_GLOBAL_AVERAGE), &whole, 1, one);
    random_map *averages = last_map(made);
    one.channels = 1 + draw(made, 20);
    put_map(made, new_linear(made->context, averages->channels, one.channels, made->drawn),
            &averages, 1, one);
}

static inline void put_random_node(random_net *made)
{
    random_map *in = draw_map(made);
    const bool even = in->height % 2 == 0 && in->width % 2 == 0;
    switch (draw(made, 28)) {
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
    case 20:
    case 21:
        if (in->channels < 100) {
            put_nested_join(made, in);
        }
        break;
    case 19:
        if (made->input_count < RANDOM_INPUTS && draw(made, 3) == 0) {
            random_map beside = *in;
            beside.channels = draw(made, 2) ? in->channels : 1 + draw(made, 9);
            put_random_input(made, beside);
        }
        break;
    default:
        if (made->wide && draw(made, 4) == 0) {
            put_random_conv(made, in);
        } else {
            put_random_sfconv(made, in, false);
        }
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
    made.input_gradients = true;
    return made;
}

static inline void complete_random_net(random_net *made)
{
    for (int tries = 0; made->count < made->wanted && tries < 4 * RANDOM_NODES; tries++) {
        put_random_node(made);
    }
    if (made->wide && draw(made, 2)) {
        put_classifier(made, draw_map(made));
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
    desc.stride[0] = made->wide && draw(made, 3) ? 2 : 1 + draw(made, 2);
    desc.stride[1] = 2;
    desc.dilation[0] = made->wide ? 1 : 1 + draw(made, 2);
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

/* From a pixel to 40x40, at times of whole vectors in a row, or a few long rows or columns. */
static inline random_map draw_wide_image(random_net *made)
{
    static const int64_t largest[] = {4, 10, 16, 28, 40};
    const int64_t most = largest[draw(made, 5)];
    random_map image = {.height = 1 + draw(made, most), .width = 1 + draw(made, most)};
    if (draw(made, 3) == 0) {
        image.height = image.width;
    } else if (draw(made, 2)) {
        image.width = (image.width + 7) / 8 * 8;
    } else if (draw(made, 4) == 0) {
        image.width = 50 + draw(made, 300);
        image.height = 1 + draw(made, 6);
    } else if (draw(made, 4) == 0) {
        image.height = 50 + draw(made, 300);
        image.width = 1 + draw(made, 6);
    }
    image.channels = draw_channels(made, &image, 1, 1);
    return image;
}

/* Ranks up to 40, up to 300 channels of small maps; at times with a stem or a classifier. */
static inline random_net new_random_wide_net(sfconv_context *context, uint64_t seed)
{
    random_net made = begin_random_net(context, seed, 2);
    made.wide = true;
    made.wanted = 2 + (int)draw(&made, 12);
    made.batch = draw(&made, 2) ? 1 : made.batch;
    made.input_gradients = draw(&made, 4) == 0;
    if (draw(&made, 5)) {
        put_random_input(&made, draw_wide_image(&made));
    } else {
        const random_map image = {.channels = 1 + draw(&made, 3),
                                  .height = 5 + draw(&made, 60),
                                  .width = 5 + draw(&made, 90)};
        put_random_input(&made, image);
        put_random_stem(&made);
    }
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
