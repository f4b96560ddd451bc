/* SPDX-License-Identifier: BSD-2-Clause */
/* What stays virtual in rank space: the plan stores no full-width map where none is needed, and the
 * numbers are those of the layer path. */
#include "graph.h"
#include "nets.h"

#include <stdio.h>
#include <stdlib.h>

#define HEIGHT 18
#define WIDTH 22
#define IMAGES 2

static const sfconv_shape image = {IMAGES, 5, HEIGHT, WIDTH};

/* The verb of a node and the bytes of its map. */
static void check_node(const char *text, const char *verb, const char *node, int64_t stored)
{
    char step[80];
    snprintf(step, sizeof step, "\n%-7s %s ", verb, node);
    const char *line = strstr(text, step);
    ck_assert_msg(line != NULL, "%s is not in\n%s", step, text);
    ck_assert_int_eq(strtoll(strstr(line, "stored ") + 7, NULL, 10), stored);
}

/* Only the inputs of the net and these many bytes more are maps in memory. */
static void check_stored(const char *text, int64_t expected)
{
    int64_t stored = -image.batch * image.channels * image.height * image.width * 4;
    for (const char *at = text; (at = strstr(at, "stored ")) != NULL; at += 7) {
        stored += strtoll(at + 7, NULL, 10);
    }
    ck_assert_msg(stored == expected, "%d bytes of maps, expected %d in\n%s", (int)stored,
                  (int)expected, text);
}

static int64_t map_bytes(int64_t channels)
{
    return IMAGES * channels * HEIGHT * WIDTH * (int64_t)sizeof(float);
}

static void check_outputs(sfconv_run *layers, sfconv_run *ranks)
{
    for (int32_t i = 0; i < sfconv_net_output_count(sfconv_run_net(ranks)); i++) {
        const sfconv_view a = output_of(layers, i), b = output_of(ranks, i);
        ck_assert_double_le(distance_of(&a, &b), 1e-5 * largest_of(&a));
    }
}

/* The engines agree, and frozen weights change no bit; gives the plan in rank space. */
static const char *check_inference(sfconv_net *net)
{
    sfconv_run *layers = forward_of(net, SFCONV_ENGINE_LAYERS, image);
    sfconv_run *ranks = forward_of(net, SFCONV_ENGINE_RANK_SPACE, image);
    const uint64_t bits = hash_outputs(ranks);
    check_outputs(layers, ranks);
    ck_assert_int_eq(sfconv_run_freeze(ranks, NULL, 0), SFCONV_OK);
    fill_inputs(ranks, 3);
    run_forward(ranks);
    ck_assert_uint_eq(hash_outputs(ranks), bits);
    const char *text = plan_of(ranks);
    sfconv_run_destroy(layers);
    sfconv_run_destroy(ranks);
    return text;
}

static void step(sfconv_run *run)
{
    fill_inputs(run, 5);
    run_forward(run);
    ck_assert_int_eq(sfconv_run_zero_gradients(run), SFCONV_OK);
    fill_output_gradients(run, 6);
    run_backward(run);
}

static sfconv_run *training_of(sfconv_net *net, int32_t engine)
{
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    ck_assert_int_eq(sfconv_run_set_engine(run, engine), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_want_input_gradients(run, 1), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_reshape(run, &image, 1, NULL, 0), SFCONV_OK);
    step(run);
    return run;
}

/* Of a net that a step does not change. */
static const char *check_training(sfconv_net *net)
{
    sfconv_run *layers = training_of(net, SFCONV_ENGINE_LAYERS);
    sfconv_run *ranks = training_of(net, SFCONV_ENGINE_RANK_SPACE);
    check_outputs(layers, ranks);
    const sfconv_view x = input_gradient_of(layers, 0), y = input_gradient_of(ranks, 0);
    ck_assert_double_le(distance_of(&x, &y), 1e-4 * largest_of(&x));
    for (int32_t i = 0; i < sfconv_net_parameter_count(net); i++) {
        sfconv_view a, b;
        if (sfconv_run_parameter_gradient(layers, i, &a) == SFCONV_OK) {
            ck_assert_int_eq(sfconv_run_parameter_gradient(ranks, i, &b), SFCONV_OK);
            ck_assert_double_le(distance_of(&a, &b), 1e-4 * largest_of(&a));
        }
    }
    const char *text = plan_of(ranks);
    sfconv_run_destroy(layers);
    sfconv_run_destroy(ranks);
    return text;
}

/* A sfconv2d of rank 2, with spectral normalization or without. */
static int32_t put_factorized(sfconv_net *net, const char *name, int32_t node, int64_t in,
                              int64_t out, int32_t spectral_norm)
{
    sfconv_sfconv2d_desc desc = SFCONV_SFCONV2D_DESC_INIT;
    sfconv_layer *layer;
    desc.in_channels = in;
    desc.out_channels = out;
    desc.rank = 2;
    desc.has_bias = 1;
    desc.spectral_norm = spectral_norm;
    desc.seed = 7;
    ck_assert_int_eq(sfconv_sfconv2d_create(&layer, net->context, &desc), SFCONV_OK);
    return put_after(net, name, layer, node);
}

static int32_t put_relu(sfconv_net *net, const char *name, int32_t node)
{
    return put_after(net, name, new_activation(net->context, SFCONV_ACTIVATION_RELU), node);
}

static int32_t put_concat(sfconv_net *net, const char *name, int32_t a, int32_t b)
{
    return put_pair(net, name, new_concat(net->context), a, b);
}

/* relu(sfconv(x)), 16 maps. */
static int32_t put_block(sfconv_net *net, const char *conv, const char *relu, int32_t x, int64_t in)
{
    return put_relu(net, relu, put_factorized(net, conv, x, in, 16, 0));
}

static int32_t put_dropout(sfconv_net *net, const char *name, int32_t node, bool wanted)
{
    return wanted ? put_after(net, name, new_dropout(net->context), node) : node;
}

/* Two layers and a sum, with dropout wherever there is room for it, or without. */
static sfconv_net *net_with_dropout(sfconv_context *context, bool wanted)
{
    sfconv_net *net = empty_net(context);
    int32_t x = put_input(net, "x", 5);
    x = put_dropout(net, "d0", x, wanted);
    int32_t y = put_dropout(net, "d1", put_factorized(net, "a", x, 5, 16, 0), wanted);
    y = put_dropout(net, "d2", put_after(net, "n", new_batchnorm(context, 16), y), wanted);
    y = put_dropout(net, "d3", put_relu(net, "r", y), wanted);
    y = put_dropout(net, "d4", put_dropout(net, "d5", y, wanted), wanted);
    const int32_t z = put_dropout(net, "d6", put_factorized(net, "b", y, 16, 16, 0), wanted);
    y = put_dropout(net, "d7", put_pair(net, "sum", new_add(context), y, z), wanted);
    y = put_dropout(net, "d8", put_relu(net, "r2", y), wanted);
    put_output(net, put_dropout(net, "d9", put_factorized(net, "c", y, 16, 7, 0), wanted));
    return net;
}

START_TEST(dropout_in_inference_is_another_name_of_its_input)
{
    const int32_t engine = _i == 0 ? SFCONV_ENGINE_LAYERS : SFCONV_ENGINE_RANK_SPACE;
    sfconv_context *context = one_worker();
    sfconv_net *nets[2] = {net_with_dropout(context, false), net_with_dropout(context, true)};
    sfconv_run *runs[2];
    int64_t bytes[2];
    for (int i = 0; i < 2; i++) {
        runs[i] = forward_of(nets[i], engine, image);
        ck_assert_int_eq(sfconv_run_bytes(runs[i], &image, 1, &bytes[i]), SFCONV_OK);
    }
    ck_assert_uint_eq(hash_outputs(runs[1]), hash_outputs(runs[0]));
    ck_assert_int_eq(bytes[1], bytes[0]);
    const char *text = plan_of(runs[1]);
    for (int i = 0; i < 10; i++) {
        char name[8];
        snprintf(name, sizeof name, "d%d", i);
        check_node(text, "alias", name, 0);
    }
    for (int i = 0; i < 2; i++) {
        sfconv_run_destroy(runs[i]);
        sfconv_net_destroy(nets[i]);
    }
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(dropout_does_not_part_layers)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    int32_t y = put_factorized(net, "a", put_input(net, "x", 5), 5, 16, 0);
    y = put_relu(net, "r", put_after(net, "n", new_batchnorm(context, 16), y));
    y = put_dropout(net, "d", y, true);
    put_output(net, put_factorized(net, "c", y, 16, 7, 0));
    const char *text = check_inference(net);
    check_node(text, "expand", "r", 0);
    check_stored(text, map_bytes(7));
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

/* One map under three names, one of them that of an input. */
START_TEST(an_output_may_be_another_name_of_a_map)
{
    for (int32_t engine = SFCONV_ENGINE_LAYERS; engine <= SFCONV_ENGINE_RANK_SPACE; engine++) {
        sfconv_context *context = one_worker();
        sfconv_net *net = empty_net(context);
        const int32_t x = put_input(net, "x", 5);
        const int32_t y = put_block(net, "a", "r", x, 5);
        put_output(net, put_dropout(net, "d0", x, true));
        put_output(net, put_dropout(net, "d1", y, true));
        put_output(net, y);
        put_output(net, put_factorized(net, "b", put_dropout(net, "d2", y, true), 16, 7, 0));
        sfconv_run *run = forward_of(net, engine, image);
        fill_inputs(run, 5);
        run_forward(run);
        const sfconv_view in = input_of(run, 0), same = output_of(run, 0);
        ck_assert_mem_eq(in.data, same.data, (size_t)sfconv_view_count(&in) * sizeof(float));
        const sfconv_view a = output_of(run, 1), b = output_of(run, 2);
        ck_assert_mem_eq(a.data, b.data, (size_t)map_bytes(16));
        sfconv_run_destroy(run);
        check_inference(net);
        sfconv_net_destroy(net);
        sfconv_context_destroy(context);
    }
}
END_TEST

/* A layer of its own kind, which the run makes a net of. */
START_TEST(dropout_alone_gives_its_input)
{
    const int64_t channels = 5;
    sfconv_context *context = one_worker();
    sfconv_layer *layer = new_dropout(context);
    sfconv_run *run;
    ck_assert_int_eq(sfconv_run_create_for_layer(&run, layer, &channels, 1, SFCONV_MODE_INFERENCE),
                     SFCONV_OK);
    ck_assert_int_eq(sfconv_run_reshape(run, &image, 1, NULL, 0), SFCONV_OK);
    fill_inputs(run, 5);
    const sfconv_view in = input_of(run, 0);
    const uint64_t bits = hash_view(0, &in);
    run_forward(run);
    const sfconv_view out = output_of(run, 0);
    ck_assert_uint_eq(hash_view(0, &out), bits);
    sfconv_run_destroy(run);
    sfconv_layer_destroy(layer);
    sfconv_context_destroy(context);
}
END_TEST

/* σ is a number in inference; in training it changes with each step, and the layers go alone. */
START_TEST(spectral_normalization_folds_into_the_weights_of_inference)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 5);
    int32_t y = put_factorized(net, "a", x, 5, 16, 1);
    y = put_relu(net, "r", put_after(net, "n", new_batchnorm(context, 16), y));
    const int32_t z = put_pair(net, "s", new_add(context), put_factorized(net, "b", y, 16, 16, 1),
                               put_factorized(net, "c", y, 16, 16, 0));
    put_output(net, put_factorized(net, "e", put_relu(net, "r2", z), 16, 7, 1));
    const char *text = check_inference(net);
    check_node(text, "expand", "r", 0);
    check_node(text, "expand", "r2", 0);
    check_stored(text, map_bytes(7));
    sfconv_run *training = new_run(net, SFCONV_MODE_TRAINING);
    ck_assert_int_eq(sfconv_run_reshape(training, &image, 1, NULL, 0), SFCONV_OK);
    check_node(plan_of(training), "layer", "a", map_bytes(16));
    sfconv_run_destroy(training);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(a_factor_of_zeros_stays_undivided)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    put_output(net, put_factorized(net, "a", put_input(net, "x", 5), 5, 16, 1));
    int32_t p;
    ck_assert_int_eq(sfconv_net_find_parameter(net, "a.p.weight", &p), SFCONV_OK);
    const sfconv_parameter_info info = parameter_of(net, p);
    memset(info.view.data, 0, (size_t)sfconv_view_count(&info.view) * sizeof(float));
    check_inference(net);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(a_concatenation_of_concatenations_is_virtual)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 5);
    const int32_t a = put_block(net, "a", "ra", x, 5);
    const int32_t ax = put_concat(net, "ax", a, x);
    const int32_t b = put_block(net, "b", "rb", ax, 21);
    const int32_t axb = put_concat(net, "axb", ax, b);
    const int32_t all = put_concat(net, "all", b, axb);
    put_output(net, put_factorized(net, "c", all, 53, 7, 0));
    check_stored(check_inference(net), map_bytes(7));
    const char *text = check_training(net);
    check_node(text, "virtual", "ax", 0);
    check_node(text, "virtual", "axb", 0);
    check_node(text, "virtual", "all", 0);
    check_stored(text, map_bytes(7));
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(an_up_sampling_of_a_concatenation_is_virtual)
{
    static const int32_t kinds[] = {SFCONV_UPSAMPLE_NEAREST, SFCONV_UPSAMPLE_BILINEAR_ALIGNED,
                                    SFCONV_UPSAMPLE_BILINEAR};
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 5);
    const int32_t a = put_block(net, "a", "ra", x, 5);
    const int32_t b = put_block(net, "b", "rb", a, 16);
    const int32_t inner = put_concat(net, "inner", a, b);
    const int32_t outer = put_concat(net, "outer", inner, a);
    const int32_t up = put_after(net, "up", new_upsample(context, kinds[_i]), outer);
    put_output(net, put_factorized(net, "c", up, 48, 7, 0));
    put_output(net, put_factorized(net, "d", outer, 48, 3, 0));
    const int64_t outputs = 4 * map_bytes(7) + map_bytes(3);
    const char *text = check_inference(net);
    check_node(text, "virtual", "up", 0);
    check_stored(text, outputs);
    text = check_training(net);
    check_node(text, "virtual", "up", 0);
    check_node(text, "virtual", "outer", 0);
    check_node(text, "virtual", "inner", 0);
    check_stored(text, outputs);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

/* The inner up-sampling, as the outer one moves its mixed maps already. */
START_TEST(an_up_sampling_behind_an_up_sampling_is_computed)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 5);
    const int32_t a = put_block(net, "a", "ra", x, 5);
    const int32_t up = put_after(net, "up", new_upsample(context, SFCONV_UPSAMPLE_NEAREST), a);
    const int32_t both = put_concat(net, "both", up, up);
    const int32_t wide =
        put_after(net, "wide", new_upsample(context, SFCONV_UPSAMPLE_BILINEAR), both);
    put_output(net, put_factorized(net, "c", wide, 32, 7, 0));
    check_inference(net);
    const char *text = check_training(net);
    check_node(text, "virtual", "wide", 0);
    check_node(text, "virtual", "both", 0);
    check_node(text, "layer", "up", 4 * map_bytes(16));
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

/* Each of seven concatenations joins the one before it with itself. */
START_TEST(concatenations_of_very_many_maps_are_computed_inside)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    int32_t joined = put_block(net, "a", "ra", put_input(net, "x", 5), 5);
    for (int i = 0; i < 7; i++) {
        char name[8];
        snprintf(name, sizeof name, "j%d", i);
        joined = put_concat(net, name, joined, joined);
    }
    put_output(net, put_factorized(net, "c", joined, 16 * 128, 7, 0));
    const char *text = check_inference(net);
    check_node(text, "virtual", "j6", 0);
    check_node(text, "layer", "j5", map_bytes(16 * 64));
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

static sfconv_layer *new_average(sfconv_context *context, int64_t kernel, int64_t stride,
                                 int64_t padding)
{
    sfconv_pool2d_desc desc = SFCONV_POOL2D_DESC_INIT;
    sfconv_layer *layer;
    desc.kind = SFCONV_POOL_AVERAGE;
    for (int axis = 0; axis < 2; axis++) {
        desc.kernel[axis] = kernel;
        desc.stride[axis] = stride;
        desc.padding[axis] = padding;
    }
    ck_assert_int_eq(sfconv_pool2d_create(&layer, context, &desc), SFCONV_OK);
    return layer;
}

/* Kernel, stride and padding; the last windows of the second reach beyond the map. */
static const int64_t averages[][3] = {{2, 2, 0}, {3, 2, 1}, {3, 1, 1}, {5, 4, 2}};

/* Mixed for the taps of a factorized layer with stride, for a head, and together with the largest
 * and with the map itself. */
START_TEST(average_pooling_of_a_map_is_virtual)
{
    const int64_t *window = averages[_i];
    const int64_t height = (HEIGHT + 2 * window[2] - window[0]) / window[1] + 1;
    const int64_t width = (WIDTH + 2 * window[2] - window[0]) / window[1] + 1;
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    const int32_t a = put_block(net, "a", "ra", put_input(net, "x", 5), 5);
    const int32_t b = put_block(net, "b", "rb", a, 16);
    const int32_t pa =
        put_after(net, "pa", new_average(context, window[0], window[1], window[2]), a);
    const int32_t pb =
        put_after(net, "pb", new_average(context, window[0], window[1], window[2]), b);
    const int32_t most = put_after(net, "most", new_pool(context, SFCONV_POOL_MAX), a);
    put_output(net, put_factorized(net, "c", put_concat(net, "both", pa, pb), 32, 7, 0));
    put_output(net, put_after(net, "head", new_pointwise(context, 16, 3), pa));
    put_output(net, put_factorized(net, "d", most, 16, 5, 0));
    const int64_t outputs =
        IMAGES * (10 * height * width + 5 * (HEIGHT / 2) * (WIDTH / 2)) * (int64_t)sizeof(float);
    check_stored(check_inference(net), outputs);
    const char *text = check_training(net);
    check_node(text, "virtual", "pa", 0);
    check_node(text, "virtual", "pb", 0);
    check_stored(text, outputs);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

/* 17 maps of three taps: to mix them of four times as many pixels costs more than to store a map.
 */
START_TEST(averages_that_very_many_maps_are_mixed_of_are_computed)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    const int32_t a = put_block(net, "a", "ra", put_input(net, "x", 5), 5);
    const int32_t pooled = put_after(net, "pooled", new_average(context, 2, 2, 0), a);
    put_output(net, put_after(net, "c", new_sfconv(context, 16, 16, 17, 0, 0, 1), pooled));
    const char *text = check_inference(net);
    check_node(text, "expand", "ra", map_bytes(16));
    check_node(text, "layer", "pooled", map_bytes(16) / 4);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

/* Channels and rank of a layer whose map is averaged: in pairs and by Winograd's method, in tasks
 * of some channels, and more than all tasks but the last have. */
static const int64_t averaged[][2] = {{7, 2}, {70, 2}, {150, 3}, {300, 9}, {64, 16}};

/* The last block of a ResNet and its classifier. Where the map is wanted as well, it is stored and
 * averaged by its layer: the bits are the same. */
static sfconv_net *net_with_classifier(sfconv_context *context, const int64_t sizes[2], bool wanted)
{
    const int64_t channels = sizes[0], rank = sizes[1];
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 5);
    const int32_t a =
        put_relu(net, "ra", put_after(net, "a", new_sfconv(context, 5, channels, 2, 0, 0, 1), x));
    int32_t y = put_after(net, "b", new_sfconv(context, channels, channels, rank, 0, 0, 2), a);
    y = put_pair(net, "sum", new_add(context),
                 put_after(net, "n", new_batchnorm(context, channels), y), a);
    y = put_relu(net, "rb", y);
    const int32_t mean = put_after(net, "mean", new_pool(context, SFCONV_POOL_GLOBAL_AVERAGE), y);
    put_output(net, put_after(net, "fc", new_linear(context, channels, 10, 3), mean));
    if (wanted) {
        put_output(net, y);
    }
    return net;
}

/* Forwards of a net with a classifier and of one whose map is wanted as well, with the same bits.
 */
typedef struct average_pair {
    sfconv_context *context;
    sfconv_net *nets[2];
    sfconv_run *runs[2];
} average_pair;

static average_pair open_averages(int32_t workers, const int64_t sizes[2], sfconv_shape shape)
{
    average_pair made = {.context = public_context(workers, SFCONV_ISA_BEST)};
    for (int i = 0; i < 2; i++) {
        made.nets[i] = net_with_classifier(made.context, sizes, i == 1);
        made.runs[i] = forward_of(made.nets[i], SFCONV_ENGINE_RANK_SPACE, shape);
    }
    const sfconv_view a = output_of(made.runs[0], 0), b = output_of(made.runs[1], 0);
    ck_assert_mem_eq(a.data, b.data, (size_t)shape.batch * 10 * sizeof(float));
    return made;
}

static void close_averages(average_pair *made)
{
    for (int i = 0; i < 2; i++) {
        sfconv_run_destroy(made->runs[i]);
        sfconv_net_destroy(made->nets[i]);
    }
    sfconv_context_destroy(made->context);
}

START_TEST(the_global_average_of_a_map_is_stored_in_its_place)
{
    const int64_t *sizes = averaged[_i];
    average_pair made = open_averages(1, sizes, image);
    const char *text = plan_of(made.runs[0]);
    check_node(text, "expand", "rb", 0);
    check_node(text, "fused", "mean", IMAGES * sizes[0] * (int64_t)sizeof(float));
    text = plan_of(made.runs[1]);
    check_node(text, "layer", "mean", IMAGES * sizes[0] * (int64_t)sizeof(float));
    check_inference(made.nets[0]);
    close_averages(&made);
}
END_TEST

START_TEST(all_rows_of_a_map_are_averaged_whatever_their_number)
{
    static const sfconv_shape shapes[] = {{2, 5, 34, 64}, {1, 5, 30, 8}, {1, 5, 37, 4}};
    const int64_t sizes[] = {70, _i % 2 ? 16 : 2};
    average_pair made = open_averages(3, sizes, shapes[_i / 2]);
    close_averages(&made);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("virtual maps");
    TCase *tests = tcase_create("virtual maps");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, dropout_in_inference_is_another_name_of_its_input, 0, 2);
    tcase_add_test(tests, dropout_does_not_part_layers);
    tcase_add_test(tests, an_output_may_be_another_name_of_a_map);
    tcase_add_test(tests, dropout_alone_gives_its_input);
    tcase_add_test(tests, spectral_normalization_folds_into_the_weights_of_inference);
    tcase_add_test(tests, a_factor_of_zeros_stays_undivided);
    tcase_add_test(tests, a_concatenation_of_concatenations_is_virtual);
    tcase_add_loop_test(tests, an_up_sampling_of_a_concatenation_is_virtual, 0, 3);
    tcase_add_test(tests, an_up_sampling_behind_an_up_sampling_is_computed);
    tcase_add_test(tests, concatenations_of_very_many_maps_are_computed_inside);
    tcase_add_loop_test(tests, average_pooling_of_a_map_is_virtual, 0, 4);
    tcase_add_test(tests, averages_that_very_many_maps_are_mixed_of_are_computed);
    tcase_add_loop_test(tests, the_global_average_of_a_map_is_stored_in_its_place, 0, 5);
    tcase_add_loop_test(tests, all_rows_of_a_map_are_averaged_whatever_their_number, 0, 6);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
