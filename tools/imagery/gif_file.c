/* SPDX-License-Identifier: BSD-2-Clause */
/* The first frame of a GIF on its canvas, black where the frame does not reach; the rest is only
 * checked for being whole. */
#include "image_format.h"

#include <errno.h>
#include <gif_lib.h>
#include <stdlib.h>
#include <string.h>

static const char *const gif_endings[] = {"gif", NULL};

struct codec {
    GifFileType *gif;
    FILE *file;
    const char *path;
    struct image_error *error;
    GifPixelType *line;
    struct image *result; /* empty until the first frame */
};

static bool gif_recognises(const unsigned char *signature, size_t bytes)
{
    return bytes >= 6 &&
           (memcmp(signature, "GIF87a", 6) == 0 || memcmp(signature, "GIF89a", 6) == 0);
}

static int read_bytes(GifFileType *gif, GifByteType *bytes, int count)
{
    const struct codec *codec = gif->UserData;
    return (int)fread(bytes, 1, (size_t)count, codec->file);
}

/* `code` is one of giflib; at the end of the file that is the cause, whatever the code says. */
static bool fail(const struct codec *codec, int code)
{
    const char *reason = GifErrorString(code);
    if (ferror(codec->file)) {
        reason = strerror(errno);
    } else if (feof(codec->file)) {
        reason = "the file ends early";
    }
    return image_fail(codec->error, "%s: %s", codec->path, reason ? reason : "damaged GIF data");
}

/* GIF has no gray of its own: a palette of grays stands for it. */
static int32_t channels_of(const ColorMapObject *palette)
{
    for (int i = 0; i < palette->ColorCount; i++) {
        const GifColorType *colour = &palette->Colors[i];
        if (colour->Red != colour->Green || colour->Green != colour->Blue) {
            return 3;
        }
    }
    return 1;
}

static bool read_line(const struct codec *codec, const ColorMapObject *palette, int y)
{
    const GifImageDesc *frame = &codec->gif->Image;
    struct image *image = codec->result;
    const int64_t start = (frame->Top + y) * image->width + frame->Left;
    if (DGifGetLine(codec->gif, codec->line, frame->Width) != GIF_OK) {
        return fail(codec, codec->gif->Error);
    }
    for (int x = 0; x < frame->Width; x++) {
        const int number = codec->line[x];
        if (number >= palette->ColorCount) {
            return image_fail(codec->error, "%s: a pixel of colour %d, the palette has %d",
                              codec->path, number, palette->ColorCount);
        }
        const GifColorType *colour = &palette->Colors[number];
        const GifByteType values[3] = {colour->Red, colour->Green, colour->Blue};
        for (int32_t c = 0; c < image->channels; c++) {
            image_plane(image, c)[start + x] = (float)values[c] / 255.0f;
        }
    }
    return true;
}

static bool read_lines(const struct codec *codec, const ColorMapObject *palette)
{
    static const int first[] = {0, 4, 2, 1};
    static const int step[] = {8, 8, 4, 2};
    const GifImageDesc *frame = &codec->gif->Image;
    const int passes = frame->Interlace ? 4 : 1;
    for (int pass = 0; pass < passes; pass++) {
        for (int y = first[pass]; y < frame->Height; y += frame->Interlace ? step[pass] : 1) {
            if (!read_line(codec, palette, y)) {
                return false;
            }
        }
    }
    return true;
}

static bool read_first_frame(struct codec *codec)
{
    const GifFileType *gif = codec->gif;
    const GifImageDesc *frame = &gif->Image;
    const ColorMapObject *palette = frame->ColorMap ? frame->ColorMap : gif->SColorMap;
    if (!palette) {
        return image_fail(codec->error, "%s: a GIF without a palette", codec->path);
    }
    if (frame->Width < 1 || frame->Height < 1 || frame->Left + frame->Width > gif->SWidth ||
        frame->Top + frame->Height > gif->SHeight) {
        return image_fail(codec->error, "%s: a frame of %d x %d pixels at (%d, %d) of %d x %d",
                          codec->path, frame->Width, frame->Height, frame->Left, frame->Top,
                          gif->SWidth, gif->SHeight);
    }
    codec->line = malloc((size_t)frame->Width);
    if (!codec->line) {
        return image_fail(codec->error, "%s: out of memory", codec->path);
    }
    return image_create(codec->result, gif->SWidth, gif->SHeight, channels_of(palette),
                        codec->error) &&
           read_lines(codec, palette);
}

static bool skip_frame(const struct codec *codec)
{
    int size;
    GifByteType *block;
    int status = DGifGetCode(codec->gif, &size, &block);
    while (status == GIF_OK && block) {
        status = DGifGetCodeNext(codec->gif, &block);
    }
    return status == GIF_OK || fail(codec, codec->gif->Error);
}

static bool read_frame(struct codec *codec)
{
    if (DGifGetImageDesc(codec->gif) != GIF_OK) {
        return fail(codec, codec->gif->Error);
    }
    return codec->result->pixels ? skip_frame(codec) : read_first_frame(codec);
}

static bool skip_extension(const struct codec *codec)
{
    int kind;
    GifByteType *block;
    int status = DGifGetExtension(codec->gif, &kind, &block);
    while (status == GIF_OK && block) {
        status = DGifGetExtensionNext(codec->gif, &block);
    }
    return status == GIF_OK || fail(codec, codec->gif->Error);
}

static bool read_records(struct codec *codec)
{
    GifRecordType kind;
    for (;;) {
        if (DGifGetRecordType(codec->gif, &kind) != GIF_OK) {
            return fail(codec, codec->gif->Error);
        }
        if (kind == TERMINATE_RECORD_TYPE) {
            return codec->result->pixels ||
                   image_fail(codec->error, "%s: a GIF without a frame", codec->path);
        }
        const bool is_frame = kind == IMAGE_DESC_RECORD_TYPE;
        if (!(is_frame ? read_frame(codec) : skip_extension(codec))) {
            return false;
        }
    }
}

static bool gif_read(struct image *result, FILE *file, const char *path,
                     const struct image_limits *limits, struct image_error *error)
{
    struct codec codec = {.file = file, .path = path, .error = error, .result = result};
    int code = 0;
    codec.gif = DGifOpen(&codec, read_bytes, &code);
    if (!codec.gif) {
        return fail(&codec, code);
    }
    const bool read = image_size_allowed(path, (uint64_t)codec.gif->SWidth,
                                         (uint64_t)codec.gif->SHeight, limits, error) &&
                      read_records(&codec);
    DGifCloseFile(codec.gif, NULL);
    free(codec.line);
    if (!read) {
        image_destroy(result);
    }
    return read;
}

const struct image_format image_format_gif = {gif_endings, gif_recognises, gif_read};
