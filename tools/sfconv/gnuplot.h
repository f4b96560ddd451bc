/* SPDX-License-Identifier: BSD-2-Clause */
/* Plots by the program gnuplot, which runs as a child of this one. */
#ifndef SFCONV_TOOL_GNUPLOT_H
#define SFCONV_TOOL_GNUPLOT_H

#include "image.h"

#include <stddef.h>

/* "gnuplot 5.4 patchlevel 4"; fails where the program is not there. */
bool gnuplot_version(char *version, size_t capacity, struct image_error *error);

/* Runs the script of a file; the SVG that it draws to standard output goes to the file `picture`,
 * which messages call `name`. */
bool gnuplot_draw(const char *script, const char *picture, const char *name,
                  struct image_error *error);

#endif
