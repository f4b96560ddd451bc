/* SPDX-License-Identifier: BSD-2-Clause */
#include "layer_bits.h"

#include "layer_kinds.h"

#include <float.h>

typedef struct setting {
    int32_t activation;
    double slope;
} setting;

static const setting settings[] = {{SFCONV_ACTIVATION_RELU, 0.7},
                                   {SFCONV_ACTIVATION_LEAKY_RELU, 0.125},
                                   {SFCONV_ACTIVATION_SILU, 0},
                                   {SFCONV_ACTIVATION_SIGMOID, 0}};
#define SETTING_COUNT ((int)(sizeof settings / sizeof settings[0]))

static sfconv_layer *make(sfconv_context *context, const void *which)
{
    const setting *chosen = which;
    sfconv_layer *layer;
    ck_assert_int_eq(sfi_activation_new(&layer, context, chosen->activation, chosen->slope),
                     SFCONV_OK);
    return layer;
}

static double activate(const setting *chosen, double x)
{
    switch (chosen->activation) {
    case SFCONV_ACTIVATION_RELU:
        return x > 0 ? x : 0;
    case SFCONV_ACTIVATION_LEAKY_RELU:
        return x > 0 ? x : chosen->slope * x;
    case SFCONV_ACTIVATION_SILU:
        return x / (1 + exp(-x));
    default:
        return 1 / (1 + exp(-x));
    }
}

static double slope_of(const setting *chosen, double x)
{
    const double s = 1 / (1 + exp(-x));
    switch (chosen->activation) {
    case SFCONV_ACTIVATION_RELU:
        return x > 0 ? 1 : 0;
    case SFCONV_ACTIVATION_LEAKY_RELU:
        return x > 0 ? 1 : chosen->slope;
    case SFCONV_ACTIVATION_SILU:
        return s * (1 + x * (1 - s));
    default:
        return s * (1 - s);
    }
}

START_TEST(outputs_are_within_three_ulp_and_gradients_follow_the_derivative)
{
    const setting *chosen = &settings[_i];
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, chosen);
    const sfi_shape shape = {1, 1, 97, 401};
    harness bench;
    harness_open(&bench, layer, true, &shape, 1);
    float *in = harness_floats(&bench.in[0]);
    for (int64_t i = 0; i < sfi_shape_count(shape); i++) {
        in[i] *= i % 3 ? 8.0f : 80.0f;
    }
    in[0] = 0.0f;
    harness_forward(&bench);
    for (int64_t i = 0; i < sfi_shape_count(shape); i++) {
        const double expected = activate(chosen, in[i]);
        const double out = harness_floats(&bench.out)[i];
        ck_assert_msg(fabs(out - expected) <= 3 * FLT_EPSILON * fabs(expected) + 2 * FLT_MIN,
                      "of %.9g: expected %.9g, got %.9g", in[i], expected, out);
    }
    harness_backward(&bench);
    for (int64_t i = 0; i < sfi_shape_count(shape); i++) {
        const double gradient = slope_of(chosen, in[i]) * harness_floats(&bench.grad_out)[i];
        ck_assert_double_le(fabs(harness_floats(&bench.grad_in[0])[i] - gradient), 1e-6);
    }
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(infinities_saturate_and_nan_stays_nan)
{
    const setting *chosen = &settings[_i];
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, chosen);
    const sfi_shape shape = {1, 1, 1, 40};
    harness bench;
    harness_open(&bench, layer, false, &shape, 1);
    float *in = harness_floats(&bench.in[0]);
    in[1] = NAN;
    in[2] = INFINITY;
    in[3] = -1e30f;
    harness_forward(&bench);
    const float *out = harness_floats(&bench.out);
    ck_assert(isnan(out[1]) && !isnan(out[0]) && !isnan(out[39]));
    ck_assert(out[2] == (chosen->activation == SFCONV_ACTIVATION_SIGMOID ? 1.0f : INFINITY));
    const float low = chosen->activation == SFCONV_ACTIVATION_LEAKY_RELU ? -1.25e29f : 0.0f;
    ck_assert_float_eq(out[3], low);
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(gradients_add_where_they_are_told_to)
{
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, &settings[_i]);
    const sfi_shape shape = {2, 3, 5, 7};
    harness bench;
    harness_open(&bench, layer, true, &shape, 1);
    harness_check_accumulation(&bench, 1e-6);
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(only_silu_keeps_its_input)
{
    const setting *chosen = &settings[_i];
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, chosen);
    const sfi_shape shape = {2, 3, 5, 7};
    harness bench;
    harness_open(&bench, layer, true, &shape, 1);
    const bool silu = chosen->activation == SFCONV_ACTIVATION_SILU;
    ck_assert(bench.memory.keeps_inputs == silu && bench.memory.keeps_output == !silu);
    ck_assert_int_eq(bench.memory.tape, 0);
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(bits_do_not_depend_on_workers_or_instruction_set)
{
    const sfi_shape shape = {2, 3, 83, 101};
    const sfi_shape row = {1, 1, 1, 19};
    check_same_bits(make, &settings[_i], &shape, 1);
    check_same_bits(make, &settings[_i], &row, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("activation");
    TCase *tests = tcase_create("activation");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, outputs_are_within_three_ulp_and_gradients_follow_the_derivative, 0,
                        SETTING_COUNT);
    tcase_add_loop_test(tests, infinities_saturate_and_nan_stays_nan, 0, SETTING_COUNT);
    tcase_add_loop_test(tests, gradients_add_where_they_are_told_to, 0, SETTING_COUNT);
    tcase_add_loop_test(tests, only_silu_keeps_its_input, 0, SETTING_COUNT);
    tcase_add_loop_test(tests, bits_do_not_depend_on_workers_or_instruction_set, 0, SETTING_COUNT);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
