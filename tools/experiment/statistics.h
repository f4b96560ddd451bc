/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether one method is better than another, from few seeds or many images. Differences are paired:
 * both methods had the same seed, or the same image. */
#ifndef EXPERIMENT_STATISTICS_H
#define EXPERIMENT_STATISTICS_H

#include <stdint.h>

double statistics_mean(const double *values, int64_t count);
/* Of a sample (divided by count - 1); NaN for fewer than two values. */
double statistics_deviation(const double *values, int64_t count);

/* A mean difference, its 95 % confidence interval and the two-sided p of "the mean is 0". */
struct statistics_test {
    int64_t count;
    double mean;
    double low;
    double high;
    double p;
};

/* Student's t-test of paired differences. With fewer than two of them interval and p are NaN; with
 * differences that are all the same, p is 0, or 1 where they are 0. */
struct statistics_test statistics_paired_t(const double *differences, int64_t count);

/* Two-sided p of a value of Student's t with this many degrees of freedom (> 0). */
double statistics_t_p(double t, double freedom);
/* The t that is exceeded on both sides with probability p (0 < p < 1). */
double statistics_t_quantile(double p, double freedom);

/* No assumption on how the differences are distributed: p from changing their signs by chance (the
 * paired randomization test; all changes of sign up to 16 differences, 20,000 of them beyond), the
 * interval from 20,000 resamples (percentiles of the bootstrap). The same bits for the same `seed`.
 * With no differences everything is NaN; `scratch` holds 20,000 numbers. */
#define STATISTICS_RESAMPLES 20000
struct statistics_test statistics_paired_resampled(const double *differences, int64_t count,
                                                   uint64_t seed, double *scratch);

#endif
