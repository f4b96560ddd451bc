/* SPDX-License-Identifier: BSD-2-Clause */
#include "fields.h"

#include <math.h>
#include <string.h>

void csv_text(FILE *stream, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, stream);
        return;
    }
    fputc('"', stream);
    for (; *text; text++) {
        fputs(*text == '"' ? "\"\"" : (char[]){*text, '\0'}, stream);
    }
    fputc('"', stream);
}

void json_text(FILE *stream, const char *text)
{
    fputc('"', stream);
    for (; *text; text++) {
        const unsigned char byte = (unsigned char)*text;
        if (byte == '"' || byte == '\\') {
            fprintf(stream, "\\%c", byte);
        } else if (byte < 0x20) {
            fprintf(stream, "\\u%04x", byte);
        } else {
            fputc(byte, stream);
        }
    }
    fputc('"', stream);
}

void json_number(FILE *stream, double number)
{
    if (isfinite(number)) {
        fprintf(stream, "%.9g", number);
    } else {
        fputs("null", stream);
    }
}
