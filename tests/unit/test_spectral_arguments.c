/* SPDX-License-Identifier: BSD-2-Clause */
/* What the door of spectra refuses, and that a refusal changes nothing. */
#include "support.h"

#include "sfconv/sfconv.h"

#include <math.h>
#include <string.h>

static sfconv_context *context;

static void open_context(void)
{
    ck_assert_int_eq(sfconv_context_create(&context, NULL), SFCONV_OK);
}

static void close_context(void)
{
    sfconv_context_destroy(context);
}

static void check_reason(const char *call, const char *field)
{
    const char *reason = sfconv_context_last_error(context);
    ck_assert_msg(strstr(reason, call) && strstr(reason, field), "%s, %s: \"%s\"", call, field,
                  reason);
}

static sfconv_sfconv2d_desc good_sfconv2d(void)
{
    sfconv_sfconv2d_desc desc = SFCONV_SFCONV2D_DESC_INIT;
    desc.in_channels = 4;
    desc.out_channels = 6;
    desc.rank = 2;
    return desc;
}

static sfconv_layer *make_factorized(void)
{
    const sfconv_sfconv2d_desc desc = good_sfconv2d();
    sfconv_layer *layer;
    ck_assert_int_eq(sfconv_sfconv2d_create(&layer, context, &desc), SFCONV_OK);
    return layer;
}

static sfconv_layer *make_dense(int64_t groups)
{
    sfconv_conv2d_desc desc = SFCONV_CONV2D_DESC_INIT;
    sfconv_layer *layer;
    desc.in_channels = 4;
    desc.out_channels = 6;
    desc.groups = groups;
    ck_assert_int_eq(sfconv_conv2d_create(&layer, context, &desc), SFCONV_OK);
    return layer;
}

START_TEST(a_regularizer_out_of_range_leaves_the_former_one)
{
    sfconv_layer *layer = make_factorized();
    sfconv_layer *dense = make_dense(1);
    double before, after;
    ck_assert_int_eq(sfconv_sfconv2d_set_regularizer(layer, SFCONV_REGULARIZER_KL, 0.5), SFCONV_OK);
    ck_assert_int_eq(sfconv_layer_regularizer(layer, SFCONV_SVD_GRAM, &before), SFCONV_OK);
    ck_assert_int_eq(sfconv_sfconv2d_set_regularizer(layer, -1, 0.5), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_sfconv2d_set_regularizer(layer, 4, 0.5), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_sfconv2d_set_regularizer(layer, 2, -1), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_sfconv2d_set_regularizer(layer, 2, NAN), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_sfconv2d_set_regularizer(layer, 2, INFINITY), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_sfconv2d_set_regularizer(NULL, 2, 1), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_sfconv2d_set_regularizer(dense, 2, 1), SFCONV_ERROR_UNSUPPORTED);
    ck_assert_int_eq(sfconv_layer_regularizer(layer, SFCONV_SVD_GRAM, &after), SFCONV_OK);
    ck_assert_double_eq(before, after);
    sfconv_layer_destroy(dense);
    sfconv_layer_destroy(layer);
}
END_TEST

START_TEST(spectra_refuse_what_they_cannot_measure)
{
    sfconv_layer *layer = make_factorized();
    sfconv_layer *dense = make_dense(1);
    sfconv_spectrum spectrum = SFCONV_SPECTRUM_INIT;
    double values[2] = {-1, -1};
    double value = -1;
    int64_t count = -1;
    ck_assert_int_eq(sfconv_layer_svd_update(NULL, 1), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_svd_update(layer, 0), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_svd_update(layer, 3), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_svd_update(dense, 1), SFCONV_ERROR_UNSUPPORTED);
    check_reason("sfconv_layer_svd_update", "expected an sfconv2d, got a conv2d");
    ck_assert_int_eq(sfconv_layer_singular_values(layer, 1, values, 2, &count), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_layer_svd_update(layer, 1), SFCONV_OK);
    ck_assert_int_eq(sfconv_layer_spectrum(NULL, 1, &spectrum), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_spectrum(layer, 1, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_spectrum(layer, 0, &spectrum), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_spectrum(layer, 3, &spectrum), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_spectrum(dense, 1, &spectrum), SFCONV_ERROR_UNSUPPORTED);
    ck_assert_int_eq(spectrum.count, 0);
    ck_assert_int_eq(sfconv_layer_singular_values(layer, 4, values, 2, &count),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_singular_values(layer, 1, NULL, 2, &count),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_singular_values(layer, 1, values, 2, NULL),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_singular_values(layer, 1, values, 1, &count),
                     SFCONV_ERROR_ARGUMENT);
    check_reason("sfconv_layer_singular_values", "capacity");
    ck_assert_int_eq(sfconv_layer_regularizer(layer, 0, &value), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_regularizer(layer, 1, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_regularizer(dense, 1, &value), SFCONV_ERROR_UNSUPPORTED);
    ck_assert_double_eq(values[0], -1);
    ck_assert_double_eq(value, -1);
    ck_assert_int_eq(count, -1);
    sfconv_layer_destroy(dense);
    sfconv_layer_destroy(layer);
}
END_TEST

START_TEST(kl_refuses_bad_matrices_and_leaves_the_outputs_alone)
{
    float data[6] = {1, 2, 3, 4, 5, 7};
    float target[6] = {0};
    const int64_t shape[] = {3, 2};
    const int64_t flat[] = {6};
    const int64_t turned[] = {2, 3};
    sfconv_view matrix, gradient, vector, other;
    double value = -1;
    ck_assert_int_eq(sfconv_view_init(&matrix, data, 2, shape), SFCONV_OK);
    ck_assert_int_eq(sfconv_view_init(&gradient, target, 2, shape), SFCONV_OK);
    ck_assert_int_eq(sfconv_view_init(&vector, data, 1, flat), SFCONV_OK);
    ck_assert_int_eq(sfconv_view_init(&other, target, 2, turned), SFCONV_OK);
    ck_assert_int_eq(sfconv_kl(NULL, &matrix, 1, 1, 1, &value, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_kl(context, NULL, 1, 1, 1, &value, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_kl(context, &matrix, 1, 1, 1, NULL, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_kl(context, &matrix, 0, 1, 1, &value, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_kl(context, &matrix, 3, 1, 1, &value, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_kl(context, &matrix, 1, 0, 1, &value, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_kl(context, &matrix, 1, 1, NAN, &value, &gradient),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_kl(context, &vector, 1, 1, 1, &value, NULL), SFCONV_ERROR_SHAPE);
    ck_assert_int_eq(sfconv_kl(context, &matrix, 1, 1, 1, &value, &other), SFCONV_ERROR_SHAPE);
    for (int method = SFCONV_SVD_GRAM; method <= SFCONV_SVD_EXACT; method++) {
        data[3] = NAN;
        ck_assert_int_eq(sfconv_kl(context, &matrix, 1, method, 1, &value, &gradient),
                         SFCONV_ERROR_NUMERIC);
        data[3] = INFINITY;
        ck_assert_int_eq(sfconv_kl(context, &matrix, 1, method, 1, &value, &gradient),
                         SFCONV_ERROR_NUMERIC);
        memset(data, 0, sizeof data);
        ck_assert_int_eq(sfconv_kl(context, &matrix, 1, method, 1, &value, &gradient),
                         SFCONV_ERROR_NUMERIC);
    }
    ck_assert_double_eq(value, -1);
    for (int i = 0; i < 6; i++) {
        ck_assert_float_eq(target[i], 0);
    }
}
END_TEST

START_TEST(factorizing_refuses_the_wrong_layers_and_ranks)
{
    sfconv_layer *layer = make_factorized();
    sfconv_layer *dense = make_dense(1);
    sfconv_layer *grouped = make_dense(2);
    sfconv_sfconv2d_desc desc = good_sfconv2d();
    sfconv_layer *made = dense;
    double error = -1;
    ck_assert_int_eq(sfconv_layer_compose(&made, dense), SFCONV_ERROR_UNSUPPORTED);
    ck_assert_ptr_null(made);
    ck_assert_int_eq(sfconv_layer_compose(&made, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_compose(NULL, layer), SFCONV_ERROR_ARGUMENT);
    made = dense;
    ck_assert_int_eq(sfconv_layer_decompose(&made, layer, &desc, &error, NULL, NULL),
                     SFCONV_ERROR_UNSUPPORTED);
    ck_assert_ptr_null(made);
    ck_assert_int_eq(sfconv_layer_decompose(&made, grouped, &desc, &error, NULL, NULL),
                     SFCONV_ERROR_UNSUPPORTED);
    ck_assert_int_eq(sfconv_layer_decompose(&made, NULL, &desc, &error, NULL, NULL),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_decompose(NULL, dense, &desc, &error, NULL, NULL),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_decompose(&made, dense, NULL, &error, NULL, NULL),
                     SFCONV_ERROR_ARGUMENT);
    desc.rank = 13;
    ck_assert_int_eq(sfconv_layer_decompose(&made, dense, &desc, &error, NULL, NULL),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_rebalance(NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_rebalance(dense), SFCONV_ERROR_UNSUPPORTED);
    ck_assert_int_eq(sfconv_layer_cut_rank(&made, layer, 0, &error), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_cut_rank(&made, layer, 3, &error), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_cut_rank(NULL, layer, 1, &error), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_cut_rank(&made, NULL, 1, &error), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_cut_rank(&made, dense, 1, &error), SFCONV_ERROR_UNSUPPORTED);
    ck_assert_double_eq(error, -1);
    sfconv_layer_destroy(grouped);
    sfconv_layer_destroy(dense);
    sfconv_layer_destroy(layer);
}
END_TEST

START_TEST(factors_that_are_not_finite_are_refused_and_stay_as_they_are)
{
    sfconv_layer *layer = make_factorized();
    sfconv_parameter_info info = SFCONV_PARAMETER_INFO_INIT;
    sfconv_layer *made = layer;
    float before[2 * 4 * 3];
    double error = -1;
    ck_assert_int_eq(sfconv_layer_parameter(layer, 0, &info), SFCONV_OK);
    info.view.data[5] = NAN;
    memcpy(before, info.view.data, sizeof before);
    ck_assert_int_eq(sfconv_layer_rebalance(layer), SFCONV_ERROR_NUMERIC);
    ck_assert_int_eq(sfconv_layer_cut_rank(&made, layer, 1, &error), SFCONV_ERROR_NUMERIC);
    ck_assert_ptr_null(made);
    ck_assert_mem_eq(before, info.view.data, sizeof before);
    ck_assert_double_eq(error, -1);
    sfconv_layer_destroy(layer);
}
END_TEST

START_TEST(rank_rules_and_budgets_refuse_settings_out_of_range)
{
    sfconv_layer *layer = make_factorized();
    sfconv_layer *grouped = make_dense(2);
    const sfconv_layer *layers[] = {layer, NULL};
    const sfconv_layer *unfit[] = {grouped};
    const int64_t kernel[2] = {3, 3};
    const int64_t bad_kernel[2] = {3, 0};
    const double macs[] = {NAN};
    int64_t rank = -1;
    ck_assert_int_eq(sfconv_rank_from_ratio(NULL, 4, 4, kernel, 1, 1), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_rank_from_ratio(&rank, 4, 4, NULL, 1, 1), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_rank_from_ratio(&rank, 0, 4, kernel, 1, 1), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_rank_from_ratio(&rank, 4, INT64_MAX, kernel, 1, 1),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_rank_from_ratio(&rank, 4, 4, bad_kernel, 1, 1), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_rank_from_ratio(&rank, 4, 4, kernel, NAN, 1), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_rank_from_ratio(&rank, 4, 4, kernel, 0, 1), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_rank_from_ratio(&rank, 4, 4, kernel, 1, 0), SFCONV_ERROR_ARGUMENT);
    const struct {
        const sfconv_layer *const *layers;
        int32_t count, kind;
        double budget;
        sfconv_status status;
    } cases[] = {
        {NULL, 1, 1, 1e6, SFCONV_ERROR_ARGUMENT},
        {layers, 0, 1, 1e6, SFCONV_ERROR_ARGUMENT},
        {layers, 2, 1, 1e6, SFCONV_ERROR_ARGUMENT},
        {layers, 1, 0, 1e6, SFCONV_ERROR_ARGUMENT},
        {layers, 1, 4, 1e6, SFCONV_ERROR_ARGUMENT},
        {layers, 1, SFCONV_BUDGET_PARAMETERS, 0, SFCONV_ERROR_ARGUMENT},
        {layers, 1, SFCONV_BUDGET_PARAMETERS, NAN, SFCONV_ERROR_ARGUMENT},
        {layers, 1, SFCONV_BUDGET_ENERGY, 1.01, SFCONV_ERROR_ARGUMENT},
        {layers, 1, SFCONV_BUDGET_ENERGY, -0.01, SFCONV_ERROR_ARGUMENT},
        {layers, 1, SFCONV_BUDGET_MACS, 1e6, SFCONV_ERROR_ARGUMENT},
        {unfit, 1, SFCONV_BUDGET_PARAMETERS, 1e6, SFCONV_ERROR_UNSUPPORTED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_int_eq(sfconv_choose_ranks(&rank, cases[i].layers, cases[i].count, cases[i].kind,
                                             cases[i].budget, macs, NULL, NULL),
                         cases[i].status);
    }
    ck_assert_int_eq(
        sfconv_choose_ranks(NULL, layers, 1, SFCONV_BUDGET_PARAMETERS, 1e6, NULL, NULL, NULL),
        SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(
        sfconv_choose_ranks(&rank, layers, 1, SFCONV_BUDGET_MACS, 1e6, NULL, NULL, NULL),
        SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(rank, -1);
    sfconv_layer_destroy(grouped);
    sfconv_layer_destroy(layer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spectral_arguments");
    TCase *tests = tcase_create("spectral_arguments");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, open_context, close_context);
    tcase_add_test(tests, a_regularizer_out_of_range_leaves_the_former_one);
    tcase_add_test(tests, spectra_refuse_what_they_cannot_measure);
    tcase_add_test(tests, kl_refuses_bad_matrices_and_leaves_the_outputs_alone);
    tcase_add_test(tests, factorizing_refuses_the_wrong_layers_and_ranks);
    tcase_add_test(tests, factors_that_are_not_finite_are_refused_and_stay_as_they_are);
    tcase_add_test(tests, rank_rules_and_budgets_refuse_settings_out_of_range);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
