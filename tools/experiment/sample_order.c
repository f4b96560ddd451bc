/* SPDX-License-Identifier: BSD-2-Clause */
#include "sample_order.h"

#include "chance.h"

#include <stdlib.h>

/* Samples sorted by class; class c has those from starts[c] on. */
static void sort_by_class(int64_t *sorted, int64_t *starts, const int64_t *order,
                          const struct dataset *set)
{
    int64_t place = 0;
    for (int32_t c = 0; c < set->class_count; c++) {
        starts[c] = place;
        for (int64_t i = 0; i < set->count; i++) {
            if (set->samples[order[i]].label == c) {
                sorted[place++] = order[i];
            }
        }
    }
    starts[set->class_count] = place;
}

/* The classes in turn, and in each its samples in turn. */
static void take_turns(int64_t *order, const int64_t *sorted, const int64_t *starts,
                       const struct dataset *set)
{
    int64_t place = 0;
    for (int64_t turn = 0; place < set->count; turn++) {
        for (int32_t c = 0; c < set->class_count && place < set->count; c++) {
            const int64_t count = starts[c + 1] - starts[c];
            if (count > 0) {
                order[place++] = sorted[starts[c] + turn % count];
            }
        }
    }
}

bool sample_order(int64_t *order, const struct dataset *set,
                  const struct experiment_options *options, int64_t epoch,
                  struct image_error *error)
{
    struct chance chance = chance_start(options->seed, (uint64_t)epoch);
    for (int64_t i = 0; i < set->count; i++) {
        order[i] = i;
    }
    chance_shuffle(&chance, order, set->count);
    if (options->balance != EXPERIMENT_BALANCE_SAMPLING) {
        return true;
    }
    int64_t *sorted = calloc((size_t)set->count + 1, sizeof *sorted);
    int64_t *starts = calloc((size_t)set->class_count + 1, sizeof *starts);
    const bool ok = (sorted && starts) || image_fail(error, "order of samples: out of memory");
    if (ok) {
        sort_by_class(sorted, starts, order, set);
        take_turns(order, sorted, starts, set);
        chance_shuffle(&chance, order, set->count);
    }
    free(sorted);
    free(starts);
    return ok;
}
