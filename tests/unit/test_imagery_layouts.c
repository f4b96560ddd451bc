/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataset_files.h"
#include "support.h"

#include "csv_file.h"

#include <jpeglib.h>

#include <tiffio.h>

/* ---- Tables */

static void read_table(struct csv *table, const char *text)
{
    put_text("t.csv", text);
    ck_assert_msg(csv_read(table, scratch_path("t.csv"), &error), "%s", error.text);
}

static void assert_table_refused(const char *text, const char *reason)
{
    struct csv table;
    put_text("t.csv", text);
    ck_assert(!csv_read(&table, scratch_path("t.csv"), &error));
    ck_assert_ptr_null(table.rows);
    ck_assert_msg(strstr(error.text, "t.csv: ") && strstr(error.text, reason), "%s", error.text);
}

START_TEST(quotes_commas_and_ends_of_lines_are_those_of_rfc_4180)
{
    struct csv table;
    read_table(&table, "\xef\xbb\xbf"
                       "a,\"b,\"\"c\"\"\",\r\n\r\n\"two\nlines\",\"\"\nlast");
    ck_assert_int_eq(table.row_count, 3);
    const struct csv_row *rows = table.rows;
    ck_assert_int_eq(rows[0].count, 3);
    ck_assert_str_eq(csv_field(&table, &rows[0], 0), "a");
    ck_assert_str_eq(csv_field(&table, &rows[0], 1), "b,\"c\"");
    ck_assert_str_eq(csv_field(&table, &rows[0], 2), "");
    ck_assert_int_eq(rows[1].count, 2);
    ck_assert_str_eq(csv_field(&table, &rows[1], 0), "two\nlines");
    ck_assert_str_eq(csv_field(&table, &rows[1], 1), "");
    ck_assert_str_eq(csv_field(&table, &rows[2], 0), "last");
    ck_assert_str_eq(csv_field(&table, &rows[2], 1), "");
    ck_assert_int_eq(rows[1].line, 3);
    ck_assert_int_eq(rows[2].line, 5);
    csv_destroy(&table);
}
END_TEST

START_TEST(semicolons_stand_for_commas_where_the_first_line_has_none)
{
    struct csv table;
    read_table(&table, "file;label\na.png;\"x;y\"\nb.png;1,5\n");
    ck_assert_int_eq(table.row_count, 3);
    ck_assert_str_eq(csv_field(&table, &table.rows[1], 1), "x;y");
    ck_assert_str_eq(csv_field(&table, &table.rows[2], 1), "1,5");
    csv_destroy(&table);
    read_table(&table, "a;b,c\n");
    ck_assert_str_eq(csv_field(&table, &table.rows[0], 0), "a;b");
    csv_destroy(&table);
}
END_TEST

START_TEST(faults_of_tables_name_the_line)
{
    struct csv table;
    assert_table_refused("a,b\nc,\"d\n\n", "line 2: a quote that does not end");
    assert_table_refused("a,b\n\"c\"d,e\n", "line 2: text behind a closing quote");
    assert_table_refused("a,b\"c\n", "line 1: a quote inside a field");
    scratch_write("t.csv", "a\0b", 3);
    ck_assert(!csv_read(&table, scratch_path("t.csv"), &error));
    ck_assert_ptr_nonnull(strstr(error.text, "t.csv: not a text"));
    ck_assert(!csv_read(&table, scratch_path("none.csv"), &error));
    ck_assert_ptr_nonnull(strstr(error.text, "none.csv: No such file"));
}
END_TEST

START_TEST(a_table_cut_off_anywhere_is_read_or_refused)
{
    static const char text[] = "\"f\"\"1\",\"a\nb\"\r\nx,\"y\",z\r\n";
    for (size_t kept = 0; kept < sizeof text; kept++) {
        struct csv table;
        scratch_write("t.csv", text, kept);
        (void)csv_read(&table, scratch_path("t.csv"), &error);
        csv_destroy(&table);
    }
}
END_TEST

/* ---- Labels */

/* Images 00 to 11 in "set/img". */
static void put_twelve(void)
{
    scratch_make_folder("set");
    scratch_make_folder("set/img");
    for (int i = 0; i < 12; i++) {
        char name[32];
        snprintf(name, sizeof name, "set/img/%02d.png", i);
        put_image(name, 4, 4, (float)i / 255);
    }
}

/* A table of them in which image i has label i modulo 2; "cat" is the class of even ones. */
static void put_labels(const char *name, const char *header, int first, int count)
{
    FILE *file = fopen(scratch_path(name), "wb");
    fputs(header, file);
    for (int i = first + count; i-- > first;) {
        fprintf(file, "img/%02d.png,%s\r\n", i, i % 2 ? "\"hen, brown\"" : "cat");
    }
    fclose(file);
}

static void assert_labels(const struct dataset *set)
{
    ck_assert_int_eq(set->class_count, 2);
    ck_assert_str_eq(set->class_names[0], "cat");
    ck_assert_str_eq(set->class_names[1], "hen, brown");
    for (int64_t i = 0; i < set->count; i++) {
        const struct dataset_sample *sample = &set->samples[i];
        const int number = atoi(strrchr(sample->path, '/') + 1);
        ck_assert_int_eq(sample->label, number % 2);
        ck_assert(sample->image.pixels[0] == (float)number / 255);
        ck_assert(i == 0 || strcmp(set->samples[i - 1].path, sample->path) < 0);
    }
}

START_TEST(labels_stand_in_a_table_with_or_without_a_header)
{
    static const char *const headers[] = {"", "file,label\r\n", "\"Image\",\"Class\"\n"};
    put_twelve();
    for (int i = 0; i < 3; i++) {
        put_labels("set/labels.csv", headers[i], 0, 12);
        struct dataset_split split = load_classes("set", NULL);
        struct dataset_split same = load_classes("set/labels.csv", NULL);
        ck_assert_int_eq(split.train.count + split.val.count + split.test.count, 12);
        ck_assert(split.val.count == 2 && split.test.count == 2);
        assert_labels(&split.train);
        assert_labels(&split.val);
        assert_labels(&split.test);
        ck_assert_str_eq(split.test.samples[0].path, same.test.samples[0].path);
        dataset_split_destroy(&split);
        dataset_split_destroy(&same);
    }
}
END_TEST

START_TEST(a_table_for_each_part_is_taken_as_it_is)
{
    put_twelve();
    put_labels("set/train.csv", "file,label\n", 0, 7);
    put_labels("set/test.csv", "file,label\n", 7, 5);
    struct dataset_split split = load_classes("set", NULL);
    ck_assert(split.train.count == 7 && split.val.count == 0 && split.test.count == 5);
    assert_labels(&split.train);
    assert_labels(&split.test);
    dataset_split_destroy(&split);
    put_text("set/test.csv", "img/07.png,cat\nimg/08.png,dog\nimg/09.png,cat\n"
                             "img/10.png,cat\nimg/11.png,cat\n");
    assert_refused(false, "set", NULL, "img/08.png: class 'dog'", "training set lacks");
    put_labels("set/test.csv", "", 6, 6);
    assert_refused(false, "set", NULL, "img/06.png: listed twice", "test.csv, line 6");
}
END_TEST

START_TEST(what_a_table_misses_is_named)
{
    put_twelve();
    put_labels("set/labels.csv", "", 0, 11);
    assert_refused(false, "set", NULL, "img/11.png: an image without a label", "labels.csv");
    put_labels("set/labels.csv", "", 0, 13);
    assert_refused(false, "set", NULL, "img/12.png: no such file", "labels.csv lists it (line 1)");
    put_labels("set/labels.csv", "img/03.png,cat\n", 0, 12);
    assert_refused(false, "set", NULL, "img/03.png: listed twice", "line 1");
    put_text("set/labels.csv", "img/00.png,cat\nimg/01.png\n");
    assert_refused(false, "set", NULL, "labels.csv: line 2: img/01.png", "without a label");
    put_text("set/labels.csv", "file,label\n,cat\n");
    assert_refused(false, "set", NULL, "labels.csv: line 2: ", "cat without a file");
    put_text("set/labels.csv", "file,label\n,,,\n");
    assert_refused(false, "set", NULL, "labels.csv: ", "no files in it");
    put_text("set/labels.csv", "");
    assert_refused(false, "set", NULL, "labels.csv: ", "no files in it");
    put_labels("set/labels.csv", "", 0, 12);
    put_text("set/img/05.png", "no image");
    assert_refused(false, "set", NULL, "img/05.png: ", "not an image");
}
END_TEST

START_TEST(files_left_out_need_no_label_and_no_file)
{
    static const char *const names[] = {"img/11", "img/12"};
    struct dataset_options options = dataset_options_default();
    options.leave_out = names;
    options.leave_out_count = 2;
    put_twelve();
    put_labels("set/labels.csv", "img/12.png,cat\n", 0, 11);
    struct dataset_split split = load_classes("set", &options);
    ck_assert_int_eq(split.train.count + split.val.count + split.test.count, 11);
    dataset_split_destroy(&split);
}
END_TEST

START_TEST(a_class_with_one_image_is_not_split)
{
    struct dataset_options options = dataset_options_default();
    put_twelve();
    put_labels("set/labels.csv", "", 0, 12);
    put_image("set/img/new.png", 4, 4, 0);
    put_labels("set/labels.csv", "img/new.png,rare\n", 0, 12);
    assert_refused(false, "set", NULL, "img/new.png: the only image of class 'rare'", "split");
    scratch_make_folder("folders");
    scratch_make_folder("folders/rare");
    put_image("folders/rare/1.png", 4, 4, 0);
    assert_refused(false, "folders", NULL, "rare/1.png: the only image of class 'rare'", "split");
    options.part_val = options.part_test = 0;
    struct dataset_split split = load_classes("set", &options);
    ck_assert_int_eq(split.train.count, 13);
    dataset_split_destroy(&split);
}
END_TEST

/* ---- Sets as their makers hand them out */

static void put_jpeg(const char *name)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr handlers;
    JSAMPLE row[3] = {200, 100, 50};
    JSAMPROW rows[1] = {row};
    FILE *file = fopen(scratch_path(name), "wb");
    ck_assert_ptr_nonnull(file);
    jpeg.err = jpeg_std_error(&handlers);
    jpeg_create_compress(&jpeg);
    jpeg_stdio_dest(&jpeg, file);
    jpeg.image_width = jpeg.image_height = 1;
    jpeg.input_components = 3;
    jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    jpeg_write_scanlines(&jpeg, rows, 1);
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    fclose(file);
}

#define GRADING "B. Disease Grading"
#define TABLES GRADING "/2. Groundtruths"
#define TRAIN_IMAGES GRADING "/1. Original Images/a. Training Set"
#define TEST_IMAGES GRADING "/1. Original Images/b. Testing Set"
#define TRAIN_TABLE TABLES "/a. IDRiD_Disease Grading_Training Labels.csv"
#define TEST_TABLE TABLES "/b. IDRiD_Disease Grading_Testing Labels.csv"
#define HEADER "Image name,Retinopathy grade,Risk of macular edema ,,,,\r\n"

static void put_idrid(void)
{
    scratch_make_folder(GRADING);
    scratch_make_folder(GRADING "/1. Original Images");
    scratch_make_folder(TABLES);
    scratch_make_folder(TRAIN_IMAGES);
    scratch_make_folder(TEST_IMAGES);
    put_jpeg(TRAIN_IMAGES "/IDRiD_001.jpg");
    put_jpeg(TRAIN_IMAGES "/IDRiD_002.jpg");
    put_jpeg(TRAIN_IMAGES "/IDRiD_003.jpg");
    put_jpeg(TEST_IMAGES "/IDRiD_001.jpg");
    put_text(TRAIN_TABLE, HEADER "IDRiD_001,3,2,,,,\r\nIDRiD_002,0,0,,,,\r\nIDRiD_003,4,2,,,,\r\n"
                                 ",,,,,,\r\n");
    put_text(TEST_TABLE, HEADER "IDRiD_001,4,0,,,,\r\n");
}

START_TEST(the_disease_grading_of_idrid_is_read_as_it_comes)
{
    put_idrid();
    for (int inside = 0; inside < 2; inside++) {
        struct dataset_split split = load_classes(inside ? GRADING : ".", NULL);
        ck_assert(split.train.count == 3 && split.val.count == 0 && split.test.count == 1);
        ck_assert_int_eq(split.train.class_count, 3);
        ck_assert_str_eq(split.train.class_names[1], "3");
        ck_assert_int_eq(split.train.samples[0].label, 1);
        ck_assert_int_eq(split.train.samples[1].label, 0);
        ck_assert_int_eq(split.test.samples[0].label, 2);
        ck_assert_int_eq(split.test.samples[0].image.channels, 3);
        dataset_split_destroy(&split);
    }
}
END_TEST

START_TEST(faults_of_idrid_are_named)
{
    put_idrid();
    put_text(TEST_TABLE, HEADER "IDRiD_002,4,0\r\n");
    assert_refused(false, ".", NULL, TEST_IMAGES "/IDRiD_002.jpg: no such file", TEST_TABLE);
    put_text(TEST_TABLE, "Image name,Grade\r\nIDRiD_001,4\r\n");
    assert_refused(false, ".", NULL, TEST_TABLE, ": no column \"Retinopathy grade\"");
    remove(scratch_path(TEST_TABLE));
    assert_refused(false, ".", NULL, TEST_TABLE, ": No such file");
    put_text(TEST_TABLE, HEADER "IDRiD_001,4,0,,,,\r\n");
    put_jpeg(TRAIN_IMAGES "/IDRiD_004.jpg");
    assert_refused(false, ".", NULL, TRAIN_IMAGES "/IDRiD_004.jpg: an image without a label",
                   TRAIN_TABLE);
}
END_TEST

/* The lower half is `low`, the upper half 0. */
static void put_tiff(const char *name, uint8_t low)
{
    TIFF *tiff = TIFFOpen(scratch_path(name), "w");
    ck_assert_ptr_nonnull(tiff);
    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, 6);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, 4);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 8);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    for (uint32_t y = 0; y < 4; y++) {
        uint8_t row[6];
        memset(row, y < 2 ? 0 : low, sizeof row);
        TIFFWriteScanline(tiff, row, y, 0);
    }
    TIFFClose(tiff);
}

static void put_rose(void)
{
    static const char *const folders[] = {"ROSE-1",
                                          "ROSE-1/DVC",
                                          "ROSE-1/SVC",
                                          "ROSE-1/SVC/train",
                                          "ROSE-1/SVC/test",
                                          "ROSE-1/SVC/train/img",
                                          "ROSE-1/SVC/train/gt",
                                          "ROSE-1/SVC/train/thin_gt",
                                          "ROSE-1/SVC/test/img",
                                          "ROSE-1/SVC/test/gt"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        scratch_make_folder(folders[i]);
    }
    put_tiff("ROSE-1/SVC/train/img/01.tif", 99);
    put_tiff("ROSE-1/SVC/train/gt/01.tif", 255);
    put_tiff("ROSE-1/SVC/train/thin_gt/07.tif", 255);
    put_tiff("ROSE-1/SVC/train/img/02.tif", 98);
    put_tiff("ROSE-1/SVC/train/gt/02.tif", 255);
    put_tiff("ROSE-1/SVC/test/img/01.tif", 97);
    put_tiff("ROSE-1/SVC/test/gt/01.tif", 255);
}

START_TEST(rose_1_is_read_as_it_comes)
{
    put_rose();
    struct dataset_split split = load_masks("ROSE-1/SVC", NULL);
    ck_assert(split.train.count == 2 && split.val.count == 0 && split.test.count == 1);
    const struct dataset_sample *sample = &split.train.samples[1];
    ck_assert(sample->image.pixels[23] == 98 / 255.0f);
    ck_assert(sample->mask.pixels[23] == 1 && sample->mask.pixels[11] == 0);
    dataset_split_destroy(&split);
    assert_refused(true, "ROSE-1", NULL, "ROSE-1: several sets", "ROSE-1/SVC or ");
    put_tiff("ROSE-1/SVC/test/img/02.tif", 97);
    assert_refused(true, "ROSE-1/SVC", NULL, "test/img/02.tif: an image without a mask", "test/gt");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("imagery_layouts");
    TCase *layouts = tcase_create("layouts");
    tcase_set_timeout(layouts, 60);
    tcase_add_checked_fixture(layouts, scratch_create, scratch_destroy);
    tcase_add_test(layouts, semicolons_stand_for_commas_where_the_first_line_has_none);
    tcase_add_test(layouts, quotes_commas_and_ends_of_lines_are_those_of_rfc_4180);
    tcase_add_test(layouts, faults_of_tables_name_the_line);
    tcase_add_test(layouts, a_table_cut_off_anywhere_is_read_or_refused);
    tcase_add_test(layouts, labels_stand_in_a_table_with_or_without_a_header);
    tcase_add_test(layouts, a_table_for_each_part_is_taken_as_it_is);
    tcase_add_test(layouts, what_a_table_misses_is_named);
    tcase_add_test(layouts, files_left_out_need_no_label_and_no_file);
    tcase_add_test(layouts, a_class_with_one_image_is_not_split);
    tcase_add_test(layouts, the_disease_grading_of_idrid_is_read_as_it_comes);
    tcase_add_test(layouts, faults_of_idrid_are_named);
    tcase_add_test(layouts, rose_1_is_read_as_it_comes);
    suite_add_tcase(suite, layouts);
    return run_suite(suite);
}
