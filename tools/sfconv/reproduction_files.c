/* SPDX-License-Identifier: BSD-2-Clause */
#include "csv_file.h"
#include "fields.h"
#include "parse_text.h"
#include "reproduction.h"
#include "safe_file.h"
#include "train_state.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTINGS_CAPACITY 1024

/* What must be the same for results to stay: a fingerprint of settings and images. */
static void settings_of(char text[SETTINGS_CAPACITY], const struct reproduction *r,
                        const struct reproduction_run *run)
{
    const struct experiment_options o = reproduction_options(r, run);
    char extra[SETTINGS_CAPACITY / 2];
    char seed[48] = "";
    if (r->how.selection.seed != 0) {
        snprintf(seed, sizeof seed, "; split-seed %" PRIu64, r->how.selection.seed);
    }
    snprintf(extra, sizeof extra, "; decay %.9g; balance %s; group-by %s%s", o.decay,
             experiment_balance_name(o.balance),
             r->how.selection.group_by ? r->how.selection.group_by : "none", seed);
    snprintf(text, SETTINGS_CAPACITY,
             "model %s; rho %.9g; min-rank %" PRId64 "; weight %.9g; epochs %" PRId64
             "; batch %" PRId64 "; crop %" PRId64 "; size %" PRId64 "%s%s"
             "; rate %.9g%s; augment %d; validate-every %" PRId64 "; images %" PRId64 " %" PRId64
             " %" PRId64,
             sfconv_model_name(o.model), o.ratio, o.min_rank, o.regularizer_weight, o.epochs,
             o.batch, o.crop, o.size, o.field_of_view ? " of the field of view" : "",
             o.pad ? " of squares" : "", o.rate, extra, (int)o.augment, o.validate_every,
             r->split.train.count, r->split.val.count, r->split.test.count);
}

/* Numbers keep every bit. */
static void write_summary(FILE *stream, const struct reproduction *r,
                          const struct reproduction_run *run)
{
    char settings[SETTINGS_CAPACITY];
    settings_of(settings, r, run);
    fprintf(stream, "parameters,macs,flops,images,images_per_second,metric,spread,iou,sensitivity,"
                    "specificity,kappa,auc,settings\n");
    fprintf(stream,
            "%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64
            ",%.17g,%.17g,%.17g,%.17g,%.17g,%.17g,%.17g,%.17g,",
            run->costs.parameters, run->costs.macs, run->costs.flops, run->score.images,
            run->score.images_per_second, run->score.metric, run->score.spread, run->score.iou,
            run->score.sensitivity, run->score.specificity, run->score.kappa, run->score.auc);
    csv_text(stream, settings);
    fputc('\n', stream);
}

static void write_images(FILE *stream, const struct reproduction *r,
                         const struct reproduction_run *run)
{
    (void)r;
    fprintf(stream, "image,metric,iou,sensitivity,specificity,truth,prediction,probability\n");
    for (int64_t i = 0; i < run->image_count; i++) {
        const struct experiment_image_score *image = &run->images[i];
        csv_text(stream, run->image_names[i]);
        fprintf(stream, ",%.17g,%.17g,%.17g,%.17g,%d,%d,%.17g\n", image->metric, image->iou,
                image->sensitivity, image->specificity, (int)image->truth, (int)image->prediction,
                image->probability);
    }
}

static bool
write_file(const struct reproduction *r, const struct reproduction_run *run, const char *name,
           void (*write)(FILE *, const struct reproduction *, const struct reproduction_run *),
           struct image_error *error)
{
    char path[TRAINING_PATH_CAPACITY];
    struct safe_file file;
    if (!program_path(path, sizeof path, run->folder, name, error) ||
        !safe_file_open(&file, path, error)) {
        return false;
    }
    write(file.stream, r, run);
    return safe_file_close(&file, true, error);
}

/* The summary comes last: where it is, the run is finished. */
bool reproduction_write_results(const struct reproduction *r, const struct reproduction_run *run,
                                struct image_error *error)
{
    return write_file(r, run, "images.csv", write_images, error) &&
           write_file(r, run, "result.csv", write_summary, error);
}

/* A table whose columns are asked for by name. */
struct table {
    struct csv csv;
    const char *path;
    /* The first number that is none; "" while all are. */
    struct image_error fault;
};

static const char *cell(const struct table *table, int64_t row, const char *name)
{
    const struct csv_row *head = &table->csv.rows[0];
    for (int64_t c = 0; c < head->count; c++) {
        if (strcmp(csv_field(&table->csv, head, c), name) == 0) {
            return csv_field(&table->csv, &table->csv.rows[row], c);
        }
    }
    return "";
}

static void note_fault(struct table *table, int64_t row, const char *name)
{
    if (!table->fault.text[0]) {
        image_fail(&table->fault,
                   "%s: %s in row %" PRId64 " is '%s', expected a number; remove its folder to "
                   "train this run anew",
                   table->path, name, row, cell(table, row, name));
    }
}

static bool is_sound(const struct table *table, struct image_error *error)
{
    return !table->fault.text[0] || image_fail(error, "%s", table->fault.text);
}

/* NaN for an empty cell: an epoch need not have been validated. */
static double number(struct table *table, int64_t row, const char *name)
{
    const char *text = cell(table, row, name);
    char *end = NULL;
    const double value = strtod(text, &end);
    if (*end) {
        note_fault(table, row, name);
    }
    return end != text && !*end ? value : NAN;
}

static int64_t whole(struct table *table, int64_t row, const char *name)
{
    int64_t value = 0;
    if (!parse_whole(&value, cell(table, row, name), INT64_MIN, INT64_MAX)) {
        note_fault(table, row, name);
    }
    return value;
}

static bool open_table(struct table *table, const char *path, int64_t least_rows,
                       struct image_error *error)
{
    *table = (struct table){.path = path};
    if (!csv_read(&table->csv, path, error)) {
        return false;
    }
    if (table->csv.row_count < 1 + least_rows) {
        csv_destroy(&table->csv);
        return image_fail(error, "%s: ends early; remove its folder to train this run anew", path);
    }
    return true;
}

static bool read_summary(const struct reproduction *r, struct reproduction_run *run,
                         const char *path, struct image_error *error)
{
    char settings[SETTINGS_CAPACITY];
    struct table t;
    if (!open_table(&t, path, 1, error)) {
        return false;
    }
    settings_of(settings, r, run);
    run->costs = (struct experiment_costs){whole(&t, 1, "parameters"), whole(&t, 1, "macs"),
                                           whole(&t, 1, "flops")};
    run->score = (struct experiment_score){.images = whole(&t, 1, "images"),
                                           .metric = number(&t, 1, "metric"),
                                           .spread = number(&t, 1, "spread"),
                                           .iou = number(&t, 1, "iou"),
                                           .sensitivity = number(&t, 1, "sensitivity"),
                                           .specificity = number(&t, 1, "specificity"),
                                           .kappa = number(&t, 1, "kappa"),
                                           .auc = number(&t, 1, "auc"),
                                           .images_per_second = number(&t, 1, "images_per_second")};
    const bool ok = is_sound(&t, error) &&
                    (strcmp(cell(&t, 1, "settings"), settings) == 0 ||
                     train_settings_fail(path, cell(&t, 1, "settings"), settings, "; ", error));
    csv_destroy(&t.csv);
    return ok;
}

/* The same file, wherever the images have been moved to. */
static bool same_name(const char *a, const char *b)
{
    const char *left = strrchr(a, '/');
    const char *right = strrchr(b, '/');
    return strcmp(left ? left : a, right ? right : b) == 0;
}

static bool check_image(const struct reproduction *r, const struct reproduction_run *run,
                        int64_t index, const char *path, struct image_error *error)
{
    const struct dataset *set = program_judged_by(&r->split);
    const struct experiment_image_score *image = &run->images[index];
    const int32_t classes = r->split.train.class_count;
    const bool ok = same_name(run->image_names[index], set->samples[index].path) &&
                    image->truth == set->samples[index].label &&
                    (classes == 0 || (image->prediction >= 0 && image->prediction < classes));
    return ok || image_fail(error,
                            "%s: row %" PRId64 " is of other images than those that are "
                            "there now",
                            path, index + 1);
}

static bool read_images(const struct reproduction *r, struct reproduction_run *run,
                        struct image_error *error)
{
    char path[TRAINING_PATH_CAPACITY];
    struct table t;
    if (!program_path(path, sizeof path, run->folder, "images.csv", error) ||
        !open_table(&t, path, program_judged_by(&r->split)->count, error)) {
        return false;
    }
    const int64_t count = program_judged_by(&r->split)->count;
    run->images = calloc((size_t)count + 1, sizeof *run->images);
    run->image_names = calloc((size_t)count + 1, sizeof *run->image_names);
    bool ok = (run->images && run->image_names) || image_fail(error, "%s: out of memory", path);
    for (int64_t i = 0; ok && i < count; i++) {
        run->images[i] =
            (struct experiment_image_score){.metric = number(&t, i + 1, "metric"),
                                            .iou = number(&t, i + 1, "iou"),
                                            .sensitivity = number(&t, i + 1, "sensitivity"),
                                            .specificity = number(&t, i + 1, "specificity"),
                                            .truth = (int32_t)whole(&t, i + 1, "truth"),
                                            .prediction = (int32_t)whole(&t, i + 1, "prediction"),
                                            .probability = number(&t, i + 1, "probability")};
        run->image_names[i] = strdup(cell(&t, i + 1, "image"));
        ok = run->image_names[i] != NULL || image_fail(error, "%s: out of memory", path);
        run->image_count += ok;
        ok = ok && is_sound(&t, error) && check_image(r, run, i, path, error);
    }
    csv_destroy(&t.csv);
    return ok;
}

static bool same_left_out(const struct experiment_model *model,
                          const struct experiment_selection *selection)
{
    bool same = model->left_out_count == selection->left_out_count;
    for (int64_t i = 0; same && i < model->left_out_count; i++) {
        same = strcmp(model->left_out[i], selection->left_out[i]) == 0;
    }
    return same;
}

static bool same_pixels(const struct experiment_model *model, const struct experiment_model *now)
{
    bool same = model->channels == now->channels;
    for (int64_t c = 0; same && c < model->channels; c++) {
        same = model->mean[c] == now->mean[c] && model->deviation[c] == now->deviation[c];
    }
    return same;
}

bool reproduction_check_images(const struct reproduction *r, const struct reproduction_run *run,
                               const struct experiment_model *now, struct image_error *error)
{
    struct training_files files;
    struct experiment_model model;
    if (!training_name_files(&files, run->folder, error) ||
        !experiment_load(&model, r->context, files.best, error)) {
        return false;
    }
    bool ok = true;
    if (!same_left_out(&model, &r->how.selection)) {
        ok = image_fail(error,
                        "%s: other images were left out of its training; the same options go on",
                        files.best);
    } else if (!same_pixels(&model, now)) {
        ok = image_fail(error, "%s: was trained on other images than those that are there now",
                        files.best);
    }
    experiment_model_destroy(&model);
    return ok;
}

bool reproduction_read_log(struct reproduction_run *run, struct image_error *error)
{
    char path[TRAINING_PATH_CAPACITY];
    struct table t;
    double seconds_per_image = 0.0;
    if (!program_path(path, sizeof path, run->folder, "log.csv", error) ||
        !open_table(&t, path, 1, error)) {
        return false;
    }
    const int64_t count = t.csv.row_count - 1;
    run->epochs = calloc((size_t)count, sizeof *run->epochs);
    bool ok = run->epochs || image_fail(error, "%s: out of memory", path);
    for (int64_t i = 0; ok && i < count; i++) {
        run->epochs[i] = (struct reproduction_epoch){
            number(&t, i + 1, "loss"), number(&t, i + 1, "penalty"),
            number(&t, i + 1, "validation"), number(&t, i + 1, "images_per_second")};
        seconds_per_image += 1.0 / run->epochs[i].images_per_second;
        if (whole(&t, i + 1, "best") == 1) {
            run->best_epoch = i + 1;
        }
    }
    ok = ok && is_sound(&t, error);
    run->epoch_count = ok ? count : 0;
    run->train_images_per_second = (double)count / seconds_per_image;
    csv_destroy(&t.csv);
    return ok;
}

bool reproduction_read_results(const struct reproduction *r, struct reproduction_run *run,
                               struct image_error *error)
{
    char path[TRAINING_PATH_CAPACITY];
    run->state = REPRODUCTION_MISSING;
    if (!program_path(path, sizeof path, run->folder, "result.csv", error)) {
        return false;
    }
    if (access(path, F_OK) != 0) {
        return true;
    }
    if (!read_summary(r, run, path, error) || !read_images(r, run, error) ||
        !reproduction_read_log(run, error)) {
        return false;
    }
    run->state = REPRODUCTION_FINISHED;
    return true;
}
