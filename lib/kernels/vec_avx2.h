/* SPDX-License-Identifier: BSD-2-Clause */
/* 8 floats of AVX2. Part of vec.h; contracts in vec_reference.h. */
#ifndef SFK_VEC_AVX2_H
#define SFK_VEC_AVX2_H

#include "vec.h"

#include <immintrin.h>

#define SFV_LANES 8
#define SFV_REGISTERS 16
#define SFV_TILE_ROWS 6
#define SFV_TILE_VECTORS 2
#define SFV_PAIR_ROWS 4
#define SFV_POOLED_ROWS 3
#define SFV_PANEL_ROWS 6
#define SFV_PANEL_VECTORS 2
#define SFV_PANEL_PIXELS 4
#define SFV_QUAD_COLUMNS 16

typedef __m256 sfv;
typedef uint64_t sfv_words __attribute__((vector_size(32)));

SFV_INLINE sfv_words sfv_mul_halves(sfv_words a, uint32_t factor)
{
    return (sfv_words)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(factor));
}

SFV_INLINE sfv sfv_set1(float value)
{
    return _mm256_set1_ps(value);
}

SFV_INLINE sfv sfv_load(const float *from)
{
    return _mm256_loadu_ps(from);
}

SFV_INLINE void sfv_store(float *to, sfv value)
{
    _mm256_storeu_ps(to, value);
}

SFV_INLINE sfv sfv_add(sfv a, sfv b)
{
    return _mm256_add_ps(a, b);
}

SFV_INLINE sfv sfv_sub(sfv a, sfv b)
{
    return _mm256_sub_ps(a, b);
}

SFV_INLINE sfv sfv_mul(sfv a, sfv b)
{
    return _mm256_mul_ps(a, b);
}

SFV_INLINE sfv sfv_div(sfv a, sfv b)
{
    return _mm256_div_ps(a, b);
}

SFV_INLINE sfv sfv_minus_abs(sfv a)
{
    return _mm256_or_ps(a, _mm256_set1_ps(-0.0f));
}

SFV_INLINE sfv sfv_exponent(sfv a)
{
    const __m256i power = _mm256_add_epi32(_mm256_castps_si256(a), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(power, 23));
}

SFV_INLINE sfv sfv_fma(sfv a, sfv b, sfv c)
{
    return _mm256_fmadd_ps(a, b, c);
}

SFV_INLINE sfv sfv_max(sfv a, sfv b)
{
    return _mm256_max_ps(a, b);
}

SFV_INLINE sfv sfv_max_or_nan(sfv a, sfv b)
{
    return _mm256_blendv_ps(_mm256_max_ps(a, b), a, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
}

SFV_INLINE bool sfv_has_nan(sfv a)
{
    return _mm256_movemask_ps(_mm256_cmp_ps(a, a, _CMP_UNORD_Q)) != 0;
}

/* Pairs of lanes of a and b by turns. */
#define SFV_MIXES_PAIRS
SFV_INLINE sfv sfv_mixed_evens(sfv a, sfv b)
{
    return _mm256_shuffle_ps(a, b, 0x88);
}

SFV_INLINE sfv sfv_mixed_odds(sfv a, sfv b)
{
    return _mm256_shuffle_ps(a, b, 0xdd);
}

SFV_INLINE sfv sfv_in_order(sfv mixed)
{
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(mixed), 0xd8));
}

SFV_INLINE sfv sfv_evens(sfv a, sfv b)
{
    return sfv_in_order(sfv_mixed_evens(a, b));
}

SFV_INLINE sfv sfv_odds(sfv a, sfv b)
{
    return sfv_in_order(sfv_mixed_odds(a, b));
}

SFV_INLINE sfv sfv_low_pairs(sfv a, sfv b)
{
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x20);
}

SFV_INLINE sfv sfv_high_pairs(sfv a, sfv b)
{
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x31);
}

SFV_INLINE sfv sfv_next_lanes(sfv a, float last)
{
    const __m256i next = _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 7);
    return _mm256_blend_ps(_mm256_permutevar8x32_ps(a, next), _mm256_set1_ps(last), 0x80);
}

SFV_INLINE sfv sfv_lanes_before(sfv a, float first)
{
    const __m256i before = _mm256_setr_epi32(0, 0, 1, 2, 3, 4, 5, 6);
    return _mm256_blend_ps(_mm256_permutevar8x32_ps(a, before), _mm256_set1_ps(first), 0x01);
}

SFV_INLINE void sfv_load_fours(sfv to[4], const float *from, const int32_t *place)
{
    sfv half[4];
    for (int n = 0; n < 4; n++) {
        half[n] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(from + place[n])),
                                       _mm_loadu_ps(from + place[4 + n]), 1);
    }
    const __m256d low[] = {_mm256_castps_pd(_mm256_unpacklo_ps(half[0], half[1])),
                           _mm256_castps_pd(_mm256_unpacklo_ps(half[2], half[3]))};
    const __m256d high[] = {_mm256_castps_pd(_mm256_unpackhi_ps(half[0], half[1])),
                            _mm256_castps_pd(_mm256_unpackhi_ps(half[2], half[3]))};
    to[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(low[0], low[1]));
    to[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low[0], low[1]));
    to[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(high[0], high[1]));
    to[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(high[0], high[1]));
}

SFV_INLINE sfv sfv_and(sfv a, const uint32_t *bits)
{
    const __m256i mask = _mm256_loadu_si256((const __m256i *)(const void *)bits);
    return _mm256_and_ps(a, _mm256_castsi256_ps(mask));
}

SFV_INLINE sfv sfv_min(sfv a, sfv b)
{
    return _mm256_min_ps(a, b);
}

SFV_INLINE sfv sfv_where_greater(sfv a, sfv b, sfv value)
{
    return _mm256_and_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ), value);
}

SFV_INLINE float sfv_sum_lanes(sfv value)
{
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(value), _mm256_extractf128_ps(value, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

SFV_INLINE sfv sfv_if_greater(sfv a, sfv b, sfv then, sfv otherwise)
{
    return _mm256_blendv_ps(otherwise, then, _mm256_cmp_ps(a, b, _CMP_GT_OQ));
}

SFV_INLINE sfv sfv_if_beats(sfv value, sfv best, sfv then, sfv otherwise)
{
    const __m256 beats = _mm256_and_ps(_mm256_cmp_ps(value, best, _CMP_NLE_UQ),
                                       _mm256_cmp_ps(best, best, _CMP_ORD_Q));
    return _mm256_blendv_ps(otherwise, then, beats);
}

SFV_INLINE __m256i sfv_first_lanes(int64_t count)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), lane);
}

SFV_INLINE sfv sfv_load_part(const float *from, int64_t count)
{
    return _mm256_maskload_ps(from, sfv_first_lanes(count));
}

/* In pieces: a masked store takes as long as ten of them on some processors. */
SFV_INLINE void sfv_store_part(float *to, sfv value, int64_t count)
{
    __m128 half = _mm256_castps256_ps128(value);
    if (count & 4) {
        _mm_storeu_ps(to, half);
        half = _mm256_extractf128_ps(value, 1);
        to += 4;
    }
    if (count & 2) {
        _mm_storel_pi((__m64 *)(void *)to, half);
        half = _mm_movehl_ps(half, half);
        to += 2;
    }
    if (count & 1) {
        _mm_store_ss(to, half);
    }
}

SFV_INLINE __m256i sfv_lanes_between(int64_t first, int64_t end)
{
    return _mm256_andnot_si256(sfv_first_lanes(first), sfv_first_lanes(end));
}

SFV_INLINE sfv sfv_load_onto(sfv value, const float *from, int64_t first, int64_t end)
{
    const __m256i lanes = sfv_lanes_between(first, end);
    return _mm256_blendv_ps(value, _mm256_maskload_ps(from, lanes), _mm256_castsi256_ps(lanes));
}

SFV_INLINE sfv sfv_load_set(sfv value, const float *from, uint32_t lanes)
{
    const __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i masked = _mm256_and_si256(_mm256_set1_epi32((int)lanes), bits);
    const __m256i set = _mm256_cmpeq_epi32(masked, bits);
    return _mm256_blendv_ps(value, _mm256_maskload_ps(from, set), _mm256_castsi256_ps(set));
}

SFV_INLINE void sfv_store_range(float *to, sfv value, int64_t first, int64_t end)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i from = _mm256_add_epi32(lane, _mm256_set1_epi32((int)first));
    if (end - first == SFV_LANES) {
        sfv_store(to, value);
    } else {
        sfv_store_part(to + first, _mm256_permutevar8x32_ps(value, from), end - first);
    }
}

#endif
