/* SPDX-License-Identifier: BSD-2-Clause */
/* Convolutions on random tensors, their passes with scratch of just the declared size, and their
 * definition in double. */
#ifndef TESTS_CONVOLUTIONS_H
#define TESTS_CONVOLUTIONS_H

#include "support.h"

#include "convolution.h"
#include "kernels.h"
#include "memory.h"
#include "random_values.h"
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

static inline struct buffer make_buffer(int64_t count)
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

static inline struct buffer random_buffer(int64_t count, uint64_t seed, uint64_t stream)
{
    const struct buffer buffer = make_buffer(count);
    fill_random(buffer.values, count, (sfi_random){seed, stream});
    return buffer;
}

static inline void free_buffer(struct buffer *buffer)
{
    for (int64_t i = 0; i < CANARY; i++) {
        ck_assert_msg(buffer->memory[i] == CANARY_VALUE, "written before the first element");
        ck_assert_msg(buffer->values[buffer->count + i] == CANARY_VALUE,
                      "written behind the last element");
    }
    free(buffer->memory);
}

static inline int64_t x_count(const sfi_conv_shape *shape)
{
    return shape->batch * shape->in_channels * shape->in_height * shape->in_width;
}

static inline int64_t y_count(const sfi_conv_shape *shape)
{
    return shape->batch * shape->out_channels * shape->out_height * shape->out_width;
}

static inline int64_t weight_count(const sfi_conv_shape *shape)
{
    return shape->out_channels * (shape->in_channels / shape->groups) * shape->kernel[0] *
           shape->kernel[1];
}

static inline void fit_output(sfi_conv_shape *shape)
{
    shape->out_height = sfi_conv_output_size(shape->in_height, shape->kernel[0], shape->stride[0],
                                             shape->padding[0], shape->dilation[0]);
    shape->out_width = sfi_conv_output_size(shape->in_width, shape->kernel[1], shape->stride[1],
                                            shape->padding[1], shape->dilation[1]);
}

static inline sfi_conv_shape square(int64_t batch, int64_t in, int64_t out, int64_t size,
                                    int64_t kernel, int64_t stride)
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

static inline struct problem make_problem(const sfi_conv_shape *shape, uint64_t seed)
{
    return (struct problem){.shape = *shape,
                            .x = random_buffer(x_count(shape), seed, 1),
                            .weight = random_buffer(weight_count(shape), seed, 2),
                            .bias = random_buffer(shape->out_channels, seed, 3),
                            .y = random_buffer(y_count(shape), seed, 4),
                            .seed = seed};
}

static inline void free_problem(struct problem *problem)
{
    free_buffer(&problem->x);
    free_buffer(&problem->weight);
    free_buffer(&problem->bias);
    free_buffer(&problem->y);
}

/* `convolution`: SFCONV_CONVOLUTION_…. */
static inline sfconv_context *convolution_context(int32_t workers, int32_t isa, int32_t convolution)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *context;
    desc.workers = workers;
    desc.convolution = convolution;
    ck_assert_int_eq(sfi_context_create(&context, &desc, sfk_table_for(isa), isa), SFCONV_OK);
    return context;
}

/* The passes, each with scratch of just the declared size. */
enum pass { FORWARD, DATA, WEIGHT, BIAS, PASSES };
static const char *const pass_names[] = {"forward", "data", "weight", "bias"};

static inline int64_t result_count(const sfi_conv_shape *shape, enum pass pass)
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

static inline int64_t scratch_bytes(const sfconv_context *context, const sfi_conv_shape *shape,
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

static inline void run_pass(sfconv_context *context, const struct problem *problem, enum pass pass,
                            float *result, bool accumulate)
{
    const sfi_conv_shape *shape = &problem->shape;
    struct buffer scratch = make_buffer(scratch_bytes(context, shape, pass) / 4);
    switch (pass) {
    case FORWARD:
        sfi_conv_forward(context, shape, problem->x.values, problem->weight.values, NULL,
                         problem->bias.values, NULL, result, scratch.values);
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

static inline void add_term(struct naive *naive, int64_t index, double term)
{
    naive->sum[index] += term;
    naive->size[index] += fabs(term);
    naive->terms[index]++;
}

static inline void naive_pixel(const struct problem *p, enum pass pass, struct naive *naive,
                               int64_t n, int64_t o, int64_t row, int64_t column)
{
    const sfi_conv_shape *s = &p->shape;
    const int64_t group_in = s->in_channels / s->groups;
    const int64_t first = o / (s->out_channels / s->groups) * group_in;
    const int64_t y = ((n * s->out_channels + o) * s->out_height + row) * s->out_width + column;
    if (pass == BIAS) {
        add_term(naive, o, p->y.values[y]);
        return;
    }
    for (int64_t c = 0; c < group_in; c++) {
        for (int64_t i = 0; i < s->kernel[0]; i++) {
            const int64_t h = row * s->stride[0] - s->padding[0] + i * s->dilation[0];
            for (int64_t j = 0; h >= 0 && h < s->in_height && j < s->kernel[1]; j++) {
                const int64_t v = column * s->stride[1] - s->padding[1] + j * s->dilation[1];
                if (v < 0 || v >= s->in_width) {
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
}

static inline struct naive run_naive(const struct problem *p, enum pass pass)
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

static inline void free_naive(struct naive *naive)
{
    free(naive->sum);
    free(naive->size);
    free(naive->terms);
}

static inline void check_same_bits(const struct problem *problem, sfconv_context *expected_by,
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

/* *size grows by the absolute values. */
static inline double dot(const float *a, const float *b, int64_t count, double *size)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += (double)a[i] * b[i];
        *size += fabs((double)a[i] * b[i]);
    }
    return sum;
}

/* Calls check(reference, other) for every instruction set of this machine; and check(alone, other)
 * for more and more workers. */
typedef void (*compare_contexts)(sfconv_context *expected_by, sfconv_context *other);

static inline void compare_instruction_sets(int32_t convolution, compare_contexts check)
{
    const int32_t isas[] = {SFCONV_ISA_AVX2, SFCONV_ISA_AVX512, SFCONV_ISA_NEON};
    sfconv_context *reference = convolution_context(2, SFCONV_ISA_REFERENCE, convolution);
    for (int i = 0; i < 3; i++) {
        if (sfk_table_for(isas[i])) {
            sfconv_context *other = convolution_context(2, isas[i], convolution);
            check(reference, other);
            sfi_context_release(other);
        }
    }
    sfi_context_release(reference);
}

static inline void compare_workers(int32_t convolution, compare_contexts check)
{
    const int32_t workers[] = {2, 3, 16};
    const int32_t isa = sfk_best_isa(SFCONV_ISA_BEST);
    sfconv_context *alone = convolution_context(1, isa, convolution);
    for (int i = 0; i < 3; i++) {
        sfconv_context *other = convolution_context(workers[i], isa, convolution);
        check(alone, other);
        sfi_context_release(other);
    }
    sfi_context_release(alone);
}

#endif
