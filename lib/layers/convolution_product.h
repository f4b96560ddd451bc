/* SPDX-License-Identifier: BSD-2-Clause */
/* The implicit product behind the forward pass and the gradient by the data. */
#ifndef SFI_CONVOLUTION_PRODUCT_H
#define SFI_CONVOLUTION_PRODUCT_H

#include "convolution_pixels.h"
#include "ctx.h"
#include "finish.h"

/* target(group, m, pixel) = bias[group, m] + Σ over source channels c of the group and taps (i, j)
 *   of source(group, c, pixel seen by the tap) * weight(group, m, c, i, j). Strides in elements. */
typedef struct sfi_conv_product {
    sfi_pixel_grid grid;
    int64_t groups;
    const float *source;
    /* Channels of one group. */
    int64_t source_channels;
    const float *weight;
    int64_t weight_group;
    int64_t weight_row;
    int64_t weight_channel;
    int64_t weight_tap[2];
    float *target;
    int64_t target_channels;
    int64_t target_plane;
    /* From row to row and from column to column of the grid. */
    int64_t target_step[2];
    const float *bias;
    bool accumulate;
    /* What the freeze of the algorithm made of the weight, or NULL. */
    const float *frozen;
    /* What is done to the target, or NULL. */
    const sfi_finish *finish;
} sfi_conv_product;

/* The largest number of taps, of pixels of a grid and of a row, and the target channels of a group.
 */
typedef struct sfi_product_sizes {
    int64_t taps;
    int64_t pixels;
    int64_t columns;
    int64_t rows;
} sfi_product_sizes;

bool sfi_conv_product_scratch(int64_t *bytes, const sfconv_context *context,
                              const sfi_product_sizes *sizes);

/* The weight in panels for lanes over channels, made once for many passes. 0 bytes: lanes never run
 * over the channels of this product. */
bool sfi_conv_product_frozen_bytes(int64_t *bytes, const sfi_conv_product *product);
void sfi_conv_product_freeze(sfconv_context *context, const sfi_conv_product *product,
                             float *frozen);

/* Needs a finished grid and the scratch of a query with its sizes. */
void sfi_conv_product_run(sfconv_context *context, const sfi_conv_product *product, void *scratch);

#endif
