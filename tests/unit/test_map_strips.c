/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernels that read and write whole maps, against their definitions, bit for bit on every
 * instruction set: what is mixed of a map that is stored, and channels that are stored alone. */
#include "support.h"

#include "kernel_tables.h"
#include "random_values.h"

#include <math.h>
#include <string.h>

#define MAX_ROWS 19
#define MAX_CHANNELS 21
#define PLANE 330
#define DEEP 250
#define WEIGHT_STEP 3

static void fill(float *values, int64_t count, uint64_t stream)
{
    fill_random(values, count, (sfi_random){22, stream});
}

typedef struct mix_data {
    float weights[MAX_ROWS][MAX_CHANNELS * WEIGHT_STEP];
    const float *rows[MAX_ROWS];
    float map[MAX_CHANNELS * PLANE + 2 * SFK_SLACK];
    float bias[MAX_ROWS];
    float before[MAX_ROWS][PLANE];
} mix_data;

static float defined_mixed(const sfk_mix *mix, float before, int64_t m, int64_t n)
{
    float sum = mix->accumulate ? before : mix->bias ? mix->bias[m] : 0.0f;
    for (int64_t c = 0; c < mix->channels; c++) {
        sum = fmaf(mix->weights[m][c * mix->weight_step], mix->map[c * mix->plane + n], sum);
    }
    return sum;
}

/* `variant` chooses where the chains start, the step of the weights and the width of a strip. */
static void check_mix(const sfk_table *table, const mix_data *data, int rows, int channels,
                      int columns, int variant)
{
    static float to[MAX_ROWS][PLANE], scratch[MAX_CHANNELS * 96] __attribute__((aligned(64)));
    const sfk_mix mix = {.weights = data->rows,
                         .weight_step = variant % 2 ? WEIGHT_STEP : 1,
                         .map = data->map + variant % 3,
                         .plane = PLANE,
                         .channels = channels,
                         .columns = columns,
                         .strip = variant / 2 % 2 ? 96 : 48,
                         .to = to[0],
                         .to_stride = PLANE,
                         .rows = rows,
                         .bias = variant % 4 < 2 ? data->bias : NULL,
                         .accumulate = variant % 5 == 4,
                         .scratch = scratch};
    memcpy(to, data->before, sizeof to);
    table->strip_mix(&mix);
    for (int m = 0; m < MAX_ROWS; m++) {
        for (int n = 0; n < PLANE; n++) {
            const float before = data->before[m][n];
            const bool written = m < rows && n < columns;
            const float expected = written ? defined_mixed(&mix, before, m, n) : before;
            if (memcmp(&to[m][n], &expected, sizeof expected) != 0) {
                ck_abort_msg("isa %d, %d rows, %d channels, %d columns, variant %d: [%d][%d] is "
                             "%a, expected %a",
                             table->isa, rows, channels, columns, variant, m, n, (double)to[m][n],
                             (double)expected);
            }
        }
    }
}

START_TEST(what_is_mixed_of_a_map_is_one_chain_of_fma_and_nothing_else_is_written)
{
    static const int columns[] = {0,  1,  3,  4,  8,  15, 16, 17, 24,  31,  33,  47,
                                  48, 49, 63, 65, 80, 96, 97, 99, 114, 190, 193, 304};
    static const int channels[] = {0, 1, 2, 5, 8, 21};
    static mix_data data;
    const sfk_table *table = table_number(_i);
    int variant = 0;
    if (!table) {
        return;
    }
    fill(data.weights[0], sizeof data.weights / sizeof(float), 0);
    fill(data.map, sizeof data.map / sizeof(float), 1);
    fill(data.bias, MAX_ROWS, 2);
    fill(data.before[0], sizeof data.before / sizeof(float), 3);
    for (int m = 0; m < MAX_ROWS; m++) {
        data.rows[m] = data.weights[MAX_ROWS - 1 - m];
    }
    for (int rows = 1; rows <= MAX_ROWS; rows++) {
        for (size_t k = 0; k < sizeof channels / sizeof *channels; k++) {
            for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
                check_mix(table, &data, rows, channels[k], columns[c], variant++ % 60);
            }
        }
    }
}
END_TEST

typedef struct store_data {
    float taps[DEEP][PLANE + SFK_SLACK];
    const float *sources[DEEP];
    float expand[MAX_CHANNELS][DEEP];
    const float *rows[MAX_CHANNELS];
    float scales[MAX_CHANNELS];
    float bias[MAX_CHANNELS];
    float before[MAX_CHANNELS * PLANE];
} store_data;

static void fill_store_data(store_data *data)
{
    fill(data->taps[0], sizeof data->taps / sizeof(float), 4);
    fill(data->expand[0], sizeof data->expand / sizeof(float), 5);
    fill(data->scales, MAX_CHANNELS, 6);
    fill(data->bias, MAX_CHANNELS, 7);
    fill(data->before, sizeof data->before / sizeof(float), 8);
    for (int k = 0; k < DEEP; k++) {
        data->sources[k] = data->taps[k];
    }
    for (int c = 0; c < MAX_CHANNELS; c++) {
        data->rows[c] = data->expand[c];
    }
}

static float defined_channel(const store_data *data, int depth, int64_t c, int64_t at)
{
    float sum = data->bias[c];
    for (int k = 0; k < depth; k++) {
        sum = fmaf(data->expand[c][k] * data->scales[c], data->taps[k][at], sum);
    }
    return sum < 0 ? 0.0f : sum;
}

static void check_store(const sfk_table *table, const store_data *data, int channels, int depth,
                        int columns)
{
    static float packed[MAX_CHANNELS * (1 + DEEP)];
    static float scratch[400 * DEEP] __attribute__((aligned(64)));
    static float map[MAX_CHANNELS * PLANE];
    const int64_t first = 2;
    const sfk_pair_part part = {data->rows, depth, data->scales};
    const sfk_pair_weights weights = {.channels = channels,
                                      .end_channel = channels,
                                      .parts = &part,
                                      .part_count = 1,
                                      .depth = depth,
                                      .bias = data->bias};
    const sfk_pair pair = {.weights = packed,
                           .channels = channels,
                           .sources = data->sources,
                           .depth = depth,
                           .first = first,
                           .columns = columns,
                           .rows = 1,
                           .plane = PLANE,
                           .map = map,
                           .activation = SFK_RELU,
                           .scratch = scratch};
    const int64_t used = sfk_stored_pixels(depth) * depth;
    ck_assert_int_lt(used, 400 * DEEP);
    scratch[used] = 12345.5f;
    memcpy(map, data->before, sizeof map);
    table->pack_pair(packed, &weights);
    table->strip_store(&pair);
    ck_assert_msg(scratch[used] == 12345.5f, "isa %d, depth %d, %d columns: scratch overrun",
                  table->isa, depth, columns);
    for (int64_t at = 0; at < MAX_CHANNELS * PLANE; at++) {
        const int64_t c = at / PLANE;
        const int64_t n = at % PLANE;
        const bool written = c < channels && n >= first && n < first + columns;
        const float expected = written ? defined_channel(data, depth, c, n) : data->before[at];
        if (memcmp(&map[at], &expected, sizeof expected) != 0) {
            ck_abort_msg("isa %d, %d channels, depth %d, %d columns: [%d][%d] is %a, expected %a",
                         table->isa, channels, depth, columns, (int)c, (int)n, (double)map[at],
                         (double)expected);
        }
    }
}

/* Depths whose strips are 384, 288, 144 and 96 pixels long. */
START_TEST(channels_that_are_stored_alone_are_one_chain_of_fma_in_strips_of_any_length)
{
    static const int depths[] = {6, 12, 110, 220, 249};
    static const int columns[] = {1, 7, 48, 49, 97, 145, 200, 289, 304};
    static store_data data;
    const sfk_table *table = table_number(_i);
    if (!table) {
        return;
    }
    fill_store_data(&data);
    for (size_t d = 0; d < sizeof depths / sizeof *depths; d++) {
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
            const int channels = 1 + (int)(5 * d + 3 * c) % MAX_CHANNELS;
            check_store(table, &data, channels, depths[d], columns[c]);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("map_strips");
    TCase *tests = tcase_create("map_strips");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests,
                        what_is_mixed_of_a_map_is_one_chain_of_fma_and_nothing_else_is_written, 0,
                        TABLE_COUNT);
    tcase_add_loop_test(tests,
                        channels_that_are_stored_alone_are_one_chain_of_fma_in_strips_of_any_length,
                        0, TABLE_COUNT);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
