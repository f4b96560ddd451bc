/* SPDX-License-Identifier: BSD-2-Clause */
/* Samples that belong together, as the photographs of one patient: a split must not part them. */
#ifndef IMAGERY_DATASET_GROUPS_H
#define IMAGERY_DATASET_GROUPS_H

#include "dataset.h"

/* Fails for a pattern that is no extended regular expression (POSIX). */
bool dataset_check_pattern(const char *pattern, struct image_error *error);

/* Marks whole groups, chosen by `seed`, that hold about `part` of the samples; every class keeps a
 * sample that is not marked. A group is what the pattern dataset->group_by finds in the name of a
 * file: its first pair of parentheses, or all that fits. A name that it does not fit is an error.
 */
bool dataset_choose_groups(bool *chosen, const struct dataset *dataset, double part, uint64_t seed,
                           struct image_error *error);

#endif
