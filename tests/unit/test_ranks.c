/* SPDX-License-Identifier: BSD-2-Clause */
#include "matrices.h"

#include "ranks.h"

START_TEST(the_rule_rounds_and_keeps_its_bounds)
{
    ck_assert_int_eq(sfi_rank_of_ratio(64, 64, 3, 3, 1.0 / 32, 1), 2);
    ck_assert_int_eq(sfi_rank_of_ratio(64, 3, 3, 3, 1.0 / 32, 1), 1);
    ck_assert_int_eq(sfi_rank_of_ratio(64, 3, 3, 3, 1.0 / 32, 4), 4);
    ck_assert_int_eq(sfi_rank_of_ratio(64, 3, 3, 3, 1.0 / 32, 100), 9);
    ck_assert_int_eq(sfi_rank_of_ratio(2, 64, 3, 3, 5.0, 1), 6);
    ck_assert_int_eq(sfi_rank_of_ratio(64, 64, 3, 3, 1e300, 1), 192);
    /* A half goes to the even number. */
    ck_assert_int_eq(sfi_rank_of_ratio(10, 10, 3, 3, 0.25, 1), 2);
    ck_assert_int_eq(sfi_rank_of_ratio(14, 14, 3, 3, 0.25, 1), 4);
}
END_TEST

START_TEST(the_published_unet_has_the_published_number_of_parameters)
{
    const int64_t channels[][2] = {{3, 64},     {64, 64},   {64, 128},  {128, 128}, {128, 256},
                                   {256, 256},  {256, 512}, {512, 512}, {512, 512}, {512, 512},
                                   {1024, 512}, {512, 256}, {512, 256}, {256, 128}, {256, 128},
                                   {128, 64},   {128, 64},  {64, 64}};
    int64_t parameters = 64 + 1;
    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
        const int64_t in = channels[i][0], out = channels[i][1];
        const int64_t rank = sfi_rank_of_ratio(out, in, 3, 3, 1.0 / 32, 1);
        parameters += rank * 3 * (in + out) + 2 * out;
    }
    ck_assert_int_eq(parameters, 319754);
}
END_TEST

static const double steep[] = {8, 1, 0.5, 0.25};
static const double flat[] = {1, 1, 1, 1, 1, 1};
static const double none[] = {0, 0, 0};

START_TEST(a_budget_goes_where_it_keeps_the_most_energy)
{
    const sfi_rank_layer layers[] = {{steep, 4, 1, 10}, {flat, 6, 1, 10}, {none, 3, 1, 10}};
    sfconv_context *context = context_with_workers(1);
    int64_t ranks[3];
    sfi_rank_choice choice;
    ck_assert_int_eq(sfi_ranks_for_cost(context, 3, layers, 65, ranks, &choice), SFCONV_OK);
    ck_assert(ranks[0] == 1 && ranks[1] == 4 && ranks[2] == 1);
    ck_assert_int_eq(choice.cost, 60);
    ck_assert_double_eq_tol(choice.energy, (64 / 65.3125 + 4.0 / 6 + 1) / 3, 1e-15);

    /* Plenty: everything that keeps energy is bought, the layer of zeros stays at its least. */
    ck_assert_int_eq(sfi_ranks_for_cost(context, 3, layers, 100000, ranks, &choice), SFCONV_OK);
    ck_assert(ranks[0] == 4 && ranks[1] == 6 && ranks[2] == 1);
    ck_assert_double_eq(choice.energy, 1);
    sfi_context_release(context);
}
END_TEST

START_TEST(what_no_longer_fits_is_passed_over_for_what_does)
{
    const sfi_rank_layer layers[] = {{flat, 6, 1, 100}, {steep, 4, 1, 3}};
    sfconv_context *context = context_with_workers(1);
    int64_t ranks[2];
    sfi_rank_choice choice;
    ck_assert_int_eq(sfi_ranks_for_cost(context, 2, layers, 150, ranks, &choice), SFCONV_OK);
    ck_assert(ranks[0] == 1 && ranks[1] == 4);
    ck_assert_int_eq(choice.cost, 112);
    sfi_context_release(context);
}
END_TEST

START_TEST(an_impossible_budget_names_the_least_possible)
{
    const sfi_rank_layer layers[] = {{steep, 4, 2, 10}, {flat, 6, 3, 7}};
    sfconv_context *context = context_with_workers(1);
    int64_t ranks[2] = {-1, -1};
    sfi_rank_choice choice;
    ck_assert_int_eq(sfi_ranks_for_cost(context, 2, layers, 40, ranks, &choice),
                     SFCONV_ERROR_SHAPE);
    ck_assert_ptr_nonnull(strstr(context->error, "at least 41"));
    ck_assert_int_eq(ranks[0], -1);
    ck_assert_int_eq(sfi_ranks_for_cost(context, 2, layers, 41, ranks, &choice), SFCONV_OK);
    ck_assert(ranks[0] == 2 && ranks[1] == 3);
    sfi_context_release(context);
}
END_TEST

START_TEST(an_energy_is_reached_and_not_overshot_by_a_unit)
{
    const sfi_rank_layer layers[] = {{steep, 4, 1, 10}, {flat, 6, 1, 10}};
    sfconv_context *context = context_with_workers(1);
    int64_t ranks[2];
    sfi_rank_choice choice;
    ck_assert_int_eq(sfi_ranks_for_energy(context, 2, layers, 0.9, ranks, &choice), SFCONV_OK);
    ck_assert(ranks[0] == 1 && ranks[1] == 5);
    ck_assert_double_ge(choice.energy, 0.9);
    ck_assert_int_eq(sfi_ranks_for_energy(context, 2, layers, 1, ranks, &choice), SFCONV_OK);
    ck_assert(ranks[0] == 4 && ranks[1] == 6);
    ck_assert_int_eq(sfi_ranks_for_energy(context, 2, layers, 1.5, ranks, &choice),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfi_ranks_for_energy(context, 2, layers, NAN, ranks, &choice),
                     SFCONV_ERROR_ARGUMENT);
    sfi_context_release(context);
}
END_TEST

START_TEST(a_spectrum_that_is_not_finite_or_a_cost_that_overflows_is_refused)
{
    const double bad[] = {INFINITY, 1};
    const sfi_rank_layer spoiled = {bad, 2, 1, 1};
    const sfi_rank_layer dear = {flat, 6, 1, INT64_MAX / 3};
    sfconv_context *context = context_with_workers(1);
    int64_t ranks[1];
    sfi_rank_choice choice;
    ck_assert_int_eq(sfi_ranks_for_cost(context, 1, &spoiled, 10, ranks, &choice),
                     SFCONV_ERROR_NUMERIC);
    ck_assert_int_eq(sfi_ranks_for_cost(context, 1, &dear, 10, ranks, &choice),
                     SFCONV_ERROR_OVERFLOW);
    sfi_context_release(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ranks");
    TCase *tests = tcase_create("ranks");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, the_rule_rounds_and_keeps_its_bounds);
    tcase_add_test(tests, the_published_unet_has_the_published_number_of_parameters);
    tcase_add_test(tests, a_budget_goes_where_it_keeps_the_most_energy);
    tcase_add_test(tests, what_no_longer_fits_is_passed_over_for_what_does);
    tcase_add_test(tests, an_impossible_budget_names_the_least_possible);
    tcase_add_test(tests, an_energy_is_reached_and_not_overshot_by_a_unit);
    tcase_add_test(tests, a_spectrum_that_is_not_finite_or_a_cost_that_overflows_is_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
