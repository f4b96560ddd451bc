/* SPDX-License-Identifier: BSD-2-Clause */
#include "program.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
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

static const struct option long_options[] = {
    {"data", required_argument, NULL, KEY_DATA},
    {"method", required_argument, NULL, KEY_METHOD},
    {"model", required_argument, NULL, KEY_MODEL},
    {"epochs", required_argument, NULL, KEY_EPOCHS},
    {"batch", required_argument, NULL, KEY_BATCH},
    {"crop", required_argument, NULL, KEY_CROP},
    {"size", required_argument, NULL, KEY_SIZE},
    {"rate", required_argument, NULL, KEY_RATE},
    {"rho", required_argument, NULL, KEY_RHO},
    {"min-rank", required_argument, NULL, KEY_MIN_RANK},
    {"lambda", required_argument, NULL, KEY_LAMBDA},
    {"seed", required_argument, NULL, KEY_SEED},
    {"workers", required_argument, NULL, KEY_WORKERS},
    {"images", required_argument, NULL, KEY_IMAGES},
    {"leave-out", required_argument, NULL, KEY_LEAVE_OUT},
    {"output", required_argument, NULL, KEY_OUTPUT},
    {"help", no_argument, NULL, KEY_HELP},
    {NULL, 0, NULL, 0},
};

static void print_help(const char *program, const char *summary)
{
    printf("usage: %s [options]\n%s\n\n", program, summary);
    puts("  --data DIR        real images (docs/datasets.md); without it images are made\n"
         "  --method NAME     conv, fconv, fconvsn, dpcconv, sfconv_no_kl or sfconv\n"
         "  --model NAME      resnet18 or tiny_classifier; unet or tiny_segmenter\n"
         "  --rho RATIO       rank = max(min-rank, round(rho * min(in, out)))\n"
         "  --min-rank N      floor of the rank\n"
         "  --lambda X        weight of the method's regularizer\n"
         "  --epochs N        passes over the training images\n"
         "  --batch N         images a step\n"
         "  --rate X          learning rate of Adam at the top of its cosine\n"
         "  --crop N          train segmentation on windows of N x N\n"
         "  --size N          resize all images to N x N\n"
         "  --images N        made images to train on\n"
         "  --leave-out NAME  drop a file (\"131\" or \"val/images/131\"); may be repeated\n"
         "  --seed N          of weights, order and augmentation\n"
         "  --workers N       threads; results do not depend on it\n"
         "  --output DIR      folder for the model and pictures");
}

static bool parse_integer(int64_t *value, const char *text, int64_t least, int64_t most,
                          const char *name)
{
    char *end = NULL;
    errno = 0;
    const long long parsed = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end || parsed < least || parsed > most) {
        fprintf(stderr, "--%s: '%s' is not a whole number from %lld to %lld\n", name, text,
                (long long)least, (long long)most);
        return false;
    }
    *value = parsed;
    return true;
}

/* A number, or a fraction like 1/32. */
static bool parse_number(double *value, const char *text, const char *name)
{
    char *end = NULL;
    double parsed = strtod(text, &end);
    if (end != text && *end == '/') {
        const char *below = end + 1;
        parsed /= strtod(below, &end);
        end = end == below ? (char *)(uintptr_t)text : end;
    }
    if (end == text || *end || !isfinite(parsed) || parsed < 0.0) {
        fprintf(stderr, "--%s: '%s' is not a number of 0 or more\n", name, text);
        return false;
    }
    *value = parsed;
    return true;
}

static bool parse_name(int32_t *value, const char *text, const char *name,
                       int32_t (*find)(const char *))
{
    const int32_t number = find(text);
    if (number == 0) {
        fprintf(stderr, "--%s: there is no %s '%s'; see --help\n", name, name, text);
        return false;
    }
    *value = number;
    return true;
}

static bool add_left_out(struct program_options *options, const char *text)
{
    if (options->left_out_count == PROGRAM_MAX_LEFT_OUT) {
        fprintf(stderr, "--leave-out: more than %d times\n", PROGRAM_MAX_LEFT_OUT);
        return false;
    }
    options->left_out[options->left_out_count++] = text;
    return true;
}

static bool take_option(struct program_options *options, int key, const char *text)
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
        return add_left_out(options, text);
    case KEY_EPOCHS:
        return parse_integer(&experiment->epochs, text, 1, 1000000, "epochs");
    case KEY_BATCH:
        return parse_integer(&experiment->batch, text, 1, 65536, "batch");
    case KEY_CROP:
        return parse_integer(&experiment->crop, text, 1, 65536, "crop");
    case KEY_SIZE:
        return parse_integer(&options->size, text, 1, 65536, "size");
    case KEY_MIN_RANK:
        return parse_integer(&experiment->min_rank, text, 1, 65536, "min-rank");
    case KEY_IMAGES:
        return parse_integer(&options->images, text, 8, 1000000, "images");
    case KEY_RATE:
        return parse_number(&experiment->rate, text, "rate");
    case KEY_RHO:
        return parse_number(&experiment->ratio, text, "rho");
    case KEY_LAMBDA:
        return parse_number(&experiment->regularizer_weight, text, "lambda");
    case KEY_SEED:
        if (!parse_integer(&number, text, 0, INT64_MAX, "seed")) {
            return false;
        }
        experiment->seed = (uint64_t)number;
        return true;
    case KEY_WORKERS:
        if (!parse_integer(&number, text, 1, 256, "workers")) {
            return false;
        }
        options->workers = (int32_t)number;
        return true;
    default:
        return true;
    }
}

/* Network and method first: they decide the defaults that the other options then change. */
static int take_kinds(struct program_options *options, int argc, char **argv, const char *summary)
{
    int32_t model = options->experiment.model;
    int32_t method = options->experiment.method;
    int key;
    optind = 1;
    while ((key = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        bool ok = key != '?';
        if (key == KEY_HELP) {
            print_help(argv[0], summary);
            return EXIT_SUCCESS;
        }
        if (key == KEY_METHOD) {
            ok = parse_name(&method, optarg, "method", sfconv_method_from_name);
        } else if (key == KEY_MODEL) {
            ok = parse_name(&model, optarg, "model", sfconv_model_from_name);
        }
        if (!ok) {
            return PROGRAM_EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "%s: '%s' is no option; see --help\n", argv[0], argv[optind]);
        return PROGRAM_EXIT_USAGE;
    }
    options->experiment = experiment_options_default(model, method);
    return -1;
}

int program_parse(struct program_options *options, int argc, char **argv, const char *summary)
{
    const int status = take_kinds(options, argc, argv, summary);
    int key;
    if (status >= 0) {
        return status;
    }
    optind = 1;
    while ((key = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (!take_option(options, key, optarg)) {
            return PROGRAM_EXIT_USAGE;
        }
    }
    return -1;
}
