/* SPDX-License-Identifier: BSD-2-Clause */
/* In inference maps that are concatenated are computed where they lie in the concatenation. */
#include "trials.h"

#define RANDOM_NETS 300

/* conv a, conv b, their concatenation, a convolution of it. */
typedef struct joining {
    sfconv_context *context;
    sfconv_net *net;
    int32_t a;
    int32_t b;
    int32_t joined;
    sfconv_shape shape;
} joining;

static joining new_joining(int64_t batch, int64_t size)
{
    joining made = {.context = one_worker(), .shape = {batch, 3, size, size}};
    made.net = empty_net(made.context);
    const int32_t x = put_input(made.net, "x", 3);
    made.a = put_after(made.net, "a", new_conv(made.context, 3, 5, 1, 7), x);
    made.b = put_after(made.net, "b", new_conv(made.context, 3, 7, 1, 7), x);
    made.joined = put_pair(made.net, "both", new_concat(made.context), made.a, made.b);
    put_output(made.net,
               put_after(made.net, "out", new_conv(made.context, 12, 2, 1, 7), made.joined));
    return made;
}

static void end_joining(joining *made)
{
    sfconv_net_destroy(made->net);
    sfconv_context_destroy(made->context);
}

/* Nodes whose map lies in another's. */
static int count_joined(const sfconv_run *run)
{
    int count = 0;
    for (const char *at = plan_of(run); (at = strstr(at, ", in the map of ")) != NULL; at++) {
        count++;
    }
    return count;
}

static int joined_in(sfconv_net *net, sfconv_shape shape)
{
    sfconv_run *run = new_run_of(net, SFCONV_ENGINE_RANK_SPACE, &shape, 1);
    const int count = count_joined(run);
    sfconv_run_destroy(run);
    return count;
}

START_TEST(both_parts_of_a_concatenation_lie_in_it)
{
    joining made = new_joining(1, 16);
    for (int32_t engine = SFCONV_ENGINE_LAYERS; engine <= SFCONV_ENGINE_RANK_SPACE; engine++) {
        sfconv_run *run = new_run_of(made.net, engine, &made.shape, 1);
        ck_assert_int_eq(count_joined(run), 2);
        ck_assert(strstr(plan_of(run), "in the map of both") != NULL);
        sfconv_run_destroy(run);
    }
    end_joining(&made);
}
END_TEST

static int64_t run_bytes(const sfconv_net *net, sfconv_shape shape)
{
    int64_t bytes = 0;
    ck_assert_int_eq(sfconv_net_run_bytes(net, SFCONV_MODE_INFERENCE, &shape, 1, &bytes),
                     SFCONV_OK);
    return bytes;
}

START_TEST(parts_take_no_memory_of_their_own)
{
    joining made = new_joining(1, 64);
    const int64_t bytes = run_bytes(made.net, made.shape);
    put_output(made.net, made.a);
    put_output(made.net, made.b);
    ck_assert_int_ge(run_bytes(made.net, made.shape) - bytes,
                     (5 + 7) * 64 * 64 * (int64_t)sizeof(float));
    end_joining(&made);
}
END_TEST

/* Convolutions to a few maps of x, made first; each joined late with a map that the one before has
 * grown out of. In place of each other those concatenations would take no more than one. */
static sfconv_net *new_late_joins(sfconv_context *context, int joins)
{
    sfconv_net *net = empty_net(context);
    int32_t early[16];
    char name[16];
    const int32_t x = put_input(net, "x", 3);
    for (int i = 0; i < joins; i++) {
        snprintf(name, sizeof name, "early%d", i);
        early[i] = put_after(net, name, new_conv(context, 3, 4, 1, 7), x);
    }
    int32_t last = put_after(net, "first", new_conv(context, 3, 60, 1, 7), x);
    for (int i = 0; i < joins; i++) {
        snprintf(name, sizeof name, "join%d", i);
        last = put_pair(net, name, new_concat(context), early[i], last);
        snprintf(name, sizeof name, "conv%d", i);
        last = put_after(net, name, new_conv(context, 64, 60, 1, 7), last);
    }
    put_output(net, last);
    return net;
}

/* Of two images no map lies in another. */
START_TEST(maps_join_only_where_the_run_takes_no_more_memory)
{
    sfconv_context *context = one_worker();
    for (int joins = 1; joins <= 16; joins *= 2) {
        sfconv_net *net = new_late_joins(context, joins);
        const int64_t bytes = run_bytes(net, (sfconv_shape){1, 3, 64, 64});
        const int64_t two = run_bytes(net, (sfconv_shape){2, 3, 64, 64});
        ck_assert_msg(bytes <= two * 7 / 10, "%d: %lld, %lld for two images", joins,
                      (long long)bytes, (long long)two);
        sfconv_net_destroy(net);
    }
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(maps_that_the_caller_reads_or_that_cannot_lie_there_keep_their_memory)
{
    joining made = new_joining(1, 16);
    put_output(made.net, made.a);
    ck_assert_int_eq(joined_in(made.net, made.shape), 1);
    end_joining(&made);

    /* The maps of the second image would lie elsewhere. */
    made = new_joining(2, 16);
    ck_assert_int_eq(joined_in(made.net, made.shape), 0);
    end_joining(&made);

    /* b would begin at 5·9·9 floats, which is no multiple of 64 bytes. */
    made = new_joining(1, 9);
    ck_assert_int_eq(joined_in(made.net, made.shape), 1);
    end_joining(&made);
}
END_TEST

START_TEST(training_keeps_parts_apart)
{
    joining made = new_joining(1, 16);
    sfconv_run *run = new_run(made.net, SFCONV_MODE_TRAINING);
    reshape_run(run, 1, 16, 16);
    ck_assert_int_eq(count_joined(run), 0);
    sfconv_run_destroy(run);
    end_joining(&made);
}
END_TEST

START_TEST(a_map_lies_in_one_concatenation_and_once)
{
    joining made = new_joining(1, 16);
    const int32_t twice = put_pair(made.net, "twice", new_concat(made.context), made.a, made.a);
    const int32_t all = put_pair(made.net, "all", new_concat(made.context), made.joined, twice);
    put_output(made.net, put_after(made.net, "more", new_conv(made.context, 22, 2, 1, 7), all));
    ck_assert_int_eq(joined_in(made.net, made.shape), 3);
    end_joining(&made);
}
END_TEST

/* A map that is computed by way of a larger one. */
static int32_t put_small(sfconv_net *net, sfconv_context *context, int32_t x)
{
    const int32_t beside = put_after(net, "beside", new_conv(context, 3, 16, 1, 8), x);
    return put_after(net, "small", new_conv(context, 16, 8, 1, 9), beside);
}

/* `part`, which was begun before `small`, and that lie in their concatenation, and the engines
 * agree. */
static void check_early_part(sfconv_net *net, sfconv_context *context, int32_t part, int32_t small)
{
    const sfconv_shape shape = {1, 3, 32, 32};
    const int32_t both = put_pair(net, "both", new_concat(context), part, small);
    put_output(net, put_after(net, "out", new_conv(context, 16, 2, 1, 10), both));
    settle_statistics(net);
    ck_assert_int_eq(joined_in(net, shape), 2);
    check_engines_agree(net, shape, 1e-5, "an early part");
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}

/* The convolution that ends in `relu` writes its map before `beside` is computed and read. */
START_TEST(a_map_that_its_convolution_finishes_is_there_from_then_on)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 3);
    const int32_t a = put_after(net, "a", new_conv(context, 3, 8, 1, 7), x);
    const int32_t norm = put_after(net, "norm", new_batchnorm(context, 8), a);
    const int32_t small = put_small(net, context, x);
    const int32_t relu =
        put_after(net, "relu", new_activation(context, SFCONV_ACTIVATION_RELU), norm);
    check_early_part(net, context, relu, small);
}
END_TEST

/* The pointwise convolution is computed while its input is made, before `beside` is. */
START_TEST(a_map_that_is_mixed_with_its_input_is_there_from_then_on)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 3);
    const int32_t a = put_after(net, "a", new_sfconv(context, 3, 8, 2, 0, 0, 1), x);
    const int32_t small = put_small(net, context, x);
    check_early_part(net, context, put_after(net, "mixed", new_pointwise(context, 8, 8), a), small);
}
END_TEST

/* Whole vectors are read of it, behind its end. */
START_TEST(a_map_that_a_factorized_layer_reads_too_keeps_its_memory)
{
    joining made = new_joining(1, 16);
    put_output(made.net,
               put_after(made.net, "reader", new_sfconv(made.context, 5, 8, 2, 0, 0, 1), made.a));
    ck_assert_int_eq(joined_in(made.net, made.shape), 1);
    end_joining(&made);
}
END_TEST

/* Where every map is an output none lies in another. */
static void make_all_outputs(sfconv_net *net)
{
    for (int32_t node = 0; node < sfconv_net_node_count(net); node++) {
        sfconv_net_add_output(net, node);
    }
}

START_TEST(maps_have_the_same_bits_wherever_they_lie)
{
    sfconv_context *context = one_worker();
    int joined = 0;
    for (uint64_t seed = 0; seed < RANDOM_NETS; seed++) {
        random_net made = new_random_net(context, NETS_SEED + seed);
        const int32_t outputs = sfconv_net_output_count(made.net);
        for (int32_t i = 0; i < made.input_count; i++) {
            made.shapes[i].batch = 1;
        }
        sfconv_run *run = new_run_of(made.net, SFCONV_ENGINE_LAYERS, made.shapes, made.input_count);
        joined += count_joined(run);
        fill_inputs(run, seed);
        run_forward(run);
        const uint64_t hash = hash_first_outputs(run, outputs);
        sfconv_run_destroy(run);
        make_all_outputs(made.net);
        run = new_run_of(made.net, SFCONV_ENGINE_LAYERS, made.shapes, made.input_count);
        ck_assert_int_eq(count_joined(run), 0);
        fill_inputs(run, seed);
        run_forward(run);
        ck_assert_msg(hash_first_outputs(run, outputs) == hash, "random net %d", (int)seed);
        sfconv_run_destroy(run);
        sfconv_net_destroy(made.net);
    }
    ck_assert_int_gt(joined, RANDOM_NETS / 4);
    sfconv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("joined_maps");
    TCase *tests = tcase_create("joined_maps");
    tcase_add_test(tests, both_parts_of_a_concatenation_lie_in_it);
    tcase_add_test(tests, parts_take_no_memory_of_their_own);
    tcase_add_test(tests, maps_join_only_where_the_run_takes_no_more_memory);
    tcase_add_test(tests, maps_that_the_caller_reads_or_that_cannot_lie_there_keep_their_memory);
    tcase_add_test(tests, a_map_that_its_convolution_finishes_is_there_from_then_on);
    tcase_add_test(tests, a_map_that_is_mixed_with_its_input_is_there_from_then_on);
    tcase_add_test(tests, a_map_that_a_factorized_layer_reads_too_keeps_its_memory);
    tcase_add_test(tests, training_keeps_parts_apart);
    tcase_add_test(tests, a_map_lies_in_one_concatenation_and_once);
    tcase_add_test(tests, maps_have_the_same_bits_wherever_they_lie);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
