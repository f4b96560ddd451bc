/* SPDX-License-Identifier: BSD-2-Clause */
#include "random.h"

#include "maths.h"

#include <math.h>

static void philox(uint32_t block[4], uint64_t seed, uint64_t stream, uint64_t counter)
{
    uint32_t key0 = (uint32_t)seed;
    uint32_t key1 = (uint32_t)(seed >> 32);
    uint32_t c0 = (uint32_t)counter;
    uint32_t c1 = (uint32_t)(counter >> 32);
    uint32_t c2 = (uint32_t)stream;
    uint32_t c3 = (uint32_t)(stream >> 32);
    for (int round = 0; round < 10; round++) {
        const uint64_t product0 = (uint64_t)0xD2511F53u * c0;
        const uint64_t product1 = (uint64_t)0xCD9E8D57u * c2;
        const uint32_t next0 = (uint32_t)(product1 >> 32) ^ c1 ^ key0;
        const uint32_t next2 = (uint32_t)(product0 >> 32) ^ c3 ^ key1;
        c1 = (uint32_t)product1;
        c3 = (uint32_t)product0;
        c0 = next0;
        c2 = next2;
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    block[0] = c0;
    block[1] = c1;
    block[2] = c2;
    block[3] = c3;
}

uint64_t sfi_random_bits(sfi_random random, uint64_t index)
{
    uint32_t block[4];
    philox(block, random.seed, random.stream, index >> 1);
    const uint32_t *half = block + 2 * (index & 1);
    return (uint64_t)half[1] << 32 | half[0];
}

static double unit_from_bits(uint64_t bits)
{
    return (double)(bits >> 11) * 0x1p-53;
}

double sfi_random_uniform(sfi_random random, uint64_t index)
{
    return unit_from_bits(sfi_random_bits(random, index));
}

double sfi_random_normal(sfi_random random, uint64_t index)
{
    /* Number 2i and 2i+1 are the cosine and sine half of one pair of uniform numbers. */
    const uint64_t pair = index >> 1;
    const double radius_unit = 1.0 - sfi_random_uniform(random, 2 * pair);
    const double turn = sfi_random_uniform(random, 2 * pair + 1);
    const double radius = sqrt(-2.0 * sfi_log(radius_unit));
    double sine;
    double cosine;
    sfi_sincos_turn(turn, &sine, &cosine);
    return radius * (index & 1 ? sine : cosine);
}

uint64_t sfi_random_below(sfi_random random, uint64_t index, uint64_t bound)
{
    /* The bias of a 64-bit multiply-shift is below bound / 2^64. */
    return (uint64_t)(((unsigned __int128)sfi_random_bits(random, index) * bound) >> 64);
}

uint64_t sfi_random_stream(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        hash = (hash ^ *c) * 0x100000001b3u;
    }
    return hash;
}
