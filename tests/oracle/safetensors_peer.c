/* SPDX-License-Identifier: BSD-2-Clause */
/* The library's side of safetensors_check.py. */
#include "safetensors_reader.h"
#include "safetensors_writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void require(bool held, const char *what, const sfconv_context *context)
{
    if (!held) {
        fprintf(stderr, "%s: %s\n", what, context->error);
        exit(EXIT_FAILURE);
    }
}

static void write_file(sfconv_context *context, const char *path)
{
    const float weight[] = {0.5f, -1.0f, 1.5f, -2.0f, 2.5f, -3.0f};
    const float bias[] = {1.0f, INFINITY};
    const sfi_saved_tensor tensors[] = {
        {"conv.weight", 4, {2, 1, 1, 3}, 6, weight},
        {"conv.bias", 1, {2}, 2, bias},
    };
    sfconv_metadata *metadata;
    require(sfi_metadata_new(&metadata, context) == SFCONV_OK &&
                sfi_metadata_set(metadata, "classes", "healthy, “sick”") == SFCONV_OK &&
                sfi_metadata_set(metadata, "note", "a\nb") == SFCONV_OK,
            "metadata", context);
    require(sfi_file_write(context, path, tensors, 2, metadata) == SFCONV_OK, "write", context);
    sfi_metadata_free(metadata);
}

static void expect(sfconv_context *context, sfi_file_reader *reader, const char *name,
                   int64_t count, const float *expected)
{
    float values[8];
    const sfi_file_tensor *tensor = sfi_file_header_find(sfi_file_reader_header(reader), name);
    require(tensor && tensor->count == count, name, context);
    require(sfi_file_reader_read(reader, tensor, values) == SFCONV_OK, name, context);
    require(memcmp(values, expected, (size_t)count * sizeof *expected) == 0, name, context);
}

static void read_file(sfconv_context *context, const char *path)
{
    sfi_file_reader *reader;
    require(sfi_file_reader_open(&reader, context, path) == SFCONV_OK, "open", context);
    const sfi_file_header *header = sfi_file_reader_header(reader);
    const char *from = sfi_metadata_get(header->metadata, "from");
    require(header->count == 6, "six tensors", context);
    require(from && strcmp(from, "python ☃") == 0, "metadata", context);
    expect(context, reader, "single", 4, (float[]){1.0f, -2.5f, 0x1p-149f, -0.0f});
    expect(context, reader, "half", 3, (float[]){65504.0f, 0x1p-24f, -1.0f});
    expect(context, reader, "double", 1, (float[]){0.1f});
    expect(context, reader, "empty", 0, (float[]){0});
    sfi_file_reader_close(reader);
}

int main(int count, char **arguments)
{
    const sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *context;
    if (count != 3 || sfi_context_create(&context, &desc, NULL, SFCONV_ISA_REFERENCE) < 0) {
        return EXIT_FAILURE;
    }
    (strcmp(arguments[1], "write") == 0 ? write_file : read_file)(context, arguments[2]);
    sfi_context_release(context);
    return EXIT_SUCCESS;
}
