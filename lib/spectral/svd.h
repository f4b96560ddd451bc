/* SPDX-License-Identifier: BSD-2-Clause */
/* The spectrum of a matrix, kept from one update to the next. Matrices are float, contiguous,
 * row-major, rows x cols and tall: rows >= cols. A factor Q (r x in*kw) is passed transposed. */
#ifndef SFI_SVD_H
#define SFI_SVD_H

#include "ctx.h"
#include "progress.h"

#include <stdbool.h>

typedef enum sfi_svd_method {
    /* Eigenvalues of the Gram matrix in double: the same bits everywhere, and fast. Singular values
     * are good to about 1e-8 of the largest. */
    SFI_SVD_GRAM,
    /* LAPACK's gesdd in double: good to 1e-15 of the largest, bits of the machine's BLAS. */
    SFI_SVD_EXACT
} sfi_svd_method;

typedef struct sfi_svd {
    int64_t cols;
    double *values;  /* cols, descending, >= 0 */
    double *vectors; /* cols x cols: row i is the right singular vector of values[i] */
    bool ready;      /* false until the first update that succeeds */
} sfi_svd;

/* Memory for a matrix of `cols` columns. Errors: MEMORY, OVERFLOW. */
sfconv_status sfi_svd_create(sfconv_context *context, sfi_svd *svd, int64_t cols);
/* A zeroed struct is allowed. */
void sfi_svd_destroy(sfconv_context *context, sfi_svd *svd);

/* Bytes of scratch for sfi_svd_update() and sfi_kl_add_gradient(); false on overflow. */
bool sfi_svd_scratch(int64_t *bytes, int64_t rows, int64_t cols, sfi_svd_method method);

/* Takes values and vectors of `matrix` (rows x svd->cols). Allocates nothing.
 * Errors: NUMERIC (NaN or infinity in the matrix, no convergence); then svd is what it was. */
sfconv_status sfi_svd_update(sfconv_context *context, sfi_svd *svd, int64_t rows,
                             const float *matrix, sfi_svd_method method, void *scratch);

/* The same for matrices so large that a caller may lose patience: `progress` sees parts from 0 to
 * 0.8; LAPACK, once called, does not ask. Errors: CANCELLED too. */
sfconv_status sfi_svd_update_watched(sfconv_context *context, sfi_svd *svd, int64_t rows,
                                     const float *matrix, sfi_svd_method method, void *scratch,
                                     const sfi_progress *progress);

/* exp of the entropy of p = s / sum(s): between 1 and cols; 0 for the zero matrix. */
double sfi_effective_rank(const sfi_svd *svd);
/* sum(s^2) / s1^2; 0 for the zero matrix. */
double sfi_stable_rank(const sfi_svd *svd);
/* s1 / s_cols; infinity where the last is zero. */
double sfi_condition_number(const sfi_svd *svd);
/* sqrt(sum(s^2)). */
double sfi_frobenius_norm(const sfi_svd *svd);

#endif
