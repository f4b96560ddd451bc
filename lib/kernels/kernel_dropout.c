/* SPDX-License-Identifier: BSD-2-Clause */
#include "vec.h"

/* Blocks of Philox run side by side, a 64-bit lane for each of their four words of 32 bits. A block
 * holds two 64-bit numbers. */
#define BLOCKS (SFV_LANES / 2)
#define NUMBERS (2 * BLOCKS)

typedef uint64_t lanes __attribute__((vector_size(BLOCKS * 8)));

/* The numbers NUMBERS·group onwards of the stream, as base/random.h defines them, without their
 * lowest 11 bits. */
SFV_INLINE void draw(int64_t numbers[NUMBERS], const sfk_mask *mask, uint64_t group)
{
    const uint64_t low = 0xFFFFFFFFu;
    lanes counter;
    for (int b = 0; b < BLOCKS; b++) {
        counter[b] = group * BLOCKS + (uint64_t)b;
    }
    lanes c0 = counter & low;
    lanes c1 = counter >> 32;
    lanes c2 = (lanes){0} + (mask->stream & low);
    lanes c3 = (lanes){0} + (mask->stream >> 32);
    uint64_t key0 = mask->seed & low;
    uint64_t key1 = mask->seed >> 32;
    for (int round = 0; round < 10; round++) {
        const lanes product0 = c0 * 0xD2511F53u;
        const lanes product1 = c2 * 0xCD9E8D57u;
        c0 = (product1 >> 32) ^ c1 ^ key0;
        c2 = (product0 >> 32) ^ c3 ^ key1;
        c1 = product1 & low;
        c3 = product0 & low;
        key0 = (key0 + 0x9E3779B9u) & low;
        key1 = (key1 + 0xBB67AE85u) & low;
    }
    const lanes even = (c1 << 32 | c0) >> 11;
    const lanes odd = (c3 << 32 | c2) >> 11;
    for (int b = 0; b < BLOCKS; b++) {
        numbers[2 * b] = (int64_t)even[b];
        numbers[2 * b + 1] = (int64_t)odd[b];
    }
}

void SFK_NAME(dropout)(float *restrict out, const float *restrict in, const sfk_mask *mask,
                       bool accumulate, int64_t count)
{
    for (int64_t i = 0; i < count;) {
        int64_t numbers[NUMBERS];
        const uint64_t number = mask->first + (uint64_t)i;
        const int64_t skipped = (int64_t)(number % NUMBERS);
        const int64_t whole = NUMBERS - skipped;
        const int64_t drawn = whole < count - i ? whole : count - i;
        draw(numbers, mask, number / NUMBERS);
        for (int64_t l = 0; l < drawn; l++) {
            const bool kept = numbers[skipped + l] >= mask->threshold;
            const float value = kept ? in[i + l] * mask->scale : 0.0f;
            out[i + l] = accumulate ? out[i + l] + value : value;
        }
        i += drawn;
    }
}
