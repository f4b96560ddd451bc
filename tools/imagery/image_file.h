/* SPDX-License-Identifier: BSD-2-Clause */
/* Pictures in files. The kind of a file is told by its first bytes; each kind has a file of its own
 * behind image_read(). The reasons of failures begin with the name of the file. */
#ifndef IMAGERY_IMAGE_FILE_H
#define IMAGERY_IMAGE_FILE_H

#include "image.h"

struct image_limits {
    int64_t pixels; /* greatest width x height; 0: IMAGE_DEFAULT_PIXELS */
    /* How the user allows more, "--max-pixels" for example; NULL: not at all. Static text. */
    const char *option;
};

/* Reads as gray or RGB, 8 or 16 bits and fewer:
 *   PNG (palette, interlaced), PGM and PPM (text or binary),
 *   JPEG (baseline, progressive; CMYK is refused),
 *   TIFF (gray, RGB, palette; strips, tiles; the first page),
 *   GIF (the first frame; gray where the palette is).
 * Transparency is dropped; gamma, colour profiles and orientation tags are not applied. A file that
 * ends early, is damaged or larger than `limits` (NULL: the defaults) is refused; the size is
 * checked before anything is decoded. Any number of threads may read at a time. */
bool image_read(struct image *result, const char *path, const struct image_limits *limits,
                struct image_error *error);

/* Adds to the reason why an image file cannot be used what its owner can do; where memory is out,
 * the file is not to blame. Returns false. */
bool image_advise(struct image_error *error);

/* Whether the name ends like one of a file that image_read() understands. */
bool image_name_is_known(const char *name);

/* Writes 8-bit gray or RGB; values outside [0, 1] are clamped, NaN becomes 0. Either the whole file
 * is there afterwards or, on failure, what was there before. */
bool image_write_png(const struct image *image, const char *path, struct image_error *error);

#endif
