/* SPDX-License-Identifier: BSD-2-Clause */
/* From a dense matrix to two factors, from two factors to others, and back. All of it is work
 * outside training steps: memory comes from the context. Outputs are written at the very end, so
 * that a failed or cancelled call changes nothing. */
#ifndef SFI_FACTORIZE_H
#define SFI_FACTORIZE_H

#include "decay.h"
#include "svd.h"

/* Truncated singular value decomposition of `dense` (rows x cols, any shape), the square roots of
 * the singular values to each side: p (rows x rank) * q (rank x cols), the best product of that
 * rank. This is also the spectral initialisation of Khodak et al. With SFI_SVD_GRAM the bits are
 * the same on every machine. With SFI_SVD_EXACT, no `values` wanted and a rank of at most half of
 * full, only the leading values are computed, from the Gram matrix, where that loses nothing: the
 * least of them above 1e-3 of the greatest, the error above 1e-3. *relative_error = ||dense - p q||
 * / ||dense||, from the discarded singular values; 0 for the zero matrix. `values` (min(rows,
 * cols), descending) may be NULL. Errors: SHAPE (rank outside 1 … min(rows, cols)), NUMERIC (NaN or
 * infinity), MEMORY, OVERFLOW, CANCELLED. */
sfconv_status sfi_decompose(sfconv_context *context, int64_t rows, int64_t cols, const float *dense,
                            int64_t rank, sfi_svd_method method, float *p, float *q,
                            double *relative_error, double *values, sfi_progress progress);

/* dense (rows x cols) = p (rows x rank) * q (rank x cols), summed in double.
 * Errors: NUMERIC (a result that is no finite float; dense is then undefined), MEMORY. */
sfconv_status sfi_compose(sfconv_context *context, int64_t rows, int64_t cols, int64_t rank,
                          const float *p, const float *q, float *dense);

/* New factors p (p_rows x rank) and qt (q_cols x rank) of the best approximation of P Q with `rank`
 * <= factors->rank, each with the square roots of the product's singular values as its own: the
 * factors are balanced. The same rank leaves the product as it was. Through QR of both factors and
 * a small decomposition; exact for factors of any rank. *relative_error = ||P Q - p qᵀ|| / ||P Q||;
 * `values` (factors->rank, descending: those of P Q) may be NULL. Outputs may be the inputs.
 * Errors: SHAPE (rank outside 1 … factors->rank, factors that are not tall), NUMERIC, MEMORY,
 * OVERFLOW, CANCELLED. */
sfconv_status sfi_cut_rank(sfconv_context *context, const sfi_factors *factors, int64_t rank,
                           float *p, float *qt, double *relative_error, double *values,
                           sfi_progress progress);

#endif
