/* SPDX-License-Identifier: BSD-2-Clause */
#include "picture.h"

#include <string.h>

static const float found[] = {0.15f, 0.85f, 0.25f};
static const float made_up[] = {0.95f, 0.2f, 0.15f};
static const float missed[] = {0.2f, 0.45f, 1.0f};
static const float background = 0.18f;

static bool same_size(const struct image *image, const struct image *mask,
                      struct image_error *error)
{
    if (image->width == mask->width && image->height == mask->height && mask->channels == 1) {
        return true;
    }
    return image_fail(error,
                      "picture: expected a mask of %lld x %lld and 1 channel, got %lld x %lld and "
                      "%d",
                      (long long)image->width, (long long)image->height, (long long)mask->width,
                      (long long)mask->height, (int)mask->channels);
}

static void paint(struct image *image, int64_t pixel, const float colour[3], float part)
{
    for (int32_t c = 0; c < 3; c++) {
        float *value = image_plane(image, c) + pixel;
        *value += part * (colour[c] - *value);
    }
}

static bool is_set(const struct image *mask, int64_t x, int64_t y)
{
    return x >= 0 && y >= 0 && x < mask->width && y < mask->height &&
           mask->pixels[y * mask->width + x] >= 0.5f;
}

bool picture_outline(struct image *result, const struct image *image, const struct image *mask,
                     const float colour[3], struct image_error *error)
{
    *result = (struct image){0};
    if (!same_size(image, mask, error) || !image_convert(result, image, 3, error)) {
        return false;
    }
    for (int64_t y = 0; y < mask->height; y++) {
        for (int64_t x = 0; x < mask->width; x++) {
            const bool inside = is_set(mask, x - 1, y) && is_set(mask, x + 1, y) &&
                                is_set(mask, x, y - 1) && is_set(mask, x, y + 1);
            if (is_set(mask, x, y) && !inside) {
                paint(result, y * mask->width + x, colour, 1.0f);
            }
        }
    }
    return true;
}

bool picture_compare(struct image *result, const struct image *image, const struct image *truth,
                     const struct image *prediction, struct image_error *error)
{
    static const float black[] = {0, 0, 0};
    *result = (struct image){0};
    if (!same_size(image, truth, error) || !same_size(image, prediction, error) ||
        !image_convert(result, image, 3, error)) {
        return false;
    }
    for (int64_t i = 0; i < image_pixels(image); i++) {
        const bool is = truth->pixels[i] >= 0.5f;
        const bool seems = prediction->pixels[i] >= 0.5f;
        if (is || seems) {
            paint(result, i, is && seems ? found : is ? missed : made_up, 0.8f);
        } else {
            paint(result, i, black, 0.5f);
        }
    }
    return true;
}

static void put(struct image *sheet, const struct image *image, int64_t left, int64_t top)
{
    for (int32_t c = 0; c < 3; c++) {
        const float *from = image_plane(image, image->channels == 3 ? c : 0);
        float *to = image_plane(sheet, c) + top * sheet->width + left;
        for (int64_t y = 0; y < image->height; y++) {
            memcpy(to + y * sheet->width, from + y * image->width,
                   (size_t)image->width * sizeof(float));
        }
    }
}

bool picture_sheet(struct image *result, const struct image *images, int64_t count, int64_t columns,
                   int64_t spacing, struct image_error *error)
{
    *result = (struct image){0};
    if (count < 1 || columns < 1 || spacing < 0 || count > IMAGE_MAX_SIDE ||
        columns > IMAGE_MAX_SIDE || spacing > IMAGE_MAX_SIDE) {
        return image_fail(error, "sheet of %lld images in %lld columns, spacing %lld",
                          (long long)count, (long long)columns, (long long)spacing);
    }
    int64_t cell_width = 0;
    int64_t cell_height = 0;
    for (int64_t i = 0; i < count; i++) {
        cell_width = images[i].width > cell_width ? images[i].width : cell_width;
        cell_height = images[i].height > cell_height ? images[i].height : cell_height;
    }
    const int64_t rows = (count + columns - 1) / columns;
    if (!image_create(result, columns * (cell_width + spacing) + spacing,
                      rows * (cell_height + spacing) + spacing, 3, error)) {
        return false;
    }
    for (int64_t i = 0; i < 3 * image_pixels(result); i++) {
        result->pixels[i] = background;
    }
    for (int64_t i = 0; i < count; i++) {
        put(result, &images[i],
            spacing + i % columns * (cell_width + spacing) + (cell_width - images[i].width) / 2,
            spacing + i / columns * (cell_height + spacing) + (cell_height - images[i].height) / 2);
    }
    return true;
}

bool picture_enlarge(struct image *result, const struct image *image, int64_t factor,
                     struct image_error *error)
{
    *result = (struct image){0};
    if (factor < 1 || factor > IMAGE_MAX_SIDE) {
        return image_fail(error, "picture: enlarged %lld times, expected 1 or more",
                          (long long)factor);
    }
    if (!image_create(result, image->width * factor, image->height * factor, image->channels,
                      error)) {
        return false;
    }
    for (int32_t c = 0; c < image->channels; c++) {
        float *to = image_plane(result, c);
        for (int64_t y = 0; y < result->height; y++) {
            const float *from = image_plane(image, c) + y / factor * image->width;
            for (int64_t x = 0; x < result->width; x++) {
                *to++ = from[x / factor];
            }
        }
    }
    return true;
}
