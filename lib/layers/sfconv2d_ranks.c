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
#include <string.h>

/* Rows and columns of a layer's dense matrix. */
static void matrix_size(const sfconv_layer *layer, int64_t *rows, int64_t *cols)
{
    const sfi_sfconv2d *factorized = sfi_as_const_sfconv2d(layer);
    if (factorized) {
        const sfi_factors sizes = sfi_sfconv2d_sizes(factorized);
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
    const sfi_progress no_progress = {NULL, NULL};
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

/* A layer as the choice sees it; its values go to `values`. */
static sfconv_status describe(const sfconv_layer *layer, double cost, double *values,
                              sfi_rank_layer *result)
{
    const sfi_sfconv2d *factorized = sfi_as_const_sfconv2d(layer);
    *result = (sfi_rank_layer){
        .values = values,
        .most = greatest_rank(layer),
        .least = 1,
        .cost = (int64_t)cost,
    };
    return factorized ? sfi_sfconv2d_product_values(factorized, values)
                      : dense_values(layer, values);
}

static sfconv_status report(sfconv_context *context, sfi_progress progress, double part)
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

/* The least rank of each layer that keeps this part of its energy. */
static sfconv_status keep_energy(sfconv_context *context, const sfi_rank_layer *list, int32_t count,
                                 double energy, int64_t *ranks)
{
    /* A part of 0 is kept by any rank; every positive number below all energies says the same. */
    const double part = fmax(energy, DBL_MIN);
    sfconv_status status = SFCONV_OK;
    for (int32_t i = 0; i < count && status == SFCONV_OK; i++) {
        sfi_rank_choice choice;
        status = sfi_ranks_for_energy(context, 1, &list[i], part, &ranks[i], &choice);
    }
    return status;
}

/* Memory of a choice: what it knows of each layer, the ranks it finds, all singular values. */
struct room {
    sfi_rank_layer *list;
    int64_t *ranks;
    double *values;
    size_t bytes;
};

static sfconv_status make_room(sfconv_context *context, const sfconv_layer *const *layers,
                               int32_t count, struct room *room)
{
    const size_t entries = (size_t)count;
    size_t values = 0;
    for (int32_t i = 0; i < count; i++) {
        values += (size_t)greatest_rank(layers[i]);
    }
    room->bytes = entries * (sizeof *room->list + sizeof *room->ranks) + values * sizeof(double);
    room->list = sfi_alloc(context, room->bytes);
    if (!room->list) {
        return sfi_fail_memory(context, "choice of ranks", room->bytes);
    }
    room->ranks = (int64_t *)(room->list + entries);
    room->values = (double *)(room->ranks + entries);
    return SFCONV_OK;
}

sfconv_status sfi_choose_ranks(sfconv_context *context, int64_t *ranks,
                               const sfconv_layer *const *layers, int32_t count,
                               int32_t budget_kind, double budget, const double *macs_per_rank,
                               sfi_progress progress)
{
    const double *costs = budget_kind == SFCONV_BUDGET_MACS ? macs_per_rank : NULL;
    sfi_rank_choice choice;
    struct room room = {0};
    sfconv_status status = make_room(context, layers, count, &room);
    if (status < 0) {
        return status;
    }
    double *next = room.values;
    for (int32_t i = 0; i < count; i++) {
        if ((status = report(context, progress, (double)i / count)) < 0 ||
            (status = describe(layers[i], cost_of(layers[i], costs, i), next, &room.list[i])) < 0) {
            goto done;
        }
        next += room.list[i].most;
    }
    if (budget_kind == SFCONV_BUDGET_ENERGY) {
        status = keep_energy(context, room.list, count, budget, room.ranks);
    } else {
        const int64_t limit = budget < 0x1p62 ? (int64_t)budget : INT64_MAX / 2;
        status = sfi_ranks_for_cost(context, count, room.list, limit, room.ranks, &choice);
    }
    if (status == SFCONV_OK) {
        memcpy(ranks, room.ranks, (size_t)count * sizeof *ranks);
    }
done:
    sfi_free(context, room.list, room.bytes);
    return status;
}
