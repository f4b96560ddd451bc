/* SPDX-License-Identifier: BSD-2-Clause */
#include "arguments.h"
#include "settings.h"

#include "ranks.h"
#include "sizes.h"

#include <stdio.h>

sfconv_status sfi_begin_create(const char *call, sfconv_layer **layer, sfconv_context *context)
{
    if (!layer) {
        return sfi_refuse_null(context, call, "layer");
    }
    *layer = NULL;
    return context ? SFCONV_OK : SFCONV_ERROR_ARGUMENT;
}

sfconv_status sfi_check_size(sfconv_context *context, const char *call, const char *name,
                             int64_t value, int64_t min)
{
    if (value < min) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT, "%s: %s is %lld, expected at least %lld",
                        call, name, (long long)value, (long long)min);
    }
    if (value > INT32_MAX) {
        return sfi_fail(context, SFCONV_ERROR_OVERFLOW, "%s: %s is %lld, expected at most %lld",
                        call, name, (long long)value, (long long)INT32_MAX);
    }
    return SFCONV_OK;
}

sfconv_status sfi_check_pair(sfconv_context *context, const char *call, const char *name,
                             const int64_t pair[2], int64_t min)
{
    sfconv_status status = SFCONV_OK;
    for (int i = 0; i < 2 && status == SFCONV_OK; i++) {
        char axis_name[32];
        snprintf(axis_name, sizeof axis_name, "%s[%d]", name, i);
        status = sfi_check_size(context, call, axis_name, pair[i], min);
    }
    return status;
}

sfconv_status sfi_check_window(sfconv_context *context, const char *call, const sfi_window *window)
{
    sfconv_status status;
    if ((status = sfi_check_pair(context, call, "kernel", window->kernel, 1)) < 0 ||
        (status = sfi_check_pair(context, call, "stride", window->stride, 1)) < 0 ||
        (status = sfi_check_pair(context, call, "padding", window->padding, 0)) < 0) {
        return status;
    }
    return sfi_check_pair(context, call, "dilation", window->dilation, 1);
}

sfconv_status sfi_take_conv2d(sfconv_context *context, const char *call, sfconv_conv2d_desc *known,
                              const sfconv_conv2d_desc *desc)
{
    const sfi_window window = {known->kernel, known->stride, known->padding, known->dilation};
    sfconv_status status;
    if (!desc) {
        return sfi_refuse_null(context, call, "desc");
    }
    if ((status = sfi_take_desc(context, call, known, sizeof *known, desc)) < 0 ||
        (status = sfi_check_size(context, call, "in_channels", known->in_channels, 1)) < 0 ||
        (status = sfi_check_size(context, call, "out_channels", known->out_channels, 1)) < 0 ||
        (status = sfi_check_window(context, call, &window)) < 0 ||
        (status = sfi_check_size(context, call, "groups", known->groups, 1)) < 0 ||
        (status = sfi_check_flag(context, call, "has_bias", known->has_bias)) < 0 ||
        (status = sfi_check_integer(context, call, "reserved", known->reserved, 0, 0)) < 0) {
        return status;
    }
    if (known->in_channels % known->groups || known->out_channels % known->groups) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                        "%s: groups is %lld, expected a divisor of in_channels %lld and "
                        "out_channels %lld",
                        call, (long long)known->groups, (long long)known->in_channels,
                        (long long)known->out_channels);
    }
    return SFCONV_OK;
}

sfconv_status sfi_check_rank_rule(sfconv_context *context, const char *call, double ratio,
                                  int64_t min_rank)
{
    const sfconv_status status = sfi_check_positive(context, call, "ratio", ratio);
    return status < 0 ? status
                      : sfi_check_integer(context, call, "min_rank", min_rank, 1, INT64_MAX);
}

sfconv_status sfi_check_regularizer(sfconv_context *context, const char *call, int32_t regularizer,
                                    double weight)
{
    const sfconv_status status =
        sfi_check_integer(context, call, "regularizer", regularizer, SFCONV_REGULARIZER_NONE,
                          SFCONV_REGULARIZER_FROBENIUS);
    return status < 0 ? status
                      : sfi_check_not_negative(context, call, "regularizer weight", weight);
}

static sfconv_status decide_rank(sfconv_context *context, const char *call,
                                 sfconv_sfconv2d_desc *desc)
{
    const int64_t most =
        sfi_min(desc->in_channels * desc->kernel[1], desc->out_channels * desc->kernel[0]);
    if (desc->rank != 0) {
        return sfi_check_integer(context, call, "rank", desc->rank, 1, most);
    }
    const sfconv_status status = sfi_check_rank_rule(context, call, desc->ratio, desc->min_rank);
    if (status < 0) {
        return status;
    }
    desc->rank = sfi_rank_of_ratio(desc->out_channels, desc->in_channels, desc->kernel[0],
                                   desc->kernel[1], desc->ratio, desc->min_rank);
    return SFCONV_OK;
}

sfconv_status sfi_settle_sfconv2d(sfconv_context *context, const char *call,
                                  sfconv_sfconv2d_desc *desc)
{
    sfconv_status status;
    if ((status = sfi_check_not_negative(context, call, "ratio", desc->ratio)) < 0 ||
        (status = sfi_check_flag(context, call, "has_bias", desc->has_bias)) < 0 ||
        (status = sfi_check_integer(context, call, "initialization", desc->initialization,
                                    SFCONV_INITIALIZATION_KAIMING,
                                    SFCONV_INITIALIZATION_SPECTRAL)) < 0 ||
        (status = sfi_check_flag(context, call, "spectral_norm", desc->spectral_norm)) < 0 ||
        (status = sfi_check_regularizer(context, call, desc->regularizer,
                                        desc->regularizer_weight)) < 0) {
        return status;
    }
    return decide_rank(context, call, desc);
}
