/* SPDX-License-Identifier: BSD-2-Clause */
#include "square.h"

#include <string.h>

#if defined(SFK_BUILD_AVX2) || defined(SFK_BUILD_AVX512)
/* Of 24 numbers that follow each other, those with index i modulo 3 lie in other lanes of one
 * vector than of the next: a blend brings them together, a permutation orders them. The opposite
 * does the same backwards. */
SFV_INLINE __m256 blend_three(__m256 with_073, __m256 with_2, __m256 with_5)
{
    /* Lanes 0, 3, 6; lanes 1, 4, 7; lanes 2, 5. */
    return _mm256_blend_ps(_mm256_blend_ps(with_073, with_2, 0x92), with_5, 0x24);
}

SFV_INLINE void deal_eight(float *to, int64_t to_stride, const float *from)
{
    const __m256 a = _mm256_loadu_ps(from);
    const __m256 b = _mm256_loadu_ps(from + 8);
    const __m256 c = _mm256_loadu_ps(from + 16);
    const __m256i first = _mm256_setr_epi32(0, 3, 6, 1, 4, 7, 2, 5);
    const __m256i second = _mm256_setr_epi32(1, 4, 7, 2, 5, 0, 3, 6);
    const __m256i third = _mm256_setr_epi32(2, 5, 0, 3, 6, 1, 4, 7);
    _mm256_storeu_ps(to, _mm256_permutevar8x32_ps(blend_three(a, b, c), first));
    _mm256_storeu_ps(to + to_stride, _mm256_permutevar8x32_ps(blend_three(c, a, b), second));
    _mm256_storeu_ps(to + 2 * to_stride, _mm256_permutevar8x32_ps(blend_three(b, c, a), third));
}

SFV_INLINE void collect_eight(float *to, const float *from, int64_t from_stride)
{
    const __m256i first = _mm256_setr_epi32(0, 3, 6, 1, 4, 7, 2, 5);
    const __m256i second = _mm256_setr_epi32(5, 0, 3, 6, 1, 4, 7, 2);
    const __m256i third = _mm256_setr_epi32(2, 5, 0, 3, 6, 1, 4, 7);
    const __m256 x = _mm256_permutevar8x32_ps(_mm256_loadu_ps(from), first);
    const __m256 y = _mm256_permutevar8x32_ps(_mm256_loadu_ps(from + from_stride), second);
    const __m256 z = _mm256_permutevar8x32_ps(_mm256_loadu_ps(from + 2 * from_stride), third);
    _mm256_storeu_ps(to, blend_three(x, y, z));
    _mm256_storeu_ps(to + 8, blend_three(z, x, y));
    _mm256_storeu_ps(to + 16, blend_three(y, z, x));
}
#else
SFV_INLINE void deal_eight(float *to, int64_t to_stride, const float *from)
{
    for (int i = 0; i < SQUARE; i++) {
        to[i] = from[3 * i];
        to[to_stride + i] = from[3 * i + 1];
        to[2 * to_stride + i] = from[3 * i + 2];
    }
}

SFV_INLINE void collect_eight(float *to, const float *from, int64_t from_stride)
{
    for (int i = 0; i < SQUARE; i++) {
        to[3 * i] = from[i];
        to[3 * i + 1] = from[from_stride + i];
        to[3 * i + 2] = from[2 * from_stride + i];
    }
}
#endif

#if defined(SFK_BUILD_AVX512)
/* The same of 48 numbers: 3k + i modulo 16 is the lane of number k of those with index i, and 11
 * the inverse of 3 there. */
SFV_INLINE __m512 blend_three_wide(__m512 with_0, __m512 with_2, __m512 with_1)
{
    return _mm512_mask_blend_ps(0x2492, _mm512_mask_blend_ps(0x4924, with_0, with_2), with_1);
}

SFV_INLINE __m512i lanes_of_index(int i)
{
    const __m512i lanes = _mm512_setr_epi32(0, 3, 6, 9, 12, 15, 2, 5, 8, 11, 14, 1, 4, 7, 10, 13);
    return _mm512_add_epi32(lanes, _mm512_set1_epi32(i));
}

SFV_INLINE __m512i numbers_of_lane(int i)
{
    const __m512i numbers = _mm512_setr_epi32(0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15, 10, 5);
    return _mm512_sub_epi32(numbers, _mm512_set1_epi32(11 * i));
}

SFV_INLINE void deal_sixteen(float *to, int64_t to_stride, const float *from)
{
    const __m512 a = _mm512_loadu_ps(from);
    const __m512 b = _mm512_loadu_ps(from + 16);
    const __m512 c = _mm512_loadu_ps(from + 32);
    _mm512_storeu_ps(to, _mm512_permutexvar_ps(lanes_of_index(0), blend_three_wide(a, b, c)));
    _mm512_storeu_ps(to + to_stride,
                     _mm512_permutexvar_ps(lanes_of_index(1), blend_three_wide(b, c, a)));
    _mm512_storeu_ps(to + 2 * to_stride,
                     _mm512_permutexvar_ps(lanes_of_index(2), blend_three_wide(c, a, b)));
}

SFV_INLINE void collect_sixteen(float *to, const float *from, int64_t from_stride)
{
    const __m512 x = _mm512_permutexvar_ps(numbers_of_lane(0), _mm512_loadu_ps(from));
    const __m512 y = _mm512_permutexvar_ps(numbers_of_lane(1), _mm512_loadu_ps(from + from_stride));
    const __m512 z =
        _mm512_permutexvar_ps(numbers_of_lane(2), _mm512_loadu_ps(from + 2 * from_stride));
    _mm512_storeu_ps(to, blend_three_wide(x, z, y));
    _mm512_storeu_ps(to + 16, blend_three_wide(y, x, z));
    _mm512_storeu_ps(to + 32, blend_three_wide(z, y, x));
}
#endif

/* Eight steps of at most eight rows. */
SFV_INLINE void pack_square(float *to, int64_t to_step, const float *from, int64_t row_step,
                            int64_t rows)
{
#if defined(SFK_BUILD_AVX2) || defined(SFK_BUILD_AVX512)
    /* Rows that are missing are the first once more. Stores come in order, so that of each the
     * next overwrites what is too much. */
    const float *squared[SQUARE];
    for (int m = 0; m < SQUARE; m++) {
        squared[m] = from + (m < rows ? m * row_step : 0);
    }
    transpose_square(to, to_step, squared);
#else
    for (int64_t m = 0; m < rows; m++) {
        for (int c = 0; c < SQUARE; c++) {
            to[c * to_step + m] = from[m * row_step + c];
        }
    }
#endif
}

SFV_INLINE void transpose_rest(float *to, int64_t to_stride, const float *from, int64_t from_stride,
                               int64_t rows, int64_t columns)
{
    for (int64_t c = 0; c < columns; c++) {
        for (int64_t r = 0; r < rows; r++) {
            to[c * to_stride + r] = from[r * from_stride + c];
        }
    }
}

/* Three columns side by side, the vertical taps of a factor, and three rows that become such. */
SFV_INLINE void deal_three(float *to, int64_t to_stride, const float *from, int64_t rows)
{
    int64_t r = 0;
#if defined(SFK_BUILD_AVX512)
    for (; r + LARGE_SQUARE <= rows; r += LARGE_SQUARE) {
        deal_sixteen(to + r, to_stride, from + 3 * r);
    }
#endif
    for (; r + SQUARE <= rows; r += SQUARE) {
        deal_eight(to + r, to_stride, from + 3 * r);
    }
    transpose_rest(to + r, to_stride, from + 3 * r, 3, rows - r, 3);
}

SFV_INLINE void collect_three(float *to, const float *from, int64_t from_stride, int64_t columns)
{
    int64_t c = 0;
#if defined(SFK_BUILD_AVX512)
    for (; c + LARGE_SQUARE <= columns; c += LARGE_SQUARE) {
        collect_sixteen(to + 3 * c, from + c, from_stride);
    }
#endif
    for (; c + SQUARE <= columns; c += SQUARE) {
        collect_eight(to + 3 * c, from + c, from_stride);
    }
    transpose_rest(to + 3 * c, 3, from + c, from_stride, 3, columns - c);
}

/* One square of `size` rows, a constant at every call. */
SFV_INLINE void transpose_one(float *to, int64_t to_stride, const float *from, int64_t from_stride,
                              int64_t row, int64_t column, int size)
{
    to += column * to_stride + row;
    from += row * from_stride + column;
    if (size == LARGE_SQUARE) {
        transpose_large_square(to, to_stride, from, from_stride);
    } else {
        transpose_strided_square(to, to_stride, from, from_stride);
    }
}

/* At least `size` rows and columns: the last squares begin early enough to be whole, and some
 * elements are written twice. The inner loop follows the rows of the matrix with the longer stride:
 * the other then stays in a few cache lines and pages. */
SFV_INLINE void transpose_squares(float *to, int64_t to_stride, const float *from,
                                  int64_t from_stride, int64_t rows, int64_t columns, int size)
{
    const int64_t last_row = rows - size, last_column = columns - size;
    if (to_stride > from_stride) {
        for (int64_t c = 0; c < columns; c += size) {
            const int64_t column = c < last_column ? c : last_column;
            for (int64_t r = 0; r < rows; r += size) {
                const int64_t row = r < last_row ? r : last_row;
                transpose_one(to, to_stride, from, from_stride, row, column, size);
            }
        }
        return;
    }
    for (int64_t r = 0; r < rows; r += size) {
        const int64_t row = r < last_row ? r : last_row;
        for (int64_t c = 0; c < columns; c += size) {
            const int64_t column = c < last_column ? c : last_column;
            transpose_one(to, to_stride, from, from_stride, row, column, size);
        }
    }
}

void SFK_NAME(transpose)(float *to, int64_t to_stride, const float *from, int64_t from_stride,
                         int64_t rows, int64_t columns)
{
    const int64_t least = rows < columns ? rows : columns;
    if (least >= LARGE_SQUARE) {
        transpose_squares(to, to_stride, from, from_stride, rows, columns, LARGE_SQUARE);
    } else if (least >= SQUARE) {
        transpose_squares(to, to_stride, from, from_stride, rows, columns, SQUARE);
    } else if (columns == 3 && from_stride == 3) {
        deal_three(to, to_stride, from, rows);
    } else if (rows == 3 && to_stride == 3) {
        collect_three(to, from, from_stride, columns);
    } else {
        transpose_rest(to, to_stride, from, from_stride, rows, columns);
    }
}

void SFK_NAME(pack_rows)(float *to, int64_t to_step, const float *from, int64_t row_step,
                         const int64_t *steps, int64_t rows, int64_t depth)
{
    int64_t k = 0;
    while (k < depth) {
        const float *column = from + steps[k];
        if (k + SQUARE <= depth && steps[k + SQUARE - 1] - steps[k] == SQUARE - 1) {
            pack_square(to + k * to_step, to_step, column, row_step, rows);
            k += SQUARE;
            continue;
        }
        for (int64_t m = 0; m < rows; m++) {
            to[k * to_step + m] = column[m * row_step];
        }
        k++;
    }
}

/* `pixels` of the square of taps k … k+7 and pixels n … n+7. */
SFV_INLINE void transpose_some_taps(float *to, int64_t stride, const float *const *sources,
                                    int64_t n, int64_t k, int64_t depth, int64_t pixels)
{
    static const float zeros[SQUARE];
    const float *rows[SQUARE];
    for (int r = 0; r < SQUARE; r++) {
        rows[r] = k + r < depth ? sources[k + r] + n : zeros;
    }
    if (pixels == SQUARE) {
        transpose_square(to + k, stride, rows);
        return;
    }
    float square[SQUARE * SQUARE];
    transpose_square(square, SQUARE, rows);
    for (int64_t p = 0; p < pixels; p++) {
        memcpy(to + p * stride + k, square + p * SQUARE, SQUARE * sizeof *to);
    }
}

void SFK_NAME(transpose_taps)(float *to, int64_t stride, const float *const *sources, int64_t first,
                              int64_t depth, int64_t count)
{
    for (int64_t n = 0; n < count; n += SQUARE) {
        const int64_t pixels = count - n < SQUARE ? count - n : SQUARE;
        for (int64_t k = 0; k < stride; k += SQUARE) {
            transpose_some_taps(to + n * stride, stride, sources, first + n, k, depth, pixels);
        }
    }
}
