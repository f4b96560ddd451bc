/* SPDX-License-Identifier: BSD-2-Clause */
/* The command line that the example programs share, and what they do with its answers. */
#ifndef EXPERIMENT_PROGRAM_H
#define EXPERIMENT_PROGRAM_H

#include "experiment.h"

#define PROGRAM_EXIT_FAILURE 1
#define PROGRAM_EXIT_USAGE 2

struct program_options {
    struct experiment_options experiment;
    const char *data;           /* NULL: made images */
    const char *output;         /* folder for the model and pictures */
    int32_t workers;            /* 0: one a processor */
    int64_t images;             /* of each made set */
    struct image_limits limits; /* of the images in files */
    struct experiment_selection selection;
    bool lazy;               /* files are read each time, not kept */
    bool whole;              /* nothing is split by chance: what has no fixed parts is all train */
    bool selection_may_miss; /* names to leave out that fit no file are passed over */
    /* What stands on the command line beside the options. */
    const char *const *operands;
    int64_t operand_count;
};

/* Which options a program takes: each line adds some to those of the line before. */
enum program_takes {
    PROGRAM_TAKES_OUTPUT, /* --output, --workers, --help */
    PROGRAM_TAKES_SEED,
    PROGRAM_TAKES_TRAINING,
};

struct program {
    const char *name;
    const char *summary;
    enum program_takes takes;
    const char *operands; /* as the usage shows them; NULL: none are taken */
    int64_t least_operands;
    bool (*task)(sfconv_context *context, const struct program_options *options, const char *name,
                 struct image_error *error);
};

/* Reads the command line over the defaults that *options brings. Returns -1 to go on, else the exit
 * status of a program that has said what it had to say (help, or what is wrong). A network of the
 * other task than the default one's is refused. */
int program_parse(struct program_options *options, const struct program *program, int argc,
                  char **argv);

/* Whether the network draws masks (`segments`) or names classes as it should. */
bool program_fits_task(int32_t model, bool segments, struct image_error *error);

/* A context with the workers asked for, that writes warnings to standard error. */
bool program_context(sfconv_context **context, const struct program_options *options,
                     struct image_error *error);

/* Makes the folder unless it is there; fails where nothing can be written into it. */
bool program_make_folder(const char *path, struct image_error *error);

/* The same without making it: fails now rather than after long work. */
bool program_check_folder(const char *path, struct image_error *error);

/* "FOLDER/NAME"; false when it does not fit. */
bool program_path(char *path, size_t capacity, const char *folder, const char *name,
                  struct image_error *error);

/* Loads --data, or makes images where there is none. A set without validation images gives up 15 %
 * of its training images for them. Fails where nothing would be left to judge a network by. */
bool program_load(struct dataset_split *split, const struct program_options *options, bool segments,
                  struct image_error *error);

/* "12 images to train on, 3 to validate, 3 to test", and how many other files lie there. */
void program_print_sizes(const struct dataset_split *split);

/* The set that a trained network is judged by: test, or validation where there is no test. */
const struct dataset *program_judged_by(const struct dataset_split *split);

/* Judges a trained network and fills a row of the table, but for the speed of the training. */
struct console_row;
bool program_judge(struct console_row *row, const struct experiment_model *model,
                   const struct dataset_split *split, struct image_error *error);

/* Trains with the console watching, judges the network and fills a row of the table. Ctrl-C ends
 * the training after the step, and the best epoch so far is the result. */
bool program_train(struct experiment_model *model, struct console_row *row, sfconv_context *context,
                   const struct dataset_split *split, const struct experiment_options *options,
                   struct image_error *error);

/* Predicts `count` images from all over `test`: for masks a PNG each of input, prediction and
 * comparison beside it, and a sheet of all; for classes a sheet and lines on standard output. */
bool program_show_predictions(const struct experiment_model *model, const struct dataset *test,
                              int64_t count, const char *folder, const char *label,
                              struct image_error *error);

/* Saves a model as FOLDER/NAME.safetensors. */
bool program_save(const struct experiment_model *model, const char *folder, const char *name,
                  struct image_error *error);

/* "test: Dice …" or "test: accuracy …"; the set was "test" or another. */
void program_print_score(const struct experiment_score *score, bool segments, const char *set);

/* One training from start to end: loads, trains, judges, prints the row, saves NAME.safetensors and
 * shows predictions. The network that *options names decides what is learned. */
bool program_work(sfconv_context *context, const struct program_options *options, const char *name,
                  struct image_error *error);

/* Number of the first most probable class. */
int64_t program_best_class(const struct image *probability);

/* main() of a program; *options brings its defaults. */
int program_main(int argc, char **argv, const struct program *program,
                 struct program_options *options);

#endif
