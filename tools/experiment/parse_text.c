/* SPDX-License-Identifier: BSD-2-Clause */
#include "parse_text.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

bool parse_whole(int64_t *value, const char *text, int64_t least, int64_t most)
{
    char *end = NULL;
    errno = 0;
    const long long parsed = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end || parsed < least || parsed > most) {
        return false;
    }
    *value = parsed;
    return true;
}

bool parse_integer(int64_t *value, const char *text, int64_t least, int64_t most, const char *name,
                   struct image_error *error)
{
    return parse_whole(value, text, least, most) ||
           image_fail(error, "--%s: '%s' is not a whole number from %lld to %lld", name, text,
                      (long long)least, (long long)most);
}

bool parse_number(double *value, const char *text, bool zero_allowed, const char *name,
                  struct image_error *error)
{
    char *end = NULL;
    double parsed = strtod(text, &end);
    bool whole = end != text;
    if (whole && *end == '/') {
        const char *below = end + 1;
        parsed /= strtod(below, &end);
        whole = end != below;
    }
    if (!whole || *end || !isfinite(parsed) || parsed < 0.0 || (parsed == 0.0 && !zero_allowed)) {
        return image_fail(error, "--%s: '%s' is not a number %s", name, text,
                          zero_allowed ? "of 0 or more" : "above 0");
    }
    *value = parsed;
    return true;
}

bool parse_name(int32_t *value, const char *text, const char *name, int32_t (*find)(const char *),
                struct image_error *error)
{
    const int32_t number = find(text);
    if (number == 0) {
        return image_fail(error, "--%s: there is no %s '%s'; see --help", name, name, text);
    }
    *value = number;
    return true;
}
