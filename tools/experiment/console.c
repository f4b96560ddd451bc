/* SPDX-License-Identifier: BSD-2-Clause */
#include "console.h"
#include "stopwatch.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

static void note_interrupt(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

void console_catch_interrupt(void)
{
    /* The second Ctrl-C ends the program at once, for whoever does not want to wait. Writes that
     * are under way go on. */
    struct sigaction action = {.sa_handler = note_interrupt,
                               .sa_flags = (int)(SA_RESETHAND | (unsigned)SA_RESTART)};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    /* The terminal was closed; whoever started the program with nohup does not mind. */
    struct sigaction before;
    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN) {
        sigaction(SIGHUP, &action, NULL);
    }
}

bool console_interrupted(void)
{
    return interrupted != 0;
}

struct console console_open(const char *label, bool segments)
{
    struct console console = {.label = label,
                              .metric = segments ? "Dice" : "accuracy",
                              .terminal = isatty(STDOUT_FILENO) != 0,
                              .validation = NAN};
    return console;
}

#define LINE_CAPACITY 512
#define USUAL_COLUMNS 80
#define BAR_LEAST 4
#define BAR_MOST 30

static int64_t columns_of_terminal(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                           : USUAL_COLUMNS;
}

static int64_t steps_done(const struct experiment_progress *p)
{
    return (p->epoch - 1) * p->steps + p->step;
}

/* "1:02:03" or "2:03". */
static void write_time(char *text, size_t capacity, double seconds)
{
    const int64_t whole = (int64_t)(seconds + 0.5);
    if (whole >= 3600) {
        snprintf(text, capacity, "%" PRId64 ":%02" PRId64 ":%02" PRId64, whole / 3600,
                 whole / 60 % 60, whole % 60);
    } else {
        snprintf(text, capacity, "%" PRId64 ":%02" PRId64, whole / 60, whole % 60);
    }
}

/* Loss, metric, speed, and the time left if each step takes as long as those before. */
static void write_numbers(char *text, size_t capacity, const struct console *console,
                          const struct experiment_progress *p, double seconds)
{
    char metric[48] = "";
    char left[48] = "";
    const int64_t done = steps_done(p);
    const int64_t timed = done - console->first;
    if (!isnan(console->validation)) {
        snprintf(metric, sizeof metric, " %s %.4f", console->metric, console->validation);
    }
    if (timed > 0) {
        char time[32];
        const double step = seconds / (double)timed;
        write_time(time, sizeof time, step * (double)(p->epochs * p->steps - done));
        snprintf(left, sizeof left, " %s left", time);
    }
    snprintf(text, capacity, " loss %.4f%s %.0f img/s%s", p->loss, metric, p->images_per_second,
             left);
}

void console_bar(char *line, size_t capacity, const struct console *console,
                 const struct experiment_progress *p, int64_t columns, double seconds)
{
    char place[128];
    char numbers[160];
    char bar[BAR_MOST + 4] = "";
    snprintf(place, sizeof place, "%s epoch %" PRId64 "/%" PRId64, console->label, p->epoch,
             p->epochs);
    write_numbers(numbers, sizeof numbers, console, p, seconds);
    int64_t width = columns - 1 - (int64_t)strlen(place) - (int64_t)strlen(numbers) - 3;
    width = width > BAR_MOST ? BAR_MOST : width;
    if (width >= BAR_LEAST) {
        const int64_t full = width * steps_done(p) / (p->epochs * p->steps);
        memcpy(bar, " [", 2);
        memset(bar + 2, '#', (size_t)full);
        memset(bar + 2 + full, '-', (size_t)(width - full));
        memcpy(bar + 2 + width, "]", 2);
    }
    const int written = snprintf(line, capacity, "%s%s%s", place, bar, numbers);
    if (columns > 1 && written >= columns && (size_t)columns <= capacity) {
        line[columns - 1] = '\0';
    }
}

static void draw_bar(struct console *console, const struct experiment_progress *p, double now)
{
    char line[LINE_CAPACITY];
    console_bar(line, sizeof line, console, p, columns_of_terminal(), now - console->start);
    console->last_shown = now;
    console->line_open = true;
    printf("\r\033[K%s", line);
    fflush(stdout);
}

static void show_epoch(const struct console *console, const struct experiment_progress *p)
{
    printf("%s%-13s epoch %" PRId64 "/%" PRId64 "  loss %.4f  penalty %.4f  %.0f images/s",
           console->terminal ? "\r\033[K" : "", console->label, p->epoch, p->epochs, p->loss,
           p->penalty, p->images_per_second);
    if (!isnan(p->validation)) {
        printf("  validation %s %.4f%s", console->metric, p->validation, p->best ? " *" : "");
    }
}

bool console_watch(void *user, const struct experiment_progress *p)
{
    struct console *console = user;
    const double now = stopwatch_seconds();
    if (console->start <= 0.0) {
        console->start = now;
        console->first = steps_done(p);
    }
    if (p->epoch_done && !isnan(p->validation)) {
        console->validation = p->validation;
    }
    if (p->epoch_done && !(console->terminal && p->epoch < p->epochs)) {
        show_epoch(console, p);
        printf("\n");
        console->line_open = false;
        fflush(stdout);
    } else if (console->terminal && (p->epoch_done || now - console->last_shown > 0.1)) {
        draw_bar(console, p, now);
    }
    return !interrupted;
}

void console_close(struct console *console)
{
    if (console->line_open) {
        printf("\n");
        console->line_open = false;
    }
    fflush(stdout);
}

const char *console_grouped(int64_t number, char *buffer, size_t capacity)
{
    char digits[32];
    size_t out = 0;
    const int length = snprintf(digits, sizeof digits, "%" PRId64, number);
    for (int i = 0; i < length && out + 2 < capacity; i++) {
        if (i > 0 && (length - i) % 3 == 0) {
            buffer[out++] = ',';
        }
        buffer[out++] = digits[i];
    }
    buffer[out] = '\0';
    return buffer;
}

void console_table_head(bool segments)
{
    printf("%-14s %12s %14s %14s %13s %13s %10s%s\n", "Method", "#Params", "MACs/image",
           "FLOPs/image", "train img/s", "predict img/s", segments ? "Dice" : "Accuracy",
           segments ? "" : "      Kappa");
}

void console_table_row(const struct console_row *row)
{
    char parameters[32];
    char macs[32];
    char flops[32];
    printf("%-14s %12s %14s %14s %13.1f %13.1f %10.4f", row->method,
           console_grouped(row->costs.parameters, parameters, sizeof parameters),
           console_grouped(row->costs.macs, macs, sizeof macs),
           console_grouped(row->costs.flops, flops, sizeof flops), row->train_images_per_second,
           row->score.images_per_second, row->score.metric);
    if (!row->segments) {
        printf(" %10.4f", row->score.kappa);
    }
    printf("\n");
    fflush(stdout);
}
