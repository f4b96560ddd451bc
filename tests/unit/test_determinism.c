/* SPDX-License-Identifier: BSD-2-Clause */
/* Training the ready-made networks gives the same bits on every instruction set, for any number of
 * workers, and in whatever order a host's parallel_for runs the tasks. */
#include "nets.h"

/* Runs the tasks from the last to the first, each as another worker than the one before. */
static void run_reversed(void *user, int64_t count, sfconv_task_fn task, void *argument)
{
    const int32_t *workers = user;
    for (int64_t i = count - 1; i >= 0; i--) {
        task(argument, i, (int32_t)(i % *workers));
    }
}

typedef struct setting {
    const char *name;
    int32_t workers;
    int32_t isa;
    bool reversed;
} setting;

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

#define SETTING_COUNT (sizeof settings / sizeof *settings)

/* A context of these settings, or NULL where the machine lacks the instruction set. */
static sfconv_context *context_of(const setting *wanted)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *context;
    desc.workers = wanted->workers;
    desc.isa = wanted->isa;
    desc.parallel_for = wanted->reversed ? run_reversed : NULL;
    desc.parallel_user = (void *)&wanted->workers;
    const sfconv_status status = sfconv_context_create(&context, &desc);
    if (status == SFCONV_ERROR_UNSUPPORTED) {
        return NULL;
    }
    ck_assert_int_eq(status, SFCONV_OK);
    return context;
}

typedef struct hashes {
    uint64_t outputs;
    uint64_t gradients;
    uint64_t parameters;
    uint64_t inferred;
    double loss;
    double regularizer;
} hashes;

typedef struct training {
    int32_t model;
    int32_t method;
    int32_t optimizer;
    int steps;
    int64_t batch;
    int64_t size;
    double ratio;
} training;

static double loss_of(const training *task, sfconv_context *context, sfconv_run *run,
                      const float *targets)
{
    const sfconv_view logits = output_of(run, 0), gradient = output_gradient_of(run, 0);
    double value = NAN;
    if (logits.shape[2] == 1) {
        const int32_t labels[8] = {0, 1, 2, 0, 1, 2, 0, 1};
        ck_assert_int_le(task->batch, 8);
        ck_assert_int_eq(
            sfconv_loss_cross_entropy(context, &logits, labels, NULL, &value, &gradient),
            SFCONV_OK);
    } else {
        sfconv_view mask = logits;
        mask.data = (float *)targets;
        ck_assert_int_eq(sfconv_loss_bce_dice(context, &logits, &mask, 0.5, 0.5, &value, &gradient),
                         SFCONV_OK);
    }
    return value;
}

static void train_step(const training *task, sfconv_context *context, sfconv_run *run,
                       sfconv_optimizer *optimizer, float *targets, hashes *result)
{
    const sfconv_view out = output_of(run, 0);
    fill_inputs(run, sfconv_run_step(run) * 10);
    run_forward(run);
    result->outputs = hash_view(result->outputs, &out);
    for (int64_t i = 0; i < sfconv_view_count(&out); i++) {
        targets[i] = (float)(i / 5 % 2);
    }
    result->loss = loss_of(task, context, run, targets);
    ck_assert_int_eq(sfconv_run_zero_gradients(run), SFCONV_OK);
    run_backward(run);
    ck_assert_int_eq(sfconv_run_regularize(run, &result->regularizer), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_clip_gradients(run, 1.0, NULL), SFCONV_OK);
    result->gradients ^= hash_gradients(run);
    ck_assert_int_eq(sfconv_optimizer_step(optimizer, run, 0.01), SFCONV_OK);
}

static hashes train(const training *task, sfconv_context *context)
{
    hashes result = {HASH_START, HASH_START, 0, 0, 0, 0};
    sfconv_model_desc model = SFCONV_MODEL_DESC_INIT;
    sfconv_optimizer_desc settings_of_optimizer = SFCONV_OPTIMIZER_DESC_INIT;
    sfconv_net *net;
    sfconv_optimizer *optimizer;
    model.model = task->model;
    model.method = task->method;
    model.out_channels = 3;
    model.ratio = task->ratio;
    model.regularizer_weight = 0.01;
    settings_of_optimizer.kind = task->optimizer;
    ck_assert_int_eq(sfconv_model_create(&net, context, &model), SFCONV_OK);
    ck_assert_int_eq(sfconv_optimizer_create(&optimizer, net, &settings_of_optimizer), SFCONV_OK);
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    reshape_run(run, task->batch, task->size, task->size);
    const sfconv_view out = output_of(run, 0);
    float *targets = malloc((size_t)sfconv_view_count(&out) * sizeof(float));
    for (int step = 0; step < rounds_of(task->steps); step++) {
        train_step(task, context, run, optimizer, targets, &result);
    }
    free(targets);
    sfconv_run_destroy(run);
    result.parameters = hash_parameters(net);

    run = new_run(net, SFCONV_MODE_INFERENCE);
    reshape_run(run, 1, task->size, task->size);
    fill_inputs(run, 1);
    run_forward(run);
    result.inferred = hash_outputs(run);
    sfconv_run_destroy(run);
    sfconv_optimizer_destroy(optimizer);
    sfconv_net_destroy(net);
    return result;
}

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
    {SFCONV_MODEL_UNET, SFCONV_METHOD_SFCONV, SFCONV_OPTIMIZER_SGD, 1, 1, 48, 0.25},
};

#define TRAINING_COUNT ((int)(sizeof trainings / sizeof *trainings))

START_TEST(training_gives_the_same_bits_whoever_computes)
{
    const training *task = &trainings[_i];
    hashes expected = {0};
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        sfconv_context *context = context_of(&settings[i]);
        if (!context) {
            continue;
        }
        const hashes got = train(task, context);
        expected = i == 0 ? got : expected;
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

START_TEST(other_inputs_or_weights_give_other_hashes)
{
    training task = trainings[0];
    sfconv_context *context = context_of(&settings[0]);
    task.steps = 1;
    const hashes one = train(&task, context);
    task.steps = 8;
    const hashes two = train(&task, context);
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
    tcase_add_test(tests, other_inputs_or_weights_give_other_hashes);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
