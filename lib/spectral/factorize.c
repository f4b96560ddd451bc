/* SPDX-License-Identifier: BSD-2-Clause */
#include "factorize.h"

#include "error.h"
#include "linalg.h"
#include "memory.h"
#include "products.h"
#include "sizes.h"
#include "unfold.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

static sfconv_status report(sfconv_context *context, sfi_progress progress, double part)
{
    if (sfi_progress_stops(&progress, part)) {
        return sfi_fail(context, SFCONV_ERROR_CANCELLED, "decomposition: cancelled by the caller");
    }
    return SFCONV_OK;
}

static sfconv_status check_rank(sfconv_context *context, int64_t rank, int64_t most)
{
    if (rank < 1 || rank > most) {
        return sfi_fail(context, SFCONV_ERROR_SHAPE, "rank: expected 1 to %lld, got %lld",
                        (long long)most, (long long)rank);
    }
    return SFCONV_OK;
}

/* sqrt of the energy behind the first `rank` values over all energy; small values first. */
static double discarded_part(int64_t count, const double *values, int64_t rank)
{
    double discarded = 0;
    for (int64_t i = count - 1; i >= rank; i--) {
        discarded += values[i] * values[i];
    }
    double total = discarded;
    for (int64_t i = rank - 1; i >= 0; i--) {
        total += values[i] * values[i];
    }
    return total > 0 ? sqrt(discarded / total) : 0;
}

/* Bytes of `count` elements of `size`; counts come from sizes that were checked by multiplying. */
static bool array_bytes(int64_t *bytes, int64_t a, int64_t b, size_t size)
{
    return sfi_mul(bytes, a, b) && sfi_mul(bytes, *bytes, (int64_t)size);
}

/* A matrix that stands upright, and what is cut from it: matrix ≈ tall * smallᵀ. */
struct split {
    int64_t rows;
    int64_t cols;
    int64_t rank;
    float *matrix; /* rows x cols, rows >= cols */
    float *tall;   /* rows x rank */
    float *small;  /* cols x rank */
    double *core;  /* cols x pitch(rank) */
    void *scratch;
    int64_t matrix_bytes;
    int64_t tall_bytes;
    int64_t small_bytes;
    int64_t core_bytes;
    int64_t scratch_bytes;
    sfi_svd svd;
};

static void split_destroy(sfconv_context *context, struct split *split)
{
    sfi_svd_destroy(context, &split->svd);
    sfi_free(context, split->scratch, (size_t)split->scratch_bytes);
    sfi_free(context, split->core, (size_t)split->core_bytes);
    sfi_free(context, split->small, (size_t)split->small_bytes);
    sfi_free(context, split->tall, (size_t)split->tall_bytes);
    sfi_free(context, split->matrix, (size_t)split->matrix_bytes);
}

static sfconv_status split_create(sfconv_context *context, struct split *split,
                                  sfi_svd_method method)
{
    const int64_t rows = split->rows;
    const int64_t cols = split->cols;
    if (!array_bytes(&split->matrix_bytes, rows, cols, sizeof(float)) ||
        !array_bytes(&split->tall_bytes, rows, split->rank, sizeof(float)) ||
        !array_bytes(&split->small_bytes, cols, split->rank, sizeof(float)) ||
        !array_bytes(&split->core_bytes, cols, sfi_pitch(split->rank), sizeof(double)) ||
        !sfi_svd_scratch(&split->scratch_bytes, rows, cols, method)) {
        return sfi_fail(context, SFCONV_ERROR_OVERFLOW, "decomposition: %lld x %lld is too large",
                        (long long)rows, (long long)cols);
    }
    split->matrix = sfi_alloc(context, (size_t)split->matrix_bytes);
    split->tall = sfi_calloc(context, 1, (size_t)split->tall_bytes);
    split->small = sfi_alloc(context, (size_t)split->small_bytes);
    split->core = sfi_calloc(context, 1, (size_t)split->core_bytes);
    split->scratch = sfi_alloc(context, (size_t)split->scratch_bytes);
    if (!split->matrix || !split->tall || !split->small || !split->core || !split->scratch) {
        return sfi_fail_memory(context, "decomposition",
                               (size_t)(split->matrix_bytes + split->tall_bytes +
                                        split->small_bytes + split->core_bytes +
                                        split->scratch_bytes));
    }
    return sfi_svd_create(context, &split->svd, cols);
}

/* Leading values by the Gram matrix count as exact while the least of them is not lost beside the
 * greatest, squared, and while what is discarded is not lost in the sum of all. */
#define LEADING_PART 1e-6

/* Whether eigenvalues (`rank` of them, ascending, of a Gram matrix of that trace) are good enough.
 */
static bool leading_is_exact(int64_t rank, const double *values, double trace, double *discarded)
{
    double kept = 0;
    for (int64_t t = 0; t < rank; t++) {
        kept += values[t];
    }
    *discarded = trace - kept;
    return *discarded > LEADING_PART * trace && values[0] > LEADING_PART * values[rank - 1];
}

/* The first `rank` values and vectors alone, for a rank well below full: a fraction of the time of
 * all of them. *taken is false when the exact route has to be taken instead. */
static sfconv_status split_leading(sfconv_context *context, struct split *split, bool *taken,
                                   double *relative_error)
{
    const int64_t n = split->cols;
    const int64_t rank = split->rank;
    const int64_t doubles = n * n + rank * n + n;
    int64_t bytes;
    *taken = false;
    if (!sfi_leading_eigen_scratch(&bytes, n, rank)) {
        return SFCONV_OK;
    }
    const int64_t begin = sfi_round64(doubles * (int64_t)sizeof(double));
    double *gram = sfi_alloc(context, (size_t)(begin + bytes));
    if (!gram) {
        return sfi_fail_memory(context, "decomposition", (size_t)(begin + bytes));
    }
    double *vectors = gram + n * n;
    double *values = vectors + rank * n;
    double trace = 0;
    double discarded;
    sfconv_status status = SFCONV_OK;
    sfi_gram(context, split->rows, n, split->matrix, gram);
    for (int64_t i = 0; i < n; i++) {
        trace += gram[i * n + i];
    }
    if (sfi_gram_is_finite(n, gram) && isfinite(trace)) {
        status = sfi_leading_eigen(context, n, rank, gram, values, vectors, (char *)gram + begin);
        *taken = status == SFCONV_OK && leading_is_exact(rank, values, trace, &discarded);
    }
    if (*taken) {
        for (int64_t t = 0; t < rank; t++) {
            const int64_t from = rank - 1 - t;
            split->svd.values[t] = sqrt(values[from]);
            memcpy(split->svd.vectors + t * n, vectors + from * n, (size_t)n * sizeof(double));
        }
        *relative_error = sqrt(discarded / trace);
    }
    sfi_free(context, gram, (size_t)(begin + bytes));
    return status;
}

/* Values and vectors by the route that fits, and the error of the cut. */
static sfconv_status split_spectrum(sfconv_context *context, struct split *split,
                                    sfi_svd_method method, bool leading, double *relative_error,
                                    const sfi_progress *progress)
{
    bool taken = false;
    sfconv_status status = SFCONV_OK;
    if (leading) {
        status = split_leading(context, split, &taken, relative_error);
    }
    if (status != SFCONV_OK || taken) {
        return status;
    }
    status = sfi_svd_update_watched(context, &split->svd, split->rows, split->matrix, method,
                                    split->scratch, progress);
    if (status == SFCONV_OK) {
        *relative_error = discarded_part(split->cols, split->svd.values, split->rank);
    }
    return status;
}

/* tall = matrix V / sqrt(s), small = V sqrt(s): their product is matrix V Vᵀ, a projection, even
 * where s itself is only good to a few digits. */
static void split_factors(sfconv_context *context, struct split *split)
{
    const int64_t pitch = sfi_pitch(split->rank);
    for (int64_t t = 0; t < split->rank; t++) {
        const double root = sqrt(split->svd.values[t]);
        const double *vector = split->svd.vectors + t * split->cols;
        for (int64_t j = 0; j < split->cols; j++) {
            split->core[j * pitch + t] = root > 0 ? vector[j] / root : 0;
            split->small[j * split->rank + t] = (float)(vector[j] * root);
        }
    }
    sfi_add_product(context, split->rows, split->cols, split->rank, 1.0, split->matrix, split->core,
                    split->tall);
}

sfconv_status sfi_decompose(sfconv_context *context, int64_t rows, int64_t cols, const float *dense,
                            int64_t rank, sfi_svd_method method, float *p, float *q,
                            double *relative_error, double *values, sfi_progress progress)
{
    const bool upright = rows >= cols;
    struct split split = {
        .rows = upright ? rows : cols, .cols = upright ? cols : rows, .rank = rank};
    double error = 0;
    sfconv_status status = check_rank(context, rank, split.cols);
    if (status != SFCONV_OK) {
        return status;
    }
    status = split_create(context, &split, method);
    if (status != SFCONV_OK || (status = report(context, progress, 0)) != SFCONV_OK) {
        goto done;
    }
    if (upright) {
        memcpy(split.matrix, dense, (size_t)split.matrix_bytes);
    } else {
        sfi_transpose(rows, cols, dense, split.matrix);
    }
    const bool leading = method == SFI_SVD_EXACT && !values && 2 * rank <= split.cols;
    status = split_spectrum(context, &split, method, leading, &error, &progress);
    if (status != SFCONV_OK || (status = report(context, progress, 0.8)) != SFCONV_OK) {
        goto done;
    }
    split_factors(context, &split);
    if ((status = report(context, progress, 1)) != SFCONV_OK) {
        goto done;
    }
    const float *left = upright ? split.tall : split.small;
    const float *right = upright ? split.small : split.tall;
    memcpy(p, left, (size_t)(rows * rank) * sizeof(float));
    sfi_transpose(cols, rank, right, q);
    *relative_error = error;
    if (values) {
        memcpy(values, split.svd.values, (size_t)split.cols * sizeof(double));
    }
done:
    split_destroy(context, &split);
    return status;
}

sfconv_status sfi_compose(sfconv_context *context, int64_t rows, int64_t cols, int64_t rank,
                          const float *p, const float *q, float *dense)
{
    int64_t bytes;
    const int64_t pitch = sfi_pitch(cols);
    if (!array_bytes(&bytes, rank, pitch, sizeof(double))) {
        return sfi_fail(context, SFCONV_ERROR_OVERFLOW, "compose: %lld x %lld is too large",
                        (long long)rank, (long long)cols);
    }
    double *padded = sfi_calloc(context, 1, (size_t)bytes);
    if (!padded) {
        return sfi_fail_memory(context, "compose", (size_t)bytes);
    }
    for (int64_t t = 0; t < rank; t++) {
        for (int64_t j = 0; j < cols; j++) {
            padded[t * pitch + j] = (double)q[t * cols + j];
        }
    }
    memset(dense, 0, (size_t)(rows * cols) * sizeof(float));
    sfi_add_product(context, rows, rank, cols, 1.0, p, padded, dense);
    sfi_free(context, padded, (size_t)bytes);
    for (int64_t i = 0; i < rows * cols; i++) {
        if (!isfinite(dense[i])) {
            return sfi_fail(context, SFCONV_ERROR_NUMERIC,
                            "compose: element %lld of the product is not a finite float",
                            (long long)i);
        }
    }
    return SFCONV_OK;
}

/* Working room of a cut: one block of doubles, named. */
struct cut {
    double *p;       /* p_rows x rank: basis of P's columns */
    double *q;       /* q_cols x rank: basis of Qᵀ's columns */
    double *upper_p; /* rank x rank */
    double *upper_q;
    double *core;
    double *left; /* the core's singular vectors and values */
    double *right;
    double *values;
    double *new_p; /* p_rows x rank */
    double *new_q;
    void *scratch;
    void *block;
    int64_t bytes;
};

static sfconv_status cut_create(sfconv_context *context, struct cut *cut,
                                const sfi_factors *factors)
{
    const int64_t r = factors->rank;
    int64_t rows;
    int64_t count;
    int64_t lapack;
    if (!sfi_add(&rows, factors->p_rows, factors->q_cols) || !sfi_add(&rows, rows, rows) ||
        !sfi_add(&rows, rows, 5 * r + 1) || !sfi_mul(&count, rows, r) ||
        !sfi_mul(&cut->bytes, count, (int64_t)sizeof(double)) ||
        !sfi_thin_svd_scratch(&lapack, r, r) ||
        !sfi_add(&cut->bytes, sfi_round64(cut->bytes), lapack)) {
        cut->bytes = 0;
        return sfi_fail(context, SFCONV_ERROR_OVERFLOW, "factors: %lld + %lld rows are too many",
                        (long long)factors->p_rows, (long long)factors->q_cols);
    }
    cut->block = sfi_alloc(context, (size_t)cut->bytes);
    if (!cut->block) {
        return sfi_fail_memory(context, "factors", (size_t)cut->bytes);
    }
    cut->p = cut->block;
    cut->new_p = cut->p + factors->p_rows * r;
    cut->q = cut->new_p + factors->p_rows * r;
    cut->new_q = cut->q + factors->q_cols * r;
    cut->upper_p = cut->new_q + factors->q_cols * r;
    cut->upper_q = cut->upper_p + r * r;
    cut->core = cut->upper_q + r * r;
    cut->left = cut->core + r * r;
    cut->right = cut->left + r * r;
    cut->values = cut->right + r * r;
    cut->scratch = (char *)cut->block + sfi_round64(count * (int64_t)sizeof(double));
    return SFCONV_OK;
}

static sfconv_status widen(sfconv_context *context, int64_t count, const float *source,
                           double *result)
{
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(source[i])) {
            return sfi_fail(context, SFCONV_ERROR_NUMERIC,
                            "factors: expected finite numbers, got %g", (double)source[i]);
        }
        result[i] = (double)source[i];
    }
    return SFCONV_OK;
}

/* P = p upper_p and Qᵀ = q upper_q, so P Q = p (upper_p upper_qᵀ) qᵀ: a decomposition of the small
 * matrix in the middle is one of the product. */
static sfconv_status cut_decompose(sfconv_context *context, struct cut *cut,
                                   const sfi_factors *factors)
{
    const int64_t r = factors->rank;
    sfconv_status status = widen(context, factors->p_rows * r, factors->p, cut->p);
    if (status == SFCONV_OK) {
        status = widen(context, factors->q_cols * r, factors->qt, cut->q);
    }
    if (status == SFCONV_OK) {
        status = sfi_thin_qr(context, factors->p_rows, r, cut->p, cut->upper_p);
    }
    if (status == SFCONV_OK) {
        status = sfi_thin_qr(context, factors->q_cols, r, cut->q, cut->upper_q);
    }
    if (status != SFCONV_OK) {
        return status;
    }
    sfi_dense_product(r, r, r, cut->upper_p, cut->upper_q, true, cut->core);
    return sfi_thin_svd(context, r, r, cut->core, cut->values, cut->left, cut->right, cut->scratch);
}

/* Rows of the new factors: basis * singular vectors * sqrt(values), all `rank` columns. */
static void cut_rotate(struct cut *cut, const sfi_factors *factors)
{
    const int64_t r = factors->rank;
    for (int64_t t = 0; t < r; t++) {
        const double root = sqrt(cut->values[t]);
        for (int64_t i = 0; i < r; i++) {
            cut->left[i * r + t] *= root;
            cut->right[t * r + i] *= root;
        }
    }
    sfi_dense_product(factors->p_rows, r, r, cut->p, cut->left, false, cut->new_p);
    sfi_dense_product(factors->q_cols, r, r, cut->q, cut->right, true, cut->new_q);
}

static void narrow_columns(int64_t rows, int64_t cols, int64_t kept, const double *source,
                           float *result)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < kept; j++) {
            result[i * kept + j] = (float)source[i * cols + j];
        }
    }
}

sfconv_status sfi_cut_rank(sfconv_context *context, const sfi_factors *factors, int64_t rank,
                           float *p, float *qt, double *relative_error, double *values,
                           sfi_progress progress)
{
    struct cut cut = {0};
    sfconv_status status = check_rank(context, rank, factors->rank);
    if (status != SFCONV_OK) {
        return status;
    }
    if (sfi_min(factors->p_rows, factors->q_cols) < factors->rank) {
        return sfi_fail(
            context, SFCONV_ERROR_SHAPE, "factors: expected at least %lld rows, got %lld and %lld",
            (long long)factors->rank, (long long)factors->p_rows, (long long)factors->q_cols);
    }
    status = cut_create(context, &cut, factors);
    if (status != SFCONV_OK || (status = report(context, progress, 0)) != SFCONV_OK ||
        (status = cut_decompose(context, &cut, factors)) != SFCONV_OK ||
        (status = report(context, progress, 0.8)) != SFCONV_OK) {
        goto done;
    }
    if (sqrt(cut.values[0]) > (double)FLT_MAX) {
        status = sfi_fail(context, SFCONV_ERROR_NUMERIC,
                          "factors: the product's largest singular value %g is beyond float",
                          cut.values[0]);
        goto done;
    }
    cut_rotate(&cut, factors);
    if ((status = report(context, progress, 1)) != SFCONV_OK) {
        goto done;
    }
    narrow_columns(factors->p_rows, factors->rank, rank, cut.new_p, p);
    narrow_columns(factors->q_cols, factors->rank, rank, cut.new_q, qt);
    *relative_error = discarded_part(factors->rank, cut.values, rank);
    if (values) {
        memcpy(values, cut.values, (size_t)factors->rank * sizeof(double));
    }
done:
    sfi_free(context, cut.block, (size_t)cut.bytes);
    return status;
}
