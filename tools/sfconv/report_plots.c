/* SPDX-License-Identifier: BSD-2-Clause */
#include "gnuplot.h"
#include "html.h"
#include "report.h"
#include "safe_file.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

/* Colours that stay apart for people who do not see all of them (Okabe and Ito). */
static const char *const colours[REPRODUCTION_METHODS] = {"#000000", "#e69f00", "#009e73",
                                                          "#cc79a7", "#56b4e9", "#d55e00"};

static bool make_plot(const struct report *report, const char *name, report_script write,
                      const void *what, char picture[TRAINING_PATH_CAPACITY])
{
    char folder[TRAINING_PATH_CAPACITY];
    char script[TRAINING_PATH_CAPACITY];
    char file_name[128];
    struct safe_file file;
    if (!program_path(folder, sizeof folder, report->r->how.output, "plots", report->error) ||
        !program_make_folder(folder, report->error)) {
        return false;
    }
    snprintf(file_name, sizeof file_name, "%s.svg", name);
    if (!program_path(picture, TRAINING_PATH_CAPACITY, folder, file_name, report->error)) {
        return false;
    }
    snprintf(file_name, sizeof file_name, "%s.gnuplot", name);
    if (!program_path(script, sizeof script, folder, file_name, report->error) ||
        !safe_file_open(&file, script, report->error)) {
        return false;
    }
    fputs("set terminal svg size 720,420 dynamic noenhanced background '#ffffff' font "
          "'sans-serif,13'\nset grid\nset key outside top center horizontal\n",
          file.stream);
    write(file.stream, report, what);
    return safe_file_close(&file, true, report->error) &&
           gnuplot_draw(script, picture, picture, report->error);
}

bool report_plot(const struct report *report, const char *name, const char *title,
                 const char *caption, report_script write, const void *what)
{
    char picture[TRAINING_PATH_CAPACITY];
    if (!report->r->plots) {
        return true;
    }
    if (!make_plot(report, name, write, what, picture)) {
        return false;
    }
    fprintf(report->page, "<figure role=\"img\" aria-label=\"%s\">", title);
    if (!html_svg(report->page, picture, name, report->error)) {
        return false;
    }
    fprintf(report->page, "<figcaption>%s. %s</figcaption></figure>\n", title, caption);
    return true;
}

/* ---- Learning curves */

struct curve {
    size_t offset; /* in struct reproduction_epoch */
    const char *title;
};

static double epoch_value(const struct reproduction_epoch *epoch, size_t offset)
{
    double value;
    memcpy(&value, (const char *)epoch + offset, sizeof value);
    return value;
}

/* Mean of the finished seeds that have a number for the epoch; NaN where none has. */
static double mean_of_epoch(const struct reproduction *r, int32_t method, int64_t epoch,
                            size_t offset)
{
    double sum = 0.0;
    int64_t count = 0;
    for (int64_t s = 0; s < r->seed_count; s++) {
        const struct reproduction_run *run = reproduction_find(r, method, s);
        if (run && run->state == REPRODUCTION_FINISHED && epoch < run->epoch_count &&
            !isnan(epoch_value(&run->epochs[epoch], offset))) {
            sum += epoch_value(&run->epochs[epoch], offset);
            count++;
        }
    }
    return count > 0 ? sum / (double)count : NAN;
}

static void write_curve(FILE *script, const struct report *report, const void *what)
{
    const struct curve *curve = what;
    const struct reproduction *r = report->r;
    const char *separator = "plot";
    for (int64_t m = 0; m < r->method_count; m++) {
        fprintf(script, "$m%" PRId64 " << EOD\n", m);
        for (int64_t e = 0; e < r->how.experiment.epochs; e++) {
            const double value = mean_of_epoch(r, r->methods[m], e, curve->offset);
            if (!isnan(value)) {
                fprintf(script, "%" PRId64 " %.9g\n", e + 1, value);
            }
        }
        fputs("EOD\n", script);
    }
    fprintf(script, "set xlabel 'epoch'\nset ylabel '%s'\nset xrange [0.5:%" PRId64 ".5]\n",
            curve->title, r->how.experiment.epochs);
    for (int64_t m = 0; m < r->method_count; m++) {
        if (report_finished(r, r->methods[m]) > 0) {
            fprintf(script,
                    "%s $m%" PRId64 " with linespoints lw 2 pt 7 ps 0.3 lc rgb '%s' title '%s'",
                    separator, m, colours[r->methods[m] - 1], report_method(r->methods[m]));
            separator = ",";
        }
    }
    fputc('\n', script);
}

static bool write_curves_csv(const struct report *report)
{
    char path[TRAINING_PATH_CAPACITY];
    struct safe_file csv;
    if (!report_open(report, &csv, path, "curves.csv")) {
        return false;
    }
    fputs("method,seed,epoch,loss,penalty,validation,images_per_second\n", csv.stream);
    for (int64_t i = 0; i < report->r->run_count; i++) {
        const struct reproduction_run *run = &report->r->runs[i];
        for (int64_t e = 0; run->state == REPRODUCTION_FINISHED && e < run->epoch_count; e++) {
            const struct reproduction_epoch *epoch = &run->epochs[e];
            fprintf(csv.stream, "%s,%" PRIu64 ",%" PRId64 ",%.9g,%.9g,",
                    sfconv_method_name(run->method), run->seed, e + 1, epoch->loss, epoch->penalty);
            if (!isnan(epoch->validation)) {
                fprintf(csv.stream, "%.9g", epoch->validation);
            }
            fprintf(csv.stream, ",%.1f\n", epoch->images_per_second);
        }
    }
    return safe_file_close(&csv, true, report->error);
}

bool report_curves(const struct report *report)
{
    const struct reproduction *r = report->r;
    const struct curve loss = {offsetof(struct reproduction_epoch, loss), "training loss"};
    const struct curve validation = {offsetof(struct reproduction_epoch, validation),
                                     r->segments ? "validation Dice" : "validation accuracy"};
    bool any = false;
    for (int64_t i = 0; i < r->run_count; i++) {
        any = any || r->runs[i].state == REPRODUCTION_FINISHED;
    }
    fputs("<section id=\"curves\"><h2>Learning curves</h2>\n", report->page);
    if (!write_curves_csv(report)) {
        return false;
    }
    if (!r->plots || !any) {
        fputs(r->plots ? "<p>No run is finished yet.</p>\n" : "<p>Plots were not asked for.</p>\n",
              report->page);
    } else if (!report_plot(report, "loss", "Training loss",
                            "Mean over the finished seeds; without the regularizer's term",
                            write_curve, &loss) ||
               (r->split.val.count > 0 &&
                !report_plot(report, "validation", "Validation score",
                             "Mean over the finished seeds; a point for each validated epoch",
                             write_curve, &validation))) {
        return false;
    }
    fputs("</section>\n", report->page);
    return true;
}
