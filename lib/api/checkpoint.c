/* SPDX-License-Identifier: BSD-2-Clause */
#include "checkpoint.h"

#include "average.h"
#include "error.h"
#include "net_file.h"
#include "optimizers.h"
#include "run.h"
#include "schedules.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* More than any training counts, and far from where counting on would overflow. */
#define MAX_COUNT (UINT64_C(1) << 53)

/* Numbers beside the tensors, each a text of decimal digits. */
enum number {
    OPTIMIZER_KIND,
    OPTIMIZER_STEPS,
    SCHEDULE_KIND,
    SCHEDULE_OBSERVED,
    SCHEDULE_BEST,
    SCHEDULE_BAD,
    SCHEDULE_REDUCTIONS,
    RUN_SEED,
    RUN_STEP,
    NUMBER_COUNT
};

static const struct {
    const char *name;
    uint64_t max;
} numbers[NUMBER_COUNT] = {
    [OPTIMIZER_KIND] = {SFI_RESERVED_PREFIX "optimizer.kind", INT32_MAX},
    [OPTIMIZER_STEPS] = {SFI_RESERVED_PREFIX "optimizer.steps", MAX_COUNT},
    [SCHEDULE_KIND] = {SFI_RESERVED_PREFIX "schedule.kind", INT32_MAX},
    [SCHEDULE_OBSERVED] = {SFI_RESERVED_PREFIX "schedule.observed", 1},
    /* The bits of a double, so that it comes back as it was. */
    [SCHEDULE_BEST] = {SFI_RESERVED_PREFIX "schedule.best", UINT64_MAX},
    [SCHEDULE_BAD] = {SFI_RESERVED_PREFIX "schedule.bad", MAX_COUNT},
    [SCHEDULE_REDUCTIONS] = {SFI_RESERVED_PREFIX "schedule.reductions", MAX_COUNT},
    [RUN_SEED] = {SFI_RESERVED_PREFIX "run.seed", UINT64_MAX},
    [RUN_STEP] = {SFI_RESERVED_PREFIX "run.step", UINT64_MAX},
};

static bool has_number(const sfconv_checkpoint *parts, int number)
{
    const void *part = number <= OPTIMIZER_STEPS       ? (const void *)parts->optimizer
                       : number <= SCHEDULE_REDUCTIONS ? (const void *)parts->schedule
                                                       : (const void *)parts->run;
    return part != NULL;
}

static void gather_numbers(const sfconv_checkpoint *parts, uint64_t *values)
{
    if (parts->optimizer) {
        values[OPTIMIZER_KIND] = (uint64_t)parts->optimizer->settings.kind;
        values[OPTIMIZER_STEPS] = (uint64_t)parts->optimizer->steps;
    }
    if (parts->schedule) {
        const sfi_schedule_state *state = &parts->schedule->state;
        values[SCHEDULE_KIND] = (uint64_t)parts->schedule->settings.kind;
        values[SCHEDULE_OBSERVED] = state->observed;
        memcpy(&values[SCHEDULE_BEST], &state->best, sizeof state->best);
        values[SCHEDULE_BAD] = (uint64_t)state->bad;
        values[SCHEDULE_REDUCTIONS] = (uint64_t)state->reductions;
    }
    if (parts->run) {
        values[RUN_SEED] = parts->run->seed;
        values[RUN_STEP] = parts->run->step;
    }
}

static double double_of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void restore_numbers(const sfconv_checkpoint *parts, const uint64_t *values)
{
    if (parts->optimizer) {
        parts->optimizer->steps = (int64_t)values[OPTIMIZER_STEPS];
    }
    if (parts->schedule) {
        sfi_schedule_state *state = &parts->schedule->state;
        state->observed = values[SCHEDULE_OBSERVED] != 0;
        state->best = double_of_bits(values[SCHEDULE_BEST]);
        state->bad = (int64_t)values[SCHEDULE_BAD];
        state->reductions = (int64_t)values[SCHEDULE_REDUCTIONS];
    }
    if (parts->run) {
        parts->run->seed = values[RUN_SEED];
        parts->run->step = values[RUN_STEP];
    }
}

static sfconv_status check_kind(const sfconv_checkpoint *parts, const char *file, int number,
                                const uint64_t *values, int32_t kind)
{
    if (has_number(parts, number) && values[number] != (uint64_t)kind) {
        return sfi_fail(parts->net->context, SFCONV_ERROR_NOT_FOUND, "%s: %s: expected %d, got %d",
                        file, numbers[number].name, kind, (int)values[number]);
    }
    return SFCONV_OK;
}

static sfconv_status read_number(sfconv_context *context, const char *file,
                                 const sfconv_metadata *texts, int number, uint64_t *value)
{
    const char *name = numbers[number].name;
    const char *text = sfi_metadata_get(texts, name);
    if (!text) {
        return sfi_fail(context, SFCONV_ERROR_NOT_FOUND,
                        "%s: expected a checkpoint with \"%s\", got none of that name", file, name);
    }
    if (!sfi_text_to_integer(text, value) || *value > numbers[number].max) {
        return sfi_fail(context, SFCONV_ERROR_FORMAT,
                        "%s: %s: expected a number up to %llu, got \"%.40s\"", file, name,
                        (unsigned long long)numbers[number].max, text);
    }
    if (number == SCHEDULE_BEST && isnan(double_of_bits(*value))) {
        return sfi_fail(context, SFCONV_ERROR_FORMAT,
                        "%s: %s: expected the bits of a number, got those of NaN", file, name);
    }
    return SFCONV_OK;
}

static sfconv_status read_numbers(const sfconv_checkpoint *parts, const char *file,
                                  const sfconv_metadata *texts, uint64_t *values)
{
    sfconv_status status = SFCONV_OK;
    for (int i = 0; i < NUMBER_COUNT && status == SFCONV_OK; i++) {
        if (has_number(parts, i)) {
            status = read_number(parts->net->context, file, texts, i, &values[i]);
        }
    }
    if (status == SFCONV_OK) {
        status = check_kind(parts, file, OPTIMIZER_KIND, values,
                            parts->optimizer ? parts->optimizer->settings.kind : 0);
    }
    if (status == SFCONV_OK) {
        status = check_kind(parts, file, SCHEDULE_KIND, values,
                            parts->schedule ? parts->schedule->settings.kind : 0);
    }
    return status;
}

static sfconv_status add_array(sfi_state *state, const char *prefix, const sfi_state_array *array)
{
    return sfi_state_add(state, prefix, array->parameter, 1, &array->count, array->data);
}

static sfconv_status add_optimizer(sfi_state *state, const sfconv_optimizer *optimizer)
{
    sfconv_status status = sfi_store_check(&optimizer->state, optimizer->net);
    const int32_t count = sfi_optimizer_state_count(optimizer);
    for (int32_t i = 0; i < count && status == SFCONV_OK; i++) {
        const sfi_state_array array = sfi_optimizer_state(optimizer, i);
        char prefix[64];
        const int length = snprintf(prefix, sizeof prefix, SFI_PART_OPTIMIZER "%s.", array.slot);
        assert(length < (int)sizeof prefix);
        (void)length;
        status = add_array(state, prefix, &array);
    }
    return status;
}

static sfconv_status add_average(sfi_state *state, const sfconv_average *average)
{
    sfconv_status status = sfi_store_check(&average->state, average->net);
    const int32_t count = sfi_average_state_count(average);
    for (int32_t i = 0; i < count && status == SFCONV_OK; i++) {
        const sfi_state_array array = sfi_average_state(average, i);
        status = add_array(state, SFI_PART_AVERAGE, &array);
    }
    return status;
}

/* All tensors of a checkpoint. */
static sfconv_status add_parts(sfi_state *state, const sfconv_checkpoint *parts)
{
    sfconv_status status = sfi_state_add_net(state, parts->net);
    if (status == SFCONV_OK && parts->optimizer) {
        status = add_optimizer(state, parts->optimizer);
    }
    if (status == SFCONV_OK && parts->average) {
        status = add_average(state, parts->average);
    }
    return status;
}

sfconv_status sfi_checkpoint_save(const sfconv_checkpoint *parts, const char *path)
{
    sfi_state state;
    sfconv_metadata *texts;
    uint64_t values[NUMBER_COUNT] = {0};
    sfi_state_init(&state, parts->net->context);
    sfconv_status status = sfi_net_texts(&texts, parts->net, parts->metadata);
    gather_numbers(parts, values);
    for (int i = 0; i < NUMBER_COUNT && status == SFCONV_OK; i++) {
        if (has_number(parts, i)) {
            status = sfi_metadata_set_integer(texts, numbers[i].name, values[i]);
        }
    }
    if (status == SFCONV_OK) {
        status = add_parts(&state, parts);
    }
    if (status == SFCONV_OK) {
        status = sfi_state_save(&state, path, texts);
    }
    sfi_metadata_free(texts);
    sfi_state_clear(&state);
    return status;
}

/* The caller's texts of the file, with room for them in the caller's metadata. */
static sfconv_status stage_texts(sfconv_metadata **texts, sfconv_metadata *target,
                                 const sfconv_metadata *of_file)
{
    *texts = NULL;
    if (!target) {
        return SFCONV_OK;
    }
    sfconv_status status = sfi_metadata_new(texts, target->context);
    if (status == SFCONV_OK) {
        status = sfi_metadata_copy_foreign(*texts, of_file);
    }
    return status < 0 ? status : sfi_metadata_reserve(target, (*texts)->count);
}

sfconv_status sfi_checkpoint_load(const sfconv_checkpoint *parts, const char *path)
{
    sfi_state state;
    sfi_file_reader *reader;
    sfconv_metadata *texts = NULL;
    uint64_t values[NUMBER_COUNT] = {0};
    sfconv_status status = sfi_file_reader_open(&reader, parts->net->context, path);
    if (status < 0) {
        return status;
    }
    const sfconv_metadata *of_file = sfi_file_reader_header(reader)->metadata;
    sfi_state_init(&state, parts->net->context);
    status = read_numbers(parts, path, of_file, values);
    if (status == SFCONV_OK) {
        status = add_parts(&state, parts);
    }
    if (status == SFCONV_OK) {
        status = sfi_state_stage(&state, reader, SFI_LOAD_PASS_PARTS, NULL, NULL);
    }
    if (status == SFCONV_OK) {
        status = stage_texts(&texts, parts->metadata, of_file);
    }
    if (status == SFCONV_OK) {
        /* From here on nothing can fail. */
        sfi_state_commit(&state);
        restore_numbers(parts, values);
        if (texts) {
            sfi_metadata_merge(parts->metadata, texts);
        }
    }
    sfi_metadata_free(texts);
    sfi_state_clear(&state);
    sfi_file_reader_close(reader);
    return status;
}
