/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of an implicit product share: how it is cut, a worker's memory, a task, and one
 * block of depth of it. Pixels are laid out by convolution_product.c; the products themselves have
 * their lanes over pixels (convolution_rows.c) or over channels (convolution_panels.c). */
#ifndef SFI_CONVOLUTION_OPERAND_H
#define SFI_CONVOLUTION_OPERAND_H

#include "convolution_product.h"

/* Most output pixels of a patch. */
#define SFI_PATCH_PIXELS 2048
/* Patches of a map, or tasks where lanes run over channels, so that workers can share it. For a
 * single worker there is one: what patches share is copied for each. */
#define SFI_TASKS_WANTED 8
/* Every number of rows of a tile divides it. */
#define SFI_TILE_MULTIPLE 24

/* The tables for one block of depth, shared by all tasks, then one area a worker. */
typedef struct sfi_product_layout {
    int64_t depth;
    int64_t pitch;
    int64_t steps_bytes;
    int64_t lines_bytes;
    int64_t panels_bytes;
    int64_t sums_bytes;
    int64_t runs_bytes;
    int64_t offsets_bytes;
} sfi_product_layout;

/* Maps are copied row by row, zeros around them, and all taps share the copy, where gathered lines
 * would be copied once for each tap. With a horizontal stride s columns 0, s, 2s … come first, then
 * 1, s + 1 …, each such phase a plane of its own: so the pixels that a tap sees are neighbours. No
 * rows: this is not done. */
typedef struct sfi_product_patch {
    /* Output rows at a time, and what source rows and columns their taps reach beyond. */
    int64_t rows;
    int64_t extra[2];
    int64_t row_pitch;
    int64_t phase_pitch;
    int64_t channel_pitch;
    int64_t row_blocks;
} sfi_product_patch;

typedef struct sfi_product_run {
    const sfk_table *kernels;
    const sfi_conv_product *product;
    sfi_product_layout layout;
    /* Lanes over channels. */
    bool by_channels;
    int64_t *weight_steps;
    /* Of all weight_steps, 0 where they differ. */
    int64_t weight_step;
    int64_t *line_steps;
    int64_t *patch_steps;
    char *areas;
    int64_t tasks_wanted;
    int64_t row_blocks;
    int64_t rows_per_block;
    int64_t block_channels;
    sfi_product_patch patch;
} sfi_product_run;

typedef struct sfi_product_area {
    float *lines;
    float *panels;
    /* Of lanes over channels: [panel][pixel][channel]. */
    float *sums;
    sfk_run *runs;
    int64_t *offsets;
} sfi_product_area;

/* The rows of one task: target channels. */
typedef struct sfi_product_part {
    int64_t group;
    int64_t first_row;
    int64_t rows;
} sfi_product_part;

/* A block of depth for some rows of pixels: element (k, row, pixel) is
 * values[steps[k] + row * row_pitch + pixel]. */
typedef struct sfi_product_operand {
    const float *values;
    const int64_t *steps;
    int64_t channel;
    int64_t depth;
    /* No block comes behind it. */
    bool last;
    /* For panel_row. */
    bool is_in_rows;
    int64_t rows;
    int64_t row_pitch;
    int64_t pixels;
    /* Where the pixels of all rows, one after the other, lie in a target plane, counted from the
     * plane of image 0. */
    const int64_t *offsets;
} sfi_product_operand;

/* Adds one block of depth to all pixels and rows of the part. */
void sfi_product_multiply_rows(const sfi_product_run *run, const sfi_product_part *part,
                               const sfi_product_operand *operand, const sfi_product_area *area);
void sfi_product_multiply_panels(const sfi_product_run *run, const sfi_product_part *part,
                                 const sfi_product_operand *operand, const sfi_product_area *area);

/* A panel of `rows` target channels, zeros behind them: panel[k * panel_columns + m] =
 * from[m * row_step + steps[k]]. 2 * SFK_SLACK elements behind it may be overwritten. */
void sfi_pack_panel(const sfk_table *kernels, float *panel, const float *from, int64_t row_step,
                    const int64_t *steps, int64_t rows, int64_t depth);

/* How many pixels from pixel `first` on are neighbours in the target. */
int64_t sfi_product_neighbours(const sfi_product_operand *operand, int64_t first);

/* Whether lanes run over channels: there are enough to fill them, and either the weights lie in
 * panels already or the pixels are enough to pay for packing them. */
bool sfi_product_by_channels(const sfi_conv_product *product);
/* Whether lanes over channels take pixels from patches: one copy where lines cost one a tap. */
bool sfi_product_has_patches(const sfi_pixel_grid *grid);
/* Whether pixels and taps of a patch lie as panel_row wants them, enough in a row for its tiles. */
bool sfi_product_is_in_rows(const sfi_product_run *run);
/* Of lanes over channels: target channels of a task, and wanted rows of pixels of a patch. */
int64_t sfi_product_panel_rows(const sfi_conv_product *product, int64_t tasks_wanted);
int64_t sfi_product_patch_rows(const sfi_product_run *run);
/* Source channels whose taps make one block of depth. */
int64_t sfi_product_panel_depth(const sfk_table *kernels, int64_t taps);
/* Elements of the sums of a task of any grid of these sizes. */
int64_t sfi_product_panel_sums(const sfi_product_sizes *sizes);

#endif
