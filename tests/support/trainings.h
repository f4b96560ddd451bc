/* SPDX-License-Identifier: BSD-2-Clause */
/* Trainings of ready-made networks and the hashes of all that they compute. */
#ifndef TESTS_TRAININGS_H
#define TESTS_TRAININGS_H

#include "nets.h"

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

/* Weights that no decomposition has made, as machines may have another LAPACK: uniform, of a
 * variance of one by the number of terms. */
static inline void draw_weights(const sfconv_net *net)
{
    for (int32_t i = 0; i < sfconv_net_parameter_count(net); i++) {
        const sfconv_parameter_info info = parameter_of(net, i);
        if (info.role == SFCONV_PARAMETER_WEIGHT || info.role == SFCONV_PARAMETER_FACTOR_Q ||
            info.role == SFCONV_PARAMETER_FACTOR_P) {
            const int64_t count = sfconv_view_count(&info.view);
            const float scale = sqrtf(3 * (float)info.view.shape[0] / (float)count);
            fill_floats(info.view.data, count, (uint64_t)i);
            for (int64_t k = 0; k < count; k++) {
                info.view.data[k] *= scale;
            }
        }
    }
}

static inline double loss_of(const training *task, sfconv_context *context, sfconv_run *run,
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

static inline void train_step(const training *task, sfconv_context *context, sfconv_run *run,
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

/* From weights as they are created, or drawn. */
static inline hashes train(const training *task, sfconv_context *context, bool drawn)
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
    if (drawn) {
        draw_weights(net);
    }
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

#endif
