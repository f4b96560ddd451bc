/* SPDX-License-Identifier: BSD-2-Clause */
#include "image_damage.h"
#include "support.h"

#include <jpeglib.h>

#include <gif_lib.h>

#define WIDTH 21
#define HEIGHT 18

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
    ck_assert_str_eq(reason_for("huge"),
                     "60159 x 60159 pixels, at most 67108864 are allowed; shrink it");
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
    ck_assert_str_eq(reason_for("huge"),
                     "65535 x 65535 pixels, at most 67108864 are allowed; shrink it");
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
    tcase_add_test(formats, every_kind_of_gif_is_read);
    tcase_add_test(formats, a_gif_cut_off_anywhere_is_refused);
    tcase_add_test(formats, changed_bytes_of_a_gif_do_no_harm);
    tcase_add_test(formats, a_gif_of_wrong_sizes_is_refused);
    tcase_add_test(formats, names_of_every_kind_are_known);
    suite_add_tcase(suite, formats);
    return run_suite(suite);
}
