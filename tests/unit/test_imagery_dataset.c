/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataset_files.h"
#include "support.h"

static void put_animals(void)
{
    scratch_make_folder("d");
    scratch_make_folder("d/hen");
    scratch_make_folder("d/cat");
    for (int i = 0; i < 20; i++) {
        char name[32];
        snprintf(name, sizeof name, "d/hen/%02d.png", i);
        put_image(name, 6, 4, 0.2f);
        snprintf(name, sizeof name, "d/cat/%02d.png", i);
        put_image(name, 4, 4, 0.8f);
    }
}

START_TEST(classes_are_sorted_and_split_by_the_seed)
{
    struct dataset_options options = dataset_options_default();
    put_animals();
    struct dataset_split split = load_classes("d", NULL);
    struct dataset_split again = load_classes("d", NULL);
    options.seed = 1;
    struct dataset_split other = load_classes("d", &options);
    ck_assert_int_eq(split.train.class_count, 2);
    ck_assert_str_eq(split.train.class_names[0], "cat");
    ck_assert_str_eq(split.val.class_names[1], "hen");
    ck_assert_int_eq(split.train.count, 28);
    ck_assert_int_eq(split.val.count, 6);
    ck_assert_int_eq(split.test.count, 6);
    int hens = 0;
    int same = 0;
    for (int i = 0; i < 6; i++) {
        hens += split.test.samples[i].label;
        ck_assert_str_eq(split.test.samples[i].path, again.test.samples[i].path);
        same += strcmp(split.test.samples[i].path, other.test.samples[i].path) == 0;
        for (int k = 0; k < 28; k++) {
            ck_assert_str_ne(split.test.samples[i].path, split.train.samples[k].path);
        }
    }
    ck_assert_int_eq(hens, 3);
    ck_assert_int_lt(same, 6);
    dataset_split_destroy(&split);
    dataset_split_destroy(&again);
    dataset_split_destroy(&other);
}
END_TEST

START_TEST(images_take_the_form_asked_for_in_memory_or_from_disk)
{
    struct dataset_options options = dataset_options_default();
    options.form = (struct dataset_form){.width = 8, .height = 5, .channels = 3};
    put_animals();
    for (int lazy = 0; lazy < 2; lazy++) {
        struct image image;
        struct image mask;
        options.lazy = lazy == 1;
        struct dataset_split split = load_classes("d", &options);
        const int64_t last = split.train.count - 1;
        ck_assert_int_eq(split.train.samples[last].label, 1);
        ck_assert(dataset_get(&image, &mask, &split.train, last, &error));
        ck_assert(image.width == 8 && image.height == 5 && image.channels == 3);
        ck_assert_float_eq_tol(image.pixels[100], 0.2f, 1e-6f);
        ck_assert_ptr_null(mask.pixels);
        image_destroy(&image);
        ck_assert(!dataset_get(&image, NULL, &split.train, last + 1, &error));
        dataset_split_destroy(&split);
    }
}
END_TEST

START_TEST(a_folder_for_each_part_is_taken_as_it_is)
{
    scratch_make_folder("d");
    scratch_make_folder("d/train");
    scratch_make_folder("d/train/a");
    scratch_make_folder("d/train/b");
    scratch_make_folder("d/test");
    scratch_make_folder("d/test/b");
    put_image("d/train/a/1.png", 3, 3, 0);
    put_image("d/train/b/1.png", 3, 3, 0);
    put_image("d/test/b/2.png", 3, 3, 0);
    struct dataset_split split = load_classes("d", NULL);
    ck_assert_int_eq(split.train.count, 2);
    ck_assert_int_eq(split.val.count, 0);
    ck_assert_int_eq(split.test.count, 1);
    ck_assert_int_eq(split.test.samples[0].label, 1);
    dataset_split_destroy(&split);
    scratch_make_folder("d/test/c");
    put_image("d/test/c/2.png", 3, 3, 0);
    assert_refused(false, "d", NULL, "d/test/c: ", "a class that the training set lacks");
}
END_TEST

START_TEST(files_of_other_kinds_are_counted)
{
    put_animals();
    put_text("d/readme.txt", "hello");
    put_text("d/hen/notes.txt", "hello");
    put_text("d/hen/._01.png", "hello");
    struct dataset_split split = load_classes("d", NULL);
    ck_assert_int_eq(split.ignored, 3);
    dataset_split_destroy(&split);
}
END_TEST

START_TEST(faults_of_classes_are_named)
{
    assert_refused(false, "nowhere", NULL, "nowhere: ", "No such file");
    put_animals();
    scratch_make_folder("d/dog");
    put_text("d/dog/a.txt", "hello");
    assert_refused(false, "d", NULL, "d/dog: a class without an image", "1 other file");
    put_text("d/dog/bad.png", "hello");
    assert_refused(false, "d", NULL, "d/dog/bad.png: ", "not an image");
    scratch_make_folder("bare");
    put_image("bare/1.png", 2, 2, 0);
    assert_refused(false, "bare", NULL, "bare: ", "no folders of classes");
}
END_TEST

static void put_pairs(void)
{
    scratch_make_folder("d");
    scratch_make_folder("d/images");
    scratch_make_folder("d/masks");
    for (int i = 0; i < 10; i++) {
        char name[32];
        snprintf(name, sizeof name, "d/images/%03d.png", i);
        put_image(name, 8, 6, 0.5f);
        snprintf(name, sizeof name, "d/masks/%03d.png", i);
        put_mask(name, 8, 6, i % 2 ? 1.0f : 1 / 255.0f);
    }
}

START_TEST(masks_become_zero_and_one_at_any_size)
{
    struct dataset_options options = dataset_options_default();
    put_pairs();
    for (int lazy = 0; lazy < 2; lazy++) {
        struct image image;
        struct image mask;
        options.lazy = lazy == 1;
        options.form.width = lazy ? 4 : 0;
        options.form.height = lazy ? 3 : 0;
        struct dataset_split split = load_masks("d", &options);
        ck_assert_int_eq(split.train.count + split.val.count + split.test.count, 10);
        ck_assert_int_eq(split.train.class_count, 0);
        for (int64_t i = 0; i < split.train.count; i++) {
            ck_assert(dataset_get(&image, &mask, &split.train, i, &error));
            ck_assert_int_eq(mask.width, lazy ? 4 : 8);
            for (int64_t k = 0; k < image_pixels(&mask); k++) {
                ck_assert(mask.pixels[k] == (k % mask.width < mask.width / 2 ? 0 : 1));
            }
            image_destroy(&image);
            image_destroy(&mask);
        }
        dataset_split_destroy(&split);
    }
}
END_TEST

START_TEST(masks_of_one_value_are_empty_or_full)
{
    put_pairs();
    put_image("d/masks/000.png", 8, 6, 0);
    put_image("d/masks/001.png", 8, 6, 1);
    struct dataset_options options = dataset_options_default();
    options.part_val = options.part_test = 0;
    struct dataset_split split = load_masks("d", &options);
    ck_assert(split.train.samples[0].mask.pixels[40] == 0);
    ck_assert(split.train.samples[1].mask.pixels[0] == 1);
    dataset_split_destroy(&split);
}
END_TEST

START_TEST(faults_of_masks_are_named)
{
    put_pairs();
    put_image("d/images/extra.png", 8, 6, 0);
    assert_refused(true, "d", NULL, "d/images/extra.png: ", "an image without a mask");
    remove(scratch_path("d/images/extra.png"));
    put_image("d/masks/aaa.png", 8, 6, 0);
    assert_refused(true, "d", NULL, "d/masks/aaa.png: ", "a mask without an image");
    remove(scratch_path("d/masks/aaa.png"));
    put_image("d/masks/004.png", 7, 6, 0);
    assert_refused(true, "d", NULL, "d/masks/004.png: 7 x 6 pixels", "d/images/004.png has 8 x 6");
    struct image ramp = plain(8, 6, 0);
    for (int i = 0; i < 48; i++) {
        ramp.pixels[i] = (float)(i % 3) / 2;
    }
    ck_assert(image_write_png(&ramp, scratch_path("d/masks/004.png"), &error));
    image_destroy(&ramp);
    assert_refused(true, "d", NULL, "d/masks/004.png: a mask has two values", "0, 128, 255");
    scratch_write("d/masks/004.png", "P2 8 6 1", 8);
    assert_refused(true, "d", NULL, "d/masks/004.png: ", "ends early");
    put_image("d/images/003.pgm", 8, 6, 0);
    assert_refused(true, "d", NULL, "003.pgm", "003.png");
}
END_TEST

START_TEST(samples_can_be_left_out)
{
    static const char *const names[] = {"003", "images/extra"};
    static const char *const wrong[] = {"03"};
    struct dataset_options options = dataset_options_default();
    put_pairs();
    put_image("d/images/extra.png", 8, 6, 0);
    options.part_val = options.part_test = 0;
    options.leave_out = names;
    options.leave_out_count = 2;
    struct dataset_split split = load_masks("d", &options);
    ck_assert_int_eq(split.train.count, 9);
    for (int64_t i = 0; i < 9; i++) {
        ck_assert_ptr_null(strstr(split.train.samples[i].path, "003"));
    }
    dataset_split_destroy(&split);
    remove(scratch_path("d/images/extra.png"));
    options.leave_out = wrong;
    options.leave_out_count = 1;
    assert_refused(true, "d", &options, "d: ", "no file \"03\" to leave out");
}
END_TEST

/* "p07-3" is the third photograph of patient 7. */
static void put_patients(int patients, int photographs)
{
    scratch_make_folder("patients");
    scratch_make_folder("patients/well");
    scratch_make_folder("patients/ill");
    for (int i = 0; i < patients * photographs; i++) {
        char name[64];
        snprintf(name, sizeof name, "patients/%s/p%02d-%d.pgm", i % 2 ? "ill" : "well",
                 i / photographs, i % photographs);
        put_text(name, "P2 1 1 255 7");
    }
}

static int patient_of(const struct dataset_sample *sample)
{
    return atoi(strrchr(sample->path, '/') + 2);
}

static void count_patients(const struct dataset *set, int32_t *sets, int32_t bit)
{
    for (int64_t i = 0; i < set->count; i++) {
        sets[patient_of(&set->samples[i])] |= bit;
    }
}

START_TEST(a_split_by_chance_parts_no_patient)
{
    struct dataset_options options = dataset_options_default();
    options.group_by = "^p([0-9]+)-";
    put_patients(20, 3);
    for (uint64_t seed = 1; seed <= 5; seed++) {
        int32_t sets[20] = {0};
        options.seed = seed;
        struct dataset_split split = load_classes("patients", &options);
        ck_assert_int_eq(split.train.count + split.val.count + split.test.count, 60);
        ck_assert(split.val.count >= 6 && split.val.count <= 12 && split.test.count >= 6);
        count_patients(&split.train, sets, 1);
        count_patients(&split.val, sets, 2);
        count_patients(&split.test, sets, 4);
        for (int i = 0; i < 20; i++) {
            ck_assert_msg(sets[i] == 1 || sets[i] == 2 || sets[i] == 4, "patient %d, seed %d", i,
                          (int)seed);
        }
        dataset_split_destroy(&split);
    }
    options.group_by = "^x";
    struct dataset_split refused;
    ck_assert(!dataset_load_classes(&refused, scratch_path("patients"), &options, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "the pattern '^x' does not fit this name"));
    options.group_by = "(";
    ck_assert(!dataset_load_classes(&refused, scratch_path("patients"), &options, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "pattern '('"));
}
END_TEST

START_TEST(options_that_make_no_sense_are_refused)
{
    struct dataset_options options = dataset_options_default();
    put_pairs();
    options.form.width = 8;
    assert_refused(true, "d", &options, "expected two sides or none", "8 x 0");
    options = dataset_options_default();
    options.form.channels = 2;
    assert_refused(true, "d", &options, "expected 1 or 3", "got 2");
    options = dataset_options_default();
    options.part_val = 0.9;
    assert_refused(true, "d", &options, "expected below 1 together", "0.9");
}
END_TEST

/* The path of a set of real images, or NULL where the machine has none. */
static const char *real_data(const char *name)
{
    static char path[1024];
    const char *folder = getenv("SFCONV_TEST_DATA");
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", folder ? folder : "", name);
    if (!folder || stat(path, &status) != 0) {
        printf("skipped: no %s in SFCONV_TEST_DATA\n", name);
        return NULL;
    }
    return path;
}

START_TEST(real_angiograms_are_loaded)
{
    static const char *const duplicates[] = {"val/images/131", "val/images/168"};
    const char *folder = real_data("rossa");
    struct dataset_options options = dataset_options_default();
    struct dataset_split split;
    if (!folder) {
        return;
    }
    options.form = (struct dataset_form){.width = 96, .height = 96};
    options.leave_out = duplicates;
    options.leave_out_count = 2;
    ck_assert_msg(dataset_load_masks(&split, folder, &options, &error), "%s", error.text);
    ck_assert_int_eq(split.train.count, 100);
    ck_assert_int_eq(split.val.count, 98);
    ck_assert_int_eq(split.test.count, 100);
    dataset_split_destroy(&split);
}
END_TEST

START_TEST(real_photographs_are_loaded)
{
    const char *folder = real_data("retinamnist");
    struct dataset_split split;
    if (!folder) {
        return;
    }
    ck_assert_msg(dataset_load_classes(&split, folder, NULL, &error), "%s", error.text);
    ck_assert_int_eq(split.train.class_count, 5);
    ck_assert_int_eq(split.train.count, 1080);
    ck_assert_int_eq(split.val.count, 120);
    ck_assert_int_eq(split.test.count, 400);
    ck_assert_int_eq(split.train.samples[1079].image.channels, 3);
    dataset_split_destroy(&split);
}
END_TEST

START_TEST(real_cells_are_loaded)
{
    const char *folder = real_data("bccd");
    struct dataset_options options = dataset_options_default();
    struct dataset_split split;
    struct image image;
    if (!folder) {
        return;
    }
    options.lazy = true;
    ck_assert_msg(dataset_load_classes(&split, folder, &options, &error), "%s", error.text);
    ck_assert_str_eq(split.train.class_names[0], "Platelets");
    ck_assert_int_gt(split.test.count, 0);
    ck_assert(dataset_get(&image, NULL, &split.test, 0, &error));
    ck_assert_int_eq(image.width, 64);
    image_destroy(&image);
    dataset_split_destroy(&split);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("imagery_dataset");
    TCase *sets = tcase_create("sets");
    tcase_set_timeout(sets, 60);
    tcase_add_checked_fixture(sets, scratch_create, scratch_destroy);
    tcase_add_test(sets, classes_are_sorted_and_split_by_the_seed);
    tcase_add_test(sets, images_take_the_form_asked_for_in_memory_or_from_disk);
    tcase_add_test(sets, a_folder_for_each_part_is_taken_as_it_is);
    tcase_add_test(sets, files_of_other_kinds_are_counted);
    tcase_add_test(sets, faults_of_classes_are_named);
    tcase_add_test(sets, masks_become_zero_and_one_at_any_size);
    tcase_add_test(sets, masks_of_one_value_are_empty_or_full);
    tcase_add_test(sets, faults_of_masks_are_named);
    tcase_add_test(sets, samples_can_be_left_out);
    tcase_add_test(sets, a_split_by_chance_parts_no_patient);
    tcase_add_test(sets, options_that_make_no_sense_are_refused);
    tcase_add_test(sets, real_angiograms_are_loaded);
    tcase_add_test(sets, real_photographs_are_loaded);
    tcase_add_test(sets, real_cells_are_loaded);
    suite_add_tcase(suite, sets);
    return run_suite(suite);
}
