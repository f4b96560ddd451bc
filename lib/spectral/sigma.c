/* SPDX-License-Identifier: BSD-2-Clause */
#include "sigma.h"

#include "products.h"
#include "sizes.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Scratch: u, v, then one vector of the rank. */
bool sfi_sigma_scratch(int64_t *bytes, int64_t p_rows, int64_t q_cols, int64_t rank)
{
    int64_t count;
    if (!sfi_add(&count, p_rows, q_cols) || !sfi_add(&count, count, 2 * rank) ||
        !sfi_mul(&count, count, (int64_t)sizeof(double))) {
        return false;
    }
    *bytes = sfi_round64(count);
    return true;
}

/* y (cols) = matrixᵀ x */
static void multiply_transposed(int64_t rows, int64_t cols, const float *matrix, const double *x,
                                double *y)
{
    memset(y, 0, (size_t)cols * sizeof(double));
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < cols; j++) {
            y[j] += (double)matrix[i * cols + j] * x[i];
        }
    }
}

/* y (rows) = matrix x */
static void multiply(int64_t rows, int64_t cols, const float *matrix, const double *x, double *y)
{
    for (int64_t i = 0; i < rows; i++) {
        double lanes[SFI_STRIP] = {0};
        for (int64_t j = 0; j < cols; j++) {
            lanes[j % SFI_STRIP] += (double)matrix[i * cols + j] * x[j];
        }
        double sum = 0;
        for (int lane = 0; lane < SFI_STRIP; lane++) {
            sum += lanes[lane];
        }
        y[i] = sum;
    }
}

static double length_of(int64_t count, const double *x)
{
    return sqrt(sfi_dot(count, x, x));
}

static bool is_length(double length)
{
    return length > 0 && isfinite(length);
}

static void divide(int64_t count, double *x, double length)
{
    for (int64_t i = 0; i < count; i++) {
        x[i] /= length;
    }
}

/* right = Wᵀ left; returns its length. */
static double step_right(const sfi_factors *factors, const double *left, double *right,
                         double *middle)
{
    multiply_transposed(factors->p_rows, factors->rank, factors->p, left, middle);
    multiply(factors->q_cols, factors->rank, factors->qt, middle, right);
    return length_of(factors->q_cols, right);
}

/* left = W right; returns its length. */
static double step_left(const sfi_factors *factors, const double *right, double *left,
                        double *middle)
{
    multiply_transposed(factors->q_cols, factors->rank, factors->qt, right, middle);
    multiply(factors->p_rows, factors->rank, factors->p, middle, left);
    return length_of(factors->p_rows, left);
}

sfconv_status sfi_sigma_forward(const sfi_factors *factors, int32_t iterations, float *u,
                                sfi_sigma *sigma, void *scratch)
{
    double *left = scratch;
    double *right = left + factors->p_rows;
    double *middle = right + factors->q_cols;
    for (int64_t i = 0; i < factors->p_rows; i++) {
        left[i] = (double)u[i];
    }
    double length = length_of(factors->p_rows, left);
    for (int32_t i = 0; is_length(length) && i < iterations; i++) {
        length = step_right(factors, left, right, middle);
        if (!is_length(length)) {
            break;
        }
        divide(factors->q_cols, right, length);
        length = step_left(factors, right, left, middle);
        divide(factors->p_rows, left, length);
    }
    /* From here on u is what a later evaluation will read: floats. */
    for (int64_t i = 0; i < factors->p_rows; i++) {
        left[i] = (double)(float)left[i];
    }
    const double left_length = is_length(length) ? length_of(factors->p_rows, left) : length;
    const double right_length =
        is_length(left_length) ? step_right(factors, left, right, middle) : 0;
    const double norm = right_length / left_length;
    *sigma = (sfi_sigma){norm, left, right};
    if (!is_length(norm)) {
        return SFCONV_ERROR_NUMERIC;
    }
    for (int64_t i = 0; iterations > 0 && i < factors->p_rows; i++) {
        u[i] = (float)left[i];
    }
    divide(factors->p_rows, left, left_length);
    divide(factors->q_cols, right, right_length);
    return SFCONV_OK;
}

/* matrix += scale * column * rowᵀ */
static void add_outer(int64_t rows, int64_t cols, double scale, const double *column,
                      const double *row, float *matrix)
{
    for (int64_t i = 0; i < rows; i++) {
        const double factor = scale * column[i];
        for (int64_t j = 0; j < cols; j++) {
            matrix[i * cols + j] = (float)((double)matrix[i * cols + j] + factor * row[j]);
        }
    }
}

void sfi_sigma_backward(const sfi_factors *factors, const sfi_sigma *sigma, const float *effective,
                        float *gradient_p, float *gradient_qt, void *scratch)
{
    const int64_t rank = factors->rank;
    const int64_t count = factors->p_rows * rank;
    double *middle = (double *)scratch + factors->p_rows + factors->q_cols;
    double along = 0;
    assert(sigma->u == scratch);
    for (int64_t i = 0; i < count; i++) {
        along += (double)effective[i] * (double)factors->p[i];
        gradient_p[i] = (float)((double)gradient_p[i] + (double)effective[i] / sigma->sigma);
    }
    const double c = along / sigma->sigma / sigma->sigma;
    multiply_transposed(factors->q_cols, rank, factors->qt, sigma->v, middle);
    add_outer(factors->p_rows, rank, -c, sigma->u, middle, gradient_p);
    multiply_transposed(factors->p_rows, rank, factors->p, sigma->u, middle);
    add_outer(factors->q_cols, rank, -c, sigma->v, middle, gradient_qt);
}
