/* SPDX-License-Identifier: BSD-2-Clause */
#include "html.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void html_text(FILE *stream, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", stream);
            break;
        case '<':
            fputs("&lt;", stream);
            break;
        case '>':
            fputs("&gt;", stream);
            break;
        case '"':
            fputs("&quot;", stream);
            break;
        default:
            fputc(*text, stream);
        }
    }
}

/* The bytes of a file with a zero behind them; NULL on failure. */
static char *read_file(const char *path, size_t *length, struct image_error *error)
{
    FILE *file = fopen(path, "rb");
    char *bytes = NULL;
    size_t capacity = 0;
    *length = 0;
    if (!file) {
        image_fail(error, "%s: %s", path, strerror(errno));
        return NULL;
    }
    for (;;) {
        if (capacity - *length < 2) {
            capacity = capacity ? 2 * capacity : 65536;
            char *more = realloc(bytes, capacity);
            if (!more) {
                image_fail(error, "%s: out of memory", path);
                break;
            }
            bytes = more;
        }
        const size_t got = fread(bytes + *length, 1, capacity - *length - 1, file);
        *length += got;
        if (got == 0) {
            if (!ferror(file)) {
                fclose(file);
                bytes[*length] = '\0';
                return bytes;
            }
            image_fail(error, "%s: cannot be read", path);
            break;
        }
    }
    free(bytes);
    fclose(file);
    return NULL;
}

static void write_base64(FILE *stream, const unsigned char *bytes, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < length; i += 3) {
        const unsigned long a = bytes[i];
        const unsigned long b = i + 1 < length ? bytes[i + 1] : 0;
        const unsigned long c = i + 2 < length ? bytes[i + 2] : 0;
        const unsigned long group = a << 16 | b << 8 | c;
        fputc(digits[group >> 18 & 63], stream);
        fputc(digits[group >> 12 & 63], stream);
        fputc(i + 1 < length ? digits[group >> 6 & 63] : '=', stream);
        fputc(i + 2 < length ? digits[group & 63] : '=', stream);
    }
}

bool html_png(FILE *stream, const char *path, struct image_error *error)
{
    size_t length;
    char *bytes = read_file(path, &length, error);
    if (!bytes) {
        return false;
    }
    fputs("data:image/png;base64,", stream);
    write_base64(stream, (const unsigned char *)bytes, length);
    free(bytes);
    return true;
}

bool html_svg(FILE *stream, const char *path, const char *prefix, struct image_error *error)
{
    /* What stands before a name that is an id or refers to one. */
    static const char *const before[] = {" id='", " id=\"", "href='#", "href=\"#", "url(#"};
    size_t length;
    char *text = read_file(path, &length, error);
    if (!text) {
        return false;
    }
    const char *at = strstr(text, "<svg");
    const bool ok = at || image_fail(error, "%s: gnuplot drew nothing", path);
    while (ok && *at) {
        size_t matched = 0;
        for (size_t i = 0; i < sizeof before / sizeof before[0] && matched == 0; i++) {
            const size_t size = strlen(before[i]);
            matched = strncmp(at, before[i], size) == 0 ? size : 0;
        }
        if (matched > 0) {
            fprintf(stream, "%.*s%s-", (int)matched, at, prefix);
            at += matched;
        } else {
            fputc(*at++, stream);
        }
    }
    free(text);
    return ok;
}
