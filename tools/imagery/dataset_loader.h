/* SPDX-License-Identifier: BSD-2-Clause */
/* What the layouts of data sets share. */
#ifndef IMAGERY_DATASET_LOADER_H
#define IMAGERY_DATASET_LOADER_H

#include "dataset.h"

/* One call of a loader. */
struct dataset_loader {
    const struct dataset_options *options;
    struct image_error *error;
    bool *left_out; /* which of options->leave_out have fitted a file */
    int64_t ignored;
};

bool dataset_is_left_out(struct dataset_loader *loader, const char *path);

/* Takes over the paths, also on failure. */
bool dataset_add_files(struct dataset_loader *loader, struct dataset *part, char *path,
                       char *mask_path, int32_t label);

/* -1: there is none of that name. */
int32_t dataset_class_number(const struct dataset *dataset, const char *name);

#endif
