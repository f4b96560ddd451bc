/* SPDX-License-Identifier: BSD-2-Clause */
/* Tiles by pixels against their definitions, on every table, at sizes below, at and above those of
 * register tiles. */
#include "support.h"

#include "kernel_tables.h"
#include "random_values.h"

#include <math.h>
#include <string.h>

#define CANARY 12345.5f

enum { MAX_DEPTH = 11, MAX_PIXELS = 21, MAX_CHANNELS = 80, PITCH = MAX_PIXELS + 5, SPARE = 16 };
enum { STRIDE = MAX_CHANNELS + SPARE, TILE = MAX_PIXELS * STRIDE };

static void fill(float *values, int64_t count, uint64_t stream)
{
    fill_random(values, count, (sfi_random){33, stream});
}

/* One off, so that nothing is aligned. */
typedef struct tiles {
    float sources[MAX_DEPTH][PITCH];
    const float *source_rows[MAX_DEPTH];
    float weights[MAX_DEPTH * STRIDE + 1];
    float bias[MAX_CHANNELS + 1];
    float residuals[2][TILE + 1];
    const float *residual_rows[2];
    float passed[TILE + 1];
    float to[TILE + 1];
    float sums[STRIDE + 1];
} tiles;

static void fill_numbers(tiles *data)
{
    fill(data->sources[0], MAX_DEPTH * PITCH, 1);
    fill(data->weights, MAX_DEPTH * STRIDE + 1, 2);
    fill(data->bias, MAX_CHANNELS + 1, 3);
    fill(data->residuals[0], 2 * (TILE + 1), 4);
    fill(data->passed, TILE + 1, 5);
    fill(data->to, TILE + 1, 6);
    fill(data->sums, STRIDE + 1, 7);
    for (int i = 0; i < TILE; i += 5) {
        data->passed[1 + i] = i % 10 ? 0.0f : -0.0f;
    }
}

/* The same numbers each time, drawn once. */
static void fill_tiles(tiles *data)
{
    static tiles drawn;
    static bool is_drawn;
    if (!is_drawn) {
        fill_numbers(&drawn);
        is_drawn = true;
    }
    *data = drawn;
    for (int k = 0; k < MAX_DEPTH; k++) {
        data->source_rows[k] = data->sources[k * 4 % MAX_DEPTH];
    }
    data->residual_rows[0] = data->residuals[0] + 1;
    data->residual_rows[1] = data->residuals[1] + 1;
}

static float activated(const sfk_pixels *p, float sum)
{
    switch (p->activation) {
    case SFK_RELU:
        return sum > 0.0f ? sum : 0.0f;
    case SFK_LEAKY_RELU:
        return sum > 0.0f ? sum : p->slope * sum;
    default:
        return sum;
    }
}

static float defined(const sfk_pixels *p, int64_t n, int64_t m)
{
    const int64_t at = n * p->stride + m;
    float sum = p->accumulate ? p->to[at] : p->bias ? p->bias[m] : 0.0f;
    for (int64_t k = 0; k < p->depth; k++) {
        sum = fmaf(p->sources[k][p->first + n], p->weights[k * p->weight_stride + m], sum);
    }
    for (int64_t i = 0; i < p->residual_count; i++) {
        sum += p->residuals[i][at];
    }
    if (p->passed) {
        return p->passed[at] > 0.0f ? sum : p->slope * sum;
    }
    return activated(p, sum);
}

/* Where two rows of numbers differ, zeros of either sign being equal; `count`: nowhere. Check notes
 * each assertion in a file, which is too slow for each number. */
static int64_t first_difference(const float *a, const float *b, int64_t count)
{
    int64_t i = 0;
    while (i < count && a[i] == b[i]) {
        i++;
    }
    return i;
}

/* Nothing beyond pixels and channels is written. */
static void check_product(const sfk_table *table, const sfk_pixels *product, tiles *data)
{
    static float expected[TILE], sums[STRIDE];
    memcpy(expected, product->to, sizeof expected);
    memcpy(sums, data->sums + 1, sizeof sums);
    for (int64_t n = 0; n < product->pixels; n++) {
        for (int64_t m = 0; m < product->channels; m++) {
            const float value = defined(product, n, m);
            expected[n * product->stride + m] = value;
            sums[m] += product->passed ? value : 0.0f;
        }
    }
    table->pixel_product(product);
    const int64_t at = first_difference(product->to, expected, TILE);
    ck_assert_msg(
        at == TILE, "isa %d, %d lanes: %d pixels, %d channels, depth %d: [%d] is %g, not %g",
        table->isa, table->lanes, (int)product->pixels, (int)product->channels, (int)product->depth,
        (int)at, (double)product->to[at % TILE], (double)expected[at % TILE]);
    const int64_t sum = first_difference(data->sums + 1, sums, STRIDE);
    ck_assert_msg(sum == STRIDE, "isa %d, %d lanes: %d pixels: sum %d", table->isa, table->lanes,
                  (int)product->pixels, (int)sum);
}

static sfk_pixels product_of(tiles *data, int64_t pixels, int64_t channels, int64_t depth)
{
    fill_tiles(data);
    return (sfk_pixels){.sources = data->source_rows,
                        .first = 3,
                        .depth = depth,
                        .weights = data->weights + 1,
                        .weight_stride = STRIDE,
                        .to = data->to + 1,
                        .stride = STRIDE,
                        .pixels = pixels,
                        .channels = channels,
                        .slope = 0.25f};
}

START_TEST(a_product_is_one_chain_of_fma_an_element_then_residuals_then_the_activation)
{
    static tiles data;
    const sfk_table *table = table_number(_i);
    for (int64_t pixels = 0; table && pixels <= MAX_PIXELS; pixels++) {
        for (int64_t channels = 16; channels <= MAX_CHANNELS; channels += 16) {
            for (int64_t setting = 0; setting < 3 * 3 * 3; setting++) {
                sfk_pixels product = product_of(&data, pixels, channels, (pixels + setting) % 12);
                product.activation = (int32_t)(setting % 3);
                product.residuals = data.residual_rows;
                product.residual_count = setting / 3 % 3;
                product.bias = setting / 9 ? data.bias + 1 : NULL;
                product.accumulate = setting / 9 == 2;
                check_product(table, &product, &data);
            }
        }
    }
}
END_TEST

START_TEST(a_gradient_passes_where_the_value_is_above_0_and_is_summed_in_the_order_of_pixels)
{
    static const float slopes[] = {0.0f, 0.25f, 1.0f};
    static tiles data;
    const sfk_table *table = table_number(_i);
    for (int64_t pixels = 0; table && pixels <= MAX_PIXELS; pixels++) {
        for (int64_t channels = 16; channels <= MAX_CHANNELS; channels += 16) {
            for (int setting = 0; setting < 6; setting++) {
                sfk_pixels product = product_of(&data, pixels, channels, (pixels + setting) % 12);
                product.slope = slopes[setting % 3];
                product.accumulate = setting / 3;
                product.passed = data.passed + 1;
                product.sums = data.sums + 1;
                check_product(table, &product, &data);
            }
        }
    }
}
END_TEST

START_TEST(a_mask_in_place_does_what_a_product_does_at_its_end)
{
    static tiles data, other;
    const sfk_table *table = table_number(_i);
    for (int64_t pixels = 0; table && pixels <= MAX_PIXELS; pixels++) {
        for (int64_t channels = 16; channels <= MAX_CHANNELS; channels += 16) {
            sfk_pixels product = product_of(&data, pixels, channels, 0);
            product.slope = pixels % 2 ? 0.0f : 0.25f;
            product.accumulate = true;
            product.passed = data.passed + 1;
            product.sums = data.sums + 1;
            other = data;
            table->pixel_product(&product);
            table->mask_pixels(other.to + 1, other.passed + 1, product.slope, other.sums + 1,
                               STRIDE, pixels, channels);
            ck_assert_int_eq(first_difference(other.to, data.to, TILE + 1), TILE + 1);
            ck_assert_int_eq(first_difference(other.sums, data.sums, STRIDE + 1), STRIDE + 1);
        }
    }
}
END_TEST

enum { WINDOWS = 9, CHANNELS = 48, POOL_STRIDE = CHANNELS + SPARE };
#define POOL_TILE (2 * WINDOWS * POOL_STRIDE)

/* Few different values, so that windows hold equals, and what is not finite. */
static void fill_with_ties(float *values, int count, uint64_t stream)
{
    static const float picks[] = {-INFINITY, -1.0f, -0.0f, 0.0f, 1.0f, 1.0f, 2.0f, INFINITY, NAN};
    for (int i = 0; i < count; i++) {
        const uint64_t pick = sfi_random_bits((sfi_random){32, stream}, (uint64_t)i);
        values[i] = picks[pick % (sizeof picks / sizeof *picks)];
    }
}

/* One channel of two tiles as two rows, and back. */
static void take_rows(float *rows, const float *upper, const float *lower, int channel, int width)
{
    for (int x = 0; x < width; x++) {
        rows[x] = upper[x * POOL_STRIDE + channel];
        rows[width + x] = lower[x * POOL_STRIDE + channel];
    }
}

START_TEST(pooling_and_its_transpose_find_the_winners_of_max_pooling)
{
    static float upper[POOL_TILE], lower[POOL_TILE], grad[POOL_TILE], pooled[POOL_TILE];
    static float grad_upper[POOL_TILE], grad_lower[POOL_TILE];
    static float before_upper[POOL_TILE], before_lower[POOL_TILE];
    const sfk_table *table = table_number(_i);
    for (int windows = 1; table && windows <= WINDOWS; windows++) {
        const int width = 2 * windows;
        fill_with_ties(upper, POOL_TILE, (uint64_t)windows);
        fill_with_ties(lower, POOL_TILE, (uint64_t)windows + 100);
        fill(grad, POOL_TILE, 1);
        fill(before_upper, POOL_TILE, 2);
        fill(before_lower, POOL_TILE, 3);
        memcpy(grad_upper, before_upper, sizeof grad_upper);
        memcpy(grad_lower, before_lower, sizeof grad_lower);
        pooled[windows * POOL_STRIDE] = CANARY;
        table->pool_pixels(pooled, upper, lower, POOL_STRIDE, windows, CHANNELS);
        table->unpool_pixels(grad_upper, grad_lower, upper, lower, grad, POOL_STRIDE, windows,
                             CHANNELS);
        ck_assert(pooled[windows * POOL_STRIDE] == CANARY);
        ck_assert(grad_upper[CHANNELS] == before_upper[CHANNELS]);
        for (int c = 0; c < CHANNELS; c++) {
            float rows[4 * WINDOWS], expected[4 * WINDOWS], got[4 * WINDOWS], shares[WINDOWS];
            float largest[WINDOWS];
            uint8_t cells[WINDOWS];
            const sfk_window window = {.in = rows,
                                       .width = width,
                                       .end_row = 2,
                                       .kernel_width = 2,
                                       .stride = 2,
                                       .columns = windows};
            take_rows(rows, upper, lower, c, width);
            take_rows(expected, before_upper, before_lower, c, width);
            take_rows(got, grad_upper, grad_lower, c, width);
            for (int x = 0; x < windows; x++) {
                shares[x] = grad[x * POOL_STRIDE + c];
            }
            table->max_row(largest, cells, false, &window);
            table->max_row_gradient(expected, shares, cells, false, &window);
            for (int x = 0; x < windows; x++) {
                const float value = pooled[x * POOL_STRIDE + c];
                ck_assert(isnan(largest[x]) ? isnan(value) : value == largest[x]);
            }
            ck_assert_msg(memcmp(got, expected, 2 * (size_t)width * sizeof *got) == 0,
                          "isa %d, %d lanes: %d windows, channel %d", table->isa, table->lanes,
                          windows, c);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pixels");
    TCase *tests = tcase_create("pixels");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests,
                        a_product_is_one_chain_of_fma_an_element_then_residuals_then_the_activation,
                        0, TABLE_COUNT);
    tcase_add_loop_test(
        tests, a_gradient_passes_where_the_value_is_above_0_and_is_summed_in_the_order_of_pixels, 0,
        TABLE_COUNT);
    tcase_add_loop_test(tests, a_mask_in_place_does_what_a_product_does_at_its_end, 0, TABLE_COUNT);
    tcase_add_loop_test(tests, pooling_and_its_transpose_find_the_winners_of_max_pooling, 0,
                        TABLE_COUNT);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
