/* SPDX-License-Identifier: BSD-2-Clause */
/* Pictures for people: masks on images, images beside each other. A mask or a probability by itself
 * is a gray image already: image_write_png(). Errors: as in image.h. */
#ifndef IMAGERY_PICTURE_H
#define IMAGERY_PICTURE_H

#include "image.h"

/* RGB: the image with the outline of the mask (>= 0.5; both of one size) in the given colour. */
bool picture_outline(struct image *result, const struct image *image, const struct image *mask,
                     const float colour[3], struct image_error *error);

/* RGB: the image, faint, below what the prediction (>= 0.5) found (green), made up (red) and missed
 * (blue) of the truth. All three of one size. */
bool picture_compare(struct image *result, const struct image *image, const struct image *truth,
                     const struct image *prediction, struct image_error *error);

/* RGB: `count` images (> 0) in rows of `columns`, each in the middle of a cell that fits the
 * largest, `spacing` pixels of dark gray between and round the cells. */
bool picture_sheet(struct image *result, const struct image *images, int64_t count, int64_t columns,
                   int64_t spacing, struct image_error *error);

/* Each pixel becomes a square of `factor` x `factor` (>= 1), so that small images can be seen. */
bool picture_enlarge(struct image *result, const struct image *image, int64_t factor,
                     struct image_error *error);

#endif
