/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include "augment.h"
#include "chance.h"
#include "picture.h"

#include <math.h>

static struct image_error error;

static struct image ramp(int64_t width, int64_t height, int32_t channels)
{
    struct image image;
    ck_assert(image_create(&image, width, height, channels, &error));
    for (int64_t i = 0; i < image_pixels(&image) * channels; i++) {
        image.pixels[i] = (float)i / (float)(image_pixels(&image) * channels);
    }
    return image;
}

static struct image by_chance(int64_t width, int64_t height, int32_t channels)
{
    struct chance chance = chance_start(5, 5);
    struct image image;
    ck_assert(image_create(&image, width, height, channels, &error));
    for (int64_t i = 0; i < image_pixels(&image) * channels; i++) {
        image.pixels[i] = (float)chance_unit(&chance);
    }
    return image;
}

static double mean_of(const struct image *image)
{
    double sum = 0;
    for (int64_t i = 0; i < image_pixels(image) * image->channels; i++) {
        sum += image->pixels[i];
    }
    return sum / (double)(image_pixels(image) * image->channels);
}

static void assert_same(const struct image *a, const struct image *b)
{
    ck_assert_int_eq(a->width, b->width);
    ck_assert_int_eq(a->height, b->height);
    ck_assert_int_eq(a->channels, b->channels);
    ck_assert_mem_eq(a->pixels, b->pixels, (size_t)(image_pixels(a) * a->channels) * sizeof(float));
}

START_TEST(sizes_that_make_no_sense_are_refused)
{
    struct image image;
    ck_assert(!image_create(&image, 0, 4, 1, &error));
    ck_assert(!image_create(&image, 4, -1, 1, &error));
    ck_assert(!image_create(&image, INT64_MAX, 2, 1, &error));
    ck_assert(!image_create(&image, 4, 4, 2, &error));
    ck_assert_ptr_null(image.pixels);
    ck_assert_str_eq(error.text, "image of 2 channels: expected 1 or 3");
    ck_assert(!image_create(&image, IMAGE_MAX_SIDE, IMAGE_MAX_SIDE, 3, &error));
}
END_TEST

START_TEST(shrinking_averages_areas_and_keeps_the_mean)
{
    struct image source = by_chance(40, 30, 3);
    struct image half;
    struct image odd;
    ck_assert(image_resize(&half, &source, 20, 15, &error));
    const float expected = (image_plane(&source, 2)[0] + image_plane(&source, 2)[1] +
                            image_plane(&source, 2)[40] + image_plane(&source, 2)[41]) /
                           4;
    ck_assert_float_eq_tol(image_plane(&half, 2)[0], expected, 1e-6f);
    ck_assert(image_resize(&odd, &source, 7, 11, &error));
    ck_assert_double_eq_tol(mean_of(&odd), mean_of(&source), 1e-6);
    image_destroy(&source);
    image_destroy(&half);
    image_destroy(&odd);
}
END_TEST

START_TEST(growing_interpolates_between_centres)
{
    struct image source = ramp(2, 1, 1);
    struct image wide;
    struct image point = ramp(1, 1, 1);
    point.pixels[0] = 0.75f;
    ck_assert(image_resize(&wide, &source, 4, 3, &error));
    const float expected[] = {0, 0.125f, 0.375f, 0.5f};
    for (int i = 0; i < 12; i++) {
        ck_assert_float_eq_tol(wide.pixels[i], expected[i % 4], 1e-6f);
    }
    image_destroy(&wide);
    ck_assert(image_resize(&wide, &point, 5, 2, &error));
    ck_assert_double_eq_tol(mean_of(&wide), 0.75, 1e-7);
    image_destroy(&source);
    image_destroy(&wide);
    image_destroy(&point);
}
END_TEST

START_TEST(four_quarters_and_two_flips_are_nothing)
{
    struct image source = by_chance(5, 3, 3);
    struct image turned;
    struct image back;
    ck_assert(image_rotate90(&turned, &source, 1, &error));
    ck_assert_int_eq(turned.width, 3);
    ck_assert(turned.pixels[2] == source.pixels[0]);
    ck_assert(turned.pixels[0] == source.pixels[10]);
    ck_assert(image_rotate90(&back, &turned, -5, &error));
    assert_same(&back, &source);
    image_flip_horizontal(&back);
    ck_assert(back.pixels[0] == source.pixels[4]);
    image_flip_vertical(&back);
    ck_assert(back.pixels[0] == source.pixels[14]);
    image_destroy(&turned);
    ck_assert(image_rotate90(&turned, &back, 2, &error));
    assert_same(&turned, &source);
    image_destroy(&source);
    image_destroy(&turned);
    image_destroy(&back);
}
END_TEST

START_TEST(a_crop_of_a_padded_image_is_the_image)
{
    struct image source = by_chance(6, 4, 3);
    struct image padded;
    struct image cropped;
    ck_assert(image_pad(&padded, &source, 2, 1, 3, 5, 0.5f, &error));
    ck_assert_int_eq(padded.width, 11);
    ck_assert_int_eq(padded.height, 10);
    ck_assert(padded.pixels[0] == 0.5f);
    ck_assert(image_crop(&cropped, &padded, 2, 1, 6, 4, &error));
    assert_same(&cropped, &source);
    image_destroy(&cropped);
    ck_assert(!image_crop(&cropped, &source, 3, 0, 4, 4, &error));
    ck_assert_str_eq(error.text, "crop of 4 x 4 at (3, 0): outside 6 x 4");
    ck_assert(!image_crop(&cropped, &source, INT64_MAX, 0, 4, 4, &error));
    ck_assert(!image_pad(&cropped, &source, -1, 0, 0, 0, 0, &error));
    image_destroy(&source);
    image_destroy(&padded);
}
END_TEST

START_TEST(gray_to_colour_and_back_is_exact)
{
    struct image gray = by_chance(9, 7, 1);
    struct image colour;
    struct image back;
    ck_assert(image_convert(&colour, &gray, 3, &error));
    ck_assert(image_convert(&back, &colour, 1, &error));
    assert_same(&gray, &back);
    image_destroy(&gray);
    image_destroy(&colour);
    image_destroy(&back);
}
END_TEST

START_TEST(augmentation_does_the_same_to_image_and_mask)
{
    const struct augment_options options = {.flip_horizontal = true,
                                            .flip_vertical = true,
                                            .rotate90 = true,
                                            .crop_width = 8,
                                            .crop_height = 8};
    struct image first;
    int changed = 0;
    for (uint64_t index = 0; index < 64; index++) {
        struct image image = by_chance(12, 10, 1);
        struct image mask = by_chance(12, 10, 1);
        ck_assert(augment(&image, &mask, &options, 3, index, &error));
        ck_assert_int_eq(image.width, 8);
        assert_same(&image, &mask);
        if (index == 0) {
            ck_assert(image_copy(&first, &image, &error));
        }
        changed += memcmp(image.pixels, first.pixels, 64 * sizeof(float)) != 0;
        image_destroy(&image);
        image_destroy(&mask);
    }
    ck_assert_int_gt(changed, 55);
    image_destroy(&first);
}
END_TEST

START_TEST(augmentation_comes_again_and_leaves_the_mask_its_values)
{
    const struct augment_options options = {.rotate90 = true, .brightness = 0.3, .contrast = 0.5};
    struct image first = by_chance(8, 8, 3);
    struct image again = by_chance(8, 8, 3);
    struct image plain = by_chance(8, 8, 3);
    struct image mask = ramp(8, 8, 1);
    image_threshold(&mask, 0.5f);
    ck_assert(augment(&first, &mask, &options, 9, 4, &error));
    ck_assert(augment(&again, NULL, &options, 9, 4, &error));
    assert_same(&first, &again);
    ck_assert_double_gt(fabs(mean_of(&first) - mean_of(&plain)), 1e-3);
    ck_assert_double_eq(mean_of(&mask), 0.5);
    struct image small = ramp(4, 4, 1);
    ck_assert(!augment(&first, &small, &options, 9, 4, &error));
    ck_assert_str_eq(error.text, "augment: mask of 4 x 4, image of 8 x 8");
    const struct augment_options large = {.crop_width = 9, .crop_height = 8};
    ck_assert(!augment(&first, NULL, &large, 9, 4, &error));
    assert_same(&first, &again);
    image_destroy(&first);
    image_destroy(&again);
    image_destroy(&plain);
    image_destroy(&mask);
    image_destroy(&small);
}
END_TEST

START_TEST(a_comparison_shows_hits_inventions_and_misses)
{
    struct image image = ramp(4, 1, 1);
    struct image truth = ramp(4, 1, 1);
    struct image prediction = ramp(4, 1, 1);
    struct image picture;
    const float is[] = {0, 1, 0, 1};
    const float seems[] = {0, 0.2f, 0.9f, 0.9f};
    memcpy(truth.pixels, is, sizeof is);
    memcpy(prediction.pixels, seems, sizeof seems);
    ck_assert(picture_compare(&picture, &image, &truth, &prediction, &error));
    const float *red = image_plane(&picture, 0);
    const float *green = image_plane(&picture, 1);
    const float *blue = image_plane(&picture, 2);
    ck_assert(red[0] == green[0] && green[0] == blue[0]);
    ck_assert(blue[1] > red[1] && blue[1] > green[1]);
    ck_assert(red[2] > green[2] && red[2] > blue[2]);
    ck_assert(green[3] > red[3] && green[3] > blue[3]);
    image_destroy(&picture);
    struct image other = ramp(3, 1, 1);
    ck_assert(!picture_compare(&picture, &image, &other, &prediction, &error));
    image_destroy(&image);
    image_destroy(&truth);
    image_destroy(&prediction);
    image_destroy(&other);
}
END_TEST

START_TEST(an_outline_leaves_the_inside_alone)
{
    const float yellow[] = {1, 1, 0};
    struct image image = by_chance(5, 5, 1);
    struct image mask = ramp(5, 5, 1);
    struct image picture;
    for (int i = 0; i < 25; i++) {
        mask.pixels[i] = i % 5 >= 1 && i % 5 <= 3 && i / 5 >= 1 && i / 5 <= 3;
    }
    ck_assert(picture_outline(&picture, &image, &mask, yellow, &error));
    ck_assert(image_plane(&picture, 0)[6] == 1 && image_plane(&picture, 2)[6] == 0);
    ck_assert(image_plane(&picture, 2)[12] == image.pixels[12]);
    ck_assert(image_plane(&picture, 2)[0] == image.pixels[0]);
    image_destroy(&image);
    image_destroy(&mask);
    image_destroy(&picture);
}
END_TEST

START_TEST(a_sheet_holds_images_of_any_size)
{
    struct image images[3] = {by_chance(4, 2, 1), by_chance(2, 6, 3), by_chance(4, 6, 1)};
    struct image sheet;
    struct image large;
    ck_assert(picture_sheet(&sheet, images, 3, 2, 1, &error));
    ck_assert_int_eq(sheet.width, 2 * 5 + 1);
    ck_assert_int_eq(sheet.height, 2 * 7 + 1);
    ck_assert(image_plane(&sheet, 1)[8 * 11 + 1] == images[2].pixels[0]);
    ck_assert(picture_enlarge(&large, &images[1], 3, &error));
    ck_assert_int_eq(large.height, 18);
    ck_assert(large.pixels[2] == images[1].pixels[0] && large.pixels[3] == images[1].pixels[1]);
    image_destroy(&sheet);
    ck_assert(!picture_sheet(&sheet, images, 0, 2, 1, &error));
    for (int i = 0; i < 3; i++) {
        image_destroy(&images[i]);
    }
    image_destroy(&large);
}
END_TEST

START_TEST(numbers_by_chance_are_even_and_come_again)
{
    struct chance chance = chance_start(1, 2);
    struct chance again = chance_start(1, 2);
    struct chance other = chance_start(2, 1);
    int counts[10] = {0};
    double sum = 0;
    double square = 0;
    ck_assert(chance_bits(&chance) == chance_bits(&again));
    ck_assert(chance_bits(&chance) != chance_bits(&other));
    for (int i = 0; i < 100000; i++) {
        counts[chance_below(&chance, 10)]++;
        const double normal = chance_normal(&chance);
        sum += normal;
        square += normal * normal;
    }
    for (int i = 0; i < 10; i++) {
        ck_assert_int_gt(counts[i], 9600);
    }
    ck_assert_double_eq_tol(sum / 1e5, 0, 0.015);
    ck_assert_double_eq_tol(square / 1e5, 1, 0.02);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("imagery");
    TCase *images = tcase_create("images");
    tcase_add_test(images, sizes_that_make_no_sense_are_refused);
    tcase_add_test(images, shrinking_averages_areas_and_keeps_the_mean);
    tcase_add_test(images, growing_interpolates_between_centres);
    tcase_add_test(images, four_quarters_and_two_flips_are_nothing);
    tcase_add_test(images, a_crop_of_a_padded_image_is_the_image);
    tcase_add_test(images, gray_to_colour_and_back_is_exact);
    tcase_add_test(images, augmentation_does_the_same_to_image_and_mask);
    tcase_add_test(images, augmentation_comes_again_and_leaves_the_mask_its_values);
    tcase_add_test(images, a_comparison_shows_hits_inventions_and_misses);
    tcase_add_test(images, an_outline_leaves_the_inside_alone);
    tcase_add_test(images, a_sheet_holds_images_of_any_size);
    tcase_add_test(images, numbers_by_chance_are_even_and_come_again);
    suite_add_tcase(suite, images);
    return run_suite(suite);
}
