/* SPDX-License-Identifier: BSD-2-Clause */
#include "chance.h"

#include <math.h>

/* The finishing function of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

struct chance chance_start(uint64_t seed, uint64_t stream)
{
    const struct chance chance = {mix(mix(seed + 1) ^ mix(~stream)), 0};
    return chance;
}

uint64_t chance_bits(struct chance *chance)
{
    return mix(chance->key + ++chance->next * 0x9e3779b97f4a7c15u);
}

double chance_unit(struct chance *chance)
{
    return (double)(chance_bits(chance) >> 11) * 0x1p-53;
}

double chance_between(struct chance *chance, double low, double high)
{
    return low + (high - low) * chance_unit(chance);
}

int64_t chance_below(struct chance *chance, int64_t bound)
{
    return (int64_t)(chance_unit(chance) * (double)bound);
}

double chance_normal(struct chance *chance)
{
    const double radius = sqrt(-2.0 * log(1.0 - chance_unit(chance)));
    return radius * cos(6.283185307179586 * chance_unit(chance));
}

bool chance_happens(struct chance *chance, double probability)
{
    return chance_unit(chance) < probability;
}

void chance_shuffle(struct chance *chance, int64_t *numbers, int64_t count)
{
    for (int64_t i = count - 1; i > 0; i--) {
        const int64_t other = chance_below(chance, i + 1);
        const int64_t held = numbers[i];
        numbers[i] = numbers[other];
        numbers[other] = held;
    }
}
