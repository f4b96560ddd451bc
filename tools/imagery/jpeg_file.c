/* SPDX-License-Identifier: BSD-2-Clause */
#include "image_format.h"

#include <jpeglib.h>

#include <errno.h>
#include <jerror.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

static const char *const jpeg_endings[] = {"jpg", "jpeg", NULL};

/* Everything a reading holds. It lives in the frame that calls the function with the setjmp, so no
 * value is lost by the jump and one place frees it all. */
struct codec {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr handlers;
    jmp_buf failed;
    FILE *file;
    const char *path;
    struct image_error *error;
    JSAMPLE *row;
};

static bool jpeg_recognises(const unsigned char *signature, size_t bytes)
{
    return bytes >= 3 && memcmp(signature, "\xff\xd8\xff", 3) == 0;
}

static void on_error(j_common_ptr jpeg)
{
    struct codec *codec = jpeg->client_data;
    char reason[JMSG_LENGTH_MAX];
    jpeg->err->format_message(jpeg, reason);
    image_fail(codec->error, "%s: %s", codec->path, reason);
    longjmp(codec->failed, 1);
}

/* libjpeg fills what is missing with gray and only warns; a picture that is partly made up must not
 * be trained on. Warnings that cost no pixels are passed over. */
static void on_message(j_common_ptr jpeg, int level)
{
    struct codec *codec = jpeg->client_data;
    const int code = jpeg->err->msg_code;
    if (level >= 0) {
        return;
    }
    if (code == JWRN_JPEG_EOF) {
        image_fail(codec->error, "%s: %s", codec->path,
                   ferror(codec->file) ? strerror(errno) : "the file ends early");
        longjmp(codec->failed, 1);
    }
    if (code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_ARITH_BAD_CODE ||
        code == JWRN_MUST_RESYNC) {
        on_error(jpeg);
    }
}

static void on_output(j_common_ptr jpeg)
{
    (void)jpeg;
}

static void store_row(struct image *image, int64_t y, const JSAMPLE *row)
{
    for (int32_t c = 0; c < image->channels; c++) {
        float *to = image_plane(image, c) + y * image->width;
        for (int64_t x = 0; x < image->width; x++) {
            to[x] = (float)row[x * image->channels + c] / 255.0f;
        }
    }
}

static bool choose_output(struct codec *codec)
{
    switch (codec->jpeg.jpeg_color_space) {
    case JCS_GRAYSCALE:
        codec->jpeg.out_color_space = JCS_GRAYSCALE;
        return true;
    case JCS_RGB:
    case JCS_YCbCr:
        codec->jpeg.out_color_space = JCS_RGB;
        return true;
    case JCS_CMYK:
    case JCS_YCCK:
        return image_fail(codec->error, "%s: CMYK JPEG: convert to RGB", codec->path);
    default:
        return image_fail(codec->error, "%s: a JPEG of %d channels of unknown meaning", codec->path,
                          codec->jpeg.num_components);
    }
}

/* The caller frees what is held, also *result. */
static bool decode(struct image *result, struct codec *codec, const struct image_limits *limits)
{
    struct jpeg_decompress_struct *jpeg = &codec->jpeg;
    if (setjmp(codec->failed)) {
        return false;
    }
    jpeg_create_decompress(jpeg);
    jpeg_stdio_src(jpeg, codec->file);
    jpeg_read_header(jpeg, TRUE);
    if (!image_size_allowed(codec->path, jpeg->image_width, jpeg->image_height, limits,
                            codec->error) ||
        !choose_output(codec)) {
        return false;
    }
    jpeg_start_decompress(jpeg);
    if (!image_create(result, jpeg->output_width, jpeg->output_height, jpeg->output_components,
                      codec->error)) {
        return false;
    }
    codec->row = malloc((size_t)(result->width * result->channels) * sizeof *codec->row);
    if (!codec->row) {
        return image_fail(codec->error, "%s: out of memory", codec->path);
    }
    for (int64_t y = 0; y < result->height; y++) {
        jpeg_read_scanlines(jpeg, &codec->row, 1);
        store_row(result, y, codec->row);
    }
    jpeg_finish_decompress(jpeg);
    return true;
}

static bool jpeg_read(struct image *result, FILE *file, const char *path,
                      const struct image_limits *limits, struct image_error *error)
{
    struct codec codec = {.file = file, .path = path, .error = error};
    codec.jpeg.err = jpeg_std_error(&codec.handlers);
    codec.jpeg.client_data = &codec;
    codec.handlers.error_exit = on_error;
    codec.handlers.emit_message = on_message;
    codec.handlers.output_message = on_output;
    const bool read = decode(result, &codec, limits);
    jpeg_destroy_decompress(&codec.jpeg);
    free(codec.row);
    if (!read) {
        image_destroy(result);
    }
    return read;
}

const struct image_format image_format_jpeg = {jpeg_endings, jpeg_recognises, jpeg_read};
