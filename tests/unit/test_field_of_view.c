/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataset_files.h"
#include "support.h"

#include "chance.h"
#include "field_of_view.h"

#include <math.h>

/* A red disc in a border of black, with noise on all of it. */
struct scene {
    int64_t width;
    int64_t height;
    double x;
    double y;
    double radius;
    float light;
    double noise;
};

static struct image photograph(const struct scene *scene)
{
    struct chance chance = chance_start(11, 1);
    struct image image;
    ck_assert(image_create(&image, scene->width, scene->height, 3, &error));
    for (int32_t c = 0; c < 3; c++) {
        for (int64_t i = 0; i < image_pixels(&image); i++) {
            const double x = (double)(i % scene->width) + 0.5 - scene->x;
            const double y = (double)(i / scene->width) + 0.5 - scene->y;
            const bool lit = hypot(x, y) < scene->radius;
            const double value =
                (lit ? scene->light / (c + 1) : 0.01) + scene->noise * fabs(chance_normal(&chance));
            image_plane(&image, c)[i] = (float)fmin(value, 1);
        }
    }
    return image;
}

static void paint(struct image *image, int64_t left, int64_t top, int64_t side, float value)
{
    for (int32_t c = 0; c < image->channels; c++) {
        for (int64_t y = top; y < top + side; y++) {
            for (int64_t x = left; x < left + side; x++) {
                image_plane(image, c)[y * image->width + x] = value;
            }
        }
    }
}

static void assert_box(const struct image *image, const struct field_of_view *expected,
                       int64_t slack)
{
    struct field_of_view box;
    ck_assert(field_of_view_find(&box, NULL, image, &error));
    ck_assert_msg(
        llabs(box.left - expected->left) <= slack && llabs(box.top - expected->top) <= slack &&
            llabs(box.left + box.width - expected->left - expected->width) <= slack &&
            llabs(box.top + box.height - expected->top - expected->height) <= slack,
        "box of %d x %d at (%d, %d)", (int)box.width, (int)box.height, (int)box.left, (int)box.top);
}

static const struct scene clear = {600, 400, 280, 200, 150, 0.6f, 0};
static const struct field_of_view clear_box = {130, 50, 300, 300};

START_TEST(the_box_goes_round_the_lit_disc)
{
    struct image image = photograph(&clear);
    assert_box(&image, &clear_box, 3);
    image_destroy(&image);
    struct scene cut = clear;
    cut.radius = 230;
    image = photograph(&cut);
    assert_box(&image, &(struct field_of_view){50, 0, 460, 400}, 3);
    image_destroy(&image);
}
END_TEST

START_TEST(noise_specks_text_and_dark_spots_do_not_move_it)
{
    struct scene noisy = clear;
    noisy.noise = 0.04;
    noisy.light = 0.45f;
    struct image image = photograph(&noisy);
    paint(&image, 5, 5, 2, 1);
    paint(&image, 590, 390, 8, 1);
    paint(&image, 10, 360, 20, 0.9f);
    paint(&image, 250, 180, 40, 0);
    assert_box(&image, &clear_box, 4);
    image_destroy(&image);
}
END_TEST

START_TEST(the_mask_is_the_disc_without_holes)
{
    struct image image = photograph(&clear);
    struct image mask;
    struct field_of_view box;
    paint(&image, 250, 180, 40, 0);
    ck_assert(field_of_view_find(&box, &mask, &image, &error));
    ck_assert(mask.width == 600 && mask.height == 400 && mask.channels == 1);
    int64_t lit = 0;
    for (int64_t i = 0; i < image_pixels(&mask); i++) {
        ck_assert(mask.pixels[i] == 0 || mask.pixels[i] == 1);
        lit += mask.pixels[i] == 1;
    }
    const double disc = 3.14159265 * 150 * 150;
    ck_assert_double_eq_tol((double)lit, disc, 0.04 * disc);
    ck_assert(mask.pixels[200 * 600 + 270] == 1);
    ck_assert(mask.pixels[0] == 0);
    image_destroy(&image);
    image_destroy(&mask);
}
END_TEST

START_TEST(an_image_without_a_border_stays_whole)
{
    struct image full = plain(40, 30, 0.5f);
    struct image black = plain(40, 30, 0);
    struct image one = plain(1, 1, 1);
    assert_box(&full, &(struct field_of_view){0, 0, 40, 30}, 0);
    assert_box(&black, &(struct field_of_view){0, 0, 40, 30}, 0);
    assert_box(&one, &(struct field_of_view){0, 0, 1, 1}, 0);
    paint(&black, 3, 3, 2, 1);
    assert_box(&black, &(struct field_of_view){0, 0, 40, 30}, 0);
    image_destroy(&full);
    image_destroy(&black);
    image_destroy(&one);
}
END_TEST

START_TEST(a_data_set_cuts_images_and_masks_alike)
{
    struct dataset_options options = dataset_options_default();
    struct image image = plain(40, 30, 0);
    struct image mask = plain(40, 30, 0);
    paint(&image, 10, 5, 20, 0.5f);
    paint(&mask, 10, 5, 10, 1);
    scratch_make_folder("d");
    scratch_make_folder("d/images");
    scratch_make_folder("d/masks");
    ck_assert(image_write_png(&image, scratch_path("d/images/1.png"), &error));
    ck_assert(image_write_png(&mask, scratch_path("d/masks/1.png"), &error));
    options.part_val = options.part_test = 0;
    options.form.crop_to_field = true;
    for (int64_t side = 20; side >= 10; side -= 10) {
        options.form.width = options.form.height = side == 20 ? 0 : side;
        struct dataset_split split = load_masks("d", &options);
        const struct dataset_sample *sample = &split.train.samples[0];
        ck_assert(sample->image.width == side && sample->image.height == side);
        ck_assert(sample->mask.width == side && sample->mask.height == side);
        for (int64_t i = 0; i < side * side; i++) {
            const bool set = i % side < side / 2 && i / side < side / 2;
            ck_assert(sample->image.pixels[i] == 128 / 255.0f);
            ck_assert(sample->mask.pixels[i] == (set ? 1 : 0));
        }
        dataset_split_destroy(&split);
    }
    image_destroy(&image);
    image_destroy(&mask);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("field_of_view");
    TCase *fields = tcase_create("fields");
    tcase_set_timeout(fields, 60);
    tcase_add_checked_fixture(fields, scratch_create, scratch_destroy);
    tcase_add_test(fields, the_box_goes_round_the_lit_disc);
    tcase_add_test(fields, noise_specks_text_and_dark_spots_do_not_move_it);
    tcase_add_test(fields, the_mask_is_the_disc_without_holes);
    tcase_add_test(fields, an_image_without_a_border_stays_whole);
    tcase_add_test(fields, a_data_set_cuts_images_and_masks_alike);
    suite_add_tcase(suite, fields);
    return run_suite(suite);
}
