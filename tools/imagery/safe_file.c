/* SPDX-License-Identifier: BSD-2-Clause */
#include "safe_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Names left behind by a crash are stepped over. */
#define ATTEMPTS 100

static int open_temporary(char *name, size_t capacity, const char *path)
{
    int descriptor = -1;
    for (int attempt = 0; attempt < ATTEMPTS && descriptor < 0; attempt++) {
        snprintf(name, capacity, "%s.%ld-%d.tmp", path, (long)getpid(), attempt);
        descriptor = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor < 0 && errno != EEXIST) {
            break;
        }
    }
    return descriptor;
}

bool safe_file_open(struct safe_file *file, const char *path, struct image_error *error)
{
    struct stat existing;
    *file = (struct safe_file){.path = path};
    if (stat(path, &existing) == 0 && !S_ISREG(existing.st_mode)) {
        return image_fail(error, "%s: cannot be replaced, it is not a regular file", path);
    }
    const size_t capacity = strlen(path) + 64;
    file->temporary = malloc(capacity);
    if (!file->temporary) {
        return image_fail(error, "%s: out of memory", path);
    }
    const int descriptor = open_temporary(file->temporary, capacity, path);
    file->stream = descriptor < 0 ? NULL : fdopen(descriptor, "wb");
    if (!file->stream) {
        image_fail(error, "%s: %s", path, strerror(errno));
        if (descriptor >= 0) {
            close(descriptor);
            unlink(file->temporary);
        }
        free(file->temporary);
        *file = (struct safe_file){0};
        return false;
    }
    return true;
}

/* Makes the renaming itself last; a file system that cannot is no reason to fail. */
static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (folder) {
        const int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (descriptor >= 0) {
            (void)fsync(descriptor);
            close(descriptor);
        }
        free(folder);
    }
}

bool safe_file_close(struct safe_file *file, bool complete, struct image_error *error)
{
    const bool flushed = complete && !ferror(file->stream) && fflush(file->stream) == 0 &&
                         fsync(fileno(file->stream)) == 0;
    int reason = errno;
    const bool closed = fclose(file->stream) == 0;
    if (flushed && !closed) {
        reason = errno;
    }
    bool placed = flushed && closed;
    if (placed && rename(file->temporary, file->path) != 0) {
        reason = errno;
        placed = false;
    }
    if (placed) {
        sync_folder(file->path);
    } else {
        unlink(file->temporary);
        if (complete) {
            image_fail(error, "%s: %s", file->path, strerror(reason));
        }
    }
    free(file->temporary);
    *file = (struct safe_file){0};
    return placed;
}
