/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXPERIMENT_SAMPLE_ORDER_H
#define EXPERIMENT_SAMPLE_ORDER_H

#include "experiment.h"

/* A new order of the samples for each epoch, set->count of them, a function of the seed and the
 * epoch. Balanced sampling takes as many from each class: images of small classes come several
 * times, and of large ones some do not come. */
bool sample_order(int64_t *order, const struct dataset *set,
                  const struct experiment_options *options, int64_t epoch,
                  struct image_error *error);

#endif
