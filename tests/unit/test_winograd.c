/* SPDX-License-Identifier: BSD-2-Clause */
/* Convolutions by Winograd's F(4x4, 3x3): the error bound that docs/mathematics.md states, the
 * bits, and when the algorithm is chosen. */
#include "convolutions.h"

#include "sfconv/sfconv.h"

#define WINDOW 6
#define TILE 4

static sfconv_context *best_context(int32_t convolution)
{
    return convolution_context(2, sfk_best_isa(SFCONV_ISA_BEST), convolution);
}

static sfi_conv_shape padded(int64_t batch, int64_t in, int64_t out, int64_t height, int64_t width,
                             int64_t padding)
{
    sfi_conv_shape shape = square(batch, in, out, 1, 3, 1);
    shape.in_height = height;
    shape.in_width = width;
    shape.padding[0] = shape.padding[1] = padding;
    fit_output(&shape);
    return shape;
}

/* Maps below, at and above a tile and a vector of tiles; channels below, at and above a vector, a
 * task and a round; several images, blocks and rounds. */
static const int64_t sizes[][6] = {
    {1, 1, 1, 1, 1, 1},      {1, 2, 3, 3, 3, 0},     {2, 3, 5, 4, 4, 2},     {1, 5, 2, 5, 6, 1},
    {1, 7, 9, 8, 7, 0},      {3, 8, 8, 9, 33, 1},    {1, 15, 17, 2, 34, 2},  {1, 16, 16, 13, 5, 1},
    {2, 17, 15, 7, 70, 1},   {1, 3, 2, 6, 270, 1},   {1, 33, 49, 12, 12, 1}, {1, 4, 100, 10, 11, 1},
    {1, 300, 10, 5, 5, 1},   {1, 12, 260, 6, 5, 1},  {1, 2, 2, 90, 90, 1},   {2, 270, 290, 8, 8, 1},
    {1, 4, 4, 5, 5, 3},      {9, 9, 9, 7, 7, 1},     {2, 70, 37, 7, 6, 1},   {1, 33, 40, 5, 26, 1},
    {260, 40, 290, 1, 1, 1}, {2, 17, 15, 7, 270, 1}, {1, 33, 49, 66, 67, 1}, {1, 17, 32, 66, 70, 1},
    {1, 16, 32, 6, 1050, 1}, {1, 208, 3, 46, 46, 1}, {40, 16, 5, 7, 7, 1},
};
#define SIZE_COUNT ((int)(sizeof sizes / sizeof sizes[0]))

static sfi_conv_shape shape_of(int i)
{
    const int64_t *s = sizes[i];
    return padded(s[0], s[1], s[2], s[3], s[4], s[5]);
}

/* Multiply-adds from which on sizes are left to one test under sanitizers. */
#define MANY 10000000

static bool is_tried(int i)
{
    const sfi_conv_shape shape = shape_of(i);
    const int64_t pixels = shape.batch * shape.out_height * shape.out_width;
    return 9 * pixels * shape.in_channels * shape.out_channels < MANY || rounds_of(MANY) == MANY;
}

/* Absolute values of the transforms, in double. */
#define A 0.70710678118654752440
#define B 1.41421356237309504880
static const double size_of_taps[WINDOW][3] = {{1, 0, 0},
                                               {2. / 3, 2. / 3 * A, 1. / 3},
                                               {2. / 3, 2. / 3 * A, 1. / 3},
                                               {1. / 6, B / 6, 1. / 3},
                                               {1. / 6, B / 6, 1. / 3},
                                               {0, 0, 1}};
static const double size_of_window[WINDOW][WINDOW] = {{1, 0, 2.5, 0, 1, 0}, {0, B, 2, A, 1, 0},
                                                      {0, B, 2, A, 1, 0},   {0, A, .5, B, 1, 0},
                                                      {0, A, .5, B, 1, 0},  {0, 1, 0, 2.5, 0, 1}};
static const double size_of_back[TILE][WINDOW] = {{1, 1, 1, 1, 1, 0},
                                                  {0, A, A, B, B, 0},
                                                  {0, .5, .5, 2, 2, 0},
                                                  {0, A / 2, A / 2, 2 * B, 2 * B, 1}};

/* A convolution of stride 1 of which sizes are wanted: forward, or the data gradient as one. */
struct product {
    sfi_conv_shape shape;
    const float *source;
    const float *weight;
    bool transposed;
};

static double weight_size(const struct product *p, int64_t o, int64_t c, int64_t i, int64_t j)
{
    const sfi_conv_shape *s = &p->shape;
    return fabs(p->transposed ? p->weight[((c * s->out_channels + o) * 3 + 2 - i) * 3 + 2 - j]
                              : p->weight[((o * s->in_channels + c) * 3 + i) * 3 + j]);
}

static double source_size(const struct product *p, int64_t n, int64_t c, int64_t row,
                          int64_t column)
{
    const sfi_conv_shape *s = &p->shape;
    const int64_t y = row - s->padding[0], x = column - s->padding[1];
    if (y < 0 || y >= s->in_height || x < 0 || x >= s->in_width) {
        return 0;
    }
    return fabs(p->source[((n * s->in_channels + c) * s->in_height + y) * s->in_width + x]);
}

/* What the coefficients of a weight, and of a window of the source, may reach. */
typedef double coefficients[WINDOW][WINDOW];

static void weight_coefficients(const struct product *p, int64_t o, int64_t c, coefficients to)
{
    for (int f = 0; f < WINDOW; f++) {
        for (int g = 0; g < WINDOW; g++) {
            to[f][g] = 0;
            for (int i = 0; i < 3; i++) {
                for (int j = 0; j < 3; j++) {
                    to[f][g] +=
                        size_of_taps[f][i] * size_of_taps[g][j] * weight_size(p, o, c, i, j);
                }
            }
        }
    }
}

static void source_coefficients(const struct product *p, int64_t n, int64_t c, int64_t row,
                                int64_t column, coefficients to)
{
    for (int f = 0; f < WINDOW; f++) {
        for (int g = 0; g < WINDOW; g++) {
            to[f][g] = 0;
            for (int i = 0; i < WINDOW; i++) {
                for (int j = 0; j < WINDOW; j++) {
                    to[f][g] += size_of_window[f][i] * size_of_window[g][j] *
                                source_size(p, n, c, row + i, column + j);
                }
            }
        }
    }
}

static void put_tile(const struct product *p, int64_t plane, int64_t row, int64_t column,
                     coefficients sums, double *reach)
{
    const sfi_conv_shape *s = &p->shape;
    for (int64_t i = 0; i < TILE && row + i < s->out_height; i++) {
        for (int64_t j = 0; j < TILE && column + j < s->out_width; j++) {
            double sum = 0;
            for (int f = 0; f < WINDOW; f++) {
                for (int g = 0; g < WINDOW; g++) {
                    sum += size_of_back[i][f] * size_of_back[j][g] * sums[f][g];
                }
            }
            reach[(plane * s->out_height + row + i) * s->out_width + column + j] = sum;
        }
    }
}

static void put_tiles(const struct product *p, int64_t n, int64_t row, int64_t column,
                      const coefficients *weights, const coefficients *windows, double *reach)
{
    const sfi_conv_shape *s = &p->shape;
    for (int64_t o = 0; o < s->out_channels; o++) {
        coefficients sums = {{0}};
        for (int64_t c = 0; c < s->in_channels; c++) {
            for (int i = 0; i < WINDOW * WINDOW; i++) {
                const int f = i / WINDOW, g = i % WINDOW;
                sums[f][g] += weights[o * s->in_channels + c][f][g] * windows[c][f][g];
            }
        }
        put_tile(p, n * s->out_channels + o, row, column, sums, reach);
    }
}

/* The S of the bound, for each output. */
static double *reach_of(const struct product *p)
{
    const sfi_conv_shape *s = &p->shape;
    const int64_t in = s->in_channels;
    double *reach = calloc((size_t)y_count(s), sizeof *reach);
    coefficients *weights = malloc((size_t)(s->out_channels * in) * sizeof *weights);
    coefficients *windows = malloc((size_t)in * sizeof *windows);
    for (int64_t i = 0; i < s->out_channels * in; i++) {
        weight_coefficients(p, i / in, i % in, weights[i]);
    }
    for (int64_t n = 0; n < s->batch; n++) {
        for (int64_t row = 0; row < s->out_height; row += TILE) {
            for (int64_t column = 0; column < s->out_width; column += TILE) {
                for (int64_t c = 0; c < in; c++) {
                    source_coefficients(p, n, c, row, column, windows[c]);
                }
                put_tiles(p, n, row, column, weights, windows, reach);
            }
        }
    }
    free(weights);
    free(windows);
    return reach;
}

static struct product product_of(const struct problem *problem, enum pass pass)
{
    struct product product = {
        .shape = problem->shape, .source = problem->x.values, .weight = problem->weight.values};
    if (pass == DATA) {
        sfi_conv_shape *s = &product.shape;
        const sfi_conv_shape forward = problem->shape;
        product.source = problem->y.values;
        product.transposed = true;
        s->in_channels = forward.out_channels;
        s->in_height = forward.out_height;
        s->in_width = forward.out_width;
        s->out_channels = forward.in_channels;
        s->out_height = forward.in_height;
        s->out_width = forward.in_width;
        s->padding[0] = 2 - forward.padding[0];
        s->padding[1] = 2 - forward.padding[1];
    }
    return product;
}

static void check_bound(sfconv_context *context, const struct problem *problem, enum pass pass)
{
    const struct product product = product_of(problem, pass);
    const int64_t count = result_count(&problem->shape, pass);
    struct naive naive = run_naive(problem, pass);
    double *reach = reach_of(&product);
    for (int accumulate = 0; accumulate < (pass == FORWARD ? 1 : 2); accumulate++) {
        struct buffer result = random_buffer(count, problem->seed, 9);
        struct buffer before = random_buffer(count, problem->seed, 9);
        run_pass(context, problem, pass, result.values, accumulate);
        for (int64_t i = 0; i < count; i++) {
            const double start = accumulate ? before.values[i] : 0.0;
            const double expected = start + naive.sum[i];
            const double bound = 0x1p-24 * ((double)product.shape.in_channels + 32) *
                                 (reach[i] + naive.size[i] + fabs(start));
            ck_assert_msg(fabs(result.values[i] - expected) <= bound,
                          "seed %llu, %s, element %lld: %g, expected %g within %g",
                          (unsigned long long)problem->seed, pass_names[pass], (long long)i,
                          result.values[i], expected, bound);
        }
        free_buffer(&result);
        free_buffer(&before);
    }
    free(reach);
    free_naive(&naive);
}

START_TEST(every_output_keeps_within_the_stated_bound)
{
    sfconv_context *context = best_context(SFCONV_CONVOLUTION_WINOGRAD);
    for (int i = 0; i < SIZE_COUNT; i++) {
        if (!is_tried(i)) {
            continue;
        }
        const sfi_conv_shape shape = shape_of(i);
        struct problem problem = make_problem(&shape, (uint64_t)i);
        check_bound(context, &problem, FORWARD);
        check_bound(context, &problem, DATA);
        free_problem(&problem);
    }
    sfi_context_release(context);
}
END_TEST

/* The figure that the header gives for usual data. */
START_TEST(errors_are_about_a_millionth_of_the_largest_output)
{
    const sfi_conv_shape shape = padded(1, 128, 16, 20, 20, 1);
    struct problem problem = make_problem(&shape, 3);
    struct naive naive = run_naive(&problem, FORWARD);
    struct buffer y = make_buffer(y_count(&shape));
    sfconv_context *context = best_context(SFCONV_CONVOLUTION_WINOGRAD);
    double error = 0, largest = 0;
    run_pass(context, &problem, FORWARD, y.values, false);
    for (int64_t i = 0; i < y.count; i++) {
        error = worst_of(error, fabs(y.values[i] - naive.sum[i]));
        largest = worst_of(largest, fabs(naive.sum[i]));
    }
    ck_assert_msg(error <= 4e-6 * largest, "%g of %g", error, largest);
    free_naive(&naive);
    free_buffer(&y);
    free_problem(&problem);
    sfi_context_release(context);
}
END_TEST

/* More tiles than a task transforms the weight for itself, more rows than a round has: too many for
 * the bound, which the test above checks product by product. */
START_TEST(several_rounds_of_many_tiles_agree_with_the_direct_sum)
{
    const sfi_conv_shape shape = padded(1, 270, 290, 33, 33, 1);
    struct problem problem = make_problem(&shape, 4);
    sfconv_context *contexts[] = {best_context(SFCONV_CONVOLUTION_WINOGRAD),
                                  best_context(SFCONV_CONVOLUTION_DIRECT)};
    for (enum pass pass = FORWARD; pass <= DATA; pass++) {
        const int64_t count = result_count(&shape, pass);
        struct buffer results[] = {make_buffer(count), make_buffer(count)};
        double error = 0, largest = 0;
        for (int i = 0; i < 2; i++) {
            run_pass(contexts[i], &problem, pass, results[i].values, false);
        }
        for (int64_t i = 0; i < count; i++) {
            error = worst_of(error, fabs(results[0].values[i] - results[1].values[i]));
            largest = worst_of(largest, fabs(results[1].values[i]));
        }
        ck_assert_msg(error <= 1e-5 * largest, "%s: %g of %g", pass_names[pass], error, largest);
        free_buffer(&results[0]);
        free_buffer(&results[1]);
    }
    free_problem(&problem);
    sfi_context_release(contexts[0]);
    sfi_context_release(contexts[1]);
}
END_TEST

static void check_sizes(sfconv_context *expected_by, sfconv_context *other)
{
    for (int i = 0; i < SIZE_COUNT; i++) {
        if (!is_tried(i)) {
            continue;
        }
        const sfi_conv_shape shape = shape_of(i);
        struct problem problem = make_problem(&shape, (uint64_t)i);
        check_same_bits(&problem, expected_by, other);
        free_problem(&problem);
    }
}

START_TEST(every_instruction_set_gives_the_bits_of_the_reference)
{
    compare_instruction_sets(SFCONV_CONVOLUTION_WINOGRAD, check_sizes);
}
END_TEST

START_TEST(any_number_of_workers_gives_the_same_bits)
{
    compare_workers(SFCONV_CONVOLUTION_WINOGRAD, check_sizes);
}
END_TEST

START_TEST(the_data_gradient_is_the_adjoint_of_the_forward_pass)
{
    sfconv_context *context = best_context(SFCONV_CONVOLUTION_WINOGRAD);
    for (int i = 0; i < SIZE_COUNT; i++) {
        const sfi_conv_shape shape = shape_of(i);
        struct problem problem = make_problem(&shape, 50 + (uint64_t)i);
        struct buffer y = make_buffer(y_count(&shape));
        struct buffer dx = make_buffer(x_count(&shape));
        double size = 0;
        memset(problem.bias.values, 0, (size_t)shape.out_channels * sizeof(float));
        run_pass(context, &problem, FORWARD, y.values, false);
        run_pass(context, &problem, DATA, dx.values, false);
        const double forward = dot(y.values, problem.y.values, y.count, &size);
        const double data = dot(dx.values, problem.x.values, dx.count, &size);
        ck_assert_msg(fabs(forward - data) <= 1e-5 * size, "size %d: <Ax, y> %g, <x, A'y> %g", i,
                      forward, data);
        free_buffer(&y);
        free_buffer(&dx);
        free_problem(&problem);
    }
    sfi_context_release(context);
}
END_TEST

/* Whether two settings give the same bits for both passes. */
static bool same_bits(const sfi_conv_shape *shape, int32_t one, int32_t other)
{
    bool same = true;
    struct problem problem = make_problem(shape, 8);
    sfconv_context *contexts[] = {best_context(one), best_context(other)};
    for (enum pass pass = FORWARD; pass <= DATA; pass++) {
        struct buffer results[] = {make_buffer(result_count(shape, pass)),
                                   make_buffer(result_count(shape, pass))};
        for (int i = 0; i < 2; i++) {
            run_pass(contexts[i], &problem, pass, results[i].values, false);
        }
        same = same && memcmp(results[0].values, results[1].values,
                              (size_t)results[0].count * sizeof(float)) == 0;
        free_buffer(&results[0]);
        free_buffer(&results[1]);
    }
    sfi_context_release(contexts[0]);
    sfi_context_release(contexts[1]);
    free_problem(&problem);
    return same;
}

START_TEST(left_to_itself_it_is_chosen_where_it_saves_time)
{
    const sfi_conv_shape wide = padded(1, 32, 32, 40, 40, 1);
    const sfi_conv_shape few = padded(1, 64, 64, 7, 7, 1);
    const sfi_conv_shape small = padded(1, 64, 64, 5, 5, 1);
    ck_assert(same_bits(&wide, SFCONV_CONVOLUTION_AUTO, SFCONV_CONVOLUTION_WINOGRAD));
    ck_assert(!same_bits(&wide, SFCONV_CONVOLUTION_AUTO, SFCONV_CONVOLUTION_DIRECT));
    ck_assert(same_bits(&few, SFCONV_CONVOLUTION_AUTO, SFCONV_CONVOLUTION_WINOGRAD));
    ck_assert(same_bits(&small, SFCONV_CONVOLUTION_AUTO, SFCONV_CONVOLUTION_DIRECT));
    ck_assert(!same_bits(&small, SFCONV_CONVOLUTION_AUTO, SFCONV_CONVOLUTION_WINOGRAD));
}
END_TEST

START_TEST(other_kernels_strides_dilations_and_groups_are_computed_directly)
{
    sfi_conv_shape shapes[] = {square(1, 6, 8, 12, 5, 1), square(1, 6, 8, 12, 3, 2),
                               square(1, 6, 8, 12, 3, 1), square(1, 6, 8, 12, 3, 1),
                               square(1, 6, 8, 12, 3, 1)};
    shapes[2].dilation[1] = 2;
    shapes[3].groups = 2;
    shapes[4].kernel[0] = 1;
    for (int i = 0; i < 5; i++) {
        fit_output(&shapes[i]);
        ck_assert(same_bits(&shapes[i], SFCONV_CONVOLUTION_WINOGRAD, SFCONV_CONVOLUTION_DIRECT));
    }
}
END_TEST

/* Every other tap of five makes three, whose filters do not lie together. */
START_TEST(a_phase_of_a_vertical_stride_is_computed_directly)
{
    sfi_conv_shape shape = padded(1, 48, 48, 40, 20, 1);
    shape.kernel[0] = 5;
    shape.stride[0] = 2;
    shape.padding[0] = 2;
    fit_output(&shape);
    ck_assert(same_bits(&shape, SFCONV_CONVOLUTION_WINOGRAD, SFCONV_CONVOLUTION_DIRECT));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("winograd");
    TCase *tests = tcase_create("winograd");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, every_output_keeps_within_the_stated_bound);
    tcase_add_test(tests, errors_are_about_a_millionth_of_the_largest_output);
    tcase_add_test(tests, several_rounds_of_many_tiles_agree_with_the_direct_sum);
    tcase_add_test(tests, every_instruction_set_gives_the_bits_of_the_reference);
    tcase_add_test(tests, any_number_of_workers_gives_the_same_bits);
    tcase_add_test(tests, the_data_gradient_is_the_adjoint_of_the_forward_pass);
    tcase_add_test(tests, left_to_itself_it_is_chosen_where_it_saves_time);
    tcase_add_test(tests, other_kernels_strides_dilations_and_groups_are_computed_directly);
    tcase_add_test(tests, a_phase_of_a_vertical_stride_is_computed_directly);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
