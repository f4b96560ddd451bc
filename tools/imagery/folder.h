/* SPDX-License-Identifier: BSD-2-Clause */
/* What lies in a folder, in the order of the names. */
#ifndef IMAGERY_FOLDER_H
#define IMAGERY_FOLDER_H

#include "image.h"

struct folder {
    char **names; /* without the folder; hidden ones (".x") are left out */
    int64_t count;
    int64_t ignored; /* files that were passed over, hidden ones too */
};

/* The image files, told by their endings. */
bool folder_images(struct folder *result, const char *path, struct image_error *error);
/* The folders in it. */
bool folder_folders(struct folder *result, const char *path, struct image_error *error);
void folder_destroy(struct folder *folder);

bool folder_exists(const char *path);

/* "folder/name", or NULL without memory. */
char *folder_path(const char *folder, const char *name);

#endif
