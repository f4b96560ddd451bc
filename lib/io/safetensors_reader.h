/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads safetensors files: the header at once, the numbers tensor by tensor when they are asked
 * for, so that loading takes the memory of the target and little more. */
#ifndef SFI_SAFETENSORS_READER_H
#define SFI_SAFETENSORS_READER_H

#include "safetensors_header.h"

typedef struct sfi_file_reader sfi_file_reader;

/* Opens a file and checks its header. IO (cannot be opened or read, no regular file), FORMAT,
 * MEMORY. */
sfconv_status sfi_file_reader_open(sfi_file_reader **reader, sfconv_context *context,
                                   const char *path);
/* The same for bytes in memory, which must outlive the reader; `name` stands in the reasons. */
sfconv_status sfi_file_reader_open_memory(sfi_file_reader **reader, sfconv_context *context,
                                          const void *bytes, size_t size, const char *name);
/* NULL is allowed. */
void sfi_file_reader_close(sfi_file_reader *reader);

/* Path or name, for reasons. */
const char *sfi_file_reader_name(const sfi_file_reader *reader);
/* Tensors and metadata; lives as long as the reader. */
const sfi_file_header *sfi_file_reader_header(const sfi_file_reader *reader);

/* Whether a tensor holds real numbers of this shape: FORMAT (another dtype), SHAPE. */
sfconv_status sfi_file_tensor_check(const sfi_file_reader *reader, const sfi_file_tensor *tensor,
                                    int32_t rank, const int64_t *shape);
/* Reads all numbers of a tensor of this reader as float32. FORMAT (another dtype), IO; `out` may be
 * part written then. */
sfconv_status sfi_file_reader_read(sfi_file_reader *reader, const sfi_file_tensor *tensor,
                                   float *out);

#endif
