/* SPDX-License-Identifier: BSD-2-Clause */
#include "fields.h"
#include "html.h"
#include "report.h"
#include "safe_file.h"
#include "spectra.h"

#include <inttypes.h>
#include <math.h>

/* SFConv without and with KL, of the first seed that has both. */
struct pair {
    const struct reproduction_run *runs[2];
    struct spectra spectra[2];
    struct histogram weights[2];
    struct histogram values[2];
};

static bool load_spectra(struct spectra *spectra, const struct report *report,
                         const struct reproduction_run *run)
{
    struct training_files files;
    struct experiment_model model;
    if (!training_name_files(&files, run->folder, report->error) ||
        !experiment_load(&model, report->r->context, files.best, report->error)) {
        return false;
    }
    const bool ok =
        spectra_collect(spectra, report->r->context, model.net, files.best, report->error);
    experiment_model_destroy(&model);
    return ok;
}

static void write_values(FILE *stream, const struct reproduction_run *run,
                         const struct spectra *spectra)
{
    for (int64_t i = 0; i < spectra->count; i++) {
        const struct spectra_factor *f = &spectra->factors[i];
        for (int64_t k = 0; k < f->measures.count; k++) {
            fprintf(stream, "%s,%" PRIu64 ",", sfconv_method_name(run->method), run->seed);
            csv_text(stream, f->layer);
            fprintf(stream, ",%s,%" PRId64 ",%" PRId64 ",%.9g,%.9g,%.9g,%.9g\n", f->name,
                    f->measures.count, k + 1, f->values[k], f->values[k] / f->measures.largest,
                    f->measures.effective_rank, f->measures.kl);
        }
    }
}

/* Every factorized run goes into the table, not only the two that are drawn. */
static bool write_spectra_csv(const struct report *report)
{
    char path[TRAINING_PATH_CAPACITY];
    struct safe_file csv;
    if (!report_open(report, &csv, path, "spectra.csv")) {
        return false;
    }
    bool ok = true;
    fputs("method,seed,layer,factor,rank,index,singular_value,normalized,effective_rank,kl\n",
          csv.stream);
    for (int64_t i = 0; ok && i < report->r->run_count; i++) {
        const struct reproduction_run *run = &report->r->runs[i];
        struct spectra spectra;
        if (run->state != REPRODUCTION_FINISHED || run->method == SFCONV_METHOD_CONV ||
            run->method == SFCONV_METHOD_DPCCONV) {
            continue;
        }
        ok = load_spectra(&spectra, report, run);
        if (ok) {
            write_values(csv.stream, run, &spectra);
            spectra_destroy(&spectra);
        }
    }
    return safe_file_close(&csv, ok, report->error);
}

static bool write_histograms_csv(const struct report *report, const struct pair *pair)
{
    char path[TRAINING_PATH_CAPACITY];
    char prefix[128];
    struct safe_file csv;
    if (!report_open(report, &csv, path, "histograms.csv")) {
        return false;
    }
    fputs("method,seed," HISTOGRAM_HEAD "\n", csv.stream);
    for (int i = 0; pair && i < 2; i++) {
        snprintf(prefix, sizeof prefix, "%s,%" PRIu64 ",",
                 sfconv_method_name(pair->runs[i]->method), pair->runs[i]->seed);
        histogram_write(csv.stream, prefix, "weight", &pair->weights[i]);
        histogram_write(csv.stream, prefix, "singular_value", &pair->values[i]);
    }
    return safe_file_close(&csv, true, report->error);
}

/* One line a factor, light for the first layers and dark for the last. */
static void draw_spectra(FILE *script, const struct report *report, const void *what)
{
    const struct spectra *spectra = what;
    (void)report;
    for (int64_t i = 0; i < spectra->count; i++) {
        const struct spectra_factor *f = &spectra->factors[i];
        fprintf(script, "$f%" PRId64 " << EOD\n", i);
        for (int64_t k = 0; k < f->measures.count; k++) {
            fprintf(script, "%.6f %.9g\n",
                    f->measures.count > 1 ? (double)k / (double)(f->measures.count - 1) : 0.0,
                    f->values[k] / f->measures.largest);
        }
        fputs("EOD\n", script);
    }
    fputs("set xlabel 'place in the spectrum, first to last'\nset ylabel 'singular value / "
          "largest'\nset xrange [0:1]\nset yrange [0:1.05]\nset key off\nset palette defined (0 "
          "'#a6cee3', 0.5 '#1f78b4', 1 '#08204a')\nunset colorbox\nset cbrange [0:1]\nplot",
          script);
    for (int64_t i = 0; i < spectra->count; i++) {
        fprintf(script,
                "%s $f%" PRId64 " with linespoints lw 1.5 pt 7 ps 0.3 lc palette frac %.4f%s",
                i == 0 ? "" : ",", i,
                spectra->count > 1 ? (double)i / (double)(spectra->count - 1) : 0.0,
                spectra->factors[i].name[0] == 'Q' ? " dt 2" : "");
    }
    fputc('\n', script);
}

static void draw_effective(FILE *script, const struct report *report, const void *what)
{
    const struct pair *pair = what;
    (void)report;
    for (int i = 0; i < 2; i++) {
        fprintf(script, "$r%d << EOD\n", i);
        for (int64_t k = 0; k < pair->spectra[i].count; k++) {
            const struct spectra_factor *f = &pair->spectra[i].factors[k];
            if (f->measures.count > 1) {
                fprintf(script, "%" PRId64 " %.9g\n", k / 2 + 1,
                        f->measures.effective_rank / (double)f->measures.count);
            }
        }
        fputs("EOD\n", script);
    }
    fputs(
        "set xlabel 'factorized layer, in the order of the network'\nset ylabel 'effective rank / "
        "rank'\nset yrange [0:1.05]\nplot $r0 with points pt 6 lw 1.5 lc rgb '#56b4e9' title "
        "'SFConv w/o KL', $r1 with points pt 7 lc rgb '#d55e00' title 'SFConv'\n",
        script);
}

static void draw_histograms(FILE *script, const struct histogram *two, const char *label)
{
    for (int i = 0; i < 2; i++) {
        const double step = (two[i].high - two[i].low) / SPECTRA_BINS;
        fprintf(script, "$h%d << EOD\n", i);
        for (int64_t bin = 0; bin < SPECTRA_BINS; bin++) {
            fprintf(script, "%.9g %.9g\n", two[i].low + step * ((double)bin + 0.5),
                    histogram_density(&two[i], bin));
        }
        fputs("EOD\n", script);
    }
    fprintf(
        script,
        "set xlabel '%s'\nset ylabel 'density'\nset yrange [0:*]\nplot $h0 with histeps lw 2 lc "
        "rgb '#0072b2' title 'SFConv w/o KL', $h1 with histeps lw 2 lc rgb '#d55e00' title "
        "'SFConv'\n",
        label);
}

static void draw_weights(FILE *script, const struct report *report, const void *what)
{
    (void)report;
    draw_histograms(script, ((const struct pair *)what)->weights, "weight of a factor");
}

static void draw_values(FILE *script, const struct report *report, const void *what)
{
    (void)report;
    draw_histograms(script, ((const struct pair *)what)->values, "singular value of a factor");
}

static void write_variances(const struct report *report, const struct pair *pair)
{
    fputs("<div class=\"wide\"><table><thead><tr><th>Method</th><th>Mean of weights</th>"
          "<th>Variance of weights</th><th>Mean of singular values</th><th>Variance of singular "
          "values</th></tr></thead><tbody>\n",
          report->page);
    for (int i = 0; i < 2; i++) {
        fprintf(report->page,
                "<tr><th scope=\"row\">%s</th><td>%.3e</td><td>%.3e</td><td>%.4f</td><td>%.4f</td>"
                "</tr>\n",
                report_method(pair->runs[i]->method), pair->weights[i].mean,
                pair->weights[i].variance, pair->values[i].mean, pair->values[i].variance);
    }
    fputs("</tbody></table></div>\n", report->page);
}

static bool draw_pair(const struct report *report, const struct pair *pair)
{
    const char *caption = "A line a factor, P solid and Q dashed; the first layers are light, the "
                          "last ones dark; 1 everywhere is flat";
    if (!report->r->plots) {
        fputs("<p>Plots were not asked for.</p>\n", report->page);
    }
    bool ok = report_plot(report, "spectra-without-kl", "Singular values without KL", caption,
                          draw_spectra, &pair->spectra[0]) &&
              report_plot(report, "spectra-with-kl", "Singular values with KL", caption,
                          draw_spectra, &pair->spectra[1]) &&
              report_plot(report, "effective-rank", "Effective rank of each factor",
                          "exp of the entropy of the normalized singular values, as a part of the "
                          "rank; factors of rank 1 are left out",
                          draw_effective, pair);
    fputs("</section>\n<section id=\"histograms\"><h2>Weights and singular values</h2>\n",
          report->page);
    ok = ok &&
         report_plot(report, "weights", "Weights of all factors with and without KL",
                     "The outermost bins hold what lies beyond them", draw_weights, pair) &&
         report_plot(report, "singular-values", "Singular values of all factors",
                     "Both methods, all factorized layers together", draw_values, pair);
    write_variances(report, pair);
    return ok;
}

static bool open_pair(struct pair *pair, const struct report *report, int64_t seed_index)
{
    static const int32_t methods[2] = {SFCONV_METHOD_SFCONV_NO_KL, SFCONV_METHOD_SFCONV};
    for (int i = 0; i < 2; i++) {
        pair->runs[i] = reproduction_find(report->r, methods[i], seed_index);
        if (!load_spectra(&pair->spectra[i], report, pair->runs[i])) {
            return false;
        }
    }
    const double reach = fmax(histogram_reach_of_weights(&pair->spectra[0]),
                              histogram_reach_of_weights(&pair->spectra[1]));
    const double high = fmax(histogram_reach_of_values(&pair->spectra[0]),
                             histogram_reach_of_values(&pair->spectra[1]));
    for (int i = 0; i < 2; i++) {
        pair->weights[i] = histogram_of_weights(&pair->spectra[i], reach);
        pair->values[i] = histogram_of_values(&pair->spectra[i], high);
    }
    return true;
}

bool report_spectra(const struct report *report)
{
    const int32_t both[] = {SFCONV_METHOD_SFCONV_NO_KL, SFCONV_METHOD_SFCONV, 0};
    const int64_t s = report_common_seed(report->r, both);
    struct pair pair = {.runs = {NULL, NULL}};
    if (!write_spectra_csv(report)) {
        return false;
    }
    fputs("<section id=\"spectra\"><h2>Spectra</h2>\n", report->page);
    if (s < 0) {
        fputs("<p>SFConv and SFConv w/o KL are not both finished for any seed.</p></section>\n"
              "<section id=\"histograms\"><h2>Weights and singular values</h2>\n<p>Likewise.</p>"
              "</section>\n",
              report->page);
        return write_histograms_csv(report, NULL);
    }
    bool ok = open_pair(&pair, report, s);
    if (ok) {
        fprintf(report->page, "<p>Seed %" PRIu64 "; spectra.csv has all seeds and methods.</p>\n",
                pair.runs[0]->seed);
        ok = write_histograms_csv(report, &pair) && draw_pair(report, &pair);
    }
    spectra_destroy(&pair.spectra[0]);
    spectra_destroy(&pair.spectra[1]);
    fputs("</section>\n", report->page);
    return ok;
}
