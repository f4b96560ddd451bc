/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernels of the way back through rank space against their definitions, bit for bit on every
 * table, at sizes below, at and above their tiles; and against the kernels they transpose. */
#include "support.h"

#include "kernel_tables.h"
#include "random_values.h"

#include <math.h>
#include <string.h>

#define CANARY 12345.5f
#define MAX_TAPS 49
#define MAX_PIXELS 224

static void fill(float *values, int64_t count, uint64_t stream)
{
    fill_random(values, count, (sfi_random){31, stream});
}

static void fill_canaries(float *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        values[i] = CANARY;
    }
}

/* Rows in scattered order, as kernels find them. */
typedef struct row_set {
    float values[MAX_TAPS][MAX_PIXELS];
    const float *rows[MAX_TAPS];
} row_set;

static void fill_rows(row_set *set, uint64_t stream)
{
    fill(set->values[0], MAX_TAPS * MAX_PIXELS, stream);
    for (int k = 0; k < MAX_TAPS; k++) {
        set->rows[k] = set->values[k * 5 % MAX_TAPS];
    }
}

#define OUTER_ROWS 26
#define OUTER_DEPTH 37
#define OUTER_COLUMNS 160

typedef struct outer_data {
    float left[OUTER_ROWS][OUTER_DEPTH + 3];
    /* One off, so that nothing is aligned; rows end in elements that are no numbers. */
    float right[OUTER_DEPTH * OUTER_COLUMNS + 1];
    const float *left_rows[OUTER_ROWS];
} outer_data;

static void check_outer(const sfk_table *table, outer_data *data, int rows, int depth, int columns,
                        bool accumulate)
{
    static float before[OUTER_ROWS * OUTER_COLUMNS], to[OUTER_ROWS * OUTER_COLUMNS];
    const int64_t stride = (columns + 15) / 16 * 16;
    const int64_t to_stride = columns + (depth % 2 ? 5 : 0);
    const sfk_outer outer = {.left = data->left_rows,
                             .left_first = 3,
                             .right = data->right + 1,
                             .right_stride = stride,
                             .depth = depth,
                             .to = to,
                             .to_stride = to_stride,
                             .rows = rows,
                             .columns = columns,
                             .accumulate = accumulate};
    for (int n = 0; n < depth; n++) {
        float *row = data->right + 1 + n * stride;
        fill(row, columns, (uint64_t)(100 + n));
        for (int64_t k = columns; k < stride; k++) {
            row[k] = NAN;
        }
    }
    fill(before, OUTER_ROWS * OUTER_COLUMNS, 2);
    memcpy(to, before, sizeof to);
    table->strip_outer(&outer);
    for (int m = 0; m < rows; m++) {
        for (int k = 0; k < columns; k++) {
            float *start = &before[m * to_stride + k];
            float sum = accumulate ? *start : 0.0f;
            for (int n = 0; n < depth; n++) {
                sum = fmaf(data->left_rows[m][3 + n], outer.right[n * stride + k], sum);
            }
            *start = sum;
        }
    }
    ck_assert_msg(memcmp(to, before, sizeof to) == 0,
                  "isa %d, %d lanes: %d rows, depth %d, %d columns, accumulate %d", table->isa,
                  table->lanes, rows, depth, columns, accumulate);
}

START_TEST(an_outer_product_is_one_chain_of_fma_an_element_and_nothing_else_is_written)
{
    static const int columns[] = {1,  2,  3,  4,  5,  6,  8,  9,  12, 15, 16, 17,  24,  31,
                                  32, 33, 40, 47, 48, 49, 63, 64, 65, 80, 96, 113, 129, 144};
    static outer_data data;
    const sfk_table *table = table_number(_i);
    if (!table) {
        return;
    }
    fill(data.left[0], sizeof data.left / sizeof(float), 1);
    for (int m = 0; m < OUTER_ROWS; m++) {
        data.left_rows[m] = data.left[m * 5 % OUTER_ROWS];
    }
    for (int rows = 1; rows <= OUTER_ROWS; rows++) {
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
            check_outer(table, &data, rows, 1 + (rows + (int)c) % 4, columns[c], c % 2);
        }
        check_outer(table, &data, rows, OUTER_DEPTH, columns[rows], rows % 2);
        check_outer(table, &data, rows, 0, columns[rows], rows % 2);
    }
}
END_TEST

#define PULL_TAPS 26
#define PULL_PIXELS 112
#define PULL_CHANNELS 80

typedef struct pull_data {
    /* One off, so that nothing is aligned; channels behind the last are no numbers. */
    float from[PULL_PIXELS * PULL_CHANNELS + 1];
    float weights[PULL_CHANNELS * PULL_TAPS];
} pull_data;

static void check_pull(const sfk_table *table, pull_data *data, int taps, int pixels, int channels,
                       bool accumulate)
{
    static float before[PULL_TAPS * (PULL_PIXELS + 3)], to[PULL_TAPS * (PULL_PIXELS + 3)];
    const int64_t from_stride = (channels + 15) / 16 * 16;
    const int64_t written = (pixels + 15) / 16 * 16, to_stride = written + 3;
    const sfk_pull pull = {.from = data->from + 1,
                           .from_stride = from_stride,
                           .pixels = pixels,
                           .channels = channels,
                           .weights = data->weights,
                           .weight_stride = PULL_TAPS,
                           .to = to,
                           .to_stride = to_stride,
                           .taps = taps,
                           .accumulate = accumulate};
    fill(data->from, PULL_PIXELS * PULL_CHANNELS + 1, 4);
    for (int64_t n = 0; n < written; n++) {
        for (int64_t c = channels; c < from_stride; c++) {
            data->from[1 + n * from_stride + c] = NAN;
        }
    }
    fill(before, PULL_TAPS * (PULL_PIXELS + 3), 5);
    memcpy(to, before, sizeof to);
    table->pull_taps(&pull);
    for (int k = 0; k < taps; k++) {
        for (int64_t n = 0; n < written; n++) {
            float *start = &before[k * to_stride + n];
            float sum = accumulate ? *start : 0.0f;
            for (int c = 0; c < channels; c++) {
                sum = fmaf(pull.weights[c * PULL_TAPS + k], pull.from[n * from_stride + c], sum);
            }
            *start = sum;
        }
    }
    ck_assert_msg(memcmp(to, before, sizeof to) == 0,
                  "isa %d, %d lanes: %d taps, %d pixels, %d channels, accumulate %d", table->isa,
                  table->lanes, taps, pixels, channels, accumulate);
}

START_TEST(gradients_of_taps_are_one_chain_of_fma_over_the_channels)
{
    static const int channels[] = {1, 3, 15, 16, 17, 31, 32, 33, 64, 80};
    static pull_data data;
    const sfk_table *table = table_number(_i);
    if (!table) {
        return;
    }
    fill(data.weights, PULL_CHANNELS * PULL_TAPS, 3);
    for (int taps = 1; taps <= PULL_TAPS; taps++) {
        for (int pixels = 1 + taps % 3; pixels <= PULL_PIXELS; pixels += 15) {
            const int count = channels[(taps + pixels) % 10];
            check_pull(table, &data, taps, pixels, count, (taps + pixels / 2) % 2);
        }
    }
}
END_TEST

static void check_transposed_taps(const sfk_table *table, const row_set *set, int depth, int count,
                                  int spare)
{
    static float to[MAX_PIXELS * (MAX_TAPS + 32)];
    const int64_t stride = (depth + 15) / 16 * 16 + spare;
    fill_canaries(to, count * stride + 1);
    table->transpose_taps(to, stride, set->rows, 5, depth, count);
    for (int n = 0; n < count; n++) {
        for (int64_t k = 0; k < stride; k++) {
            const float expected = k < depth ? set->rows[k][5 + n] : 0.0f;
            if (memcmp(&to[n * stride + k], &expected, sizeof expected) != 0) {
                ck_abort_msg("isa %d, %d lanes: depth %d, %d pixels: [%d][%d] is %g, expected %g",
                             table->isa, table->lanes, depth, count, n, (int)k,
                             (double)to[n * stride + k], (double)expected);
            }
        }
    }
    ck_assert(to[count * stride] == CANARY);
}

START_TEST(taps_are_transposed_and_zeros_fill_the_stride)
{
    static row_set set;
    const sfk_table *table = table_number(_i);
    fill_rows(&set, 3);
    for (int depth = 1; table && depth <= MAX_TAPS; depth++) {
        for (int count = 1; count <= 35; count++) {
            check_transposed_taps(table, &set, depth, count, count % 3 ? 0 : 16);
        }
        check_transposed_taps(table, &set, depth, 96, 0);
    }
}
END_TEST

/* Σ a[n]·b[n], as the list of kernels defines it; b NULL: Σ a[n]. */
static double defined_moment(double before, const float *a, const float *b, int count)
{
    for (int first = 0; first < count; first += SFK_MOMENT_BLOCK) {
        double sums[8] = {0};
        for (int n = first; n < count && n < first + SFK_MOMENT_BLOCK; n++) {
            sums[(n - first) % 8] += b ? (double)a[n] * (double)b[n] : (double)a[n];
        }
        for (int half = 4; half > 0; half /= 2) {
            for (int i = 0; i < half; i++) {
                sums[i] += sums[i + half];
            }
        }
        before += sums[0];
    }
    return before;
}

static void check_moments(const sfk_table *table, const row_set *set, int depth, int count)
{
    static double products[MAX_TAPS * MAX_TAPS], expected[MAX_TAPS * MAX_TAPS];
    double sums[MAX_TAPS + 1], expected_sums[MAX_TAPS + 1];
    for (int i = 0; i < depth * depth; i++) {
        products[i] = expected[i] = 0.25 * i;
    }
    for (int i = 0; i <= depth; i++) {
        sums[i] = expected_sums[i] = 0.5 * i;
    }
    table->moments(products, sums, set->rows, 2, depth, count);
    for (int i = 0; i < depth; i++) {
        const float *a = set->rows[i] + 2;
        expected_sums[i] = defined_moment(expected_sums[i], a, NULL, count);
        for (int j = i; j < depth; j++) {
            const float *b = set->rows[j] + 2;
            double naive = expected[i * depth + j];
            for (int n = 0; n < count; n++) {
                naive += (double)a[n] * (double)b[n];
            }
            expected[i * depth + j] = defined_moment(expected[i * depth + j], a, b, count);
            assert_each(fabs(expected[i * depth + j] - naive) < 1e-11, "product (%d, %d)", (int)i,
                        (int)j);
        }
    }
    ck_assert_msg(memcmp(products, expected, (size_t)(depth * depth) * sizeof *products) == 0 &&
                      memcmp(sums, expected_sums, (size_t)(depth + 1) * sizeof *sums) == 0,
                  "isa %d, %d lanes: depth %d, %d pixels", table->isa, table->lanes, depth, count);
}

START_TEST(moments_are_sums_of_blocks_and_leave_the_lower_triangle_alone)
{
    static const int depths[] = {1, 2, 3, 4, 5, 6, 7, 11, 12, 13, 23, 24, 25, 31, 48, 49};
    static const int counts[] = {0, 1, 7, 8, 9, 64, 95, 96, 97, 192, 220};
    static row_set set;
    const sfk_table *table = table_number(_i);
    fill_rows(&set, 5);
    for (size_t d = 0; table && d < sizeof depths / sizeof *depths; d++) {
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            check_moments(table, &set, depths[d], counts[c]);
        }
    }
}
END_TEST

#define SHIFT_WIDTH 80
#define MAX_SHIFTS 7

static double dot(const float *a, const float *b, int64_t count)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

/* <shift_add x, y> = <x, spread_taps y>. */
static void check_shift_adjoint(const sfk_table *table, const sfk_shift *spread, const float *to)
{
    float x[MAX_SHIFTS * SHIFT_WIDTH], shifted[SHIFT_WIDTH];
    sfk_shift shift = *spread;
    shift.from = x;
    double across = 0.0;
    fill(x, MAX_SHIFTS * SHIFT_WIDTH, 6);
    table->shift_add(shifted, &shift);
    for (int64_t tap = 0; tap < spread->taps; tap++) {
        across += dot(x + tap * SHIFT_WIDTH, to + tap * SHIFT_WIDTH, spread->width);
    }
    ck_assert_double_eq_tol(dot(shifted, spread->from, spread->out_width), across, 1e-4);
}

static void check_spread(const sfk_table *table, sfk_shift spread)
{
    float from[SHIFT_WIDTH], to[MAX_SHIFTS * SHIFT_WIDTH], expected[MAX_SHIFTS * SHIFT_WIDTH];
    fill(from, SHIFT_WIDTH, 7);
    fill_canaries(to, MAX_SHIFTS * SHIFT_WIDTH);
    fill_canaries(expected, MAX_SHIFTS * SHIFT_WIDTH);
    spread.from = from;
    spread.tap_stride = SHIFT_WIDTH;
    for (int64_t tap = 0; tap < spread.taps; tap++) {
        for (int64_t x = 0; x < spread.width; x++) {
            const int64_t read = x + spread.padding - tap * spread.dilation;
            const bool whole = read >= 0 && read % spread.stride == 0;
            const bool inside = whole && read / spread.stride < spread.out_width;
            expected[tap * SHIFT_WIDTH + x] = inside ? from[read / spread.stride] : 0.0f;
        }
    }
    table->spread_taps(to, &spread);
    ck_assert_msg(memcmp(to, expected, sizeof to) == 0,
                  "isa %d, %d lanes: %d taps, stride %d, dilation %d, padding %d, %d -> %d",
                  table->isa, table->lanes, (int)spread.taps, (int)spread.stride,
                  (int)spread.dilation, (int)spread.padding, (int)spread.out_width,
                  (int)spread.width);
    check_shift_adjoint(table, &spread, to);
}

START_TEST(spread_taps_is_the_transpose_of_shift_add)
{
    const sfk_table *table = table_number(_i);
    for (int64_t taps = 1; table && taps <= MAX_SHIFTS; taps += 2) {
        for (int64_t setting = 0; setting < 3 * 2 * 5; setting++) {
            const int64_t stride = setting % 3 + 1, dilation = setting / 3 % 2 + 1;
            const int64_t padding = setting / 6;
            for (int64_t width = 1; width <= 70; width += width < 20 ? 1 : 13) {
                const int64_t room = width + 2 * padding - dilation * (taps - 1) - 1;
                if (room >= 0) {
                    check_spread(table, (sfk_shift){.taps = taps,
                                                    .stride = stride,
                                                    .dilation = dilation,
                                                    .padding = padding,
                                                    .width = width,
                                                    .out_width = room / stride + 1});
                }
            }
        }
    }
}
END_TEST

#define LAG_ROWS 13
#define LAG_COUNT 29
#define LAG_PLANES 5
#define LAG_PLANE (2 * LAG_COUNT + SFK_LAGS + 1)

/* Every number of rows, planes and products, with steps of 1, 2 and none on the right. */
static void check_lag_products(const sfk_table *table, bool in_double)
{
    static float values[LAG_ROWS][2 * LAG_COUNT], right[LAG_PLANES * LAG_PLANE];
    const float *left[LAG_ROWS];
    fill(values[0], LAG_ROWS * 2 * LAG_COUNT, 71);
    fill(right, LAG_PLANES * LAG_PLANE, 72);
    for (int m = 0; m < LAG_ROWS; m++) {
        left[m] = values[m * 5 % LAG_ROWS];
    }
    for (int64_t rows = 1; table && rows <= LAG_ROWS; rows++) {
        double to[LAG_PLANES * LAG_ROWS * SFK_LAGS + 1];
        const int64_t count = (rows * 7) % LAG_COUNT;
        const int64_t step = rows % 3, planes = 1 + rows % LAG_PLANES;
        for (int i = 0; i <= LAG_PLANES * LAG_ROWS * SFK_LAGS; i++) {
            to[i] = i;
        }
        table->lag_products(
            &(sfk_lags){left, 2, right + 1, step, LAG_PLANE, planes, count, rows, to, in_double});
        for (int64_t i = 0; i <= LAG_PLANES * LAG_ROWS * SFK_LAGS; i++) {
            const int64_t plane = i / SFK_LAGS / rows, m = i / SFK_LAGS % rows;
            float single = 0.0f;
            double sum = (double)i;
            for (int64_t k = 0; plane < planes && k < count; k++) {
                const float value = right[1 + plane * LAG_PLANE + k * step + i % SFK_LAGS];
                single = fmaf(left[m][2 * k], value, single);
                sum += (double)left[m][2 * k] * (double)value;
            }
            assert_each(to[i] == (in_double ? sum : (double)i + (double)single),
                        "%d rows, %d planes, element %d", (int)rows, (int)planes, (int)i);
        }
    }
}

START_TEST(lag_products_are_chains_of_float_that_are_added_to_doubles)
{
    check_lag_products(table_number(_i), false);
}
END_TEST

START_TEST(lag_products_in_double_go_on_from_what_is_there)
{
    check_lag_products(table_number(_i), true);
}
END_TEST

#define PATCH_PITCH 45
#define MAX_PATCH_ROWS 20
#define PATCH_COUNT 9

START_TEST(patches_are_added_in_their_order_and_nothing_else_is_written)
{
    const sfk_table *table = table_number(_i);
    static float from[(MAX_PATCH_ROWS + 3) * PATCH_PITCH + 64], factors[PATCH_COUNT];
    int64_t places[PATCH_COUNT];
    fill(from, (MAX_PATCH_ROWS + 3) * PATCH_PITCH + 64, 73);
    fill(factors, PATCH_COUNT, 74);
    for (int n = 0; n < PATCH_COUNT; n++) {
        places[n] = n * 5 % PATCH_COUNT * 3 + n % 3 * PATCH_PITCH;
    }
    for (int64_t rows = 1; table && rows <= MAX_PATCH_ROWS; rows++) {
        float to[MAX_PATCH_ROWS * SFK_PATCH_COLUMNS + 1];
        const int64_t count = rows % (PATCH_COUNT + 1);
        for (int i = 0; i <= MAX_PATCH_ROWS * SFK_PATCH_COLUMNS; i++) {
            to[i] = (float)i;
        }
        table->add_patches(&(sfk_patches){from, PATCH_PITCH, rows, places, factors, count, to});
        for (int64_t i = 0; i <= MAX_PATCH_ROWS * SFK_PATCH_COLUMNS; i++) {
            const int64_t row = i / SFK_PATCH_COLUMNS, column = i % SFK_PATCH_COLUMNS;
            float sum = (float)i;
            for (int64_t n = 0; row < rows && n < count; n++) {
                sum = fmaf(factors[n], from[places[n] + row * PATCH_PITCH + column], sum);
            }
            assert_each(to[i] == sum, "%d rows, element %d", (int)rows, (int)i);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("training_kernels");
    TCase *tests = tcase_create("training_kernels");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests,
                        an_outer_product_is_one_chain_of_fma_an_element_and_nothing_else_is_written,
                        0, TABLE_COUNT);
    tcase_add_loop_test(tests, gradients_of_taps_are_one_chain_of_fma_over_the_channels, 0,
                        TABLE_COUNT);
    tcase_add_loop_test(tests, taps_are_transposed_and_zeros_fill_the_stride, 0, TABLE_COUNT);
    tcase_add_loop_test(tests, moments_are_sums_of_blocks_and_leave_the_lower_triangle_alone, 0,
                        TABLE_COUNT);
    tcase_add_loop_test(tests, spread_taps_is_the_transpose_of_shift_add, 0, TABLE_COUNT);
    tcase_add_loop_test(tests, lag_products_are_chains_of_float_that_are_added_to_doubles, 0,
                        TABLE_COUNT);
    tcase_add_loop_test(tests, lag_products_in_double_go_on_from_what_is_there, 0, TABLE_COUNT);
    tcase_add_loop_test(tests, patches_are_added_in_their_order_and_nothing_else_is_written, 0,
                        TABLE_COUNT);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
