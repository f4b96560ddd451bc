/* SPDX-License-Identifier: BSD-2-Clause */
/* Winograd's F(4, 4) along rows against its definition, on every table: a convolution of the
 * columns of each parity, and the pooling behind it. */
#include "support.h"

#include "kernel_tables.h"
#include "random_values.h"

#include <math.h>

enum {
    TILE = SFK_LINE_TILE,
    TAPS = SFK_LINE_TAPS,
    POINTS = SFK_LINE_POINTS,
    PHASES = SFK_LINE_PHASES,
    MAX_WIDTH = 1200,
    PITCH = 192
};
#define CANARY 12345.5f

static void fill(float *values, int64_t count, uint64_t stream)
{
    fill_random(values, count, (sfi_random){31, stream});
}

/* The finite points; the last is infinity. */
static const double points[POINTS - 1] = {0, 1, -1, 0.5, -0.5, 2};

/* A polynomial's value over its point's distances from the others. */
static double coefficient(const double taps[TAPS], int f)
{
    double value = 0, distances = 1;
    if (f == POINTS - 1) {
        return taps[TAPS - 1];
    }
    for (int i = TAPS - 1; i >= 0; i--) {
        value = value * points[f] + taps[i];
    }
    for (int g = 0; g < POINTS - 1; g++) {
        distances *= g == f ? 1 : points[f] - points[g];
    }
    return value / distances;
}

typedef struct row_case {
    int64_t width;
    int64_t taps;
    int64_t padding;
} row_case;

static int64_t columns_of(const row_case *row)
{
    return (row->width + 2 * row->padding - row->taps) / PHASES + 1;
}

/* The convolution of stride 2 of a row, by sums at the points; the result is out[column % 4][tile].
 */
static void convolve(const sfk_table *kernels, const row_case *row, const float *from,
                     const float *taps, float out[TILE][PITCH])
{
    static float planes[POINTS][PHASES][PITCH];
    static float sums[POINTS][PITCH];
    fill(planes[0][0], POINTS * PHASES * PITCH, 4);
    const int64_t tiles = (columns_of(row) + TILE - 1) / TILE;
    for (int f = 0; f < POINTS; f++) {
        planes[f][0][tiles] = planes[f][1][tiles] = CANARY;
    }
    const sfk_line line = {.from = from,
                           .width = row->width,
                           .padding = row->padding,
                           .to = planes[0][0],
                           .point_stride = PHASES * PITCH,
                           .phase_stride = PITCH,
                           .tiles = tiles};
    kernels->line_input(&line);
    for (int f = 0; f < POINTS; f++) {
        float weights[PHASES];
        for (int phase = 0; phase < PHASES; phase++) {
            double own[TAPS] = {0};
            for (int64_t i = phase; i < row->taps; i += PHASES) {
                own[i / PHASES] = (double)taps[i];
            }
            weights[phase] = (float)coefficient(own, f);
            assert_each(planes[f][phase][tiles] == CANARY, "plane (%d, %d): written behind it", f,
                        phase);
        }
        for (int64_t t = 0; t < PITCH; t++) {
            sums[f][t] = fmaf(weights[1], planes[f][1][t], weights[0] * planes[f][0][t]);
        }
    }
    kernels->line_output(out[0], PITCH, sums[0], PITCH, tiles);
}

START_TEST(rows_of_every_width_are_convolved)
{
    static float from[MAX_WIDTH], taps[8];
    static float out[TILE][PITCH], first[TILE][PITCH];
    fill(from, MAX_WIDTH, 1);
    fill(taps, 8, 2);
    for (int64_t width = 1; width <= MAX_WIDTH; width += width < 300 ? 1 : 97) {
        const row_case row = {width, 5 + width % 4, 4 - width % 3};
        for (int i = 0; i < TABLE_COUNT; i++) {
            const sfk_table *kernels = table_number(i);
            float(*result)[PITCH] = i == 0 ? first : out;
            if (!kernels) {
                continue;
            }
            convolve(kernels, &row, from, taps, result);
            for (int64_t x = 0; x < columns_of(&row); x++) {
                double sum = 0, size = 0;
                for (int64_t j = 0; j < row.taps; j++) {
                    const int64_t column = PHASES * x - row.padding + j;
                    const bool inside = column >= 0 && column < width;
                    const double product = inside ? (double)from[column] * (double)taps[j] : 0;
                    sum += product;
                    size += fabs(product);
                }
                const float got = result[x % TILE][x / TILE];
                assert_each(fabs((double)got - sum) < 2e-5 * (size + 1),
                            "width %d, column %d: %g, not %g", (int)width, (int)x, (double)got,
                            sum);
                assert_each(got == first[x % TILE][x / TILE], "width %d, table %d", (int)width, i);
            }
        }
    }
}
END_TEST

/* The columns that line_output leaves parted, and a bias; nothing else is written. */
START_TEST(a_row_is_put_together_from_its_columns)
{
    static float from[POINTS * PITCH], parted[TILE][PITCH], row[TILE * PITCH];
    const sfk_table *kernels = table_number(_i);
    fill(from, POINTS * PITCH, 5);
    for (int64_t columns = 1; kernels && columns <= 600; columns++) {
        for (int64_t x = 0; x < TILE * PITCH; x++) {
            row[x] = CANARY;
        }
        kernels->line_output(parted[0], PITCH, from, PITCH, (columns + TILE - 1) / TILE);
        kernels->line_row(row + 1, from, PITCH, 0.375f, columns);
        ck_assert(row[0] == CANARY && row[columns + 1] == CANARY);
        for (int64_t x = 0; x < columns; x++) {
            assert_each(row[x + 1] == parted[x % TILE][x / TILE] + 0.375f, "%d columns: %d",
                        (int)columns, (int)x);
        }
    }
}
END_TEST

/* <row of c, g> = <c, gradient of g>. */
START_TEST(the_gradient_of_a_row_is_its_transpose)
{
    static float from[POINTS][PITCH], row[TILE * PITCH], grad[TILE * PITCH], to[POINTS][PITCH];
    const sfk_table *kernels = table_number(_i);
    fill(from[0], POINTS * PITCH, 6);
    for (int64_t columns = 1; kernels && columns <= 600; columns++) {
        double forward = 0, backward = 0, size = 0;
        fill(grad, TILE * PITCH, (uint64_t)columns);
        kernels->line_row(row, from[0], PITCH, 0.0f, columns);
        kernels->line_row_gradient(to[0], PITCH, grad, columns);
        for (int64_t x = 0; x < columns; x++) {
            forward += (double)row[x] * (double)grad[x];
            size += fabs((double)row[x] * (double)grad[x]);
        }
        for (int64_t i = 0; i < POINTS * ((columns + TILE - 1) / TILE); i++) {
            backward += (double)from[i % POINTS][i / POINTS] * (double)to[i % POINTS][i / POINTS];
        }
        ck_assert_msg(fabs(forward - backward) <= 1e-6 * size + 1e-6, "%d columns: %g, %g",
                      (int)columns, forward, backward);
    }
}
END_TEST

static float beating(float value, float best)
{
    return isnan(best) || value <= best ? best : value;
}

static float defined_maximum(const sfk_line_pool *pool, int64_t window, int *cell)
{
    float best = -INFINITY;
    *cell = 4;
    for (int row = 0; row < 3; row++) {
        for (int64_t x = 2 * window - 1; pool->rows[row] && x <= 2 * window + 1; x++) {
            if (x >= 0 && x < pool->columns) {
                const float value = pool->rows[row][x % TILE * pool->stride + x / TILE];
                if (isnan(value) ? !isnan(best) : value > best) {
                    *cell = 3 * row + (int)(x - (2 * window - 1));
                }
                best = beating(value, best);
            }
        }
    }
    const float sum = best + pool->bias;
    switch (pool->activation) {
    case SFK_RELU:
        return sum <= 0.0f ? 0.0f : sum;
    case SFK_LEAKY_RELU:
        return sum <= 0.0f ? pool->slope * sum : sum;
    default:
        return sum;
    }
}

static void check_pool(const sfk_table *kernels, const sfk_line_pool *pool)
{
    static float out[2 * TILE * PITCH];
    uint8_t *cells = pool->cells;
    const int64_t windows = (pool->columns + 1) / 2;
    for (int64_t x = 0; x < 2 * TILE * PITCH; x++) {
        out[x] = CANARY;
    }
    for (int64_t x = 0; cells && x <= windows; x++) {
        cells[x] = 99;
    }
    kernels->line_pool(out + 1, pool);
    ck_assert(out[0] == CANARY && out[windows + 1] == CANARY);
    ck_assert(!cells || cells[windows] == 99);
    for (int64_t x = 0; x < windows; x++) {
        int cell;
        const float expected = defined_maximum(pool, x, &cell);
        assert_each(!cells || cells[x] == cell, "%d columns, window %d: cell %d, not %d",
                    (int)pool->columns, (int)x, cells ? cells[x] : -1, cell);
        assert_each(out[x + 1] == expected || (isnan(out[x + 1]) && isnan(expected)),
                    "%d columns, window %d: %g, not %g", (int)pool->columns, (int)x,
                    (double)out[x + 1], (double)expected);
    }
}

/* Rows above and below may be outside; what lies behind the last column never counts. */
START_TEST(the_largest_of_every_window_and_its_place_are_found)
{
    static float rows[3][TILE][PITCH];
    const sfk_table *kernels = table_number(_i);
    fill(rows[0][0], 3 * TILE * PITCH, 3);
    rows[0][3][0] = rows[1][2][5] = NAN;
    /* Equal numbers: the first wins. */
    for (int row = 0; row < 3; row++) {
        for (int j = 0; j < TILE; j++) {
            rows[row][j][6] = rows[row][j][7] = 1.5f;
        }
    }
    for (int row = 0; row < 3; row++) {
        rows[row][1][3] = -INFINITY;
    }
    for (int64_t columns = 1; kernels && columns <= 600; columns++) {
        static uint8_t cells[2 * TILE * PITCH];
        sfk_line_pool pool = {
            .rows = {columns % 3 ? rows[0][0] : NULL, rows[1][0], columns % 5 ? rows[2][0] : NULL},
            .stride = PITCH,
            .columns = columns,
            .bias = columns % 2 ? -0.25f : 0.5f,
            .activation = (int32_t)(columns % 7 % 3),
            .slope = 0.125f};
        check_pool(kernels, &pool);
        pool.cells = cells;
        check_pool(kernels, &pool);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lines");
    TCase *tests = tcase_create("lines");
    tcase_add_test(tests, rows_of_every_width_are_convolved);
    tcase_add_loop_test(tests, a_row_is_put_together_from_its_columns, 0, TABLE_COUNT);
    tcase_add_loop_test(tests, the_gradient_of_a_row_is_its_transpose, 0, TABLE_COUNT);
    tcase_add_loop_test(tests, the_largest_of_every_window_and_its_place_are_found, 0, TABLE_COUNT);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
