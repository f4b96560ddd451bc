/* SPDX-License-Identifier: BSD-2-Clause */
/* How far four neighbouring outputs by Winograd's F(4, 3) may be from the direct sum. */
#ifndef TESTS_FOUR_OUTPUTS_H
#define TESTS_FOUR_OUTPUTS_H

#include "kernels.h"

#include <math.h>

/* Output `place` of four of three taps g on six inputs d in absolute values of all matrices: what
 * the bound of the error is made of (docs/mathematics.md). */
static inline double magnitude_of_output(int place, const double g[3],
                                         const double d[SFK_WINOGRAD_WINDOW])
{
    static const double a = 0.70710678118654752, b = 1.41421356237309505;
    const double even = fabs(d[2]), odd = fabs(d[1]), far = fabs(d[4]), next = fabs(d[3]);
    const double inputs[SFK_WINOGRAD_WINDOW] = {
        fabs(d[0]) + 2.5 * even + far,       b * odd + 2 * even + a * next + far,
        b * odd + 2 * even + a * next + far, a * odd + even / 2 + b * next + far,
        a * odd + even / 2 + b * next + far, odd + 2.5 * next + fabs(d[5])};
    const double taps[SFK_WINOGRAD_WINDOW] = {
        fabs(g[0]),
        (2 * fabs(g[0]) + 2 * a * fabs(g[1]) + fabs(g[2])) / 3,
        (2 * fabs(g[0]) + 2 * a * fabs(g[1]) + fabs(g[2])) / 3,
        (fabs(g[0]) + b * fabs(g[1]) + 2 * fabs(g[2])) / 6,
        (fabs(g[0]) + b * fabs(g[1]) + 2 * fabs(g[2])) / 6,
        fabs(g[2])};
    const double outputs[SFK_WINOGRAD_TILE][SFK_WINOGRAD_WINDOW] = {
        {1, 1, 1, 1, 1, 0},
        {0, a, a, b, b, 0},
        {0, 0.5, 0.5, 2, 2, 0},
        {0, a / 2, a / 2, 2 * b, 2 * b, 1}};
    double sum = 0;
    for (int i = 0; i < SFK_WINOGRAD_WINDOW; i++) {
        sum += outputs[place][i] * taps[i] * inputs[i];
    }
    return sum;
}

#endif
