/* SPDX-License-Identifier: BSD-2-Clause */
#include "safetensors_writer.h"

#include "atomic_file.h"
#include "error.h"
#include "memory.h"
#include "safetensors_header.h"
#include "sizes.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_NUMBERS 4096

/* {"dtype":"F32","shape":[…],"data_offsets":[begin,end]}; NULL when memory runs out. */
static json_t *describe(const sfi_saved_tensor *tensor, int64_t begin, int64_t end)
{
    json_t *shape = json_array();
    for (int32_t i = 0; i < tensor->rank; i++) {
        if (json_array_append_new(shape, json_integer(tensor->shape[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", sfi_dtype_name(SFI_DTYPE_F32), "shape", shape,
                     "data_offsets", (json_int_t)begin, (json_int_t)end);
}

static sfconv_status add_metadata(sfconv_context *context, const char *path, json_t *root,
                                  const sfconv_metadata *metadata)
{
    json_t *texts = json_object();
    bool complete = texts != NULL;
    for (size_t i = 0; complete && i < metadata->count; i++) {
        complete = json_object_set_new(texts, metadata->pairs[i].name,
                                       json_string(metadata->pairs[i].value)) == 0;
    }
    if (!complete) {
        json_decref(texts);
        return sfi_fail_memory(context, path, metadata->count);
    }
    return json_object_set_new(root, SFI_FILE_METADATA_KEY, texts) == 0
               ? SFCONV_OK
               : sfi_fail_memory(context, path, metadata->count);
}

static sfconv_status add_tensors(sfconv_context *context, const char *path, json_t *root,
                                 const sfi_saved_tensor *tensors, size_t count)
{
    int64_t begin = 0;
    for (size_t i = 0; i < count; i++) {
        const sfi_saved_tensor *tensor = &tensors[i];
        int64_t bytes;
        int64_t end;
        if (!sfi_utf8_valid(tensor->name, strlen(tensor->name)) ||
            strcmp(tensor->name, SFI_FILE_METADATA_KEY) == 0) {
            return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                            "%s: tensor \"%.100s\": expected a name in UTF-8 other than "
                            "\"" SFI_FILE_METADATA_KEY "\"",
                            path, tensor->name);
        }
        if (json_object_get(root, tensor->name)) {
            return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                            "%s: tensor \"%.100s\": expected a name of its own, got two tensors of "
                            "that name",
                            path, tensor->name);
        }
        if (!sfi_mul(&bytes, tensor->count, (int64_t)sizeof(float)) ||
            !sfi_add(&end, begin, bytes)) {
            return sfi_fail(context, SFCONV_ERROR_OVERFLOW,
                            "%s: tensor \"%.100s\": the file's size overflows", path, tensor->name);
        }
        if (json_object_set_new(root, tensor->name, describe(tensor, begin, end)) != 0) {
            return sfi_fail_memory(context, path, count);
        }
        begin = end;
    }
    return SFCONV_OK;
}

/* The header as text from malloc. */
static sfconv_status make_header(sfconv_context *context, const char *path,
                                 const sfi_saved_tensor *tensors, size_t count,
                                 const sfconv_metadata *metadata, char **text)
{
    json_t *root = json_object();
    sfconv_status status = root ? SFCONV_OK : sfi_fail_memory(context, path, count);
    *text = NULL;
    if (status == SFCONV_OK && metadata && metadata->count > 0) {
        status = add_metadata(context, path, root, metadata);
    }
    if (status == SFCONV_OK) {
        status = add_tensors(context, path, root, tensors, count);
    }
    if (status == SFCONV_OK) {
        *text = json_dumps(root, JSON_COMPACT);
        status = *text ? SFCONV_OK : sfi_fail_memory(context, path, count);
    }
    json_decref(root);
    return status;
}

static sfconv_status write_header(sfi_atomic_file *file, const char *text)
{
    static const char padding[8] = "        ";
    const size_t length = strlen(text);
    const size_t padded = (length + 7) / 8 * 8;
    unsigned char stated[8];
    if (padded > SFI_FILE_MAX_HEADER) {
        return sfi_fail(file->context, SFCONV_ERROR_ARGUMENT,
                        "%s: expected names and metadata of at most %d bytes, got %zu", file->path,
                        SFI_FILE_MAX_HEADER, padded);
    }
    for (int i = 0; i < 8; i++) {
        stated[i] = (unsigned char)((uint64_t)padded >> (8 * i));
    }
    sfconv_status status = sfi_atomic_file_write(file, stated, sizeof stated);
    if (status == SFCONV_OK) {
        status = sfi_atomic_file_write(file, text, length);
    }
    return status < 0 ? status : sfi_atomic_file_write(file, padding, padded - length);
}

static sfconv_status write_numbers(sfi_atomic_file *file, const sfi_saved_tensor *tensor)
{
    unsigned char bytes[CHUNK_NUMBERS * sizeof(float)];
    for (int64_t done = 0; done < tensor->count; done += CHUNK_NUMBERS) {
        const int64_t count = sfi_min(CHUNK_NUMBERS, tensor->count - done);
        sfi_float_to_bytes(tensor->data + done, count, bytes);
        const sfconv_status status =
            sfi_atomic_file_write(file, bytes, (size_t)count * sizeof(float));
        if (status < 0) {
            return status;
        }
    }
    return SFCONV_OK;
}

sfconv_status sfi_file_write(sfconv_context *context, const char *path,
                             const sfi_saved_tensor *tensors, size_t count,
                             const sfconv_metadata *metadata)
{
    sfi_atomic_file file;
    char *header;
    sfconv_status status = make_header(context, path, tensors, count, metadata, &header);
    if (status < 0) {
        return status;
    }
    status = sfi_atomic_file_open(&file, context, path);
    if (status < 0) {
        goto free_header;
    }
    status = write_header(&file, header);
    for (size_t i = 0; i < count && status == SFCONV_OK; i++) {
        status = write_numbers(&file, &tensors[i]);
    }
    if (status == SFCONV_OK) {
        status = sfi_atomic_file_commit(&file);
    } else {
        sfi_atomic_file_abort(&file);
    }
free_header:
    free(header);
    return status;
}
