/* SPDX-License-Identifier: BSD-2-Clause */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Both texts cut where the room ends. */
static void put_in_front(char text[SFI_ERROR_CAPACITY], const char *name)
{
    const size_t length = strlen(name);
    const size_t kept = length < SFI_ERROR_CAPACITY - 2 ? length : SFI_ERROR_CAPACITY - 3;
    memmove(text + kept + 2, text, SFI_ERROR_CAPACITY - kept - 2);
    memcpy(text, name, kept);
    memcpy(text + kept, ": ", 2);
    text[SFI_ERROR_CAPACITY - 1] = '\0';
}

static void put_behind(char text[SFI_ERROR_CAPACITY], const char *hint)
{
    const size_t length = strlen(text);
    snprintf(text + length, SFI_ERROR_CAPACITY - length, "; %s", hint);
}

sfconv_status sfi_fail(sfconv_context *context, sfconv_status status, const char *format, ...)
{
    char text[SFI_ERROR_CAPACITY] = "";
    va_list arguments;
    if (!context) {
        return status;
    }
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const pthread_t self = pthread_self();
    pthread_mutex_lock(&context->error_lock);
    for (const sfi_error_scope *at = context->scopes; at; at = at->outer) {
        if (!pthread_equal(at->thread, self)) {
            continue;
        }
        put_in_front(text, at->name);
        if (at->hint) {
            put_behind(text, at->hint);
        }
    }
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

void sfi_error_enter(sfconv_context *context, sfi_error_scope *scope)
{
    scope->thread = pthread_self();
    pthread_mutex_lock(&context->error_lock);
    scope->outer = context->scopes;
    context->scopes = scope;
    pthread_mutex_unlock(&context->error_lock);
}

void sfi_error_leave(sfconv_context *context, sfi_error_scope *scope)
{
    pthread_mutex_lock(&context->error_lock);
    sfi_error_scope **link = &context->scopes;
    while (*link != scope) {
        link = &(*link)->outer;
    }
    *link = scope->outer;
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

void sfi_warn(sfconv_context *context, const char *format, ...)
{
    char text[SFI_ERROR_CAPACITY];
    const size_t length = strlen(context->warning);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    snprintf(context->warning + length, sizeof context->warning - length, "%s%s",
             length > 0 ? "\n" : "", text);
    sfi_log_line(context, SFCONV_LOG_WARNING, "%s", text);
}
