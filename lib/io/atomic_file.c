/* SPDX-License-Identifier: BSD-2-Clause */
#include "atomic_file.h"

#include "error.h"
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_TRIES 1000
/* As many links as Linux follows. */
#define MAX_LINKS 40

static sfconv_status fail(const sfi_atomic_file *file, const char *action)
{
    return sfi_fail(file->context, SFCONV_ERROR_IO, "%s: %s failed: %s", file->path, action,
                    strerror(errno));
}

/* Length of the folder's part of a path, the last slash included; 0 for a bare name. */
static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* Where the symbolic links of a path end, at which there is no file yet; a relative one goes on
 * from its own folder. False with errno. */
static bool follow_links(char target[PATH_MAX], const char *path)
{
    char link[PATH_MAX];
    size_t folder = 0;
    for (int i = 0; i <= MAX_LINKS; i++) {
        const int length = snprintf(target + folder, PATH_MAX - folder, "%s", path);
        if ((size_t)length >= PATH_MAX - folder) {
            errno = ENAMETOOLONG;
            return false;
        }
        const ssize_t bytes = readlink(target, link, sizeof link - 1);
        if (bytes < 0) {
            return true;
        }
        link[bytes] = '\0';
        folder = link[0] == '/' ? 0 : folder_length(target);
        path = link;
    }
    errno = ELOOP;
    return false;
}

/* Follows symbolic links, so that a save goes through them instead of replacing them. *mode is that
 * of the file that exists, or 0. */
static sfconv_status find_target(sfi_atomic_file *file, mode_t *mode)
{
    char resolved[PATH_MAX];
    struct stat facts;
    const bool exists = stat(file->path, &facts) == 0;
    *mode = 0;
    if (exists && !S_ISREG(facts.st_mode)) {
        return sfi_fail(file->context, SFCONV_ERROR_IO,
                        "%s: expected a regular file, got something else", file->path);
    }
    if (exists) {
        *mode = facts.st_mode & 0777;
    }
    if (exists ? !realpath(file->path, resolved) : !follow_links(resolved, file->path)) {
        return fail(file, "finding the file");
    }
    file->target = sfi_copy_text(file->context, resolved);
    if (!file->target) {
        return sfi_fail_memory(file->context, file->path, strlen(file->path) + 1);
    }
    return SFCONV_OK;
}

/* Opens a file of a new name beside the target. The name does not grow with the target's, which may
 * be as long as the file system allows. */
static sfconv_status open_temporary(sfi_atomic_file *file, mode_t mode)
{
    char name[PATH_MAX];
    const int folder = (int)folder_length(file->target);
    for (int i = 0; i < NAME_TRIES; i++) {
        const int length = snprintf(name, sizeof name, "%.*s.sfconv-%ld-%d.tmp", folder,
                                    file->target, (long)getpid(), i);
        if (length >= (int)sizeof name) {
            errno = ENAMETOOLONG;
            break;
        }
        file->descriptor =
            open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode ? S_IRUSR | S_IWUSR : 0666);
        if (file->descriptor >= 0 || errno != EEXIST) {
            break;
        }
    }
    if (file->descriptor < 0) {
        return fail(file, "making a temporary file beside it");
    }
    file->temporary = sfi_copy_text(file->context, name);
    if (!file->temporary) {
        unlink(name);
        return sfi_fail_memory(file->context, file->path, strlen(name) + 1);
    }
    if (mode && fchmod(file->descriptor, mode) != 0) {
        return fail(file, "keeping its mode");
    }
    return SFCONV_OK;
}

sfconv_status sfi_atomic_file_open(sfi_atomic_file *file, sfconv_context *context, const char *path)
{
    mode_t mode;
    *file = (sfi_atomic_file){.context = context, .path = path, .descriptor = -1};
    sfconv_status status = find_target(file, &mode);
    if (status == SFCONV_OK) {
        status = open_temporary(file, mode);
    }
    if (status < 0) {
        sfi_atomic_file_abort(file);
    }
    return status;
}

sfconv_status sfi_atomic_file_write(sfi_atomic_file *file, const void *data, size_t bytes)
{
    const char *rest = data;
    while (bytes > 0) {
        const ssize_t written = write(file->descriptor, rest, bytes);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return fail(file, "writing");
        }
        rest += written;
        bytes -= (size_t)written;
    }
    return SFCONV_OK;
}

/* Makes the new name last. By now the file is replaced, and a folder that cannot be flushed (some
 * file systems cannot, some folders may not be read) is no reason to report otherwise. */
static void flush_folder(const sfi_atomic_file *file)
{
    char folder[PATH_MAX];
    const size_t length = folder_length(file->target);
    snprintf(folder, sizeof folder, "%.*s", (int)length, length ? file->target : "");
    const int descriptor = open(length ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0 || fsync(descriptor) != 0) {
        sfi_log_line(file->context, SFCONV_LOG_WARNING, "%s: its folder was not flushed: %s",
                     file->path, strerror(errno));
    }
    if (descriptor >= 0) {
        close(descriptor);
    }
}

sfconv_status sfi_atomic_file_commit(sfi_atomic_file *file)
{
    sfconv_status status = SFCONV_OK;
    if (fsync(file->descriptor) != 0) {
        status = fail(file, "flushing to the disk");
    }
    if (close(file->descriptor) != 0 && status == SFCONV_OK) {
        status = fail(file, "closing");
    }
    file->descriptor = -1;
    if (status == SFCONV_OK && rename(file->temporary, file->target) != 0) {
        status = fail(file, "renaming");
    }
    if (status == SFCONV_OK) {
        flush_folder(file);
        sfi_free_text(file->context, file->temporary);
        file->temporary = NULL;
    }
    sfi_atomic_file_abort(file);
    return status;
}

void sfi_atomic_file_abort(sfi_atomic_file *file)
{
    if (file->descriptor >= 0) {
        close(file->descriptor);
        file->descriptor = -1;
    }
    if (file->temporary) {
        unlink(file->temporary);
    }
    sfi_free_text(file->context, file->temporary);
    sfi_free_text(file->context, file->target);
    file->temporary = NULL;
    file->target = NULL;
}
