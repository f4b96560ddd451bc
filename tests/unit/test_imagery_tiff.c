/* SPDX-License-Identifier: BSD-2-Clause */
#include "image_damage.h"
#include "support.h"

#include <tiffio.h>

#define WIDTH 21
#define HEIGHT 18

static uint8_t byte_at(int x, int y, int c)
{
    return (uint8_t)(x * 11 + y * 5 + c * 40);
}

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
    ck_assert_str_eq(reason_for("huge"),
                     "60000 x 60000 pixels, at most 67108864 are allowed; shrink it");
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

int main(void)
{
    Suite *suite = suite_create("imagery_tiff");
    TCase *files = tcase_create("files");
    tcase_set_timeout(files, 60);
    tcase_add_checked_fixture(files, scratch_create, scratch_destroy);
    tcase_add_test(files, every_kind_of_tiff_is_read);
    tcase_add_test(files, only_the_first_page_of_a_tiff_is_read);
    tcase_add_test(files, other_tiffs_are_refused_with_a_reason);
    tcase_add_test(files, a_tiff_cut_off_anywhere_is_refused);
    tcase_add_test(files, pixels_missing_at_the_end_of_a_tiff_are_noticed);
    tcase_add_test(files, a_huge_tiff_is_refused_before_decoding);
    tcase_add_test(files, changed_bytes_of_a_tiff_do_no_harm);
    suite_add_tcase(suite, files);
    return run_suite(suite);
}
