/* SPDX-License-Identifier: BSD-2-Clause */
#include "sums.h"

void SFK_NAME(plane_sum)(double *sums, const float *in, int64_t count)
{
    sfd lanes[SFD_PER_16] = {0};
    const int64_t whole = count / SFV_SUMS * SFV_SUMS;
    for (int64_t p = 0; p < whole; p += SFV_SUMS) {
        for (int v = 0; v < SFD_PER_16; v++) {
            lanes[v] += sfd_from_floats(in + p + v * SFD_LANES);
        }
    }
    *sums += sfd_join(lanes, SFD_PER_16);
    for (int64_t p = whole; p < count; p++) {
        *sums += (double)in[p];
    }
}

SFV_INLINE void add_moments(sfd first[SFD_PER_16], sfd second[SFD_PER_16], const float *in,
                            sfd centre)
{
    for (int v = 0; v < SFD_PER_16; v++) {
        const sfd away = sfd_from_floats(in + v * SFD_LANES) - centre;
        first[v] += away;
        second[v] += away * away;
    }
}

SFV_INLINE void add_products(sfd first[SFD_PER_16], sfd second[SFD_PER_16], const float *in,
                             const float *grad_out, sfd centre)
{
    for (int v = 0; v < SFD_PER_16; v++) {
        const sfd gradient = sfd_from_floats(grad_out + v * SFD_LANES);
        first[v] += gradient;
        second[v] += gradient * (sfd_from_floats(in + v * SFD_LANES) - centre);
    }
}

void SFK_NAME(plane_moments)(double *sums, const float *in, double centre, int64_t count)
{
    sfd first[SFD_PER_16] = {0};
    sfd second[SFD_PER_16] = {0};
    const sfd centres = (sfd){0} + centre;
    const int64_t whole = count / SFV_SUMS * SFV_SUMS;
    for (int64_t p = 0; p < whole; p += SFV_SUMS) {
        add_moments(first, second, in + p, centres);
    }
    sums[0] += sfd_join(first, SFD_PER_16);
    sums[1] += sfd_join(second, SFD_PER_16);
    for (int64_t p = whole; p < count; p++) {
        const double away = (double)in[p] - centre;
        sums[0] += away;
        sums[1] += away * away;
    }
}

void SFK_NAME(plane_products)(double *sums, const float *in, const float *grad_out, double centre,
                              int64_t count)
{
    sfd first[SFD_PER_16] = {0};
    sfd second[SFD_PER_16] = {0};
    const sfd centres = (sfd){0} + centre;
    const int64_t whole = count / SFV_SUMS * SFV_SUMS;
    for (int64_t p = 0; p < whole; p += SFV_SUMS) {
        add_products(first, second, in + p, grad_out + p, centres);
    }
    sums[0] += sfd_join(first, SFD_PER_16);
    sums[1] += sfd_join(second, SFD_PER_16);
    for (int64_t p = whole; p < count; p++) {
        sums[0] += (double)grad_out[p];
        sums[1] += (double)grad_out[p] * ((double)in[p] - centre);
    }
}

void SFK_NAME(normalize)(float *restrict out, const float *restrict in, const sfk_normal *normal,
                         int64_t count)
{
    const sfk_normal n = *normal;
    for (int64_t i = 0; i < count; i++) {
        out[i] = __builtin_fmaf((in[i] - n.mean) - n.mean_rest, n.scale, n.shift);
    }
}

/* What is done is the same for all elements: a loop of its own for each. */
SFV_INLINE sfv finished(sfv x, const sfk_finish *finish, sfv addend, bool normalizes, bool adds,
                        int32_t activation)
{
    if (normalizes) {
        const sfv away = sfv_sub(sfv_sub(x, sfv_set1(finish->normal->mean)),
                                 sfv_set1(finish->normal->mean_rest));
        x = sfv_fma(away, sfv_set1(finish->normal->scale), sfv_set1(finish->normal->shift));
    }
    x = adds ? sfv_add(x, addend) : x;
    if (activation == SFK_IDENTITY) {
        return x;
    }
    const sfv below = activation == SFK_RELU ? sfv_zero() : sfv_mul(sfv_set1(finish->slope), x);
    return sfv_if_greater(sfv_zero(), x, below, x);
}

SFV_INLINE void finish_all(float *to, const sfk_finish *finish, int64_t count, bool normalizes,
                           bool adds, int32_t activation)
{
    const float *addend = adds ? finish->addend : to;
    int64_t i = 0;
    for (; i + SFV_LANES <= count; i += SFV_LANES) {
        sfv_store(to + i, finished(sfv_load(to + i), finish, sfv_load(addend + i), normalizes, adds,
                                   activation));
    }
    if (i < count) {
        const sfv x = sfv_load_part(to + i, count - i);
        const sfv other = sfv_load_part(addend + i, count - i);
        sfv_store_part(to + i, finished(x, finish, other, normalizes, adds, activation), count - i);
    }
}

SFV_INLINE void finish_by(float *to, const sfk_finish *finish, int64_t count, bool normalizes,
                          bool adds)
{
    switch (finish->activation) {
    case SFK_RELU:
        finish_all(to, finish, count, normalizes, adds, SFK_RELU);
        return;
    case SFK_LEAKY_RELU:
        finish_all(to, finish, count, normalizes, adds, SFK_LEAKY_RELU);
        return;
    default:
        finish_all(to, finish, count, normalizes, adds, SFK_IDENTITY);
    }
}

void SFK_NAME(finish)(float *to, const sfk_finish *finish, int64_t count)
{
    if (finish->normal && finish->addend) {
        finish_by(to, finish, count, true, true);
    } else if (finish->normal) {
        finish_by(to, finish, count, true, false);
    } else if (finish->addend) {
        finish_by(to, finish, count, false, true);
    } else {
        finish_by(to, finish, count, false, false);
    }
}

void SFK_NAME(normalize_gradient)(float *restrict grad_in, const float *restrict in,
                                  const float *restrict grad_out, float slope,
                                  const sfk_normal *normal, bool accumulate, int64_t count)
{
    const sfk_normal n = *normal;
    for (int64_t i = 0; i < count; i++) {
        const float rest = __builtin_fmaf((in[i] - n.mean) - n.mean_rest, n.scale, n.shift);
        const float value = __builtin_fmaf(slope, grad_out[i], rest);
        grad_in[i] = accumulate ? grad_in[i] + value : value;
    }
}
