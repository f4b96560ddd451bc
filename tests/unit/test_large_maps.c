/* SPDX-License-Identifier: BSD-2-Clause */
/* A factorized layer whose full-width maps are larger than a cache: they are read and written in
 * ways of their own, with the numbers, the bits and the memory of every other map. */
#include "nets.h"
#include "tally.h"

#include "rank_work.h"

#define CHANNELS 9
#define RANK 2

static const sfconv_shape shape = {2, CHANNELS, 173, 171};
/* A pair with BatchNorm and an activation that reads a map and leaves one. */
static sfconv_net *new_pair(sfconv_context *context, int32_t activation)
{
    sfconv_net *net = empty_net(context);
    int32_t node = put_input(net, "in", CHANNELS);
    node = put_after(net, "conv",
                     new_sfconv(context, CHANNELS, CHANNELS, RANK, SFCONV_REGULARIZER_NONE, 0, 4),
                     node);
    node = put_after(net, "norm", new_batchnorm(context, CHANNELS), node);
    node = put_after(net, "activation", new_activation(context, activation), node);
    put_output(net, node);
    return net;
}

START_TEST(the_maps_are_larger_than_what_the_library_calls_large)
{
    ck_assert_int_gt(shape.channels * shape.height * shape.width, SFI_RANK_LARGE);
}
END_TEST

START_TEST(large_maps_have_the_numbers_of_the_layer_path)
{
    static const int32_t activations[] = {SFCONV_ACTIVATION_RELU, SFCONV_ACTIVATION_LEAKY_RELU};
    sfconv_context *context = public_context(2, SFCONV_ISA_BEST);
    sfconv_net *net = new_pair(context, activations[_i]);
    sfconv_run *layers = forward_of(net, SFCONV_ENGINE_LAYERS, shape);
    sfconv_run *ranks = forward_of(net, SFCONV_ENGINE_RANK_SPACE, shape);
    const sfconv_view a = output_of(layers, 0), b = output_of(ranks, 0);
    ck_assert_double_gt(largest_of(&a), 0.1);
    ck_assert_double_le(distance_of(&a, &b), 1e-5 * largest_of(&a));
    sfconv_run_destroy(layers);
    sfconv_run_destroy(ranks);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

/* 0 where the processor lacks the instruction set. */
static uint64_t bits_of(int32_t workers, int32_t isa)
{
    sfconv_context *context = convolution_context(workers, isa, SFCONV_CONVOLUTION_AUTO);
    if (!context) {
        return 0;
    }
    sfconv_net *net = new_pair(context, SFCONV_ACTIVATION_RELU);
    sfconv_run *run = forward_of(net, SFCONV_ENGINE_RANK_SPACE, shape);
    const uint64_t bits = hash_outputs(run);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
    return bits;
}

START_TEST(large_maps_have_the_same_bits_whoever_computes)
{
    static const int32_t isas[] = {SFCONV_ISA_REFERENCE, SFCONV_ISA_AVX2, SFCONV_ISA_AVX512,
                                   SFCONV_ISA_NEON};
    const uint64_t expected = bits_of(1, SFCONV_ISA_BEST);
    ck_assert(bits_of(3, SFCONV_ISA_BEST) == expected);
    for (int i = 0; i < 4; i++) {
        const uint64_t bits = bits_of(2, isas[i]);
        ck_assert_msg(bits == 0 || bits == expected, "isa %d", isas[i]);
    }
}
END_TEST

START_TEST(memory_of_large_maps_is_known_to_the_byte)
{
    tally memory = {0};
    sfconv_context *context = tally_context(&memory, 1 + 2 * _i, SFCONV_ISA_BEST);
    sfconv_net *net = new_pair(context, SFCONV_ACTIVATION_RELU);
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    int64_t told;
    ck_assert_int_eq(sfconv_run_bytes(run, &shape, 1, &told), SFCONV_OK);
    const int64_t before = tally_bytes(&memory);
    ck_assert_int_eq(sfconv_run_reshape(run, &shape, 1, NULL, 0), SFCONV_OK);
    ck_assert_int_eq(tally_bytes(&memory) - before, told);
    tally_refuse(&memory, 0);
    fill_inputs(run, 3);
    run_forward(run);
    ck_assert_int_eq(tally_requests(&memory), 0);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
    ck_assert_int_eq(tally_bytes(&memory), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("large_maps");
    TCase *tests = tcase_create("large_maps");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, the_maps_are_larger_than_what_the_library_calls_large);
    tcase_add_loop_test(tests, large_maps_have_the_numbers_of_the_layer_path, 0, 2);
    tcase_add_test(tests, large_maps_have_the_same_bits_whoever_computes);
    tcase_add_loop_test(tests, memory_of_large_maps_is_known_to_the_byte, 0, 2);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
