/* SPDX-License-Identifier: BSD-2-Clause */
#include "parse_text.h"
#include "program.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_key {
    KEY_DATA = 1000,
    KEY_METHOD,
    KEY_MODEL,
    KEY_EPOCHS,
    KEY_BATCH,
    KEY_CROP,
    KEY_SIZE,
    KEY_RATE,
    KEY_RHO,
    KEY_MIN_RANK,
    KEY_LAMBDA,
    KEY_SEED,
    KEY_WORKERS,
    KEY_IMAGES,
    KEY_LEAVE_OUT,
    KEY_OUTPUT,
    KEY_HELP,
};

struct known_option {
    const char *name;
    const char *value; /* NULL: takes none */
    enum option_key key;
    enum program_takes needed;
    const char *help;
};

static const struct known_option known_options[] = {
    {"data", "DIR", KEY_DATA, PROGRAM_TAKES_TRAINING,
     "real images (docs/datasets.md); without it images are made"},
    {"method", "NAME", KEY_METHOD, PROGRAM_TAKES_TRAINING,
     "conv, fconv, fconvsn, dpcconv, sfconv_no_kl or sfconv"},
    {"model", "NAME", KEY_MODEL, PROGRAM_TAKES_TRAINING,
     "resnet18 or tiny_classifier; unet or tiny_segmenter"},
    {"rho", "RATIO", KEY_RHO, PROGRAM_TAKES_TRAINING,
     "rank = max(min-rank, round(rho * min(in, out))); 1/32 is a number too"},
    {"min-rank", "N", KEY_MIN_RANK, PROGRAM_TAKES_TRAINING, "floor of the rank"},
    {"lambda", "X", KEY_LAMBDA, PROGRAM_TAKES_TRAINING, "weight of the method's regularizer"},
    {"epochs", "N", KEY_EPOCHS, PROGRAM_TAKES_TRAINING, "passes over the training images"},
    {"batch", "N", KEY_BATCH, PROGRAM_TAKES_TRAINING, "images a step"},
    {"rate", "X", KEY_RATE, PROGRAM_TAKES_TRAINING,
     "learning rate of Adam at the top of its cosine"},
    {"crop", "N", KEY_CROP, PROGRAM_TAKES_TRAINING, "train segmentation on windows of N x N"},
    {"size", "N", KEY_SIZE, PROGRAM_TAKES_TRAINING, "resize all images to N x N"},
    {"images", "N", KEY_IMAGES, PROGRAM_TAKES_TRAINING, "made images to train on"},
    {"leave-out", "NAME", KEY_LEAVE_OUT, PROGRAM_TAKES_TRAINING,
     "drop a file (\"131\" or \"val/images/131\"); may be repeated"},
    {"seed", "N", KEY_SEED, PROGRAM_TAKES_SEED, "of weights, order and augmentation"},
    {"workers", "N", KEY_WORKERS, PROGRAM_TAKES_OUTPUT, "threads; results do not depend on it"},
    {"output", "DIR", KEY_OUTPUT, PROGRAM_TAKES_OUTPUT, "folder for what the program writes"},
    {"help", NULL, KEY_HELP, PROGRAM_TAKES_OUTPUT, "this text"},
};
#define KNOWN_OPTIONS (sizeof known_options / sizeof known_options[0])

/* What getopt_long() takes of them for this program. */
static void list_options(struct option list[KNOWN_OPTIONS + 1], const struct program *program)
{
    size_t count = 0;
    for (size_t i = 0; i < KNOWN_OPTIONS; i++) {
        const struct known_option *known = &known_options[i];
        if (known->needed <= program->takes) {
            list[count++] = (struct option){
                known->name, known->value ? required_argument : no_argument, NULL, (int)known->key};
        }
    }
    list[count] = (struct option){0};
}

static void print_help(const char *path, const struct program *program)
{
    printf("usage: %s [options]%s%s\n%s\n\n", path, program->operands ? " " : "",
           program->operands ? program->operands : "", program->summary);
    for (size_t i = 0; i < KNOWN_OPTIONS; i++) {
        const struct known_option *known = &known_options[i];
        if (known->needed <= program->takes) {
            printf("  --%-9s %-6s %s\n", known->name, known->value ? known->value : "",
                   known->help);
        }
    }
    if (program->takes == PROGRAM_TAKES_TRAINING) {
        printf("\nCtrl-C ends the training and keeps the best epoch so far.\n");
    }
}

static bool add_left_out(struct program_options *options, const char *text,
                         struct image_error *error)
{
    struct experiment_selection *selection = &options->selection;
    if (selection->left_out_count == EXPERIMENT_MAX_LEFT_OUT) {
        return image_fail(error, "--leave-out: more than %d times", EXPERIMENT_MAX_LEFT_OUT);
    }
    selection->left_out[selection->left_out_count++] = text;
    return true;
}

static bool take_option(struct program_options *options, int key, const char *text,
                        struct image_error *error)
{
    struct experiment_options *experiment = &options->experiment;
    int64_t number = 0;
    switch (key) {
    case KEY_DATA:
        options->data = text;
        return true;
    case KEY_OUTPUT:
        options->output = text;
        return true;
    case KEY_LEAVE_OUT:
        return add_left_out(options, text, error);
    case KEY_EPOCHS:
        return parse_integer(&experiment->epochs, text, 1, 1000000, "epochs", error);
    case KEY_BATCH:
        return parse_integer(&experiment->batch, text, 1, 65536, "batch", error);
    case KEY_CROP:
        if (!experiment_segments(experiment->model)) {
            return image_fail(error, "--crop: only segmentation trains on windows");
        }
        return parse_integer(&experiment->crop, text, 1, 65536, "crop", error);
    case KEY_SIZE:
        return parse_integer(&experiment->size, text, 1, 65536, "size", error);
    case KEY_MIN_RANK:
        return parse_integer(&experiment->min_rank, text, 1, 65536, "min-rank", error);
    case KEY_IMAGES:
        return parse_integer(&options->images, text, 8, 1000000, "images", error);
    case KEY_RATE:
        return parse_number(&experiment->rate, text, false, "rate", error);
    case KEY_RHO:
        return parse_number(&experiment->ratio, text, false, "rho", error);
    case KEY_LAMBDA:
        return parse_number(&experiment->regularizer_weight, text, true, "lambda", error);
    case KEY_SEED:
        if (!parse_integer(&number, text, 0, INT64_MAX, "seed", error)) {
            return false;
        }
        experiment->seed = (uint64_t)number;
        return true;
    case KEY_WORKERS:
        if (!parse_integer(&number, text, 1, 256, "workers", error)) {
            return false;
        }
        options->workers = (int32_t)number;
        return true;
    default:
        return true;
    }
}

bool program_fits_task(int32_t model, bool segments, struct image_error *error)
{
    if (experiment_segments(model) == segments) {
        return true;
    }
    return image_fail(error, "--model: %s %s; here it must be %s", sfconv_model_name(model),
                      segments ? "names classes" : "draws masks",
                      segments ? "unet or tiny_segmenter" : "resnet18 or tiny_classifier");
}

static bool take_operands(struct program_options *options, const struct program *program, int argc,
                          char **argv)
{
    options->operands = (const char *const *)argv + optind;
    options->operand_count = argc - optind;
    if (options->operand_count > 0 && !program->operands) {
        fprintf(stderr, "%s: '%s' is no option; see --help\n", program->name, argv[optind]);
        return false;
    }
    if (options->operand_count < program->least_operands) {
        fprintf(stderr, "%s: expected %s; see --help\n", program->name, program->operands);
        return false;
    }
    return true;
}

/* Network and method first: they decide the defaults that the other options then change. */
static int take_kinds(struct program_options *options, const struct program *program, int argc,
                      char **argv, const struct option *list)
{
    int32_t model = options->experiment.model;
    int32_t method = options->experiment.method;
    struct image_error error;
    int key;
    optind = 1;
    while ((key = getopt_long(argc, argv, "", list, NULL)) != -1) {
        bool ok = true;
        if (key == '?') {
            return PROGRAM_EXIT_USAGE; /* getopt_long() has said why */
        }
        if (key == KEY_HELP) {
            print_help(argv[0], program);
            return EXIT_SUCCESS;
        }
        if (key == KEY_METHOD) {
            ok = parse_name(&method, optarg, "method", sfconv_method_from_name, &error);
        } else if (key == KEY_MODEL) {
            ok = parse_name(&model, optarg, "model", sfconv_model_from_name, &error) &&
                 program_fits_task(model, experiment_segments(options->experiment.model), &error);
        }
        if (!ok) {
            fprintf(stderr, "%s\n", error.text);
            return PROGRAM_EXIT_USAGE;
        }
    }
    options->experiment = experiment_options_default(model, method);
    return take_operands(options, program, argc, argv) ? -1 : PROGRAM_EXIT_USAGE;
}

int program_parse(struct program_options *options, const struct program *program, int argc,
                  char **argv)
{
    struct option list[KNOWN_OPTIONS + 1];
    list_options(list, program);
    const int status = take_kinds(options, program, argc, argv, list);
    struct image_error error;
    int key;
    if (status >= 0) {
        return status;
    }
    optind = 1;
    while ((key = getopt_long(argc, argv, "", list, NULL)) != -1) {
        if (!take_option(options, key, optarg, &error)) {
            fprintf(stderr, "%s\n", error.text);
            return PROGRAM_EXIT_USAGE;
        }
    }
    options->experiment.selection = &options->selection;
    return -1;
}
