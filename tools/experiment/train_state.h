/* SPDX-License-Identifier: BSD-2-Clause */
/* A training on disk: all that is needed to go on with the same bits. */
#ifndef EXPERIMENT_TRAIN_STATE_H
#define EXPERIMENT_TRAIN_STATE_H

#include "experiment.h"

#define TRAIN_SETTINGS_CAPACITY 1024

/* Where a training stands: before step `step` (from 0) of `epoch` (from 1). */
struct train_position {
    int64_t epoch;
    int64_t step;
    int64_t steps_done; /* in all epochs */
    double loss_sum;    /* of the epoch's steps so far */
    int64_t best_epoch; /* 0: none yet */
    double best_metric; /* NaN without validation images */
};

/* What must be the same for a training to go on: settings, and a fingerprint of the images. */
void train_settings(char text[TRAIN_SETTINGS_CAPACITY], const struct experiment_model *model,
                    const struct dataset *train, const struct experiment_options *options);

/* Fails for a file that was begun with other settings than those of now: names the first of them
 * that differs. `separator` stands between settings. */
bool train_settings_fail(const char *path, const char *started, const char *now,
                         const char *separator, struct image_error *error);

/* The parts are those of `checkpoint`; its metadata is set and released here. */
bool train_state_save(const char *path, sfconv_checkpoint checkpoint,
                      const struct train_position *position, const char *settings,
                      sfconv_context *context, struct image_error *error);
/* Errors: a file that is no state; other settings than those it was started with. */
bool train_state_load(const char *path, sfconv_checkpoint checkpoint,
                      struct train_position *position, const char *settings,
                      sfconv_context *context, struct image_error *error);

/* Whether a file is such a state, by its first bytes; false where it cannot be read. */
bool train_state_recognises(const char *path);

#endif
