/* SPDX-License-Identifier: BSD-2-Clause */
#include "support.h"

#include "cpu.h"
#include "kernel_tables.h"
#include "random_values.h"

#include <string.h>

START_TEST(the_reference_is_always_there_and_unknown_sets_never)
{
    ck_assert_ptr_nonnull(sfk_table_for(SFCONV_ISA_REFERENCE));
    ck_assert_ptr_null(sfk_table_for(SFCONV_ISA_BEST));
    ck_assert_ptr_null(sfk_table_for(99));
    ck_assert_int_eq(sfk_best_isa(SFCONV_ISA_REFERENCE), SFCONV_ISA_REFERENCE);
}
END_TEST

START_TEST(a_table_is_given_only_where_the_processor_runs_it)
{
    for (int i = 0; i < ISA_COUNT; i++) {
        const sfk_table *table = sfk_table_for(all_isas[i]);
        if (table) {
            ck_assert(sfi_cpu_has(all_isas[i]));
            ck_assert_int_eq(table->isa, all_isas[i]);
            ck_assert_int_eq(table->tile_columns % table->lanes, 0);
            ck_assert_int_le(table->tile_columns, SFK_MAX_COLUMNS);
            ck_assert_int_le(table->tile_rows, SFK_MAX_ROWS);
        }
    }
}
END_TEST

START_TEST(the_best_set_respects_the_limit)
{
    for (int i = 0; i < ISA_COUNT; i++) {
        const int32_t best = sfk_best_isa(all_isas[i]);
        ck_assert_int_le(best, all_isas[i]);
        ck_assert_ptr_nonnull(sfk_table_for(best));
    }
    ck_assert_ptr_nonnull(sfk_table_for(sfk_best_isa(SFCONV_ISA_BEST)));
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define DEPTH 37
#define STRIDE 61

struct tile_data {
    float a[SFK_MAX_ROWS * DEPTH];
    float b[DEPTH * STRIDE];
    float bias[SFK_MAX_ROWS];
    /* Rows of a one after the other, or side by side. */
    int64_t a_row;
    int64_t a_step;
    int64_t b_steps[DEPTH];
};

static void fill_tile_data(struct tile_data *data, bool side_by_side)
{
    fill_random(data->a, SFK_MAX_ROWS * DEPTH, (sfi_random){11, 0});
    fill_random(data->b, DEPTH * STRIDE, (sfi_random){11, 1});
    fill_random(data->bias, SFK_MAX_ROWS, (sfi_random){11, 2});
    data->a_row = side_by_side ? 1 : DEPTH;
    data->a_step = side_by_side ? SFK_MAX_ROWS : 1;
    /* In a scattered order through b: offsets are free. */
    for (int k = 0; k < DEPTH; k++) {
        data->b_steps[k] = (k * 5 % DEPTH) * STRIDE;
    }
}

static float expected_element(const struct tile_data *data, int m, int n, int depth, float start)
{
    float sum = start;
    for (int k = 0; k < depth; k++) {
        sum = __builtin_fmaf(data->a[m * data->a_row + k * data->a_step],
                             data->b[data->b_steps[k] + n], sum);
    }
    return sum;
}

static void check_tile(const sfk_table *table, const struct tile_data *data, int rows, int columns,
                       int depth, int start)
{
    float c[SFK_MAX_ROWS][STRIDE];
    float before[SFK_MAX_ROWS][STRIDE];
    const sfk_tile tile = {.a = data->a,
                           .a_row = data->a_row,
                           .a_step = data->a_step,
                           .b = data->b,
                           .b_steps = data->b_steps,
                           .c = c[0],
                           .c_stride = STRIDE,
                           .bias = start == 1 ? data->bias : NULL,
                           .accumulate = start == 2,
                           .rows = rows,
                           .columns = columns,
                           .depth = depth};
    fill_random(c[0], SFK_MAX_ROWS * STRIDE, (sfi_random){12, 0});
    memcpy(before, c, sizeof c);
    table->matrix_tile(&tile);
    for (int m = 0; m < SFK_MAX_ROWS; m++) {
        for (int n = 0; n < STRIDE; n++) {
            float expected = before[m][n];
            if (m < rows && n < columns) {
                const float first = start == 1 ? data->bias[m] : start == 2 ? before[m][n] : 0.0f;
                expected = expected_element(data, m, n, depth, first);
            }
            assert_each(memcmp(&c[m][n], &expected, sizeof expected) == 0,
                        "isa %d, tile %dx%d, depth %d: [%d][%d] is %a, expected %a", table->isa,
                        rows, columns, depth, m, n, (double)c[m][n], (double)expected);
        }
    }
}

START_TEST(matrix_tile_is_one_chain_of_fma_an_element_and_writes_nothing_else)
{
    struct tile_data data;
    fill_tile_data(&data, _i == 1);
    for (int i = 0; i < TABLE_COUNT; i++) {
        const sfk_table *table = table_number(i);
        if (!table) {
            continue;
        }
        for (int rows = 1; rows <= table->tile_rows; rows++) {
            for (int columns = 1; columns <= table->tile_columns; columns++) {
                check_tile(table, &data, rows, columns, DEPTH, columns % 3);
            }
            check_tile(table, &data, rows, table->tile_columns, 1, 1);
            check_tile(table, &data, rows, table->tile_columns, 0, rows % 3);
        }
    }
}
END_TEST

/* Pixels and terms of a panel, and the kernel that multiplies them. */
struct panel_product {
    void (*run)(const sfk_panel_tile *tile);
    const int64_t *steps;
    const int64_t *places;
    int depth;
};

static void check_panel(const sfk_table *table, const struct tile_data *data,
                        const struct panel_product *product, int rows, int channels, int start)
{
    float weights[DEPTH * SFK_MAX_PANEL];
    float to[SFK_MAX_PANEL_PIXELS * SFK_MAX_PANEL];
    float before[SFK_MAX_PANEL_PIXELS * SFK_MAX_PANEL];
    const int columns = table->panel_columns;
    const sfk_panel_tile tile = {.pixels = data->b,
                                 .steps = product->steps,
                                 .places = product->places,
                                 .weights = weights,
                                 .to = to,
                                 .bias = start == 1 ? data->a : NULL,
                                 .accumulate = start == 2,
                                 .rows = rows,
                                 .channels = channels,
                                 .depth = product->depth};
    fill_random(weights, COUNT(weights), (sfi_random){13, 0});
    fill_random(to, COUNT(to), (sfi_random){13, 1});
    memcpy(before, to, sizeof to);
    product->run(&tile);
    for (int i = 0; i < COUNT(to); i++) {
        const int m = i / columns, n = i % columns;
        float expected = before[i];
        if (m < rows) {
            const float bias = start == 1 && n < channels ? data->a[n] : 0.0f;
            expected = start == 2 ? before[i] : bias;
            for (int k = 0; k < product->depth; k++) {
                expected = __builtin_fmaf(data->b[product->steps[k] + product->places[m]],
                                          weights[k * columns + n], expected);
            }
        }
        assert_each(memcmp(&to[i], &expected, sizeof expected) == 0,
                    "isa %d, %d pixels, %d channels, depth %d: [%d][%d] is %a, expected %a",
                    table->isa, rows, channels, product->depth, m, n, (double)to[i],
                    (double)expected);
    }
}

START_TEST(panel_tile_is_one_chain_of_fma_an_element_and_writes_nothing_else)
{
    /* Anywhere and in any order. */
    const int64_t places[SFK_MAX_ROWS] = {5, 2, 3, 9, 20, 0, 7, 5};
    struct tile_data data;
    fill_tile_data(&data, false);
    for (int i = 0; i < TABLE_COUNT; i++) {
        const sfk_table *table = table_number(i);
        if (!table) {
            continue;
        }
        struct panel_product product = {table->panel_tile, data.b_steps, places, DEPTH};
        ck_assert_int_eq(SFK_MAX_PANEL % table->panel_columns, 0);
        ck_assert_int_eq(table->panel_columns % SFK_MAX_ROWS, 0);
        for (int rows = 1; rows <= table->panel_rows; rows++) {
            product.depth = DEPTH;
            for (int channels = 1; channels <= table->panel_columns; channels++) {
                check_panel(table, &data, &product, rows, channels, channels % 3);
            }
            product.depth = 1;
            check_panel(table, &data, &product, rows, table->panel_columns, 1);
            product.depth = 0;
            check_panel(table, &data, &product, rows, table->panel_columns, rows % 3);
        }
    }
}
END_TEST

START_TEST(panel_row_is_panel_tile_of_neighbours_whichever_way_the_taps_go)
{
    enum { WHOLE = DEPTH / SFK_PANEL_TAPS * SFK_PANEL_TAPS };
    const int way = _i == 0 ? 1 : -1;
    int64_t steps[WHOLE], places[SFK_MAX_PANEL_PIXELS];
    struct tile_data data;
    fill_tile_data(&data, false);
    for (int m = 0; m < SFK_MAX_PANEL_PIXELS; m++) {
        places[m] = 6 + m;
    }
    for (int k = 0; k < WHOLE; k++) {
        steps[k] = data.b_steps[k / SFK_PANEL_TAPS] + way * (k % SFK_PANEL_TAPS);
    }
    for (int i = 0; i < TABLE_COUNT; i++) {
        const sfk_table *table = table_number(i);
        if (!table) {
            continue;
        }
        struct panel_product product = {table->panel_row, steps, places, WHOLE};
        ck_assert_int_le(table->panel_pixels, SFK_MAX_PANEL_PIXELS);
        for (int pixels = 1; pixels <= table->panel_pixels; pixels++) {
            product.depth = WHOLE;
            for (int channels = 1; channels <= table->panel_columns; channels++) {
                check_panel(table, &data, &product, pixels, channels, channels % 3);
            }
            product.depth = SFK_PANEL_TAPS;
            check_panel(table, &data, &product, pixels, table->panel_columns, 1);
            product.depth = 0;
            check_panel(table, &data, &product, pixels, table->panel_columns, pixels % 3);
        }
    }
}
END_TEST

/* Each lane is a tile of winograd_output; nothing outside the pixels asked for is written. */
START_TEST(winograd_output_panel_is_winograd_output_with_its_lanes_over_channels)
{
    enum { PLANES = SFK_WINOGRAD_PLANES, TILE = SFK_WINOGRAD_TILE, ROW = TILE * SFK_MAX_PANEL };
    float from[PLANES * SFK_MAX_PANEL], bias[SFK_MAX_PANEL], to[TILE * ROW];
    fill_random(from, COUNT(from), (sfi_random){15, 0});
    fill_random(bias, COUNT(bias), (sfi_random){15, 1});
    for (int i = 0; i < TABLE_COUNT * TILE * TILE; i++) {
        const sfk_table *table = table_number(i / TILE / TILE);
        const int64_t rows = i / TILE % TILE + 1, columns = i % TILE + 1;
        if (!table) {
            continue;
        }
        const int64_t panel = table->panel_columns;
        fill_random(to, COUNT(to), (sfi_random){15, 2});
        float expected[TILE * ROW];
        memcpy(expected, to, sizeof to);
        for (int64_t c = 0; c < panel; c++) {
            /* A tile and what vectors read behind it. */
            float one[PLANES * 32] = {0}, pixels[TILE * TILE];
            for (int64_t f = 0; f < PLANES; f++) {
                one[f * 32] = from[f * panel + c];
            }
            const sfk_winograd_pixels put = {.from = one,
                                             .plane = 32,
                                             .to = pixels,
                                             .to_stride = TILE,
                                             .rows = rows,
                                             .columns = columns,
                                             .bias = bias[c]};
            table->winograd_output(&put);
            for (int64_t p = 0; p < rows * columns; p++) {
                expected[p / columns * ROW + p % columns * panel + c] =
                    pixels[p / columns * TILE + p % columns];
            }
        }
        table->winograd_output_panel(to, ROW, from, panel, bias, rows, columns);
        ck_assert_mem_eq(to, expected, sizeof expected);
    }
}
END_TEST

/* Each lane is a channel of winograd_input. */
START_TEST(winograd_input_block_is_winograd_input_with_its_lanes_over_channels)
{
    enum {
        PLANES = SFK_WINOGRAD_PLANES,
        BLOCK = SFK_WINOGRAD_BLOCK,
        TILES = 3,
        WIDTH = 4 * TILES + 2,
        PITCH = 4 * TILES + SFK_WINOGRAD_SLACK,
        ROW = (WIDTH + 1) * BLOCK,
    };
    float from[SFK_WINOGRAD_WINDOW * ROW], to[PLANES * TILES * BLOCK];
    fill_random(from, COUNT(from), (sfi_random){16, 0});
    for (int i = 0; i < TABLE_COUNT; i++) {
        const sfk_table *table = table_number(i);
        float expected[PLANES * TILES * BLOCK];
        for (int64_t c = 0; table && c < BLOCK; c++) {
            float rows[SFK_WINOGRAD_WINDOW * PITCH + SFK_WINOGRAD_SLACK] = {0};
            float one[PLANES * (TILES + SFK_SLACK)];
            for (int64_t r = 0; r < SFK_WINOGRAD_WINDOW; r++) {
                for (int64_t x = 0; x < WIDTH; x++) {
                    rows[r * PITCH + x] = from[r * ROW + x * BLOCK + c];
                }
            }
            table->winograd_input(one, TILES + SFK_SLACK, rows, PITCH, TILES);
            for (int64_t f = 0; f < PLANES * TILES; f++) {
                expected[f * BLOCK + c] = one[f / TILES * (TILES + SFK_SLACK) + f % TILES];
            }
        }
        if (table) {
            table->winograd_input_block(to, TILES * BLOCK, from, ROW, TILES);
            ck_assert_mem_eq(to, expected, sizeof expected);
        }
    }
}
END_TEST

enum {
    PANEL_TILES = 9,
    PANEL_SUMS = SFK_WINOGRAD_PLANES * PANEL_TILES * SFK_MAX_PANEL,
    PANEL_BLOCKS = 3,
    PANEL_CHANNELS = PANEL_BLOCKS * SFK_WINOGRAD_BLOCK,
};

struct panel_data {
    float taps[PANEL_CHANNELS * 9 * SFK_MAX_PANEL];
    float source[SFK_WINOGRAD_PLANES * PANEL_TILES * PANEL_CHANNELS];
    float start[PANEL_SUMS];
    float filters[PANEL_CHANNELS * SFK_WINOGRAD_FILTERS];
    float coefficients[SFK_WINOGRAD_PLANES * PANEL_CHANNELS * SFK_MAX_PANEL + SFK_SLACK];
    float sums[PANEL_SUMS];
};

static void check_winograd_panel(const sfk_table *table, struct panel_data *data, int64_t tiles,
                                 int64_t channels, bool flipped)
{
    const int64_t columns = table->panel_columns, plane = PANEL_CHANNELS * columns;
    const int64_t block = SFK_WINOGRAD_PLANES * tiles * SFK_WINOGRAD_BLOCK;
    const bool accumulate = (tiles + channels) % 2 == 0;
    const sfk_winograd_panel panel = {.taps = data->taps,
                                      .next = flipped ? data->taps : NULL,
                                      .source = data->source,
                                      .sums = data->sums,
                                      .filters = data->filters,
                                      .tiles = tiles,
                                      .channels = channels,
                                      .flipped = flipped,
                                      .accumulate = accumulate};
    memcpy(data->sums, data->start, sizeof data->sums);
    table->winograd_weight(data->coefficients, plane, data->taps, columns, channels, flipped);
    table->winograd_panel(&panel);
    for (int64_t i = 0; i < SFK_WINOGRAD_PLANES * tiles * columns; i++) {
        const int64_t place = i / columns, m = i % columns;
        float sum = accumulate ? data->start[i] : 0.0f;
        for (int64_t c = 0; c < channels; c++) {
            sum = fmaf(data->source[c / SFK_WINOGRAD_BLOCK * block + place * SFK_WINOGRAD_BLOCK +
                                    c % SFK_WINOGRAD_BLOCK],
                       data->coefficients[place / tiles * plane + c * columns + m], sum);
        }
        ck_assert_mem_eq(&data->sums[i], &sum, sizeof sum);
    }
    for (int64_t i = SFK_WINOGRAD_PLANES * tiles * columns; i < PANEL_SUMS; i++) {
        ck_assert_mem_eq(&data->sums[i], &data->start[i], sizeof data->start[i]);
    }
}

/* Whatever tiles a register tile has, and less than a block of channels, or more. */
START_TEST(winograd_panel_multiplies_what_winograd_weight_makes_of_the_filters)
{
    static struct panel_data data;
    fill_random(data.taps, COUNT(data.taps), (sfi_random){17, 0});
    fill_random(data.source, COUNT(data.source), (sfi_random){17, 1});
    fill_random(data.start, COUNT(data.start), (sfi_random){17, 2});
    for (int i = 0; i < TABLE_COUNT; i++) {
        const sfk_table *table = table_number(i);
        for (int64_t tiles = 1; table && tiles <= PANEL_TILES; tiles++) {
            check_winograd_panel(table, &data, tiles, SFK_WINOGRAD_BLOCK, tiles % 3 == 0);
            check_winograd_panel(table, &data, tiles, 5, tiles % 3 != 0);
            check_winograd_panel(table, &data, tiles, 1, false);
            check_winograd_panel(table, &data, tiles, 37, tiles % 2 == 0);
            check_winograd_panel(table, &data, tiles, PANEL_CHANNELS, false);
        }
    }
}
END_TEST

#define CANARY 777.0f

static void fill_canaries(float *values, int count)
{
    for (int i = 0; i < count; i++) {
        values[i] = CANARY;
    }
}

#define PACKED_DEPTH 40

/* The steps of a filter that lies in one piece, of nine taps of each channel, of every second tap.
 */
static int64_t step_of(int kind, int64_t k)
{
    return kind == 0 ? k : kind == 1 ? k / 9 * 100 + k % 9 : 2 * k;
}

static void check_packed(const sfk_table *table, int kind, int rows, int depth, int to_step)
{
    enum { ROW = 53 };
    static float from[SFK_MAX_ROWS * ROW + 500];
    float to[PACKED_DEPTH * (SFK_MAX_ROWS + 1) + 2 * SFK_SLACK];
    int64_t steps[PACKED_DEPTH];
    for (int k = 0; k < PACKED_DEPTH; k++) {
        steps[k] = step_of(kind, k);
    }
    fill_random(from, COUNT(from), (sfi_random){15, 0});
    fill_canaries(to, COUNT(to));
    table->pack_rows(to, to_step, from, ROW, steps, rows, depth);
    for (int k = 0; k < depth; k++) {
        for (int m = 0; m < rows; m++) {
            assert_each(to[k * to_step + m] == from[m * ROW + steps[k]],
                        "isa %d, row %d of %d, step %d of %d", table->isa, m, rows, k, depth);
        }
    }
    for (int i = depth * to_step + SFK_SLACK; i < COUNT(to); i++) {
        assert_each(to[i] == CANARY, "isa %d: written at %d", table->isa, i);
    }
}

START_TEST(packed_rows_lie_side_by_side_whatever_their_steps)
{
    for (int i = 0; i < TABLE_COUNT; i++) {
        const sfk_table *table = table_number(i);
        for (int rows = 1; table && rows <= SFK_MAX_ROWS; rows++) {
            for (int depth = 0; depth <= PACKED_DEPTH; depth++) {
                check_packed(table, _i, rows, depth, rows);
                check_packed(table, _i, rows, depth, SFK_MAX_ROWS + 1);
            }
        }
    }
}
END_TEST

/* Two images of two channels, 6 x 21, seen by taps that reach over every border. */
#define IMAGE_ROWS 6
#define IMAGE_COLUMNS 21
#define IMAGE_PLANE (IMAGE_ROWS * IMAGE_COLUMNS)

static float seen_element(const float *image, const sfk_gather *from, const sfk_run *run,
                          int64_t pixel)
{
    const int64_t row = run->row * from->row_step + from->tap_row;
    const int64_t column = (run->column + pixel) * from->column_step + from->tap_column;
    if (row < 0 || row >= IMAGE_ROWS || column < 0 || column >= IMAGE_COLUMNS) {
        return 0.0f;
    }
    return image[run->image * 2 * IMAGE_PLANE + row * IMAGE_COLUMNS + column];
}

static void check_gather(const sfk_table *table, const float *image, int64_t step, int64_t tap_row,
                         int64_t tap_column)
{
    const sfk_run runs[] = {{.image = 0, .row = 0, .column = 0, .length = IMAGE_COLUMNS},
                            {.image = 0, .row = 1, .column = 2, .length = 1},
                            {.image = 1, .row = 2, .column = 3, .length = 17},
                            {.image = 1, .row = 1, .column = 0, .length = 5}};
    const int64_t outside = tap_column < 0 ? -tap_column : 0;
    const int64_t inside = IMAGE_COLUMNS - tap_column;
    const sfk_gather from = {.plane = image,
                             .image_stride = 2 * IMAGE_PLANE,
                             .height = IMAGE_ROWS,
                             .width = IMAGE_COLUMNS,
                             .tap_row = tap_row,
                             .tap_column = tap_column,
                             .row_step = step,
                             .column_step = step,
                             .first_column = (outside + step - 1) / step,
                             .end_column = inside > 0 ? (inside + step - 1) / step : 0,
                             .runs = runs,
                             .run_count = 4};
    float to[64 + SFK_SLACK + 1];
    fill_canaries(to, 64 + SFK_SLACK + 1);
    table->gather(to, &from);
    int position = 0;
    for (int r = 0; r < 4; r++) {
        for (int64_t pixel = 0; pixel < runs[r].length; pixel++) {
            const float expected = seen_element(image, &from, &runs[r], pixel);
            assert_each(to[position] == expected,
                        "isa %d, step %d, tap (%d, %d), run %d, pixel %d: %g, expected %g",
                        table->isa, (int)step, (int)tap_row, (int)tap_column, r, (int)pixel,
                        (double)to[position], (double)expected);
            position++;
        }
    }
    ck_assert_float_eq(to[position + SFK_SLACK], CANARY);
}

START_TEST(gather_shows_what_a_tap_sees_and_zeros_outside)
{
    /* The second channel is what lies behind the first: never to be seen. */
    float image[4 * IMAGE_PLANE];
    fill_random(image, 4 * IMAGE_PLANE, (sfi_random){13, 0});
    for (int i = 0; i < TABLE_COUNT; i++) {
        const sfk_table *table = table_number(i);
        for (int64_t step = 1; table && step <= 3; step++) {
            for (int64_t tap = -4; tap <= 4; tap++) {
                check_gather(table, image, step, tap, 0);
                check_gather(table, image, step, 0, tap);
                check_gather(table, image, step, tap, 8 * tap);
            }
        }
    }
}
END_TEST

START_TEST(transpose_swaps_rows_and_columns_of_any_size)
{
    enum { SIDE = 21, PITCH = 24 };
    float from[SIDE * PITCH], to[SIDE * PITCH];
    fill_random(from, SIDE * PITCH, (sfi_random){14, 0});
    for (int i = 0; i < TABLE_COUNT; i++) {
        const sfk_table *table = table_number(i);
        for (int size = 0; table && size < SIDE * SIDE; size++) {
            const int rows = 1 + size / SIDE, columns = 1 + size % SIDE;
            fill_canaries(to, SIDE * PITCH);
            table->transpose(to, PITCH, from, PITCH, rows, columns);
            for (int c = 0; c < SIDE; c++) {
                for (int r = 0; r < PITCH; r++) {
                    const bool inside = c < columns && r < rows;
                    assert_each(to[c * PITCH + r] == (inside ? from[r * PITCH + c] : CANARY),
                                "isa %d, %dx%d: row %d, column %d", table->isa, rows, columns, r,
                                c);
                }
            }
        }
    }
}
END_TEST

START_TEST(three_taps_that_lie_together_are_parted_and_brought_together)
{
    enum { MOST = 37, PITCH = 40 };
    float from[3 * PITCH], to[3 * PITCH];
    fill_random(from, 3 * PITCH, (sfi_random){15, 0});
    for (int i = 0; i < TABLE_COUNT; i++) {
        const sfk_table *table = table_number(i);
        for (int count = 0; table && count <= MOST; count++) {
            fill_canaries(to, 3 * PITCH);
            table->transpose(to, PITCH, from, 3, count, 3);
            for (int n = 0; n < 3 * PITCH; n++) {
                const int at = n % PITCH, tap = n / PITCH;
                assert_each(to[n] == (at < count ? from[3 * at + tap] : CANARY),
                            "isa %d, %d pixels: tap %d of %d", table->isa, count, tap, at);
            }
            fill_canaries(to, 3 * PITCH);
            table->transpose(to, 3, from, PITCH, 3, count);
            for (int n = 0; n < 3 * PITCH; n++) {
                const int at = n / 3, tap = n % 3;
                assert_each(to[n] == (at < count ? from[tap * PITCH + at] : CANARY),
                            "isa %d, %d pixels: tap %d of %d", table->isa, count, tap, at);
            }
        }
    }
}
END_TEST

START_TEST(add_to_adds_what_is_asked_for_and_no_more)
{
    float x[70], sums[70];
    fill_random(x, 70, (sfi_random){16, 0});
    for (int i = 0; i < TABLE_COUNT; i++) {
        const sfk_table *table = table_number(i);
        for (int count = 0; table && count <= 69; count++) {
            fill_canaries(sums, 70);
            table->add_to(sums, x, count);
            for (int p = 0; p < 70; p++) {
                assert_each(sums[p] == (p < count ? CANARY + x[p] : CANARY),
                            "isa %d: element %d of %d", table->isa, p, count);
            }
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("kernels");
    TCase *tests = tcase_create("kernels");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, the_reference_is_always_there_and_unknown_sets_never);
    tcase_add_test(tests, a_table_is_given_only_where_the_processor_runs_it);
    tcase_add_test(tests, the_best_set_respects_the_limit);
    tcase_add_test(tests, panel_tile_is_one_chain_of_fma_an_element_and_writes_nothing_else);
    tcase_add_loop_test(tests, panel_row_is_panel_tile_of_neighbours_whichever_way_the_taps_go, 0,
                        2);
    tcase_add_test(tests, winograd_output_panel_is_winograd_output_with_its_lanes_over_channels);
    tcase_add_test(tests, winograd_input_block_is_winograd_input_with_its_lanes_over_channels);
    tcase_add_test(tests, winograd_panel_multiplies_what_winograd_weight_makes_of_the_filters);
    tcase_add_loop_test(tests, matrix_tile_is_one_chain_of_fma_an_element_and_writes_nothing_else,
                        0, 2);
    tcase_add_loop_test(tests, packed_rows_lie_side_by_side_whatever_their_steps, 0, 3);
    tcase_add_test(tests, gather_shows_what_a_tap_sees_and_zeros_outside);
    tcase_add_test(tests, transpose_swaps_rows_and_columns_of_any_size);
    tcase_add_test(tests, three_taps_that_lie_together_are_parted_and_brought_together);
    tcase_add_test(tests, add_to_adds_what_is_asked_for_and_no_more);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
