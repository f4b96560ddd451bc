/* SPDX-License-Identifier: BSD-2-Clause */
/* The header of a safetensors file: parsed and checked in full before any number is read, so that
 * everybody behind it may trust names, shapes and offsets. */
#ifndef SFI_SAFETENSORS_HEADER_H
#define SFI_SAFETENSORS_HEADER_H

#include "dtype.h"
#include "metadata.h"

#define SFI_FILE_MAX_HEADER 100000000
#define SFI_FILE_MAX_TENSORS 100000
#define SFI_FILE_MAX_TEXTS 10000
#define SFI_FILE_MAX_RANK 8
#define SFI_FILE_METADATA_KEY "__metadata__"

typedef struct sfi_file_tensor {
    /* Lives as long as the header. */
    const char *name;
    sfi_dtype dtype;
    /* 0 to SFI_FILE_MAX_RANK. */
    int32_t rank;
    int64_t shape[SFI_FILE_MAX_RANK];
    int64_t count;
    /* From the first byte behind the header. */
    int64_t offset;
    int64_t bytes;
} sfi_file_tensor;

typedef struct sfi_file_header {
    sfconv_context *context;
    /* In the order of their data. */
    sfi_file_tensor *tensors;
    /* The same by name, for searching. */
    const sfi_file_tensor **by_name;
    size_t count;
    sfconv_metadata *metadata;
    char *names;
    size_t names_bytes;
} sfi_file_header;

/*
 * Parses `length` bytes of JSON that describe `data_bytes` bytes of numbers. `file` stands in the
 * reasons. FORMAT for whatever docs/model-format.md refuses, MEMORY; *header is empty then.
 * The JSON library takes its memory from malloc, and gives it back before the call returns.
 */
sfconv_status sfi_file_header_parse(sfi_file_header *header, sfconv_context *context,
                                    const char *file, const char *text, size_t length,
                                    int64_t data_bytes);
void sfi_file_header_clear(sfi_file_header *header);

/* NULL when there is none of that name. */
const sfi_file_tensor *sfi_file_header_find(const sfi_file_header *header, const char *name);

#endif
