/* SPDX-License-Identifier: BSD-2-Clause */
#include "vec.h"

/* Each body below takes `factor` as an inlined argument: factor 2, by far the commonest, is called
 * as a constant and becomes shuffles of vectors. */

SFV_INLINE void repeat(float *restrict out, const float *restrict in, int64_t factor, int64_t count)
{
    for (int64_t x = 0; x < count; x++) {
        for (int64_t r = 0; r < factor; r++) {
            out[x * factor + r] = in[x];
        }
    }
}

void SFK_NAME(repeat_row)(float *out, const float *in, int64_t factor, int64_t count)
{
    if (factor == 2) {
        repeat(out, in, 2, count);
    } else {
        repeat(out, in, factor, count);
    }
}

SFV_INLINE void sum_blocks(float *restrict grad_in, const float *restrict grad_out, int64_t stride,
                           int64_t rows, int64_t factor, bool accumulate, int64_t count)
{
    for (int64_t x = 0; x < count; x++) {
        float sum = 0.0f;
        for (int64_t i = 0; i < rows; i++) {
            for (int64_t r = 0; r < factor; r++) {
                sum += grad_out[i * stride + x * factor + r];
            }
        }
        grad_in[x] = accumulate ? grad_in[x] + sum : sum;
    }
}

void SFK_NAME(repeat_row_gradient)(float *grad_in, const float *grad_out, int64_t stride,
                                   int64_t factor_rows, int64_t factor, bool accumulate,
                                   int64_t count)
{
    if (factor == 2 && factor_rows == 2) {
        sum_blocks(grad_in, grad_out, stride, 2, 2, accumulate, count);
    } else {
        sum_blocks(grad_in, grad_out, stride, factor_rows, factor, accumulate, count);
    }
}

SFV_INLINE void interpolate(float *restrict out, const float *restrict in,
                            const float *restrict offsets, int64_t offset_stride, int64_t factor,
                            int64_t count)
{
    for (int64_t x = 0; x < count; x++) {
        for (int64_t r = 0; r < factor; r++) {
            const float offset = offsets[r * offset_stride + x];
            const float left = in[x - 1];
            const float right = in[x + 1];
            const float other = offset < 0.0f ? left : right;
            out[x * factor + r] = __builtin_fmaf(__builtin_fabsf(offset), other - in[x], in[x]);
        }
    }
}

void SFK_NAME(interpolate_row)(float *out, const float *in, const float *offsets,
                               int64_t offset_stride, int64_t factor, int64_t count)
{
    if (factor == 2) {
        interpolate(out, in, offsets, offset_stride, 2, count);
    } else {
        interpolate(out, in, offsets, offset_stride, factor, count);
    }
}

SFV_INLINE void interpolate_gradient(float *restrict grad_in, const float *restrict grad_out,
                                     const float *restrict offsets, int64_t offset_stride,
                                     int64_t factor, bool accumulate, int64_t count)
{
    for (int64_t x = 0; x < count; x++) {
        float sum = 0.0f;
        for (int64_t r = 0; r < factor; r++) {
            const float *offset = offsets + r * offset_stride + x;
            const float *gradient = grad_out + x * factor + r;
            const float from_left = offset[-1] > 0.0f ? offset[-1] : 0.0f;
            const float from_right = offset[1] < 0.0f ? -offset[1] : 0.0f;
            sum = __builtin_fmaf(from_left, gradient[-factor], sum);
            sum = __builtin_fmaf(1.0f - __builtin_fabsf(offset[0]), gradient[0], sum);
            sum = __builtin_fmaf(from_right, gradient[factor], sum);
        }
        grad_in[x] = accumulate ? grad_in[x] + sum : sum;
    }
}

void SFK_NAME(interpolate_row_gradient)(float *grad_in, const float *grad_out, const float *offsets,
                                        int64_t offset_stride, int64_t factor, bool accumulate,
                                        int64_t count)
{
    if (factor == 2) {
        interpolate_gradient(grad_in, grad_out, offsets, offset_stride, 2, accumulate, count);
    } else {
        interpolate_gradient(grad_in, grad_out, offsets, offset_stride, factor, accumulate, count);
    }
}

void SFK_NAME(blend_rows)(float *restrict out, const float *restrict a, const float *restrict b,
                          float weight, bool accumulate, int64_t count)
{
    if (accumulate) {
        for (int64_t x = 0; x < count; x++) {
            out[x] += __builtin_fmaf(weight, b[x] - a[x], a[x]);
        }
    } else {
        for (int64_t x = 0; x < count; x++) {
            out[x] = __builtin_fmaf(weight, b[x] - a[x], a[x]);
        }
    }
}
