/* SPDX-License-Identifier: BSD-2-Clause */
/* Convolutions of horizontal stride 2 by Winograd's F(4, 4) along their rows, forward and gradient
 * by the weight: the error that docs/mathematics.md states, the bits, and when it is chosen. */
#include "convolutions.h"

#include "sfconv/sfconv.h"

static sfconv_context *best_context(int32_t convolution)
{
    return convolution_context(2, sfk_best_isa(SFCONV_ISA_BEST), convolution);
}

typedef struct size_case {
    int64_t batch, in, out, height, width, kernel[2], stride, padding[2];
} size_case;

/* Maps below, at and above a tile, a vector of tiles and a span; channels below and above a block
 * of them; more and fewer spans than segments; every number of horizontal taps, and vertical
 * strides that leave gaps or the map. */
static const size_case sizes[] = {
    {1, 1, 1, 1, 1, {1, 5}, 1, {0, 4}},   {1, 2, 3, 7, 9, {3, 5}, 2, {1, 2}},
    {2, 3, 8, 24, 37, {7, 7}, 2, {3, 3}}, {1, 3, 70, 9, 66, {5, 6}, 2, {2, 0}},
    {1, 1, 5, 5, 950, {2, 8}, 3, {1, 7}}, {3, 4, 9, 13, 30, {3, 7}, 1, {0, 3}},
    {1, 2, 130, 6, 8, {1, 8}, 4, {0, 4}}, {1, 3, 6, 224, 64, {7, 7}, 2, {3, 3}},
    {9, 2, 4, 6, 50, {4, 6}, 2, {4, 3}},  {2, 2, 3, 5, 13, {3, 7}, 1 << 30, {1, 3}},
};
#define SIZE_COUNT ((int)(sizeof sizes / sizeof sizes[0]))

static sfi_conv_shape shape_of(const size_case *size)
{
    sfi_conv_shape shape = {.batch = size->batch,
                            .in_channels = size->in,
                            .in_height = size->height,
                            .in_width = size->width,
                            .out_channels = size->out,
                            .kernel = {size->kernel[0], size->kernel[1]},
                            .stride = {size->stride, 2},
                            .padding = {size->padding[0], size->padding[1]},
                            .dilation = {1, 1},
                            .groups = 1};
    fit_output(&shape);
    ck_assert(sfi_conv_shape_fits(&shape));
    return shape;
}

static void check_errors(sfconv_context *context, const struct problem *problem, enum pass pass,
                         bool accumulate)
{
    const int64_t count = result_count(&problem->shape, pass);
    struct naive naive = run_naive(problem, pass);
    struct buffer result = random_buffer(count, problem->seed, 9);
    struct buffer before = random_buffer(count, problem->seed, 9);
    double error = 0, largest = 0;
    run_pass(context, problem, pass, result.values, accumulate);
    for (int64_t i = 0; i < count; i++) {
        const double start = accumulate ? before.values[i] : 0.0;
        error = worst_of(error, fabs(result.values[i] - (start + naive.sum[i])));
        largest = worst_of(largest, naive.size[i] + fabs(start));
    }
    ck_assert_msg(error <= 1e-6 * largest, "seed %llu, %s: %g of %g",
                  (unsigned long long)problem->seed, pass_names[pass], error, largest);
    free_naive(&naive);
    free_buffer(&result);
    free_buffer(&before);
}

/* The figure that docs/mathematics.md gives. */
START_TEST(errors_are_a_millionth_of_the_largest_sum_of_absolute_terms)
{
    sfconv_context *context = best_context(SFCONV_CONVOLUTION_WINOGRAD);
    for (int i = 0; i < SIZE_COUNT; i++) {
        const sfi_conv_shape shape = shape_of(&sizes[i]);
        struct problem problem = make_problem(&shape, (uint64_t)i);
        check_errors(context, &problem, FORWARD, false);
        check_errors(context, &problem, WEIGHT, false);
        check_errors(context, &problem, WEIGHT, true);
        free_problem(&problem);
    }
    sfi_context_release(context);
}
END_TEST

enum { TILE = SFK_LINE_TILE, POINTS = SFK_LINE_POINTS, PHASES = SFK_LINE_PHASES };

/* The sum of the absolute values of all that F(4, 4) adds for output `place` of a tile, from four
 * taps and seven columns of one parity. */
static double magnitude_of_line(int place, const double w[TILE], const double d[POINTS])
{
    const double one = w[0] + w[1] + w[2] + w[3];
    const double half = w[0] + w[1] / 2 + w[2] / 4 + w[3] / 8;
    const double two = w[0] + 2 * w[1] + 4 * w[2] + 8 * w[3];
    double v[5], u[3], e[3];
    for (int i = 0; i < 5; i++) {
        v[i] = d[i + 2] + d[i];
    }
    for (int i = 0; i < 3; i++) {
        u[i] = d[i + 3] + d[i + 1] / 4;
        e[i] = v[i + 2] + v[i] / 4;
    }
    const double at_one = u[2] + 3 * u[1] + 2 * u[0];
    const double at_half = v[3] + 2 * v[2] + v[2] / 2 + v[1];
    const double sums[POINTS] = {2 * w[0] * (e[1] + 2 * e[0]), 2.0 / 3 * one * at_one,
                                 2.0 / 9 * one * at_one,       16.0 / 9 * half * at_half,
                                 16.0 / 15 * half * at_half,   2.0 / 45 * two * e[1],
                                 w[3] * (e[2] + 2 * e[1])};
    const double powers[POINTS] = {
        place == 0, 1, 1, ldexp(1, -place), ldexp(1, -place), ldexp(1, place), place == 3};
    double sum = 0;
    for (int i = 0; i < POINTS; i++) {
        sum += powers[i] * sums[i];
    }
    return sum;
}

static double input_at(const struct problem *problem, const float *plane, int64_t row,
                       int64_t column)
{
    const sfi_conv_shape *shape = &problem->shape;
    const bool is_inside =
        row >= 0 && row < shape->in_height && column >= 0 && column < shape->in_width;
    return is_inside ? fabs((double)plane[row * shape->in_width + column]) : 0;
}

/* Of output channel o at row y and column x of an image. */
static double magnitude_of_output(const struct problem *problem, int64_t image, int64_t o,
                                  int64_t y, int64_t x)
{
    const sfi_conv_shape *shape = &problem->shape;
    const int64_t width = shape->kernel[1];
    double sum = fabs((double)problem->bias.values[o]);
    for (int64_t row = 0; row < shape->in_channels * shape->kernel[0]; row++) {
        const int64_t channel = row / shape->kernel[0];
        const int64_t at = y * shape->stride[0] + row % shape->kernel[0] - shape->padding[0];
        const float *plane = problem->x.values + (image * shape->in_channels + channel) *
                                                     shape->in_height * shape->in_width;
        const float *filter =
            problem->weight.values + (o * shape->in_channels * shape->kernel[0] + row) * width;
        for (int64_t phase = 0; phase < PHASES; phase++) {
            double w[TILE] = {0}, d[POINTS];
            for (int64_t i = phase; i < width; i += PHASES) {
                w[i / PHASES] = fabs((double)filter[i]);
            }
            for (int64_t m = 0; m < POINTS; m++) {
                d[m] = input_at(problem, plane, at,
                                PHASES * (x / TILE * TILE + m) + phase - shape->padding[1]);
            }
            sum += magnitude_of_line((int)(x % TILE), w, d);
        }
    }
    return sum;
}

static void check_bound(sfconv_context *context, const struct problem *problem)
{
    const sfi_conv_shape *shape = &problem->shape;
    const int64_t plane = shape->out_height * shape->out_width;
    const int64_t terms = PHASES * shape->in_channels * shape->kernel[0];
    struct naive naive = run_naive(problem, FORWARD);
    struct buffer result = make_buffer(y_count(shape));
    double worst = 0;
    run_pass(context, problem, FORWARD, result.values, false);
    for (int64_t i = 0; i < result.count; i++) {
        const double size = magnitude_of_output(problem, i / plane / shape->out_channels,
                                                i / plane % shape->out_channels,
                                                i % plane / shape->out_width, i % shape->out_width);
        const double allowed = ldexp(1, -24) * (double)(terms + 12) * size;
        worst = worst_of(worst, fabs(result.values[i] - naive.sum[i]) / allowed);
    }
    ck_assert_msg(worst <= 1, "seed %llu is off by %g times what the bound allows",
                  (unsigned long long)problem->seed, worst);
    free_naive(&naive);
    free_buffer(&result);
}

/* As docs/mathematics.md derives it. */
START_TEST(every_output_keeps_the_bound)
{
    sfconv_context *context = best_context(SFCONV_CONVOLUTION_WINOGRAD);
    for (int i = 0; i < SIZE_COUNT; i++) {
        const sfi_conv_shape shape = shape_of(&sizes[i]);
        struct problem problem = make_problem(&shape, 20 + (uint64_t)i);
        check_bound(context, &problem);
        free_problem(&problem);
    }
    sfi_context_release(context);
}
END_TEST

static void check_all_sizes(sfconv_context *expected_by, sfconv_context *other)
{
    for (int i = 0; i < SIZE_COUNT; i++) {
        const sfi_conv_shape shape = shape_of(&sizes[i]);
        struct problem problem = make_problem(&shape, (uint64_t)i);
        check_same_bits(&problem, expected_by, other);
        free_problem(&problem);
    }
}

START_TEST(every_instruction_set_gives_the_bits_of_the_reference)
{
    compare_instruction_sets(SFCONV_CONVOLUTION_WINOGRAD, check_all_sizes);
}
END_TEST

START_TEST(any_number_of_workers_gives_the_same_bits)
{
    compare_workers(SFCONV_CONVOLUTION_WINOGRAD, check_all_sizes);
}
END_TEST

/* <conv(x, w), g> = <w, gradient by the weight of (x, g)>. */
START_TEST(the_weight_gradient_is_the_adjoint_of_the_forward_pass)
{
    sfconv_context *context = best_context(SFCONV_CONVOLUTION_WINOGRAD);
    for (int i = 0; i < SIZE_COUNT; i++) {
        const sfi_conv_shape shape = shape_of(&sizes[i]);
        struct problem problem = make_problem(&shape, 50 + (uint64_t)i);
        struct buffer y = make_buffer(y_count(&shape));
        struct buffer dweight = make_buffer(weight_count(&shape));
        double size = 0;
        memset(problem.bias.values, 0, (size_t)shape.out_channels * sizeof(float));
        run_pass(context, &problem, FORWARD, y.values, false);
        run_pass(context, &problem, WEIGHT, dweight.values, false);
        const double forward = dot(y.values, problem.y.values, y.count, &size);
        const double weight = dot(dweight.values, problem.weight.values, dweight.count, &size);
        ck_assert_msg(fabs(forward - weight) <= 1e-5 * size, "size %d: <Aw, g> %g, <w, A'g> %g", i,
                      forward, weight);
        free_buffer(&y);
        free_buffer(&dweight);
        free_problem(&problem);
    }
    sfi_context_release(context);
}
END_TEST

/* Whether two settings give the same bits for a pass. */
static bool same_bits(const sfi_conv_shape *shape, enum pass pass, int32_t one, int32_t other)
{
    struct problem problem = make_problem(shape, 8);
    sfconv_context *contexts[] = {best_context(one), best_context(other)};
    struct buffer results[] = {make_buffer(result_count(shape, pass)),
                               make_buffer(result_count(shape, pass))};
    for (int i = 0; i < 2; i++) {
        run_pass(contexts[i], &problem, pass, results[i].values, false);
    }
    const bool same =
        memcmp(results[0].values, results[1].values, (size_t)results[0].count * sizeof(float)) == 0;
    for (int i = 0; i < 2; i++) {
        free_buffer(&results[i]);
        sfi_context_release(contexts[i]);
    }
    free_problem(&problem);
    return same;
}

START_TEST(left_to_itself_it_is_chosen_where_it_saves_time)
{
    const sfi_conv_shape stem = square(1, 3, 32, 64, 7, 2);
    const sfi_conv_shape small = square(1, 3, 2, 8, 7, 2);
    const enum pass passes[] = {FORWARD, WEIGHT};
    for (int i = 0; i < 2; i++) {
        const enum pass pass = passes[i];
        ck_assert(same_bits(&stem, pass, SFCONV_CONVOLUTION_AUTO, SFCONV_CONVOLUTION_WINOGRAD));
        ck_assert(!same_bits(&stem, pass, SFCONV_CONVOLUTION_AUTO, SFCONV_CONVOLUTION_DIRECT));
        ck_assert(same_bits(&small, pass, SFCONV_CONVOLUTION_AUTO, SFCONV_CONVOLUTION_DIRECT));
        ck_assert(!same_bits(&small, pass, SFCONV_CONVOLUTION_AUTO, SFCONV_CONVOLUTION_WINOGRAD));
    }
}
END_TEST

START_TEST(other_strides_dilations_groups_and_numbers_of_taps_are_computed_directly)
{
    sfi_conv_shape shapes[] = {square(1, 6, 8, 24, 7, 1), square(1, 6, 8, 24, 7, 3),
                               square(1, 6, 8, 24, 9, 2), square(1, 6, 8, 24, 3, 2),
                               square(1, 6, 8, 24, 7, 2), square(1, 6, 8, 24, 7, 2),
                               square(1, 6, 8, 24, 7, 2)};
    shapes[4].groups = 2;
    shapes[5].dilation[0] = 2;
    shapes[6].dilation[1] = 2;
    for (int i = 0; i < 7; i++) {
        fit_output(&shapes[i]);
        ck_assert(
            same_bits(&shapes[i], FORWARD, SFCONV_CONVOLUTION_WINOGRAD, SFCONV_CONVOLUTION_DIRECT));
        ck_assert(
            same_bits(&shapes[i], WEIGHT, SFCONV_CONVOLUTION_WINOGRAD, SFCONV_CONVOLUTION_DIRECT));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("line_convolution");
    TCase *tests = tcase_create("line_convolution");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, every_output_keeps_the_bound);
    tcase_add_test(tests, errors_are_a_millionth_of_the_largest_sum_of_absolute_terms);
    tcase_add_test(tests, every_instruction_set_gives_the_bits_of_the_reference);
    tcase_add_test(tests, any_number_of_workers_gives_the_same_bits);
    tcase_add_test(tests, the_weight_gradient_is_the_adjoint_of_the_forward_pass);
    tcase_add_test(tests, left_to_itself_it_is_chosen_where_it_saves_time);
    tcase_add_test(tests, other_strides_dilations_groups_and_numbers_of_taps_are_computed_directly);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
