/* SPDX-License-Identifier: BSD-2-Clause */
#include "svd.h"

#include "eigen.h"
#include "error.h"
#include "linalg.h"
#include "maths.h"
#include "memory.h"
#include "products.h"
#include "sizes.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static size_t svd_bytes(int64_t cols)
{
    return (size_t)(cols * cols + cols) * sizeof(double);
}

sfconv_status sfi_svd_create(sfconv_context *context, sfi_svd *svd, int64_t cols)
{
    int64_t bytes;
    memset(svd, 0, sizeof *svd);
    if (!sfi_mul(&bytes, cols, cols + 1) || !sfi_mul(&bytes, bytes, (int64_t)sizeof(double))) {
        return sfi_fail(context, SFCONV_ERROR_OVERFLOW,
                        "singular values: %lld columns are too many", (long long)cols);
    }
    svd->values = sfi_calloc(context, 1, svd_bytes(cols));
    if (!svd->values) {
        return sfi_fail_memory(context, "singular values", svd_bytes(cols));
    }
    svd->vectors = svd->values + cols;
    svd->cols = cols;
    return SFCONV_OK;
}

void sfi_svd_destroy(sfconv_context *context, sfi_svd *svd)
{
    sfi_free(context, svd->values, svd_bytes(svd->cols));
    memset(svd, 0, sizeof *svd);
}

/* Doubles of the exact route: the matrix, its left vectors, values and right vectors. */
static bool exact_doubles(int64_t *count, int64_t rows, int64_t cols)
{
    int64_t total;
    return sfi_add(&total, rows, rows) && sfi_add(&total, total, cols + 1) &&
           sfi_mul(count, total, cols);
}

bool sfi_svd_scratch(int64_t *bytes, int64_t rows, int64_t cols, sfi_svd_method method)
{
    int64_t gram;
    int64_t exact = 0;
    int64_t lapack = 0;
    assert(rows >= cols && cols > 0);
    if (!sfi_mul(&gram, cols, 3 * sfi_pitch(cols)) ||
        !sfi_add(&gram, gram, cols + sfi_eigen_scratch(cols)) ||
        !sfi_mul(&gram, gram, (int64_t)sizeof(double))) {
        return false;
    }
    if (method == SFI_SVD_EXACT &&
        (!exact_doubles(&exact, rows, cols) || !sfi_mul(&exact, exact, (int64_t)sizeof(double)) ||
         !sfi_thin_svd_scratch(&lapack, rows, cols) ||
         !sfi_add(&exact, sfi_round64(exact), lapack))) {
        return false;
    }
    *bytes = sfi_round64(sfi_max(gram, exact));
    return true;
}

static sfconv_status fail_not_finite(sfconv_context *context)
{
    return sfi_fail(context, SFCONV_ERROR_NUMERIC,
                    "singular values: expected finite numbers, got NaN or infinity in the matrix");
}

static sfconv_status update_by_gram(sfconv_context *context, sfi_svd *svd, int64_t rows,
                                    const float *matrix, double *scratch,
                                    const sfi_progress *progress)
{
    const int64_t cols = svd->cols;
    double *gram = scratch;
    double *values = gram + cols * cols;
    sfi_gram(context, rows, cols, matrix, gram);
    if (!sfi_gram_is_finite(cols, gram)) {
        return fail_not_finite(context);
    }
    const sfconv_status status =
        sfi_eigen_symmetric(context->kernels, cols, gram, values, values + cols, progress);
    if (status != SFCONV_OK) {
        return sfi_fail(context, status, "singular values: the eigensolver %s",
                        status == SFCONV_ERROR_CANCELLED ? "was cancelled" : "did not converge");
    }
    for (int64_t i = 0; i < cols; i++) {
        svd->values[i] = sqrt(fmax(values[i], 0.0));
    }
    memcpy(svd->vectors, gram, (size_t)(cols * cols) * sizeof(double));
    return SFCONV_OK;
}

static sfconv_status update_by_lapack(sfconv_context *context, sfi_svd *svd, int64_t rows,
                                      const float *matrix, double *scratch)
{
    const int64_t cols = svd->cols;
    const int64_t count = rows * cols;
    double *copy = scratch;
    double *left = copy + count;
    double *values = left + count;
    double *right = values + cols;
    void *rest =
        (char *)scratch + sfi_round64((2 * count + cols + cols * cols) * (int64_t)sizeof(double));
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(matrix[i])) {
            return fail_not_finite(context);
        }
        copy[i] = (double)matrix[i];
    }
    const sfconv_status status = sfi_thin_svd(context, rows, cols, copy, values, left, right, rest);
    if (status != SFCONV_OK) {
        return status;
    }
    memcpy(svd->values, values, (size_t)cols * sizeof(double));
    memcpy(svd->vectors, right, (size_t)(cols * cols) * sizeof(double));
    return SFCONV_OK;
}

sfconv_status sfi_svd_update_watched(sfconv_context *context, sfi_svd *svd, int64_t rows,
                                     const float *matrix, sfi_svd_method method, void *scratch,
                                     const sfi_progress *progress)
{
    assert(rows >= svd->cols);
    const sfconv_status status =
        method == SFI_SVD_EXACT ? update_by_lapack(context, svd, rows, matrix, scratch)
                                : update_by_gram(context, svd, rows, matrix, scratch, progress);
    if (status == SFCONV_OK) {
        svd->ready = true;
    }
    return status;
}

sfconv_status sfi_svd_update(sfconv_context *context, sfi_svd *svd, int64_t rows,
                             const float *matrix, sfi_svd_method method, void *scratch)
{
    return sfi_svd_update_watched(context, svd, rows, matrix, method, scratch, NULL);
}

double sfi_effective_rank(const sfi_svd *svd)
{
    double sum = 0;
    double entropy = 0;
    for (int64_t i = 0; i < svd->cols; i++) {
        sum += svd->values[i];
    }
    if (sum == 0) {
        return 0;
    }
    for (int64_t i = 0; i < svd->cols; i++) {
        const double p = svd->values[i] / sum;
        if (p > 0) {
            entropy -= p * sfi_log(p);
        }
    }
    return sfi_exp(entropy);
}

double sfi_stable_rank(const sfi_svd *svd)
{
    const double ratio = svd->values[0] > 0 ? sfi_frobenius_norm(svd) / svd->values[0] : 0;
    return ratio * ratio;
}

double sfi_condition_number(const sfi_svd *svd)
{
    const double least = svd->values[svd->cols - 1];
    return least > 0 ? svd->values[0] / least : INFINITY;
}

double sfi_frobenius_norm(const sfi_svd *svd)
{
    double sum = 0;
    for (int64_t i = 0; i < svd->cols; i++) {
        sum += svd->values[i] * svd->values[i];
    }
    return sqrt(sum);
}
