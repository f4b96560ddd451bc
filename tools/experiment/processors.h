/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef EXPERIMENT_PROCESSORS_H
#define EXPERIMENT_PROCESSORS_H

#include <stdint.h>
#include <unistd.h>
#if defined(__linux__)
#include <sched.h>
#endif

/* Workers where nobody asks for a number: one a processor on which this program may run, which may
 * be fewer than the machine has, and no more than 256. */
static inline int32_t workers_by_default(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
#if defined(__linux__)
    cpu_set_t usable;
    if (sched_getaffinity(0, sizeof usable, &usable) == 0) {
        processors = CPU_COUNT(&usable);
    }
#endif
    return (int32_t)(processors > 256 ? 256 : processors > 1 ? processors : 1);
}

#endif
