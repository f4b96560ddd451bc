/* SPDX-License-Identifier: BSD-2-Clause */
/* The first page of a TIFF: gray, RGB or palette of 1 to 16 bits, in strips or tiles, samples side
 * by side or in planes, under any compression that libtiff undoes. */
#include "image_format.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

/* Of a pixel, those that are not shown included; more would take memory out of proportion. */
#define MOST_SAMPLES 8

static const char *const tiff_endings[] = {"tif", "tiff", NULL};

struct codec {
    TIFF *tiff;
    FILE *file;
    const char *path;
    struct image_error *error;
    bool ended; /* something was looked for behind the end of the file */
    uint32_t width;
    uint32_t height;
    uint16_t bits;    /* of a sample */
    uint16_t samples; /* of a pixel, those that are not shown included */
    uint16_t photometric;
    bool in_planes;
    bool tiled;
    uint32_t block_width; /* of a tile or a strip */
    uint32_t block_height;
    const uint16_t *palette[3];
    unsigned char *block;
    tmsize_t block_bytes;
};

static bool tiff_recognises(const unsigned char *signature, size_t bytes)
{
    return bytes >= 4 &&
           (memcmp(signature, "II*\0", 4) == 0 || memcmp(signature, "MM\0*", 4) == 0 ||
            memcmp(signature, "II+\0", 4) == 0 || memcmp(signature, "MM\0+", 4) == 0);
}

static tmsize_t read_bytes(thandle_t handle, void *bytes, tmsize_t count)
{
    struct codec *codec = handle;
    const size_t got = fread(bytes, 1, (size_t)count, codec->file);
    codec->ended = codec->ended || got < (size_t)count;
    return (tmsize_t)got;
}

static tmsize_t write_nothing(thandle_t handle, void *bytes, tmsize_t count)
{
    (void)handle;
    (void)bytes;
    (void)count;
    return 0;
}

static toff_t seek(thandle_t handle, toff_t offset, int from)
{
    const struct codec *codec = handle;
    if (offset > INT64_MAX || fseeko(codec->file, (off_t)offset, from) != 0) {
        return (toff_t)-1;
    }
    return (toff_t)ftello(codec->file);
}

static int close_nothing(thandle_t handle)
{
    (void)handle;
    return 0;
}

static toff_t size_of(thandle_t handle)
{
    const struct codec *codec = handle;
    const off_t place = ftello(codec->file);
    fseeko(codec->file, 0, SEEK_END);
    const off_t size = ftello(codec->file);
    fseeko(codec->file, place, SEEK_SET);
    return size < 0 ? 0 : (toff_t)size;
}

/* Reporting per file came with libtiff 4.5; a handler that says nothing serves every version and
 * every thread alike. */
static void silence(void)
{
    TIFFSetErrorHandler(NULL);
    TIFFSetWarningHandler(NULL);
}

static bool fail(const struct codec *codec)
{
    const char *reason = "damaged TIFF data";
    if (ferror(codec->file)) {
        reason = strerror(errno);
    } else if (codec->ended) {
        reason = "the file ends early";
    }
    return image_fail(codec->error, "%s: %s", codec->path, reason);
}

static const char *name_of(uint16_t photometric)
{
    switch (photometric) {
    case PHOTOMETRIC_SEPARATED:
        return "CMYK";
    case PHOTOMETRIC_YCBCR:
        return "YCbCr";
    case PHOTOMETRIC_CIELAB:
    case PHOTOMETRIC_ICCLAB:
    case PHOTOMETRIC_ITULAB:
        return "Lab";
    default:
        return "of an unusual kind";
    }
}

static bool is_gray(const struct codec *codec)
{
    return codec->photometric == PHOTOMETRIC_MINISBLACK ||
           codec->photometric == PHOTOMETRIC_MINISWHITE;
}

/* What the samples mean. */
static bool read_kind(struct codec *codec)
{
    TIFF *tiff = codec->tiff;
    uint16_t format = SAMPLEFORMAT_UINT;
    uint16_t planes = PLANARCONFIG_CONTIG;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &codec->bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &codec->samples);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &format);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &planes);
    codec->in_planes = planes == PLANARCONFIG_SEPARATE;
    if (!TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &codec->photometric)) {
        codec->photometric = codec->samples >= 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK;
    }
    const bool rgb = codec->photometric == PHOTOMETRIC_RGB;
    const bool palette = codec->photometric == PHOTOMETRIC_PALETTE;
    if (!is_gray(codec) && !rgb && !palette) {
        return image_fail(codec->error, "%s: a TIFF that is %s: convert to gray or RGB",
                          codec->path, name_of(codec->photometric));
    }
    const bool fits = codec->bits == 1 || codec->bits == 2 || codec->bits == 4 ||
                      codec->bits == 8 || codec->bits == 16;
    if (!fits || format != SAMPLEFORMAT_UINT) {
        return image_fail(codec->error,
                          "%s: samples of %u bits%s, expected whole numbers of 8 or 16",
                          codec->path, (unsigned)codec->bits,
                          format == SAMPLEFORMAT_IEEEFP ? " (floating point)"
                          : format == SAMPLEFORMAT_INT  ? " (signed)"
                                                        : "");
    }
    const int least = rgb ? 3 : 1;
    if (codec->samples < least || codec->samples > MOST_SAMPLES) {
        return image_fail(codec->error, "%s: %u samples in a pixel, expected %d to %d", codec->path,
                          (unsigned)codec->samples, least, MOST_SAMPLES);
    }
    return !palette ||
           TIFFGetField(tiff, TIFFTAG_COLORMAP, &codec->palette[0], &codec->palette[1],
                        &codec->palette[2]) ||
           image_fail(codec->error, "%s: a palette TIFF without a palette", codec->path);
}

static bool read_size(struct codec *codec, const struct image_limits *limits)
{
    if (!TIFFGetField(codec->tiff, TIFFTAG_IMAGEWIDTH, &codec->width) ||
        !TIFFGetField(codec->tiff, TIFFTAG_IMAGELENGTH, &codec->height)) {
        return fail(codec);
    }
    return image_size_allowed(codec->path, codec->width, codec->height, limits, codec->error);
}

static bool read_blocks(struct codec *codec)
{
    TIFF *tiff = codec->tiff;
    codec->tiled = TIFFIsTiled(tiff);
    if (codec->tiled) {
        if (!TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &codec->block_width) ||
            !TIFFGetField(tiff, TIFFTAG_TILELENGTH, &codec->block_height)) {
            return fail(codec);
        }
        /* A small image may have large tiles. */
        if (!image_size_allowed(codec->path, codec->block_width, codec->block_height, NULL,
                                codec->error)) {
            return false;
        }
    } else {
        TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &codec->block_height);
        codec->block_width = codec->width;
        if (codec->block_height == 0 || codec->block_height > codec->height) {
            codec->block_height = codec->height;
        }
    }
    codec->block_bytes = codec->tiled ? TIFFTileSize(tiff) : TIFFStripSize(tiff);
    return codec->block_bytes > 0 || fail(codec);
}

/* Sample `index` of a row; those of 16 bits are in the order of the machine already. */
static uint16_t sample_of(const unsigned char *row, size_t index, unsigned bits)
{
    if (bits == 16) {
        uint16_t value;
        memcpy(&value, row + 2 * index, sizeof value);
        return value;
    }
    const size_t bit = index * bits;
    return (uint16_t)(row[bit / 8] >> (8 - bits - bit % 8) & ((1u << bits) - 1));
}

static float value_of(const struct codec *codec, uint16_t sample, int32_t channel)
{
    const float greatest = (float)((1u << codec->bits) - 1);
    if (codec->photometric == PHOTOMETRIC_PALETTE) {
        return (float)codec->palette[channel][sample] / 65535.0f;
    }
    return codec->photometric == PHOTOMETRIC_MINISWHITE ? (greatest - (float)sample) / greatest
                                                        : (float)sample / greatest;
}

/* Puts the block whose upper left corner is (left, top) into the image; `plane` is the channel it
 * is of, or 0 where it holds them all. */
static void store_block(struct image *image, const struct codec *codec, uint32_t left, uint32_t top,
                        uint16_t plane)
{
    const tmsize_t row_bytes =
        codec->tiled ? TIFFTileRowSize(codec->tiff) : TIFFScanlineSize(codec->tiff);
    const uint32_t right =
        codec->width - left < codec->block_width ? codec->width : left + codec->block_width;
    const uint32_t bottom =
        codec->height - top < codec->block_height ? codec->height : top + codec->block_height;
    const bool from_palette = codec->photometric == PHOTOMETRIC_PALETTE;
    const int32_t first = codec->in_planes && !from_palette ? plane : 0;
    const int32_t last = codec->in_planes && !from_palette ? plane : image->channels - 1;
    const size_t step = codec->in_planes ? 1 : codec->samples;
    for (int32_t c = first; c <= last; c++) {
        const size_t offset = codec->in_planes || from_palette ? 0 : (size_t)c;
        for (uint32_t y = top; y < bottom; y++) {
            const unsigned char *row = codec->block + (tmsize_t)(y - top) * row_bytes;
            float *to = image_plane(image, c) + (int64_t)y * image->width;
            for (uint32_t x = left; x < right; x++) {
                const uint16_t sample =
                    sample_of(row, (size_t)(x - left) * step + offset, codec->bits);
                to[x] = value_of(codec, sample, c);
            }
        }
    }
}

static bool read_block(struct image *image, const struct codec *codec, uint32_t left, uint32_t top,
                       uint16_t plane)
{
    TIFF *tiff = codec->tiff;
    const uint32_t rows =
        codec->height - top < codec->block_height ? codec->height - top : codec->block_height;
    const tmsize_t wanted = codec->tiled ? codec->block_bytes : TIFFVStripSize(tiff, rows);
    const tmsize_t got = codec->tiled
                             ? TIFFReadTile(tiff, codec->block, left, top, 0, plane)
                             : TIFFReadEncodedStrip(tiff, TIFFComputeStrip(tiff, top, plane),
                                                    codec->block, codec->block_bytes);
    if (got < wanted || codec->ended) {
        return fail(codec);
    }
    store_block(image, codec, left, top, plane);
    return true;
}

static bool read_pixels(struct image *image, const struct codec *codec)
{
    const uint16_t wanted = codec->photometric == PHOTOMETRIC_RGB ? 3 : 1;
    const uint16_t planes = codec->in_planes ? wanted : 1;
    for (uint16_t plane = 0; plane < planes; plane++) {
        for (uint64_t top = 0; top < codec->height; top += codec->block_height) {
            for (uint64_t left = 0; left < codec->width; left += codec->block_width) {
                if (!read_block(image, codec, (uint32_t)left, (uint32_t)top, plane)) {
                    return false;
                }
            }
        }
    }
    return true;
}

/* The caller frees what is held, also *result. */
static bool decode(struct image *result, struct codec *codec, const struct image_limits *limits)
{
    if (!read_size(codec, limits) || !read_kind(codec) || !read_blocks(codec)) {
        return false;
    }
    /* A directory that is cut off may leave values that look like some. */
    if (codec->ended) {
        return fail(codec);
    }
    codec->block = calloc(1, (size_t)codec->block_bytes);
    if (!codec->block) {
        return image_fail(codec->error, "%s: out of memory", codec->path);
    }
    return image_create(result, codec->width, codec->height, is_gray(codec) ? 1 : 3,
                        codec->error) &&
           read_pixels(result, codec);
}

static bool tiff_read(struct image *result, FILE *file, const char *path,
                      const struct image_limits *limits, struct image_error *error)
{
    static pthread_once_t silenced = PTHREAD_ONCE_INIT;
    struct codec codec = {.file = file, .path = path, .error = error};
    pthread_once(&silenced, silence);
    codec.tiff = TIFFClientOpen(path, "rm", &codec, read_bytes, write_nothing, seek, close_nothing,
                                size_of, NULL, NULL);
    if (!codec.tiff) {
        return fail(&codec);
    }
    const bool read = decode(result, &codec, limits);
    TIFFClose(codec.tiff);
    free(codec.block);
    if (!read) {
        image_destroy(result);
    }
    return read;
}

const struct image_format image_format_tiff = {tiff_endings, tiff_recognises, tiff_read};
