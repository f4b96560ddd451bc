/* SPDX-License-Identifier: BSD-2-Clause */
/* Squares of a matrix transposed: to[c·to_stride + r] = from[r][c]. */
#ifndef SFK_SQUARE_H
#define SFK_SQUARE_H

#include "vec.h"

#define SQUARE 8

#if defined(SFK_BUILD_AVX2) || defined(SFK_BUILD_AVX512)
SFV_INLINE void transpose_square(float *to, int64_t to_stride, const float *const from[SQUARE])
{
    __m256 row[SQUARE], pair[SQUARE];
    /* Rows r and r + 4 share a register by halves, so that two rounds of shuffles inside halves
     * finish the work. */
    for (int r = 0; r < 4; r++) {
        const float *low = from[r];
        const float *high = from[r + 4];
        row[r] =
            _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high), 1);
        row[r + 4] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low + 4)),
                                          _mm_loadu_ps(high + 4), 1);
    }
    for (int half = 0; half < SQUARE; half += 4) {
        pair[half] = _mm256_unpacklo_ps(row[half], row[half + 1]);
        pair[half + 1] = _mm256_unpackhi_ps(row[half], row[half + 1]);
        pair[half + 2] = _mm256_unpacklo_ps(row[half + 2], row[half + 3]);
        pair[half + 3] = _mm256_unpackhi_ps(row[half + 2], row[half + 3]);
    }
    for (int half = 0; half < SQUARE; half += 4) {
        float *out = to + half * to_stride;
        _mm256_storeu_ps(out, _mm256_shuffle_ps(pair[half], pair[half + 2], 0x44));
        _mm256_storeu_ps(out + to_stride, _mm256_shuffle_ps(pair[half], pair[half + 2], 0xee));
        _mm256_storeu_ps(out + 2 * to_stride,
                         _mm256_shuffle_ps(pair[half + 1], pair[half + 3], 0x44));
        _mm256_storeu_ps(out + 3 * to_stride,
                         _mm256_shuffle_ps(pair[half + 1], pair[half + 3], 0xee));
    }
}
#else
SFV_INLINE void transpose_square(float *to, int64_t to_stride, const float *const from[SQUARE])
{
    for (int r = 0; r < SQUARE; r++) {
        for (int c = 0; c < SQUARE; c++) {
            to[c * to_stride + r] = from[r][c];
        }
    }
}
#endif

SFV_INLINE void transpose_strided_square(float *to, int64_t to_stride, const float *from,
                                         int64_t from_stride)
{
    const float *rows[SQUARE];
    for (int r = 0; r < SQUARE; r++) {
        rows[r] = from + r * from_stride;
    }
    transpose_square(to, to_stride, rows);
}

/* The largest square whose rows are vectors. */
#if defined(SFK_BUILD_AVX512)
#define LARGE_SQUARE 16

/* Rows 0, 4, 8 and 12 of four columns share a register by quarters. */
SFV_INLINE __m512 load_quarters(const float *from, int64_t from_stride)
{
    __m512 row = _mm512_castps128_ps512(_mm_loadu_ps(from));
    row = _mm512_insertf32x4(row, _mm_loadu_ps(from + 4 * from_stride), 1);
    row = _mm512_insertf32x4(row, _mm_loadu_ps(from + 8 * from_stride), 2);
    return _mm512_insertf32x4(row, _mm_loadu_ps(from + 12 * from_stride), 3);
}

SFV_INLINE void transpose_large_square(float *to, int64_t to_stride, const float *from,
                                       int64_t from_stride)
{
    SFV_UNROLL
    for (int column = 0; column < LARGE_SQUARE; column += 4) {
        const float *corner = from + column;
        float *out = to + column * to_stride;
        const __m512 row[4] = {load_quarters(corner, from_stride),
                               load_quarters(corner + from_stride, from_stride),
                               load_quarters(corner + 2 * from_stride, from_stride),
                               load_quarters(corner + 3 * from_stride, from_stride)};
        const __m512 low = _mm512_unpacklo_ps(row[0], row[1]);
        const __m512 high = _mm512_unpackhi_ps(row[0], row[1]);
        const __m512 next_low = _mm512_unpacklo_ps(row[2], row[3]);
        const __m512 next_high = _mm512_unpackhi_ps(row[2], row[3]);
        sfv_store(out, _mm512_shuffle_ps(low, next_low, 0x44));
        sfv_store(out + to_stride, _mm512_shuffle_ps(low, next_low, 0xee));
        sfv_store(out + 2 * to_stride, _mm512_shuffle_ps(high, next_high, 0x44));
        sfv_store(out + 3 * to_stride, _mm512_shuffle_ps(high, next_high, 0xee));
    }
}
#else
#define LARGE_SQUARE SQUARE

SFV_INLINE void transpose_large_square(float *to, int64_t to_stride, const float *from,
                                       int64_t from_stride)
{
    transpose_strided_square(to, to_stride, from, from_stride);
}
#endif

#endif
