/* SPDX-License-Identifier: BSD-2-Clause */
#include "image.h"

#include <math.h>
#include <stdlib.h>

/* How one axis is resampled: place i of the result is the sum of `reach` places of the source from
 * first[i] on, weighted by weights[i * reach ...]. */
struct axis {
    int64_t reach;
    int64_t *first;
    float *weights;
};

static void axis_destroy(struct axis *axis)
{
    free(axis->first);
    free(axis->weights);
    *axis = (struct axis){0};
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* Place i covers [i, i + 1) * scale of the source; each source place counts by its share. */
static void fill_average(struct axis *axis, int64_t from, int64_t to)
{
    const double scale = (double)from / (double)to;
    for (int64_t i = 0; i < to; i++) {
        const double begin = (double)i * scale;
        const double end = fmin(begin + scale, (double)from);
        axis->first[i] = clamp((int64_t)begin, 0, from - axis->reach);
        for (int64_t k = 0; k < axis->reach; k++) {
            const double place = (double)(axis->first[i] + k);
            const double share = fmin(end, place + 1) - fmax(begin, place);
            axis->weights[i * axis->reach + k] = (float)(fmax(share, 0) / (end - begin));
        }
    }
}

/* Place i lies at (i + 1/2) * scale - 1/2 of the source, held inside its first and last centre. */
static void fill_linear(struct axis *axis, int64_t from, int64_t to)
{
    const double scale = (double)from / (double)to;
    for (int64_t i = 0; i < to; i++) {
        const double place = fmin(fmax(((double)i + 0.5) * scale - 0.5, 0), (double)(from - 1));
        axis->first[i] = clamp((int64_t)place, 0, from - axis->reach);
        const float part = (float)(place - (double)axis->first[i]);
        axis->weights[i * axis->reach] = 1.0f - part;
        if (axis->reach == 2) {
            axis->weights[i * 2 + 1] = part;
        }
    }
}

static bool axis_create(struct axis *axis, int64_t from, int64_t to, struct image_error *error)
{
    const int64_t wanted = from > to ? from / to + 2 : 2;
    axis->reach = wanted < from ? wanted : from;
    axis->first = calloc((size_t)to, sizeof *axis->first);
    axis->weights = calloc((size_t)(to * axis->reach), sizeof *axis->weights);
    if (!axis->first || !axis->weights) {
        axis_destroy(axis);
        return image_fail(error, "resize to a side of %lld pixels: out of memory", (long long)to);
    }
    if (from > to) {
        fill_average(axis, from, to);
    } else {
        fill_linear(axis, from, to);
    }
    return true;
}

static void resample_rows(struct image *result, const struct image *source, const struct axis *axis)
{
    for (int64_t row = 0; row < source->height * source->channels; row++) {
        const float *from = source->pixels + row * source->width;
        float *to = result->pixels + row * result->width;
        for (int64_t x = 0; x < result->width; x++) {
            const float *weights = axis->weights + x * axis->reach;
            float sum = 0;
            for (int64_t k = 0; k < axis->reach; k++) {
                sum += weights[k] * from[axis->first[x] + k];
            }
            to[x] = sum;
        }
    }
}

static void resample_columns(struct image *result, const struct image *source,
                             const struct axis *axis)
{
    for (int64_t row = 0; row < result->height * result->channels; row++) {
        const int64_t y = row % result->height;
        const float *plane = image_plane(source, (int32_t)(row / result->height));
        float *to = result->pixels + row * result->width;
        for (int64_t k = 0; k < axis->reach; k++) {
            const float weight = axis->weights[y * axis->reach + k];
            const float *from = plane + (axis->first[y] + k) * source->width;
            for (int64_t x = 0; x < result->width; x++) {
                to[x] += weight * from[x];
            }
        }
    }
}

bool image_resize(struct image *result, const struct image *source, int64_t width, int64_t height,
                  struct image_error *error)
{
    struct image rows = {0};
    struct axis across = {0};
    struct axis down = {0};
    const bool ready = image_create(result, width, height, source->channels, error) &&
                       image_create(&rows, width, source->height, source->channels, error) &&
                       axis_create(&across, source->width, width, error) &&
                       axis_create(&down, source->height, height, error);
    if (ready) {
        resample_rows(&rows, source, &across);
        resample_columns(result, &rows, &down);
    } else {
        image_destroy(result);
    }
    axis_destroy(&down);
    axis_destroy(&across);
    image_destroy(&rows);
    return ready;
}
