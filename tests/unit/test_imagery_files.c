/* SPDX-License-Identifier: BSD-2-Clause */
#include "image_reading.h"
#include "support.h"

#include <math.h>
#include <png.h>
#include <signal.h>
#include <sys/resource.h>

#define FILE_BYTES 4096

/* A PNG as libpng writes it, with `bytes` as the rows one after the other. */
struct png_kind {
    int width;
    int height;
    int depth;
    int type;
    bool interlaced;
};

static void write_png(const char *name, const struct png_kind *kind, png_byte *bytes)
{
    static png_color palette[4] = {{0, 0, 0}, {255, 0, 0}, {0, 255, 0}, {10, 20, 255}};
    FILE *file = fopen(scratch_path(name), "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_byte *rows[64];
    png_init_io(png, file);
    png_set_IHDR(png, info, (png_uint_32)kind->width, (png_uint_32)kind->height, kind->depth,
                 kind->type, kind->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (kind->type == PNG_COLOR_TYPE_PALETTE) {
        png_set_PLTE(png, info, palette, 4);
    }
    png_write_info(png, info);
    for (int y = 0; y < kind->height; y++) {
        rows[y] = bytes + (size_t)y * png_get_rowbytes(png, info);
    }
    png_write_image(png, rows);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    fclose(file);
}

static struct image small_colour_image(void)
{
    struct image image;
    ck_assert(image_create(&image, 13, 7, 3, &error));
    for (int64_t i = 0; i < 3 * image_pixels(&image); i++) {
        image.pixels[i] = (float)(i * 37 % 256) / 255.0f;
    }
    return image;
}

static uint32_t crc_of(const unsigned char *bytes, size_t count)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
        }
    }
    return ~crc;
}

static void put32(unsigned char *to, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        to[i] = (unsigned char)(value >> (24 - 8 * i));
    }
}

START_TEST(what_is_written_is_read)
{
    struct image image = small_colour_image();
    ck_assert(image_write_png(&image, scratch_path("a.png"), &error));
    struct image read = read_image("a.png");
    ck_assert_int_eq(read.width, 13);
    ck_assert_int_eq(read.channels, 3);
    ck_assert_mem_eq(read.pixels, image.pixels, sizeof(float) * 13 * 7 * 3);
    image_destroy(&image);
    image_destroy(&read);
}
END_TEST

START_TEST(values_outside_the_range_are_clamped)
{
    struct image image;
    const float values[] = {-3, 7, NAN, 0.5f, INFINITY};
    ck_assert(image_create(&image, 5, 1, 1, &error));
    memcpy(image.pixels, values, sizeof values);
    ck_assert(image_write_png(&image, scratch_path("a.png"), &error));
    struct image read = read_image("a.png");
    const float expected[] = {0, 1, 0, 128 / 255.0f, 1};
    ck_assert_mem_eq(read.pixels, expected, sizeof expected);
    image_destroy(&image);
    image_destroy(&read);
}
END_TEST

START_TEST(every_kind_of_png_is_read)
{
    png_byte bytes[64];
    for (int i = 0; i < 64; i++) {
        bytes[i] = (png_byte)(i * 4);
    }
    for (int interlaced = 0; interlaced < 2; interlaced++) {
        const bool i7 = interlaced == 1;
        write_png("g8", &(struct png_kind){4, 4, 8, PNG_COLOR_TYPE_GRAY, i7}, bytes);
        write_png("g16", &(struct png_kind){4, 4, 16, PNG_COLOR_TYPE_GRAY, i7}, bytes);
        write_png("ga", &(struct png_kind){4, 4, 8, PNG_COLOR_TYPE_GRAY_ALPHA, i7}, bytes);
        write_png("rgb", &(struct png_kind){4, 4, 8, PNG_COLOR_TYPE_RGB, i7}, bytes);
        write_png("rgba", &(struct png_kind){4, 4, 8, PNG_COLOR_TYPE_RGB_ALPHA, i7}, bytes);
        struct image g8 = read_image("g8");
        struct image g16 = read_image("g16");
        struct image ga = read_image("ga");
        struct image rgb = read_image("rgb");
        struct image rgba = read_image("rgba");
        ck_assert(g8.channels == 1 && g8.pixels[9] == 36 / 255.0f);
        ck_assert(g16.channels == 1 && g16.pixels[9] == (float)(72 * 256 + 76) / 65535.0f);
        ck_assert(ga.channels == 1 && ga.pixels[9] == 72 / 255.0f);
        ck_assert(rgb.channels == 3 && image_plane(&rgb, 1)[9] == 112 / 255.0f);
        ck_assert(rgba.channels == 3 && image_plane(&rgba, 2)[9] == 152 / 255.0f);
        image_destroy(&g8);
        image_destroy(&g16);
        image_destroy(&ga);
        image_destroy(&rgb);
        image_destroy(&rgba);
    }
}
END_TEST

START_TEST(palettes_bits_and_single_pixels_are_read)
{
    png_byte bytes[] = {0x1b, 0xe4};
    write_png("palette", &(struct png_kind){4, 2, 2, PNG_COLOR_TYPE_PALETTE, false}, bytes);
    struct image palette = read_image("palette");
    ck_assert_int_eq(palette.channels, 3);
    ck_assert(palette.pixels[1] == 1 && palette.pixels[2] == 0);
    ck_assert(image_plane(&palette, 2)[4] == 1 && image_plane(&palette, 1)[3] == 20 / 255.0f);
    write_png("bits", &(struct png_kind){8, 2, 1, PNG_COLOR_TYPE_GRAY, false}, bytes);
    struct image bits = read_image("bits");
    ck_assert(bits.pixels[2] == 0 && bits.pixels[3] == 1 && bits.pixels[8] == 1);
    write_png("one", &(struct png_kind){1, 1, 8, PNG_COLOR_TYPE_GRAY, true}, bytes);
    struct image one = read_image("one");
    ck_assert(image_pixels(&one) == 1 && one.pixels[0] == 27 / 255.0f);
    image_destroy(&palette);
    image_destroy(&bits);
    image_destroy(&one);
}
END_TEST

START_TEST(a_png_cut_off_anywhere_is_refused)
{
    unsigned char bytes[FILE_BYTES];
    struct image image = small_colour_image();
    ck_assert(image_write_png(&image, scratch_path("a.png"), &error));
    const size_t count = scratch_read("a.png", bytes, sizeof bytes);
    for (size_t kept = 0; kept < count; kept++) {
        scratch_write("cut.png", bytes, kept);
        const char *reason = reason_for("cut.png");
        if (kept == 0) {
            ck_assert_str_eq(reason, "the file is empty");
        } else if (kept >= 8) {
            ck_assert_str_eq(reason, "the file ends early");
        }
    }
    image_destroy(&image);
}
END_TEST

START_TEST(a_png_with_any_byte_changed_is_refused_or_read)
{
    unsigned char bytes[FILE_BYTES];
    struct image image = small_colour_image();
    ck_assert(image_write_png(&image, scratch_path("a.png"), &error));
    const size_t count = scratch_read("a.png", bytes, sizeof bytes);
    int refused = 0;
    for (size_t i = 0; i < count; i++) {
        struct image read;
        bytes[i] ^= 0x15;
        scratch_write("bad.png", bytes, count);
        refused += !image_read(&read, scratch_path("bad.png"), NULL, &error);
        image_destroy(&read);
        bytes[i] ^= 0x15;
    }
    ck_assert_int_gt(refused, (int)count * 9 / 10);
    image_destroy(&image);
}
END_TEST

START_TEST(a_wrong_checksum_is_named)
{
    unsigned char bytes[FILE_BYTES];
    struct image image = small_colour_image();
    ck_assert(image_write_png(&image, scratch_path("a.png"), &error));
    const size_t count = scratch_read("a.png", bytes, sizeof bytes);
    bytes[29] ^= 1;
    scratch_write("bad.png", bytes, count);
    ck_assert_str_eq(reason_for("bad.png"), "IHDR: CRC error");
    image_destroy(&image);
}
END_TEST

START_TEST(huge_images_are_refused_before_decoding)
{
    unsigned char bytes[FILE_BYTES];
    struct image image = small_colour_image();
    struct image read;
    const struct image_limits limits = {.pixels = 90, .option = "--max-pixels"};
    ck_assert(image_write_png(&image, scratch_path("a.png"), &error));
    ck_assert(!image_read(&read, scratch_path("a.png"), &limits, &error));
    ck_assert_ptr_nonnull(strstr(
        error.text,
        ": 13 x 7 pixels, at most 90 are allowed; shrink it or allow more with --max-pixels"));
    const size_t count = scratch_read("a.png", bytes, sizeof bytes);
    put32(bytes + 16, 100000);
    put32(bytes + 20, 90000);
    put32(bytes + 29, crc_of(bytes + 12, 17));
    scratch_write("huge.png", bytes, count);
    ck_assert_str_eq(reason_for("huge.png"),
                     "100000 x 90000 pixels, at most 67108864 are allowed; shrink it");
    /* More than any option allows. */
    ck_assert(!image_read(&read, scratch_path("huge.png"), &limits, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "at most 90 are allowed; shrink it"));
    ck_assert_ptr_null(strstr(error.text, "--max-pixels"));
    put32(bytes + 16, 0x7fffffff);
    put32(bytes + 20, 0x7fffffff);
    put32(bytes + 29, crc_of(bytes + 12, 17));
    scratch_write("huge.png", bytes, count);
    reason_for("huge.png");
    put32(bytes + 16, 0);
    put32(bytes + 29, crc_of(bytes + 12, 17));
    scratch_write("none.png", bytes, count);
    reason_for("none.png");
    image_destroy(&image);
}
END_TEST

#if !defined(__SANITIZE_ADDRESS__)
START_TEST(without_memory_the_file_is_named)
{
    /* In a process of its own, as each test is. */
    const struct rlimit little = {.rlim_cur = 64 << 20, .rlim_max = 64 << 20};
    static const char head[] = "P5 8000 8000 255\n";
    scratch_write("large.pgm", head, sizeof head - 1);
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &little), 0);
    ck_assert_ptr_nonnull(strstr(reason_for("large.pgm"), "out of memory"));
}
END_TEST
#endif

START_TEST(what_is_no_image_is_said_so)
{
    scratch_write("text.png", "This is not a picture.", 22);
    ck_assert_str_eq(reason_for("text.png"),
                     "not an image of a known kind (PNG, JPEG, TIFF, GIF, PGM, PPM)");
    ck_assert_str_eq(reason_for("missing.png"), "No such file or directory");
    scratch_make_folder("folder.png");
    ck_assert_str_eq(reason_for("folder.png"), "Is a directory");
    ck_assert(image_name_is_known("x/A.PNG") && image_name_is_known("b.pgm"));
    ck_assert(!image_name_is_known("png") && !image_name_is_known("a.png.txt"));
}
END_TEST

static void write_text(const char *name, const char *text)
{
    scratch_write(name, text, strlen(text));
}

START_TEST(pgm_and_ppm_are_read)
{
    static const unsigned char p5[] = "P5\n#x\n2 1 255\n\x33\xff";
    static const unsigned char p6[] = "P6 1 1 1023\n\x03\xff\x00\x00\x01\x00";
    write_text("p2", "P2 # remark\n3 # another\n1\n15\n0 3\n15\n");
    write_text("p3", "P3\n1 1\n10\n10 5 0");
    scratch_write("p5", p5, sizeof p5 - 1);
    scratch_write("p6", p6, sizeof p6 - 1);
    struct image a = read_image("p2");
    struct image b = read_image("p3");
    struct image c = read_image("p5");
    struct image d = read_image("p6");
    ck_assert(a.width == 3 && a.height == 1 && a.channels == 1);
    ck_assert(a.pixels[1] == 0.2f && a.pixels[2] == 1);
    ck_assert(b.channels == 3 && b.pixels[0] == 1 && b.pixels[1] == 0.5f && b.pixels[2] == 0);
    ck_assert(c.pixels[0] == 0.2f && c.pixels[1] == 1);
    ck_assert(d.pixels[0] == 1 && d.pixels[1] == 0 && d.pixels[2] == 256.0f / 1023.0f);
    image_destroy(&a);
    image_destroy(&b);
    image_destroy(&c);
    image_destroy(&d);
}
END_TEST

START_TEST(a_damaged_pgm_is_refused_with_a_reason)
{
    write_text("short", "P5 4 4 255\nabc");
    ck_assert_str_eq(reason_for("short"), "the file ends early");
    write_text("head", "P2 4");
    ck_assert_str_eq(reason_for("head"), "the file ends early");
    write_text("letters", "P2 4 x 255");
    ck_assert_str_eq(reason_for("letters"), "the height is not a number");
    write_text("over", "P2 1 1 7 9");
    ck_assert_str_eq(reason_for("over"), "a pixel of value 9, the greatest is 7");
    write_text("zero", "P2 1 1 0 0");
    ck_assert_str_eq(reason_for("zero"), "greatest value 0, expected 1 to 65535");
    write_text("empty", "P5 0 4 255\n");
    ck_assert_str_eq(reason_for("empty"), "an image without pixels (0 x 4)");
    write_text("huge", "P5 4000000000 4000000000 255\n");
    reason_for("huge");
    write_text("digits", "P5 99999999999999999999 1 255\n");
    ck_assert_str_eq(reason_for("digits"), "the width is too large");
    write_text("bitmap", "P4 1 1 a");
    ck_assert_str_eq(reason_for("bitmap"), "bitmaps (PBM) are not supported");
}
END_TEST

static int files_in_scratch;

static int count_file(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)path;
    (void)status;
    (void)walk;
    files_in_scratch += type == FTW_F;
    return 0;
}

static int count_files(void)
{
    files_in_scratch = 0;
    nftw(scratch_folder, count_file, 8, FTW_PHYS);
    return files_in_scratch;
}

START_TEST(a_write_that_fails_leaves_what_was_there)
{
    unsigned char before[FILE_BYTES];
    unsigned char after[FILE_BYTES];
    struct image image = small_colour_image();
    struct image large;
    ck_assert(image_write_png(&image, scratch_path("a.png"), &error));
    const size_t count = scratch_read("a.png", before, sizeof before);
    ck_assert(image_create(&large, 300, 300, 1, &error));
    for (int64_t i = 0; i < image_pixels(&large); i++) {
        large.pixels[i] = (float)(i * i * 7919 % 251) / 251;
    }
    /* A limit on the size of files stands for a full disk. */
    const struct rlimit limit = {1000, 1000};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert(!image_write_png(&large, scratch_path("a.png"), &error));
    ck_assert_ptr_nonnull(strstr(error.text, "a.png: File too large"));
    ck_assert_uint_eq(scratch_read("a.png", after, sizeof after), count);
    ck_assert_mem_eq(before, after, count);
    ck_assert_int_eq(count_files(), 1);
    image_destroy(&image);
    image_destroy(&large);
}
END_TEST

START_TEST(a_write_to_no_place_for_a_file_leaves_nothing)
{
    struct image image = small_colour_image();
    ck_assert(!image_write_png(&image, scratch_path("missing/a.png"), &error));
    ck_assert_ptr_nonnull(strstr(error.text, "missing/a.png: No such file or directory"));
    scratch_make_folder("taken");
    ck_assert(!image_write_png(&image, scratch_path("taken"), &error));
    ck_assert_ptr_nonnull(strstr(error.text, "taken: cannot be replaced"));
    ck_assert(!image_write_png(&image, "/dev/full", &error));
    ck_assert_int_eq(count_files(), 0);
    image_destroy(&image);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("imagery_files");
    TCase *files = tcase_create("files");
    tcase_set_timeout(files, 60);
    tcase_add_checked_fixture(files, scratch_create, scratch_destroy);
    tcase_add_test(files, what_is_written_is_read);
    tcase_add_test(files, values_outside_the_range_are_clamped);
    tcase_add_test(files, every_kind_of_png_is_read);
    tcase_add_test(files, palettes_bits_and_single_pixels_are_read);
    tcase_add_test(files, a_png_cut_off_anywhere_is_refused);
    tcase_add_test(files, a_png_with_any_byte_changed_is_refused_or_read);
    tcase_add_test(files, a_wrong_checksum_is_named);
    tcase_add_test(files, huge_images_are_refused_before_decoding);
#if !defined(__SANITIZE_ADDRESS__)
    tcase_add_test(files, without_memory_the_file_is_named);
#endif
    tcase_add_test(files, what_is_no_image_is_said_so);
    tcase_add_test(files, pgm_and_ppm_are_read);
    tcase_add_test(files, a_damaged_pgm_is_refused_with_a_reason);
    tcase_add_test(files, a_write_that_fails_leaves_what_was_there);
    tcase_add_test(files, a_write_to_no_place_for_a_file_leaves_nothing);
    suite_add_tcase(suite, files);
    return run_suite(suite);
}
