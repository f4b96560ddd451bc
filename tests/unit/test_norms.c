/* SPDX-License-Identifier: BSD-2-Clause */
#include "matrices.h"

#include "decay.h"
#include "linalg.h"
#include "sigma.h"
#include "svd.h"

/* Two random factors and what the tests add up in them. */
struct pair {
    sfconv_context *context;
    sfi_factors factors;
    sfi_factor_view view_p;
    sfi_factor_view view_q;
    float *p;
    float *qt;
    float *gradient_p;
    float *gradient_qt;
    void *scratch;
};

static struct pair pair_of(int64_t rows, int64_t cols, int64_t rank)
{
    struct pair pair = {.context = context_with_workers(1)};
    int64_t decay, sigma;
    pair.p = random_matrix(rows, rank, 1);
    pair.qt = random_matrix(cols, rank, 2);
    pair.factors = (sfi_factors){rows, cols, rank, pair.p, pair.qt};
    pair.gradient_p = checked_memory((size_t)(rows * rank) * sizeof(float));
    pair.gradient_qt = checked_memory((size_t)(cols * rank) * sizeof(float));
    pair.view_p = (sfi_factor_view){.rank = rank, .count = rows, .inner = 1, .weight = pair.p};
    pair.view_q = (sfi_factor_view){.rank = rank, .count = cols, .inner = 1, .weight = pair.qt};
    ck_assert(sfi_decay_scratch(&decay, &pair.view_p, &pair.view_q));
    ck_assert(sfi_sigma_scratch(&sigma, rows, cols, rank));
    pair.scratch = checked_memory((size_t)(decay > sigma ? decay : sigma));
    return pair;
}

static void pair_free(struct pair *pair)
{
    free(pair->p);
    free(pair->qt);
    free(pair->gradient_p);
    free(pair->gradient_qt);
    free(pair->scratch);
    sfi_context_release(pair->context);
}

static const char *decay_of(const struct pair *pair, double scale, double *value, bool gradients)
{
    return sfi_decay(pair->context->kernels, &pair->view_p, &pair->view_q, scale, value,
                     gradients ? pair->gradient_p : NULL, gradients ? pair->gradient_qt : NULL,
                     pair->scratch);
}

static double *dense_product(const sfi_factors *factors)
{
    const int64_t rank = factors->rank;
    double *product = checked_memory((size_t)(factors->p_rows * factors->q_cols) * sizeof(double));
    for (int64_t i = 0; i < factors->p_rows; i++) {
        for (int64_t j = 0; j < factors->q_cols; j++) {
            for (int64_t t = 0; t < rank; t++) {
                product[i * factors->q_cols + j] +=
                    (double)factors->p[i * rank + t] * (double)factors->qt[j * rank + t];
            }
        }
    }
    return product;
}

START_TEST(decay_is_half_the_squared_norm_of_the_product_and_its_gradients)
{
    const int64_t shapes[][3] = {{1, 1, 1}, {12, 9, 4}, {70, 50, 33}};
    for (int s = 0; s < 3; s++) {
        const int64_t rows = shapes[s][0], cols = shapes[s][1], rank = shapes[s][2];
        struct pair pair = pair_of(rows, cols, rank);
        double *product = dense_product(&pair.factors);
        double value, square = 0;
        for (int64_t i = 0; i < rows * cols; i++) {
            square += product[i] * product[i];
        }
        ck_assert_ptr_null(decay_of(&pair, 0.5, &value, true));
        ck_assert_double_eq_tol(value, square / 2, 1e-12 * square);
        for (int64_t t = 0; t < rank; t++) {
            for (int64_t i = 0; i < rows; i++) {
                double expected = 0;
                for (int64_t j = 0; j < cols; j++) {
                    expected += 0.5 * product[i * cols + j] * (double)pair.qt[j * rank + t];
                }
                ck_assert_double_eq_tol((double)pair.gradient_p[i * rank + t], expected,
                                        1e-6 * sqrt(square));
            }
            for (int64_t j = 0; j < cols; j++) {
                double expected = 0;
                for (int64_t i = 0; i < rows; i++) {
                    expected += 0.5 * product[i * cols + j] * (double)pair.p[i * rank + t];
                }
                ck_assert_double_eq_tol((double)pair.gradient_qt[j * rank + t], expected,
                                        1e-6 * sqrt(square));
            }
        }
        free(product);
        pair_free(&pair);
    }
}
END_TEST

START_TEST(decay_refuses_what_is_not_finite_and_what_float_cannot_hold)
{
    struct pair pair = pair_of(6, 5, 2);
    double value = 3;
    const float kept = pair.p[4];
    pair.p[4] = NAN;
    ck_assert_ptr_nonnull(decay_of(&pair, 1, &value, true));
    pair.p[4] = 1e20f;
    pair.qt[1] = 1e20f;
    ck_assert_ptr_nonnull(decay_of(&pair, 1, &value, true));
    ck_assert_double_eq(value, 3);
    ck_assert_double_eq(norm_of(12, pair.gradient_p), 0);
    ck_assert_ptr_null(decay_of(&pair, 1, &value, false));
    ck_assert(isfinite(value));
    memset(pair.p, 0, 12 * sizeof(float));
    pair.p[0] = kept;
    pair_free(&pair);
}
END_TEST

static double largest_singular_value(const struct pair *pair)
{
    const int64_t rows = pair->factors.p_rows, cols = pair->factors.q_cols;
    double *product = dense_product(&pair->factors);
    double *left = checked_memory((size_t)(rows * cols) * sizeof(double));
    double *right = checked_memory((size_t)(rows * cols) * sizeof(double));
    double *values = checked_memory((size_t)(rows + cols) * sizeof(double));
    int64_t bytes;
    ck_assert(sfi_thin_svd_scratch(&bytes, rows, cols));
    void *scratch = checked_memory((size_t)bytes);
    ck_assert_int_eq(sfi_thin_svd(pair->context, rows, cols, product, values, left, right, scratch),
                     SFCONV_OK);
    const double largest = values[0];
    free(product);
    free(left);
    free(right);
    free(values);
    free(scratch);
    return largest;
}

static sfi_sigma iterate(struct pair *pair, int32_t iterations, float *u)
{
    sfi_sigma sigma;
    ck_assert_int_eq(sfi_sigma_forward(&pair->factors, iterations, u, &sigma, pair->scratch),
                     SFCONV_OK);
    return sigma;
}

START_TEST(power_iteration_converges_to_the_largest_singular_value)
{
    const int64_t shapes[][3] = {{1, 1, 1}, {30, 12, 1}, {30, 40, 5}, {40, 25, 20}};
    for (int s = 0; s < 4; s++) {
        struct pair pair = pair_of(shapes[s][0], shapes[s][1], shapes[s][2]);
        float *u = random_matrix(shapes[s][0], 1, 9);
        double before = 0;
        for (int step = 0; step < 400; step++) {
            const sfi_sigma sigma = iterate(&pair, 1, u);
            ck_assert_double_ge(sigma.sigma, before * (1 - 1e-7));
            before = sigma.sigma;
        }
        const double largest = largest_singular_value(&pair);
        ck_assert_double_eq_tol(before, largest, 1e-9 * largest);
        free(u);
        pair_free(&pair);
    }
}
END_TEST

START_TEST(evaluation_repeats_the_sigma_of_the_last_step_and_leaves_u_alone)
{
    struct pair pair = pair_of(30, 20, 6);
    float *u = random_matrix(30, 1, 9);
    const double trained = iterate(&pair, 2, u).sigma;
    float kept[30];
    memcpy(kept, u, sizeof kept);
    const double evaluated = iterate(&pair, 0, u).sigma;
    ck_assert_mem_eq(&trained, &evaluated, sizeof trained);
    ck_assert_mem_eq(u, kept, sizeof kept);
    free(u);
    pair_free(&pair);
}
END_TEST

START_TEST(sigma_takes_huge_and_tiny_factors_and_refuses_zero_and_nan)
{
    const float scales[] = {1e30f, 1e-30f};
    float *u = random_matrix(10, 1, 9);
    for (int s = 0; s < 2; s++) {
        struct pair pair = pair_of(10, 8, 3);
        const double plain = iterate(&pair, 300, u).sigma;
        for (int i = 0; i < 30; i++) {
            pair.p[i] *= scales[s];
        }
        for (int i = 0; i < 24; i++) {
            pair.qt[i] *= scales[s];
        }
        const double scaled = iterate(&pair, 1, u).sigma;
        ck_assert_double_eq_tol(scaled / (double)scales[s] / (double)scales[s] / plain, 1, 1e-6);
        pair_free(&pair);
    }
    float kept[10];
    memcpy(kept, u, sizeof kept);
    struct pair pair = pair_of(10, 8, 3);
    sfi_sigma sigma;
    memset(pair.qt, 0, 24 * sizeof(float));
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(sfi_sigma_forward(&pair.factors, 1, u, &sigma, pair.scratch),
                         SFCONV_ERROR_NUMERIC);
        ck_assert_mem_eq(u, kept, sizeof kept);
        pair.qt[5] = NAN;
    }
    pair_free(&pair);
    free(u);
}
END_TEST

/* <a, P / sigma> + <b, Qᵀ> as a function of the factors, by a dense evaluation with u held. */
static double loss(const struct pair *pair, const float *u, const float *a, const float *b)
{
    const int64_t rows = pair->factors.p_rows, cols = pair->factors.q_cols;
    double *product = dense_product(&pair->factors);
    double square = 0, length = 0, sum = 0;
    for (int64_t j = 0; j < cols; j++) {
        double along = 0;
        for (int64_t i = 0; i < rows; i++) {
            along += (double)u[i] * product[i * cols + j];
        }
        square += along * along;
    }
    for (int64_t i = 0; i < rows; i++) {
        length += (double)u[i] * (double)u[i];
    }
    const double sigma = sqrt(square / length);
    for (int64_t i = 0; i < rows * pair->factors.rank; i++) {
        sum += (double)a[i] * (double)pair->p[i] / sigma;
    }
    for (int64_t i = 0; i < cols * pair->factors.rank; i++) {
        sum += (double)b[i] * (double)pair->qt[i];
    }
    free(product);
    return sum;
}

static double slope(const struct pair *pair, float *parameter, const float *u, const float *a,
                    const float *b)
{
    const float kept = *parameter;
    *parameter = kept + 0x1p-9f;
    const double up = loss(pair, u, a, b);
    const double high = (double)*parameter;
    *parameter = kept - 0x1p-9f;
    const double down = loss(pair, u, a, b);
    const double low = (double)*parameter;
    *parameter = kept;
    return (up - down) / (high - low);
}

START_TEST(the_backward_pass_of_sigma_is_that_of_finite_differences)
{
    enum { ROWS = 9, COLS = 7, RANK = 3 };
    struct pair pair = pair_of(ROWS, COLS, RANK);
    float *a = random_matrix(ROWS, RANK, 5);
    float *b = random_matrix(COLS, RANK, 6);
    float *u = random_matrix(ROWS, 1, 7);
    const sfi_sigma sigma = iterate(&pair, 1, u);
    memcpy(pair.gradient_qt, b, COLS * RANK * sizeof(float));
    sfi_sigma_backward(&pair.factors, &sigma, a, pair.gradient_p, pair.gradient_qt, pair.scratch);
    for (int i = 0; i < ROWS * RANK; i++) {
        ck_assert_double_eq_tol((double)pair.gradient_p[i], slope(&pair, &pair.p[i], u, a, b),
                                2e-5);
    }
    for (int i = 0; i < COLS * RANK; i++) {
        ck_assert_double_eq_tol((double)pair.gradient_qt[i], slope(&pair, &pair.qt[i], u, a, b),
                                2e-5);
    }
    free(a);
    free(b);
    free(u);
    pair_free(&pair);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("norms");
    TCase *tests = tcase_create("norms");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, decay_is_half_the_squared_norm_of_the_product_and_its_gradients);
    tcase_add_test(tests, decay_refuses_what_is_not_finite_and_what_float_cannot_hold);
    tcase_add_test(tests, power_iteration_converges_to_the_largest_singular_value);
    tcase_add_test(tests, evaluation_repeats_the_sigma_of_the_last_step_and_leaves_u_alone);
    tcase_add_test(tests, sigma_takes_huge_and_tiny_factors_and_refuses_zero_and_nan);
    tcase_add_test(tests, the_backward_pass_of_sigma_is_that_of_finite_differences);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
