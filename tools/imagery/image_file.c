/* SPDX-License-Identifier: BSD-2-Clause */
#include "image_file.h"

#include "image_format.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct image_format *const formats[] = {&image_format_gif, &image_format_jpeg,
                                                     &image_format_png, &image_format_pnm,
                                                     &image_format_tiff};
#define FORMATS (sizeof formats / sizeof formats[0])

bool image_size_allowed(const char *path, uint64_t width, uint64_t height,
                        const struct image_limits *limits, struct image_error *error)
{
    const int64_t wanted = limits && limits->pixels > 0 ? limits->pixels : IMAGE_DEFAULT_PIXELS;
    const uint64_t allowed = (uint64_t)(wanted < IMAGE_MAX_PIXELS ? wanted : IMAGE_MAX_PIXELS);
    const uint64_t side = (uint64_t)IMAGE_MAX_SIDE;
    if (width < 1 || height < 1) {
        return image_fail(error, "%s: an image without pixels (%llu x %llu)", path,
                          (unsigned long long)width, (unsigned long long)height);
    }
    if (width > side || height > side || width * height > allowed) {
        const bool readable =
            width <= side && height <= side && width * height <= (uint64_t)IMAGE_MAX_PIXELS;
        const char *option = readable && limits ? limits->option : NULL;
        return image_fail(error, "%s: %llu x %llu pixels, at most %llu are allowed; shrink it%s%s",
                          path, (unsigned long long)width, (unsigned long long)height,
                          (unsigned long long)allowed, option ? " or allow more with " : "",
                          option ? option : "");
    }
    return true;
}

static const struct image_format *format_of(const unsigned char *signature, size_t bytes)
{
    for (size_t i = 0; i < FORMATS; i++) {
        if (formats[i]->recognises(signature, bytes)) {
            return formats[i];
        }
    }
    return NULL;
}

static bool read_open_file(struct image *result, FILE *file, const char *path,
                           const struct image_limits *limits, struct image_error *error)
{
    unsigned char signature[IMAGE_SIGNATURE_BYTES];
    const size_t bytes = fread(signature, 1, sizeof signature, file);
    if (ferror(file)) {
        return image_fail(error, "%s: %s", path, strerror(errno));
    }
    if (bytes == 0) {
        return image_fail(error, "%s: the file is empty", path);
    }
    const struct image_format *format = format_of(signature, bytes);
    if (!format) {
        return image_fail(
            error, "%s: not an image of a known kind (PNG, JPEG, TIFF, GIF, PGM, PPM)", path);
    }
    if (fseek(file, 0, SEEK_SET) != 0) {
        return image_fail(error, "%s: %s", path, strerror(errno));
    }
    return format->read(result, file, path, limits, error);
}

/* Whoever opens a pipe would wait for a writer. */
static FILE *open_regular(const char *path, struct image_error *error)
{
    struct stat status;
    FILE *file = NULL;
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor >= 0 && fstat(descriptor, &status) == 0) {
        if (!S_ISREG(status.st_mode)) {
            image_fail(error, "%s: %s", path,
                       S_ISDIR(status.st_mode) ? strerror(EISDIR) : "not a regular file");
            close(descriptor);
            return NULL;
        }
        file = fdopen(descriptor, "rb");
    }
    if (!file) {
        image_fail(error, "%s: %s", path, strerror(errno));
        if (descriptor >= 0) {
            close(descriptor);
        }
    }
    return file;
}

bool image_read(struct image *result, const char *path, const struct image_limits *limits,
                struct image_error *error)
{
    *result = (struct image){0};
    FILE *file = open_regular(path, error);
    if (!file) {
        return false;
    }
    const bool read = read_open_file(result, file, path, limits, error);
    fclose(file);
    if (!read && strncmp(error->text, path, strlen(path)) != 0) {
        const struct image_error reason = *error;
        image_fail(error, "%s: %s", path, reason.text);
    }
    return read;
}

bool image_advise(struct image_error *error)
{
    const struct image_error reason = *error;
    return !strstr(reason.text, "out of memory") &&
           image_fail(error, "%s; replace the file or leave it out", reason.text);
}

bool image_name_is_known(const char *name)
{
    const char *ending = strrchr(name, '.');
    if (!ending) {
        return false;
    }
    for (size_t i = 0; i < FORMATS; i++) {
        for (const char *const *known = formats[i]->endings; *known; known++) {
            if (strcasecmp(ending + 1, *known) == 0) {
                return true;
            }
        }
    }
    return false;
}
