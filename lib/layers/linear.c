/* SPDX-License-Identifier: BSD-2-Clause */
/* out[n][o] = bias[o] + Σ weight[o][k] · in[n][k]: a 1 x 1 convolution of maps of one pixel. */
#include "dense.h"
#include "layer_kinds.h"

#include "error.h"

struct linear {
    sfconv_layer base;
    sfconv_linear_desc desc;
};

static const sfconv_linear_desc *desc_of(const sfconv_layer *layer)
{
    return &((const struct linear *)layer)->desc;
}

static sfi_conv_shape shape_of(const sfconv_layer *layer, int64_t batch)
{
    static const int64_t ones[2] = {1, 1};
    static const int64_t zeros[2] = {0, 0};
    const sfi_window window = {ones, ones, zeros, ones};
    const sfconv_linear_desc *desc = desc_of(layer);
    return sfi_window_shape(&window, 1, (sfi_shape){batch, desc->in_features, 1, 1},
                            (sfi_shape){batch, desc->out_features, 1, 1});
}

static sfconv_status infer(const sfconv_layer *layer, bool training, const sfi_shape *in,
                           int32_t count, sfi_shape *out)
{
    const sfconv_linear_desc *desc = desc_of(layer);
    (void)training;
    (void)count;
    if (in->c * in->h * in->w != desc->in_features) {
        return sfi_fail(
            layer->context, SFCONV_ERROR_SHAPE, "features: expected %lld, got %lld x %lld x %lld",
            (long long)desc->in_features, (long long)in->c, (long long)in->h, (long long)in->w);
    }
    *out = (sfi_shape){in->n, desc->out_features, 1, 1};
    const sfi_conv_shape shape = shape_of(layer, in->n);
    return sfi_dense_check(layer->context, &shape);
}

static sfconv_status memory(const sfconv_layer *layer, bool training, const sfi_shape *in,
                            int32_t count, sfi_shape out, sfi_layer_memory *memory)
{
    const sfi_conv_shape shape = shape_of(layer, in->n);
    (void)count;
    (void)out;
    return sfi_dense_memory(layer, &shape, training, memory);
}

static int64_t macs(const sfconv_layer *layer, const sfi_shape *in, sfi_shape out)
{
    const sfi_conv_shape shape = shape_of(layer, in->n);
    (void)out;
    return sfi_dense_macs(&shape);
}

static sfconv_status frozen_bytes(const sfconv_layer *layer, const sfi_shape *in, sfi_shape out,
                                  int64_t *bytes)
{
    const sfi_conv_shape shape = shape_of(layer, in->n);
    (void)out;
    return sfi_dense_frozen_bytes(layer, &shape, bytes);
}

static void freeze(const sfconv_layer *layer, const sfi_shape *in, sfi_shape out, void *frozen)
{
    const sfi_conv_shape shape = shape_of(layer, in->n);
    (void)out;
    sfi_conv_freeze(layer->context, &shape, layer->parameters[0].data, frozen);
}

static void forward(sfconv_layer *layer, const sfi_pass *pass)
{
    const sfi_conv_shape shape = shape_of(layer, pass->out_shape.n);
    sfi_dense_forward(layer, &shape, pass);
}

static void backward(sfconv_layer *layer, const sfi_pass *pass)
{
    const sfi_conv_shape shape = shape_of(layer, pass->out_shape.n);
    sfi_dense_backward(layer, &shape, pass);
}

static sfconv_status initialize(sfconv_layer *layer, uint64_t seed)
{
    sfi_dense_initialize(layer, seed, 1.0);
    return SFCONV_OK;
}

static const sfi_layer_class linear_class = {
    .kind = "linear",
    .min_inputs = 1,
    .max_inputs = 1,
    .bytes = sizeof(struct linear),
    .infer = infer,
    .memory = memory,
    .macs = macs,
    .frozen_bytes = frozen_bytes,
    .freeze = freeze,
    .forward = forward,
    .backward = backward,
    .initialize = initialize,
};

sfconv_status sfi_linear_new(sfconv_layer **out, sfconv_context *context,
                             const sfconv_linear_desc *desc)
{
    const int64_t shape[] = {desc->out_features, desc->in_features};
    *out = NULL;
    sfconv_layer *layer = sfi_layer_new(context, &linear_class);
    if (!layer) {
        return sfi_fail_memory(context, linear_class.kind, linear_class.bytes);
    }
    ((struct linear *)layer)->desc = *desc;
    const sfconv_status status = sfi_dense_add_parameters(layer, 2, shape, desc->has_bias);
    if (status < 0) {
        sfi_layer_release(layer);
        return status;
    }
    *out = layer;
    return initialize(layer, desc->seed);
}
