/* SPDX-License-Identifier: BSD-2-Clause */
/* The KL term as programs ask for it: of a matrix, of a layer, of a run. */
#include "nets.h"

static sfconv_context *context;

static void open_context(void)
{
    context = public_context(2, SFCONV_ISA_BEST);
}

static void close_context(void)
{
    sfconv_context_destroy(context);
}

/* A factorized layer, its factors as they are made, and a run of it in training. */
struct subject {
    sfconv_layer *layer;
    sfconv_run *run;
    sfconv_view factor[2];
    float *start[2];
};

static struct subject subject_of(int64_t rank, int32_t kind)
{
    const int64_t channels = 80;
    const sfconv_shape shape = {1, channels, 4, 4};
    struct subject made = {.layer = new_sfconv(context, channels, channels, rank, kind, 0, 3)};
    ck_assert_int_eq(
        sfconv_run_create_for_layer(&made.run, made.layer, &channels, 1, SFCONV_MODE_TRAINING),
        SFCONV_OK);
    ck_assert_int_eq(sfconv_run_reshape(made.run, &shape, 1, NULL, 0), SFCONV_OK);
    for (int32_t i = 0; i < 2; i++) {
        sfconv_parameter_info info = SFCONV_PARAMETER_INFO_INIT;
        ck_assert_int_eq(sfconv_layer_parameter(made.layer, i, &info), SFCONV_OK);
        made.factor[i] = info.view;
        const size_t bytes = (size_t)sfconv_view_count(&info.view) * sizeof(float);
        made.start[i] = malloc(bytes);
        ck_assert_ptr_nonnull(made.start[i]);
        memcpy(made.start[i], info.view.data, bytes);
    }
    return made;
}

static void subject_free(struct subject *subject)
{
    sfconv_run_destroy(subject->run);
    sfconv_layer_destroy(subject->layer);
    free(subject->start[0]);
    free(subject->start[1]);
}

/* Both factors as they were made, times 2^exponent. */
static void scale_factors(const struct subject *subject, int exponent)
{
    for (int32_t i = 0; i < 2; i++) {
        for (int64_t k = 0; k < sfconv_view_count(&subject->factor[i]); k++) {
            subject->factor[i].data[k] = ldexpf(subject->start[i][k], exponent);
        }
    }
}

/* Values that differ by rounding at most. */
static void check_value(double value, double expected)
{
    ck_assert_double_le(fabs(value - expected), 1e-5 * expected);
}

static double regularize(const struct subject *subject)
{
    double value = NAN;
    ck_assert_int_eq(sfconv_run_zero_gradients(subject->run), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_regularize(subject->run, &value), SFCONV_OK);
    return value;
}

static sfconv_view gradient_of(const struct subject *subject, int32_t factor)
{
    sfconv_view view;
    ck_assert_int_eq(sfconv_run_parameter_gradient(subject->run, factor, &view), SFCONV_OK);
    return view;
}

/* |scaled * 2^exponent - plain| <= 1e-5 |plain| */
static void check_scaled(int64_t count, const float *scaled, int exponent, const float *plain)
{
    double square = 0;
    double error = 0;
    for (int64_t i = 0; i < count; i++) {
        square += (double)plain[i] * plain[i];
        error += pow(ldexp(scaled[i], exponent) - plain[i], 2);
    }
    ck_assert_msg(sqrt(error) <= 1e-5 * sqrt(square), "times 2^%d: error %g of %g", exponent,
                  sqrt(error), sqrt(square));
}

static void check_scales_of_layer(int64_t rank, int32_t kind)
{
    struct subject plain = subject_of(rank, kind);
    struct subject scaled = subject_of(rank, kind);
    const double term = regularize(&plain);
    double expected;
    ck_assert_int_eq(sfconv_layer_regularizer(plain.layer, SFCONV_SVD_EXACT, &expected), SFCONV_OK);
    for (int exponent = -80; exponent <= 80; exponent += 8) {
        scale_factors(&scaled, exponent);
        check_value(regularize(&scaled), term);
        for (int32_t method = SFCONV_SVD_GRAM; method <= SFCONV_SVD_EXACT; method++) {
            double value;
            ck_assert_int_eq(sfconv_layer_regularizer(scaled.layer, method, &value), SFCONV_OK);
            check_value(value, expected);
        }
        for (int32_t i = 0; i < 2; i++) {
            const sfconv_view from = gradient_of(&plain, i);
            const sfconv_view to = gradient_of(&scaled, i);
            check_scaled(sfconv_view_count(&from), to.data, exponent, from.data);
        }
    }
    subject_free(&plain);
    subject_free(&scaled);
}

START_TEST(the_scale_of_factors_is_that_of_their_gradients_alone)
{
    const int64_t ranks[] = {1, 2, 8, 12, 40, 70};
    for (int r = 0; r < 6; r++) {
        check_scales_of_layer(ranks[r], SFCONV_REGULARIZER_KL);
        check_scales_of_layer(ranks[r], SFCONV_REGULARIZER_KL_REVERSE);
    }
}
END_TEST

#define ROWS 90

/* The term of `matrix`, whose gradient goes to `gradient`. */
static double term_of(float *matrix, int64_t columns, int32_t kind, int32_t method, float *gradient)
{
    const int64_t shape[] = {ROWS, columns};
    sfconv_view from, to;
    double value;
    memset(gradient, 0, (size_t)(ROWS * columns) * sizeof(float));
    ck_assert_int_eq(sfconv_view_init(&from, matrix, 2, shape), SFCONV_OK);
    ck_assert_int_eq(sfconv_view_init(&to, gradient, 2, shape), SFCONV_OK);
    ck_assert_int_eq(sfconv_kl(context, &from, kind, method, 1, &value, &to), SFCONV_OK);
    return value;
}

static void check_scales_of_matrix(int64_t columns, int32_t kind, int32_t method)
{
    float matrix[ROWS * ROWS], scaled[ROWS * ROWS], plain[ROWS * ROWS], gradient[ROWS * ROWS];
    fill_floats(matrix, ROWS * columns, 5);
    const double value = term_of(matrix, columns, kind, method, plain);
    for (int exponent = -80; exponent <= 80; exponent += 8) {
        for (int64_t i = 0; i < ROWS * columns; i++) {
            scaled[i] = ldexpf(matrix[i], exponent);
        }
        check_value(term_of(scaled, columns, kind, method, gradient), value);
        check_scaled(ROWS * columns, gradient, exponent, plain);
    }
}

START_TEST(the_scale_of_a_matrix_is_that_of_its_gradient_alone)
{
    const int64_t columns[] = {1, 2, 8, 40, 70};
    for (int c = 0; c < 5; c++) {
        for (int32_t method = SFCONV_SVD_GRAM; method <= SFCONV_SVD_EXACT; method++) {
            check_scales_of_matrix(columns[c], SFCONV_REGULARIZER_KL, method);
            check_scales_of_matrix(columns[c], SFCONV_REGULARIZER_KL_REVERSE, method);
        }
    }
}
END_TEST

START_TEST(a_matrix_of_zeros_is_refused_whatever_its_columns)
{
    for (int64_t columns = 1; columns < 4; columns++) {
        for (int32_t method = SFCONV_SVD_GRAM; method <= SFCONV_SVD_EXACT; method++) {
            const int64_t shape[] = {5, columns};
            float zeros[15] = {0};
            float gradient[15] = {0};
            sfconv_view from, to;
            double value = -1;
            ck_assert_int_eq(sfconv_view_init(&from, zeros, 2, shape), SFCONV_OK);
            ck_assert_int_eq(sfconv_view_init(&to, gradient, 2, shape), SFCONV_OK);
            ck_assert_int_eq(
                sfconv_kl(context, &from, SFCONV_REGULARIZER_KL, method, 1, &value, &to),
                SFCONV_ERROR_NUMERIC);
            ck_assert(reason_holds(context, "all singular values are zero"));
            ck_assert_double_eq(value, -1);
        }
    }
}
END_TEST

START_TEST(factors_of_zeros_are_refused_whatever_their_rank)
{
    for (int64_t rank = 1; rank < 4; rank++) {
        struct subject subject = subject_of(rank, SFCONV_REGULARIZER_KL);
        sfconv_spectrum spectrum = SFCONV_SPECTRUM_INIT;
        double value = -1;
        for (int32_t i = 0; i < 2; i++) {
            memset(subject.factor[i].data, 0,
                   (size_t)sfconv_view_count(&subject.factor[i]) * sizeof(float));
        }
        ck_assert_int_eq(sfconv_layer_svd_update(subject.layer, SFCONV_SVD_GRAM), SFCONV_OK);
        for (int32_t factor = SFCONV_FACTOR_P; factor <= SFCONV_FACTOR_Q; factor++) {
            ck_assert_int_eq(sfconv_layer_spectrum(subject.layer, factor, &spectrum),
                             SFCONV_ERROR_NUMERIC);
        }
        for (int32_t method = SFCONV_SVD_GRAM; method <= SFCONV_SVD_EXACT; method++) {
            ck_assert_int_eq(sfconv_layer_regularizer(subject.layer, method, &value),
                             SFCONV_ERROR_NUMERIC);
        }
        ck_assert_int_eq(sfconv_run_regularize(subject.run, &value), SFCONV_ERROR_NUMERIC);
        ck_assert_double_eq(value, -1);
        ck_assert_int_eq(spectrum.count, 0);
        subject_free(&subject);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kl_calls");
    TCase *tests = tcase_create("kl_calls");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, open_context, close_context);
    tcase_add_test(tests, the_scale_of_factors_is_that_of_their_gradients_alone);
    tcase_add_test(tests, the_scale_of_a_matrix_is_that_of_its_gradient_alone);
    tcase_add_test(tests, a_matrix_of_zeros_is_refused_whatever_its_columns);
    tcase_add_test(tests, factors_of_zeros_are_refused_whatever_their_rank);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
