/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include "angiogram.h"
#include "fundus.h"

#include <math.h>
#include <string.h>

#define PHOTOGRAPHS 500

static struct image_error error;

static struct image photograph(int32_t grade, uint64_t seed, uint64_t index)
{
    struct image image;
    ck_assert_msg(fundus_create(&image, 64, 64, grade, seed, index, &error), "%s", error.text);
    return image;
}

static bool are_same(const struct image *a, const struct image *b)
{
    return memcmp(a->pixels, b->pixels, (size_t)(image_pixels(a) * a->channels) * sizeof(float)) ==
           0;
}

static void assert_in_range(const struct image *image)
{
    for (int64_t i = 0; i < image_pixels(image) * image->channels; i++) {
        ck_assert(image->pixels[i] >= 0 && image->pixels[i] <= 1);
    }
}

START_TEST(a_photograph_comes_again_for_its_seed_and_index)
{
    struct image first = photograph(2, 11, 5);
    struct image again = photograph(2, 11, 5);
    struct image other_seed = photograph(2, 12, 5);
    struct image other_index = photograph(2, 11, 6);
    ck_assert(are_same(&first, &again));
    ck_assert(!are_same(&first, &other_seed) && !are_same(&first, &other_index));
    assert_in_range(&first);
    image_destroy(&first);
    image_destroy(&again);
    image_destroy(&other_seed);
    image_destroy(&other_index);
}
END_TEST

/* The share of photographs that the best threshold on a number, either way round, tells apart. */
static double best_threshold(const double *values, const int32_t *labels, int count)
{
    int best = 0;
    for (int i = 0; i < count; i++) {
        int right = 0;
        for (int k = 0; k < count; k++) {
            right += (values[k] >= values[i]) == (labels[k] != 0);
        }
        best = right > best ? right : best;
        best = count - right > best ? count - right : best;
    }
    return (double)best / count;
}

static double mean_of_channel(const struct image *image, int32_t channel)
{
    double sum = 0;
    for (int64_t i = 0; i < image_pixels(image); i++) {
        sum += image_plane(image, channel)[i];
    }
    return sum / (double)image_pixels(image);
}

/* By how much pixels differ from those three pixels away, beyond what noise does. */
static double roughness(const struct image *image)
{
    const float *green = image_plane(image, 1);
    double sum = 0;
    for (int64_t y = 16; y < 48; y++) {
        for (int64_t x = 16; x < 48; x++) {
            const int64_t i = y * 64 + x;
            const float ring = (green[i - 3] + green[i + 3] + green[i - 192] + green[i + 192]) / 4;
            sum += fmax(fabs(green[i] / (ring + 0.02) - 1) - 0.25, 0);
        }
    }
    return sum;
}

START_TEST(mean_colour_does_not_tell_the_grade_but_detail_does)
{
    static double colour[3][PHOTOGRAPHS];
    static double detail[PHOTOGRAPHS];
    static int32_t labels[PHOTOGRAPHS];
    for (int i = 0; i < PHOTOGRAPHS; i++) {
        struct image image = photograph(i % 2 * 4, 77, (uint64_t)i);
        labels[i] = i % 2;
        for (int32_t c = 0; c < 3; c++) {
            colour[c][i] = mean_of_channel(&image, c);
        }
        detail[i] = roughness(&image);
        image_destroy(&image);
    }
    for (int c = 0; c < 3; c++) {
        ck_assert_double_lt(best_threshold(colour[c], labels, PHOTOGRAPHS), 0.58);
    }
    const double told = best_threshold(detail, labels, PHOTOGRAPHS);
    ck_assert_double_gt(told, 0.65);
    ck_assert_double_lt(told, 0.95);
}
END_TEST

START_TEST(a_photograph_is_round_on_black)
{
    for (uint64_t i = 0; i < 20; i++) {
        struct image image = photograph((int32_t)(i % 5), 1, i);
        const float *red = image_plane(&image, 0);
        ck_assert(red[0] < 0.12f && red[63] < 0.12f && red[64 * 63] < 0.12f);
        ck_assert_double_gt(mean_of_channel(&image, 0), mean_of_channel(&image, 2));
        image_destroy(&image);
    }
}
END_TEST

START_TEST(an_angiogram_comes_again_for_its_seed_and_index)
{
    struct image images[3];
    struct image masks[3];
    for (int i = 0; i < 3; i++) {
        ck_assert(angiogram_create(&images[i], &masks[i], 96, 96, 4, (uint64_t)(i / 2), &error));
        assert_in_range(&images[i]);
    }
    ck_assert(are_same(&images[0], &images[1]) && are_same(&masks[0], &masks[1]));
    ck_assert(!are_same(&images[0], &images[2]) && !are_same(&masks[0], &masks[2]));
    for (int i = 0; i < 3; i++) {
        image_destroy(&images[i]);
        image_destroy(&masks[i]);
    }
}
END_TEST

START_TEST(vessels_take_their_share_and_are_brighter)
{
    double total = 0;
    int plain = 0;
    for (uint64_t i = 0; i < 100; i++) {
        struct image image;
        struct image mask;
        double inside = 0;
        double outside = 0;
        double share = 0;
        ck_assert(angiogram_create(&image, &mask, 96, 96, 8, i, &error));
        for (int64_t k = 0; k < 96 * 96; k++) {
            ck_assert(mask.pixels[k] == 0 || mask.pixels[k] == 1);
            share += mask.pixels[k] / (96 * 96);
            inside += mask.pixels[k] * image.pixels[k];
            outside += (1 - mask.pixels[k]) * image.pixels[k];
        }
        inside /= share * 96 * 96;
        outside /= (1 - share) * 96 * 96;
        ck_assert_double_gt(inside, outside);
        plain += inside > 3 * outside;
        ck_assert(share > 0.03 && share < 0.26);
        total += share;
        image_destroy(&image);
        image_destroy(&mask);
    }
    ck_assert(total / 100 > 0.08 && total / 100 < 0.16);
    ck_assert_int_lt(plain, 60);
}
END_TEST

START_TEST(made_sets_hold_what_was_asked_for)
{
    struct dataset photographs;
    struct dataset angiograms;
    struct image again;
    ck_assert(fundus_dataset(&photographs, 3, 7, 32, 48, 6, &error));
    ck_assert_int_eq(photographs.count, 7);
    ck_assert_int_eq(photographs.class_count, FUNDUS_GRADES);
    ck_assert_int_eq(photographs.samples[0].label, 3);
    ck_assert_int_eq(photographs.samples[2].label, 0);
    ck_assert_int_eq(photographs.samples[0].image.height, 48);
    ck_assert(fundus_create(&again, 32, 48, 3, 6, 3, &error));
    ck_assert(are_same(&again, &photographs.samples[0].image));
    ck_assert(angiogram_dataset(&angiograms, 0, 3, 48, 32, 6, &error));
    ck_assert_int_eq(angiograms.samples[2].mask.width, 48);
    ck_assert_int_eq(angiograms.samples[2].label, -1);
    image_destroy(&again);
    dataset_destroy(&photographs);
    dataset_destroy(&angiograms);
}
END_TEST

START_TEST(sizes_and_grades_out_of_range_are_refused)
{
    struct image image;
    struct image mask;
    ck_assert(!fundus_create(&image, 64, 64, 5, 1, 1, &error));
    ck_assert_str_eq(error.text, "fundus of grade 5: expected 0 to 4");
    ck_assert(!fundus_create(&image, 15, 64, 0, 1, 1, &error));
    ck_assert(!angiogram_create(&image, &mask, 64, 0, 1, 1, &error));
    ck_assert(image_create(&image, 1, 1, 1, &error));
    image_destroy(&image);
    ck_assert(fundus_create(&image, 16, 16, 4, 1, 1, &error));
    image_destroy(&image);
    ck_assert(angiogram_create(&image, &mask, 16, 250, 1, 1, &error));
    image_destroy(&image);
    image_destroy(&mask);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("imagery_made");
    TCase *made = tcase_create("made");
    tcase_set_timeout(made, 120);
    tcase_add_test(made, a_photograph_comes_again_for_its_seed_and_index);
    tcase_add_test(made, mean_colour_does_not_tell_the_grade_but_detail_does);
    tcase_add_test(made, a_photograph_is_round_on_black);
    tcase_add_test(made, an_angiogram_comes_again_for_its_seed_and_index);
    tcase_add_test(made, vessels_take_their_share_and_are_brighter);
    tcase_add_test(made, made_sets_hold_what_was_asked_for);
    tcase_add_test(made, sizes_and_grades_out_of_range_are_refused);
    suite_add_tcase(suite, made);
    return run_suite(suite);
}
