/* SPDX-License-Identifier: BSD-2-Clause */
#include "console.h"
#include "training.h"

#include <inttypes.h>
#include <stdio.h>

static bool parse(struct program_options *how, struct arguments *arguments,
                  struct image_error *error)
{
    int32_t model = 0;
    int32_t method = SFCONV_METHOD_SFCONV;
    *how = (struct program_options){.data = arguments->operands[0],
                                    .output = argument_text(arguments, "output", NULL)};
    if (!how->output || !*how->output) {
        return usage_fail(arguments, error, "expected --output DIR for models and logs");
    }
    if (!training_parse_task(arguments, &model, error) ||
        !argument_name(arguments, "method", sfconv_method_from_name, &method, error)) {
        return false;
    }
    how->experiment = experiment_options_default(model, method);
    if (argument_given(arguments, "kl") && method != SFCONV_METHOD_SFCONV &&
        method != SFCONV_METHOD_FCONV) {
        return usage_fail(arguments, error, "--kl: %s has no regularizer; sfconv and fconv have",
                          sfconv_method_name(method));
    }
    return training_parse_numbers(arguments, &how->experiment, error) &&
           argument_number(arguments, "kl", true, &how->experiment.regularizer_weight, error) &&
           training_parse_images(arguments, how, error);
}

static bool report(struct experiment_model *model, const struct training_outcome *outcome,
                   const struct dataset_split *split, struct image_error *error)
{
    struct console_row row;
    if (!program_judge(&row, model, split, error)) {
        return false;
    }
    row.train_images_per_second = outcome->images_per_second;
    console_table_head(model->segments);
    console_table_row(&row);
    program_print_score(&row.score, model->segments,
                        split->test.count > 0 ? "test" : "validation (no test images)");
    return true;
}

static bool train(sfconv_context *context, const struct program_options *how,
                  const struct training_files *names, const struct dataset_split *split,
                  bool resume, struct image_error *error)
{
    const struct experiment_options *options = &how->experiment;
    struct training_outcome outcome;
    struct experiment_model model = {0};
    console_catch_interrupt();
    bool ok = training_work(&model, &outcome, context, options, names,
                            sfconv_method_name(options->method), resume, split, error);
    if (ok && console_interrupted()) {
        printf("stopped in epoch %" PRId64 "; --resume goes on from there\n", outcome.epoch);
    } else if (ok && outcome.epoch > 0 && outcome.epoch < options->epochs) {
        printf("stopped after epoch %" PRId64 ": none of the last %" PRId64 " was better\n",
               outcome.epoch, options->patience);
    }
    ok = ok && (console_interrupted() || report(&model, &outcome, split, error));
    experiment_model_destroy(&model);
    return ok;
}

/* A training that lies there is not lost by mistake. */
static bool check_state(const struct training_files *files, bool resume, struct image_error *error)
{
    const bool exists = training_exists(files);
    if (exists && !resume) {
        return image_fail(error,
                          "%s: a training lies there; --resume goes on with it, another --output "
                          "begins a new one",
                          files->state);
    }
    return exists || !resume || image_fail(error, "%s: no training to resume", files->state);
}

static bool run_train(struct arguments *arguments, struct image_error *error)
{
    struct program_options how;
    struct training_files files;
    struct dataset_split split;
    sfconv_context *context = NULL;
    const bool resume = argument_given(arguments, "resume");
    if (!parse(&how, arguments, error) || !training_name_files(&files, how.output, error) ||
        !program_check_folder(how.output, error) || !check_state(&files, resume, error) ||
        !command_context(&context, arguments, error)) {
        return false;
    }
    bool ok = program_load(&split, &how, experiment_segments(how.experiment.model), error);
    if (ok) {
        program_print_sizes(&split);
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
    {"method", "NAME", "conv, fconv, fconvsn, dpcconv, sfconv_no_kl or sfconv, the usual one"},
    {"kl", "X", "weight of the KL of sfconv (usually 0.01) or the Frobenius norm of fconv (1e-4)"},
    TRAINING_OPTIONS,
    {"patience", "N", "stop after N epochs without a better one; usually never"},
    {"seed", "N", "of weights, order and augmentation; usually 1"},
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
