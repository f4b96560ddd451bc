/* SPDX-License-Identifier: BSD-2-Clause */
#include "conv2d.h"

#include "error.h"

#include <math.h>

static const sfconv_conv2d_desc *desc_of(const sfconv_layer *layer)
{
    return &((const sfi_conv2d *)layer)->desc;
}

static sfi_window window_of(const sfconv_conv2d_desc *desc)
{
    return (sfi_window){desc->kernel, desc->stride, desc->padding, desc->dilation};
}

static sfi_conv_shape shape_of(const sfconv_layer *layer, sfi_shape in, sfi_shape out)
{
    const sfi_window window = window_of(desc_of(layer));
    return sfi_window_shape(&window, desc_of(layer)->groups, in, out);
}

static sfconv_status infer(const sfconv_layer *layer, bool training, const sfi_shape *in,
                           int32_t count, sfi_shape *out)
{
    const sfconv_conv2d_desc *desc = desc_of(layer);
    const sfi_window window = window_of(desc);
    (void)training;
    (void)count;
    const sfconv_status status =
        sfi_window_infer(layer->context, &window, desc->in_channels, desc->out_channels, *in, out);
    if (status < 0) {
        return status;
    }
    const sfi_conv_shape shape = shape_of(layer, *in, *out);
    return sfi_dense_check(layer->context, &shape);
}

static double spacing(const sfconv_layer *layer, int axis)
{
    return (double)desc_of(layer)->stride[axis];
}

static sfconv_status memory(const sfconv_layer *layer, bool training, const sfi_shape *in,
                            int32_t count, sfi_shape out, sfi_layer_memory *memory)
{
    const sfi_conv_shape shape = shape_of(layer, *in, out);
    (void)count;
    return sfi_dense_memory(layer, &shape, training, memory);
}

static int64_t macs(const sfconv_layer *layer, const sfi_shape *in, sfi_shape out)
{
    const sfi_conv_shape shape = shape_of(layer, *in, out);
    return sfi_dense_macs(&shape);
}

static sfi_layer_macs count(const sfconv_layer *layer, const sfi_shape *in, sfi_shape out)
{
    const sfi_conv_shape shape = shape_of(layer, *in, out);
    const sfi_conv_counts counts = sfi_conv_count(layer->context, &shape);
    return (sfi_layer_macs){counts.forward, counts.weight, counts.data};
}

static sfconv_status frozen_bytes(const sfconv_layer *layer, const sfi_shape *in, sfi_shape out,
                                  int64_t *bytes)
{
    const sfi_conv_shape shape = shape_of(layer, *in, out);
    return sfi_dense_frozen_bytes(layer, &shape, bytes);
}

static void freeze(const sfconv_layer *layer, const sfi_shape *in, sfi_shape out, void *frozen)
{
    const sfi_conv_shape shape = shape_of(layer, *in, out);
    sfi_conv_freeze(layer->context, &shape, layer->parameters[0].data, frozen);
}

static void forward(sfconv_layer *layer, const sfi_pass *pass)
{
    const sfi_conv_shape shape = shape_of(layer, pass->in_shape[0], pass->out_shape);
    sfi_dense_forward(layer, &shape, pass);
}

static void backward(sfconv_layer *layer, const sfi_pass *pass)
{
    const sfi_conv_shape shape = shape_of(layer, pass->in_shape[0], pass->out_shape);
    sfi_dense_backward(layer, &shape, pass);
}

static sfconv_status initialize(sfconv_layer *layer, uint64_t seed)
{
    sfi_dense_initialize(layer, seed, sqrt(6.0));
    return SFCONV_OK;
}

static const sfi_layer_class conv2d_class = {
    .kind = "conv2d",
    .min_inputs = 1,
    .max_inputs = 1,
    .bytes = sizeof(sfi_conv2d),
    .infer = infer,
    .spacing = spacing,
    .memory = memory,
    .macs = macs,
    .count = count,
    .frozen_bytes = frozen_bytes,
    .freeze = freeze,
    .forward = forward,
    .finishes = true,
    .backward = backward,
    .initialize = initialize,
};

const sfi_conv2d *sfi_as_conv2d(const sfconv_layer *layer)
{
    return layer->kind == &conv2d_class ? (const sfi_conv2d *)layer : NULL;
}

sfconv_status sfi_conv2d_new(sfconv_layer **out, sfconv_context *context,
                             const sfconv_conv2d_desc *desc)
{
    const int64_t shape[] = {desc->out_channels, desc->in_channels / desc->groups, desc->kernel[0],
                             desc->kernel[1]};
    *out = NULL;
    sfconv_layer *layer = sfi_layer_new(context, &conv2d_class);
    if (!layer) {
        return sfi_fail_memory(context, conv2d_class.kind, conv2d_class.bytes);
    }
    ((sfi_conv2d *)layer)->desc = *desc;
    const sfconv_status status = sfi_dense_add_parameters(layer, 4, shape, desc->has_bias);
    if (status < 0) {
        sfi_layer_release(layer);
        return status;
    }
    *out = layer;
    return initialize(layer, desc->seed);
}
