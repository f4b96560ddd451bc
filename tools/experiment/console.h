/* SPDX-License-Identifier: BSD-2-Clause */
/* How programs talk to the person at the terminal while they train. */
#ifndef EXPERIMENT_CONSOLE_H
#define EXPERIMENT_CONSOLE_H

#include "experiment.h"

/* A bar that is drawn over and over on a terminal, and one line an epoch elsewhere. */
struct console {
    /* Put before each line: the name of the method, for example. */
    const char *label;
    /* "Dice" or "accuracy". */
    const char *metric;
    bool terminal;
    bool line_open;
    double last_shown;
    double validation; /* the last one; NaN: none yet */
    double start;      /* when the first step that was watched was over; 0: none is yet */
    int64_t first;     /* steps of the training until then */
};

struct console console_open(const char *label, bool segments);

/* An experiment_watch; user is the console. Stops when the person pressed Ctrl-C. */
bool console_watch(void *user, const struct experiment_progress *progress);

/* What a terminal of so many columns shows `seconds` after the start: how far the whole training
 * is, loss, metric, speed and the time left. Shorter than the line; the bar takes what is free. */
void console_bar(char *line, size_t capacity, const struct console *console,
                 const struct experiment_progress *progress, int64_t columns, double seconds);

/* Ends a line that is being written over. */
void console_close(struct console *console);

/* Lets Ctrl-C, SIGTERM and a terminal that is closed end a training in good order instead of
 * killing the program. */
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
