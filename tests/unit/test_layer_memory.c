/* SPDX-License-Identifier: BSD-2-Clause */
/* Each allocation of each call fails in turn: the call says MEMORY, gives nothing, keeps nothing.
 */
#include "support.h"

#include "sfconv/sfconv.h"

#include <string.h>

/* An allocator that refuses allocation number `fail_at` (from 0; negative: none). */
static struct {
    int64_t calls;
    int64_t fail_at;
    int64_t bytes;
} heap;

static void *heap_allocate(void *user, size_t bytes, size_t alignment)
{
    (void)user;
    if (heap.calls++ == heap.fail_at) {
        return NULL;
    }
    heap.bytes += (int64_t)bytes;
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void heap_release(void *user, void *memory, size_t bytes)
{
    (void)user;
    heap.bytes -= (int64_t)bytes;
    free(memory);
}

static sfconv_context *context;
static sfconv_layer *dense;
static sfconv_layer *factorized;

static sfconv_sfconv2d_desc factor_desc(void)
{
    sfconv_sfconv2d_desc desc = SFCONV_SFCONV2D_DESC_INIT;
    desc.in_channels = 4;
    desc.out_channels = 6;
    desc.rank = 3;
    desc.has_bias = 1;
    desc.spectral_norm = 1;
    desc.initialization = SFCONV_INITIALIZATION_SPECTRAL;
    desc.regularizer = SFCONV_REGULARIZER_KL;
    desc.regularizer_weight = 0.1;
    return desc;
}

static sfconv_status make_dense(sfconv_layer **layer)
{
    sfconv_conv2d_desc desc = SFCONV_CONV2D_DESC_INIT;
    desc.in_channels = 4;
    desc.out_channels = 6;
    desc.has_bias = 1;
    return sfconv_conv2d_create(layer, context, &desc);
}

static sfconv_status make_factorized(sfconv_layer **layer)
{
    const sfconv_sfconv2d_desc desc = factor_desc();
    return sfconv_sfconv2d_create(layer, context, &desc);
}

static sfconv_status make_linear(sfconv_layer **layer)
{
    sfconv_linear_desc desc = SFCONV_LINEAR_DESC_INIT;
    desc.in_features = desc.out_features = 3;
    return sfconv_linear_create(layer, context, &desc);
}

static sfconv_status compose(sfconv_layer **layer)
{
    return sfconv_layer_compose(layer, factorized);
}

static sfconv_status decompose(sfconv_layer **layer)
{
    const sfconv_sfconv2d_desc desc = factor_desc();
    return sfconv_layer_decompose(layer, dense, &desc, NULL, NULL, NULL);
}

static sfconv_status cut_rank(sfconv_layer **layer)
{
    return sfconv_layer_cut_rank(layer, factorized, 2, NULL);
}

static sfconv_status svd_update(sfconv_layer **layer)
{
    *layer = NULL;
    return sfconv_layer_svd_update(factorized, SFCONV_SVD_EXACT);
}

static sfconv_status rebalance(sfconv_layer **layer)
{
    *layer = NULL;
    return sfconv_layer_rebalance(factorized);
}

static sfconv_status regularizer(sfconv_layer **layer)
{
    double value;
    *layer = NULL;
    return sfconv_layer_regularizer(factorized, SFCONV_SVD_EXACT, &value);
}

static sfconv_status product_values(sfconv_layer **layer)
{
    double values[3];
    int64_t count;
    *layer = NULL;
    return sfconv_layer_singular_values(factorized, SFCONV_FACTOR_PRODUCT, values, 3, &count);
}

static sfconv_status choose_ranks(sfconv_layer **layer)
{
    const sfconv_layer *layers[] = {dense, factorized};
    int64_t ranks[2];
    *layer = NULL;
    return sfconv_choose_ranks(ranks, layers, 2, SFCONV_BUDGET_PARAMETERS, 200, NULL, NULL, NULL);
}

static sfconv_status kl(sfconv_layer **layer)
{
    float data[6] = {1, 2, 3, 4, 5, 7};
    float target[6] = {0};
    const sfconv_view matrix = {data, 2, 0, {3, 2}, {2, 1}};
    const sfconv_view gradient = {target, 2, 0, {3, 2}, {2, 1}};
    double value;
    *layer = NULL;
    return sfconv_kl(context, &matrix, SFCONV_REGULARIZER_KL, SFCONV_SVD_EXACT, 1, &value,
                     &gradient);
}

static const struct {
    const char *name;
    sfconv_status (*call)(sfconv_layer **layer);
} calls[] = {
    {"conv2d", make_dense},         {"sfconv2d", make_factorized},
    {"linear", make_linear},        {"compose", compose},
    {"decompose", decompose},       {"cut_rank", cut_rank},
    {"svd_update", svd_update},     {"rebalance", rebalance},
    {"regularizer", regularizer},   {"product_values", product_values},
    {"choose_ranks", choose_ranks}, {"kl", kl},
};

static void open_context(void)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    desc.allocate = heap_allocate;
    desc.release = heap_release;
    memset(&heap, 0, sizeof heap);
    heap.fail_at = -1;
    ck_assert_int_eq(sfconv_context_create(&context, &desc), SFCONV_OK);
    ck_assert_int_eq(make_dense(&dense), SFCONV_OK);
    ck_assert_int_eq(make_factorized(&factorized), SFCONV_OK);
    /* The state that an update replaces is there from the start. */
    ck_assert_int_eq(sfconv_layer_svd_update(factorized, SFCONV_SVD_EXACT), SFCONV_OK);
}

/* The context goes before its layers: they keep it. */
static void close_context(void)
{
    heap.fail_at = -1;
    sfconv_context_destroy(context);
    sfconv_layer_destroy(dense);
    sfconv_layer_destroy(factorized);
    ck_assert_int_eq(heap.bytes, 0);
}

START_TEST(every_allocation_may_fail)
{
    const int64_t before = heap.bytes;
    int64_t failures = 0;
    for (;; failures++) {
        sfconv_layer *layer = dense;
        heap.calls = 0;
        heap.fail_at = failures;
        const sfconv_status status = calls[_i].call(&layer);
        if (status == SFCONV_OK) {
            heap.fail_at = -1;
            sfconv_layer_destroy(layer);
            ck_assert_int_eq(heap.bytes, before);
            break;
        }
        ck_assert_msg(status == SFCONV_ERROR_MEMORY, "%s, allocation %lld: %s", calls[_i].name,
                      (long long)failures, sfconv_status_name(status));
        ck_assert_ptr_null(layer);
        ck_assert_int_eq(heap.bytes, before);
        ck_assert_ptr_nonnull(strstr(sfconv_context_last_error(context), "out of memory"));
    }
    ck_assert_int_gt(failures, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("layer_memory");
    TCase *tests = tcase_create("layer_memory");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, open_context, close_context);
    tcase_add_loop_test(tests, every_allocation_may_fail, 0, (int)(sizeof calls / sizeof calls[0]));
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
