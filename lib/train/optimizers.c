/* SPDX-License-Identifier: BSD-2-Clause */
#include "optimizers.h"

#include "clip.h"
#include "error.h"
#include "memory.h"
#include "powers.h"

#include <assert.h>
#include <math.h>

static const char *const sgd_slots[] = {"momentum_buffer"};
static const char *const adam_slots[] = {"exp_avg", "exp_avg_sq"};

/* The numbers of one step, rounded once. Sums and products are separate operations on purpose:
 * the compiler may use any vector width and the bits stay the same. */
struct step_job {
    const sfconv_optimizer *optimizer;
    const sfconv_run *run;
    float rate;
    /* Added to the gradient, times the weight. */
    float decay;
    /* AdamW: what is left of a weight that decays. */
    float shrink;
    float momentum;
    float beta1;
    float beta2;
    float fresh1;
    float fresh2;
    float epsilon;
    /* 1 / sqrt(1 − β2^t) */
    float root_correction;
};

static void sgd_plain(float *restrict weight, const float *restrict gradient, int64_t count,
                      float rate, float decay)
{
    for (int64_t i = 0; i < count; i++) {
        weight[i] -= rate * (gradient[i] + decay * weight[i]);
    }
}

static void sgd_momentum(float *restrict weight, const float *restrict gradient,
                         float *restrict velocity, int64_t count, float rate, float decay,
                         float momentum)
{
    for (int64_t i = 0; i < count; i++) {
        velocity[i] = momentum * velocity[i] + (gradient[i] + decay * weight[i]);
        weight[i] -= rate * velocity[i];
    }
}

static void sgd_nesterov(float *restrict weight, const float *restrict gradient,
                         float *restrict velocity, int64_t count, float rate, float decay,
                         float momentum)
{
    for (int64_t i = 0; i < count; i++) {
        const float g = gradient[i] + decay * weight[i];
        velocity[i] = momentum * velocity[i] + g;
        weight[i] -= rate * (g + momentum * velocity[i]);
    }
}

static void adam(float *restrict weight, const float *restrict gradient, float *restrict mean,
                 float *restrict square, int64_t count, const struct step_job *job, float decay,
                 float shrink)
{
    const float beta1 = job->beta1;
    const float beta2 = job->beta2;
    const float fresh1 = job->fresh1;
    const float fresh2 = job->fresh2;
    const float root_correction = job->root_correction;
    const float epsilon = job->epsilon;
    const float rate = job->rate;
    for (int64_t i = 0; i < count; i++) {
        const float shrunk = shrink * weight[i];
        const float g = gradient[i] + decay * weight[i];
        mean[i] = beta1 * mean[i] + fresh1 * g;
        square[i] = beta2 * square[i] + fresh2 * (g * g);
        weight[i] = shrunk - rate * (mean[i] / (sqrtf(square[i]) * root_correction + epsilon));
    }
}

static bool decays(const sfconv_optimizer_desc *settings, int32_t role)
{
    switch (role) {
    case SFCONV_PARAMETER_WEIGHT:
        return true;
    case SFCONV_PARAMETER_FACTOR_Q:
    case SFCONV_PARAMETER_FACTOR_P:
        return settings->decay_factors != 0;
    default:
        return settings->decay_bias_and_norm != 0;
    }
}

static void step_piece(void *argument, const sfi_piece *piece)
{
    const struct step_job *job = argument;
    const sfconv_optimizer *optimizer = job->optimizer;
    const sfconv_optimizer_desc *settings = &optimizer->settings;
    const sfi_parameter *parameter = optimizer->net->parameters[piece->parameter].parameter;
    const bool decaying = decays(settings, parameter->role);
    const float decay = decaying ? job->decay : 0.0f;
    float *weight = parameter->data + piece->begin;
    const float *gradient = job->run->gradients[piece->parameter] + piece->begin;
    if (optimizer->state.slots == 0) {
        sgd_plain(weight, gradient, piece->count, job->rate, decay);
        return;
    }
    float *first = sfi_store_array(&optimizer->state, 0, piece->parameter) + piece->begin;
    if (settings->kind == SFCONV_OPTIMIZER_SGD) {
        (settings->nesterov ? sgd_nesterov : sgd_momentum)(weight, gradient, first, piece->count,
                                                           job->rate, decay, job->momentum);
        return;
    }
    float *second = sfi_store_array(&optimizer->state, 1, piece->parameter) + piece->begin;
    adam(weight, gradient, first, second, piece->count, job, decay, decaying ? job->shrink : 1.0f);
}

static struct step_job job_of_step(const sfconv_optimizer *optimizer, const sfconv_run *run,
                                   double rate, int64_t step)
{
    const sfconv_optimizer_desc *settings = &optimizer->settings;
    struct step_job job = {.optimizer = optimizer,
                           .run = run,
                           .rate = (float)rate,
                           .decay = (float)settings->weight_decay,
                           .shrink = 1.0f,
                           .momentum = (float)settings->momentum};
    if (settings->kind == SFCONV_OPTIMIZER_SGD) {
        return job;
    }
    if (settings->kind == SFCONV_OPTIMIZER_ADAMW) {
        job.decay = 0.0f;
        job.shrink = (float)(1.0 - rate * settings->weight_decay);
    }
    job.beta1 = (float)settings->beta1;
    job.beta2 = (float)settings->beta2;
    job.fresh1 = (float)(1.0 - settings->beta1);
    job.fresh2 = (float)(1.0 - settings->beta2);
    job.epsilon = (float)settings->epsilon;
    job.rate = (float)(rate / (1.0 - sfi_power(settings->beta1, step)));
    job.root_correction = (float)(1.0 / sqrt(1.0 - sfi_power(settings->beta2, step)));
    return job;
}

sfconv_status sfi_optimizer_step(sfconv_optimizer *optimizer, const sfconv_run *run, double rate)
{
    assert(run->net == optimizer->net && run->training && run->shaped);
    sfconv_status status = sfi_store_check(&optimizer->state, optimizer->net);
    if (status < 0) {
        return status;
    }
    status = sfi_gradients_check(run);
    if (status < 0) {
        return status;
    }
    struct step_job job = job_of_step(optimizer, run, rate, optimizer->steps + 1);
    sfi_for_each_piece(optimizer->net, false, step_piece, &job);
    optimizer->steps++;
    return SFCONV_OK;
}

static int32_t slots_of(const sfconv_optimizer_desc *settings)
{
    if (settings->kind == SFCONV_OPTIMIZER_SGD) {
        return settings->momentum > 0.0 ? 1 : 0;
    }
    return 2;
}

sfconv_status sfi_optimizer_new(sfconv_optimizer **out, sfconv_net *net,
                                const sfconv_optimizer_desc *settings)
{
    sfconv_optimizer *optimizer = sfi_calloc(net->context, 1, sizeof *optimizer);
    *out = NULL;
    if (!optimizer) {
        return sfi_fail_memory(net->context, "optimizer", sizeof *optimizer);
    }
    const sfconv_status status =
        sfi_store_create(&optimizer->state, net, slots_of(settings), false);
    if (status < 0) {
        sfi_free(net->context, optimizer, sizeof *optimizer);
        return status;
    }
    optimizer->magic = SFI_OPTIMIZER_MAGIC;
    optimizer->net = sfi_net_retain(net);
    optimizer->settings = *settings;
    *out = optimizer;
    return SFCONV_OK;
}

void sfi_optimizer_release(sfconv_optimizer *optimizer)
{
    if (!optimizer) {
        return;
    }
    sfconv_net *net = optimizer->net;
    sfi_store_destroy(&optimizer->state);
    optimizer->magic = 0;
    sfi_free(net->context, optimizer, sizeof *optimizer);
    sfi_net_release(net);
}

int32_t sfi_optimizer_state_count(const sfconv_optimizer *optimizer)
{
    return sfi_store_state_count(&optimizer->state);
}

sfi_state_array sfi_optimizer_state(const sfconv_optimizer *optimizer, int32_t index)
{
    const bool sgd = optimizer->settings.kind == SFCONV_OPTIMIZER_SGD;
    return sfi_store_state(&optimizer->state, optimizer->net, sgd ? sgd_slots : adam_slots, index);
}
