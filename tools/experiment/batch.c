/* SPDX-License-Identifier: BSD-2-Clause */
#include "batch.h"

#include <math.h>
#include <string.h>

int64_t batch_round_up(const struct experiment_model *model, int64_t size)
{
    return (size + model->multiple - 1) / model->multiple * model->multiple;
}

int64_t batch_round_down(const struct experiment_model *model, int64_t size)
{
    return size / model->multiple * model->multiple;
}

/* Adds a sample's sums of values and squares to sums[channel] and sums[channels + channel]. */
static bool add_sums(double *sums, double *pixels, const struct experiment_model *model,
                     const struct dataset *set, int64_t index, struct image_error *error)
{
    struct image image;
    struct image converted;
    if (!dataset_get(&image, NULL, set, index, error)) {
        return false;
    }
    const bool ok = image_convert(&converted, &image, (int32_t)model->channels, error);
    image_destroy(&image);
    if (!ok) {
        return false;
    }
    for (int32_t c = 0; c < converted.channels; c++) {
        const float *plane = image_plane(&converted, c);
        for (int64_t i = 0; i < image_pixels(&converted); i++) {
            sums[c] += plane[i];
            sums[EXPERIMENT_MAX_CHANNELS + c] += (double)plane[i] * plane[i];
        }
    }
    *pixels += (double)image_pixels(&converted);
    image_destroy(&converted);
    return true;
}

bool batch_measure(struct experiment_model *model, const struct dataset *set,
                   struct image_error *error)
{
    double sums[2 * EXPERIMENT_MAX_CHANNELS] = {0};
    double pixels = 0.0;
    for (int64_t i = 0; i < set->count; i++) {
        if (!add_sums(sums, &pixels, model, set, i, error)) {
            return false;
        }
    }
    for (int64_t c = 0; c < model->channels; c++) {
        const double mean = sums[c] / pixels;
        const double variance = sums[EXPERIMENT_MAX_CHANNELS + c] / pixels - mean * mean;
        model->mean[c] = (float)mean;
        /* A set of flat images has no spread to divide by. */
        model->deviation[c] = variance > 1e-8 ? (float)sqrt(variance) : 1.0f;
    }
    return true;
}

static float *row_of(const sfconv_view *batch, int64_t index, int64_t channel, int64_t row)
{
    return batch->data + index * batch->stride[0] + channel * batch->stride[1] +
           row * batch->stride[2];
}

bool batch_put_image(const struct experiment_model *model, const sfconv_view *batch, int64_t index,
                     const struct image *image, struct image_error *error)
{
    struct image converted;
    if (image->width > batch->shape[3] || image->height > batch->shape[2]) {
        return image_fail(error, "image of %lldx%lld pixels does not fit %lldx%lld",
                          (long long)image->width, (long long)image->height,
                          (long long)batch->shape[3], (long long)batch->shape[2]);
    }
    if (!image_convert(&converted, image, (int32_t)batch->shape[1], error)) {
        return false;
    }
    for (int64_t c = 0; c < batch->shape[1]; c++) {
        const float *plane = image_plane(&converted, (int32_t)c);
        const float scale = 1.0f / model->deviation[c];
        for (int64_t y = 0; y < batch->shape[2]; y++) {
            float *row = row_of(batch, index, c, y);
            memset(row, 0, (size_t)batch->shape[3] * sizeof *row);
            for (int64_t x = 0; y < converted.height && x < converted.width; x++) {
                row[x] = (plane[y * converted.width + x] - model->mean[c]) * scale;
            }
        }
    }
    image_destroy(&converted);
    return true;
}

void batch_put_mask(const sfconv_view *batch, int64_t index, const struct image *mask)
{
    for (int64_t y = 0; y < batch->shape[2]; y++) {
        float *row = row_of(batch, index, 0, y);
        memset(row, 0, (size_t)batch->shape[3] * sizeof *row);
        if (y < mask->height) {
            memcpy(row, image_plane(mask, 0) + y * mask->width, (size_t)mask->width * sizeof *row);
        }
    }
}
