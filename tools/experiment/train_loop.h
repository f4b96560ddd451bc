/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXPERIMENT_TRAIN_LOOP_H
#define EXPERIMENT_TRAIN_LOOP_H

#include "experiment.h"

/* Trains a model that is built and knows its normalization; see experiment_train(). */
bool experiment_run_training(struct experiment_model *model, const struct dataset *train,
                             const struct dataset *validation,
                             const struct experiment_options *options, experiment_watch watch,
                             void *user, struct image_error *error);

#endif
