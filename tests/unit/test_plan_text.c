/* SPDX-License-Identifier: BSD-2-Clause */
/* What the printed plan of a run tells: its nodes, and work and bytes of both passes. */
#include "error.h"
#include "kernels.h"
#include "nets.h"

#include <stdarg.h>
#include <stdio.h>

/* The plan holds this text. */
static void SFI_PRINTF(2, 3) check_plan(const sfconv_run *run, const char *format, ...)
{
    char expected[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(expected, sizeof expected, format, arguments);
    va_end(arguments);
    const char *text = plan_of(run);
    ck_assert_msg(strstr(text, expected) != NULL, "%s is not in\n%s", expected, text);
}

static long long bytes_of(const sfconv_run *run, sfconv_shape shape)
{
    int64_t bytes;
    ck_assert_int_eq(sfconv_run_bytes(run, &shape, 1, &bytes), SFCONV_OK);
    return bytes;
}

START_TEST(the_plan_names_every_node_and_tells_its_length)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = plain_net(context);
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    char text[4096], cut[100];
    size_t length = 0, again = 0;
    reshape_run(run, 1, 6, 6);
    ck_assert_int_eq(sfconv_run_plan_text(run, NULL, 0, &length), SFCONV_OK);
    ck_assert_uint_gt(length, 100);
    memset(text, 'z', sizeof text);
    ck_assert_int_eq(sfconv_run_plan_text(run, text, sizeof text, &again), SFCONV_OK);
    ck_assert_uint_eq(again, length);
    ck_assert_uint_eq(strlen(text), length);
    ck_assert_int_eq(text[length + 1], 'z');
    const char *const held[] = {"conv2d", "batchnorm2d", "sfconv2d", "1x8x6x6", "total", "MACs"};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++) {
        ck_assert_msg(strstr(text, held[i]) != NULL, "the plan lacks %s:\n%s", held[i], text);
    }
    for (size_t capacity = 1; capacity <= sizeof cut; capacity++) {
        memset(cut, 'z', sizeof cut);
        ck_assert_int_eq(sfconv_run_plan_text(run, cut, capacity, &again), SFCONV_OK);
        ck_assert_uint_eq(again, length);
        ck_assert_uint_eq(strlen(cut), capacity - 1);
        ck_assert_mem_eq(cut, text, capacity - 1);
        ck_assert(capacity == sizeof cut || cut[capacity] == 'z');
    }
    ck_assert_int_eq(sfconv_run_plan_text(run, NULL, 5, &again), SFCONV_ERROR_ARGUMENT);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(the_plan_counts_the_work_of_a_pair_of_layers)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 5);
    const int32_t a = put_after(net, "a", new_sfconv(context, 5, 16, 2, 0, 0, 1), x);
    const int32_t b = put_after(net, "b", new_activation(context, SFCONV_ACTIVATION_RELU), a);
    put_output(net, put_after(net, "c", new_sfconv(context, 16, 7, 3, 0, 0, 2), b));
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    reshape_run(run, 1, 10, 12);
    /* Q of a; P of a and Q of c; P of c. */
    const long long macs = 120 * (5 * 3 * 2 + 16 * (3 * 2 + 3 * 3) + 7 * 3 * 3);
    check_plan(run, "\ntotal forward  %18lld MACs computed, %18lld by direct sums\n", macs, macs);
    check_plan(run, "\nmemory %-26s %18lld B\n", "total",
               bytes_of(run, (sfconv_shape){1, 5, 10, 12}));
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

/* x, Q and P of a, BatchNorm, ReLU, Q and P of c. */
static sfconv_net *pair_with_norm(sfconv_context *context)
{
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 5);
    const int32_t a = put_after(net, "a", new_sfconv(context, 5, 16, 2, 0, 0, 1), x);
    const int32_t n = put_after(net, "n", new_batchnorm(context, 16), a);
    const int32_t b = put_after(net, "b", new_activation(context, SFCONV_ACTIVATION_RELU), n);
    put_output(net, put_after(net, "c", new_sfconv(context, 16, 7, 3, 0, 0, 2), b));
    return net;
}

static sfconv_run *training_of(sfconv_net *net, int32_t engine, int32_t want_input_gradients)
{
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    ck_assert_int_eq(sfconv_run_set_engine(run, engine), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_want_input_gradients(run, want_input_gradients), SFCONV_OK);
    reshape_run(run, 2, 10, 12);
    return run;
}

static void check_training_total(const sfconv_run *run, long long forward, long long backward,
                                 long long gradients)
{
    check_plan(run, "\ntotal forward  %18lld MACs computed, %18lld by direct sums\n", forward,
               forward);
    check_plan(run, "\ntotal backward %18lld MACs computed, %18lld by direct sums\n", backward,
               backward);
    check_plan(run, "\nmemory %-26s %18lld B\n", "gradients of parameters", gradients);
    check_plan(run, "\nmemory %-26s %18lld B\n", "total",
               bytes_of(run, (sfconv_shape){2, 5, 10, 12}));
}

/* The gradient of a parameter begins a cache line. */
static long long lines_of(long long elements)
{
    return (elements * 4 + 63) / 64 * 64;
}

/* Bytes of the gradients of all parameters of pair_with_norm(). */
static long long pair_gradients(void)
{
    return lines_of(5 * 3 * 2) + lines_of(16 * 3 * 2) + 2 * lines_of(16) + lines_of(16 * 3 * 3) +
           lines_of(7 * 3 * 3);
}

START_TEST(layer_by_layer_backward_repeats_forward_for_weights_and_for_inputs)
{
    const long long pixels = 240;
    const long long forward = pixels * (5 * 6 + 16 * 6 + 16 * 9 + 7 * 9);
    sfconv_context *context = one_worker();
    sfconv_net *net = pair_with_norm(context);
    for (int32_t wanted = 0; wanted < 2; wanted++) {
        sfconv_run *run = training_of(net, SFCONV_ENGINE_LAYERS, wanted);
        /* Nobody wants Q' of a times the gradient behind it. */
        check_training_total(run, forward, 2 * forward - (wanted ? 0 : pixels * 5 * 6),
                             pair_gradients());
        check_plan(run, ", backward: gradient %11d B %14lld MACs direct\n", 2 * 7 * 120 * 4,
                   2 * pixels * (16 * 9 + 7 * 9));
        sfconv_run_destroy(run);
    }
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(in_rank_space_backward_makes_maps_again_and_corrects_for_the_norm)
{
    const long long pixels = 240;
    sfconv_context *context = one_worker();
    sfconv_net *net = pair_with_norm(context);
    /* Moments of 6 taps and the variances beside the four products. */
    const long long half = 6 * 7 / 2;
    const long long forward = pixels * (5 * 6 + 16 * 6 + 16 * 9 + 7 * 9 + half) + 16 * half;
    /* The unit of a: its map again, gradients of P and of the taps, the norm. Q of c both ways. */
    const long long unit = pixels * (3 * 16 * 6 + 36) + 16 * (36 + half);
    const long long sink = 2 * pixels * 16 * 9;
    for (int32_t wanted = 0; wanted < 2; wanted++) {
        sfconv_run *run = training_of(net, SFCONV_ENGINE_RANK_SPACE, wanted);
        const long long input = pixels * (wanted ? 2 : 1) * 5 * 6;
        const long long second = 2 * pixels * 7 * 9;
        check_training_total(run, forward, input + unit + sink + second, pair_gradients());
        check_plan(run,
                   "stored %11d B %14lld MACs direct, backward: gradient %11d B %14lld MACs "
                   "direct\n",
                   0, pixels * 16 * 6, 0, unit);
        check_plan(run,
                   "\n        -> c: 9 mixed maps, %lld MACs direct, backward: %lld MACs direct\n",
                   pixels * 16 * 9, sink);
        /* Its map of rank 2 has a row of zeros above and one below. */
        const int bytes = (2 * 2 * 12 * 12 + SFK_SLACK) * 4;
        check_plan(run, "\n        with rank maps %d B, gradients of rank maps %d B\n", bytes,
                   bytes);
        sfconv_run_destroy(run);
    }
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(inference_tells_nothing_of_backward)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = pair_with_norm(context);
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    reshape_run(run, 2, 10, 12);
    const char *text = plan_of(run);
    ck_assert_ptr_null(strstr(text, "backward"));
    ck_assert_ptr_null(strstr(text, "gradient"));
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(kinds_without_products_count_none_and_two_stages_save_the_first)
{
    const long long pixels = 240;
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 5);
    const int32_t a = put_after(net, "a", new_dsconv(context, 5, 8, 1), x);
    const int32_t b = put_after(net, "b", new_activation(context, SFCONV_ACTIVATION_SILU), a);
    const int32_t c = put_after(net, "c", new_conv(context, 8, 4, 1, 2), b);
    put_output(net, put_after(net, "d", new_linear(context, 4 * 120, 3, 3), c));
    sfconv_run *run = training_of(net, SFCONV_ENGINE_LAYERS, 0);
    const long long deep = pixels * 8 * 4 * 9 + 2 * 4 * 120 * 3;
    check_training_total(run, pixels * 5 * (9 + 8) + deep, pixels * 5 * (9 + 2 * 8) + 2 * deep,
                         lines_of(5 * 9) + lines_of(5 * 8) + lines_of(8 * 4 * 9) + lines_of(4) +
                             lines_of(4 * 120 * 3) + lines_of(3));
    check_plan(run, "stored %11d B %14d MACs, backward: gradient %11d B %14d MACs\n",
               2 * 8 * 120 * 4, 0, 2 * 8 * 120 * 4, 0);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

/* The row that begins so ends so. */
static void check_row(const char *text, const char *begin, const char *end)
{
    char start[64];
    snprintf(start, sizeof start, "\n%s ", begin);
    const char *row = strstr(text, start);
    ck_assert_msg(row != NULL, "no row %s in\n%s", begin, text);
    const size_t length = strcspn(row + 1, "\n") + 1;
    ck_assert_msg(length > strlen(end) && memcmp(row + length - strlen(end), end, strlen(end)) == 0,
                  "the row %s does not end in \"%s\":\n%s", begin, end, text);
}

static const char *planned(sfconv_net *net, int32_t mode, sfconv_shape shape)
{
    sfconv_run *run = new_run(net, mode);
    ck_assert_int_eq(sfconv_run_reshape(run, &shape, 1, NULL, 0), SFCONV_OK);
    const char *text = plan_of(run);
    sfconv_run_destroy(run);
    return text;
}

/* Factorized layers, and between them what units do not take in. */
START_TEST(a_layer_that_is_left_to_itself_says_why)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 5);
    const int32_t a = put_after(net, "a", new_sfconv(context, 5, 8, 2, 0, 0, 1), x);
    const int32_t silu = put_after(net, "silu", new_activation(context, SFCONV_ACTIVATION_SILU), a);
    const int32_t b = put_after(net, "b", new_sfconv(context, 8, 8, 2, 0, 1, 2), silu);
    const int32_t norm = put_after(net, "norm", new_batchnorm(context, 8), b);
    const int32_t c = put_after(net, "c", new_sfconv(context, 8, 8, 2, 0, 0, 3), norm);
    const int32_t relu = put_after(net, "relu", new_activation(context, SFCONV_ACTIVATION_RELU), c);
    const int32_t d = put_after(net, "d", new_conv(context, 8, 8, 1, 4), relu);
    const int32_t pool = put_after(net, "pool", new_pool(context, SFCONV_POOL_MAX), d);
    const int32_t e = put_after(net, "e", new_sfconv(context, 8, 8, 2, 0, 0, 5), pool);
    const int32_t one = put_after(net, "one", new_activation(context, SFCONV_ACTIVATION_RELU), e);
    put_output(net, put_pair(net, "both", new_concat(context), one, e));
    const char *text = planned(net, SFCONV_MODE_INFERENCE, (sfconv_shape){1, 5, 8, 8});
    check_row(text, "expand  a", ", stored: read by silu");
    check_row(text, "layer   silu", ", by its layer: activation silu");
    check_row(text, "expand  relu", ", stored: read by d");
    check_row(text, "layer   d", ", by its layer: kernel 3x3");
    check_row(text, "layer   pool", ", by its layer: not behind a unit");
    check_row(text, "expand  e", ", stored: read by one");
    check_row(text, "layer   one", ", by its layer: others read the map of e");
    check_row(text, "layer   both", ", by its layer: wanted as output");
    text = planned(net, SFCONV_MODE_TRAINING, (sfconv_shape){1, 5, 8, 8});
    check_row(text, "layer   b", ", by its layer: spectral norm");
    check_row(text, "layer   norm", ", by its layer: not behind a unit");
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

/* A layer of a quarter of its channels, BatchNorm, ReLU, and one like it. */
START_TEST(training_leaves_a_layer_to_itself_where_moments_cost_more_than_its_map)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 128);
    const int32_t a = put_after(net, "a", new_sfconv(context, 128, 128, 32, 0, 0, 1), x);
    const int32_t norm = put_after(net, "norm", new_batchnorm(context, 128), a);
    const int32_t relu =
        put_after(net, "relu", new_activation(context, SFCONV_ACTIVATION_RELU), norm);
    put_output(net, put_after(net, "b", new_sfconv(context, 128, 128, 32, 0, 0, 2), relu));
    /* Of so many pixels moments are quickly found; products with 96 x 96 moments for 16 pixels are
     * more than all else. */
    const char *text = planned(net, SFCONV_MODE_TRAINING, (sfconv_shape){2, 128, 28, 28});
    check_row(text, "expand  relu", "MACs direct");
    text = planned(net, SFCONV_MODE_TRAINING, (sfconv_shape){1, 128, 4, 4});
    check_row(text, "layer   a", ", by its layer: moments cost more than a map");
    check_row(text, "layer   relu", ", by its layer: not behind a unit");
    text = planned(net, SFCONV_MODE_INFERENCE, (sfconv_shape){1, 128, 4, 4});
    check_row(text, "expand  relu", "MACs F(4, 3) in place of 196608");
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

/* One map directly, pooled, and beside another one that is up-sampled. */
START_TEST(under_a_map_stands_who_gathers_of_it_and_by_which_way)
{
    const long long pixels = 64;
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 5);
    const int32_t a = put_after(net, "a", new_sfconv(context, 5, 8, 2, 0, 0, 1), x);
    const int32_t pool = put_after(net, "pool", new_pool(context, SFCONV_POOL_MAX), a);
    const int32_t b = put_after(net, "b", new_sfconv(context, 8, 12, 3, 0, 0, 2), pool);
    const int32_t up = put_after(net, "up", new_upsample(context, SFCONV_UPSAMPLE_NEAREST), b);
    const int32_t both = put_pair(net, "both", new_concat(context), a, up);
    put_output(net, put_after(net, "c", new_sfconv(context, 20, 8, 4, 0, 0, 3), both));
    const char *text = planned(net, SFCONV_MODE_INFERENCE, (sfconv_shape){1, 5, 8, 8});
    const long long macs[] = {pixels * 5 * 6, pixels / 4 * 8 * 9, pixels * 8 * 12,
                              pixels / 4 * 12 * 12};
    static const char *const ways[] = {"a: 6", "b via max pool pool: 9",
                                       "c via concatenation both: 12",
                                       "c via up-sampling up and concatenation both: 12"};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        char line[128];
        snprintf(line, sizeof line, "\n        -> %s mixed maps, %lld MACs direct\n", ways[i],
                 macs[i]);
        ck_assert_msg(strstr(text, line) != NULL, "%s is not in\n%s", line, text);
    }
    /* Twelve maps of 4x4 wait for their up-sampling. */
    char line[64];
    snprintf(line, sizeof line, ", mixed maps %d B, weights ", (12 * 16 + SFK_SLACK) * 4);
    ck_assert_msg(strstr(text, line) != NULL, "%s is not in\n%s", line, text);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

static sfconv_layer *new_stem(sfconv_context *context, int64_t in, int64_t out)
{
    sfconv_conv2d_desc desc = SFCONV_CONV2D_DESC_INIT;
    sfconv_layer *layer;
    desc.in_channels = in;
    desc.out_channels = out;
    desc.kernel[0] = desc.kernel[1] = 7;
    desc.stride[0] = desc.stride[1] = 2;
    desc.padding[0] = desc.padding[1] = 3;
    ck_assert_int_eq(sfconv_conv2d_create(&layer, context, &desc), SFCONV_OK);
    return layer;
}

/* Maps of 10x12 have 3x3 tiles; rows of 6 pixels have 2, with 7 points of either parity. */
START_TEST(passes_of_layers_name_their_algorithms_and_count_their_products)
{
    const long long tiled = 36 * (2 * 3 * 3) * 5 * 8, direct = 2 * 120 * 9 * 5 * 8;
    const long long lines = 7 * 2 * (2 * 5 * 2) * 7 * 8 * 4, sums = 2 * 30 * 49 * 8 * 4;
    sfconv_context *context = convolution_context(1, SFCONV_ISA_BEST, SFCONV_CONVOLUTION_WINOGRAD);
    ck_assert_ptr_nonnull(context);
    sfconv_net *net = empty_net(context);
    const int32_t a = put_after(net, "a", new_conv(context, 5, 8, 1, 1), put_input(net, "x", 5));
    put_output(net, put_after(net, "b", new_stem(context, 8, 4), a));
    sfconv_run *run = training_of(net, SFCONV_ENGINE_LAYERS, 1);
    check_plan(run,
               " %14lld MACs F(4x4, 3x3) in place of %lld, backward: gradient %11d B %14lld MACs "
               "direct and F(4x4, 3x3) in place of %lld\n",
               tiled, direct, 2 * 8 * 120 * 4, direct + tiled, 2 * direct);
    check_plan(
        run,
        " %14lld MACs F(4, 4) in place of %lld, backward: gradient %11d B %14lld MACs direct "
        "and F(4, 4) in place of %lld\n",
        lines, sums, 2 * 4 * 30 * 4, sums + lines, 2 * sums);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(dense_convolutions_say_what_keeps_them_out_of_rank_space)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    sfconv_conv2d_desc wide = SFCONV_CONV2D_DESC_INIT;
    sfconv_layer *layer;
    wide.in_channels = 8;
    wide.out_channels = 33;
    wide.kernel[0] = wide.kernel[1] = 1;
    wide.padding[0] = wide.padding[1] = 0;
    const int32_t x = put_input(net, "x", 32);
    const int32_t a = put_after(net, "a", new_conv(context, 32, 8, 1, 1), x);
    ck_assert_int_eq(sfconv_conv2d_create(&layer, context, &wide), SFCONV_OK);
    const int32_t b = put_after(net, "b", layer, a);
    wide.stride[1] = 2;
    ck_assert_int_eq(sfconv_conv2d_create(&layer, context, &wide), SFCONV_OK);
    put_output(net, put_after(net, "c", layer, a));
    put_output(net, put_after(net, "d", new_linear(context, 33 * 64, 2, 1), b));
    const char *text = planned(net, SFCONV_MODE_INFERENCE, (sfconv_shape){1, 32, 8, 8});
    check_row(text, "layer   a", ", by its layer: stem of 288 taps");
    check_row(text, "layer   b", ", by its layer: 33 output channels");
    check_row(text, "layer   c", ", by its layer: stride 1x2");
    check_row(text, "layer   d", ", by its layer: no part in rank space");
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("plan text");
    TCase *tests = tcase_create("plan text");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, the_plan_names_every_node_and_tells_its_length);
    tcase_add_test(tests, the_plan_counts_the_work_of_a_pair_of_layers);
    tcase_add_test(tests, layer_by_layer_backward_repeats_forward_for_weights_and_for_inputs);
    tcase_add_test(tests, in_rank_space_backward_makes_maps_again_and_corrects_for_the_norm);
    tcase_add_test(tests, inference_tells_nothing_of_backward);
    tcase_add_test(tests, kinds_without_products_count_none_and_two_stages_save_the_first);
    tcase_add_test(tests, a_layer_that_is_left_to_itself_says_why);
    tcase_add_test(tests, training_leaves_a_layer_to_itself_where_moments_cost_more_than_its_map);
    tcase_add_test(tests, under_a_map_stands_who_gathers_of_it_and_by_which_way);
    tcase_add_test(tests, passes_of_layers_name_their_algorithms_and_count_their_products);
    tcase_add_test(tests, dense_convolutions_say_what_keeps_them_out_of_rank_space);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
