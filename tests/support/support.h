/* SPDX-License-Identifier: BSD-2-Clause */
/* What every unit test of the library needs. */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include "ctx.h"
#include "suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

/* NaN where either is, so that a largest error of numbers and NaNs meets no tolerance. (And gcc 12
 * for ARM cannot compile some loops with fmax().) */
static inline double worst_of(double a, double b)
{
    return a > b || isnan(a) ? a : b;
}

/* For loops over elements: an assertion of Check sends a message to the runner each time it holds,
 * which takes longer than what it looks at. */
#define assert_each(holds, ...)                                                                    \
    do {                                                                                           \
        if (!(holds)) {                                                                            \
            ck_abort_msg(__VA_ARGS__);                                                             \
        }                                                                                          \
    } while (0)

#endif
