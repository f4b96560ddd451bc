/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_MEMORY_H
#define SFI_MEMORY_H

#include "ctx.h"

#include <stdbool.h>

#define SFI_ALIGNMENT 64

/* 64-byte aligned, contents undefined; NULL when the allocator refuses or bytes is 0. */
void *sfi_alloc(sfconv_context *context, size_t bytes);
/* As sfi_alloc, filled with zero; NULL too when count * size overflows. */
void *sfi_calloc(sfconv_context *context, size_t count, size_t size);
/* `bytes` as asked for; NULL is allowed. */
void sfi_free(sfconv_context *context, void *memory, size_t bytes);
/* A copy of `text` that lives until sfi_free_text(). */
char *sfi_copy_text(sfconv_context *context, const char *text);
void sfi_free_text(sfconv_context *context, char *text);
/* Makes *array (elements of `size` bytes, *capacity of them) hold at least `needed`; on failure
 * nothing has changed. New elements are zero. */
bool sfi_grow(sfconv_context *context, void **array, size_t *capacity, size_t needed, size_t size);

#endif
