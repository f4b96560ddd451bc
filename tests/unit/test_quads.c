/* SPDX-License-Identifier: BSD-2-Clause */
/* Units by Winograd's F(4, 3) along the columns: the kernels against the direct sum, and whole
 * units against the layer path. */
#include "nets.h"

#include "four_outputs.h"
#include "kernel_tables.h"

enum {
    ROWS = SFK_WINOGRAD_TILE,
    WINDOW = SFK_WINOGRAD_WINDOW,
    SPAN = 16,
    MAX_DEPTH = 70,
    MAX_CHANNELS = 21,
    WIDTH = SPAN + 3,
    PLANE = ROWS * WIDTH,
    SLACK = SFK_SLACK
};
#define CANARY 12345.5f

typedef struct quad_case {
    int64_t channels;
    /* Sources of two parts. */
    int64_t depth[2];
    int64_t rows;
    int64_t columns;
    int64_t residuals;
    int32_t activation;
} quad_case;

static const quad_case cases[] = {
    {1, {1, 0}, 4, 16, 0, SFK_IDENTITY},   {4, {2, 0}, 4, 7, 0, SFK_RELU},
    {8, {8, 3}, 3, 8, 1, SFK_RELU},        {9, {5, 0}, 1, 1, 2, SFK_LEAKY_RELU},
    {16, {16, 16}, 2, 15, 0, SFK_RELU},    {21, {3, 67}, 4, 9, 1, SFK_LEAKY_RELU},
    {20, {66, 1}, 4, 13, 0, SFK_IDENTITY}, {12, {32, 0}, 4, 3, 1, SFK_RELU},
};
#define CASE_COUNT ((int)(sizeof cases / sizeof *cases))

typedef struct quad_data {
    float maps[MAX_DEPTH][WINDOW * WIDTH + SLACK];
    float weights[2][MAX_CHANNELS][3 * MAX_DEPTH];
    const float *weight_rows[2][MAX_CHANNELS];
    float scales[2][MAX_CHANNELS];
    float bias[MAX_CHANNELS];
    float residuals[2][MAX_CHANNELS * PLANE + SLACK];
    float packed[24 * SFK_QUAD_PACKED(MAX_DEPTH)];
    float points[WINDOW * MAX_DEPTH * SPAN + SLACK];
    float map[MAX_CHANNELS * PLANE + SLACK];
} quad_data;

static void fill_data(quad_data *data)
{
    fill_floats(data->maps[0], sizeof data->maps / sizeof(float), 1);
    fill_floats(data->weights[0][0], sizeof data->weights / sizeof(float), 2);
    fill_floats(data->scales[0], sizeof data->scales / sizeof(float), 3);
    fill_floats(data->bias, MAX_CHANNELS, 4);
    fill_floats(data->residuals[0], sizeof data->residuals / sizeof(float), 5);
    for (size_t i = 0; i < sizeof data->map / sizeof(float); i++) {
        data->map[i] = CANARY;
    }
    for (int part = 0; part < 2; part++) {
        for (int c = 0; c < MAX_CHANNELS; c++) {
            data->weight_rows[part][c] = data->weights[part][c];
        }
    }
}

/* By two calls. */
static void pack_case(const sfk_table *table, const quad_case *wanted, quad_data *data)
{
    const int64_t depth = wanted->depth[0] + wanted->depth[1];
    const sfk_pair_part parts[] = {
        {data->weight_rows[0], 3 * wanted->depth[0], data->scales[0]},
        {data->weight_rows[1], 3 * wanted->depth[1], data->scales[1]},
    };
    sfk_pair_weights weights = {.channels = wanted->channels,
                                .end_channel = 16,
                                .parts = parts,
                                .part_count = wanted->depth[1] > 0 ? 2 : 1,
                                .depth = 3 * depth,
                                .bias = data->bias};
    table->pack_quad(data->packed, &weights);
    weights.first_channel = 16;
    weights.end_channel = 32;
    table->pack_quad(data->packed, &weights);
}

/* As rank_quads.c does. */
static void run_case(const sfk_table *table, const quad_case *wanted, quad_data *data)
{
    const int64_t depth = wanted->depth[0] + wanted->depth[1];
    const float *taps[3 * MAX_DEPTH];
    for (int64_t k = 0; k < depth; k++) {
        taps[3 * k] = data->maps[k];
    }
    pack_case(table, wanted, data);
    const float *residuals[] = {data->residuals[0], data->residuals[1]};
    const sfk_quad quad = {.weights = data->packed,
                           .channels = wanted->channels,
                           .points = data->points,
                           .point_stride = MAX_DEPTH * SPAN,
                           .depth = depth,
                           .span = SPAN,
                           .columns = wanted->columns,
                           .residuals = residuals,
                           .residual_count = wanted->residuals,
                           .residual_plane = PLANE,
                           .plane = PLANE,
                           .width = WIDTH,
                           .height = wanted->rows,
                           .map = data->map,
                           .from_memory = depth % 2 == 1,
                           .activation = wanted->activation,
                           .slope = 0.25f};
    table->quad_points(data->points, taps, &quad);
    table->quad_expand(&quad);
}

static double activated(const quad_case *wanted, double value)
{
    const double slope = wanted->activation == SFK_RELU         ? 0
                         : wanted->activation == SFK_LEAKY_RELU ? 0.25
                                                                : 1;
    return value > 0 ? value : slope * value;
}

/* How far an element is from the direct sum, in parts of what the bound allows. */
static double excess(const quad_case *wanted, const quad_data *data, int64_t channel, int row,
                     int64_t column)
{
    const int64_t depth = wanted->depth[0] + wanted->depth[1];
    const int64_t place = channel * PLANE + row * WIDTH + column;
    double sum = data->bias[channel];
    double size = fabs(sum);
    for (int64_t k = 0; k < depth; k++) {
        const int part = k >= wanted->depth[0];
        const int64_t of_part = k - (part ? wanted->depth[0] : 0);
        const float *weights = data->weights[part][channel] + 3 * of_part;
        double g[3], d[WINDOW];
        for (int i = 0; i < WINDOW; i++) {
            d[i] = i < wanted->rows + 2 ? (double)data->maps[k][i * WIDTH + column] : 0;
        }
        for (int t = 0; t < 3; t++) {
            g[t] = (double)(data->scales[part][channel] * weights[t]);
            sum += g[t] * d[row + t];
        }
        size += magnitude_of_output(row, g, d);
    }
    for (int64_t i = 0; i < wanted->residuals; i++) {
        sum += (double)data->residuals[i][place];
        size += fabs((double)data->residuals[i][place]);
    }
    return fabs((double)data->map[place] - activated(wanted, sum)) /
           (ldexp(1, -24) * (double)(depth + 16) * size);
}

START_TEST(four_rows_at_once_are_the_direct_sum_within_the_bound)
{
    static quad_data data;
    const sfk_table *table = table_number(_i / CASE_COUNT);
    const quad_case *wanted = &cases[_i % CASE_COUNT];
    if (!table) {
        return;
    }
    fill_data(&data);
    run_case(table, wanted, &data);
    double worst = 0;
    for (int64_t at = 0; at < MAX_CHANNELS * PLANE + SLACK; at++) {
        const int64_t channel = at / PLANE, row = at % PLANE / WIDTH, column = at % WIDTH;
        const bool is_pixel =
            channel < wanted->channels && row < wanted->rows && column < wanted->columns;
        if (is_pixel) {
            worst = worst_of(worst, excess(wanted, &data, channel, (int)row, column));
        } else {
            assert_each(data.map[at] == CANARY, "case %d writes element %d", _i, (int)at);
        }
    }
    ck_assert_msg(worst <= 1, "case %d is off by %g times what the bound allows", _i, worst);
}
END_TEST

START_TEST(every_table_leaves_the_same_bits)
{
    static quad_data expected, got;
    fill_data(&expected);
    run_case(table_number(0), &cases[_i], &expected);
    for (int i = 1; i < TABLE_COUNT; i++) {
        if (table_number(i)) {
            fill_data(&got);
            run_case(table_number(i), &cases[_i], &got);
            ck_assert_msg(memcmp(got.map, expected.map, sizeof got.map) == 0, "table %d", i);
        }
    }
}
END_TEST

/* Groups of rows that share vectors. */
enum {
    MAX_WIDTH = 40,
    MAX_HEIGHT = 12,
    JOINED_CHANNELS = 19,
    JOINED_DEPTH = 5,
    MAX_SPAN = SFK_MAX_QUAD_COLUMNS
};
static const quad_case joined_weights = {.channels = JOINED_CHANNELS, .depth = {3, 2}};

typedef struct joined_case {
    int64_t width;
    int64_t height;
    /* Of the first lane, and how many there are. */
    int64_t row;
    int64_t column;
    int64_t columns;
    int64_t residuals;
} joined_case;

typedef struct joined_data {
    quad_data weights;
    float maps[JOINED_DEPTH][(MAX_HEIGHT + 2) * MAX_WIDTH + SLACK];
    float points[WINDOW * (JOINED_DEPTH * MAX_SPAN + SLACK)];
    float residuals[2][JOINED_CHANNELS * MAX_HEIGHT * MAX_WIDTH + SLACK];
    float map[JOINED_CHANNELS * MAX_HEIGHT * MAX_WIDTH + SLACK];
} joined_data;

static void fill_joined(joined_data *data)
{
    fill_data(&data->weights);
    fill_floats(data->maps[0], sizeof data->maps / sizeof(float), 2);
    fill_floats(data->residuals[0], sizeof data->residuals / sizeof(float), 3);
    for (size_t i = 0; i < sizeof data->map / sizeof(float); i++) {
        data->map[i] = CANARY;
    }
}

/* `columns` from the lane-th of the case on. */
static void expand_joined(const sfk_table *table, const joined_case *wanted, joined_data *data,
                          int64_t lane, int64_t columns)
{
    const float *residuals[] = {data->residuals[0], data->residuals[1]};
    const int64_t at = wanted->column + lane;
    const float *taps[3 * JOINED_DEPTH];
    for (int64_t k = 0; k < JOINED_DEPTH; k++) {
        taps[3 * k] = data->maps[k];
    }
    const sfk_quad quad = {.weights = data->weights.packed,
                           .channels = JOINED_CHANNELS,
                           .points = data->points,
                           .point_stride = JOINED_DEPTH * MAX_SPAN + SLACK,
                           .depth = JOINED_DEPTH,
                           .span = MAX_SPAN,
                           .row = wanted->row + at / wanted->width * ROWS,
                           .column = at % wanted->width,
                           .columns = columns,
                           .residuals = residuals,
                           .residual_count = wanted->residuals,
                           .residual_plane = wanted->height * wanted->width,
                           .plane = wanted->height * wanted->width,
                           .width = wanted->width,
                           .height = wanted->height,
                           .map = data->map,
                           .from_memory = wanted->width % 2 == 1,
                           .activation = SFK_LEAKY_RELU,
                           .slope = 0.25f};
    table->quad_points(data->points, taps, &quad);
    table->quad_expand(&quad);
}

static void check_joined(const joined_case *wanted)
{
    static joined_data expected, got;
    fill_joined(&expected);
    pack_case(table_number(0), &joined_weights, &expected.weights);
    for (int64_t lane = 0; lane < wanted->columns; lane++) {
        expand_joined(table_number(0), wanted, &expected, lane, 1);
    }
    for (int i = 0; i < TABLE_COUNT; i++) {
        if (table_number(i)) {
            fill_joined(&got);
            pack_case(table_number(i), &joined_weights, &got.weights);
            expand_joined(table_number(i), wanted, &got, 0, wanted->columns);
            ck_assert_msg(memcmp(got.map, expected.map, sizeof got.map) == 0,
                          "table %d: %d columns from %d,%d on of %dx%d", i, (int)wanted->columns,
                          (int)wanted->row, (int)wanted->column, (int)wanted->height,
                          (int)wanted->width);
        }
    }
}

START_TEST(columns_that_go_on_in_the_next_four_rows_are_those_of_each_column_alone)
{
    const int64_t width = _i + 1;
    for (int64_t height = MAX_HEIGHT - 3; height <= MAX_HEIGHT; height++) {
        const int64_t columns = (height + ROWS - 1) / ROWS * width;
        for (int64_t first = 0, residuals = 0; first < columns; first += (columns + 3) / 3) {
            const int64_t rest = columns - first;
            check_joined(&(joined_case){.width = width,
                                        .height = height,
                                        .row = first / width * ROWS,
                                        .column = first % width,
                                        .columns = rest < MAX_SPAN ? rest : MAX_SPAN,
                                        .residuals = residuals++});
        }
    }
}
END_TEST

/* input - sfconv2d - (BatchNorm) - ReLU - output, or a sum with the input before the activation. */
static sfconv_net *new_unit(sfconv_context *context, int64_t channels, int64_t rank, bool sum)
{
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", channels);
    const int32_t a =
        put_after(net, "a", new_sfconv(context, channels, channels, rank, 0, 0, 7), x);
    int32_t last = put_after(net, "norm", new_batchnorm(context, channels), a);
    last = sum ? put_pair(net, "sum", new_add(context), last, x) : last;
    put_output(net, put_after(net, "relu", new_activation(context, SFCONV_ACTIVATION_RELU), last));
    return net;
}

START_TEST(units_that_only_store_their_map_agree_with_the_layer_path)
{
    static const int64_t heights[] = {4, 7, 8, 11, 20, 33};
    static const int64_t widths[] = {1, 7, 16, 19, 40};
    const int64_t height = heights[_i % 6], width = widths[_i / 6 % 5];
    const bool sum = _i % 2;
    const int64_t channels = 5 + 3 * (_i % 7), rank = 8 + _i % 4;
    const sfconv_shape shape = {1 + _i / 3 % 2, channels, height, width};
    sfconv_context *context = public_context(2, SFCONV_ISA_BEST);
    sfconv_net *net = new_unit(context, channels, rank, sum);
    sfconv_run *layers = forward_of(net, SFCONV_ENGINE_LAYERS, shape);
    sfconv_run *ranks = forward_of(net, SFCONV_ENGINE_RANK_SPACE, shape);
    const sfconv_view a = output_of(layers, 0), b = output_of(ranks, 0);
    const double distance = distance_of(&a, &b) / largest_of(&a);
    ck_assert_msg(distance <= 2e-6, "%dx%d of %d, rank %d: differ by %g", (int)height, (int)width,
                  (int)channels, (int)rank, distance);
    sfconv_run_destroy(layers);
    sfconv_run_destroy(ranks);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

static int64_t planned_macs(int32_t convolution)
{
    sfconv_context *context = convolution_context(1, SFCONV_ISA_BEST, convolution);
    ck_assert_ptr_nonnull(context);
    sfconv_net *net = new_unit(context, 16, 8, false);
    sfconv_run *run = forward_of(net, SFCONV_ENGINE_RANK_SPACE, (sfconv_shape){2, 16, 12, 20});
    static const char forward[] = "total forward";
    const char *total = strstr(plan_of(run), forward);
    ck_assert_ptr_nonnull(total);
    const int64_t macs = strtoll(total + strlen(forward), NULL, 10);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
    return macs;
}

START_TEST(the_plan_counts_half_the_products_unless_direct_sums_are_asked_for)
{
    const int64_t pixels = 2 * 12 * 20, halves = 3 * 8 * 16;
    ck_assert_int_eq(planned_macs(SFCONV_CONVOLUTION_DIRECT), 2 * pixels * halves);
    ck_assert_int_eq(planned_macs(SFCONV_CONVOLUTION_AUTO), pixels * halves);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quads");
    TCase *tests = tcase_create("quads");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, four_rows_at_once_are_the_direct_sum_within_the_bound, 0,
                        TABLE_COUNT * CASE_COUNT);
    tcase_add_loop_test(tests, every_table_leaves_the_same_bits, 0, CASE_COUNT);
    tcase_add_loop_test(tests,
                        columns_that_go_on_in_the_next_four_rows_are_those_of_each_column_alone, 0,
                        MAX_WIDTH);
    tcase_add_loop_test(tests, units_that_only_store_their_map_agree_with_the_layer_path, 0, 30);
    tcase_add_test(tests, the_plan_counts_half_the_products_unless_direct_sums_are_asked_for);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
