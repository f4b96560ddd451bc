/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes of training images that leave their meaning as it is, the same for an image and its mask,
 * and the same each time for one (seed, index). */
#ifndef IMAGERY_AUGMENT_H
#define IMAGERY_AUGMENT_H

#include "image.h"

struct augment_options {
    bool flip_horizontal; /* half of the images */
    bool flip_vertical;
    bool rotate90;      /* by 0, 1, 2 or 3 quarters; 0 or 2 where the sides differ */
    double brightness;  /* adds a number from -brightness ... brightness; image only */
    double contrast;    /* times 1 - contrast ... 1 + contrast round the mean; image only */
    int64_t crop_width; /* a window of this size at a place by chance; 0: all of it */
    int64_t crop_height;
};

/* Replaces image and mask (NULL or empty: none). Fails where the mask has another size, where the
 * crop is larger than the image, or without memory; both images are then as before. */
bool augment(struct image *image, struct image *mask, const struct augment_options *options,
             uint64_t seed, uint64_t index, struct image_error *error);

#endif
