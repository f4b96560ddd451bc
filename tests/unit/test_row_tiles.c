/* SPDX-License-Identifier: BSD-2-Clause */
/* What is mixed of a stored map by Winograd's F(4, 3) along the rows: the kernels against the
 * direct sum, and whole nets against the layer path. */
#include "nets.h"

#include "four_outputs.h"
#include "kernel_tables.h"

enum {
    TILE = SFK_WINOGRAD_TILE,
    WINDOW = SFK_WINOGRAD_WINDOW,
    MAX_CHANNELS = 131,
    MAX_MAPS = 70,
    MAX_PIXELS = 700,
    MAX_ROW = 50,
    SLACK = SFK_SLACK
};
#define CANARY 12345.5f

typedef struct tiles_case {
    int64_t channels;
    int64_t maps;
    int64_t height;
    int64_t width;
    int64_t padding;
    /* Of the mixed maps that are wanted. */
    int64_t first_map;
    int64_t end_map;
    int64_t first;
    int64_t tiles;
    bool accumulate;
    /* Channel at which a second call goes on, with sums that are kept until both are there; 0: one
     * call does all. */
    int64_t split;
} tiles_case;

static const tiles_case cases[] = {
    {1, 1, 1, 4, 1, 0, 1, 0, 1, false, 0},       {3, 8, 7, 7, 1, 0, 8, 0, 14, false, 0},
    {64, 9, 14, 14, 1, 0, 9, 0, 56, false, 0},   {65, 8, 19, 19, 1, 0, 8, 16, 64, true, 0},
    {130, 16, 5, 19, 1, 8, 16, 0, 25, true, 0},  {5, 70, 3, 38, 1, 0, 70, 3, 27, false, 0},
    {12, 8, 7, 28, 1, 0, 8, 0, 49, true, 0},     {2, 8, 9, 9, 0, 0, 8, 0, 18, false, 0},
    {7, 8, 10, 10, 2, 0, 8, 0, 30, false, 0},    {4, 12, 3, 50, 1, 4, 12, 5, 30, false, 0},
    {70, 8, 2, 33, 2, 0, 8, 0, 18, true, 0},     {6, 3, 6, 2, 2, 0, 3, 0, 6, false, 0},
    {4, 8, 13, 3, 1, 0, 8, 5, 8, false, 0},      {3, 8, 9, 28, 1, 0, 8, 5, 20, false, 0},
    {2, 20, 3, 76, 1, 0, 20, 0, 18, false, 0},   {65, 8, 12, 28, 1, 0, 8, 20, 64, true, 0},
    {4, 8, 7, 32, 1, 0, 8, 40, 16, true, 0},     {5, 9, 2, 20, 1, 2, 7, 9, 1, false, 0},
    {66, 8, 9, 4, 1, 0, 8, 1, 7, false, 0},      {64, 21, 9, 28, 1, 0, 21, 0, 63, true, 0},
    {128, 19, 5, 19, 1, 3, 19, 0, 25, false, 0}, {128, 19, 7, 7, 1, 3, 19, 0, 14, false, 64},
    {131, 8, 9, 5, 1, 0, 8, 3, 13, true, 64},    {129, 16, 4, 16, 1, 0, 16, 0, 16, false, 128},
    {65, 9, 9, 4, 1, 0, 9, 1, 7, true, 64},
};
#define CASE_COUNT ((int)(sizeof cases / sizeof *cases))

typedef struct tiles_data {
    /* Nothing lies before or behind the map. */
    float *map;
    float taps[MAX_MAPS * MAX_CHANNELS * 3];
    float packed[WINDOW * MAX_MAPS * MAX_CHANNELS];
    float start[MAX_MAPS * MAX_PIXELS];
    float to[MAX_MAPS * MAX_PIXELS];
    float kept[2][SFK_ROW_TILES_KEPT(MAX_MAPS)];
    float scratch[SFK_ROW_TILES_SCRATCH(MAX_MAPS)];
} tiles_data;

static int64_t width_of(const tiles_case *wanted)
{
    return wanted->width + 2 * wanted->padding - 2;
}

static int64_t per_row_of(const tiles_case *wanted)
{
    return (width_of(wanted) + TILE - 1) / TILE;
}

static void fill_data(tiles_data *data, const tiles_case *wanted)
{
    const int64_t count = wanted->channels * wanted->height * wanted->width;
    data->map = malloc((size_t)count * sizeof(float));
    ck_assert_ptr_nonnull(data->map);
    fill_floats(data->map, (size_t)count, 1);
    fill_floats(data->taps, sizeof data->taps / sizeof(float), 2);
    fill_floats(data->start, sizeof data->start / sizeof(float), 3);
    for (size_t i = 0; i < sizeof data->to / sizeof(float); i++) {
        data->to[i] = wanted->accumulate ? data->start[i] : CANARY;
    }
}

/* Rows of the mixed maps are put by two calls, too. */
static void run_halves(const sfk_table *table, const tiles_case *wanted, tiles_data *data,
                       sfk_row_tiles strip)
{
    const sfk_row_tiles whole = strip;
    strip.kept = data->kept[0];
    strip.channels = wanted->split;
    table->row_tiles(&strip);
    strip.kept = data->kept[1];
    strip.map += wanted->split * strip.plane;
    strip.weights += WINDOW * strip.packed_rows * wanted->split;
    strip.channels = wanted->channels - wanted->split;
    table->row_tiles(&strip);
    table->put_row_tiles(&whole, data->kept[0], data->kept[1], 0, whole.rows / 2);
    table->put_row_tiles(&whole, data->kept[0], data->kept[1], whole.rows / 2, whole.rows);
}

/* As rank_tiles.c does; the taps are packed by two calls. */
static void run_case(const sfk_table *table, const tiles_case *wanted, tiles_data *data)
{
    sfk_row_taps taps = {.taps = data->taps,
                         .row_step = 3 * MAX_CHANNELS,
                         .channels = wanted->channels,
                         .rows = wanted->maps,
                         .end_row = wanted->maps / 2};
    fill_data(data, wanted);
    table->pack_row_tiles(data->packed, &taps);
    taps.first_row = taps.end_row;
    taps.end_row = wanted->maps;
    table->pack_row_tiles(data->packed, &taps);
    sfk_row_tiles strip = {.map = data->map,
                           .plane = wanted->height * wanted->width,
                           .channels = wanted->channels,
                           .width = wanted->width,
                           .padding = wanted->padding,
                           .tiles_per_row = per_row_of(wanted),
                           .first = wanted->first,
                           .tiles = wanted->tiles,
                           .weights = data->packed,
                           .packed_rows = wanted->maps,
                           .first_row = wanted->first_map,
                           .rows = wanted->end_map - wanted->first_map,
                           .to = data->to,
                           .to_plane = MAX_PIXELS,
                           .to_width = width_of(wanted),
                           .accumulate = wanted->accumulate,
                           .from_memory = wanted->channels % 2 == 1,
                           .scratch = data->scratch};
    if (wanted->split > 0) {
        run_halves(table, wanted, data, strip);
    } else {
        table->row_tiles(&strip);
    }
}

/* How far an element is from the direct sum, in parts of what the bound allows. */
static double excess(const tiles_case *wanted, const tiles_data *data, int64_t map, int64_t row,
                     int64_t column)
{
    const int64_t begin = column / TILE * TILE - wanted->padding;
    const int place = (int)(column % TILE);
    const int64_t at = map * MAX_PIXELS + row * width_of(wanted) + column;
    double sum = wanted->accumulate ? (double)data->start[at] : 0;
    double size = fabs(sum);
    for (int64_t c = 0; c < wanted->channels; c++) {
        const float *taps = data->taps + 3 * (map * MAX_CHANNELS + c);
        const float *pixels = data->map + (c * wanted->height + row) * wanted->width;
        double g[3], d[WINDOW];
        for (int64_t i = 0; i < WINDOW; i++) {
            const bool inside = begin + i >= 0 && begin + i < wanted->width;
            d[i] = inside ? (double)pixels[begin + i] : 0;
        }
        for (int t = 0; t < 3; t++) {
            g[t] = (double)taps[t];
            sum += g[t] * d[place + t];
        }
        size += magnitude_of_output(place, g, d);
    }
    return fabs((double)data->to[at] - sum) /
           (ldexp(1, -24) * (double)(wanted->channels + 16) * size);
}

/* Whether element `at` of a mixed map belongs to one of the tiles. */
static bool is_wanted(const tiles_case *wanted, int64_t map, int64_t at)
{
    const int64_t row = at / width_of(wanted);
    const int64_t tile = row * per_row_of(wanted) + at % width_of(wanted) / TILE;
    return map >= wanted->first_map && map < wanted->end_map && row < wanted->height &&
           tile >= wanted->first && tile < wanted->first + wanted->tiles;
}

START_TEST(tiles_of_rows_are_the_direct_sum_within_the_bound)
{
    static tiles_data data;
    const sfk_table *table = table_number(_i / CASE_COUNT);
    const tiles_case *wanted = &cases[_i % CASE_COUNT];
    if (!table) {
        return;
    }
    run_case(table, wanted, &data);
    double worst = 0;
    for (int64_t i = 0; i < MAX_MAPS * MAX_PIXELS; i++) {
        const int64_t map = i / MAX_PIXELS, at = i % MAX_PIXELS;
        if (is_wanted(wanted, map, at)) {
            worst = worst_of(
                worst, excess(wanted, &data, map, at / width_of(wanted), at % width_of(wanted)));
        } else {
            assert_each(data.to[i] == (wanted->accumulate ? data.start[i] : CANARY),
                        "case %d writes element %d", _i, (int)i);
        }
    }
    ck_assert_msg(worst <= 1, "case %d is off by %g times what the bound allows", _i, worst);
    free(data.map);
}
END_TEST

START_TEST(every_table_leaves_the_same_bits)
{
    static tiles_data expected, got;
    run_case(table_number(0), &cases[_i], &expected);
    for (int i = 1; i < TABLE_COUNT; i++) {
        if (table_number(i)) {
            run_case(table_number(i), &cases[_i], &got);
            ck_assert_msg(memcmp(got.to, expected.to, sizeof got.to) == 0, "table %d", i);
            free(got.map);
        }
    }
    free(expected.map);
}
END_TEST

/* An input that two convolutions mix; they meet in a concatenation with the input, which a third
 * one mixes, part by part. */
static sfconv_net *new_net(sfconv_context *context, int64_t channels, int64_t rank)
{
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", channels);
    const int32_t a = put_after(net, "a", new_sfconv(context, channels, 40, rank, 0, 0, 7), x);
    const int32_t b = put_after(net, "b", new_sfconv(context, channels, 40, rank + 3, 0, 0, 8), x);
    const int32_t sum = put_pair(net, "sum", new_add(context), a, b);
    const int32_t both = put_pair(net, "both", new_concat(context), sum, x);
    put_output(net,
               put_after(net, "c", new_sfconv(context, channels + 40, 10, rank, 0, 0, 9), both));
    return net;
}

START_TEST(nets_that_mix_stored_maps_agree_with_the_layer_path)
{
    static const int64_t widths[] = {4, 7, 14, 19, 28, 38, 76};
    /* Of the narrow ones many channels, which are summed in two chains. */
    const int64_t more = widths[_i % 7] <= 7 ? 260 : 0;
    const sfconv_shape shape = {1 + _i % 3, 10 + 41 * (_i % 4) + more, 2 + 5 * (_i % 5),
                                widths[_i % 7]};
    sfconv_context *context = public_context(1 + _i % 4, SFCONV_ISA_BEST);
    sfconv_net *net = new_net(context, shape.channels, 8 + 9 * (_i % 3));
    sfconv_run *layers = forward_of(net, SFCONV_ENGINE_LAYERS, shape);
    sfconv_run *ranks = forward_of(net, SFCONV_ENGINE_RANK_SPACE, shape);
    const sfconv_view a = output_of(layers, 0), b = output_of(ranks, 0);
    ck_assert_msg(distance_of(&a, &b) <= 2e-6 * largest_of(&a), "net %d: differ by %g", _i,
                  distance_of(&a, &b) / largest_of(&a));
    ck_assert_int_eq(sfconv_run_freeze(ranks, NULL, 0), SFCONV_OK);
    fill_inputs(ranks, 3);
    run_forward(ranks);
    const sfconv_view frozen = output_of(ranks, 0);
    ck_assert_msg(distance_of(&a, &frozen) <= 2e-6 * largest_of(&a), "net %d, frozen", _i);
    sfconv_run_destroy(layers);
    sfconv_run_destroy(ranks);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(any_number_of_threads_leaves_the_same_bits)
{
    const sfconv_shape shape = {1 + _i % 2, _i < 2 ? 300 : 70, 7 + 12 * (_i / 2),
                                7 + 12 * (_i / 2)};
    sfconv_context *one = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *expected_net = new_net(one, shape.channels, 24);
    sfconv_run *expected = forward_of(expected_net, SFCONV_ENGINE_RANK_SPACE, shape);
    const sfconv_view a = output_of(expected, 0);
    for (int32_t threads = 2; threads <= 9; threads++) {
        sfconv_context *many = public_context(threads, SFCONV_ISA_BEST);
        sfconv_net *net = new_net(many, shape.channels, 24);
        sfconv_run *run = forward_of(net, SFCONV_ENGINE_RANK_SPACE, shape);
        const sfconv_view b = output_of(run, 0);
        const size_t bytes =
            (size_t)(a.shape[0] * a.shape[1] * a.shape[2] * a.shape[3]) * sizeof(float);
        ck_assert_msg(memcmp(a.data, b.data, bytes) == 0, "%d threads", (int)threads);
        sfconv_run_destroy(run);
        sfconv_net_destroy(net);
        sfconv_context_destroy(many);
    }
    sfconv_run_destroy(expected);
    sfconv_net_destroy(expected_net);
    sfconv_context_destroy(one);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("row_tiles");
    TCase *tests = tcase_create("row_tiles");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, tiles_of_rows_are_the_direct_sum_within_the_bound, 0,
                        TABLE_COUNT * CASE_COUNT);
    tcase_add_loop_test(tests, every_table_leaves_the_same_bits, 0, CASE_COUNT);
    tcase_add_loop_test(tests, nets_that_mix_stored_maps_agree_with_the_layer_path, 0,
                        rounds_of(42));
    tcase_add_loop_test(tests, any_number_of_threads_leaves_the_same_bits, 0, rounds_of(6));
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
