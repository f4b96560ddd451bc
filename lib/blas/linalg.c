/* SPDX-License-Identifier: BSD-2-Clause */
#include "linalg.h"

#include "error.h"
#include "memory.h"
#include "sizes.h"

#include <cblas.h>
#include <lapacke.h>

#include <assert.h>
#include <string.h>

/* LAPACK sees a row-major matrix as its transpose in column-major order. Below, each call is chosen
 * so that this transpose is what we want: the two sets of singular vectors change places, and QR
 * becomes LQ. Nothing is copied. */

static bool fits_lapack(int64_t rows, int64_t cols)
{
    int64_t count;
    return rows > 0 && cols > 0 && sfi_mul(&count, rows, cols) && count <= INT32_MAX;
}

static sfconv_status fail_size(sfconv_context *context, int64_t rows, int64_t cols)
{
    return sfi_fail(context, SFCONV_ERROR_OVERFLOW,
                    "matrix: expected at most 2147483647 elements, got %lld x %lld",
                    (long long)rows, (long long)cols);
}

/* Integers of gesdd come first in the scratch memory, its numbers behind them. */
static int64_t svd_integer_bytes(int64_t rows, int64_t cols)
{
    return sfi_round64(8 * sfi_min(rows, cols) * (int64_t)sizeof(lapack_int));
}

static bool svd_work_count(int64_t *count, int64_t rows, int64_t cols)
{
    const lapack_int m = (lapack_int)cols;
    const lapack_int n = (lapack_int)rows;
    const lapack_int k = m < n ? m : n;
    double wanted = 0;
    double none = 0;
    lapack_int integer = 0;
    const lapack_int info = LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, 'S', m, n, &none, m, &none, &none,
                                                m, &none, k, &wanted, -1, &integer);
    if (info != 0 || !(wanted >= 1) || wanted > INT32_MAX) {
        return false;
    }
    *count = (int64_t)wanted;
    return true;
}

bool sfi_thin_svd_scratch(int64_t *bytes, int64_t rows, int64_t cols)
{
    int64_t count;
    if (!fits_lapack(rows, cols) || !svd_work_count(&count, rows, cols)) {
        return false;
    }
    *bytes = svd_integer_bytes(rows, cols) + sfi_round64(count * (int64_t)sizeof(double));
    return true;
}

sfconv_status sfi_thin_svd(sfconv_context *context, int64_t rows, int64_t cols, double *matrix,
                           double *values, double *left, double *right, void *scratch)
{
    int64_t count;
    if (!fits_lapack(rows, cols) || !svd_work_count(&count, rows, cols)) {
        return fail_size(context, rows, cols);
    }
    const lapack_int m = (lapack_int)cols;
    const lapack_int n = (lapack_int)rows;
    const lapack_int k = m < n ? m : n;
    lapack_int *integers = scratch;
    double *work = (double *)((char *)scratch + svd_integer_bytes(rows, cols));
    const lapack_int info =
        LAPACKE_dgesdd_work(LAPACK_COL_MAJOR, 'S', m, n, matrix, m, values, right, m, left, k, work,
                            (lapack_int)count, integers);
    if (info != 0) {
        return sfi_fail(context, SFCONV_ERROR_NUMERIC,
                        "singular values: gesdd did not converge (info %d)", (int)info);
    }
    return SFCONV_OK;
}

/* Room of syevr: support of the vectors and its integers first, its numbers behind them. */
struct eigen_room {
    int64_t integers;
    int64_t integer_bytes;
    int64_t doubles;
};

static bool eigen_room(struct eigen_room *room, int64_t n, int64_t count)
{
    double wanted = 0;
    double none = 0;
    lapack_int integers = 0;
    lapack_int found = 0;
    lapack_int support = 0;
    const lapack_int size = (lapack_int)n;
    const lapack_int info = LAPACKE_dsyevr_work(
        LAPACK_COL_MAJOR, 'V', 'I', 'U', size, &none, size, 0, 0, size - (lapack_int)count + 1,
        size, 0, &found, &none, &none, size, &support, &wanted, -1, &integers, -1);
    if (info != 0 || !(wanted >= 1) || wanted > INT32_MAX) {
        return false;
    }
    room->integers = integers;
    room->integer_bytes = sfi_round64((integers + 2 * count) * (int64_t)sizeof(lapack_int));
    room->doubles = (int64_t)wanted;
    return true;
}

bool sfi_leading_eigen_scratch(int64_t *bytes, int64_t n, int64_t count)
{
    struct eigen_room room;
    if (!fits_lapack(n, n) || !eigen_room(&room, n, count)) {
        return false;
    }
    *bytes = room.integer_bytes + sfi_round64(room.doubles * (int64_t)sizeof(double));
    return true;
}

sfconv_status sfi_leading_eigen(sfconv_context *context, int64_t n, int64_t count, double *matrix,
                                double *values, double *vectors, void *scratch)
{
    struct eigen_room room;
    assert(count >= 1 && count <= n);
    if (!fits_lapack(n, n) || !eigen_room(&room, n, count)) {
        return fail_size(context, n, n);
    }
    const lapack_int size = (lapack_int)n;
    lapack_int *integers = scratch;
    lapack_int *support = integers + room.integers;
    double *work = (double *)((char *)scratch + room.integer_bytes);
    lapack_int found = 0;
    const lapack_int info = LAPACKE_dsyevr_work(
        LAPACK_COL_MAJOR, 'V', 'I', 'U', size, matrix, size, 0, 0, size - (lapack_int)count + 1,
        size, 0, &found, values, vectors, size, support, work, (lapack_int)room.doubles, integers,
        (lapack_int)room.integers);
    if (info != 0 || found != (lapack_int)count) {
        return sfi_fail(context, SFCONV_ERROR_NUMERIC,
                        "eigenvalues: syevr did not converge (info %d)", (int)info);
    }
    return SFCONV_OK;
}

/* The larger of what gelqf and orglq want. */
static int64_t qr_work_count(lapack_int m, lapack_int n)
{
    double wanted[2] = {0, 0};
    double none = 0;
    LAPACKE_dgelqf_work(LAPACK_COL_MAJOR, m, n, &none, m, &none, &wanted[0], -1);
    LAPACKE_dorglq_work(LAPACK_COL_MAJOR, m, n, m, &none, m, &none, &wanted[1], -1);
    return (int64_t)(wanted[0] > wanted[1] ? wanted[0] : wanted[1]);
}

sfconv_status sfi_thin_qr(sfconv_context *context, int64_t rows, int64_t cols, double *matrix,
                          double *upper)
{
    assert(rows >= cols);
    if (!fits_lapack(rows, cols)) {
        return fail_size(context, rows, cols);
    }
    const lapack_int m = (lapack_int)cols;
    const lapack_int n = (lapack_int)rows;
    const int64_t count = qr_work_count(m, n);
    const size_t bytes = (size_t)(cols + count) * sizeof(double);
    double *scales = sfi_alloc(context, bytes);
    if (!scales) {
        return sfi_fail_memory(context, "qr", bytes);
    }
    double *work = scales + cols;
    lapack_int info =
        LAPACKE_dgelqf_work(LAPACK_COL_MAJOR, m, n, matrix, m, scales, work, (lapack_int)count);
    if (info == 0) {
        for (int64_t i = 0; i < cols; i++) {
            memset(upper + i * cols, 0, (size_t)i * sizeof(double));
            memcpy(upper + i * cols + i, matrix + i * cols + i,
                   (size_t)(cols - i) * sizeof(double));
        }
        info = LAPACKE_dorglq_work(LAPACK_COL_MAJOR, m, n, m, matrix, m, scales, work,
                                   (lapack_int)count);
    }
    sfi_free(context, scales, bytes);
    if (info != 0) {
        return sfi_fail(context, SFCONV_ERROR_NUMERIC, "qr: gelqf failed (info %d)", (int)info);
    }
    return SFCONV_OK;
}

void sfi_dense_product(int64_t rows, int64_t inner, int64_t cols, const double *left,
                       const double *right, bool transposed, double *result)
{
    assert(rows <= INT32_MAX && inner <= INT32_MAX && cols <= INT32_MAX);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, transposed ? CblasTrans : CblasNoTrans, (int)rows,
                (int)cols, (int)inner, 1.0, left, (int)inner, right,
                transposed ? (int)inner : (int)cols, 0.0, result, (int)cols);
}
