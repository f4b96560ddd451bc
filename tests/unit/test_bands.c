/* SPDX-License-Identifier: BSD-2-Clause */
/* Where many maps are mixed of a unit's map, tiles of rows mix a band of it by Winograd's F(4, 3);
 * where many are read as well, quads make it. */
#include "trials.h"
#include "who_computes.h"

#include <inttypes.h>
#include <stdlib.h>

#define CHANNELS 40
#define RANK 33
/* Sources of a unit. */
#define MANY RANK
#define FEW 5

/* What reads the map of the unit `band`, a factorized layer with ReLU. */
enum readers {
    ONE_LAYER,
    POOLED,
    SKIP_AND_POOLED,
    RESIDUAL,
    CONCATENATED,
    STRIDED_TOO,
    HEAD_TOO,
    UPSAMPLED_TOO,
    AVERAGED_TOO,
    SHALLOW_POOL_TOO,
    TWICE,
    UNPADDED,
    WIDELY_PADDED,
    MAP_TOO,
    READERS
};

static const char *const names[READERS] = {
    [ONE_LAYER] = "a layer",
    [POOLED] = "a pooling",
    [SKIP_AND_POOLED] = "a skip and a pooling",
    [RESIDUAL] = "a sum's layer",
    [CONCATENATED] = "a concatenation",
    [STRIDED_TOO] = "a layer of stride 2, too",
    [HEAD_TOO] = "a 1x1 convolution, too",
    [UPSAMPLED_TOO] = "an up-sampling, too",
    [AVERAGED_TOO] = "an average pooling, too",
    [SHALLOW_POOL_TOO] = "a pooling for few maps, too",
    [TWICE] = "a concatenation, twice",
    [UNPADDED] = "a layer without padding",
    [WIDELY_PADDED] = "a layer of two columns of padding",
    [MAP_TOO] = "the caller, too",
};

static sfconv_layer *new_ranked(sfconv_context *context, int64_t in, int64_t out, uint64_t seed)
{
    return new_sfconv(context, in, out, RANK, SFCONV_REGULARIZER_NONE, 0, seed);
}

static sfconv_layer *new_windowed(sfconv_context *context, int64_t stride, int64_t padding)
{
    sfconv_sfconv2d_desc desc = SFCONV_SFCONV2D_DESC_INIT;
    sfconv_layer *layer;
    desc.in_channels = CHANNELS;
    desc.out_channels = 12;
    desc.rank = RANK;
    desc.stride[0] = desc.stride[1] = stride;
    desc.padding[1] = padding;
    desc.seed = 9;
    ck_assert_int_eq(sfconv_sfconv2d_create(&layer, context, &desc), SFCONV_OK);
    return layer;
}

static int32_t put_relu(sfconv_net *net, sfconv_context *context, const char *name, int32_t node)
{
    return put_after(net, name, new_activation(context, SFCONV_ACTIVATION_RELU), node);
}

/* Those who mix in another way than tiles do. */
static void put_others(sfconv_net *net, sfconv_context *context, enum readers readers, int32_t map)
{
    if (readers == STRIDED_TOO) {
        put_output(net, put_after(net, "strided", new_windowed(context, 2, 1), map));
    } else if (readers == HEAD_TOO) {
        put_output(net, put_after(net, "head", new_pointwise(context, CHANNELS, 3), map));
    } else if (readers == UPSAMPLED_TOO) {
        const int32_t up =
            put_after(net, "up", new_upsample(context, SFCONV_UPSAMPLE_BILINEAR_ALIGNED), map);
        put_output(net, put_after(net, "wide", new_ranked(context, CHANNELS, 11, 6), up));
    } else if (readers == AVERAGED_TOO || readers == SHALLOW_POOL_TOO) {
        const int32_t kind = readers == AVERAGED_TOO ? SFCONV_POOL_AVERAGE : SFCONV_POOL_MAX;
        const int32_t pool = put_after(net, "few", new_pool(context, kind), map);
        put_output(net,
                   put_after(net, "shallow", new_sfconv(context, CHANNELS, 3, 4, 0, 0, 7), pool));
    } else if (readers == MAP_TOO) {
        put_output(net, map);
    }
}

static void put_readers(sfconv_net *net, sfconv_context *context, enum readers readers, int32_t x,
                        int32_t a)
{
    const int64_t twice = 2 * CHANNELS;
    int32_t map = a;
    if (readers == RESIDUAL) {
        map = put_pair(net, "sum", new_add(context), a, x);
    }
    map = put_relu(net, context, "band", map);
    if (readers == POOLED || readers == SKIP_AND_POOLED) {
        const int32_t pool = put_after(net, "pool", new_pool(context, SFCONV_POOL_MAX), map);
        put_output(net, put_after(net, "half", new_ranked(context, CHANNELS, 13, 4), pool));
    }
    if (readers == CONCATENATED || readers == TWICE) {
        const int32_t both =
            put_pair(net, "both", new_concat(context), map, readers == TWICE ? map : x);
        put_output(net, put_after(net, "last", new_ranked(context, twice, 12, 5), both));
    } else if (readers == UNPADDED || readers == WIDELY_PADDED) {
        sfconv_layer *last = new_windowed(context, 1, readers == UNPADDED ? 0 : 2);
        put_output(net, put_after(net, "last", last, map));
    } else if (readers != POOLED) {
        put_output(net, put_after(net, "last", new_ranked(context, CHANNELS, 12, 5), map));
    }
    put_others(net, context, readers, map);
}

static sfconv_net *new_band(sfconv_context *context, enum readers readers, int64_t sources)
{
    sfconv_net *net = empty_net(context);
    const int32_t image = put_input(net, "x", CHANNELS);
    const int32_t x = put_relu(net, context, "first", image);
    const int32_t a = put_after(
        net, "a", new_sfconv(context, CHANNELS, CHANNELS, sources, SFCONV_REGULARIZER_NONE, 0, 2),
        x);
    const int32_t norm = put_after(net, "norm", new_batchnorm(context, CHANNELS), a);
    put_readers(net, context, readers, x, norm);
    return net;
}

static const char *plan_for(sfconv_net *net, sfconv_shape shape)
{
    sfconv_run *run = new_run_of(net, SFCONV_ENGINE_RANK_SPACE, &shape, 1);
    const char *text = plan_of(run);
    sfconv_run_destroy(run);
    return text;
}

/* The row of the plan that begins so. */
static const char *row_of(const char *text, const char *begin)
{
    static char row[512];
    const char *at = strstr(text, begin);
    ck_assert_msg(at != NULL, "no %s in\n%s", begin, text);
    snprintf(row, sizeof row, "%.*s", (int)strcspn(at, "\n"), at);
    return row;
}

static bool transforms(const char *text, const char *begin)
{
    return strstr(row_of(text, begin), "F(4, 3)") != NULL;
}

static void check_ways(sfconv_context *context, enum readers readers, int64_t sources, bool expands,
                       bool mixes)
{
    sfconv_net *net = new_band(context, readers, sources);
    const char *text = plan_for(net, (sfconv_shape){1, CHANNELS, 24, 24});
    const char *sink = readers == POOLED ? "-> half " : "-> last";
    const bool stored = strstr(row_of(text, "expand  band "), "stored           0 B") == NULL;
    ck_assert_msg(transforms(text, "expand  band ") == expands, "%s:\n%s", names[readers], text);
    ck_assert_msg(transforms(text, sink) == mixes, "%s:\n%s", names[readers], text);
    ck_assert_msg(stored == (readers == MAP_TOO), "%s:\n%s", names[readers], text);
    sfconv_net_destroy(net);
}

START_TEST(both_products_go_by_transforms_and_no_map_is_stored_for_that)
{
    sfconv_context *context = one_worker();
    for (int readers = 0; readers < READERS; readers++) {
        check_ways(context, (enum readers)readers, MANY, true, true);
    }
    sfconv_context_destroy(context);
}
END_TEST

/* A quarter of the maps are as much work as is mixed of a pooled map, too little; and pairs take
 * residuals and map from planes of one size. */
START_TEST(units_of_few_sources_are_mixed_by_transforms)
{
    sfconv_context *context = one_worker();
    for (int readers = 0; readers < READERS; readers++) {
        check_ways(context, (enum readers)readers, FEW, false,
                   readers != POOLED && readers != RESIDUAL);
    }
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(direct_sums_and_few_maps_stay_in_registers)
{
    const sfconv_shape shape = {1, CHANNELS, 24, 24};
    sfconv_context *context = convolution_context(1, SFCONV_ISA_BEST, SFCONV_CONVOLUTION_DIRECT);
    sfconv_net *net = new_band(context, ONE_LAYER, MANY);
    ck_assert(!transforms(plan_for(net, shape), "expand  band "));
    ck_assert(!transforms(plan_for(net, shape), "-> last"));
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);

    context = one_worker();
    net = empty_net(context);
    const int32_t x = put_input(net, "x", CHANNELS);
    const int32_t a = put_after(net, "a", new_sfconv(context, CHANNELS, CHANNELS, 12, 0, 0, 1), x);
    put_output(net, put_after(net, "last", new_sfconv(context, CHANNELS, 12, 12, 0, 0, 2),
                              put_relu(net, context, "band", a)));
    ck_assert(!transforms(plan_for(net, shape), "expand  band "));
    ck_assert(!transforms(plan_for(net, shape), "-> last"));
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

/* Rows that fill groups of four and pairs of tiles, and rows that do not; maps of one band, of
 * several, and of those too low for bands. */
static const sfconv_shape shapes[] = {
    {1, CHANNELS, 24, 24},  {1, CHANNELS, 13, 19},  {2, CHANNELS, 38, 38}, {1, CHANNELS, 9, 130},
    {3, CHANNELS, 7, 7},    {1, CHANNELS, 8, 12},   {1, CHANNELS, 4, 64},  {1, CHANNELS, 15, 16},
    {1, CHANNELS, 64, 301}, {2, CHANNELS, 20, 1024}};

#define SHAPES ((int)(sizeof shapes / sizeof *shapes))

START_TEST(the_numbers_are_those_of_the_layers)
{
    sfconv_context *context = convolution_context(2, SFCONV_ISA_BEST, SFCONV_CONVOLUTION_AUTO);
    for (int way = 0; way < 2 * READERS; way++) {
        const enum readers readers = (enum readers)(way / 2);
        sfconv_net *net = new_band(context, readers, way % 2 ? FEW : MANY);
        check_engines_agree(net, shapes[_i], 1e-5, names[readers]);
        sfconv_net_destroy(net);
    }
    sfconv_context_destroy(context);
}
END_TEST

/* In memory that held other bytes, by weights as they are or frozen. */
static uint64_t bits_of(const setting *wanted, int way, sfconv_shape shape, bool frozen)
{
    sfconv_context *context = context_of(wanted, SFCONV_CONVOLUTION_AUTO);
    uint64_t bits = 0;
    if (context) {
        sfconv_net *net = new_band(context, (enum readers)(way / 2), way % 2 ? FEW : MANY);
        sfconv_run *run = new_run_of(net, SFCONV_ENGINE_RANK_SPACE, &shape, 1);
        random_net made = {.net = net, .shapes = {shape}, .input_count = 1};
        void *memory = lend_memory(run, &made, 0xff);
        ck_assert_int_eq(frozen ? sfconv_run_freeze(run, NULL, 0) : SFCONV_OK, SFCONV_OK);
        forward_filled(run, 5);
        bits = hash_outputs(run);
        sfconv_run_destroy(run);
        sfconv_net_destroy(net);
        sfconv_context_destroy(context);
        free(memory);
    }
    return bits;
}

START_TEST(bands_have_the_same_bits_whoever_computes_them)
{
    static const setting settings[] = {{"2 workers", 2, SFCONV_ISA_BEST, false},
                                       {"3 workers, reversed", 3, SFCONV_ISA_BEST, true},
                                       {"16 workers", 16, SFCONV_ISA_BEST, false},
                                       {"reference", 1, SFCONV_ISA_REFERENCE, false},
                                       {"AVX2", 2, SFCONV_ISA_AVX2, false},
                                       {"AVX-512", 1, SFCONV_ISA_AVX512, true},
                                       {"NEON", 1, SFCONV_ISA_NEON, false}};
    static const setting first = {"1 worker", 1, SFCONV_ISA_BEST, false};
    for (int way = 0; way < 2 * READERS; way++) {
        const uint64_t expected = bits_of(&first, way, shapes[_i], false);
        for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
            const uint64_t bits = bits_of(&settings[i], way, shapes[_i], i % 2 == 0);
            ck_assert_msg(bits == expected || bits == 0, "%s, %s: %016" PRIx64, names[way / 2],
                          settings[i].name, bits);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bands");
    TCase *tests = tcase_create("bands");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, both_products_go_by_transforms_and_no_map_is_stored_for_that);
    tcase_add_test(tests, units_of_few_sources_are_mixed_by_transforms);
    tcase_add_test(tests, direct_sums_and_few_maps_stay_in_registers);
    tcase_add_loop_test(tests, the_numbers_are_those_of_the_layers, 0, SHAPES);
    tcase_add_loop_test(tests, bands_have_the_same_bits_whoever_computes_them, 0, SHAPES);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
