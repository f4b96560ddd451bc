/* SPDX-License-Identifier: BSD-2-Clause */
#include "moments.h"

#include <math.h>
#include <stdlib.h>

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

/* Pixels that are known to be border and whose neighbours are still to be looked at. */
struct front {
    const struct image *luma;
    struct image *mask;
    float level;
    int64_t *pixels;
    int64_t count;
};

static void visit(struct front *front, int64_t x, int64_t y)
{
    const int64_t pixel = y * front->luma->width + x;
    if (x < 0 || y < 0 || x >= front->luma->width || y >= front->luma->height ||
        front->mask->pixels[pixel] == 0.0f || front->luma->pixels[pixel] >= front->level) {
        return;
    }
    front->mask->pixels[pixel] = 0.0f;
    front->pixels[front->count++] = pixel;
}

static void flood(struct front *front)
{
    const int64_t width = front->luma->width;
    const int64_t height = front->luma->height;
    for (int64_t x = 0; x < width; x++) {
        visit(front, x, 0);
        visit(front, x, height - 1);
    }
    for (int64_t y = 0; y < height; y++) {
        visit(front, 0, y);
        visit(front, width - 1, y);
    }
    while (front->count > 0) {
        const int64_t pixel = front->pixels[--front->count];
        const int64_t x = pixel % width;
        const int64_t y = pixel / width;
        visit(front, x - 1, y);
        visit(front, x + 1, y);
        visit(front, x, y - 1);
        visit(front, x, y + 1);
    }
}

bool field_of_view(struct image *mask, const struct image *image, double level,
                   struct image_error *error)
{
    struct image luma;
    if (!image_create(mask, image->width, image->height, 1, error)) {
        return false;
    }
    if (!image_convert(&luma, image, 1, error)) {
        image_destroy(mask);
        return false;
    }
    /* Each pixel enters the list once. */
    struct front front = {.luma = &luma, .mask = mask, .level = (float)level};
    front.pixels = malloc((size_t)image_pixels(&luma) * sizeof *front.pixels);
    const bool ok = front.pixels != NULL;
    if (ok) {
        for (int64_t i = 0; i < image_pixels(mask); i++) {
            mask->pixels[i] = 1.0f;
        }
        flood(&front);
    } else {
        image_destroy(mask);
        image_fail(error, "field of view: out of memory");
    }
    free(front.pixels);
    image_destroy(&luma);
    return ok;
}
