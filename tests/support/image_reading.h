/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading image files of the scratch folder, and the reasons why that fails. */
#ifndef TESTS_IMAGE_READING_H
#define TESTS_IMAGE_READING_H

#include "scratch.h"

#include "image_file.h"

static struct image_error error;

static inline struct image read_image(const char *name)
{
    struct image image;
    ck_assert_msg(image_read(&image, scratch_path(name), NULL, &error), "%s", error.text);
    return image;
}

/* The reason, which must begin with the path of the file. */
static inline const char *reason_for(const char *name)
{
    struct image image;
    const char *path = scratch_path(name);
    error.text[0] = '\0';
    ck_assert(!image_read(&image, path, NULL, &error));
    ck_assert_ptr_null(image.pixels);
    ck_assert_uint_eq(strncmp(error.text, path, strlen(path)), 0);
    ck_assert_uint_eq(strncmp(error.text + strlen(path), ": ", 2), 0);
    ck_assert_ptr_null(strchr(error.text, '\n'));
    return error.text + strlen(path) + 2;
}

#endif
