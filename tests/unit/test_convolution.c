/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include "convolution.h"
#include "kernels.h"
#include "memory.h"
#include "parallel.h"
#include "random.h"
#include "sizes.h"

#include <math.h>
#include <string.h>

/* A convolution with its tensors: random inputs, and outputs and scratch between canaries. */
#define CANARY 64
#define CANARY_VALUE 12345.0f

struct buffer {
    float *memory;
    float *values;
    int64_t count;
};

struct problem {
    sfi_conv_shape shape;
    struct buffer x, weight, bias, y;
    uint64_t seed;
};

static struct buffer make_buffer(int64_t count)
{
    struct buffer buffer = {.count = count};
    const int64_t whole = sfi_round64(count * 4) / 4 + 2 * CANARY;
    buffer.memory = aligned_alloc(64, (size_t)whole * sizeof(float));
    ck_assert_ptr_nonnull(buffer.memory);
    for (int64_t i = 0; i < whole; i++) {
        buffer.memory[i] = CANARY_VALUE;
    }
    buffer.values = buffer.memory + CANARY;
    return buffer;
}

static struct buffer random_buffer(int64_t count, uint64_t seed, uint64_t stream)
{
    const struct buffer buffer = make_buffer(count);
    for (int64_t i = 0; i < count; i++) {
        buffer.values[i] = (float)sfi_random_normal((sfi_random){seed, stream}, (uint64_t)i);
    }
    return buffer;
}

static void free_buffer(struct buffer *buffer)
{
    for (int64_t i = 0; i < CANARY; i++) {
        ck_assert_msg(buffer->memory[i] == CANARY_VALUE, "written before the first element");
        ck_assert_msg(buffer->values[buffer->count + i] == CANARY_VALUE,
                      "written behind the last element");
    }
    free(buffer->memory);
}

static int64_t x_count(const sfi_conv_shape *shape)
{
    return shape->batch * shape->in_channels * shape->in_height * shape->in_width;
}

static int64_t y_count(const sfi_conv_shape *shape)
{
    return shape->batch * shape->out_channels * shape->out_height * shape->out_width;
}

static int64_t weight_count(const sfi_conv_shape *shape)
{
    return shape->out_channels * (shape->in_channels / shape->groups) * shape->kernel[0] *
           shape->kernel[1];
}

static void fit_output(sfi_conv_shape *shape)
{
    shape->out_height = sfi_conv_output_size(shape->in_height, shape->kernel[0], shape->stride[0],
                                             shape->padding[0], shape->dilation[0]);
    shape->out_width = sfi_conv_output_size(shape->in_width, shape->kernel[1], shape->stride[1],
                                            shape->padding[1], shape->dilation[1]);
}

static sfi_conv_shape square(int64_t batch, int64_t in, int64_t out, int64_t size, int64_t kernel,
                             int64_t stride)
{
    sfi_conv_shape shape = {.batch = batch,
                            .in_channels = in,
                            .in_height = size,
                            .in_width = size,
                            .out_channels = out,
                            .kernel = {kernel, kernel},
                            .stride = {stride, stride},
                            .padding = {kernel / 2, kernel / 2},
                            .dilation = {1, 1},
                            .groups = 1};
    fit_output(&shape);
    return shape;
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

static struct problem make_problem(const sfi_conv_shape *shape, uint64_t seed)
{
    return (struct problem){.shape = *shape,
                            .x = random_buffer(x_count(shape), seed, 1),
                            .weight = random_buffer(weight_count(shape), seed, 2),
                            .bias = random_buffer(shape->out_channels, seed, 3),
                            .y = random_buffer(y_count(shape), seed, 4),
                            .seed = seed};
}

static void free_problem(struct problem *problem)
{
    free_buffer(&problem->x);
    free_buffer(&problem->weight);
    free_buffer(&problem->bias);
    free_buffer(&problem->y);
}

static sfconv_context *make_context(int32_t workers, int32_t isa)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *context;
    desc.workers = workers;
    ck_assert_int_eq(sfi_context_create(&context, &desc, sfk_table_for(isa), isa), SFCONV_OK);
    return context;
}

/* The passes, each with scratch of just the declared size. */
enum pass { FORWARD, DATA, WEIGHT, BIAS, PASSES };
static const char *const pass_names[] = {"forward", "data", "weight", "bias"};

static int64_t result_count(const sfi_conv_shape *shape, enum pass pass)
{
    switch (pass) {
    case FORWARD:
        return y_count(shape);
    case DATA:
        return x_count(shape);
    case WEIGHT:
        return weight_count(shape);
    default:
        return shape->out_channels;
    }
}

static int64_t scratch_bytes(const sfconv_context *context, const sfi_conv_shape *shape,
                             enum pass pass)
{
    int64_t bytes = 0;
    switch (pass) {
    case FORWARD:
        ck_assert(sfi_conv_forward_scratch(&bytes, context, shape));
        break;
    case DATA:
        ck_assert(sfi_conv_backward_data_scratch(&bytes, context, shape));
        break;
    case WEIGHT:
        ck_assert(sfi_conv_backward_weight_scratch(&bytes, context, shape));
        break;
    default:
        break;
    }
    return bytes;
}

static void run_pass(sfconv_context *context, const struct problem *problem, enum pass pass,
                     float *result, bool accumulate)
{
    const sfi_conv_shape *shape = &problem->shape;
    struct buffer scratch = make_buffer(scratch_bytes(context, shape, pass) / 4);
    switch (pass) {
    case FORWARD:
        sfi_conv_forward(context, shape, problem->x.values, problem->weight.values,
                         problem->bias.values, result, scratch.values);
        break;
    case DATA:
        sfi_conv_backward_data(context, shape, problem->y.values, problem->weight.values, result,
                               accumulate, scratch.values);
        break;
    case WEIGHT:
        sfi_conv_backward_weight(context, shape, problem->x.values, problem->y.values, result,
                                 accumulate, scratch.values);
        break;
    default:
        sfi_conv_backward_bias(context, shape, problem->y.values, result, accumulate);
    }
    free_buffer(&scratch);
}

/* The definition: visits every term, adds it to the sum it belongs to and to the sum of absolute
 * values, which scales the error bound. */
struct naive {
    double *sum;
    double *size;
    int64_t *terms;
};

static void add_term(struct naive *naive, int64_t index, double term)
{
    naive->sum[index] += term;
    naive->size[index] += fabs(term);
    naive->terms[index]++;
}

static void naive_pixel(const struct problem *p, enum pass pass, struct naive *naive, int64_t n,
                        int64_t o, int64_t row, int64_t column)
{
    const sfi_conv_shape *s = &p->shape;
    const int64_t group_in = s->in_channels / s->groups;
    const int64_t first = o / (s->out_channels / s->groups) * group_in;
    const int64_t y = ((n * s->out_channels + o) * s->out_height + row) * s->out_width + column;
    for (int64_t c = 0; c < group_in; c++) {
        for (int64_t i = 0; i < s->kernel[0]; i++) {
            for (int64_t j = 0; j < s->kernel[1]; j++) {
                const int64_t h = row * s->stride[0] - s->padding[0] + i * s->dilation[0];
                const int64_t v = column * s->stride[1] - s->padding[1] + j * s->dilation[1];
                if (h < 0 || h >= s->in_height || v < 0 || v >= s->in_width) {
                    continue;
                }
                const int64_t x =
                    ((n * s->in_channels + first + c) * s->in_height + h) * s->in_width + v;
                const int64_t w = ((o * group_in + c) * s->kernel[0] + i) * s->kernel[1] + j;
                if (pass == FORWARD) {
                    add_term(naive, y, (double)p->x.values[x] * p->weight.values[w]);
                } else if (pass == DATA) {
                    add_term(naive, x, (double)p->y.values[y] * p->weight.values[w]);
                } else if (pass == WEIGHT) {
                    add_term(naive, w, (double)p->y.values[y] * p->x.values[x]);
                }
            }
        }
    }
    if (pass == BIAS) {
        add_term(naive, o, p->y.values[y]);
    }
}

static struct naive run_naive(const struct problem *p, enum pass pass)
{
    const sfi_conv_shape *s = &p->shape;
    const size_t count = (size_t)result_count(s, pass);
    struct naive naive = {.sum = calloc(count, sizeof(double)),
                          .size = calloc(count, sizeof(double)),
                          .terms = calloc(count, sizeof(int64_t))};
    for (int64_t n = 0; n < s->batch; n++) {
        for (int64_t o = 0; o < s->out_channels; o++) {
            for (int64_t row = 0; row < s->out_height; row++) {
                for (int64_t column = 0; column < s->out_width; column++) {
                    naive_pixel(p, pass, &naive, n, o, row, column);
                }
            }
        }
    }
    const int64_t plane = s->out_height * s->out_width;
    for (size_t i = 0; pass == FORWARD && i < count; i++) {
        add_term(&naive, (int64_t)i, p->bias.values[(int64_t)i / plane % s->out_channels]);
    }
    return naive;
}

static void free_naive(struct naive *naive)
{
    free(naive->sum);
    free(naive->size);
    free(naive->terms);
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
                ck_assert_msg(fabs(result.values[i] - expected) <= bound,
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
    for (uint64_t seed = 0; seed < RANDOM_SHAPES; seed++) {
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
    return count;
}

START_TEST(shapes_that_cross_every_block_equal_their_definition)
{
    sfi_conv_shape shapes[16];
    const int count = large_shapes(shapes);
    sfconv_context *context = make_context(2, sfk_best_isa(SFCONV_ISA_BEST));
    for (int i = 0; i < count; i++) {
        struct problem problem = make_problem(&shapes[i], 1000 + (uint64_t)i);
        check_against_naive(context, &problem);
        free_problem(&problem);
    }
    sfi_context_release(context);
}
END_TEST

static void check_same_bits(const struct problem *problem, sfconv_context *expected_by,
                            sfconv_context *other)
{
    for (enum pass pass = FORWARD; pass < PASSES; pass++) {
        const int64_t count = result_count(&problem->shape, pass);
        struct buffer expected = random_buffer(count, problem->seed, 9);
        struct buffer result = random_buffer(count, problem->seed, 9);
        const bool accumulate = problem->seed % 2;
        run_pass(expected_by, problem, pass, expected.values, accumulate);
        run_pass(other, problem, pass, result.values, accumulate);
        ck_assert_msg(memcmp(expected.values, result.values, (size_t)count * sizeof(float)) == 0,
                      "seed %llu, %s: isa %d with %d workers differs from isa %d with %d",
                      (unsigned long long)problem->seed, pass_names[pass], other->isa,
                      other->workers, expected_by->isa, expected_by->workers);
        free_buffer(&expected);
        free_buffer(&result);
    }
}

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
    const int32_t isas[] = {SFCONV_ISA_AVX2, SFCONV_ISA_AVX512, SFCONV_ISA_NEON};
    sfconv_context *reference = make_context(2, SFCONV_ISA_REFERENCE);
    for (int i = 0; i < 3; i++) {
        if (sfk_table_for(isas[i])) {
            sfconv_context *other = make_context(2, isas[i]);
            check_same_bits_everywhere(reference, other);
            sfi_context_release(other);
        }
    }
    sfi_context_release(reference);
}
END_TEST

START_TEST(any_number_of_workers_gives_the_same_bits)
{
    const int32_t workers[] = {2, 3, 16};
    const int32_t isa = sfk_best_isa(SFCONV_ISA_BEST);
    sfconv_context *alone = make_context(1, isa);
    for (int i = 0; i < 3; i++) {
        sfconv_context *other = make_context(workers[i], isa);
        check_same_bits_everywhere(alone, other);
        sfi_context_release(other);
    }
    sfi_context_release(alone);
}
END_TEST

static double dot(const float *a, const float *b, int64_t count, double *size)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += (double)a[i] * b[i];
        *size += fabs((double)a[i] * b[i]);
    }
    return sum;
}

START_TEST(gradients_are_the_adjoints_of_the_forward_pass)
{
    sfconv_context *context = make_context(1, sfk_best_isa(SFCONV_ISA_BEST));
    for (uint64_t seed = 500; seed < 560; seed++) {
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
    tcase_add_test(tests, every_instruction_set_gives_the_bits_of_the_reference);
    tcase_add_test(tests, any_number_of_workers_gives_the_same_bits);
    tcase_add_test(tests, gradients_are_the_adjoints_of_the_forward_pass);
    tcase_add_test(tests, an_impulse_returns_the_kernel);
    tcase_add_test(tests, output_sizes_follow_the_usual_formula);
    tcase_add_test(tests, shapes_that_do_not_fit_are_refused);
    tcase_add_test(tests, macs_are_counted_from_first_principles);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
