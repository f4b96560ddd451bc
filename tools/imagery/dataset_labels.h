/* SPDX-License-Identifier: BSD-2-Clause */
/* Sets of images whose classes stand in tables: a file of labels (.csv), labels.csv or {train,val,
 * test}.csv in a folder, and the grading of IDRiD. */
#ifndef IMAGERY_DATASET_LABELS_H
#define IMAGERY_DATASET_LABELS_H

#include "dataset_loader.h"

/* One table. */
struct label_source {
    char *table;              /* NULL: the set has no such part */
    char *folder;             /* what the names of images are relative to */
    const char *ending;       /* that the names lack */
    const char *name_column;  /* by the header; NULL: the first, and a header may be missing */
    const char *label_column; /* NULL: the second */
};

struct label_sources {
    struct label_source parts[3]; /* training, validation, test */
    bool is_split;                /* false: all is in the first */
};

/* Looks for tables at `path`; there are none where parts[0].table is NULL afterwards. */
bool label_sources_find(struct label_sources *result, const char *path, struct image_error *error);
void label_sources_destroy(struct label_sources *sources);

/* Classes are numbered in the order of their names, files in the order of theirs. Refused: files
 * that are listed twice, listed but not there, or there (in a folder that holds a listed one) but
 * not listed; a class that the training set lacks. */
bool dataset_load_labels(struct dataset_loader *loader, struct dataset_split *split,
                         const struct label_sources *sources);

#endif
