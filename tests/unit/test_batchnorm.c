/* SPDX-License-Identifier: BSD-2-Clause */
#include "layer_bits.h"

#include "layer_kinds.h"

#include <float.h>

static const sfi_shape shapes[] = {{4, 3, 7, 9}, {1, 2, 5, 33}, {2, 5, 1, 1}, {3, 1, 1, 17}};
#define SHAPE_COUNT ((int)(sizeof shapes / sizeof shapes[0]))

static sfconv_layer *make(sfconv_context *context, const void *channels)
{
    sfconv_batchnorm2d_desc desc = SFCONV_BATCHNORM2D_DESC_INIT;
    sfconv_layer *layer;
    desc.channels = *(const int64_t *)channels;
    ck_assert_int_eq(sfi_batchnorm2d_new(&layer, context, &desc), SFCONV_OK);
    harness_fill(layer->parameters[0].data, desc.channels, 50);
    harness_fill(layer->parameters[1].data, desc.channels, 51);
    return layer;
}

/* Value i of channel c, the batch and its planes taken as one sequence. */
static int64_t place(sfi_shape shape, int64_t c, int64_t i)
{
    const int64_t plane = shape.h * shape.w;
    return (i / plane * shape.c + c) * plane + i % plane;
}

typedef struct moments {
    double mean;
    double variance;
} moments;

static moments moments_of(const float *in, sfi_shape shape, int64_t c)
{
    const int64_t count = shape.n * shape.h * shape.w;
    moments found = {0, 0};
    for (int64_t i = 0; i < count; i++) {
        found.mean += (double)in[place(shape, c, i)] / count;
    }
    for (int64_t i = 0; i < count; i++) {
        const double away = in[place(shape, c, i)] - found.mean;
        found.variance += away * away / count;
    }
    return found;
}

static void check_training_outputs(const harness *bench, double tolerance)
{
    const sfi_shape shape = bench->in_shape[0];
    const int64_t count = shape.n * shape.h * shape.w;
    const sfconv_layer *layer = bench->layer;
    for (int64_t c = 0; c < shape.c; c++) {
        const moments batch = moments_of(harness_floats(&bench->in[0]), shape, c);
        for (int64_t i = 0; i < count; i++) {
            const double x = harness_floats(&bench->in[0])[place(shape, c, i)];
            const double expected =
                (x - batch.mean) / sqrt(batch.variance + 1e-5) * layer->parameters[0].data[c] +
                layer->parameters[1].data[c];
            ck_assert_double_eq_tol(harness_floats(&bench->out)[place(shape, c, i)], expected,
                                    tolerance);
        }
    }
}

START_TEST(training_normalizes_with_the_moments_of_the_batch)
{
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, &shapes[_i].c);
    harness bench;
    harness_open(&bench, layer, true, &shapes[_i], 1);
    harness_forward(&bench);
    check_training_outputs(&bench, 2e-6);
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(running_values_move_by_the_momentum_to_mean_and_unbiased_variance)
{
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, &shapes[_i].c);
    harness bench;
    harness_open(&bench, layer, true, &shapes[_i], 1);
    harness_forward(&bench);
    const double count = shapes[_i].n * shapes[_i].h * shapes[_i].w;
    for (int64_t c = 0; c < shapes[_i].c; c++) {
        const moments batch = moments_of(harness_floats(&bench.in[0]), shapes[_i], c);
        ck_assert_double_eq_tol(layer->parameters[2].data[c], 0.1 * batch.mean, 1e-7);
        ck_assert_double_eq_tol(layer->parameters[3].data[c],
                                0.9 + 0.1 * batch.variance * count / (count - 1), 1e-7);
    }
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(inference_uses_running_values_and_leaves_them)
{
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, &shapes[0].c);
    harness bench;
    harness_open(&bench, layer, false, &shapes[0], 1);
    ck_assert_int_eq(bench.memory.tape, 0);
    for (int64_t c = 0; c < 3; c++) {
        layer->parameters[2].data[c] = 0.25f * c;
        layer->parameters[3].data[c] = 1.0f + c;
    }
    harness_forward(&bench);
    for (int64_t c = 0; c < 3; c++) {
        for (int64_t i = 0; i < 4 * 63; i++) {
            const double x = harness_floats(&bench.in[0])[place(shapes[0], c, i)];
            const double expected =
                (x - 0.25 * c) / sqrt(1.0 + c + 1e-5) * layer->parameters[0].data[c] +
                layer->parameters[1].data[c];
            ck_assert_double_eq_tol(harness_floats(&bench.out)[place(shapes[0], c, i)], expected,
                                    1e-6);
        }
        ck_assert(layer->parameters[2].data[c] == 0.25f * c);
        ck_assert(layer->parameters[3].data[c] == 1.0f + c);
    }
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(a_variance_tiny_against_the_mean_is_not_lost)
{
    const sfi_shape shape = {4, 2, 32, 31};
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, &shape.c);
    harness bench;
    harness_open(&bench, layer, true, &shape, 1);
    float *in = harness_floats(&bench.in[0]);
    for (int64_t i = 0; i < sfi_shape_count(shape); i++) {
        in[i] = 1e4f + 1.7e-2f * in[i];
    }
    harness_forward(&bench);
    check_training_outputs(&bench, 5e-6);
    /* One outlier as the first value, which the sums are centred at. */
    in[0] = -1e4f;
    harness_forward(&bench);
    check_training_outputs(&bench, 1e-4);
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(a_constant_channel_becomes_the_shift)
{
    const sfi_shape shape = {2, 2, 3, 5};
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, &shape.c);
    harness bench;
    harness_open(&bench, layer, true, &shape, 1);
    for (int64_t i = 0; i < sfi_shape_count(shape); i++) {
        harness_floats(&bench.in[0])[i] = 0.1f;
    }
    harness_forward(&bench);
    for (int64_t c = 0; c < 2; c++) {
        for (int64_t i = 0; i < 30; i++) {
            ck_assert(harness_floats(&bench.out)[place(shape, c, i)] ==
                      layer->parameters[1].data[c]);
        }
    }
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(gradients_are_those_of_the_formula)
{
    const sfi_shape shape = shapes[_i];
    const int64_t count = shape.n * shape.h * shape.w;
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, &shape.c);
    harness bench;
    harness_open(&bench, layer, true, &shape, 1);
    harness_forward(&bench);
    harness_backward(&bench);
    const float *in = harness_floats(&bench.in[0]);
    const float *grad_out = harness_floats(&bench.grad_out);
    for (int64_t c = 0; c < shape.c; c++) {
        const moments batch = moments_of(in, shape, c);
        const double inverse = 1 / sqrt(batch.variance + 1e-5);
        double sum = 0, product = 0;
        for (int64_t i = 0; i < count; i++) {
            const int64_t at = place(shape, c, i);
            sum += grad_out[at];
            product += grad_out[at] * (in[at] - batch.mean) * inverse;
        }
        ck_assert_double_eq_tol(harness_floats(&bench.grad_parameter[0])[c], product, 1e-5);
        ck_assert_double_eq_tol(harness_floats(&bench.grad_parameter[1])[c], sum, 1e-5);
        for (int64_t i = 0; i < count; i++) {
            const int64_t at = place(shape, c, i);
            const double x = (in[at] - batch.mean) * inverse;
            const double expected = layer->parameters[0].data[c] * inverse *
                                    (grad_out[at] - sum / count - x * product / count);
            ck_assert_double_eq_tol(harness_floats(&bench.grad_in[0])[at], expected,
                                    2e-6 * (1 + inverse));
        }
    }
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(gradients_agree_with_differences_and_add_up)
{
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, &shapes[0].c);
    harness bench;
    harness_open(&bench, layer, true, &shapes[0], 1);
    harness_check_gradients(&bench, 3e-3, 1e-2);
    harness_check_accumulation(&bench, 1e-5);
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(bits_do_not_depend_on_workers_or_instruction_set)
{
    check_same_bits(make, &shapes[_i].c, &shapes[_i], 1);
}
END_TEST

START_TEST(wrong_channels_and_single_values_are_refused_with_the_reason)
{
    const int64_t channels = 3;
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, &channels);
    const sfi_shape single = {1, 3, 1, 1};
    const sfi_shape four = {2, 4, 5, 5};
    sfi_shape out;
    ck_assert_int_eq(layer->kind->infer(layer, true, &four, 1, &out), SFCONV_ERROR_SHAPE);
    ck_assert_str_eq(context->error, "batchnorm2d: expected 3 channels, got 4");
    ck_assert_int_eq(layer->kind->infer(layer, true, &single, 1, &out), SFCONV_ERROR_SHAPE);
    ck_assert_ptr_nonnull(strstr(context->error, "got a batch of 1 of 1 x 1"));
    ck_assert_int_eq(layer->kind->infer(layer, false, &single, 1, &out), SFCONV_OK);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("batchnorm");
    TCase *tests = tcase_create("batchnorm");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, training_normalizes_with_the_moments_of_the_batch, 0, SHAPE_COUNT);
    tcase_add_loop_test(tests, running_values_move_by_the_momentum_to_mean_and_unbiased_variance, 0,
                        SHAPE_COUNT);
    tcase_add_test(tests, inference_uses_running_values_and_leaves_them);
    tcase_add_test(tests, a_variance_tiny_against_the_mean_is_not_lost);
    tcase_add_test(tests, a_constant_channel_becomes_the_shift);
    tcase_add_loop_test(tests, gradients_are_those_of_the_formula, 0, SHAPE_COUNT);
    tcase_add_test(tests, gradients_agree_with_differences_and_add_up);
    tcase_add_loop_test(tests, bits_do_not_depend_on_workers_or_instruction_set, 0, SHAPE_COUNT);
    tcase_add_test(tests, wrong_channels_and_single_values_are_refused_with_the_reason);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
