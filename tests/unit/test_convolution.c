/* SPDX-License-Identifier: BSD-2-Clause */
#include "convolutions.h"

static sfconv_context *make_context(int32_t workers, int32_t isa)
{
    return convolution_context(workers, isa, SFCONV_CONVOLUTION_DIRECT);
}

static int64_t pick(uint64_t seed, uint64_t index, const int64_t *choices, int count)
{
    return choices[sfi_random_below((sfi_random){seed, 77}, index, (uint64_t)count)];
}

#define PICK(seed, index, ...)                                                                     \
    pick(seed, index, (const int64_t[]){__VA_ARGS__},                                              \
         (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)))

static sfi_conv_shape random_shape(uint64_t seed)
{
    sfi_conv_shape shape = {.batch = PICK(seed, 0, 1, 1, 2, 3),
                            .in_height = PICK(seed, 1, 1, 2, 5, 7, 13, 22),
                            .in_width = PICK(seed, 2, 1, 3, 7, 14, 19, 31, 50),
                            .groups = PICK(seed, 3, 1, 1, 1, 2, 3)};
    shape.in_channels = shape.groups * PICK(seed, 4, 1, 2, 3, 4, 9, 33);
    shape.out_channels = shape.groups * PICK(seed, 5, 1, 2, 3, 5, 8, 17, 50);
    for (int a = 0; a < 2; a++) {
        const uint64_t first = 10 + 10 * (uint64_t)a;
        shape.kernel[a] = PICK(seed, first, 1, 1, 2, 3, 3, 4, 5, 7);
        shape.stride[a] = PICK(seed, first + 1, 1, 1, 2, 3);
        shape.padding[a] = PICK(seed, first + 2, 0, 1, shape.kernel[a] / 2, shape.kernel[a] + 1);
        shape.dilation[a] = PICK(seed, first + 3, 1, 1, 2, 3);
        const int64_t reach = shape.dilation[a] * (shape.kernel[a] - 1) + 1;
        int64_t *size = a ? &shape.in_width : &shape.in_height;
        *size = sfi_max(*size, reach - 2 * shape.padding[a]);
    }
    fit_output(&shape);
    ck_assert(sfi_conv_shape_fits(&shape));
    return shape;
}

static void check_against_naive(sfconv_context *context, const struct problem *problem)
{
    for (enum pass pass = FORWARD; pass < PASSES; pass++) {
        const int64_t count = result_count(&problem->shape, pass);
        struct naive naive = run_naive(problem, pass);
        for (int accumulate = 0; accumulate < (pass == FORWARD ? 1 : 2); accumulate++) {
            struct buffer result = random_buffer(count, problem->seed, 9);
            struct buffer before = random_buffer(count, problem->seed, 9);
            run_pass(context, problem, pass, result.values, accumulate);
            for (int64_t i = 0; i < count; i++) {
                const double start = accumulate ? before.values[i] : 0.0;
                const double expected = start + naive.sum[i];
                const double bound =
                    (double)(naive.terms[i] + 2) * 0x1p-24 * (naive.size[i] + fabs(start)) + 1e-30;
                assert_each(fabs(result.values[i] - expected) <= bound,
                            "seed %llu, %s, element %lld: %g, expected %g within %g",
                            (unsigned long long)problem->seed, pass_names[pass], (long long)i,
                            result.values[i], expected, bound);
            }
            free_buffer(&result);
            free_buffer(&before);
        }
        free_naive(&naive);
    }
}

#define RANDOM_SHAPES 120

START_TEST(every_pass_equals_its_definition)
{
    sfconv_context *context = make_context(2, sfk_best_isa(SFCONV_ISA_BEST));
    for (uint64_t seed = 0; seed < (uint64_t)rounds_of(RANDOM_SHAPES); seed++) {
        const sfi_conv_shape shape = random_shape(seed);
        struct problem problem = make_problem(&shape, seed);
        check_against_naive(context, &problem);
        free_problem(&problem);
    }
    sfi_context_release(context);
}
END_TEST

/* Shapes that cross every block: several blocks of depth, pixels, rows and output channels. */
static int large_shapes(sfi_conv_shape *shapes)
{
    int count = 0;
    shapes[count++] = square(1, 70, 300, 7, 3, 1);
    shapes[count++] = square(3, 300, 20, 14, 1, 1);
    shapes[count++] = square(2, 3, 24, 37, 7, 2);
    shapes[count++] = square(9, 40, 30, 1, 1, 1);
    shapes[count++] = square(1, 2, 2, 80, 3, 1);
    shapes[count++] = square(1, 2, 210, 23, 3, 2);
    shapes[count++] = square(1, 2, 3, 25, 19, 1);
    /* Lanes over channels: of several images, in groups whose last panel is not full, on long
     * rows, on rows that a stride parts. */
    shapes[count++] = square(2, 70, 300, 7, 3, 1);
    shapes[count] = square(1, 40, 74, 13, 3, 1);
    shapes[count++].groups = 2;
    shapes[count] = square(1, 17, 18, 5, 3, 1);
    shapes[count].in_width = 700;
    fit_output(&shapes[count++]);
    shapes[count++] = square(1, 30, 33, 21, 5, 3);
    return count;
}

static void check_shapes(const sfi_conv_shape *shapes, int count, uint64_t seed)
{
    sfconv_context *context = make_context(2, sfk_best_isa(SFCONV_ISA_BEST));
    for (int i = 0; i < count; i++) {
        struct problem problem = make_problem(&shapes[i], seed + (uint64_t)i);
        check_against_naive(context, &problem);
        free_problem(&problem);
    }
    sfi_context_release(context);
}

START_TEST(shapes_that_cross_every_block_equal_their_definition)
{
    sfi_conv_shape shapes[16];
    check_shapes(shapes, large_shapes(shapes), 1000);
}
END_TEST

/* Windows beyond the first lie in the padding, or there are none; one axis may be usual. */
static int shapes_of_long_strides(sfi_conv_shape *shapes)
{
    const int64_t huge = INT64_C(1) << 30;
    int count = 0;
    shapes[count++] = square(1, 1, 1, 4, 1, huge);
    shapes[count++] = square(2, 3, 20, 5, 3, huge);
    shapes[count] = square(1, 2, 3, 6, 3, 1);
    shapes[count++].stride[0] = huge;
    shapes[count] = square(1, 2, 3, 6, 3, 2);
    shapes[count++].stride[1] = huge;
    shapes[count] = square(1, 2, 2, 4, 2, huge / 4);
    shapes[count].padding[0] = shapes[count].padding[1] = huge / 4;
    count++;
    for (int i = 0; i < count; i++) {
        fit_output(&shapes[i]);
    }
    return count;
}

START_TEST(strides_far_beyond_the_map_equal_their_definition)
{
    sfi_conv_shape shapes[8];
    check_shapes(shapes, shapes_of_long_strides(shapes), 2000);
}
END_TEST

static void check_same_bits_everywhere(sfconv_context *expected_by, sfconv_context *other)
{
    sfi_conv_shape shapes[16];
    const int count = large_shapes(shapes);
    for (int i = 0; i < count; i++) {
        struct problem problem = make_problem(&shapes[i], 1000 + (uint64_t)i);
        check_same_bits(&problem, expected_by, other);
        free_problem(&problem);
    }
    for (uint64_t seed = 0; seed < 10; seed++) {
        const sfi_conv_shape shape = random_shape(seed);
        struct problem problem = make_problem(&shape, seed);
        check_same_bits(&problem, expected_by, other);
        free_problem(&problem);
    }
}

START_TEST(every_instruction_set_gives_the_bits_of_the_reference)
{
    compare_instruction_sets(SFCONV_CONVOLUTION_DIRECT, check_same_bits_everywhere);
}
END_TEST

START_TEST(any_number_of_workers_gives_the_same_bits)
{
    compare_workers(SFCONV_CONVOLUTION_DIRECT, check_same_bits_everywhere);
}
END_TEST

START_TEST(gradients_are_the_adjoints_of_the_forward_pass)
{
    sfconv_context *context = make_context(1, sfk_best_isa(SFCONV_ISA_BEST));
    for (uint64_t seed = 500; seed < 500 + (uint64_t)rounds_of(60); seed++) {
        const sfi_conv_shape shape = random_shape(seed);
        struct problem problem = make_problem(&shape, seed);
        struct buffer y = make_buffer(y_count(&shape));
        struct buffer dx = make_buffer(x_count(&shape));
        struct buffer dweight = make_buffer(weight_count(&shape));
        double size = 0;
        memset(problem.bias.values, 0, (size_t)shape.out_channels * sizeof(float));
        run_pass(context, &problem, FORWARD, y.values, false);
        run_pass(context, &problem, DATA, dx.values, false);
        run_pass(context, &problem, WEIGHT, dweight.values, false);
        const double forward = dot(y.values, problem.y.values, y.count, &size);
        const double data = dot(dx.values, problem.x.values, dx.count, &size);
        const double weight = dot(dweight.values, problem.weight.values, dweight.count, &size);
        ck_assert_msg(fabs(forward - data) <= 1e-5 * size, "seed %llu: <Ax, y> %g, <x, A'y> %g",
                      (unsigned long long)seed, forward, data);
        ck_assert_msg(fabs(forward - weight) <= 1e-5 * size, "seed %llu: <Ax, y> %g, <w, dw> %g",
                      (unsigned long long)seed, forward, weight);
        free_buffer(&y);
        free_buffer(&dx);
        free_buffer(&dweight);
        free_problem(&problem);
    }
    sfi_context_release(context);
}
END_TEST

START_TEST(an_impulse_returns_the_kernel)
{
    sfconv_context *context = make_context(1, sfk_best_isa(SFCONV_ISA_BEST));
    const sfi_conv_shape shape = square(1, 1, 1, 9, 5, 1);
    struct problem problem = make_problem(&shape, 3);
    struct buffer y = make_buffer(81);
    memset(problem.x.values, 0, 81 * sizeof(float));
    problem.x.values[4 * 9 + 4] = 1;
    problem.bias.values[0] = 0;
    run_pass(context, &problem, FORWARD, y.values, false);
    for (int i = 0; i < 9; i++) {
        for (int j = 0; j < 9; j++) {
            const bool inside = i >= 2 && i <= 6 && j >= 2 && j <= 6;
            const float expected = inside ? problem.weight.values[(6 - i) * 5 + 6 - j] : 0.0f;
            ck_assert_float_eq(y.values[i * 9 + j], expected);
        }
    }
    free_buffer(&y);
    free_problem(&problem);
    sfi_context_release(context);
}
END_TEST

START_TEST(output_sizes_follow_the_usual_formula)
{
    ck_assert_int_eq(sfi_conv_output_size(224, 7, 2, 3, 1), 112);
    ck_assert_int_eq(sfi_conv_output_size(5, 3, 1, 1, 1), 5);
    ck_assert_int_eq(sfi_conv_output_size(7, 3, 1, 0, 3), 1);
    ck_assert_int_eq(sfi_conv_output_size(6, 3, 2, 0, 3), 0);
    ck_assert_int_eq(sfi_conv_output_size(1, 5, 1, 1, 1), 0);
}
END_TEST

START_TEST(shapes_that_do_not_fit_are_refused)
{
    const sfi_conv_shape good = square(2, 6, 4, 9, 3, 2);
    ck_assert(sfi_conv_shape_fits(&good));
    sfi_conv_shape shape = good;
    shape.out_width++;
    ck_assert(!sfi_conv_shape_fits(&shape));
    shape = good;
    shape.groups = 4;
    ck_assert(!sfi_conv_shape_fits(&shape));
    shape = good;
    shape.stride[1] = 0;
    ck_assert(!sfi_conv_shape_fits(&shape));
    shape = square(INT64_C(1) << 30, 1 << 20, 1, 1 << 10, 1, 1);
    ck_assert(!sfi_conv_shape_fits(&shape));
}
END_TEST

/* As far as its products can be counted. */
START_TEST(scratch_does_not_shrink_as_the_map_grows)
{
    sfconv_context *context = make_context(2, sfk_best_isa(SFCONV_ISA_BEST));
    for (enum pass pass = FORWARD; pass <= WEIGHT; pass++) {
        int64_t before = 0;
        for (int log = 0; log <= 29; log++) {
            const sfi_conv_shape shape = square(1, 1, 1, INT64_C(1) << log, 3, 1);
            ck_assert(sfi_conv_shape_fits(&shape));
            const int64_t bytes = scratch_bytes(context, &shape, pass);
            ck_assert_msg(bytes >= before, "%s: 2^%d columns have %lld bytes, fewer have %lld",
                          pass_names[pass], log, (long long)bytes, (long long)before);
            before = bytes;
        }
    }
    sfi_context_release(context);
}
END_TEST

START_TEST(macs_are_counted_from_first_principles)
{
    int64_t macs = 0;
    sfi_conv_shape shape = square(1, 64, 64, 304, 3, 1);
    ck_assert(sfi_conv_macs(&macs, &shape));
    ck_assert_int_eq(macs, INT64_C(304) * 304 * 64 * 64 * 9);
    shape.groups = 64;
    ck_assert(sfi_conv_macs(&macs, &shape));
    ck_assert_int_eq(macs, INT64_C(304) * 304 * 64 * 9);
    shape.batch = INT64_MAX / 4;
    ck_assert(!sfi_conv_macs(&macs, &shape));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("convolution");
    TCase *tests = tcase_create("convolution");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, every_pass_equals_its_definition);
    tcase_add_test(tests, shapes_that_cross_every_block_equal_their_definition);
    tcase_add_test(tests, strides_far_beyond_the_map_equal_their_definition);
    tcase_add_test(tests, every_instruction_set_gives_the_bits_of_the_reference);
    tcase_add_test(tests, any_number_of_workers_gives_the_same_bits);
    tcase_add_test(tests, gradients_are_the_adjoints_of_the_forward_pass);
    tcase_add_test(tests, an_impulse_returns_the_kernel);
    tcase_add_test(tests, output_sizes_follow_the_usual_formula);
    tcase_add_test(tests, shapes_that_do_not_fit_are_refused);
    tcase_add_test(tests, scratch_does_not_shrink_as_the_map_grows);
    tcase_add_test(tests, macs_are_counted_from_first_principles);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
