/* SPDX-License-Identifier: BSD-2-Clause */
#include "vec.h"

#include <string.h>

/* Blocks of Philox run side by side, a 64-bit lane for each of their four words of 32 bits. A block
 * holds two 64-bit numbers. */
#define BLOCKS (SFV_LANES / 2)
#define NUMBERS (2 * BLOCKS)

typedef int64_t whole_numbers __attribute__((vector_size(BLOCKS * 8)));
typedef uint32_t bits __attribute__((vector_size(NUMBERS * 4)));
typedef float floats __attribute__((vector_size(NUMBERS * 4)));

/* Where the numbers of a block come to lie when its lane is read as two of 32 bits. */
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define FIRST_SHIFT 32
#define SECOND_SHIFT 0
#else
#define FIRST_SHIFT 0
#define SECOND_SHIFT 32
#endif

/* All ones where a number of the stream, as base/random.h defines them and without its lowest 11
 * bits, reaches the threshold: numbers NUMBERS·group onwards. */
SFV_INLINE bits kept_of(const sfk_mask *mask, uint64_t group)
{
    const uint64_t low = 0xFFFFFFFFu;
    sfv_words counter;
    for (int b = 0; b < BLOCKS; b++) {
        counter[b] = group * BLOCKS + (uint64_t)b;
    }
    /* Only the lower halves of the words mean something until the last round. */
    sfv_words c0 = counter;
    sfv_words c1 = counter >> 32;
    sfv_words c2 = (sfv_words){0} + (mask->stream & low);
    sfv_words c3 = (sfv_words){0} + (mask->stream >> 32);
    uint64_t key0 = mask->seed & low;
    uint64_t key1 = mask->seed >> 32;
    for (int round = 0; round < 10; round++) {
        const sfv_words product0 = sfv_mul_halves(c0, 0xD2511F53u);
        const sfv_words product1 = sfv_mul_halves(c2, 0xCD9E8D57u);
        c0 = (product1 >> 32) ^ c1 ^ key0;
        c2 = (product0 >> 32) ^ c3 ^ key1;
        c1 = product1;
        c3 = product0;
        key0 = (key0 + 0x9E3779B9u) & low;
        key1 = (key1 + 0xBB67AE85u) & low;
    }
    const whole_numbers first = (whole_numbers)((c1 << 32 | (c0 & low)) >> 11);
    const whole_numbers second = (whole_numbers)((c3 << 32 | (c2 & low)) >> 11);
    return (bits)(((sfv_words)(first >= mask->threshold) & low) << FIRST_SHIFT |
                  ((sfv_words)(second >= mask->threshold) & low) << SECOND_SHIFT);
}

SFV_INLINE void drop_vector(float *out, const float *in, float scale, bits kept, bool accumulate)
{
    floats value, before;
    memcpy(&value, in, sizeof value);
    value = (floats)((bits)(value * scale) & kept);
    if (accumulate) {
        memcpy(&before, out, sizeof before);
        value = before + value;
    }
    memcpy(out, &value, sizeof value);
}

/* The numbers first … first+count-1 of a group. */
SFV_INLINE void drop_part(float *out, const float *in, float scale, bits kept, int64_t first,
                          int64_t count, bool accumulate)
{
    for (int64_t i = 0; i < count; i++) {
        const float value = kept[first + i] ? in[i] * scale : 0.0f;
        out[i] = accumulate ? out[i] + value : value;
    }
}

void SFK_NAME(dropout)(float *restrict out, const float *restrict in, const sfk_mask *mask,
                       bool accumulate, int64_t count)
{
    for (int64_t i = 0; i < count;) {
        const uint64_t number = mask->first + (uint64_t)i;
        const int64_t skipped = (int64_t)(number % NUMBERS);
        const int64_t left = NUMBERS - skipped;
        const int64_t drawn = left < count - i ? left : count - i;
        const bits kept = kept_of(mask, number / NUMBERS);
        if (drawn == NUMBERS) {
            drop_vector(out + i, in + i, mask->scale, kept, accumulate);
        } else {
            drop_part(out + i, in + i, mask->scale, kept, skipped, drawn, accumulate);
        }
        i += drawn;
    }
}
