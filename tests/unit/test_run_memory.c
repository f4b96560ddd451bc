/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory of a run is known beforehand to the byte, taken at reshape and given back whole; no
 * step of a training takes any more. */
#include "nets.h"
#include "tally.h"

static const int32_t models[] = {SFCONV_MODEL_RESNET18, SFCONV_MODEL_UNET,
                                 SFCONV_MODEL_TINY_CLASSIFIER, SFCONV_MODEL_TINY_SEGMENTER};
static const int32_t methods[] = {SFCONV_METHOD_CONV, SFCONV_METHOD_FCONVSN, SFCONV_METHOD_DPCCONV,
                                  SFCONV_METHOD_SFCONV};
static const int32_t modes[] = {SFCONV_MODE_INFERENCE, SFCONV_MODE_TRAINING};
static const int32_t workers[] = {1, 3};

#define CASES (4 * 4 * 2 * 2)

static void work(sfconv_run *run, sfconv_optimizer *optimizer, bool training)
{
    double value, norm;
    fill_inputs(run, 1);
    run_forward(run);
    if (!training) {
        return;
    }
    ck_assert_int_eq(sfconv_run_zero_gradients(run), SFCONV_OK);
    fill_output_gradients(run, 2);
    run_backward(run);
    ck_assert_int_eq(sfconv_run_regularize(run, &value), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_clip_gradients(run, 1.0, &norm), SFCONV_OK);
    ck_assert_int_eq(sfconv_optimizer_step(optimizer, run, 0.01), SFCONV_OK);
}

START_TEST(a_run_takes_what_was_told_and_no_more)
{
    const bool training = modes[_i / 2 % 2] == SFCONV_MODE_TRAINING;
    const sfconv_shape shape = {3, 3, 32, 32}, smaller = {2, 3, 32, 32};
    sfconv_model_desc model = SFCONV_MODEL_DESC_INIT;
    const sfconv_optimizer_desc desc = SFCONV_OPTIMIZER_DESC_INIT;
    tally memory = {0};
    sfconv_context *context = tally_context(&memory, workers[_i % 2], SFCONV_ISA_BEST);
    sfconv_net *net;
    sfconv_optimizer *optimizer;
    int64_t told, told_smaller;
    model.model = models[_i / 4 % 4];
    model.method = methods[_i / 16];
    model.regularizer_weight = 0.01;
    ck_assert_int_eq(sfconv_model_create(&net, context, &model), SFCONV_OK);
    ck_assert_int_eq(sfconv_optimizer_create(&optimizer, net, &desc), SFCONV_OK);
    const int64_t before = tally_bytes(&memory);
    ck_assert_int_eq(sfconv_net_run_bytes(net, modes[_i / 2 % 2], &shape, 1, &told), SFCONV_OK);
    ck_assert_int_eq(sfconv_net_run_bytes(net, modes[_i / 2 % 2], &smaller, 1, &told_smaller),
                     SFCONV_OK);
    ck_assert_int_eq(tally_bytes(&memory), before);
    ck_assert_int_lt(told_smaller, told);

    sfconv_run *run = new_run(net, modes[_i / 2 % 2]);
    const int64_t empty = tally_bytes(&memory);
    tally_take_peak(&memory);
    ck_assert_int_eq(sfconv_run_reshape(run, &shape, 1, NULL, 0), SFCONV_OK);
    ck_assert_int_eq(tally_bytes(&memory) - empty, told);
    tally_refuse(&memory, 0);
    work(run, optimizer, training);
    work(run, optimizer, training);
    ck_assert_int_eq(tally_requests(&memory), 0);
    ck_assert_int_eq(tally_take_peak(&memory) - empty, told);

    ck_assert_int_eq(sfconv_run_reshape(run, &smaller, 1, NULL, 0), SFCONV_OK);
    ck_assert_int_eq(tally_bytes(&memory) - empty, told_smaller);
    void *lent = aligned_alloc(64, (size_t)told);
    ck_assert_int_eq(sfconv_run_reshape(run, &shape, 1, lent, told), SFCONV_OK);
    ck_assert_int_eq(tally_bytes(&memory), empty);
    sfconv_run_destroy(run);
    ck_assert_int_eq(tally_bytes(&memory), before);
    free(lent);
    sfconv_optimizer_destroy(optimizer);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
    ck_assert_int_eq(tally_bytes(&memory), 0);
    ck_assert_int_eq(tally_blocks(&memory), 0);
}
END_TEST

/* A factorized or a dense layer of an input of two channels, by itself. */
static sfconv_net *strided_net(sfconv_context *context, bool factorized, int64_t stride)
{
    sfconv_sfconv2d_desc desc = SFCONV_SFCONV2D_DESC_INIT;
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 2);
    sfconv_layer *layer;
    if (factorized) {
        desc.in_channels = 2;
        desc.out_channels = 3;
        desc.rank = 2;
        desc.stride[0] = desc.stride[1] = stride;
        ck_assert_int_eq(sfconv_sfconv2d_create(&layer, context, &desc), SFCONV_OK);
    } else {
        layer = new_conv(context, 2, 3, stride, 1);
    }
    put_output(net, put_after(net, "a", layer, x));
    return net;
}

/* Where windows of a 4x4 map with padding 1 stand, strides of 6 and more cannot be told apart. */
START_TEST(a_stride_far_beyond_the_map_takes_the_memory_of_one_that_just_leaves_it)
{
    const int64_t strides[2] = {6, INT64_C(1) << 30};
    const sfconv_shape shape = {2, 2, 4, 4};
    const int32_t engine = _i / 2 % 2 == 0 ? SFCONV_ENGINE_LAYERS : SFCONV_ENGINE_RANK_SPACE;
    const int32_t mode = modes[_i % 2];
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    int64_t told[2];
    uint64_t bits[2];
    for (int i = 0; i < 2; i++) {
        sfconv_net *net = strided_net(context, _i / 4, strides[i]);
        sfconv_run *run = new_run(net, mode);
        ck_assert_int_eq(sfconv_run_set_engine(run, engine), SFCONV_OK);
        ck_assert_int_eq(sfconv_run_bytes(run, &shape, 1, &told[i]), SFCONV_OK);
        ck_assert_int_eq(told[i], told[0]);
        ck_assert_int_eq(sfconv_run_reshape(run, &shape, 1, NULL, 0), SFCONV_OK);
        bits[i] = mode == SFCONV_MODE_TRAINING ? training_hash(run, 1) : forward_hash(run, 1);
        sfconv_run_destroy(run);
        sfconv_net_destroy(net);
    }
    ck_assert_uint_eq(bits[0], bits[1]);
    sfconv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run memory");
    TCase *tests = tcase_create("run memory");
    tcase_set_timeout(tests, 120);
    /* Under sanitizers SFConv alone. */
    tcase_add_loop_test(tests, a_run_takes_what_was_told_and_no_more, CASES - rounds_of(CASES),
                        CASES);
    tcase_add_loop_test(
        tests, a_stride_far_beyond_the_map_takes_the_memory_of_one_that_just_leaves_it, 0, 8);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
