/* SPDX-License-Identifier: BSD-2-Clause */
/* Nets and trainings through files: what comes back, and what a load that fails has touched. */
#include "support.h"

#include "average.h"
#include "graph.h"
#include "kernels.h"
#include "memory.h"
#include "optimizers.h"
#include "random.h"
#include "run.h"
#include "safetensors_reader.h"
#include "safetensors_writer.h"
#include "schedules.h"

#include "sfconv/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OUT 3
#define IN 2
#define RANK 4
#define KH 3
#define KW 2

static sfconv_context *context;
static char path[64];

static void set_up(void)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    ck_assert_int_eq(sfi_context_create(&context, &desc, sfk_table_for(SFCONV_ISA_REFERENCE),
                                        SFCONV_ISA_REFERENCE),
                     SFCONV_OK);
    strcpy(path, "sfconv-checkpoint-XXXXXX");
    const int descriptor = mkstemp(path);
    ck_assert_int_ge(descriptor, 0);
    close(descriptor);
}

static void tear_down(void)
{
    unlink(path);
    sfi_context_release(context);
}

/* A layer that only holds parameters: these nets are saved and loaded, never run. */
static const sfi_layer_class holder = {
    .kind = "holder", .min_inputs = 1, .max_inputs = 1, .bytes = sizeof(sfconv_layer)};

typedef struct made_parameter {
    const char *name;
    int32_t role;
    int32_t rank;
    int64_t shape[4];
} made_parameter;

static const made_parameter factors[] = {
    {"q.weight", SFCONV_PARAMETER_FACTOR_Q, 4, {RANK, IN, 1, KW}},
    {"p.weight", SFCONV_PARAMETER_FACTOR_P, 4, {OUT, RANK, KH, 1}},
    {"bias", SFCONV_PARAMETER_BIAS, 1, {OUT}},
};
static const made_parameter norm[] = {
    {"weight", SFCONV_PARAMETER_SCALE, 1, {OUT}},
    {"running_mean", SFCONV_PARAMETER_BUFFER, 1, {OUT}},
};

static void add_layer(sfconv_net *net, const char *name, const made_parameter *parameters,
                      int count)
{
    int32_t node = net->node_count - 1;
    sfconv_layer *layer = sfi_layer_new(context, &holder);
    ck_assert_ptr_nonnull(layer);
    for (int i = 0; i < count; i++) {
        ck_assert_int_eq(sfi_layer_add_parameter(layer, parameters[i].name, parameters[i].role,
                                                 parameters[i].rank, parameters[i].shape),
                         SFCONV_OK);
    }
    ck_assert_int_eq(sfi_net_add_layer(net, name, layer, &node, 1, &node), SFCONV_OK);
    sfi_layer_release(layer);
}

/* conv (factors and bias) and bn (scale and a buffer). */
static sfconv_net *make_net(void)
{
    int32_t node;
    sfconv_net *net = sfi_net_new(context);
    ck_assert_ptr_nonnull(net);
    ck_assert_int_eq(sfi_net_add_input(net, "in", IN, &node), SFCONV_OK);
    add_layer(net, "conv", factors, 3);
    add_layer(net, "bn", norm, 2);
    ck_assert_int_eq(sfi_net_add_output(net, 2), SFCONV_OK);
    return net;
}

/* Bits that differ everywhere, NaN and infinities among them. */
static void fill_bits(float *data, int64_t count, uint64_t seed)
{
    const sfi_random random = {seed, 0};
    for (int64_t i = 0; i < count; i++) {
        const uint32_t bits = (uint32_t)sfi_random_bits(random, (uint64_t)i);
        memcpy(&data[i], &bits, sizeof bits);
    }
}

static void fill_net(const sfconv_net *net, uint64_t seed)
{
    for (int32_t i = 0; i < net->parameter_count; i++) {
        sfi_parameter *parameter = net->parameters[i].parameter;
        fill_bits(parameter->data, parameter->count, seed + (uint64_t)i);
    }
}

static void assert_net_filled(const sfconv_net *net, uint64_t seed)
{
    float expected[64];
    for (int32_t i = 0; i < net->parameter_count; i++) {
        const sfi_parameter *parameter = net->parameters[i].parameter;
        ck_assert_int_le(parameter->count, 64);
        fill_bits(expected, parameter->count, seed + (uint64_t)i);
        ck_assert_mem_eq(parameter->data, expected, (size_t)parameter->count * sizeof *expected);
    }
}

static const float *values_of(const sfconv_net *net, const char *name)
{
    const int32_t index = sfi_net_find_parameter(net, name);
    ck_assert_int_ge(index, 0);
    return net->parameters[index].parameter->data;
}

static void assert_reason(const char *words)
{
    ck_assert_msg(strstr(context->error, words) && strstr(context->error, path),
                  "expected a reason with '%s' and the path, got: %s", words, context->error);
}

START_TEST(net_comes_back_bit_for_bit)
{
    sfconv_net *net = make_net();
    fill_net(net, 10);
    ck_assert_int_eq(sfconv_net_save(net, path, NULL), SFCONV_OK);
    fill_net(net, 90);
    ck_assert_int_eq(sfconv_net_load(net, path, 0, NULL, NULL), SFCONV_OK);
    assert_net_filled(net, 10);
    sfi_net_release(net);
}
END_TEST

START_TEST(saved_net_carries_its_description_and_the_texts_of_the_caller)
{
    sfconv_net *net = make_net();
    sfconv_metadata *metadata;
    sfi_file_reader *reader;
    net->description = sfi_copy_text(context, "{\"model\":\"tiny\"}");
    ck_assert_int_eq(sfconv_metadata_create(&metadata, context), SFCONV_OK);
    ck_assert_int_eq(sfconv_metadata_set(metadata, "classes", "2"), SFCONV_OK);
    /* The library's own names come from the net alone. */
    ck_assert_int_eq(sfconv_metadata_set(metadata, "sfconv.model", "stale"), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_net_save(net, path, metadata), SFCONV_OK);
    ck_assert_int_eq(sfi_file_reader_open(&reader, context, path), SFCONV_OK);
    const sfconv_metadata *texts = sfi_file_reader_header(reader)->metadata;
    ck_assert_int_eq(sfconv_metadata_count(texts), 2);
    ck_assert_str_eq(sfconv_metadata_get(texts, "sfconv.model"), "{\"model\":\"tiny\"}");
    ck_assert_str_eq(sfconv_metadata_get(texts, "classes"), "2");
    sfi_file_reader_close(reader);
    sfconv_metadata_destroy(metadata);
    sfi_net_release(net);
}
END_TEST

/* Saves tensors of ones with these names and shapes. */
static void save_ones(const made_parameter *tensors, int count)
{
    static float ones[256];
    sfi_saved_tensor saved[8];
    for (int i = 0; i < 256; i++) {
        ones[i] = 1;
    }
    for (int t = 0; t < count; t++) {
        saved[t] = (sfi_saved_tensor){tensors[t].name, tensors[t].rank, {0}, 1, ones};
        for (int i = 0; i < tensors[t].rank; i++) {
            saved[t].shape[i] = tensors[t].shape[i];
            saved[t].count *= tensors[t].shape[i];
        }
    }
    ck_assert_int_eq(sfi_file_write(context, path, saved, (size_t)count, NULL), SFCONV_OK);
}

static const made_parameter whole_net[] = {
    {"conv.q.weight", 0, 4, {RANK, IN, 1, KW}},
    {"conv.p.weight", 0, 4, {OUT, RANK, KH, 1}},
    {"conv.bias", 0, 1, {OUT}},
    {"bn.weight", 0, 1, {OUT}},
    {"bn.running_mean", 0, 1, {OUT}},
    {"bn.num_batches_tracked", 0, 0, {0}},
    {"head.weight", 0, 2, {1, OUT}},
};

START_TEST(counter_of_batches_is_passed_over)
{
    sfconv_net *net = make_net();
    save_ones(whole_net, 6);
    ck_assert_int_eq(sfconv_net_load(net, path, 0, NULL, NULL), SFCONV_OK);
    ck_assert(values_of(net, "bn.running_mean")[2] == 1);
    sfi_net_release(net);
}
END_TEST

START_TEST(unknown_tensor_is_refused_by_name_unless_ignored)
{
    sfconv_net *net = make_net();
    fill_net(net, 10);
    save_ones(whole_net, 7);
    ck_assert_int_eq(sfconv_net_load(net, path, SFCONV_LOAD_KEEP_MISSING, NULL, NULL),
                     SFCONV_ERROR_NOT_FOUND);
    assert_reason("tensor \"head.weight\"");
    assert_net_filled(net, 10);
    ck_assert_int_eq(sfconv_net_load(net, path, SFCONV_LOAD_IGNORE_UNKNOWN, NULL, NULL), SFCONV_OK);
    ck_assert(values_of(net, "conv.q.weight")[0] == 1);
    sfi_net_release(net);
}
END_TEST

START_TEST(missing_tensor_is_refused_by_name_unless_kept)
{
    sfconv_net *net = make_net();
    fill_net(net, 10);
    save_ones(whole_net, 4);
    ck_assert_int_eq(sfconv_net_load(net, path, SFCONV_LOAD_IGNORE_UNKNOWN, NULL, NULL),
                     SFCONV_ERROR_NOT_FOUND);
    assert_reason("tensor \"bn.running_mean\"");
    assert_net_filled(net, 10);
    float kept[OUT];
    memcpy(kept, values_of(net, "bn.running_mean"), sizeof kept);
    ck_assert_int_eq(sfconv_net_load(net, path, SFCONV_LOAD_KEEP_MISSING, NULL, NULL), SFCONV_OK);
    ck_assert_mem_eq(values_of(net, "bn.running_mean"), kept, sizeof kept);
    ck_assert(values_of(net, "bn.weight")[0] == 1);
    sfi_net_release(net);
}
END_TEST

START_TEST(tensor_of_another_shape_is_refused_with_both_shapes)
{
    sfconv_net *net = make_net();
    made_parameter tensors[5];
    memcpy(tensors, whole_net, sizeof tensors);
    tensors[4].shape[0] = OUT + 1;
    fill_net(net, 10);
    save_ones(tensors, 5);
    ck_assert_int_eq(sfconv_net_load(net, path, 0, NULL, NULL), SFCONV_ERROR_SHAPE);
    assert_reason("tensor \"bn.running_mean\": expected shape [3], got [4]");
    assert_net_filled(net, 10);
    sfi_net_release(net);
}
END_TEST

static int32_t cancel_late(void *user, double part)
{
    int *calls = user;
    ck_assert_double_ge(part, 0);
    ck_assert_double_le(part, 1);
    return ++*calls >= 3;
}

START_TEST(cancelled_load_changes_nothing)
{
    sfconv_net *net = make_net();
    int calls = 0;
    fill_net(net, 10);
    save_ones(whole_net, 6);
    ck_assert_int_eq(sfconv_net_load(net, path, 0, cancel_late, &calls), SFCONV_ERROR_CANCELLED);
    ck_assert_int_eq(calls, 3);
    assert_net_filled(net, 10);
    sfi_net_release(net);
}
END_TEST

/* Saves conv.weight, a dense weight, and conv.bias. */
static void save_dense(float *weight, int64_t in)
{
    const float bias[OUT] = {1, 2, 3};
    const sfi_saved_tensor tensors[] = {
        {"conv.weight", 4, {OUT, in, KH, KW}, OUT * in * KH * KW, weight},
        {"conv.bias", 1, {OUT}, OUT, bias},
    };
    ck_assert_int_eq(sfi_file_write(context, path, tensors, 2, NULL), SFCONV_OK);
}

START_TEST(dense_weight_becomes_factors_with_the_same_product)
{
    /* RANK is the full rank IN * KW, so the product is the weight. */
    float weight[OUT * IN * KH * KW];
    const sfi_random random = {5, 5};
    for (int i = 0; i < OUT * IN * KH * KW; i++) {
        weight[i] = (float)sfi_random_normal(random, (uint64_t)i);
    }
    sfconv_net *net = make_net();
    save_dense(weight, IN);
    ck_assert_int_eq(
        sfconv_net_load(net, path, SFCONV_LOAD_DECOMPOSE | SFCONV_LOAD_KEEP_MISSING, NULL, NULL),
        SFCONV_OK);
    const float *q = values_of(net, "conv.q.weight");
    const float *p = values_of(net, "conv.p.weight");
    ck_assert(values_of(net, "conv.bias")[2] == 3);
    for (int o = 0; o < OUT; o++) {
        for (int c = 0; c < IN; c++) {
            for (int i = 0; i < KH; i++) {
                for (int j = 0; j < KW; j++) {
                    double sum = 0;
                    for (int t = 0; t < RANK; t++) {
                        sum +=
                            (double)p[(o * RANK + t) * KH + i] * (double)q[(t * IN + c) * KW + j];
                    }
                    ck_assert_double_eq_tol(sum, weight[((o * IN + c) * KH + i) * KW + j], 1e-6);
                }
            }
        }
    }
    sfi_net_release(net);
}
END_TEST

START_TEST(dense_weight_that_does_not_fit_or_is_not_finite_changes_nothing)
{
    float weight[OUT * (IN + 1) * KH * KW] = {1};
    const int32_t flags = SFCONV_LOAD_DECOMPOSE | SFCONV_LOAD_KEEP_MISSING;
    sfconv_net *net = make_net();
    fill_net(net, 10);
    save_dense(weight, IN + 1);
    ck_assert_int_eq(sfconv_net_load(net, path, flags, NULL, NULL), SFCONV_ERROR_SHAPE);
    assert_reason("tensor \"conv.weight\": expected shape [3, 2, 3, 2], got [3, 3, 3, 2]");
    weight[7] = NAN;
    save_dense(weight, IN);
    ck_assert_int_eq(sfconv_net_load(net, path, flags, NULL, NULL), SFCONV_ERROR_NUMERIC);
    ck_assert_ptr_nonnull(strstr(context->error, "conv.weight"));
    assert_net_filled(net, 10);
    sfi_net_release(net);
}
END_TEST

START_TEST(dense_weight_without_the_flag_is_refused_by_the_name_of_the_flag)
{
    float weight[OUT * IN * KH * KW] = {1};
    sfconv_net *net = make_net();
    fill_net(net, 10);
    save_dense(weight, IN);
    ck_assert_int_eq(sfconv_net_load(net, path, SFCONV_LOAD_KEEP_MISSING, NULL, NULL),
                     SFCONV_ERROR_NOT_FOUND);
    assert_reason("tensor \"conv.weight\": expected its factors, got a dense weight, which "
                  "SFCONV_LOAD_DECOMPOSE decomposes");
    ck_assert_int_eq(sfconv_net_load(net, path, SFCONV_LOAD_IGNORE_UNKNOWN, NULL, NULL),
                     SFCONV_ERROR_NOT_FOUND);
    assert_reason("tensor \"conv.weight\": expected its factors, got a dense weight, which "
                  "SFCONV_LOAD_DECOMPOSE decomposes");
    assert_net_filled(net, 10);
    sfi_net_release(net);
}
END_TEST

/* Everything that a checkpoint can hold. */
typedef struct training {
    sfconv_checkpoint parts;
    sfconv_net *net;
} training;

static training make_training(int32_t optimizer_kind)
{
    training made = {.parts = SFCONV_CHECKPOINT_INIT, .net = make_net()};
    sfconv_optimizer_desc optimizer = SFCONV_OPTIMIZER_DESC_INIT;
    sfconv_schedule_desc schedule = SFCONV_SCHEDULE_DESC_INIT;
    optimizer.kind = optimizer_kind;
    schedule.kind = SFCONV_SCHEDULE_PLATEAU;
    made.parts.net = made.net;
    ck_assert_int_eq(sfi_optimizer_new(&made.parts.optimizer, made.net, &optimizer), SFCONV_OK);
    ck_assert_int_eq(sfi_schedule_new(&made.parts.schedule, context, &schedule), SFCONV_OK);
    ck_assert_int_eq(sfi_average_new(&made.parts.average, made.net, 0.99), SFCONV_OK);
    ck_assert_int_eq(sfi_run_new(&made.parts.run, made.net, SFCONV_MODE_TRAINING), SFCONV_OK);
    ck_assert_int_eq(sfconv_metadata_create(&made.parts.metadata, context), SFCONV_OK);
    return made;
}

static void destroy_training(training *made)
{
    sfi_optimizer_release(made->parts.optimizer);
    sfi_schedule_release(made->parts.schedule);
    sfi_average_release(made->parts.average);
    sfi_run_release(made->parts.run);
    sfconv_metadata_destroy(made->parts.metadata);
    sfi_net_release(made->net);
}

static void fill_training(training *made, uint64_t seed)
{
    const sfconv_checkpoint *parts = &made->parts;
    char epoch[24];
    fill_net(made->net, seed);
    for (int32_t i = 0; i < sfi_optimizer_state_count(parts->optimizer); i++) {
        const sfi_state_array array = sfi_optimizer_state(parts->optimizer, i);
        fill_bits(array.data, array.count, seed + 100 + (uint64_t)i);
    }
    for (int32_t i = 0; i < sfi_average_state_count(parts->average); i++) {
        const sfi_state_array array = sfi_average_state(parts->average, i);
        fill_bits(array.data, array.count, seed + 200 + (uint64_t)i);
    }
    parts->optimizer->steps = (int64_t)seed;
    parts->schedule->state =
        (sfi_schedule_state){1.0 / (double)seed, true, (int64_t)seed, INT64_C(1) << 53};
    parts->run->seed = UINT64_MAX - seed;
    parts->run->step = seed * 3;
    snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)seed);
    ck_assert_int_eq(sfconv_metadata_set(parts->metadata, "epoch", epoch), SFCONV_OK);
}

static void assert_same_training(const training *one, const training *other)
{
    const sfconv_checkpoint *a = &one->parts;
    const sfconv_checkpoint *b = &other->parts;
    const sfi_parameter_store *stores[2][2] = {{&a->optimizer->state, &b->optimizer->state},
                                               {&a->average->state, &b->average->state}};
    for (int i = 0; i < 2; i++) {
        ck_assert_uint_gt(stores[i][0]->block_bytes, 0);
        ck_assert_uint_eq(stores[i][0]->block_bytes, stores[i][1]->block_bytes);
        ck_assert_mem_eq(stores[i][0]->block, stores[i][1]->block, stores[i][0]->block_bytes);
    }
    ck_assert_int_eq(a->optimizer->steps, b->optimizer->steps);
    ck_assert(a->schedule->state.best == b->schedule->state.best);
    ck_assert_int_eq(a->schedule->state.observed, b->schedule->state.observed);
    ck_assert_int_eq(a->schedule->state.bad, b->schedule->state.bad);
    ck_assert_int_eq(a->schedule->state.reductions, b->schedule->state.reductions);
    ck_assert_uint_eq(a->run->seed, b->run->seed);
    ck_assert_uint_eq(a->run->step, b->run->step);
    ck_assert_str_eq(sfconv_metadata_get(a->metadata, "epoch"),
                     sfconv_metadata_get(b->metadata, "epoch"));
}

START_TEST(training_comes_back_bit_for_bit)
{
    const int32_t kinds[] = {SFCONV_OPTIMIZER_SGD, SFCONV_OPTIMIZER_ADAM};
    for (int i = 0; i < 2; i++) {
        training saved = make_training(kinds[i]);
        training loaded = make_training(kinds[i]);
        fill_training(&saved, 7);
        fill_training(&loaded, 8);
        ck_assert_int_eq(sfconv_metadata_set(loaded.parts.metadata, "note", "mine"), SFCONV_OK);
        ck_assert_int_eq(sfconv_checkpoint_save(&saved.parts, path), SFCONV_OK);
        ck_assert_int_eq(sfconv_checkpoint_load(&loaded.parts, path), SFCONV_OK);
        assert_net_filled(loaded.net, 7);
        assert_same_training(&loaded, &saved);
        ck_assert_str_eq(sfconv_metadata_get(loaded.parts.metadata, "note"), "mine");
        ck_assert_int_eq(sfconv_metadata_count(loaded.parts.metadata), 2);
        destroy_training(&saved);
        destroy_training(&loaded);
    }
}
END_TEST

START_TEST(net_of_a_checkpoint_loads_alone)
{
    training made = make_training(SFCONV_OPTIMIZER_SGD);
    fill_training(&made, 7);
    ck_assert_int_eq(sfconv_checkpoint_save(&made.parts, path), SFCONV_OK);
    fill_net(made.net, 50);
    ck_assert_int_eq(sfconv_net_load(made.net, path, SFCONV_LOAD_IGNORE_UNKNOWN, NULL, NULL),
                     SFCONV_OK);
    assert_net_filled(made.net, 7);
    fill_net(made.net, 50);
    const sfconv_checkpoint net_only = {sizeof net_only, made.net, NULL, NULL, NULL, NULL, NULL};
    ck_assert_int_eq(sfconv_checkpoint_load(&net_only, path), SFCONV_OK);
    assert_net_filled(made.net, 7);
    destroy_training(&made);
}
END_TEST

START_TEST(part_that_the_file_has_not_is_refused_and_nothing_changes)
{
    training made = make_training(SFCONV_OPTIMIZER_ADAM);
    training before = make_training(SFCONV_OPTIMIZER_ADAM);
    fill_training(&made, 7);
    fill_training(&before, 7);
    for (int part = 0; part < 4; part++) {
        sfconv_checkpoint partial = made.parts;
        sfconv_net *net = made.net;
        fill_net(net, 30);
        partial.optimizer = part == 0 ? NULL : partial.optimizer;
        partial.schedule = part == 1 ? NULL : partial.schedule;
        partial.average = part == 2 ? NULL : partial.average;
        partial.run = part == 3 ? NULL : partial.run;
        ck_assert_int_eq(sfconv_checkpoint_save(&partial, path), SFCONV_OK);
        fill_net(net, 7);
        ck_assert_int_eq(sfconv_checkpoint_load(&made.parts, path), SFCONV_ERROR_NOT_FOUND);
        assert_net_filled(net, 7);
        assert_same_training(&made, &before);
    }
    destroy_training(&made);
    destroy_training(&before);
}
END_TEST

START_TEST(checkpoint_of_another_optimizer_is_refused)
{
    training sgd = make_training(SFCONV_OPTIMIZER_SGD);
    training adam = make_training(SFCONV_OPTIMIZER_ADAM);
    fill_training(&sgd, 7);
    fill_training(&adam, 8);
    ck_assert_int_eq(sfconv_checkpoint_save(&sgd.parts, path), SFCONV_OK);
    ck_assert_int_eq(sfconv_checkpoint_load(&adam.parts, path), SFCONV_ERROR_NOT_FOUND);
    assert_reason("sfconv.optimizer.kind: expected 2, got 1");
    assert_net_filled(adam.net, 8);
    destroy_training(&sgd);
    destroy_training(&adam);
}
END_TEST

START_TEST(parts_of_another_net_and_an_exchanged_average_are_refused)
{
    training one = make_training(SFCONV_OPTIMIZER_SGD);
    training other = make_training(SFCONV_OPTIMIZER_SGD);
    sfconv_checkpoint mixed = one.parts;
    mixed.optimizer = other.parts.optimizer;
    ck_assert_int_eq(sfconv_checkpoint_save(&mixed, path), SFCONV_ERROR_ARGUMENT);
    mixed = one.parts;
    mixed.average = other.parts.average;
    ck_assert_int_eq(sfconv_checkpoint_save(&mixed, path), SFCONV_ERROR_ARGUMENT);
    mixed = one.parts;
    mixed.run = other.parts.run;
    ck_assert_int_eq(sfconv_checkpoint_load(&mixed, path), SFCONV_ERROR_ARGUMENT);
    one.parts.average->exchanged = true;
    ck_assert_int_eq(sfconv_checkpoint_save(&one.parts, path), SFCONV_ERROR_STATE);
    mixed.net = NULL;
    ck_assert_int_eq(sfconv_checkpoint_save(&mixed, path), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_checkpoint_save(NULL, path), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_checkpoint_save(&one.parts, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_net_load(one.net, path, 8, NULL, NULL), SFCONV_ERROR_ARGUMENT);
    destroy_training(&one);
    destroy_training(&other);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("checkpoint");
    TCase *tests = tcase_create("checkpoint");
    tcase_add_checked_fixture(tests, set_up, tear_down);
    tcase_add_test(tests, net_comes_back_bit_for_bit);
    tcase_add_test(tests, saved_net_carries_its_description_and_the_texts_of_the_caller);
    tcase_add_test(tests, counter_of_batches_is_passed_over);
    tcase_add_test(tests, unknown_tensor_is_refused_by_name_unless_ignored);
    tcase_add_test(tests, missing_tensor_is_refused_by_name_unless_kept);
    tcase_add_test(tests, tensor_of_another_shape_is_refused_with_both_shapes);
    tcase_add_test(tests, cancelled_load_changes_nothing);
    tcase_add_test(tests, dense_weight_becomes_factors_with_the_same_product);
    tcase_add_test(tests, dense_weight_that_does_not_fit_or_is_not_finite_changes_nothing);
    tcase_add_test(tests, dense_weight_without_the_flag_is_refused_by_the_name_of_the_flag);
    tcase_add_test(tests, training_comes_back_bit_for_bit);
    tcase_add_test(tests, net_of_a_checkpoint_loads_alone);
    tcase_add_test(tests, part_that_the_file_has_not_is_refused_and_nothing_changes);
    tcase_add_test(tests, checkpoint_of_another_optimizer_is_refused);
    tcase_add_test(tests, parts_of_another_net_and_an_exchanged_average_are_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
