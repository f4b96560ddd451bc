/* SPDX-License-Identifier: BSD-2-Clause */
#include "layer_harness.h"

#include "sfconv/sfconv.h"

static sfconv_context *context;

static void open_context(void)
{
    context = harness_context(2, sfk_best_isa(SFCONV_ISA_BEST));
}

static void close_context(void)
{
    sfi_context_release(context);
}

static sfconv_layer *make_dense(int64_t in, int64_t out, int64_t kh, int64_t kw)
{
    sfconv_conv2d_desc desc = SFCONV_CONV2D_DESC_INIT;
    sfconv_layer *layer;
    desc.in_channels = in;
    desc.out_channels = out;
    desc.kernel[0] = kh, desc.kernel[1] = kw;
    desc.has_bias = 1;
    desc.seed = 5;
    ck_assert_int_eq(sfconv_conv2d_create(&layer, context, &desc), SFCONV_OK);
    return layer;
}

static sfconv_sfconv2d_desc factor_desc(int64_t rank)
{
    sfconv_sfconv2d_desc desc = SFCONV_SFCONV2D_DESC_INIT;
    desc.in_channels = 6;
    desc.out_channels = 8;
    desc.kernel[0] = 3, desc.kernel[1] = 2;
    desc.rank = rank;
    desc.has_bias = 1;
    desc.seed = 5;
    return desc;
}

static sfconv_layer *make_factorized(int64_t rank)
{
    const sfconv_sfconv2d_desc desc = factor_desc(rank);
    sfconv_layer *layer;
    ck_assert_int_eq(sfconv_sfconv2d_create(&layer, context, &desc), SFCONV_OK);
    return layer;
}

static sfconv_layer *decompose(const sfconv_layer *dense, int64_t rank, double *error)
{
    const sfconv_sfconv2d_desc desc = factor_desc(rank);
    sfconv_layer *layer;
    ck_assert_int_eq(sfconv_layer_decompose(&layer, dense, &desc, error, NULL, NULL), SFCONV_OK);
    return layer;
}

static sfconv_view parameter_of(const sfconv_layer *layer, const char *name)
{
    sfconv_parameter_info info = SFCONV_PARAMETER_INFO_INIT;
    for (int32_t i = 0; i < sfconv_layer_parameter_count(layer); i++) {
        ck_assert_int_eq(sfconv_layer_parameter(layer, i, &info), SFCONV_OK);
        if (strcmp(info.name, name) == 0) {
            return info.view;
        }
    }
    ck_abort_msg("no parameter %s", name);
}

/* ‖a − b‖ / ‖a‖ of two dense weights. */
static double distance(const sfconv_layer *a, const sfconv_layer *b)
{
    const sfconv_view x = parameter_of(a, "weight");
    const sfconv_view y = parameter_of(b, "weight");
    double difference = 0;
    double square = 0;
    ck_assert_int_eq(sfconv_view_count(&x), sfconv_view_count(&y));
    for (int64_t i = 0; i < sfconv_view_count(&x); i++) {
        difference += pow((double)x.data[i] - y.data[i], 2);
        square += pow((double)x.data[i], 2);
    }
    return sqrt(difference / square);
}

static sfconv_layer *compose(const sfconv_layer *layer)
{
    sfconv_layer *dense;
    ck_assert_int_eq(sfconv_layer_compose(&dense, layer), SFCONV_OK);
    return dense;
}

/* Distance of the products of two factorized layers. */
static double product_distance(const sfconv_layer *a, const sfconv_layer *b)
{
    sfconv_layer *x = compose(a);
    sfconv_layer *y = compose(b);
    const double result = distance(x, y);
    sfconv_layer_destroy(x);
    sfconv_layer_destroy(y);
    return result;
}

START_TEST(full_rank_decomposition_equals_dense)
{
    sfconv_layer *dense = make_dense(6, 8, 3, 2);
    double error = -1;
    sfconv_layer *factorized = decompose(dense, 12, &error);
    sfconv_layer *back = compose(factorized);
    const sfi_shape in = {2, 6, 9, 7};
    harness one, two;
    ck_assert_double_le(error, 1e-7);
    ck_assert_double_le(distance(dense, back), 1e-6);
    harness_open(&one, dense, false, &in, 1);
    harness_open(&two, factorized, false, &in, 1);
    harness_forward(&one);
    harness_forward(&two);
    for (int64_t i = 0; i < harness_count(&one.out); i++) {
        ck_assert_double_eq_tol(harness_floats(&one.out)[i], harness_floats(&two.out)[i], 1e-5);
    }
    harness_close(&one);
    harness_close(&two);
    sfconv_layer_destroy(back);
    sfconv_layer_destroy(factorized);
    sfconv_layer_destroy(dense);
}
END_TEST

START_TEST(the_error_of_a_decomposition_is_exact)
{
    sfconv_layer *dense = make_dense(6, 8, 3, 2);
    double last = 1;
    for (int64_t rank = 1; rank <= 11; rank++) {
        double error;
        sfconv_layer *factorized = decompose(dense, rank, &error);
        sfconv_layer *back = compose(factorized);
        ck_assert_double_eq_tol(error, distance(dense, back), 1e-6);
        ck_assert_double_lt(error, last);
        last = error;
        sfconv_layer_destroy(back);
        sfconv_layer_destroy(factorized);
    }
    sfconv_layer_destroy(dense);
}
END_TEST

START_TEST(spectral_initialization_is_the_truncated_svd_of_the_dense_draw)
{
    sfconv_layer *dense = make_dense(6, 8, 3, 2);
    sfconv_layer *truncated = decompose(dense, 4, NULL);
    sfconv_sfconv2d_desc desc = factor_desc(4);
    sfconv_layer *drawn;
    desc.initialization = SFCONV_INITIALIZATION_SPECTRAL;
    ck_assert_int_eq(sfconv_sfconv2d_create(&drawn, context, &desc), SFCONV_OK);
    ck_assert_double_le(product_distance(truncated, drawn), 1e-6);
    ck_assert_int_eq(sfconv_layer_initialize(drawn, 6), SFCONV_OK);
    ck_assert_double_ge(product_distance(truncated, drawn), 0.5);
    sfconv_layer_destroy(drawn);
    sfconv_layer_destroy(truncated);
    sfconv_layer_destroy(dense);
}
END_TEST

START_TEST(an_svd_update_leaves_the_parameters_as_they_are)
{
    sfconv_layer *layer = make_factorized(5);
    const sfconv_view q = parameter_of(layer, "q.weight");
    const sfconv_view p = parameter_of(layer, "p.weight");
    float before[5 * 6 * 2 + 8 * 5 * 3];
    memcpy(before, q.data, 60 * sizeof(float));
    memcpy(before + 60, p.data, 120 * sizeof(float));
    ck_assert_int_eq(sfconv_layer_svd_update(layer, SFCONV_SVD_GRAM), SFCONV_OK);
    ck_assert_int_eq(sfconv_layer_svd_update(layer, SFCONV_SVD_EXACT), SFCONV_OK);
    ck_assert_mem_eq(before, q.data, 60 * sizeof(float));
    ck_assert_mem_eq(before + 60, p.data, 120 * sizeof(float));
    sfconv_layer_destroy(layer);
}
END_TEST

START_TEST(both_methods_find_the_same_singular_values)
{
    sfconv_layer *layer = make_factorized(5);
    double gram[5], exact[5];
    int64_t count;
    for (int32_t factor = SFCONV_FACTOR_P; factor <= SFCONV_FACTOR_Q; factor++) {
        double square = 0;
        ck_assert_int_eq(sfconv_layer_svd_update(layer, SFCONV_SVD_GRAM), SFCONV_OK);
        ck_assert_int_eq(sfconv_layer_singular_values(layer, factor, gram, 5, &count), SFCONV_OK);
        ck_assert_int_eq(count, 5);
        ck_assert_int_eq(sfconv_layer_svd_update(layer, SFCONV_SVD_EXACT), SFCONV_OK);
        ck_assert_int_eq(sfconv_layer_singular_values(layer, factor, exact, 5, &count), SFCONV_OK);
        for (int i = 0; i < 5; i++) {
            ck_assert_double_eq_tol(gram[i], exact[i], 1e-7 * exact[0]);
            square += exact[i] * exact[i];
        }
        const sfconv_view view =
            parameter_of(layer, factor == SFCONV_FACTOR_P ? "p.weight" : "q.weight");
        ck_assert_double_eq_tol(square, harness_dot(view.data, view.data, sfconv_view_count(&view)),
                                1e-6);
    }
    sfconv_layer_destroy(layer);
}
END_TEST

START_TEST(measures_follow_from_the_singular_values)
{
    sfconv_layer *layer = make_factorized(5);
    sfconv_spectrum spectrum = SFCONV_SPECTRUM_INIT;
    double s[5];
    double sum = 0, entropy = 0, reverse = 0;
    int64_t count;
    ck_assert_int_eq(sfconv_layer_spectrum(layer, SFCONV_FACTOR_P, &spectrum), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_layer_svd_update(layer, SFCONV_SVD_EXACT), SFCONV_OK);
    ck_assert_int_eq(sfconv_layer_spectrum(layer, SFCONV_FACTOR_P, &spectrum), SFCONV_OK);
    ck_assert_int_eq(sfconv_layer_singular_values(layer, SFCONV_FACTOR_P, s, 5, &count), SFCONV_OK);
    for (int i = 0; i < 5; i++) {
        sum += s[i];
    }
    for (int i = 0; i < 5; i++) {
        entropy -= s[i] / sum * log(s[i] / sum);
        reverse += log(0.2 / (s[i] / sum)) / 5;
    }
    ck_assert_int_eq(spectrum.count, 5);
    ck_assert_double_eq(spectrum.largest, s[0]);
    ck_assert_double_eq(spectrum.smallest, s[4]);
    ck_assert_double_eq_tol(spectrum.condition, s[0] / s[4], 1e-12);
    ck_assert_double_eq_tol(spectrum.effective_rank, exp(entropy), 1e-12);
    ck_assert_double_eq_tol(spectrum.kl, log(5) - entropy, 1e-12);
    ck_assert_double_eq_tol(spectrum.kl_reverse, reverse, 1e-12);
    sfconv_layer_destroy(layer);
}
END_TEST

START_TEST(an_update_that_fails_keeps_the_former_spectrum)
{
    sfconv_layer *layer = make_factorized(5);
    double before[5], after[5];
    int64_t count;
    ck_assert_int_eq(sfconv_layer_svd_update(layer, SFCONV_SVD_GRAM), SFCONV_OK);
    ck_assert_int_eq(sfconv_layer_singular_values(layer, SFCONV_FACTOR_P, before, 5, &count),
                     SFCONV_OK);
    parameter_of(layer, "p.weight").data[0] = 7;
    parameter_of(layer, "q.weight").data[7] = INFINITY;
    ck_assert_int_eq(sfconv_layer_svd_update(layer, SFCONV_SVD_GRAM), SFCONV_ERROR_NUMERIC);
    ck_assert_ptr_nonnull(strstr(sfconv_context_last_error(context), "q.weight"));
    ck_assert_int_eq(sfconv_layer_singular_values(layer, SFCONV_FACTOR_P, after, 5, &count),
                     SFCONV_OK);
    ck_assert_mem_eq(before, after, sizeof before);
    sfconv_layer_destroy(layer);
}
END_TEST

START_TEST(rebalancing_keeps_the_product_and_makes_the_spectra_of_both_factors_equal)
{
    sfconv_layer *layer = make_factorized(5);
    sfconv_layer *before = compose(layer);
    double p[5], q[5], product[5];
    int64_t count;
    ck_assert_int_eq(sfconv_layer_rebalance(layer), SFCONV_OK);
    sfconv_layer *after = compose(layer);
    ck_assert_double_le(distance(before, after), 1e-6);
    ck_assert_int_eq(sfconv_layer_svd_update(layer, SFCONV_SVD_EXACT), SFCONV_OK);
    ck_assert_int_eq(sfconv_layer_singular_values(layer, SFCONV_FACTOR_P, p, 5, &count), SFCONV_OK);
    ck_assert_int_eq(sfconv_layer_singular_values(layer, SFCONV_FACTOR_Q, q, 5, &count), SFCONV_OK);
    ck_assert_int_eq(sfconv_layer_singular_values(layer, SFCONV_FACTOR_PRODUCT, product, 5, &count),
                     SFCONV_OK);
    for (int i = 0; i < 5; i++) {
        ck_assert_double_eq_tol(p[i], q[i], 1e-6);
        ck_assert_double_eq_tol(p[i] * q[i], product[i], 1e-5);
    }
    sfconv_layer_destroy(after);
    sfconv_layer_destroy(before);
    sfconv_layer_destroy(layer);
}
END_TEST

START_TEST(cutting_the_rank_is_the_best_cut_and_says_its_exact_error)
{
    sfconv_layer *layer = make_factorized(5);
    sfconv_layer *dense = compose(layer);
    for (int64_t rank = 1; rank <= 5; rank++) {
        double error, best;
        sfconv_layer *cut;
        ck_assert_int_eq(sfconv_layer_cut_rank(&cut, layer, rank, &error), SFCONV_OK);
        ck_assert_int_eq(sfconv_sfconv2d_rank(cut), rank);
        ck_assert_double_eq_tol(error, product_distance(layer, cut), 1e-6);
        /* Eckart and Young: no matrix of this rank is nearer than the truncated decomposition. */
        sfconv_layer *truncated = decompose(dense, rank, &best);
        ck_assert_double_eq_tol(error, best, 1e-6);
        ck_assert_mem_eq(parameter_of(cut, "bias").data, parameter_of(layer, "bias").data,
                         8 * sizeof(float));
        sfconv_layer_destroy(truncated);
        sfconv_layer_destroy(cut);
    }
    sfconv_layer_destroy(dense);
    sfconv_layer_destroy(layer);
}
END_TEST

START_TEST(kl_takes_any_strides_and_both_orientations)
{
    float tall[5 * 3], wide[3 * 8] = {0};
    float tall_gradient[5 * 3], wide_gradient[3 * 8];
    const int64_t tall_shape[] = {5, 3};
    sfconv_view matrix, gradient;
    double tall_value, wide_value;
    harness_fill(tall, 15, 1);
    harness_fill(tall_gradient, 15, 2);
    ck_assert_int_eq(sfconv_view_init(&matrix, tall, 2, tall_shape), SFCONV_OK);
    ck_assert_int_eq(sfconv_view_init(&gradient, tall_gradient, 2, tall_shape), SFCONV_OK);
    /* Row i of the wide one, in a matrix of pitch 8, is column i of the tall one. */
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 5; j++) {
            wide[i * 8 + j] = tall[j * 3 + i];
            wide_gradient[i * 8 + j] = tall_gradient[j * 3 + i];
        }
    }
    const sfconv_view wide_matrix = {wide, 2, 0, {3, 5}, {8, 1}};
    const sfconv_view wide_target = {wide_gradient, 2, 0, {3, 5}, {8, 1}};
    ck_assert_int_eq(sfconv_kl(context, &matrix, SFCONV_REGULARIZER_KL, SFCONV_SVD_GRAM, 0.5,
                               &tall_value, &gradient),
                     SFCONV_OK);
    ck_assert_int_eq(sfconv_kl(context, &wide_matrix, SFCONV_REGULARIZER_KL, SFCONV_SVD_GRAM, 0.5,
                               &wide_value, &wide_target),
                     SFCONV_OK);
    ck_assert_double_eq(tall_value, wide_value);
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 5; j++) {
            ck_assert_float_eq(wide_gradient[i * 8 + j], tall_gradient[j * 3 + i]);
        }
    }
}
END_TEST

START_TEST(flat_spectra_have_no_kl_and_rank_one_has_log_r)
{
    float flat[4 * 3] = {2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0};
    float one[4 * 3] = {1, 2, 3, 2, 4, 6, 3, 6, 9, 4, 8, 12};
    const int64_t shape[] = {4, 3};
    sfconv_view view;
    double value;
    ck_assert_int_eq(sfconv_view_init(&view, flat, 2, shape), SFCONV_OK);
    ck_assert_int_eq(
        sfconv_kl(context, &view, SFCONV_REGULARIZER_KL, SFCONV_SVD_GRAM, 0, &value, NULL),
        SFCONV_OK);
    ck_assert_double_eq_tol(value, 0, 1e-12);
    view.data = one;
    ck_assert_int_eq(
        sfconv_kl(context, &view, SFCONV_REGULARIZER_KL, SFCONV_SVD_EXACT, 0, &value, NULL),
        SFCONV_OK);
    ck_assert_double_eq_tol(value, log(3), 1e-6);
}
END_TEST

START_TEST(ranks_follow_the_published_rule)
{
    const int64_t three[2] = {3, 3};
    const int64_t one[2] = {1, 1};
    const struct {
        int64_t in, out;
        const int64_t *kernel;
        double ratio;
        int64_t min_rank, expected;
    } cases[] = {
        {64, 64, three, 1.0 / 32, 1, 2},   {3, 64, three, 1.0 / 32, 1, 1},
        {512, 256, three, 1.0 / 32, 1, 8}, {80, 80, three, 1.0 / 32, 1, 2},
        {112, 112, three, 1.0 / 32, 1, 4}, {64, 64, three, 1.0 / 32, 4, 4},
        {3, 64, three, 100, 1, 9},         {4, 64, one, 2, 1, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t rank = -1;
        ck_assert_int_eq(sfconv_rank_from_ratio(&rank, cases[i].in, cases[i].out, cases[i].kernel,
                                                cases[i].ratio, cases[i].min_rank),
                         SFCONV_OK);
        ck_assert_int_eq(rank, cases[i].expected);
    }
}
END_TEST

START_TEST(chosen_ranks_stay_within_the_budget_of_parameters)
{
    sfconv_layer *dense = make_dense(6, 8, 3, 2);
    sfconv_layer *factorized = make_factorized(5);
    const sfconv_layer *layers[] = {dense, factorized};
    /* Each unit of rank costs 8·3 + 6·2 = 36 numbers in either. */
    for (int64_t units = 2; units <= 17; units++) {
        int64_t ranks[2] = {-1, -1};
        ck_assert_int_eq(sfconv_choose_ranks(ranks, layers, 2, SFCONV_BUDGET_PARAMETERS,
                                             36.0 * units + 0.5, NULL, NULL, NULL),
                         SFCONV_OK);
        ck_assert_int_eq(ranks[0] + ranks[1], units);
        ck_assert(ranks[0] >= 1 && ranks[1] >= 1 && ranks[0] <= 12 && ranks[1] <= 5);
    }
    int64_t ranks[2] = {-1, -1};
    ck_assert_int_eq(
        sfconv_choose_ranks(ranks, layers, 2, SFCONV_BUDGET_PARAMETERS, 71, NULL, NULL, NULL),
        SFCONV_ERROR_SHAPE);
    ck_assert_ptr_nonnull(strstr(sfconv_context_last_error(context), "72"));
    ck_assert_int_eq(ranks[0], -1);
    sfconv_layer_destroy(factorized);
    sfconv_layer_destroy(dense);
}
END_TEST

START_TEST(a_cheaper_layer_gets_the_ranks_of_a_budget_of_macs)
{
    sfconv_layer *layer = make_factorized(5);
    const sfconv_layer *layers[] = {layer, layer};
    const double macs[] = {1000, 10};
    int64_t ranks[2];
    ck_assert_int_eq(
        sfconv_choose_ranks(ranks, layers, 2, SFCONV_BUDGET_MACS, 1050, macs, NULL, NULL),
        SFCONV_OK);
    ck_assert_int_eq(ranks[0], 1);
    ck_assert_int_eq(ranks[1], 5);
    sfconv_layer_destroy(layer);
}
END_TEST

START_TEST(a_budget_of_energy_gives_each_layer_its_least_rank)
{
    sfconv_layer *dense = make_dense(6, 8, 3, 2);
    const sfconv_layer *layers[] = {dense};
    for (double energy = 0; energy <= 1; energy += 0.125) {
        int64_t rank;
        double error;
        ck_assert_int_eq(
            sfconv_choose_ranks(&rank, layers, 1, SFCONV_BUDGET_ENERGY, energy, NULL, NULL, NULL),
            SFCONV_OK);
        sfconv_layer *kept = decompose(dense, rank, &error);
        ck_assert_double_ge(1 - error * error, energy - 1e-12);
        sfconv_layer_destroy(kept);
        if (rank > 1) {
            kept = decompose(dense, rank - 1, &error);
            ck_assert_double_lt(1 - error * error, energy);
            sfconv_layer_destroy(kept);
        }
    }
    sfconv_layer_destroy(dense);
}
END_TEST

static int32_t cancel(void *user, double part)
{
    ++*(int *)user;
    ck_assert(part >= 0 && part <= 1);
    return 1;
}

START_TEST(long_work_can_be_cancelled_and_leaves_nothing)
{
    sfconv_layer *dense = make_dense(6, 8, 3, 2);
    const sfconv_layer *layers[] = {dense};
    const sfconv_sfconv2d_desc desc = factor_desc(4);
    sfconv_layer *factorized = dense;
    double error = -1;
    int64_t rank = -1;
    int calls = 0;
    ck_assert_int_eq(sfconv_layer_decompose(&factorized, dense, &desc, &error, cancel, &calls),
                     SFCONV_ERROR_CANCELLED);
    ck_assert_ptr_null(factorized);
    ck_assert_double_eq(error, -1);
    ck_assert_int_eq(
        sfconv_choose_ranks(&rank, layers, 1, SFCONV_BUDGET_ENERGY, 0.5, NULL, cancel, &calls),
        SFCONV_ERROR_CANCELLED);
    ck_assert_int_eq(rank, -1);
    ck_assert_int_eq(calls, 2);
    sfconv_layer_destroy(dense);
}
END_TEST

START_TEST(a_decomposition_takes_everything_else_from_the_dense_layer)
{
    sfconv_layer *dense = make_dense(6, 8, 3, 2);
    sfconv_sfconv2d_desc desc = factor_desc(0);
    sfconv_layer *layer;
    sfconv_parameter_info info = SFCONV_PARAMETER_INFO_INIT;
    desc.in_channels = 99;
    desc.has_bias = 0;
    desc.ratio = 0.5;
    desc.spectral_norm = 1;
    ck_assert_int_eq(sfconv_layer_decompose(&layer, dense, &desc, NULL, NULL, NULL), SFCONV_OK);
    ck_assert_int_eq(sfconv_sfconv2d_rank(layer), 3);
    ck_assert_mem_eq(parameter_of(layer, "bias").data, parameter_of(dense, "bias").data,
                     8 * sizeof(float));
    ck_assert_int_eq(parameter_of(layer, "u").shape[0], 24);
    ck_assert_int_eq(parameter_of(layer, "v").shape[0], 12);
    ck_assert_int_eq(sfconv_layer_parameter(layer, 3, &info), SFCONV_OK);
    ck_assert_int_eq(info.trainable, 0);
    sfconv_layer_destroy(layer);
    sfconv_layer_destroy(dense);
}
END_TEST

START_TEST(the_regularizer_value_is_that_of_its_formula)
{
    sfconv_layer *layer = make_factorized(5);
    sfconv_spectrum p = SFCONV_SPECTRUM_INIT, q = SFCONV_SPECTRUM_INIT;
    double value = -1, product[5], square = 0;
    int64_t count;
    ck_assert_int_eq(sfconv_layer_svd_update(layer, SFCONV_SVD_EXACT), SFCONV_OK);
    ck_assert_int_eq(sfconv_layer_spectrum(layer, SFCONV_FACTOR_P, &p), SFCONV_OK);
    ck_assert_int_eq(sfconv_layer_spectrum(layer, SFCONV_FACTOR_Q, &q), SFCONV_OK);
    ck_assert_int_eq(sfconv_layer_regularizer(layer, SFCONV_SVD_GRAM, &value), SFCONV_OK);
    ck_assert_double_eq(value, 0);
    ck_assert_int_eq(sfconv_sfconv2d_set_regularizer(layer, SFCONV_REGULARIZER_KL, 9), SFCONV_OK);
    ck_assert_int_eq(sfconv_layer_regularizer(layer, SFCONV_SVD_EXACT, &value), SFCONV_OK);
    ck_assert_double_eq_tol(value, p.kl + q.kl, 1e-12);
    ck_assert_int_eq(sfconv_sfconv2d_set_regularizer(layer, SFCONV_REGULARIZER_KL_REVERSE, 9),
                     SFCONV_OK);
    ck_assert_int_eq(sfconv_layer_regularizer(layer, SFCONV_SVD_EXACT, &value), SFCONV_OK);
    ck_assert_double_eq_tol(value, p.kl_reverse + q.kl_reverse, 1e-12);
    ck_assert_int_eq(sfconv_sfconv2d_set_regularizer(layer, SFCONV_REGULARIZER_FROBENIUS, 9),
                     SFCONV_OK);
    ck_assert_int_eq(sfconv_layer_regularizer(layer, SFCONV_SVD_EXACT, &value), SFCONV_OK);
    ck_assert_int_eq(sfconv_layer_singular_values(layer, SFCONV_FACTOR_PRODUCT, product, 5, &count),
                     SFCONV_OK);
    for (int i = 0; i < 5; i++) {
        square += product[i] * product[i];
    }
    ck_assert_double_eq_tol(value, square / 2, 1e-6 * square);
    sfconv_layer_destroy(layer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("spectral_layers");
    TCase *tests = tcase_create("spectral_layers");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, open_context, close_context);
    tcase_add_test(tests, full_rank_decomposition_equals_dense);
    tcase_add_test(tests, the_error_of_a_decomposition_is_exact);
    tcase_add_test(tests, spectral_initialization_is_the_truncated_svd_of_the_dense_draw);
    tcase_add_test(tests, an_svd_update_leaves_the_parameters_as_they_are);
    tcase_add_test(tests, both_methods_find_the_same_singular_values);
    tcase_add_test(tests, measures_follow_from_the_singular_values);
    tcase_add_test(tests, an_update_that_fails_keeps_the_former_spectrum);
    tcase_add_test(tests,
                   rebalancing_keeps_the_product_and_makes_the_spectra_of_both_factors_equal);
    tcase_add_test(tests, cutting_the_rank_is_the_best_cut_and_says_its_exact_error);
    tcase_add_test(tests, kl_takes_any_strides_and_both_orientations);
    tcase_add_test(tests, flat_spectra_have_no_kl_and_rank_one_has_log_r);
    tcase_add_test(tests, ranks_follow_the_published_rule);
    tcase_add_test(tests, chosen_ranks_stay_within_the_budget_of_parameters);
    tcase_add_test(tests, a_cheaper_layer_gets_the_ranks_of_a_budget_of_macs);
    tcase_add_test(tests, a_budget_of_energy_gives_each_layer_its_least_rank);
    tcase_add_test(tests, long_work_can_be_cancelled_and_leaves_nothing);
    tcase_add_test(tests, a_decomposition_takes_everything_else_from_the_dense_layer);
    tcase_add_test(tests, the_regularizer_value_is_that_of_its_formula);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
