/* SPDX-License-Identifier: BSD-2-Clause */
#include "training.h"

#include "console.h"
#include "train_log.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

bool training_name_files(struct training_files *files, const char *folder,
                         struct image_error *error)
{
    return program_path(files->best, TRAINING_PATH_CAPACITY, folder, "best.safetensors", error) &&
           program_path(files->last, TRAINING_PATH_CAPACITY, folder, "last.safetensors", error) &&
           program_path(files->state, TRAINING_PATH_CAPACITY, folder, "state.safetensors", error) &&
           program_path(files->csv, TRAINING_PATH_CAPACITY, folder, "log.csv", error) &&
           program_path(files->json_lines, TRAINING_PATH_CAPACITY, folder, "log.jsonl", error);
}

bool training_exists(const struct training_files *files)
{
    return access(files->state, F_OK) == 0;
}

bool training_parse_task(struct arguments *arguments, int32_t *model, struct image_error *error)
{
    const char *task = argument_text(arguments, "task", "");
    const bool segments = strcmp(task, "segment") == 0;
    if (!segments && strcmp(task, "classify") != 0) {
        return usage_fail(arguments, error, "expected --task classify or --task segment");
    }
    *model = segments ? SFCONV_MODEL_TINY_SEGMENTER : SFCONV_MODEL_TINY_CLASSIFIER;
    if (strcmp(argument_text(arguments, "model", ""), "tiny") == 0) {
        return true;
    }
    if (!argument_name(arguments, "model", sfconv_model_from_name, model, error)) {
        return false;
    }
    const bool fits = program_fits_task(*model, segments, error);
    arguments->usage = arguments->usage || !fits;
    return fits;
}

bool training_parse_images(struct arguments *arguments, struct program_options *how,
                           struct image_error *error)
{
    struct experiment_selection *selection = &how->selection;
    int64_t seed = 0;
    if (!argument_integer(arguments, "split-seed", 0, INT64_MAX, &seed, error)) {
        return false;
    }
    selection->seed = (uint64_t)seed;
    selection->group_by = argument_text(arguments, "group-by", NULL);
    how->experiment.selection = selection;
    how->lazy = argument_given(arguments, "lazy");
    return command_check_pattern(arguments, selection->group_by, error) &&
           command_limits(&how->limits, arguments, error) &&
           argument_list(arguments, "leave-out", selection->left_out, EXPERIMENT_MAX_LEFT_OUT,
                         &selection->left_out_count, error);
}

static bool parse_balance(struct arguments *arguments, struct experiment_options *o,
                          struct image_error *error)
{
    const char *text = argument_text(arguments, "balance", NULL);
    if (!text) {
        return true;
    }
    if (experiment_segments(o->model)) {
        return usage_fail(arguments, error, "--balance: only classes are balanced");
    }
    if (strcmp(text, "weights") == 0) {
        o->balance = EXPERIMENT_BALANCE_WEIGHTS;
    } else if (strcmp(text, "sampling") == 0) {
        o->balance = EXPERIMENT_BALANCE_SAMPLING;
    } else {
        return usage_fail(arguments, error, "--balance: expected weights or sampling, got '%s'",
                          text);
    }
    return true;
}

/* Sides that the network takes. */
static bool check_sides(struct arguments *arguments, const struct experiment_options *o,
                        struct image_error *error)
{
    const char *name = sfconv_model_name(o->model);
    const int64_t multiple = experiment_size_multiple(o->model);
    if (o->crop % multiple != 0) {
        return usage_fail(arguments, error,
                          "--crop: %s takes multiples of %" PRId64 ", not %" PRId64, name, multiple,
                          o->crop);
    }
    if (o->size > 0 && o->size < multiple) {
        return usage_fail(arguments, error, "--size: %s takes at least %" PRId64 ", not %" PRId64,
                          name, multiple, o->size);
    }
    if (o->size == 0 && argument_given(arguments, "pad")) {
        return usage_fail(arguments, error, "--pad goes with --size");
    }
    return o->size == 0 || o->crop <= o->size ||
           usage_fail(arguments, error, "--crop: %" PRId64 " is more than --size %" PRId64, o->crop,
                      o->size);
}

bool training_parse_numbers(struct arguments *arguments, struct experiment_options *o,
                            struct image_error *error)
{
    int64_t seed = (int64_t)o->seed;
    if (argument_given(arguments, "crop") && !experiment_segments(o->model)) {
        return usage_fail(arguments, error, "--crop: only segmentation trains on windows");
    }
    const bool ok =
        argument_number(arguments, "rho", false, &o->ratio, error) &&
        argument_integer(arguments, "min-rank", 1, 65536, &o->min_rank, error) &&
        argument_integer(arguments, "epochs", 1, 1000000, &o->epochs, error) &&
        argument_integer(arguments, "batch", 1, 65536, &o->batch, error) &&
        argument_number(arguments, "rate", false, &o->rate, error) &&
        argument_number(arguments, "decay", true, &o->decay, error) &&
        parse_balance(arguments, o, error) &&
        argument_integer(arguments, "crop", 1, 65536, &o->crop, error) &&
        argument_integer(arguments, "size", 1, 65536, &o->size, error) &&
        check_sides(arguments, o, error) &&
        argument_integer(arguments, "validate-every", 1, 1000000, &o->validate_every, error) &&
        argument_integer(arguments, "patience", 1, 1000000, &o->patience, error) &&
        argument_integer(arguments, "seed", 0, INT64_MAX, &seed, error);
    o->seed = (uint64_t)seed;
    o->field_of_view = argument_given(arguments, "field-of-view");
    o->pad = argument_given(arguments, "pad");
    o->augment = !argument_given(arguments, "no-augment");
    return ok;
}

struct watched {
    struct console console;
    struct train_log log;
    double images_per_second;
    int64_t epoch; /* the last one seen */
};

static bool watch(void *user, const struct experiment_progress *progress)
{
    struct watched *watched = user;
    watched->images_per_second = progress->images_per_second;
    watched->epoch = progress->epoch;
    return console_watch(&watched->console, progress);
}

static bool write_log(void *user, const struct experiment_progress *progress,
                      struct image_error *error)
{
    const struct watched *watched = user;
    return train_log_add(&watched->log, progress, error);
}

bool training_work(struct experiment_model *model, struct training_outcome *outcome,
                   sfconv_context *context, const struct experiment_options *options,
                   const struct training_files *names, const char *label, bool resume,
                   const struct dataset_split *split, struct image_error *error)
{
    struct experiment_options how = *options;
    struct watched watched = {.console = console_open(label, experiment_segments(how.model)),
                              .log = {names->csv, names->json_lines}};
    const struct experiment_files files = {names->best, names->last, names->state,
                                           resume,      write_log,   &watched};
    how.files = &files;
    const bool ok =
        experiment_train(model, context, &split->train, &split->val, &how, watch, &watched, error);
    console_close(&watched.console);
    *outcome = (struct training_outcome){watched.images_per_second, watched.epoch};
    return ok;
}
