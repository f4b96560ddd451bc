/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_SAFETENSORS_WRITER_H
#define SFI_SAFETENSORS_WRITER_H

#include "metadata.h"

/* A float32 tensor to save; everything belongs to the caller. */
typedef struct sfi_saved_tensor {
    const char *name;
    int32_t rank;
    int64_t shape[4];
    int64_t count;
    const float *data;
} sfi_saved_tensor;

/*
 * Writes tensors of different names in their order, and `metadata` unless it is NULL or empty;
 * the header is padded with spaces to a multiple of 8 bytes. The file is replaced as a whole or not
 * at all. ARGUMENT (a name that is not UTF-8 or the metadata's own; a header over the format's
 * limit), OVERFLOW, IO, MEMORY.
 */
sfconv_status sfi_file_write(sfconv_context *context, const char *path,
                             const sfi_saved_tensor *tensors, size_t count,
                             const sfconv_metadata *metadata);

#endif
