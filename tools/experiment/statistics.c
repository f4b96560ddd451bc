/* SPDX-License-Identifier: BSD-2-Clause */
#include "statistics.h"

#include "chance.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#define CONFIDENCE 0.95
#define EXACT_UP_TO 16

double statistics_mean(const double *values, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        sum += values[i];
    }
    return sum / (double)count;
}

double statistics_deviation(const double *values, int64_t count)
{
    const double mean = statistics_mean(values, count);
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        sum += (values[i] - mean) * (values[i] - mean);
    }
    return count < 2 ? NAN : sqrt(sum / (double)(count - 1));
}

static double away_from_zero(double value)
{
    const double tiny = 1e-300;
    return fabs(value) < tiny ? tiny : value;
}

/* Continued fraction of the incomplete beta function (DLMF 8.17.22), evaluated as Lentz does. */
static double beta_fraction(double x, double a, double b)
{
    double c = 1.0;
    double d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    double fraction = d;
    for (int m = 1; m < 10000; m++) {
        const double even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away_from_zero(1.0 + even * d);
        c = away_from_zero(1.0 + even / c);
        fraction *= d * c;
        d = 1.0 / away_from_zero(1.0 + odd * d);
        c = away_from_zero(1.0 + odd / c);
        fraction *= d * c;
        if (fabs(d * c - 1.0) <= 1e-15) {
            break;
        }
    }
    return fraction;
}

/* Regularized incomplete beta function I_x(a, b). */
static double beta(double x, double a, double b)
{
    if (x <= 0.0 || x >= 1.0) {
        return x <= 0.0 ? 0.0 : 1.0;
    }
    /* The fraction converges fast on this side only. */
    if (x > (a + 1.0) / (a + b + 2.0)) {
        return 1.0 - beta(1.0 - x, b, a);
    }
    const double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    return front * beta_fraction(x, a, b) / a;
}

double statistics_t_p(double t, double freedom)
{
    return isinf(t) ? 0.0 : beta(freedom / (freedom + t * t), freedom / 2.0, 0.5);
}

double statistics_t_quantile(double p, double freedom)
{
    double low = 0.0;
    double high = 1.0;
    while (statistics_t_p(high, freedom) > p) {
        high *= 2.0;
    }
    for (int i = 0; i < 200; i++) {
        const double middle = 0.5 * (low + high);
        if (statistics_t_p(middle, freedom) > p) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return 0.5 * (low + high);
}

struct statistics_test statistics_paired_t(const double *differences, int64_t count)
{
    struct statistics_test test = {count, statistics_mean(differences, count), NAN, NAN, NAN};
    if (count < 2) {
        return test;
    }
    const double freedom = (double)(count - 1);
    const double error = statistics_deviation(differences, count) / sqrt((double)count);
    const double half = error * statistics_t_quantile(1.0 - CONFIDENCE, freedom);
    test.low = test.mean - half;
    test.high = test.mean + half;
    if (error > 0.0) {
        test.p = statistics_t_p(test.mean / error, freedom);
    } else {
        test.p = test.mean == 0.0 ? 1.0 : 0.0;
    }
    return test;
}

/* Sums that differ by rounding alone count as the same. */
static bool as_extreme(double sum, double observed)
{
    return fabs(sum) >= fabs(observed) - 1e-12 * (1.0 + fabs(observed));
}

static double exact_p(const double *differences, int64_t count, double observed)
{
    const int64_t all = (int64_t)1 << count;
    int64_t extreme = 0;
    for (int64_t signs = 0; signs < all; signs++) {
        double sum = 0.0;
        for (int64_t i = 0; i < count; i++) {
            sum += (signs >> i) & 1 ? -differences[i] : differences[i];
        }
        extreme += as_extreme(sum, observed);
    }
    return (double)extreme / (double)all;
}

/* The observed signs count among those drawn, so p is never 0. */
static double drawn_p(const double *differences, int64_t count, double observed, uint64_t seed)
{
    struct chance chance = chance_start(seed, 1);
    int64_t extreme = 1;
    for (int64_t n = 0; n < STATISTICS_RESAMPLES; n++) {
        double sum = 0.0;
        uint64_t bits = 0;
        for (int64_t i = 0; i < count; i++) {
            bits = i % 64 == 0 ? chance_bits(&chance) : bits >> 1;
            sum += bits & 1 ? -differences[i] : differences[i];
        }
        extreme += as_extreme(sum, observed);
    }
    return (double)extreme / (double)(STATISTICS_RESAMPLES + 1);
}

static int compare(const void *a, const void *b)
{
    const double left = *(const double *)a;
    const double right = *(const double *)b;
    return (left > right) - (left < right);
}

struct statistics_test statistics_paired_resampled(const double *differences, int64_t count,
                                                   uint64_t seed, double *scratch)
{
    struct statistics_test test = {count, NAN, NAN, NAN, NAN};
    if (count == 0) {
        return test;
    }
    struct chance chance = chance_start(seed, 2);
    test.mean = statistics_mean(differences, count);
    const double observed = test.mean * (double)count;
    test.p = count <= EXACT_UP_TO ? exact_p(differences, count, observed)
                                  : drawn_p(differences, count, observed, seed);
    for (int64_t n = 0; n < STATISTICS_RESAMPLES; n++) {
        double sum = 0.0;
        for (int64_t i = 0; i < count; i++) {
            sum += differences[chance_below(&chance, count)];
        }
        scratch[n] = sum / (double)count;
    }
    qsort(scratch, STATISTICS_RESAMPLES, sizeof *scratch, compare);
    const int64_t tail = (int64_t)lrint((1.0 - CONFIDENCE) / 2.0 * STATISTICS_RESAMPLES);
    test.low = scratch[tail];
    test.high = scratch[STATISTICS_RESAMPLES - 1 - tail];
    return test;
}
