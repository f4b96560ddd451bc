/* SPDX-License-Identifier: BSD-2-Clause */
#include "layer_harness.h"

#include "layer_kinds.h"

static sfconv_conv2d_desc conv2d_desc(int64_t in, int64_t out)
{
    sfconv_conv2d_desc desc = SFCONV_CONV2D_DESC_INIT;
    desc.in_channels = in;
    desc.out_channels = out;
    desc.seed = 3;
    return desc;
}

static sfconv_layer *make_conv2d(sfconv_context *context, const sfconv_conv2d_desc *desc)
{
    sfconv_layer *layer;
    ck_assert_int_eq(sfi_conv2d_new(&layer, context, desc), SFCONV_OK);
    return layer;
}

static sfconv_layer *make_linear(sfconv_context *context, int64_t in, int64_t out, int32_t bias)
{
    sfconv_linear_desc desc = SFCONV_LINEAR_DESC_INIT;
    sfconv_layer *layer;
    desc.in_features = in;
    desc.out_features = out;
    desc.has_bias = bias;
    ck_assert_int_eq(sfi_linear_new(&layer, context, &desc), SFCONV_OK);
    return layer;
}

static void check_gradients(sfconv_layer *layer, sfi_shape in)
{
    harness bench;
    harness_open(&bench, layer, true, &in, 1);
    /* Linear in each argument: the difference quotient is exact for any width. */
    harness_check_gradients(&bench, 0.5, 2e-5);
    harness_check_accumulation(&bench, 1e-5);
    harness_close(&bench);
}

START_TEST(gradients_of_conv2d_are_its_difference_quotients)
{
    sfconv_context *context = harness_context(2, SFCONV_ISA_REFERENCE);
    sfconv_conv2d_desc plain = conv2d_desc(3, 5);
    plain.has_bias = 1;
    sfconv_conv2d_desc odd = conv2d_desc(4, 6);
    odd.groups = 2;
    odd.kernel[0] = 2, odd.kernel[1] = 5;
    odd.stride[0] = 2, odd.stride[1] = 3;
    odd.padding[0] = 0, odd.padding[1] = 3;
    odd.dilation[0] = 3, odd.dilation[1] = 2;
    const sfconv_conv2d_desc descs[] = {plain, odd};
    for (int i = 0; i < 2; i++) {
        sfconv_layer *layer = make_conv2d(context, &descs[i]);
        check_gradients(layer, (sfi_shape){2, descs[i].in_channels, 9, 11});
        sfi_layer_release(layer);
    }
    sfi_context_release(context);
}
END_TEST

START_TEST(gradients_of_linear_are_its_difference_quotients)
{
    sfconv_context *context = harness_context(1, SFCONV_ISA_REFERENCE);
    sfconv_layer *layer = make_linear(context, 12, 7, 1);
    check_gradients(layer, (sfi_shape){5, 3, 2, 2});
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(linear_is_a_matrix_product_with_bias)
{
    sfconv_context *context = harness_context(1, SFCONV_ISA_REFERENCE);
    sfconv_layer *layer = make_linear(context, 12, 7, 1);
    const sfi_shape in = {3, 12, 1, 1};
    harness bench;
    harness_open(&bench, layer, false, &in, 1);
    harness_forward(&bench);
    for (int64_t n = 0; n < 3; n++) {
        for (int64_t o = 0; o < 7; o++) {
            const double expected = layer->parameters[1].data[o] +
                                    harness_dot(layer->parameters[0].data + o * 12,
                                                harness_floats(&bench.in[0]) + n * 12, 12);
            ck_assert_double_eq_tol(harness_floats(&bench.out)[n * 7 + o], expected, 1e-6);
        }
    }
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(an_impulse_through_conv2d_is_its_kernel_turned_round)
{
    sfconv_context *context = harness_context(1, SFCONV_ISA_REFERENCE);
    sfconv_conv2d_desc desc = conv2d_desc(2, 3);
    sfconv_layer *layer = make_conv2d(context, &desc);
    const sfi_shape in = {1, 2, 7, 7};
    harness bench;
    harness_open(&bench, layer, false, &in, 1);
    harness_zero(&bench.in[0]);
    harness_floats(&bench.in[0])[49 + 3 * 7 + 3] = 1;
    harness_forward(&bench);
    for (int o = 0; o < 3; o++) {
        for (int i = 0; i < 3; i++) {
            for (int j = 0; j < 3; j++) {
                const float weight = layer->parameters[0].data[((o * 2 + 1) * 3 + i) * 3 + j];
                ck_assert_float_eq(harness_floats(&bench.out)[o * 49 + (4 - i) * 7 + (4 - j)],
                                   weight);
            }
        }
    }
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(weights_are_drawn_within_the_bounds_of_kaiming)
{
    sfconv_context *context = harness_context(1, SFCONV_ISA_REFERENCE);
    sfconv_conv2d_desc desc = conv2d_desc(8, 16);
    desc.has_bias = 1;
    sfconv_layer *layer = make_conv2d(context, &desc);
    const sfi_parameter *weight = &layer->parameters[0];
    const double bound = sqrt(6.0 / (8 * 9));
    double square = 0;
    for (int64_t i = 0; i < weight->count; i++) {
        ck_assert_double_le(fabs(weight->data[i]), bound);
        square += (double)weight->data[i] * weight->data[i];
    }
    /* Variance of a uniform number in ±bound. */
    ck_assert_double_eq_tol(square / weight->count, bound * bound / 3, 0.1 * bound * bound);
    for (int64_t i = 0; i < 16; i++) {
        ck_assert_double_le(fabs(layer->parameters[1].data[i]), 1 / sqrt(8 * 9));
    }
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(the_same_seed_draws_the_same_numbers_and_another_seed_others)
{
    sfconv_context *context = harness_context(1, SFCONV_ISA_REFERENCE);
    sfconv_conv2d_desc desc = conv2d_desc(3, 4);
    sfconv_layer *a = make_conv2d(context, &desc);
    sfconv_layer *b = make_conv2d(context, &desc);
    const size_t bytes = (size_t)a->parameters[0].count * sizeof(float);
    ck_assert_mem_eq(a->parameters[0].data, b->parameters[0].data, bytes);
    ck_assert_int_eq(b->kind->initialize(b, 4), SFCONV_OK);
    ck_assert_mem_ne(a->parameters[0].data, b->parameters[0].data, bytes);
    sfi_layer_release(a);
    sfi_layer_release(b);
    sfi_context_release(context);
}
END_TEST

START_TEST(wrong_shapes_are_refused_with_what_was_expected)
{
    sfconv_context *context = harness_context(1, SFCONV_ISA_REFERENCE);
    sfconv_conv2d_desc desc = conv2d_desc(3, 4);
    desc.padding[0] = 0;
    desc.dilation[0] = 4;
    sfconv_layer *conv = make_conv2d(context, &desc);
    sfconv_layer *linear = make_linear(context, 12, 7, 0);
    const sfi_shape channels = {1, 5, 16, 16};
    const sfi_shape low = {1, 3, 8, 16};
    const sfi_shape features = {1, 13, 1, 1};
    const sfi_shape huge = {INT64_C(1) << 28, 3, 1 << 16, 1 << 16};
    sfi_shape out = {7, 7, 7, 7};
    ck_assert_int_eq(conv->kind->infer(conv, false, &channels, 1, &out), SFCONV_ERROR_SHAPE);
    ck_assert_str_eq(context->error, "channels: expected 3, got 5");
    ck_assert_int_eq(conv->kind->infer(conv, false, &low, 1, &out), SFCONV_ERROR_SHAPE);
    ck_assert_str_eq(context->error, "height: expected at least 9 with its padding, got 8 + 2 * 0");
    ck_assert_int_eq(conv->kind->infer(conv, false, &huge, 1, &out), SFCONV_ERROR_OVERFLOW);
    ck_assert_int_eq(linear->kind->infer(linear, false, &features, 1, &out), SFCONV_ERROR_SHAPE);
    ck_assert_str_eq(context->error, "features: expected 12, got 13 x 1 x 1");
    sfi_layer_release(conv);
    sfi_layer_release(linear);
    sfi_context_release(context);
}
END_TEST

START_TEST(macs_are_counted_from_first_principles)
{
    sfconv_context *context = harness_context(1, SFCONV_ISA_REFERENCE);
    sfconv_conv2d_desc desc = conv2d_desc(64, 128);
    desc.stride[0] = desc.stride[1] = 2;
    sfconv_layer *conv = make_conv2d(context, &desc);
    sfconv_layer *linear = make_linear(context, 512, 5, 1);
    const sfi_shape in = {2, 64, 56, 56};
    const sfi_shape features = {2, 512, 1, 1};
    sfi_shape out;
    ck_assert_int_eq(conv->kind->infer(conv, false, &in, 1, &out), SFCONV_OK);
    ck_assert_int_eq(conv->kind->macs(conv, &in, out), 2LL * 128 * 28 * 28 * 64 * 9);
    ck_assert_int_eq(linear->kind->infer(linear, false, &features, 1, &out), SFCONV_OK);
    ck_assert_int_eq(linear->kind->macs(linear, &features, out), 2 * 512 * 5);
    sfi_layer_release(conv);
    sfi_layer_release(linear);
    sfi_context_release(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conv_layers");
    TCase *tests = tcase_create("conv_layers");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, gradients_of_conv2d_are_its_difference_quotients);
    tcase_add_test(tests, gradients_of_linear_are_its_difference_quotients);
    tcase_add_test(tests, linear_is_a_matrix_product_with_bias);
    tcase_add_test(tests, an_impulse_through_conv2d_is_its_kernel_turned_round);
    tcase_add_test(tests, weights_are_drawn_within_the_bounds_of_kaiming);
    tcase_add_test(tests, the_same_seed_draws_the_same_numbers_and_another_seed_others);
    tcase_add_test(tests, wrong_shapes_are_refused_with_what_was_expected);
    tcase_add_test(tests, macs_are_counted_from_first_principles);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
