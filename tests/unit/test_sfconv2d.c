/* SPDX-License-Identifier: BSD-2-Clause */
#include "layer_harness.h"

#include "sfconv2d.h"

static sfconv_sfconv2d_desc make_desc(int64_t in, int64_t out, int64_t rank)
{
    sfconv_sfconv2d_desc desc = SFCONV_SFCONV2D_DESC_INIT;
    desc.in_channels = in;
    desc.out_channels = out;
    desc.rank = rank;
    desc.seed = 11;
    return desc;
}

static sfi_sfconv2d *make_layer(sfconv_context *context, const sfconv_sfconv2d_desc *desc)
{
    sfconv_layer *layer;
    ck_assert_int_eq(sfi_sfconv2d_new(&layer, context, desc), SFCONV_OK);
    return sfi_as_sfconv2d(layer);
}

/* Largest difference of the outputs of two layers for the same random input. */
static double output_difference(sfconv_layer *a, sfconv_layer *b, sfi_shape in)
{
    harness one, two;
    double largest = 0;
    harness_open(&one, a, false, &in, 1);
    harness_open(&two, b, false, &in, 1);
    harness_forward(&one);
    harness_forward(&two);
    ck_assert_mem_eq(&one.out_shape, &two.out_shape, sizeof one.out_shape);
    for (int64_t i = 0; i < sfi_shape_count(one.out_shape); i++) {
        const double difference =
            fabs(harness_floats(&one.out)[i] - (double)harness_floats(&two.out)[i]);
        largest = difference <= largest ? largest : difference;
        ck_assert(!isnan(difference));
    }
    harness_close(&one);
    harness_close(&two);
    return largest;
}

static void check_equals_dense(sfconv_context *context, const sfconv_sfconv2d_desc *desc)
{
    sfi_sfconv2d *layer = make_layer(context, desc);
    sfconv_layer *dense;
    ck_assert_int_eq(sfi_sfconv2d_compose(&dense, layer), SFCONV_OK);
    ck_assert_double_le(
        output_difference(&layer->base, dense, (sfi_shape){2, desc->in_channels, 17, 14}), 2e-5);
    sfi_layer_release(dense);
    sfi_layer_release(&layer->base);
}

START_TEST(sfconv2d_equals_the_dense_layer_of_its_product)
{
    sfconv_context *context = harness_context(2, sfk_best_isa(SFCONV_ISA_BEST));
    const int64_t kernels[] = {1, 2, 3, 4, 5, 7};
    for (int k = 0; k < 6; k++) {
        for (int s = 1; s <= 2; s++) {
            sfconv_sfconv2d_desc desc = make_desc(5, 6, 3);
            desc.kernel[0] = kernels[k], desc.kernel[1] = kernels[5 - k];
            desc.stride[0] = s, desc.stride[1] = 3 - s;
            desc.padding[0] = kernels[k] / 2, desc.padding[1] = s - 1;
            desc.dilation[0] = 3 - s, desc.dilation[1] = s;
            desc.has_bias = s - 1;
            check_equals_dense(context, &desc);
        }
    }
    sfi_context_release(context);
}
END_TEST

START_TEST(normalized_sfconv2d_equals_the_dense_layer_of_its_divided_product)
{
    sfconv_context *context = harness_context(1, SFCONV_ISA_REFERENCE);
    sfconv_sfconv2d_desc desc = make_desc(5, 6, 3);
    desc.spectral_norm = 1;
    desc.has_bias = 1;
    check_equals_dense(context, &desc);
    sfi_context_release(context);
}
END_TEST

static void check_gradients(sfi_sfconv2d *layer, double step, double tolerance)
{
    const sfi_shape in = {2, layer->desc.in_channels, 8, 9};
    harness bench;
    harness_open(&bench, &layer->base, true, &in, 1);
    harness_check_gradients(&bench, step, tolerance);
    harness_check_accumulation(&bench, 2e-5);
    bench.want_grad_in[0] = false;
    harness_value(&bench);
    harness_backward(&bench);
    harness_close(&bench);
}

START_TEST(gradients_of_sfconv2d_are_its_difference_quotients)
{
    sfconv_context *context = harness_context(2, SFCONV_ISA_REFERENCE);
    sfconv_sfconv2d_desc desc = make_desc(4, 6, 3);
    desc.has_bias = 1;
    desc.kernel[0] = 2, desc.kernel[1] = 5;
    desc.stride[0] = 1, desc.stride[1] = 2;
    desc.padding[0] = 1, desc.padding[1] = 0;
    desc.dilation[0] = 3, desc.dilation[1] = 1;
    sfi_sfconv2d *layer = make_layer(context, &desc);
    check_gradients(layer, 0.5, 2e-5);
    sfi_layer_release(&layer->base);
    sfi_context_release(context);
}
END_TEST

static void settle(sfi_sfconv2d *layer)
{
    ck_assert_int_eq(sfi_norm_settle(layer, 500, NULL), SFCONV_OK);
}

START_TEST(gradients_of_a_normalized_sfconv2d_run_through_the_norm)
{
    sfconv_context *context = harness_context(2, SFCONV_ISA_REFERENCE);
    sfconv_sfconv2d_desc desc = make_desc(4, 6, 3);
    desc.has_bias = 1;
    desc.kernel[0] = 3, desc.kernel[1] = 2;
    desc.spectral_norm = 1;
    sfi_sfconv2d *layer = make_layer(context, &desc);
    /* Only where the iteration has converged is u and v held constant the true derivative. */
    settle(layer);
    check_gradients(layer, 1e-2, 2e-3);
    sfi_layer_release(&layer->base);
    sfi_context_release(context);
}
END_TEST

START_TEST(the_effective_weight_of_fconvsn_has_spectral_norm_one)
{
    sfconv_context *context = harness_context(1, SFCONV_ISA_REFERENCE);
    sfconv_sfconv2d_desc desc = make_desc(6, 8, 5);
    const sfi_shape in = {1, 6, 4, 4};
    desc.spectral_norm = 1;
    sfi_sfconv2d *layer = make_layer(context, &desc);
    sfconv_layer *dense;
    sfi_sfconv2d *refactored;
    harness bench;
    double values[18];
    harness_open(&bench, &layer->base, true, &in, 1);
    for (int step = 0; step < 200; step++) {
        harness_forward(&bench);
    }
    ck_assert_int_eq(sfi_sfconv2d_compose(&dense, layer), SFCONV_OK);
    desc = make_desc(6, 8, 18);
    ck_assert_int_eq(sfi_sfconv2d_decompose((sfconv_layer **)&refactored, dense, &desc, NULL,
                                            (sfi_progress){NULL, NULL}),
                     SFCONV_OK);
    ck_assert_int_eq(sfi_sfconv2d_product_values(refactored, values), SFCONV_OK);
    ck_assert_double_eq_tol(values[0], 1.0, 1e-6);
    harness_close(&bench);
    sfi_layer_release(&refactored->base);
    sfi_layer_release(dense);
    sfi_layer_release(&layer->base);
    sfi_context_release(context);
}
END_TEST

START_TEST(inference_leaves_the_power_iteration_alone_and_training_moves_it)
{
    sfconv_context *context = harness_context(1, SFCONV_ISA_REFERENCE);
    sfconv_sfconv2d_desc desc = make_desc(6, 8, 5);
    const sfi_shape in = {1, 6, 4, 4};
    desc.spectral_norm = 1;
    sfi_sfconv2d *layer = make_layer(context, &desc);
    float u[24];
    float v[18];
    harness bench;
    memcpy(u, sfi_sfconv2d_u(layer), sizeof u);
    memcpy(v, sfi_sfconv2d_v(layer), sizeof v);
    harness_open(&bench, &layer->base, false, &in, 1);
    harness_forward(&bench);
    harness_close(&bench);
    ck_assert_mem_eq(u, sfi_sfconv2d_u(layer), sizeof u);
    ck_assert_mem_eq(v, sfi_sfconv2d_v(layer), sizeof v);
    harness_open(&bench, &layer->base, true, &in, 1);
    harness_forward(&bench);
    harness_close(&bench);
    ck_assert_mem_ne(u, sfi_sfconv2d_u(layer), sizeof u);
    sfi_layer_release(&layer->base);
    sfi_context_release(context);
}
END_TEST

START_TEST(a_zero_factor_gives_the_bias_and_no_nan)
{
    sfconv_context *context = harness_context(1, SFCONV_ISA_REFERENCE);
    sfconv_sfconv2d_desc desc = make_desc(3, 4, 2);
    const sfi_shape in = {1, 3, 5, 5};
    desc.spectral_norm = 1;
    desc.has_bias = 1;
    sfi_sfconv2d *layer = make_layer(context, &desc);
    harness bench;
    sfi_parameter_fill(&layer->base.parameters[0], 0.0f);
    harness_open(&bench, &layer->base, true, &in, 1);
    harness_forward(&bench);
    for (int64_t i = 0; i < sfi_shape_count(bench.out_shape); i++) {
        ck_assert_float_eq(harness_floats(&bench.out)[i], sfi_sfconv2d_bias(layer)[i / 25]);
    }
    harness_backward(&bench);
    for (int64_t i = 0; i < layer->base.parameters[0].count; i++) {
        ck_assert(isfinite(harness_floats(&bench.grad_parameter[0])[i]));
    }
    harness_close(&bench);
    sfi_layer_release(&layer->base);
    sfi_context_release(context);
}
END_TEST

START_TEST(one_run_has_the_same_bits_for_any_workers_and_instruction_set)
{
    const int32_t isas[] = {SFCONV_ISA_REFERENCE, SFCONV_ISA_AVX2, SFCONV_ISA_AVX512,
                            SFCONV_ISA_NEON};
    const int32_t workers[] = {1, 3};
    sfconv_sfconv2d_desc desc = make_desc(19, 23, 7);
    const sfi_shape in = {2, 19, 21, 18};
    float *first = NULL;
    desc.spectral_norm = 1;
    desc.has_bias = 1;
    for (int i = 0; i < 8; i++) {
        sfconv_context *context = harness_context(workers[i / 4], isas[i % 4]);
        if (!context) {
            continue;
        }
        sfi_sfconv2d *layer = make_layer(context, &desc);
        harness bench;
        harness_open(&bench, &layer->base, true, &in, 1);
        harness_forward(&bench);
        harness_backward(&bench);
        const harness_block *blocks[] = {&bench.grad_in[0], &bench.grad_parameter[0],
                                         &bench.grad_parameter[1], &bench.grad_parameter[2]};
        int64_t bytes = bench.grad_in[0].bytes;
        for (int b = 1; b < 4; b++) {
            bytes += blocks[b]->bytes;
        }
        char *all = malloc((size_t)bytes);
        char *next = all;
        for (int b = 0; b < 4; b++) {
            memcpy(next, harness_memory(blocks[b]), (size_t)blocks[b]->bytes);
            next += blocks[b]->bytes;
        }
        if (first) {
            ck_assert_msg(memcmp(first, all, (size_t)bytes) == 0, "workers %d, isa %d",
                          workers[i / 4], isas[i % 4]);
            free(all);
        } else {
            first = (float *)all;
        }
        harness_close(&bench);
        sfi_layer_release(&layer->base);
        sfi_context_release(context);
    }
    free(first);
}
END_TEST

START_TEST(macs_are_those_of_the_two_factors)
{
    sfconv_context *context = harness_context(1, SFCONV_ISA_REFERENCE);
    sfconv_sfconv2d_desc desc = make_desc(64, 128, 2);
    const sfi_shape in = {1, 64, 38, 38};
    sfi_shape out;
    desc.stride[0] = desc.stride[1] = 2;
    sfi_sfconv2d *layer = make_layer(context, &desc);
    ck_assert_int_eq(layer->base.kind->infer(&layer->base, false, &in, 1, &out), SFCONV_OK);
    ck_assert_int_eq(layer->base.kind->macs(&layer->base, &in, out),
                     2LL * 38 * 19 * 64 * 3 + 128LL * 19 * 19 * 2 * 3);
    sfi_layer_release(&layer->base);
    sfi_context_release(context);
}
END_TEST

/* λ·F of the layer as it is. */
static double regularizer_value(sfi_sfconv2d *layer)
{
    double value;
    ck_assert_int_eq(sfi_sfconv2d_regularizer_value(layer, SFI_SVD_EXACT, &value), SFCONV_OK);
    return layer->desc.regularizer_weight * value;
}

static void check_regularizer(sfconv_context *context, int32_t kind)
{
    sfconv_sfconv2d_desc desc = make_desc(5, 6, 4);
    desc.kernel[0] = 2;
    desc.regularizer = kind;
    desc.regularizer_weight = 0.25;
    sfi_sfconv2d *layer = make_layer(context, &desc);
    float *gradient[SFI_MAX_PARAMETERS] = {NULL};
    harness_block scratch = harness_block_new(layer->base.kind->regularizer_scratch(&layer->base));
    harness_spoil(&scratch);
    for (int i = 0; i < 2; i++) {
        gradient[i] = calloc((size_t)layer->base.parameters[i].count, sizeof(float));
    }
    double work[SFI_REGULARIZER_PARTS];
    double value = 0;
    for (int i = 0; i < layer->base.kind->regularizer_parts(&layer->base, work); i++) {
        const sfi_term term =
            layer->base.kind->regularize(&layer->base, i, gradient, harness_memory(&scratch));
        ck_assert_ptr_null(term.reason);
        ck_assert(work[i] > 0);
        value += term.value;
    }
    harness_check_canaries(&scratch, "scratch of the regularizer");
    ck_assert_double_eq_tol(value, regularizer_value(layer), 1e-6);
    for (int i = 0; i < 2; i++) {
        const sfi_parameter *parameter = &layer->base.parameters[i];
        for (int64_t k = 0; k < parameter->count; k++) {
            const float before = parameter->data[k];
            const double step = 1e-3;
            parameter->data[k] = before + (float)step;
            const double up = regularizer_value(layer);
            const double up_step = (double)parameter->data[k] - before;
            parameter->data[k] = before - (float)step;
            const double down = regularizer_value(layer);
            const double down_step = before - (double)parameter->data[k];
            parameter->data[k] = before;
            ck_assert_double_eq_tol(gradient[i][k], (up - down) / (up_step + down_step), 2e-5);
        }
        free(gradient[i]);
    }
    free(scratch.base);
    sfi_layer_release(&layer->base);
}

START_TEST(gradients_of_the_regularizers_are_their_difference_quotients)
{
    sfconv_context *context = harness_context(1, SFCONV_ISA_REFERENCE);
    check_regularizer(context, SFCONV_REGULARIZER_KL);
    check_regularizer(context, SFCONV_REGULARIZER_KL_REVERSE);
    check_regularizer(context, SFCONV_REGULARIZER_FROBENIUS);
    sfi_context_release(context);
}
END_TEST

START_TEST(a_regularizer_that_fails_names_the_factor_and_adds_nothing)
{
    sfconv_context *context = harness_context(1, SFCONV_ISA_REFERENCE);
    sfconv_sfconv2d_desc desc = make_desc(5, 6, 4);
    desc.regularizer = SFCONV_REGULARIZER_KL;
    desc.regularizer_weight = 0.25;
    sfi_sfconv2d *layer = make_layer(context, &desc);
    float p[6 * 4 * 3] = {0};
    float q[4 * 5 * 3] = {0};
    float *gradient[SFI_MAX_PARAMETERS] = {q, p};
    void *scratch = aligned_alloc(
        64, (size_t)layer->base.kind->regularizer_scratch(&layer->base) / 64 * 64 + 64);
    sfi_sfconv2d_q(layer)[3] = NAN;
    const sfi_term term = layer->base.kind->regularize(&layer->base, 0, gradient, scratch);
    ck_assert_ptr_nonnull(term.reason);
    ck_assert_int_eq(sfi_fail_term(context, &term), SFCONV_ERROR_NUMERIC);
    ck_assert_int_eq(strncmp(context->error, "q.weight: ", 10), 0);
    for (int i = 0; i < 4 * 5 * 3; i++) {
        ck_assert_float_eq(q[i], 0);
    }
    free(scratch);
    sfi_layer_release(&layer->base);
    sfi_context_release(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sfconv2d");
    TCase *tests = tcase_create("sfconv2d");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, sfconv2d_equals_the_dense_layer_of_its_product);
    tcase_add_test(tests, normalized_sfconv2d_equals_the_dense_layer_of_its_divided_product);
    tcase_add_test(tests, gradients_of_sfconv2d_are_its_difference_quotients);
    tcase_add_test(tests, gradients_of_a_normalized_sfconv2d_run_through_the_norm);
    tcase_add_test(tests, the_effective_weight_of_fconvsn_has_spectral_norm_one);
    tcase_add_test(tests, inference_leaves_the_power_iteration_alone_and_training_moves_it);
    tcase_add_test(tests, a_zero_factor_gives_the_bias_and_no_nan);
    tcase_add_test(tests, one_run_has_the_same_bits_for_any_workers_and_instruction_set);
    tcase_add_test(tests, macs_are_those_of_the_two_factors);
    tcase_add_test(tests, gradients_of_the_regularizers_are_their_difference_quotients);
    tcase_add_test(tests, a_regularizer_that_fails_names_the_factor_and_adds_nothing);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
