/* SPDX-License-Identifier: BSD-2-Clause */
/* The caller's progress callback on its way through long work. */
#ifndef SFI_PROGRESS_H
#define SFI_PROGRESS_H

#include "sfconv/context.h"

#include <stdbool.h>

/* A NULL `report` never cancels. */
typedef struct sfi_progress {
    sfconv_progress_fn report;
    void *user;
} sfi_progress;

/* Reports the part that is done; true when the caller asks to stop. NULL is allowed. */
static inline bool sfi_progress_stops(const sfi_progress *progress, double part)
{
    return progress && progress->report && progress->report(progress->user, part) != 0;
}

#endif
