/* SPDX-License-Identifier: BSD-2-Clause */
/* How programs talk to the person at the terminal while they train. */
#ifndef EXPERIMENT_CONSOLE_H
#define EXPERIMENT_CONSOLE_H

#include "experiment.h"

/* A line that is written over on a terminal, and one line an epoch elsewhere. */
struct console {
    /* Put before each line: the name of the method, for example. */
    const char *label;
    /* "Dice" or "accuracy". */
    const char *metric;
    bool terminal;
    bool line_open;
    double last_shown;
};

struct console console_open(const char *label, bool segments);

/* An experiment_watch; user is the console. Stops when the person pressed Ctrl-C. */
bool console_watch(void *user, const struct experiment_progress *progress);

/* Ends a line that is being written over. */
void console_close(struct console *console);

/* Lets Ctrl-C and SIGTERM end a training in good order instead of killing the program. */
void console_catch_interrupt(void);
bool console_interrupted(void);

/* "1,234,567" */
const char *console_grouped(int64_t number, char *buffer, size_t capacity);

/* The paper's table; classes have their quadratic kappa beside the accuracy. */
struct console_row {
    const char *method;
    bool segments;
    struct experiment_costs costs;
    double train_images_per_second;
    struct experiment_score score;
};
void console_table_head(bool segments);
void console_table_row(const struct console_row *row);

#endif
