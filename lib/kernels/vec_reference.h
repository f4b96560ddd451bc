/* SPDX-License-Identifier: BSD-2-Clause */
/* The definition that the other instruction sets are compared with. Part of vec.h. */
#ifndef SFK_VEC_REFERENCE_H
#define SFK_VEC_REFERENCE_H

#include "vec.h"

#include <string.h>

/* SFV_TILE_…: registers of a matrix tile. Channels of a tile of a pair of products beside three
 * vectors of pixels; beside two of each of two rows. */
#if defined(SFK_BUILD_WIDE)
/* The lanes and tiles of the widest instruction set, for tests of their paths on any machine. */
#define SFV_LANES 16
#define SFV_REGISTERS 32
#define SFV_TILE_ROWS 8
#define SFV_TILE_VECTORS 3
#define SFV_PAIR_ROWS 8
#define SFV_POOLED_ROWS 6
#define SFV_PANEL_ROWS 8
#define SFV_PANEL_VECTORS 2
#define SFV_PANEL_PIXELS 12
#define SFV_QUAD_COLUMNS 96
#else
#define SFV_LANES 4
#define SFV_REGISTERS 16
#define SFV_TILE_ROWS 4
#define SFV_TILE_VECTORS 2
#define SFV_PAIR_ROWS 4
#define SFV_POOLED_ROWS 3
#define SFV_PANEL_ROWS 4
#define SFV_PANEL_VECTORS 2
#define SFV_PANEL_PIXELS 4
#define SFV_QUAD_COLUMNS 16
#endif

typedef struct sfv {
    float lane[SFV_LANES];
} sfv;

/* A vector of 64-bit integers, for whole numbers; compilers know their arithmetic. */
typedef uint64_t sfv_words __attribute__((vector_size(SFV_LANES * 4)));

/* The lower half of each lane times `factor`. */
SFV_INLINE sfv_words sfv_mul_halves(sfv_words a, uint32_t factor)
{
    return (a & 0xFFFFFFFFu) * factor;
}

SFV_INLINE sfv sfv_set1(float value)
{
    sfv all;
    for (int i = 0; i < SFV_LANES; i++) {
        all.lane[i] = value;
    }
    return all;
}

SFV_INLINE sfv sfv_load(const float *from)
{
    sfv value;
    for (int i = 0; i < SFV_LANES; i++) {
        value.lane[i] = from[i];
    }
    return value;
}

SFV_INLINE void sfv_store(float *to, sfv value)
{
    for (int i = 0; i < SFV_LANES; i++) {
        to[i] = value.lane[i];
    }
}

SFV_INLINE sfv sfv_add(sfv a, sfv b)
{
    for (int i = 0; i < SFV_LANES; i++) {
        a.lane[i] += b.lane[i];
    }
    return a;
}

SFV_INLINE sfv sfv_sub(sfv a, sfv b)
{
    for (int i = 0; i < SFV_LANES; i++) {
        a.lane[i] -= b.lane[i];
    }
    return a;
}

SFV_INLINE sfv sfv_mul(sfv a, sfv b)
{
    for (int i = 0; i < SFV_LANES; i++) {
        a.lane[i] *= b.lane[i];
    }
    return a;
}

SFV_INLINE sfv sfv_div(sfv a, sfv b)
{
    for (int i = 0; i < SFV_LANES; i++) {
        a.lane[i] /= b.lane[i];
    }
    return a;
}

SFV_INLINE sfv sfv_minus_abs(sfv a)
{
    for (int i = 0; i < SFV_LANES; i++) {
        a.lane[i] = -__builtin_fabsf(a.lane[i]);
    }
    return a;
}

/* 2^n, where n stands in the lowest 8 bits of a; -127 < n < 128. */
SFV_INLINE sfv sfv_exponent(sfv a)
{
    for (int i = 0; i < SFV_LANES; i++) {
        uint32_t bits;
        memcpy(&bits, &a.lane[i], sizeof bits);
        bits = (bits + 127) << 23;
        memcpy(&a.lane[i], &bits, sizeof bits);
    }
    return a;
}

/* a * b + c, rounded once. */
SFV_INLINE sfv sfv_fma(sfv a, sfv b, sfv c)
{
    for (int i = 0; i < SFV_LANES; i++) {
        c.lane[i] = __builtin_fmaf(a.lane[i], b.lane[i], c.lane[i]);
    }
    return c;
}

/* a > b ? a : b, so b where one is NaN. */
SFV_INLINE sfv sfv_max(sfv a, sfv b)
{
    for (int i = 0; i < SFV_LANES; i++) {
        a.lane[i] = a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i];
    }
    return a;
}

/* a > b or NaN ? a : b, so NaN where either is. */
SFV_INLINE bool sfv_has_nan(sfv a)
{
    for (int i = 0; i < SFV_LANES; i++) {
        if (a.lane[i] != a.lane[i]) {
            return true;
        }
    }
    return false;
}

SFV_INLINE sfv sfv_max_or_nan(sfv a, sfv b)
{
    for (int i = 0; i < SFV_LANES; i++) {
        const bool first = a.lane[i] > b.lane[i] || a.lane[i] != a.lane[i];
        a.lane[i] = first ? a.lane[i] : b.lane[i];
    }
    return a;
}

/* Lanes 0, 2, 4 … of a followed by b; and lanes 1, 3, 5 …. */
SFV_INLINE sfv sfv_every_second(sfv a, sfv b, int first)
{
    sfv value;
    for (int i = 0; i < SFV_LANES / 2; i++) {
        value.lane[i] = a.lane[2 * i + first];
        value.lane[SFV_LANES / 2 + i] = b.lane[2 * i + first];
    }
    return value;
}

SFV_INLINE sfv sfv_evens(sfv a, sfv b)
{
    return sfv_every_second(a, b, 0);
}

SFV_INLINE sfv sfv_odds(sfv a, sfv b)
{
    return sfv_every_second(a, b, 1);
}

/* Lanes of a and b by turns: the lower half of both, and the upper half. */
SFV_INLINE sfv sfv_pairs_from(sfv a, sfv b, int first)
{
    sfv value;
    for (int i = 0; i < SFV_LANES / 2; i++) {
        value.lane[2 * i] = a.lane[first + i];
        value.lane[2 * i + 1] = b.lane[first + i];
    }
    return value;
}

SFV_INLINE sfv sfv_low_pairs(sfv a, sfv b)
{
    return sfv_pairs_from(a, b, 0);
}

SFV_INLINE sfv sfv_high_pairs(sfv a, sfv b)
{
    return sfv_pairs_from(a, b, SFV_LANES / 2);
}

/* Each lane but the last from the next one. */
SFV_INLINE sfv sfv_next_lanes(sfv a, float last)
{
    for (int i = 0; i + 1 < SFV_LANES; i++) {
        a.lane[i] = a.lane[i + 1];
    }
    a.lane[SFV_LANES - 1] = last;
    return a;
}

/* Each lane but the first from the one before. */
SFV_INLINE sfv sfv_lanes_before(sfv a, float first)
{
    for (int i = SFV_LANES - 1; i > 0; i--) {
        a.lane[i] = a.lane[i - 1];
    }
    a.lane[0] = first;
    return a;
}

/* Lane n of vector i is from[place[n] + i]. */
SFV_INLINE void sfv_load_fours(sfv to[4], const float *from, const int32_t *place)
{
    for (int i = 0; i < 4; i++) {
        for (int n = 0; n < SFV_LANES; n++) {
            to[i].lane[n] = from[place[n] + i];
        }
    }
}

/* Those bits of each lane that are set in its mask, too. */
SFV_INLINE sfv sfv_and(sfv a, const uint32_t *bits)
{
    for (int i = 0; i < SFV_LANES; i++) {
        uint32_t lane;
        memcpy(&lane, &a.lane[i], sizeof lane);
        lane &= bits[i];
        memcpy(&a.lane[i], &lane, sizeof lane);
    }
    return a;
}

/* a < b ? a : b, so b where one is NaN. */
SFV_INLINE sfv sfv_min(sfv a, sfv b)
{
    for (int i = 0; i < SFV_LANES; i++) {
        a.lane[i] = a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i];
    }
    return a;
}

/* `value` where a > b, 0 elsewhere. */
SFV_INLINE sfv sfv_where_greater(sfv a, sfv b, sfv value)
{
    for (int i = 0; i < SFV_LANES; i++) {
        value.lane[i] = a.lane[i] > b.lane[i] ? value.lane[i] : 0.0f;
    }
    return value;
}

/* Halves are added until one lane is left. */
SFV_INLINE float sfv_sum_lanes(sfv value)
{
    for (int half = SFV_LANES / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) {
            value.lane[i] += value.lane[i + half];
        }
    }
    return value.lane[0];
}

/* a > b ? then : otherwise. */
SFV_INLINE sfv sfv_if_greater(sfv a, sfv b, sfv then, sfv otherwise)
{
    for (int i = 0; i < SFV_LANES; i++) {
        then.lane[i] = a.lane[i] > b.lane[i] ? then.lane[i] : otherwise.lane[i];
    }
    return then;
}

/* `then` where max pooling prefers the value to the best so far: NaN beats all numbers, the first
 * of equals stays. */
SFV_INLINE sfv sfv_if_beats(sfv value, sfv best, sfv then, sfv otherwise)
{
    for (int i = 0; i < SFV_LANES; i++) {
        const bool beats = !(value.lane[i] <= best.lane[i]) && best.lane[i] == best.lane[i];
        then.lane[i] = beats ? then.lane[i] : otherwise.lane[i];
    }
    return then;
}

#include "vec_parts.h"

#endif
