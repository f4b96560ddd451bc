/* SPDX-License-Identifier: BSD-2-Clause */
#include "train_support.h"

#include "sfconv/train.h"

#include <math.h>

static sfconv_context *context;

static void open_context(void)
{
    context = context_of_workers(1);
}

static void close_context(void)
{
    sfi_context_release(context);
}

static sfconv_schedule *schedule_of(const sfconv_schedule_desc *desc)
{
    sfconv_schedule *schedule;
    ck_assert_int_eq(sfconv_schedule_create(&schedule, context, desc), SFCONV_OK);
    return schedule;
}

static double rate_at(const sfconv_schedule *schedule, int64_t step)
{
    double rate;
    ck_assert_int_eq(sfconv_schedule_rate(schedule, step, &rate), SFCONV_OK);
    return rate;
}

START_TEST(a_constant_schedule_keeps_its_rate)
{
    sfconv_schedule *schedule = schedule_of(NULL);
    ck_assert_double_eq(rate_at(schedule, 0), 0.01);
    ck_assert_double_eq(rate_at(schedule, INT64_MAX), 0.01);
    sfconv_schedule_destroy(schedule);
}
END_TEST

START_TEST(warm_up_rises_in_equal_steps_to_the_rate)
{
    sfconv_schedule_desc desc = SFCONV_SCHEDULE_DESC_INIT;
    desc.rate = 1.0;
    desc.warmup = 3;
    sfconv_schedule *schedule = schedule_of(&desc);
    ck_assert_double_eq(rate_at(schedule, 0), 0.25);
    ck_assert_double_eq(rate_at(schedule, 1), 0.5);
    ck_assert_double_eq(rate_at(schedule, 2), 0.75);
    ck_assert_double_eq(rate_at(schedule, 3), 1.0);
    ck_assert_double_eq(rate_at(schedule, 4), 1.0);
    sfconv_schedule_destroy(schedule);
}
END_TEST

START_TEST(a_step_schedule_multiplies_by_the_factor_each_period)
{
    sfconv_schedule_desc desc = SFCONV_SCHEDULE_DESC_INIT;
    desc.kind = SFCONV_SCHEDULE_STEP;
    desc.rate = 8.0;
    desc.factor = 0.5;
    desc.period = 10;
    sfconv_schedule *schedule = schedule_of(&desc);
    ck_assert_double_eq(rate_at(schedule, 9), 8.0);
    ck_assert_double_eq(rate_at(schedule, 10), 4.0);
    ck_assert_double_eq(rate_at(schedule, 39), 1.0);
    ck_assert_double_eq(rate_at(schedule, INT64_MAX), 0.0);
    sfconv_schedule_destroy(schedule);
}
END_TEST

START_TEST(a_cosine_schedule_falls_from_the_rate_to_its_factor)
{
    sfconv_schedule_desc desc = SFCONV_SCHEDULE_DESC_INIT;
    desc.kind = SFCONV_SCHEDULE_COSINE;
    desc.rate = 2.0;
    desc.factor = 0.1;
    desc.warmup = 10;
    desc.total = 110;
    sfconv_schedule *schedule = schedule_of(&desc);
    ck_assert_double_eq_tol(rate_at(schedule, 4), 2.0 * 5 / 11, 1e-15);
    ck_assert_double_eq(rate_at(schedule, 10), 2.0);
    for (int64_t step = 11; step <= 110; step++) {
        const double wanted = 0.2 + 1.8 * (1 + cos(M_PI * (double)(step - 10) / 100)) / 2;
        ck_assert_double_eq_tol(rate_at(schedule, step), wanted, 1e-14);
    }
    ck_assert_double_eq(rate_at(schedule, 1000), 0.2);
    sfconv_schedule_destroy(schedule);
}
END_TEST

START_TEST(a_plateau_schedule_reduces_after_patience_observations_without_a_better_one)
{
    sfconv_schedule_desc desc = SFCONV_SCHEDULE_DESC_INIT;
    desc.kind = SFCONV_SCHEDULE_PLATEAU;
    desc.rate = 1.0;
    desc.factor = 0.25;
    desc.patience = 2;
    sfconv_schedule *schedule = schedule_of(&desc);
    const struct {
        double value;
        double rate;
    } story[] = {{5, 1},    {5, 1},      {4, 1},      {4, 1},      {4, 0.25},
                 {4, 0.25}, {9, 0.0625}, {3, 0.0625}, {3, 0.0625}, {2, 0.0625}};
    for (size_t i = 0; i < sizeof story / sizeof story[0]; i++) {
        ck_assert_int_eq(sfconv_schedule_observe(schedule, story[i].value), SFCONV_OK);
        ck_assert_double_eq(rate_at(schedule, 100), story[i].rate);
    }
    ck_assert_int_eq(sfconv_schedule_observe(schedule, NAN), SFCONV_ERROR_ARGUMENT);
    ck_assert_double_eq(rate_at(schedule, 100), 0.0625);
    sfconv_schedule_destroy(schedule);
}
END_TEST

START_TEST(a_plateau_schedule_may_look_for_larger_values)
{
    sfconv_schedule_desc desc = SFCONV_SCHEDULE_DESC_INIT;
    desc.kind = SFCONV_SCHEDULE_PLATEAU;
    desc.larger_is_better = 1;
    desc.rate = 1.0;
    desc.patience = 1;
    sfconv_schedule *schedule = schedule_of(&desc);
    ck_assert_int_eq(sfconv_schedule_observe(schedule, -3), SFCONV_OK);
    ck_assert_int_eq(sfconv_schedule_observe(schedule, -2), SFCONV_OK);
    ck_assert_double_eq(rate_at(schedule, 0), 1.0);
    ck_assert_int_eq(sfconv_schedule_observe(schedule, -2.5), SFCONV_OK);
    ck_assert_double_eq(rate_at(schedule, 0), 0.1);
    sfconv_schedule_destroy(schedule);
}
END_TEST

START_TEST(schedules_refuse_settings_out_of_range)
{
    const sfconv_schedule_desc good = SFCONV_SCHEDULE_DESC_INIT;
    sfconv_schedule_desc bad[13];
    sfconv_schedule *schedule;
    double rate;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        bad[i] = good;
    }
    bad[0].kind = 0;
    bad[1].kind = 5;
    bad[2].rate = 0;
    bad[3].rate = NAN;
    bad[4].rate = INFINITY;
    bad[5].factor = -0.1;
    bad[6].factor = 1.1;
    bad[7].warmup = -1;
    bad[8].kind = SFCONV_SCHEDULE_STEP, bad[8].period = 0;
    bad[9].kind = SFCONV_SCHEDULE_PLATEAU, bad[9].patience = 0;
    bad[10].kind = SFCONV_SCHEDULE_COSINE, bad[10].total = bad[10].warmup = 7;
    bad[11].larger_is_better = 2;
    bad[12].struct_size = 3;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        schedule = (sfconv_schedule *)&schedule;
        ck_assert_int_eq(sfconv_schedule_create(&schedule, context, &bad[i]),
                         SFCONV_ERROR_ARGUMENT);
        ck_assert_ptr_null(schedule);
    }
    ck_assert_int_eq(sfconv_schedule_create(NULL, context, &good), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_schedule_create(&schedule, NULL, &good), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_schedule_rate(NULL, 0, &rate), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_schedule_observe(NULL, 0), SFCONV_ERROR_ARGUMENT);
    sfconv_schedule_destroy(NULL);
    schedule = schedule_of(&good);
    ck_assert_int_eq(sfconv_schedule_rate(schedule, -1, &rate), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_schedule_rate(schedule, 0, NULL), SFCONV_ERROR_ARGUMENT);
    sfconv_schedule_destroy(schedule);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schedules");
    TCase *tests = tcase_create("schedules");
    tcase_add_checked_fixture(tests, open_context, close_context);
    tcase_add_test(tests, a_constant_schedule_keeps_its_rate);
    tcase_add_test(tests, warm_up_rises_in_equal_steps_to_the_rate);
    tcase_add_test(tests, a_step_schedule_multiplies_by_the_factor_each_period);
    tcase_add_test(tests, a_cosine_schedule_falls_from_the_rate_to_its_factor);
    tcase_add_test(tests,
                   a_plateau_schedule_reduces_after_patience_observations_without_a_better_one);
    tcase_add_test(tests, a_plateau_schedule_may_look_for_larger_values);
    tcase_add_test(tests, schedules_refuse_settings_out_of_range);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
