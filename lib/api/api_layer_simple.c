/* SPDX-License-Identifier: BSD-2-Clause */
/* The door of the other kinds: dsconv2d, batchnorm2d, activation, pool2d, upsample2d, dropout, add,
 * concat. */
#include "arguments.h"
#include "layer_kinds.h"
#include "settings.h"

#define MAX_UPSAMPLE 64

sfconv_status sfconv_dsconv2d_create(sfconv_layer **layer, sfconv_context *context,
                                     const sfconv_conv2d_desc *desc)
{
    sfconv_conv2d_desc known = SFCONV_CONV2D_DESC_INIT;
    sfconv_status status;
    if ((status = sfi_begin_create(__func__, layer, context)) < 0 ||
        (status = sfi_take_conv2d(context, __func__, &known, desc)) < 0 ||
        (status = sfi_check_integer(context, __func__, "groups", known.groups, 1, 1)) < 0) {
        return status;
    }
    return sfi_dsconv2d_new(layer, context, &known);
}

sfconv_status sfconv_batchnorm2d_create(sfconv_layer **layer, sfconv_context *context,
                                        const sfconv_batchnorm2d_desc *desc)
{
    sfconv_batchnorm2d_desc known = SFCONV_BATCHNORM2D_DESC_INIT;
    sfconv_status status = sfi_begin_create(__func__, layer, context);
    if (status < 0) {
        return status;
    }
    if (!desc) {
        return sfi_refuse_null(context, __func__, "desc");
    }
    if ((status = sfi_take_desc(context, __func__, &known, sizeof known, desc)) < 0 ||
        (status = sfi_check_size(context, __func__, "channels", known.channels, 1)) < 0 ||
        (status = sfi_check_positive(context, __func__, "epsilon", known.epsilon)) < 0 ||
        (status = sfi_check_number(context, __func__, "momentum", known.momentum, 0, 1)) < 0) {
        return status;
    }
    return sfi_batchnorm2d_new(layer, context, &known);
}

sfconv_status sfconv_activation_create(sfconv_layer **layer, sfconv_context *context,
                                       int32_t activation, double slope)
{
    sfconv_status status;
    if ((status = sfi_begin_create(__func__, layer, context)) < 0 ||
        (status = sfi_check_integer(context, __func__, "activation", activation,
                                    SFCONV_ACTIVATION_RELU, SFCONV_ACTIVATION_SIGMOID)) < 0) {
        return status;
    }
    if (activation != SFCONV_ACTIVATION_LEAKY_RELU) {
        slope = 0;
    }
    status = sfi_check_number(context, __func__, "slope", slope, 0, 1);
    return status < 0 ? status : sfi_activation_new(layer, context, activation, slope);
}

static sfconv_status check_pool_window(sfconv_context *context, const char *call,
                                       const sfconv_pool2d_desc *desc)
{
    sfconv_status status;
    if ((status = sfi_check_pair(context, call, "kernel", desc->kernel, 1)) < 0 ||
        (status = sfi_check_pair(context, call, "stride", desc->stride, 1)) < 0 ||
        (status = sfi_check_integer(context, call, "padding[0]", desc->padding[0], 0,
                                    desc->kernel[0] / 2)) < 0) {
        return status;
    }
    if (desc->kernel[0] > INT32_MAX / desc->kernel[1]) {
        return sfi_fail(context, SFCONV_ERROR_OVERFLOW,
                        "%s: kernel is %lld x %lld, expected at most %lld cells", call,
                        (long long)desc->kernel[0], (long long)desc->kernel[1],
                        (long long)INT32_MAX);
    }
    return sfi_check_integer(context, call, "padding[1]", desc->padding[1], 0, desc->kernel[1] / 2);
}

sfconv_status sfconv_pool2d_create(sfconv_layer **layer, sfconv_context *context,
                                   const sfconv_pool2d_desc *desc)
{
    sfconv_pool2d_desc known = SFCONV_POOL2D_DESC_INIT;
    sfconv_status status = sfi_begin_create(__func__, layer, context);
    if (status < 0) {
        return status;
    }
    if (!desc) {
        return sfi_refuse_null(context, __func__, "desc");
    }
    if ((status = sfi_take_desc(context, __func__, &known, sizeof known, desc)) < 0 ||
        (status = sfi_check_integer(context, __func__, "kind", known.kind, SFCONV_POOL_MAX,
                                    SFCONV_POOL_GLOBAL_AVERAGE)) < 0 ||
        (status = sfi_check_integer(context, __func__, "reserved", known.reserved, 0, 0)) < 0 ||
        (known.kind != SFCONV_POOL_GLOBAL_AVERAGE &&
         (status = check_pool_window(context, __func__, &known)) < 0)) {
        return status;
    }
    return sfi_pool2d_new(layer, context, &known);
}

sfconv_status sfconv_upsample2d_create(sfconv_layer **layer, sfconv_context *context, int32_t kind,
                                       const int64_t factor[2])
{
    sfconv_status status = sfi_begin_create(__func__, layer, context);
    if (status < 0) {
        return status;
    }
    if (!factor) {
        return sfi_refuse_null(context, __func__, "factor");
    }
    if ((status = sfi_check_integer(context, __func__, "kind", kind, SFCONV_UPSAMPLE_NEAREST,
                                    SFCONV_UPSAMPLE_BILINEAR)) < 0 ||
        (status = sfi_check_integer(context, __func__, "factor[0]", factor[0], 1, MAX_UPSAMPLE)) <
            0 ||
        (status = sfi_check_integer(context, __func__, "factor[1]", factor[1], 1, MAX_UPSAMPLE)) <
            0) {
        return status;
    }
    return sfi_upsample2d_new(layer, context, kind, factor);
}

sfconv_status sfconv_dropout_create(sfconv_layer **layer, sfconv_context *context,
                                    double probability)
{
    sfconv_status status;
    if ((status = sfi_begin_create(__func__, layer, context)) < 0 ||
        (status = sfi_check_below_one(context, __func__, "probability", probability)) < 0) {
        return status;
    }
    return sfi_dropout_new(layer, context, probability);
}

sfconv_status sfconv_add_create(sfconv_layer **layer, sfconv_context *context)
{
    const sfconv_status status = sfi_begin_create(__func__, layer, context);
    return status < 0 ? status : sfi_add_new(layer, context);
}

sfconv_status sfconv_concat_create(sfconv_layer **layer, sfconv_context *context)
{
    const sfconv_status status = sfi_begin_create(__func__, layer, context);
    return status < 0 ? status : sfi_concat_new(layer, context);
}
