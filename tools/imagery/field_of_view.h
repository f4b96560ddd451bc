/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a photograph of the back of the eye is lit: a disc, sometimes cut off above and below, in
 * a black border that holds noise, specks or a line of text. Errors: as in image.h. */
#ifndef IMAGERY_FIELD_OF_VIEW_H
#define IMAGERY_FIELD_OF_VIEW_H

#include "image.h"

/* A box round what is lit. */
struct field_of_view {
    int64_t left;
    int64_t top;
    int64_t width;
    int64_t height;
};

/* The largest connected lit part, without holes, to about 1/256 of the longer side. Where no part
 * stands out (an image that is black, or lit in specks only) the box is the whole image and the
 * mask is 0. `mask` (NULL: not wanted) is of the size of the image, 0 and 1. */
bool field_of_view_find(struct field_of_view *box, struct image *mask, const struct image *image,
                        struct image_error *error);

#endif
