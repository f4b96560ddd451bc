/* SPDX-License-Identifier: BSD-2-Clause */
#include "matrices.h"

#include "kl.h"
#include "linalg.h"

#include <float.h>

/* A matrix, its state and scratch memory. */
struct bench {
    sfconv_context *context;
    int64_t rows;
    int64_t cols;
    float *matrix;
    sfi_svd svd;
    void *scratch;
};

static struct bench bench_of(float *matrix, int64_t rows, int64_t cols, sfi_svd_method method)
{
    struct bench bench = {context_with_workers(1), rows, cols, matrix, {0}, NULL};
    int64_t bytes;
    ck_assert(sfi_svd_scratch(&bytes, rows, cols, method));
    bench.scratch = checked_memory((size_t)bytes);
    ck_assert_int_eq(sfi_svd_create(bench.context, &bench.svd, cols), SFCONV_OK);
    ck_assert_int_eq(sfi_svd_update(bench.context, &bench.svd, rows, matrix, method, bench.scratch),
                     SFCONV_OK);
    return bench;
}

static void bench_free(struct bench *bench)
{
    sfi_svd_destroy(bench->context, &bench->svd);
    sfi_context_release(bench->context);
    free(bench->scratch);
    free(bench->matrix);
}

static double value_of(const struct bench *bench, sfi_kl_direction direction)
{
    double value = NAN;
    ck_assert_int_eq(sfi_kl_value(bench->context, &bench->svd, direction, &value), SFCONV_OK);
    return value;
}

static float *gradient_of(const struct bench *bench, sfi_kl_direction direction, double scale)
{
    float *gradient = checked_memory((size_t)(bench->rows * bench->cols) * sizeof(float));
    ck_assert_int_eq(sfi_kl_add_gradient(bench->context, &bench->svd, direction, scale, bench->rows,
                                         bench->matrix, gradient, bench->scratch),
                     SFCONV_OK);
    return gradient;
}

START_TEST(equal_singular_values_have_no_divergence_and_no_gradient)
{
    const double equal[] = {2, 2, 2, 2, 2};
    for (int direction = SFI_KL_FORWARD; direction <= SFI_KL_REVERSE; direction++) {
        struct bench bench = bench_of(matrix_with_spectrum(31, 5, equal, 1), 31, 5, SFI_SVD_GRAM);
        float *gradient = gradient_of(&bench, (sfi_kl_direction)direction, 1);
        const double value = value_of(&bench, (sfi_kl_direction)direction);
        ck_assert(value >= 0 && value < 1e-13);
        ck_assert_double_le(norm_of(31 * 5, gradient), 1e-6);
        free(gradient);
        bench_free(&bench);
    }
}
END_TEST

START_TEST(the_identity_is_flat)
{
    float *identity = checked_memory(36 * sizeof(float));
    for (int i = 0; i < 6; i++) {
        identity[i * 7] = 1;
    }
    struct bench bench = bench_of(identity, 6, 6, SFI_SVD_GRAM);
    ck_assert_double_le(value_of(&bench, SFI_KL_FORWARD), 1e-15);
    ck_assert_double_le(value_of(&bench, SFI_KL_REVERSE), 1e-15);
    bench_free(&bench);
}
END_TEST

START_TEST(rank_one_has_the_logarithm_of_the_rank)
{
    const double single[] = {5, 0, 0, 0, 0, 0, 0, 0};
    for (int method = SFI_SVD_GRAM; method <= SFI_SVD_EXACT; method++) {
        struct bench bench =
            bench_of(matrix_with_spectrum(40, 8, single, 3), 40, 8, (sfi_svd_method)method);
        /* The matrix is rounded to float, so the other values are 1e-8 of the first. */
        ck_assert_double_eq_tol(value_of(&bench, SFI_KL_FORWARD), log(8), 1e-5);
        ck_assert_double_eq_tol(value_of(&bench, SFI_KL_REVERSE), -log(8) + 7.0 / 8 * log(0x1p20),
                                1e-5);
        float *gradient = gradient_of(&bench, SFI_KL_REVERSE, 1);
        ck_assert(isfinite(norm_of(320, gradient)));
        free(gradient);
        bench_free(&bench);
    }
}
END_TEST

START_TEST(a_matrix_that_one_element_dwarfs_has_the_term_of_rank_one)
{
    for (int64_t n = 2; n < 8; n++) {
        float *matrix = random_matrix(n, n, 13);
        for (int64_t i = 0; i < n * n; i++) {
            matrix[i] *= 1e-20f;
        }
        matrix[0] = 1e20f;
        struct bench bench = bench_of(matrix, n, n, SFI_SVD_GRAM);
        ck_assert_double_eq_tol(value_of(&bench, SFI_KL_FORWARD), log((double)n), 1e-5);
        for (int direction = SFI_KL_FORWARD; direction <= SFI_KL_REVERSE; direction++) {
            float *gradient = gradient_of(&bench, (sfi_kl_direction)direction, 1);
            ck_assert(isfinite(norm_of(n * n, gradient)));
            free(gradient);
        }
        bench_free(&bench);
    }
}
END_TEST

START_TEST(known_spectra_have_known_divergences)
{
    const double values[] = {4, 3, 2, 1};
    double forward = log(4);
    double reverse = -log(4);
    for (int i = 0; i < 4; i++) {
        forward += values[i] / 10 * log(values[i] / 10);
        reverse -= log(values[i] / 10) / 4;
    }
    for (int method = SFI_SVD_GRAM; method <= SFI_SVD_EXACT; method++) {
        struct bench bench =
            bench_of(matrix_with_spectrum(9, 4, values, 4), 9, 4, (sfi_svd_method)method);
        ck_assert_double_eq_tol(value_of(&bench, SFI_KL_FORWARD), forward, 1e-7);
        ck_assert_double_eq_tol(value_of(&bench, SFI_KL_REVERSE), reverse, 1e-7);
        bench_free(&bench);
    }
}
END_TEST

START_TEST(scaling_the_matrix_changes_no_divergence_and_divides_the_gradient)
{
    const float scales[] = {0x1p-100f, 0x1p-20f, 0x1p90f};
    struct bench plain = bench_of(random_matrix(50, 12, 6), 50, 12, SFI_SVD_GRAM);
    for (int direction = SFI_KL_FORWARD; direction <= SFI_KL_REVERSE; direction++) {
        const sfi_kl_direction way = (sfi_kl_direction)direction;
        float *expected = gradient_of(&plain, way, 1);
        for (int s = 0; s < 3; s++) {
            float *matrix = random_matrix(50, 12, 6);
            for (int i = 0; i < 600; i++) {
                matrix[i] *= scales[s];
            }
            struct bench bench = bench_of(matrix, 50, 12, SFI_SVD_GRAM);
            float *gradient = gradient_of(&bench, way, 1);
            ck_assert_double_eq_tol(value_of(&bench, way), value_of(&plain, way), 1e-15);
            for (int i = 0; i < 600; i++) {
                const double want = (double)expected[i] / (double)scales[s];
                ck_assert_double_le(fabs((double)gradient[i] - want), 1e-6 * fabs(want));
            }
            free(gradient);
            bench_free(&bench);
        }
        free(expected);
    }
    bench_free(&plain);
}
END_TEST

/* The divergence from singular values in double, without floors. */
static double plain_divergence(int64_t count, const double *values, int direction)
{
    double sum = 0;
    double forward = log((double)count);
    double reverse = -log((double)count);
    for (int64_t i = 0; i < count; i++) {
        sum += values[i];
    }
    for (int64_t i = 0; i < count; i++) {
        const double p = values[i] / sum;
        forward += p * log(p);
        reverse -= log(p) / (double)count;
    }
    return direction == SFI_KL_FORWARD ? forward : reverse;
}

/* Of `matrix` with element `index` moved by `step`. */
static double moved_divergence(sfconv_context *context, int64_t rows, int64_t cols,
                               const float *matrix, int64_t index, double step, int direction)
{
    double copy[400], left[400], right[100], values[10];
    int64_t bytes;
    ck_assert(sfi_thin_svd_scratch(&bytes, rows, cols));
    void *scratch = checked_memory((size_t)bytes);
    for (int64_t i = 0; i < rows * cols; i++) {
        copy[i] = (double)matrix[i] + (i == index ? step : 0);
    }
    ck_assert_int_eq(sfi_thin_svd(context, rows, cols, copy, values, left, right, scratch),
                     SFCONV_OK);
    free(scratch);
    return plain_divergence(cols, values, direction);
}

START_TEST(the_gradient_is_that_of_finite_differences)
{
    const double step = 1e-5;
    for (int direction = SFI_KL_FORWARD; direction <= SFI_KL_REVERSE; direction++) {
        for (int method = SFI_SVD_GRAM; method <= SFI_SVD_EXACT; method++) {
            struct bench bench =
                bench_of(random_matrix(40, 10, 11), 40, 10, (sfi_svd_method)method);
            float *gradient = gradient_of(&bench, (sfi_kl_direction)direction, 1);
            for (int64_t i = 0; i < 400; i++) {
                const double up =
                    moved_divergence(bench.context, 40, 10, bench.matrix, i, step, direction);
                const double down =
                    moved_divergence(bench.context, 40, 10, bench.matrix, i, -step, direction);
                ck_assert_double_eq_tol((double)gradient[i], (up - down) / (2 * step), 1e-8);
            }
            free(gradient);
            bench_free(&bench);
        }
    }
}
END_TEST

/* U diag(dF/ds) Vᵀ from LAPACK's own left vectors. */
static void exact_gradient(sfconv_context *context, int64_t rows, int64_t cols, const float *matrix,
                           int direction, double *gradient)
{
    double *copy = checked_memory((size_t)(rows * cols) * sizeof(double));
    double *left = checked_memory((size_t)(rows * cols) * sizeof(double));
    double *right = checked_memory((size_t)(cols * cols) * sizeof(double));
    double *values = checked_memory((size_t)cols * sizeof(double));
    int64_t bytes;
    ck_assert(sfi_thin_svd_scratch(&bytes, rows, cols));
    void *scratch = checked_memory((size_t)bytes);
    for (int64_t i = 0; i < rows * cols; i++) {
        copy[i] = (double)matrix[i];
    }
    ck_assert_int_eq(sfi_thin_svd(context, rows, cols, copy, values, left, right, scratch),
                     SFCONV_OK);
    double sum = 0;
    double entropy = 0;
    for (int64_t t = 0; t < cols; t++) {
        sum += values[t];
    }
    for (int64_t t = 0; t < cols; t++) {
        entropy -= values[t] / sum * log(values[t] / sum);
    }
    for (int64_t i = 0; i < rows * cols; i++) {
        left[i] *= direction == SFI_KL_FORWARD
                       ? (log(values[i % cols] / sum) + entropy) / sum
                       : (1 - sum / ((double)cols * values[i % cols])) / sum;
    }
    sfi_dense_product(rows, cols, cols, left, right, false, gradient);
    free(copy);
    free(left);
    free(right);
    free(values);
    free(scratch);
}

START_TEST(both_routes_give_the_gradient_of_the_full_decomposition)
{
    enum { ROWS = 300, COLS = 64 };
    double spectrum[COLS];
    double expected[ROWS * COLS];
    for (int t = 0; t < COLS; t++) {
        spectrum[t] = pow(0.85, t); /* down to 4e-5 of the first */
    }
    for (int method = SFI_SVD_GRAM; method <= SFI_SVD_EXACT; method++) {
        for (int direction = SFI_KL_FORWARD; direction <= SFI_KL_REVERSE; direction++) {
            struct bench bench = bench_of(matrix_with_spectrum(ROWS, COLS, spectrum, 5), ROWS, COLS,
                                          (sfi_svd_method)method);
            float *gradient = gradient_of(&bench, (sfi_kl_direction)direction, 1);
            exact_gradient(bench.context, ROWS, COLS, bench.matrix, direction, expected);
            double square = 0;
            double error = 0;
            for (int i = 0; i < ROWS * COLS; i++) {
                square += expected[i] * expected[i];
                error += pow((double)gradient[i] - expected[i], 2);
            }
            ck_assert_double_le(sqrt(error / square), 1e-6);
            free(gradient);
            bench_free(&bench);
        }
    }
}
END_TEST

START_TEST(the_gradient_is_scaled_and_added)
{
    struct bench bench = bench_of(random_matrix(20, 4, 7), 20, 4, SFI_SVD_GRAM);
    float *once = gradient_of(&bench, SFI_KL_FORWARD, 1);
    float *sum = gradient_of(&bench, SFI_KL_FORWARD, 0.25);
    ck_assert_int_eq(sfi_kl_add_gradient(bench.context, &bench.svd, SFI_KL_FORWARD, 0.5, 20,
                                         bench.matrix, sum, bench.scratch),
                     SFCONV_OK);
    for (int i = 0; i < 80; i++) {
        ck_assert_double_eq_tol((double)sum[i], 0.75 * (double)once[i], 1e-8);
    }
    free(once);
    free(sum);
    bench_free(&bench);
}
END_TEST

START_TEST(following_the_gradient_flattens_the_spectrum)
{
    float *matrix = random_matrix(30, 8, 12);
    struct bench bench = bench_of(matrix, 30, 8, SFI_SVD_GRAM);
    const double before = value_of(&bench, SFI_KL_FORWARD);
    for (int step = 0; step < 300; step++) {
        float *gradient = gradient_of(&bench, SFI_KL_FORWARD, 1);
        for (int i = 0; i < 240; i++) {
            matrix[i] -= 100 * gradient[i];
        }
        ck_assert_int_eq(
            sfi_svd_update(bench.context, &bench.svd, 30, matrix, SFI_SVD_GRAM, bench.scratch),
            SFCONV_OK);
        free(gradient);
    }
    ck_assert_double_le(value_of(&bench, SFI_KL_FORWARD), 1e-3 * before);
    bench_free(&bench);
}
END_TEST

START_TEST(one_column_that_is_not_zero_has_no_divergence)
{
    const float scales[] = {1, 1e-42f, 1e37f};
    for (int k = 0; k < 3; k++) {
        float *matrix = random_matrix(9, 1, 1);
        for (int i = 0; i < 9; i++) {
            matrix[i] *= scales[k];
        }
        struct bench bench = bench_of(matrix, 9, 1, SFI_SVD_GRAM);
        float *gradient = gradient_of(&bench, SFI_KL_FORWARD, 1);
        ck_assert_double_eq(value_of(&bench, SFI_KL_FORWARD), 0);
        ck_assert_double_eq(value_of(&bench, SFI_KL_REVERSE), 0);
        ck_assert_double_eq(norm_of(9, gradient), 0);
        free(gradient);
        bench_free(&bench);
    }
}
END_TEST

START_TEST(a_matrix_of_zeros_is_refused_by_name)
{
    for (int64_t cols = 1; cols < 4; cols++) {
        double value = 5;
        float gradient[24] = {0};
        struct bench bench = bench_of(checked_memory(24 * sizeof(float)), 8, cols, SFI_SVD_GRAM);
        ck_assert_int_eq(sfi_kl_value(bench.context, &bench.svd, SFI_KL_FORWARD, &value),
                         SFCONV_ERROR_NUMERIC);
        ck_assert_ptr_nonnull(strstr(bench.context->error, "all singular values are zero"));
        ck_assert_double_eq(value, 5);
        ck_assert_int_eq(sfi_kl_add_gradient(bench.context, &bench.svd, SFI_KL_FORWARD, 1, 8,
                                             bench.matrix, gradient, bench.scratch),
                         SFCONV_ERROR_NUMERIC);
        ck_assert_double_eq(norm_of(24, gradient), 0);
        bench_free(&bench);
    }
}
END_TEST

START_TEST(a_gradient_beyond_float_is_refused_before_anything_is_added)
{
    float *matrix = random_matrix(8, 3, 5);
    float gradient[24] = {0};
    for (int i = 0; i < 24; i++) {
        matrix[i] *= 1e-42f;
    }
    struct bench bench = bench_of(matrix, 8, 3, SFI_SVD_GRAM);
    ck_assert(isfinite(value_of(&bench, SFI_KL_FORWARD)));
    ck_assert_int_eq(sfi_kl_add_gradient(bench.context, &bench.svd, SFI_KL_FORWARD, 1, 8,
                                         bench.matrix, gradient, bench.scratch),
                     SFCONV_ERROR_NUMERIC);
    ck_assert_ptr_nonnull(strstr(bench.context->error, "beyond float"));
    ck_assert_double_eq(norm_of(24, gradient), 0);
    bench_free(&bench);
}
END_TEST

START_TEST(duplicate_and_zero_columns_give_finite_gradients_on_both_routes)
{
    for (int kind = 0; kind < 2; kind++) {
        for (int method = SFI_SVD_GRAM; method <= SFI_SVD_EXACT; method++) {
            for (int direction = SFI_KL_FORWARD; direction <= SFI_KL_REVERSE; direction++) {
                float *matrix = random_matrix(25, 6, 9);
                for (int i = 0; i < 25; i++) {
                    matrix[i * 6 + 3] = kind ? matrix[i * 6] : 0;
                    matrix[i * 6 + 4] = kind ? matrix[i * 6] : 0;
                }
                struct bench bench = bench_of(matrix, 25, 6, (sfi_svd_method)method);
                float *gradient = gradient_of(&bench, (sfi_kl_direction)direction, 1);
                ck_assert(isfinite(value_of(&bench, (sfi_kl_direction)direction)));
                ck_assert(isfinite(norm_of(150, gradient)));
                /* Forward, nothing is steeper than log(floor) over the sum of the values. */
                ck_assert(direction == SFI_KL_REVERSE || norm_of(150, gradient) < 14);
                free(gradient);
                bench_free(&bench);
            }
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kl");
    TCase *tests = tcase_create("kl");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, equal_singular_values_have_no_divergence_and_no_gradient);
    tcase_add_test(tests, the_identity_is_flat);
    tcase_add_test(tests, rank_one_has_the_logarithm_of_the_rank);
    tcase_add_test(tests, a_matrix_that_one_element_dwarfs_has_the_term_of_rank_one);
    tcase_add_test(tests, known_spectra_have_known_divergences);
    tcase_add_test(tests, scaling_the_matrix_changes_no_divergence_and_divides_the_gradient);
    tcase_add_test(tests, the_gradient_is_that_of_finite_differences);
    tcase_add_test(tests, both_routes_give_the_gradient_of_the_full_decomposition);
    tcase_add_test(tests, the_gradient_is_scaled_and_added);
    tcase_add_test(tests, following_the_gradient_flattens_the_spectrum);
    tcase_add_test(tests, one_column_that_is_not_zero_has_no_divergence);
    tcase_add_test(tests, a_matrix_of_zeros_is_refused_by_name);
    tcase_add_test(tests, a_gradient_beyond_float_is_refused_before_anything_is_added);
    tcase_add_test(tests, duplicate_and_zero_columns_give_finite_gradients_on_both_routes);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
