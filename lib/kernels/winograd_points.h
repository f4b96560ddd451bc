/* SPDX-License-Identifier: BSD-2-Clause */
/* The transforms of Winograd's F(4, 3) along one axis, with the points 0, ±A, ±B and infinity;
 * docs/mathematics.md derives them. No lane depends on another. */
#ifndef SFK_WINOGRAD_POINTS_H
#define SFK_WINOGRAD_POINTS_H

#include "vec.h"

#define TILE SFK_WINOGRAD_TILE
#define WINDOW SFK_WINOGRAD_WINDOW

/* A = 1/sqrt(2), B = sqrt(2) = 2A. */
#define POINT_A 0.707106781186547524f
#define POINT_B 1.41421356237309505f
#define CUBE_A 0.353553390593273762f
#define CUBE_B 2.82842712474619010f

/* Coefficients of three taps: those of 0 and infinity, of ±A or of ±B. `pair` is a constant at
 * every call. */
SFV_INLINE void transform_pair(sfv out[2], sfv g0, sfv g1, sfv g2, int pair)
{
    if (pair == 0) {
        out[0] = g0;
        out[1] = g2;
        return;
    }
    const bool a = pair == 1;
    const sfv even = sfv_mul(sfv_fma(sfv_set1(a ? 0.5f : 2.0f), g2, g0),
                             sfv_set1(a ? -2.0f / 3.0f : 1.0f / 6.0f));
    const sfv odd = sfv_mul(g1, sfv_set1(a ? -0.471404520791031683f : 0.235702260395515842f));
    out[0] = sfv_add(even, odd);
    out[1] = sfv_sub(even, odd);
}

/* Where they lie among all six. */
static const int places_of_pair[3][2] = {{0, 5}, {1, 2}, {3, 4}};

SFV_INLINE void transform_taps(sfv out[WINDOW], sfv g0, sfv g1, sfv g2)
{
    SFV_UNROLL
    for (int pair = 0; pair < 3; pair++) {
        sfv two[2];
        transform_pair(two, g0, g1, g2, pair);
        out[places_of_pair[pair][0]] = two[0];
        out[places_of_pair[pair][1]] = two[1];
    }
}

/* Six coefficients of six inputs. */
SFV_INLINE void transform_window(sfv out[WINDOW], const sfv in[WINDOW])
{
    const sfv even_a = sfv_fma(sfv_set1(-2.0f), in[2], in[4]);
    const sfv odd_a = sfv_fma(sfv_set1(-2.0f), in[1], in[3]);
    const sfv even_b = sfv_fma(sfv_set1(-0.5f), in[2], in[4]);
    const sfv odd_b = sfv_fma(sfv_set1(-0.5f), in[1], in[3]);
    out[0] = sfv_fma(sfv_set1(-2.5f), in[2], sfv_add(in[0], in[4]));
    out[1] = sfv_fma(sfv_set1(POINT_A), odd_a, even_a);
    out[2] = sfv_fma(sfv_set1(-POINT_A), odd_a, even_a);
    out[3] = sfv_fma(sfv_set1(POINT_B), odd_b, even_b);
    out[4] = sfv_fma(sfv_set1(-POINT_B), odd_b, even_b);
    out[5] = sfv_fma(sfv_set1(-2.5f), in[3], sfv_add(in[1], in[5]));
}

/* Four outputs of six coefficients. */
SFV_INLINE void transform_back(sfv out[TILE], const sfv in[WINDOW])
{
    const sfv sum_a = sfv_add(in[1], in[2]);
    const sfv difference_a = sfv_sub(in[1], in[2]);
    const sfv sum_b = sfv_add(in[3], in[4]);
    const sfv difference_b = sfv_sub(in[3], in[4]);
    out[0] = sfv_add(sfv_add(in[0], sum_a), sum_b);
    out[1] = sfv_fma(sfv_set1(POINT_A), difference_a, sfv_mul(sfv_set1(POINT_B), difference_b));
    out[2] = sfv_fma(sfv_set1(0.5f), sum_a, sfv_mul(sfv_set1(2.0f), sum_b));
    out[3] =
        sfv_fma(sfv_set1(CUBE_A), difference_a, sfv_fma(sfv_set1(CUBE_B), difference_b, in[5]));
}

#endif
