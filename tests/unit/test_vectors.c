/* SPDX-License-Identifier: BSD-2-Clause */
/* Parts of vectors touch their elements and no others. */
#include "kernel_tables.h"
#include "suite.h"

#define MAX_LANES 16
#define CANARY 12345.5f

typedef void part_function(float *to, const float *from, int64_t first, int64_t end);

typedef void set_function(float *to, const float *from, uint32_t lanes);

#define DECLARE(isa)                                                                               \
    part_function sfk_load_onto_##isa, sfk_store_range_##isa;                                      \
    set_function sfk_load_set_##isa
DECLARE(reference);
DECLARE(wide);
#if defined(__x86_64__)
DECLARE(avx2);
DECLARE(avx512);
#elif defined(__aarch64__)
DECLARE(neon);
#endif

/* In the order of table_number(). */
static const struct {
    part_function *load_onto;
    set_function *load_set;
    part_function *store;
} functions[TABLE_COUNT] = {
    {sfk_load_onto_reference, sfk_load_set_reference, sfk_store_range_reference},
#if defined(__x86_64__)
    {sfk_load_onto_avx2, sfk_load_set_avx2, sfk_store_range_avx2},
    {sfk_load_onto_avx512, sfk_load_set_avx512, sfk_store_range_avx512},
    {NULL, NULL, NULL},
#elif defined(__aarch64__)
    {NULL, NULL, NULL},
    {NULL, NULL, NULL},
    {sfk_load_onto_neon, sfk_load_set_neon, sfk_store_range_neon},
#else
    {NULL, NULL, NULL},
    {NULL, NULL, NULL},
    {NULL, NULL, NULL},
#endif
    {sfk_load_onto_wide, sfk_load_set_wide, sfk_store_range_wide},
};

/* Only the elements of the range exist. */
static void check_load(int table, int64_t lanes, int64_t first, int64_t end)
{
    float onto[MAX_LANES], set[MAX_LANES];
    float *elements = malloc((size_t)(end - first + 1) * sizeof *elements);
    ck_assert_ptr_nonnull(elements);
    for (int64_t i = first; i < end; i++) {
        elements[i - first] = (float)(i + 1);
    }
    for (int64_t i = 0; i < lanes; i++) {
        onto[i] = set[i] = CANARY;
    }
    functions[table].load_onto(onto, elements - first, first, end);
    functions[table].load_set(set, elements - first, (1u << end) - (1u << first));
    for (int64_t i = 0; i < lanes; i++) {
        const float wanted = i >= first && i < end ? (float)(i + 1) : CANARY;
        ck_assert_msg(onto[i] == wanted && set[i] == wanted, "table %d, [%d, %d): lane %d", table,
                      (int)first, (int)end, (int)i);
    }
    free(elements);
}

static void check_store(int table, int64_t lanes, int64_t first, int64_t end)
{
    float value[MAX_LANES], to[3 * MAX_LANES];
    for (int64_t i = 0; i < lanes; i++) {
        value[i] = (float)(i + 1);
    }
    for (int64_t i = 0; i < 3 * MAX_LANES; i++) {
        to[i] = CANARY;
    }
    functions[table].store(to + MAX_LANES, value, first, end);
    for (int64_t i = -MAX_LANES; i < 2 * MAX_LANES; i++) {
        const float wanted = i >= first && i < end ? (float)(i + 1) : CANARY;
        ck_assert_msg(to[MAX_LANES + i] == wanted, "table %d, [%d, %d): element %d", table,
                      (int)first, (int)end, (int)i);
    }
}

START_TEST(a_range_of_lanes_is_loaded_and_stored_at_its_place)
{
    const sfk_table *table = table_number(_i);
    for (int64_t first = 0; table && first <= table->lanes; first++) {
        for (int64_t end = first; end <= table->lanes; end++) {
            check_load(_i, table->lanes, first, end);
            check_store(_i, table->lanes, first, end);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vectors");
    TCase *tests = tcase_create("vectors");
    tcase_add_loop_test(tests, a_range_of_lanes_is_loaded_and_stored_at_its_place, 0, TABLE_COUNT);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
