/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXPERIMENT_STOPWATCH_H
#define EXPERIMENT_STOPWATCH_H

#include <time.h>

/* Seconds of a clock that never goes back. */
static inline double stopwatch_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#endif
