/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the report of a comparison. Each writes what people read into the page, and the
 * numbers behind it into a CSV file of the same folder. */
#ifndef SFCONV_TOOL_REPORT_H
#define SFCONV_TOOL_REPORT_H

#include "reproduction.h"

#include <stdio.h>

struct report {
    const struct reproduction *r;
    FILE *page;
    struct image_error *error;
};

/* "SFConv w/o KL" */
const char *report_method(int32_t method);

/* Opens a CSV file in the folder of the report; `path` lives as long as the file is open. */
struct safe_file;
bool report_open(const struct report *report, struct safe_file *file,
                 char path[TRAINING_PATH_CAPACITY], const char *name);

/* Finished runs of a method. */
int64_t report_finished(const struct reproduction *r, int32_t method);
/* First seed's index for which all these methods (0 ends the list) are finished, or -1. */
int64_t report_common_seed(const struct reproduction *r, const int32_t *methods);

/* Draws what `write` tells gnuplot to draw as plots/NAME.svg and puts it into the page. */
typedef void (*report_script)(FILE *script, const struct report *report, const void *what);
bool report_plot(const struct report *report, const char *name, const char *title,
                 const char *caption, report_script write, const void *what);

/* A number, or a dash where there is none. */
void report_number(FILE *page, double value, int decimals);

bool report_results(const struct report *report);
bool report_comparisons(const struct report *report);
bool report_runs(const struct report *report);
bool report_images(const struct report *report);
bool report_curves(const struct report *report);
bool report_spectra(const struct report *report);
bool report_samples(const struct report *report);

/* What the comparison was made with. */
void report_budget(const struct report *report);
void report_data(const struct report *report);
void report_machine(const struct report *report, const char *gnuplot);

#endif
