/* SPDX-License-Identifier: BSD-2-Clause */
/* One training with models, state and logs in a folder of its own: what train and reproduce share.
 */
#ifndef SFCONV_TOOL_TRAINING_H
#define SFCONV_TOOL_TRAINING_H

#include "command.h"
#include "program.h"

#define TRAINING_PATH_CAPACITY 4096

/* The files of one training, all in its folder. */
struct training_files {
    char best[TRAINING_PATH_CAPACITY];
    char last[TRAINING_PATH_CAPACITY];
    char state[TRAINING_PATH_CAPACITY];
    char csv[TRAINING_PATH_CAPACITY];
    char json_lines[TRAINING_PATH_CAPACITY];
};

bool training_name_files(struct training_files *files, const char *folder,
                         struct image_error *error);

/* Whether there is a state to resume from. */
bool training_exists(const struct training_files *files);

/* --task and --model: the number of a network that does the task. */
bool training_parse_task(struct arguments *arguments, int32_t *model, struct image_error *error);

/* --group-by, --leave-out and --split-seed, which the models of the training will keep, --lazy and
 * --max-pixels. */
bool training_parse_images(struct arguments *arguments, struct program_options *how,
                           struct image_error *error);

/* The other options of TRAINING_OPTIONS over the defaults that *options brings. */
bool training_parse_numbers(struct arguments *arguments, struct experiment_options *options,
                            struct image_error *error);
#define TRAINING_OPTIONS                                                                           \
    {"model", "NAME", "resnet18, unet or tiny (the small one of either task); usually tiny"},      \
        {"rho", "RATIO",                                                                           \
         "rank = max(min-rank, round(rho * min(in, out))); usually 1/32, tiny: 1/8"},              \
        {"min-rank", "N", "floor of the rank; usually 1, tiny: 2"},                                \
        {"epochs", "N", "passes over the training images; usually 20"},                            \
        {"batch", "N", "images a step; usually 4 with masks, 16 with classes"},                    \
        {"rate", "X", "learning rate of Adam at the top of its cosine; usually 0.003"},            \
        {"crop", "N", "train segmentation on windows of N x N, one of each image an epoch"},       \
        {"size", "N", "resize all images to N x N; usually they stay as they are"},                \
        {"pad", NULL, "with --size: fill images up to squares first, which keeps proportions"},    \
        {"field-of-view", NULL, "cut images and masks to what is lit, without the black border"},  \
        {"no-augment", NULL, "no flips, quarter turns and changes of light"},                      \
        {"decay", "X", "decay of the weights, apart from the gradient; usually 0"},                \
        {"balance", "HOW", "of classes: weights (in the loss) or sampling; usually none"},         \
        {"group-by", "RE", "files that share this part of their names stay in one set"},           \
        {"split-seed", "N", "of the split, where the folders fix none; usually 0"},                \
        {"lazy", NULL, "read images each time instead of keeping them in memory"},                 \
        COMMAND_OPTION_MAX_PIXELS,                                                                 \
        {"validate-every", "N", "judge every Nth epoch and the last one; usually each"},           \
    {                                                                                              \
        "leave-out", "NAME", "drop a file (\"131\" or \"val/images/131\"); may be repeated"        \
    }

struct training_outcome {
    double images_per_second; /* of the last epoch */
    int64_t epoch;            /* the last one seen; 0: none */
};

/* Trains with the console watching, which calls the training `label`; Ctrl-C ends it after the step
 * (console_interrupted()). *model has the weights of the best epoch; it is the caller's if the call
 * succeeds. */
bool training_work(struct experiment_model *model, struct training_outcome *outcome,
                   sfconv_context *context, const struct experiment_options *options,
                   const struct training_files *names, const char *label, bool resume,
                   const struct dataset_split *split, struct image_error *error);

#endif
