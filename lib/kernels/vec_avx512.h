/* SPDX-License-Identifier: BSD-2-Clause */
/* 16 floats of AVX-512. Part of vec.h; contracts in vec_reference.h. */
#ifndef SFK_VEC_AVX512_H
#define SFK_VEC_AVX512_H

#include "vec.h"

#include <immintrin.h>

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

typedef __m512 sfv;
typedef uint64_t sfv_words __attribute__((vector_size(64)));

SFV_INLINE sfv_words sfv_mul_halves(sfv_words a, uint32_t factor)
{
    return (sfv_words)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(factor));
}

SFV_INLINE sfv sfv_set1(float value)
{
    return _mm512_set1_ps(value);
}

SFV_INLINE sfv sfv_load(const float *from)
{
    return _mm512_loadu_ps(from);
}

SFV_INLINE void sfv_store(float *to, sfv value)
{
    _mm512_storeu_ps(to, value);
}

SFV_INLINE sfv sfv_add(sfv a, sfv b)
{
    return _mm512_add_ps(a, b);
}

SFV_INLINE sfv sfv_sub(sfv a, sfv b)
{
    return _mm512_sub_ps(a, b);
}

SFV_INLINE sfv sfv_mul(sfv a, sfv b)
{
    return _mm512_mul_ps(a, b);
}

SFV_INLINE sfv sfv_div(sfv a, sfv b)
{
    return _mm512_div_ps(a, b);
}

SFV_INLINE sfv sfv_minus_abs(sfv a)
{
    return _mm512_or_ps(a, _mm512_set1_ps(-0.0f));
}

SFV_INLINE sfv sfv_exponent(sfv a)
{
    const __m512i power = _mm512_add_epi32(_mm512_castps_si512(a), _mm512_set1_epi32(127));
    return _mm512_castsi512_ps(_mm512_slli_epi32(power, 23));
}

SFV_INLINE sfv sfv_fma(sfv a, sfv b, sfv c)
{
    return _mm512_fmadd_ps(a, b, c);
}

SFV_INLINE sfv sfv_max(sfv a, sfv b)
{
    return _mm512_max_ps(a, b);
}

SFV_INLINE sfv sfv_max_or_nan(sfv a, sfv b)
{
    return _mm512_mask_mov_ps(_mm512_max_ps(a, b), _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), a);
}

SFV_INLINE bool sfv_has_nan(sfv a)
{
    return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q) != 0;
}

SFV_INLINE sfv sfv_evens(sfv a, sfv b)
{
    const __m512i lanes =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(a, lanes, b);
}

SFV_INLINE sfv sfv_odds(sfv a, sfv b)
{
    const __m512i lanes =
        _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return _mm512_permutex2var_ps(a, lanes, b);
}

SFV_INLINE sfv sfv_low_pairs(sfv a, sfv b)
{
    const __m512i lanes = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    return _mm512_permutex2var_ps(a, lanes, b);
}

SFV_INLINE sfv sfv_high_pairs(sfv a, sfv b)
{
    const __m512i lanes =
        _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    return _mm512_permutex2var_ps(a, lanes, b);
}

SFV_INLINE sfv sfv_next_lanes(sfv a, float last)
{
    const __m512i lanes = _mm512_castps_si512(a);
    const __m512i behind = _mm512_castps_si512(_mm512_castps128_ps512(_mm_set_ss(last)));
    return _mm512_castsi512_ps(_mm512_alignr_epi32(behind, lanes, 1));
}

SFV_INLINE sfv sfv_lanes_before(sfv a, float first)
{
    const __m512i before = _mm512_castps_si512(_mm512_set1_ps(first));
    return _mm512_castsi512_ps(_mm512_alignr_epi32(_mm512_castps_si512(a), before, 15));
}

SFV_INLINE void sfv_load_fours(sfv to[4], const float *from, const int32_t *place)
{
    sfv quarter[4];
    for (int n = 0; n < 4; n++) {
        const __m128 tiles[] = {_mm_loadu_ps(from + place[n]), _mm_loadu_ps(from + place[4 + n]),
                                _mm_loadu_ps(from + place[8 + n]),
                                _mm_loadu_ps(from + place[12 + n])};
        quarter[n] = _mm512_castps128_ps512(tiles[0]);
        quarter[n] = _mm512_insertf32x4(quarter[n], tiles[1], 1);
        quarter[n] = _mm512_insertf32x4(quarter[n], tiles[2], 2);
        quarter[n] = _mm512_insertf32x4(quarter[n], tiles[3], 3);
    }
    const __m512d low[] = {_mm512_castps_pd(_mm512_unpacklo_ps(quarter[0], quarter[1])),
                           _mm512_castps_pd(_mm512_unpacklo_ps(quarter[2], quarter[3]))};
    const __m512d high[] = {_mm512_castps_pd(_mm512_unpackhi_ps(quarter[0], quarter[1])),
                            _mm512_castps_pd(_mm512_unpackhi_ps(quarter[2], quarter[3]))};
    to[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(low[0], low[1]));
    to[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low[0], low[1]));
    to[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high[0], high[1]));
    to[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high[0], high[1]));
}

SFV_INLINE sfv sfv_and(sfv a, const uint32_t *bits)
{
    return _mm512_and_ps(a, _mm512_castsi512_ps(_mm512_loadu_si512(bits)));
}

SFV_INLINE sfv sfv_min(sfv a, sfv b)
{
    return _mm512_min_ps(a, b);
}

SFV_INLINE sfv sfv_where_greater(sfv a, sfv b, sfv value)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), value);
}

SFV_INLINE float sfv_sum_lanes(sfv value)
{
    const __m256 eight =
        _mm256_add_ps(_mm512_castps512_ps256(value), _mm512_extractf32x8_ps(value, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

SFV_INLINE sfv sfv_if_greater(sfv a, sfv b, sfv then, sfv otherwise)
{
    return _mm512_mask_mov_ps(otherwise, _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), then);
}

SFV_INLINE sfv sfv_if_beats(sfv value, sfv best, sfv then, sfv otherwise)
{
    const __mmask16 known = _mm512_cmp_ps_mask(best, best, _CMP_ORD_Q);
    return _mm512_mask_mov_ps(otherwise, _mm512_mask_cmp_ps_mask(known, value, best, _CMP_NLE_UQ),
                              then);
}

SFV_INLINE sfv sfv_load_part(const float *from, int64_t count)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1u), from);
}

SFV_INLINE void sfv_store_part(float *to, sfv value, int64_t count)
{
    _mm512_mask_storeu_ps(to, (__mmask16)((1u << count) - 1u), value);
}

SFV_INLINE __mmask16 sfv_lanes_between(int64_t first, int64_t end)
{
    return (__mmask16)((1u << end) - (1u << first));
}

SFV_INLINE sfv sfv_load_set(sfv value, const float *from, uint32_t lanes)
{
    return _mm512_mask_loadu_ps(value, (__mmask16)lanes, from);
}

SFV_INLINE sfv sfv_load_onto(sfv value, const float *from, int64_t first, int64_t end)
{
    return _mm512_mask_loadu_ps(value, sfv_lanes_between(first, end), from);
}

SFV_INLINE void sfv_store_range(float *to, sfv value, int64_t first, int64_t end)
{
    _mm512_mask_storeu_ps(to, sfv_lanes_between(first, end), value);
}

#endif
