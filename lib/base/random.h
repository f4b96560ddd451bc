/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_RANDOM_H
#define SFI_RANDOM_H

#include <stdint.h>

/* Counter-based numbers (Philox 4x32-10, Salmon et al., SC 2011): number `index` of stream `stream`
 * of `seed` is a pure function of the three, whatever thread asks and in whatever order. */
typedef struct sfi_random {
    uint64_t seed;
    uint64_t stream;
} sfi_random;

uint64_t sfi_random_bits(sfi_random random, uint64_t index);
/* Uniform in [0, 1), 53 bits. */
double sfi_random_uniform(sfi_random random, uint64_t index);
/* Standard normal (Box-Muller with base/maths.h, so the same bits everywhere). */
double sfi_random_normal(sfi_random random, uint64_t index);
/* Uniform in 0 … bound-1; bound > 0. */
uint64_t sfi_random_below(sfi_random random, uint64_t index, uint64_t bound);
/* A stream number from a text: FNV-1a of its bytes. */
uint64_t sfi_random_stream(const char *text);

#endif
