/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole steps of training - loss, regularizer, clipping, optimizer - lead to the same parameters by
 * either engine. */
#include "random_nets.h"

#define STEPS 6
#define RATE 0.05
/* Below the norm that gradients have here, so that every step is clipped. */
#define MAX_NORM 0.02
#define WEIGHT 0.02

/* By layers, in rank space, and by layers with weights that are shaken: what the last differs by
 * from the first is rounding. */
enum { LAYERS, RANKS, SHAKEN, COUNT };

typedef struct trained {
    sfconv_net *net;
    sfconv_run *run;
    sfconv_optimizer *optimizer;
    double regularizer[STEPS];
    double norm[STEPS];
} trained;

static sfconv_net *new_model(sfconv_context *context, int32_t model, int32_t regularizer)
{
    sfconv_model_desc desc = SFCONV_MODEL_DESC_INIT;
    sfconv_net *net;
    desc.model = model;
    desc.method = SFCONV_METHOD_SFCONV;
    desc.ratio = 0.25;
    desc.out_channels = 3;
    ck_assert_int_eq(sfconv_model_create(&net, context, &desc), SFCONV_OK);
    ck_assert_int_eq(sfconv_net_set_regularizer(net, regularizer, WEIGHT), SFCONV_OK);
    return net;
}

static trained open_trained(sfconv_context *context, int32_t model, int32_t regularizer, int which)
{
    sfconv_optimizer_desc desc = SFCONV_OPTIMIZER_DESC_INIT;
    trained made = {.net = new_model(context, model, regularizer)};
    desc.kind = SFCONV_OPTIMIZER_SGD;
    desc.momentum = 0.9;
    ck_assert_int_eq(sfconv_optimizer_create(&made.optimizer, made.net, &desc), SFCONV_OK);
    made.run = new_run(made.net, SFCONV_MODE_TRAINING);
    ck_assert_int_eq(sfconv_run_set_engine(made.run, which == RANKS ? SFCONV_ENGINE_RANK_SPACE
                                                                    : SFCONV_ENGINE_LAYERS),
                     SFCONV_OK);
    reshape_run(made.run, 4, 32, 32);
    if (which == SHAKEN) {
        shake_weights(made.net);
    }
    return made;
}

static void close_trained(trained *made)
{
    sfconv_run_destroy(made->run);
    sfconv_optimizer_destroy(made->optimizer);
    sfconv_net_destroy(made->net);
}

/* Squares of the outputs, scaled: their gradient is the output itself. */
static void pull_outputs_to_zero(sfconv_run *run)
{
    const sfconv_view output = output_of(run, 0), gradient = output_gradient_of(run, 0);
    const int64_t count = sfconv_view_count(&output);
    for (int64_t i = 0; i < count; i++) {
        gradient.data[i] = 10 * output.data[i] / (float)count;
    }
}

static void take_step(trained *made, int step)
{
    fill_inputs(made->run, (uint64_t)step);
    run_forward(made->run);
    ck_assert_int_eq(sfconv_run_zero_gradients(made->run), SFCONV_OK);
    pull_outputs_to_zero(made->run);
    run_backward(made->run);
    ck_assert_int_eq(sfconv_run_regularize(made->run, &made->regularizer[step]), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_clip_gradients(made->run, MAX_NORM, &made->norm[step]), SFCONV_OK);
    ck_assert_int_eq(sfconv_optimizer_step(made->optimizer, made->run, RATE), SFCONV_OK);
}

/* Relative, or what rounding does to it, which steps may multiply. */
static void check_number(const char *what, int step, double layers, double ranks, double shaken)
{
    const double allowed = fmax(1e-3 * fabs(layers), 10 * fabs(layers - shaken));
    ck_assert_msg(fabs(layers - ranks) <= allowed, "step %d: %s is %.9g by layers, %.9g in ranks",
                  step, what, layers, ranks);
}

/* Parameters agree to a part in ten thousand of what the steps have moved them by. */
static void check_parameters(const trained *all, const sfconv_net *untrained)
{
    double moved_most = 0;
    for (int32_t i = 0; i < sfconv_net_parameter_count(untrained); i++) {
        const sfconv_view start = parameter_of(untrained, i).view;
        const sfconv_view end = parameter_of(all[LAYERS].net, i).view;
        moved_most = fmax(moved_most, distance_of(&start, &end));
    }
    ck_assert_double_gt(moved_most, 1e-3);
    for (int32_t i = 0; i < sfconv_net_parameter_count(untrained); i++) {
        const sfconv_parameter_info info = parameter_of(all[LAYERS].net, i);
        const sfconv_view ranks = parameter_of(all[RANKS].net, i).view;
        const sfconv_view shaken = parameter_of(all[SHAKEN].net, i).view;
        const double distance = distance_of(&info.view, &ranks);
        const double allowed = fmax(1e-4 * moved_most, 10 * distance_of(&info.view, &shaken));
        ck_assert_msg(distance <= allowed, "%s differs by %g, allowed %g", info.name, distance,
                      allowed);
    }
}

static const struct {
    int32_t model;
    int32_t regularizer;
} cases[] = {
    {SFCONV_MODEL_TINY_SEGMENTER, SFCONV_REGULARIZER_KL},
    {SFCONV_MODEL_TINY_SEGMENTER, SFCONV_REGULARIZER_KL_REVERSE},
    {SFCONV_MODEL_TINY_SEGMENTER, SFCONV_REGULARIZER_FROBENIUS},
    {SFCONV_MODEL_TINY_CLASSIFIER, SFCONV_REGULARIZER_KL},
    {SFCONV_MODEL_TINY_CLASSIFIER, SFCONV_REGULARIZER_KL_REVERSE},
    {SFCONV_MODEL_TINY_CLASSIFIER, SFCONV_REGULARIZER_FROBENIUS},
};
#define CASE_COUNT (int)(sizeof cases / sizeof *cases)

START_TEST(regularized_and_clipped_steps_agree_between_engines)
{
    sfconv_context *context = public_context(2, SFCONV_ISA_BEST);
    sfconv_net *untrained = new_model(context, cases[_i].model, cases[_i].regularizer);
    trained all[COUNT];
    for (int i = 0; i < COUNT; i++) {
        all[i] = open_trained(context, cases[_i].model, cases[_i].regularizer, i);
        for (int step = 0; step < STEPS; step++) {
            take_step(&all[i], step);
            ck_assert_double_gt(all[i].norm[step], MAX_NORM);
            ck_assert_double_gt(all[i].regularizer[step], 0);
        }
        /* The steps reach the spectra. */
        ck_assert(all[i].regularizer[STEPS - 1] != all[i].regularizer[0]);
    }
    for (int step = 0; step < STEPS; step++) {
        check_number("the regularizer", step, all[LAYERS].regularizer[step],
                     all[RANKS].regularizer[step], all[SHAKEN].regularizer[step]);
        check_number("the norm", step, all[LAYERS].norm[step], all[RANKS].norm[step],
                     all[SHAKEN].norm[step]);
    }
    check_parameters(all, untrained);
    for (int i = 0; i < COUNT; i++) {
        close_trained(&all[i]);
    }
    sfconv_net_destroy(untrained);
    sfconv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("engine steps");
    TCase *tests = tcase_create("engine steps");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, regularized_and_clipped_steps_agree_between_engines, 0, CASE_COUNT);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
