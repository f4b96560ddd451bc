/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include "cpu.h"
#include "maths.h"
#include "memory.h"
#include "parallel.h"
#include "random.h"
#include "sizes.h"

#include <math.h>
#if defined(__linux__)
#include <sched.h>
#endif
#include <string.h>
#include <time.h>

static sfconv_context *make_context(int32_t workers)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *context;
    desc.workers = workers;
    ck_assert_int_eq(sfi_context_create(&context, &desc, NULL, SFCONV_ISA_REFERENCE), SFCONV_OK);
    return context;
}

START_TEST(sizes_refuse_overflow_and_negative_numbers)
{
    int64_t result = 7;
    ck_assert(!sfi_mul(&result, INT64_MAX, 2));
    ck_assert(!sfi_mul(&result, -1, 2));
    ck_assert(!sfi_add(&result, INT64_MAX / 2, INT64_MAX / 2));
    ck_assert_int_eq(result, 7);
    ck_assert(sfi_mul(&result, 3, 5) && result == 15);
    ck_assert_int_eq(sfi_round64(65), 128);
}
END_TEST

START_TEST(philox_gives_the_published_numbers)
{
    /* Known answers of the Random123 distribution: all-zero counter and key. */
    const sfi_random zero = {0, 0};
    ck_assert_uint_eq((uint32_t)sfi_random_bits(zero, 0), 0x6627e8d5u);
    ck_assert_uint_eq((uint32_t)(sfi_random_bits(zero, 0) >> 32), 0xe169c58du);
    ck_assert_uint_eq((uint32_t)sfi_random_bits(zero, 1), 0xbc57ac4cu);
    ck_assert_uint_eq((uint32_t)(sfi_random_bits(zero, 1) >> 32), 0x9b00dbd8u);
}
END_TEST

START_TEST(normal_numbers_have_the_moments_of_a_normal_distribution)
{
    const sfi_random random = {42, 3};
    const int count = 200000;
    double sum = 0, square = 0, fourth = 0;
    for (int i = 0; i < count; i++) {
        const double x = sfi_random_normal(random, (uint64_t)i);
        sum += x, square += x * x, fourth += x * x * x * x;
    }
    ck_assert_double_eq_tol(sum / count, 0.0, 0.01);
    ck_assert_double_eq_tol(square / count, 1.0, 0.015);
    ck_assert_double_eq_tol(fourth / count, 3.0, 0.1);
}
END_TEST

START_TEST(exp_log_and_sincos_agree_with_the_c_library)
{
    const sfi_random random = {1, 1};
    for (int i = 0; i < 100000; i++) {
        const double x = (sfi_random_uniform(random, (uint64_t)i) - 0.5) * 1400;
        const double e = exp(x);
        ck_assert_double_le(fabs(sfi_exp(x) - e), 4e-16 * e + 5e-324);
        const double y = sfi_random_uniform(random, (uint64_t)i) * 4;
        ck_assert_double_le(fabs(sfi_log(y) - log(y)), 4e-16 * fabs(log(y)) + 1e-17);
        ck_assert_double_le(fabs(sfi_log1p(y - 1) - log1p(y - 1)),
                            5e-16 * fabs(log1p(y - 1)) + 1e-17);
        double s, c;
        sfi_sincos_turn(y / 4, &s, &c);
        ck_assert_double_le(fabs(s - sin(y / 4 * 2 * M_PI)), 2e-15);
        ck_assert_double_le(fabs(c - cos(y / 4 * 2 * M_PI)), 2e-15);
    }
    ck_assert(sfi_exp(800) == INFINITY && sfi_exp(-800) == 0 && isnan(sfi_exp(NAN)));
    ck_assert(sfi_log(0) == -INFINITY && isnan(sfi_log(-1)) && sfi_log(INFINITY) == INFINITY);
}
END_TEST

struct visits {
    sfconv_context *context;
    atomic_int seen[1000];
    atomic_int bad_worker;
};

static void visit(void *argument, int64_t index, int32_t worker)
{
    struct visits *visits = argument;
    atomic_fetch_add(&visits->seen[index], 1);
    if (worker < 0 || worker >= sfi_workers(visits->context)) {
        atomic_store(&visits->bad_worker, 1);
    }
}

static void visit_nested(void *argument, int64_t index, int32_t worker)
{
    struct visits *visits = argument;
    (void)worker;
    (void)index;
    sfi_parallel_for(visits->context, 1000, visit, visits);
}

START_TEST(parallel_for_visits_each_index_once_for_any_number_of_workers)
{
    const int32_t workers[] = {1, 2, 3, 16};
    for (int w = 0; w < 4; w++) {
        struct visits visits = {.context = make_context(workers[w])};
        for (int round = 1; round <= 20; round++) {
            sfi_parallel_for(visits.context, 1000, visit, &visits);
            for (int i = 0; i < 1000; i++) {
                ck_assert_int_eq(atomic_load(&visits.seen[i]), round);
            }
        }
        sfi_parallel_for(visits.context, 4, visit_nested, &visits);
        ck_assert_int_eq(atomic_load(&visits.seen[999]), 24);
        ck_assert_int_eq(atomic_load(&visits.bad_worker), 0);
        sfi_context_release(visits.context);
    }
}
END_TEST

static void add_index(void *argument, int64_t index, int32_t worker)
{
    (void)worker;
    ((int64_t *)argument)[index] += index + 1;
}

START_TEST(rounds_that_follow_at_once_or_after_a_pause_are_each_done_when_the_call_returns)
{
    const int32_t workers[] = {2, 16};
    const struct timespec pause = {.tv_nsec = 2000000};
    for (int w = 0; w < 2; w++) {
        sfconv_context *context = make_context(workers[w]);
        int64_t sums[3] = {0, 0, 0};
        for (int64_t round = 1; round <= 2000; round++) {
            sfi_parallel_for(context, 3, add_index, sums);
            for (int64_t i = 0; i < 3; i++) {
                ck_assert_int_eq(sums[i], round * (i + 1));
            }
            if (round % 100 == 0) {
                nanosleep(&pause, NULL);
            }
        }
        sfi_context_release(context);
    }
}
END_TEST

/* Longer than a thread waits awake. */
static void add_index_late(void *argument, int64_t index, int32_t worker)
{
    const struct timespec pause = {.tv_nsec = 3000000};
    nanosleep(&pause, NULL);
    add_index(argument, index, worker);
}

START_TEST(a_caller_waits_for_tasks_that_take_long)
{
    sfconv_context *context = make_context(2);
    int64_t sums[3] = {0, 0, 0};
    for (int64_t round = 1; round <= 10; round++) {
        sfi_parallel_for(context, 3, add_index_late, sums);
        for (int64_t i = 0; i < 3; i++) {
            ck_assert_int_eq(sums[i], round * (i + 1));
        }
    }
    sfi_context_release(context);
}
END_TEST

#if defined(__linux__)
START_TEST(a_thread_leaves_an_occupied_processor_and_may_use_the_same_ones_as_before)
{
    cpu_set_t before, after;
    ck_assert_int_eq(sched_getaffinity(0, sizeof before, &before), 0);
    for (int attempt = 0; attempt < 20; attempt++) {
        const int32_t occupied[] = {sfi_current_processor(), 0, 1};
        sfi_leave_processors(occupied, 1 + attempt % 3);
        if (CPU_COUNT(&before) > 1) {
            /* Where nobody else moves the thread it is elsewhere at once. */
            int patience = 1000;
            while (sfi_current_processor() == occupied[0] && patience-- > 0) {
                sfi_leave_processors(occupied, 1);
            }
            ck_assert_int_ne(sfi_current_processor(), occupied[0]);
        }
        ck_assert_int_eq(sched_getaffinity(0, sizeof after, &after), 0);
        ck_assert(CPU_EQUAL(&before, &after));
    }
}
END_TEST

START_TEST(a_thread_that_may_use_one_processor_stays_there)
{
    cpu_set_t before, one, after;
    const int32_t here = sfi_current_processor();
    ck_assert_int_eq(sched_getaffinity(0, sizeof before, &before), 0);
    CPU_ZERO(&one);
    CPU_SET((size_t)here, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    sfi_leave_processors(&here, 1);
    ck_assert_int_eq(sfi_current_processor(), here);
    ck_assert_int_eq(sched_getaffinity(0, sizeof after, &after), 0);
    ck_assert(CPU_EQUAL(&one, &after));
    ck_assert_int_eq(sched_setaffinity(0, sizeof before, &before), 0);
}
END_TEST
#endif

START_TEST(growing_an_array_keeps_its_elements)
{
    sfconv_context *context = make_context(1);
    int32_t *array = NULL;
    size_t capacity = 0;
    ck_assert(sfi_grow(context, (void **)&array, &capacity, 3, sizeof *array));
    array[2] = 5;
    ck_assert(sfi_grow(context, (void **)&array, &capacity, 100, sizeof *array));
    ck_assert_int_eq(array[2], 5);
    ck_assert_int_eq(array[99], 0);
    ck_assert(!sfi_grow(context, (void **)&array, &capacity, SIZE_MAX, sizeof *array));
    ck_assert_int_eq(array[2], 5);
    sfi_free(context, array, capacity * sizeof *array);
    sfi_context_release(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base");
    TCase *tests = tcase_create("base");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, sizes_refuse_overflow_and_negative_numbers);
    tcase_add_test(tests, philox_gives_the_published_numbers);
    tcase_add_test(tests, normal_numbers_have_the_moments_of_a_normal_distribution);
    tcase_add_test(tests, exp_log_and_sincos_agree_with_the_c_library);
    tcase_add_test(tests, parallel_for_visits_each_index_once_for_any_number_of_workers);
    tcase_add_test(tests,
                   rounds_that_follow_at_once_or_after_a_pause_are_each_done_when_the_call_returns);
    tcase_add_test(tests, a_caller_waits_for_tasks_that_take_long);
#if defined(__linux__)
    tcase_add_test(tests,
                   a_thread_leaves_an_occupied_processor_and_may_use_the_same_ones_as_before);
    tcase_add_test(tests, a_thread_that_may_use_one_processor_stays_there);
#endif
    tcase_add_test(tests, growing_an_array_keeps_its_elements);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
