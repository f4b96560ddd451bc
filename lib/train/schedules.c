/* SPDX-License-Identifier: BSD-2-Clause */
#include "schedules.h"

#include "error.h"
#include "maths.h"
#include "memory.h"
#include "powers.h"

sfconv_status sfi_schedule_new(sfconv_schedule **out, sfconv_context *context,
                               const sfconv_schedule_desc *settings)
{
    sfconv_schedule *schedule = sfi_calloc(context, 1, sizeof *schedule);
    *out = schedule;
    if (!schedule) {
        return sfi_fail_memory(context, "schedule", sizeof *schedule);
    }
    schedule->magic = SFI_SCHEDULE_MAGIC;
    schedule->context = sfi_context_retain(context);
    schedule->settings = *settings;
    return SFCONV_OK;
}

void sfi_schedule_release(sfconv_schedule *schedule)
{
    if (!schedule) {
        return;
    }
    sfconv_context *context = schedule->context;
    schedule->magic = 0;
    sfi_free(context, schedule, sizeof *schedule);
    sfi_context_release(context);
}

/* From 1 down to `factor` by half a cosine between the end of the warm-up and `total`. */
static double cosine_factor(const sfconv_schedule_desc *settings, int64_t step)
{
    if (step <= settings->warmup) {
        return 1.0;
    }
    if (step >= settings->total) {
        return settings->factor;
    }
    const double part =
        (double)(step - settings->warmup) / (double)(settings->total - settings->warmup);
    double sine;
    double cosine;
    sfi_sincos_turn(0.5 * part, &sine, &cosine);
    return settings->factor + (1.0 - settings->factor) * 0.5 * (1.0 + cosine);
}

static double factor_of_kind(const sfconv_schedule *schedule, int64_t step)
{
    const sfconv_schedule_desc *settings = &schedule->settings;
    switch (settings->kind) {
    case SFCONV_SCHEDULE_STEP:
        return sfi_power(settings->factor, step / settings->period);
    case SFCONV_SCHEDULE_COSINE:
        return cosine_factor(settings, step);
    case SFCONV_SCHEDULE_PLATEAU:
        return sfi_power(settings->factor, schedule->state.reductions);
    default:
        return 1.0;
    }
}

double sfi_schedule_rate(const sfconv_schedule *schedule, int64_t step)
{
    const sfconv_schedule_desc *settings = &schedule->settings;
    const double rate = settings->rate * factor_of_kind(schedule, step);
    if (step >= settings->warmup) {
        return rate;
    }
    return rate * (((double)step + 1.0) / ((double)settings->warmup + 1.0));
}

void sfi_schedule_observe(sfconv_schedule *schedule, double value)
{
    const sfconv_schedule_desc *settings = &schedule->settings;
    sfi_schedule_state *state = &schedule->state;
    if (settings->kind != SFCONV_SCHEDULE_PLATEAU) {
        return;
    }
    const bool better = settings->larger_is_better ? value > state->best : value < state->best;
    if (!state->observed || better) {
        state->observed = true;
        state->best = value;
        state->bad = 0;
        return;
    }
    if (++state->bad >= settings->patience) {
        state->bad = 0;
        state->reductions++;
    }
}
