/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory.h"

#include <string.h>

void *sfi_alloc(sfconv_context *context, size_t bytes)
{
    if (bytes == 0) {
        return NULL;
    }
    return context->allocate(context->memory_user, bytes, SFI_ALIGNMENT);
}

void *sfi_calloc(sfconv_context *context, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        return NULL;
    }
    void *memory = sfi_alloc(context, bytes);
    if (memory) {
        memset(memory, 0, bytes);
    }
    return memory;
}

void sfi_free(sfconv_context *context, void *memory, size_t bytes)
{
    if (memory) {
        context->release(context->memory_user, memory, bytes);
    }
}

char *sfi_copy_text(sfconv_context *context, const char *text)
{
    const size_t bytes = strlen(text) + 1;
    char *copy = sfi_alloc(context, bytes);
    if (copy) {
        memcpy(copy, text, bytes);
    }
    return copy;
}

void sfi_free_text(sfconv_context *context, char *text)
{
    if (text) {
        sfi_free(context, text, strlen(text) + 1);
    }
}

bool sfi_grow(sfconv_context *context, void **array, size_t *capacity, size_t needed, size_t size)
{
    size_t wanted = *capacity ? *capacity : 8;
    if (needed <= *capacity) {
        return true;
    }
    while (wanted < needed) {
        if (wanted > SIZE_MAX / 2) {
            return false;
        }
        wanted *= 2;
    }
    char *grown = sfi_calloc(context, wanted, size);
    if (!grown) {
        return false;
    }
    if (*array) {
        memcpy(grown, *array, *capacity * size);
    }
    sfi_free(context, *array, *capacity * size);
    *array = grown;
    *capacity = wanted;
    return true;
}
