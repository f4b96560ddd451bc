/* SPDX-License-Identifier: BSD-2-Clause */
/* Replacing a file at once: everything is written to a new file in the same folder, which takes the
 * old one's place only after all of it has reached the disk. */
#ifndef IMAGERY_SAFE_FILE_H
#define IMAGERY_SAFE_FILE_H

#include "image.h"

#include <stdio.h>

struct safe_file {
    FILE *stream;
    const char *path;
    char *temporary;
};

/* `path` must live until safe_file_close(). */
bool safe_file_open(struct safe_file *file, const char *path, struct image_error *error);

/* Puts the new file in place if `complete` and if it could be written to the last byte; otherwise
 * removes it and, unless the caller has given the reason already (not complete), says why. */
bool safe_file_close(struct safe_file *file, bool complete, struct image_error *error);

#endif
