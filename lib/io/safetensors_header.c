/* SPDX-License-Identifier: BSD-2-Clause */
#include "safetensors_header.h"

#include "error.h"
#include "memory.h"
#include "sizes.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* What the reasons of a refusal need. */
typedef struct parse {
    sfi_file_header *header;
    const char *file;
} parse;

static sfconv_status refuse(const parse *p, const char *tensor, const char *expected,
                            const char *got)
{
    return sfi_fail(p->header->context, SFCONV_ERROR_FORMAT,
                    "%s: tensor \"%.100s\": expected %s, got %.100s", p->file, tensor, expected,
                    got);
}

static const char *json_type_name(const json_t *value)
{
    switch (value ? (int)json_typeof(value) : -1) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a text";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number that is no integer";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a truth value";
    case JSON_NULL:
        return "null";
    default:
        return "nothing";
    }
}

/* A size or offset: an integer that is not negative. */
static sfconv_status take_size(const parse *p, const char *tensor, const char *expected,
                               const json_t *value, int64_t *size)
{
    if (!json_is_integer(value)) {
        return refuse(p, tensor, expected, json_type_name(value));
    }
    if (json_integer_value(value) < 0) {
        return refuse(p, tensor, expected, "a negative one");
    }
    *size = json_integer_value(value);
    return SFCONV_OK;
}

static sfconv_status take_dtype(const parse *p, const json_t *description, sfi_file_tensor *tensor)
{
    const json_t *value = json_object_get(description, "dtype");
    if (!json_is_string(value)) {
        return refuse(p, tensor->name, "a dtype", json_type_name(value));
    }
    if (!sfi_dtype_from_name(&tensor->dtype, json_string_value(value))) {
        return refuse(p, tensor->name, "dtype F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL",
                      json_string_value(value));
    }
    return SFCONV_OK;
}

static sfconv_status take_shape(const parse *p, const json_t *description, sfi_file_tensor *tensor)
{
    const json_t *value = json_object_get(description, "shape");
    if (!json_is_array(value)) {
        return refuse(p, tensor->name, "a shape", json_type_name(value));
    }
    const size_t rank = json_array_size(value);
    if (rank > SFI_FILE_MAX_RANK) {
        return sfi_fail(p->header->context, SFCONV_ERROR_FORMAT,
                        "%s: tensor \"%.100s\": expected at most %d axes, got %zu", p->file,
                        tensor->name, SFI_FILE_MAX_RANK, rank);
    }
    tensor->rank = (int32_t)rank;
    for (size_t i = 0; i < rank; i++) {
        const sfconv_status status = take_size(p, tensor->name, "sizes in its shape",
                                               json_array_get(value, i), &tensor->shape[i]);
        if (status < 0) {
            return status;
        }
    }
    if (!sfi_product(&tensor->count, tensor->shape, tensor->rank) ||
        !sfi_mul(&tensor->bytes, tensor->count, sfi_dtype_bytes(tensor->dtype))) {
        return refuse(p, tensor->name, "fewer bytes than 2^62", "a shape that overflows");
    }
    return SFCONV_OK;
}

static sfconv_status take_offsets(const parse *p, const json_t *description,
                                  sfi_file_tensor *tensor)
{
    const json_t *value = json_object_get(description, "data_offsets");
    int64_t ends[2];
    if (!json_is_array(value) || json_array_size(value) != 2) {
        return refuse(p, tensor->name, "two data_offsets",
                      json_is_array(value) ? "another number of them" : json_type_name(value));
    }
    for (size_t i = 0; i < 2; i++) {
        const sfconv_status status =
            take_size(p, tensor->name, "data_offsets", json_array_get(value, i), &ends[i]);
        if (status < 0) {
            return status;
        }
    }
    if (ends[0] > ends[1] || ends[1] - ends[0] != tensor->bytes) {
        return sfi_fail(p->header->context, SFCONV_ERROR_FORMAT,
                        "%s: tensor \"%.100s\": expected %lld bytes by shape and dtype, got "
                        "data_offsets %lld to %lld",
                        p->file, tensor->name, (long long)tensor->bytes, (long long)ends[0],
                        (long long)ends[1]);
    }
    tensor->offset = ends[0];
    return SFCONV_OK;
}

static sfconv_status take_tensor(const parse *p, const json_t *description, sfi_file_tensor *tensor)
{
    if (!json_is_object(description)) {
        return refuse(p, tensor->name, "an object", json_type_name(description));
    }
    sfconv_status status = take_dtype(p, description, tensor);
    if (status == SFCONV_OK) {
        status = take_shape(p, description, tensor);
    }
    if (status == SFCONV_OK) {
        status = take_offsets(p, description, tensor);
    }
    return status;
}

static sfconv_status take_metadata(const parse *p, json_t *texts)
{
    sfconv_metadata *metadata = p->header->metadata;
    if (texts && !json_is_object(texts)) {
        return refuse(p, SFI_FILE_METADATA_KEY, "an object", json_type_name(texts));
    }
    if (json_object_size(texts) > SFI_FILE_MAX_TEXTS) {
        return sfi_fail(p->header->context, SFCONV_ERROR_FORMAT,
                        "%s: expected at most %d metadata texts, got %zu", p->file,
                        SFI_FILE_MAX_TEXTS, json_object_size(texts));
    }
    sfconv_status status = SFCONV_OK;
    for (void *at = json_object_iter(texts); at && status == SFCONV_OK;
         at = json_object_iter_next(texts, at)) {
        const json_t *value = json_object_iter_value(at);
        if (!json_is_string(value)) {
            return sfi_fail(p->header->context, SFCONV_ERROR_FORMAT,
                            "%s: metadata \"%.100s\": expected a text, got %s", p->file,
                            json_object_iter_key(at), json_type_name(value));
        }
        status = sfi_metadata_append(metadata, json_object_iter_key(at), json_string_value(value));
    }
    return status;
}

static int compare_offsets(const void *left, const void *right)
{
    const sfi_file_tensor *a = left;
    const sfi_file_tensor *b = right;
    if (a->offset != b->offset) {
        return a->offset < b->offset ? -1 : 1;
    }
    /* An empty tensor stands before the one that shares its offset. */
    return a->bytes == b->bytes ? strcmp(a->name, b->name) : a->bytes < b->bytes ? -1 : 1;
}

static int compare_names(const void *left, const void *right)
{
    const sfi_file_tensor *const *a = left;
    const sfi_file_tensor *const *b = right;
    return strcmp((*a)->name, (*b)->name);
}

/* The data of all tensors together are the data of the file, without gap or overlap. */
static sfconv_status check_cover(const parse *p, int64_t data_bytes)
{
    sfconv_context *context = p->header->context;
    int64_t end = 0;
    for (size_t i = 0; i < p->header->count; i++) {
        const sfi_file_tensor *tensor = &p->header->tensors[i];
        if (tensor->offset != end) {
            return sfi_fail(context, SFCONV_ERROR_FORMAT,
                            "%s: tensor \"%.100s\": expected data from byte %lld, got %lld",
                            p->file, tensor->name, (long long)end, (long long)tensor->offset);
        }
        end += tensor->bytes;
        if (end > data_bytes) {
            return sfi_fail(context, SFCONV_ERROR_FORMAT,
                            "%s: tensor \"%.100s\": expected data up to byte %lld, got %lld bytes "
                            "in the file",
                            p->file, tensor->name, (long long)end, (long long)data_bytes);
        }
    }
    if (end != data_bytes) {
        return sfi_fail(context, SFCONV_ERROR_FORMAT,
                        "%s: expected %lld bytes of data by its header, got %lld", p->file,
                        (long long)end, (long long)data_bytes);
    }
    return SFCONV_OK;
}

/* Memory for `count` tensors and their names. */
static sfconv_status make_room(sfi_file_header *header, json_t *root)
{
    for (void *at = json_object_iter(root); at; at = json_object_iter_next(root, at)) {
        header->names_bytes += strlen(json_object_iter_key(at)) + 1;
    }
    header->count = json_object_size(root) - (json_object_get(root, SFI_FILE_METADATA_KEY) ? 1 : 0);
    if (header->count == 0) {
        return SFCONV_OK;
    }
    header->names = sfi_alloc(header->context, header->names_bytes);
    header->tensors = sfi_calloc(header->context, header->count, sizeof *header->tensors);
    header->by_name = sfi_calloc(header->context, header->count, sizeof *header->by_name);
    if (!header->names || !header->tensors || !header->by_name) {
        return sfi_fail_memory(header->context, "header",
                               header->count * sizeof *header->tensors + header->names_bytes);
    }
    return SFCONV_OK;
}

static sfconv_status take_root(const parse *p, json_t *root, int64_t data_bytes)
{
    sfi_file_header *header = p->header;
    if (json_object_size(root) > SFI_FILE_MAX_TENSORS) {
        return sfi_fail(header->context, SFCONV_ERROR_FORMAT,
                        "%s: expected at most %d tensors, got %zu", p->file, SFI_FILE_MAX_TENSORS,
                        json_object_size(root));
    }
    sfconv_status status = take_metadata(p, json_object_get(root, SFI_FILE_METADATA_KEY));
    if (status == SFCONV_OK) {
        status = make_room(header, root);
    }
    char *name = header->names;
    sfi_file_tensor *tensor = header->tensors;
    for (void *at = json_object_iter(root); at && status == SFCONV_OK;
         at = json_object_iter_next(root, at)) {
        const char *key = json_object_iter_key(at);
        if (strcmp(key, SFI_FILE_METADATA_KEY) == 0) {
            continue;
        }
        const size_t bytes = strlen(key) + 1;
        tensor->name = memcpy(name, key, bytes);
        status = take_tensor(p, json_object_iter_value(at), tensor);
        name += bytes;
        tensor++;
    }
    if (status < 0) {
        return status;
    }
    if (header->count > 0) {
        qsort(header->tensors, header->count, sizeof *header->tensors, compare_offsets);
        for (size_t i = 0; i < header->count; i++) {
            header->by_name[i] = &header->tensors[i];
        }
        qsort(header->by_name, header->count, sizeof *header->by_name, compare_names);
    }
    return check_cover(p, data_bytes);
}

sfconv_status sfi_file_header_parse(sfi_file_header *header, sfconv_context *context,
                                    const char *file, const char *text, size_t length,
                                    int64_t data_bytes)
{
    const parse p = {header, file};
    json_error_t error;
    *header = (sfi_file_header){.context = context};
    if (!sfi_utf8_valid(text, length)) {
        return sfi_fail(context, SFCONV_ERROR_FORMAT, "%s: header: expected UTF-8, got other bytes",
                        file);
    }
    if (length == 0 || text[0] != '{') {
        return sfi_fail(context, SFCONV_ERROR_FORMAT,
                        "%s: header: expected a JSON object, got another beginning", file);
    }
    json_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        return json_error_code(&error) == json_error_out_of_memory
                   ? sfi_fail_memory(context, file, length)
                   : sfi_fail(context, SFCONV_ERROR_FORMAT,
                              "%s: header: expected a JSON object, got: %.150s (byte %d)", file,
                              error.text, error.position);
    }
    sfconv_status status = sfi_metadata_new(&header->metadata, context);
    if (status == SFCONV_OK) {
        status = take_root(&p, root, data_bytes);
    }
    json_decref(root);
    if (status < 0) {
        sfi_file_header_clear(header);
    }
    return status;
}

void sfi_file_header_clear(sfi_file_header *header)
{
    sfconv_context *context = header->context;
    sfi_metadata_free(header->metadata);
    sfi_free(context, header->names, header->names_bytes);
    sfi_free(context, header->tensors, header->count * sizeof *header->tensors);
    sfi_free(context, header->by_name, header->count * sizeof *header->by_name);
    *header = (sfi_file_header){.context = context};
}

const sfi_file_tensor *sfi_file_header_find(const sfi_file_header *header, const char *name)
{
    size_t low = 0;
    size_t high = header->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = strcmp(header->by_name[middle]->name, name);
        if (order == 0) {
            return header->by_name[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}
