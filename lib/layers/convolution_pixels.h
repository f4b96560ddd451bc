/* SPDX-License-Identifier: BSD-2-Clause */
/* The pixels of a convolution as one long axis, cut into blocks, and what each tap sees of a block.
 * Shared by the passes of convolution.h. */
#ifndef SFI_CONVOLUTION_PIXELS_H
#define SFI_CONVOLUTION_PIXELS_H

#include "kernels.h"

#include <stdbool.h>
#include <stddef.h>

/* Sizes that fix the order of sums: the same for every instruction set. A block of pixels times a
 * block of (channel, tap) pairs fills half of a common second-level cache; 432 is a multiple of the
 * columns of every matrix tile. */
#define SFI_BLOCK_PIXELS 432
#define SFI_BLOCK_DEPTH 288

/* Along one axis, pixel p of the grid meets source index p * step + offset + t * spacing for tap t.
 */
typedef struct sfi_pixel_axis {
    int64_t size;
    int64_t source_size;
    int64_t step;
    int64_t taps;
    int64_t offset;
    int64_t spacing;
} sfi_pixel_axis;

/* Pixel (image, row, column) is number (image * axis[0].size + row) * axis[1].size + column. */
typedef struct sfi_pixel_grid {
    int64_t batch;
    /* Elements from image to image of the source. */
    int64_t image_stride;
    sfi_pixel_axis axis[2];
    /* Pixels in all, pixels of a block (a multiple of 16), number of blocks. */
    int64_t count;
    int64_t block;
    int64_t blocks;
} sfi_pixel_grid;

/* Fills in count, block and blocks. Where the target's rows follow each other without a gap
 * (`target_flat`), a grid that only copies becomes one long row. */
void sfi_pixel_grid_finish(sfi_pixel_grid *grid, bool target_flat);

/* Distance between rows of a gathered block, in elements. */
int64_t sfi_pixel_pitch(const sfi_pixel_grid *grid);

static inline int64_t sfi_pixel_taps(const sfi_pixel_grid *grid)
{
    return grid->axis[0].taps * grid->axis[1].taps;
}

/* Channels whose taps make one block of depth, at least 1. */
int64_t sfi_block_channels(int64_t taps);

/* Cuts pixels first … first + count - 1 into runs; `runs` has room for `count`. */
int64_t sfi_pixel_runs(const sfi_pixel_grid *grid, int64_t first, int64_t count, sfk_run *runs);

/* For `channels` channels from `planes` on, row (channel, vertical tap, horizontal tap) of `lines`
 * becomes the block of `runs` as the tap sees it. Needs SFK_SLACK elements behind the last row. */
void sfi_pixel_gather(const sfk_table *kernels, const sfi_pixel_grid *grid, const sfk_run *runs,
                      int64_t run_count, const float *planes, int64_t channels, float *lines);

#endif
