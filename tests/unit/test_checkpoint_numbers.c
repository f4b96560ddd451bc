/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers of a checkpoint that somebody has changed: what no training can have counted is refused
 * by name and touches nothing; what it can have counted is taken, and the training goes on. */
#include "nets.h"
#include "scratch.h"

#include "optimizers.h"

#include <stdint.h>

typedef struct training {
    sfconv_context *context;
    sfconv_checkpoint parts;
} training;

static training open_training(void)
{
    training made = {.context = one_worker(), .parts = SFCONV_CHECKPOINT_INIT};
    sfconv_optimizer_desc optimizer = SFCONV_OPTIMIZER_DESC_INIT;
    sfconv_schedule_desc schedule = SFCONV_SCHEDULE_DESC_INIT;
    sfconv_checkpoint *parts = &made.parts;
    optimizer.kind = SFCONV_OPTIMIZER_ADAM;
    schedule.kind = SFCONV_SCHEDULE_PLATEAU;
    schedule.patience = 10;
    schedule.rate = 0.5;
    schedule.factor = 0.25;
    parts->net = plain_net(made.context);
    ck_assert_int_eq(sfconv_optimizer_create(&parts->optimizer, parts->net, &optimizer), SFCONV_OK);
    ck_assert_int_eq(sfconv_schedule_create(&parts->schedule, made.context, &schedule), SFCONV_OK);
    parts->run = new_run(parts->net, SFCONV_MODE_TRAINING);
    reshape_run(parts->run, 2, 6, 6);
    return made;
}

static void close_training(training *made)
{
    sfconv_run_destroy(made->parts.run);
    sfconv_schedule_destroy(made->parts.schedule);
    sfconv_optimizer_destroy(made->parts.optimizer);
    sfconv_net_destroy(made->parts.net);
    sfconv_context_destroy(made->context);
}

static double rate_of(const training *made)
{
    double rate;
    ck_assert_int_eq(sfconv_schedule_rate(made->parts.schedule, 0, &rate), SFCONV_OK);
    return rate;
}

static void train(training *made, double observed)
{
    const sfconv_checkpoint *parts = &made->parts;
    training_hash(parts->run, sfconv_run_step(parts->run));
    ck_assert_int_eq(sfconv_optimizer_step(parts->optimizer, parts->run, rate_of(made)), SFCONV_OK);
    ck_assert_int_eq(sfconv_schedule_observe(parts->schedule, observed), SFCONV_OK);
}

/* Of all that a checkpoint restores. */
static uint64_t hash_training(const training *made)
{
    const sfconv_checkpoint *parts = &made->parts;
    const float numbers[] = {(float)sfconv_optimizer_steps(parts->optimizer), (float)rate_of(made),
                             (float)sfconv_run_step(parts->run)};
    uint64_t hash = hash_floats(hash_parameters(parts->net), numbers, 3);
    for (int32_t i = 0; i < sfi_optimizer_state_count(parts->optimizer); i++) {
        const sfi_state_array array = sfi_optimizer_state(parts->optimizer, i);
        hash = hash_floats(hash, array.data, array.count);
    }
    return hash;
}

static char *append(char *end, const char *from, size_t bytes)
{
    memcpy(end, from, bytes);
    return end + bytes;
}

/* Writes `text` in the place of the number of that name; spaces fill the header up. */
static void change_number(const char *file, const char *name, const char *text)
{
    static char before[1 << 16], after[1 << 16];
    const size_t bytes = scratch_read(file, before, sizeof before);
    uint64_t length;
    char key[80];
    ck_assert_uint_lt(bytes, sizeof before - 128);
    memcpy(&length, before, sizeof length);
    snprintf(key, sizeof key, "\"%s\":\"", name);
    char *tensors = before + sizeof length + length;
    char *number = memmem(before, bytes, key, strlen(key));
    ck_assert_ptr_nonnull(number);
    number += strlen(key);
    const char *behind = memchr(number, '"', (size_t)(tensors - number));
    char *end = append(after, before, (size_t)(number - before));
    end = append(end, text, strlen(text));
    end = append(end, behind, (size_t)(tensors - behind));
    while ((end - after) % 8 != 0) {
        *end++ = ' ';
    }
    length = (uint64_t)(end - after) - sizeof length;
    memcpy(after, &length, sizeof length);
    end = append(end, tensors, bytes - (size_t)(tensors - before));
    scratch_write(file, after, (size_t)(end - after));
}

/* 2^53 is the largest count. */
static const struct {
    const char *name;
    const char *text;
} impossible[] = {
    {"sfconv.optimizer.steps", ""},
    {"sfconv.optimizer.steps", "-1"},
    {"sfconv.optimizer.steps", "1.5"},
    {"sfconv.optimizer.steps", "0x10"},
    {"sfconv.optimizer.steps", " 1"},
    {"sfconv.optimizer.steps", "99999999999999999999999"},
    {"sfconv.optimizer.steps", "9007199254740993"},
    {"sfconv.optimizer.steps", "9223372036854775807"},
    {"sfconv.schedule.observed", "2"},
    {"sfconv.schedule.bad", "9007199254740993"},
    {"sfconv.schedule.bad", "9223372036854775807"},
    {"sfconv.schedule.reductions", "9223372036854775807"},
    {"sfconv.schedule.best", "0.5"},
    /* The bits of NaN, of either sign. */
    {"sfconv.schedule.best", "9221120237041090560"},
    {"sfconv.schedule.best", "18446744073709551615"},
    {"sfconv.run.seed", "18446744073709551616"},
    {"sfconv.run.step", "-1"},
};
#define IMPOSSIBLE_COUNT ((int)(sizeof impossible / sizeof impossible[0]))

START_TEST(a_number_that_cannot_be_is_refused_by_name_and_nothing_changes)
{
    const char *file = scratch_path("checkpoint");
    training made = open_training();
    train(&made, 1.0);
    ck_assert_int_eq(sfconv_checkpoint_save(&made.parts, file), SFCONV_OK);
    train(&made, 2.0);
    const uint64_t before = hash_training(&made);
    change_number("checkpoint", impossible[_i].name, impossible[_i].text);
    ck_assert_int_eq(sfconv_checkpoint_load(&made.parts, file), SFCONV_ERROR_FORMAT);
    ck_assert_msg(reason_holds(made.context, impossible[_i].name), "%s",
                  sfconv_context_last_error(made.context));
    ck_assert_uint_eq(hash_training(&made), before);
    close_training(&made);
}
END_TEST

START_TEST(a_training_goes_on_from_the_largest_counts)
{
    static const char *const counts[] = {"sfconv.optimizer.steps", "sfconv.schedule.bad",
                                         "sfconv.schedule.reductions"};
    const char *file = scratch_path("checkpoint");
    training made = open_training();
    train(&made, 1.0);
    ck_assert_int_eq(sfconv_checkpoint_save(&made.parts, file), SFCONV_OK);
    for (int i = 0; i < 3; i++) {
        change_number("checkpoint", counts[i], "9007199254740992");
    }
    change_number("checkpoint", "sfconv.run.step", "18446744073709551615");
    ck_assert_int_eq(sfconv_checkpoint_load(&made.parts, file), SFCONV_OK);
    train(&made, 2.0);
    ck_assert_int_eq(sfconv_optimizer_steps(made.parts.optimizer), (INT64_C(1) << 53) + 1);
    ck_assert_double_eq(rate_of(&made), 0.0);
    close_training(&made);
}
END_TEST

START_TEST(more_bad_observations_than_the_patience_reduce_at_the_next_one)
{
    const char *file = scratch_path("checkpoint");
    training made = open_training();
    train(&made, 1.0);
    ck_assert_int_eq(sfconv_checkpoint_save(&made.parts, file), SFCONV_OK);
    change_number("checkpoint", "sfconv.schedule.bad", "20");
    ck_assert_int_eq(sfconv_checkpoint_load(&made.parts, file), SFCONV_OK);
    ck_assert_double_eq(rate_of(&made), 0.5);
    train(&made, 2.0);
    ck_assert_double_eq(rate_of(&made), 0.125);
    for (int i = 0; i < 9; i++) {
        train(&made, 2.0);
    }
    ck_assert_double_eq(rate_of(&made), 0.125);
    train(&made, 2.0);
    ck_assert_double_eq(rate_of(&made), 0.03125);
    close_training(&made);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("checkpoint numbers");
    TCase *tests = tcase_create("checkpoint numbers");
    tcase_add_checked_fixture(tests, scratch_create, scratch_destroy);
    tcase_add_loop_test(tests, a_number_that_cannot_be_is_refused_by_name_and_nothing_changes, 0,
                        IMPOSSIBLE_COUNT);
    tcase_add_test(tests, a_training_goes_on_from_the_largest_counts);
    tcase_add_test(tests, more_bad_observations_than_the_patience_reduce_at_the_next_one);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
