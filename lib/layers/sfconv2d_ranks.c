/* SPDX-License-Identifier: BSD-2-Clause */
/* Ranks of several layers within one budget. */
#include "sfconv2d.h"

#include "conv2d.h"
#include "error.h"
#include "memory.h"
#include "ranks.h"
#include "sizes.h"
#include "unfold.h"

#include "sfconv/spectral.h"

#include <float.h>
#include <math.h>

/* Rows and columns of a layer's dense matrix. */
static void matrix_size(const sfconv_layer *layer, int64_t *rows, int64_t *cols)
{
    const sfi_sfconv2d *factorized = sfi_as_const_sfconv2d(layer);
    if (factorized) {
        const struct sfi_factors sizes = sfi_sfconv2d_sizes(factorized);
        *rows = sizes.p_rows;
        *cols = sizes.q_cols;
    } else {
        const sfconv_conv2d_desc *desc = &sfi_as_conv2d(layer)->desc;
        *rows = desc->out_channels * desc->kernel[0];
        *cols = desc->in_channels * desc->kernel[1];
    }
}

static int64_t greatest_rank(const sfconv_layer *layer)
{
    const sfi_sfconv2d *factorized = sfi_as_const_sfconv2d(layer);
    int64_t rows, cols;
    if (factorized) {
        return factorized->desc.rank;
    }
    matrix_size(layer, &rows, &cols);
    return sfi_min(rows, cols);
}

/* Singular values of a dense layer's matrix. */
static sfconv_status dense_values(const sfconv_layer *layer, double *values)
{
    const struct sfi_progress no_progress = {NULL, NULL};
    const sfconv_conv2d_desc *desc = &sfi_as_conv2d(layer)->desc;
    sfconv_context *context = layer->context;
    int64_t rows, cols;
    double error;
    matrix_size(layer, &rows, &cols);
    const int64_t count = rows * cols;
    const size_t bytes = (size_t)(count + rows + cols) * sizeof(float);
    float *matrix = sfi_alloc(context, bytes);
    if (!matrix) {
        return sfi_fail_memory(context, "matrix", bytes);
    }
    float *p = matrix + count;
    sfi_unfold(desc->out_channels, desc->in_channels, desc->kernel[0], desc->kernel[1],
               layer->parameters[0].data, matrix);
    const sfconv_status status = sfi_decompose(context, rows, cols, matrix, 1, SFI_SVD_EXACT, p,
                                               p + rows, &error, values, no_progress);
    sfi_free(context, matrix, bytes);
    return status;
}

/* Layer `index` as the choice sees it; its values go to `values`. */
static sfconv_status describe(const sfconv_layer *layer, double cost, double *values,
                              struct sfi_rank_layer *result)
{
    const sfi_sfconv2d *factorized = sfi_as_const_sfconv2d(layer);
    *result = (struct sfi_rank_layer){
        .values = values,
        .most = greatest_rank(layer),
        .least = 1,
        .cost = (int64_t)cost,
    };
    return factorized ? sfi_sfconv2d_product_values(factorized, values)
                      : dense_values(layer, values);
}

static sfconv_status report(sfconv_context *context, struct sfi_progress progress, double part)
{
    if (progress.report && progress.report(progress.user, part) != 0) {
        return sfi_fail(context, SFCONV_ERROR_CANCELLED, "choice of ranks: cancelled");
    }
    return SFCONV_OK;
}

static double cost_of(const sfconv_layer *layer, const double *macs_per_rank, int32_t index)
{
    int64_t rows, cols;
    if (macs_per_rank) {
        return fmax(1.0, rint(macs_per_rank[index]));
    }
    matrix_size(layer, &rows, &cols);
    return (double)(rows + cols);
}

sfconv_status sfi_choose_ranks(sfconv_context *context, int64_t *ranks,
                               const sfconv_layer *const *layers, int32_t count,
                               int32_t budget_kind, double budget, const double *macs_per_rank,
                               struct sfi_progress progress)
{
    const bool by_macs = budget_kind == SFCONV_BUDGET_MACS;
    const size_t list_bytes = (size_t)count * sizeof(struct sfi_rank_layer);
    struct sfi_rank_choice choice;
    sfconv_status status = SFCONV_OK;
    int64_t total = 0;
    for (int32_t i = 0; i < count; i++) {
        total += greatest_rank(layers[i]);
    }
    const size_t value_bytes = (size_t)total * sizeof(double);
    struct sfi_rank_layer *list = sfi_alloc(context, list_bytes);
    double *values = sfi_alloc(context, value_bytes);
    if (!list || !values) {
        status = sfi_fail_memory(context, "choice of ranks", list_bytes + value_bytes);
        goto done;
    }
    double *next = values;
    for (int32_t i = 0; i < count; i++) {
        const double cost = cost_of(layers[i], by_macs ? macs_per_rank : NULL, i);
        if ((status = report(context, progress, (double)i / count)) < 0 ||
            (status = describe(layers[i], cost, next, &list[i])) < 0) {
            goto done;
        }
        next += list[i].most;
    }
    if (budget_kind == SFCONV_BUDGET_ENERGY) {
        /* Nothing to keep at all: any positive part below all energies gives the least ranks. */
        status = sfi_ranks_for_energy(context, count, list, fmax(budget, DBL_MIN), ranks, &choice);
    } else {
        const int64_t limit = budget < 0x1p62 ? (int64_t)budget : INT64_MAX / 2;
        status = sfi_ranks_for_cost(context, count, list, limit, ranks, &choice);
    }
done:
    sfi_free(context, values, value_bytes);
    sfi_free(context, list, list_bytes);
    return status;
}
