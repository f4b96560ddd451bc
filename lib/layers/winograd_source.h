/* SPDX-License-Identifier: BSD-2-Clause */
/* The tiles of a product by Winograd's F(4x4, 3x3), and the transform of its source. */
#ifndef SFI_WINOGRAD_SOURCE_H
#define SFI_WINOGRAD_SOURCE_H

#include "convolution_product.h"

/* Tiles of an image, row by row, image after image. */
typedef struct sfi_winograd_grid {
    int64_t rows;
    int64_t columns;
    int64_t image_tiles;
    int64_t tiles;
} sfi_winograd_grid;

/* Tiles of one row that follow each other. */
typedef struct sfi_tile_run {
    int64_t image;
    int64_t row;
    int64_t column;
    int64_t count;
} sfi_tile_run;

/* Elements of a `patch`. */
#define SFI_WINOGRAD_PATCH                                                                         \
    (SFK_WINOGRAD_WINDOW * SFK_WINOGRAD_TILE * (SFK_WINOGRAD_RUN + 1) + SFK_WINOGRAD_SLACK)

sfi_winograd_grid sfi_winograd_grid_of(const sfi_conv_product *product);

/* The run from `tile` on, of `most` tiles at most. */
sfi_tile_run sfi_winograd_run_from(const sfi_winograd_grid *grid, int64_t tile, int64_t most);

/* Coefficients of tiles first … end - 1 of a channel: f of tile t goes to
 * to[f * plane + t - first]. Up to SFK_SLACK elements behind the last are overwritten. */
void sfi_winograd_source(const sfk_table *kernels, const sfi_conv_product *product,
                         const sfi_winograd_grid *grid, int64_t channel, int64_t first, int64_t end,
                         float *to, int64_t plane, float *patch);

#endif
