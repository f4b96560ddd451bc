/* SPDX-License-Identifier: BSD-2-Clause */
/* Kernels that make a row of a map from rows of another: pooling and up-sampling. */
#include "kernel_cases.h"

/* Rows of windows of the two networks: the U-Net's pooling, the pooling behind ResNet-18's stem. */
static const struct pooling {
    const char *label;
    int64_t width, kernel, stride, padding;
} poolings[] = {{"2x2 of 304 columns", 304, 2, 2, 0},
                {"2x2 of 38 columns", 38, 2, 2, 0},
                {"3x3, stride 2, of 112 columns", 112, 3, 2, 1}};

static sfk_window window_of(kernel_cases *cases, const struct pooling *pooling)
{
    return (sfk_window){
        .in = case_floats(cases, pooling->kernel * pooling->width),
        .width = pooling->width,
        .end_row = pooling->kernel,
        .kernel_width = pooling->kernel,
        .stride = pooling->stride,
        .padding = pooling->padding,
        .columns = (pooling->width + 2 * pooling->padding - pooling->kernel) / pooling->stride + 1};
}

void max_row_cases(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(poolings); i++) {
        const sfk_window window = window_of(cases, &poolings[i]);
        float *out = case_floats(cases, window.columns);
        KERNEL_CASE(cases, poolings[i].label, moves(window.end_row * window.width, window.columns),
                    cases->kernels->max_row(out, NULL, false, &window));
    }
    static const char *const with_cells[] = {"2x2 of 304 columns, with cells",
                                             "2x2 of 38 columns, with cells",
                                             "3x3, stride 2, of 112, with cells"};
    for (int64_t i = 0; i < CASE_COUNT(poolings); i++) {
        const sfk_window window = window_of(cases, &poolings[i]);
        float *out = case_floats(cases, window.columns);
        uint8_t *winners = case_bytes(cases, window.columns);
        KERNEL_CASE(cases, with_cells[i],
                    moves(window.end_row * window.width, window.columns + window.columns / 4),
                    cases->kernels->max_row(out, winners, false, &window));
    }
}

void average_row_cases(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(poolings); i++) {
        const sfk_window window = window_of(cases, &poolings[i]);
        float *out = case_floats(cases, window.columns);
        KERNEL_CASE(cases, poolings[i].label, moves(window.end_row * window.width, window.columns),
                    cases->kernels->average_row(out, &window));
    }
}

void max_row_gradient_cases(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(poolings); i++) {
        const sfk_window window = window_of(cases, &poolings[i]);
        const float *grad_out = case_floats(cases, window.columns);
        float *grad_in = case_floats(cases, window.end_row * window.width);
        uint8_t *cells = case_bytes(cases, window.columns);
        for (int64_t x = 0; x < window.columns; x++) {
            /* Of the second column, which all windows have inside. */
            cells[x] = (uint8_t)(x % window.kernel_width * window.kernel_width + 1);
        }
        KERNEL_CASE(cases, poolings[i].label, moves(2 * window.columns, window.columns),
                    cases->kernels->max_row_gradient(grad_in, grad_out, cells, false, &window));
    }
}

void average_row_gradient_cases(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(poolings); i++) {
        const sfk_window window = window_of(cases, &poolings[i]);
        const float *grad_out = case_floats(cases, window.columns);
        float *grad_in = case_floats(cases, window.end_row * window.width);
        const int64_t cells = window.end_row * window.width;
        KERNEL_CASE(cases, poolings[i].label, moves(window.columns + cells, cells),
                    cases->kernels->average_row_gradient(grad_in, grad_out, &window));
    }
}

static const struct row {
    const char *label;
    int64_t count;
} rows[] = {{"to 304 columns", 152}, {"to 76 columns", 38}, {"to 38 columns", 19}};

void pool_pairs_cases(kernel_cases *cases)
{
    static const char *const labels[] = {"of 304 columns", "of 76 columns", "of 38 columns"};
    for (int64_t i = 0; i < CASE_COUNT(rows); i++) {
        const int64_t count = rows[i].count;
        const float *upper = case_floats(cases, 2 * count);
        const float *lower = case_floats(cases, 2 * count);
        float *out = case_floats(cases, count);
        KERNEL_CASE(cases, labels[i], moves(4 * count, count),
                    cases->kernels->pool_pairs(out, upper, lower, count));
    }
}

void repeat_row_cases(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(rows); i++) {
        const int64_t count = rows[i].count;
        const float *in = case_floats(cases, count);
        float *out = case_floats(cases, 2 * count);
        KERNEL_CASE(cases, rows[i].label, moves(count, 2 * count),
                    cases->kernels->repeat_row(out, in, 2, count));
    }
}

void repeat_row_gradient_cases(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(rows); i++) {
        const int64_t count = rows[i].count;
        const float *grad_out = case_floats(cases, 4 * count);
        float *grad_in = case_floats(cases, count);
        KERNEL_CASE(
            cases, rows[i].label, moves(4 * count, count),
            cases->kernels->repeat_row_gradient(grad_in, grad_out, 2 * count, 2, 2, false, count));
    }
}

/* Offsets with one in front of and one behind each of the two rows. */
static const float *offsets_of(kernel_cases *cases, int64_t count)
{
    return case_floats(cases, 2 * (count + 2)) + 1;
}

void interpolate_row_cases(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(rows); i++) {
        const int64_t count = rows[i].count;
        const float *in = case_floats(cases, count + 2) + 1;
        const float *offsets = offsets_of(cases, count);
        float *out = case_floats(cases, 2 * count);
        KERNEL_CASE(cases, rows[i].label, moves(3 * count, 2 * count),
                    cases->kernels->interpolate_row(out, in, offsets, count + 2, 2, count));
    }
}

void interpolate_row_gradient_cases(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(rows); i++) {
        const int64_t count = rows[i].count;
        const float *grad_out = case_floats(cases, 2 * (count + 2)) + 2;
        const float *offsets = offsets_of(cases, count);
        float *grad_in = case_floats(cases, count);
        KERNEL_CASE(cases, rows[i].label, moves(4 * count, count),
                    cases->kernels->interpolate_row_gradient(grad_in, grad_out, offsets, count + 2,
                                                             2, false, count));
    }
}

void blend_rows_cases(kernel_cases *cases)
{
    static const char *const labels[] = {"304 columns", "76 columns", "38 columns"};
    static const char *const added[] = {"304 columns, added", "76 columns, added",
                                        "38 columns, added"};
    for (int64_t i = 0; i < CASE_COUNT(rows); i++) {
        const int64_t count = 2 * rows[i].count;
        const float *a = case_floats(cases, count);
        const float *b = case_floats(cases, count);
        float *out = case_floats(cases, count);
        KERNEL_CASE(cases, labels[i], moves(2 * count, count),
                    cases->kernels->blend_rows(out, a, b, 0.3f, false, count));
        KERNEL_CASE(cases, added[i], moves(3 * count, count),
                    cases->kernels->blend_rows(out, a, b, 0.3f, true, count));
    }
}
