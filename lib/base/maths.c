/* SPDX-License-Identifier: BSD-2-Clause */
#include "maths.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static const double LN2_HIGH = 0x1.62e42fefa0000p-1;
static const double LN2_LOW = 0x1.cf79abc9e3b39p-40;
static const double LOG2_E = 0x1.71547652b82fep+0;

static double power_of_two(int exponent)
{
    const uint64_t bits = (uint64_t)(exponent + 1023) << 52;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

double sfi_exp(double x)
{
    if (x != x) {
        return x;
    }
    if (x > 709.7827128933840) {
        return INFINITY;
    }
    if (x < -745.1332191019412) {
        return 0.0;
    }
    /* exp(x) = 2^n exp(t), |t| <= ln2 / 2; Taylor to degree 13 leaves 4e-18 of the result. */
    const double n = rint(x * LOG2_E);
    /* n * LN2_HIGH is exact, its last bits being zero. No fma anywhere here: without an instruction
     * for it each one is a call. */
    const double t = (x - n * LN2_HIGH) - n * LN2_LOW;
    double sum = 1.0 / 6227020800.0;
    static const double inverse_factorial[] = {
        1.0 / 479001600.0,
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
        1.0,
    };
    for (int i = 0; i < 13; i++) {
        sum = sum * t + inverse_factorial[i];
    }
    const int exponent = (int)n;
    /* Two steps, so that results below the normal range round once and do not vanish early. */
    return sum * power_of_two(exponent / 2) * power_of_two(exponent - exponent / 2);
}

/* log((1 + s) / (1 - s)) = 2 atanh(s) for |s| <= 0.1716. */
static double twice_atanh(double s)
{
    const double s2 = s * s;
    double sum = 1.0 / 23.0;
    for (int i = 21; i >= 3; i -= 2) {
        sum = sum * s2 + 1.0 / i;
    }
    return 2.0 * s * s2 * sum + 2.0 * s;
}

double sfi_log(double x)
{
    if (!(x > 0.0)) {
        return x == 0.0 ? -INFINITY : NAN;
    }
    if (x > 1.7976931348623157e308) {
        return x;
    }
    int exponent;
    double mantissa = frexp(x, &exponent);
    if (mantissa < 0.70710678118654752) {
        mantissa *= 2.0;
        exponent--;
    }
    const double s = (mantissa - 1.0) / (mantissa + 1.0);
    const double n = (double)exponent;
    return n * LN2_HIGH + (n * LN2_LOW + twice_atanh(s));
}

double sfi_log1p(double x)
{
    if (x > -0.25 && x < 0.375) {
        return twice_atanh(x / (2.0 + x));
    }
    return sfi_log(1.0 + x);
}

void sfi_sincos_turn(double turn, double *sine, double *cosine)
{
    /* The eighth of the circle nearest to an axis: angle = quarter * pi/2 + rest. */
    const double quarter = rint(turn * 4.0);
    const double rest = fma(-0.25, quarter, turn) * 6.283185307179586;
    const double r2 = rest * rest;
    double s = -1.0 / 1307674368000.0;
    s = fma(s, r2, 1.0 / 6227020800.0);
    s = fma(s, r2, -1.0 / 39916800.0);
    s = fma(s, r2, 1.0 / 362880.0);
    s = fma(s, r2, -1.0 / 5040.0);
    s = fma(s, r2, 1.0 / 120.0);
    s = fma(s, r2, -1.0 / 6.0);
    s = fma(s * r2, rest, rest);
    double c = -1.0 / 87178291200.0;
    c = fma(c, r2, 1.0 / 479001600.0);
    c = fma(c, r2, -1.0 / 3628800.0);
    c = fma(c, r2, 1.0 / 40320.0);
    c = fma(c, r2, -1.0 / 720.0);
    c = fma(c, r2, 1.0 / 24.0);
    c = fma(c, r2, -0.5);
    c = fma(c, r2, 1.0);
    switch ((int)quarter & 3) {
    case 0:
        *sine = s, *cosine = c;
        break;
    case 1:
        *sine = c, *cosine = -s;
        break;
    case 2:
        *sine = -s, *cosine = -c;
        break;
    default:
        *sine = -c, *cosine = s;
        break;
    }
}
