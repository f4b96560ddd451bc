/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables of text as RFC 4180 has them: fields between commas, in quotes where they hold commas,
 * quotes ("" for one) or ends of lines. Errors: as in image.h; the reason names the line. */
#ifndef IMAGERY_CSV_FILE_H
#define IMAGERY_CSV_FILE_H

#include "image.h"

struct csv_row {
    int64_t line; /* of the file, from 1 */
    int64_t first;
    int64_t count; /* of fields, at least one */
};

struct csv {
    char *text;
    char **fields; /* of all rows, one after the other */
    int64_t field_count;
    struct csv_row *rows; /* without empty lines */
    int64_t row_count;
};

/* Lines end with LF, CR LF or CR; a byte order mark of UTF-8 is passed over. Where the first line
 * has semicolons and no comma, semicolons stand between fields. */
bool csv_read(struct csv *result, const char *path, struct image_error *error);
void csv_destroy(struct csv *csv);

/* Field `column` of a row, "" where the row is shorter. */
const char *csv_field(const struct csv *csv, const struct csv_row *row, int64_t column);

#endif
