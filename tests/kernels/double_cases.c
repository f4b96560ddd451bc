/* SPDX-License-Identifier: BSD-2-Clause */
/* Loops over doubles, for spectra. */
#include "kernel_cases.h"

#include <math.h>

/* Panels of 32, as products of matrices use them. */
void double_tile_cases(kernel_cases *cases)
{
    enum { PANEL = 32 };
    const double *left = case_doubles(cases, PANEL * PANEL);
    const double *right = case_doubles(cases, PANEL * PANEL);
    double *sums = case_doubles(cases, PANEL * PANEL);
    KERNEL_CASE(cases, "depth 32",
                double_multiply_adds(PANEL * SFK_DOUBLE_ROWS * SFK_DOUBLE_COLUMNS),
                cases->kernels->double_tile(PANEL, left, PANEL, right, PANEL, sums, PANEL));
}

/* Of doubles that are floats, whose products are exact. */
void exact_tile_cases(kernel_cases *cases)
{
    enum { PANEL = 32 };
    double *left = case_doubles(cases, PANEL * PANEL);
    double *right = case_doubles(cases, PANEL * PANEL);
    double *sums = case_doubles(cases, PANEL * PANEL);
    for (int64_t i = 0; i < PANEL * PANEL; i++) {
        left[i] = (float)left[i];
        right[i] = (float)right[i];
    }
    KERNEL_CASE(cases, "depth 32",
                double_multiply_adds(PANEL * SFK_DOUBLE_ROWS * SFK_DOUBLE_COLUMNS),
                cases->kernels->exact_tile(PANEL, left, PANEL, right, PANEL, sums, PANEL));
}

/* Sides of the Gram matrices of 512 channels at rank 1/32, 1/8 and 1/4. */
static const struct side {
    const char *label;
    int64_t n;
} sides[] = {{"16 rows", 16}, {"64 rows", 64}, {"128 rows", 128}};

void turn_rows_cases(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(sides); i++) {
        const int64_t n = sides[i].n;
        double *cosines = case_doubles(cases, n);
        double *sines = case_doubles(cases, n);
        double *basis = case_doubles(cases, n * SFK_DOUBLE_COLUMNS);
        for (int64_t k = 0; k < n; k++) {
            cosines[k] = sqrt(1 - sines[k] * sines[k]);
        }
        /* Two products and two sums of products an element. */
        KERNEL_CASE(cases, sides[i].label, double_multiply_adds(2 * (n - 1) * SFK_DOUBLE_COLUMNS),
                    cases->kernels->turn_rows(n - 1, cosines, sines,
                                              basis + (n - 1) * SFK_DOUBLE_COLUMNS,
                                              SFK_DOUBLE_COLUMNS));
    }
}

void reflect_cases(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(sides); i++) {
        const int64_t n = sides[i].n;
        double *matrix = case_doubles(cases, n * n);
        double *product = case_doubles(cases, n);
        const double *u = case_doubles(cases, n);
        const double *w = case_doubles(cases, n);
        const double *v = case_doubles(cases, n);
        KERNEL_CASE(cases, sides[i].label, double_multiply_adds(3 * n * n),
                    cases->kernels->reflect(n, matrix, n, u, w, v, product));
    }
}

void add_floats_cases(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(sides); i++) {
        const int64_t n = sides[i].n;
        double *to = case_doubles(cases, n);
        const float *from = case_floats(cases, n);
        KERNEL_CASE(cases, sides[i].label, moves(3 * n, 2 * n),
                    cases->kernels->add_floats(to, from, n));
    }
}

void sum_rows_cases(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(sides); i++) {
        const int64_t n = sides[i].n;
        const double *factors = case_doubles(cases, n);
        const double *matrix = case_doubles(cases, n * n);
        double *sum = case_doubles(cases, n);
        KERNEL_CASE(cases, sides[i].label, double_multiply_adds(n * n),
                    cases->kernels->sum_rows(n, n, factors, matrix, n, sum));
    }
}

void add_to_rows_cases(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(sides); i++) {
        const int64_t n = sides[i].n;
        const double *factors = case_doubles(cases, n);
        const double *row = case_doubles(cases, n);
        double *matrix = case_doubles(cases, n * n);
        KERNEL_CASE(cases, sides[i].label, double_multiply_adds(n * n),
                    cases->kernels->add_to_rows(n, n, -0.5, factors, row, matrix, n));
    }
}
