/* SPDX-License-Identifier: BSD-2-Clause */
/* Pictures in memory: floats in [0, 1], one plane per channel, the rows of a plane one after the
 * other from the top. Gray has one channel, RGB three.
 * Every function that can fail returns false, writes the reason into *error and leaves *result
 * empty (all zero). What it puts into *result is the caller's, freed by image_destroy(). */
#ifndef IMAGERY_IMAGE_H
#define IMAGERY_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__GNUC__)
#define IMAGE_PRINTF(format_index, first_index)                                                    \
    __attribute__((format(printf, format_index, first_index)))
#else
#define IMAGE_PRINTF(format_index, first_index)
#endif

/* Why a call failed: one line that begins with the name of the file or folder, if there is one. */
struct image_error {
    char text[1024];
};

/* Writes the reason and returns false: `return image_fail(error, ...)`. */
bool image_fail(struct image_error *error, const char *format, ...) IMAGE_PRINTF(2, 3);

struct image {
    int64_t width;
    int64_t height;
    int32_t channels; /* 1 or 3 */
    float *pixels;    /* channels x height x width */
};

/* Greatest number of pixels where the caller names none. */
#define IMAGE_DEFAULT_PIXELS ((int64_t)64 << 20)

/* All zero. Fails for sides below 1 or over IMAGE_MAX_SIDE, more than IMAGE_MAX_PIXELS, other than
 * 1 or 3 channels, or without memory. */
bool image_create(struct image *result, int64_t width, int64_t height, int32_t channels,
                  struct image_error *error);
#define IMAGE_MAX_SIDE ((int64_t)1 << 24)
#define IMAGE_MAX_PIXELS ((int64_t)1 << 31)

/* Frees the pixels and empties the image; an empty one is allowed. */
void image_destroy(struct image *image);

int64_t image_pixels(const struct image *image);
float *image_plane(const struct image *image, int32_t channel);

bool image_copy(struct image *result, const struct image *source, struct image_error *error);

/* Each axis on its own: the average of the area where it shrinks, linear between the centres of
 * pixels where it grows. */
bool image_resize(struct image *result, const struct image *source, int64_t width, int64_t height,
                  struct image_error *error);

/* The rectangle whose upper left corner is (left, top); fails if any of it lies outside. */
bool image_crop(struct image *result, const struct image *source, int64_t left, int64_t top,
                int64_t width, int64_t height, struct image_error *error);

/* A frame of `value` round the image; each thickness >= 0. */
bool image_pad(struct image *result, const struct image *source, int64_t left, int64_t top,
               int64_t right, int64_t bottom, float value, struct image_error *error);

/* A square with the image in its middle, black above and below or to the left and right of it: its
 * upper left corner is at half of what the sides lack, rounded down. */
bool image_pad_to_square(struct image *result, const struct image *source,
                         struct image_error *error);

void image_flip_horizontal(struct image *image);
void image_flip_vertical(struct image *image);

/* Turned clockwise by `quarters` times 90 degrees; any whole number. */
bool image_rotate90(struct image *result, const struct image *source, int quarters,
                    struct image_error *error);

/* To 1 channel (luma of Rec. 601) or 3 (three equal planes); a copy where it fits already. */
bool image_convert(struct image *result, const struct image *source, int32_t channels,
                   struct image_error *error);

/* 1 where a value is at least `level`, else 0. */
void image_threshold(struct image *image, float level);

#endif
