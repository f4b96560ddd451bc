/* SPDX-License-Identifier: BSD-2-Clause */
/* BatchNorm, sums and activations behind a convolution, done to its output before that is stored:
 * the same bits as layer by layer, and fewer maps. */
#include "nets.h"

#include <stdio.h>

#define CHANNELS 40

static const int32_t convolutions[] = {SFCONV_CONVOLUTION_DIRECT, SFCONV_CONVOLUTION_WINOGRAD,
                                       SFCONV_CONVOLUTION_AUTO};

/* A net that grows: the next seed and the name of the next node. */
typedef struct growing {
    sfconv_net *net;
    sfconv_context *context;
    uint64_t seed;
    char name[16];
} growing;

static const char *next_name(growing *net)
{
    snprintf(net->name, sizeof net->name, "n%d", (int)++net->seed);
    return net->name;
}

static int32_t put_conv(growing *net, int32_t at, int64_t stride)
{
    const uint64_t seed = net->seed + 1;
    return put_after(net->net, next_name(net),
                     new_conv(net->context, CHANNELS, CHANNELS, stride, seed), at);
}

static int32_t put_norm(growing *net, int32_t at)
{
    return put_after(net->net, next_name(net), new_batchnorm(net->context, CHANNELS), at);
}

/* Statistics and parameters of BatchNorm get values of no pattern; variances are above 0. */
static void draw_norms(sfconv_net *net)
{
    const int32_t count = sfconv_net_parameter_count(net);
    for (int32_t i = 0; i < count; i++) {
        const sfconv_parameter_info info = parameter_of(net, i);
        if (info.role == SFCONV_PARAMETER_WEIGHT || info.role == SFCONV_PARAMETER_BIAS) {
            continue;
        }
        fill_floats(info.view.data, CHANNELS, (uint64_t)i);
        for (int64_t k = 0; k < CHANNELS; k++) {
            info.view.data[k] += 1.5f;
        }
    }
}

static int32_t put_activation(growing *net, int32_t at, int32_t which)
{
    return put_after(net->net, next_name(net), new_activation(net->context, which), at);
}

static int32_t put_sum(growing *net, int32_t a, int32_t b)
{
    return put_pair(net->net, next_name(net), new_add(net->context), a, b);
}

/* Whatever a convolution may have behind it, and what it must leave alone: maps that are read or
 * asked for elsewhere, sums of what does not exist yet, of three maps or of one map with itself,
 * activations of other kinds. Strides, batch and sizes make every way to compute one. */
static sfconv_net *net_of_followers(sfconv_context *context)
{
    growing net = {empty_net(context), context, 0, ""};
    const int32_t x = put_input(net.net, "x", CHANNELS);
    const int32_t start = put_activation(&net, x, SFCONV_ACTIVATION_SIGMOID);
    /* Norm, sum with what is there, ReLU: as in a residual block. */
    int32_t at = put_norm(&net, put_conv(&net, start, 1));
    at = put_activation(&net, put_sum(&net, at, start), SFCONV_ACTIVATION_RELU);
    /* The other way round, without BatchNorm; the sum is read twice. */
    const int32_t sum = put_sum(&net, at, put_conv(&net, at, 1));
    put_output(net.net, sum);
    /* A shortcut that comes later: the later convolution takes the sum. */
    const int32_t early = put_norm(&net, put_conv(&net, sum, 2));
    const int32_t late = put_norm(&net, put_conv(&net, sum, 2));
    at = put_activation(&net, put_sum(&net, early, late), SFCONV_ACTIVATION_LEAKY_RELU);
    /* Asked for between. */
    at = put_conv(&net, at, 1);
    put_output(net.net, at);
    at = put_norm(&net, at);
    put_output(net.net, put_activation(&net, at, SFCONV_ACTIVATION_RELU));
    /* With itself, three, and SiLU. */
    at = put_sum(&net, at, at);
    const int32_t three[3] = {at, put_conv(&net, at, 1), put_conv(&net, at, 1)};
    at = put_layer(net.net, next_name(&net), new_add(context), three, 3);
    at = put_activation(&net, put_norm(&net, put_conv(&net, at, 1)), SFCONV_ACTIVATION_SILU);
    at = put_activation(&net, put_conv(&net, at, 1), SFCONV_ACTIVATION_RELU);
    at = put_after(net.net, next_name(&net), new_dsconv(context, CHANNELS, CHANNELS, 77), at);
    put_output(net.net, put_activation(&net, put_norm(&net, at), SFCONV_ACTIVATION_RELU));
    draw_norms(net.net);
    return net.net;
}

static uint64_t bits_of(sfconv_context *context, int32_t engine, bool frozen, sfconv_shape shape)
{
    sfconv_net *net = net_of_followers(context);
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    ck_assert_int_eq(sfconv_run_set_engine(run, engine), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_reshape(run, &shape, 1, NULL, 0), SFCONV_OK);
    if (frozen) {
        ck_assert_int_eq(sfconv_run_freeze(run, NULL, 0), SFCONV_OK);
    }
    const uint64_t bits = forward_hash(run, 3);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
    return bits;
}

START_TEST(what_a_convolution_finishes_has_the_bits_of_the_layers)
{
    static const sfconv_shape shapes[] = {
        {1, CHANNELS, 14, 14}, {2, CHANNELS, 7, 9}, {1, CHANNELS, 5, 150}, {3, CHANNELS, 33, 31}};
    static const int32_t isas[] = {SFCONV_ISA_REFERENCE, SFCONV_ISA_AVX2, SFCONV_ISA_AVX512,
                                   SFCONV_ISA_NEON};
    const int32_t convolution = convolutions[_i];
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const uint64_t expected = bits_of(convolution_context(1, SFCONV_ISA_BEST, convolution),
                                          SFCONV_ENGINE_LAYERS, false, shapes[i]);
        for (int32_t workers = 1; workers <= 3; workers++) {
            for (int frozen = 0; frozen < 2; frozen++) {
                ck_assert_uint_eq(
                    bits_of(convolution_context(workers, SFCONV_ISA_BEST, convolution),
                            SFCONV_ENGINE_RANK_SPACE, frozen, shapes[i]),
                    expected);
            }
        }
        for (size_t j = 0; j < sizeof isas / sizeof *isas; j++) {
            sfconv_context *context = convolution_context(1, isas[j], convolution);
            ck_assert(!context ||
                      bits_of(context, SFCONV_ENGINE_RANK_SPACE, false, shapes[i]) == expected);
        }
    }
}
END_TEST

/* A stem whose rows go through F(4, 4) and that is no unit, as its input is not the net's. */
START_TEST(a_stem_finishes_with_the_bits_of_the_layers)
{
    uint64_t bits[2];
    for (int32_t engine = SFCONV_ENGINE_LAYERS; engine <= SFCONV_ENGINE_RANK_SPACE; engine++) {
        sfconv_context *context =
            convolution_context(2, SFCONV_ISA_BEST, SFCONV_CONVOLUTION_WINOGRAD);
        sfconv_conv2d_desc desc = SFCONV_CONV2D_DESC_INIT;
        growing net = {empty_net(context), context, 0, ""};
        sfconv_layer *stem;
        desc.in_channels = 3;
        desc.out_channels = CHANNELS;
        desc.kernel[0] = desc.kernel[1] = 7;
        desc.stride[0] = desc.stride[1] = 2;
        desc.padding[0] = desc.padding[1] = 3;
        ck_assert_int_eq(sfconv_conv2d_create(&stem, context, &desc), SFCONV_OK);
        int32_t at = put_activation(&net, put_input(net.net, "x", 3), SFCONV_ACTIVATION_SIGMOID);
        at = put_norm(&net, put_after(net.net, next_name(&net), stem, at));
        put_output(net.net, put_activation(&net, at, SFCONV_ACTIVATION_RELU));
        draw_norms(net.net);
        sfconv_run *run = new_run(net.net, SFCONV_MODE_INFERENCE);
        ck_assert_int_eq(sfconv_run_set_engine(run, engine), SFCONV_OK);
        reshape_run(run, 2, 50, 47);
        bits[engine == SFCONV_ENGINE_RANK_SPACE] = forward_hash(run, 1);
        sfconv_run_destroy(run);
        sfconv_net_destroy(net.net);
        sfconv_context_destroy(context);
    }
    ck_assert_uint_eq(bits[1], bits[0]);
}
END_TEST

START_TEST(a_changed_norm_counts_at_the_next_forward)
{
    sfconv_context *context = convolution_context(1, SFCONV_ISA_BEST, SFCONV_CONVOLUTION_AUTO);
    sfconv_net *net = net_of_followers(context);
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    sfconv_run *layers = new_run(net, SFCONV_MODE_INFERENCE);
    ck_assert_int_eq(sfconv_run_set_engine(layers, SFCONV_ENGINE_LAYERS), SFCONV_OK);
    reshape_run(run, 1, 8, 8);
    reshape_run(layers, 1, 8, 8);
    const uint64_t before = forward_hash(run, 1);
    const int32_t count = sfconv_net_parameter_count(net);
    for (int32_t i = 0; i < count; i++) {
        const sfconv_parameter_info info = parameter_of(net, i);
        if (info.role == SFCONV_PARAMETER_SHIFT || info.role == SFCONV_PARAMETER_BUFFER) {
            info.view.data[1] *= 1.5f;
        }
    }
    const uint64_t after = forward_hash(run, 1);
    ck_assert_uint_ne(after, before);
    ck_assert_uint_eq(after, forward_hash(layers, 1));
    sfconv_run_destroy(layers);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(a_convolution_and_what_it_finishes_store_one_map)
{
    sfconv_context *context = convolution_context(1, SFCONV_ISA_BEST, SFCONV_CONVOLUTION_DIRECT);
    growing net = {empty_net(context), context, 0, ""};
    int32_t at = put_activation(&net, put_input(net.net, "x", CHANNELS), SFCONV_ACTIVATION_SIGMOID);
    at = put_norm(&net, put_conv(&net, at, 1));
    put_output(net.net, put_activation(&net, at, SFCONV_ACTIVATION_RELU));
    sfconv_run *run = new_run(net.net, SFCONV_MODE_INFERENCE);
    reshape_run(run, 1, 10, 10);
    const char *text = plan_of(run);
    int fused = 0, stored = 0;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += line > text || *line == '\n';
        fused += strncmp(line, "fused", 5) == 0;
        stored += strncmp(line, "fused", 5) == 0 && strstr(line, "stored           0 B") != NULL &&
                  strstr(line, "stored           0 B") < strchr(line, '\n');
    }
    ck_assert_int_eq(fused, 2);
    ck_assert_int_eq(stored, 1);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net.net);
    sfconv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("finish");
    TCase *tests = tcase_create("finish");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, what_a_convolution_finishes_has_the_bits_of_the_layers, 0, 3);
    tcase_add_test(tests, a_stem_finishes_with_the_bits_of_the_layers);
    tcase_add_test(tests, a_changed_norm_counts_at_the_next_forward);
    tcase_add_test(tests, a_convolution_and_what_it_finishes_store_one_map);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
