/* SPDX-License-Identifier: BSD-2-Clause */
/* The door of the kinds with a dense or factorized product: conv2d, sfconv2d, linear. */
#include "handles.h"
#include "settings.h"
#include "sfconv2d.h"

sfconv_status sfconv_conv2d_create(sfconv_layer **layer, sfconv_context *context,
                                   const sfconv_conv2d_desc *desc)
{
    sfconv_conv2d_desc known = SFCONV_CONV2D_DESC_INIT;
    sfconv_status status;
    if ((status = sfi_begin_create(__func__, layer, context)) < 0 ||
        (status = sfi_take_conv2d(context, __func__, &known, desc)) < 0) {
        return status;
    }
    return sfi_conv2d_new(layer, context, &known);
}

static sfconv_status check_sizes(sfconv_context *context, const char *call,
                                 const sfconv_sfconv2d_desc *desc)
{
    const sfi_window window = {desc->kernel, desc->stride, desc->padding, desc->dilation};
    sfconv_status status;
    if ((status = sfi_check_size(context, call, "in_channels", desc->in_channels, 1)) < 0 ||
        (status = sfi_check_size(context, call, "out_channels", desc->out_channels, 1)) < 0) {
        return status;
    }
    return sfi_check_window(context, call, &window);
}

sfconv_status sfconv_sfconv2d_create(sfconv_layer **layer, sfconv_context *context,
                                     const sfconv_sfconv2d_desc *desc)
{
    sfconv_sfconv2d_desc known = SFCONV_SFCONV2D_DESC_INIT;
    sfconv_status status = sfi_begin_create(__func__, layer, context);
    if (status < 0) {
        return status;
    }
    if (!desc) {
        return sfi_refuse_null(context, __func__, "desc");
    }
    if ((status = sfi_take_desc(context, __func__, &known, sizeof known, desc)) < 0 ||
        (status = check_sizes(context, __func__, &known)) < 0 ||
        (status = sfi_settle_sfconv2d(context, __func__, &known)) < 0) {
        return status;
    }
    return sfi_sfconv2d_new(layer, context, &known);
}

int64_t sfconv_sfconv2d_rank(const sfconv_layer *layer)
{
    if (sfi_check_layer(layer) < 0) {
        return 0;
    }
    const sfi_sfconv2d *factorized = sfi_as_const_sfconv2d(layer);
    return factorized ? factorized->desc.rank : 0;
}

sfconv_status sfconv_sfconv2d_set_regularizer(sfconv_layer *layer, int32_t regularizer,
                                              double weight)
{
    sfconv_status status = sfi_check_layer(layer);
    if (status < 0) {
        return status;
    }
    sfi_sfconv2d *factorized = sfi_as_sfconv2d(layer);
    status = sfi_check_regularizer(layer->context, __func__, regularizer, weight);
    if (status < 0) {
        return status;
    }
    if (!factorized) {
        return sfi_fail(layer->context, SFCONV_ERROR_UNSUPPORTED,
                        "%s: expected an sfconv2d, got a %s", __func__, layer->kind->kind);
    }
    factorized->desc.regularizer = regularizer;
    factorized->desc.regularizer_weight = weight;
    return SFCONV_OK;
}

sfconv_status sfconv_linear_create(sfconv_layer **layer, sfconv_context *context,
                                   const sfconv_linear_desc *desc)
{
    sfconv_linear_desc known = SFCONV_LINEAR_DESC_INIT;
    sfconv_status status = sfi_begin_create(__func__, layer, context);
    if (status < 0) {
        return status;
    }
    if (!desc) {
        return sfi_refuse_null(context, __func__, "desc");
    }
    if ((status = sfi_take_desc(context, __func__, &known, sizeof known, desc)) < 0 ||
        (status = sfi_check_size(context, __func__, "in_features", known.in_features, 1)) < 0 ||
        (status = sfi_check_size(context, __func__, "out_features", known.out_features, 1)) < 0 ||
        (status = sfi_check_flag(context, __func__, "has_bias", known.has_bias)) < 0 ||
        (status = sfi_check_integer(context, __func__, "reserved", known.reserved, 0, 0)) < 0) {
        return status;
    }
    return sfi_linear_new(layer, context, &known);
}
