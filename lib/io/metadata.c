/* SPDX-License-Identifier: BSD-2-Clause */
#include "metadata.h"

#include "error.h"
#include "memory.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Length of the sequence that starts at `text`, 0 when it is none. */
static size_t utf8_sequence(const unsigned char *text, size_t length)
{
    const unsigned char lead = text[0];
    const size_t bytes = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (bytes == 0 || bytes > length || lead > 0xf4) {
        return 0;
    }
    for (size_t i = 1; i < bytes; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    const bool over_long = (lead == 0xe0 && text[1] < 0xa0) || (lead == 0xf0 && text[1] < 0x90);
    const bool surrogate = lead == 0xed && text[1] > 0x9f;
    const bool beyond_unicode = lead == 0xf4 && text[1] > 0x8f;
    return over_long || surrogate || beyond_unicode ? 0 : bytes;
}

bool sfi_utf8_valid(const char *text, size_t length)
{
    size_t at = 0;
    while (at < length) {
        const size_t bytes = utf8_sequence((const unsigned char *)text + at, length - at);
        if (bytes == 0) {
            return false;
        }
        at += bytes;
    }
    return true;
}

sfconv_status sfi_metadata_new(sfconv_metadata **metadata, sfconv_context *context)
{
    *metadata = sfi_calloc(context, 1, sizeof **metadata);
    if (!*metadata) {
        return sfi_fail_memory(context, "metadata", sizeof **metadata);
    }
    (*metadata)->magic = SFI_METADATA_MAGIC;
    (*metadata)->context = sfi_context_retain(context);
    return SFCONV_OK;
}

void sfi_metadata_free(sfconv_metadata *metadata)
{
    if (!metadata) {
        return;
    }
    sfconv_context *context = metadata->context;
    for (size_t i = 0; i < metadata->count; i++) {
        sfi_free_text(context, metadata->pairs[i].name);
        sfi_free_text(context, metadata->pairs[i].value);
    }
    sfi_free(context, metadata->pairs, metadata->capacity * sizeof *metadata->pairs);
    metadata->magic = 0;
    sfi_free(context, metadata, sizeof *metadata);
    sfi_context_release(context);
}

static sfi_text_pair *find(const sfconv_metadata *metadata, const char *name)
{
    for (size_t i = 0; i < metadata->count; i++) {
        if (strcmp(metadata->pairs[i].name, name) == 0) {
            return &metadata->pairs[i];
        }
    }
    return NULL;
}

/* Takes over both texts; the room is there. */
static void put(sfconv_metadata *metadata, sfi_text_pair taken)
{
    sfi_text_pair *pair = find(metadata, taken.name);
    if (pair) {
        sfi_free_text(metadata->context, pair->name);
        sfi_free_text(metadata->context, pair->value);
    } else {
        assert(metadata->count < metadata->capacity);
        pair = &metadata->pairs[metadata->count++];
    }
    *pair = taken;
}

/* Copies both texts and makes room for them. */
static sfconv_status prepare(sfconv_metadata *metadata, const char *name, const char *value,
                             sfi_text_pair *copy)
{
    sfconv_context *context = metadata->context;
    const sfconv_status status = sfi_metadata_reserve(metadata, 1);
    if (status < 0) {
        return status;
    }
    *copy = (sfi_text_pair){sfi_copy_text(context, name), sfi_copy_text(context, value)};
    if (!copy->name || !copy->value) {
        sfi_free_text(context, copy->name);
        sfi_free_text(context, copy->value);
        return sfi_fail_memory(context, "metadata", strlen(name) + strlen(value) + 2);
    }
    return SFCONV_OK;
}

sfconv_status sfi_metadata_set(sfconv_metadata *metadata, const char *name, const char *value)
{
    sfconv_context *context = metadata->context;
    sfi_text_pair copy;
    if (!*name) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT, "metadata: expected a name, got \"\"");
    }
    if (!sfi_utf8_valid(name, strlen(name)) || !sfi_utf8_valid(value, strlen(value))) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                        "metadata: expected UTF-8, got other bytes in name or value of \"%.100s\"",
                        name);
    }
    const sfconv_status status = prepare(metadata, name, value, &copy);
    if (status == SFCONV_OK) {
        put(metadata, copy);
    }
    return status;
}

sfconv_status sfi_metadata_append(sfconv_metadata *metadata, const char *name, const char *value)
{
    sfi_text_pair copy;
    const sfconv_status status = prepare(metadata, name, value, &copy);
    if (status == SFCONV_OK) {
        metadata->pairs[metadata->count++] = copy;
    }
    return status;
}

sfconv_status sfi_metadata_set_integer(sfconv_metadata *metadata, const char *name, uint64_t value)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRIu64, value);
    return sfi_metadata_set(metadata, name, digits);
}

bool sfi_text_to_integer(const char *text, uint64_t *value)
{
    uint64_t sum = 0;
    for (const char *at = text; *at; at++) {
        if (*at < '0' || *at > '9' || __builtin_mul_overflow(sum, (uint64_t)10, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(*at - '0'), &sum)) {
            return false;
        }
    }
    *value = sum;
    return *text != '\0';
}

const char *sfi_metadata_get(const sfconv_metadata *metadata, const char *name)
{
    const sfi_text_pair *pair = find(metadata, name);
    return pair ? pair->value : NULL;
}

static bool is_reserved(const char *name)
{
    return strncmp(name, SFI_RESERVED_PREFIX, sizeof SFI_RESERVED_PREFIX - 1) == 0;
}

sfconv_status sfi_metadata_copy_foreign(sfconv_metadata *target, const sfconv_metadata *source)
{
    for (size_t i = 0; i < source->count; i++) {
        const sfi_text_pair *pair = &source->pairs[i];
        if (is_reserved(pair->name)) {
            continue;
        }
        const sfconv_status status = sfi_metadata_append(target, pair->name, pair->value);
        if (status < 0) {
            return status;
        }
    }
    return SFCONV_OK;
}

sfconv_status sfi_metadata_reserve(sfconv_metadata *metadata, size_t extra)
{
    const size_t needed = metadata->count + extra;
    if (!sfi_grow(metadata->context, (void **)&metadata->pairs, &metadata->capacity, needed,
                  sizeof *metadata->pairs)) {
        return sfi_fail_memory(metadata->context, "metadata", needed * sizeof *metadata->pairs);
    }
    return SFCONV_OK;
}

void sfi_metadata_merge(sfconv_metadata *target, sfconv_metadata *source)
{
    assert(target->context == source->context);
    for (size_t i = 0; i < source->count; i++) {
        put(target, source->pairs[i]);
    }
    source->count = 0;
}
