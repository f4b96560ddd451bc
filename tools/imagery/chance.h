/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers by chance that come again: number n of a (seed, stream) is a pure function of the three,
 * and `chance` walks along them. */
#ifndef IMAGERY_CHANCE_H
#define IMAGERY_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

struct chance {
    uint64_t key;
    uint64_t next;
};

struct chance chance_start(uint64_t seed, uint64_t stream);
uint64_t chance_bits(struct chance *chance);
/* Uniform in [0, 1). */
double chance_unit(struct chance *chance);
/* Uniform in [low, high). */
double chance_between(struct chance *chance, double low, double high);
/* Uniform in 0 ... bound - 1; bound > 0. */
int64_t chance_below(struct chance *chance, int64_t bound);
/* Mean 0, deviation 1. */
double chance_normal(struct chance *chance);
/* True with this probability. */
bool chance_happens(struct chance *chance, double probability);
/* Shuffles `count` numbers (Fisher and Yates). */
void chance_shuffle(struct chance *chance, int64_t *numbers, int64_t count);

#endif
