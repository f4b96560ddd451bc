/* SPDX-License-Identifier: BSD-2-Clause */
#include "command.h"
#include "console.h"
#include "program.h"
#include "train_log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATH_CAPACITY 4096

/* The files of one training, all in its folder. */
struct training_files {
    char best[PATH_CAPACITY];
    char last[PATH_CAPACITY];
    char state[PATH_CAPACITY];
    char csv[PATH_CAPACITY];
    char json_lines[PATH_CAPACITY];
};

static bool name_files(struct training_files *files, const char *folder, struct image_error *error)
{
    return program_path(files->best, PATH_CAPACITY, folder, "best.safetensors", error) &&
           program_path(files->last, PATH_CAPACITY, folder, "last.safetensors", error) &&
           program_path(files->state, PATH_CAPACITY, folder, "state.safetensors", error) &&
           program_path(files->csv, PATH_CAPACITY, folder, "log.csv", error) &&
           program_path(files->json_lines, PATH_CAPACITY, folder, "log.jsonl", error);
}

struct watched {
    struct console console;
    struct train_log log;
    double images_per_second;
    int64_t epoch; /* the last one seen */
    struct image_error *error;
    bool failed;
};

static bool watch(void *user, const struct experiment_progress *progress)
{
    struct watched *watched = user;
    watched->images_per_second = progress->images_per_second;
    watched->epoch = progress->epoch;
    if (progress->epoch_done) {
        watched->failed = !train_log_add(&watched->log, progress, watched->error);
    }
    return console_watch(&watched->console, progress) && !watched->failed;
}

static bool parse_task(struct arguments *arguments, int32_t *model, struct image_error *error)
{
    const char *task = argument_text(arguments, "task", "");
    const bool segments = strcmp(task, "segment") == 0;
    if (!segments && strcmp(task, "classify") != 0) {
        return usage_fail(arguments, error, "expected --task classify or --task segment");
    }
    *model = segments ? SFCONV_MODEL_TINY_SEGMENTER : SFCONV_MODEL_TINY_CLASSIFIER;
    if (!argument_name(arguments, "model", sfconv_model_from_name, model, error)) {
        return false;
    }
    const bool fits = program_fits_task(*model, segments, error);
    arguments->usage = arguments->usage || !fits;
    return fits;
}

static bool parse_numbers(struct arguments *arguments, struct experiment_options *o,
                          struct image_error *error)
{
    int64_t seed = (int64_t)o->seed;
    const bool ok = argument_number(arguments, "rho", false, &o->ratio, error) &&
                    argument_integer(arguments, "min-rank", 1, 65536, &o->min_rank, error) &&
                    argument_number(arguments, "kl", true, &o->regularizer_weight, error) &&
                    argument_integer(arguments, "epochs", 1, 1000000, &o->epochs, error) &&
                    argument_integer(arguments, "batch", 1, 65536, &o->batch, error) &&
                    argument_number(arguments, "rate", false, &o->rate, error) &&
                    argument_integer(arguments, "crop", 1, 65536, &o->crop, error) &&
                    argument_integer(arguments, "size", 1, 65536, &o->size, error) &&
                    argument_integer(arguments, "patience", 1, 1000000, &o->patience, error) &&
                    argument_integer(arguments, "seed", 0, INT64_MAX, &seed, error);
    o->seed = (uint64_t)seed;
    o->augment = !argument_given(arguments, "no-augment");
    return ok;
}

static bool parse(struct program_options *how, struct arguments *arguments,
                  struct image_error *error)
{
    int32_t model = 0;
    int32_t method = SFCONV_METHOD_SFCONV;
    *how = (struct program_options){.data = arguments->operands[0],
                                    .output = argument_text(arguments, "output", NULL)};
    if (!how->output) {
        return usage_fail(arguments, error, "expected --output DIR for models and logs");
    }
    if (!parse_task(arguments, &model, error) ||
        !argument_name(arguments, "method", sfconv_method_from_name, &method, error)) {
        return false;
    }
    how->experiment = experiment_options_default(model, method);
    if (argument_given(arguments, "crop") && !experiment_segments(model)) {
        return usage_fail(arguments, error, "--crop: only segmentation trains on windows");
    }
    return parse_numbers(arguments, &how->experiment, error) &&
           argument_list(arguments, "leave-out", how->left_out, PROGRAM_MAX_LEFT_OUT,
                         &how->left_out_count, error);
}

static bool report(struct experiment_model *model, const struct watched *watched,
                   const struct dataset_split *split, struct image_error *error)
{
    struct console_row row;
    if (!program_judge(&row, model, split, error)) {
        return false;
    }
    row.train_images_per_second = watched->images_per_second;
    console_table_head(model->segments);
    console_table_row(&row);
    program_print_score(&row.score, model->segments,
                        split->test.count > 0 ? "test" : "validation (no test images)");
    return true;
}

static bool train(sfconv_context *context, struct program_options *how,
                  const struct training_files *names, const struct dataset_split *split,
                  bool resume, struct image_error *error)
{
    const struct experiment_files files = {names->best, names->last, names->state, resume};
    struct image_error log_error;
    struct watched watched = {.console = console_open(sfconv_method_name(how->experiment.method),
                                                      experiment_segments(how->experiment.model)),
                              .log = {names->csv, names->json_lines},
                              .error = &log_error};
    struct experiment_model model = {0};
    how->experiment.files = &files;
    console_catch_interrupt();
    bool ok = experiment_train(&model, context, &split->train, &split->val, &how->experiment, watch,
                               &watched, error);
    console_close(&watched.console);
    if (watched.failed) {
        ok = image_fail(error, "%s", log_error.text);
    }
    if (ok && console_interrupted()) {
        printf("stopped in epoch %" PRId64 "; --resume goes on from there\n", watched.epoch);
    } else if (ok && watched.epoch > 0 && watched.epoch < how->experiment.epochs) {
        printf("stopped after epoch %" PRId64 ": none of the last %" PRId64 " was better\n",
               watched.epoch, how->experiment.patience);
    }
    ok = ok && report(&model, &watched, split, error);
    experiment_model_destroy(&model);
    return ok;
}

/* A training that lies there is not lost by mistake. */
static bool check_state(const char *state, bool resume, struct image_error *error)
{
    const bool exists = access(state, F_OK) == 0;
    if (exists && !resume) {
        return image_fail(error,
                          "%s: a training lies there; --resume goes on with it, another --output "
                          "begins a new one",
                          state);
    }
    return exists || !resume || image_fail(error, "%s: no training to resume", state);
}

static bool run_train(struct arguments *arguments, struct image_error *error)
{
    struct program_options how;
    struct training_files files;
    struct dataset_split split;
    sfconv_context *context = NULL;
    const bool resume = argument_given(arguments, "resume");
    if (!parse(&how, arguments, error) || !name_files(&files, how.output, error) ||
        !check_state(files.state, resume, error) || !command_context(&context, arguments, error)) {
        return false;
    }
    bool ok = program_load(&split, &how, experiment_segments(how.experiment.model), error);
    if (ok) {
        printf("%" PRId64 " images to train on, %" PRId64 " to validate, %" PRId64 " to test\n",
               split.train.count, split.val.count, split.test.count);
        fflush(stdout);
        ok = program_make_folder(how.output, error) &&
             train(context, &how, &files, &split, resume, error);
        dataset_split_destroy(&split);
    }
    sfconv_context_destroy(context);
    return ok;
}

static const struct command_option options[] = {
    {"task", "NAME", "classify or segment; must be given"},
    {"output", "DIR", "folder for models, state and logs; must be given"},
    {"model", "NAME", "resnet18 or tiny_classifier; unet or tiny_segmenter"},
    {"method", "NAME", "conv, fconv, fconvsn, dpcconv, sfconv_no_kl or sfconv"},
    {"rho", "RATIO", "rank = max(min-rank, round(rho * min(in, out))); 1/32 is a number too"},
    {"min-rank", "N", "floor of the rank"},
    {"kl", "X", "weight of the regularizer: KL of sfconv, Frobenius norm of fconv"},
    {"epochs", "N", "passes over the training images"},
    {"batch", "N", "images a step"},
    {"rate", "X", "learning rate of Adam at the top of its cosine"},
    {"crop", "N", "train segmentation on windows of N x N"},
    {"size", "N", "resize all images to N x N"},
    {"no-augment", NULL, "no flips, quarter turns and changes of light"},
    {"patience", "N", "stop after N epochs without a better one"},
    {"leave-out", "NAME", "drop a file (\"131\" or \"val/images/131\"); may be repeated"},
    {"seed", "N", "of weights, order and augmentation"},
    {"resume", NULL, "go on with the training in --output, with the same bits"},
    COMMAND_OPTION_WORKERS,
    {0},
};

const struct command command_train = {
    .name = "train",
    .operands = "DATA",
    .summary = "Trains a classifier or a segmenter on folders of images.",
    .details =
        "DATA is a folder as docs/datasets.md shows them. In --output: best.safetensors and "
        "last.safetensors, the\nmodels of the best and the last epoch; log.csv and log.jsonl, a "
        "line an epoch; state.safetensors, from\nwhich --resume goes on. Ctrl-C saves the state "
        "after the step; resume with the same options and images\n(--workers and --patience may "
        "differ).",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .run = run_train,
};
