/* SPDX-License-Identifier: BSD-2-Clause */
#include "console.h"
#include "fields.h"
#include "html.h"
#include "report.h"
#include "safe_file.h"
#include "statistics.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* The numbers of one method over its finished seeds. */
struct column {
    double values[REPRODUCTION_MAX_SEEDS];
    int64_t count;
};

static double train_speed(const struct reproduction_run *run)
{
    return run->train_images_per_second;
}

static double predict_speed(const struct reproduction_run *run)
{
    return run->score.images_per_second;
}

static const struct {
    const char *name;
    const char *title;
    double (*of)(const struct reproduction_run *);
} speeds[] = {{"train_images_per_second", "Training images/s", train_speed},
              {"predict_images_per_second", "Prediction images/s (FPS)", predict_speed}};
#define SPEEDS (sizeof speeds / sizeof speeds[0])

static struct column collect(const struct reproduction *r, int32_t method,
                             double (*of)(const struct reproduction_run *),
                             const struct reproduction_measure *measure)
{
    struct column column = {.count = 0};
    for (int64_t s = 0; s < r->seed_count; s++) {
        const struct reproduction_run *run = reproduction_find(r, method, s);
        if (run && run->state == REPRODUCTION_FINISHED) {
            column.values[column.count++] = of ? of(run) : reproduction_value(run, measure);
        }
    }
    return column;
}

static void csv_number(FILE *stream, double value)
{
    fputc(',', stream);
    if (isfinite(value)) {
        fprintf(stream, "%.9g", value);
    }
}

static void both(const struct report *report, FILE *csv, const struct column *column, int decimals)
{
    const double mean = column->count > 0 ? statistics_mean(column->values, column->count) : NAN;
    const double deviation = statistics_deviation(column->values, column->count);
    csv_number(csv, mean);
    csv_number(csv, deviation);
    fputs("<td>", report->page);
    report_number(report->page, mean, decimals);
    if (isfinite(deviation)) {
        fprintf(report->page, " ± %.*f", decimals, deviation);
    }
    fputs("</td>", report->page);
}

static void write_heads(const struct report *report, FILE *csv)
{
    fputs("<table><thead><tr><th>Method</th><th>Seeds</th><th>#Params</th><th>MACs</th>"
          "<th>FLOPs</th>",
          report->page);
    fputs("method,seeds,failed,parameters,macs,flops", csv);
    for (size_t i = 0; i < SPEEDS; i++) {
        fprintf(report->page, "<th>%s</th>", speeds[i].title);
        fprintf(csv, ",%s_mean,%s_deviation", speeds[i].name, speeds[i].name);
    }
    for (int i = 0; i < REPRODUCTION_MEASURES; i++) {
        const struct reproduction_measure *measure = &reproduction_measures[i];
        if (reproduction_has(report->r, measure)) {
            fprintf(report->page, "<th>%s</th>", measure->title);
            fprintf(csv, ",%s_mean,%s_deviation", measure->name, measure->name);
        }
    }
    fputs("</tr></thead><tbody>\n", report->page);
    fputc('\n', csv);
}

static int64_t count_state(const struct reproduction *r, int32_t method,
                           enum reproduction_state state, const struct reproduction_run **last)
{
    int64_t count = 0;
    for (int64_t s = 0; s < r->seed_count; s++) {
        const struct reproduction_run *run = reproduction_find(r, method, s);
        if (run && run->state == state) {
            count++;
            *last = run;
        }
    }
    return count;
}

int64_t report_finished(const struct reproduction *r, int32_t method)
{
    const struct reproduction_run *run;
    return count_state(r, method, REPRODUCTION_FINISHED, &run);
}

static void write_costs(const struct report *report, FILE *csv, const struct reproduction_run *run)
{
    const int64_t costs[] = {run ? run->costs.parameters : 0, run ? run->costs.macs : 0,
                             run ? run->costs.flops : 0};
    char text[32];
    for (int i = 0; i < 3; i++) {
        if (run) {
            fprintf(csv, ",%" PRId64, costs[i]);
            fprintf(report->page, "<td>%s</td>", console_grouped(costs[i], text, sizeof text));
        } else {
            fputc(',', csv);
            fputs("<td>–</td>", report->page);
        }
    }
}

static void write_method(const struct report *report, FILE *csv, int32_t method)
{
    const struct reproduction_run *any = NULL;
    const struct reproduction_run *failure = NULL;
    const int64_t failed = count_state(report->r, method, REPRODUCTION_FAILED, &failure);
    const int64_t finished = count_state(report->r, method, REPRODUCTION_FINISHED, &any);
    fprintf(report->page, "<tr><th scope=\"row\">%s</th><td>%" PRId64, report_method(method),
            finished);
    if (failed > 0) {
        fprintf(report->page, " <strong>(%" PRId64 " failed)</strong>", failed);
    }
    fputs("</td>", report->page);
    fprintf(csv, "%s,%" PRId64 ",%" PRId64, sfconv_method_name(method), finished, failed);
    write_costs(report, csv, any);
    for (size_t i = 0; i < SPEEDS; i++) {
        const struct column column = collect(report->r, method, speeds[i].of, NULL);
        both(report, csv, &column, 1);
    }
    for (int i = 0; i < REPRODUCTION_MEASURES; i++) {
        if (reproduction_has(report->r, &reproduction_measures[i])) {
            const struct column column =
                collect(report->r, method, NULL, &reproduction_measures[i]);
            both(report, csv, &column, 4);
        }
    }
    fputs("</tr>\n", report->page);
    fputc('\n', csv);
}

bool report_results(const struct report *report)
{
    char path[TRAINING_PATH_CAPACITY];
    struct safe_file csv;
    if (!report_open(report, &csv, path, "table.csv")) {
        return false;
    }
    fputs("<section id=\"results\"><h2>Results</h2>\n<div class=\"wide\">", report->page);
    write_heads(report, csv.stream);
    for (int64_t m = 0; m < report->r->method_count; m++) {
        write_method(report, csv.stream, report->r->methods[m]);
    }
    fprintf(report->page, "</tbody></table></div>\n<p>Mean ± standard deviation over the seeds. "
                          "MACs are the multiply-adds of one image of the judged set; FLOPs = 2 "
                          "MACs. ");
    fputs(report->r->segments
              ? "Dice and IoU are means over the images; sensitivity and specificity are of all "
                "pixels together. A pixel is foreground where its probability is above 0.5, a "
                "threshold fixed beforehand. "
              : "The class is the most probable one. AUC is the mean over the classes, each "
                "against the rest. ",
          report->page);
    fputs("Prediction speed is that of one image at a time, without reading files; speeds hold for "
          "this machine in the state it was in.</p></section>\n",
          report->page);
    return safe_file_close(&csv, true, report->error);
}

/* ---- Paired tests */

static const struct {
    int32_t a;
    int32_t b;
} pairs[] = {{SFCONV_METHOD_SFCONV, SFCONV_METHOD_SFCONV_NO_KL},
             {SFCONV_METHOD_SFCONV, SFCONV_METHOD_CONV}};
#define PAIRS (sizeof pairs / sizeof pairs[0])

static bool both_finished(const struct reproduction *r, size_t pair, int64_t s,
                          const struct reproduction_run **a, const struct reproduction_run **b)
{
    *a = reproduction_find(r, pairs[pair].a, s);
    *b = reproduction_find(r, pairs[pair].b, s);
    return *a && *b && (*a)->state == REPRODUCTION_FINISHED && (*b)->state == REPRODUCTION_FINISHED;
}

static struct statistics_test test_seeds(const struct reproduction *r, size_t pair)
{
    double differences[REPRODUCTION_MAX_SEEDS];
    int64_t count = 0;
    const struct reproduction_run *a;
    const struct reproduction_run *b;
    for (int64_t s = 0; s < r->seed_count; s++) {
        if (both_finished(r, pair, s, &a, &b)) {
            differences[count++] = a->score.metric - b->score.metric;
        }
    }
    return statistics_paired_t(differences, count);
}

/* Differences of each image, the mean over the seeds that both methods have finished. */
static bool test_images(struct statistics_test *test, const struct report *report, size_t pair)
{
    const struct reproduction *r = report->r;
    const int64_t count = program_judged_by(&r->split)->count;
    double *differences = calloc((size_t)count, sizeof *differences);
    double *scratch = calloc(STATISTICS_RESAMPLES, sizeof *scratch);
    const bool ok =
        (differences && scratch) || image_fail(report->error, "comparison: out of memory");
    int64_t seeds = 0;
    const struct reproduction_run *a;
    const struct reproduction_run *b;
    for (int64_t s = 0; ok && s < r->seed_count; s++) {
        if (both_finished(r, pair, s, &a, &b)) {
            seeds++;
            for (int64_t i = 0; i < count; i++) {
                differences[i] += a->images[i].metric - b->images[i].metric;
            }
        }
    }
    for (int64_t i = 0; ok && i < count; i++) {
        differences[i] /= (double)(seeds > 0 ? seeds : 1);
    }
    if (ok) {
        *test = statistics_paired_resampled(differences, seeds > 0 ? count : 0, 1, scratch);
    }
    free(scratch);
    free(differences);
    return ok;
}

static void write_test(const struct report *report, FILE *csv, size_t pair, const char *over,
                       const char *kind, const struct statistics_test *test)
{
    FILE *page = report->page;
    fprintf(page, "<tr><th scope=\"row\">%s − %s</th><td>%s</td><td>%" PRId64 "</td><td>",
            report_method(pairs[pair].a), report_method(pairs[pair].b), over, test->count);
    report_number(page, test->mean, 4);
    fputs("</td><td>", page);
    report_number(page, test->low, 4);
    fputs(" … ", page);
    report_number(page, test->high, 4);
    fputs("</td><td>", page);
    if (test->p < 0.0001) {
        fputs("&lt; 0.0001", page);
    } else {
        report_number(page, test->p, 4);
    }
    fputs("</td></tr>\n", page);
    fprintf(csv, "%s,%s,%s,%s,%" PRId64, sfconv_method_name(pairs[pair].a),
            sfconv_method_name(pairs[pair].b), over, kind, test->count);
    csv_number(csv, test->mean);
    csv_number(csv, test->low);
    csv_number(csv, test->high);
    csv_number(csv, test->p);
    fputc('\n', csv);
}

bool report_comparisons(const struct report *report)
{
    char path[TRAINING_PATH_CAPACITY];
    struct safe_file csv;
    if (!report_open(report, &csv, path, "comparisons.csv")) {
        return false;
    }
    bool ok = true;
    fprintf(report->page,
            "<section id=\"comparisons\"><h2>Paired tests</h2>\n<div class=\"wide\"><table><thead>"
            "<tr><th>Difference of %s</th><th>Pairs</th><th>n</th><th>Mean</th><th>95 %% "
            "interval</th><th>p</th></tr></thead><tbody>\n",
            report->r->segments ? "Dice" : "accuracy");
    fputs("a,b,pairs,test,n,mean_difference,low,high,p\n", csv.stream);
    for (size_t pair = 0; ok && pair < PAIRS; pair++) {
        struct statistics_test test = test_seeds(report->r, pair);
        if (test.count == 0) {
            continue;
        }
        write_test(report, csv.stream, pair, "seeds", "paired t-test", &test);
        ok = test_images(&test, report, pair);
        if (ok) {
            write_test(report, csv.stream, pair, "images", "sign flips and bootstrap", &test);
        }
    }
    fputs("</tbody></table></div>\n<p>Over seeds: Student's paired t-test, which says whether "
          "another seed would come to the same. Over images: each image's difference is averaged "
          "over the seeds; p is that of the paired randomization test (signs of the differences "
          "changed by chance), the interval is the bootstrap's; it says whether other images would "
          "come to the same with these networks. All tests are two-sided; nothing is corrected for "
          "their number.</p></section>\n",
          report->page);
    return safe_file_close(&csv, ok, report->error);
}

/* ---- Each run, each image */

static void write_run(const struct report *report, FILE *csv, const struct reproduction_run *run)
{
    FILE *page = report->page;
    const bool finished = run->state == REPRODUCTION_FINISHED;
    const char *state = finished                            ? "finished"
                        : run->state == REPRODUCTION_FAILED ? "failed"
                                                            : "not finished";
    fprintf(page, "<tr><th scope=\"row\">%s</th><td>%" PRIu64 "</td><td>%s",
            report_method(run->method), run->seed, state);
    fprintf(csv, "%s,%" PRIu64 ",%s,", sfconv_method_name(run->method), run->seed, state);
    if (run->state == REPRODUCTION_FAILED) {
        fputs(": ", page);
        html_text(page, run->failure);
        csv_text(csv, run->failure);
    }
    fputs("</td><td>", page);
    report_number(page, finished ? (double)run->best_epoch : NAN, 0);
    fputs("</td>", page);
    csv_number(csv, finished ? (double)run->best_epoch : NAN);
    for (size_t i = 0; i < SPEEDS; i++) {
        csv_number(csv, finished ? speeds[i].of(run) : NAN);
    }
    for (int i = 0; i < REPRODUCTION_MEASURES; i++) {
        if (reproduction_has(report->r, &reproduction_measures[i])) {
            const double value =
                finished ? reproduction_value(run, &reproduction_measures[i]) : NAN;
            csv_number(csv, value);
            fputs("<td>", page);
            report_number(page, value, 4);
            fputs("</td>", page);
        }
    }
    fputs("</tr>\n", page);
    fputc('\n', csv);
}

bool report_runs(const struct report *report)
{
    char path[TRAINING_PATH_CAPACITY];
    struct safe_file csv;
    if (!report_open(report, &csv, path, "runs.csv")) {
        return false;
    }
    fputs(
        "<section id=\"runs\"><h2>Runs</h2>\n<div class=\"wide\"><table><thead><tr><th>Method</th>"
        "<th>Seed</th><th>State</th><th>Epoch kept</th>",
        report->page);
    fputs("method,seed,state,failure,best_epoch", csv.stream);
    for (size_t i = 0; i < SPEEDS; i++) {
        fprintf(csv.stream, ",%s", speeds[i].name);
    }
    for (int i = 0; i < REPRODUCTION_MEASURES; i++) {
        if (reproduction_has(report->r, &reproduction_measures[i])) {
            fprintf(report->page, "<th>%s</th>", reproduction_measures[i].title);
            fprintf(csv.stream, ",%s", reproduction_measures[i].name);
        }
    }
    fputs("</tr></thead><tbody>\n", report->page);
    fputc('\n', csv.stream);
    for (int64_t i = 0; i < report->r->run_count; i++) {
        write_run(report, csv.stream, &report->r->runs[i]);
    }
    fputs("</tbody></table></div></section>\n", report->page);
    return safe_file_close(&csv, true, report->error);
}

static void write_image(const struct report *report, FILE *csv, const struct reproduction_run *run,
                        int64_t index)
{
    const struct experiment_image_score *image = &run->images[index];
    const struct dataset *train = &report->r->split.train;
    csv_text(csv, run->image_names[index]);
    fprintf(csv, ",%s,%" PRIu64, sfconv_method_name(run->method), run->seed);
    if (report->r->segments) {
        csv_number(csv, image->metric);
        csv_number(csv, image->iou);
        csv_number(csv, image->sensitivity);
        csv_number(csv, image->specificity);
    } else {
        fputc(',', csv);
        csv_text(csv, train->class_names[image->truth]);
        fputc(',', csv);
        csv_text(csv, train->class_names[image->prediction]);
        csv_number(csv, image->metric);
        csv_number(csv, image->probability);
    }
    fputc('\n', csv);
}

bool report_images(const struct report *report)
{
    char path[TRAINING_PATH_CAPACITY];
    struct safe_file csv;
    if (!report_open(report, &csv, path, "images.csv")) {
        return false;
    }
    fputs(report->r->segments ? "image,method,seed,dice,iou,sensitivity,specificity\n"
                              : "image,method,seed,truth,prediction,right,probability\n",
          csv.stream);
    for (int64_t i = 0; i < report->r->run_count; i++) {
        const struct reproduction_run *run = &report->r->runs[i];
        for (int64_t k = 0; run->state == REPRODUCTION_FINISHED && k < run->image_count; k++) {
            write_image(report, csv.stream, run, k);
        }
    }
    return safe_file_close(&csv, true, report->error);
}
