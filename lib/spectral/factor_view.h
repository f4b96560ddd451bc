/* SPDX-License-Identifier: BSD-2-Clause */
/* A factor where its layer keeps it, and the two products that regularizers need of it: the Gram
 * matrix, and a symmetric matrix times the factor. Both pass over the factor in chunks that fit the
 * nearer caches, so that neither a copy nor a transpose of it is ever whole. One thread: factors
 * are independent, and the caller shares them out. */
#ifndef SFI_FACTOR_VIEW_H
#define SFI_FACTOR_VIEW_H

#include "kernels.h"

#include <stdbool.h>
#include <stdint.h>

/* The tall matrix M has count * inner rows and `rank` columns. */
typedef struct sfi_factor_view {
    int64_t rank;
    int64_t count;
    /* weight[count][rank][inner], as P keeps itself; a matrix that stands has inner = 1. */
    int64_t inner;
    /* weight[rank][count], as Q keeps itself; inner is 1. */
    bool lying;
    const float *weight;
} sfi_factor_view;

/* Bytes of scratch for the calls below; false on overflow. */
bool sfi_view_scratch(int64_t *bytes, const sfi_factor_view *view);

/* gram (rank x rank) = Mᵀ M, each sum in an order that `view`'s sizes fix. Products of two floats
 * are exact in double. NaN or infinity in M shows on the diagonal. */
void sfi_view_gram(const sfk_table *kernels, const sfi_factor_view *view, double *gram,
                   void *scratch);

/* The same for matrices whose squares fit floats, by sums of floats. The error is as if each
 * element of M were off by some 2^-23 of its column's root mean square. */
void sfi_view_gram_single(const sfk_table *kernels, const sfi_factor_view *view, double *gram,
                          void *scratch);

/* gradient += M * core, core symmetric, rank x rank, in the order of the weight. All is in double
 * until the end. */
void sfi_view_add_product(const sfk_table *kernels, const sfi_factor_view *view, const double *core,
                          float *gradient, void *scratch);

/* The same in float; the core is a matrix of symmetric.h. */
void sfi_view_add_product_single(const sfk_table *kernels, const sfi_factor_view *view,
                                 const float *core, float *gradient, void *scratch);

#endif
