/* SPDX-License-Identifier: BSD-2-Clause */
/* What a kind of image file is to image_read(). */
#ifndef IMAGERY_IMAGE_FORMAT_H
#define IMAGERY_IMAGE_FORMAT_H

#include "image_file.h"

#include <stddef.h>
#include <stdio.h>

#define IMAGE_SIGNATURE_BYTES 8

struct image_format {
    /* Endings of names in small letters, the last one NULL. */
    const char *const *endings;
    bool (*recognises)(const unsigned char *signature, size_t bytes);
    /* `file` stands at its beginning and stays the caller's; `path` is for reasons only. */
    bool (*read)(struct image *result, FILE *file, const char *path,
                 const struct image_limits *limits, struct image_error *error);
};

extern const struct image_format image_format_gif;
extern const struct image_format image_format_jpeg;
extern const struct image_format image_format_png;
extern const struct image_format image_format_pnm;
extern const struct image_format image_format_tiff;

/* Refuses sizes over the limit; to be asked before memory is taken. */
bool image_size_allowed(const char *path, uint64_t width, uint64_t height,
                        const struct image_limits *limits, struct image_error *error);

#endif
