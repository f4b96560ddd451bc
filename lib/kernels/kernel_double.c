/* SPDX-License-Identifier: BSD-2-Clause */
/* Loops over doubles, for spectra. Products and sums are rounded one by one: processors without
 * fused multiply-add would need a call for each, and the bits are as well defined without. */
#include "vec.h"

#include <stdbool.h>
#include <string.h>

#define DOUBLES (SFV_LANES / 2)
/* Columns of a tile that stay in registers together. */
#define PART (2 * DOUBLES)
#define ROWS 4

typedef double wide __attribute__((vector_size(DOUBLES * sizeof(double))));

SFV_INLINE wide wide_load(const double *from)
{
    wide value;
    memcpy(&value, from, sizeof value);
    return value;
}

SFV_INLINE void wide_store(double *to, wide value)
{
    memcpy(to, &value, sizeof value);
}

/* factor * value + sum for products that are exact. */
SFV_INLINE wide wide_add_exact(double factor, wide value, wide sum)
{
#if defined(SFK_BUILD_AVX512)
    return (wide)_mm512_fmadd_pd(_mm512_set1_pd(factor), (__m512d)value, (__m512d)sum);
#elif defined(SFK_BUILD_AVX2)
    return (wide)_mm256_fmadd_pd(_mm256_set1_pd(factor), (__m256d)value, (__m256d)sum);
#elif defined(SFK_BUILD_NEON)
    return (wide)vfmaq_n_f64((float64x2_t)sum, (float64x2_t)value, factor);
#else
    return factor * value + sum;
#endif
}

SFV_INLINE void add_tile(int64_t depth, const double *left, int64_t left_pitch, const double *right,
                         int64_t right_pitch, double *sums, int64_t pitch, bool exact)
{
    for (int part = 0; part < SFK_DOUBLE_COLUMNS; part += PART) {
        wide low[SFK_DOUBLE_ROWS];
        wide high[SFK_DOUBLE_ROWS];
        for (int i = 0; i < SFK_DOUBLE_ROWS; i++) {
            low[i] = wide_load(sums + i * pitch + part);
            high[i] = wide_load(sums + i * pitch + part + DOUBLES);
        }
        for (int64_t k = 0; k < depth; k++) {
            const wide right_low = wide_load(right + k * right_pitch + part);
            const wide right_high = wide_load(right + k * right_pitch + part + DOUBLES);
            for (int i = 0; i < SFK_DOUBLE_ROWS; i++) {
                const double factor = left[k * left_pitch + i];
                low[i] =
                    exact ? wide_add_exact(factor, right_low, low[i]) : low[i] + factor * right_low;
                high[i] = exact ? wide_add_exact(factor, right_high, high[i])
                                : high[i] + factor * right_high;
            }
        }
        for (int i = 0; i < SFK_DOUBLE_ROWS; i++) {
            wide_store(sums + i * pitch + part, low[i]);
            wide_store(sums + i * pitch + part + DOUBLES, high[i]);
        }
    }
}

void SFK_NAME(double_tile)(int64_t depth, const double *left, int64_t left_pitch,
                           const double *right, int64_t right_pitch, double *sums, int64_t pitch)
{
    add_tile(depth, left, left_pitch, right, right_pitch, sums, pitch, false);
}

void SFK_NAME(exact_tile)(int64_t depth, const double *left, int64_t left_pitch,
                          const double *right, int64_t right_pitch, double *sums, int64_t pitch)
{
    add_tile(depth, left, left_pitch, right, right_pitch, sums, pitch, true);
}

void SFK_NAME(turn_rows)(int64_t count, const double *cosines, const double *sines, double *last,
                         int64_t pitch)
{
    wide high[SFK_DOUBLE_COLUMNS / DOUBLES];
    double *row = last;
    memcpy(high, row, sizeof high);
    for (int64_t i = 0; i < count; i++) {
        for (int j = 0; j < SFK_DOUBLE_COLUMNS / DOUBLES; j++) {
            const wide low = wide_load(row - pitch + j * DOUBLES);
            wide_store(row + j * DOUBLES, sines[i] * low + cosines[i] * high[j]);
            high[j] = cosines[i] * low - sines[i] * high[j];
        }
        row -= pitch;
    }
    memcpy(row, high, sizeof high);
}

/* `count` columns from c on of ROWS rows of the trailing matrix, of which `rows` exist. */
SFV_INLINE void reflect_columns(int rows, int64_t count, int64_t c, double *matrix, int64_t pitch,
                                const double *u, const double *w, const double *v, int64_t j,
                                double *product)
{
    const size_t bytes = (size_t)count * sizeof(double);
    wide uc = {0};
    wide wc = {0};
    wide sum = {0};
    memcpy(&uc, u + c, bytes);
    memcpy(&wc, w + c, bytes);
    memcpy(&sum, product + c, bytes);
    for (int i = 0; i < rows; i++) {
        double *at = matrix + (j + i) * pitch + c;
        wide value = {0};
        memcpy(&value, at, bytes);
        value -= u[j + i] * wc + w[j + i] * uc;
        memcpy(at, &value, bytes);
        sum += v[j + i] * value;
    }
    memcpy(product + c, &sum, bytes);
}

SFV_INLINE void reflect_rows(int rows, int64_t n, double *matrix, int64_t pitch, const double *u,
                             const double *w, const double *v, int64_t j, double *product)
{
    int64_t c = 0;
    for (; c + DOUBLES <= n; c += DOUBLES) {
        reflect_columns(rows, DOUBLES, c, matrix, pitch, u, w, v, j, product);
    }
    if (c < n) {
        reflect_columns(rows, n - c, c, matrix, pitch, u, w, v, j, product);
    }
}

void SFK_NAME(reflect)(int64_t n, double *matrix, int64_t pitch, const double *u, const double *w,
                       const double *v, double *product)
{
    int64_t j = 0;
    memset(product, 0, (size_t)n * sizeof(double));
    for (; j + ROWS <= n; j += ROWS) {
        reflect_rows(ROWS, n, matrix, pitch, u, w, v, j, product);
    }
    for (; j < n; j++) {
        reflect_rows(1, n, matrix, pitch, u, w, v, j, product);
    }
}

void SFK_NAME(add_floats)(double *to, const float *from, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        to[i] += (double)from[i];
    }
}

void SFK_NAME(sum_rows)(int64_t rows, int64_t cols, const double *factors,
                        const double *restrict matrix, int64_t pitch, double *restrict sum)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t c = 0; c < cols; c++) {
            sum[c] += factors[i] * matrix[i * pitch + c];
        }
    }
}

void SFK_NAME(add_to_rows)(int64_t rows, int64_t cols, double scale, const double *factors,
                           const double *restrict row, double *restrict matrix, int64_t pitch)
{
    for (int64_t i = 0; i < rows; i++) {
        const double factor = scale * factors[i];
        for (int64_t c = 0; c < cols; c++) {
            matrix[i * pitch + c] += factor * row[c];
        }
    }
}
