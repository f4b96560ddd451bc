/* SPDX-License-Identifier: BSD-2-Clause */
/* Training the ready-made networks gives the same bits on every instruction set, for any number of
 * workers, and in whatever order a host's parallel_for runs the tasks. */
#include "trainings.h"
#include "who_computes.h"

/* The first is what the others are held against. */
static const setting settings[] = {
    {"1 worker, reference", 1, SFCONV_ISA_REFERENCE, false},
    {"1 worker, AVX2", 1, SFCONV_ISA_AVX2, false},
    {"1 worker, AVX-512", 1, SFCONV_ISA_AVX512, false},
    {"1 worker, NEON", 1, SFCONV_ISA_NEON, false},
    {"2 workers", 2, SFCONV_ISA_BEST, false},
    {"3 workers", 3, SFCONV_ISA_BEST, false},
    {"16 workers", 16, SFCONV_ISA_BEST, false},
    {"3 workers of the host, reversed", 3, SFCONV_ISA_BEST, true},
};

#define SETTING_COUNT ((int)(sizeof settings / sizeof *settings))

/* Twenty steps of each network; a few of other methods, and of wide ranks in the large ones. */
static const training trainings[] = {
    {SFCONV_MODEL_TINY_CLASSIFIER, SFCONV_METHOD_SFCONV, SFCONV_OPTIMIZER_SGD, 20, 4, 32, 0.25},
    {SFCONV_MODEL_TINY_CLASSIFIER, SFCONV_METHOD_CONV, SFCONV_OPTIMIZER_ADAMW, 5, 3, 29, 0.25},
    {SFCONV_MODEL_TINY_SEGMENTER, SFCONV_METHOD_SFCONV, SFCONV_OPTIMIZER_ADAM, 20, 2, 32, 0.25},
    {SFCONV_MODEL_TINY_SEGMENTER, SFCONV_METHOD_FCONVSN, SFCONV_OPTIMIZER_ADAM, 5, 2, 24, 0.25},
    {SFCONV_MODEL_TINY_SEGMENTER, SFCONV_METHOD_DPCCONV, SFCONV_OPTIMIZER_SGD, 5, 2, 40, 0.25},
    {SFCONV_MODEL_RESNET18, SFCONV_METHOD_SFCONV, SFCONV_OPTIMIZER_SGD, 20, 2, 33, 1.0 / 32},
    {SFCONV_MODEL_UNET, SFCONV_METHOD_SFCONV, SFCONV_OPTIMIZER_ADAM, 20, 1, 32, 1.0 / 32},
    {SFCONV_MODEL_RESNET18, SFCONV_METHOD_SFCONV, SFCONV_OPTIMIZER_SGD, 1, 2, 64, 0.25},
    {SFCONV_MODEL_UNET, SFCONV_METHOD_SFCONV, SFCONV_OPTIMIZER_SGD, 1, 1, 32, 0.25},
    {SFCONV_MODEL_RESNET18, SFCONV_METHOD_CONV, SFCONV_OPTIMIZER_SGD, 1, 1, 64, 1.0},
    {SFCONV_MODEL_UNET, SFCONV_METHOD_CONV, SFCONV_OPTIMIZER_SGD, 1, 1, 32, 1.0},
};

#define TRAINING_COUNT ((int)(sizeof trainings / sizeof *trainings))

START_TEST(training_gives_the_same_bits_whoever_computes)
{
    const training *task = &trainings[_i];
    /* Under sanitizers the last alone. */
    const int first = SETTING_COUNT - rounds_of(SETTING_COUNT);
    hashes expected = {0};
    for (int i = first; i < SETTING_COUNT; i++) {
        sfconv_context *context = context_of(&settings[i], SFCONV_CONVOLUTION_AUTO);
        if (!context) {
            continue;
        }
        const hashes got = train(task, context, false);
        expected = i == first ? got : expected;
        ck_assert_msg(memcmp(&got, &expected, sizeof got) == 0,
                      "%s by %s, %s: outputs %s, gradients %s, parameters %s, inference %s, loss "
                      "%.17g and %.17g",
                      sfconv_model_name(task->model), sfconv_method_name(task->method),
                      settings[i].name, got.outputs == expected.outputs ? "same" : "differ",
                      got.gradients == expected.gradients ? "same" : "differ",
                      got.parameters == expected.parameters ? "same" : "differ",
                      got.inferred == expected.inferred ? "same" : "differ", got.loss,
                      expected.loss);
        sfconv_context_destroy(context);
    }
    ck_assert(isfinite(expected.loss) && expected.loss > 0);
}
END_TEST

START_TEST(no_number_of_workers_changes_a_bit)
{
    static const int32_t models[] = {SFCONV_MODEL_TINY_CLASSIFIER, SFCONV_MODEL_TINY_SEGMENTER,
                                     SFCONV_MODEL_RESNET18, SFCONV_MODEL_UNET};
    /* To create a large network takes longer than its step. */
    const int32_t stride = _i < 2 ? 1 : 5;
    const training task = {models[_i], SFCONV_METHOD_SFCONV, SFCONV_OPTIMIZER_SGD, 1, 2, 32, 0.25};
    hashes expected = {0};
    for (int32_t workers = 1; workers <= rounds_of(16); workers += stride) {
        const setting wanted = {NULL, workers, SFCONV_ISA_BEST, false};
        sfconv_context *context = context_of(&wanted, SFCONV_CONVOLUTION_AUTO);
        const hashes got = train(&task, context, false);
        expected = workers == 1 ? got : expected;
        ck_assert_msg(memcmp(&got, &expected, sizeof got) == 0, "%s: %d workers differ from one",
                      sfconv_model_name(task.model), (int)workers);
        sfconv_context_destroy(context);
    }
}
END_TEST

START_TEST(other_inputs_or_weights_give_other_hashes)
{
    training task = trainings[0];
    sfconv_context *context = context_of(&settings[0], SFCONV_CONVOLUTION_AUTO);
    task.steps = 1;
    const hashes one = train(&task, context, false);
    task.steps = 8;
    const hashes two = train(&task, context, false);
    ck_assert(one.outputs != two.outputs && one.gradients != two.gradients);
    ck_assert(one.parameters != two.parameters && one.inferred != two.inferred);
    sfconv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("determinism");
    TCase *tests = tcase_create("determinism");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, training_gives_the_same_bits_whoever_computes, 0, TRAINING_COUNT);
    tcase_add_loop_test(tests, no_number_of_workers_changes_a_bit, 0, 4);
    tcase_add_test(tests, other_inputs_or_weights_give_other_hashes);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
