/* SPDX-License-Identifier: BSD-2-Clause */
#include "layer_bits.h"

#include "layer_kinds.h"
#include "sizes.h"

typedef struct problem {
    sfconv_pool2d_desc desc;
    sfi_shape in;
} problem;

#define POOL(kind, kh, kw, sh, sw, ph, pw)                                                         \
    {                                                                                              \
        sizeof(sfconv_pool2d_desc), kind, 0, {kh, kw}, {sh, sw},                                   \
        {                                                                                          \
            ph, pw                                                                                 \
        }                                                                                          \
    }
#define MAX SFCONV_POOL_MAX
#define AVERAGE SFCONV_POOL_AVERAGE
#define GLOBAL SFCONV_POOL_GLOBAL_AVERAGE

/* Odd maps, maps of one row and one pixel, rows longer than a piece of the kernel, windows that
 * overlap, leave gaps, hang over the edge, hold more than 256 cells, or nearly as many as there are
 * numbers for. */
static const problem problems[] = {
    {POOL(MAX, 2, 2, 2, 2, 0, 0), {2, 3, 9, 301}},
    {POOL(MAX, 2, 2, 2, 2, 0, 0), {1, 2, 8, 64}},
    {POOL(MAX, 3, 3, 2, 2, 1, 1), {2, 3, 11, 278}},
    {POOL(MAX, 3, 3, 1, 1, 1, 1), {1, 2, 7, 19}},
    {POOL(MAX, 2, 3, 3, 4, 1, 1), {2, 2, 10, 39}},
    {POOL(MAX, 1, 4, 1, 2, 0, 2), {1, 2, 1, 33}},
    {POOL(MAX, 3, 3, 2, 2, 1, 1), {2, 2, 1, 1}},
    {POOL(MAX, 17, 17, 5, 3, 8, 8), {1, 2, 20, 23}},
    {POOL(MAX, 2, 1 << 29, 1, 3, 1, 1 << 28), {2, 3, 6, 11}},
    {POOL(MAX, 1 << 15, 1 << 15, 1, 1, 1 << 14, 1 << 14), {1, 2, 4, 5}},
    {POOL(AVERAGE, 2, 1 << 29, 1, 3, 1, 1 << 28), {2, 3, 6, 11}},
    {POOL(AVERAGE, 2, 2, 2, 2, 0, 0), {2, 3, 9, 301}},
    {POOL(AVERAGE, 3, 3, 2, 2, 1, 1), {2, 3, 11, 37}},
    {POOL(AVERAGE, 3, 2, 1, 1, 1, 1), {1, 2, 7, 19}},
    {POOL(AVERAGE, 2, 2, 3, 4, 0, 1), {2, 2, 10, 39}},
    {POOL(AVERAGE, 3, 3, 1, 1, 1, 1), {2, 2, 1, 1}},
    {POOL(GLOBAL, 2, 2, 2, 2, 0, 0), {2, 3, 13, 17}},
    {POOL(GLOBAL, 5, 5, 1, 1, 0, 0), {2, 3, 1, 1}},
};
#define PROBLEM_COUNT ((int)(sizeof problems / sizeof problems[0]))
#define MAX_PROBLEM_COUNT 10

static sfconv_layer *make(sfconv_context *context, const void *settings)
{
    sfconv_layer *layer;
    ck_assert_int_eq(sfi_pool2d_new(&layer, context, &((const problem *)settings)->desc),
                     SFCONV_OK);
    return layer;
}

/* The window of one output: rows and columns inside the map. */
typedef struct window {
    int64_t top, bottom, left, right;
} window;

static window window_at(const problem *chosen, int64_t y, int64_t x)
{
    const sfconv_pool2d_desc *desc = &chosen->desc;
    if (desc->kind == GLOBAL) {
        return (window){0, chosen->in.h, 0, chosen->in.w};
    }
    const int64_t top = y * desc->stride[0] - desc->padding[0];
    const int64_t left = x * desc->stride[1] - desc->padding[1];
    return (window){sfi_max(top, 0), sfi_min(top + desc->kernel[0], chosen->in.h), sfi_max(left, 0),
                    sfi_min(left + desc->kernel[1], chosen->in.w)};
}

/* Value of the window, and into *winner the pixel with the first largest value or NaN. */
static double value_at(const problem *chosen, const float *plane, int64_t y, int64_t x,
                       int64_t *winner)
{
    const window w = window_at(chosen, y, x);
    double sum = 0;
    *winner = w.top * chosen->in.w + w.left;
    for (int64_t row = w.top; row < w.bottom; row++) {
        for (int64_t column = w.left; column < w.right; column++) {
            const int64_t at = row * chosen->in.w + column;
            sum += plane[at];
            if (!isnan(plane[*winner]) && (isnan(plane[at]) || plane[at] > plane[*winner])) {
                *winner = at;
            }
        }
    }
    const double cells = (double)((w.bottom - w.top) * (w.right - w.left));
    return chosen->desc.kind == MAX ? plane[*winner] : sum / cells;
}

static void check_outputs(const problem *chosen, const harness *bench)
{
    const sfi_shape out = bench->out_shape;
    const float *value = harness_floats(&bench->out);
    int64_t winner;
    for (int64_t p = 0; p < out.n * out.c; p++) {
        const float *plane = harness_floats(&bench->in[0]) + p * chosen->in.h * chosen->in.w;
        for (int64_t i = 0; i < out.h * out.w; i++, value++) {
            const double expected = value_at(chosen, plane, i / out.w, i % out.w, &winner);
            ck_assert(isnan(expected) ? isnan(*value)
                                      : *value == expected || fabs(*value - expected) <= 1e-6);
        }
    }
}

/* Gradient by definition, added to `gradient`. */
static void add_gradient(const problem *chosen, const harness *bench, double *gradient)
{
    const sfi_shape out = bench->out_shape;
    const float *grad_out = harness_floats(&bench->grad_out);
    for (int64_t p = 0; p < out.n * out.c; p++) {
        const int64_t first = p * chosen->in.h * chosen->in.w;
        for (int64_t i = 0; i < out.h * out.w; i++, grad_out++) {
            int64_t winner;
            const float *plane = harness_floats(&bench->in[0]) + first;
            const window w = window_at(chosen, i / out.w, i % out.w);
            const double cells = (double)((w.bottom - w.top) * (w.right - w.left));
            value_at(chosen, plane, i / out.w, i % out.w, &winner);
            if (chosen->desc.kind == MAX) {
                gradient[first + winner] += *grad_out;
                continue;
            }
            for (int64_t row = w.top; row < w.bottom; row++) {
                for (int64_t column = w.left; column < w.right; column++) {
                    gradient[first + row * chosen->in.w + column] += *grad_out / cells;
                }
            }
        }
    }
}

static void check_gradient(const problem *chosen, const harness *bench)
{
    const int64_t count = sfi_shape_count(chosen->in);
    double *expected = calloc((size_t)count, sizeof *expected);
    add_gradient(chosen, bench, expected);
    for (int64_t i = 0; i < count; i++) {
        ck_assert_double_eq_tol(harness_floats(&bench->grad_in[0])[i], expected[i], 2e-6);
    }
    free(expected);
}

START_TEST(outputs_and_gradients_are_those_of_the_definition)
{
    const problem *chosen = &problems[_i];
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, chosen);
    harness bench;
    harness_open(&bench, layer, true, &chosen->in, 1);
    harness_forward(&bench);
    check_outputs(chosen, &bench);
    harness_backward(&bench);
    check_gradient(chosen, &bench);
    harness_check_accumulation(&bench, 1e-6);
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(inference_gives_the_outputs_of_training_without_tape)
{
    const problem *chosen = &problems[_i];
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, chosen);
    harness bench;
    harness_open(&bench, layer, false, &chosen->in, 1);
    ck_assert_int_eq(bench.memory.tape, 0);
    harness_forward(&bench);
    check_outputs(chosen, &bench);
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(of_equal_values_the_first_takes_the_gradient)
{
    const problem *chosen = &problems[_i];
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, chosen);
    harness bench;
    harness_open(&bench, layer, true, &chosen->in, 1);
    float *in = harness_floats(&bench.in[0]);
    const float levels[] = {-INFINITY, 0.0f, 1.0f};
    for (int l = 0; l < 3; l++) {
        for (int64_t i = 0; i < sfi_shape_count(chosen->in); i++) {
            in[i] = l < 2 ? levels[l] : floorf(2 * in[i] * (float)(i % 5));
        }
        harness_forward(&bench);
        harness_backward(&bench);
        check_gradient(chosen, &bench);
        harness_fill(in, sfi_shape_count(chosen->in), 9);
    }
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(nan_wins_and_takes_the_gradient)
{
    const problem *chosen = &problems[_i];
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, chosen);
    harness bench;
    harness_open(&bench, layer, true, &chosen->in, 1);
    for (int64_t i = 0; i < sfi_shape_count(chosen->in); i += 7) {
        harness_floats(&bench.in[0])[i] = i % 3 ? NAN : INFINITY;
    }
    harness_forward(&bench);
    check_outputs(chosen, &bench);
    harness_backward(&bench);
    check_gradient(chosen, &bench);
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

START_TEST(tape_is_a_byte_a_window_where_that_is_enough)
{
    const int32_t cases[] = {0, 7};
    const int64_t bytes[] = {1, 4};
    for (int i = 0; i < 2; i++) {
        const problem *chosen = &problems[cases[i]];
        sfconv_context *context = best_context();
        sfconv_layer *layer = make(context, chosen);
        harness bench;
        harness_open(&bench, layer, true, &chosen->in, 1);
        ck_assert_int_eq(bench.memory.tape, sfi_shape_count(bench.out_shape) * bytes[i]);
        ck_assert(!bench.memory.keeps_inputs && !bench.memory.keeps_output);
        harness_close(&bench);
        sfi_layer_release(layer);
        sfi_context_release(context);
    }
}
END_TEST

START_TEST(a_map_smaller_than_the_window_is_refused_with_both_numbers)
{
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, &problems[7]);
    const sfi_shape whole = {1, 1, 1, 1};
    sfi_shape out;
    ck_assert_int_eq(layer->kind->infer(layer, true, &whole, 1, &out), SFCONV_OK);
    sfi_layer_release(layer);
    layer = make(context, &problems[0]);
    const sfi_shape low = {1, 1, 1, 8};
    ck_assert_int_eq(layer->kind->infer(layer, true, &low, 1, &out), SFCONV_ERROR_SHAPE);
    ck_assert_str_eq(context->error, "pool2d: expected a height of at least 2, got 1");
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pooling");
    TCase *tests = tcase_create("pooling");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, outputs_and_gradients_are_those_of_the_definition, 0, PROBLEM_COUNT);
    tcase_add_loop_test(tests, inference_gives_the_outputs_of_training_without_tape, 0,
                        PROBLEM_COUNT);
    tcase_add_loop_test(tests, of_equal_values_the_first_takes_the_gradient, 0, MAX_PROBLEM_COUNT);
    tcase_add_loop_test(tests, nan_wins_and_takes_the_gradient, 0, MAX_PROBLEM_COUNT);
    tcase_add_loop_test(tests, bits_do_not_depend_on_workers_or_instruction_set, 0, PROBLEM_COUNT);
    tcase_add_test(tests, tape_is_a_byte_a_window_where_that_is_enough);
    tcase_add_test(tests, a_map_smaller_than_the_window_is_refused_with_both_numbers);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
