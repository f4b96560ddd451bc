/* SPDX-License-Identifier: BSD-2-Clause */
/* Made pictures in the manner of OCT angiography of the retina: vessels between two arcades that
 * strive for a dark fovea, a bed of capillaries, speckle, shadows and lines of motion; and the mask
 * of the larger vessels (0.06 to 0.2 of the pixels as a rule). Picture `index` of `seed` is the
 * same each time on one machine. Errors: as in image.h. */
#ifndef IMAGERY_ANGIOGRAM_H
#define IMAGERY_ANGIOGRAM_H

#include "dataset.h"

/* Gray image and mask of 0 and 1, each side at least 16 pixels; made for about 96 x 96. */
bool angiogram_create(struct image *image, struct image *mask, int64_t width, int64_t height,
                      uint64_t seed, uint64_t index, struct image_error *error);

/* Pictures first ... first + count - 1 of the seed. */
bool angiogram_dataset(struct dataset *result, int64_t first, int64_t count, int64_t width,
                       int64_t height, uint64_t seed, struct image_error *error);

#endif
