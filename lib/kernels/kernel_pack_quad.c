/* SPDX-License-Identifier: BSD-2-Clause */
#include "cuts.h"
#include "winograd_points.h"

/* Sources whose coefficients wait for those of the other channels of a block. */
#define PACKED_AT_ONCE 64

typedef float coefficients[SFV_PAIR_ROWS][WINDOW][PACKED_AT_ONCE + 16];

/* The weights of one channel at the points. */
SFV_INLINE void transform_channel(float (*to)[PACKED_AT_ONCE + 16], const float *weights,
                                  float scale, int64_t count)
{
    float taps[3][PACKED_AT_ONCE + 16];
    for (int64_t k = 0; k < count; k++) {
        taps[0][k] = scale * weights[3 * k];
        taps[1][k] = scale * weights[3 * k + 1];
        taps[2][k] = scale * weights[3 * k + 2];
    }
    for (int64_t k = 0; k < count; k += SFV_LANES) {
        sfv points[WINDOW];
        transform_taps(points, sfv_load(taps[0] + k), sfv_load(taps[1] + k), sfv_load(taps[2] + k));
        SFV_UNROLL
        for (int i = 0; i < WINDOW; i++) {
            sfv_store(to[i] + k, points[i]);
        }
    }
}

/* `count` sources from the first-th on of one part, the others of its block being zeros. */
SFV_INLINE void pack_sources(float *to, int64_t point_stride, const sfk_pair_part *part,
                             int64_t channel, int64_t rows, int64_t first, int64_t count)
{
    /* The order in which quad_expand takes the points. */
    static const int order[WINDOW] = {1, 2, 3, 4, 0, 5};
    coefficients at_points;
    for (int64_t m = 0; m < rows; m++) {
        transform_channel(at_points[m], part->weights[channel + m] + 3 * first,
                          part->scales[channel + m], count);
    }
    for (int i = 0; i < WINDOW; i++) {
        float *row = to + i * point_stride + first * SFV_PAIR_ROWS;
        for (int64_t k = 0; k < count; k++, row += SFV_PAIR_ROWS) {
            for (int64_t m = 0; m < SFV_PAIR_ROWS; m++) {
                row[m] = m < rows ? at_points[m][order[i]][k] : 0.0f;
            }
        }
    }
}

static void pack_expansion(float *to, const sfk_pair_weights *from, int64_t channel, int64_t rows)
{
    for (int64_t m = 0; m < SFV_PAIR_ROWS; m++) {
        *to++ = m < rows ? from->bias[channel + m] : 0.0f;
    }
    for (int64_t i = 0; i < from->part_count; i++) {
        const sfk_pair_part *part = &from->parts[i];
        const int64_t depth = part->depth / 3;
        for (int64_t k = 0; k < depth; k += PACKED_AT_ONCE) {
            pack_sources(to, from->depth / 3 * SFV_PAIR_ROWS, part, channel, rows, k,
                         smaller(PACKED_AT_ONCE, depth - k));
        }
        to += depth * SFV_PAIR_ROWS;
    }
}

void SFK_NAME(pack_quad)(float *to, const sfk_pair_weights *from)
{
    const int64_t per_channel = SFK_QUAD_PACKED(from->depth / 3);
    const int64_t end = smaller(from->end_channel, from->channels);
    for (int64_t c = from->first_channel; c < end; c += SFV_PAIR_ROWS) {
        const int64_t rows = smaller(SFV_PAIR_ROWS, from->channels - c);
        pack_expansion(to + c * per_channel, from, c, rows);
    }
}
