/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_ERROR_H
#define SFI_ERROR_H

#include "ctx.h"

#if defined(__GNUC__)
#define SFI_PRINTF(format_index, first_index)                                                      \
    __attribute__((format(printf, format_index, first_index)))
#else
#define SFI_PRINTF(format_index, first_index)
#endif

/* Keeps the reason in the context, logs it, and returns `status`: `return sfi_fail(...)`. Without a
 * context (NULL: none is known yet) it returns `status` alone. */
sfconv_status sfi_fail(sfconv_context *context, sfconv_status status, const char *format, ...)
    SFI_PRINTF(3, 4);

/* The reason "NAME: out of memory (BYTES bytes)". */
sfconv_status sfi_fail_memory(sfconv_context *context, const char *name, size_t bytes);

/* What a thread is at: between enter and leave "NAME: " stands in front of each reason of this
 * thread, so that an error of a layer names its node, and "; HINT" behind it. Scopes nest. */
typedef struct sfi_error_scope {
    const char *name;
    /* NULL: none. */
    const char *hint;
    /* Below: set by sfi_error_enter. */
    pthread_t thread;
    struct sfi_error_scope *outer;
} sfi_error_scope;

void sfi_error_enter(sfconv_context *context, sfi_error_scope *scope);
void sfi_error_leave(sfconv_context *context, sfi_error_scope *scope);

void sfi_log_line(sfconv_context *context, int32_t level, const char *format, ...) SFI_PRINTF(3, 4);

/* Keeps a line that can be asked for as long as the context lives, and logs it. For the thread that
 * makes the context. */
void sfi_warn(sfconv_context *context, const char *format, ...) SFI_PRINTF(2, 3);

#endif
