/* SPDX-License-Identifier: BSD-2-Clause */
/* How work on many like items (elements, planes) is cut into tasks: by the problem alone, so that
 * results do not depend on the number of workers. */
#ifndef SFI_SPLIT_H
#define SFI_SPLIT_H

#include "sizes.h"

/* Elements of a task: large against the cost of starting it, small against the caches. */
#define SFI_TASK_ELEMENTS 16384

typedef struct sfi_split {
    int64_t items;
    int64_t per_task;
    int64_t tasks;
} sfi_split;

/* `item_size` in elements. */
static inline sfi_split sfi_split_items(int64_t items, int64_t item_size)
{
    const int64_t per_task = sfi_max(1, SFI_TASK_ELEMENTS / item_size);
    return (sfi_split){items, per_task, sfi_ceil_div(items, per_task)};
}

/* First item of a task. */
static inline int64_t sfi_split_begin(const sfi_split *split, int64_t task)
{
    return task * split->per_task;
}

/* The item behind the last one of a task. */
static inline int64_t sfi_split_end(const sfi_split *split, int64_t task)
{
    return sfi_min(split->items, (task + 1) * split->per_task);
}

#endif
