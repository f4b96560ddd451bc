/* SPDX-License-Identifier: BSD-2-Clause */
/* Inference in rank space: the numbers of the layer path, the same bits everywhere, less memory. */
#include "tally.h"
#include "trials.h"

#define RANDOM_NETS 400

static const net_maker makers[] = {new_random_net, new_random_stem_net};

static sfconv_run *run_with(sfconv_net *net, int32_t engine, sfconv_shape shape)
{
    return new_run_of(net, engine, &shape, 1);
}

START_TEST(random_nets_agree_with_the_layer_path)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    for (uint64_t seed = 0; seed < (uint64_t)rounds_of(RANDOM_NETS); seed++) {
        check_random_inference(context, makers[_i], seed);
    }
    sfconv_context_destroy(context);
}
END_TEST

/* What random nets seldom hit: a concatenation of one map with itself, as it is and through
 * up-samplings by 1, which its step leaves to the end, in every order; mixed for the taps of a
 * factorized layer, and straight into the map of a 1x1 convolution. */
START_TEST(a_map_may_stand_in_a_concatenation_in_several_ways)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    static const int64_t once[2] = {1, 1};
    for (int order = 0; order < 27; order++) {
        sfconv_net *net = empty_net(context);
        const int32_t x = put_input(net, "x", 5);
        const int32_t a = put_after(net, "a", new_sfconv(context, 5, 6, 2, 0, 0, 1), x);
        int32_t ways[3] = {a};
        for (int i = 1; i < 3; i++) {
            sfconv_layer *layer;
            ck_assert_int_eq(
                sfconv_upsample2d_create(&layer, context, SFCONV_UPSAMPLE_NEAREST, once),
                SFCONV_OK);
            ways[i] = put_after(net, i == 1 ? "b" : "c", layer, a);
        }
        const int32_t inputs[] = {ways[order % 3], ways[order / 3 % 3], ways[order / 9]};
        const int32_t all = put_layer(net, "d", new_concat(context), inputs, 3);
        put_output(net, put_after(net, "e", new_sfconv(context, 18, 7, 3, 0, 0, 2), all));
        put_output(net, put_after(net, "f", new_pointwise(context, 18, 4), all));
        check_engines_agree(net, (sfconv_shape){2, 5, 9, 11}, 1e-5, "one map in several ways");
        sfconv_net_destroy(net);
    }
    sfconv_context_destroy(context);
}
END_TEST

static const int32_t models[] = {SFCONV_MODEL_RESNET18, SFCONV_MODEL_UNET,
                                 SFCONV_MODEL_TINY_CLASSIFIER, SFCONV_MODEL_TINY_SEGMENTER};

START_TEST(ready_made_networks_agree_with_the_layer_path)
{
    static const int32_t methods[] = {SFCONV_METHOD_SFCONV, SFCONV_METHOD_FCONVSN,
                                      SFCONV_METHOD_CONV, SFCONV_METHOD_DPCCONV};
    sfconv_context *context = public_context(2, SFCONV_ISA_BEST);
    for (int method = 0; method < 4; method++) {
        sfconv_net *net = new_network(context, models[_i], methods[method], 1.0 / 32);
        settle_statistics(net);
        check_engines_agree(net, (sfconv_shape){2, 3, 64, 64}, 1e-5, "ready-made network");
        sfconv_net_destroy(net);
    }
    sfconv_context_destroy(context);
}
END_TEST

static uint64_t bits_of(net_maker make, int32_t workers, int32_t isa, uint64_t seed)
{
    sfconv_context *context = convolution_context(workers, isa, SFCONV_CONVOLUTION_AUTO);
    if (!context) {
        return 0;
    }
    const uint64_t bits = inference_bits(context, make, seed, workers);
    sfconv_context_destroy(context);
    return bits;
}

START_TEST(every_instruction_set_and_number_of_workers_gives_the_same_bits)
{
    static const int32_t workers[] = {1, 2, 3, 5, 8, 16};
    static const int32_t isas[] = {SFCONV_ISA_REFERENCE, SFCONV_ISA_AVX2, SFCONV_ISA_AVX512,
                                   SFCONV_ISA_NEON};
    for (uint64_t seed = 0; seed < 12; seed++) {
        const uint64_t expected = bits_of(makers[_i], 1, SFCONV_ISA_BEST, seed);
        for (int i = 0; i < 6; i++) {
            ck_assert_msg(bits_of(makers[_i], workers[i], SFCONV_ISA_BEST, seed) == expected,
                          "random net %d, %d workers", (int)seed, workers[i]);
        }
        for (int i = 0; i < 4; i++) {
            const uint64_t bits = bits_of(makers[_i], 1, isas[i], seed);
            ck_assert_msg(bits == 0 || bits == expected, "random net %d, isa %d", (int)seed,
                          isas[i]);
        }
    }
}
END_TEST

START_TEST(memory_is_known_to_the_byte_and_forward_takes_none)
{
    for (uint64_t seed = 0; seed < (uint64_t)rounds_of(40); seed++) {
        tally memory = {0};
        sfconv_context *context = tally_context(&memory, 1 + (int32_t)seed % 3, SFCONV_ISA_BEST);
        random_net made = makers[_i](context, NETS_SEED + seed);
        sfconv_run *run = new_run(made.net, SFCONV_MODE_INFERENCE);
        int64_t told[2], by_net;
        for (int32_t engine = SFCONV_ENGINE_LAYERS; engine <= SFCONV_ENGINE_RANK_SPACE; engine++) {
            const int64_t before = tally_bytes(&memory);
            ck_assert_int_eq(sfconv_run_set_engine(run, engine), SFCONV_OK);
            ck_assert_int_eq(
                sfconv_run_bytes(run, made.shapes, made.input_count, &told[engine - 1]), SFCONV_OK);
            ck_assert_int_eq(tally_bytes(&memory), before);
            reshape_random(run, &made);
            const int64_t other = engine == SFCONV_ENGINE_LAYERS ? 0 : told[0];
            ck_assert_int_eq(tally_bytes(&memory) - before, told[engine - 1] - other);
        }
        ck_assert_int_eq(sfconv_net_run_bytes(made.net, SFCONV_MODE_INFERENCE, made.shapes,
                                              made.input_count, &by_net),
                         SFCONV_OK);
        ck_assert_int_eq(by_net, told[1]);
        tally_refuse(&memory, 0);
        forward_filled(run, 7);
        ck_assert_int_eq(tally_requests(&memory), 0);
        sfconv_run_destroy(run);
        sfconv_net_destroy(made.net);
        sfconv_context_destroy(context);
        ck_assert_int_eq(tally_bytes(&memory), 0);
    }
}
END_TEST

START_TEST(a_factorized_unet_stores_no_full_map)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = new_network(context, SFCONV_MODEL_UNET, SFCONV_METHOD_SFCONV, 1.0 / 32);
    const sfconv_shape shape = {1, 3, 64, 64};
    sfconv_run *run = run_with(net, SFCONV_ENGINE_RANK_SPACE, shape);
    const char *text = plan_of(run);
    ck_assert_ptr_nonnull(strstr(text, "inference, in rank space\n"));
    ck_assert_ptr_null(strstr(text, "\nlayer "));
    ck_assert_ptr_nonnull(strstr(text, "\nvirtual up1.concat"));
    ck_assert_ptr_nonnull(strstr(text, "\nmixed   outc.conv"));
    int stored = 0;
    for (const char *at = text; (at = strstr(at, "stored ")) != NULL; at += 7) {
        stored += strtol(at + 7, NULL, 10) > 0;
    }
    /* Input and output. */
    ck_assert_int_eq(stored, 2);
    ck_assert_int_eq(sfconv_run_set_engine(run, SFCONV_ENGINE_LAYERS), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_reshape(run, &shape, 1, NULL, 0), SFCONV_OK);
    text = plan_of(run);
    ck_assert_ptr_nonnull(strstr(text, "inference, layer by layer\n"));
    ck_assert_ptr_null(strstr(text, "\nvirtual"));
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

/* What the plan says of a node: "VERB NAME", and "stored N B" behind. */
static void check_step(const char *text, const char *step, int64_t stored)
{
    const char *line = strstr(text, step);
    ck_assert_msg(line != NULL, "%s is not in\n%s", step, text);
    ck_assert_int_eq(strtoll(strstr(line, "stored ") + 7, NULL, 10), stored);
}

static const char *plan_of_resnet(int32_t convolution)
{
    sfconv_context *context = convolution_context(1, SFCONV_ISA_BEST, convolution);
    ck_assert_ptr_nonnull(context);
    sfconv_net *net = new_network(context, SFCONV_MODEL_RESNET18, SFCONV_METHOD_SFCONV, 1.0 / 32);
    sfconv_run *run = run_with(net, SFCONV_ENGINE_RANK_SPACE, (sfconv_shape){1, 3, 64, 64});
    const char *text = plan_of(run);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
    return text;
}

START_TEST(a_stem_stores_its_pooled_map_alone)
{
    const char *text = plan_of_resnet(SFCONV_CONVOLUTION_AUTO);
    check_step(text, "\nfused   conv1 ", 0);
    check_step(text, "\nfused   bn1 ", 0);
    check_step(text, "\nfused   relu ", 0);
    check_step(text, "\nexpand  maxpool ", 64 * 16 * 16 * (int64_t)sizeof(float));
    /* 7 products for 4 outputs, once for each parity of the columns. */
    char macs[64];
    snprintf(macs, sizeof macs, " %d MACs F(4, 4) in place of %d,", 64 * 32 * 8 * 7 * 2 * 3 * 7,
             64 * 32 * 32 * 3 * 7 * 7);
    ck_assert_msg(strstr(text, macs) != NULL, "%s is not in\n%s", macs, text);
    snprintf(macs, sizeof macs, " 6 mixed maps, %d MACs direct\n", 64 * 16 * 16 * 2 * 3);
    ck_assert_msg(strstr(text, macs) != NULL, "%s is not in\n%s", macs, text);
    check_step(text, "\nfused   avgpool ", 512 * (int64_t)sizeof(float));
    check_step(text, "\nexpand  layer4.1.relu2 ", 0);
    text = plan_of_resnet(SFCONV_CONVOLUTION_DIRECT);
    check_step(text, "\nexpand  relu ", 64 * 32 * 32 * (int64_t)sizeof(float));
    check_step(text, "\nlayer   maxpool ", 64 * 16 * 16 * (int64_t)sizeof(float));
}
END_TEST

START_TEST(changed_parameters_count_at_the_next_forward)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = new_network(context, SFCONV_MODEL_TINY_SEGMENTER, SFCONV_METHOD_SFCONV, 0.25);
    const sfconv_shape shape = {1, 3, 16, 16};
    sfconv_run *ranks = run_with(net, SFCONV_ENGINE_RANK_SPACE, shape);
    forward_filled(ranks, 8);
    for (int32_t i = 0; i < sfconv_net_parameter_count(net); i++) {
        const sfconv_parameter_info info = parameter_of(net, i);
        info.view.data[sfconv_view_count(&info.view) - 1] += 0.5f;
        sfconv_run *fresh = run_with(net, SFCONV_ENGINE_RANK_SPACE, shape);
        forward_filled(ranks, 8);
        forward_filled(fresh, 8);
        ck_assert_msg(hash_outputs(ranks) == hash_outputs(fresh), "%s", info.name);
        sfconv_run_destroy(fresh);
    }
    sfconv_run_destroy(ranks);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(the_engine_is_a_setting_of_each_run)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = new_network(context, SFCONV_MODEL_TINY_SEGMENTER, SFCONV_METHOD_SFCONV, 0.25);
    sfconv_run *inference = new_run(net, SFCONV_MODE_INFERENCE);
    sfconv_run *training = new_run(net, SFCONV_MODE_TRAINING);
    const sfconv_shape shape = {1, 3, 16, 16};
    int64_t bytes;
    ck_assert_int_eq(sfconv_run_set_engine(inference, 0), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_run_set_engine(inference, 3), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_run_set_engine(NULL, 1), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_run_set_engine(training, 3), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_run_set_engine(training, SFCONV_ENGINE_LAYERS), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_set_engine(training, SFCONV_ENGINE_RANK_SPACE), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_bytes(inference, NULL, 1, &bytes), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_run_bytes(inference, &shape, 1, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_run_bytes(inference, &shape, 2, &bytes), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_run_bytes(NULL, &shape, 1, &bytes), SFCONV_ERROR_ARGUMENT);
    sfconv_run_destroy(inference);
    sfconv_run_destroy(training);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rank_space");
    TCase *tests = tcase_create("rank_space");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, random_nets_agree_with_the_layer_path, 0, 2);
    tcase_add_test(tests, a_map_may_stand_in_a_concatenation_in_several_ways);
    tcase_add_loop_test(tests, ready_made_networks_agree_with_the_layer_path, 0, 4);
    tcase_add_loop_test(tests, every_instruction_set_and_number_of_workers_gives_the_same_bits, 0,
                        2);
    tcase_add_loop_test(tests, memory_is_known_to_the_byte_and_forward_takes_none, 0, 2);
    tcase_add_test(tests, a_factorized_unet_stores_no_full_map);
    tcase_add_test(tests, a_stem_stores_its_pooled_map_alone);
    tcase_add_test(tests, changed_parameters_count_at_the_next_forward);
    tcase_add_test(tests, the_engine_is_a_setting_of_each_run);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
