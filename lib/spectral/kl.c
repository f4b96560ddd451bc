/* SPDX-License-Identifier: BSD-2-Clause */
#include "kl.h"

#include "error.h"
#include "maths.h"
#include "products.h"

#include <assert.h>
#include <float.h>
#include <math.h>

static double sum_values(const struct sfi_svd *svd)
{
    double sum = 0;
    for (int64_t i = 0; i < svd->cols; i++) {
        sum += svd->values[i];
    }
    return sum;
}

static sfconv_status fail_zero(sfconv_context *context)
{
    return sfi_fail(context, SFCONV_ERROR_NUMERIC, "KL term: all singular values are zero");
}

/* sum p log p */
static double negative_entropy(const struct sfi_svd *svd, double sum)
{
    double total = 0;
    for (int64_t i = 0; i < svd->cols; i++) {
        const double p = svd->values[i] / sum;
        total += p * sfi_log(fmax(p, SFI_KL_FLOOR));
    }
    return total;
}

static double sum_of_logs(const struct sfi_svd *svd, double sum)
{
    double total = 0;
    for (int64_t i = 0; i < svd->cols; i++) {
        total += sfi_log(fmax(svd->values[i] / sum, SFI_KL_FLOOR));
    }
    return total;
}

sfconv_status sfi_kl_value(sfconv_context *context, const struct sfi_svd *svd,
                           enum sfi_kl_direction direction, double *value)
{
    const double sum = sum_values(svd);
    const double count = (double)svd->cols;
    assert(svd->ready);
    if (svd->cols == 1) {
        *value = 0;
        return SFCONV_OK;
    }
    if (sum == 0) {
        return fail_zero(context);
    }
    const double divergence = direction == SFI_KL_FORWARD
                                  ? sfi_log(count) + negative_entropy(svd, sum)
                                  : -sfi_log(count) - sum_of_logs(svd, sum) / count;
    /* Rounding may leave equal values a little below zero, where a divergence cannot be. */
    *value = fmax(divergence, 0.0);
    return SFCONV_OK;
}

/* weights[i] = scale * dKL/ds_i / s_i; returns the largest |scale * dKL/ds_i|, which no element of
 * the gradient exceeds by more than rounding, since it is the gradient's spectral norm. */
static double make_weights(const struct sfi_svd *svd, enum sfi_kl_direction direction, double sum,
                           double scale, double *weights)
{
    const double count = (double)svd->cols;
    const double entropy = direction == SFI_KL_FORWARD ? -negative_entropy(svd, sum) : 0;
    double largest = 0;
    for (int64_t i = 0; i < svd->cols; i++) {
        const double p = fmax(svd->values[i] / sum, SFI_KL_FLOOR);
        const double slope =
            direction == SFI_KL_FORWARD ? sfi_log(p) + entropy : 1.0 - 1.0 / (count * p);
        const double derivative = scale * slope / sum;
        weights[i] = derivative / (p * sum);
        largest = fmax(largest, fabs(derivative));
    }
    return largest;
}

sfconv_status sfi_kl_add_gradient(sfconv_context *context, const struct sfi_svd *svd,
                                  enum sfi_kl_direction direction, double scale, int64_t rows,
                                  const float *matrix, float *gradient, void *scratch)
{
    const int64_t cols = svd->cols;
    const double sum = sum_values(svd);
    double *weights = scratch;
    double *core = weights + cols;
    double *padded = core + cols * cols;
    assert(svd->ready);
    if (cols == 1) {
        return SFCONV_OK;
    }
    if (sum == 0) {
        return fail_zero(context);
    }
    if (make_weights(svd, direction, sum, scale, weights) > (double)FLT_MAX / 4) {
        return sfi_fail(context, SFCONV_ERROR_NUMERIC,
                        "KL term: the gradient is beyond float, singular values sum to %g", sum);
    }
    sfi_weighted_gram(context, cols, svd->vectors, weights, core);
    sfi_pad_columns(cols, cols, core, padded);
    sfi_add_product(context, rows, cols, cols, 1.0, matrix, padded, gradient);
    return SFCONV_OK;
}
