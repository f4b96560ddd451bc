/* SPDX-License-Identifier: BSD-2-Clause */
/* The way back through rank space. */
#include "kernel_cases.h"

/* Channels and taps of a strip of 96 pixels: the U-Net's at rank 1/32 and 1/4, ResNet-18's last. */
static const struct strip {
    const char *label;
    int64_t channels;
    int64_t taps;
    int64_t pixels;
} strips[] = {{"64 by 6, 96 pixels", 64, 6, 96},
              {"64 by 12, 96 pixels", 64, 12, 96},
              {"64 by 48, 96 pixels", 64, 48, 96},
              {"64 by 48, 7x7", 64, 48, 49}};

/* Their taps by pixels. */
static const char *const tap_labels[] = {"6 by 96 pixels", "12 by 96 pixels", "48 by 96 pixels",
                                         "48 by 7x7"};

static int64_t whole_vectors(int64_t columns)
{
    return (columns + 15) / 16 * 16;
}

void strip_outer_cases(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(strips); i++) {
        const int64_t rows = strips[i].channels, taps = strips[i].taps, depth = strips[i].pixels;
        const float *left = case_floats(cases, rows * depth);
        const sfk_outer outer = {.left = case_rows(cases, left, depth, rows),
                                 .right = case_floats(cases, depth * whole_vectors(taps)),
                                 .right_stride = whole_vectors(taps),
                                 .depth = depth,
                                 .to = case_floats(cases, rows * taps),
                                 .to_stride = taps,
                                 .rows = rows,
                                 .columns = taps,
                                 .accumulate = true};
        KERNEL_CASE(cases, strips[i].label, multiply_adds(rows * taps * depth),
                    cases->kernels->strip_outer(&outer));
    }
}

void transpose_taps_cases(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(strips); i++) {
        const int64_t taps = strips[i].taps, count = strips[i].pixels;
        const int64_t pitch = count + SFK_SLACK, stride = whole_vectors(taps);
        const float **rows = case_rows(cases, case_floats(cases, taps * pitch), pitch, taps);
        float *to = case_floats(cases, count * stride);
        KERNEL_CASE(cases, tap_labels[i], moves(taps * count, stride * count),
                    cases->kernels->transpose_taps(to, stride, rows, 0, taps, count));
    }
}

void spread_taps_cases(kernel_cases *cases)
{
    static const struct spread {
        const char *label;
        int64_t width, stride;
    } spreads[] = {{"3 taps, 304 columns", 304, 1},
                   {"3 taps, 14 columns", 14, 1},
                   {"3 taps, stride 2, 56 columns", 56, 2}};
    for (int64_t i = 0; i < CASE_COUNT(spreads); i++) {
        const int64_t width = spreads[i].width, out_width = (width - 1) / spreads[i].stride + 1;
        float *to = case_floats(cases, 3 * width);
        const sfk_spread spread = {.from = case_floats(cases, out_width),
                                   .to_stride = width,
                                   .taps = 3,
                                   .stride = spreads[i].stride,
                                   .dilation = 1,
                                   .padding = 1,
                                   .width = width,
                                   .out_width = out_width};
        KERNEL_CASE(cases, spreads[i].label, moves(out_width, 3 * width),
                    cases->kernels->spread_taps(to, &spread));
    }
}

void row_sums_cases(kernel_cases *cases)
{
    static const struct sums {
        const char *label;
        int64_t rows, count;
    } sums_of[] = {{"64 rows of 96", 64, 96}, {"64 rows of 7x7", 64, 49}};
    for (int64_t i = 0; i < CASE_COUNT(sums_of); i++) {
        const int64_t rows = sums_of[i].rows, count = sums_of[i].count;
        const float **in = case_rows(cases, case_floats(cases, rows * count), count, rows);
        double *sums = case_doubles(cases, rows);
        KERNEL_CASE(cases, sums_of[i].label, moves(rows * count, 0),
                    cases->kernels->row_sums(sums, in, 0, count, rows));
    }
}

void moments_cases(kernel_cases *cases)
{
    static const struct moment {
        const char *label;
        int64_t taps, count;
    } moments[] = {{"6 taps, 304x8", 6, 304 * 8},
                   {"24 taps, 76x8", 24, 76 * 8},
                   {"48 taps, 38x38", 48, 38 * 38},
                   {"48 taps, 7x7", 48, 49}};
    for (int64_t i = 0; i < CASE_COUNT(moments); i++) {
        const int64_t taps = moments[i].taps, count = moments[i].count;
        const float **in = case_rows(cases, case_floats(cases, taps * count), count, taps);
        double *products = case_doubles(cases, taps * taps);
        double *sums = case_doubles(cases, taps);
        KERNEL_CASE(cases, moments[i].label, double_multiply_adds(taps * (taps + 1) / 2 * count),
                    cases->kernels->moments(products, sums, in, 0, taps, count));
    }
}

void unpool_pairs_cases(kernel_cases *cases)
{
    static const struct pairs {
        const char *label;
        int64_t width;
    } pairs[] = {{"of 304 columns", 304}, {"of 38 columns", 38}, {"of 19 columns", 19}};
    for (int64_t i = 0; i < CASE_COUNT(pairs); i++) {
        const int64_t width = pairs[i].width;
        const float *upper = case_floats(cases, width);
        const float *lower = case_floats(cases, width);
        const float *grad = case_floats(cases, width / 2);
        float *grad_upper = case_floats(cases, width);
        float *grad_lower = case_floats(cases, width);
        KERNEL_CASE(
            cases, pairs[i].label, moves(2 * width + width / 2, 2 * width),
            cases->kernels->unpool_pairs(grad_upper, grad_lower, upper, lower, grad, false, width));
    }
}

void mask_gradient_cases(kernel_cases *cases)
{
    static const struct masked {
        const char *label;
        int64_t count;
    } masked[] = {{"row of 96 pixels", 96}, {"row of 7x7", 49}};
    for (int64_t i = 0; i < CASE_COUNT(masked); i++) {
        const int64_t count = masked[i].count;
        float *gradient = case_floats(cases, count);
        const float *out = case_floats(cases, count);
        double *sum = case_doubles(cases, 1);
        KERNEL_CASE(cases, masked[i].label, moves(2 * count, count),
                    cases->kernels->mask_gradient(gradient, out, 0.0f, sum, count));
    }
}

void subtract_row_cases(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(strips); i++) {
        const int64_t count = strips[i].pixels, stride = whole_vectors(strips[i].taps);
        float *rows = case_floats(cases, count * stride);
        const float *row = case_floats(cases, stride);
        KERNEL_CASE(cases, tap_labels[i], moves(count * stride, count * stride),
                    cases->kernels->subtract_row(rows, stride, row, count));
    }
}
