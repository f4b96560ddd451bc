/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers and names that people write on command lines. On failure *value is as it was and *error
 * says what was expected of --NAME. */
#ifndef EXPERIMENT_PARSE_TEXT_H
#define EXPERIMENT_PARSE_TEXT_H

#include "image.h"

/* Whether the whole text is a whole number from `least` to `most`. */
bool parse_whole(int64_t *value, const char *text, int64_t least, int64_t most);

bool parse_integer(int64_t *value, const char *text, int64_t least, int64_t most, const char *name,
                   struct image_error *error);

/* A number, or a fraction like 1/32; above 0, or 0 where that is allowed. */
bool parse_number(double *value, const char *text, bool zero_allowed, const char *name,
                  struct image_error *error);

/* The number that `find` knows by this name; 0 is none. */
bool parse_name(int32_t *value, const char *text, const char *name, int32_t (*find)(const char *),
                struct image_error *error);

#endif
