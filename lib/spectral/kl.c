/* SPDX-License-Identifier: BSD-2-Clause */
#include "kl.h"

#include "eigen.h"
#include "error.h"
#include "kl_series.h"
#include "maths.h"
#include "products.h"
#include "sizes.h"
#include "symmetric.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

/* Floats between this and its inverse keep their digits, and so do sums of many. */
#define SMALLEST 0x1p-100

static double sum_values(const sfi_svd *svd)
{
    double sum = 0;
    for (int64_t i = 0; i < svd->cols; i++) {
        sum += svd->values[i];
    }
    return sum;
}

static const char all_zero[] = "all singular values are zero";

/* sum p log p */
static double negative_entropy(const sfi_svd *svd, double sum)
{
    double total = 0;
    for (int64_t i = 0; i < svd->cols; i++) {
        const double p = svd->values[i] / sum;
        total += p * sfi_log(fmax(p, SFI_KL_FLOOR));
    }
    return total;
}

static double sum_of_logs(const sfi_svd *svd, double sum)
{
    double total = 0;
    for (int64_t i = 0; i < svd->cols; i++) {
        total += sfi_log(fmax(svd->values[i] / sum, SFI_KL_FLOOR));
    }
    return total;
}

/* The divergence; a reason where there is none. */
static const char *divergence_of(const sfi_svd *svd, sfi_kl_direction direction, double *value)
{
    const double sum = sum_values(svd);
    const double count = (double)svd->cols;
    if (sum == 0) {
        return all_zero;
    }
    if (svd->cols == 1) {
        *value = 0;
        return NULL;
    }
    const double divergence = direction == SFI_KL_FORWARD
                                  ? sfi_log(count) + negative_entropy(svd, sum)
                                  : -sfi_log(count) - sum_of_logs(svd, sum) / count;
    /* Rounding may leave equal values a little below zero, where a divergence cannot be. */
    *value = fmax(divergence, 0.0);
    return NULL;
}

/* weights[i] = scale * dKL/ds_i / s_i; a reason where they are not defined or where the gradient
 * may not fit floats: its spectral norm is the largest |scale * dKL/ds_i|, and no element exceeds
 * that by more than rounding. */
static const char *make_weights(const sfi_svd *svd, sfi_kl_direction direction, double scale,
                                double *weights)
{
    const double sum = sum_values(svd);
    const double count = (double)svd->cols;
    if (sum == 0) {
        return all_zero;
    }
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
    return largest > (double)FLT_MAX / 4 ? "the gradient is beyond float" : NULL;
}

static sfconv_status fail_unless_null(sfconv_context *context, const char *reason)
{
    return reason ? sfi_fail(context, SFCONV_ERROR_NUMERIC, "KL term: %s", reason) : SFCONV_OK;
}

sfconv_status sfi_kl_value(sfconv_context *context, const sfi_svd *svd, sfi_kl_direction direction,
                           double *value)
{
    assert(svd->ready);
    return fail_unless_null(context, divergence_of(svd, direction, value));
}

sfconv_status sfi_kl_add_gradient(sfconv_context *context, const sfi_svd *svd,
                                  sfi_kl_direction direction, double scale, int64_t rows,
                                  const float *matrix, float *gradient, void *scratch)
{
    const int64_t cols = svd->cols;
    double *weights = scratch;
    double *core = weights + cols;
    double *padded = core + cols * cols;
    assert(svd->ready);
    const char *reason = make_weights(svd, direction, scale, weights);
    if (reason || cols == 1) {
        return fail_unless_null(context, reason);
    }
    sfi_weighted_gram(context->kernels, cols, svd->vectors, weights, core);
    sfi_pad_columns(cols, cols, core, padded);
    sfi_add_product(context, rows, cols, cols, 1.0, matrix, padded, gradient);
    return SFCONV_OK;
}

/* Working room of a whole evaluation. The series and the decomposition take turns in one place. */
struct room {
    double *gram; /* then the eigenvectors */
    void *series;
    double *core;
    double *values;
    double *weights;
    double *eigen;
    float *single; /* core, in float */
    void *view;
};

/* Bytes of the room's parts: gram, what takes turns, view. */
static bool room_sizes(const sfi_factor_view *view, int64_t bytes[3])
{
    const int64_t rank = view->rank;
    int64_t square, decomposition, series;
    if (!sfi_mul(&square, rank, rank * (int64_t)sizeof(double)) ||
        !sfi_chebyshev_scratch(&series, rank) ||
        !sfi_mul(&decomposition, 2 * rank + sfi_eigen_scratch(rank), (int64_t)sizeof(double)) ||
        !sfi_add(&decomposition, decomposition, square) ||
        !sfi_add(&decomposition, decomposition,
                 sfi_symmetric_size(rank) * (int64_t)sizeof(float)) ||
        !sfi_view_scratch(&bytes[2], view)) {
        return false;
    }
    bytes[0] = sfi_round64(square);
    bytes[1] = sfi_round64(sfi_max(decomposition, series));
    return true;
}

static struct room room_in(const sfi_factor_view *view, void *scratch)
{
    const int64_t rank = view->rank;
    unsigned char *next = scratch;
    int64_t bytes[3] = {0};
    struct room room;
    room_sizes(view, bytes);
    room.gram = (void *)next;
    next += bytes[0];
    room.series = next;
    room.core = (void *)next;
    room.values = room.core + rank * rank;
    room.weights = room.values + rank;
    room.eigen = room.weights + rank;
    room.single = (void *)(room.eigen + sfi_eigen_scratch(rank));
    room.view = next + bytes[1];
    return room;
}

bool sfi_kl_scratch(int64_t *bytes, const sfi_factor_view *view)
{
    int64_t parts[3];
    return room_sizes(view, parts) && sfi_add(bytes, parts[0], parts[1]) &&
           sfi_add(bytes, *bytes, parts[2]);
}

/* Whether float keeps the digits of the core, whose norm is the largest weight, and of all that its
 * product with the factor adds up. */
static bool core_fits_single(const struct room *room, int64_t rank)
{
    double largest = 0;
    for (int64_t i = 0; i < rank; i++) {
        largest = fmax(largest, fabs(room->weights[i]));
    }
    return room->values[0] <= SFI_KL_SINGLE * room->values[rank - 1] && largest > SMALLEST &&
           largest * fmax(room->values[0], 1.0) < 1.0 / SMALLEST;
}

/* Where there is a gradient. */
static void add_core(const sfk_table *kernels, const sfi_factor_view *view, const struct room *room,
                     float *gradient)
{
    const int64_t rank = view->rank;
    sfi_weighted_gram(kernels, rank, room->gram, room->weights, room->core);
    if (!core_fits_single(room, rank)) {
        sfi_view_add_product(kernels, view, room->core, gradient, room->view);
        return;
    }
    const int64_t pitch = sfi_symmetric_pitch(rank);
    memset(room->single, 0, (size_t)sfi_symmetric_size(rank) * sizeof(float));
    for (int64_t i = 0; i < rank; i++) {
        for (int64_t j = 0; j < rank; j++) {
            room->single[i * pitch + j] = (float)room->core[i * rank + j];
        }
    }
    sfi_view_add_product_single(kernels, view, room->single, gradient, room->view);
}

/* By the decomposition of the Gram matrix. */
static const char *decompose(const sfk_table *kernels, const sfi_factor_view *view,
                             const struct room *room, sfi_kl_direction direction, double scale,
                             double *value, float *gradient)
{
    const int64_t rank = view->rank;
    if (sfi_eigen_symmetric(kernels, rank, room->gram, room->values, room->eigen, NULL) < 0) {
        return "the eigensolver did not converge";
    }
    for (int64_t i = 0; i < rank; i++) {
        room->values[i] = sqrt(fmax(room->values[i], 0.0));
    }
    const sfi_svd svd = {rank, room->values, room->gram, true};
    const char *reason = divergence_of(&svd, direction, value);
    if (reason || !gradient || (reason = make_weights(&svd, direction, scale, room->weights))) {
        return reason;
    }
    add_core(kernels, view, room, gradient);
    return NULL;
}

const char *sfi_kl_evaluate(const sfk_table *kernels, const sfi_factor_view *view,
                            sfi_kl_direction direction, double scale, double *value,
                            float *gradient, void *scratch)
{
    const int64_t rank = view->rank;
    const struct room room = room_in(view, scratch);
    if (rank >= SFI_KL_LEAST_SERIES) {
        const float *core;
        sfi_view_gram_single(kernels, view, room.gram, room.view);
        if (sfi_kl_by_series(kernels, rank, room.gram, direction, scale, value,
                             gradient ? &core : NULL, room.series)) {
            if (gradient) {
                sfi_view_add_product_single(kernels, view, core, gradient, room.view);
            }
            return NULL;
        }
    }
    sfi_view_gram(kernels, view, room.gram, room.view);
    if (!sfi_gram_is_finite(rank, room.gram)) {
        return "expected finite numbers, got NaN or infinity";
    }
    return decompose(kernels, view, &room, direction, scale, value, rank > 1 ? gradient : NULL);
}
