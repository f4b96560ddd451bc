/* SPDX-License-Identifier: BSD-2-Clause */
/* A main() round a suite, for tests of the library and of programs alike. */
#ifndef TESTS_SUITE_H
#define TESTS_SUITE_H

#include <check.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#endif

/* How often to try what is drawn at random, or repeated: under sanitizers, which take ten times as
 * long and look for faults of memory, not for other numbers, a sixth of all. */
static inline int rounds_of(int all)
{
#ifdef SANITIZED
    return (all + 5) / 6;
#else
    return all;
#endif
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
