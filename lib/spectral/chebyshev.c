/* SPDX-License-Identifier: BSD-2-Clause */
#include "chebyshev.h"

#include "eigen.h"
#include "maths.h"
#include "products.h"
#include "random.h"
#include "sizes.h"
#include "symmetric.h"

#include <math.h>
#include <string.h>

/* Steps of Lanczos' method that look for the ends of the spectrum. */
#define STEPS 8
/* What is added to the interval at both ends, as a part of it. */
#define MARGIN 0.01
#define LEAST_RADIUS 0x1p-30
/* The first coefficient that is left out is about exp(-DIGITS) of the first that counts. */
#define DIGITS 14.0
/* What roundings may make of a mean that is 1. */
#define MEAN_LIMIT 1.001

/* Working room, one after the other. */
struct room {
    double *basis; /* STEPS + 1 vectors */
    double *small; /* STEPS x STEPS, then what its eigensolver needs */
};

/* Matrices beside T_1 … T_MOST. */
enum { TWICE, INNER, RESULT, EXTRA };

bool sfi_chebyshev_scratch(int64_t *bytes, int64_t n)
{
    int64_t matrices;
    if (!sfi_mul(&matrices, n, n + 32) ||
        !sfi_mul(&matrices, matrices, (EXTRA + SFI_CHEBYSHEV_MOST) * (int64_t)sizeof(float))) {
        return false;
    }
    matrices = (EXTRA + SFI_CHEBYSHEV_MOST) * sfi_symmetric_size(n) * (int64_t)sizeof(float);
    const int64_t doubles = (STEPS + 1) * n + STEPS * STEPS + STEPS + sfi_eigen_scratch(STEPS);
    return sfi_add(bytes, sfi_round64(matrices) + sfi_round64(n * (int64_t)sizeof(int64_t)),
                   doubles * (int64_t)sizeof(double));
}

/* T_k, k >= 1; below, what stands beside them. */
static float *matrix_at(const sfi_chebyshev *self, int64_t index)
{
    return self->matrices + index * sfi_symmetric_size(self->n);
}

static float *polynomial(const sfi_chebyshev *self, int64_t k)
{
    return matrix_at(self, EXTRA + k - 1);
}

/* next = X · vector */
static void apply(const sfk_table *kernels, int64_t n, const double *gram, double inverse,
                  const double *vector, double *next)
{
    memset(next, 0, (size_t)n * sizeof(double));
    kernels->sum_rows(n, n, vector, gram, n, next);
    for (int64_t i = 0; i < n; i++) {
        next[i] = inverse * next[i] - vector[i];
    }
}

/* Subtracts from `vector` what it has along `count` vectors; returns its length then. */
static double orthogonalize(int64_t n, int64_t count, const double *basis, double *vector)
{
    for (int64_t j = 0; j < count; j++) {
        const double along = sfi_dot(n, basis + j * n, vector);
        for (int64_t i = 0; i < n; i++) {
            vector[i] -= along * basis[j * n + i];
        }
    }
    return sqrt(sfi_dot(n, vector, vector));
}

static void start_vector(int64_t n, double *vector)
{
    const sfi_random random = {0, 0};
    for (int64_t i = 0; i < n; i++) {
        vector[i] = sfi_random_uniform(random, (uint64_t)i) - 0.5;
    }
    const double inverse = 1.0 / sqrt(sfi_dot(n, vector, vector));
    for (int64_t i = 0; i < n; i++) {
        vector[i] *= inverse;
    }
}

/* Ends of the spectrum of X by Lanczos' method: those of its small matrix, and beyond them the
 * residual of their vectors. */
static bool find_interval(const sfk_table *kernels, int64_t n, const double *gram, double mean,
                          const struct room *room, double *low, double *high)
{
    double diagonal[STEPS];
    double beside[STEPS];
    int64_t steps = 0;
    start_vector(n, room->basis);
    for (double length = 1; steps < sfi_min(STEPS, n) && length > 0; steps++) {
        const double *vector = room->basis + steps * n;
        double *next = room->basis + (steps + 1) * n;
        apply(kernels, n, gram, 1.0 / mean, vector, next);
        diagonal[steps] = sfi_dot(n, vector, next);
        beside[steps] = length = orthogonalize(n, steps + 1, room->basis, next);
        for (int64_t i = 0; i < n && length > 0; i++) {
            next[i] /= length;
        }
    }
    double *values = room->small + steps * steps;
    memset(room->small, 0, (size_t)(steps * steps) * sizeof(double));
    for (int64_t i = 0; i < steps; i++) {
        room->small[i * (steps + 1)] = diagonal[i];
        if (i + 1 < steps) {
            room->small[i * (steps + 1) + 1] = room->small[(i + 1) * (steps + 1) - 1] = beside[i];
        }
    }
    if (sfi_eigen_symmetric(kernels, steps, room->small, values, values + steps, NULL) < 0) {
        return false;
    }
    const double *last = room->small + steps - 1;
    *high = values[0] + beside[steps - 1] * fabs(last[0]);
    *low = values[steps - 1] - beside[steps - 1] * fabs(last[(steps - 1) * steps]);
    return true;
}

/* Sets the interval and the degree; false where the latter would be too high. */
static bool choose_degree(sfi_chebyshev *self, double low, double high)
{
    const double margin = MARGIN * (high - low);
    self->centre = 0.5 * (low + high);
    self->radius = fmax(0.5 * (high - low) + margin, LEAST_RADIUS);
    const double least = 1.0 + self->centre - self->radius;
    if (!(least > 0)) {
        return false;
    }
    /* The coefficients of functions that are smooth but for G = 0 fall off by this. */
    const double root = sqrt((1.0 + self->centre + self->radius) / least);
    const double rate = sfi_log((root + 1.0) / (root - 1.0));
    const double half = ceil(0.5 * DIGITS / rate);
    self->half = (int32_t)fmin(half, SFI_CHEBYSHEV_MOST + 1);
    return self->half <= SFI_CHEBYSHEV_MOST;
}

/* The zeros of the first T_k that is left out by some. */
static void place_nodes(sfi_chebyshev *self)
{
    self->nodes = 2 * self->half + 4;
    for (int32_t j = 0; j < self->nodes; j++) {
        double sine;
        sfi_sincos_turn((2 * j + 1) / (4.0 * self->nodes), &sine, &self->y[j]);
        self->x[j] = self->centre + self->radius * self->y[j];
    }
}

/* T_1 = Y, and twice that. */
static void form_first(const sfi_chebyshev *self, const double *gram, double mean)
{
    const int64_t n = self->n;
    const int64_t pitch = sfi_symmetric_pitch(n);
    const double scale = 1.0 / (mean * self->radius);
    float *twice = matrix_at(self, TWICE);
    float *first = polynomial(self, 1);
    for (int64_t i = 0; i < n; i++) {
        float *row = first + i * pitch;
        for (int64_t j = 0; j < n; j++) {
            row[j] = (float)(scale * gram[i * n + j]);
        }
        memset(row + n, 0, (size_t)(pitch - n) * sizeof(float));
        row[i] = (float)((gram[i * n + i] / mean - 1.0 - self->centre) / self->radius);
        for (int64_t j = 0; j < pitch; j++) {
            twice[i * pitch + j] = 2.0f * row[j];
        }
    }
}

/* result += left * right, all of them polynomials of Y. */
static void multiply(const sfi_chebyshev *self, const float *left, const float *right,
                     float *result)
{
    sfi_symmetric_multiply(self->kernels, self->n, self->n, left, right, true, result, self->steps);
    sfi_symmetric_mirror(self->kernels, self->n, result);
}

/* T_k = 2 Y T_{k-1} - T_{k-2} */
static void form_next(const sfi_chebyshev *self, int64_t k)
{
    const int64_t n = self->n;
    const int64_t pitch = sfi_symmetric_pitch(n);
    float *next = polynomial(self, k);
    if (k == 2) {
        memset(next, 0, (size_t)(n * pitch) * sizeof(float));
        for (int64_t i = 0; i < n; i++) {
            next[i * pitch + i] = -1;
        }
    } else {
        const float *old = polynomial(self, k - 2);
        const float minus_one = -1;
        self->kernels->weighted_rows(next, &old, &minus_one, 1, n * pitch);
    }
    multiply(self, matrix_at(self, TWICE), polynomial(self, k - 1), next);
}

/* Means of T_1 … T_{2 half} from T_{i+j} = 2 T_i T_j - T_{|i-j|}. */
static void take_means(sfi_chebyshev *self)
{
    const int64_t n = self->n;
    const int64_t pitch = sfi_symmetric_pitch(n);
    const int32_t half = self->half;
    double products[SFI_CHEBYSHEV_MOST] = {0};
    double *means = self->means;
    for (int32_t k = 1; k <= half; k++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++) {
            sum += (double)polynomial(self, k)[i * (pitch + 1)];
        }
        means[k] = sum / (double)n;
    }
    /* That of X is 0. */
    means[0] = 1;
    means[1] = -self->centre / self->radius;
    for (int64_t i = 0; i < n; i++) {
        const float *rows[SFI_CHEBYSHEV_MOST];
        for (int32_t k = 1; k <= half; k++) {
            rows[k - 1] = polynomial(self, k) + i * pitch;
        }
        self->kernels->row_products(products, rows, rows[half - 1], half, n);
    }
    for (int32_t k = 1; k <= half; k++) {
        means[half + k] = 2.0 * products[k - 1] / (double)n - means[half - k];
    }
}

bool sfi_chebyshev_take(sfi_chebyshev *self, const sfk_table *kernels, int64_t n,
                        const double *gram, double mean, void *scratch)
{
    const int64_t floats = (EXTRA + SFI_CHEBYSHEV_MOST) * sfi_symmetric_size(n);
    unsigned char *next = scratch;
    double low = 0;
    double high = 0;
    *self = (sfi_chebyshev){.kernels = kernels, .n = n, .matrices = scratch};
    next += sfi_round64(floats * (int64_t)sizeof(float));
    self->steps = (void *)next;
    next += sfi_round64(n * (int64_t)sizeof(int64_t));
    double *doubles = (void *)next;
    const struct room room = {doubles, doubles + (STEPS + 1) * n};
    if (!find_interval(kernels, n, gram, mean, &room, &low, &high) ||
        !choose_degree(self, low, high)) {
        return false;
    }
    place_nodes(self);
    form_first(self, gram, mean);
    for (int32_t k = 2; k <= self->half; k++) {
        form_next(self, k);
    }
    take_means(self);
    /* An eigenvalue outside the interval makes means grow beyond 1: so none is far outside. */
    return fabs(self->means[2 * self->half]) <= MEAN_LIMIT &&
           fabs(self->means[self->half]) <= MEAN_LIMIT;
}

void sfi_chebyshev_fit(const sfi_chebyshev *self, const double values[SFI_CHEBYSHEV_NODES],
                       double coefficients[SFI_CHEBYSHEV_COUNT])
{
    const int32_t count = 2 * self->half + 1;
    memset(coefficients, 0, (size_t)count * sizeof(double));
    for (int32_t j = 0; j < self->nodes; j++) {
        const double y = self->y[j];
        const double part = 2.0 / self->nodes * values[j];
        double before = y;
        double now = 1;
        for (int32_t k = 0; k < count; k++) {
            coefficients[k] += part * now;
            const double next = 2.0 * y * now - before;
            before = now;
            now = next;
        }
    }
    coefficients[0] *= 0.5;
}

double sfi_chebyshev_mean(const sfi_chebyshev *self, const double coefficients[SFI_CHEBYSHEV_COUNT])
{
    double sum = 0;
    for (int32_t k = 2 * self->half; k >= 0; k--) {
        sum += coefficients[k] * self->means[k];
    }
    return sum;
}

/* to = Σ_{k>=1} weights[k - 1] T_k, without the unit matrix. */
static void combine(const sfi_chebyshev *self, const float *weights, float *to)
{
    const int64_t pitch = sfi_symmetric_pitch(self->n);
    for (int64_t i = 0; i < self->n; i++) {
        const float *rows[SFI_CHEBYSHEV_MOST];
        for (int32_t k = 1; k <= self->half; k++) {
            rows[k - 1] = polynomial(self, k) + i * pitch;
        }
        self->kernels->weighted_rows(to + i * pitch, rows, weights, self->half, pitch);
    }
}

const float *sfi_chebyshev_matrix(sfi_chebyshev *self,
                                  const double coefficients[SFI_CHEBYSHEV_COUNT])
{
    const int32_t half = self->half;
    const int64_t pitch = sfi_symmetric_pitch(self->n);
    float *inner = matrix_at(self, INNER);
    float *result = matrix_at(self, RESULT);
    float weights[SFI_CHEBYSHEV_MOST] = {0};
    /* T_{half+k} = 2 T_half T_k - T_{half-k}: a low part, and T_half times another. */
    for (int32_t k = 1; k <= half; k++) {
        weights[k - 1] = (float)(2.0 * coefficients[half + k]);
    }
    combine(self, weights, inner);
    for (int32_t k = 1; k <= half; k++) {
        weights[k - 1] = (float)(coefficients[k] - (k < half ? coefficients[2 * half - k] : 0.0));
    }
    combine(self, weights, result);
    const float unit = (float)(coefficients[0] - coefficients[2 * half]);
    for (int64_t i = 0; i < self->n; i++) {
        result[i * (pitch + 1)] += unit;
    }
    multiply(self, polynomial(self, half), inner, result);
    return result;
}
