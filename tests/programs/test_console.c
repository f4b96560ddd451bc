/* SPDX-License-Identifier: BSD-2-Clause */
/* What people see while a network is trained. */
#include "console.h"
#include "suite.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct console console_after(int64_t first, double validation)
{
    return (struct console){
        .label = "sfconv", .metric = "Dice", .validation = validation, .first = first};
}

static struct experiment_progress at(int64_t epoch, int64_t step)
{
    return (struct experiment_progress){.epoch = epoch,
                                        .epochs = 10,
                                        .step = step,
                                        .steps = 20,
                                        .loss = 0.5,
                                        .images_per_second = 84.0};
}

START_TEST(bar_tells_how_far_it_is_and_the_time_left)
{
    char line[256];
    const struct console console = console_after(0, 0.75);
    const struct experiment_progress half = at(5, 20);
    /* A hundred of two hundred steps took as long as the others will. */
    console_bar(line, sizeof line, &console, &half, 120, 100.0);
    ck_assert_str_eq(line, "sfconv epoch 5/10 [###############---------------]"
                           " loss 0.5000 Dice 0.7500 84 img/s 1:40 left");
    console_bar(line, sizeof line, &console, &half, 120, 36000.0);
    ck_assert_ptr_nonnull(strstr(line, " 10:00:00 left"));
}
END_TEST

START_TEST(bar_of_a_resumed_training_counts_its_own_steps)
{
    char line[256];
    const struct console console = console_after(90, NAN);
    const struct experiment_progress half = at(5, 20);
    console_bar(line, sizeof line, &console, &half, 120, 10.0);
    ck_assert_str_eq(line, "sfconv epoch 5/10 [###############---------------]"
                           " loss 0.5000 84 img/s 1:40 left");
}
END_TEST

START_TEST(bar_says_no_time_before_a_step_was_timed)
{
    char line[256];
    const struct console console = console_after(1, NAN);
    const struct experiment_progress first = at(1, 1);
    console_bar(line, sizeof line, &console, &first, 120, 0.0);
    ck_assert_str_eq(line, "sfconv epoch 1/10 [------------------------------]"
                           " loss 0.5000 84 img/s");
}
END_TEST

START_TEST(bar_fits_a_terminal_of_any_width)
{
    char line[256];
    const struct console console = console_after(0, 0.75);
    const struct experiment_progress half = at(5, 20);
    for (int64_t columns = 2; columns < 200; columns++) {
        console_bar(line, sizeof line, &console, &half, columns, 100.0);
        ck_assert_int_lt((int64_t)strlen(line), columns);
        ck_assert_int_eq(strstr(line, "1:40 left") != NULL, columns > 60);
        ck_assert_int_eq(strchr(line, '#') != NULL, columns > 67);
    }
}
END_TEST

START_TEST(numbers_are_grouped_by_thousands)
{
    char text[32];
    ck_assert_str_eq(console_grouped(0, text, sizeof text), "0");
    ck_assert_str_eq(console_grouped(999, text, sizeof text), "999");
    ck_assert_str_eq(console_grouped(1000, text, sizeof text), "1,000");
    ck_assert_str_eq(console_grouped(123456789, text, sizeof text), "123,456,789");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("console");
    TCase *tests = tcase_create("console");
    tcase_add_test(tests, bar_tells_how_far_it_is_and_the_time_left);
    tcase_add_test(tests, bar_of_a_resumed_training_counts_its_own_steps);
    tcase_add_test(tests, bar_says_no_time_before_a_step_was_timed);
    tcase_add_test(tests, bar_fits_a_terminal_of_any_width);
    tcase_add_test(tests, numbers_are_grouped_by_thousands);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
