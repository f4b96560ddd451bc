/* SPDX-License-Identifier: BSD-2-Clause */
#include "image_format.h"

#include "safe_file.h"

#include <errno.h>
#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

static const char *const png_endings[] = {"png", NULL};

/* Everything a reading or a writing holds. It lives in the frame that calls the function with the
 * setjmp, so no value is lost by the jump and one place frees it all. */
struct codec {
    png_structp png;
    png_infop info;
    FILE *file;
    const char *path;
    struct image_error *error;
    png_byte *bytes;
    png_byte **rows;
};

static bool png_recognises(const unsigned char *signature, size_t bytes)
{
    return bytes >= 8 && png_sig_cmp(signature, 0, 8) == 0;
}

static PNG_NORETURN void on_error(png_structp png, png_const_charp reason)
{
    const struct codec *codec = png_get_error_ptr(png);
    image_fail(codec->error, "%s: %s", codec->path, reason);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp reason)
{
    (void)png;
    (void)reason;
}

static void read_bytes(png_structp png, png_bytep bytes, size_t count)
{
    const struct codec *codec = png_get_io_ptr(png);
    if (fread(bytes, 1, count, codec->file) != count) {
        png_error(png, ferror(codec->file) ? strerror(errno) : "the file ends early");
    }
}

static void write_bytes(png_structp png, png_bytep bytes, size_t count)
{
    const struct codec *codec = png_get_io_ptr(png);
    if (fwrite(bytes, 1, count, codec->file) != count) {
        png_error(png, strerror(errno));
    }
}

static void flush_bytes(png_structp png)
{
    (void)png;
}

static bool take_rows(struct codec *codec, size_t row_bytes, size_t height)
{
    codec->bytes = calloc(height, row_bytes);
    codec->rows = calloc(height, sizeof *codec->rows);
    if (!codec->bytes || !codec->rows) {
        return image_fail(codec->error, "%s: out of memory", codec->path);
    }
    for (size_t y = 0; y < height; y++) {
        codec->rows[y] = codec->bytes + y * row_bytes;
    }
    return true;
}

static void release_rows(struct codec *codec)
{
    free(codec->rows);
    free(codec->bytes);
}

/* Fills codec->rows with gray or RGB of 8 or 16 bits; the caller frees what is held. */
static bool decode(struct codec *codec, const struct image_limits *limits)
{
    png_structp png = codec->png;
    if (setjmp(png_jmpbuf(png))) {
        return false;
    }
    png_set_read_fn(png, codec, read_bytes);
    /* Our own limit is on the product, and says so in words. */
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_read_info(png, codec->info);
    if (!image_size_allowed(codec->path, png_get_image_width(png, codec->info),
                            png_get_image_height(png, codec->info), limits, codec->error)) {
        return false;
    }
    png_set_expand(png);
    png_set_strip_alpha(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, codec->info);
    if (!take_rows(codec, png_get_rowbytes(png, codec->info),
                   png_get_image_height(png, codec->info))) {
        return false;
    }
    png_read_image(png, codec->rows);
    png_read_end(png, NULL);
    return true;
}

static bool image_from_rows(struct image *result, const struct codec *codec)
{
    const int32_t channels = png_get_channels(codec->png, codec->info);
    const bool wide = png_get_bit_depth(codec->png, codec->info) == 16;
    if (!image_create(result, png_get_image_width(codec->png, codec->info),
                      png_get_image_height(codec->png, codec->info), channels, codec->error)) {
        return false;
    }
    for (int32_t c = 0; c < channels; c++) {
        float *to = image_plane(result, c);
        for (int64_t y = 0; y < result->height; y++) {
            const png_byte *row = codec->rows[y];
            for (int64_t x = 0; x < result->width; x++) {
                const int64_t i = x * channels + c;
                *to++ = wide ? (float)(row[2 * i] << 8 | row[2 * i + 1]) / 65535.0f
                             : (float)row[i] / 255.0f;
            }
        }
    }
    return true;
}

static bool png_read(struct image *result, FILE *file, const char *path,
                     const struct image_limits *limits, struct image_error *error)
{
    struct codec codec = {.file = file, .path = path, .error = error};
    codec.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &codec, on_error, on_warning);
    codec.info = codec.png ? png_create_info_struct(codec.png) : NULL;
    bool read = false;
    if (!codec.info) {
        image_fail(error, "%s: out of memory", path);
    } else {
        read = decode(&codec, limits) && image_from_rows(result, &codec);
    }
    png_destroy_read_struct(&codec.png, &codec.info, NULL);
    release_rows(&codec);
    return read;
}

const struct image_format image_format_png = {png_endings, png_recognises, png_read};

static png_byte byte_of(float value)
{
    if (!(value > 0)) {
        return 0;
    }
    return value < 1 ? (png_byte)lrintf(value * 255.0f) : 255;
}

static void fill_rows(const struct codec *codec, const struct image *image)
{
    for (int32_t c = 0; c < image->channels; c++) {
        const float *from = image_plane(image, c);
        for (int64_t y = 0; y < image->height; y++) {
            for (int64_t x = 0; x < image->width; x++) {
                codec->rows[y][x * image->channels + c] = byte_of(*from++);
            }
        }
    }
}

static bool encode(struct codec *codec, const struct image *image)
{
    png_structp png = codec->png;
    if (setjmp(png_jmpbuf(png))) {
        return false;
    }
    png_set_write_fn(png, codec, write_bytes, flush_bytes);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_IHDR(png, codec->info, (png_uint_32)image->width, (png_uint_32)image->height, 8,
                 image->channels == 3 ? PNG_COLOR_TYPE_RGB : PNG_COLOR_TYPE_GRAY,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, codec->info);
    png_write_image(png, codec->rows);
    png_write_end(png, codec->info);
    return true;
}

bool image_write_png(const struct image *image, const char *path, struct image_error *error)
{
    struct safe_file output;
    if (!safe_file_open(&output, path, error)) {
        return false;
    }
    struct codec codec = {.file = output.stream, .path = path, .error = error};
    codec.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &codec, on_error, on_warning);
    codec.info = codec.png ? png_create_info_struct(codec.png) : NULL;
    bool written = false;
    if (!codec.info) {
        image_fail(error, "%s: out of memory", path);
    } else if (take_rows(&codec, (size_t)(image->width * image->channels), (size_t)image->height)) {
        fill_rows(&codec, image);
        written = encode(&codec, image);
    }
    png_destroy_write_struct(&codec.png, &codec.info);
    release_rows(&codec);
    return safe_file_close(&output, written, error);
}
