/* SPDX-License-Identifier: BSD-2-Clause */
#include "kl_series.h"

#include "maths.h"

#include <math.h>

/* Floats hold squares between this and its inverse, and sums of many. */
#define SMALLEST 0x1p-60

/* Means over the singular values s, where the mean of s² is 1. */
struct means {
    double above; /* of s - 1 */
    double log;   /* forward of s log s, reverse of log s */
};

static struct means means_of(const sfi_chebyshev *series, sfi_kl_direction direction)
{
    double above[SFI_CHEBYSHEV_NODES];
    double logs[SFI_CHEBYSHEV_NODES];
    double coefficients[SFI_CHEBYSHEV_COUNT];
    struct means means;
    for (int32_t j = 0; j < series->nodes; j++) {
        const double x = series->x[j];
        const double s = sqrt(1.0 + x);
        above[j] = x / (1.0 + s);
        logs[j] = 0.5 * sfi_log1p(x) * (direction == SFI_KL_FORWARD ? s : 1.0);
    }
    sfi_chebyshev_fit(series, above, coefficients);
    means.above = sfi_chebyshev_mean(series, coefficients);
    sfi_chebyshev_fit(series, logs, coefficients);
    means.log = sfi_chebyshev_mean(series, coefficients);
    return means;
}

/* With S = Σs and p = s / S: forward log r + Σ p log p = Σ s log s / S - log(S / r), reverse
 * log(S / r) - Σ log s / r. */
static double divergence_of(const struct means *means, sfi_kl_direction direction)
{
    const double mean = sfi_log1p(means->above);
    const double value =
        direction == SFI_KL_FORWARD ? means->log / (1.0 + means->above) - mean : mean - means->log;
    return fmax(value, 0.0);
}

/* Coefficients of dKL/ds / s for s² = G / mean, times `scale`; false where floats may lose digits
 * of them or of the gradient. */
static bool fit_gradient(const sfi_chebyshev *series, const struct means *means,
                         sfi_kl_direction direction, double scale,
                         double coefficients[SFI_CHEBYSHEV_COUNT])
{
    const double average = 1.0 + means->above;
    const double factor = scale / ((double)series->n * average);
    double values[SFI_CHEBYSHEV_NODES];
    double largest = 0;
    for (int32_t j = 0; j < series->nodes; j++) {
        const double s = sqrt(1.0 + series->x[j]);
        const double slope = direction == SFI_KL_FORWARD
                                 ? 0.5 * sfi_log1p(series->x[j]) - means->log / average
                                 : 1.0 - average / s;
        values[j] = factor * slope / s;
        largest = fmax(largest, fabs(values[j]));
    }
    sfi_chebyshev_fit(series, values, coefficients);
    return largest > SMALLEST && largest < 1.0 / SMALLEST;
}

bool sfi_kl_by_series(const sfk_table *kernels, int64_t n, const double *gram,
                      sfi_kl_direction direction, double scale, double *value, const float **core,
                      void *scratch)
{
    sfi_chebyshev series;
    double coefficients[SFI_CHEBYSHEV_COUNT];
    double trace = 0;
    for (int64_t i = 0; i < n; i++) {
        trace += gram[i * (n + 1)];
    }
    const double mean = trace / (double)n;
    if (!(mean > SMALLEST && mean < 1.0 / SMALLEST) ||
        !sfi_chebyshev_take(&series, kernels, n, gram, mean, scratch)) {
        return false;
    }
    const struct means means = means_of(&series, direction);
    if (core) {
        if (!fit_gradient(&series, &means, direction, scale / mean, coefficients)) {
            return false;
        }
        *core = sfi_chebyshev_matrix(&series, coefficients);
    }
    *value = divergence_of(&means, direction);
    return true;
}
