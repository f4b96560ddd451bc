/* SPDX-License-Identifier: BSD-2-Clause */
#include "image.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool image_fail(struct image_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return false;
}

bool image_create(struct image *result, int64_t width, int64_t height, int32_t channels,
                  struct image_error *error)
{
    *result = (struct image){0};
    if (width < 1 || height < 1 || width > IMAGE_MAX_SIDE || height > IMAGE_MAX_SIDE) {
        return image_fail(error, "image of %lld x %lld pixels: a side must be 1 to %lld",
                          (long long)width, (long long)height, (long long)IMAGE_MAX_SIDE);
    }
    if (width * height > IMAGE_MAX_PIXELS) {
        return image_fail(error, "image of %lld x %lld pixels: at most %lld are possible",
                          (long long)width, (long long)height, (long long)IMAGE_MAX_PIXELS);
    }
    if (channels != 1 && channels != 3) {
        return image_fail(error, "image of %d channels: expected 1 or 3", (int)channels);
    }
    float *pixels = calloc((size_t)(width * height), sizeof(float) * (size_t)channels);
    if (!pixels) {
        return image_fail(error, "image of %lld x %lld pixels: out of memory", (long long)width,
                          (long long)height);
    }
    *result = (struct image){width, height, channels, pixels};
    return true;
}

void image_destroy(struct image *image)
{
    free(image->pixels);
    *image = (struct image){0};
}

int64_t image_pixels(const struct image *image)
{
    return image->width * image->height;
}

float *image_plane(const struct image *image, int32_t channel)
{
    return image->pixels + channel * image_pixels(image);
}

static size_t bytes_of(const struct image *image)
{
    return (size_t)(image_pixels(image) * image->channels) * sizeof(float);
}

bool image_copy(struct image *result, const struct image *source, struct image_error *error)
{
    if (!image_create(result, source->width, source->height, source->channels, error)) {
        return false;
    }
    memcpy(result->pixels, source->pixels, bytes_of(source));
    return true;
}

bool image_crop(struct image *result, const struct image *source, int64_t left, int64_t top,
                int64_t width, int64_t height, struct image_error *error)
{
    *result = (struct image){0};
    if (left < 0 || top < 0 || width < 1 || height < 1 || width > source->width - left ||
        height > source->height - top) {
        return image_fail(error, "crop of %lld x %lld at (%lld, %lld): outside %lld x %lld",
                          (long long)width, (long long)height, (long long)left, (long long)top,
                          (long long)source->width, (long long)source->height);
    }
    if (!image_create(result, width, height, source->channels, error)) {
        return false;
    }
    for (int32_t c = 0; c < source->channels; c++) {
        for (int64_t y = 0; y < height; y++) {
            memcpy(image_plane(result, c) + y * width,
                   image_plane(source, c) + (top + y) * source->width + left,
                   (size_t)width * sizeof(float));
        }
    }
    return true;
}

bool image_pad(struct image *result, const struct image *source, int64_t left, int64_t top,
               int64_t right, int64_t bottom, float value, struct image_error *error)
{
    *result = (struct image){0};
    const int64_t frame[] = {left, top, right, bottom};
    for (int i = 0; i < 4; i++) {
        if (frame[i] < 0 || frame[i] > IMAGE_MAX_SIDE) {
            return image_fail(error, "pad by %lld pixels: expected 0 to %lld", (long long)frame[i],
                              (long long)IMAGE_MAX_SIDE);
        }
    }
    if (!image_create(result, source->width + left + right, source->height + top + bottom,
                      source->channels, error)) {
        return false;
    }
    for (int64_t i = 0; i < image_pixels(result) * result->channels; i++) {
        result->pixels[i] = value;
    }
    for (int32_t c = 0; c < source->channels; c++) {
        for (int64_t y = 0; y < source->height; y++) {
            memcpy(image_plane(result, c) + (top + y) * result->width + left,
                   image_plane(source, c) + y * source->width,
                   (size_t)source->width * sizeof(float));
        }
    }
    return true;
}

static void swap(float *a, float *b)
{
    const float held = *a;
    *a = *b;
    *b = held;
}

bool image_pad_to_square(struct image *result, const struct image *source,
                         struct image_error *error)
{
    const int64_t side = source->width > source->height ? source->width : source->height;
    const int64_t across = side - source->width;
    const int64_t down = side - source->height;
    return image_pad(result, source, across / 2, down / 2, across - across / 2, down - down / 2,
                     0.0f, error);
}

void image_flip_horizontal(struct image *image)
{
    for (int64_t row = 0; row < image->height * image->channels; row++) {
        float *first = image->pixels + row * image->width;
        for (float *last = first + image->width - 1; first < last; first++, last--) {
            swap(first, last);
        }
    }
}

void image_flip_vertical(struct image *image)
{
    for (int32_t c = 0; c < image->channels; c++) {
        float *plane = image_plane(image, c);
        for (int64_t y = 0; y < image->height / 2; y++) {
            float *upper = plane + y * image->width;
            float *lower = plane + (image->height - 1 - y) * image->width;
            for (int64_t x = 0; x < image->width; x++) {
                swap(upper + x, lower + x);
            }
        }
    }
}

static bool turn_clockwise(struct image *result, const struct image *source,
                           struct image_error *error)
{
    if (!image_create(result, source->height, source->width, source->channels, error)) {
        return false;
    }
    for (int32_t c = 0; c < source->channels; c++) {
        const float *from = image_plane(source, c);
        float *to = image_plane(result, c);
        for (int64_t y = 0; y < source->height; y++) {
            for (int64_t x = 0; x < source->width; x++) {
                to[x * result->width + (source->height - 1 - y)] = from[y * source->width + x];
            }
        }
    }
    return true;
}

bool image_rotate90(struct image *result, const struct image *source, int quarters,
                    struct image_error *error)
{
    const int turns = (quarters % 4 + 4) % 4;
    const bool odd = turns % 2 == 1;
    if (!(odd ? turn_clockwise(result, source, error) : image_copy(result, source, error))) {
        return false;
    }
    if (turns >= 2) {
        image_flip_horizontal(result);
        image_flip_vertical(result);
    }
    return true;
}

bool image_convert(struct image *result, const struct image *source, int32_t channels,
                   struct image_error *error)
{
    if (channels == source->channels) {
        return image_copy(result, source, error);
    }
    if (!image_create(result, source->width, source->height, channels, error)) {
        return false;
    }
    const int64_t count = image_pixels(source);
    if (channels == 3) {
        for (int32_t c = 0; c < 3; c++) {
            memcpy(image_plane(result, c), source->pixels, (size_t)count * sizeof(float));
        }
        return true;
    }
    const float *red = source->pixels;
    const float *green = red + count;
    const float *blue = green + count;
    for (int64_t i = 0; i < count; i++) {
        /* Written as differences from green so that equal planes give their value back exactly. */
        result->pixels[i] = green[i] + 0.299f * (red[i] - green[i]) + 0.114f * (blue[i] - green[i]);
    }
    return true;
}

void image_threshold(struct image *image, float level)
{
    for (int64_t i = 0; i < image_pixels(image) * image->channels; i++) {
        image->pixels[i] = image->pixels[i] >= level ? 1.0f : 0.0f;
    }
}
