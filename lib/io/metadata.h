/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_METADATA_H
#define SFI_METADATA_H

#include "ctx.h"

#include "sfconv/model.h"

#include <stdbool.h>

/* Names that begin so are the library's own. */
#define SFI_RESERVED_PREFIX "sfconv."
#define SFI_METADATA_MAGIC 0x5fc04d44u

typedef struct sfi_text_pair {
    char *name;
    char *value;
} sfi_text_pair;

/* Texts by name in the order of setting. */
struct sfconv_metadata {
    uint32_t magic;
    sfconv_context *context;
    sfi_text_pair *pairs;
    size_t count;
    size_t capacity;
};

/* Whether `length` bytes are UTF-8 without over-long forms and surrogates (RFC 3629). */
bool sfi_utf8_valid(const char *text, size_t length);

sfconv_status sfi_metadata_new(sfconv_metadata **metadata, sfconv_context *context);
/* NULL is allowed. */
void sfi_metadata_free(sfconv_metadata *metadata);
/* Sets or replaces: ARGUMENT (empty name, not UTF-8) or MEMORY, and then nothing has changed. */
sfconv_status sfi_metadata_set(sfconv_metadata *metadata, const char *name, const char *value);
/* Adds a pair whose name is new and whose texts are known to be UTF-8; MEMORY. */
sfconv_status sfi_metadata_append(sfconv_metadata *metadata, const char *name, const char *value);
/* Sets `name` to decimal digits. */
sfconv_status sfi_metadata_set_integer(sfconv_metadata *metadata, const char *name, uint64_t value);
/* Whether `text` is nothing but decimal digits of a number below 2^64; *value is that then. */
bool sfi_text_to_integer(const char *text, uint64_t *value);
/* NULL when absent. */
const char *sfi_metadata_get(const sfconv_metadata *metadata, const char *name);
/* Copies the pairs whose name is not the library's own and that `target` has not yet; MEMORY may
 * leave part of them copied. */
sfconv_status sfi_metadata_copy_foreign(sfconv_metadata *target, const sfconv_metadata *source);

/* Makes room for `extra` more pairs, so that sfi_metadata_merge() of as many cannot fail. */
sfconv_status sfi_metadata_reserve(sfconv_metadata *metadata, size_t extra);
/* Moves all pairs of `source` to `target`, replacing those of the same name; `source` is empty
 * then. Room has been reserved; both belong to one context. */
void sfi_metadata_merge(sfconv_metadata *target, sfconv_metadata *source);

#endif
