/* SPDX-License-Identifier: BSD-2-Clause */
/* The KL term of a factor taken where its layer keeps it, against the route that sees a matrix. */
#include "matrices.h"

#include "kl.h"

/* A factor of `rows` = count * inner rows, as P keeps itself, or as Q where `lying`. */
struct factor {
    sfi_factor_view view;
    float *weight;
    float *gradient;
    void *scratch;
    double value;
    const char *reason;
};

/* Where element (row, column) of the matrix is in the weight. */
static int64_t place_of(const sfi_factor_view *view, int64_t row, int64_t column)
{
    return view->lying
               ? column * view->count + row
               : (row / view->inner * view->rank + column) * view->inner + row % view->inner;
}

static struct factor factor_of(const float *matrix, int64_t count, int64_t inner, int64_t rank,
                               bool lying)
{
    struct factor factor = {.view = {rank, count, inner, lying, NULL}};
    int64_t bytes;
    const int64_t rows = count * inner;
    factor.view.weight = factor.weight = checked_memory((size_t)(rows * rank) * sizeof(float));
    factor.gradient = checked_memory((size_t)(rows * rank) * sizeof(float));
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < rank; j++) {
            factor.weight[place_of(&factor.view, i, j)] = matrix[i * rank + j];
        }
    }
    ck_assert(sfi_kl_scratch(&bytes, &factor.view));
    factor.scratch = aligned_alloc(64, (size_t)(bytes + 63) / 64 * 64);
    ck_assert_ptr_nonnull(factor.scratch);
    memset(factor.scratch, 0xff, (size_t)bytes);
    return factor;
}

static void evaluate(struct factor *factor, const sfk_table *kernels, sfi_kl_direction direction,
                     double scale)
{
    factor->reason = sfi_kl_evaluate(kernels, &factor->view, direction, scale, &factor->value,
                                     factor->gradient, factor->scratch);
}

static void factor_free(struct factor *factor)
{
    free(factor->weight);
    free(factor->gradient);
    free(factor->scratch);
}

/* Value and gradient of the matrix by way of its decomposition. */
static float *reference_gradient(int64_t rows, int64_t rank, const float *matrix,
                                 sfi_kl_direction direction, double *value)
{
    sfconv_context *context = context_with_workers(1);
    sfi_svd svd;
    int64_t bytes;
    float *gradient = checked_memory((size_t)(rows * rank) * sizeof(float));
    ck_assert(sfi_svd_scratch(&bytes, rows, rank, SFI_SVD_EXACT));
    void *scratch = checked_memory((size_t)bytes);
    ck_assert_int_eq(sfi_svd_create(context, &svd, rank), SFCONV_OK);
    ck_assert_int_eq(sfi_svd_update(context, &svd, rows, matrix, SFI_SVD_EXACT, scratch),
                     SFCONV_OK);
    ck_assert_int_eq(sfi_kl_value(context, &svd, direction, value), SFCONV_OK);
    ck_assert_int_eq(
        sfi_kl_add_gradient(context, &svd, direction, 2, rows, matrix, gradient, scratch),
        SFCONV_OK);
    sfi_svd_destroy(context, &svd);
    sfi_context_release(context);
    free(scratch);
    return gradient;
}

/* Spectra from flat to steep: `steepness` is the condition number. */
static float *steep_matrix(int64_t rows, int64_t rank, double steepness)
{
    double *values = checked_memory((size_t)rank * sizeof(double));
    for (int64_t i = 0; i < rank; i++) {
        values[i] = pow(steepness, -(double)i / (double)(rank > 1 ? rank - 1 : 1));
    }
    float *matrix = matrix_with_spectrum(rows, rank, values, (uint64_t)rank);
    free(values);
    return matrix;
}

static void check_term(int64_t count, int64_t inner, int64_t rank, bool lying, double steepness,
                       sfi_kl_direction direction)
{
    const int64_t rows = count * inner;
    float *matrix = steep_matrix(rows, rank, steepness);
    double value;
    float *expected = reference_gradient(rows, rank, matrix, direction, &value);
    const double norm = norm_of(rows * rank, expected);
    uint64_t bits = 0;
    for (int32_t isa = SFCONV_ISA_REFERENCE; isa <= SFCONV_ISA_NEON; isa++) {
        const sfk_table *kernels = sfk_table_for(isa);
        if (!kernels) {
            continue;
        }
        struct factor factor = factor_of(matrix, count, inner, rank, lying);
        evaluate(&factor, kernels, direction, 2);
        ck_assert_ptr_null(factor.reason);
        ck_assert_double_eq_tol(factor.value, value, 1e-6 * (1 + value));
        for (int64_t i = 0; i < rows; i++) {
            for (int64_t j = 0; j < rank; j++) {
                const double got = (double)factor.gradient[place_of(&factor.view, i, j)];
                ck_assert_double_eq_tol(got, (double)expected[i * rank + j], 3e-6 * norm + 1e-8);
            }
        }
        uint64_t hash = 1469598103934665603u;
        for (int64_t i = 0; i < rows * rank; i++) {
            uint32_t word;
            memcpy(&word, &factor.gradient[i], sizeof word);
            hash = (hash ^ word) * 1099511628211u;
        }
        ck_assert(bits == 0 || hash == bits);
        bits = hash;
        factor_free(&factor);
    }
    free(expected);
    free(matrix);
}

START_TEST(a_factor_where_it_lies_has_the_term_of_its_matrix)
{
    const int64_t sizes[][3] = {{9, 1, 1},   {12, 1, 5},  {40, 3, 16},  {7, 5, 3},
                                {65, 3, 33}, {300, 1, 4}, {130, 2, 48}, {2, 100, 20}};
    const double steepness[] = {1.5, 10, 300, 1e4};
    for (int s = 0; s < 8; s++) {
        for (int k = 0; k < 4; k++) {
            for (int direction = SFI_KL_FORWARD; direction <= SFI_KL_REVERSE; direction++) {
                const sfi_kl_direction way = (sfi_kl_direction)direction;
                check_term(sizes[s][0], sizes[s][1], sizes[s][2], false, steepness[k], way);
                check_term(sizes[s][0] * sizes[s][1], 1, sizes[s][2], true, steepness[k], way);
            }
        }
    }
}
END_TEST

/* What the term of `matrix` has lost beside the full decomposition, as a part of it. */
static void check_losses(int64_t count, int64_t inner, int64_t rank, const float *matrix,
                         sfi_kl_direction direction, double value_limit, double gradient_limit)
{
    const int64_t rows = count * inner;
    double value;
    float *expected = reference_gradient(rows, rank, matrix, direction, &value);
    for (int lying = inner > 1 ? 0 : 1; lying < 2; lying++) {
        struct factor factor =
            factor_of(matrix, lying ? rows : count, lying ? 1 : inner, rank, lying);
        double error = 0;
        evaluate(&factor, sfk_table_for(sfk_best_isa(SFCONV_ISA_BEST)), direction, 2);
        ck_assert_ptr_null(factor.reason);
        for (int64_t i = 0; i < rows * rank; i++) {
            const int64_t place = place_of(&factor.view, i / rank, i % rank);
            error += pow((double)factor.gradient[place] - (double)expected[i], 2);
        }
        ck_assert_double_le(fabs(factor.value - value), value_limit * value);
        ck_assert_double_le(sqrt(error), gradient_limit * norm_of(rows * rank, expected));
        factor_free(&factor);
    }
    free(expected);
}

START_TEST(factors_as_layers_start_with_lose_millionths_of_the_term)
{
    const int64_t sizes[][3] = {
        {64, 3, 16}, {128, 3, 32}, {256, 3, 64}, {128, 1, 32}, {100, 1, 50}};
    for (int s = 0; s < 5; s++) {
        for (int direction = SFI_KL_FORWARD; direction <= SFI_KL_REVERSE; direction++) {
            float *matrix = random_matrix(sizes[s][0] * sizes[s][1], sizes[s][2], 40 + (uint64_t)s);
            check_losses(sizes[s][0], sizes[s][1], sizes[s][2], matrix, (sfi_kl_direction)direction,
                         2e-6, 2e-6);
            free(matrix);
        }
    }
}
END_TEST

START_TEST(nearly_equal_singular_values_lose_no_more_than_their_floats_have)
{
    const double steepness[] = {1.3, 1.1, 1.01, 1.001};
    for (int k = 0; k < 4; k++) {
        for (int direction = SFI_KL_FORWARD; direction <= SFI_KL_REVERSE; direction++) {
            float *matrix = steep_matrix(384, 32, steepness[k]);
            const double limit = 2e-6 + 5e-7 / (steepness[k] - 1);
            check_losses(128, 3, 32, matrix, (sfi_kl_direction)direction, limit, limit);
            free(matrix);
        }
    }
}
END_TEST

START_TEST(no_condition_number_is_between_the_two_ways)
{
    for (double steepness = 1.5; steepness < 12; steepness *= 1.1) {
        float *matrix = steep_matrix(120, 24, steepness);
        check_losses(40, 3, 24, matrix, SFI_KL_FORWARD, 1e-6, 3e-6);
        free(matrix);
    }
}
END_TEST

/* `factor` is `plain` times 2^exponent. */
static void check_scaled(const struct factor *factor, const struct factor *plain, int exponent)
{
    const int64_t count = plain->view.rank * plain->view.count * plain->view.inner;
    double error = 0;
    ck_assert_ptr_null(factor->reason);
    ck_assert_double_eq_tol(factor->value, plain->value, 1e-6 * plain->value);
    for (int64_t i = 0; i < count; i++) {
        const double got = ldexp((double)factor->gradient[i], exponent);
        error += pow(got - (double)plain->gradient[i], 2);
    }
    ck_assert_msg(sqrt(error) <= 5e-6 * norm_of(count, plain->gradient),
                  "rank %d times 2^%d: error %g of %g", (int)plain->view.rank, exponent,
                  sqrt(error), norm_of(count, plain->gradient));
}

static void check_scales(int64_t count, int64_t inner, int64_t rank, bool lying,
                         sfi_kl_direction direction)
{
    const sfk_table *kernels = sfk_table_for(sfk_best_isa(SFCONV_ISA_BEST));
    float *matrix = random_matrix(count * inner, rank, 8);
    struct factor plain = factor_of(matrix, count, inner, rank, lying);
    evaluate(&plain, kernels, direction, 1);
    for (int exponent = -80; exponent <= 80; exponent += 5) {
        struct factor factor = factor_of(matrix, count, inner, rank, lying);
        for (int64_t i = 0; i < count * inner * rank; i++) {
            factor.weight[i] = ldexpf(factor.weight[i], exponent);
        }
        evaluate(&factor, kernels, direction, 1);
        check_scaled(&factor, &plain, exponent);
        factor_free(&factor);
    }
    factor_free(&plain);
    free(matrix);
}

START_TEST(the_scale_of_a_factor_is_that_of_its_gradient_alone)
{
    const int64_t ranks[] = {2, 8, 12, 20, 40, 70};
    for (int r = 0; r < 6; r++) {
        for (int direction = SFI_KL_FORWARD; direction <= SFI_KL_REVERSE; direction++) {
            check_scales(90, 3, ranks[r], false, (sfi_kl_direction)direction);
            check_scales(250, 1, ranks[r], true, (sfi_kl_direction)direction);
        }
    }
}
END_TEST

START_TEST(a_factor_without_a_spectrum_is_refused_and_its_gradient_left_alone)
{
    const sfk_table *kernels = sfk_table_for(SFCONV_ISA_REFERENCE);
    for (int kind = 0; kind < 3; kind++) {
        float *matrix = random_matrix(20, 4, 3);
        for (int i = 0; i < 80; i++) {
            matrix[i] *= kind == 0 ? 0.0f : kind == 1 ? 1e-42f : 1.0f;
        }
        matrix[17] = kind == 2 ? INFINITY : matrix[17];
        struct factor factor = factor_of(matrix, 20, 1, 4, true);
        evaluate(&factor, kernels, SFI_KL_FORWARD, 1);
        ck_assert_ptr_nonnull(factor.reason);
        const char *expected[] = {"all singular values are zero", "beyond float", "infinity"};
        ck_assert_ptr_nonnull(strstr(factor.reason, expected[kind]));
        ck_assert_double_eq(norm_of(80, factor.gradient), 0);
        factor_free(&factor);
        free(matrix);
    }
}
END_TEST

START_TEST(a_factor_of_one_column_has_no_term_and_is_refused_where_it_is_zero)
{
    for (int zero = 0; zero < 2; zero++) {
        float *matrix = random_matrix(20, 1, 3);
        memset(matrix, 0, zero ? 20 * sizeof(float) : 0);
        struct factor factor = factor_of(matrix, 20, 1, 1, true);
        factor.value = 5;
        evaluate(&factor, sfk_table_for(SFCONV_ISA_REFERENCE), SFI_KL_REVERSE, 1);
        ck_assert_int_eq(factor.reason != NULL, zero);
        ck_assert_double_eq(factor.value, zero ? 5 : 0);
        ck_assert_double_eq(norm_of(20, factor.gradient), 0);
        factor_free(&factor);
        free(matrix);
    }
}
END_TEST

START_TEST(equal_singular_values_give_no_gradient_in_float_either)
{
    const double equal[] = {3, 3, 3, 3, 3, 3};
    float *matrix = matrix_with_spectrum(60, 6, equal, 4);
    struct factor factor = factor_of(matrix, 20, 3, 6, false);
    evaluate(&factor, sfk_table_for(SFCONV_ISA_REFERENCE), SFI_KL_FORWARD, 1);
    ck_assert_ptr_null(factor.reason);
    ck_assert(factor.value >= 0 && factor.value < 1e-13);
    ck_assert_double_le(norm_of(360, factor.gradient), 1e-6);
    factor_free(&factor);
    free(matrix);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("factor_terms");
    TCase *tests = tcase_create("factor_terms");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, a_factor_where_it_lies_has_the_term_of_its_matrix);
    tcase_add_test(tests, factors_as_layers_start_with_lose_millionths_of_the_term);
    tcase_add_test(tests, nearly_equal_singular_values_lose_no_more_than_their_floats_have);
    tcase_add_test(tests, no_condition_number_is_between_the_two_ways);
    tcase_add_test(tests, the_scale_of_a_factor_is_that_of_its_gradient_alone);
    tcase_add_test(tests, a_factor_without_a_spectrum_is_refused_and_its_gradient_left_alone);
    tcase_add_test(tests, a_factor_of_one_column_has_no_term_and_is_refused_where_it_is_zero);
    tcase_add_test(tests, equal_singular_values_give_no_gradient_in_float_either);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
