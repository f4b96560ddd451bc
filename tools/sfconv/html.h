/* SPDX-License-Identifier: BSD-2-Clause */
/* Pieces of a page that needs no other file. */
#ifndef SFCONV_TOOL_HTML_H
#define SFCONV_TOOL_HTML_H

#include "image.h"

#include <stdio.h>

/* A text with &, <, > and quotes as HTML wants them. */
void html_text(FILE *stream, const char *text);

/* "data:image/png;base64,…" of a PNG file. */
bool html_png(FILE *stream, const char *path, struct image_error *error);

/* The svg element of a file, its ids made this page's own by `prefix`. */
bool html_svg(FILE *stream, const char *path, const char *prefix, struct image_error *error);

#endif
