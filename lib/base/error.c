/* SPDX-License-Identifier: BSD-2-Clause */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

sfconv_status sfi_fail(sfconv_context *context, sfconv_status status, const char *format, ...)
{
    char text[SFI_ERROR_CAPACITY];
    va_list arguments;
    if (!context) {
        return status;
    }
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    pthread_mutex_lock(&context->error_lock);
    memcpy(context->error, text, sizeof text);
    pthread_mutex_unlock(&context->error_lock);
    if (context->log) {
        context->log(context->log_user, SFCONV_LOG_ERROR, text);
    }
    return status;
}

sfconv_status sfi_fail_memory(sfconv_context *context, const char *name, size_t bytes)
{
    return sfi_fail(context, SFCONV_ERROR_MEMORY, "%s: out of memory (%zu bytes)", name, bytes);
}

void sfi_error_prefix(sfconv_context *context, const char *name)
{
    char text[SFI_ERROR_CAPACITY];
    pthread_mutex_lock(&context->error_lock);
    const size_t length = strlen(name);
    const size_t kept = length < sizeof text - 2 ? length : sizeof text - 3;
    memcpy(text, name, kept);
    memcpy(text + kept, ": ", 2);
    const size_t room = sizeof text - kept - 3;
    const size_t rest = strlen(context->error);
    const size_t copied = rest < room ? rest : room;
    memcpy(text + kept + 2, context->error, copied);
    text[kept + 2 + copied] = '\0';
    memcpy(context->error, text, sizeof text);
    pthread_mutex_unlock(&context->error_lock);
}

void sfi_log_line(sfconv_context *context, int32_t level, const char *format, ...)
{
    char text[SFI_ERROR_CAPACITY];
    va_list arguments;
    if (!context->log) {
        return;
    }
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    context->log(context->log_user, level, text);
}
