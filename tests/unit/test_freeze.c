/* SPDX-License-Identifier: BSD-2-Clause */
/* Frozen weights: the same bits, memory known to the byte, and what becomes of changed parameters.
 */
#include "random_nets.h"
#include "tally.h"

static const int32_t convolutions[] = {SFCONV_CONVOLUTION_DIRECT, SFCONV_CONVOLUTION_WINOGRAD,
                                       SFCONV_CONVOLUTION_AUTO};

static sfconv_net *new_model(sfconv_context *context, int32_t model, int32_t method)
{
    sfconv_model_desc desc = SFCONV_MODEL_DESC_INIT;
    sfconv_net *net;
    desc.model = model;
    desc.method = method;
    desc.out_channels = 20;
    ck_assert_int_eq(sfconv_model_create(&net, context, &desc), SFCONV_OK);
    return net;
}

static int64_t frozen_bytes_of(sfconv_run *run)
{
    int64_t bytes;
    ck_assert_int_eq(sfconv_run_frozen_bytes(run, &bytes), SFCONV_OK);
    return bytes;
}

static void freeze(sfconv_run *run)
{
    ck_assert_int_eq(sfconv_run_freeze(run, NULL, 0), SFCONV_OK);
}

/* --- Bits --- */

/* Layers of every shape that freezing knows: panels that are not full, groups, several blocks of
 * depth, maps of few pixels and of one, long rows, strides, Winograd with few tiles and with one
 * panel, and layers behind each other. */
static sfconv_net *net_of_layers(sfconv_context *context)
{
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 36);
    int32_t at = put_after(net, "a", new_conv(context, 36, 50, 1, 1), x);
    put_output(net, at);
    at = put_after(net, "b", new_conv(context, 50, 130, 2, 2), at);
    sfconv_conv2d_desc desc = SFCONV_CONV2D_DESC_INIT;
    sfconv_layer *layer;
    desc.in_channels = 130;
    desc.out_channels = 40;
    desc.groups = 2;
    desc.kernel[0] = 1;
    desc.kernel[1] = 5;
    desc.padding[0] = 0;
    desc.padding[1] = 2;
    ck_assert_int_eq(sfconv_conv2d_create(&layer, context, &desc), SFCONV_OK);
    at = put_after(net, "c", layer, at);
    put_output(net, at);
    at = put_after(net, "d", new_dsconv(context, 40, 33, 3), at);
    at = put_after(net, "e", new_conv(context, 33, 17, 1, 4), at);
    at = put_after(net, "f", new_pool(context, SFCONV_POOL_GLOBAL_AVERAGE), at);
    put_output(net, put_after(net, "g", new_linear(context, 17, 19, 5), at));
    return net;
}

static uint64_t bits_of(sfconv_context *context, bool frozen, sfconv_shape shape)
{
    sfconv_net *net = net_of_layers(context);
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    ck_assert_int_eq(sfconv_run_reshape(run, &shape, 1, NULL, 0), SFCONV_OK);
    if (frozen) {
        ck_assert_int_gt(frozen_bytes_of(run), 0);
        freeze(run);
    }
    const uint64_t bits = forward_hash(run, 3);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
    return bits;
}

START_TEST(frozen_layers_give_the_same_bits_whoever_computes)
{
    static const sfconv_shape shapes[] = {
        {1, 36, 14, 14}, {2, 36, 7, 7}, {1, 36, 2, 3}, {1, 36, 4, 300}, {3, 36, 21, 20}};
    static const int32_t isas[] = {SFCONV_ISA_BEST, SFCONV_ISA_REFERENCE, SFCONV_ISA_AVX2,
                                   SFCONV_ISA_AVX512, SFCONV_ISA_NEON};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const uint64_t expected =
            bits_of(convolution_context(1, SFCONV_ISA_BEST, convolutions[_i]), false, shapes[i]);
        for (int32_t workers = 1; workers <= 5; workers += 2) {
            ck_assert_uint_eq(
                bits_of(convolution_context(workers, SFCONV_ISA_BEST, convolutions[_i]), true,
                        shapes[i]),
                expected);
        }
        for (size_t j = 0; j < sizeof isas / sizeof *isas; j++) {
            sfconv_context *context = convolution_context(1, isas[j], convolutions[_i]);
            ck_assert(!context || bits_of(context, true, shapes[i]) == expected);
        }
    }
}
END_TEST

START_TEST(frozen_networks_give_the_same_bits)
{
    static const int32_t models[] = {SFCONV_MODEL_RESNET18, SFCONV_MODEL_UNET,
                                     SFCONV_MODEL_TINY_CLASSIFIER, SFCONV_MODEL_TINY_SEGMENTER};
    static const int32_t methods[] = {SFCONV_METHOD_CONV, SFCONV_METHOD_DPCCONV,
                                      SFCONV_METHOD_SFCONV};
    for (int method = 0; method < 3; method++) {
        sfconv_context *context = convolution_context(2, SFCONV_ISA_BEST, convolutions[method]);
        sfconv_net *net = new_model(context, models[_i], methods[method]);
        for (int32_t engine = SFCONV_ENGINE_LAYERS; engine <= SFCONV_ENGINE_RANK_SPACE; engine++) {
            sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
            ck_assert_int_eq(sfconv_run_set_engine(run, engine), SFCONV_OK);
            reshape_run(run, 1, 64, 64);
            const uint64_t expected = forward_hash(run, 1);
            freeze(run);
            ck_assert_uint_eq(forward_hash(run, 1), expected);
            ck_assert_int_eq(sfconv_run_thaw(run), SFCONV_OK);
            ck_assert_uint_eq(forward_hash(run, 1), expected);
            sfconv_run_destroy(run);
        }
        sfconv_net_destroy(net);
        sfconv_context_destroy(context);
    }
}
END_TEST

START_TEST(frozen_random_nets_give_the_same_bits)
{
    sfconv_context *context = public_context(2, SFCONV_ISA_BEST);
    int frozen = 0;
    for (uint64_t seed = 0; seed < (uint64_t)rounds_of(150); seed++) {
        random_net made = new_random_net(context, NETS_SEED + 4000 + seed);
        sfconv_run *run = new_run(made.net, SFCONV_MODE_INFERENCE);
        reshape_random(run, &made);
        const uint64_t expected = forward_hash(run, 1);
        frozen += frozen_bytes_of(run) > 0;
        freeze(run);
        ck_assert_msg(forward_hash(run, 1) == expected, "random net %d", (int)seed);
        sfconv_run_destroy(run);
        sfconv_net_destroy(made.net);
    }
    ck_assert_int_gt(frozen, rounds_of(20));
    sfconv_context_destroy(context);
}
END_TEST

/* --- Parameters --- */

/* One dense layer that freezing serves: no stem, as its 36 channels have too many taps. */
static sfconv_net *dense_net(sfconv_context *context)
{
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 36);
    put_output(net, put_after(net, "a", new_conv(context, 36, 24, 1, 1), x));
    return net;
}

START_TEST(changed_weights_count_once_the_run_is_frozen_again_thawed_or_reshaped)
{
    sfconv_context *context = convolution_context(1, SFCONV_ISA_BEST, convolutions[_i]);
    sfconv_net *net = dense_net(context);
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    sfconv_run *other = new_run(net, SFCONV_MODE_INFERENCE);
    const sfconv_view weight = parameter_of(net, 0).view;
    reshape_run(run, 1, 6, 6);
    reshape_run(other, 1, 6, 6);
    freeze(run);
    for (int way = 0; way < 3; way++) {
        const uint64_t before = forward_hash(run, 1);
        weight.data[7 + way] += 0.5f;
        ck_assert_uint_eq(forward_hash(run, 1), before);
        const uint64_t now = forward_hash(other, 1);
        ck_assert_uint_ne(now, before);
        if (way == 0) {
            freeze(run);
        } else if (way == 1) {
            ck_assert_int_eq(sfconv_run_thaw(run), SFCONV_OK);
        } else {
            reshape_run(run, 1, 6, 6);
        }
        ck_assert_uint_eq(forward_hash(run, 1), now);
        if (way == 1) {
            freeze(run);
        }
    }
    sfconv_run_destroy(other);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

/* --- Memory and refusals --- */

START_TEST(frozen_weights_take_what_was_told_and_give_it_back)
{
    tally memory = {0};
    sfconv_context *context = tally_context(&memory, 2, SFCONV_ISA_BEST);
    sfconv_net *net = new_model(context, SFCONV_MODEL_TINY_CLASSIFIER, SFCONV_METHOD_CONV);
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    reshape_run(run, 1, 32, 32);
    const uint64_t expected = forward_hash(run, 1);
    const int64_t told = frozen_bytes_of(run), before = tally_bytes(&memory);
    ck_assert_int_gt(told, 0);
    for (int round = 0; round < 2; round++) {
        freeze(run);
        ck_assert_int_eq(tally_bytes(&memory), before + told);
    }
    tally_refuse(&memory, 0);
    ck_assert_uint_eq(forward_hash(run, 1), expected);
    ck_assert_int_eq(tally_requests(&memory), 0);
    ck_assert_int_eq(sfconv_run_thaw(run), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_thaw(run), SFCONV_OK);
    ck_assert_int_eq(tally_bytes(&memory), before);
    /* Lent, with canaries behind. */
    unsigned char *lent = aligned_alloc(64, (size_t)told + 64);
    memset(lent + told, 0x5a, 64);
    ck_assert_int_eq(sfconv_run_freeze(run, lent, told - 1), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_run_freeze(run, lent + 4, told + 60), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_run_freeze(run, lent, told), SFCONV_OK);
    ck_assert_uint_eq(forward_hash(run, 1), expected);
    ck_assert_int_eq(tally_bytes(&memory), before);
    for (int i = 0; i < 64; i++) {
        ck_assert_int_eq(lent[told + i], 0x5a);
    }
    freeze(run);
    ck_assert_int_eq(tally_bytes(&memory), before + told);
    free(lent);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
    ck_assert_int_eq(tally_bytes(&memory), 0);
}
END_TEST

START_TEST(a_freeze_that_finds_no_memory_changes_nothing)
{
    tally memory = {0};
    sfconv_context *context = tally_context(&memory, 1, SFCONV_ISA_BEST);
    sfconv_net *net = dense_net(context);
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    reshape_run(run, 1, 6, 6);
    const int64_t before = tally_bytes(&memory);
    tally_refuse(&memory, 1);
    ck_assert_int_eq(sfconv_run_freeze(run, NULL, 0), SFCONV_ERROR_MEMORY);
    tally_refuse(&memory, 0);
    ck_assert_int_eq(tally_bytes(&memory), before);
    parameter_of(net, 0).view.data[0] += 1;
    const uint64_t now = forward_hash(run, 1);
    freeze(run);
    ck_assert_uint_eq(forward_hash(run, 1), now);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(only_an_inference_run_that_has_a_size_is_frozen)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = dense_net(context);
    for (int32_t mode = SFCONV_MODE_INFERENCE; mode <= SFCONV_MODE_TRAINING; mode++) {
        sfconv_run *run = new_run(net, mode);
        int64_t bytes = 7;
        if (mode == SFCONV_MODE_TRAINING) {
            reshape_run(run, 1, 6, 6);
        }
        ck_assert_int_eq(sfconv_run_freeze(run, NULL, 0), SFCONV_ERROR_STATE);
        ck_assert_int_eq(sfconv_run_frozen_bytes(run, &bytes), SFCONV_ERROR_STATE);
        ck_assert_int_eq(sfconv_run_thaw(run), SFCONV_ERROR_STATE);
        ck_assert_int_eq(bytes, 7);
        if (mode == SFCONV_MODE_INFERENCE) {
            reshape_run(run, 1, 6, 6);
            ck_assert_int_eq(sfconv_run_frozen_bytes(run, NULL), SFCONV_ERROR_ARGUMENT);
        }
        sfconv_run_destroy(run);
    }
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(a_factorized_net_freezes_both_products_of_its_pairs_and_its_norms)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 8);
    const int32_t a = put_after(net, "a", new_sfconv(context, 8, 32, 2, 0, 0, 1), x);
    const int32_t norm = put_after(net, "norm", new_batchnorm(context, 32), a);
    put_output(net, put_after(net, "b", new_sfconv(context, 32, 32, 2, 0, 0, 2), norm));
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    reshape_run(run, 1, 9, 9);
    const uint64_t expected = forward_hash(run, 1);
    ck_assert_int_gt(frozen_bytes_of(run), 0);
    freeze(run);
    ck_assert_uint_eq(forward_hash(run, 1), expected);
    for (int32_t i = 0; i < sfconv_net_parameter_count(net); i++) {
        const sfconv_view weight = parameter_of(net, i).view;
        const float before = weight.data[0];
        weight.data[0] += 0.5f;
        freeze(run);
        ck_assert_uint_ne(forward_hash(run, 1), expected);
        weight.data[0] = before;
        freeze(run);
        ck_assert_uint_eq(forward_hash(run, 1), expected);
    }
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("freeze");
    TCase *tests = tcase_create("freeze");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, frozen_layers_give_the_same_bits_whoever_computes, 0, 3);
    tcase_add_loop_test(tests, frozen_networks_give_the_same_bits, 0, 4);
    tcase_add_test(tests, frozen_random_nets_give_the_same_bits);
    tcase_add_loop_test(
        tests, changed_weights_count_once_the_run_is_frozen_again_thawed_or_reshaped, 0, 2);
    tcase_add_test(tests, frozen_weights_take_what_was_told_and_give_it_back);
    tcase_add_test(tests, a_freeze_that_finds_no_memory_changes_nothing);
    tcase_add_test(tests, only_an_inference_run_that_has_a_size_is_frozen);
    tcase_add_test(tests, a_factorized_net_freezes_both_products_of_its_pairs_and_its_norms);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
