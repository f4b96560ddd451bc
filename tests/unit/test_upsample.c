/* SPDX-License-Identifier: BSD-2-Clause */
#include "layer_bits.h"

#include "layer_kinds.h"
#include "sizes.h"

typedef struct problem {
    int32_t kind;
    int64_t factor[2];
    sfi_shape in;
} problem;

#define NEAREST SFCONV_UPSAMPLE_NEAREST
#define ALIGNED SFCONV_UPSAMPLE_BILINEAR_ALIGNED
#define BILINEAR SFCONV_UPSAMPLE_BILINEAR

static const problem problems[] = {
    {NEAREST, {2, 2}, {2, 3, 7, 37}},  {NEAREST, {3, 5}, {2, 2, 5, 9}},
    {NEAREST, {1, 1}, {1, 2, 5, 9}},   {ALIGNED, {2, 2}, {2, 3, 7, 37}},
    {ALIGNED, {3, 5}, {2, 2, 5, 9}},   {ALIGNED, {2, 2}, {1, 2, 1, 19}},
    {ALIGNED, {4, 2}, {1, 2, 9, 1}},   {ALIGNED, {2, 2}, {1, 2, 1, 1}},
    {ALIGNED, {1, 1}, {1, 1, 1, 1}},   {ALIGNED, {1, 2}, {1, 2, 4, 6}},
    {BILINEAR, {2, 2}, {2, 3, 7, 37}}, {BILINEAR, {3, 5}, {2, 2, 5, 9}},
    {BILINEAR, {2, 4}, {1, 2, 1, 19}}, {BILINEAR, {4, 2}, {1, 2, 9, 1}},
    {BILINEAR, {2, 2}, {1, 2, 1, 1}},  {BILINEAR, {64, 64}, {1, 1, 2, 3}},
};
#define PROBLEM_COUNT ((int)(sizeof problems / sizeof problems[0]))

static sfconv_layer *make(sfconv_context *context, const void *settings)
{
    const problem *chosen = settings;
    sfconv_layer *layer;
    ck_assert_int_eq(sfi_upsample2d_new(&layer, context, chosen->kind, chosen->factor), SFCONV_OK);
    return layer;
}

/* Where position `at` of the output lies in the input: between *low and *high. */
static double position(const problem *chosen, int axis, int64_t at, int64_t *low, int64_t *high)
{
    const int64_t size = axis ? chosen->in.w : chosen->in.h;
    const double factor = (double)chosen->factor[axis];
    double source = floor((double)at / factor);
    if (chosen->kind == ALIGNED) {
        const double last = (double)size * factor - 1;
        source = last > 0 ? (double)at * (double)(size - 1) / last : 0;
    } else if (chosen->kind == BILINEAR) {
        source = fmin(fmax(((double)at + 0.5) / factor - 0.5, 0), (double)(size - 1));
    }
    *low = (int64_t)floor(source);
    *high = sfi_min(*low + 1, size - 1);
    return source - (double)*low;
}

static double value_at(const problem *chosen, const float *plane, int64_t y, int64_t x)
{
    int64_t top, bottom, left, right;
    const double down = position(chosen, 0, y, &top, &bottom);
    const double across = position(chosen, 1, x, &left, &right);
    const int64_t width = chosen->in.w;
    const double above =
        plane[top * width + left] * (1 - across) + plane[top * width + right] * across;
    const double below =
        plane[bottom * width + left] * (1 - across) + plane[bottom * width + right] * across;
    return above * (1 - down) + below * down;
}

START_TEST(outputs_are_those_of_the_definition)
{
    const problem *chosen = &problems[_i];
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, chosen);
    harness bench;
    harness_open(&bench, layer, false, &chosen->in, 1);
    const sfi_shape out = bench.out_shape;
    ck_assert_int_eq(out.h, chosen->in.h * chosen->factor[0]);
    ck_assert_int_eq(out.w, chosen->in.w * chosen->factor[1]);
    harness_forward(&bench);
    const float *value = harness_floats(&bench.out);
    for (int64_t p = 0; p < out.n * out.c; p++) {
        const float *plane = harness_floats(&bench.in[0]) + p * chosen->in.h * chosen->in.w;
        for (int64_t i = 0; i < out.h * out.w; i++) {
            ck_assert_double_eq_tol(*value++, value_at(chosen, plane, i / out.w, i % out.w), 1e-6);
        }
    }
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

/* Each input pixel in turn: what it sends to all outputs comes back with the same weights. */
START_TEST(backward_is_the_transpose_of_forward_pixel_by_pixel)
{
    const problem *chosen = &problems[_i];
    const sfi_shape one = {1, 1, chosen->in.h, chosen->in.w};
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, chosen);
    harness bench;
    harness_open(&bench, layer, true, &one, 1);
    float *in = harness_floats(&bench.in[0]);
    harness_forward(&bench);
    harness_backward(&bench);
    for (int64_t i = 0; i < one.h * one.w; i++) {
        harness_zero(&bench.in[0]);
        in[i] = 1.0f;
        harness_forward(&bench);
        const double sent = harness_dot(harness_floats(&bench.out), harness_floats(&bench.grad_out),
                                        harness_count(&bench.out));
        ck_assert_double_eq_tol(harness_floats(&bench.grad_in[0])[i], sent,
                                3e-7 * (double)(chosen->factor[0] * chosen->factor[1] + 4));
    }
    harness_check_accumulation(&bench, 1e-6);
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(a_constant_map_stays_exactly_constant)
{
    const problem *chosen = &problems[_i];
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, chosen);
    harness bench;
    harness_open(&bench, layer, false, &chosen->in, 1);
    for (int64_t i = 0; i < sfi_shape_count(chosen->in); i++) {
        harness_floats(&bench.in[0])[i] = 0.1f;
    }
    harness_forward(&bench);
    for (int64_t i = 0; i < sfi_shape_count(bench.out_shape); i++) {
        ck_assert(harness_floats(&bench.out)[i] == 0.1f);
    }
    harness_close(&bench);
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

START_TEST(aligned_corners_keep_the_corners)
{
    const problem *chosen = &problems[3];
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, chosen);
    harness bench;
    harness_open(&bench, layer, false, &chosen->in, 1);
    harness_forward(&bench);
    const float *in = harness_floats(&bench.in[0]);
    const float *out = harness_floats(&bench.out);
    ck_assert(out[0] == in[0] && out[2 * 37 - 1] == in[36]);
    ck_assert(out[2 * 37 * 14 - 1] == in[7 * 37 - 1]);
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

START_TEST(nothing_is_kept_for_backward)
{
    for (int i = 0; i < PROBLEM_COUNT; i++) {
        sfconv_context *context = best_context();
        sfconv_layer *layer = make(context, &problems[i]);
        harness bench;
        harness_open(&bench, layer, true, &problems[i].in, 1);
        ck_assert(!bench.memory.keeps_inputs && !bench.memory.keeps_output);
        ck_assert_int_eq(bench.memory.tape, 0);
        harness_close(&bench);
        sfi_layer_release(layer);
        sfi_context_release(context);
    }
}
END_TEST

START_TEST(an_output_that_overflows_is_refused)
{
    sfconv_context *context = best_context();
    sfconv_layer *layer = make(context, &problems[PROBLEM_COUNT - 1]);
    const sfi_shape huge = {1 << 20, 1 << 10, 1 << 12, 1 << 10};
    sfi_shape out;
    ck_assert_int_eq(layer->kind->infer(layer, false, &huge, 1, &out), SFCONV_ERROR_OVERFLOW);
    ck_assert_str_eq(context->error, "upsample2d: 4096 x 1024 times 64 x 64 overflows");
    sfi_layer_release(layer);
    sfi_context_release(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("upsample");
    TCase *tests = tcase_create("upsample");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, outputs_are_those_of_the_definition, 0, PROBLEM_COUNT);
    tcase_add_loop_test(tests, backward_is_the_transpose_of_forward_pixel_by_pixel, 0,
                        PROBLEM_COUNT);
    tcase_add_loop_test(tests, a_constant_map_stays_exactly_constant, 0, PROBLEM_COUNT);
    tcase_add_test(tests, aligned_corners_keep_the_corners);
    tcase_add_loop_test(tests, bits_do_not_depend_on_workers_or_instruction_set, 0, PROBLEM_COUNT);
    tcase_add_test(tests, nothing_is_kept_for_backward);
    tcase_add_test(tests, an_output_that_overflows_is_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
