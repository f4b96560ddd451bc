/* SPDX-License-Identifier: BSD-2-Clause */
#include "moments.h"

#include <math.h>

static bool is_counted(const struct image *mask, int64_t pixel)
{
    return !mask || mask->pixels[pixel] >= 0.5f;
}

/* Two passes: powers of the distance from the mean lose no digits to the mean's own size. */
static struct moments measure(const struct image *luma, const struct image *mask)
{
    struct moments result = {.skewness = NAN, .kurtosis = NAN};
    double sum = 0.0;
    double powers[5] = {0};
    for (int64_t i = 0; i < image_pixels(luma); i++) {
        if (is_counted(mask, i)) {
            result.pixels++;
            sum += 255.0 * (double)luma->pixels[i];
        }
    }
    const double n = (double)result.pixels;
    result.mean = sum / n;
    for (int64_t i = 0; i < image_pixels(luma); i++) {
        if (is_counted(mask, i)) {
            const double distance = 255.0 * (double)luma->pixels[i] - result.mean;
            const double square = distance * distance;
            powers[2] += square;
            powers[3] += square * distance;
            powers[4] += square * square;
        }
    }
    result.deviation = sqrt(powers[2] / (n - 1.0));
    const double variance = powers[2] / n;
    /* Float pixels of one value have a variance of rounding errors. */
    if (result.pixels >= 4 && variance > 1e-9) {
        const double g1 = powers[3] / n / (variance * sqrt(variance));
        const double g2 = powers[4] / n / (variance * variance) - 3.0;
        result.skewness = g1 * sqrt(n * (n - 1.0)) / (n - 2.0);
        result.kurtosis = (n - 1.0) / ((n - 2.0) * (n - 3.0)) * ((n + 1.0) * g2 + 6.0);
    }
    return result;
}

bool moments_of_image(struct moments *result, const struct image *image, const struct image *mask,
                      struct image_error *error)
{
    struct image luma;
    *result = (struct moments){0};
    if (!image_convert(&luma, image, 1, error)) {
        return false;
    }
    *result = measure(&luma, mask);
    image_destroy(&luma);
    return true;
}
