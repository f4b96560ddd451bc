/* SPDX-License-Identifier: BSD-2-Clause */
/* How the brightness of the pixels of an image is distributed. */
#ifndef IMAGERY_MOMENTS_H
#define IMAGERY_MOMENTS_H

#include "image.h"

struct moments {
    int64_t pixels;
    double mean;
    double deviation; /* root of the unbiased variance */
    /* Adjusted Fisher-Pearson skewness G1 (Doane and Seward, Journal of Statistics Education 19(2),
     * 2011), and the excess kurtosis G2 that belongs to it: both 0 for a normal distribution. NaN
     * for fewer than four pixels or where all are equal. */
    double skewness;
    double kurtosis;
};

/* Of the luma of all pixels, or of those where the mask (one channel; NULL: all) is at least 0.5.
 * Luma is counted in 0 ... 255. Fails without memory. */
bool moments_of_image(struct moments *result, const struct image *image, const struct image *mask,
                      struct image_error *error);

#endif
