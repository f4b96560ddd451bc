/* SPDX-License-Identifier: BSD-2-Clause */
/* A plan serves the size it was made for: another is refused, and so is, at reshape and by every
 * question that comes before it, what no plan can serve. */
#include "random_nets.h"

#define RANDOM_NETS 60

static const int32_t models[] = {SFCONV_MODEL_RESNET18, SFCONV_MODEL_UNET,
                                 SFCONV_MODEL_TINY_CLASSIFIER, SFCONV_MODEL_TINY_SEGMENTER};

static sfconv_net *new_model(sfconv_context *context, int32_t model)
{
    sfconv_model_desc desc = SFCONV_MODEL_DESC_INIT;
    sfconv_net *net;
    desc.model = model;
    desc.method = SFCONV_METHOD_SFCONV;
    desc.ratio = 1.0 / 32;
    desc.out_channels = 3;
    ck_assert_int_eq(sfconv_model_create(&net, context, &desc), SFCONV_OK);
    return net;
}

static sfconv_run *new_run_with(sfconv_net *net, int32_t mode, int32_t engine)
{
    sfconv_run *run = new_run(net, mode);
    ck_assert_int_eq(sfconv_run_set_engine(run, engine), SFCONV_OK);
    return run;
}

/* --- Another size than the plan's --- */

static sfconv_view view_of_shape(float *data, sfconv_shape shape)
{
    const int64_t sizes[] = {shape.batch, shape.channels, shape.height, shape.width};
    sfconv_view view;
    ck_assert_int_eq(sfconv_view_init(&view, data, 4, sizes), SFCONV_OK);
    return view;
}

/* In training a loss is how targets come in. */
static void check_targets_are_refused(sfconv_context *context, sfconv_run *run,
                                      const sfconv_view *other)
{
    const sfconv_view output = output_of(run, 0), gradient = output_gradient_of(run, 0);
    double value = 7;
    const uint64_t before = hash_view(HASH_START, &gradient);
    ck_assert_int_eq(sfconv_loss_bce(context, &output, other, 1, &value, &gradient),
                     SFCONV_ERROR_SHAPE);
    ck_assert_int_eq(sfconv_loss_bce(context, &output, &output, 1, &value, other),
                     SFCONV_ERROR_SHAPE);
    ck_assert(value == 7);
    ck_assert_uint_eq(hash_view(HASH_START, &gradient), before);
}

START_TEST(the_plan_of_one_size_takes_and_gives_no_other)
{
    static const sfconv_shape others[] = {{1, 3, 32, 48}, {3, 3, 32, 48}, {2, 3, 48, 32},
                                          {2, 3, 32, 47}, {2, 3, 16, 96}, {2, 6, 16, 48}};
    static float values[3 * 3 * 32 * 48];
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = new_model(context, SFCONV_MODEL_TINY_SEGMENTER);
    for (int32_t engine = SFCONV_ENGINE_LAYERS; engine <= SFCONV_ENGINE_RANK_SPACE; engine++) {
        sfconv_run *run = new_run_with(net, _i, engine);
        reshape_run(run, 2, 32, 48);
        fill_inputs(run, 1);
        run_forward(run);
        const sfconv_view input = input_of(run, 0), output = output_of(run, 0);
        const uint64_t before = hash_view(HASH_START, &input), outputs = hash_outputs(run);
        for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
            const sfconv_view other = view_of_shape(values, others[i]);
            ck_assert_int_eq(sfconv_view_copy(&input, &other), SFCONV_ERROR_SHAPE);
            ck_assert_int_eq(sfconv_view_copy(&other, &output), SFCONV_ERROR_SHAPE);
            if (_i == SFCONV_MODE_TRAINING) {
                check_targets_are_refused(context, run, &other);
            }
        }
        ck_assert_uint_eq(hash_view(HASH_START, &input), before);
        ck_assert_uint_eq(hash_outputs(run), outputs);
        ck_assert_int_eq(sfconv_run_reshape(run, &others[2], 1, NULL, 0), SFCONV_OK);
        const sfconv_view taken = input_of(run, 0), former = view_of_shape(values, others[2]);
        ck_assert_int_eq(sfconv_view_copy(&taken, &former), SFCONV_OK);
        sfconv_run_destroy(run);
    }
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

/* --- Sizes that cannot be served --- */

/* Whether some node of the net is called what the reason begins with. */
static bool names_a_node(sfconv_context *context, const sfconv_net *net)
{
    char reason[512];
    int32_t node;
    sfconv_context_copy_last_error(context, reason, sizeof reason);
    char *end = strchr(reason, ':');
    if (!end) {
        return false;
    }
    *end = '\0';
    return sfconv_net_find_node(net, reason, &node) == SFCONV_OK;
}

/* Asks for these sizes in every way: all answers are alike, and a run that took them computes. */
static bool serves(sfconv_context *context, sfconv_run *run, const sfconv_shape *shapes,
                   int32_t count, int32_t mode)
{
    sfconv_net *net = sfconv_run_net(run);
    int64_t bytes, by_net;
    const sfconv_status status = sfconv_run_reshape(run, shapes, count, NULL, 0);
    ck_assert_int_eq(sfconv_run_bytes(run, shapes, count, &bytes), status);
    ck_assert_int_eq(sfconv_net_run_bytes(net, mode, shapes, count, &by_net), status);
    if (status != SFCONV_OK) {
        ck_assert_int_eq(status, SFCONV_ERROR_SHAPE);
        ck_assert_msg(names_a_node(context, net), "no node is named: %s",
                      sfconv_context_last_error(context));
        ck_assert_int_eq(sfconv_run_forward(run), SFCONV_ERROR_STATE);
        return false;
    }
    fill_inputs(run, 3);
    run_forward(run);
    if (mode == SFCONV_MODE_TRAINING) {
        fill_output_gradients(run, 4);
        run_backward(run);
    }
    for (int32_t i = 0; i < sfconv_net_output_count(net); i++) {
        const sfconv_view output = output_of(run, i);
        ck_assert(all_finite(&output));
    }
    return true;
}

/* Both engines serve the same sizes. */
static bool both_serve(sfconv_context *context, sfconv_net *net, int32_t mode,
                       const sfconv_shape *shapes, int32_t count)
{
    bool served[2];
    for (int32_t i = 0; i < 2; i++) {
        sfconv_run *run = new_run_with(net, mode, SFCONV_ENGINE_LAYERS + i);
        served[i] = serves(context, run, shapes, count, mode);
        sfconv_run_destroy(run);
    }
    ck_assert_msg(served[0] == served[1], "%d x %d: layers say %d, rank space %d",
                  (int)shapes[0].height, (int)shapes[0].width, served[0], served[1]);
    return served[0];
}

START_TEST(ready_made_networks_refuse_a_size_at_reshape_or_compute_it)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = new_model(context, models[_i]);
    for (int32_t mode = SFCONV_MODE_INFERENCE; mode <= SFCONV_MODE_TRAINING; mode++) {
        int served = 0;
        for (int64_t size = 1; size <= 32; size += size < 18 ? 1 : 7) {
            for (int64_t width = size; width <= size + 7; width += 7) {
                served += both_serve(context, net, mode, &(sfconv_shape){1, 3, size, width}, 1);
            }
        }
        ck_assert_int_gt(served, 0);
    }
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(random_nets_refuse_a_size_at_reshape_or_compute_it)
{
    int served = 0, refused = 0;
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    for (uint64_t seed = 0; seed < RANDOM_NETS; seed++) {
        random_net made = new_random_net(context, NETS_SEED + 2000 + seed);
        for (int i = 0; i < 12; i++) {
            /* All inputs alike, as their nodes are often joined; the last few sizes apart. */
            const int64_t height = 1 + draw(&made, 40), width = 1 + draw(&made, 40);
            for (int32_t input = 0; input < made.input_count; input++) {
                made.shapes[input].height = height + (i < 10 ? 0 : input);
                made.shapes[input].width = width;
            }
            const int32_t mode = i % 2 ? SFCONV_MODE_TRAINING : SFCONV_MODE_INFERENCE;
            if (both_serve(context, made.net, mode, made.shapes, made.input_count)) {
                served++;
            } else {
                refused++;
            }
        }
        sfconv_net_destroy(made.net);
    }
    ck_assert_int_gt(served, 100);
    ck_assert_int_gt(refused, 100);
    sfconv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run sizes");
    TCase *tests = tcase_create("run sizes");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, the_plan_of_one_size_takes_and_gives_no_other, SFCONV_MODE_INFERENCE,
                        SFCONV_MODE_TRAINING + 1);
    tcase_add_loop_test(tests, ready_made_networks_refuse_a_size_at_reshape_or_compute_it, 0, 4);
    tcase_add_test(tests, random_nets_refuse_a_size_at_reshape_or_compute_it);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
