/* SPDX-License-Identifier: BSD-2-Clause */
/* The main job in a few minutes: six methods learn two tasks on made images; two tables, two models
 * and pictures to look at come out. */
#include "console.h"
#include "program.h"
#include "stopwatch.h"

#include <stdio.h>

struct task {
    const char *name;
    const char *title;
    int32_t model;
    int64_t images;
    int64_t epochs;
};

static const struct task tasks[] = {
    {"classifier", "Grading of made fundus photographs, tiny classifier",
     SFCONV_MODEL_TINY_CLASSIFIER, 1200, 9},
    {"segmenter", "Vessels in made angiograms, tiny segmenter", SFCONV_MODEL_TINY_SEGMENTER, 96, 8},
};

static void print_table(const struct task *task, const struct console_row *rows, int32_t count)
{
    printf("\n%s\n", task->title);
    console_table_head(experiment_segments(task->model));
    for (int32_t i = 0; i < count; i++) {
        console_table_row(&rows[i]);
    }
    printf("\n");
}

/* The SFConv model is saved, and a few held-out images are shown to it. */
static bool keep(const struct experiment_model *model, const struct task *task,
                 const struct dataset *test, const char *folder, struct image_error *error)
{
    return program_save(model, folder, task->name, error) &&
           program_show_predictions(model, test, 4, folder, task->name, error);
}

static bool run_task(sfconv_context *context, const struct program_options *options,
                     const struct task *task, struct image_error *error)
{
    struct console_row rows[SFCONV_METHOD_SFCONV];
    struct dataset_split split;
    struct program_options made = *options;
    int32_t done = 0;
    bool ok = true;
    made.data = NULL;
    made.images = task->images;
    if (!program_load(&split, &made, experiment_segments(task->model), error)) {
        return false;
    }
    printf("%s: %lld made images to train on, %lld to test\n", task->title,
           (long long)split.train.count, (long long)split.test.count);
    for (int32_t method = 1; ok && method <= SFCONV_METHOD_SFCONV; method++) {
        struct experiment_options experiment = experiment_options_default(task->model, method);
        struct experiment_model model;
        experiment.epochs = task->epochs;
        experiment.seed = options->experiment.seed;
        ok = program_train(&model, &rows[done], context, &split, &experiment, error);
        if (!ok) {
            break;
        }
        if (console_interrupted()) {
            /* A method that was cut short is no comparison. */
            ok = image_fail(error, "stopped; %s is not in the tables", sfconv_method_name(method));
        } else if (method == SFCONV_METHOD_SFCONV) {
            ok = keep(&model, task, &split.test, options->output, error);
        }
        done += ok;
        experiment_model_destroy(&model);
    }
    if (done > 0) {
        print_table(task, rows, done);
    }
    dataset_split_destroy(&split);
    return ok;
}

static bool run_demo(sfconv_context *context, const struct program_options *options,
                     const char *name, struct image_error *error)
{
    const double start = stopwatch_seconds();
    (void)name;
    if (!program_make_folder(options->output, error)) {
        return false;
    }
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
        if (!run_task(context, options, &tasks[i], error)) {
            return false;
        }
    }
    const int workers = sfconv_context_workers(context);
    printf("MACs count convolutions and linear layers; FLOPs = 2 MACs.\n"
           "Models and pictures are in %s: classifier-sheet.png, segmenter-sheet.png\n"
           "(input | truth | prediction | found green, made up red, missed blue).\n"
           "%.0f seconds with %d worker%s.\n",
           options->output, stopwatch_seconds() - start, workers, workers == 1 ? "" : "s");
    return true;
}

static const struct program demo = {
    .name = "demo",
    .summary = "Trains six methods on two tasks of made images and compares them.",
    .takes = PROGRAM_TAKES_SEED,
    .task = run_demo,
};

int main(int argc, char **argv)
{
    struct program_options options = {
        .experiment = {.model = SFCONV_MODEL_TINY_SEGMENTER, .method = SFCONV_METHOD_SFCONV},
        .output = "sfconv-demo",
        .images = 8,
    };
    return program_main(argc, argv, &demo, &options);
}
