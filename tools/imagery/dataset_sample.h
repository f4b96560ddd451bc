/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of dataset.h share. */
#ifndef IMAGERY_DATASET_SAMPLE_H
#define IMAGERY_DATASET_SAMPLE_H

#include "dataset.h"

/* Reads the files that a sample names and brings them into the form of the set. */
bool dataset_read_sample(struct image *image, struct image *mask,
                         const struct dataset_sample *sample, const struct dataset_form *form,
                         struct image_error *error);

/* Takes over the sample with all it holds, also on failure. */
bool dataset_append(struct dataset *dataset, struct dataset_sample *sample,
                    struct image_error *error);

#endif
