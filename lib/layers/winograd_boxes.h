/* SPDX-License-Identifier: BSD-2-Clause */
/* How the tiles of a product by Winograd's F(4x4, 3x3) are cut where lanes run over channels: a box
 * has some tiles of some rows of an image, or all of some images. It depends on the problem alone.
 */
#ifndef SFI_WINOGRAD_BOXES_H
#define SFI_WINOGRAD_BOXES_H

#include "winograd_source.h"

typedef struct sfi_winograd_box {
    int64_t image;
    int64_t images;
    int64_t row;
    int64_t rows;
    int64_t column;
    int64_t columns;
    int64_t tiles;
} sfi_winograd_box;

typedef struct sfi_winograd_boxes {
    int64_t batch;
    sfi_winograd_grid grid;
    /* Along images, rows and columns. */
    int64_t parts[3];
    int64_t count;
    /* Where it begins does not matter. */
    sfi_winograd_box largest;
    /* There are enough boxes for a task each, and the coefficients of one stay in its cache. */
    bool own;
} sfi_winograd_boxes;

sfi_winograd_boxes sfi_winograd_boxes_of(const sfi_conv_product *product);
sfi_winograd_box sfi_winograd_box_number(const sfi_winograd_boxes *boxes, int64_t number);

#endif
