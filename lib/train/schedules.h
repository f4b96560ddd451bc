/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_SCHEDULES_H
#define SFI_SCHEDULES_H

#include "ctx.h"

#include "sfconv/train.h"

#include <stdbool.h>

/* What a PLATEAU schedule has seen; the other kinds have no state. A checkpoint saves and restores
 * it as a whole. */
typedef struct sfi_schedule_state {
    /* Meaningless while nothing was observed. */
    double best;
    bool observed;
    /* Observations since the best one or the last reduction. */
    int64_t bad;
    int64_t reductions;
} sfi_schedule_state;

struct sfconv_schedule {
    uint32_t magic;
    sfconv_context *context;
    sfconv_schedule_desc settings;
    sfi_schedule_state state;
};

#define SFI_SCHEDULE_MAGIC 0x5fc05343u

/* The settings have been checked. MEMORY. */
sfconv_status sfi_schedule_new(sfconv_schedule **schedule, sfconv_context *context,
                               const sfconv_schedule_desc *settings);
void sfi_schedule_release(sfconv_schedule *schedule);
double sfi_schedule_rate(const sfconv_schedule *schedule, int64_t step);
void sfi_schedule_observe(sfconv_schedule *schedule, double value);

#endif
