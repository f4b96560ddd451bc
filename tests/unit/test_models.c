/* SPDX-License-Identifier: BSD-2-Clause */
/* The ready-made networks: their sizes as published, their names, and all methods at work. */
#include "nets.h"

#include "memory.h"
#include "models.h"

#include <stdio.h>

static const int32_t models[] = {SFCONV_MODEL_RESNET18, SFCONV_MODEL_UNET,
                                 SFCONV_MODEL_TINY_CLASSIFIER, SFCONV_MODEL_TINY_SEGMENTER};

static sfconv_net *make_model(sfconv_context *context, int32_t model, int32_t method, int64_t out)
{
    sfconv_model_desc desc = SFCONV_MODEL_DESC_INIT;
    sfconv_net *net;
    desc.model = model;
    desc.method = method;
    desc.in_channels = 3;
    desc.out_channels = out;
    desc.seed = 3;
    desc.regularizer_weight = 0.01;
    ck_assert_int_eq(sfconv_model_create(&net, context, &desc), SFCONV_OK);
    return net;
}

static sfconv_cost cost_of(const sfconv_net *net, int64_t size)
{
    const sfconv_shape shape = {1, 3, size, size};
    sfconv_cost cost = SFCONV_COST_INIT;
    ck_assert_int_eq(sfconv_net_cost(net, &shape, 1, &cost), SFCONV_OK);
    return cost;
}

/* --- Counts by formula, from the descriptions of the networks in the literature --- */

typedef struct counts {
    int64_t parameters;
    int64_t macs;
} counts;

static int64_t rank_of(int64_t in, int64_t out)
{
    const int64_t rank = (int64_t)rint((double)(in < out ? in : out) / 32);
    return rank < 1 ? 1 : rank;
}

/* A k x k convolution without bias to maps of size x size, and the BatchNorm behind it. */
static void count_conv(counts *sum, int32_t method, int64_t in, int64_t out, int64_t k,
                       int64_t size, int64_t stride)
{
    const int64_t pixels = size * size;
    if (method == SFCONV_METHOD_CONV || (method == SFCONV_METHOD_DPCCONV && k == 1)) {
        sum->parameters += out * in * k * k;
        sum->macs += out * in * k * k * pixels;
    } else if (method == SFCONV_METHOD_DPCCONV) {
        sum->parameters += in * k * k + out * in;
        sum->macs += (in * k * k + out * in) * pixels;
    } else {
        /* Q strides horizontally alone: its maps are `stride` times as high. */
        const int64_t rank = rank_of(in, out);
        sum->parameters += rank * in * k + out * rank * k;
        sum->macs += rank * in * k * pixels * stride + out * rank * k * pixels;
    }
    sum->parameters += 2 * out;
}

static counts count_unet(int32_t method, int64_t size)
{
    static const int64_t down[5][2] = {{3, 64}, {64, 128}, {128, 256}, {256, 512}, {512, 512}};
    static const int64_t up[4][3] = {
        {1024, 512, 256}, {512, 256, 128}, {256, 128, 64}, {128, 64, 64}};
    counts sum = {0, 0};
    for (int level = 0; level < 5; level++) {
        count_conv(&sum, method, down[level][0], down[level][1], 3, size >> level, 1);
        count_conv(&sum, method, down[level][1], down[level][1], 3, size >> level, 1);
    }
    for (int number = 0; number < 4; number++) {
        count_conv(&sum, method, up[number][0], up[number][1], 3, size >> (3 - number), 1);
        count_conv(&sum, method, up[number][1], up[number][2], 3, size >> (3 - number), 1);
    }
    sum.parameters += 64 + 1;
    sum.macs += 64 * size * size;
    return sum;
}

static counts count_resnet18(int32_t method, int64_t size)
{
    counts sum = {0, 0};
    int64_t in = 64, map = size / 4;
    count_conv(&sum, SFCONV_METHOD_CONV, 3, 64, 7, size / 2, 1);
    for (int stage = 0; stage < 4; stage++) {
        const int64_t out = 64 << stage;
        map = stage ? map / 2 : map;
        for (int block = 0; block < 2; block++) {
            const int64_t stride = stage && !block ? 2 : 1;
            count_conv(&sum, method, in, out, 3, map, stride);
            count_conv(&sum, method, out, out, 3, map, 1);
            if (in != out) {
                count_conv(&sum, method, in, out, 1, map, stride);
            }
            in = out;
        }
    }
    sum.parameters += 512 * 5 + 5;
    sum.macs += 512 * 5;
    return sum;
}

START_TEST(parameters_are_as_many_as_published)
{
    static const struct {
        int32_t model;
        int32_t method;
        int64_t out;
        int64_t parameters;
    } published[] = {
        {SFCONV_MODEL_RESNET18, SFCONV_METHOD_CONV, 5, 11179077},
        {SFCONV_MODEL_RESNET18, SFCONV_METHOD_SFCONV, 5, 250437},
        {SFCONV_MODEL_UNET, SFCONV_METHOD_CONV, 1, 17262977},
        {SFCONV_MODEL_UNET, SFCONV_METHOD_SFCONV, 1, 319754},
    };
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        sfconv_net *net =
            make_model(context, published[i].model, published[i].method, published[i].out);
        ck_assert_int_eq(cost_of(net, 64).parameters, published[i].parameters);
        sfconv_net_destroy(net);
    }
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(counts_are_those_of_the_formulas)
{
    static const int32_t methods[] = {SFCONV_METHOD_CONV, SFCONV_METHOD_DPCCONV,
                                      SFCONV_METHOD_SFCONV_NO_KL};
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    for (int i = 0; i < 3; i++) {
        sfconv_net *unet = make_model(context, SFCONV_MODEL_UNET, methods[i], 1);
        sfconv_net *resnet = make_model(context, SFCONV_MODEL_RESNET18, methods[i], 5);
        const counts of_unet = count_unet(methods[i], 304);
        const counts of_resnet = count_resnet18(methods[i], 224);
        ck_assert_int_eq(cost_of(unet, 304).macs, of_unet.macs);
        ck_assert_int_eq(cost_of(unet, 304).parameters, of_unet.parameters);
        ck_assert_int_eq(cost_of(resnet, 224).macs, of_resnet.macs);
        ck_assert_int_eq(cost_of(resnet, 224).parameters, of_resnet.parameters);
        sfconv_net_destroy(unet);
        sfconv_net_destroy(resnet);
    }
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(the_unets_multiply_adds_at_304_are_as_published)
{
    static const struct {
        int32_t method;
        double giga;
    } published[] = {
        {SFCONV_METHOD_CONV, 56.38}, {SFCONV_METHOD_DPCCONV, 6.70}, {SFCONV_METHOD_SFCONV, 1.00}};
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    for (int i = 0; i < 3; i++) {
        sfconv_net *net = make_model(context, SFCONV_MODEL_UNET, published[i].method, 1);
        ck_assert_double_eq_tol((double)cost_of(net, 304).macs / 1e9, published[i].giga, 0.005);
        sfconv_net_destroy(net);
    }
    sfconv_context_destroy(context);
}
END_TEST

static void check_node(const sfconv_net *net, const char *name, const char *kind)
{
    int32_t node;
    ck_assert_msg(sfconv_net_find_node(net, name, &node) == SFCONV_OK, "no node %s", name);
    ck_assert_str_eq(sfconv_layer_kind(sfconv_net_node_layer(net, node)), kind);
}

static void check_parameter(const sfconv_net *net, const char *name, int64_t count)
{
    int32_t index;
    ck_assert_msg(sfconv_net_find_parameter(net, name, &index) == SFCONV_OK, "no parameter %s",
                  name);
    const sfconv_view view = parameter_of(net, index).view;
    ck_assert_int_eq(sfconv_view_count(&view), count);
}

START_TEST(resnet18_has_torchvisions_names)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = make_model(context, SFCONV_MODEL_RESNET18, SFCONV_METHOD_CONV, 5);
    /* Of torchvision's 122 tensors 20 are num_batches_tracked. */
    ck_assert_int_eq(sfconv_net_parameter_count(net), 102);
    check_parameter(net, "conv1.weight", 64 * 3 * 49);
    check_parameter(net, "bn1.running_var", 64);
    check_parameter(net, "fc.weight", 5 * 512);
    check_parameter(net, "fc.bias", 5);
    for (int stage = 1; stage <= 4; stage++) {
        const int64_t out = 32 << stage, in = stage == 1 ? 64 : out / 2;
        for (int block = 0; block < 2; block++) {
            char name[64];
            snprintf(name, sizeof name, "layer%d.%d.conv1.weight", stage, block);
            check_parameter(net, name, out * (block ? out : in) * 9);
            snprintf(name, sizeof name, "layer%d.%d.conv2.weight", stage, block);
            check_parameter(net, name, out * out * 9);
            snprintf(name, sizeof name, "layer%d.%d.bn2.bias", stage, block);
            check_parameter(net, name, out);
        }
        if (stage > 1) {
            char name[64];
            snprintf(name, sizeof name, "layer%d.0.downsample.0.weight", stage);
            check_parameter(net, name, out * in);
            snprintf(name, sizeof name, "layer%d.0.downsample.1.running_mean", stage);
            check_parameter(net, name, out);
        }
    }
    sfconv_net_destroy(net);
    net = make_model(context, SFCONV_MODEL_RESNET18, SFCONV_METHOD_SFCONV, 5);
    check_node(net, "conv1", "conv2d");
    check_node(net, "layer2.0.downsample.0", "sfconv2d");
    check_parameter(net, "layer4.1.conv2.q.weight", 16 * 512 * 3);
    check_parameter(net, "layer4.1.conv2.p.weight", 512 * 16 * 3);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(unet_has_the_usual_names)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = make_model(context, SFCONV_MODEL_UNET, SFCONV_METHOD_CONV, 1);
    /* 18 convolutions, 18 times four of BatchNorm, and the head. */
    ck_assert_int_eq(sfconv_net_parameter_count(net), 18 + 18 * 4 + 2);
    check_parameter(net, "inc.double_conv.0.weight", 64 * 3 * 9);
    check_parameter(net, "inc.double_conv.4.running_mean", 64);
    check_parameter(net, "down1.maxpool_conv.1.double_conv.0.weight", 128 * 64 * 9);
    check_parameter(net, "down4.maxpool_conv.1.double_conv.3.weight", 512 * 512 * 9);
    check_parameter(net, "up1.conv.double_conv.0.weight", 512 * 1024 * 9);
    check_parameter(net, "up1.conv.double_conv.3.weight", 256 * 512 * 9);
    check_parameter(net, "up4.conv.double_conv.1.weight", 64);
    check_parameter(net, "outc.conv.weight", 64);
    check_parameter(net, "outc.conv.bias", 1);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

/* Kind of the layers that the method decides, and how many nodes have it. */
static int32_t nodes_of_kind(const sfconv_net *net, const char *kind)
{
    int32_t count = 0;
    for (int32_t i = 0; i < sfconv_net_node_count(net); i++) {
        const sfconv_layer *layer = sfconv_net_node_layer(net, i);
        count += layer && strcmp(sfconv_layer_kind(layer), kind) == 0;
    }
    return count;
}

START_TEST(every_model_trains_and_infers_by_every_method)
{
    const int32_t model = models[_i / 6];
    const int32_t method = 1 + _i % 6;
    /* FConv's initialisation of the large networks is a minute of LAPACK and nothing new. */
    if (method == SFCONV_METHOD_FCONV && _i < 12) {
        return;
    }
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = make_model(context, model, method, 2);
    const bool factorized = method != SFCONV_METHOD_CONV && method != SFCONV_METHOD_DPCCONV;
    double value = -1;
    ck_assert_int_eq(nodes_of_kind(net, "sfconv2d") > 0, factorized);
    ck_assert_int_eq(nodes_of_kind(net, "dsconv2d") > 0, method == SFCONV_METHOD_DPCCONV);
    const uint64_t before = hash_parameters(net);
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    reshape_run(run, 2, 32, 32);
    fill_inputs(run, 1);
    run_forward(run);
    fill_output_gradients(run, 2);
    run_backward(run);
    ck_assert_int_eq(sfconv_run_regularize(run, &value), SFCONV_OK);
    ck_assert_int_eq(value > 0, method == SFCONV_METHOD_FCONV || method == SFCONV_METHOD_SFCONV);
    const sfconv_view out = output_of(run, 0);
    ck_assert(all_finite(&out));
    for (int32_t i = 0; i < sfconv_net_parameter_count(net); i++) {
        sfconv_view view;
        if (sfconv_run_parameter_gradient(run, i, &view) == SFCONV_OK) {
            ck_assert_msg(all_finite(&view) &&
                              dot_of(view.data, view.data, sfconv_view_count(&view)) > 0,
                          "gradient of %s", parameter_of(net, i).name);
        }
    }
    ck_assert_uint_ne(hash_parameters(net), before);
    sfconv_run_destroy(run);

    run = new_run(net, SFCONV_MODE_INFERENCE);
    reshape_run(run, 1, 48, 32);
    fill_inputs(run, 1);
    run_forward(run);
    const sfconv_view inferred = output_of(run, 0);
    ck_assert(all_finite(&inferred));
    const bool maps = model == SFCONV_MODEL_UNET || model == SFCONV_MODEL_TINY_SEGMENTER;
    ck_assert_int_eq(inferred.shape[1], 2);
    ck_assert_int_eq(inferred.shape[2], maps ? 48 : 1);
    ck_assert_int_eq(inferred.shape[3], maps ? 32 : 1);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(inputs_are_multiples_of_16_for_the_unet_and_of_8_for_its_small_sister)
{
    static const struct {
        int32_t model;
        int64_t size;
        sfconv_status status;
    } sizes[] = {
        {SFCONV_MODEL_UNET, 16, SFCONV_OK},
        {SFCONV_MODEL_UNET, 24, SFCONV_ERROR_SHAPE},
        {SFCONV_MODEL_UNET, 8, SFCONV_ERROR_SHAPE},
        {SFCONV_MODEL_TINY_SEGMENTER, 8, SFCONV_OK},
        {SFCONV_MODEL_TINY_SEGMENTER, 24, SFCONV_OK},
        {SFCONV_MODEL_TINY_SEGMENTER, 12, SFCONV_ERROR_SHAPE},
        {SFCONV_MODEL_RESNET18, 33, SFCONV_OK},
        {SFCONV_MODEL_TINY_CLASSIFIER, 17, SFCONV_OK},
    };
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        sfconv_net *net = make_model(context, sizes[i].model, SFCONV_METHOD_SFCONV, 1);
        const sfconv_shape shape = {1, 3, sizes[i].size, sizes[i].size};
        sfconv_cost cost = SFCONV_COST_INIT;
        const sfconv_status status = sfconv_net_cost(net, &shape, 1, &cost);
        ck_assert_msg(status == sizes[i].status, "%s at %d: %s", sfconv_model_name(sizes[i].model),
                      (int)sizes[i].size, sfconv_status_name(status));
        sfconv_net_destroy(net);
    }
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(a_new_model_is_initialized_by_its_seed)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    for (int32_t method = 1; method <= 6; method++) {
        sfconv_net *net = make_model(context, SFCONV_MODEL_TINY_CLASSIFIER, method, 4);
        const uint64_t hash = hash_parameters(net);
        ck_assert_int_eq(sfconv_net_initialize(net, 4), SFCONV_OK);
        ck_assert_uint_ne(hash_parameters(net), hash);
        ck_assert_int_eq(sfconv_net_initialize(net, 3), SFCONV_OK);
        ck_assert_uint_eq(hash_parameters(net), hash);
        sfconv_net_destroy(net);
    }
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(the_seed_decides_the_parameters)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_model_desc desc = SFCONV_MODEL_DESC_INIT;
    uint64_t hashes[3];
    for (int i = 0; i < 3; i++) {
        sfconv_net *net;
        desc.seed = i == 2;
        ck_assert_int_eq(sfconv_model_create(&net, context, &desc), SFCONV_OK);
        hashes[i] = hash_parameters(net);
        sfconv_net_destroy(net);
    }
    ck_assert_uint_eq(hashes[0], hashes[1]);
    ck_assert_uint_ne(hashes[0], hashes[2]);
    sfconv_context_destroy(context);
}
END_TEST

/* Ranks of the factorized layers in the order of the nodes. */
static int32_t ranks_of(const sfconv_net *net, int64_t *ranks)
{
    int32_t count = 0;
    for (int32_t i = 0; i < sfconv_net_node_count(net); i++) {
        const int64_t rank = sfconv_sfconv2d_rank(sfconv_net_node_layer(net, i));
        if (rank > 0) {
            ranks[count++] = rank;
        }
    }
    return count;
}

START_TEST(listed_ranks_take_the_place_of_the_rule)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_model_desc desc = SFCONV_MODEL_DESC_INIT;
    sfconv_net *net;
    int64_t ranks[64], given[64];
    ck_assert_int_eq(sfconv_model_create(&net, context, &desc), SFCONV_OK);
    const int32_t count = ranks_of(net, ranks);
    sfconv_net_destroy(net);
    ck_assert_int_gt(count, 5);
    for (int32_t i = 0; i < count; i++) {
        given[i] = 1 + i % 4;
    }
    desc.ranks = given;
    desc.rank_count = count;
    ck_assert_int_eq(sfconv_model_create(&net, context, &desc), SFCONV_OK);
    ck_assert_int_eq(ranks_of(net, ranks), count);
    ck_assert_mem_eq(ranks, given, (size_t)count * sizeof *ranks);
    sfconv_net_destroy(net);

    const int64_t wrong[] = {0, -1, 1 << 20, INT64_MIN};
    for (int i = 0; i < 4; i++) {
        given[1] = wrong[i];
        ck_assert_int_eq(sfconv_model_create(&net, context, &desc), SFCONV_ERROR_ARGUMENT);
        ck_assert_ptr_null(net);
    }
    given[1] = 2;
    for (int off = -1; off <= 1; off += 2) {
        desc.rank_count = count + off;
        given[count] = 1;
        ck_assert_int_eq(sfconv_model_create(&net, context, &desc), SFCONV_ERROR_ARGUMENT);
        ck_assert_ptr_null(net);
    }
    /* A network without factorized layers takes no ranks. */
    desc.method = SFCONV_METHOD_CONV;
    desc.rank_count = count;
    ck_assert_int_eq(sfconv_model_create(&net, context, &desc), SFCONV_ERROR_ARGUMENT);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(settings_out_of_range_are_refused)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    for (int i = 0; i < 14; i++) {
        sfconv_model_desc desc = SFCONV_MODEL_DESC_INIT;
        sfconv_net *net = (sfconv_net *)context;
        switch (i) {
        case 0:
            desc.model = 0;
            break;
        case 1:
            desc.model = 5;
            break;
        case 2:
            desc.method = 0;
            break;
        case 3:
            desc.method = 7;
            break;
        case 4:
            desc.in_channels = 0;
            break;
        case 5:
            desc.out_channels = 0;
            break;
        case 6:
            desc.ratio = 0;
            break;
        case 7:
            desc.ratio = NAN;
            break;
        case 8:
            desc.ratio = -1;
            break;
        case 9:
            desc.min_rank = 0;
            break;
        case 10:
            desc.regularizer_weight = -1;
            break;
        case 11:
            desc.regularizer_weight = INFINITY;
            break;
        case 12:
            desc.rank_count = 3;
            break;
        default:
            desc.struct_size = 3;
        }
        ck_assert_msg(sfconv_model_create(&net, context, &desc) == SFCONV_ERROR_ARGUMENT, "case %d",
                      i);
        ck_assert_ptr_null(net);
    }
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(names_and_numbers_of_models_and_methods_belong_together)
{
    for (int32_t i = 1; i <= 4; i++) {
        ck_assert_int_eq(sfconv_model_from_name(sfconv_model_name(i)), i);
    }
    for (int32_t i = 1; i <= 6; i++) {
        ck_assert_int_eq(sfconv_method_from_name(sfconv_method_name(i)), i);
    }
    ck_assert_str_eq(sfconv_model_name(SFCONV_MODEL_TINY_SEGMENTER), "tiny_segmenter");
    ck_assert_str_eq(sfconv_method_name(SFCONV_METHOD_SFCONV_NO_KL), "sfconv_no_kl");
    ck_assert_ptr_null(sfconv_model_name(0));
    ck_assert_ptr_null(sfconv_model_name(5));
    ck_assert_ptr_null(sfconv_model_name(-1));
    ck_assert_ptr_null(sfconv_method_name(7));
    ck_assert_int_eq(sfconv_model_from_name("UNet"), 0);
    ck_assert_int_eq(sfconv_model_from_name(NULL), 0);
    ck_assert_int_eq(sfconv_method_from_name(""), 0);
}
END_TEST

START_TEST(a_description_read_back_builds_the_same_network)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    for (int32_t method = 1; method <= 6; method++) {
        sfconv_model_desc desc = SFCONV_MODEL_DESC_INIT, read;
        sfconv_net *net, *again;
        int64_t *ranks, first[64], second[64];
        desc.method = method;
        desc.in_channels = 2;
        desc.out_channels = 7;
        desc.ratio = 1.0 / 3;
        desc.min_rank = 3;
        desc.regularizer_weight = 0.1;
        ck_assert_int_eq(sfconv_model_create(&net, context, &desc), SFCONV_OK);
        ck_assert_int_eq(sfi_model_parse(context, net->description, &read, &ranks), SFCONV_OK);
        ck_assert(read.model == desc.model && read.method == method && read.in_channels == 2);
        ck_assert(read.out_channels == 7 && read.min_rank == 3 && read.ratio == desc.ratio);
        ck_assert(read.regularizer_weight == desc.regularizer_weight);
        ck_assert_int_eq(sfconv_model_create(&again, context, &read), SFCONV_OK);
        const int32_t count = ranks_of(net, first);
        ck_assert_int_eq(ranks_of(again, second), count);
        ck_assert_mem_eq(first, second, (size_t)count * sizeof *first);
        ck_assert_uint_eq(hash_parameters(net), hash_parameters(again));
        ck_assert_str_eq(net->description, again->description);
        sfi_free(context, ranks, (size_t)read.rank_count * sizeof *ranks);
        sfconv_net_destroy(net);
        sfconv_net_destroy(again);
    }
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(descriptions_that_are_none_are_refused)
{
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"model\":\"unet\"",
        "{\"model\":\"unet\",\"method\":\"sfconv\",\"in_channels\":3,\"out_channels\":1,"
        "\"ratio\":0.1,\"min_rank\":1,\"regularizer_weight\":0.0}",
        "{\"model\":\"vgg\",\"method\":\"sfconv\",\"in_channels\":3,\"out_channels\":1,"
        "\"ratio\":0.1,\"min_rank\":1,\"regularizer_weight\":0.0,\"ranks\":[]}",
        "{\"model\":\"unet\",\"method\":\"lora\",\"in_channels\":3,\"out_channels\":1,"
        "\"ratio\":0.1,\"min_rank\":1,\"regularizer_weight\":0.0,\"ranks\":[]}",
        "{\"model\":\"unet\",\"method\":\"sfconv\",\"in_channels\":\"3\",\"out_channels\":1,"
        "\"ratio\":0.1,\"min_rank\":1,\"regularizer_weight\":0.0,\"ranks\":[]}",
        "{\"model\":\"unet\",\"method\":\"sfconv\",\"in_channels\":3.5,\"out_channels\":1,"
        "\"ratio\":0.1,\"min_rank\":1,\"regularizer_weight\":0.0,\"ranks\":[]}",
        "{\"model\":\"unet\",\"method\":\"sfconv\",\"in_channels\":3,\"out_channels\":1,"
        "\"ratio\":0.1,\"min_rank\":1,\"regularizer_weight\":0.0,\"ranks\":{}}",
        "{\"model\":\"unet\",\"method\":\"sfconv\",\"in_channels\":3,\"out_channels\":1,"
        "\"ratio\":0.1,\"min_rank\":1,\"regularizer_weight\":0.0,\"ranks\":[1,\"2\"]}",
        "{\"model\":\"unet\",\"model\":\"unet\",\"method\":\"sfconv\",\"in_channels\":3,"
        "\"out_channels\":1,\"ratio\":0.1,\"min_rank\":1,\"regularizer_weight\":0.0,\"ranks\":[]}",
    };
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sfconv_model_desc desc;
        int64_t *ranks = (int64_t *)context;
        ck_assert_msg(sfi_model_parse(context, bad[i], &desc, &ranks) == SFCONV_ERROR_FORMAT,
                      "case %zu: %s", i, bad[i]);
        ck_assert_ptr_null(ranks);
        ck_assert(reason_holds(context, "description"));
    }
    sfconv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("models");
    TCase *tests = tcase_create("models");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, parameters_are_as_many_as_published);
    tcase_add_test(tests, counts_are_those_of_the_formulas);
    tcase_add_test(tests, the_unets_multiply_adds_at_304_are_as_published);
    tcase_add_test(tests, resnet18_has_torchvisions_names);
    tcase_add_test(tests, unet_has_the_usual_names);
    tcase_add_loop_test(tests, every_model_trains_and_infers_by_every_method, 0, 24);
    tcase_add_test(tests, inputs_are_multiples_of_16_for_the_unet_and_of_8_for_its_small_sister);
    tcase_add_test(tests, a_new_model_is_initialized_by_its_seed);
    tcase_add_test(tests, the_seed_decides_the_parameters);
    tcase_add_test(tests, listed_ranks_take_the_place_of_the_rule);
    tcase_add_test(tests, settings_out_of_range_are_refused);
    tcase_add_test(tests, names_and_numbers_of_models_and_methods_belong_together);
    tcase_add_test(tests, a_description_read_back_builds_the_same_network);
    tcase_add_test(tests, descriptions_that_are_none_are_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
