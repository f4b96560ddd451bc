/* SPDX-License-Identifier: BSD-2-Clause */
#include "program.h"

#include "angiogram.h"
#include "console.h"
#include "fundus.h"
#include "picture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
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
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    desc.workers =
        options->workers > 0 ? options->workers : (int32_t)(processors > 256 ? 256 : processors);
    desc.log = log_to_stderr;
    const sfconv_status status = sfconv_context_create(context, &desc);
    return status >= 0 || image_fail(error, "context: %s", sfconv_status_name(status));
}

bool program_make_folder(const char *path, struct image_error *error)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST) {
        return true;
    }
    return image_fail(error, "%s: cannot make the folder: %s", path, strerror(errno));
}

bool program_path(char *path, size_t capacity, const char *folder, const char *name,
                  struct image_error *error)
{
    const int length = snprintf(path, capacity, "%s/%s", folder, name);
    return (length > 0 && (size_t)length < capacity) ||
           image_fail(error, "%s: the path is too long", folder);
}

static bool make_images(struct dataset_split *split, const struct program_options *options,
                        bool segments, struct image_error *error)
{
    const int64_t size = options->size ? options->size : segments ? 96 : 64;
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
        first += wanted;
    }
    return true;
}

bool program_load(struct dataset_split *split, const struct program_options *options, bool segments,
                  struct image_error *error)
{
    struct dataset_options how = dataset_options_default();
    *split = (struct dataset_split){0};
    if (!options->data) {
        return make_images(split, options, segments, error);
    }
    how.form.width = how.form.height = options->size;
    how.leave_out = options->left_out;
    how.leave_out_count = options->left_out_count;
    return segments ? dataset_load_masks(split, options->data, &how, error)
                    : dataset_load_classes(split, options->data, &how, error);
}

struct watched {
    struct console console;
    double images_per_second;
};

static bool watch(void *user, const struct experiment_progress *progress)
{
    struct watched *watched = user;
    watched->images_per_second = progress->images_per_second;
    return console_watch(&watched->console, progress);
}

bool program_train(struct experiment_model *model, struct console_row *row, sfconv_context *context,
                   const struct dataset_split *split, const struct experiment_options *options,
                   struct image_error *error)
{
    const bool segments = split->train.class_count == 0;
    struct watched watched = {.console =
                                  console_open(sfconv_method_name(options->method), segments)};
    struct image image;
    if (!experiment_train(model, context, &split->train, &split->val, options, watch, &watched,
                          error)) {
        return false;
    }
    console_close(&watched.console);
    *row = (struct console_row){.method = sfconv_method_name(options->method),
                                .train_images_per_second = watched.images_per_second};
    const struct dataset *held_out = split->test.count > 0 ? &split->test : &split->val;
    bool ok = experiment_evaluate(&row->score, model, held_out, error) &&
              dataset_get(&image, NULL, held_out, 0, error);
    if (ok) {
        ok = experiment_count(&row->costs, model, image.width, image.height, error);
        image_destroy(&image);
    }
    if (!ok) {
        experiment_model_destroy(model);
    }
    return ok;
}

static bool write_picture(const struct image *image, const char *folder, const char *label,
                          int64_t index, const char *kind, struct image_error *error)
{
    char name[128];
    char path[PATH_CAPACITY];
    snprintf(name, sizeof name, "%s-%02" PRId64 "-%s.png", label, index + 1, kind);
    return program_path(path, sizeof path, folder, name, error) &&
           image_write_png(image, path, error);
}

/* input | truth | prediction | comparison, each also a file of its own. */
static bool show_mask(const struct experiment_model *model, const struct dataset *test,
                      int64_t index, const char *folder, const char *label, struct image *cells,
                      struct image_error *error)
{
    struct image *image = &cells[0];
    struct image *truth = &cells[1];
    struct image *mask = &cells[2];
    if (!dataset_get(image, truth, test, index, error) ||
        !experiment_predict(mask, model, image, error)) {
        return false;
    }
    image_threshold(mask, 0.5f);
    return picture_compare(&cells[3], image, truth, mask, error) &&
           write_picture(image, folder, label, index, "input", error) &&
           write_picture(mask, folder, label, index, "mask", error) &&
           write_picture(&cells[3], folder, label, index, "compared", error);
}

static bool show_class(const struct experiment_model *model, const struct dataset *test,
                       int64_t index, const char *folder, const char *label, struct image *cell,
                       struct image_error *error)
{
    struct image probability;
    int64_t best = 0;
    if (!dataset_get(cell, NULL, test, index, error) ||
        !experiment_predict(&probability, model, cell, error)) {
        return false;
    }
    for (int64_t c = 1; c < probability.width; c++) {
        best = probability.pixels[c] > probability.pixels[best] ? c : best;
    }
    printf("  %s-%02" PRId64 "-input.png: class '%s', predicted '%s' (%.0f %%)\n", label, index + 1,
           test->class_names[test->samples[index].label], model->class_names[best],
           100.0 * (double)probability.pixels[best]);
    image_destroy(&probability);
    return write_picture(cell, folder, label, index, "input", error);
}

#define SHOWN_MAX 16
#define CELLS_PER_MASK 4

bool program_show_predictions(const struct experiment_model *model, const struct dataset *test,
                              int64_t count, const char *folder, const char *label,
                              struct image_error *error)
{
    struct image cells[SHOWN_MAX * CELLS_PER_MASK] = {{0}};
    struct image sheet = {0};
    const int64_t shown = count < test->count ? count : test->count;
    const int64_t columns = model->segments ? CELLS_PER_MASK : shown;
    const int64_t total = model->segments ? shown * CELLS_PER_MASK : shown;
    bool ok = shown > 0 && shown <= SHOWN_MAX;
    for (int64_t i = 0; ok && i < shown; i++) {
        ok = model->segments
                 ? show_mask(model, test, i, folder, label, &cells[i * CELLS_PER_MASK], error)
                 : show_class(model, test, i, folder, label, &cells[i], error);
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

static void print_score(const struct experiment_score *score, bool segments)
{
    if (segments) {
        printf("test: Dice %.4f +- %.4f over %" PRId64 " images, sensitivity %.4f, "
               "specificity %.4f\n",
               score->metric, score->spread, score->images, score->sensitivity, score->specificity);
    } else {
        printf("test: accuracy %.4f over %" PRId64 " images, quadratic kappa %.4f\n", score->metric,
               score->images, score->kappa);
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
    if (!program_make_folder(options->output, error) ||
        !program_load(&split, options, segments, error)) {
        return false;
    }
    const struct dataset *test = split.test.count > 0 ? &split.test : &split.val;
    printf("%" PRId64 " images to train on, %" PRId64 " to validate, %" PRId64 " to test\n",
           split.train.count, split.val.count, test->count);
    bool ok = program_train(&model, &row, context, &split, &options->experiment, error);
    if (ok) {
        console_table_head(segments);
        console_table_row(&row);
        print_score(&row.score, segments);
        ok = program_save(&model, options->output, name, error) &&
             program_show_predictions(&model, test, 4, options->output, name, error);
    }
    if (ok) {
        printf("model and pictures are in %s\n", options->output);
    }
    experiment_model_destroy(&model);
    dataset_split_destroy(&split);
    return ok;
}

int program_main(int argc, char **argv, struct program_options *options, const char *name,
                 const char *summary, program_task task)
{
    struct image_error error = {{0}};
    sfconv_context *context = NULL;
    const int status = program_parse(options, argc, argv, summary);
    if (status >= 0) {
        return status;
    }
    console_catch_interrupt();
    const bool ok =
        program_context(&context, options, &error) && task(context, options, name, &error);
    sfconv_context_destroy(context);
    if (!ok) {
        fprintf(stderr, "%s: %s\n", name, error.text);
        return PROGRAM_EXIT_FAILURE;
    }
    return 0;
}
