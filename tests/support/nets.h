/* SPDX-License-Identifier: BSD-2-Clause */
/* Nets for tests, built by the public calls: one line a node. */
#ifndef TESTS_NETS_H
#define TESTS_NETS_H

#include "support.h"

#include "random.h"

#include "sfconv/sfconv.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define NETS_SEED 20260301u

static inline sfconv_context *public_context(int32_t workers, int32_t isa)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *context;
    desc.workers = workers;
    desc.isa = isa;
    ck_assert_int_eq(sfconv_context_create(&context, &desc), SFCONV_OK);
    return context;
}

static inline sfconv_context *one_worker(void)
{
    return public_context(1, SFCONV_ISA_BEST);
}

/* NaN where the view holds one. */
static inline double largest_of(const sfconv_view *view)
{
    double largest = 0;
    for (int64_t i = 0; i < sfconv_view_count(view); i++) {
        largest = worst_of(largest, fabs((double)view->data[i]));
    }
    return largest;
}

/* Of the elements that are farthest apart; NaN where one of them is. */
static inline double distance_of(const sfconv_view *a, const sfconv_view *b)
{
    double distance = 0;
    for (int64_t i = 0; i < sfconv_view_count(a); i++) {
        distance = worst_of(distance, fabs((double)a->data[i] - (double)b->data[i]));
    }
    return distance;
}

/* NULL where the machine lacks the instruction set. */
static inline sfconv_context *convolution_context(int32_t workers, int32_t isa, int32_t convolution)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *context;
    desc.workers = workers;
    desc.isa = isa;
    desc.convolution = convolution;
    return sfconv_context_create(&context, &desc) < 0 ? NULL : context;
}

static inline sfconv_net *empty_net(sfconv_context *context)
{
    sfconv_net *net;
    ck_assert_int_eq(sfconv_net_create(&net, context), SFCONV_OK);
    return net;
}

static inline int32_t put_input(sfconv_net *net, const char *name, int64_t channels)
{
    int32_t node = -1;
    ck_assert_int_eq(sfconv_net_add_input(net, name, channels, &node), SFCONV_OK);
    return node;
}

/* Adds a layer and lets go of it. */
static inline int32_t put_layer(sfconv_net *net, const char *name, sfconv_layer *layer,
                                const int32_t *inputs, int32_t count)
{
    int32_t node = -1;
    ck_assert_int_eq(sfconv_net_add_layer(net, name, layer, inputs, count, &node), SFCONV_OK);
    sfconv_layer_destroy(layer);
    return node;
}

static inline int32_t put_after(sfconv_net *net, const char *name, sfconv_layer *layer, int32_t a)
{
    return put_layer(net, name, layer, &a, 1);
}

static inline int32_t put_pair(sfconv_net *net, const char *name, sfconv_layer *layer, int32_t a,
                               int32_t b)
{
    const int32_t inputs[] = {a, b};
    return put_layer(net, name, layer, inputs, 2);
}

static inline void put_output(sfconv_net *net, int32_t node)
{
    ck_assert_int_eq(sfconv_net_add_output(net, node), SFCONV_OK);
}

/* 3x3 with padding 1. */
static inline sfconv_layer *new_conv(sfconv_context *context, int64_t in, int64_t out,
                                     int64_t stride, uint64_t seed)
{
    sfconv_conv2d_desc desc = SFCONV_CONV2D_DESC_INIT;
    sfconv_layer *layer;
    desc.in_channels = in;
    desc.out_channels = out;
    desc.stride[0] = desc.stride[1] = stride;
    desc.has_bias = 1;
    desc.seed = seed;
    ck_assert_int_eq(sfconv_conv2d_create(&layer, context, &desc), SFCONV_OK);
    return layer;
}

/* 1x1 with a bias. */
static inline sfconv_layer *new_pointwise(sfconv_context *context, int64_t in, int64_t out)
{
    sfconv_conv2d_desc desc = SFCONV_CONV2D_DESC_INIT;
    sfconv_layer *layer;
    desc.in_channels = in;
    desc.out_channels = out;
    desc.kernel[0] = desc.kernel[1] = 1;
    desc.padding[0] = desc.padding[1] = 0;
    desc.has_bias = 1;
    ck_assert_int_eq(sfconv_conv2d_create(&layer, context, &desc), SFCONV_OK);
    return layer;
}

static inline sfconv_layer *new_dsconv(sfconv_context *context, int64_t in, int64_t out,
                                       uint64_t seed)
{
    sfconv_conv2d_desc desc = SFCONV_CONV2D_DESC_INIT;
    sfconv_layer *layer;
    desc.in_channels = in;
    desc.out_channels = out;
    desc.seed = seed;
    ck_assert_int_eq(sfconv_dsconv2d_create(&layer, context, &desc), SFCONV_OK);
    return layer;
}

static inline sfconv_layer *new_sfconv(sfconv_context *context, int64_t in, int64_t out,
                                       int64_t rank, int32_t regularizer, int32_t spectral_norm,
                                       uint64_t seed)
{
    sfconv_sfconv2d_desc desc = SFCONV_SFCONV2D_DESC_INIT;
    sfconv_layer *layer;
    desc.in_channels = in;
    desc.out_channels = out;
    desc.rank = rank;
    desc.regularizer = regularizer;
    desc.regularizer_weight = 0.01;
    desc.spectral_norm = spectral_norm;
    desc.seed = seed;
    ck_assert_int_eq(sfconv_sfconv2d_create(&layer, context, &desc), SFCONV_OK);
    return layer;
}

static inline sfconv_layer *new_batchnorm(sfconv_context *context, int64_t channels)
{
    sfconv_batchnorm2d_desc desc = SFCONV_BATCHNORM2D_DESC_INIT;
    sfconv_layer *layer;
    desc.channels = channels;
    ck_assert_int_eq(sfconv_batchnorm2d_create(&layer, context, &desc), SFCONV_OK);
    return layer;
}

static inline sfconv_layer *new_activation(sfconv_context *context, int32_t which)
{
    sfconv_layer *layer;
    ck_assert_int_eq(sfconv_activation_create(&layer, context, which, 0.1), SFCONV_OK);
    return layer;
}

/* 2x2 with stride 2, or global. */
static inline sfconv_layer *new_pool(sfconv_context *context, int32_t which)
{
    sfconv_pool2d_desc desc = SFCONV_POOL2D_DESC_INIT;
    sfconv_layer *layer;
    desc.kind = which;
    ck_assert_int_eq(sfconv_pool2d_create(&layer, context, &desc), SFCONV_OK);
    return layer;
}

static inline sfconv_layer *new_upsample(sfconv_context *context, int32_t which)
{
    const int64_t twice[2] = {2, 2};
    sfconv_layer *layer;
    ck_assert_int_eq(sfconv_upsample2d_create(&layer, context, which, twice), SFCONV_OK);
    return layer;
}

static inline sfconv_layer *new_linear(sfconv_context *context, int64_t in, int64_t out,
                                       uint64_t seed)
{
    sfconv_linear_desc desc = SFCONV_LINEAR_DESC_INIT;
    sfconv_layer *layer;
    desc.in_features = in;
    desc.out_features = out;
    desc.seed = seed;
    ck_assert_int_eq(sfconv_linear_create(&layer, context, &desc), SFCONV_OK);
    return layer;
}

static inline sfconv_layer *new_dropout(sfconv_context *context)
{
    sfconv_layer *layer;
    ck_assert_int_eq(sfconv_dropout_create(&layer, context, 0.5), SFCONV_OK);
    return layer;
}

static inline sfconv_layer *new_add(sfconv_context *context)
{
    sfconv_layer *layer;
    ck_assert_int_eq(sfconv_add_create(&layer, context), SFCONV_OK);
    return layer;
}

static inline sfconv_layer *new_concat(sfconv_context *context)
{
    sfconv_layer *layer;
    ck_assert_int_eq(sfconv_concat_create(&layer, context), SFCONV_OK);
    return layer;
}

static inline sfconv_run *new_run(sfconv_net *net, int32_t mode)
{
    sfconv_run *run;
    ck_assert_int_eq(sfconv_run_create(&run, net, mode), SFCONV_OK);
    return run;
}

/* A ready-made network of three outputs. */
static inline sfconv_net *new_network(sfconv_context *context, int32_t model, int32_t method,
                                      double ratio)
{
    sfconv_model_desc desc = SFCONV_MODEL_DESC_INIT;
    sfconv_net *net;
    desc.model = model;
    desc.method = method;
    desc.ratio = ratio;
    desc.out_channels = 3;
    ck_assert_int_eq(sfconv_model_create(&net, context, &desc), SFCONV_OK);
    return net;
}

/* Of inference, laid out for `count` sizes. */
static inline sfconv_run *new_run_of(sfconv_net *net, int32_t engine, const sfconv_shape *shapes,
                                     int32_t count)
{
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    ck_assert_int_eq(sfconv_run_set_engine(run, engine), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_reshape(run, shapes, count, NULL, 0), SFCONV_OK);
    return run;
}

/* A run of one size for a net with inputs of one height and width. */
static inline void reshape_run(sfconv_run *run, int64_t batch, int64_t height, int64_t width)
{
    const sfconv_net *net = sfconv_run_net(run);
    sfconv_shape shapes[4];
    const int32_t count = sfconv_net_input_count(net);
    ck_assert_int_le(count, 4);
    for (int32_t i = 0; i < count; i++) {
        shapes[i] = (sfconv_shape){batch, sfconv_net_input_channels(net, i), height, width};
    }
    ck_assert_int_eq(sfconv_run_reshape(run, shapes, count, NULL, 0), SFCONV_OK);
}

/* Numbers uniform in ±1, a function of `stream`. */
static inline void fill_floats(float *values, int64_t count, uint64_t stream)
{
    const sfi_random random = {NETS_SEED, stream};
    for (int64_t i = 0; i < count; i++) {
        values[i] = (float)(2 * sfi_random_uniform(random, (uint64_t)i) - 1);
    }
}

static inline sfconv_view input_of(sfconv_run *run, int32_t index)
{
    sfconv_view view;
    ck_assert_int_eq(sfconv_run_input(run, index, &view), SFCONV_OK);
    return view;
}

static inline sfconv_view output_of(sfconv_run *run, int32_t index)
{
    sfconv_view view;
    ck_assert_int_eq(sfconv_run_output(run, index, &view), SFCONV_OK);
    return view;
}

static inline sfconv_view output_gradient_of(sfconv_run *run, int32_t index)
{
    sfconv_view view;
    ck_assert_int_eq(sfconv_run_output_gradient(run, index, &view), SFCONV_OK);
    return view;
}

static inline sfconv_view input_gradient_of(sfconv_run *run, int32_t index)
{
    sfconv_view view;
    ck_assert_int_eq(sfconv_run_input_gradient(run, index, &view), SFCONV_OK);
    return view;
}

static inline void fill_inputs(sfconv_run *run, uint64_t stream)
{
    for (int32_t i = 0; i < sfconv_net_input_count(sfconv_run_net(run)); i++) {
        const sfconv_view view = input_of(run, i);
        fill_floats(view.data, sfconv_view_count(&view), stream + (uint64_t)i);
    }
}

static inline void fill_output_gradients(sfconv_run *run, uint64_t stream)
{
    for (int32_t i = 0; i < sfconv_net_output_count(sfconv_run_net(run)); i++) {
        const sfconv_view view = output_gradient_of(run, i);
        fill_floats(view.data, sfconv_view_count(&view), stream + (uint64_t)i);
    }
}

static inline void run_forward(sfconv_run *run)
{
    ck_assert_int_eq(sfconv_run_forward(run), SFCONV_OK);
}

/* A run of a net of one input whose forward is done. */
static inline sfconv_run *forward_of(sfconv_net *net, int32_t engine, sfconv_shape shape)
{
    sfconv_run *run = new_run_of(net, engine, &shape, 1);
    fill_inputs(run, 3);
    run_forward(run);
    return run;
}

static inline void run_backward(sfconv_run *run)
{
    ck_assert_int_eq(sfconv_run_backward(run), SFCONV_OK);
}

/* FNV-1a over the bytes of `count` floats, on top of `hash`. */
static inline uint64_t hash_floats(uint64_t hash, const float *values, int64_t count)
{
    const unsigned char *bytes = (const unsigned char *)values;
    for (int64_t i = 0; i < count * (int64_t)sizeof(float); i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    }
    return hash;
}

#define HASH_START 0xcbf29ce484222325u

static inline uint64_t hash_view(uint64_t hash, const sfconv_view *view)
{
    return hash_floats(hash, view->data, sfconv_view_count(view));
}

static inline uint64_t hash_first_outputs(sfconv_run *run, int32_t count)
{
    uint64_t hash = HASH_START;
    for (int32_t i = 0; i < count; i++) {
        const sfconv_view view = output_of(run, i);
        hash = hash_view(hash, &view);
    }
    return hash;
}

static inline uint64_t hash_outputs(sfconv_run *run)
{
    return hash_first_outputs(run, sfconv_net_output_count(sfconv_run_net(run)));
}

static inline sfconv_parameter_info parameter_of(const sfconv_net *net, int32_t index)
{
    sfconv_parameter_info info = SFCONV_PARAMETER_INFO_INIT;
    ck_assert_int_eq(sfconv_net_parameter(net, index, &info), SFCONV_OK);
    return info;
}

static inline uint64_t hash_parameters(const sfconv_net *net)
{
    uint64_t hash = HASH_START;
    for (int32_t i = 0; i < sfconv_net_parameter_count(net); i++) {
        const sfconv_parameter_info info = parameter_of(net, i);
        hash = hash_view(hash, &info.view);
    }
    return hash;
}

static inline uint64_t hash_gradients(sfconv_run *run)
{
    const sfconv_net *net = sfconv_run_net(run);
    uint64_t hash = HASH_START;
    for (int32_t i = 0; i < sfconv_net_parameter_count(net); i++) {
        sfconv_view view;
        if (parameter_of(net, i).trainable) {
            ck_assert_int_eq(sfconv_run_parameter_gradient(run, i, &view), SFCONV_OK);
            hash = hash_view(hash, &view);
        }
    }
    return hash;
}

static inline bool all_finite(const sfconv_view *view)
{
    for (int64_t i = 0; i < sfconv_view_count(view); i++) {
        if (!isfinite(view->data[i])) {
            return false;
        }
    }
    return true;
}

static inline double dot_of(const float *a, const float *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

static inline bool reason_holds(sfconv_context *context, const char *text)
{
    return strstr(sfconv_context_last_error(context), text) != NULL;
}

/* x -> conv -> bn -> relu -> sfconv -> output */
static inline sfconv_net *plain_net(sfconv_context *context)
{
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 3);
    const int32_t a = put_after(net, "a", new_conv(context, 3, 8, 1, 1), x);
    const int32_t b = put_after(net, "b", new_batchnorm(context, 8), a);
    const int32_t c = put_after(net, "c", new_activation(context, SFCONV_ACTIVATION_RELU), b);
    put_output(net,
               put_after(net, "d", new_sfconv(context, 8, 4, 2, SFCONV_REGULARIZER_KL, 0, 2), c));
    return net;
}

static inline uint64_t forward_hash(sfconv_run *run, uint64_t stream)
{
    fill_inputs(run, stream);
    run_forward(run);
    return hash_outputs(run);
}

static inline uint64_t training_hash(sfconv_run *run, uint64_t stream)
{
    const uint64_t outputs = forward_hash(run, stream);
    ck_assert_int_eq(sfconv_run_zero_gradients(run), SFCONV_OK);
    fill_output_gradients(run, stream + 50);
    run_backward(run);
    return outputs ^ hash_gradients(run);
}

/* Valid until the next call. */
static inline const char *plan_of(const sfconv_run *run)
{
    static char text[65536];
    size_t length;
    ck_assert_int_eq(sfconv_run_plan_text(run, text, sizeof text, &length), SFCONV_OK);
    ck_assert_uint_lt(length, sizeof text);
    return text;
}

/* Some forwards of training bring the running statistics near those of the data. */
static inline void settle_statistics(sfconv_net *net)
{
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    reshape_run(run, 2, 64, 64);
    for (uint64_t step = 0; step < 12; step++) {
        fill_inputs(run, step);
        run_forward(run);
    }
    sfconv_run_destroy(run);
}

#endif
