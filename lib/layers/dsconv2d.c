/* SPDX-License-Identifier: BSD-2-Clause */
#include "convolution.h"
#include "dense.h"
#include "depthwise.h"
#include "error.h"
#include "layer_kinds.h"
#include "sizes.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* A depthwise convolution into "middle", then a pointwise one out of it. Training keeps the middle
 * as tape; backward makes its gradient in scratch. */
typedef struct dsconv2d {
    sfconv_layer layer;
    sfconv_conv2d_desc desc;
} dsconv2d;

enum { DEPTHWISE, POINTWISE, BIAS };

static sfi_conv_shape pointwise_of(sfi_shape in, sfi_shape out)
{
    const int64_t one[2] = {1, 1};
    const int64_t none[2] = {0, 0};
    const sfi_window window = {.kernel = one, .stride = one, .padding = none, .dilation = one};
    return sfi_window_shape(&window, 1, (sfi_shape){out.n, in.c, out.h, out.w}, out);
}

/* Of both parts; false on overflow. */
static bool count_macs(int64_t *macs, const sfconv_conv2d_desc *desc, sfi_shape out)
{
    const int64_t taps = desc->kernel[0] * desc->kernel[1];
    const int64_t factors[] = {out.n, out.h, out.w, desc->in_channels, taps + out.c};
    return sfi_product(macs, factors, 5);
}

static sfconv_status infer(const sfconv_layer *layer, bool training, const sfi_shape *in,
                           int32_t count, sfi_shape *out)
{
    (void)training, (void)count;
    static const char *const axes[2] = {"height", "width"};
    const sfconv_conv2d_desc *desc = &((const dsconv2d *)layer)->desc;
    const int64_t size[2] = {in->h, in->w};
    int64_t made[2];
    if (in->c != desc->in_channels) {
        return sfi_fail(layer->context, SFCONV_ERROR_SHAPE,
                        "dsconv2d: expected %lld channels, got %lld", (long long)desc->in_channels,
                        (long long)in->c);
    }
    for (int axis = 0; axis < 2; axis++) {
        made[axis] = sfi_window_size(size[axis], desc->kernel[axis], desc->stride[axis],
                                     desc->padding[axis], desc->dilation[axis]);
        if (made[axis] < 1) {
            const int64_t span = desc->dilation[axis] * (desc->kernel[axis] - 1) + 1;
            return sfi_fail(layer->context, SFCONV_ERROR_SHAPE,
                            "dsconv2d: expected a %s of at least %lld, got %lld", axes[axis],
                            (long long)(span - 2 * desc->padding[axis]), (long long)size[axis]);
        }
    }
    const sfi_shape result = {in->n, desc->out_channels, made[0], made[1]};
    const sfi_conv_shape pointwise = pointwise_of(*in, result);
    int64_t counted;
    if (!sfi_conv_shape_fits(&pointwise) || !count_macs(&counted, desc, result)) {
        return sfi_fail(layer->context, SFCONV_ERROR_OVERFLOW,
                        "dsconv2d: the size of its output or its work overflows");
    }
    *out = result;
    return SFCONV_OK;
}

static double spacing(const sfconv_layer *layer, int axis)
{
    return (double)((const dsconv2d *)layer)->desc.stride[axis];
}

static sfi_depthwise depthwise_of(const dsconv2d *self, sfi_shape in, sfi_shape out)
{
    const sfconv_conv2d_desc *desc = &self->desc;
    sfi_depthwise shape = {
        .batch = in.n, .channels = in.c, .in = {in.h, in.w}, .out = {out.h, out.w}};
    memcpy(shape.kernel, desc->kernel, sizeof shape.kernel);
    memcpy(shape.stride, desc->stride, sizeof shape.stride);
    memcpy(shape.padding, desc->padding, sizeof shape.padding);
    memcpy(shape.dilation, desc->dilation, sizeof shape.dilation);
    return shape;
}

static int64_t middle_bytes(sfi_shape in, sfi_shape out)
{
    return sfi_round64(out.n * in.c * out.h * out.w * (int64_t)sizeof(float));
}

/* The parts of one pass use the same scratch one after the other. */
static sfconv_status memory(const sfconv_layer *layer, bool training, const sfi_shape *in,
                            int32_t count, sfi_shape out, sfi_layer_memory *memory)
{
    (void)count;
    sfconv_context *context = layer->context;
    const sfi_depthwise depthwise = depthwise_of((const dsconv2d *)layer, *in, out);
    const sfi_conv_shape pointwise = pointwise_of(*in, out);
    const int64_t middle = middle_bytes(*in, out);
    int64_t needs[4];
    if (!sfi_depthwise_scratch(&needs[0], context, &depthwise) ||
        !sfi_conv_forward_scratch(&needs[1], context, &pointwise) ||
        !sfi_conv_backward_data_scratch(&needs[2], context, &pointwise) ||
        !sfi_conv_backward_weight_scratch(&needs[3], context, &pointwise) ||
        !sfi_add(&memory->scratch_forward, sfi_max(needs[0], needs[1]), training ? 0 : middle) ||
        !sfi_add(&memory->scratch_backward, sfi_max(needs[0], sfi_max(needs[2], needs[3])),
                 middle)) {
        return sfi_fail(context, SFCONV_ERROR_OVERFLOW, "dsconv2d: its scratch overflows");
    }
    memory->scratch_backward = training ? memory->scratch_backward : 0;
    memory->tape = training ? middle : 0;
    memory->keeps_inputs = training;
    return SFCONV_OK;
}

static int64_t macs(const sfconv_layer *layer, const sfi_shape *in, sfi_shape out)
{
    int64_t count = 0;
    const bool fits = count_macs(&count, &((const dsconv2d *)layer)->desc, out);
    assert(fits);
    (void)in, (void)fits;
    return count;
}

/* Never more than all, which have been counted. */
static int64_t input_macs(const sfconv_layer *layer, const sfi_shape *in, sfi_shape out)
{
    const sfconv_conv2d_desc *desc = &((const dsconv2d *)layer)->desc;
    return out.n * out.h * out.w * in->c * desc->kernel[0] * desc->kernel[1];
}

static sfconv_status frozen_bytes(const sfconv_layer *layer, const sfi_shape *in, sfi_shape out,
                                  int64_t *bytes)
{
    const sfi_conv_shape pointwise = pointwise_of(*in, out);
    return sfi_dense_frozen_bytes(layer, &pointwise, bytes);
}

static void freeze(const sfconv_layer *layer, const sfi_shape *in, sfi_shape out, void *frozen)
{
    const sfi_conv_shape pointwise = pointwise_of(*in, out);
    sfi_conv_freeze(layer->context, &pointwise, layer->parameters[POINTWISE].data, frozen);
}

static void forward(sfconv_layer *layer, const sfi_pass *pass)
{
    const sfi_depthwise depthwise =
        depthwise_of((dsconv2d *)layer, *pass->in_shape, pass->out_shape);
    const sfi_conv_shape pointwise = pointwise_of(*pass->in_shape, pass->out_shape);
    unsigned char *scratch = pass->scratch;
    float *middle = pass->tape;
    if (!pass->training) {
        middle = pass->scratch;
        scratch += middle_bytes(*pass->in_shape, pass->out_shape);
    }
    const float *bias = layer->parameter_count > BIAS ? layer->parameters[BIAS].data : NULL;
    sfi_depthwise_forward(pass->context, &depthwise, pass->in[0], layer->parameters[DEPTHWISE].data,
                          middle, scratch);
    sfi_conv_forward(pass->context, &pointwise, middle, layer->parameters[POINTWISE].data,
                     pass->frozen, bias, pass->finish, pass->out, scratch);
}

static void backward(sfconv_layer *layer, const sfi_pass *pass)
{
    const sfi_depthwise depthwise =
        depthwise_of((dsconv2d *)layer, *pass->in_shape, pass->out_shape);
    const sfi_conv_shape pointwise = pointwise_of(*pass->in_shape, pass->out_shape);
    float *grad_middle = pass->scratch;
    void *scratch = (unsigned char *)pass->scratch + middle_bytes(*pass->in_shape, pass->out_shape);
    if (layer->parameter_count > BIAS) {
        sfi_conv_backward_bias(pass->context, &pointwise, pass->grad_out,
                               pass->grad_parameter[BIAS], true);
    }
    sfi_conv_backward_weight(pass->context, &pointwise, pass->tape, pass->grad_out,
                             pass->grad_parameter[POINTWISE], true, scratch);
    sfi_conv_backward_data(pass->context, &pointwise, pass->grad_out,
                           layer->parameters[POINTWISE].data, grad_middle, false, scratch);
    sfi_depthwise_backward_weight(pass->context, &depthwise, pass->in[0], grad_middle,
                                  pass->grad_parameter[DEPTHWISE], scratch);
    if (pass->grad_in[0]) {
        sfi_depthwise_backward_data(pass->context, &depthwise, grad_middle,
                                    layer->parameters[DEPTHWISE].data, pass->grad_in[0],
                                    pass->accumulate[0], scratch);
    }
}

static sfconv_status initialize(sfconv_layer *layer, uint64_t seed)
{
    for (int32_t i = 0; i < layer->parameter_count; i++) {
        sfi_parameter *parameter = &layer->parameters[i];
        const double fan_in = i == DEPTHWISE
                                  ? (double)parameter->shape[2] * (double)parameter->shape[3]
                                  : (double)layer->parameters[POINTWISE].shape[1];
        sfi_parameter_uniform(parameter, seed, i == BIAS ? 1.0 / sqrt(fan_in) : sqrt(6.0 / fan_in));
    }
    return SFCONV_OK;
}

static const sfi_layer_class kind = {
    .kind = "dsconv2d",
    .min_inputs = 1,
    .max_inputs = 1,
    .bytes = sizeof(dsconv2d),
    .infer = infer,
    .spacing = spacing,
    .memory = memory,
    .macs = macs,
    .input_macs = input_macs,
    .frozen_bytes = frozen_bytes,
    .freeze = freeze,
    .forward = forward,
    .finishes = true,
    .backward = backward,
    .initialize = initialize,
};

static sfconv_status add_parameters(sfconv_layer *layer, const sfconv_conv2d_desc *desc)
{
    const int64_t depthwise[4] = {desc->in_channels, 1, desc->kernel[0], desc->kernel[1]};
    const int64_t pointwise[4] = {desc->out_channels, desc->in_channels, 1, 1};
    sfconv_status status =
        sfi_layer_add_parameter(layer, "depthwise.weight", SFCONV_PARAMETER_WEIGHT, 4, depthwise);
    if (!status) {
        status = sfi_layer_add_parameter(layer, "pointwise.weight", SFCONV_PARAMETER_WEIGHT, 4,
                                         pointwise);
    }
    if (!status && desc->has_bias) {
        status =
            sfi_layer_add_parameter(layer, "bias", SFCONV_PARAMETER_BIAS, 1, &desc->out_channels);
    }
    return status;
}

sfconv_status sfi_dsconv2d_new(sfconv_layer **out, sfconv_context *context,
                               const sfconv_conv2d_desc *desc)
{
    *out = NULL;
    sfconv_layer *layer = sfi_layer_new(context, &kind);
    if (!layer) {
        return sfi_fail_memory(context, kind.kind, kind.bytes);
    }
    ((dsconv2d *)layer)->desc = *desc;
    const sfconv_status status = add_parameters(layer, desc);
    if (status) {
        sfi_layer_release(layer);
        return status;
    }
    initialize(layer, desc->seed);
    *out = layer;
    return SFCONV_OK;
}
