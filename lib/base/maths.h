/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_MATHS_H
#define SFI_MATHS_H

/* exp, log and the sine pair in double from additions, multiplications and fma alone, so that the
 * same bits come out on every machine (a C library may choose its variant by the processor).
 * Accurate to 2 ULP where the result is normal. */
double sfi_exp(double x);
/* Natural logarithm; -infinity for 0, NaN below. */
double sfi_log(double x);
/* log(1 + x) without cancellation for small x. */
double sfi_log1p(double x);
/* sin and cos of 2*pi*turn, turn in [0, 1). */
void sfi_sincos_turn(double turn, double *sine, double *cosine);

#endif
