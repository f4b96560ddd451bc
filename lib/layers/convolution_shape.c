/* SPDX-License-Identifier: BSD-2-Clause */
#include "convolution.h"

#include "sizes.h"

/* Positions are compared in int64_t, so extents stay far below its end. */
#define LARGEST_EXTENT (INT64_C(1) << 30)

int64_t sfi_conv_output_size(int64_t in, int64_t kernel, int64_t stride, int64_t padding,
                             int64_t dilation)
{
    const int64_t room = in + 2 * padding - dilation * (kernel - 1) - 1;
    return room < 0 ? 0 : room / stride + 1;
}

static bool within(int64_t value, int64_t least)
{
    return value >= least && value <= LARGEST_EXTENT;
}

static bool axis_fits(const sfi_conv_shape *shape, int a, int64_t in, int64_t out)
{
    return within(in, 1) && within(out, 1) && within(shape->kernel[a], 1) &&
           within(shape->stride[a], 1) && within(shape->padding[a], 0) &&
           within(shape->dilation[a], 1) &&
           out == sfi_conv_output_size(in, shape->kernel[a], shape->stride[a], shape->padding[a],
                                       shape->dilation[a]);
}

static bool countable(int64_t a, int64_t b, int64_t c, int64_t d)
{
    int64_t bytes;
    return sfi_product(&bytes, (const int64_t[]){a, b, c, d, (int64_t)sizeof(float)}, 5);
}

bool sfi_conv_shape_fits(const sfi_conv_shape *shape)
{
    return within(shape->batch, 1) && within(shape->groups, 1) && within(shape->in_channels, 1) &&
           within(shape->out_channels, 1) && shape->in_channels % shape->groups == 0 &&
           shape->out_channels % shape->groups == 0 &&
           axis_fits(shape, 0, shape->in_height, shape->out_height) &&
           axis_fits(shape, 1, shape->in_width, shape->out_width) &&
           countable(shape->batch, shape->in_channels, shape->in_height, shape->in_width) &&
           countable(shape->batch, shape->out_channels, shape->out_height, shape->out_width) &&
           countable(shape->out_channels, shape->in_channels / shape->groups, shape->kernel[0],
                     shape->kernel[1]);
}

bool sfi_conv_macs(int64_t *macs, const sfi_conv_shape *shape)
{
    const int64_t factors[] = {shape->batch,
                               shape->out_channels,
                               shape->out_height,
                               shape->out_width,
                               shape->in_channels / shape->groups,
                               shape->kernel[0],
                               shape->kernel[1]};
    return sfi_product(macs, factors, 7);
}
