/* SPDX-License-Identifier: BSD-2-Clause */
/* Layers that only move numbers: add, concat, dropout. */
#include "layer_bits.h"

#include "layer_kinds.h"

static sfconv_layer *make_add(sfconv_context *context, const void *settings)
{
    (void)settings;
    sfconv_layer *layer;
    ck_assert_int_eq(sfi_add_new(&layer, context), SFCONV_OK);
    return layer;
}

static sfconv_layer *make_concat(sfconv_context *context, const void *settings)
{
    (void)settings;
    sfconv_layer *layer;
    ck_assert_int_eq(sfi_concat_new(&layer, context), SFCONV_OK);
    return layer;
}

static sfconv_layer *make_dropout(sfconv_context *context, const void *probability)
{
    sfconv_layer *layer;
    ck_assert_int_eq(sfi_dropout_new(&layer, context, *(const double *)probability), SFCONV_OK);
    return layer;
}

START_TEST(add_sums_in_the_order_of_the_inputs_and_hands_its_gradient_to_all)
{
    const sfi_shape shapes[SFI_MAX_INPUTS] = {
        {2, 3, 101, 67}, {2, 3, 101, 67}, {2, 3, 101, 67}, {2, 3, 101, 67}};
    for (int32_t count = 2; count <= 4; count++) {
        sfconv_context *context = best_context();
        sfconv_layer *layer = make_add(context, NULL);
        harness bench;
        harness_open(&bench, layer, true, shapes, count);
        ck_assert(!bench.memory.keeps_inputs && !bench.memory.keeps_output);
        bench.want_grad_in[1] = count != 3;
        harness_forward(&bench);
        for (int64_t i = 0; i < sfi_shape_count(shapes[0]); i++) {
            float sum = harness_floats(&bench.in[0])[i];
            for (int32_t k = 1; k < count; k++) {
                sum += harness_floats(&bench.in[k])[i];
            }
            ck_assert(harness_floats(&bench.out)[i] == sum);
        }
        harness_backward(&bench);
        for (int32_t k = 0; k < count; k++) {
            if (bench.want_grad_in[k]) {
                ck_assert_mem_eq(harness_memory(&bench.grad_in[k]), harness_memory(&bench.grad_out),
                                 (size_t)bench.grad_out.bytes);
            }
        }
        bench.want_grad_in[1] = true;
        harness_check_accumulation(&bench, 1e-6);
        harness_close(&bench);
        sfi_layer_release(layer);
        sfi_context_release(context);
    }
}
END_TEST

static const sfi_shape parts[3] = {{2, 3, 5, 7}, {2, 1, 5, 7}, {2, 4, 5, 7}};

/* Channel `channel` of image n: from the output, or from the input that it belongs to. */
static const float *part_plane(const harness_block *blocks, int64_t n, int64_t channel)
{
    int32_t input = 0;
    while (channel >= parts[input].c) {
        channel -= parts[input++].c;
    }
    return harness_floats(&blocks[input]) + (n * parts[input].c + channel) * 35;
}

START_TEST(concat_puts_channels_one_after_the_other_and_splits_the_gradient)
{
    sfconv_context *context = best_context();
    sfconv_layer *layer = make_concat(context, NULL);
    harness bench;
    harness_open(&bench, layer, true, parts, 3);
    ck_assert_int_eq(bench.out_shape.c, 8);
    ck_assert(!bench.memory.keeps_inputs && !bench.memory.keeps_output);
    harness_forward(&bench);
    for (int64_t p = 0; p < 16; p++) {
        ck_assert_mem_eq(harness_floats(&bench.out) + p * 35, part_plane(bench.in, p / 8, p % 8),
                         35 * sizeof(float));
    }
    harness_backward(&bench);
    for (int64_t p = 0; p < 16; p++) {
        ck_assert_mem_eq(harness_floats(&bench.grad_out) + p * 35,
                         part_plane(bench.grad_in, p / 8, p % 8), 35 * sizeof(float));
    }
    bench.want_grad_in[1] = false;
    harness_forward(&bench);
    harness_backward(&bench);
    bench.want_grad_in[1] = true;
    harness_check_accumulation(&bench, 1e-6);
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(inputs_that_do_not_fit_are_refused_with_both_shapes)
{
    sfconv_context *context = best_context();
    sfconv_layer *add = make_add(context, NULL);
    sfconv_layer *concat = make_concat(context, NULL);
    const sfi_shape channels[2] = {{2, 3, 5, 7}, {2, 4, 5, 7}};
    const sfi_shape sizes[2] = {{2, 3, 5, 7}, {2, 3, 5, 8}};
    const sfi_shape huge[2] = {{1 << 20, 1 << 20, 1 << 10, 1 << 9},
                               {1 << 20, 1 << 20, 1 << 10, 1 << 9}};
    sfi_shape out;
    ck_assert_int_eq(add->kind->infer(add, true, channels, 2, &out), SFCONV_ERROR_SHAPE);
    ck_assert_str_eq(context->error, "add: expected input 1 of the shape of input 0, "
                                     "2 x 3 x 5 x 7, got 2 x 4 x 5 x 7");
    ck_assert_int_eq(concat->kind->infer(concat, true, channels, 2, &out), SFCONV_OK);
    ck_assert_int_eq(concat->kind->infer(concat, true, sizes, 2, &out), SFCONV_ERROR_SHAPE);
    ck_assert_str_eq(context->error, "concat: expected input 1 with the batch and size of input 0, "
                                     "2 and 5 x 7, got 2 and 5 x 8");
    ck_assert_int_eq(concat->kind->infer(concat, true, huge, 2, &out), SFCONV_ERROR_OVERFLOW);
    sfi_layer_release(add);
    sfi_layer_release(concat);
    sfi_context_release(context);
}
END_TEST

static const double probabilities[] = {0.0, 0.25, 0.5, 0.9};

START_TEST(dropout_keeps_what_its_random_numbers_say_scaled_up)
{
    const double probability = probabilities[_i];
    const sfi_shape shape = {2, 5, 61, 83};
    const int64_t count = sfi_shape_count(shape);
    const sfi_random random = {HARNESS_SEED, 7};
    sfconv_context *context = best_context();
    sfconv_layer *layer = make_dropout(context, &probability);
    harness bench;
    harness_open(&bench, layer, true, &shape, 1);
    ck_assert(!bench.memory.keeps_inputs && !bench.memory.keeps_output && !bench.memory.tape);
    bench.step = 3;
    harness_forward(&bench);
    int64_t kept = 0;
    for (int64_t i = 0; i < count; i++) {
        const bool keep = sfi_random_uniform(random, (uint64_t)(3 * count + i)) >= probability;
        const float scaled = harness_floats(&bench.in[0])[i] * (float)(1 / (1 - probability));
        ck_assert(harness_floats(&bench.out)[i] == (keep ? scaled : 0.0f));
        kept += keep;
    }
    const double deviation = sqrt(probability * (1 - probability) * (double)count);
    ck_assert_double_le(fabs((double)kept - (1 - probability) * (double)count),
                        4 * deviation + 1e-9);
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(dropout_draws_anew_each_step_and_the_same_again_for_backward)
{
    const double probability = 0.5;
    const sfi_shape shape = {1, 3, 41, 83};
    const int64_t count = sfi_shape_count(shape);
    sfconv_context *context = best_context();
    sfconv_layer *layer = make_dropout(context, &probability);
    harness bench;
    harness_open(&bench, layer, true, &shape, 1);
    float *first = malloc((size_t)count * sizeof *first);
    harness_forward(&bench);
    memcpy(first, harness_floats(&bench.out), (size_t)count * sizeof *first);
    bench.step = 1;
    harness_forward(&bench);
    int64_t same = 0;
    for (int64_t i = 0; i < count; i++) {
        same += (first[i] == 0) == (harness_floats(&bench.out)[i] == 0);
    }
    ck_assert_double_le(fabs((double)same - 0.5 * (double)count), 2 * sqrt((double)count));
    bench.step = 0;
    harness_forward(&bench);
    ck_assert_mem_eq(first, harness_floats(&bench.out), (size_t)count * sizeof *first);
    harness_backward(&bench);
    for (int64_t i = 0; i < count; i++) {
        const float expected = first[i] == 0 ? 0.0f : 2 * harness_floats(&bench.grad_out)[i];
        ck_assert(harness_floats(&bench.grad_in[0])[i] == expected);
    }
    harness_check_accumulation(&bench, 1e-6);
    free(first);
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(bits_do_not_depend_on_workers_or_instruction_set)
{
    const sfi_shape odd[2] = {{3, 3, 51, 67}, {3, 3, 51, 67}};
    const sfi_shape pixel[2] = {{1, 1, 1, 1}, {1, 1, 1, 1}};
    check_same_bits(make_add, NULL, odd, 2);
    check_same_bits(make_add, NULL, pixel, 2);
    check_same_bits(make_concat, NULL, parts, 3);
    check_same_bits(make_concat, NULL, pixel, 2);
    check_same_bits(make_dropout, &probabilities[2], odd, 1);
    check_same_bits(make_dropout, &probabilities[2], pixel, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("joins");
    TCase *tests = tcase_create("joins");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, add_sums_in_the_order_of_the_inputs_and_hands_its_gradient_to_all);
    tcase_add_test(tests, concat_puts_channels_one_after_the_other_and_splits_the_gradient);
    tcase_add_test(tests, inputs_that_do_not_fit_are_refused_with_both_shapes);
    tcase_add_loop_test(tests, dropout_keeps_what_its_random_numbers_say_scaled_up, 0, 4);
    tcase_add_test(tests, dropout_draws_anew_each_step_and_the_same_again_for_backward);
    tcase_add_test(tests, bits_do_not_depend_on_workers_or_instruction_set);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
