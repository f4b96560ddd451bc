/* SPDX-License-Identifier: BSD-2-Clause */
#include "html.h"
#include "picture.h"
#include "report.h"

#include <inttypes.h>

#define SAMPLES 4

/* Places in the judged set, from all over it. */
static int64_t sample_index(const struct dataset *set, int64_t number, int64_t shown)
{
    return number * set->count / shown;
}

static bool put_picture(const struct report *report, const struct image *image, const char *name,
                        const char *alt)
{
    char folder[TRAINING_PATH_CAPACITY];
    char path[TRAINING_PATH_CAPACITY];
    if (!program_path(folder, sizeof folder, report->r->how.output, "samples", report->error) ||
        !program_make_folder(folder, report->error) ||
        !program_path(path, sizeof path, folder, name, report->error) ||
        !image_write_png(image, path, report->error)) {
        return false;
    }
    fprintf(report->page, "<img alt=\"%s\" src=\"", alt);
    const bool ok = html_png(report->page, path, report->error);
    fputs("\">", report->page);
    return ok;
}

static bool put_input(const struct report *report, const struct dataset *set, int64_t index,
                      int64_t number)
{
    char name[64];
    struct image image;
    snprintf(name, sizeof name, "%02" PRId64 "-input.png", number);
    const bool ok = dataset_get(&image, NULL, set, index, report->error) &&
                    put_picture(report, &image, name, "input");
    image_destroy(&image);
    return ok;
}

static bool put_truth(const struct report *report, const struct dataset *set, int64_t index,
                      int64_t number)
{
    char name[64];
    struct image image;
    struct image mask = {0};
    if (!report->r->segments) {
        html_text(report->page, set->class_names[set->samples[index].label]);
        return true;
    }
    snprintf(name, sizeof name, "%02" PRId64 "-truth.png", number);
    const bool ok = dataset_get(&image, &mask, set, index, report->error) &&
                    put_picture(report, &mask, name, "truth");
    image_destroy(&image);
    image_destroy(&mask);
    return ok;
}

static bool put_row(const struct report *report, const char *title, const struct dataset *set,
                    int64_t shown,
                    bool (*put)(const struct report *, const struct dataset *, int64_t, int64_t))
{
    bool ok = true;
    fprintf(report->page, "<tr><th scope=\"row\">%s</th>", title);
    for (int64_t i = 0; ok && i < shown; i++) {
        fputs("<td>", report->page);
        ok = put(report, set, sample_index(set, i, shown), i + 1);
        fputs("</td>", report->page);
    }
    fputs("</tr>\n", report->page);
    return ok;
}

static bool put_mask(const struct report *report, const struct experiment_model *model,
                     const struct image *image, const struct image *truth, const char *name)
{
    struct image mask = {0};
    struct image compared = {0};
    bool ok = experiment_predict_sample(&mask, model, image, report->error);
    if (ok) {
        image_threshold(&mask, (float)model->threshold);
        ok = picture_compare(&compared, image, truth, &mask, report->error) &&
             put_picture(report, &compared, name, "prediction");
    }
    image_destroy(&mask);
    image_destroy(&compared);
    return ok;
}

static bool put_class(const struct report *report, const struct experiment_model *model,
                      const struct image *image, int32_t truth)
{
    struct image probability;
    if (!experiment_predict_sample(&probability, model, image, report->error)) {
        return false;
    }
    const int64_t best = program_best_class(&probability);
    fputs(best == truth ? "" : "<strong>", report->page);
    html_text(report->page, model->class_names[best]);
    fprintf(report->page, " (%.0f %%)%s", 100.0 * (double)probability.pixels[best],
            best == truth ? "" : "</strong>");
    image_destroy(&probability);
    return true;
}

static bool put_answers(const struct report *report, const struct reproduction_run *run,
                        const struct dataset *set, int64_t shown)
{
    struct training_files files;
    struct experiment_model model;
    bool ok = training_name_files(&files, run->folder, report->error) &&
              experiment_load(&model, report->r->context, files.best, report->error);
    if (!ok) {
        return false;
    }
    for (int64_t i = 0; ok && i < shown; i++) {
        const int64_t index = sample_index(set, i, shown);
        char name[128];
        struct image image;
        struct image mask = {0};
        ok = dataset_get(&image, &mask, set, index, report->error);
        if (!ok) {
            break;
        }
        snprintf(name, sizeof name, "%02" PRId64 "-%s.png", i + 1, sfconv_method_name(run->method));
        fputs("<td>", report->page);
        ok = report->r->segments ? put_mask(report, &model, &image, &mask, name)
                                 : put_class(report, &model, &image, set->samples[index].label);
        fputs("</td>", report->page);
        image_destroy(&image);
        image_destroy(&mask);
    }
    experiment_model_destroy(&model);
    return ok;
}

bool report_samples(const struct report *report)
{
    const struct reproduction *r = report->r;
    const struct dataset *set = program_judged_by(&r->split);
    const int64_t shown = set->count < SAMPLES ? set->count : SAMPLES;
    fputs("<section id=\"samples\"><h2>Sample predictions</h2>\n<div class=\"wide samples\"><table>"
          "<tbody>\n",
          report->page);
    bool ok = put_row(report, "Input", set, shown, put_input) &&
              put_row(report, "Truth", set, shown, put_truth);
    for (int64_t m = 0; ok && m < r->method_count; m++) {
        const int32_t method[] = {r->methods[m], 0};
        const int64_t s = report_common_seed(r, method);
        if (s < 0) {
            continue;
        }
        const struct reproduction_run *run = reproduction_find(r, r->methods[m], s);
        fprintf(report->page, "<tr><th scope=\"row\">%s, seed %" PRIu64 "</th>",
                report_method(run->method), run->seed);
        ok = put_answers(report, run, set, shown);
        fputs("</tr>\n", report->page);
    }
    fprintf(report->page, "</tbody></table></div>\n<p>%s</p></section>\n",
            r->segments ? "Predictions: green is found, red is made up, blue is missed."
                        : "Wrong answers are bold.");
    return ok;
}
