/* SPDX-License-Identifier: BSD-2-Clause */
/* Functions of a Gram matrix G whose eigenvalues are not far apart, without its eigenvectors: with
 * X = G / mean - I, mean the mean eigenvalue, and all eigenvalues of X within centre ± radius,
 *   f(X) = Σ_k c_k T_k(Y),   Y = (X - centre I) / radius,
 * T_k Chebyshev's polynomials. The coefficients fall off the faster, the smaller the condition
 * number is. Matrices are of floats (symmetric.h); the means of T_k over the eigenvalues, from
 * which that of f follows, and the coefficients are doubles. The same bits on every machine. */
#ifndef SFI_CHEBYSHEV_H
#define SFI_CHEBYSHEV_H

#include "kernels.h"

#include <stdbool.h>
#include <stdint.h>

/* Most polynomials that are formed as matrices, which give twice the degree. */
#define SFI_CHEBYSHEV_MOST 12
#define SFI_CHEBYSHEV_COUNT (2 * SFI_CHEBYSHEV_MOST + 1)
/* Most places at which a function is asked for its values. */
#define SFI_CHEBYSHEV_NODES (SFI_CHEBYSHEV_COUNT + 3)

typedef struct sfi_chebyshev {
    const sfk_table *kernels;
    int64_t n;
    double centre;
    double radius;
    /* T_1 … T_half are matrices; the degree is 2 * half. */
    int32_t half;
    /* Where functions are asked for their values: x[0 … nodes), y the same places in -1 … 1. */
    int32_t nodes;
    double x[SFI_CHEBYSHEV_NODES];
    double y[SFI_CHEBYSHEV_NODES];
    /* Of T_0 … T_{2 half}. */
    double means[SFI_CHEBYSHEV_COUNT];
    float *matrices;
    int64_t *steps;
} sfi_chebyshev;

/* Bytes of scratch; false on overflow. */
bool sfi_chebyshev_scratch(int64_t *bytes, int64_t n);

/* Finds the interval and forms the polynomials. gram: n x n, whole, its trace is n * mean > 0.
 * `scratch` serves until the last call for `self`. False where the eigenvalues are too far apart
 * for the degree. */
bool sfi_chebyshev_take(sfi_chebyshev *self, const sfk_table *kernels, int64_t n,
                        const double *gram, double mean, void *scratch);

/* Coefficients of a function from its values at the nodes. The truncated rest is some 1e-6 of the
 * function's change over the interval. */
void sfi_chebyshev_fit(const sfi_chebyshev *self, const double values[SFI_CHEBYSHEV_NODES],
                       double coefficients[SFI_CHEBYSHEV_COUNT]);

/* Mean of the function over the eigenvalues. */
double sfi_chebyshev_mean(const sfi_chebyshev *self,
                          const double coefficients[SFI_CHEBYSHEV_COUNT]);

/* The function as a matrix, in `scratch`; not to be followed by another. */
const float *sfi_chebyshev_matrix(sfi_chebyshev *self,
                                  const double coefficients[SFI_CHEBYSHEV_COUNT]);

#endif
