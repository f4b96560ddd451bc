/* SPDX-License-Identifier: BSD-2-Clause */
#include "program.h"

#include "angiogram.h"
#include "console.h"
#include "fundus.h"
#include "picture.h"
#include "processors.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_CAPACITY 4096

static void log_to_stderr(void *user, int32_t level, const char *text)
{
    (void)user;
    if (level == SFCONV_LOG_WARNING) {
        fprintf(stderr, "warning: %s\n", text);
    }
}

bool program_context(sfconv_context **context, const struct program_options *options,
                     struct image_error *error)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    desc.workers = options->workers > 0 ? options->workers : workers_by_default();
    desc.log = log_to_stderr;
    const sfconv_status status = sfconv_context_create(context, &desc);
    return status >= 0 || image_fail(error, "context: %s", sfconv_status_name(status));
}

bool program_make_folder(const char *path, struct image_error *error)
{
    struct stat status;
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        return image_fail(error, "%s: cannot make the folder: %s", path, strerror(errno));
    }
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
        return image_fail(error, "%s: not a folder", path);
    }
    return access(path, W_OK | X_OK) == 0 ||
           image_fail(error, "%s: cannot write into the folder: %s", path, strerror(errno));
}

bool program_check_folder(const char *path, struct image_error *error)
{
    struct stat status;
    char parent[PATH_CAPACITY];
    if (stat(path, &status) == 0) {
        return program_make_folder(path, error);
    }
    snprintf(parent, sizeof parent, "%s", path);
    return access(dirname(parent), W_OK | X_OK) == 0 ||
           image_fail(error, "%s: cannot make the folder: %s", path, strerror(errno));
}

bool program_path(char *path, size_t capacity, const char *folder, const char *name,
                  struct image_error *error)
{
    const int length = snprintf(path, capacity, "%s/%s", folder, name);
    return (length > 0 && (size_t)length < capacity) ||
           image_fail(error, "%s: the path is too long", folder);
}

/* As a PNG holds it, so that a saved picture gets the same answer from the network. */
static void round_to_bytes(struct image *image)
{
    for (int64_t i = 0; i < image_pixels(image) * image->channels; i++) {
        const float value = image->pixels[i];
        image->pixels[i] = (float)lrintf(fminf(fmaxf(value, 0.0f), 1.0f) * 255.0f) / 255.0f;
    }
}

static bool make_images(struct dataset_split *split, const struct program_options *options,
                        bool segments, struct image_error *error)
{
    const int64_t size = options->experiment.size ? options->experiment.size : segments ? 96 : 64;
    const int64_t count = options->images;
    const int64_t held_out = count / 4 + 1;
    struct dataset *const sets[3] = {&split->train, &split->val, &split->test};
    int64_t first = 0;
    for (int i = 0; i < 3; i++) {
        const int64_t wanted = i == 0 ? count : held_out;
        const bool ok = segments ? angiogram_dataset(sets[i], first, wanted, size, size, 1, error)
                                 : fundus_dataset(sets[i], first, wanted, size, size, 1, error);
        if (!ok) {
            dataset_split_destroy(split);
            return false;
        }
        for (int64_t k = 0; k < sets[i]->count; k++) {
            round_to_bytes(&sets[i]->samples[k].image);
        }
        first += wanted;
    }
    return true;
}

/* What only shows once a set is complete. */
static bool check_split(const struct dataset_split *split, const struct program_options *options,
                        struct image_error *error)
{
    const struct dataset *train = &split->train;
    const char *folder = options->data;
    const char *group_by = options->selection.group_by;
    if (train->class_count == 1) {
        return image_fail(error, "%s: only one class, '%s': nothing to tell apart", folder,
                          train->class_names[0]);
    }
    if (train->class_count == 2 && strcmp(train->class_names[0], "images") == 0 &&
        strcmp(train->class_names[1], "masks") == 0) {
        return image_fail(error, "%s: images and masks are for a segmenter, not for a classifier",
                          folder);
    }
    if (split->val.count == 0 && split->test.count == 0 && group_by) {
        return image_fail(error,
                          "%s: the pattern '%s' keeps so many of the %" PRId64
                          " images together that none can be held back for a test",
                          folder, group_by, train->count);
    }
    if (split->val.count == 0 && split->test.count == 0) {
        return image_fail(error, "%s: too few images (%" PRId64 ") to hold some back for a test",
                          folder, train->count);
    }
    return true;
}

static bool load_folder(struct dataset_split *split, const struct program_options *options,
                        bool segments, struct image_error *error)
{
    struct dataset_options how = dataset_options_default();
    how.form.width = how.form.height = options->experiment.size;
    how.form.limits = options->limits;
    how.lazy = options->lazy;
    how.seed = options->selection.seed;
    how.form.crop_to_field = options->experiment.field_of_view;
    how.form.pad_to_square = options->experiment.pad;
    how.group_by = options->selection.group_by;
    how.leave_out = options->selection.left_out;
    how.leave_out_count = options->selection.left_out_count;
    how.leave_out_may_miss = options->selection_may_miss;
    if (options->whole) {
        how.part_val = how.part_test = 0.0;
    }
    if (access(options->data, F_OK) != 0) {
        return image_fail(error, "%s: %s", options->data, strerror(errno));
    }
    if (!(segments ? dataset_load_masks(split, options->data, &how, error)
                   : dataset_load_classes(split, options->data, &how, error))) {
        return false;
    }
    bool ok = true;
    if (split->val.count == 0 && !options->whole) {
        dataset_destroy(&split->val);
        ok = dataset_take_part(&split->val, &split->train, how.part_val, how.seed, error);
    }
    ok = ok && (options->whole || check_split(split, options, error));
    if (!ok) {
        dataset_split_destroy(split);
    }
    return ok;
}

bool program_load(struct dataset_split *split, const struct program_options *options, bool segments,
                  struct image_error *error)
{
    *split = (struct dataset_split){0};
    return options->data ? load_folder(split, options, segments, error)
                         : make_images(split, options, segments, error);
}

const struct dataset *program_judged_by(const struct dataset_split *split)
{
    return split->test.count > 0 ? &split->test : &split->val;
}

bool program_judge(struct console_row *row, const struct experiment_model *model,
                   const struct dataset_split *split, struct image_error *error)
{
    const struct dataset *held_out = program_judged_by(split);
    struct image image;
    *row = (struct console_row){.method = sfconv_method_name(model->method),
                                .segments = model->segments};
    if (!experiment_evaluate(&row->score, NULL, model, held_out, error) ||
        !dataset_get(&image, NULL, held_out, 0, error)) {
        return false;
    }
    const bool ok = experiment_count(&row->costs, model, image.width, image.height, error);
    image_destroy(&image);
    return ok;
}

struct watched {
    struct console console;
    double images_per_second;
    int64_t epochs;
    int64_t best_epoch;
};

static bool watch(void *user, const struct experiment_progress *progress)
{
    struct watched *watched = user;
    watched->images_per_second = progress->images_per_second;
    if (progress->epoch_done) {
        watched->epochs = progress->epoch;
        watched->best_epoch = progress->best ? progress->epoch : watched->best_epoch;
    }
    return console_watch(&watched->console, progress);
}

bool program_train(struct experiment_model *model, struct console_row *row, sfconv_context *context,
                   const struct dataset_split *split, const struct experiment_options *options,
                   struct image_error *error)
{
    const bool segments = split->train.class_count == 0;
    struct watched watched = {.console =
                                  console_open(sfconv_method_name(options->method), segments)};
    console_catch_interrupt();
    const bool trained = experiment_train(model, context, &split->train, &split->val, options,
                                          watch, &watched, error);
    console_close(&watched.console);
    if (!trained) {
        return false;
    }
    if (console_interrupted()) {
        printf("stopped after epoch %" PRId64 "; epoch %" PRId64 ", the best one, is kept\n",
               watched.epochs, watched.best_epoch);
    }
    if (!program_judge(row, model, split, error)) {
        experiment_model_destroy(model);
        return false;
    }
    row->train_images_per_second = watched.images_per_second;
    return true;
}

/* Pictures of one model's answers. */
struct gallery {
    const struct experiment_model *model;
    const struct dataset *test;
    const char *folder;
    const char *label;
    struct image_error *error;
};

static bool write_picture(const struct gallery *gallery, const struct image *image, int64_t number,
                          const char *kind)
{
    char name[128];
    char path[PATH_CAPACITY];
    snprintf(name, sizeof name, "%s-%02" PRId64 "-%s.png", gallery->label, number, kind);
    return program_path(path, sizeof path, gallery->folder, name, gallery->error) &&
           image_write_png(image, path, gallery->error);
}

/* input | truth | prediction | comparison, each also a file of its own. */
static bool show_mask(const struct gallery *gallery, int64_t index, int64_t number,
                      struct image *cells)
{
    struct image *image = &cells[0];
    struct image *truth = &cells[1];
    struct image *mask = &cells[2];
    if (!dataset_get(image, truth, gallery->test, index, gallery->error) ||
        !experiment_predict_sample(mask, gallery->model, image, gallery->error)) {
        return false;
    }
    image_threshold(mask, 0.5f);
    return picture_compare(&cells[3], image, truth, mask, gallery->error) &&
           write_picture(gallery, image, number, "input") &&
           write_picture(gallery, mask, number, "mask") &&
           write_picture(gallery, &cells[3], number, "compared");
}

int64_t program_best_class(const struct image *probability)
{
    int64_t best = 0;
    for (int64_t c = 1; c < probability->width; c++) {
        best = probability->pixels[c] > probability->pixels[best] ? c : best;
    }
    return best;
}

static bool show_class(const struct gallery *gallery, int64_t index, int64_t number,
                       struct image *cell)
{
    const struct dataset *test = gallery->test;
    struct image probability;
    if (!dataset_get(cell, NULL, test, index, gallery->error) ||
        !experiment_predict_sample(&probability, gallery->model, cell, gallery->error)) {
        return false;
    }
    const int64_t best = program_best_class(&probability);
    printf("  %s-%02" PRId64 "-input.png: class '%s', predicted '%s' (%.0f %%)\n", gallery->label,
           number, test->class_names[test->samples[index].label], gallery->model->class_names[best],
           100.0 * (double)probability.pixels[best]);
    image_destroy(&probability);
    return write_picture(gallery, cell, number, "input");
}

#define SHOWN_MAX 16
#define CELLS_PER_MASK 4

bool program_show_predictions(const struct experiment_model *model, const struct dataset *test,
                              int64_t count, const char *folder, const char *label,
                              struct image_error *error)
{
    const struct gallery gallery = {model, test, folder, label, error};
    struct image cells[SHOWN_MAX * CELLS_PER_MASK] = {{0}};
    struct image sheet = {0};
    const int64_t shown = count < test->count ? count : test->count;
    const int64_t columns = model->segments ? CELLS_PER_MASK : shown;
    const int64_t total = model->segments ? shown * CELLS_PER_MASK : shown;
    bool ok = (shown > 0 && shown <= SHOWN_MAX) ||
              image_fail(error, "%s: %" PRId64 " predictions to show, expected 1 to %d", folder,
                         shown, SHOWN_MAX);
    for (int64_t i = 0; ok && i < shown; i++) {
        /* Sets are in the order of their classes: all of them shall be seen. */
        const int64_t index = i * test->count / shown;
        ok = model->segments ? show_mask(&gallery, index, i + 1, &cells[i * CELLS_PER_MASK])
                             : show_class(&gallery, index, i + 1, &cells[i]);
    }
    if (ok) {
        char name[128];
        char path[PATH_CAPACITY];
        snprintf(name, sizeof name, "%s-sheet.png", label);
        ok = picture_sheet(&sheet, cells, total, columns, 4, error) &&
             program_path(path, sizeof path, folder, name, error) &&
             image_write_png(&sheet, path, error);
    }
    for (int64_t i = 0; i < SHOWN_MAX * CELLS_PER_MASK; i++) {
        image_destroy(&cells[i]);
    }
    image_destroy(&sheet);
    return ok;
}

void program_print_sizes(const struct dataset_split *split)
{
    printf("%" PRId64 " images to train on, %" PRId64 " to validate, %" PRId64 " to test",
           split->train.count, split->val.count, split->test.count);
    if (split->ignored > 0) {
        printf("; %" PRId64 " other file%s passed over", split->ignored,
               split->ignored == 1 ? " is" : "s are");
    }
    printf("\n");
    fflush(stdout);
}

void program_print_score(const struct experiment_score *score, bool segments, const char *set)
{
    printf("%s: ", set);
    if (segments) {
        printf("Dice %.4f +- %.4f over %" PRId64
               " images, IoU %.4f, sensitivity %.4f, specificity %.4f\n",
               score->metric, score->spread, score->images, score->iou, score->sensitivity,
               score->specificity);
    } else {
        printf("accuracy %.4f over %" PRId64 " images, quadratic kappa %.4f, AUC %.4f\n",
               score->metric, score->images, score->kappa, score->auc);
    }
}

bool program_save(const struct experiment_model *model, const char *folder, const char *name,
                  struct image_error *error)
{
    char file[128];
    char path[PATH_CAPACITY];
    snprintf(file, sizeof file, "%s.safetensors", name);
    return program_path(path, sizeof path, folder, file, error) &&
           experiment_save(model, path, NULL, error);
}

bool program_work(sfconv_context *context, const struct program_options *options, const char *name,
                  struct image_error *error)
{
    const bool segments = experiment_segments(options->experiment.model);
    struct dataset_split split;
    struct experiment_model model = {0};
    struct console_row row;
    if (!program_load(&split, options, segments, error)) {
        return false;
    }
    program_print_sizes(&split);
    bool ok = program_make_folder(options->output, error) &&
              program_train(&model, &row, context, &split, &options->experiment, error);
    if (ok) {
        console_table_head(segments);
        console_table_row(&row);
        /* Without test images the number comes from those that chose the epoch. */
        program_print_score(&row.score, segments,
                            split.test.count > 0 ? "test" : "validation (no test images)");
        ok = program_save(&model, options->output, name, error) &&
             program_show_predictions(&model, program_judged_by(&split), 4, options->output, name,
                                      error);
    }
    if (ok) {
        printf("model and pictures are in %s\n", options->output);
    }
    experiment_model_destroy(&model);
    dataset_split_destroy(&split);
    return ok;
}

int program_main(int argc, char **argv, const struct program *program,
                 struct program_options *options)
{
    struct image_error error = {{0}};
    sfconv_context *context = NULL;
    const int status = program_parse(options, program, argc, argv);
    if (status >= 0) {
        return status;
    }
    /* A file over the limit of the shell is an error like a full disk, not a reason to die. */
    signal(SIGXFSZ, SIG_IGN);
    bool ok = program_context(&context, options, &error) &&
              program->task(context, options, program->name, &error);
    sfconv_context_destroy(context);
    if (fflush(stdout) != 0 && ok) {
        ok = image_fail(&error, "standard output: %s", strerror(errno));
    }
    if (!ok) {
        fprintf(stderr, "%s: %s\n", program->name, error.text);
        return PROGRAM_EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
