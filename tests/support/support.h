/* SPDX-License-Identifier: BSD-2-Clause */
/* What every unit test needs: a context, and a main() round a suite. */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H

#include "ctx.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

/* NaN where either is, so that a largest error of numbers and NaNs meets no tolerance. (And gcc 12
 * for ARM cannot compile some loops with fmax().) */
static inline double worst_of(double a, double b)
{
    return a > b || isnan(a) ? a : b;
}

/* Runs one suite; CK_FORK=no in the environment lets a debugger in. */
static inline int run_suite(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
