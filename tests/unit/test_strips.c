/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernels of rank-space execution against their definitions, bit for bit on every instruction
 * set, at sizes below, at and above their tiles. */
#include "support.h"

#include "kernel_tables.h"
#include "random_values.h"

#include <math.h>
#include <string.h>

#define MAX_ROWS 19
#define MAX_DEPTH 27
#define MAX_COLUMNS 101
#define STRIDE 120
#define WEIGHT_STEP 3
#define CANARY 12345.5f

typedef struct strip_data {
    float weights[MAX_ROWS][MAX_DEPTH * WEIGHT_STEP + 5];
    float sources[MAX_DEPTH][STRIDE];
    float residuals[2][MAX_ROWS * STRIDE];
    float bias[MAX_ROWS];
    const float *weight_rows[MAX_ROWS];
    const float *source_rows[MAX_DEPTH];
    const float *residual_maps[2];
} strip_data;

static void fill(float *values, int64_t count, uint64_t stream)
{
    fill_random(values, count, (sfi_random){21, stream});
}

static void fill_data(strip_data *data)
{
    fill(data->weights[0], sizeof data->weights / sizeof(float), 0);
    fill(data->sources[0], sizeof data->sources / sizeof(float), 1);
    fill(data->residuals[0], sizeof data->residuals / sizeof(float), 2);
    fill(data->bias, MAX_ROWS, 3);
    for (int m = 0; m < MAX_ROWS; m++) {
        data->weight_rows[m] = data->weights[MAX_ROWS - 1 - m];
    }
    for (int k = 0; k < MAX_DEPTH; k++) {
        data->source_rows[k] = data->sources[k * 5 % MAX_DEPTH];
    }
    data->residual_maps[0] = data->residuals[0];
    data->residual_maps[1] = data->residuals[1];
}

static float defined_element(const sfk_strip *strip, float before, int m, int n)
{
    float sum = strip->accumulate ? before : strip->bias ? strip->bias[m] : 0.0f;
    for (int64_t k = 0; k < strip->depth; k++) {
        sum = fmaf(strip->weights[m][strip->weight_first + k * strip->weight_step],
                   strip->sources[k][strip->first + n], sum);
    }
    for (int64_t i = 0; i < strip->residual_count; i++) {
        sum += strip->residuals[i][m * strip->residual_stride + strip->first + n];
    }
    if (strip->activation == SFK_RELU) {
        return sum < 0 ? 0.0f : sum;
    }
    return strip->activation == SFK_LEAKY_RELU && sum < 0 ? sum * strip->slope : sum;
}

/* `variant` turns accumulation, bias, residuals and activations on and off. */
static void check_strip(const sfk_table *table, const strip_data *data, int rows, int depth,
                        int columns, int variant)
{
    static float before[MAX_ROWS * STRIDE], to[MAX_ROWS * STRIDE];
    const sfk_strip strip = {.weights = data->weight_rows,
                             .weight_first = variant % 2 ? 4 : 0,
                             .weight_step = variant % 2 ? WEIGHT_STEP : 1,
                             .sources = data->source_rows,
                             .first = 3,
                             .depth = depth,
                             .residuals = data->residual_maps,
                             .residual_count = variant % 3,
                             .residual_stride = STRIDE,
                             .to = to,
                             .to_stride = STRIDE,
                             .rows = rows,
                             .columns = columns,
                             .bias = variant % 4 < 2 ? data->bias : NULL,
                             .accumulate = variant % 5 == 4,
                             .activation = variant % 3 == 0   ? SFK_IDENTITY
                                           : variant % 3 == 1 ? SFK_RELU
                                                              : SFK_LEAKY_RELU,
                             .slope = 0.125f};
    fill(before, MAX_ROWS * STRIDE, 4);
    memcpy(to, before, sizeof to);
    table->strip_product(&strip);
    for (int m = 0; m < MAX_ROWS; m++) {
        for (int n = 0; n < STRIDE; n++) {
            const int at = m * STRIDE + n;
            const bool written = m < rows && n < columns;
            const float expected = written ? defined_element(&strip, before[at], m, n) : before[at];
            /* Not an assertion for each element: Check writes a mark for every one. */
            if (memcmp(&to[at], &expected, sizeof expected) != 0) {
                ck_abort_msg("isa %d, %d rows, depth %d, %d columns, variant %d: [%d][%d] is %a, "
                             "expected %a",
                             table->isa, rows, depth, columns, variant, m, n, (double)to[at],
                             (double)expected);
            }
        }
    }
}

START_TEST(a_strip_is_one_chain_of_fma_an_element_and_nothing_else_is_written)
{
    static const int columns[] = {1, 3, 4, 5, 8, 15, 16, 17, 32, 33, 47, 48, 49, 64, 96, 97, 101};
    static const int depths[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 27};
    static strip_data data;
    const sfk_table *table = table_number(_i);
    int variant = 0;
    if (!table) {
        return;
    }
    fill_data(&data);
    for (int rows = 1; rows <= MAX_ROWS; rows++) {
        for (size_t d = 0; d < sizeof depths / sizeof *depths; d++) {
            for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
                check_strip(table, &data, rows, depths[d], columns[c], variant++ % 60);
            }
        }
    }
}
END_TEST

/* Of zeros of two signs the second, so that every instruction set answers alike. */
static float larger_or_nan(float a, float b)
{
    return isnan(a) || a > b ? a : b;
}

#define PAIR_CHANNELS 17
#define PAIR_DEPTH 7
#define PAIR_MAPS 8
#define PAIR_PLANE (2 * 101 + 23)

typedef struct pair_data {
    float sources[PAIR_DEPTH][PAIR_PLANE];
    float residuals[2][PAIR_CHANNELS * PAIR_PLANE];
    float expand[PAIR_CHANNELS * 2 * PAIR_DEPTH];
    float scales[PAIR_CHANNELS + 1];
    float bias[PAIR_CHANNELS];
    float mix[PAIR_MAPS][3 * PAIR_CHANNELS];
    float before[PAIR_MAPS][PAIR_PLANE];
} pair_data;

/* What a call leaves. */
typedef struct pair_result {
    float map[PAIR_CHANNELS][PAIR_PLANE];
    float mixed[PAIR_MAPS][PAIR_PLANE];
} pair_result;

typedef struct pair_call {
    sfk_pair pair;
    sfk_pair_weights weights;
    const float *sources[PAIR_DEPTH];
    const float *residuals[2];
    /* Rows of the second are in another order. */
    sfk_pair_part parts[2];
    const float *rows[2][PAIR_CHANNELS];
    const float *mix[PAIR_MAPS];
    int64_t steps[PAIR_MAPS];
    /* Pooled ones last. */
    sfk_mixed mixed[PAIR_MAPS];
} pair_call;

static void fill_pair_data(pair_data *data)
{
    fill(data->sources[0], sizeof data->sources / sizeof(float), 9);
    fill(data->residuals[0], sizeof data->residuals / sizeof(float), 10);
    fill(data->expand, sizeof data->expand / sizeof(float), 11);
    fill(data->scales, PAIR_CHANNELS + 1, 16);
    fill(data->bias, PAIR_CHANNELS, 12);
    fill(data->mix[0], sizeof data->mix / sizeof(float), 13);
    fill(data->before[0], sizeof data->before / sizeof(float), 14);
}

static void make_parts(pair_call *call, const pair_data *data, int depth, int variant)
{
    const int second = variant % 3 == 0 ? depth / 3 : 0;
    for (int c = 0; c < PAIR_CHANNELS; c++) {
        call->rows[0][c] = data->expand + c * 2 * PAIR_DEPTH;
        call->rows[1][c] = data->expand + (PAIR_CHANNELS - 1 - c) * 2 * PAIR_DEPTH + 1;
    }
    call->parts[0] = (sfk_pair_part){call->rows[0], depth - second, data->scales};
    call->parts[1] = (sfk_pair_part){call->rows[1], second, data->scales + 1};
}

/* `variant` turns rows, residuals, activations, the stored map, pooled maps and accumulation on and
 * off. */
static void make_call(pair_call *call, const pair_data *data, pair_result *result, int channels,
                      int columns, int variant)
{
    const int mixed_count = variant % 5 + (variant % 4 == 1);
    const int pooled_count = variant / 4 % 3;
    const int rows = pooled_count > 0 ? variant % 2 + 1 : 1;
    memcpy(result->mixed, data->before, sizeof result->mixed);
    fill(result->map[0], sizeof result->map / sizeof(float), 15);
    for (int k = 0; k < PAIR_DEPTH; k++) {
        call->sources[k] = data->sources[k * 3 % PAIR_DEPTH];
    }
    call->residuals[0] = data->residuals[0];
    call->residuals[1] = data->residuals[1];
    for (int j = 0; j < PAIR_MAPS; j++) {
        /* The first three as a map's taps lie. */
        call->mix[j] = j < 3 ? data->mix[0] + j : data->mix[j];
        call->steps[j] = j < 4 ? 3 : j % 2 + 1;
        call->mixed[j] =
            (sfk_mixed){result->mixed[j], (float)j * 0.25f, j < mixed_count && j % 3 == 1};
    }
    make_parts(call, data, variant % (PAIR_DEPTH + 1), variant);
    call->weights = (sfk_pair_weights){.channels = channels,
                                       .end_channel = channels,
                                       .parts = call->parts,
                                       .part_count = 2,
                                       .depth = variant % (PAIR_DEPTH + 1),
                                       .bias = data->bias,
                                       .mix = call->mix,
                                       .mix_step = call->steps,
                                       .mixed_count = mixed_count,
                                       .pooled_count = pooled_count};
    call->pair = (sfk_pair){.channels = channels,
                            .sources = call->sources,
                            .depth = call->weights.depth,
                            .first = 1,
                            .columns = columns,
                            .rows = rows,
                            .lower = columns + variant / 2 % 2,
                            .residuals = call->residuals,
                            .residual_count = variant / 3 % 3,
                            .plane = PAIR_PLANE,
                            .map = variant / 6 % 2 ? result->map[0] : NULL,
                            .mixed = call->mixed,
                            .mixed_count = mixed_count,
                            .mixed_first = 2,
                            .pooled = call->mixed + mixed_count,
                            .pooled_count = pooled_count,
                            .pooled_first = 3,
                            .activation = variant % 3 == 0   ? SFK_IDENTITY
                                          : variant % 3 == 1 ? SFK_RELU
                                                             : SFK_LEAKY_RELU,
                            .slope = 0.125f};
}

static float defined_channel(const pair_call *call, int64_t c, int64_t at)
{
    const sfk_pair *pair = &call->pair;
    const sfk_pair_part *parts = call->parts;
    float sum = call->weights.bias[c];
    for (int64_t k = 0; k < pair->depth; k++) {
        const int64_t rest = k - parts[0].depth;
        const float weight = rest < 0 ? parts[0].weights[c][k] * parts[0].scales[c]
                                      : parts[1].weights[c][rest] * parts[1].scales[c];
        sum = fmaf(weight, pair->sources[k][pair->first + at], sum);
    }
    for (int64_t i = 0; i < pair->residual_count; i++) {
        sum += pair->residuals[i][c * pair->plane + pair->first + at];
    }
    const float below = pair->activation == SFK_RELU         ? 0.0f
                        : pair->activation == SFK_LEAKY_RELU ? sum * pair->slope
                                                             : sum;
    return sum < 0 ? below : sum;
}

static float defined_mixed(const pair_call *call, int64_t j, const float *channels, float before)
{
    float sum = call->mixed[j].accumulate ? before : call->mixed[j].start;
    for (int64_t c = 0; c < call->pair.channels; c++) {
        sum = fmaf(call->mix[j][c * call->steps[j]], channels[c], sum);
    }
    return sum;
}

/* By the definition, from `result` as it is before the call. */
static void define_pair(const pair_call *call, pair_result *result)
{
    const sfk_pair *pair = &call->pair;
    float channels[2][101][PAIR_CHANNELS];
    for (int64_t row = 0; row < pair->rows; row++) {
        for (int64_t x = 0; x < pair->columns; x++) {
            float *values = channels[row][x];
            const int64_t at = row * pair->lower + x;
            for (int64_t c = 0; c < pair->channels; c++) {
                values[c] = defined_channel(call, c, at);
                if (pair->map) {
                    result->map[c][pair->first + at] = values[c];
                }
            }
            for (int64_t j = 0; j < pair->mixed_count; j++) {
                float *to = &result->mixed[j][pair->mixed_first + at];
                *to = defined_mixed(call, j, values, *to);
            }
        }
    }
    for (int64_t x = 0; pair->rows == 2 && x < pair->columns / 2; x++) {
        float largest[PAIR_CHANNELS];
        for (int64_t c = 0; c < pair->channels; c++) {
            largest[c] =
                larger_or_nan(larger_or_nan(channels[0][2 * x][c], channels[1][2 * x][c]),
                              larger_or_nan(channels[0][2 * x + 1][c], channels[1][2 * x + 1][c]));
        }
        for (int64_t j = pair->mixed_count; j < pair->mixed_count + pair->pooled_count; j++) {
            float *to = &result->mixed[j][pair->pooled_first + x];
            *to = defined_mixed(call, j, largest, *to);
        }
    }
}

/* Numbers bit for bit; a NaN is as good as another. */
static bool are_same(const float *a, const float *b, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (memcmp(&a[i], &b[i], sizeof *a) != 0 && !(isnan(a[i]) && isnan(b[i]))) {
            return false;
        }
    }
    return true;
}

static void check_pair(const sfk_table *table, const pair_data *data, int channels, int columns,
                       int variant)
{
    static float packed[PAIR_CHANNELS * (1 + PAIR_DEPTH + PAIR_MAPS)];
    static float scratch[SFK_PAIR_PIXELS * (PAIR_DEPTH + PAIR_MAPS)] __attribute__((aligned(64)));
    static pair_result result, expected;
    pair_call call;
    make_call(&call, data, &expected, channels, columns, variant);
    define_pair(&call, &expected);
    make_call(&call, data, &result, channels, columns, variant);
    call.weights.end_channel = variant % (channels + 1);
    table->pack_pair(packed, &call.weights);
    call.weights.first_channel = call.weights.end_channel;
    call.weights.end_channel = channels;
    table->pack_pair(packed, &call.weights);
    call.pair.weights = packed;
    call.pair.scratch = scratch;
    table->strip_pair(&call.pair);
    ck_assert_msg(are_same(result.map[0], expected.map[0], sizeof result.map / sizeof(float)),
                  "isa %d, %d channels, %d columns, variant %d: the map differs", table->isa,
                  channels, columns, variant);
    ck_assert_msg(are_same(result.mixed[0], expected.mixed[0], sizeof result.mixed / sizeof(float)),
                  "isa %d, %d channels, %d columns, variant %d: what is mixed differs", table->isa,
                  channels, columns, variant);
}

START_TEST(a_pair_is_two_chains_of_fma_and_a_nan_wins_its_window)
{
    static const int columns[] = {1,  2,  3,  7,  8,  9,  15, 16, 17, 24, 31,
                                  32, 33, 40, 47, 48, 49, 64, 65, 97, 101};
    static pair_data data, with_nan;
    const sfk_table *table = table_number(_i);
    if (!table) {
        return;
    }
    fill_pair_data(&data);
    fill_pair_data(&with_nan);
    for (int k = 0; k < PAIR_DEPTH; k += 3) {
        with_nan.sources[k][5 + 9 * k] = with_nan.sources[k][60 + 9 * k] = NAN;
    }
    for (int channels = 1; channels <= PAIR_CHANNELS; channels++) {
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
            for (int step = 0; step < 5; step++) {
                const int variant = (int)c * 85 + channels * 5 + step;
                check_pair(table, variant % 4 == 3 ? &with_nan : &data, channels, columns[c],
                           variant);
            }
        }
    }
}
END_TEST

static void check_shift(const sfk_table *table, sfk_shift shift)
{
    float from[7 * STRIDE], to[STRIDE], expected[STRIDE];
    fill(from, 7 * STRIDE, 5);
    fill(to, STRIDE, 6);
    memcpy(expected, to, sizeof to);
    shift.from = from;
    shift.tap_stride = STRIDE;
    for (int64_t x = 0; x < shift.out_width; x++) {
        float sum = shift.accumulate ? expected[x] : 0.0f;
        for (int64_t tap = 0; tap < shift.taps; tap++) {
            const int64_t column = x * shift.stride + tap * shift.dilation - shift.padding;
            sum += column >= 0 && column < shift.width ? from[tap * STRIDE + column] : 0.0f;
        }
        expected[x] = sum;
    }
    table->shift_add(to, &shift);
    ck_assert_msg(memcmp(to, expected, sizeof to) == 0,
                  "isa %d, %lld taps, stride %lld, dilation %lld, padding %lld, %lld -> %lld",
                  table->isa, (long long)shift.taps, (long long)shift.stride,
                  (long long)shift.dilation, (long long)shift.padding, (long long)shift.width,
                  (long long)shift.out_width);
}

START_TEST(shifted_taps_add_up_and_stop_at_the_ends_of_the_row)
{
    const sfk_table *table = table_number(_i);
    for (int64_t taps = 1; table && taps <= 7; taps += 2) {
        for (int64_t setting = 0; setting < 3 * 2 * 5 * 2; setting++) {
            const int64_t stride = setting % 3 + 1, dilation = setting / 3 % 2 + 1;
            const int64_t padding = setting / 6 % 5;
            for (int64_t width = 1; width <= 70; width += width < 20 ? 1 : 13) {
                const int64_t room = width + 2 * padding - dilation * (taps - 1) - 1;
                if (room >= 0) {
                    check_shift(table, (sfk_shift){.taps = taps,
                                                   .stride = stride,
                                                   .dilation = dilation,
                                                   .padding = padding,
                                                   .width = width,
                                                   .out_width = room / stride + 1,
                                                   .accumulate = setting / 30 == 1});
                }
            }
        }
    }
}
END_TEST

START_TEST(pairs_of_two_rows_are_pooled_and_a_nan_wins)
{
    const sfk_table *table = table_number(_i);
    float upper[132], lower[132], out[67];
    for (int count = 1; table && count <= 65; count++) {
        fill(upper, 132, 7);
        fill(lower, 132, 8);
        upper[2 * (count / 3)] = upper[2 * (count / 3) + 1] = 0.0f;
        lower[2 * (count / 3)] = lower[2 * (count / 3) + 1] = -0.0f;
        upper[count] = NAN;
        lower[2 * count - 1] = NAN;
        out[count] = CANARY;
        table->pool_pairs(out, upper, lower, count);
        for (int x = 0; x < count; x++) {
            const float left = larger_or_nan(upper[2 * x], lower[2 * x]);
            const float right = larger_or_nan(upper[2 * x + 1], lower[2 * x + 1]);
            const float largest = larger_or_nan(left, right);
            assert_each(isnan(largest) ? isnan(out[x]) : memcmp(&out[x], &largest, 4) == 0,
                        "isa %d, %d windows: %d is %g, expected %g", table->isa, count, x,
                        (double)out[x], (double)largest);
        }
        ck_assert(out[count] == CANARY);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("strips");
    TCase *tests = tcase_create("strips");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, a_strip_is_one_chain_of_fma_an_element_and_nothing_else_is_written,
                        0, TABLE_COUNT);
    tcase_add_loop_test(tests, a_pair_is_two_chains_of_fma_and_a_nan_wins_its_window, 0,
                        TABLE_COUNT);
    tcase_add_loop_test(tests, shifted_taps_add_up_and_stop_at_the_ends_of_the_row, 0, TABLE_COUNT);
    tcase_add_loop_test(tests, pairs_of_two_rows_are_pooled_and_a_nan_wins, 0, TABLE_COUNT);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
