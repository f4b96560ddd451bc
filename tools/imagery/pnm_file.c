/* SPDX-License-Identifier: BSD-2-Clause */
/* PGM and PPM: "P2", "P3" (text), "P5", "P6" (binary, big-endian when over 255). */
#include "image_format.h"

#include <errno.h>
#include <string.h>

struct pnm {
    FILE *file;
    const char *path;
    struct image_error *error;
    bool text;
    uint32_t maximum;
};

static const char *const pnm_endings[] = {"pgm", "ppm", "pnm", NULL};

static bool pnm_recognises(const unsigned char *signature, size_t bytes)
{
    return bytes >= 3 && signature[0] == 'P' && signature[1] >= '1' && signature[1] <= '6' &&
           strchr(" \t\n\r#", signature[2]) && signature[2] != '\0';
}

static bool is_space(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The first byte that is neither white space nor part of a comment. */
static int skip_space(FILE *file)
{
    int c = getc(file);
    while (is_space(c) || c == '#') {
        if (c == '#') {
            while (c != '\n' && c != EOF) {
                c = getc(file);
            }
        } else {
            c = getc(file);
        }
    }
    return c;
}

static bool ended(const struct pnm *pnm)
{
    return ferror(pnm->file) ? image_fail(pnm->error, "%s: %s", pnm->path, strerror(errno))
                             : image_fail(pnm->error, "%s: the file ends early", pnm->path);
}

/* A decimal number and the one byte behind it. */
static bool read_number(const struct pnm *pnm, const char *what, uint32_t *number)
{
    int c = skip_space(pnm->file);
    uint32_t value = 0;
    if (c == EOF) {
        return ended(pnm);
    }
    if (c < '0' || c > '9') {
        return image_fail(pnm->error, "%s: the %s is not a number", pnm->path, what);
    }
    for (; c >= '0' && c <= '9'; c = getc(pnm->file)) {
        if (value > (UINT32_MAX - 9) / 10) {
            return image_fail(pnm->error, "%s: the %s is too large", pnm->path, what);
        }
        value = value * 10 + (uint32_t)(c - '0');
    }
    if (c != EOF && !is_space(c) && c != '#') {
        return image_fail(pnm->error, "%s: the %s is not a number", pnm->path, what);
    }
    if (c == '#') {
        ungetc(c, pnm->file);
    }
    *number = value;
    return true;
}

static bool read_value(const struct pnm *pnm, uint32_t *value)
{
    if (pnm->text) {
        if (!read_number(pnm, "value of a pixel", value)) {
            return false;
        }
    } else {
        const int high = pnm->maximum > 255 ? getc(pnm->file) : 0;
        const int low = getc(pnm->file);
        if (high == EOF || low == EOF) {
            return ended(pnm);
        }
        *value = (uint32_t)high << 8 | (uint32_t)low;
    }
    if (*value > pnm->maximum) {
        return image_fail(pnm->error, "%s: a pixel of value %u, the greatest is %u", pnm->path,
                          (unsigned)*value, (unsigned)pnm->maximum);
    }
    return true;
}

static bool read_raster(struct image *image, const struct pnm *pnm)
{
    const int64_t count = image_pixels(image);
    for (int64_t i = 0; i < count; i++) {
        for (int32_t c = 0; c < image->channels; c++) {
            uint32_t value;
            if (!read_value(pnm, &value)) {
                return false;
            }
            image_plane(image, c)[i] = (float)value / (float)pnm->maximum;
        }
    }
    return true;
}

static bool pnm_read(struct image *result, FILE *file, const char *path,
                     const struct image_limits *limits, struct image_error *error)
{
    struct pnm pnm = {.file = file, .path = path, .error = error};
    uint32_t width;
    uint32_t height;
    (void)getc(file);
    const int kind = getc(file);
    if (kind == '1' || kind == '4') {
        return image_fail(error, "%s: bitmaps (PBM) are not supported", path);
    }
    pnm.text = kind == '2' || kind == '3';
    if (!read_number(&pnm, "width", &width) || !read_number(&pnm, "height", &height) ||
        !read_number(&pnm, "greatest value", &pnm.maximum) ||
        !image_size_allowed(path, width, height, limits, error)) {
        return false;
    }
    if (pnm.maximum < 1 || pnm.maximum > 65535) {
        return image_fail(error, "%s: greatest value %u, expected 1 to 65535", path,
                          (unsigned)pnm.maximum);
    }
    const int32_t channels = kind == '3' || kind == '6' ? 3 : 1;
    if (!image_create(result, width, height, channels, error)) {
        return false;
    }
    if (!read_raster(result, &pnm)) {
        image_destroy(result);
        return false;
    }
    return true;
}

const struct image_format image_format_pnm = {pnm_endings, pnm_recognises, pnm_read};
