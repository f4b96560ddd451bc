/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFCONV_SPECTRAL_H
#define SFCONV_SPECTRAL_H

#include "sfconv/net.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Spectra of factorized layers. The factor matrices are P, (out·kh) x rank with row o·kh + i, and
 * Q, rank x (in·kw) with column c·kw + j; the dense weight is W[o][c][i][j] = (P·Q)[o·kh+i][c·kw+j]
 * (arXiv 2403.00606). Calls of layers take an sfconv2d and answer UNSUPPORTED for others. */

#define SFCONV_FACTOR_P 1
#define SFCONV_FACTOR_Q 2
/** The product P·Q, through QR of the factors; never formed. */
#define SFCONV_FACTOR_PRODUCT 3

/** Eigenvalues of the Gram matrix in double with own code: fast, same bits everywhere; singular
 * values accurate to about 1e-8 of the largest. */
#define SFCONV_SVD_GRAM 1
/** LAPACK's gesdd in double on the matrix itself. */
#define SFCONV_SVD_EXACT 2

/**
 * Refreshes the layer's cached singular values and right vectors of P and Q from its present
 * parameters; the parameters stay as they are.
 * Errors: ARGUMENT (unknown method), UNSUPPORTED, NUMERIC (NaN or infinity in a factor), MEMORY.
 * Needs the layer alone. Since: 0.1
 */
SFCONV_API sfconv_status sfconv_layer_svd_update(sfconv_layer *layer, int32_t method);

/** Measures of a spectrum. Since: 0.1 */
typedef struct sfconv_spectrum {
    size_t struct_size;
    /** Number of singular values (the rank of the layer). */
    int64_t count;
    double largest;
    double smallest;
    /** exp(−Σ p log p), p = s / Σ s: 1 to count (Roy and Vetterli, 2007). */
    double effective_rank;
    /** largest / smallest; infinity when the smallest is 0. */
    double condition;
    /** KL(p ‖ u), 0 to log count. */
    double kl;
    /** KL(u ‖ p), p clamped from below at 2^-20. */
    double kl_reverse;
} sfconv_spectrum;

#define SFCONV_SPECTRUM_INIT                                                                       \
    {                                                                                              \
        sizeof(sfconv_spectrum), 0, 0, 0, 0, 0, 0, 0                                               \
    }

/** Measures of factor P or Q as of the last sfconv_layer_svd_update(). Errors: ARGUMENT,
 * UNSUPPORTED, STATE (no update yet), NUMERIC (all singular values are zero). Since: 0.1 */
SFCONV_API sfconv_status sfconv_layer_spectrum(const sfconv_layer *layer, int32_t factor,
                                               sfconv_spectrum *spectrum);

/** Singular values, falling, into values[0 … capacity-1]; *count is how many there are. P and Q: as
 * of the last update; PRODUCT: computed now (uses LAPACK). Errors: ARGUMENT (capacity below count),
 * UNSUPPORTED, STATE, NUMERIC, MEMORY. Since: 0.1 */
SFCONV_API sfconv_status sfconv_layer_singular_values(const sfconv_layer *layer, int32_t factor,
                                                      double *values, int64_t capacity,
                                                      int64_t *count);

/** Value of the layer's regularizer without λ, for the present parameters: F(P) + F(Q) for the KL
 * kinds, ½‖P·Q‖² for Frobenius, 0 for none. `method` is for the KL kinds. Errors: ARGUMENT,
 * UNSUPPORTED, NUMERIC, MEMORY. Since: 0.1 */
SFCONV_API sfconv_status sfconv_layer_regularizer(const sfconv_layer *layer, int32_t method,
                                                  double *value);

/**
 * KL term of one matrix: *value is F and, where `gradient` is not NULL, gradient += weight · ∂F/∂M.
 * Matrices are rank-2 views of the same shape, any strides, at least as many rows as columns or the
 * transposed; `kind` is SFCONV_REGULARIZER_KL or _KL_REVERSE. p is clamped from below at 2^-20,
 * about ten times what the Gram route makes of a singular value of zero.
 * Errors: ARGUMENT (a weight that is negative or not finite too), SHAPE, NUMERIC (NaN, infinity,
 * all singular values zero), MEMORY. Any thread. Since: 0.1
 */
SFCONV_API sfconv_status sfconv_kl(sfconv_context *context, const sfconv_view *matrix, int32_t kind,
                                   int32_t method, double weight, double *value,
                                   const sfconv_view *gradient);

/** The dense layer with the same function, with its bias; spectral normalization is applied.
 * Errors: ARGUMENT, UNSUPPORTED, NUMERIC (a weight that is not finite, a spectral norm that is not
 * positive), MEMORY. Since: 0.1 */
SFCONV_API sfconv_status sfconv_layer_compose(sfconv_layer **dense, const sfconv_layer *layer);

/**
 * A factorized layer nearest to a dense conv2d (groups 1) in Frobenius norm: truncated SVD, √s to
 * each factor. `desc` gives rank or ratio, regularizer and spectral_norm; its sizes are taken from
 * the dense layer. *error (may be NULL) is ‖W − P·Q‖ / ‖W‖, exactly. Uses LAPACK.
 * Errors: ARGUMENT, UNSUPPORTED (not a conv2d, groups), NUMERIC, MEMORY, CANCELLED. Since: 0.1
 */
SFCONV_API sfconv_status sfconv_layer_decompose(sfconv_layer **factorized,
                                                const sfconv_layer *dense,
                                                const sfconv_sfconv2d_desc *desc, double *error,
                                                sfconv_progress_fn progress, void *user);

/** Same product, equal singular values in both factors: P = U·√s, Q = √s·Vᵀ. Uses LAPACK. Needs the
 * layer alone. Errors: ARGUMENT, UNSUPPORTED, NUMERIC, MEMORY. Since: 0.1 */
SFCONV_API sfconv_status sfconv_layer_rebalance(sfconv_layer *layer);

/**
 * A copy of a factorized layer cut to a smaller rank, the best one in Frobenius norm. *error (may
 * be NULL) is ‖P·Q − P'·Q'‖ / ‖P·Q‖, exactly, the product never formed. Uses LAPACK. Errors:
 * ARGUMENT (rank below 1 or above the present), UNSUPPORTED, NUMERIC, MEMORY. Since: 0.1
 */
SFCONV_API sfconv_status sfconv_layer_cut_rank(sfconv_layer **cut, const sfconv_layer *layer,
                                               int64_t rank, double *error);

/** Rank of the rule max(min_rank, round(ratio · min(in, out))), halves to even, cut to the maximum
 * min(in·kernel[1], out·kernel[0]). Errors: ARGUMENT. Any thread. Since: 0.1 */
SFCONV_API sfconv_status sfconv_rank_from_ratio(int64_t *rank, int64_t in_channels,
                                                int64_t out_channels, const int64_t kernel[2],
                                                double ratio, int64_t min_rank);

#define SFCONV_BUDGET_PARAMETERS 1
#define SFCONV_BUDGET_MACS 2
/** Part of Σ s² that every layer keeps, 0 to 1. */
#define SFCONV_BUDGET_ENERGY 3

/**
 * Chooses a rank for each of `layers` factorized layers (sfconv2d; conv2d is taken as full rank),
 * so that their parameters or MACs stay within `budget` and the kept spectral energy is as large as
 * a greedy choice by energy per cost makes it; or the smallest ranks that keep the energy.
 * macs_per_rank[i] is the cost of one rank of layer i in MACs (NULL unless the budget is MACS).
 * ranks[i] is at least 1. Uses LAPACK. Errors: ARGUMENT, UNSUPPORTED, NUMERIC, MEMORY; SHAPE (rank
 * 1 everywhere is already above the budget; the reason names the least budget), CANCELLED. Since:
 * 0.1
 */
SFCONV_API sfconv_status sfconv_choose_ranks(int64_t *ranks, const sfconv_layer *const *layers,
                                             int32_t count, int32_t budget_kind, double budget,
                                             const double *macs_per_rank,
                                             sfconv_progress_fn progress, void *user);

#ifdef __cplusplus
}
#endif

#endif
