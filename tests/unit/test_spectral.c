/* SPDX-License-Identifier: BSD-2-Clause */
#include "matrices.h"

#include "eigen.h"
#include "linalg.h"
#include "products.h"
#include "svd.h"

#include <float.h>

/* A symmetric matrix basisᵀ diag(values) basis. */
static double *symmetric_with(int64_t n, const double *values, uint64_t seed)
{
    double *basis = random_basis(n, n, seed);
    double *matrix = checked_memory((size_t)(n * n) * sizeof(double));
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double sum = 0;
            for (int64_t t = 0; t < n; t++) {
                sum += basis[t * n + i] * values[t] * basis[t * n + j];
            }
            matrix[i * n + j] = matrix[j * n + i] = sum;
        }
    }
    free(basis);
    return matrix;
}

/* Checks orthogonality, reconstruction and order; `scale` is the size of the largest eigenvalue. */
static void check_eigen(int64_t n, const double *matrix, double scale)
{
    const size_t bytes = (size_t)(n * n) * sizeof(double);
    double *vectors = checked_memory(bytes);
    double *values = checked_memory((size_t)n * sizeof(double));
    double *scratch = checked_memory((size_t)sfi_eigen_scratch(n) * sizeof(double));
    const double bound = 1e-14 * (double)(n + 4);
    memcpy(vectors, matrix, bytes);
    ck_assert_int_eq(sfi_eigen_symmetric(sfk_table_for(sfk_best_isa(SFCONV_ISA_BEST)), n, vectors,
                                         values, scratch, NULL),
                     SFCONV_OK);
    for (int64_t i = 0; i < n; i++) {
        ck_assert(i == 0 || values[i] <= values[i - 1]);
        for (int64_t j = 0; j <= i; j++) {
            double product = 0;
            double rebuilt = 0;
            for (int64_t t = 0; t < n; t++) {
                product += vectors[i * n + t] * vectors[j * n + t];
                rebuilt += vectors[t * n + i] * values[t] * vectors[t * n + j];
            }
            ck_assert_double_le(fabs(product - (i == j)), bound);
            ck_assert_double_le(fabs(rebuilt - matrix[i * n + j]), bound * scale);
        }
    }
    free(vectors);
    free(values);
    free(scratch);
}

START_TEST(eigenvectors_are_orthonormal_and_rebuild_the_matrix)
{
    const int64_t sizes[] = {1, 2, 3, 5, 15, 16, 17, 33, 64, 100, 256};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const int64_t n = sizes[i];
        double values[256];
        for (int64_t t = 0; t < n; t++) {
            values[t] = (double)(t + 1) / (double)n - 0.3;
        }
        double *matrix = symmetric_with(n, values, 5);
        check_eigen(n, matrix, 1);
        free(matrix);
    }
}
END_TEST

START_TEST(eigensolver_takes_equal_clustered_graded_and_zero_eigenvalues)
{
    enum { N = 40 };
    double values[N];
    double matrix_of_zeros[N * N] = {0};
    check_eigen(N, matrix_of_zeros, 1);
    for (int kind = 0; kind < 5; kind++) {
        for (int t = 0; t < N; t++) {
            const double kinds[] = {1, 1 + 1e-13 * t, pow(0.5, t), t < 3, t == 0 ? 1 : 1e-170};
            values[t] = kinds[kind];
        }
        double *matrix = symmetric_with(N, values, 9);
        check_eigen(N, matrix, 1);
        free(matrix);
    }
}
END_TEST

START_TEST(eigensolver_takes_diagonal_and_tridiagonal_matrices)
{
    enum { N = 21 };
    double matrix[N * N] = {0};
    for (int i = 0; i < N; i++) {
        matrix[i * N + i] = i % 4;
    }
    check_eigen(N, matrix, 4);
    for (int i = 0; i + 1 < N; i++) {
        matrix[i * N + i] = fabs(i - 10.0); /* Wilkinson's matrix: pairs that almost agree */
        matrix[i * N + i + 1] = matrix[(i + 1) * N + i] = 1;
    }
    matrix[N * N - 1] = 10;
    check_eigen(N, matrix, 11);
}
END_TEST

START_TEST(eigensolver_takes_matrices_of_any_scale)
{
    double values[12];
    for (int t = 0; t < 12; t++) {
        values[t] = t + 1;
    }
    const double scales[] = {1e-300, 1e-160, 1e160, 1e290};
    double *matrix = symmetric_with(12, values, 3);
    for (int s = 0; s < 4; s++) {
        double scaled[144];
        for (int i = 0; i < 144; i++) {
            scaled[i] = matrix[i] * scales[s];
        }
        check_eigen(12, scaled, 12 * scales[s]);
    }
    free(matrix);
}
END_TEST

/* A large corner, a border that is `small` beside it, and a block that is so beside the border. */
static double *graded_matrix(int64_t n, double small)
{
    double *matrix = checked_memory((size_t)(n * n) * sizeof(double));
    const sfi_random random = {9, 79};
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            const double size = i == 0 ? 1 : j == 0 ? small : small * small;
            const double element = size * (1 + sfi_random_uniform(random, (uint64_t)(i * n + j)));
            matrix[i * n + j] = matrix[j * n + i] = element;
        }
    }
    return matrix;
}

START_TEST(eigensolver_takes_matrices_that_one_element_dwarfs)
{
    for (int64_t n = 2; n < 12; n++) {
        for (double small = 1e-5; small > 1e-170; small *= 1e-5) {
            double *matrix = graded_matrix(n, small);
            check_eigen(n, matrix, 2);
            free(matrix);
        }
    }
}
END_TEST

START_TEST(eigensolver_refuses_what_is_not_finite)
{
    enum { N = 4 };
    const double bad[] = {NAN, INFINITY, -INFINITY};
    double *scratch = checked_memory((size_t)sfi_eigen_scratch(N) * sizeof(double));
    for (int place = 0; place < N * N; place++) {
        for (int k = 0; k < 3; k++) {
            double values[N];
            double *matrix = graded_matrix(N, 0.5);
            matrix[place] = matrix[place % N * N + place / N] = bad[k];
            ck_assert_int_eq(sfi_eigen_symmetric(sfk_table_for(SFCONV_ISA_REFERENCE), N, matrix,
                                                 values, scratch, NULL),
                             SFCONV_ERROR_NUMERIC);
            free(matrix);
        }
    }
    free(scratch);
}
END_TEST

static void update(sfconv_context *context, sfi_svd *svd, int64_t rows, int64_t cols,
                   const float *matrix, sfi_svd_method method)
{
    int64_t bytes;
    ck_assert_int_eq(sfi_svd_create(context, svd, cols), SFCONV_OK);
    ck_assert(sfi_svd_scratch(&bytes, rows, cols, method));
    void *scratch = checked_memory((size_t)bytes);
    ck_assert_int_eq(sfi_svd_update(context, svd, rows, matrix, method, scratch), SFCONV_OK);
    free(scratch);
}

START_TEST(gram_and_exact_routes_agree_within_the_promised_error)
{
    const int64_t shapes[][2] = {{1, 1},   {7, 1},    {6, 2},    {33, 16},
                                 {40, 40}, {192, 17}, {300, 96}, {1000, 128}};
    sfconv_context *context = context_with_workers(1);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const int64_t rows = shapes[i][0];
        const int64_t cols = shapes[i][1];
        sfi_svd gram;
        sfi_svd exact;
        float *matrix = random_matrix(rows, cols, 10 + i);
        update(context, &gram, rows, cols, matrix, SFI_SVD_GRAM);
        update(context, &exact, rows, cols, matrix, SFI_SVD_EXACT);
        for (int64_t t = 0; t < cols; t++) {
            ck_assert_double_le(fabs(gram.values[t] - exact.values[t]), 2e-8 * exact.values[0]);
            double along = 0;
            for (int64_t j = 0; j < cols; j++) {
                along += gram.vectors[t * cols + j] * exact.vectors[t * cols + j];
            }
            ck_assert_double_eq_tol(fabs(along), 1, 1e-6);
        }
        sfi_svd_destroy(context, &gram);
        sfi_svd_destroy(context, &exact);
        free(matrix);
    }
    sfi_context_release(context);
}
END_TEST

START_TEST(any_instruction_set_and_number_of_workers_gives_the_same_bits)
{
    const int32_t isas[] = {SFCONV_ISA_REFERENCE, SFCONV_ISA_AVX2, SFCONV_ISA_AVX512,
                            SFCONV_ISA_NEON};
    const int64_t shapes[][2] = {{333, 75}, {64, 64}, {21, 7}, {5, 1}};
    for (int s = 0; s < 4; s++) {
        const int64_t rows = shapes[s][0], cols = shapes[s][1];
        float *matrix = random_matrix(rows, cols, 4);
        sfconv_context *plain = context_with(1, SFCONV_ISA_REFERENCE);
        sfi_svd expected;
        update(plain, &expected, rows, cols, matrix, SFI_SVD_GRAM);
        for (int i = 0; i < 8; i++) {
            if (!sfk_table_for(isas[i / 2])) {
                continue;
            }
            sfconv_context *context = context_with(i % 2 ? 3 : 1, isas[i / 2]);
            sfi_svd svd;
            update(context, &svd, rows, cols, matrix, SFI_SVD_GRAM);
            ck_assert_mem_eq(svd.values, expected.values, (size_t)cols * sizeof(double));
            ck_assert_mem_eq(svd.vectors, expected.vectors, (size_t)(cols * cols) * sizeof(double));
            sfi_svd_destroy(context, &svd);
            sfi_context_release(context);
        }
        sfi_svd_destroy(plain, &expected);
        sfi_context_release(plain);
        free(matrix);
    }
}
END_TEST

START_TEST(huge_tiny_and_denormal_matrices_keep_their_spectrum)
{
    enum { ROWS = 30, COLS = 6 };
    const float scales[] = {1e-30f, 1e-36f, 1e30f, 3e37f};
    sfconv_context *context = context_with_workers(1);
    float *matrix = random_matrix(ROWS, COLS, 8);
    sfi_svd plain;
    update(context, &plain, ROWS, COLS, matrix, SFI_SVD_EXACT);
    for (int s = 0; s < 4; s++) {
        for (int method = SFI_SVD_GRAM; method <= SFI_SVD_EXACT; method++) {
            float scaled[ROWS * COLS];
            sfi_svd svd;
            for (int i = 0; i < ROWS * COLS; i++) {
                scaled[i] = matrix[i] * scales[s];
            }
            update(context, &svd, ROWS, COLS, scaled, (sfi_svd_method)method);
            for (int t = 0; t < COLS; t++) {
                ck_assert_double_le(fabs(svd.values[t] / (double)scales[s] - plain.values[t]),
                                    1e-6 * plain.values[0]);
            }
            sfi_svd_destroy(context, &svd);
        }
    }
    float denormal[ROWS * COLS] = {0};
    sfi_svd svd;
    denormal[3] = FLT_TRUE_MIN;
    update(context, &svd, ROWS, COLS, denormal, SFI_SVD_GRAM);
    ck_assert_double_eq_tol(svd.values[0] / (double)FLT_TRUE_MIN, 1, 1e-12);
    ck_assert_double_eq(svd.values[1], 0);
    sfi_svd_destroy(context, &svd);
    sfi_svd_destroy(context, &plain);
    sfi_context_release(context);
    free(matrix);
}
END_TEST

START_TEST(a_failed_update_leaves_the_state_as_it_was)
{
    enum { ROWS = 20, COLS = 5 };
    const float bad[] = {NAN, INFINITY, -INFINITY};
    sfconv_context *context = context_with_workers(1);
    float *matrix = random_matrix(ROWS, COLS, 2);
    sfi_svd svd;
    double before[COLS];
    int64_t bytes;
    update(context, &svd, ROWS, COLS, matrix, SFI_SVD_GRAM);
    memcpy(before, svd.values, sizeof before);
    ck_assert(sfi_svd_scratch(&bytes, ROWS, COLS, SFI_SVD_EXACT));
    void *scratch = checked_memory((size_t)bytes);
    for (int i = 0; i < 6; i++) {
        matrix[57] = bad[i / 2];
        ck_assert_int_eq(
            sfi_svd_update(context, &svd, ROWS, matrix, (sfi_svd_method)(i % 2), scratch),
            SFCONV_ERROR_NUMERIC);
        ck_assert_ptr_nonnull(strstr(context->error, "NaN or infinity"));
        ck_assert_mem_eq(svd.values, before, sizeof before);
        ck_assert(svd.ready);
    }
    free(scratch);
    free(matrix);
    sfi_svd_destroy(context, &svd);
    sfi_context_release(context);
}
END_TEST

START_TEST(facts_of_a_known_spectrum)
{
    enum { ROWS = 12, COLS = 4 };
    const double equal[COLS] = {3, 3, 3, 3};
    const double mixed[COLS] = {4, 2, 1, 0.5};
    const double single[COLS] = {7, 0, 0, 0};
    sfconv_context *context = context_with_workers(1);
    sfi_svd svd;
    float *matrix = matrix_with_spectrum(ROWS, COLS, equal, 1);
    update(context, &svd, ROWS, COLS, matrix, SFI_SVD_EXACT);
    ck_assert_double_eq_tol(sfi_effective_rank(&svd), 4, 1e-6);
    ck_assert_double_eq_tol(sfi_stable_rank(&svd), 4, 1e-5);
    ck_assert_double_eq_tol(sfi_condition_number(&svd), 1, 1e-5);
    sfi_svd_destroy(context, &svd);
    free(matrix);

    matrix = matrix_with_spectrum(ROWS, COLS, mixed, 2);
    update(context, &svd, ROWS, COLS, matrix, SFI_SVD_GRAM);
    ck_assert_double_eq_tol(sfi_condition_number(&svd), 8, 1e-5);
    ck_assert_double_eq_tol(sfi_frobenius_norm(&svd), sqrt(21.25), 1e-5);
    ck_assert_double_eq_tol(sfi_stable_rank(&svd), 21.25 / 16, 1e-5);
    sfi_svd_destroy(context, &svd);
    free(matrix);

    matrix = matrix_with_spectrum(ROWS, COLS, single, 3);
    update(context, &svd, ROWS, COLS, matrix, SFI_SVD_EXACT);
    ck_assert_double_eq_tol(sfi_effective_rank(&svd), 1, 1e-5);
    sfi_svd_destroy(context, &svd);

    memset(matrix, 0, ROWS * COLS * sizeof(float));
    update(context, &svd, ROWS, COLS, matrix, SFI_SVD_GRAM);
    ck_assert_double_eq(sfi_effective_rank(&svd), 0);
    ck_assert_double_eq(sfi_stable_rank(&svd), 0);
    ck_assert(isinf(sfi_condition_number(&svd)));
    sfi_svd_destroy(context, &svd);
    free(matrix);
    sfi_context_release(context);
}
END_TEST

START_TEST(thin_svd_and_qr_rebuild_matrices_of_any_shape)
{
    const int64_t shapes[][2] = {{1, 1}, {9, 4}, {4, 9}, {6, 6}};
    sfconv_context *context = context_with_workers(1);
    for (int s = 0; s < 4; s++) {
        const int64_t rows = shapes[s][0];
        const int64_t cols = shapes[s][1];
        const int64_t k = rows < cols ? rows : cols;
        double *matrix = random_basis(rows, cols < rows ? cols : rows, 6);
        double copy[81], left[81], right[81], values[9], upper[81], product[81];
        int64_t bytes;
        double *wide = checked_memory(81 * sizeof(double));
        for (int64_t i = 0; i < rows * cols; i++) {
            wide[i] = matrix[i % (rows * k)] + (double)i;
        }
        memcpy(copy, wide, sizeof copy);
        ck_assert(sfi_thin_svd_scratch(&bytes, rows, cols));
        void *scratch = checked_memory((size_t)bytes);
        ck_assert_int_eq(sfi_thin_svd(context, rows, cols, wide, values, left, right, scratch),
                         SFCONV_OK);
        for (int64_t i = 0; i < rows * k; i++) {
            left[i] *= values[i % k];
        }
        sfi_dense_product(rows, k, cols, left, right, false, product);
        for (int64_t i = 0; i < rows * cols; i++) {
            ck_assert_double_eq_tol(product[i], copy[i], 1e-12 * values[0]);
        }
        if (rows >= cols) {
            memcpy(wide, copy, sizeof copy);
            ck_assert_int_eq(sfi_thin_qr(context, rows, cols, wide, upper), SFCONV_OK);
            sfi_dense_product(rows, cols, cols, wide, upper, false, product);
            for (int64_t i = 0; i < rows * cols; i++) {
                ck_assert_double_eq_tol(product[i], copy[i], 1e-12 * values[0]);
            }
        }
        free(scratch);
        free(wide);
        free(matrix);
    }
    int64_t bytes;
    ck_assert(!sfi_thin_svd_scratch(&bytes, INT32_MAX, 2));
    sfi_context_release(context);
}
END_TEST

START_TEST(products_of_floats_match_plain_sums)
{
    const int64_t shapes[][3] = {{1, 1, 1}, {5, 3, 17}, {67, 33, 40}, {64, 32, 32}};
    sfconv_context *context = context_with_workers(2);
    for (int s = 0; s < 4; s++) {
        const int64_t rows = shapes[s][0], inner = shapes[s][1], cols = shapes[s][2];
        float *left = random_matrix(rows, inner, 1);
        float *result = random_matrix(rows, cols, 2);
        float *before = random_matrix(rows, cols, 2);
        double *right = random_basis(inner < cols ? cols : inner, inner, 3);
        double *padded = checked_memory((size_t)(inner * sfi_pitch(cols)) * sizeof(double));
        sfi_pad_columns(inner, cols, right, padded);
        sfi_add_product(context, rows, inner, cols, 0.5, left, padded, result);
        for (int64_t i = 0; i < rows; i++) {
            for (int64_t j = 0; j < cols; j++) {
                double sum = 0;
                for (int64_t k = 0; k < inner; k++) {
                    sum += (double)left[i * inner + k] * right[k * cols + j];
                }
                ck_assert_double_eq_tol((double)result[i * cols + j],
                                        (double)before[i * cols + j] + 0.5 * sum, 1e-6);
            }
        }
        free(left);
        free(result);
        free(before);
        free(right);
        free(padded);
    }
    sfi_context_release(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spectral");
    TCase *tests = tcase_create("spectral");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, eigenvectors_are_orthonormal_and_rebuild_the_matrix);
    tcase_add_test(tests, eigensolver_takes_equal_clustered_graded_and_zero_eigenvalues);
    tcase_add_test(tests, eigensolver_takes_diagonal_and_tridiagonal_matrices);
    tcase_add_test(tests, eigensolver_takes_matrices_of_any_scale);
    tcase_add_test(tests, eigensolver_takes_matrices_that_one_element_dwarfs);
    tcase_add_test(tests, eigensolver_refuses_what_is_not_finite);
    tcase_add_test(tests, gram_and_exact_routes_agree_within_the_promised_error);
    tcase_add_test(tests, any_instruction_set_and_number_of_workers_gives_the_same_bits);
    tcase_add_test(tests, huge_tiny_and_denormal_matrices_keep_their_spectrum);
    tcase_add_test(tests, a_failed_update_leaves_the_state_as_it_was);
    tcase_add_test(tests, facts_of_a_known_spectrum);
    tcase_add_test(tests, thin_svd_and_qr_rebuild_matrices_of_any_shape);
    tcase_add_test(tests, products_of_floats_match_plain_sums);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
