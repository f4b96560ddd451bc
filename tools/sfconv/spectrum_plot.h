/* SPDX-License-Identifier: BSD-2-Clause */
/* Figure 3 of the paper for one model: how weights and singular values of all factors are
 * distributed. */
#ifndef SFCONV_TOOL_SPECTRUM_PLOT_H
#define SFCONV_TOOL_SPECTRUM_PLOT_H

#include "spectra.h"

/* Draws both histograms with gnuplot into an SVG file. */
bool spectrum_plot(const struct spectra *spectra, const char *path, struct image_error *error);

#endif
