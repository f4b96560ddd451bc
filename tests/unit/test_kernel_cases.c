/* SPDX-License-Identifier: BSD-2-Clause */
/* Every kernel of the list, at the shapes of real layers: each table leaves the same bits in all
 * data as the reference. */
#include "support.h"

#include "kernel_cases.h"
#include "kernel_tables.h"

#include <string.h>

/* What a case's blocks hold, one behind the other. */
typedef struct image {
    char *bytes;
    size_t size;
} image;

static void keep_blocks(image *kept, const kernel_cases *cases)
{
    kept->size = 0;
    for (int i = 0; i < cases->block_count; i++) {
        kept->size += cases->blocks[i].size;
    }
    kept->bytes = realloc(kept->bytes, kept->size);
    ck_assert_ptr_nonnull(kept->bytes);
    char *to = kept->bytes;
    for (int i = 0; i < cases->block_count; i++) {
        memcpy(to, cases->blocks[i].data, cases->blocks[i].size);
        to += cases->blocks[i].size;
    }
}

static void restore_blocks(const image *kept, const kernel_cases *cases)
{
    const char *from = kept->bytes;
    for (int i = 0; i < cases->block_count; i++) {
        memcpy(cases->blocks[i].data, from, cases->blocks[i].size);
        from += cases->blocks[i].size;
    }
}

static bool differs(const image *kept, const kernel_cases *cases, int *block, size_t *offset)
{
    const char *expected = kept->bytes;
    for (*block = 0; *block < cases->block_count; ++*block) {
        const case_block *found = &cases->blocks[*block];
        for (*offset = 0; found->holds_numbers && *offset < found->used; ++*offset) {
            if (((const char *)found->data)[*offset] != expected[*offset]) {
                return true;
            }
        }
        expected += found->size;
    }
    return false;
}

typedef struct comparison {
    image before;
    image expected;
    int64_t cases;
    /* Of the table that was called last. */
    int table;
} comparison;

/* One call by the reference, which is table 0, then one from the same data by each other table. */
static bool compare_tables(kernel_cases *cases)
{
    comparison *found = cases->visitor;
    int block;
    size_t offset;
    cases->calls = 1;
    if (cases->batches == 0) {
        keep_blocks(&found->before, cases);
        found->table = 0;
        cases->kernels = table_number(0);
        return true;
    }
    if (found->table == 0) {
        ck_assert_msg(differs(&found->before, cases, &block, &offset),
                      "%s, %s: the reference changes nothing", cases->kernel, cases->label);
        keep_blocks(&found->expected, cases);
        found->cases++;
    } else {
        ck_assert_msg(!differs(&found->expected, cases, &block, &offset),
                      "%s, %s: table %d differs from the reference in block %d, byte %zu",
                      cases->kernel, cases->label, found->table, block, offset);
    }
    do {
        found->table++;
    } while (found->table < TABLE_COUNT && !table_number(found->table));
    if (found->table == TABLE_COUNT) {
        return false;
    }
    restore_blocks(&found->before, cases);
    cases->kernels = table_number(found->table);
    return true;
}

START_TEST(every_kernel_leaves_the_same_bits_on_every_instruction_set)
{
    comparison found = {0};
    kernel_cases cases = {.more = compare_tables, .visitor = &found};
    const int64_t kernels = visit_kernel_cases(&cases, "");
    ck_assert_int_gt(kernels, 0);
    ck_assert_int_ge(found.cases, kernels);
    free(found.before.bytes);
    free(found.expected.bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernel_cases");
    TCase *tests = tcase_create("kernel_cases");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, every_kernel_leaves_the_same_bits_on_every_instruction_set);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
