/* SPDX-License-Identifier: BSD-2-Clause */
#include "vec.h"

/* The compiler takes the test out of the loop. */
SFV_INLINE float joined(float before, float value, bool accumulate)
{
    return accumulate ? before + value : value;
}

/* exp(-|x|) = 2^n · exp(r), |r| <= ln 2 / 2: the series to r^7 (1 ULP), n by exponent bits; 0 below
 * exp(-87), where the result nears the subnormal numbers. */
SFV_INLINE sfv exp_of_minus_abs(sfv x)
{
    const float coefficients[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
    const sfv y = sfv_minus_abs(x);
    /* Adding 3·2^22 rounds to an integer that then stands in the lowest bits. */
    const sfv shifted = sfv_fma(y, sfv_set1(0x1.715476p+0f), sfv_set1(0x1.8p+23f));
    const sfv n = sfv_sub(shifted, sfv_set1(0x1.8p+23f));
    const sfv r = sfv_fma(n, sfv_set1(0x1.05c61p-29f), sfv_fma(n, sfv_set1(-0x1.62e43p-1f), y));
    sfv series = sfv_set1(1.0f / 5040);
    SFV_UNROLL
    for (int i = 0; i < (int)(sizeof coefficients / sizeof *coefficients); i++) {
        series = sfv_fma(series, r, sfv_set1(coefficients[i]));
    }
    return sfv_if_greater(sfv_set1(-87.0f), y, sfv_zero(), sfv_mul(series, sfv_exponent(shifted)));
}

/* 1 / (1 + exp(-x)), written so that neither side overflows or cancels. */
SFV_INLINE sfv sigmoid_of(sfv x)
{
    const sfv e = exp_of_minus_abs(x);
    const sfv one = sfv_set1(1.0f);
    return sfv_div(sfv_if_greater(sfv_zero(), x, e, one), sfv_add(one, e));
}

SFV_INLINE sfv leaky_relu_of(sfv x, sfv slope)
{
    return sfv_if_greater(sfv_zero(), x, sfv_mul(slope, x), x);
}

SFV_INLINE sfv silu_of(sfv x)
{
    return sfv_mul(x, sigmoid_of(x));
}

/* The gradient of silu, from its input. */
SFV_INLINE sfv silu_passed(sfv x, sfv gradient)
{
    const sfv s = sigmoid_of(x);
    return sfv_mul(gradient, sfv_fma(sfv_mul(x, s), sfv_sub(sfv_set1(1.0f), s), s));
}

/* out[i] = value of x = in[i]; whole vectors, then a part of one. */
#define FOR_EACH(out, in, count, value)                                                            \
    do {                                                                                           \
        int64_t i = 0;                                                                             \
        for (; i + SFV_LANES <= (count); i += SFV_LANES) {                                         \
            const sfv x = sfv_load((in) + i);                                                      \
            sfv_store((out) + i, value);                                                           \
        }                                                                                          \
        if (i < (count)) {                                                                         \
            const sfv x = sfv_load_part((in) + i, (count)-i);                                      \
            sfv_store_part((out) + i, value, (count)-i);                                           \
        }                                                                                          \
    } while (0)

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
    const sfv below = sfv_set1(slope);
    FOR_EACH(out, in, count, leaky_relu_of(x, below));
}

void SFK_NAME(sigmoid)(float *restrict out, const float *restrict in, int64_t count)
{
    FOR_EACH(out, in, count, sigmoid_of(x));
}

void SFK_NAME(silu)(float *restrict out, const float *restrict in, int64_t count)
{
    FOR_EACH(out, in, count, silu_of(x));
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

void SFK_NAME(sigmoid_gradient)(float *restrict grad_in, const float *restrict out,
                                const float *restrict grad_out, bool accumulate, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const float slope = out[i] * (1.0f - out[i]);
        grad_in[i] = joined(grad_in[i], grad_out[i] * slope, accumulate);
    }
}

void SFK_NAME(silu_gradient)(float *restrict grad_in, const float *restrict in,
                             const float *restrict grad_out, bool accumulate, int64_t count)
{
    int64_t i = 0;
    for (; i + SFV_LANES <= count; i += SFV_LANES) {
        const sfv value = silu_passed(sfv_load(in + i), sfv_load(grad_out + i));
        sfv_store(grad_in + i, accumulate ? sfv_add(sfv_load(grad_in + i), value) : value);
    }
    if (i < count) {
        const int64_t rest = count - i;
        const sfv value =
            silu_passed(sfv_load_part(in + i, rest), sfv_load_part(grad_out + i, rest));
        const sfv before = accumulate ? sfv_load_part(grad_in + i, rest) : value;
        sfv_store_part(grad_in + i, accumulate ? sfv_add(before, value) : value, rest);
    }
}
