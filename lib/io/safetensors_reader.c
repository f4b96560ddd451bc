/* SPDX-License-Identifier: BSD-2-Clause */
#include "safetensors_reader.h"

#include "error.h"
#include "memory.h"
#include "sizes.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LENGTH_BYTES 8
/* A multiple of every dtype's size. */
#define CHUNK_BYTES 65536

struct sfi_file_reader {
    sfconv_context *context;
    char *name;
    /* A file, or -1 and bytes in memory. */
    int descriptor;
    const unsigned char *memory;
    int64_t size;
    int64_t data_start;
    sfi_file_header header;
    unsigned char chunk[CHUNK_BYTES];
};

static sfconv_status read_file(sfi_file_reader *reader, int64_t offset, unsigned char *out,
                               int64_t bytes)
{
    while (bytes > 0) {
        const ssize_t got = pread(reader->descriptor, out, (size_t)bytes, (off_t)offset);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return sfi_fail(reader->context, SFCONV_ERROR_IO, "%s: reading failed: %s",
                            reader->name, strerror(errno));
        }
        if (got == 0) {
            return sfi_fail(reader->context, SFCONV_ERROR_IO, "%s: the file shrank while read",
                            reader->name);
        }
        out += got;
        offset += got;
        bytes -= got;
    }
    return SFCONV_OK;
}

static sfconv_status read_bytes(sfi_file_reader *reader, int64_t offset, unsigned char *out,
                                int64_t bytes)
{
    assert(offset <= reader->size && bytes <= reader->size - offset);
    if (reader->descriptor >= 0) {
        return read_file(reader, offset, out, bytes);
    }
    memcpy(out, reader->memory + offset, (size_t)bytes);
    return SFCONV_OK;
}

/* Length of the header: FORMAT when the file cannot hold one of that length. */
static sfconv_status read_length(sfi_file_reader *reader, int64_t *length)
{
    unsigned char bytes[LENGTH_BYTES];
    uint64_t stated = 0;
    if (reader->size < LENGTH_BYTES) {
        return sfi_fail(reader->context, SFCONV_ERROR_FORMAT,
                        "%s: expected at least %d bytes, got %lld", reader->name, LENGTH_BYTES,
                        (long long)reader->size);
    }
    const sfconv_status status = read_bytes(reader, 0, bytes, LENGTH_BYTES);
    if (status < 0) {
        return status;
    }
    for (int i = 0; i < LENGTH_BYTES; i++) {
        stated |= (uint64_t)bytes[i] << (8 * i);
    }
    const uint64_t rest = (uint64_t)(reader->size - LENGTH_BYTES);
    if (stated > SFI_FILE_MAX_HEADER || stated > rest) {
        return sfi_fail(
            reader->context, SFCONV_ERROR_FORMAT,
            "%s: header: expected at most %llu bytes, got %llu: not safetensors, or cut off",
            reader->name,
            (unsigned long long)(rest < SFI_FILE_MAX_HEADER ? rest : SFI_FILE_MAX_HEADER),
            (unsigned long long)stated);
    }
    *length = (int64_t)stated;
    return SFCONV_OK;
}

static sfconv_status read_header(sfi_file_reader *reader)
{
    int64_t length = 0;
    sfconv_status status = read_length(reader, &length);
    if (status < 0) {
        return status;
    }
    reader->data_start = LENGTH_BYTES + length;
    /* One byte more, so that an empty header has memory too. */
    unsigned char *text = sfi_alloc(reader->context, (size_t)length + 1);
    if (!text) {
        return sfi_fail_memory(reader->context, reader->name, (size_t)length + 1);
    }
    status = read_bytes(reader, LENGTH_BYTES, text, length);
    if (status == SFCONV_OK) {
        status = sfi_file_header_parse(&reader->header, reader->context, reader->name,
                                       (const char *)text, (size_t)length,
                                       reader->size - reader->data_start);
    }
    sfi_free(reader->context, text, (size_t)length + 1);
    return status;
}

static sfconv_status open_descriptor(sfi_file_reader *reader, const char *path)
{
    struct stat facts;
    /* Not blocking, or a pipe in the place of a model would stop the caller. */
    reader->descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (reader->descriptor < 0 || fstat(reader->descriptor, &facts) != 0) {
        return sfi_fail(reader->context, SFCONV_ERROR_IO, "%s: cannot be opened: %s", path,
                        strerror(errno));
    }
    if (!S_ISREG(facts.st_mode)) {
        return sfi_fail(reader->context, SFCONV_ERROR_IO,
                        "%s: expected a regular file, got something else", path);
    }
    reader->size = (int64_t)facts.st_size;
    return SFCONV_OK;
}

static sfconv_status new_reader(sfi_file_reader **out, sfconv_context *context, const char *name)
{
    sfi_file_reader *reader = sfi_calloc(context, 1, sizeof *reader);
    *out = NULL;
    if (!reader) {
        return sfi_fail_memory(context, name, sizeof *reader);
    }
    reader->context = sfi_context_retain(context);
    reader->header.context = context;
    reader->descriptor = -1;
    reader->name = sfi_copy_text(context, name);
    if (!reader->name) {
        sfi_file_reader_close(reader);
        return sfi_fail_memory(context, name, strlen(name) + 1);
    }
    *out = reader;
    return SFCONV_OK;
}

static sfconv_status finish_open(sfi_file_reader **out, sfi_file_reader *reader,
                                 sfconv_status status)
{
    if (status == SFCONV_OK) {
        status = read_header(reader);
    }
    if (status < 0) {
        sfi_file_reader_close(reader);
        reader = NULL;
    }
    *out = reader;
    return status;
}

sfconv_status sfi_file_reader_open(sfi_file_reader **out, sfconv_context *context, const char *path)
{
    sfi_file_reader *reader;
    const sfconv_status status = new_reader(&reader, context, path);
    *out = NULL;
    return status < 0 ? status : finish_open(out, reader, open_descriptor(reader, path));
}

sfconv_status sfi_file_reader_open_memory(sfi_file_reader **out, sfconv_context *context,
                                          const void *bytes, size_t size, const char *name)
{
    sfi_file_reader *reader;
    const sfconv_status status = new_reader(&reader, context, name);
    *out = NULL;
    if (status < 0) {
        return status;
    }
    reader->memory = bytes;
    reader->size = (int64_t)size;
    return finish_open(out, reader, SFCONV_OK);
}

void sfi_file_reader_close(sfi_file_reader *reader)
{
    if (!reader) {
        return;
    }
    sfconv_context *context = reader->context;
    if (reader->descriptor >= 0) {
        close(reader->descriptor);
    }
    sfi_file_header_clear(&reader->header);
    sfi_free_text(context, reader->name);
    sfi_free(context, reader, sizeof *reader);
    sfi_context_release(context);
}

const char *sfi_file_reader_name(const sfi_file_reader *reader)
{
    return reader->name;
}

const sfi_file_header *sfi_file_reader_header(const sfi_file_reader *reader)
{
    return &reader->header;
}

static sfconv_status check_dtype(const sfi_file_reader *reader, const sfi_file_tensor *tensor)
{
    if (!sfi_dtype_is_float(tensor->dtype)) {
        return sfi_fail(reader->context, SFCONV_ERROR_FORMAT,
                        "%s: tensor \"%.100s\": expected dtype F32, F16, BF16 or F64, got %s",
                        reader->name, tensor->name, sfi_dtype_name(tensor->dtype));
    }
    return SFCONV_OK;
}

/* "[64, 3, 7, 7]" */
static void shape_text(char *text, size_t capacity, int32_t rank, const int64_t *shape)
{
    size_t length = (size_t)snprintf(text, capacity, "[");
    for (int32_t i = 0; i < rank && length < capacity; i++) {
        length += (size_t)snprintf(text + length, capacity - length, "%s%lld", i ? ", " : "",
                                   (long long)shape[i]);
    }
    if (length < capacity) {
        snprintf(text + length, capacity - length, "]");
    }
}

sfconv_status sfi_file_tensor_check(const sfi_file_reader *reader, const sfi_file_tensor *tensor,
                                    int32_t rank, const int64_t *shape)
{
    char expected[128];
    char got[128];
    const size_t bytes = (size_t)rank * sizeof *shape;
    if (tensor->rank != rank || memcmp(tensor->shape, shape, bytes) != 0) {
        shape_text(expected, sizeof expected, rank, shape);
        shape_text(got, sizeof got, tensor->rank, tensor->shape);
        return sfi_fail(reader->context, SFCONV_ERROR_SHAPE,
                        "%s: tensor \"%.100s\": expected shape %s, got %s", reader->name,
                        tensor->name, expected, got);
    }
    return check_dtype(reader, tensor);
}

sfconv_status sfi_file_reader_read(sfi_file_reader *reader, const sfi_file_tensor *tensor,
                                   float *out)
{
    const int64_t item = sfi_dtype_bytes(tensor->dtype);
    const int64_t start = reader->data_start + tensor->offset;
    sfconv_status status = check_dtype(reader, tensor);
    for (int64_t done = 0; done < tensor->bytes && status == SFCONV_OK; done += CHUNK_BYTES) {
        const int64_t bytes = sfi_min(CHUNK_BYTES, tensor->bytes - done);
        status = read_bytes(reader, start + done, reader->chunk, bytes);
        if (status == SFCONV_OK) {
            sfi_dtype_to_float(tensor->dtype, reader->chunk, bytes / item, out + done / item);
        }
    }
    return status;
}
