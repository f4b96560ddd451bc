/* SPDX-License-Identifier: BSD-2-Clause */
#include "vec.h"

#include <string.h>

/* The compiler takes the test out of the loop. */
SFV_INLINE float joined(float before, float value, bool accumulate)
{
    return accumulate ? before + value : value;
}

/* exp(-|x|) = 2^n · exp(r), |r| <= ln 2 / 2: the series to r^7 (1 ULP), n by exponent bits; 0 below
 * exp(-87), where the result nears the subnormal numbers. */
SFV_INLINE float exp_of_minus_abs(float x)
{
    const float y = -__builtin_fabsf(x);
    /* Adding 3·2^22 rounds to an integer that then stands in the lowest bits. */
    const float shifted = __builtin_fmaf(y, 0x1.715476p+0f, 0x1.8p+23f);
    const float n = shifted - 0x1.8p+23f;
    const float r = __builtin_fmaf(n, 0x1.05c61p-29f, __builtin_fmaf(n, -0x1.62e43p-1f, y));
    float series = 1.0f / 5040;
    series = __builtin_fmaf(series, r, 1.0f / 720);
    series = __builtin_fmaf(series, r, 1.0f / 120);
    series = __builtin_fmaf(series, r, 1.0f / 24);
    series = __builtin_fmaf(series, r, 1.0f / 6);
    series = __builtin_fmaf(series, r, 0.5f);
    series = __builtin_fmaf(series, r, 1.0f);
    series = __builtin_fmaf(series, r, 1.0f);
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return y < -87.0f ? 0.0f : series * power;
}

/* 1 / (1 + exp(-x)), written so that neither side overflows or cancels. */
SFV_INLINE float sigmoid_of(float x)
{
    const float e = exp_of_minus_abs(x);
    return (x < 0.0f ? e : 1.0f) / (1.0f + e);
}

void SFK_NAME(add)(float *restrict out, const float *restrict a, const float *restrict b,
                   int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        out[i] = a[i] + b[i];
    }
}

void SFK_NAME(relu)(float *restrict out, const float *restrict in, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        out[i] = in[i] < 0.0f ? 0.0f : in[i];
    }
}

void SFK_NAME(leaky_relu)(float *restrict out, const float *restrict in, float slope, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        out[i] = in[i] < 0.0f ? slope * in[i] : in[i];
    }
}

void SFK_NAME(sigmoid)(float *restrict out, const float *restrict in, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        out[i] = sigmoid_of(in[i]);
    }
}

void SFK_NAME(silu)(float *restrict out, const float *restrict in, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        out[i] = in[i] * sigmoid_of(in[i]);
    }
}

/* What of a vector of gradients passes an activation that gave `out`. Compilers branch for each
 * element of the plain loop. */
SFV_INLINE sfv passed(const float *out, sfv gradient, sfv slope)
{
    return sfv_if_greater(sfv_load(out), sfv_zero(), gradient, sfv_mul(slope, gradient));
}

void SFK_NAME(leaky_relu_gradient)(float *restrict grad_in, const float *restrict out,
                                   const float *restrict grad_out, float slope, bool accumulate,
                                   int64_t count)
{
    const sfv below = sfv_set1(slope);
    int64_t i = 0;
    for (; i + SFV_LANES <= count; i += SFV_LANES) {
        const sfv value = passed(out + i, sfv_load(grad_out + i), below);
        sfv_store(grad_in + i, accumulate ? sfv_add(sfv_load(grad_in + i), value) : value);
    }
    for (; i < count; i++) {
        const float value = out[i] > 0.0f ? grad_out[i] : slope * grad_out[i];
        grad_in[i] = joined(grad_in[i], value, accumulate);
    }
}

void SFK_NAME(mask_gradient)(float *restrict gradient, const float *restrict out, float slope,
                             double *restrict sum, int64_t count)
{
    const sfv below = sfv_set1(slope);
    sfv sums[SFV_PER_16];
    int64_t i = 0;
    for (int v = 0; v < SFV_PER_16; v++) {
        sums[v] = sfv_zero();
    }
    for (; i + SFV_SUMS <= count; i += SFV_SUMS) {
        for (int v = 0; v < SFV_PER_16; v++) {
            float *at = gradient + i + v * SFV_LANES;
            const sfv masked = passed(out + i + v * SFV_LANES, sfv_load(at), below);
            sfv_store(at, masked);
            sums[v] = sfv_add(sums[v], masked);
        }
    }
    *sum += (double)sfv_sum16(sums);
    for (; i < count; i++) {
        gradient[i] = out[i] > 0.0f ? gradient[i] : slope * gradient[i];
        *sum += (double)gradient[i];
    }
}

void SFK_NAME(sigmoid_gradient)(float *restrict grad_in, const float *restrict out,
                                const float *restrict grad_out, bool accumulate, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const float slope = out[i] * (1.0f - out[i]);
        grad_in[i] = joined(grad_in[i], grad_out[i] * slope, accumulate);
    }
}

SFV_INLINE void silu_slopes(float *restrict grad_in, const float *restrict in,
                            const float *restrict grad_out, bool accumulate, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const float s = sigmoid_of(in[i]);
        const float slope = __builtin_fmaf(in[i] * s, 1.0f - s, s);
        grad_in[i] = joined(grad_in[i], grad_out[i] * slope, accumulate);
    }
}

/* The loop is too long for the compiler to take the test out by itself. */
void SFK_NAME(silu_gradient)(float *grad_in, const float *in, const float *grad_out,
                             bool accumulate, int64_t count)
{
    if (accumulate) {
        silu_slopes(grad_in, in, grad_out, true, count);
    } else {
        silu_slopes(grad_in, in, grad_out, false, count);
    }
}
