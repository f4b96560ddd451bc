/* SPDX-License-Identifier: BSD-2-Clause */
#include "pair_cut.h"

#include <string.h>

/* Four floats on every machine: packed rows come in fours. */
typedef float quad __attribute__((vector_size(16)));

SFV_INLINE quad load_quad(const float *from)
{
    quad value;
    memcpy(&value, from, sizeof value);
    return value;
}

SFV_INLINE void store_quad(float *to, quad value)
{
    memcpy(to, &value, sizeof value);
}

/* Four steps of four rows, each times its scale. */
SFV_INLINE void transpose_quads(float *to, int64_t to_step, const float *const *rows, int64_t k,
                                quad scale)
{
    const quad first = load_quad(rows[0] + k), second = load_quad(rows[1] + k);
    const quad third = load_quad(rows[2] + k), fourth = load_quad(rows[3] + k);
    const quad low = __builtin_shufflevector(first, second, 0, 4, 1, 5);
    const quad high = __builtin_shufflevector(first, second, 2, 6, 3, 7);
    const quad lower = __builtin_shufflevector(third, fourth, 0, 4, 1, 5);
    const quad higher = __builtin_shufflevector(third, fourth, 2, 6, 3, 7);
    store_quad(to, scale * __builtin_shufflevector(low, lower, 0, 1, 4, 5));
    store_quad(to + to_step, scale * __builtin_shufflevector(low, lower, 2, 3, 6, 7));
    store_quad(to + 2 * to_step, scale * __builtin_shufflevector(high, higher, 0, 1, 4, 5));
    store_quad(to + 3 * to_step, scale * __builtin_shufflevector(high, higher, 2, 3, 6, 7));
}

/* Every third of twelve, from each of the first three on. */
SFV_INLINE void part_thirds(float *to, int64_t to_step, const float *from)
{
    const quad first = load_quad(from), second = load_quad(from + 4), third = load_quad(from + 8);
    store_quad(to, __builtin_shufflevector(__builtin_shufflevector(first, second, 0, 3, 6, 6),
                                           third, 0, 1, 2, 5));
    store_quad(to + to_step,
               __builtin_shufflevector(__builtin_shufflevector(first, second, 1, 4, 7, 7), third, 0,
                                       1, 2, 6));
    store_quad(to + 2 * to_step,
               __builtin_shufflevector(__builtin_shufflevector(first, second, 2, 5, 5, 5), third, 0,
                                       1, 4, 7));
}

static void pack_part(float *to, const sfk_pair_part *part, int64_t channel, int64_t rows)
{
    const float *const *weights = part->weights + channel;
    const float *scales = part->scales + channel;
    const int64_t fours = rows % 4 == 0 ? part->depth / 4 * 4 : 0;
    for (int64_t m = 0; fours && m < rows; m += 4) {
        const quad scale = load_quad(scales + m);
        for (int64_t k = 0; k < fours; k += 4) {
            transpose_quads(to + k * rows + m, rows, weights + m, k, scale);
        }
    }
    for (int64_t m = 0; m < rows; m++) {
        for (int64_t k = fours; k < part->depth; k++) {
            to[k * rows + m] = scales[m] * weights[m][k];
        }
    }
}

static void pack_expansion(float *to, const sfk_pair_weights *from, int64_t channel, int64_t rows)
{
    for (int64_t m = 0; m < rows; m++) {
        *to++ = from->bias[channel + m];
    }
    for (int64_t i = 0; i < from->part_count; i++) {
        pack_part(to, &from->parts[i], channel, rows);
        to += from->parts[i].depth * rows;
    }
}

/* `count` mixed maps from the j-th on are the taps of one: weights of a channel lie side by side.
 */
SFV_INLINE bool are_thirds(const sfk_pair_weights *from, int64_t j, int64_t count)
{
    const float *const *mix = from->mix + j;
    const int64_t *step = from->mix_step + j;
    return count >= 3 && step[0] == 3 && step[1] == 3 && step[2] == 3 && mix[1] == mix[0] + 1 &&
           mix[2] == mix[0] + 2;
}

/* Blocks of channels that follow each other: a row of weights is a cache line or two for all. */
static void pack_mixing(float *to, int64_t to_step, const sfk_pair_weights *from, int64_t channel,
                        int64_t blocks, int64_t rows)
{
    const int64_t count = from->mixed_count + from->pooled_count;
    int64_t j = 0;
    while (j < count) {
        const int64_t step = from->mix_step[j];
        const float *weights = from->mix[j] + channel * step;
        const bool thirds = rows % 4 == 0 && are_thirds(from, j, count - j);
        for (int64_t block = 0; block < blocks; block++, weights += rows * step) {
            float *row = to + block * to_step + j * rows;
            for (int64_t m = 0; thirds && m < rows; m += 4) {
                part_thirds(row + m, rows, weights + 3 * m);
            }
            for (int64_t m = 0; !thirds && m < rows; m++) {
                row[m] = weights[m * step];
            }
        }
        j += thirds ? 3 : 1;
    }
}

SFV_INLINE int64_t channel_of(const row_cut *cut, int64_t block)
{
    return block * cut->height + smaller(block, cut->higher);
}

/* The first block that begins at the channel or behind it. */
SFV_INLINE int64_t block_from(const row_cut *cut, int64_t channel)
{
    int64_t block = 0;
    while (block < cut->blocks && channel_of(cut, block) < channel) {
        block++;
    }
    return block;
}

#define BLOCKS_AT_ONCE 8

void SFK_NAME(pack_pair)(float *to, const sfk_pair_weights *from)
{
    const row_cut cut = cut_channels(from->channels, from->pooled_count);
    const int64_t maps = from->mixed_count + from->pooled_count;
    const int64_t end = block_from(&cut, from->end_channel);
    int64_t block = block_from(&cut, from->first_channel);
    while (block < end) {
        const int64_t rows = cut.height + (block < cut.higher);
        const int64_t alike = block < cut.higher ? smaller(end, cut.higher) : end;
        const int64_t blocks = smaller(alike - block, BLOCKS_AT_ONCE);
        const int64_t step = (1 + from->depth + maps) * rows;
        const int64_t channel = channel_of(&cut, block);
        float *at = to + channel * (1 + from->depth + maps);
        for (int64_t i = 0; i < blocks; i++) {
            pack_expansion(at + i * step, from, channel + i * rows, rows);
        }
        pack_mixing(at + (1 + from->depth) * rows, step, from, channel, blocks, rows);
        block += blocks;
    }
}
