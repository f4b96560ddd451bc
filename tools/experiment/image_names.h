/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of files that are made from images. */
#ifndef EXPERIMENT_IMAGE_NAMES_H
#define EXPERIMENT_IMAGE_NAMES_H

#include "image.h"

#include <stddef.h>

/* "FOLDER/STEM-KIND.png", where STEM is the name of the image without folder and ending. */
bool image_name_output(char *path, size_t capacity, const char *folder, const char *image,
                       const char *kind, struct image_error *error);

/* Fails where images of one name from two folders would overwrite each other's output. */
bool image_names_differ(const char *const *paths, int64_t count, struct image_error *error);

#endif
