/* SPDX-License-Identifier: BSD-2-Clause */
/* Sums over the patches of an image that a stem passes over, in training. */
#include "cuts.h"
#include "sums.h"

/* Rows and planes of a tile; its sums stay in registers. */
#define LEFT_ROWS 6
#define RIGHT_PLANES (SFV_LANES == 16 ? 3 : 1)
#define RIGHT_VECTORS (RIGHT_PLANES * SFV_PER_16)
#define PATCH_ROWS 8
/* Of a tile in double, and the products whose left sides are made doubles together. */
#define EXACT_ROWS (SFV_LANES == 16 ? 6 : 2)
#define EXACT_COUNT 64

/* `rows` and `planes` are constants at every call. */
SFV_INLINE void add_lags(const sfk_lags *lags, int64_t first, int64_t plane, int rows, int planes)
{
    sfv sums[LEFT_ROWS][RIGHT_VECTORS];
    const float *left[LEFT_ROWS];
    const float *from = lags->right + plane * lags->plane;
    const int64_t left_step = lags->left_step, right_step = lags->right_step;
    const int64_t distance = lags->plane;
    const int vectors = planes * SFV_PER_16;
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        left[m] = lags->left[first + m];
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            sums[m][v] = sfv_zero();
        }
    }
    int64_t at = 0;
    for (int64_t k = 0; k < lags->count; k++, at += left_step, from += right_step) {
        sfv right[RIGHT_VECTORS];
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            right[v] = sfv_load(from + v / SFV_PER_16 * distance + v % SFV_PER_16 * SFV_LANES);
        }
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            const sfv factor = sfv_set1(left[m][at]);
            SFV_UNROLL
            for (int v = 0; v < vectors; v++) {
                sums[m][v] = sfv_fma(factor, right[v], sums[m][v]);
            }
        }
    }
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            const int64_t row = (plane + v / SFV_PER_16) * lags->rows + first + m;
            double *to = lags->to + row * SFK_LAGS + v % SFV_PER_16 * SFV_LANES;
            sfd_store(to, sfd_load(to) + sfd_from_half(sums[m][v], 0));
            to += SFD_LANES;
            sfd_store(to, sfd_load(to) + sfd_from_half(sums[m][v], 1));
        }
    }
}

/* The products from `first` on in double, where those of floats are exact: rows and one plane,
 * whose sums go on from what is there. `rows` is a constant at every call. */
SFV_INLINE void add_exact_lags(const sfk_lags *lags, double (*factors)[EXACT_ROWS], int64_t row,
                               int64_t plane, int64_t first, int64_t count, int rows)
{
    sfd sums[EXACT_ROWS][SFD_PER_16];
    const float *from = lags->right + plane * lags->plane + first * lags->right_step;
    double *to = lags->to + (plane * lags->rows + row) * SFK_LAGS;
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        SFV_UNROLL
        for (int v = 0; v < SFD_PER_16; v++) {
            sums[m][v] = sfd_load(to + m * SFK_LAGS + v * SFD_LANES);
        }
    }
    for (int64_t k = 0; k < count; k++, from += lags->right_step) {
        sfd right[SFD_PER_16];
        SFV_UNROLL
        for (int v = 0; v < SFD_PER_16; v++) {
            right[v] = sfd_from_floats(from + v * SFD_LANES);
            SFV_KEEP(right[v]);
        }
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            const sfd factor = sfd_set1(factors[k][m]);
            SFV_UNROLL
            for (int v = 0; v < SFD_PER_16; v++) {
                sums[m][v] = sfd_add_exact_product(factor, right[v], sums[m][v]);
            }
        }
    }
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        SFV_UNROLL
        for (int v = 0; v < SFD_PER_16; v++) {
            sfd_store(to + m * SFK_LAGS + v * SFD_LANES, sums[m][v]);
        }
    }
}

/* Some rows with all planes. */
SFV_INLINE void add_exact_rows(const sfk_lags *lags, int64_t row, int rows)
{
    double factors[EXACT_COUNT][EXACT_ROWS];
    for (int64_t first = 0; first < lags->count; first += EXACT_COUNT) {
        const int64_t count = smaller(EXACT_COUNT, lags->count - first);
        for (int64_t k = 0; k < count; k++) {
            for (int m = 0; m < rows; m++) {
                factors[k][m] = (double)lags->left[row + m][(first + k) * lags->left_step];
            }
        }
        for (int64_t plane = 0; plane < lags->planes; plane++) {
            add_exact_lags(lags, factors, row, plane, first, count, rows);
        }
    }
}

static void add_exact_products(const sfk_lags *lags)
{
    int64_t row = 0;
    for (; row + EXACT_ROWS <= lags->rows; row += EXACT_ROWS) {
        add_exact_rows(lags, row, EXACT_ROWS);
    }
    for (; row < lags->rows; row++) {
        add_exact_rows(lags, row, 1);
    }
}

/* All rows with some planes. */
SFV_INLINE void add_planes(const sfk_lags *lags, int64_t plane, int planes)
{
    int64_t row = 0;
    for (; row + LEFT_ROWS <= lags->rows; row += LEFT_ROWS) {
        add_lags(lags, row, plane, LEFT_ROWS, planes);
    }
    for (; row + 2 <= lags->rows; row += 2) {
        add_lags(lags, row, plane, 2, planes);
    }
    for (; row < lags->rows; row++) {
        add_lags(lags, row, plane, 1, planes);
    }
}

void SFK_NAME(lag_products)(const sfk_lags *lags)
{
    int64_t plane = 0;
    if (lags->in_double) {
        add_exact_products(lags);
        return;
    }
    for (; plane + RIGHT_PLANES <= lags->planes; plane += RIGHT_PLANES) {
        add_planes(lags, plane, RIGHT_PLANES);
    }
    for (; plane < lags->planes; plane++) {
        add_planes(lags, plane, 1);
    }
}

/* Columns of a patch: half a vector of AVX-512 is one of AVX2. */
#if defined(SFK_BUILD_AVX512)
#define PATCH_VECTORS 1
#define PATCH_LANES SFK_PATCH_COLUMNS
typedef __m256 columns;

SFV_INLINE columns load_columns(const float *from)
{
    return _mm256_loadu_ps(from);
}

SFV_INLINE void store_columns(float *to, columns value)
{
    _mm256_storeu_ps(to, value);
}

SFV_INLINE columns add_product(float factor, columns value, columns sum)
{
    return _mm256_fmadd_ps(_mm256_set1_ps(factor), value, sum);
}
#else
#define PATCH_LANES (SFV_LANES < SFK_PATCH_COLUMNS ? SFV_LANES : SFK_PATCH_COLUMNS)
#define PATCH_VECTORS (SFK_PATCH_COLUMNS / PATCH_LANES)
typedef sfv columns;

SFV_INLINE columns load_columns(const float *from)
{
    return SFV_LANES > SFK_PATCH_COLUMNS ? sfv_load_part(from, SFK_PATCH_COLUMNS) : sfv_load(from);
}

SFV_INLINE void store_columns(float *to, columns value)
{
    if (SFV_LANES > SFK_PATCH_COLUMNS) {
        sfv_store_part(to, value, SFK_PATCH_COLUMNS);
    } else {
        sfv_store(to, value);
    }
}

SFV_INLINE columns add_product(float factor, columns value, columns sum)
{
    return sfv_fma(sfv_set1(factor), value, sum);
}
#endif

/* `rows` is a constant at every call. */
SFV_INLINE void add_rows(const sfk_patches *patches, int64_t first, int rows)
{
    columns sums[PATCH_ROWS][PATCH_VECTORS];
    const int64_t pitch = patches->pitch;
    const int64_t *places = patches->places;
    const float *factors = patches->factors;
    const float *from = patches->from + first * pitch;
    float *to = patches->to + first * SFK_PATCH_COLUMNS;
    SFV_UNROLL
    for (int row = 0; row < rows; row++) {
        SFV_UNROLL
        for (int v = 0; v < PATCH_VECTORS; v++) {
            sums[row][v] = load_columns(to + row * SFK_PATCH_COLUMNS + v * PATCH_LANES);
        }
    }
    for (int64_t n = 0; n < patches->count; n++) {
        const float *patch = from + places[n];
        SFV_UNROLL
        for (int row = 0; row < rows; row++) {
            SFV_UNROLL
            for (int v = 0; v < PATCH_VECTORS; v++) {
                const columns value = load_columns(patch + row * pitch + v * PATCH_LANES);
                sums[row][v] = add_product(factors[n], value, sums[row][v]);
            }
        }
    }
    SFV_UNROLL
    for (int row = 0; row < rows; row++) {
        SFV_UNROLL
        for (int v = 0; v < PATCH_VECTORS; v++) {
            store_columns(to + row * SFK_PATCH_COLUMNS + v * PATCH_LANES, sums[row][v]);
        }
    }
}

void SFK_NAME(add_patches)(const sfk_patches *patches)
{
    int64_t row = 0;
    for (; row + PATCH_ROWS <= patches->rows; row += PATCH_ROWS) {
        add_rows(patches, row, PATCH_ROWS);
    }
    if (patches->rows - row == 7) {
        add_rows(patches, row, 7);
        return;
    }
    if (patches->rows - row >= 5) {
        add_rows(patches, row, 5);
        row += 5;
    }
    if (patches->rows - row >= 3) {
        add_rows(patches, row, 3);
        row += 3;
    }
    for (; row < patches->rows; row++) {
        add_rows(patches, row, 1);
    }
}
