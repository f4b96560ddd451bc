/* SPDX-License-Identifier: BSD-2-Clause */
/* The tests of the report against values from tables and from counting by hand. */
#include "statistics.h"
#include "suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

static double scratch[STATISTICS_RESAMPLES];

START_TEST(mean_and_deviation_are_those_of_a_sample)
{
    const double values[] = {2, 4, 4, 4, 5, 5, 7, 9};
    ck_assert_double_eq(statistics_mean(values, 8), 5.0);
    ck_assert_double_eq_tol(statistics_deviation(values, 8), sqrt(32.0 / 7.0), 1e-14);
    ck_assert(isnan(statistics_deviation(values, 1)));
}
END_TEST

/* Closed forms: one degree of freedom is Cauchy's distribution, two have a square root. */
START_TEST(p_of_student_has_its_closed_forms)
{
    for (double t = 0.01; t < 100.0; t *= 1.7) {
        const double cauchy = 1.0 - 2.0 / acos(-1.0) * atan(t);
        ck_assert_double_eq_tol(statistics_t_p(t, 1.0), cauchy, 1e-12);
        ck_assert_double_eq_tol(statistics_t_p(t, 2.0), 1.0 - t / sqrt(2.0 + t * t), 1e-12);
        ck_assert_double_eq_tol(statistics_t_p(-t, 2.0), 1.0 - t / sqrt(2.0 + t * t), 1e-12);
    }
    ck_assert_double_eq(statistics_t_p(0.0, 5.0), 1.0);
}
END_TEST

/* Printed tables of the two-sided 5 % point. */
START_TEST(quantiles_are_those_of_the_tables)
{
    const double freedom[] = {1, 2, 4, 9, 29, 99};
    const double table[] = {12.7062, 4.3027, 2.7764, 2.2622, 2.0452, 1.9842};
    for (int i = 0; i < 6; i++) {
        ck_assert_double_eq_tol(statistics_t_quantile(0.05, freedom[i]), table[i], 5e-5);
    }
}
END_TEST

/* Student's own example (1908): ten patients, the additional sleep by two drugs. */
START_TEST(paired_t_of_students_sleep_data)
{
    const double first[] = {0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};
    const double second[] = {1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};
    double differences[10];
    for (int i = 0; i < 10; i++) {
        differences[i] = first[i] - second[i];
    }
    const struct statistics_test test = statistics_paired_t(differences, 10);
    ck_assert_double_eq_tol(test.mean, -1.58, 1e-12);
    ck_assert_double_eq_tol(test.low, -2.4598858, 1e-6);
    ck_assert_double_eq_tol(test.high, -0.7001142, 1e-6);
    ck_assert_double_eq_tol(test.p, 0.00283289, 1e-7);
}
END_TEST

START_TEST(a_t_test_of_one_pair_or_of_equal_ones_is_defined)
{
    const double same[] = {0.5, 0.5, 0.5};
    const double none[] = {0.0, 0.0};
    ck_assert(isnan(statistics_paired_t(same, 1).p));
    ck_assert(isnan(statistics_paired_t(same, 1).low));
    ck_assert_double_eq(statistics_paired_t(same, 3).p, 0.0);
    ck_assert_double_eq(statistics_paired_t(none, 2).p, 1.0);
}
END_TEST

/* 1, 2, 3, 4: only all plus and all minus reach the sum 10. */
START_TEST(few_differences_get_the_exact_p_of_all_signs)
{
    const double one_sided[] = {1, 2, 3, 4};
    const double mixed[] = {1, 2, -3, 4};
    ck_assert_double_eq(statistics_paired_resampled(one_sided, 4, 1, scratch).p, 2.0 / 16.0);
    /* Sums of at least 4 in size: 10, 8, 6, 4 and 4 (±1 ±2 ±3 ±4 has five such), on both sides. */
    ck_assert_double_eq(statistics_paired_resampled(mixed, 4, 1, scratch).p, 10.0 / 16.0);
}
END_TEST

START_TEST(many_differences_get_p_and_interval_of_the_normal_limit)
{
    double differences[200];
    for (int i = 0; i < 200; i++) {
        /* Mean 0.5 and a deviation of about 5.77: z is about 1.22. */
        differences[i] = 0.5 + ((i * 37 % 200) - 99.5) / 10.0;
    }
    const double error = statistics_deviation(differences, 200) / sqrt(200.0);
    const double z = 0.5 / error;
    const struct statistics_test test = statistics_paired_resampled(differences, 200, 1, scratch);
    ck_assert_double_eq_tol(test.mean, 0.5, 1e-12);
    ck_assert_double_eq_tol(test.p, erfc(z / sqrt(2.0)), 0.02);
    ck_assert_double_eq_tol(test.low, 0.5 - 1.96 * error, 0.05);
    ck_assert_double_eq_tol(test.high, 0.5 + 1.96 * error, 0.05);
}
END_TEST

START_TEST(resampling_repeats_with_its_seed)
{
    double differences[50];
    for (int i = 0; i < 50; i++) {
        differences[i] = sin(i) + 0.1;
    }
    const struct statistics_test a = statistics_paired_resampled(differences, 50, 7, scratch);
    const struct statistics_test b = statistics_paired_resampled(differences, 50, 7, scratch);
    const struct statistics_test c = statistics_paired_resampled(differences, 50, 8, scratch);
    ck_assert_double_eq(a.p, b.p);
    ck_assert_double_eq(a.low, b.low);
    ck_assert_double_ne(a.low, c.low);
    ck_assert(isnan(statistics_paired_resampled(differences, 0, 7, scratch).p));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("statistics");
    TCase *tests = tcase_create("statistics");
    tcase_add_test(tests, mean_and_deviation_are_those_of_a_sample);
    tcase_add_test(tests, p_of_student_has_its_closed_forms);
    tcase_add_test(tests, quantiles_are_those_of_the_tables);
    tcase_add_test(tests, paired_t_of_students_sleep_data);
    tcase_add_test(tests, a_t_test_of_one_pair_or_of_equal_ones_is_defined);
    tcase_add_test(tests, few_differences_get_the_exact_p_of_all_signs);
    tcase_add_test(tests, many_differences_get_p_and_interval_of_the_normal_limit);
    tcase_add_test(tests, resampling_repeats_with_its_seed);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
