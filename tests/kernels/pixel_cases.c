/* SPDX-License-Identifier: BSD-2-Clause */
/* Tiles by pixels of the way back through rank space. */
#include "kernel_cases.h"

/* 32 channels of a strip, from the taps of the U-Net at rank 1/32. */
enum { CHANNELS = 32, PIXELS = 96 };

static const struct depth {
    const char *made;
    const char *passed;
    int64_t taps;
} depths[] = {{"1 map, made", "1 map, passed", 1},
              {"6 maps, made", "6 maps, passed", 6},
              {"12 maps, made", "12 maps, passed", 12},
              {"48 maps, made", "48 maps, passed", 48}};

static sfk_pixels product_of(kernel_cases *cases, int64_t taps)
{
    const int64_t pitch = PIXELS + SFK_SLACK;
    return (sfk_pixels){.sources = case_rows(cases, case_floats(cases, taps * pitch), pitch, taps),
                        .depth = taps,
                        .weights = case_floats(cases, taps * CHANNELS),
                        .weight_stride = CHANNELS,
                        .to = case_floats(cases, PIXELS * CHANNELS),
                        .stride = CHANNELS,
                        .pixels = PIXELS,
                        .channels = CHANNELS};
}

void pixel_product_cases(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(depths); i++) {
        sfk_pixels product = product_of(cases, depths[i].taps);
        product.bias = case_floats(cases, CHANNELS);
        product.activation = SFK_RELU;
        KERNEL_CASE(cases, depths[i].made, multiply_adds(PIXELS * CHANNELS * depths[i].taps),
                    cases->kernels->pixel_product(&product));
        product.bias = NULL;
        product.activation = SFK_IDENTITY;
        product.passed = case_floats(cases, PIXELS * CHANNELS);
        product.sums = case_floats(cases, CHANNELS);
        KERNEL_CASE(cases, depths[i].passed, multiply_adds(PIXELS * CHANNELS * depths[i].taps),
                    cases->kernels->pixel_product(&product));
    }
}

void mask_pixels_cases(kernel_cases *cases)
{
    float *gradient = case_floats(cases, PIXELS * CHANNELS);
    const float *values = case_floats(cases, PIXELS * CHANNELS);
    float *sums = case_floats(cases, CHANNELS);
    KERNEL_CASE(
        cases, "96 pixels", moves(2 * PIXELS * CHANNELS, PIXELS * CHANNELS),
        cases->kernels->mask_pixels(gradient, values, 0.0f, sums, CHANNELS, PIXELS, CHANNELS));
}

void pool_pixels_cases(kernel_cases *cases)
{
    const float *upper = case_floats(cases, PIXELS * CHANNELS);
    const float *lower = case_floats(cases, PIXELS * CHANNELS);
    float *out = case_floats(cases, PIXELS / 2 * CHANNELS);
    KERNEL_CASE(cases, "2 rows of 96 pixels", moves(2 * PIXELS * CHANNELS, PIXELS / 2 * CHANNELS),
                cases->kernels->pool_pixels(out, upper, lower, CHANNELS, PIXELS / 2, CHANNELS));
}

void unpool_pixels_cases(kernel_cases *cases)
{
    const float *upper = case_floats(cases, PIXELS * CHANNELS);
    const float *lower = case_floats(cases, PIXELS * CHANNELS);
    const float *grad = case_floats(cases, PIXELS / 2 * CHANNELS);
    float *grad_upper = case_floats(cases, PIXELS * CHANNELS);
    float *grad_lower = case_floats(cases, PIXELS * CHANNELS);
    KERNEL_CASE(cases, "2 rows of 96 pixels",
                moves(4 * PIXELS * CHANNELS + PIXELS / 2 * CHANNELS, 2 * PIXELS * CHANNELS),
                cases->kernels->unpool_pixels(grad_upper, grad_lower, upper, lower, grad, CHANNELS,
                                              PIXELS / 2, CHANNELS));
}
