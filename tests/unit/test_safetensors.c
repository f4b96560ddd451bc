/* SPDX-License-Identifier: BSD-2-Clause */
/* What the reader of safetensors files takes and what it refuses, from bytes made by hand. */
#include "support.h"

#include "random.h"
#include "safetensors_reader.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static sfconv_context *context;

static void set_up(void)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    ck_assert_int_eq(sfi_context_create(&context, &desc, NULL, SFCONV_ISA_REFERENCE), SFCONV_OK);
}

static void tear_down(void)
{
    sfi_context_release(context);
}

/* A file in memory: eight bytes of length, the header, the data. */
typedef struct bytes {
    unsigned char at[4096];
    size_t size;
} bytes;

static bytes make_file(const void *header, size_t length, const void *data, size_t data_size)
{
    bytes file = {.size = 8 + length + data_size};
    ck_assert_uint_le(file.size, sizeof file.at);
    for (int i = 0; i < 8; i++) {
        file.at[i] = (unsigned char)((uint64_t)length >> (8 * i));
    }
    memcpy(file.at + 8, header, length);
    memcpy(file.at + 8 + length, data, data_size);
    return file;
}

static sfconv_status open_bytes(sfi_file_reader **reader, const void *at, size_t size)
{
    /* A copy of the exact size, so that a sanitizer sees a read beyond the end. */
    static void *copy;
    free(copy);
    copy = malloc(size ? size : 1);
    memcpy(copy, at, size);
    return sfi_file_reader_open_memory(reader, context, copy, size, "test.safetensors");
}

static sfi_file_reader *open_text(const char *header, const void *data, size_t data_size)
{
    sfi_file_reader *reader;
    const bytes file = make_file(header, strlen(header), data, data_size);
    const sfconv_status status = open_bytes(&reader, file.at, file.size);
    ck_assert_msg(status == SFCONV_OK, "%s: %s", header, context->error);
    return reader;
}

static const sfi_file_tensor *find(sfi_file_reader *reader, const char *name)
{
    return sfi_file_header_find(sfi_file_reader_header(reader), name);
}

/* Refused with FORMAT and a reason that names the file and says `why`. */
static void assert_refused(const void *at, size_t size, const char *why)
{
    sfi_file_reader *reader;
    context->error[0] = '\0';
    ck_assert_int_eq(open_bytes(&reader, at, size), SFCONV_ERROR_FORMAT);
    ck_assert_ptr_null(reader);
    ck_assert_msg(strncmp(context->error, "test.safetensors: ", 18) == 0 &&
                      strstr(context->error, why),
                  "expected a reason with '%s', got: %s", why, context->error);
}

static void assert_header_refused(const char *header, size_t data_size, const char *why)
{
    static const unsigned char data[64];
    const bytes file = make_file(header, strlen(header), data, data_size);
    assert_refused(file.at, file.size, why);
}

START_TEST(file_without_room_for_a_header_length_is_refused)
{
    for (size_t size = 0; size < 8; size++) {
        assert_refused("\0\0\0\0\0\0\0", size, "expected at least 8 bytes");
    }
}
END_TEST

START_TEST(header_longer_than_the_file_is_refused)
{
    assert_refused("\3\0\0\0\0\0\0\0{}", 10,
                   "expected at most 2 bytes, got 3: not safetensors, or cut off");
    assert_refused("\377\377\377\377\377\377\377\377{}", 10, "got 18446744073709551615");
}
END_TEST

START_TEST(header_over_the_limit_of_the_format_is_refused_before_memory_is_taken)
{
    const size_t size = 8 + SFI_FILE_MAX_HEADER + 1;
    /* Zero pages that are never touched. */
    unsigned char *file = calloc(1, size);
    sfi_file_reader *reader;
    ck_assert_ptr_nonnull(file);
    const uint32_t length = SFI_FILE_MAX_HEADER + 1;
    for (int i = 0; i < 4; i++) {
        file[i] = (unsigned char)(length >> (8 * i));
    }
    ck_assert_int_eq(sfi_file_reader_open_memory(&reader, context, file, size, "big"),
                     SFCONV_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(context->error, "expected at most 100000000 bytes"));
    free(file);
}
END_TEST

START_TEST(header_that_is_not_utf8_is_refused)
{
    assert_header_refused("{\"\xff\":1}", 0, "expected UTF-8");
    assert_header_refused("{\"\xc0\x80\":1}", 0, "expected UTF-8");
    assert_header_refused("{\"\xed\xa0\x80\":1}", 0, "expected UTF-8");
    assert_header_refused("{\"\xf4\x90\x80\x80\":1}", 0, "expected UTF-8");
    assert_header_refused("{\"\xe2\x82\":1}", 0, "expected UTF-8");
}
END_TEST

START_TEST(header_that_is_not_one_json_object_is_refused)
{
    assert_header_refused("", 0, "expected a JSON object");
    assert_header_refused("[]", 0, "expected a JSON object");
    assert_header_refused(" {}", 0, "expected a JSON object");
    assert_header_refused("{}{}", 0, "expected a JSON object");
    assert_header_refused("{", 0, "expected a JSON object");
    assert_header_refused("{\"a\\u0000b\":1}", 0, "expected a JSON object");
    const bytes zero = make_file("{}\0", 3, "", 0);
    assert_refused(zero.at, zero.size, "expected a JSON object");
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
    char header[4000] = "{\"a\":";
    memset(header + 5, '[', sizeof header - 6);
    assert_header_refused(header, 0, "maximum parsing depth");
}
END_TEST

START_TEST(duplicate_keys_are_refused)
{
    assert_header_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
                          "\"w\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[4,8]}}",
                          8, "duplicate");
    assert_header_refused("{\"w\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[],"
                          "\"data_offsets\":[0,4]}}",
                          4, "duplicate");
    assert_header_refused("{\"__metadata__\":{\"a\":\"1\",\"a\":\"2\"}}", 0, "duplicate");
}
END_TEST

START_TEST(metadata_other_than_texts_are_refused)
{
    assert_header_refused("{\"__metadata__\":[]}", 0, "expected an object, got an array");
    assert_header_refused("{\"__metadata__\":{\"epoch\":3}}", 0,
                          "metadata \"epoch\": expected a text, got an integer");
    assert_header_refused("{\"__metadata__\":{\"a\":{}}}", 0, "got an object");
    assert_header_refused("{\"__metadata__\":{\"a\":null}}", 0, "got null");
}
END_TEST

START_TEST(tensor_that_is_not_fully_described_is_refused)
{
    assert_header_refused("{\"w\":4}", 0, "tensor \"w\": expected an object, got an integer");
    assert_header_refused("{\"w\":{\"shape\":[],\"data_offsets\":[0,4]}}", 4,
                          "expected a dtype, got nothing");
    assert_header_refused("{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4,
                          "expected a shape, got nothing");
    assert_header_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[]}}", 4,
                          "expected two data_offsets, got nothing");
    assert_header_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0]}}", 4,
                          "expected two data_offsets, got another number");
}
END_TEST

START_TEST(unknown_dtype_is_refused_by_its_name)
{
    assert_header_refused("{\"w\":{\"dtype\":\"F8_E4M3\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4,
                          "got F8_E4M3");
    assert_header_refused("{\"w\":{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
                          "got f32");
    assert_header_refused("{\"w\":{\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
                          "expected a dtype, got an integer");
}
END_TEST

START_TEST(sizes_and_offsets_that_are_not_whole_numbers_from_0_are_refused)
{
    assert_header_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4,
                          "sizes in its shape, got a number that is no integer");
    assert_header_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[\"1\"],\"data_offsets\":[0,4]}}", 4,
                          "got a text");
    assert_header_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4,
                          "got a negative one");
    assert_header_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[true],\"data_offsets\":[0,4]}}", 4,
                          "got a truth value");
    assert_header_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4e0]}}", 4,
                          "data_offsets, got a number that is no integer");
    assert_header_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[-4,0]}}", 4,
                          "data_offsets, got a negative one");
    assert_header_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[18446744073709551616],"
                          "\"data_offsets\":[0,4]}}",
                          4, "too big integer");
}
END_TEST

START_TEST(shape_that_overflows_is_refused)
{
    assert_header_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],"
                          "\"data_offsets\":[0,0]}}",
                          0, "a shape that overflows");
    assert_header_refused("{\"w\":{\"dtype\":\"F64\",\"shape\":[4611686018427387903],"
                          "\"data_offsets\":[0,8]}}",
                          8, "a shape that overflows");
    assert_header_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],"
                          "\"data_offsets\":[0,4]}}",
                          4, "expected at most 8 axes, got 9");
}
END_TEST

START_TEST(byte_count_other_than_shape_times_size_is_refused)
{
    assert_header_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
                          "expected 8 bytes by shape and dtype, got data_offsets 0 to 4");
    assert_header_refused("{\"w\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
                          "expected 4 bytes by shape and dtype");
    assert_header_refused("{\"w\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[4,0]}}", 4,
                          "got data_offsets 4 to 0");
}
END_TEST

START_TEST(data_with_gaps_overlaps_or_another_length_are_refused)
{
    static const char two[] = "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[%d,%d]},"
                              "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[%d,%d]}}";
    static const struct {
        int offsets[4];
        size_t data;
        const char *why;
    } cases[] = {
        {{1, 5, 5, 9}, 9, "tensor \"a\": expected data from byte 0, got 1"},
        {{0, 4, 5, 9}, 9, "tensor \"b\": expected data from byte 4, got 5"},
        {{0, 4, 3, 7}, 8, "tensor \"b\": expected data from byte 4, got 3"},
        {{0, 4, 0, 4}, 8, "expected data from byte 4, got 0"},
        {{0, 4, 4, 8}, 7, "expected data up to byte 8, got 7 bytes"},
        {{0, 4, 4, 8}, 9, "expected 8 bytes of data by its header, got 9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char header[256];
        const int *at = cases[i].offsets;
        snprintf(header, sizeof header, two, at[0], at[1], at[2], at[3]);
        assert_header_refused(header, cases[i].data, cases[i].why);
    }
    assert_header_refused("{}", 1, "expected 0 bytes of data by its header, got 1");
}
END_TEST

START_TEST(empty_file_of_an_empty_object_is_read)
{
    sfi_file_reader *reader = open_text("{}      ", "", 0);
    ck_assert_uint_eq(sfi_file_reader_header(reader)->count, 0);
    ck_assert_ptr_null(find(reader, "w"));
    sfi_file_reader_close(reader);
}
END_TEST

START_TEST(tensors_may_stand_in_the_header_in_any_order)
{
    const float data[] = {1, 2, 3};
    float read[2];
    sfi_file_reader *reader =
        open_text("{\"z\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]},"
                  "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
                  data, sizeof data);
    ck_assert_str_eq(sfi_file_reader_header(reader)->tensors[0].name, "a");
    ck_assert_int_eq(sfi_file_reader_read(reader, find(reader, "z"), read), SFCONV_OK);
    ck_assert(read[0] == 2 && read[1] == 3);
    sfi_file_reader_close(reader);
}
END_TEST

START_TEST(scalars_empty_tensors_and_every_dtype_are_read)
{
    static const unsigned char data[64];
    sfi_file_reader *reader =
        open_text("{\"scalar\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
                  "\"empty\":{\"dtype\":\"F64\",\"shape\":[3,0,2],\"data_offsets\":[4,4]},"
                  "\"f64\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[4,12]},"
                  "\"f16\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[12,14]},"
                  "\"bf16\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[14,16]},"
                  "\"i64\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[16,24]},"
                  "\"i32\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[24,28]},"
                  "\"i16\":{\"dtype\":\"I16\",\"shape\":[1],\"data_offsets\":[28,30]},"
                  "\"i8\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[30,31]},"
                  "\"u8\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[31,32]},"
                  "\"bool\":{\"dtype\":\"BOOL\",\"shape\":[1],\"data_offsets\":[32,33]}}",
                  data, 33);
    float value = 7;
    ck_assert_uint_eq(sfi_file_reader_header(reader)->count, 11);
    ck_assert_int_eq(find(reader, "scalar")->count, 1);
    ck_assert_int_eq(find(reader, "empty")->count, 0);
    ck_assert_int_eq(sfi_file_reader_read(reader, find(reader, "scalar"), &value), SFCONV_OK);
    ck_assert(value == 0);
    ck_assert_int_eq(sfi_file_reader_read(reader, find(reader, "empty"), NULL), SFCONV_OK);
    ck_assert_int_eq(sfi_file_reader_read(reader, find(reader, "i64"), &value),
                     SFCONV_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(context->error, "tensor \"i64\": expected dtype F32, F16, BF16 or "
                                                 "F64, got I64"));
    sfi_file_reader_close(reader);
}
END_TEST

START_TEST(metadata_are_read_in_the_order_of_the_file)
{
    sfi_file_reader *reader =
        open_text("{\"__metadata__\":{\"z\":\"1\",\"a\":\"\\u00e4\\n\",\"empty\":\"\"}}", "", 0);
    const sfconv_metadata *metadata = sfi_file_reader_header(reader)->metadata;
    ck_assert_uint_eq(metadata->count, 3);
    ck_assert_str_eq(metadata->pairs[0].name, "z");
    ck_assert_str_eq(sfi_metadata_get(metadata, "a"), "\xc3\xa4\n");
    ck_assert_str_eq(sfi_metadata_get(metadata, "empty"), "");
    sfi_file_reader_close(reader);
}
END_TEST

START_TEST(data_at_odd_addresses_keep_the_bits_of_nan)
{
    /* One byte of U8 moves the floats to an odd offset. */
    static const unsigned char data[] = {9,    0x01, 0x00, 0x80, 0x7f, 0xef, 0xbe,
                                         0xed, 0xff, 0x00, 0x00, 0x00, 0x80};
    const uint32_t expected[] = {0x7f800001u, 0xffedbeefu, 0x80000000u};
    float values[3];
    sfi_file_reader *reader =
        open_text("{\"x\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                  "\"w\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[1,13]}}",
                  data, sizeof data);
    ck_assert_int_eq(sfi_file_reader_read(reader, find(reader, "w"), values), SFCONV_OK);
    ck_assert_mem_eq(values, expected, sizeof expected);
    sfi_file_reader_close(reader);
}
END_TEST

/* Reads `count` numbers of a dtype as float. */
static void convert(sfi_dtype dtype, const void *at, int64_t count, float *out)
{
    unsigned char shifted[256];
    const size_t size = (size_t)(count * sfi_dtype_bytes(dtype));
    memcpy(shifted + 1, at, size);
    sfi_dtype_to_float(dtype, shifted + 1, count, out);
}

START_TEST(half_precision_is_converted_exactly)
{
    static const unsigned char halves[] = {
        0x00, 0x3c, 0x00, 0xc0, 0xff, 0x7b, 0x01, 0x00, 0xff, 0x03, 0x00,
        0x04, 0x00, 0x80, 0x00, 0x7c, 0x00, 0xfc, 0x01, 0x7e, 0x01, 0x80,
    };
    float v[11];
    convert(SFI_DTYPE_F16, halves, 11, v);
    ck_assert(v[0] == 1.0f && v[1] == -2.0f && v[2] == 65504.0f);
    ck_assert(v[3] == 0x1p-24f && v[4] == 0x1.ff8p-15f && v[5] == 0x1p-14f);
    ck_assert(v[6] == 0.0f && signbit(v[6]));
    ck_assert(v[7] == INFINITY && v[8] == -INFINITY && isnan(v[9]));
    ck_assert(v[10] == -0x1p-24f);
}
END_TEST

START_TEST(bfloat16_is_converted_exactly)
{
    static const unsigned char brains[] = {0x80, 0x3f, 0x49, 0xc0, 0x01, 0x00, 0x80,
                                           0x7f, 0x80, 0xff, 0xc1, 0x7f, 0x00, 0x80};
    float v[7];
    convert(SFI_DTYPE_BF16, brains, 7, v);
    ck_assert(v[0] == 1.0f && v[1] == -3.140625f && v[2] == 0x1p-133f);
    ck_assert(v[3] == INFINITY && v[4] == -INFINITY && isnan(v[5]));
    ck_assert(v[6] == 0.0f && signbit(v[6]));
}
END_TEST

START_TEST(double_precision_is_rounded_to_nearest)
{
    const double doubles[] = {1.0,    0.1,      1.0 + 0x1p-24, 1.0 + 0x1.8p-24, 1e300, -1e300,
                              1e-300, 0x1p-149, INFINITY,      -INFINITY,       NAN,   -0.0};
    float v[12];
    /* The hosts of this test are little-endian, as the file is. */
    convert(SFI_DTYPE_F64, doubles, 12, v);
    ck_assert(v[0] == 1.0f && v[1] == 0.1f && v[2] == 1.0f && v[3] == 1.0f + 0x1p-23f);
    ck_assert(v[4] == INFINITY && v[5] == -INFINITY && v[6] == 0.0f && v[7] == 0x1p-149f);
    ck_assert(v[8] == INFINITY && v[9] == -INFINITY && isnan(v[10]));
    ck_assert(v[11] == 0.0f && signbit(v[11]));
}
END_TEST

START_TEST(shape_and_dtype_of_a_target_are_checked_with_both_named)
{
    static const unsigned char data[32];
    const int64_t right[] = {2, 3};
    const int64_t wrong[] = {3, 2};
    sfi_file_reader *reader =
        open_text("{\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                  "\"i\":{\"dtype\":\"I8\",\"shape\":[2,3],\"data_offsets\":[24,30]}}",
                  data, 30);
    const sfi_file_tensor *w = find(reader, "w");
    ck_assert_int_eq(sfi_file_tensor_check(reader, w, 2, right), SFCONV_OK);
    ck_assert_int_eq(sfi_file_tensor_check(reader, w, 2, wrong), SFCONV_ERROR_SHAPE);
    ck_assert_ptr_nonnull(
        strstr(context->error, "tensor \"w\": expected shape [3, 2], got [2, 3]"));
    ck_assert_int_eq(sfi_file_tensor_check(reader, w, 1, right), SFCONV_ERROR_SHAPE);
    ck_assert_int_eq(sfi_file_tensor_check(reader, find(reader, "i"), 2, right),
                     SFCONV_ERROR_FORMAT);
    sfi_file_reader_close(reader);
}
END_TEST

static const char seed_header[] =
    "{\"__metadata__\":{\"name\":\"tiny \\u2603\"},"
    "\"conv.weight\":{\"dtype\":\"F32\",\"shape\":[2,1,1,3],\"data_offsets\":[0,24]},"
    "\"conv.bias\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[24,28]},"
    "\"steps\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[28,36]}}   ";

/* Reads everything a reader offers. */
static void read_all(sfi_file_reader *reader)
{
    const sfi_file_header *header = sfi_file_reader_header(reader);
    for (size_t i = 0; i < header->count; i++) {
        const sfi_file_tensor *tensor = &header->tensors[i];
        float *out = malloc((size_t)tensor->count * sizeof(float) + 1);
        const sfconv_status status = sfi_file_reader_read(reader, tensor, out);
        ck_assert_int_eq(status,
                         sfi_dtype_is_float(tensor->dtype) ? SFCONV_OK : SFCONV_ERROR_FORMAT);
        free(out);
    }
}

START_TEST(mutated_files_are_read_or_refused_with_a_reason)
{
    const bytes seed =
        make_file(seed_header, strlen(seed_header), "0123456789abcdef0123456789abcdef0123", 36);
    const sfi_random random = {2024, 6};
    uint64_t drawn = 0;
    int refused = 0;
    for (int round = 0; round < 6000; round++) {
        bytes mutant = seed;
        const uint64_t changes = 1 + sfi_random_below(random, drawn++, 3);
        for (uint64_t i = 0; i < changes; i++) {
            const uint64_t at = sfi_random_below(random, drawn++, mutant.size);
            mutant.at[at] = (unsigned char)sfi_random_below(random, drawn++, 256);
        }
        if (round % 4 == 0) {
            mutant.size = sfi_random_below(random, drawn++, mutant.size);
        }
        sfi_file_reader *reader;
        context->error[0] = '\0';
        const sfconv_status status = open_bytes(&reader, mutant.at, mutant.size);
        if (status == SFCONV_OK) {
            read_all(reader);
        } else {
            ck_assert_msg(status == SFCONV_ERROR_FORMAT && context->error[0], "round %d: %d", round,
                          status);
            refused++;
        }
        sfi_file_reader_close(reader);
    }
    ck_assert_int_gt(refused, 1000);
    ck_assert_int_lt(refused, 6000);
}
END_TEST

START_TEST(every_truncation_is_refused)
{
    const bytes seed =
        make_file(seed_header, strlen(seed_header), "0123456789abcdef0123456789abcdef0123", 36);
    for (size_t size = 0; size < seed.size; size++) {
        assert_refused(seed.at, size, "expected");
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("safetensors");
    TCase *refusals = tcase_create("refusals");
    tcase_set_timeout(refusals, 60);
    tcase_add_checked_fixture(refusals, set_up, tear_down);
    tcase_add_test(refusals, file_without_room_for_a_header_length_is_refused);
    tcase_add_test(refusals, header_longer_than_the_file_is_refused);
    tcase_add_test(refusals, header_over_the_limit_of_the_format_is_refused_before_memory_is_taken);
    tcase_add_test(refusals, header_that_is_not_utf8_is_refused);
    tcase_add_test(refusals, header_that_is_not_one_json_object_is_refused);
    tcase_add_test(refusals, deep_nesting_is_refused);
    tcase_add_test(refusals, duplicate_keys_are_refused);
    tcase_add_test(refusals, metadata_other_than_texts_are_refused);
    tcase_add_test(refusals, tensor_that_is_not_fully_described_is_refused);
    tcase_add_test(refusals, unknown_dtype_is_refused_by_its_name);
    tcase_add_test(refusals, sizes_and_offsets_that_are_not_whole_numbers_from_0_are_refused);
    tcase_add_test(refusals, shape_that_overflows_is_refused);
    tcase_add_test(refusals, byte_count_other_than_shape_times_size_is_refused);
    tcase_add_test(refusals, data_with_gaps_overlaps_or_another_length_are_refused);
    tcase_add_test(refusals, mutated_files_are_read_or_refused_with_a_reason);
    tcase_add_test(refusals, every_truncation_is_refused);
    suite_add_tcase(suite, refusals);
    TCase *reading = tcase_create("reading");
    tcase_add_checked_fixture(reading, set_up, tear_down);
    tcase_add_test(reading, empty_file_of_an_empty_object_is_read);
    tcase_add_test(reading, tensors_may_stand_in_the_header_in_any_order);
    tcase_add_test(reading, scalars_empty_tensors_and_every_dtype_are_read);
    tcase_add_test(reading, metadata_are_read_in_the_order_of_the_file);
    tcase_add_test(reading, data_at_odd_addresses_keep_the_bits_of_nan);
    tcase_add_test(reading, half_precision_is_converted_exactly);
    tcase_add_test(reading, bfloat16_is_converted_exactly);
    tcase_add_test(reading, double_precision_is_rounded_to_nearest);
    tcase_add_test(reading, shape_and_dtype_of_a_target_are_checked_with_both_named);
    suite_add_tcase(suite, reading);
    return run_suite(suite);
}
