/* SPDX-License-Identifier: BSD-2-Clause */
/* Forward pass and gradient by the data: both are products over the channels of the other side. */
#include "convolution.h"
#include "convolution_lines.h"
#include "convolution_product.h"
#include "convolution_winograd.h"

#include "sizes.h"

#include <assert.h>

static int64_t taps_of(const sfi_conv_shape *shape)
{
    return shape->kernel[0] * shape->kernel[1];
}

static sfi_conv_product forward_product(const sfi_conv_shape *shape)
{
    const int64_t in_sizes[2] = {shape->in_height, shape->in_width};
    const int64_t out_sizes[2] = {shape->out_height, shape->out_width};
    const int64_t group_in = shape->in_channels / shape->groups;
    const int64_t group_out = shape->out_channels / shape->groups;
    const int64_t taps = taps_of(shape);
    sfi_conv_product product = {
        .grid = {.batch = shape->batch,
                 .image_stride = shape->in_channels * shape->in_height * shape->in_width},
        .groups = shape->groups,
        .source_channels = group_in,
        .weight_group = group_out * group_in * taps,
        .weight_row = group_in * taps,
        .weight_channel = taps,
        .weight_tap = {shape->kernel[1], 1},
        .target_channels = group_out,
        .target_plane = shape->out_height * shape->out_width,
        .target_step = {shape->out_width, 1},
    };
    for (int a = 0; a < 2; a++) {
        product.grid.axis[a] = (sfi_pixel_axis){.size = out_sizes[a],
                                                .source_size = in_sizes[a],
                                                .step = shape->stride[a],
                                                .taps = shape->kernel[a],
                                                .offset = -shape->padding[a],
                                                .spacing = shape->dilation[a]};
    }
    sfi_pixel_grid_finish(&product.grid, true);
    return product;
}

bool sfi_conv_forward_scratch(int64_t *bytes, const sfconv_context *context,
                              const sfi_conv_shape *shape)
{
    const sfi_conv_product product = forward_product(shape);
    if (sfi_lines_chosen(context, shape)) {
        return sfi_lines_forward_scratch(bytes, context, shape);
    }
    if (sfi_winograd_chosen(context, &product)) {
        return sfi_winograd_scratch(bytes, context, &product);
    }
    const sfi_product_sizes sizes = {taps_of(shape),
                                     shape->batch * shape->out_height * shape->out_width,
                                     shape->out_width, product.target_channels};
    return sfi_conv_product_scratch(bytes, context, &sizes);
}

static void run_product(sfconv_context *context, const sfi_conv_product *product, void *scratch)
{
    if (sfi_winograd_chosen(context, product)) {
        sfi_winograd_run(context, product, scratch);
    } else {
        sfi_conv_product_run(context, product, scratch);
    }
}

bool sfi_conv_frozen_bytes(int64_t *bytes, const sfconv_context *context,
                           const sfi_conv_shape *shape)
{
    const sfi_conv_product product = forward_product(shape);
    if (sfi_lines_chosen(context, shape)) {
        *bytes = 0;
        return true;
    }
    return sfi_winograd_chosen(context, &product) ? sfi_winograd_frozen_bytes(bytes, &product)
                                                  : sfi_conv_product_frozen_bytes(bytes, &product);
}

void sfi_conv_freeze(sfconv_context *context, const sfi_conv_shape *shape, const float *weight,
                     void *frozen)
{
    sfi_conv_product product = forward_product(shape);
    product.weight = weight;
    if (sfi_winograd_chosen(context, &product)) {
        sfi_winograd_freeze(context, &product, frozen);
    } else {
        sfi_conv_product_freeze(context, &product, frozen);
    }
}

void sfi_conv_forward(sfconv_context *context, const sfi_conv_shape *shape, const float *x,
                      const float *weight, const void *frozen, const float *bias,
                      const sfi_finish *finish, float *y, void *scratch)
{
    assert(sfi_conv_shape_fits(shape));
    if (sfi_lines_chosen(context, shape)) {
        sfi_lines_forward(context, shape, x, weight, bias, finish, y, scratch);
        return;
    }
    sfi_conv_product product = forward_product(shape);
    product.source = x;
    product.weight = weight;
    product.frozen = frozen;
    product.target = y;
    product.bias = bias;
    product.finish = finish;
    run_product(context, &product, scratch);
}

/* With stride s the pixels of dx fall into s phases an axis. Pixel u * s + phase meets output
 * u + (phase + padding - t * dilation) / s where this division has no remainder: these taps, and no
 * others, have a part in it, and over u they are a convolution of stride 1. */
struct phase {
    sfi_pixel_axis axis;
    int64_t first_tap;
    int64_t tap_period;
};

static int64_t greatest_common_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static struct phase make_phase(const sfi_conv_shape *shape, int a, int64_t in_size,
                               int64_t out_size, int64_t phase)
{
    const int64_t stride = shape->stride[a];
    const int64_t dilation = shape->dilation[a];
    const int64_t common = greatest_common_divisor(stride, dilation);
    const int64_t period = stride / common;
    const int64_t taps = shape->kernel[a];
    const int64_t shift = phase + shape->padding[a];
    struct phase result = {.tap_period = period};
    while (result.first_tap < sfi_min(period, taps) &&
           (shift - result.first_tap * dilation) % stride != 0) {
        result.first_tap++;
    }
    const bool none = result.first_tap == sfi_min(period, taps);
    result.axis = (sfi_pixel_axis){
        .size = in_size > phase ? sfi_ceil_div(in_size - phase, stride) : 0,
        .source_size = out_size,
        .step = 1,
        .taps = none ? 0 : sfi_ceil_div(taps - result.first_tap, period),
        .offset = none ? 0 : (shift - result.first_tap * dilation) / stride,
        .spacing = -dilation / common,
    };
    return result;
}

/* The part that the taps of one phase have in dx. The weight and the target of the product are
 * counted from those of the pass, which come later. */
static sfi_conv_product phase_product(const sfi_conv_shape *shape, const int64_t phases[2],
                                      int64_t *first_weight)
{
    const struct phase rows = make_phase(shape, 0, shape->in_height, shape->out_height, phases[0]);
    const struct phase columns = make_phase(shape, 1, shape->in_width, shape->out_width, phases[1]);
    const int64_t group_in = shape->in_channels / shape->groups;
    const int64_t group_out = shape->out_channels / shape->groups;
    const int64_t taps = taps_of(shape);
    sfi_conv_product product = {
        .grid = {.batch = shape->batch,
                 .image_stride = shape->out_channels * shape->out_height * shape->out_width,
                 .axis = {rows.axis, columns.axis}},
        .groups = shape->groups,
        .source_channels = group_out,
        .weight_group = group_out * group_in * taps,
        .weight_row = taps,
        .weight_channel = group_in * taps,
        .weight_tap = {rows.tap_period * shape->kernel[1], columns.tap_period},
        .target_channels = group_in,
        .target_plane = shape->in_height * shape->in_width,
        .target_step = {shape->stride[0] * shape->in_width, shape->stride[1]},
    };
    *first_weight = rows.first_tap * shape->kernel[1] + columns.first_tap;
    if (sfi_pixel_taps(&product.grid) == 0) {
        /* No tap along one axis: the phase is zero, whatever the other axis has. */
        *first_weight = 0;
        product.grid.axis[0].taps = product.grid.axis[1].taps = 0;
    }
    sfi_pixel_grid_finish(&product.grid, shape->stride[0] == 1 && shape->stride[1] == 1);
    return product;
}

bool sfi_conv_backward_data_scratch(int64_t *bytes, const sfconv_context *context,
                                    const sfi_conv_shape *shape)
{
    int64_t first_weight;
    const sfi_conv_product product = phase_product(shape, (int64_t[2]){0, 0}, &first_weight);
    /* Only without stride, and then there is no other phase. */
    if (shape->stride[0] == 1 && shape->stride[1] == 1 && sfi_winograd_chosen(context, &product)) {
        return sfi_winograd_scratch(bytes, context, &product);
    }
    const sfi_product_sizes sizes = {taps_of(shape),
                                     shape->batch * shape->in_height * shape->in_width,
                                     shape->in_width, product.target_channels};
    return sfi_conv_product_scratch(bytes, context, &sizes);
}

static void run_phase(sfconv_context *context, const sfi_conv_shape *shape, const float *dy,
                      const float *weight, float *dx, bool accumulate, const int64_t phases[2],
                      void *scratch)
{
    int64_t first_weight;
    sfi_conv_product product = phase_product(shape, phases, &first_weight);
    product.source = dy;
    product.weight = weight + first_weight;
    product.target = dx + phases[0] * shape->in_width + phases[1];
    product.accumulate = accumulate;
    if (product.grid.count > 0) {
        run_product(context, &product, scratch);
    }
}

void sfi_conv_backward_data(sfconv_context *context, const sfi_conv_shape *shape, const float *dy,
                            const float *weight, float *dx, bool accumulate, void *scratch)
{
    assert(sfi_conv_shape_fits(shape));
    /* Phases behind the last pixel have none. */
    const int64_t rows = sfi_min(shape->stride[0], shape->in_height);
    const int64_t columns = sfi_min(shape->stride[1], shape->in_width);
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            run_phase(context, shape, dy, weight, dx, accumulate, (int64_t[2]){i, j}, scratch);
        }
    }
}

/* A product with `direct` multiply-adds. */
static sfi_macs count_product(const sfconv_context *context, const sfi_conv_product *product,
                              int64_t direct)
{
    return sfi_winograd_chosen(context, product)
               ? (sfi_macs){sfi_winograd_macs(product), direct, SFI_F_4X4_3X3}
               : sfi_direct_macs(direct);
}

sfi_conv_counts sfi_conv_count(const sfconv_context *context, const sfi_conv_shape *shape)
{
    const bool has_stride = shape->stride[0] > 1 || shape->stride[1] > 1;
    const sfi_conv_product forward = forward_product(shape);
    int64_t first_weight;
    const sfi_conv_product data = phase_product(shape, (int64_t[2]){0, 0}, &first_weight);
    int64_t direct = 0;
    const bool fits = sfi_conv_macs(&direct, shape);
    assert(fits);
    (void)fits;
    sfi_conv_counts counts = {.forward = count_product(context, &forward, direct),
                              .data = sfi_direct_macs(direct),
                              .weight = sfi_direct_macs(direct)};
    if (!has_stride) {
        counts.data = count_product(context, &data, direct);
    }
    if (sfi_lines_chosen(context, shape)) {
        counts.forward = counts.weight = (sfi_macs){sfi_lines_macs(shape), direct, SFI_F_4_4};
    }
    return counts;
}
