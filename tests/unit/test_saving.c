/* SPDX-License-Identifier: BSD-2-Clause */
/* Files as they are written: the format's bytes, and the promise that a save that fails leaves the
 * earlier file and nothing else. */
#include "support.h"

#include "atomic_file.h"
#include "safetensors_reader.h"
#include "safetensors_writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static sfconv_context *context;
static char folder[64];
static char path[128];

static void set_up(void)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    ck_assert_int_eq(sfi_context_create(&context, &desc, NULL, SFCONV_ISA_REFERENCE), SFCONV_OK);
    strcpy(folder, "sfconv-saving-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
}

/* Names in the folder, "." and ".." apart; deletes them when told to. */
static int count_names(bool delete)
{
    int count = 0;
    DIR *listing = opendir(folder);
    ck_assert_ptr_nonnull(listing);
    for (struct dirent *entry = readdir(listing); entry; entry = readdir(listing)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        count++;
        if (delete) {
            unlinkat(dirfd(listing), entry->d_name, 0);
        }
    }
    closedir(listing);
    return count;
}

static void tear_down(void)
{
    count_names(true);
    rmdir(folder);
    sfi_context_release(context);
}

static void write_text(const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static size_t read_file(char *out, size_t capacity)
{
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    const size_t size = fread(out, 1, capacity, file);
    fclose(file);
    return size;
}

static void assert_file_is(const char *text)
{
    char got[64] = "";
    read_file(got, sizeof got - 1);
    ck_assert_str_eq(got, text);
}

static sfconv_status save_ones(const char *to, int64_t count)
{
    float *ones = malloc((size_t)count * sizeof *ones);
    for (int64_t i = 0; i < count; i++) {
        ones[i] = 1;
    }
    const sfi_saved_tensor tensor = {"w", 1, {count}, count, ones};
    const sfconv_status status = sfi_file_write(context, to, &tensor, 1, NULL);
    free(ones);
    return status;
}

START_TEST(written_file_has_the_bytes_of_the_format)
{
    const float numbers[] = {1.0f, -2.0f};
    const sfi_saved_tensor tensors[] = {
        {"a.weight", 2, {1, 2}, 2, numbers},
        {"b", 0, {0}, 1, numbers + 1},
    };
    static const char header[] =
        "{\"__metadata__\":{\"n\\u0001\":\"\xc3\xa4\\\"\"},"
        "\"a.weight\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[8,12]}}";
    static const unsigned char data[] = {0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0, 0xc0};
    const size_t padded = (sizeof header - 1 + 7) / 8 * 8;
    unsigned char expected[256];
    unsigned char got[256];
    sfconv_metadata *metadata;
    ck_assert_int_eq(sfi_metadata_new(&metadata, context), SFCONV_OK);
    ck_assert_int_eq(sfi_metadata_set(metadata, "n\1", "\xc3\xa4\""), SFCONV_OK);
    ck_assert_int_eq(sfi_file_write(context, path, tensors, 2, metadata), SFCONV_OK);
    memset(expected, ' ', sizeof expected);
    memcpy(expected, (unsigned char[]){(unsigned char)padded, 0, 0, 0, 0, 0, 0, 0}, 8);
    memcpy(expected + 8, header, sizeof header - 1);
    memcpy(expected + 8 + padded, data, sizeof data);
    ck_assert_uint_eq(read_file((char *)got, sizeof got), 8 + padded + sizeof data);
    ck_assert_mem_eq(got, expected, 8 + padded + sizeof data);
    sfi_metadata_free(metadata);
}
END_TEST

START_TEST(large_tensors_and_every_bit_of_a_number_come_back)
{
    /* More than one chunk of reader and writer; bits of NaN with payload, infinities, denormals. */
    const int64_t count = 50001;
    float *numbers = malloc((size_t)count * sizeof *numbers);
    float *back = malloc((size_t)count * sizeof *back);
    for (int64_t i = 0; i < count; i++) {
        const uint32_t bits = (uint32_t)i * 2654435761u;
        memcpy(&numbers[i], &bits, sizeof bits);
    }
    const sfi_saved_tensor tensors[] = {{"first", 1, {3}, 3, numbers},
                                        {"w", 2, {count, 1}, count, numbers}};
    sfi_file_reader *reader;
    ck_assert_int_eq(sfi_file_write(context, path, tensors, 2, NULL), SFCONV_OK);
    ck_assert_int_eq(sfi_file_reader_open(&reader, context, path), SFCONV_OK);
    const sfi_file_tensor *w = sfi_file_header_find(sfi_file_reader_header(reader), "w");
    ck_assert_int_eq(w->count, count);
    ck_assert_int_eq(sfi_file_reader_read(reader, w, back), SFCONV_OK);
    ck_assert_mem_eq(back, numbers, (size_t)count * sizeof *back);
    sfi_file_reader_close(reader);
    free(numbers);
    free(back);
}
END_TEST

START_TEST(names_that_a_file_cannot_hold_are_refused_and_nothing_is_written)
{
    const float number = 0;
    const char *names[] = {"\xff", "__metadata__"};
    for (int i = 0; i < 2; i++) {
        const sfi_saved_tensor tensor = {names[i], 0, {0}, 1, &number};
        ck_assert_int_eq(sfi_file_write(context, path, &tensor, 1, NULL), SFCONV_ERROR_ARGUMENT);
    }
    const sfi_saved_tensor twice[] = {{"w", 0, {0}, 1, &number}, {"w", 0, {0}, 1, &number}};
    ck_assert_int_eq(sfi_file_write(context, path, twice, 2, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(count_names(false), 0);
}
END_TEST

START_TEST(saving_replaces_the_file_and_leaves_nothing_else)
{
    write_text("earlier");
    ck_assert_int_eq(save_ones(path, 10), SFCONV_OK);
    ck_assert_int_eq(count_names(false), 1);
    sfi_file_reader *reader;
    ck_assert_int_eq(sfi_file_reader_open(&reader, context, path), SFCONV_OK);
    sfi_file_reader_close(reader);
}
END_TEST

START_TEST(replaced_file_keeps_its_mode_and_a_new_one_follows_the_mask)
{
    struct stat facts;
    umask(027);
    ck_assert_int_eq(save_ones(path, 1), SFCONV_OK);
    ck_assert_int_eq(stat(path, &facts), 0);
    ck_assert_int_eq(facts.st_mode & 0777, 0640);
    chmod(path, 0604);
    ck_assert_int_eq(save_ones(path, 1), SFCONV_OK);
    ck_assert_int_eq(stat(path, &facts), 0);
    ck_assert_int_eq(facts.st_mode & 0777, 0604);
}
END_TEST

START_TEST(saving_through_a_symbolic_link_replaces_what_it_leads_to)
{
    char link[128];
    struct stat facts;
    snprintf(link, sizeof link, "%s/latest", folder);
    write_text("earlier");
    ck_assert_int_eq(symlink("model.safetensors", link), 0);
    ck_assert_int_eq(save_ones(link, 1), SFCONV_OK);
    ck_assert_int_eq(lstat(link, &facts), 0);
    ck_assert(S_ISLNK(facts.st_mode));
    ck_assert_int_eq(stat(path, &facts), 0);
    ck_assert_int_gt(facts.st_size, 8);
}
END_TEST

static bool is_link(const char *name)
{
    struct stat facts;
    return lstat(name, &facts) == 0 && S_ISLNK(facts.st_mode);
}

START_TEST(saving_through_symbolic_links_makes_what_the_last_one_leads_to)
{
    char first[128], second[128], target[256];
    struct stat facts;
    snprintf(first, sizeof first, "%s/latest", folder);
    snprintf(second, sizeof second, "%s/best", folder);
    snprintf(target, sizeof target, "../%s", path);
    ck_assert_int_eq(symlink("best", first), 0);
    ck_assert_int_eq(symlink(target, second), 0);
    umask(027);
    ck_assert_int_eq(save_ones(first, 1), SFCONV_OK);
    ck_assert(is_link(first) && is_link(second));
    ck_assert_int_eq(lstat(path, &facts), 0);
    ck_assert(S_ISREG(facts.st_mode));
    ck_assert_int_eq(facts.st_mode & 0777, 0640);
    ck_assert_int_eq(count_names(false), 3);
}
END_TEST

START_TEST(symbolic_links_that_lead_nowhere_are_refused_and_stay)
{
    const struct {
        const char *target;
        int reason;
    } cases[] = {
        {"none/model.safetensors", ENOENT}, {"/none/model.safetensors", ENOENT}, {"latest", ELOOP}};
    char link[128];
    snprintf(link, sizeof link, "%s/latest", folder);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(symlink(cases[i].target, link), 0);
        ck_assert_int_eq(save_ones(link, 1), SFCONV_ERROR_IO);
        ck_assert_ptr_nonnull(strstr(context->error, link));
        ck_assert_ptr_nonnull(strstr(context->error, strerror(cases[i].reason)));
        ck_assert(is_link(link));
        ck_assert_int_eq(count_names(true), 1);
    }
}
END_TEST

START_TEST(disk_that_fills_up_leaves_the_earlier_file_alone)
{
    write_text("earlier");
    const struct rlimit limit = {20000, 20000};
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(save_ones(path, 10000), SFCONV_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(context->error, path));
    ck_assert_ptr_nonnull(strstr(context->error, strerror(EFBIG)));
    assert_file_is("earlier");
    ck_assert_int_eq(count_names(false), 1);
}
END_TEST

START_TEST(missing_folder_is_an_error_with_the_path)
{
    char missing[128];
    snprintf(missing, sizeof missing, "%s/none/model.safetensors", folder);
    ck_assert_int_eq(save_ones(missing, 1), SFCONV_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(context->error, missing));
    ck_assert_ptr_nonnull(strstr(context->error, strerror(ENOENT)));
}
END_TEST

START_TEST(folder_that_may_not_be_written_leaves_the_earlier_file_alone)
{
    write_text("earlier");
    chmod(folder, 0555);
    const uid_t user = geteuid();
    const bool lowered = user == 0 && seteuid(65534) == 0;
    const sfconv_status status = save_ones(path, 1);
    if (lowered) {
        ck_assert_int_eq(seteuid(user), 0);
    }
    chmod(folder, 0755);
    ck_assert_int_eq(status, SFCONV_ERROR_IO);
    assert_file_is("earlier");
    ck_assert_int_eq(count_names(false), 1);
}
END_TEST

START_TEST(what_is_no_regular_file_is_neither_replaced_nor_read)
{
    sfi_file_reader *reader;
    ck_assert_int_eq(save_ones(folder, 1), SFCONV_ERROR_IO);
    ck_assert_int_eq(save_ones("/dev/null", 1), SFCONV_ERROR_IO);
    ck_assert_int_eq(sfi_file_reader_open(&reader, context, folder), SFCONV_ERROR_IO);
    ck_assert_ptr_null(reader);
    /* A pipe without writer must not stop the reader. */
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(sfi_file_reader_open(&reader, context, path), SFCONV_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(context->error, "expected a regular file"));
    unlink(path);
    ck_assert_int_eq(sfi_file_reader_open(&reader, context, path), SFCONV_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(context->error, strerror(ENOENT)));
}
END_TEST

START_TEST(names_of_the_greatest_length_can_be_saved)
{
    char long_path[400];
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    snprintf(long_path, sizeof long_path, "%s/%s", folder, name);
    ck_assert_int_eq(save_ones(long_path, 1), SFCONV_OK);
    ck_assert_int_eq(count_names(false), 1);
}
END_TEST

START_TEST(abandoned_write_leaves_nothing)
{
    sfi_atomic_file file;
    sfi_atomic_file other;
    ck_assert_int_eq(sfi_atomic_file_open(&file, context, path), SFCONV_OK);
    /* Two writers of one file at a time do not meet. */
    ck_assert_int_eq(sfi_atomic_file_open(&other, context, path), SFCONV_OK);
    ck_assert_int_eq(sfi_atomic_file_write(&file, "half", 4), SFCONV_OK);
    ck_assert_int_eq(sfi_atomic_file_write(&other, "whole", 5), SFCONV_OK);
    ck_assert_int_eq(count_names(false), 2);
    sfi_atomic_file_abort(&file);
    ck_assert_int_eq(sfi_atomic_file_commit(&other), SFCONV_OK);
    assert_file_is("whole");
    ck_assert_int_eq(count_names(false), 1);
}
END_TEST

START_TEST(metadata_keep_their_order_and_replace_values)
{
    sfconv_metadata *metadata;
    ck_assert_int_eq(sfi_metadata_new(&metadata, context), SFCONV_OK);
    for (int i = 20; i > 0; i--) {
        char name[8];
        snprintf(name, sizeof name, "n%d", i);
        ck_assert_int_eq(sfi_metadata_set(metadata, name, "old"), SFCONV_OK);
    }
    ck_assert_int_eq(sfi_metadata_set(metadata, "n19", "new"), SFCONV_OK);
    ck_assert_uint_eq(metadata->count, 20);
    ck_assert_str_eq(metadata->pairs[1].name, "n19");
    ck_assert_str_eq(sfi_metadata_get(metadata, "n19"), "new");
    ck_assert_ptr_null(sfi_metadata_get(metadata, "n0"));
    ck_assert_int_eq(sfi_metadata_set(metadata, "", "x"), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfi_metadata_set(metadata, "n19", "\x80"), SFCONV_ERROR_ARGUMENT);
    ck_assert_str_eq(sfi_metadata_get(metadata, "n19"), "new");
    sfi_metadata_free(metadata);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("saving");
    TCase *tests = tcase_create("saving");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, written_file_has_the_bytes_of_the_format);
    tcase_add_test(tests, large_tensors_and_every_bit_of_a_number_come_back);
    tcase_add_test(tests, names_that_a_file_cannot_hold_are_refused_and_nothing_is_written);
    tcase_add_test(tests, saving_replaces_the_file_and_leaves_nothing_else);
    tcase_add_test(tests, replaced_file_keeps_its_mode_and_a_new_one_follows_the_mask);
    tcase_add_test(tests, saving_through_a_symbolic_link_replaces_what_it_leads_to);
    tcase_add_test(tests, saving_through_symbolic_links_makes_what_the_last_one_leads_to);
    tcase_add_test(tests, symbolic_links_that_lead_nowhere_are_refused_and_stay);
    tcase_add_test(tests, disk_that_fills_up_leaves_the_earlier_file_alone);
    tcase_add_test(tests, missing_folder_is_an_error_with_the_path);
    tcase_add_test(tests, folder_that_may_not_be_written_leaves_the_earlier_file_alone);
    tcase_add_test(tests, what_is_no_regular_file_is_neither_replaced_nor_read);
    tcase_add_test(tests, names_of_the_greatest_length_can_be_saved);
    tcase_add_test(tests, abandoned_write_leaves_nothing);
    tcase_add_test(tests, metadata_keep_their_order_and_replace_values);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
