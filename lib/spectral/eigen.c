/* SPDX-License-Identifier: BSD-2-Clause */
#include "eigen.h"

#include "products.h"
#include "sizes.h"

#include <math.h>
#include <string.h>

/* Squares below this are nothing beside a matrix whose largest element is about 1, and dividing by
 * them would lose the reflector's digits. */
#define NEGLIGIBLE 1e-200
#define MOST_SWEEPS 60
/* Sweeps of rotations are collected and then applied strip by strip, so that a strip stays in the
 * nearest cache. */
#define BATCH 32
/* Steps of the reduction from one question to the caller to the next. */
#define STEPS_TO_POLL 32

struct sweep {
    int64_t first; /* the sweep turns rows first … first+count, from the last pair down */
    int64_t count;
    const double *cosines;
    const double *sines;
};

struct rotations {
    const sfi_progress *progress;
    const sfk_table *kernels;
    int64_t n;
    int64_t pitch;
    double *basis;  /* n x pitch */
    double *memory; /* 2 * BATCH * n */
    int64_t used;
    struct sweep sweeps[BATCH];
};

int64_t sfi_eigen_scratch(int64_t n)
{
    const int64_t basis = n * sfi_pitch(n);
    const int64_t vectors = 5 * n;
    return basis + vectors + 2 * BATCH * n;
}

/* Multiplies by a power of two that brings the largest element to [0.5, 1), or near it where it is
 * below 2^-1000; returns its exponent. */
static int scale_to_one(int64_t count, double *matrix)
{
    double largest = 0;
    int exponent;
    for (int64_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs(matrix[i]));
    }
    if (largest == 0 || isinf(largest)) {
        return 0;
    }
    frexp(largest, &exponent);
    exponent = exponent < -1000 ? -1000 : exponent;
    const double factor = ldexp(1.0, -exponent);
    for (int64_t i = 0; i < count; i++) {
        matrix[i] *= factor;
    }
    return exponent;
}

/* Turns x[0 … count) into the v of a reflector I - beta v vᵀ that maps x to (alpha, 0 …); returns
 * beta, 0 when there is nothing to do. */
static double make_reflector(int64_t count, double *x, double *alpha)
{
    const double tail = sfi_dot(count - 1, x + 1, x + 1);
    if (tail <= NEGLIGIBLE) {
        *alpha = x[0];
        return 0;
    }
    const double norm = sqrt(x[0] * x[0] + tail);
    *alpha = x[0] > 0 ? -norm : norm;
    x[0] -= *alpha;
    return -1.0 / (*alpha * x[0]);
}

/* beta² x / 2, where beta² alone may be beyond double: beta is up to 1 / NEGLIGIBLE. */
static double half_square_times(double beta, double x)
{
    int exponent;
    const double mantissa = frexp(beta, &exponent);
    return 0.5 * mantissa * mantissa * ldexp(x, 2 * exponent);
}

/* Reduces to diagonal d[0 … n) and off-diagonal e[0 … n-1). Row k keeps the reflector of step k
 * behind its diagonal. The update of step k - 1 is carried out in the pass that multiplies by the
 * reflector of step k: one pass over memory a step. False when cancelled. */
static bool reduce(const sfk_table *kernels, int64_t n, double *a, double *d, double *e,
                   double *beta, double *w, double *p, const sfi_progress *progress)
{
    memset(w, 0, (size_t)n * sizeof(double));
    for (int64_t k = 0; k < n; k++) {
        double *row = a + k * n;
        if (k % STEPS_TO_POLL == 0 && sfi_progress_stops(progress, 0.3 * (double)k / (double)n)) {
            return false;
        }
        /* Before the first step there is nothing to subtract, and w says so. */
        const double *u = k > 0 ? row - n : w;
        const int64_t first = k + 1;
        const int64_t count = n - first;
        for (int64_t c = k; c < n; c++) {
            row[c] -= u[k] * w[c] + w[k] * u[c];
        }
        d[k] = row[k];
        beta[k] = 0;
        if (count == 0) {
            break;
        }
        double *v = row + first;
        beta[k] = make_reflector(count, v, &e[k]);
        kernels->reflect(count, a + first * n + first, n, u + first, w + first, v, p + first);
        const double half = half_square_times(beta[k], sfi_dot(count, p + first, v));
        for (int64_t c = first; c < n; c++) {
            w[c] = beta[k] * p[c] - half * row[c];
        }
    }
    return true;
}

/* basis (n x pitch) = the product of the reflectors, transposed: row i is the i-th basis vector in
 * which the matrix has three diagonals. */
static void collect_reflectors(const sfk_table *kernels, int64_t n, const double *a,
                               const double *beta, double *basis, int64_t pitch, double *t)
{
    memset(basis, 0, (size_t)(n * pitch) * sizeof(double));
    for (int64_t i = 0; i < n; i++) {
        basis[i * pitch + i] = 1;
    }
    for (int64_t k = n - 2; k >= 0; k--) {
        const double *v = a + k * n;
        const int64_t first = k + 1;
        const int64_t count = n - first;
        if (beta[k] == 0) {
            continue;
        }
        memset(t + first, 0, (size_t)count * sizeof(double));
        double *trailing = basis + first * pitch + first;
        kernels->sum_rows(count, count, v + first, trailing, pitch, t + first);
        kernels->add_to_rows(count, count, -beta[k], v + first, t + first, trailing, pitch);
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < i; j++) {
            const double swap = basis[i * pitch + j];
            basis[i * pitch + j] = basis[j * pitch + i];
            basis[j * pitch + i] = swap;
        }
    }
}

static void apply_rotations(struct rotations *rotations)
{
    for (int64_t strip = 0; strip < rotations->pitch; strip += SFI_STRIP) {
        for (int64_t i = 0; i < rotations->used; i++) {
            const struct sweep *sweep = &rotations->sweeps[i];
            const int64_t last = sweep->first + sweep->count;
            rotations->kernels->turn_rows(sweep->count, sweep->cosines, sweep->sines,
                                          rotations->basis + last * rotations->pitch + strip,
                                          rotations->pitch);
        }
    }
    rotations->used = 0;
}

/* One implicit QL sweep on rows first … last; its rotations go to `cosines` and `sines`, their
 * number is returned. */
static int64_t sweep_ql(int64_t first, int64_t last, double *d, double *e, double *cosines,
                        double *sines)
{
    const double ratio = (d[first + 1] - d[first]) / (2.0 * e[first]);
    const double root = sqrt(ratio * ratio + 1.0);
    double g = d[last] - d[first] + e[first] / (ratio + (ratio >= 0 ? root : -root));
    double s = 1;
    double c = 1;
    double p = 0;
    for (int64_t i = last - 1; i >= first; i--) {
        const double f = s * e[i];
        const double b = c * e[i];
        const double r = sqrt(f * f + g * g);
        e[i + 1] = r;
        if (r == 0) {
            /* The off-diagonal vanished inside the sweep: the block falls apart here. */
            d[i + 1] -= p;
            e[last] = 0;
            return last - 1 - i;
        }
        const double inverse = 1.0 / r;
        s = f * inverse;
        c = g * inverse;
        g = d[i + 1] - p;
        const double q = (d[i] - g) * s + 2.0 * c * b;
        p = s * q;
        d[i + 1] = g + p;
        g = c * q - b;
        *cosines++ = c;
        *sines++ = s;
    }
    d[first] -= p;
    e[first] = g;
    e[last] = 0;
    return last - first;
}

/* Turns a block once; false when the caller asks to stop. */
static bool keep_sweep(struct rotations *rotations, int64_t first, int64_t last, double *d,
                       double *e)
{
    double *cosines = rotations->memory + 2 * rotations->n * rotations->used;
    double *sines = cosines + rotations->n;
    const int64_t count = sweep_ql(first, last, d, e, cosines, sines);
    rotations->sweeps[rotations->used++] = (struct sweep){last - count, count, cosines, sines};
    if (rotations->used < BATCH) {
        return true;
    }
    apply_rotations(rotations);
    const double part = (double)first / (double)rotations->n;
    return !sfi_progress_stops(rotations->progress, 0.3 + 0.5 * part);
}

static bool are_finite(int64_t count, const double *numbers)
{
    bool finite = true;
    for (int64_t i = 0; i < count; i++) {
        finite = finite && isfinite(numbers[i]);
    }
    return finite;
}

/* e has room for n numbers; the last is the sweeps' working place. Where it returns OK, d is
 * finite. */
static sfconv_status diagonalize(struct rotations *rotations, double *d, double *e)
{
    const int64_t n = rotations->n;
    double norm = 0;
    e[n - 1] = 0;
    if (!are_finite(n, d) || !are_finite(n, e)) {
        return SFCONV_ERROR_NUMERIC;
    }
    for (int64_t i = 0; i < n; i++) {
        norm = fmax(norm, fabs(d[i]) + fabs(e[i]));
    }
    const double small = 0x1p-53 * norm;
    for (int64_t first = 0; first < n; first++) {
        for (int sweeps = 0;; sweeps++) {
            int64_t last = first;
            while (last < n - 1 && fabs(e[last]) > small) {
                last++;
            }
            if (last == first) {
                break;
            }
            if (sweeps == MOST_SWEEPS) {
                return SFCONV_ERROR_NUMERIC;
            }
            if (!keep_sweep(rotations, first, last, d, e)) {
                return SFCONV_ERROR_CANCELLED;
            }
        }
    }
    apply_rotations(rotations);
    return are_finite(n, d) ? SFCONV_OK : SFCONV_ERROR_NUMERIC;
}

/* Selection in descending order; equal values keep their order, and those that are taken become
 * NaN. */
static void copy_sorted(int64_t n, const double *basis, int64_t pitch, double *d, int exponent,
                        double *matrix, double *values)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t best = -1;
        for (int64_t j = 0; j < n; j++) {
            if (!isnan(d[j]) && (best < 0 || d[j] > d[best])) {
                best = j;
            }
        }
        values[i] = ldexp(d[best], exponent);
        memcpy(matrix + i * n, basis + best * pitch, (size_t)n * sizeof(double));
        d[best] = NAN;
    }
}

sfconv_status sfi_eigen_symmetric(const sfk_table *kernels, int64_t n, double *matrix,
                                  double *values, double *scratch, const sfi_progress *progress)
{
    const int64_t pitch = sfi_pitch(n);
    double *basis = scratch;
    double *d = basis + n * pitch;
    double *e = d + n;
    double *beta = e + n;
    double *w = beta + n;
    double *p = w + n;
    struct rotations rotations = {.kernels = kernels,
                                  .progress = progress,
                                  .n = n,
                                  .pitch = pitch,
                                  .basis = basis,
                                  .memory = p + n};
    const int exponent = scale_to_one(n * n, matrix);
    if (!reduce(kernels, n, matrix, d, e, beta, w, p, progress)) {
        return SFCONV_ERROR_CANCELLED;
    }
    collect_reflectors(kernels, n, matrix, beta, basis, pitch, p);
    const sfconv_status status = diagonalize(&rotations, d, e);
    if (status == SFCONV_OK) {
        copy_sorted(n, basis, pitch, d, exponent, matrix, values);
    }
    return status;
}
