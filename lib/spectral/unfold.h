/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the weights of convolutions and the matrices of this room. The matrix of a convolution
 * has row o*kh + i and column c*kw + j for weight [o][c][i][j]; a product P Q of that matrix is the
 * convolution 1 x kw with q.weight [r][in][1][kw], then kh x 1 with p.weight [out][r][kh][1].
 * q.weight is the matrix Q as it lies. Arrays do not overlap. */
#ifndef SFI_UNFOLD_H
#define SFI_UNFOLD_H

#include <stdint.h>

/* weight [out][in][kh][kw] to matrix (out*kh) x (in*kw), and back. */
void sfi_unfold(int64_t out, int64_t in, int64_t kh, int64_t kw, const float *weight,
                float *matrix);
void sfi_fold(int64_t out, int64_t in, int64_t kh, int64_t kw, const float *matrix, float *weight);

/* p.weight [out][rank][kh][1] to the matrix P, (out*kh) x rank, and back. */
void sfi_p_from_weight(int64_t out, int64_t rank, int64_t kh, const float *weight, float *p);
void sfi_p_to_weight(int64_t out, int64_t rank, int64_t kh, const float *p, float *weight);

/* transposed (cols x rows) of matrix (rows x cols). */
void sfi_transpose(int64_t rows, int64_t cols, const float *matrix, float *transposed);

#endif
