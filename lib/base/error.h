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

/* Puts "NAME: " in front of the reason kept last, so that an error of a layer names its node. */
void sfi_error_prefix(sfconv_context *context, const char *name);

void sfi_log_line(sfconv_context *context, int32_t level, const char *format, ...) SFI_PRINTF(3, 4);

#endif
