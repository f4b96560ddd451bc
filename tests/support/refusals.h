/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls whose requests for memory are refused one by one, and objects for them to work on. */
#ifndef TESTS_REFUSALS_H
#define TESTS_REFUSALS_H

#include "nets.h"
#include "scratch.h"
#include "tally.h"

#define CHANNELS 6

/* What a call works on, made while memory is plenty. */
typedef struct stage {
    tally memory;
    sfconv_context *context;
    sfconv_net *net;
    sfconv_layer *dense;
    sfconv_layer *factorized;
    sfconv_layer *normalized;
    sfconv_optimizer *optimizer;
    sfconv_schedule *schedule;
    sfconv_average *average;
    sfconv_metadata *metadata;
    sfconv_run *run;
    sfconv_view logits;
    sfconv_view gradient;
    float numbers[64];
    float more[64];
    int32_t labels[16];
} stage;

/* Makes the call. What it hands out goes to *made; what it made otherwise (a size, a file) is gone
 * again when it returns. */
typedef sfconv_status (*attempt_fn)(stage *stage, void **made);
typedef void (*destroy_fn)(void *made);

static inline sfconv_shape map_shape(int64_t batch, int64_t size)
{
    return (sfconv_shape){batch, CHANNELS, size, size};
}

static inline void open_net(stage *s)
{
    s->net = empty_net(s->context);
    const int32_t x = put_input(s->net, "x", CHANNELS);
    const int32_t a = put_layer(s->net, "a", new_conv(s->context, CHANNELS, CHANNELS, 1, 1), &x, 1);
    const int32_t b = put_after(s->net, "b", new_batchnorm(s->context, CHANNELS), a);
    const int32_t c = put_after(
        s->net, "c", new_sfconv(s->context, CHANNELS, CHANNELS, 3, SFCONV_REGULARIZER_KL, 1, 2), b);
    put_output(s->net, c);
    s->run = new_run(s->net, SFCONV_MODE_TRAINING);
    const sfconv_shape shape = map_shape(1, 5);
    ck_assert_int_eq(sfconv_run_reshape(s->run, &shape, 1, NULL, 0), SFCONV_OK);
}

static inline void open_stage(stage *s)
{
    const sfconv_optimizer_desc optimizer = SFCONV_OPTIMIZER_DESC_INIT;
    const int64_t shape[] = {4, 4, 1, 1};
    memset(s, 0, sizeof *s);
    s->context = tally_context(&s->memory, 1, SFCONV_ISA_BEST);
    open_net(s);
    s->dense = new_conv(s->context, CHANNELS, CHANNELS, 1, 1);
    s->factorized = new_sfconv(s->context, CHANNELS, CHANNELS, 3, SFCONV_REGULARIZER_KL, 0, 1);
    s->normalized = new_sfconv(s->context, CHANNELS, CHANNELS, 3, SFCONV_REGULARIZER_NONE, 1, 1);
    ck_assert_int_eq(sfconv_optimizer_create(&s->optimizer, s->net, &optimizer), SFCONV_OK);
    ck_assert_int_eq(sfconv_schedule_create(&s->schedule, s->context, NULL), SFCONV_OK);
    ck_assert_int_eq(sfconv_average_create(&s->average, s->net, 0.9), SFCONV_OK);
    ck_assert_int_eq(sfconv_metadata_create(&s->metadata, s->context), SFCONV_OK);
    ck_assert_int_eq(sfconv_metadata_set(s->metadata, "name", "value"), SFCONV_OK);
    fill_floats(s->numbers, 64, 1);
    sfconv_view_init(&s->logits, s->numbers, 4, shape);
    sfconv_view_init(&s->gradient, s->more, 4, shape);
    ck_assert_int_eq(sfconv_net_save(s->net, scratch_path("net.safetensors"), s->metadata),
                     SFCONV_OK);
    const sfconv_checkpoint all = {sizeof all, s->net, s->optimizer, s->schedule,
                                   s->average, s->run, s->metadata};
    ck_assert_int_eq(sfconv_checkpoint_save(&all, scratch_path("checkpoint.safetensors")),
                     SFCONV_OK);
}

static inline void close_stage(stage *s)
{
    sfconv_run_destroy(s->run);
    sfconv_metadata_destroy(s->metadata);
    sfconv_average_destroy(s->average);
    sfconv_schedule_destroy(s->schedule);
    sfconv_optimizer_destroy(s->optimizer);
    sfconv_layer_destroy(s->normalized);
    sfconv_layer_destroy(s->factorized);
    sfconv_layer_destroy(s->dense);
    sfconv_net_destroy(s->net);
    sfconv_context_destroy(s->context);
    ck_assert_int_eq(tally_bytes(&s->memory), 0);
    ck_assert_int_eq(tally_blocks(&s->memory), 0);
}

static inline uint64_t hash_layer(uint64_t hash, const sfconv_layer *layer)
{
    for (int32_t i = 0; i < sfconv_layer_parameter_count(layer); i++) {
        sfconv_parameter_info info = SFCONV_PARAMETER_INFO_INIT;
        ck_assert_int_eq(sfconv_layer_parameter(layer, i, &info), SFCONV_OK);
        hash = hash_view(hash, &info.view);
    }
    return hash;
}

/* All that a failed call must leave alone. */
static inline uint64_t hash_stage(stage *s)
{
    uint64_t hash = hash_parameters(s->net) ^ hash_gradients(s->run);
    hash = hash_layer(hash, s->dense);
    hash = hash_layer(hash, s->factorized);
    hash = hash_layer(hash, s->normalized);
    const sfconv_view out = output_of(s->run, 0);
    hash = hash_floats(hash, s->numbers, 64) + (uint64_t)out.shape[2];
    hash += (uint64_t)sfconv_net_node_count(s->net) * 31;
    hash += (uint64_t)sfconv_metadata_count(s->metadata) * 37;
    return hash;
}

/* Refuses request 1, 2, 3 … of the call until it gets through. */
static inline void sweep(const char *name, stage *s, attempt_fn attempt, destroy_fn destroy,
                         int64_t least_requests)
{
    const uint64_t before = hash_stage(s);
    const int64_t bytes = tally_bytes(&s->memory);
    int64_t request = 1;
    for (;; request++) {
        void *made = s;
        tally_refuse(&s->memory, request);
        const sfconv_status status = attempt(s, &made);
        const bool refused = tally_refused(&s->memory);
        tally_refuse(&s->memory, 0);
        if (!refused) {
            ck_assert_msg(status == SFCONV_OK, "%s: %s with memory", name,
                          sfconv_status_name(status));
            destroy(made == s ? NULL : made);
            break;
        }
        ck_assert_msg(status == SFCONV_ERROR_MEMORY, "%s, request %d refused: %s", name,
                      (int)request, sfconv_status_name(status));
        ck_assert_msg(made == NULL || made == s, "%s, request %d refused: gives something back",
                      name, (int)request);
        ck_assert_msg(tally_bytes(&s->memory) == bytes, "%s, request %d refused: %d bytes leak",
                      name, (int)request, (int)(tally_bytes(&s->memory) - bytes));
        ck_assert_msg(hash_stage(s) == before, "%s, request %d refused: something changed", name,
                      (int)request);
    }
    ck_assert_msg(request > least_requests, "%s: only %d requests", name, (int)request - 1);
}

#endif
