/* SPDX-License-Identifier: BSD-2-Clause */
#include "average.h"
#include "clip.h"
#include "handles.h"
#include "optimizers.h"
#include "schedules.h"

#include <float.h>

sfconv_status sfconv_run_clip_gradients(sfconv_run *run, double max_norm, double *norm)
{
    static const char call[] = "sfconv_run_clip_gradients";
    double before;
    sfconv_status status = sfi_check_training(run, call);
    if (status < 0) {
        return status;
    }
    status = sfi_check_positive(run->context, call, "max_norm", max_norm);
    if (status < 0) {
        return status;
    }
    status = sfi_gradients_clip(run, max_norm, &before);
    if (status >= 0 && norm) {
        *norm = before;
    }
    return status;
}

static sfconv_status check_optimizer(const sfconv_optimizer *optimizer)
{
    return optimizer && optimizer->magic == SFI_OPTIMIZER_MAGIC ? SFCONV_OK : SFCONV_ERROR_ARGUMENT;
}

static sfconv_status check_sgd(sfconv_context *context, const char *call,
                               const sfconv_optimizer_desc *settings)
{
    sfconv_status status = sfi_check_below_one(context, call, "momentum", settings->momentum);
    if (status < 0) {
        return status;
    }
    status = sfi_check_flag(context, call, "nesterov", settings->nesterov);
    if (status < 0) {
        return status;
    }
    if (settings->nesterov && settings->momentum == 0.0) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                        "%s: Nesterov's momentum needs a momentum above 0", call);
    }
    return SFCONV_OK;
}

static sfconv_status check_adam(sfconv_context *context, const char *call,
                                const sfconv_optimizer_desc *settings)
{
    sfconv_status status = sfi_check_below_one(context, call, "beta1", settings->beta1);
    if (status < 0) {
        return status;
    }
    status = sfi_check_below_one(context, call, "beta2", settings->beta2);
    if (status < 0) {
        return status;
    }
    /* The state is float32: a smaller ε would vanish, and 0 / 0 come out. */
    return sfi_check_number(context, call, "epsilon", settings->epsilon, (double)FLT_MIN,
                            (double)FLT_MAX);
}

static sfconv_status check_optimizer_settings(sfconv_context *context, const char *call,
                                              const sfconv_optimizer_desc *settings)
{
    sfconv_status status = sfi_check_integer(context, call, "kind", settings->kind,
                                             SFCONV_OPTIMIZER_SGD, SFCONV_OPTIMIZER_ADAMW);
    if (status < 0) {
        return status;
    }
    status =
        (settings->kind == SFCONV_OPTIMIZER_SGD ? check_sgd : check_adam)(context, call, settings);
    if (status < 0) {
        return status;
    }
    status = sfi_check_number(context, call, "weight_decay", settings->weight_decay, 0.0,
                              (double)FLT_MAX);
    if (status < 0) {
        return status;
    }
    status = sfi_check_flag(context, call, "decay_factors", settings->decay_factors);
    if (status < 0) {
        return status;
    }
    return sfi_check_flag(context, call, "decay_bias_and_norm", settings->decay_bias_and_norm);
}

sfconv_status sfconv_optimizer_create(sfconv_optimizer **optimizer, sfconv_net *net,
                                      const sfconv_optimizer_desc *desc)
{
    static const char call[] = "sfconv_optimizer_create";
    sfconv_optimizer_desc settings = SFCONV_OPTIMIZER_DESC_INIT;
    sfconv_status status = sfi_check_net(net);
    if (optimizer) {
        *optimizer = NULL;
    }
    if (status < 0) {
        return status;
    }
    if (!optimizer) {
        return sfi_refuse_null(net->context, call, "optimizer");
    }
    status = sfi_take_desc(net->context, call, &settings, sizeof settings, desc);
    if (status < 0) {
        return status;
    }
    status = check_optimizer_settings(net->context, call, &settings);
    return status < 0 ? status : sfi_optimizer_new(optimizer, net, &settings);
}

void sfconv_optimizer_destroy(sfconv_optimizer *optimizer)
{
    if (check_optimizer(optimizer) == SFCONV_OK) {
        sfi_optimizer_release(optimizer);
    }
}

sfconv_status sfconv_optimizer_step(sfconv_optimizer *optimizer, sfconv_run *run, double rate)
{
    static const char call[] = "sfconv_optimizer_step";
    sfconv_status status = check_optimizer(optimizer);
    if (status < 0) {
        return status;
    }
    if (!run) {
        return sfi_refuse_null(optimizer->net->context, call, "run");
    }
    status = sfi_check_training(run, call);
    if (status < 0) {
        return status;
    }
    if (run->net != optimizer->net) {
        return sfi_fail(optimizer->net->context, SFCONV_ERROR_ARGUMENT,
                        "%s: the run belongs to another net than the optimizer", call);
    }
    status = sfi_check_number(optimizer->net->context, call, "rate", rate, 0.0, (double)FLT_MAX);
    return status < 0 ? status : sfi_optimizer_step(optimizer, run, rate);
}

int64_t sfconv_optimizer_steps(const sfconv_optimizer *optimizer)
{
    return check_optimizer(optimizer) < 0 ? 0 : optimizer->steps;
}

static sfconv_status check_schedule(const sfconv_schedule *schedule)
{
    return schedule && schedule->magic == SFI_SCHEDULE_MAGIC ? SFCONV_OK : SFCONV_ERROR_ARGUMENT;
}

static sfconv_status check_schedule_lengths(sfconv_context *context, const char *call,
                                            const sfconv_schedule_desc *settings)
{
    sfconv_status status =
        sfi_check_integer(context, call, "warmup", settings->warmup, 0, INT64_MAX);
    if (status >= 0 && settings->kind == SFCONV_SCHEDULE_STEP) {
        status = sfi_check_integer(context, call, "period", settings->period, 1, INT64_MAX);
    }
    if (status >= 0 && settings->kind == SFCONV_SCHEDULE_PLATEAU) {
        status = sfi_check_integer(context, call, "patience", settings->patience, 1, INT64_MAX);
    }
    if (status >= 0 && settings->kind == SFCONV_SCHEDULE_COSINE &&
        settings->total <= settings->warmup) {
        status = sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                          "%s: total is %lld, expected more than the %lld steps of warm-up", call,
                          (long long)settings->total, (long long)settings->warmup);
    }
    return status;
}

static sfconv_status check_schedule_settings(sfconv_context *context, const char *call,
                                             const sfconv_schedule_desc *settings)
{
    sfconv_status status = sfi_check_integer(context, call, "kind", settings->kind,
                                             SFCONV_SCHEDULE_CONSTANT, SFCONV_SCHEDULE_PLATEAU);
    if (status < 0) {
        return status;
    }
    status = sfi_check_positive(context, call, "rate", settings->rate);
    if (status < 0) {
        return status;
    }
    status = sfi_check_number(context, call, "factor", settings->factor, 0.0, 1.0);
    if (status < 0) {
        return status;
    }
    status = sfi_check_flag(context, call, "larger_is_better", settings->larger_is_better);
    return status < 0 ? status : check_schedule_lengths(context, call, settings);
}

sfconv_status sfconv_schedule_create(sfconv_schedule **schedule, sfconv_context *context,
                                     const sfconv_schedule_desc *desc)
{
    static const char call[] = "sfconv_schedule_create";
    sfconv_schedule_desc settings = SFCONV_SCHEDULE_DESC_INIT;
    if (schedule) {
        *schedule = NULL;
    }
    if (!schedule || !context) {
        return sfi_refuse_null(context, call, "schedule");
    }
    sfconv_status status = sfi_take_desc(context, call, &settings, sizeof settings, desc);
    if (status < 0) {
        return status;
    }
    status = check_schedule_settings(context, call, &settings);
    return status < 0 ? status : sfi_schedule_new(schedule, context, &settings);
}

void sfconv_schedule_destroy(sfconv_schedule *schedule)
{
    if (check_schedule(schedule) == SFCONV_OK) {
        sfi_schedule_release(schedule);
    }
}

sfconv_status sfconv_schedule_rate(const sfconv_schedule *schedule, int64_t step, double *rate)
{
    static const char call[] = "sfconv_schedule_rate";
    sfconv_status status = check_schedule(schedule);
    if (status < 0) {
        return status;
    }
    if (!rate) {
        return sfi_refuse_null(schedule->context, call, "rate");
    }
    status = sfi_check_integer(schedule->context, call, "step", step, 0, INT64_MAX);
    if (status >= 0) {
        *rate = sfi_schedule_rate(schedule, step);
    }
    return status;
}

sfconv_status sfconv_schedule_observe(sfconv_schedule *schedule, double value)
{
    sfconv_status status = check_schedule(schedule);
    if (status < 0) {
        return status;
    }
    if (value != value) {
        return sfi_fail(schedule->context, SFCONV_ERROR_ARGUMENT,
                        "sfconv_schedule_observe: value is NaN");
    }
    sfi_schedule_observe(schedule, value);
    return SFCONV_OK;
}

static sfconv_status check_average(const sfconv_average *average)
{
    return average && average->magic == SFI_AVERAGE_MAGIC ? SFCONV_OK : SFCONV_ERROR_ARGUMENT;
}

sfconv_status sfconv_average_create(sfconv_average **average, sfconv_net *net, double decay)
{
    static const char call[] = "sfconv_average_create";
    sfconv_status status = sfi_check_net(net);
    if (average) {
        *average = NULL;
    }
    if (status < 0) {
        return status;
    }
    if (!average) {
        return sfi_refuse_null(net->context, call, "average");
    }
    status = sfi_check_below_one(net->context, call, "decay", decay);
    return status < 0 ? status : sfi_average_new(average, net, decay);
}

void sfconv_average_destroy(sfconv_average *average)
{
    if (check_average(average) == SFCONV_OK) {
        sfi_average_release(average);
    }
}

sfconv_status sfconv_average_update(sfconv_average *average)
{
    const sfconv_status status = check_average(average);
    return status < 0 ? status : sfi_average_update(average);
}

sfconv_status sfconv_average_swap(sfconv_average *average)
{
    const sfconv_status status = check_average(average);
    return status < 0 ? status : sfi_average_swap(average);
}
