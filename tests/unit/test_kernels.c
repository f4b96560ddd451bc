/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include "cpu.h"
#include "kernels.h"
#include "random.h"

#include "sfconv/context.h"

#include <string.h>

static const int32_t all_isas[] = {SFCONV_ISA_REFERENCE, SFCONV_ISA_AVX2, SFCONV_ISA_AVX512,
                                   SFCONV_ISA_NEON};
#define ISA_COUNT ((int)(sizeof all_isas / sizeof all_isas[0]))

START_TEST(the_reference_is_always_there_and_unknown_sets_never)
{
    ck_assert_ptr_nonnull(sfk_table_for(SFCONV_ISA_REFERENCE));
    ck_assert_ptr_null(sfk_table_for(SFCONV_ISA_BEST));
    ck_assert_ptr_null(sfk_table_for(99));
    ck_assert_int_eq(sfk_best_isa(SFCONV_ISA_REFERENCE), SFCONV_ISA_REFERENCE);
}
END_TEST

START_TEST(a_table_is_given_only_where_the_processor_runs_it)
{
    for (int i = 0; i < ISA_COUNT; i++) {
        const sfk_table *table = sfk_table_for(all_isas[i]);
        if (table) {
            ck_assert(sfi_cpu_has(all_isas[i]));
            ck_assert_int_eq(table->isa, all_isas[i]);
            ck_assert_int_eq(table->tile_columns % table->lanes, 0);
            ck_assert_int_le(table->tile_columns, SFK_MAX_COLUMNS);
            ck_assert_int_le(table->tile_rows, SFK_MAX_ROWS);
        }
    }
}
END_TEST

START_TEST(the_best_set_respects_the_limit)
{
    for (int i = 0; i < ISA_COUNT; i++) {
        const int32_t best = sfk_best_isa(all_isas[i]);
        ck_assert_int_le(best, all_isas[i]);
        ck_assert_ptr_nonnull(sfk_table_for(best));
    }
    ck_assert_ptr_nonnull(sfk_table_for(sfk_best_isa(SFCONV_ISA_BEST)));
}
END_TEST

#define DEPTH 37
#define STRIDE 61

struct tile_data {
    float a[SFK_MAX_ROWS * DEPTH];
    float b[DEPTH * STRIDE];
    float bias[SFK_MAX_ROWS];
    int64_t a_rows[SFK_MAX_ROWS];
    int64_t a_steps[DEPTH];
    int64_t b_steps[DEPTH];
};

static void fill(float *values, int count, sfi_random random)
{
    for (int i = 0; i < count; i++) {
        values[i] = (float)sfi_random_normal(random, (uint64_t)i);
    }
}

static void fill_tile_data(struct tile_data *data)
{
    fill(data->a, SFK_MAX_ROWS * DEPTH, (sfi_random){11, 0});
    fill(data->b, DEPTH * STRIDE, (sfi_random){11, 1});
    fill(data->bias, SFK_MAX_ROWS, (sfi_random){11, 2});
    for (int m = 0; m < SFK_MAX_ROWS; m++) {
        data->a_rows[m] = (SFK_MAX_ROWS - 1 - m) * DEPTH;
    }
    /* Backwards through a and in a scattered order through b: offsets are free. */
    for (int k = 0; k < DEPTH; k++) {
        data->a_steps[k] = DEPTH - 1 - k;
        data->b_steps[k] = (k * 5 % DEPTH) * STRIDE;
    }
}

static float expected_element(const struct tile_data *data, int m, int n, int depth, float start)
{
    float sum = start;
    for (int k = 0; k < depth; k++) {
        sum = __builtin_fmaf(data->a[data->a_rows[m] + data->a_steps[k]],
                             data->b[data->b_steps[k] + n], sum);
    }
    return sum;
}

static void check_tile(const sfk_table *table, const struct tile_data *data, int rows, int columns,
                       int depth, int start)
{
    float c[SFK_MAX_ROWS][STRIDE];
    float before[SFK_MAX_ROWS][STRIDE];
    const sfk_tile tile = {.a = data->a,
                           .a_rows = data->a_rows,
                           .a_steps = data->a_steps,
                           .b = data->b,
                           .b_steps = data->b_steps,
                           .c = c[0],
                           .c_stride = STRIDE,
                           .bias = start == 1 ? data->bias : NULL,
                           .accumulate = start == 2,
                           .rows = rows,
                           .columns = columns,
                           .depth = depth};
    fill(c[0], SFK_MAX_ROWS * STRIDE, (sfi_random){12, 0});
    memcpy(before, c, sizeof c);
    table->matrix_tile(&tile);
    for (int m = 0; m < SFK_MAX_ROWS; m++) {
        for (int n = 0; n < STRIDE; n++) {
            float expected = before[m][n];
            if (m < rows && n < columns) {
                const float first = start == 1 ? data->bias[m] : start == 2 ? before[m][n] : 0.0f;
                expected = expected_element(data, m, n, depth, first);
            }
            ck_assert_msg(memcmp(&c[m][n], &expected, sizeof expected) == 0,
                          "isa %d, tile %dx%d, depth %d: [%d][%d] is %a, expected %a", table->isa,
                          rows, columns, depth, m, n, (double)c[m][n], (double)expected);
        }
    }
}

START_TEST(matrix_tile_is_one_chain_of_fma_an_element_and_writes_nothing_else)
{
    struct tile_data data;
    fill_tile_data(&data);
    for (int i = 0; i < ISA_COUNT; i++) {
        const sfk_table *table = sfk_table_for(all_isas[i]);
        if (!table) {
            continue;
        }
        for (int rows = 1; rows <= table->tile_rows; rows++) {
            for (int columns = 1; columns <= table->tile_columns; columns++) {
                check_tile(table, &data, rows, columns, DEPTH, columns % 3);
            }
            check_tile(table, &data, rows, table->tile_columns, 1, 1);
            check_tile(table, &data, rows, table->tile_columns, 0, rows % 3);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernels");
    TCase *tests = tcase_create("kernels");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, the_reference_is_always_there_and_unknown_sets_never);
    tcase_add_test(tests, a_table_is_given_only_where_the_processor_runs_it);
    tcase_add_test(tests, the_best_set_respects_the_limit);
    tcase_add_test(tests, matrix_tile_is_one_chain_of_fma_an_element_and_writes_nothing_else);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
