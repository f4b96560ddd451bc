/* SPDX-License-Identifier: BSD-2-Clause */
/* What a model keeps of the choice of its images, in memory and in the texts of its file. */
#ifndef EXPERIMENT_SELECTION_H
#define EXPERIMENT_SELECTION_H

#include "experiment.h"

/* Copies *selection (NULL: nothing was chosen) into a model that has none. */
bool selection_keep(struct experiment_model *model, const struct experiment_selection *selection,
                    struct image_error *error);
bool selection_describe(const struct experiment_model *model, sfconv_metadata *metadata,
                        struct image_error *error);
/* The reverse, into a model that has none. */
bool selection_take(struct experiment_model *model, const sfconv_metadata *metadata,
                    const char *path, struct image_error *error);
void selection_destroy(struct experiment_model *model);

#endif
