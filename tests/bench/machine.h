/* SPDX-License-Identifier: BSD-2-Clause */
/* What this machine can do at most, measured in short samples between those of the work that is
 * compared with it. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static inline double seconds_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The middle of `count` values, which are sorted. */
double median_of(double *values, int count);

/* Float operations a second of independent chains of fused multiply-adds in registers, with the
 * widest vectors that the processor has, on the calling thread; by processor time. */
double machine_peak(void);
/* The same of so many threads together, by the clock on the wall. */
double machine_peak_of_threads(int threads);

/* Memory that the next two pass over again and again; small ones stay in the nearer caches. */
typedef struct machine_buffer {
    float *data;
    int64_t bytes;
} machine_buffer;

/* At least so many bytes; false: out of memory. */
bool machine_buffer_open(machine_buffer *buffer, int64_t bytes);
void machine_buffer_close(machine_buffer *buffer);

/* Bytes a second, read and written, of copying one half to the other; and of reading all. */
double machine_copy_rate(const machine_buffer *buffer);
double machine_read_rate(const machine_buffer *buffer);

#endif
