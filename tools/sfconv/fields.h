/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts and numbers as CSV (RFC 4180) and JSON (RFC 8259) want them. */
#ifndef SFCONV_TOOL_FIELDS_H
#define SFCONV_TOOL_FIELDS_H

#include <stdint.h>
#include <stdio.h>

/* A text, in quotes where it holds a comma, a quote or the end of a line. */
void csv_text(FILE *stream, const char *text);

/* A text with its quotes. */
void json_text(FILE *stream, const char *text);
/* A number; what JSON has no number for becomes null. */
void json_number(FILE *stream, double number);

#endif
