/* SPDX-License-Identifier: BSD-2-Clause */
#include "dense.h"

#include "error.h"
#include "sizes.h"

#include <assert.h>
#include <math.h>

enum { WEIGHT, BIAS };

sfconv_status sfi_window_infer(sfconv_context *context, const sfi_window *window,
                               int64_t in_channels, int64_t out_channels, sfi_shape in,
                               sfi_shape *out)
{
    static const char *const axis_names[] = {"height", "width"};
    const int64_t size[] = {in.h, in.w};
    int64_t result[2];
    if (in.c != in_channels) {
        return sfi_fail(context, SFCONV_ERROR_SHAPE, "channels: expected %lld, got %lld",
                        (long long)in_channels, (long long)in.c);
    }
    for (int i = 0; i < 2; i++) {
        result[i] = sfi_conv_output_size(size[i], window->kernel[i], window->stride[i],
                                         window->padding[i], window->dilation[i]);
        if (result[i] < 1) {
            const int64_t span = window->dilation[i] * (window->kernel[i] - 1) + 1;
            return sfi_fail(context, SFCONV_ERROR_SHAPE,
                            "%s: expected at least %lld with its padding, got %lld + 2 * %lld",
                            axis_names[i], (long long)span, (long long)size[i],
                            (long long)window->padding[i]);
        }
    }
    *out = (sfi_shape){in.n, out_channels, result[0], result[1]};
    return SFCONV_OK;
}

sfi_conv_shape sfi_window_shape(const sfi_window *window, int64_t groups, sfi_shape in,
                                sfi_shape out)
{
    sfi_conv_shape shape = {
        .batch = in.n,
        .in_channels = in.c,
        .in_height = in.h,
        .in_width = in.w,
        .out_channels = out.c,
        .out_height = out.h,
        .out_width = out.w,
        .groups = groups,
    };
    for (int i = 0; i < 2; i++) {
        shape.kernel[i] = window->kernel[i];
        shape.stride[i] = window->stride[i];
        shape.padding[i] = window->padding[i];
        shape.dilation[i] = window->dilation[i];
    }
    return shape;
}

sfconv_status sfi_dense_check(sfconv_context *context, const sfi_conv_shape *shape)
{
    int64_t macs;
    if (!sfi_conv_shape_fits(shape) || !sfi_conv_macs(&macs, shape)) {
        return sfi_fail(context, SFCONV_ERROR_OVERFLOW,
                        "output %lld x %lld x %lld x %lld: its size or work overflows",
                        (long long)shape->batch, (long long)shape->out_channels,
                        (long long)shape->out_height, (long long)shape->out_width);
    }
    return SFCONV_OK;
}

sfconv_status sfi_dense_scratch(sfconv_context *context, const sfi_conv_shape *shape, bool training,
                                int64_t *forward_bytes, int64_t *backward_bytes)
{
    int64_t data = 0;
    int64_t weight = 0;
    if (!sfi_conv_forward_scratch(forward_bytes, context, shape) ||
        (training && (!sfi_conv_backward_data_scratch(&data, context, shape) ||
                      !sfi_conv_backward_weight_scratch(&weight, context, shape)))) {
        return sfi_fail(context, SFCONV_ERROR_OVERFLOW, "scratch: its size overflows");
    }
    *backward_bytes = sfi_max(data, weight);
    return SFCONV_OK;
}

sfconv_status sfi_dense_memory(const sfconv_layer *layer, const sfi_conv_shape *shape,
                               bool training, sfi_layer_memory *memory)
{
    memory->keeps_inputs = true;
    return sfi_dense_scratch(layer->context, shape, training, &memory->scratch_forward,
                             &memory->scratch_backward);
}

int64_t sfi_dense_macs(const sfi_conv_shape *shape)
{
    int64_t macs = 0;
    const bool fits = sfi_conv_macs(&macs, shape);
    assert(fits);
    (void)fits;
    return macs;
}

static bool has_bias(const sfconv_layer *layer)
{
    return layer->parameter_count > BIAS;
}

void sfi_dense_forward(const sfconv_layer *layer, const sfi_conv_shape *shape, const sfi_pass *pass)
{
    sfi_conv_forward(pass->context, shape, pass->in[0], layer->parameters[WEIGHT].data,
                     pass->frozen, has_bias(layer) ? layer->parameters[BIAS].data : NULL,
                     pass->finish, pass->out, pass->scratch);
}

sfconv_status sfi_dense_frozen_bytes(const sfconv_layer *layer, const sfi_conv_shape *shape,
                                     int64_t *bytes)
{
    return sfi_conv_frozen_bytes(bytes, layer->context, shape)
               ? SFCONV_OK
               : sfi_fail(layer->context, SFCONV_ERROR_OVERFLOW,
                          "frozen weight: its size overflows");
}

void sfi_dense_backward(const sfconv_layer *layer, const sfi_conv_shape *shape,
                        const sfi_pass *pass)
{
    sfi_conv_backward_weight(pass->context, shape, pass->in[0], pass->grad_out,
                             pass->grad_parameter[WEIGHT], true, pass->scratch);
    if (has_bias(layer)) {
        sfi_conv_backward_bias(pass->context, shape, pass->grad_out, pass->grad_parameter[BIAS],
                               true);
    }
    if (pass->grad_in[0]) {
        sfi_conv_backward_data(pass->context, shape, pass->grad_out, layer->parameters[WEIGHT].data,
                               pass->grad_in[0], pass->accumulate[0], pass->scratch);
    }
}

sfconv_status sfi_dense_add_parameters(sfconv_layer *layer, int32_t rank, const int64_t *shape,
                                       bool bias)
{
    const sfconv_status status =
        sfi_layer_add_parameter(layer, "weight", SFCONV_PARAMETER_WEIGHT, rank, shape);
    if (status < 0 || !bias) {
        return status;
    }
    return sfi_layer_add_parameter(layer, "bias", SFCONV_PARAMETER_BIAS, 1, shape);
}

void sfi_dense_initialize(sfconv_layer *layer, uint64_t seed, double gain)
{
    sfi_parameter *weight = &layer->parameters[WEIGHT];
    const double bound = 1.0 / sqrt((double)(weight->count / weight->shape[0]));
    sfi_parameter_uniform(weight, seed, gain * bound);
    if (has_bias(layer)) {
        sfi_parameter_uniform(&layer->parameters[BIAS], seed, bound);
    }
}
