/* SPDX-License-Identifier: BSD-2-Clause */
/* Cutting long work into tasks. The cut depends on the amount of work alone, so sums of the chunks,
 * added in order, have the same bits for any number of workers. There are few enough chunks for
 * their partial results to lie on the stack. */
#ifndef SFI_CHUNKS_H
#define SFI_CHUNKS_H

#include "sizes.h"

#define SFI_MAX_CHUNKS 64

typedef struct sfi_chunks {
    int64_t total;
    /* Of every chunk but the last. */
    int64_t size;
    int64_t count;
} sfi_chunks;

/* Chunks of `total` items (at least 1), each of `least` items or more. */
static inline sfi_chunks sfi_chunks_of(int64_t total, int64_t least)
{
    const int64_t size = sfi_max(least, sfi_ceil_div(total, SFI_MAX_CHUNKS));
    return (sfi_chunks){total, size, sfi_ceil_div(total, size)};
}

static inline int64_t sfi_chunk_begin(const sfi_chunks *chunks, int64_t index)
{
    return index * chunks->size;
}

static inline int64_t sfi_chunk_end(const sfi_chunks *chunks, int64_t index)
{
    return sfi_min(chunks->total, (index + 1) * chunks->size);
}

/* Partial sums in the order of the chunks. */
static inline double sfi_chunks_sum(const sfi_chunks *chunks, const double *partial)
{
    double sum = 0.0;
    for (int64_t i = 0; i < chunks->count; i++) {
        sum += partial[i];
    }
    return sum;
}

#endif
