/* SPDX-License-Identifier: BSD-2-Clause */
#include "image_reading.h"
#include "support.h"

#include <jpeglib.h>

#include <gif_lib.h>
#include <tiffio.h>
#include <unistd.h>

#define FILE_BYTES 8192
#define WIDTH 21
#define HEIGHT 18

static uint8_t byte_at(int x, int y, int c)
{
    return (uint8_t)(x * 11 + y * 5 + c * 40);
}

/* Every cut of a whole file is refused with a reason. */
static void assert_cuts_refused(const char *name)
{
    unsigned char bytes[FILE_BYTES];
    const size_t count = scratch_read(name, bytes, sizeof bytes);
    ck_assert_uint_gt(count, 20);
    ck_assert_uint_lt(count, sizeof bytes);
    for (size_t kept = 0; kept < count; kept++) {
        scratch_write("cut", bytes, kept);
        const char *reason = reason_for("cut");
        ck_assert_msg(reason[0] != '\0', "%s cut to %zu bytes", name, kept);
    }
}

/* No change of one byte does harm; what is read keeps within the range. */
static void assert_changes_harmless(const char *name)
{
    unsigned char bytes[FILE_BYTES];
    const size_t count = scratch_read(name, bytes, sizeof bytes);
    const struct image_limits limits = {.pixels = 1 << 16};
    for (size_t i = 0; i < count; i++) {
        struct image image;
        bytes[i] ^= 0x91;
        scratch_write("changed", bytes, count);
        if (image_read(&image, scratch_path("changed"), &limits, &error)) {
            for (int64_t p = 0; p < image_pixels(&image) * image.channels; p++) {
                ck_assert(image.pixels[p] >= 0 && image.pixels[p] <= 1);
            }
        }
        image_destroy(&image);
        bytes[i] ^= 0x91;
    }
}

/* What libraries print would show up on the standard error of every program. */
static void assert_silent(void (*work)(const char *name), const char *name)
{
    const int kept = dup(STDERR_FILENO);
    FILE *heard = tmpfile();
    ck_assert(kept >= 0 && heard);
    fflush(stderr);
    dup2(fileno(heard), STDERR_FILENO);
    work(name);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    ck_assert_int_eq(lseek(fileno(heard), 0, SEEK_END), 0);
    fclose(heard);
}

/* ---- JPEG */

struct jpeg_kind {
    int width;
    int height;
    J_COLOR_SPACE space; /* of the pixels given */
    J_COLOR_SPACE stored;
    bool progressive;
};

static void write_jpeg(const char *name, const struct jpeg_kind *kind)
{
    const int channels = kind->space == JCS_GRAYSCALE ? 1 : kind->space == JCS_CMYK ? 4 : 3;
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr handlers;
    FILE *file = fopen(scratch_path(name), "wb");
    jpeg.err = jpeg_std_error(&handlers);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file);
    jpeg.image_width = (JDIMENSION)kind->width;
    jpeg.image_height = (JDIMENSION)kind->height;
    jpeg.input_components = channels;
    jpeg.in_color_space = kind->space;
    jpeg_set_defaults(&jpeg);
    jpeg_set_colorspace(&jpeg, kind->stored);
    jpeg_set_quality(&jpeg, 100, TRUE);
    if (kind->progressive) {
        jpeg_simple_progression(&jpeg);
    }
    jpeg_start_compress(&jpeg, TRUE);
    for (int y = 0; y < kind->height; y++) {
        JSAMPLE row[64 * 4];
        JSAMPROW rows[1] = {row};
        for (int i = 0; i < kind->width * channels; i++) {
            row[i] = (JSAMPLE)(i / channels * 5 + y * 4 + i % channels * 40);
        }
        jpeg_write_scanlines(&jpeg, rows, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    fclose(file);
}

static const struct jpeg_kind gray_jpeg = {WIDTH, HEIGHT, JCS_GRAYSCALE, JCS_GRAYSCALE, false};
static const struct jpeg_kind colour_jpeg = {WIDTH, HEIGHT, JCS_RGB, JCS_YCbCr, false};

START_TEST(every_kind_of_jpeg_is_read)
{
    const struct jpeg_kind kinds[] = {
        gray_jpeg,
        colour_jpeg,
        {WIDTH, HEIGHT, JCS_RGB, JCS_RGB, false},
        {WIDTH, HEIGHT, JCS_RGB, JCS_YCbCr, true},
        {WIDTH, HEIGHT, JCS_GRAYSCALE, JCS_GRAYSCALE, true},
    };
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        write_jpeg("a.jpg", &kinds[k]);
        struct image image = read_image("a.jpg");
        ck_assert(image.width == WIDTH && image.height == HEIGHT);
        ck_assert_int_eq(image.channels, kinds[k].space == JCS_GRAYSCALE ? 1 : 3);
        /* Colours of half the resolution differ by a step of the ramp; gray is all but exact. */
        const float slack = kinds[k].stored == JCS_YCbCr ? 16 / 255.0f : 2 / 255.0f;
        for (int32_t c = 0; c < image.channels; c++) {
            for (int y = 0; y < HEIGHT; y++) {
                for (int x = 0; x < WIDTH; x++) {
                    const float value = image_plane(&image, c)[y * WIDTH + x];
                    ck_assert_float_eq_tol(value, (float)(x * 5 + y * 4 + c * 40) / 255.0f, slack);
                }
            }
        }
        image_destroy(&image);
    }
}
END_TEST

START_TEST(a_jpeg_of_one_pixel_is_read)
{
    write_jpeg("a.jpg", &(struct jpeg_kind){1, 1, JCS_RGB, JCS_YCbCr, false});
    struct image image = read_image("a.jpg");
    ck_assert(image.width == 1 && image.height == 1 && image.channels == 3);
    image_destroy(&image);
}
END_TEST

START_TEST(a_cmyk_jpeg_is_refused_with_advice)
{
    write_jpeg("a.jpg", &(struct jpeg_kind){WIDTH, HEIGHT, JCS_CMYK, JCS_CMYK, false});
    ck_assert_str_eq(reason_for("a.jpg"), "CMYK JPEG: convert to RGB");
    write_jpeg("a.jpg", &(struct jpeg_kind){WIDTH, HEIGHT, JCS_CMYK, JCS_YCCK, false});
    ck_assert_str_eq(reason_for("a.jpg"), "CMYK JPEG: convert to RGB");
}
END_TEST

START_TEST(a_jpeg_cut_off_anywhere_is_refused)
{
    const struct jpeg_kind progressive = {WIDTH, HEIGHT, JCS_RGB, JCS_YCbCr, true};
    write_jpeg("gray.jpg", &gray_jpeg);
    write_jpeg("colour.jpg", &colour_jpeg);
    write_jpeg("progressive.jpg", &progressive);
    assert_silent(assert_cuts_refused, "gray.jpg");
    assert_silent(assert_cuts_refused, "colour.jpg");
    assert_silent(assert_cuts_refused, "progressive.jpg");
}
END_TEST

START_TEST(a_jpeg_that_ends_early_says_so)
{
    unsigned char bytes[FILE_BYTES];
    write_jpeg("a.jpg", &colour_jpeg);
    const size_t count = scratch_read("a.jpg", bytes, sizeof bytes);
    scratch_write("cut", bytes, count - 1);
    ck_assert_str_eq(reason_for("cut"), "the file ends early");
    /* An end that was put where the pixels are not complete. */
    bytes[count - 40] = 0xff;
    bytes[count - 39] = 0xd9;
    scratch_write("cut", bytes, count - 38);
    ck_assert_ptr_nonnull(strstr(reason_for("cut"), "premature end"));
}
END_TEST

START_TEST(changed_bytes_of_a_jpeg_do_no_harm)
{
    write_jpeg("a.jpg", &colour_jpeg);
    assert_silent(assert_changes_harmless, "a.jpg");
}
END_TEST

START_TEST(a_huge_jpeg_is_refused_before_decoding)
{
    unsigned char bytes[FILE_BYTES];
    write_jpeg("a.jpg", &gray_jpeg);
    const size_t count = scratch_read("a.jpg", bytes, sizeof bytes);
    size_t frame = 0;
    while (bytes[frame] != 0xff || bytes[frame + 1] != 0xc0) {
        frame++;
    }
    memset(bytes + frame + 5, 0xff, 4);
    bytes[frame + 5] = bytes[frame + 7] = 0xea;
    scratch_write("huge", bytes, count);
    ck_assert_str_eq(reason_for("huge"), "60159 x 60159 pixels, at most 67108864 are allowed");
}
END_TEST

/* ---- TIFF */

struct tiff_kind {
    uint32_t width;
    uint32_t height;
    uint16_t bits;
    uint16_t samples;
    uint16_t photometric;
    uint16_t planes;
    uint16_t compression;
    uint32_t tile; /* side of the tiles; 0: strips of four rows */
};

static const struct tiff_kind gray_tiff = {
    WIDTH, HEIGHT, 8, 1, PHOTOMETRIC_MINISBLACK, PLANARCONFIG_CONTIG, COMPRESSION_NONE, 0};

/* Sample c of the pixel (x, y) is byte_at(), in 16 bits with itself plus 1 as the low byte. */
static void put_sample(uint8_t *row, uint32_t index, uint16_t bits, uint8_t value)
{
    if (bits == 16) {
        const uint16_t wide = (uint16_t)(value << 8 | (uint8_t)(value + 1));
        memcpy(row + 2 * index, &wide, sizeof wide);
    } else if (bits == 8) {
        row[index] = value;
    } else {
        const uint32_t bit = index * bits;
        row[bit / 8] |= (uint8_t)((value & ((1u << bits) - 1)) << (8 - bits - bit % 8));
    }
}

static void write_tiff_plane(TIFF *tiff, const struct tiff_kind *kind, uint16_t plane)
{
    const uint16_t side_by_side = kind->planes == PLANARCONFIG_CONTIG ? kind->samples : 1;
    const uint32_t block_width = kind->tile ? kind->tile : kind->width;
    const uint32_t block_height = kind->tile ? kind->tile : 1;
    for (uint32_t top = 0; top < kind->height; top += block_height) {
        for (uint32_t left = 0; left < kind->width; left += block_width) {
            static uint8_t block[32 * 32 * 8];
            const size_t row_bytes = ((size_t)block_width * side_by_side * kind->bits + 7) / 8;
            memset(block, 0, sizeof block);
            for (uint32_t y = 0; y < block_height; y++) {
                for (uint32_t i = 0; i < block_width * side_by_side; i++) {
                    const int c = plane + (int)(i % side_by_side);
                    put_sample(block + y * row_bytes, i, kind->bits,
                               byte_at((int)(left + i / side_by_side), (int)(top + y), c));
                }
            }
            if (kind->tile) {
                ck_assert(TIFFWriteTile(tiff, block, left, top, 0, plane) > 0);
            } else {
                ck_assert_int_eq(TIFFWriteScanline(tiff, block, top, plane), 1);
            }
        }
    }
}

static void write_tiff(const char *name, const struct tiff_kind *kind, const char *mode)
{
    TIFF *tiff = TIFFOpen(scratch_path(name), mode);
    static uint16_t palette[3][256];
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, kind->width);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, kind->height);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, kind->bits);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, kind->samples);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, kind->photometric);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, kind->planes);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, kind->compression);
    if (kind->tile) {
        TIFFSetField(tiff, TIFFTAG_TILEWIDTH, kind->tile);
        TIFFSetField(tiff, TIFFTAG_TILELENGTH, kind->tile);
    } else {
        TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, 4);
    }
    if (kind->photometric == PHOTOMETRIC_PALETTE) {
        for (int i = 0; i < 256; i++) {
            palette[0][i] = (uint16_t)(i * 257);
            palette[1][i] = (uint16_t)(65535 - i * 257);
            palette[2][i] = 1000;
        }
        TIFFSetField(tiff, TIFFTAG_COLORMAP, palette[0], palette[1], palette[2]);
    }
    for (uint16_t p = 0; p < (kind->planes == PLANARCONFIG_CONTIG ? 1 : kind->samples); p++) {
        write_tiff_plane(tiff, kind, p);
    }
    TIFFClose(tiff);
}

static float tiff_value(const struct tiff_kind *kind, int x, int y, int32_t c)
{
    const unsigned greatest = (1u << kind->bits) - 1;
    const uint8_t byte = byte_at(x, y, kind->photometric == PHOTOMETRIC_PALETTE ? 0 : c);
    const unsigned sample =
        kind->bits == 16 ? (unsigned)byte << 8 | (uint8_t)(byte + 1) : byte & greatest;
    if (kind->photometric == PHOTOMETRIC_PALETTE) {
        const float colours[3] = {(float)(sample * 257) / 65535.0f,
                                  (float)(65535 - sample * 257) / 65535.0f, 1000 / 65535.0f};
        return colours[c];
    }
    return (float)(kind->photometric == PHOTOMETRIC_MINISWHITE ? greatest - sample : sample) /
           (float)greatest;
}

static void assert_tiff_read(const struct tiff_kind *kind, const char *mode)
{
    const bool gray =
        kind->photometric == PHOTOMETRIC_MINISBLACK || kind->photometric == PHOTOMETRIC_MINISWHITE;
    write_tiff("a.tif", kind, mode);
    struct image image = read_image("a.tif");
    ck_assert(image.width == kind->width && image.height == kind->height);
    ck_assert_int_eq(image.channels, gray ? 1 : 3);
    for (int32_t c = 0; c < image.channels; c++) {
        for (int y = 0; y < image.height; y++) {
            for (int x = 0; x < image.width; x++) {
                ck_assert_msg(image_plane(&image, c)[y * image.width + x] ==
                                  tiff_value(kind, x, y, c),
                              "%u bits, %u samples, photometric %u, mode %s: (%d, %d), channel %d",
                              kind->bits, kind->samples, kind->photometric, mode, x, y, (int)c);
            }
        }
    }
    image_destroy(&image);
}

START_TEST(every_kind_of_tiff_is_read)
{
    static const struct {
        uint16_t bits;
        uint16_t samples;
        uint16_t photometric;
    } pixels[] = {
        {8, 1, PHOTOMETRIC_MINISBLACK}, {16, 1, PHOTOMETRIC_MINISBLACK},
        {8, 1, PHOTOMETRIC_MINISWHITE}, {1, 1, PHOTOMETRIC_MINISBLACK},
        {1, 1, PHOTOMETRIC_MINISWHITE}, {4, 1, PHOTOMETRIC_MINISBLACK},
        {8, 3, PHOTOMETRIC_RGB},        {16, 3, PHOTOMETRIC_RGB},
        {8, 4, PHOTOMETRIC_RGB},        {8, 1, PHOTOMETRIC_PALETTE},
        {4, 1, PHOTOMETRIC_PALETTE},    {8, 2, PHOTOMETRIC_MINISBLACK},
    };
    static const char *const modes[] = {"wl", "wb", "w8"};
    for (size_t i = 0; i < sizeof pixels / sizeof pixels[0]; i++) {
        for (uint32_t way = 0; way < 8; way++) {
            struct tiff_kind kind = gray_tiff;
            kind.bits = pixels[i].bits;
            kind.samples = pixels[i].samples;
            kind.photometric = pixels[i].photometric;
            kind.tile = way & 1 ? 16 : 0;
            kind.planes = way & 2 ? PLANARCONFIG_SEPARATE : PLANARCONFIG_CONTIG;
            kind.compression = way & 4 ? COMPRESSION_LZW : COMPRESSION_NONE;
            assert_tiff_read(&kind, modes[(i + way) % 3]);
        }
    }
    struct tiff_kind one = gray_tiff;
    one.width = one.height = 1;
    assert_tiff_read(&one, "w");
}
END_TEST

START_TEST(only_the_first_page_of_a_tiff_is_read)
{
    struct tiff_kind second = gray_tiff;
    second.width = 5;
    write_tiff("a.tif", &gray_tiff, "w");
    write_tiff("a.tif", &second, "a");
    struct image image = read_image("a.tif");
    ck_assert_int_eq(image.width, WIDTH);
    image_destroy(&image);
}
END_TEST

START_TEST(other_tiffs_are_refused_with_a_reason)
{
    struct tiff_kind kind = gray_tiff;
    kind.samples = 4;
    kind.photometric = PHOTOMETRIC_SEPARATED;
    write_tiff("a.tif", &kind, "w");
    ck_assert_str_eq(reason_for("a.tif"), "a TIFF that is CMYK: convert to gray or RGB");
    kind = gray_tiff;
    kind.samples = 3;
    kind.photometric = PHOTOMETRIC_YCBCR;
    write_tiff("a.tif", &kind, "w");
    ck_assert_str_eq(reason_for("a.tif"), "a TIFF that is YCbCr: convert to gray or RGB");
    kind = gray_tiff;
    kind.bits = 2;
    write_tiff("a.tif", &kind, "w");
    unsigned char bytes[FILE_BYTES];
    const size_t count = scratch_read("a.tif", bytes, sizeof bytes);
    /* The entry for the bits of a sample: tag 258, type 3, one value. */
    static const unsigned char entry[] = {2, 1, 3, 0, 1, 0, 0, 0, 2, 0};
    size_t at = 0;
    while (memcmp(bytes + at, entry, sizeof entry) != 0) {
        at++;
    }
    bytes[at + 8] = 12;
    scratch_write("a.tif", bytes, count);
    ck_assert_str_eq(reason_for("a.tif"), "samples of 12 bits, expected whole numbers of 8 or 16");
}
END_TEST

START_TEST(a_tiff_cut_off_anywhere_is_refused)
{
    struct tiff_kind kind = gray_tiff;
    write_tiff("strips.tif", &kind, "w");
    kind.compression = COMPRESSION_LZW;
    write_tiff("lzw.tif", &kind, "wb");
    kind.tile = 16;
    kind.samples = 3;
    kind.photometric = PHOTOMETRIC_RGB;
    write_tiff("tiles.tif", &kind, "w");
    assert_silent(assert_cuts_refused, "strips.tif");
    assert_silent(assert_cuts_refused, "lzw.tif");
    assert_silent(assert_cuts_refused, "tiles.tif");
}
END_TEST

static void put16(unsigned char *to, unsigned value)
{
    to[0] = (unsigned char)value;
    to[1] = (unsigned char)(value >> 8);
}

/* A TIFF by hand whose directory comes first, as libtiff does not write them: 4 x 2, gray. */
static size_t directory_first_tiff(unsigned char *bytes, unsigned width, unsigned height)
{
    const unsigned entries[][3] = {
        {256, 3, width}, {257, 3, height}, {258, 3, 8},      {259, 3, 1}, {262, 3, 1},
        {273, 3, 122},   {277, 3, 1},      {278, 3, height}, {279, 3, 8},
    };
    memset(bytes, 0, 130);
    memcpy(bytes, "II*\0\x08", 5);
    put16(bytes + 8, 9);
    for (unsigned i = 0; i < 9; i++) {
        unsigned char *entry = bytes + 10 + 12 * i;
        put16(entry, entries[i][0]);
        put16(entry + 2, entries[i][1]);
        put16(entry + 4, 1);
        put16(entry + 8, entries[i][2]);
    }
    for (unsigned i = 0; i < 8; i++) {
        bytes[122 + i] = (unsigned char)(i * 17);
    }
    return 130;
}

START_TEST(pixels_missing_at_the_end_of_a_tiff_are_noticed)
{
    unsigned char bytes[256];
    const size_t count = directory_first_tiff(bytes, 4, 2);
    scratch_write("whole", bytes, count);
    struct image image = read_image("whole");
    ck_assert(image.width == 4 && image.height == 2 && image.pixels[7] == 119 / 255.0f);
    image_destroy(&image);
    assert_silent(assert_cuts_refused, "whole");
    scratch_write("cut", bytes, count - 1);
    ck_assert_str_eq(reason_for("cut"), "the file ends early");
}
END_TEST

START_TEST(a_huge_tiff_is_refused_before_decoding)
{
    unsigned char bytes[256];
    const size_t count = directory_first_tiff(bytes, 60000, 60000);
    scratch_write("huge", bytes, count);
    ck_assert_str_eq(reason_for("huge"), "60000 x 60000 pixels, at most 67108864 are allowed");
    directory_first_tiff(bytes, 0, 2);
    scratch_write("none", bytes, count);
    reason_for("none");
    /* Allowed, but the file has eight pixels. */
    directory_first_tiff(bytes, 8000, 8000);
    scratch_write("short", bytes, count);
    reason_for("short");
}
END_TEST

START_TEST(changed_bytes_of_a_tiff_do_no_harm)
{
    struct tiff_kind kind = gray_tiff;
    write_tiff("strips.tif", &kind, "w");
    kind.compression = COMPRESSION_LZW;
    kind.tile = 16;
    write_tiff("tiles.tif", &kind, "w");
    assert_silent(assert_changes_harmless, "strips.tif");
    assert_silent(assert_changes_harmless, "tiles.tif");
}
END_TEST

/* ---- GIF */

struct gif_kind {
    int width; /* of the canvas; the frame leaves `margin` free on each side */
    int height;
    int margin;
    bool interlaced;
    bool gray;
    int frames;
};

static const struct gif_kind colour_gif = {WIDTH, HEIGHT, 0, false, false, 1};

static void write_gif_frame(GifFileType *gif, const struct gif_kind *kind)
{
    static const int first[] = {0, 4, 2, 1};
    static const int step[] = {8, 8, 4, 2};
    const int width = kind->width - 2 * kind->margin;
    const int height = kind->height - 2 * kind->margin;
    ck_assert_int_eq(
        EGifPutImageDesc(gif, kind->margin, kind->margin, width, height, kind->interlaced, NULL),
        GIF_OK);
    for (int pass = 0; pass < (kind->interlaced ? 4 : 1); pass++) {
        for (int y = first[pass]; y < height; y += kind->interlaced ? step[pass] : 1) {
            GifPixelType row[64];
            for (int x = 0; x < width; x++) {
                row[x] = (GifPixelType)((x + 3 * y) % 16);
            }
            ck_assert_int_eq(EGifPutLine(gif, row, width), GIF_OK);
        }
    }
}

static void write_gif(const char *name, const struct gif_kind *kind)
{
    GifColorType colours[16];
    int code;
    for (int i = 0; i < 16; i++) {
        const GifByteType level = (GifByteType)(i * 17);
        colours[i] = (GifColorType){level, kind->gray ? level : 100, level};
    }
    ColorMapObject *palette = GifMakeMapObject(16, colours);
    GifFileType *gif = EGifOpenFileName(scratch_path(name), false, &code);
    ck_assert_int_eq(EGifPutScreenDesc(gif, kind->width, kind->height, 8, 0, palette), GIF_OK);
    for (int i = 0; i < kind->frames; i++) {
        EGifPutComment(gif, "a remark");
        write_gif_frame(gif, kind);
    }
    ck_assert_int_eq(EGifCloseFile(gif, &code), GIF_OK);
    GifFreeMapObject(palette);
}

START_TEST(every_kind_of_gif_is_read)
{
    for (int way = 0; way < 16; way++) {
        const struct gif_kind kind = {WIDTH,   HEIGHT,  way & 1 ? 2 : 0,
                                      way & 2, way & 4, way & 8 ? 3 : 1};
        write_gif("a.gif", &kind);
        struct image image = read_image("a.gif");
        ck_assert(image.width == WIDTH && image.height == HEIGHT);
        ck_assert_int_eq(image.channels, kind.gray ? 1 : 3);
        for (int y = 0; y < HEIGHT; y++) {
            for (int x = 0; x < WIDTH; x++) {
                const bool inside = x >= kind.margin && x < WIDTH - kind.margin &&
                                    y >= kind.margin && y < HEIGHT - kind.margin;
                const int number = (x - kind.margin + 3 * (y - kind.margin)) % 16;
                ck_assert(image.pixels[y * WIDTH + x] ==
                          (inside ? (float)(number * 17) / 255.0f : 0));
            }
        }
        image_destroy(&image);
    }
    write_gif("a.gif", &(struct gif_kind){1, 1, 0, true, false, 1});
    struct image one = read_image("a.gif");
    ck_assert(image_pixels(&one) == 1 && image_plane(&one, 1)[0] == 100 / 255.0f);
    image_destroy(&one);
}
END_TEST

START_TEST(a_gif_cut_off_anywhere_is_refused)
{
    const struct gif_kind frames = {WIDTH, HEIGHT, 1, true, true, 2};
    write_gif("one.gif", &colour_gif);
    write_gif("two.gif", &frames);
    assert_silent(assert_cuts_refused, "one.gif");
    assert_silent(assert_cuts_refused, "two.gif");
    unsigned char bytes[FILE_BYTES];
    const size_t count = scratch_read("one.gif", bytes, sizeof bytes);
    scratch_write("cut", bytes, count - 1);
    ck_assert_str_eq(reason_for("cut"), "the file ends early");
}
END_TEST

START_TEST(changed_bytes_of_a_gif_do_no_harm)
{
    write_gif("a.gif", &colour_gif);
    assert_silent(assert_changes_harmless, "a.gif");
}
END_TEST

START_TEST(a_gif_of_wrong_sizes_is_refused)
{
    unsigned char bytes[FILE_BYTES];
    write_gif("a.gif", &colour_gif);
    const size_t count = scratch_read("a.gif", bytes, sizeof bytes);
    memset(bytes + 6, 0xff, 4);
    scratch_write("huge", bytes, count);
    ck_assert_str_eq(reason_for("huge"), "65535 x 65535 pixels, at most 67108864 are allowed");
    put16(bytes + 6, WIDTH - 1);
    put16(bytes + 8, HEIGHT);
    scratch_write("outside", bytes, count);
    ck_assert_str_eq(reason_for("outside"), "a frame of 21 x 18 pixels at (0, 0) of 20 x 18");
    bytes[6] = 0;
    scratch_write("none", bytes, count);
    ck_assert_str_eq(reason_for("none"), "an image without pixels (0 x 18)");
    /* A header, a palette, nothing else. */
    static const char bare[] = "GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff;";
    scratch_write("bare", bare, sizeof bare - 1);
    ck_assert_str_eq(reason_for("bare"), "a GIF without a frame");
}
END_TEST

START_TEST(names_of_every_kind_are_known)
{
    static const char *const known[] = {"a.jpg", "a.JPEG", "a.tif", "a.TIFF", "a.gif", "a.png"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        ck_assert(image_name_is_known(known[i]));
    }
    ck_assert(!image_name_is_known("a.bmp"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("imagery_formats");
    TCase *formats = tcase_create("formats");
    tcase_set_timeout(formats, 60);
    tcase_add_checked_fixture(formats, scratch_create, scratch_destroy);
    tcase_add_test(formats, every_kind_of_jpeg_is_read);
    tcase_add_test(formats, a_jpeg_of_one_pixel_is_read);
    tcase_add_test(formats, a_cmyk_jpeg_is_refused_with_advice);
    tcase_add_test(formats, a_jpeg_cut_off_anywhere_is_refused);
    tcase_add_test(formats, a_jpeg_that_ends_early_says_so);
    tcase_add_test(formats, changed_bytes_of_a_jpeg_do_no_harm);
    tcase_add_test(formats, a_huge_jpeg_is_refused_before_decoding);
    tcase_add_test(formats, every_kind_of_tiff_is_read);
    tcase_add_test(formats, only_the_first_page_of_a_tiff_is_read);
    tcase_add_test(formats, other_tiffs_are_refused_with_a_reason);
    tcase_add_test(formats, a_tiff_cut_off_anywhere_is_refused);
    tcase_add_test(formats, pixels_missing_at_the_end_of_a_tiff_are_noticed);
    tcase_add_test(formats, a_huge_tiff_is_refused_before_decoding);
    tcase_add_test(formats, changed_bytes_of_a_tiff_do_no_harm);
    tcase_add_test(formats, every_kind_of_gif_is_read);
    tcase_add_test(formats, a_gif_cut_off_anywhere_is_refused);
    tcase_add_test(formats, changed_bytes_of_a_gif_do_no_harm);
    tcase_add_test(formats, a_gif_of_wrong_sizes_is_refused);
    tcase_add_test(formats, names_of_every_kind_are_known);
    suite_add_tcase(suite, formats);
    return run_suite(suite);
}
