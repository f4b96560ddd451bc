/* SPDX-License-Identifier: BSD-2-Clause */
#include "report.h"

#include "gnuplot.h"
#include "html.h"
#include "safe_file.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char style[] =
    "body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:72rem;padding:0 1rem 3rem;"
    "color:#1b1b1b;background:#fff}"
    "h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.2rem;border-bottom:1px solid #ccc}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem}"
    "th,td{padding:.3rem .6rem;text-align:right;border-bottom:1px solid #ddd;vertical-align:top}"
    "th[scope=row],td.text{text-align:left}thead th{border-bottom:2px solid #888}"
    "figure{margin:1rem 0}figcaption{font-size:.85rem;color:#444}"
    "svg{width:100%;max-width:44rem;height:auto}"
    ".samples img{width:9rem;max-width:30vw;height:auto;image-rendering:pixelated}"
    "pre{overflow-x:auto;background:#f4f4f4;padding:.6rem}code{overflow-wrap:anywhere}"
    "dt{font-weight:600}dd{margin:0 0 .4rem}";

const char *report_method(int32_t method)
{
    switch (method) {
    case SFCONV_METHOD_CONV:
        return "Conv";
    case SFCONV_METHOD_FCONV:
        return "FConv";
    case SFCONV_METHOD_FCONVSN:
        return "FConvSN";
    case SFCONV_METHOD_DPCCONV:
        return "DPCConv";
    case SFCONV_METHOD_SFCONV_NO_KL:
        return "SFConv w/o KL";
    default:
        return "SFConv";
    }
}

void report_number(FILE *page, double value, int decimals)
{
    if (isfinite(value)) {
        fprintf(page, "%.*f", decimals, value);
    } else {
        fputs("–", page);
    }
}

bool report_open(const struct report *report, struct safe_file *file,
                 char path[TRAINING_PATH_CAPACITY], const char *name)
{
    return program_path(path, TRAINING_PATH_CAPACITY, report->r->how.output, name, report->error) &&
           safe_file_open(file, path, report->error);
}

int64_t report_common_seed(const struct reproduction *r, const int32_t *methods)
{
    for (int64_t s = 0; s < r->seed_count; s++) {
        bool all = true;
        for (const int32_t *method = methods; *method && all; method++) {
            const struct reproduction_run *run = reproduction_find(r, *method, s);
            all = run && run->state == REPRODUCTION_FINISHED;
        }
        if (all) {
            return s;
        }
    }
    return -1;
}

static void term(FILE *page, const char *name, const char *value)
{
    fprintf(page, "<dt>%s</dt><dd>", name);
    html_text(page, value);
    fputs("</dd>\n", page);
}

void report_budget(const struct report *report)
{
    const struct reproduction *r = report->r;
    const struct experiment_options *o = &r->how.experiment;
    FILE *page = report->page;
    const int64_t images = r->split.train.count;
    const int64_t batch = o->batch < images ? o->batch : images;
    const int64_t seen = images / batch * batch * o->epochs;
    char side[64] = "whole images";
    if (o->crop > 0) {
        snprintf(side, sizeof side, "windows of %" PRId64 " x %" PRId64, o->crop, o->crop);
    }
    fputs("<section id=\"budget\"><h2>Budget, the same for every method and seed</h2>\n<dl>\n",
          page);
    fprintf(page,
            "<dt>Seen in training</dt><dd>%" PRId64 " %s: %" PRId64 " epochs of %" PRId64
            " steps of %" PRId64 "</dd>\n",
            seen, side, o->epochs, images / batch, batch);
    fprintf(page,
            "<dt>Network</dt><dd>%s; factorized layers have rank max(%" PRId64
            ", round(%.9g · min(in, out)))</dd>\n",
            sfconv_model_name(o->model), o->min_rank, o->ratio);
    fprintf(page,
            "<dt>Optimizer</dt><dd>Adam; the rate rises to %.9g in the first twentieth of the "
            "steps and falls by a cosine to a hundredth of it; gradients are clipped at a norm of "
            "5</dd>\n",
            o->rate);
    fprintf(page,
            "<dt>Loss</dt><dd>%s; plus %.9g times the KL term for SFConv, %.9g times the "
            "Frobenius term for FConv</dd>\n",
            r->segments ? "binary cross-entropy and Dice" : "cross-entropy", r->kl, r->frobenius);
    term(page, "Augmentation",
         o->augment ? "flips, quarter turns, brightness ± 0.05, contrast ± 15 %" : "none");
    if (r->split.val.count > 0) {
        fputs("<dt>Model that is judged</dt><dd>that of the epoch with the best validation score; ",
              page);
        if (o->validate_every > 1) {
            fprintf(page,
                    "validated were the last epoch and each whose number is a multiple of %" PRId64,
                    o->validate_every);
        } else {
            fputs("each epoch was validated", page);
        }
        fputs(". The test images are looked at once, at the end of each run.</dd>\n", page);
    } else {
        term(page, "Model that is judged",
             "that of the last epoch (there are no validation images)");
    }
    fprintf(page,
            "<dt>Seeds</dt><dd>%" PRIu64 " to %" PRIu64
            ", of weights, order and augmentation; the split is the same for all</dd>\n",
            r->first_seed, r->first_seed + (uint64_t)r->seed_count - 1);
    fputs("</dl></section>\n", page);
}

void report_data(const struct report *report)
{
    const struct reproduction *r = report->r;
    FILE *page = report->page;
    fputs("<section id=\"data\"><h2>Images</h2>\n<dl>\n", page);
    term(page, "Folder", r->how.data);
    fprintf(page,
            "<dt>Split</dt><dd>%" PRId64 " to train on, %" PRId64 " to validate, %" PRId64
            " to test</dd>\n",
            r->split.train.count, r->split.val.count, r->split.test.count);
    if (r->how.selection.seed != 0) {
        fprintf(page, "<dt>Seed of the split</dt><dd>%" PRIu64 "</dd>\n", r->how.selection.seed);
    }
    if (r->split.test.count == 0) {
        term(page, "Judged by",
             "the validation images, which also chose the epoch: there are no test images");
    }
    if (r->how.experiment.size > 0) {
        fprintf(page, "<dt>Size</dt><dd>all resized to %" PRId64 " x %" PRId64 "</dd>\n",
                r->how.experiment.size, r->how.experiment.size);
    }
    if (r->how.experiment.field_of_view) {
        term(page, "Border", "images and masks cut to the field of view");
    }
    if (r->how.experiment.pad) {
        term(page, "Proportions", "kept: filled up to squares with black before the resizing");
    }
    if (r->how.selection.group_by) {
        term(page, "Kept together", "files whose names share what this pattern finds:");
        term(page, "", r->how.selection.group_by);
    }
    if (r->how.experiment.decay > 0.0) {
        fprintf(page, "<dt>Decay</dt><dd>%g</dd>\n", r->how.experiment.decay);
    }
    if (r->how.experiment.balance != EXPERIMENT_BALANCE_NONE) {
        term(page, "Classes balanced by", experiment_balance_name(r->how.experiment.balance));
    }
    for (int64_t i = 0; i < r->how.selection.left_out_count; i++) {
        term(page, "Left out", r->how.selection.left_out[i]);
    }
    fputs("</dl></section>\n", page);
}

static void processor_name(char *name, size_t capacity)
{
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[512];
    snprintf(name, capacity, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        const char *value = strchr(line, ':');
        if (value && strncmp(line, "model name", 10) == 0) {
            line[strcspn(line, "\n")] = '\0';
            snprintf(name, capacity, "%s", value + 2);
            break;
        }
    }
    if (file) {
        fclose(file);
    }
}

static const char *instruction_set(const sfconv_context *context)
{
    switch (sfconv_context_isa(context)) {
    case SFCONV_ISA_AVX2:
        return "AVX2";
    case SFCONV_ISA_AVX512:
        return "AVX-512";
    case SFCONV_ISA_NEON:
        return "NEON";
    default:
        return "portable C";
    }
}

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#elif defined(__GNUC__)
#define COMPILER "gcc " __VERSION__
#else
#define COMPILER "unknown"
#endif

void report_machine(const struct report *report, const char *gnuplot)
{
    const struct reproduction *r = report->r;
    FILE *page = report->page;
    char text[512];
    char date[64];
    const time_t now = time(NULL);
    struct tm utc;
    processor_name(text, sizeof text);
    fputs("<section id=\"machine\"><h2>Machine and versions</h2>\n<dl>\n", page);
    term(page, "Processor", text);
    snprintf(text, sizeof text, "%ld processors, %d workers, %s", sysconf(_SC_NPROCESSORS_ONLN),
             (int)sfconv_context_workers(r->context), instruction_set(r->context));
    term(page, "In use", text);
    snprintf(text, sizeof text, "libsfconv %s (this tool: %d.%d.%d)", sfconv_version(),
             SFCONV_VERSION_MAJOR, SFCONV_VERSION_MINOR, SFCONV_VERSION_PATCH);
    term(page, "Library", text);
    term(page, "Compiler", COMPILER);
    term(page, "Plots", gnuplot ? gnuplot : "not asked for (--no-plots)");
    if (gmtime_r(&now, &utc) && strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S UTC", &utc) > 0) {
        term(page, "Date", date);
    }
    fputs("</dl>\n<h3>Command</h3>\n<pre><code>", page);
    html_text(page, r->command);
    fputs("</code></pre></section>\n", page);
}

static void write_head(const struct report *report, int64_t finished)
{
    const struct reproduction *r = report->r;
    FILE *page = report->page;
    const char *title = r->segments ? "Segmentation by six kinds of convolution"
                                    : "Classification by six kinds of convolution";
    fprintf(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
        "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>%s</title>\n"
        "<style>%s</style>\n</head>\n<body>\n<h1>%s</h1>\n",
        title, style, title);
    fputs("<p>The comparison of <cite>Flattening singular values of factorized convolution for "
          "medical images</cite> (arXiv 2403.00606) on the images of <code>",
          page);
    html_text(page, r->how.data);
    fprintf(page, "</code>: %" PRId64 " of %" PRId64 " runs are finished.</p>\n", finished,
            r->run_count);
    if (finished < r->run_count) {
        fputs("<p><strong>This report is not complete:</strong> see the runs below; the same "
              "command with <code>--resume</code> goes on.</p>\n",
              page);
    }
}

static bool write_page(const struct report *report, int64_t finished, const char *gnuplot)
{
    write_head(report, finished);
    if (!report_results(report) || !report_comparisons(report)) {
        return false;
    }
    report_budget(report);
    report_data(report);
    if (!report_curves(report) || !report_spectra(report) || !report_samples(report) ||
        !report_runs(report) || !report_images(report)) {
        return false;
    }
    report_machine(report, gnuplot);
    fputs("<section id=\"files\"><h2>Numbers behind this page</h2>\n<p>Beside it: "
          "<code>table.csv</code>, <code>comparisons.csv</code>, <code>runs.csv</code>, "
          "<code>images.csv</code> (each test image), <code>curves.csv</code>, "
          "<code>spectra.csv</code>, <code>histograms.csv</code>; a folder for each run with its "
          "models and logs.</p></section>\n</body>\n</html>\n",
          report->page);
    return true;
}

bool reproduction_report(const struct reproduction *r, struct image_error *error)
{
    char path[TRAINING_PATH_CAPACITY];
    char gnuplot[128];
    struct safe_file file;
    int64_t finished = 0;
    struct report report = {.r = r, .error = error};
    for (int64_t i = 0; i < r->run_count; i++) {
        finished += r->runs[i].state == REPRODUCTION_FINISHED;
    }
    if ((r->plots && !gnuplot_version(gnuplot, sizeof gnuplot, error)) ||
        !report_open(&report, &file, path, "report.html")) {
        return false;
    }
    report.page = file.stream;
    const bool ok = write_page(&report, finished, r->plots ? gnuplot : NULL);
    return safe_file_close(&file, ok, error);
}
