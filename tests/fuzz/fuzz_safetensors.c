/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a safetensors file: they are read or refused. Seeds lie in the folder safetensors.
 */
#include "safetensors_reader.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_tensors(sfi_file_reader *reader)
{
    const sfi_file_header *header = sfi_file_reader_header(reader);
    for (size_t i = 0; i < header->count; i++) {
        const sfi_file_tensor *tensor = &header->tensors[i];
        float *numbers = malloc((size_t)tensor->count * sizeof *numbers + 1);
        if (numbers && sfi_file_header_find(header, tensor->name) != tensor) {
            abort();
        }
        if (numbers) {
            sfi_file_reader_read(reader, tensor, numbers);
        }
        free(numbers);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *context;
    sfi_file_reader *reader;
    if (sfi_context_create(&context, &desc, NULL, SFCONV_ISA_REFERENCE) < 0) {
        return 0;
    }
    if (sfi_file_reader_open_memory(&reader, context, data, size, "input") == SFCONV_OK) {
        read_tensors(reader);
    }
    sfi_file_reader_close(reader);
    sfi_context_release(context);
    return 0;
}
