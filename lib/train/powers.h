/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_POWERS_H
#define SFI_POWERS_H

#include <stdint.h>

/* base^exponent (not negative) by squaring: products alone, so the same bits everywhere, and a
 * function of the exponent alone, so that a resumed training goes on as if unbroken. */
static inline double sfi_power(double base, int64_t exponent)
{
    double power = 1.0;
    for (; exponent > 0; exponent /= 2) {
        if (exponent % 2) {
            power *= base;
        }
        base *= base;
    }
    return power;
}

#endif
