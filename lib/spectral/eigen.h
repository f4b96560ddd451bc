/* SPDX-License-Identifier: BSD-2-Clause */
/* Eigenvalues and eigenvectors of symmetric matrices with the same bits on every machine:
 * Householder reduction to three diagonals, then implicit QL with Wilkinson's shift. Additions and
 * multiplications are rounded one by one, so that no processor needs fused ones. */
#ifndef SFI_EIGEN_H
#define SFI_EIGEN_H

#include "kernels.h"
#include "progress.h"

#include <stdint.h>

/* Doubles of scratch that sfi_eigen_symmetric() needs. */
int64_t sfi_eigen_scratch(int64_t n);

/* On entry `matrix` (n x n, whole) is symmetric; on return its row i is the unit eigenvector of
 * values[i], and values descend. Any scale: the matrix is first multiplied by a power of two.
 * Absolute errors are about n * 1e-16 of the largest eigenvalue. `progress`, NULL for none, is
 * asked often and sees parts from 0 to 0.8. Returns OK, NUMERIC where the matrix is not finite or
 * QL takes more than 60 sweeps an eigenvalue, or CANCELLED; outputs are then undefined. The reason
 * is the caller's to give. */
sfconv_status sfi_eigen_symmetric(const sfk_table *kernels, int64_t n, double *matrix,
                                  double *values, double *scratch, const sfi_progress *progress);

#endif
