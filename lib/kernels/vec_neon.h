/* SPDX-License-Identifier: BSD-2-Clause */
/* 4 floats of NEON. Part of vec.h; contracts in vec_reference.h. */
#ifndef SFK_VEC_NEON_H
#define SFK_VEC_NEON_H

#include "vec.h"

#include <arm_neon.h>

#define SFV_LANES 4
#define SFV_REGISTERS 32
#define SFV_TILE_ROWS 8
#define SFV_TILE_VECTORS 3
#define SFV_PAIR_ROWS 8
#define SFV_POOLED_ROWS 6
#define SFV_PANEL_ROWS 6
#define SFV_PANEL_VECTORS 4
#define SFV_PANEL_PIXELS 4
#define SFV_QUAD_COLUMNS 16

typedef float32x4_t sfv;
typedef uint64_t sfv_words __attribute__((vector_size(16)));

SFV_INLINE sfv_words sfv_mul_halves(sfv_words a, uint32_t factor)
{
    return (sfv_words)vmull_n_u32(vmovn_u64((uint64x2_t)a), factor);
}

SFV_INLINE sfv sfv_set1(float value)
{
    return vdupq_n_f32(value);
}

SFV_INLINE sfv sfv_load(const float *from)
{
    return vld1q_f32(from);
}

SFV_INLINE void sfv_store(float *to, sfv value)
{
    vst1q_f32(to, value);
}

SFV_INLINE sfv sfv_add(sfv a, sfv b)
{
    return vaddq_f32(a, b);
}

SFV_INLINE sfv sfv_sub(sfv a, sfv b)
{
    return vsubq_f32(a, b);
}

SFV_INLINE sfv sfv_mul(sfv a, sfv b)
{
    return vmulq_f32(a, b);
}

SFV_INLINE sfv sfv_div(sfv a, sfv b)
{
    return vdivq_f32(a, b);
}

SFV_INLINE sfv sfv_minus_abs(sfv a)
{
    return vnegq_f32(vabsq_f32(a));
}

SFV_INLINE sfv sfv_exponent(sfv a)
{
    const uint32x4_t power = vaddq_u32(vreinterpretq_u32_f32(a), vdupq_n_u32(127));
    return vreinterpretq_f32_u32(vshlq_n_u32(power, 23));
}

SFV_INLINE sfv sfv_fma(sfv a, sfv b, sfv c)
{
    return vfmaq_f32(c, a, b);
}

/* Not vmaxq_f32: its answer to NaN and to zeros of two signs is another. */
SFV_INLINE sfv sfv_max(sfv a, sfv b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

SFV_INLINE sfv sfv_max_or_nan(sfv a, sfv b)
{
    return vbslq_f32(vorrq_u32(vcgtq_f32(a, b), vmvnq_u32(vceqq_f32(a, a))), a, b);
}

SFV_INLINE bool sfv_has_nan(sfv a)
{
    return vminvq_u32(vceqq_f32(a, a)) == 0;
}

SFV_INLINE sfv sfv_evens(sfv a, sfv b)
{
    return vuzp1q_f32(a, b);
}

SFV_INLINE sfv sfv_odds(sfv a, sfv b)
{
    return vuzp2q_f32(a, b);
}

SFV_INLINE sfv sfv_low_pairs(sfv a, sfv b)
{
    return vzip1q_f32(a, b);
}

SFV_INLINE sfv sfv_high_pairs(sfv a, sfv b)
{
    return vzip2q_f32(a, b);
}

SFV_INLINE sfv sfv_next_lanes(sfv a, float last)
{
    return vextq_f32(a, vdupq_n_f32(last), 1);
}

SFV_INLINE sfv sfv_lanes_before(sfv a, float first)
{
    return vextq_f32(vdupq_n_f32(first), a, 3);
}

SFV_INLINE void sfv_load_fours(sfv to[4], const float *from, const int32_t *place)
{
    const float32x4x2_t upper = vtrnq_f32(vld1q_f32(from + place[0]), vld1q_f32(from + place[1]));
    const float32x4x2_t lower = vtrnq_f32(vld1q_f32(from + place[2]), vld1q_f32(from + place[3]));
    for (int i = 0; i < 2; i++) {
        to[i] = vcombine_f32(vget_low_f32(upper.val[i]), vget_low_f32(lower.val[i]));
        to[2 + i] = vcombine_f32(vget_high_f32(upper.val[i]), vget_high_f32(lower.val[i]));
    }
}

SFV_INLINE sfv sfv_and(sfv a, const uint32_t *bits)
{
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a), vld1q_u32(bits)));
}

SFV_INLINE sfv sfv_min(sfv a, sfv b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}

SFV_INLINE sfv sfv_where_greater(sfv a, sfv b, sfv value)
{
    return vreinterpretq_f32_u32(vandq_u32(vcgtq_f32(a, b), vreinterpretq_u32_f32(value)));
}

SFV_INLINE float sfv_sum_lanes(sfv value)
{
    const float32x2_t two = vadd_f32(vget_low_f32(value), vget_high_f32(value));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

SFV_INLINE sfv sfv_if_greater(sfv a, sfv b, sfv then, sfv otherwise)
{
    return vbslq_f32(vcgtq_f32(a, b), then, otherwise);
}

SFV_INLINE sfv sfv_if_beats(sfv value, sfv best, sfv then, sfv otherwise)
{
    const uint32x4_t beats = vbicq_u32(vceqq_f32(best, best), vcleq_f32(value, best));
    return vbslq_f32(beats, then, otherwise);
}

#include "vec_parts.h"

#endif
