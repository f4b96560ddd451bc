/* SPDX-License-Identifier: BSD-2-Clause */
#include "csv_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Fields are unquoted in place: what is written never overtakes what is read. */
struct parser {
    struct csv *csv;
    const char *path;
    struct image_error *error;
    char *next;
    int64_t line;
    char comma;
    char separator; /* behind the last field: the comma, '\n' or '\0' */
};

void csv_destroy(struct csv *csv)
{
    free(csv->text);
    free(csv->fields);
    free(csv->rows);
    *csv = (struct csv){0};
}

const char *csv_field(const struct csv *csv, const struct csv_row *row, int64_t column)
{
    return column < row->count ? csv->fields[row->first + column] : "";
}

/* Room for one more of `count` elements, doubled whenever that is a power of two. */
static bool grow(void **elements, int64_t count, size_t size)
{
    if ((count & (count - 1)) != 0) {
        return true;
    }
    void *grown = realloc(*elements, (count ? 2 * (size_t)count : 1) * size);
    if (grown) {
        *elements = grown;
    }
    return grown != NULL;
}

static bool fail(const struct parser *parser, int64_t line, const char *reason)
{
    return image_fail(parser->error, "%s: line %lld: %s", parser->path, (long long)line, reason);
}

static bool ends_field(const struct parser *parser, char c)
{
    return c == parser->comma || c == '\r' || c == '\n' || c == '\0';
}

/* Steps behind the separator. */
static void take_separator(struct parser *parser)
{
    const char c = *parser->next;
    parser->separator = c == '\r' ? '\n' : c;
    if (c == '\r' && parser->next[1] == '\n') {
        parser->next++;
    }
    parser->next += c != '\0';
    parser->line += parser->separator == '\n';
}

/* From the opening quote to behind the closing one; gives the end of what it held. */
static bool unquote(struct parser *parser, char **end)
{
    const int64_t line = parser->line;
    char *to = parser->next++;
    while (*parser->next != '"' || parser->next[1] == '"') {
        if (*parser->next == '\0') {
            return fail(parser, line, "a quote that does not end");
        }
        parser->line += *parser->next == '\n';
        parser->next += *parser->next == '"';
        *to++ = *parser->next++;
    }
    parser->next++;
    *end = to;
    return ends_field(parser, *parser->next) ||
           fail(parser, parser->line, "text behind a closing quote");
}

static bool parse_field(struct parser *parser, char **field)
{
    *field = parser->next;
    char *end = parser->next;
    if (*parser->next == '"') {
        if (!unquote(parser, &end)) {
            return false;
        }
    } else {
        while (!ends_field(parser, *end)) {
            if (*end++ == '"') {
                return fail(parser, parser->line, "a quote inside a field that has none around it");
            }
        }
        parser->next = end;
    }
    take_separator(parser);
    *end = '\0';
    return true;
}

static bool parse_row(struct parser *parser)
{
    struct csv *csv = parser->csv;
    struct csv_row row = {.line = parser->line, .first = csv->field_count};
    do {
        if (!grow((void **)&csv->fields, csv->field_count, sizeof *csv->fields)) {
            return fail(parser, parser->line, "out of memory");
        }
        if (!parse_field(parser, &csv->fields[csv->field_count])) {
            return false;
        }
        csv->field_count++;
        row.count++;
    } while (parser->separator == parser->comma);
    if (row.count == 1 && csv->fields[row.first][0] == '\0') {
        csv->field_count--;
        return true;
    }
    if (!grow((void **)&csv->rows, csv->row_count, sizeof *csv->rows)) {
        return fail(parser, row.line, "out of memory");
    }
    csv->rows[csv->row_count++] = row;
    return true;
}

static bool parse(struct parser *parser)
{
    if (strncmp(parser->next, "\xef\xbb\xbf", 3) == 0) {
        parser->next += 3;
    }
    /* Spreadsheets write semicolons where commas are decimal points. */
    const size_t before = strcspn(parser->next, ",;\r\n");
    const size_t line = strcspn(parser->next, ",\r\n");
    parser->comma = parser->next[before] == ';' && parser->next[line] != ',' ? ';' : ',';
    while (*parser->next != '\0') {
        if (!parse_row(parser)) {
            return false;
        }
    }
    return true;
}

/* The whole file with a NUL behind it. */
static bool read_text(struct csv *csv, FILE *file, const char *path, struct image_error *error)
{
    size_t room = 1 << 16;
    size_t used = 0;
    do {
        room *= 2;
        char *text = realloc(csv->text, room);
        if (!text) {
            return image_fail(error, "%s: out of memory", path);
        }
        csv->text = text;
        used += fread(text + used, 1, room - 1 - used, file);
    } while (used == room - 1);
    if (ferror(file)) {
        return image_fail(error, "%s: %s", path, strerror(errno));
    }
    csv->text[used] = '\0';
    return strlen(csv->text) == used || image_fail(error, "%s: not a text", path);
}

bool csv_read(struct csv *result, const char *path, struct image_error *error)
{
    *result = (struct csv){0};
    FILE *file = fopen(path, "rb");
    if (!file) {
        return image_fail(error, "%s: %s", path, strerror(errno));
    }
    bool read = read_text(result, file, path, error);
    fclose(file);
    if (read) {
        struct parser parser = {
            .csv = result, .path = path, .error = error, .next = result->text, .line = 1};
        read = parse(&parser);
    }
    if (!read) {
        csv_destroy(result);
    }
    return read;
}
