/* SPDX-License-Identifier: BSD-2-Clause */
/* Binary losses of logits, in double: every step is a product or a sum rounded by itself, as in
 * base/maths.c, so that all vectors give the same bits. */
#include "sums.h"

#include <string.h>

typedef int64_t sfd_bits __attribute__((vector_size(SFD_LANES * 8)));

#define LN2_HIGH 0x1.62e42fefa0000p-1
#define LN2_LOW 0x1.cf79abc9e3b39p-40
#define LOG2_E 0x1.71547652b82fep+0
/* Added to a small number it leaves the nearest integer in the last bits. */
#define ROUNDING 0x1.8p+52
/* exp of less is of no account beside 1, and of more it is a normal number. */
#define LEAST (-708.0)
/* sqrt(2) - 1: up to here log(1 + x) is 2 atanh(x / (2 + x)), beyond it is ln 2 more than that of
 * (1 + x) / 2. */
#define LARGEST_TAIL 0.41421356237309503

SFV_INLINE sfd sfd_select(sfd_bits mask, sfd then, sfd otherwise)
{
    return (sfd)((mask & (sfd_bits)then) | (~mask & (sfd_bits)otherwise));
}

/* exp(x) = 2^n exp(t), |t| <= ln2 / 2, for x <= 0: Taylor to degree 13. */
SFV_INLINE sfd exp_of_negative(sfd x)
{
    static const double inverse_factorial[] = {1.0 / 479001600.0,
                                               1.0 / 39916800.0,
                                               1.0 / 3628800.0,
                                               1.0 / 362880.0,
                                               1.0 / 40320.0,
                                               1.0 / 5040.0,
                                               1.0 / 720.0,
                                               1.0 / 120.0,
                                               1.0 / 24.0,
                                               1.0 / 6.0,
                                               1.0 / 2.0,
                                               1.0,
                                               1.0};
    const sfd least = sfd_set1(LEAST);
    x = sfd_select(x > least, x, least);
    const sfd shifted = x * LOG2_E + ROUNDING;
    const sfd n = shifted - ROUNDING;
    const sfd t = (x - n * LN2_HIGH) - n * LN2_LOW;
    sfd sum = sfd_set1(1.0 / 6227020800.0);
    for (int i = 0; i < 13; i++) {
        sum = sum * t + inverse_factorial[i];
    }
    /* The shift leaves nothing of ROUNDING, whose last bits are zero. */
    return sum * (sfd)(((sfd_bits)shifted + 1023) << 52);
}

/* log(1 + x) for 0 <= x <= 1. */
SFV_INLINE sfd log_of_sum(sfd x)
{
    const sfd_bits large = x > sfd_set1(LARGEST_TAIL);
    const sfd s = sfd_select(large, x - 1.0, x) / sfd_select(large, x + 3.0, x + 2.0);
    const sfd s2 = s * s;
    sfd sum = sfd_set1(1.0 / 23.0);
    for (int i = 21; i >= 3; i -= 2) {
        sum = sum * s2 + 1.0 / i;
    }
    const sfd tail = 2.0 * s * s2 * sum + 2.0 * s;
    return sfd_select(large, LN2_HIGH + (LN2_LOW + tail), tail);
}

/* The logistic function on both sides of 0 without cancellation. */
typedef struct logistic {
    /* sigmoid(x), sigmoid(-x) */
    sfd right;
    sfd left;
    /* exp(-|x|) */
    sfd decayed;
} logistic;

SFV_INLINE logistic logistic_of(sfd x)
{
    const sfd_bits right = x >= sfd_set1(0.0);
    const sfd decayed = exp_of_negative(sfd_select(right, -x, x));
    const sfd large = 1.0 / (1.0 + decayed);
    const sfd small = decayed * large;
    return (logistic){sfd_select(right, large, small), sfd_select(right, small, large), decayed};
}

/* What one vector of elements adds: cross-entropy, p, t and p·t. */
enum { BCE, PREDICTION, TARGET, BOTH, TERMS };

SFV_INLINE void terms_of(sfd terms[TERMS], const float *logits, const float *targets,
                         double positive_weight, bool with_bce)
{
    const sfd x = sfd_from_floats(logits), t = sfd_from_floats(targets);
    const sfd zero = sfd_set1(0.0);
    const logistic p = logistic_of(x);
    terms[BCE] = zero;
    if (with_bce) {
        /* -log sigmoid(x) = max(-x, 0) + log(1 + exp(-|x|)) */
        const sfd tail = log_of_sum(p.decayed);
        const sfd above = sfd_select(x > zero, x, zero);
        const sfd below = sfd_select(x < zero, -x, zero);
        terms[BCE] = positive_weight * t * (below + tail) + (1.0 - t) * (above + tail);
    }
    terms[PREDICTION] = p.right;
    terms[TARGET] = t;
    terms[BOTH] = p.right * t;
}

/* `with_bce` is a constant at every call. */
SFV_INLINE void add_sums(double *sums, const float *logits, const float *targets,
                         double positive_weight, bool with_bce, int64_t count)
{
    sfd lanes[TERMS][SFD_PER_16] = {{{0}}};
    sfd terms[TERMS];
    const int64_t whole = count / SFV_SUMS * SFV_SUMS;
    for (int64_t i = 0; i < whole; i += SFV_SUMS) {
        for (int v = 0; v < SFD_PER_16; v++) {
            const int64_t at = i + v * SFD_LANES;
            terms_of(terms, logits + at, targets + at, positive_weight, with_bce);
            for (int k = 0; k < TERMS; k++) {
                lanes[k][v] += terms[k];
            }
        }
    }
    for (int k = 0; k < TERMS; k++) {
        sums[k] += sfd_join(lanes[k], SFD_PER_16);
    }
    for (int64_t i = whole; i < count; i++) {
        const float logit[SFD_LANES] = {logits[i]}, target[SFD_LANES] = {targets[i]};
        terms_of(terms, logit, target, positive_weight, with_bce);
        for (int k = 0; k < TERMS; k++) {
            sums[k] += terms[k][0];
        }
    }
}

void SFK_NAME(binary_sums)(double *sums, const float *logits, const float *targets,
                           double positive_weight, bool with_bce, int64_t count)
{
    if (with_bce) {
        add_sums(sums, logits, targets, positive_weight, true, count);
    } else {
        add_sums(sums, logits, targets, positive_weight, false, count);
    }
}

SFV_INLINE void put_gradient(float *to, const float *logits, const float *targets,
                             const sfk_binary *binary)
{
    const sfd t = sfd_from_floats(targets);
    const logistic p = logistic_of(sfd_from_floats(logits));
    const sfd from_bce = (1.0 - t) * p.right - binary->positive_weight * t * p.left;
    const sfd from_dice = (binary->overlap - 2.0 * t) * p.right * p.left;
    const sfd_floats gradient =
        __builtin_convertvector(binary->bce * from_bce + binary->dice * from_dice, sfd_floats);
    memcpy(to, &gradient, sizeof gradient);
}

void SFK_NAME(binary_gradient)(float *gradient, const float *logits, const float *targets,
                               const sfk_binary *binary, int64_t count)
{
    const sfk_binary factors = *binary;
    int64_t i = 0;
    for (; i + SFV_SUMS <= count; i += SFV_SUMS) {
        for (int v = 0; v < SFD_PER_16; v++) {
            const int64_t at = i + v * SFD_LANES;
            put_gradient(gradient + at, logits + at, targets + at, &factors);
        }
    }
    for (; i < count; i++) {
        const float logit[SFD_LANES] = {logits[i]}, target[SFD_LANES] = {targets[i]};
        float to[SFD_LANES];
        put_gradient(to, logit, target, &factors);
        gradient[i] = to[0];
    }
}
