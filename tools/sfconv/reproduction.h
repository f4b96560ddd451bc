/* SPDX-License-Identifier: BSD-2-Clause */
/* The comparison of the paper on one's own images: methods and seeds, what came of each run, and
 * the report. All that the report tells comes from the files of the runs, so that it is the same
 * whether they were made at one go or not. */
#ifndef SFCONV_TOOL_REPRODUCTION_H
#define SFCONV_TOOL_REPRODUCTION_H

#include "training.h"

#define REPRODUCTION_METHODS 6
#define REPRODUCTION_MAX_SEEDS 100

struct reproduction_epoch {
    double loss;
    double penalty;
    double validation; /* NaN where the epoch was not judged */
    double images_per_second;
};

enum reproduction_state {
    REPRODUCTION_MISSING,
    REPRODUCTION_FINISHED,
    REPRODUCTION_FAILED,
};

/* One method with one seed. */
struct reproduction_run {
    int32_t method;
    uint64_t seed;
    enum reproduction_state state;
    char failure[sizeof((struct image_error *)0)->text];
    char folder[TRAINING_PATH_CAPACITY];
    /* Of a finished run. */
    struct experiment_costs costs;
    struct experiment_score score;
    double train_images_per_second; /* over all epochs */
    int64_t best_epoch;
    int64_t image_count; /* 0 while there are none */
    char **image_names;
    struct experiment_image_score *images;
    int64_t epoch_count;
    struct reproduction_epoch *epochs;
};

struct reproduction {
    struct program_options how; /* as for a training; its method, seed and weight are not used */
    double kl;                  /* λ of sfconv */
    double frobenius;           /* λ of fconv */
    int32_t methods[REPRODUCTION_METHODS];
    int64_t method_count;
    int64_t seed_count;
    uint64_t first_seed;
    bool resume;
    bool plots;
    char *command; /* as it can be typed again */
    sfconv_context *context;
    struct dataset_split split;
    bool segments;
    struct reproduction_run *runs; /* seed by seed, the methods of each */
    int64_t run_count;
};

/* Settings of one run. */
struct experiment_options reproduction_options(const struct reproduction *r,
                                               const struct reproduction_run *run);

/* The run of a method with the n-th seed; NULL if the method was not asked for. */
const struct reproduction_run *reproduction_find(const struct reproduction *r, int32_t method,
                                                 int64_t seed_index);

/* Names the runs and their folders. */
bool reproduction_plan(struct reproduction *r, struct image_error *error);
void reproduction_destroy(struct reproduction *r);

/* Trains and judges one run, going on from its state if there is one, and reads the results. false
 * only for what concerns the whole; what went wrong in the run is its failure. A run that was
 * interrupted stays missing. */
bool reproduction_work(struct reproduction *r, struct reproduction_run *run,
                       struct image_error *error);

/* Results of a run on disk. */
bool reproduction_write_results(const struct reproduction *r, const struct reproduction_run *run,
                                struct image_error *error);
/* Leaves the run missing where there are none; fails where they are of other settings. */
bool reproduction_read_results(const struct reproduction *r, struct reproduction_run *run,
                               struct image_error *error);

/* Fails for a finished run on other images than those that are there now: others were left out, or
 * `now`, their channels, mean and deviation, differ from those that its model remembers. */
bool reproduction_check_images(const struct reproduction *r, const struct reproduction_run *run,
                               const struct experiment_model *now, struct image_error *error);

/* Epochs from the log of the training. */
bool reproduction_read_log(struct reproduction_run *run, struct image_error *error);

/* A measure of a run, and what it is called. */
struct reproduction_measure {
    const char *name;  /* in the CSV files */
    const char *title; /* in the report */
    bool of_masks;
    bool of_classes;
    size_t offset; /* of the number in struct experiment_score */
};
#define REPRODUCTION_MEASURES 7
extern const struct reproduction_measure reproduction_measures[REPRODUCTION_MEASURES];
bool reproduction_has(const struct reproduction *r, const struct reproduction_measure *measure);
double reproduction_value(const struct reproduction_run *run,
                          const struct reproduction_measure *measure);

/* Writes report.html and the CSV files into the folder of --output. */
bool reproduction_report(const struct reproduction *r, struct image_error *error);

#endif
