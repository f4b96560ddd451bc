/* SPDX-License-Identifier: BSD-2-Clause */
/* Data sets in the scratch folder. */
#ifndef TESTS_DATASET_FILES_H
#define TESTS_DATASET_FILES_H

#include "scratch.h"

#include "dataset.h"

static struct image_error error;

static inline struct image plain(int64_t width, int64_t height, float value)
{
    struct image image;
    ck_assert(image_create(&image, width, height, 1, &error));
    for (int64_t i = 0; i < image_pixels(&image); i++) {
        image.pixels[i] = value;
    }
    return image;
}

static inline void put_image(const char *name, int64_t width, int64_t height, float value)
{
    struct image image = plain(width, height, value);
    ck_assert(image_write_png(&image, scratch_path(name), &error));
    image_destroy(&image);
}

/* The left half is black, the right half of the given value. */
static inline void put_mask(const char *name, int64_t width, int64_t height, float value)
{
    struct image image = plain(width, height, value);
    for (int64_t i = 0; i < image_pixels(&image); i++) {
        image.pixels[i] = i % width < width / 2 ? 0 : value;
    }
    ck_assert(image_write_png(&image, scratch_path(name), &error));
    image_destroy(&image);
}

static inline void put_text(const char *name, const char *text)
{
    scratch_write(name, text, strlen(text));
}

static inline struct dataset_split load_classes(const char *name,
                                                const struct dataset_options *options)
{
    struct dataset_split split;
    ck_assert_msg(dataset_load_classes(&split, scratch_path(name), options, &error), "%s",
                  error.text);
    return split;
}

static inline struct dataset_split load_masks(const char *name,
                                              const struct dataset_options *options)
{
    struct dataset_split split;
    ck_assert_msg(dataset_load_masks(&split, scratch_path(name), options, &error), "%s",
                  error.text);
    return split;
}

/* Checks that loading fails and that the reason names each of the texts given. */
static inline void assert_refused(bool masks, const char *name,
                                  const struct dataset_options *options, const char *first,
                                  const char *second)
{
    struct dataset_split split;
    const char *path = scratch_path(name);
    ck_assert(!(masks ? dataset_load_masks(&split, path, options, &error)
                      : dataset_load_classes(&split, path, options, &error)));
    ck_assert_int_eq(split.train.count + split.val.count + split.test.count, 0);
    ck_assert_msg(strstr(error.text, first) && strstr(error.text, second), "%s", error.text);
}

#endif
