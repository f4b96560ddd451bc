/* SPDX-License-Identifier: BSD-2-Clause */
#include "layer_bits.h"

#include "layer_kinds.h"

typedef struct problem {
    sfconv_conv2d_desc desc;
    sfi_shape in;
} problem;

#define DESC(in, out, kh, kw, sh, sw, ph, pw, dh, dw, bias)                                        \
    {                                                                                              \
        sizeof(sfconv_conv2d_desc), in, out, {kh, kw}, {sh, sw}, {ph, pw}, {dh, dw}, 1, bias, 0, 5 \
    }

/* Odd sizes, maps of one row, column and pixel, strides beyond the kernel, dilation beyond the map,
 * padding beyond the map, columns that no window reaches, strides far beyond the map. */
static const problem problems[] = {
    {DESC(3, 4, 3, 3, 1, 1, 1, 1, 1, 1, 1), {2, 3, 9, 11}},
    {DESC(5, 2, 3, 3, 2, 2, 1, 1, 1, 1, 0), {2, 5, 17, 37}},
    {DESC(2, 3, 5, 3, 3, 2, 2, 0, 1, 2, 1), {1, 2, 14, 40}},
    {DESC(4, 4, 3, 3, 1, 1, 2, 2, 2, 2, 1), {1, 4, 8, 131}},
    {DESC(2, 2, 2, 2, 3, 5, 0, 0, 1, 1, 0), {3, 2, 12, 23}},
    {DESC(3, 5, 1, 7, 1, 2, 0, 3, 1, 1, 1), {2, 3, 1, 29}},
    {DESC(3, 5, 3, 1, 2, 1, 3, 2, 3, 1, 0), {2, 3, 10, 3}},
    {DESC(6, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1), {2, 6, 1, 1}},
    {DESC(2, 2, 3, 3, 1, 1, 6, 6, 4, 5, 1), {2, 2, 3, 2}},
    {DESC(1, 1, 1, 1, 2, 2, 0, 0, 1, 1, 0), {1, 1, 6, 6}},
    {DESC(2, 3, 3, 3, 1 << 30, 1 << 30, 1, 1, 1, 1, 1), {2, 2, 4, 5}},
    {DESC(2, 2, 3, 2, 2, 1 << 30, 0, 1, 1, 5, 0), {1, 2, 9, 6}},
};
#define PROBLEM_COUNT ((int)(sizeof problems / sizeof problems[0]))

static sfconv_layer *make(sfconv_context *context, const void *settings)
{
    sfconv_layer *layer;
    ck_assert_int_eq(sfi_dsconv2d_new(&layer, context, &((const problem *)settings)->desc),
                     SFCONV_OK);
    return layer;
}

/* The depthwise convolution at one output pixel. */
static double middle_at(const harness *bench, const sfconv_conv2d_desc *desc, int64_t n, int64_t c,
                        int64_t y, int64_t x)
{
    const sfi_shape shape = bench->in_shape[0];
    const float *in = harness_floats(&bench->in[0]) + (n * shape.c + c) * shape.h * shape.w;
    const float *weight = bench->layer->parameters[0].data + c * desc->kernel[0] * desc->kernel[1];
    double sum = 0;
    for (int64_t i = 0; i < desc->kernel[0]; i++) {
        for (int64_t j = 0; j < desc->kernel[1]; j++) {
            const int64_t row = y * desc->stride[0] - desc->padding[0] + i * desc->dilation[0];
            const int64_t column = x * desc->stride[1] - desc->padding[1] + j * desc->dilation[1];
            if (row >= 0 && row < shape.h && column >= 0 && column < shape.w) {
                sum += (double)weight[i * desc->kernel[1] + j] * in[row * shape.w + column];
            }
        }
    }
    return sum;
}

static void check_outputs(const problem *chosen, bool training)
{
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, chosen);
    harness bench;
    harness_open(&bench, layer, training, &chosen->in, 1);
    harness_forward(&bench);
    const sfi_shape out = bench.out_shape;
    const float *pointwise = layer->parameters[1].data;
    const float *value = harness_floats(&bench.out);
    for (int64_t n = 0; n < out.n; n++) {
        for (int64_t o = 0; o < out.c; o++) {
            for (int64_t p = 0; p < out.h * out.w; p++) {
                double sum = chosen->desc.has_bias ? layer->parameters[2].data[o] : 0;
                for (int64_t c = 0; c < chosen->in.c; c++) {
                    sum += pointwise[o * chosen->in.c + c] *
                           middle_at(&bench, &chosen->desc, n, c, p / out.w, p % out.w);
                }
                ck_assert_double_eq_tol(*value++, sum, 1e-5);
            }
        }
    }
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}

START_TEST(outputs_are_those_of_the_definition_in_both_modes)
{
    check_outputs(&problems[_i], true);
    check_outputs(&problems[_i], false);
}
END_TEST

START_TEST(gradients_agree_with_differences)
{
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, &problems[_i]);
    harness bench;
    harness_open(&bench, layer, true, &problems[_i].in, 1);
    harness_check_gradients(&bench, 1e-2, 2e-3);
    harness_check_accumulation(&bench, 1e-5);
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(backward_is_the_adjoint_of_forward)
{
    sfconv_context *context = best_context();
    problem linear = problems[_i];
    linear.desc.has_bias = 0;
    sfconv_layer *layer = make(context, &linear);
    harness bench;
    harness_open(&bench, layer, true, &linear.in, 1);
    harness_forward(&bench);
    const double forward = harness_dot(harness_floats(&bench.out), harness_floats(&bench.grad_out),
                                       harness_count(&bench.out));
    harness_backward(&bench);
    const double backward =
        harness_dot(harness_floats(&bench.in[0]), harness_floats(&bench.grad_in[0]),
                    harness_count(&bench.in[0]));
    ck_assert_double_eq_tol(forward, backward, 1e-5 * harness_count(&bench.out));
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(bits_do_not_depend_on_workers_or_instruction_set)
{
    check_same_bits(make, &problems[_i], &problems[_i].in, 1);
}
END_TEST

START_TEST(parameters_have_names_and_shapes_of_the_contract)
{
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, &problems[0]);
    ck_assert_int_eq(layer->parameter_count, 3);
    ck_assert_str_eq(layer->parameters[0].name, "depthwise.weight");
    ck_assert_str_eq(layer->parameters[1].name, "pointwise.weight");
    ck_assert_str_eq(layer->parameters[2].name, "bias");
    const int64_t depthwise[4] = {3, 1, 3, 3};
    const int64_t pointwise[4] = {4, 3, 1, 1};
    ck_assert_mem_eq(layer->parameters[0].shape, depthwise, sizeof depthwise);
    ck_assert_mem_eq(layer->parameters[1].shape, pointwise, sizeof pointwise);
    const sfi_shape out = {2, 4, 9, 11};
    ck_assert_int_eq(layer->kind->macs(layer, &problems[0].in, out), 2 * 9 * 11 * 3 * (9 + 4));
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(shapes_that_do_not_fit_are_refused_with_both_numbers)
{
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, &problems[2]);
    const sfi_shape channels = {1, 3, 14, 40};
    const sfi_shape narrow = {1, 2, 14, 4};
    const sfi_shape huge = {(int64_t)1 << 40, 2, 1 << 12, 1 << 12};
    sfi_shape out;
    ck_assert_int_eq(layer->kind->infer(layer, false, &channels, 1, &out), SFCONV_ERROR_SHAPE);
    ck_assert_str_eq(context->error, "dsconv2d: expected 2 channels, got 3");
    ck_assert_int_eq(layer->kind->infer(layer, false, &narrow, 1, &out), SFCONV_ERROR_SHAPE);
    ck_assert_str_eq(context->error, "dsconv2d: expected a width of at least 5, got 4");
    ck_assert_int_eq(layer->kind->infer(layer, false, &huge, 1, &out), SFCONV_ERROR_OVERFLOW);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(multiply_adds_that_are_too_many_to_count_are_refused)
{
    static const problem uncountable[] = {
        {DESC(1, 1, 1, 1023, 1, 1, 0, 511, 1, 1, 0), {1, 1, 1 << 24, 1 << 30}},
        {DESC(1, 1, 101, 101, 1, 1, 50, 50, 1, 1, 0), {1, 1, 1 << 29, 1 << 24}},
    };
    sfconv_context *context = best_context();
    for (int i = 0; i < 2; i++) {
        sfconv_layer *layer = make(context, &uncountable[i]);
        const sfi_shape smaller = {1, 1, 1 << 19, 1 << 18};
        sfi_shape out;
        ck_assert_int_eq(layer->kind->infer(layer, false, &uncountable[i].in, 1, &out),
                         SFCONV_ERROR_OVERFLOW);
        ck_assert_int_eq(layer->kind->infer(layer, false, &smaller, 1, &out), SFCONV_OK);
        const int64_t taps = layer->parameters[0].count;
        ck_assert_int_eq(layer->kind->macs(layer, &smaller, out), (INT64_C(1) << 37) * (taps + 1));
        sfi_layer_release(layer);
    }
    sfi_context_release(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("dsconv2d");
    TCase *tests = tcase_create("dsconv2d");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, outputs_are_those_of_the_definition_in_both_modes, 0, PROBLEM_COUNT);
    tcase_add_loop_test(tests, gradients_agree_with_differences, 0, PROBLEM_COUNT);
    tcase_add_loop_test(tests, backward_is_the_adjoint_of_forward, 0, PROBLEM_COUNT);
    tcase_add_loop_test(tests, bits_do_not_depend_on_workers_or_instruction_set, 0, PROBLEM_COUNT);
    tcase_add_test(tests, parameters_have_names_and_shapes_of_the_contract);
    tcase_add_test(tests, shapes_that_do_not_fit_are_refused_with_both_numbers);
    tcase_add_test(tests, multiply_adds_that_are_too_many_to_count_are_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
