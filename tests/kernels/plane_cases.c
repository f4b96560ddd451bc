/* SPDX-License-Identifier: BSD-2-Clause */
/* Kernels that pass over maps once: sums of maps, activations, normalization, dropout. */
#include "kernel_cases.h"

#include <stdio.h>

/* The largest map of the U-Net, a middle one and the smallest of ResNet-18. */
static const struct map {
    const char *label;
    int64_t pixels;
} maps[] = {{"304x304", 304 * 304}, {"38x38", 38 * 38}, {"7x7", 49}};

/* A map read and a map written. */
#define MAP_CASES(name, ...)                                                                       \
    void name##_cases(kernel_cases *cases)                                                         \
    {                                                                                              \
        for (int64_t i = 0; i < CASE_COUNT(maps); i++) {                                           \
            const int64_t count = maps[i].pixels;                                                  \
            float *out = case_floats(cases, count);                                                \
            const float *in = case_floats(cases, count);                                           \
            KERNEL_CASE(cases, maps[i].label, moves(count, count),                                 \
                        cases->kernels->name(__VA_ARGS__));                                        \
        }                                                                                          \
    }

MAP_CASES(relu, out, in, count)
MAP_CASES(leaky_relu, out, in, 0.1f, count)
MAP_CASES(sigmoid, out, in, count)
MAP_CASES(silu, out, in, count)

/* Two maps read and one written. */
#define TWO_MAP_CASES(name, ...)                                                                   \
    void name##_cases(kernel_cases *cases)                                                         \
    {                                                                                              \
        for (int64_t i = 0; i < CASE_COUNT(maps); i++) {                                           \
            const int64_t count = maps[i].pixels;                                                  \
            float *out = case_floats(cases, count);                                                \
            const float *in = case_floats(cases, count);                                           \
            const float *other = case_floats(cases, count);                                        \
            KERNEL_CASE(cases, maps[i].label, moves(2 * count, count),                             \
                        cases->kernels->name(__VA_ARGS__));                                        \
        }                                                                                          \
    }

TWO_MAP_CASES(add, out, in, other, count)
TWO_MAP_CASES(leaky_relu_gradient, out, in, other, 0.0f, false, count)
TWO_MAP_CASES(sigmoid_gradient, out, in, other, false, count)
TWO_MAP_CASES(silu_gradient, out, in, other, false, count)

void add_to_cases(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(maps); i++) {
        const int64_t count = maps[i].pixels;
        float *to = case_floats(cases, count);
        const float *from = case_floats(cases, count);
        KERNEL_CASE(cases, maps[i].label, moves(2 * count, count),
                    cases->kernels->add_to(to, from, count));
    }
}

void plane_sum_cases(kernel_cases *cases)
{
    double *sums = case_doubles(cases, 1);
    for (int64_t i = 0; i < CASE_COUNT(maps); i++) {
        const int64_t count = maps[i].pixels;
        const float *in = case_floats(cases, count);
        KERNEL_CASE(cases, maps[i].label, moves(count, 0),
                    cases->kernels->plane_sum(sums, in, count));
    }
}

void plane_moments_cases(kernel_cases *cases)
{
    double *sums = case_doubles(cases, 2);
    for (int64_t i = 0; i < CASE_COUNT(maps); i++) {
        const int64_t count = maps[i].pixels;
        const float *in = case_floats(cases, count);
        KERNEL_CASE(cases, maps[i].label, moves(count, 0),
                    cases->kernels->plane_moments(sums, in, 0.3, count));
    }
}

void plane_products_cases(kernel_cases *cases)
{
    double *sums = case_doubles(cases, 2);
    for (int64_t i = 0; i < CASE_COUNT(maps); i++) {
        const int64_t count = maps[i].pixels;
        const float *in = case_floats(cases, count);
        const float *grad_out = case_floats(cases, count);
        KERNEL_CASE(cases, maps[i].label, moves(2 * count, 0),
                    cases->kernels->plane_products(sums, in, grad_out, 0.3, count));
    }
}

static const sfk_normal normal = {.mean = 0.1f, .mean_rest = 1e-9f, .scale = 1.7f, .shift = -0.5f};

MAP_CASES(normalize, out, in, &normal, count)
TWO_MAP_CASES(normalize_gradient, out, in, other, 0.7f, &normal, false, count)

/* A row of the U-Net, and whole maps of ResNet-18. */
void finish_cases(kernel_cases *cases)
{
    static const struct map rows[] = {{"304", 304}, {"14x14", 196}, {"7x7", 49}};
    for (int64_t i = 0; i < CASE_COUNT(rows); i++) {
        const int64_t count = rows[i].pixels;
        float *to = case_floats(cases, count);
        const sfk_finish alone = {&normal, NULL, SFK_RELU, 0.0f};
        const sfk_finish added = {&normal, case_floats(cases, count), SFK_LEAKY_RELU, 0.1f};
        char label[64];
        KERNEL_CASE(cases, rows[i].label, moves(count, count),
                    cases->kernels->finish(to, &alone, count));
        snprintf(label, sizeof label, "%s, sum, LeakyReLU", rows[i].label);
        KERNEL_CASE(cases, label, moves(2 * count, count),
                    cases->kernels->finish(to, &added, count));
    }
}

static const sfk_mask mask = {.seed = 7, .stream = 3, .threshold = INT64_C(1) << 52, .scale = 1.7f};

MAP_CASES(dropout, out, in, &mask, false, count)

/* A row of the U-Net's output. */
void binary_sums_cases(kernel_cases *cases)
{
    const int64_t count = 304;
    const float *logits = case_floats(cases, count);
    const float *targets = case_floats(cases, count);
    double *sums = case_doubles(cases, 4);
    KERNEL_CASE(cases, "304 columns", moves(2 * count, 0),
                cases->kernels->binary_sums(sums, logits, targets, 0.8, true, count));
    KERNEL_CASE(cases, "304 columns, Dice alone", moves(2 * count, 0),
                cases->kernels->binary_sums(sums, logits, targets, 0.8, false, count));
}

void binary_gradient_cases(kernel_cases *cases)
{
    const int64_t count = 304;
    const sfk_binary binary = {0.7, 0.8, 0.3, 0.4};
    const float *logits = case_floats(cases, count);
    const float *targets = case_floats(cases, count);
    float *gradient = case_floats(cases, count);
    KERNEL_CASE(cases, "304 columns", moves(2 * count, count),
                cases->kernels->binary_gradient(gradient, logits, targets, &binary, count));
}
