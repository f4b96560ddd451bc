/* SPDX-License-Identifier: BSD-2-Clause */
#include "console.h"
#include "stopwatch.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
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
}

bool console_interrupted(void)
{
    return interrupted != 0;
}

struct console console_open(const char *label, bool segments)
{
    struct console console = {.label = label,
                              .metric = segments ? "Dice" : "accuracy",
                              .terminal = isatty(STDOUT_FILENO) != 0};
    return console;
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
    if (p->epoch_done) {
        show_epoch(console, p);
        console->line_open = console->terminal && p->epoch < p->epochs;
        if (!console->line_open) {
            printf("\n");
        }
        fflush(stdout);
    } else if (console->terminal && now - console->last_shown > 0.1) {
        console->last_shown = now;
        console->line_open = true;
        printf("\r\033[K%-13s epoch %" PRId64 "/%" PRId64 "  step %" PRId64 "/%" PRId64
               "  loss %.4f  %.0f images/s",
               console->label, p->epoch, p->epochs, p->step, p->steps, p->loss,
               p->images_per_second);
        fflush(stdout);
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
