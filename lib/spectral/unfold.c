/* SPDX-License-Identifier: BSD-2-Clause */
#include "unfold.h"

#include <string.h>

void sfi_unfold(int64_t out, int64_t in, int64_t kh, int64_t kw, const float *weight, float *matrix)
{
    for (int64_t o = 0; o < out; o++) {
        for (int64_t c = 0; c < in; c++) {
            for (int64_t i = 0; i < kh; i++) {
                const float *source = weight + ((o * in + c) * kh + i) * kw;
                memcpy(matrix + ((o * kh + i) * in + c) * kw, source, (size_t)kw * sizeof(float));
            }
        }
    }
}

void sfi_fold(int64_t out, int64_t in, int64_t kh, int64_t kw, const float *matrix, float *weight)
{
    /* The unfolding exchanges the two middle indices of four; so does its inverse. */
    sfi_unfold(out, kh, in, kw, matrix, weight);
}

void sfi_p_from_weight(int64_t out, int64_t rank, int64_t kh, const float *weight, float *p)
{
    sfi_unfold(out, rank, kh, 1, weight, p);
}

void sfi_p_to_weight(int64_t out, int64_t rank, int64_t kh, const float *p, float *weight)
{
    sfi_fold(out, rank, kh, 1, p, weight);
}

void sfi_transpose(int64_t rows, int64_t cols, const float *matrix, float *transposed)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < cols; j++) {
            transposed[j * rows + i] = matrix[i * cols + j];
        }
    }
}
