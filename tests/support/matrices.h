/* SPDX-License-Identifier: BSD-2-Clause */
/* Matrices for the tests of spectra: random ones, ones with a given spectrum, and dense checks. */
#ifndef TESTS_MATRICES_H
#define TESTS_MATRICES_H

#include "support.h"

#include "kernels.h"
#include "random.h"

#include <math.h>
#include <string.h>

static inline sfconv_context *context_with(int32_t workers, int32_t isa)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *context;
    desc.workers = workers;
    ck_assert_int_eq(sfi_context_create(&context, &desc, sfk_table_for(isa), isa), SFCONV_OK);
    return context;
}

static inline sfconv_context *context_with_workers(int32_t workers)
{
    return context_with(workers, sfk_best_isa(SFCONV_ISA_BEST));
}

static inline void *checked_memory(size_t bytes)
{
    void *memory = calloc(1, bytes);
    ck_assert_ptr_nonnull(memory);
    return memory;
}

static inline float *random_matrix(int64_t rows, int64_t cols, uint64_t seed)
{
    float *matrix = checked_memory((size_t)(rows * cols) * sizeof(float));
    const sfi_random random = {seed, 77};
    for (int64_t i = 0; i < rows * cols; i++) {
        matrix[i] = (float)sfi_random_normal(random, (uint64_t)i);
    }
    return matrix;
}

/* Columns made orthonormal one after the other, twice for good measure. */
static inline void make_orthonormal(int64_t rows, int64_t cols, double *basis)
{
    for (int64_t j = 0; j < cols; j++) {
        for (int64_t k = 0; k < 2 * j; k++) {
            double along = 0;
            for (int64_t i = 0; i < rows; i++) {
                along += basis[i * cols + j] * basis[i * cols + k % j];
            }
            for (int64_t i = 0; i < rows; i++) {
                basis[i * cols + j] -= along * basis[i * cols + k % j];
            }
        }
        double square = 0;
        for (int64_t i = 0; i < rows; i++) {
            square += basis[i * cols + j] * basis[i * cols + j];
        }
        for (int64_t i = 0; i < rows; i++) {
            basis[i * cols + j] /= sqrt(square);
        }
    }
}

static inline double *random_basis(int64_t rows, int64_t cols, uint64_t seed)
{
    double *basis = checked_memory((size_t)(rows * cols) * sizeof(double));
    const sfi_random random = {seed, 78};
    for (int64_t i = 0; i < rows * cols; i++) {
        basis[i] = sfi_random_normal(random, (uint64_t)i);
    }
    make_orthonormal(rows, cols, basis);
    return basis;
}

/* A matrix of floats whose singular values are `values` up to rounding to float. */
static inline float *matrix_with_spectrum(int64_t rows, int64_t cols, const double *values,
                                          uint64_t seed)
{
    double *left = random_basis(rows, cols, seed);
    double *right = random_basis(cols, cols, seed + 1);
    float *matrix = checked_memory((size_t)(rows * cols) * sizeof(float));
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < cols; j++) {
            double sum = 0;
            for (int64_t t = 0; t < cols; t++) {
                sum += left[i * cols + t] * values[t] * right[j * cols + t];
            }
            matrix[i * cols + j] = (float)sum;
        }
    }
    free(left);
    free(right);
    return matrix;
}

static inline double norm_of(int64_t count, const float *matrix)
{
    double square = 0;
    for (int64_t i = 0; i < count; i++) {
        square += (double)matrix[i] * (double)matrix[i];
    }
    return sqrt(square);
}

/* ||w - p q|| with p rows x rank and q rank x cols. */
static inline double distance_to_product(int64_t rows, int64_t cols, int64_t rank, const float *w,
                                         const float *p, const float *q)
{
    double square = 0;
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < cols; j++) {
            double difference = w ? (double)w[i * cols + j] : 0;
            for (int64_t t = 0; t < rank; t++) {
                difference -= (double)p[i * rank + t] * (double)q[t * cols + j];
            }
            square += difference * difference;
        }
    }
    return sqrt(square);
}

#endif
