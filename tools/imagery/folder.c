/* SPDX-License-Identifier: BSD-2-Clause */
#include "folder.h"

#include "image_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool folder_exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

char *folder_path(const char *folder, const char *name)
{
    const size_t bytes = strlen(folder) + strlen(name) + 2;
    char *path = malloc(bytes);
    if (path) {
        const char *end = strrchr(folder, '/');
        snprintf(path, bytes, "%s%s%s", folder, end && !end[1] ? "" : "/", name);
    }
    return path;
}

void folder_destroy(struct folder *folder)
{
    for (int64_t i = 0; i < folder->count; i++) {
        free(folder->names[i]);
    }
    free(folder->names);
    *folder = (struct folder){0};
}

static bool append(struct folder *folder, const char *name)
{
    /* Room is doubled whenever the count has reached a power of two. */
    if ((folder->count & (folder->count - 1)) == 0) {
        const size_t room = folder->count ? 2 * (size_t)folder->count : 1;
        char **names = realloc(folder->names, room * sizeof *names);
        if (!names) {
            return false;
        }
        folder->names = names;
    }
    folder->names[folder->count] = strdup(name);
    return folder->names[folder->count++] != NULL;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Takes `name` in, passes over it, or fails for want of memory. */
static bool consider(struct folder *folder, const char *path, const char *name, bool folders)
{
    char *full = folder_path(path, name);
    if (!full) {
        return false;
    }
    const bool is_folder = folder_exists(full);
    free(full);
    const bool hidden = name[0] == '.';
    if (is_folder == folders && !hidden && (is_folder || image_name_is_known(name))) {
        return append(folder, name);
    }
    folder->ignored += !is_folder;
    return true;
}

static bool list(struct folder *result, const char *path, bool folders, struct image_error *error)
{
    *result = (struct folder){0};
    DIR *directory = opendir(path);
    if (!directory) {
        return image_fail(error, "%s: %s", path, strerror(errno));
    }
    bool memory = true;
    errno = 0;
    for (const struct dirent *entry; memory && (entry = readdir(directory)); errno = 0) {
        memory = consider(result, path, entry->d_name, folders);
    }
    const int reason = memory ? errno : ENOMEM;
    closedir(directory);
    if (reason != 0) {
        folder_destroy(result);
        return image_fail(error, "%s: %s", path, strerror(reason));
    }
    if (result->count > 0) {
        qsort(result->names, (size_t)result->count, sizeof *result->names, compare_names);
    }
    return true;
}

bool folder_images(struct folder *result, const char *path, struct image_error *error)
{
    return list(result, path, false, error);
}

bool folder_folders(struct folder *result, const char *path, struct image_error *error)
{
    return list(result, path, true, error);
}
