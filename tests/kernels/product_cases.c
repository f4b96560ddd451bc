/* SPDX-License-Identifier: BSD-2-Clause */
/* Products - the dense convolution's tile, the strips of rank space, depthwise sums - and what lays
 * out their operands. */
#include "kernel_cases.h"

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* A product of rows x depth by depth x columns, in tiles as large as the table has, of rows that
 * are packed first. */
typedef struct tiled {
    int64_t rows;
    int64_t columns;
    const float *from;
    const int64_t *steps;
    float *panels;
    sfk_tile tile;
} tiled;

static void run_tiles(const sfk_table *kernels, const tiled *product)
{
    for (int64_t m = 0; m < product->rows; m += kernels->tile_rows) {
        sfk_tile tile = product->tile;
        tile.rows = (int32_t)smaller(kernels->tile_rows, product->rows - m);
        tile.a_step = kernels->tile_rows;
        kernels->pack_rows(product->panels, kernels->tile_rows, product->from + m * tile.depth,
                           tile.depth, product->steps, tile.rows, tile.depth);
        for (int64_t n = 0; n < product->columns; n += kernels->tile_columns) {
            tile.b = product->tile.b + n;
            tile.c = product->tile.c + m * tile.c_stride + n;
            tile.columns = (int32_t)smaller(kernels->tile_columns, product->columns - n);
            kernels->matrix_tile(&tile);
        }
    }
}

static void tile_case(kernel_cases *cases, const char *label, int64_t rows, int64_t columns,
                      int64_t depth)
{
    float *panels = case_scratch(cases, SFK_MAX_ROWS * depth);
    const tiled product = {.rows = rows,
                           .columns = columns,
                           .from = case_floats(cases, rows * depth),
                           .steps = case_steps(cases, 1, depth),
                           .panels = panels,
                           .tile = {.a = panels,
                                    .a_row = 1,
                                    .b = case_floats(cases, columns * depth),
                                    .b_steps = case_steps(cases, columns, depth),
                                    .c = case_floats(cases, rows * columns),
                                    .c_stride = columns,
                                    .depth = depth}};
    KERNEL_CASE(cases, label, multiply_adds(rows * columns * depth),
                run_tiles(cases->kernels, &product));
}

void matrix_tile_cases(kernel_cases *cases)
{
    tile_case(cases, "64 channels, 96 pixels, 3x3 of 64", 64, 96, 576);
    tile_case(cases, "256 channels, 14x14, 3x3 of 16", 256, 196, 144);
    tile_case(cases, "512 channels, 7x7, 3x3 of 32", 512, 49, 288);
}

/* The weight [rows][channels][taps] of a convolution, by output channels, or by input channels as
 * the data gradient takes it. */
static void pack_case(kernel_cases *cases, const char *label, int64_t channels, int64_t taps,
                      bool gradient)
{
    enum { ROWS = SFK_MAX_ROWS };
    const int64_t depth = channels * taps;
    const float *from = case_floats(cases, ROWS * depth);
    float *to = case_floats(cases, ROWS * depth);
    int64_t *steps = case_steps(cases, 1, depth);
    for (int64_t k = 0; gradient && k < depth; k++) {
        steps[k] = k / taps * ROWS * taps + k % taps;
    }
    KERNEL_CASE(
        cases, label, moves(ROWS * depth, ROWS * depth),
        cases->kernels->pack_rows(to, ROWS, from, gradient ? taps : depth, steps, ROWS, depth));
}

void pack_rows_cases(kernel_cases *cases)
{
    pack_case(cases, "3x3 of 32", 32, 9, false);
    pack_case(cases, "3x3 of 32, data gradient", 32, 9, true);
    pack_case(cases, "7x7 of 3", 3, 49, false);
}

#define STRIP 96
#define CHANNELS 64

/* `channels` made of `taps` from row to row of a map, with ReLU, and mixed to as many rows at once:
 * a strip of pixels and CHANNELS channels at a time, as a run in rank space does. */
typedef struct pair {
    int64_t channels;
    int64_t taps;
    int64_t pixels;
    const float **sources;
    const float **expand;
    const float **contract;
    const float **strip_rows;
    const float *bias;
    float *strip;
    float *mixed;
} pair;

static void run_pair(const sfk_table *kernels, const pair *work)
{
    for (int64_t first = 0; first < work->pixels; first += STRIP) {
        const int64_t columns = smaller(STRIP, work->pixels - first);
        for (int64_t c = 0; c < work->channels; c += CHANNELS) {
            const sfk_strip expansion = {.weights = work->expand + c,
                                         .weight_step = 1,
                                         .sources = work->sources,
                                         .first = first,
                                         .depth = work->taps,
                                         .to = work->strip,
                                         .to_stride = STRIP,
                                         .rows = CHANNELS,
                                         .columns = columns,
                                         .bias = work->bias + c,
                                         .activation = SFK_RELU};
            const sfk_strip contraction = {.weights = work->contract,
                                           .weight_first = c,
                                           .weight_step = 1,
                                           .sources = work->strip_rows,
                                           .depth = CHANNELS,
                                           .to = work->mixed + first,
                                           .to_stride = work->pixels,
                                           .rows = work->taps,
                                           .columns = columns,
                                           .accumulate = c > 0};
            kernels->strip_product(&expansion);
            kernels->strip_product(&contraction);
        }
    }
}

static void pair_case(kernel_cases *cases, const char *label, int64_t channels, int64_t taps,
                      int64_t pixels)
{
    pair work = {.channels = channels, .taps = taps, .pixels = pixels};
    const int64_t pitch = pixels + SFK_SLACK;
    work.sources = case_rows(cases, case_floats(cases, taps * pitch), pitch, taps);
    work.expand = case_rows(cases, case_floats(cases, channels * taps), taps, channels);
    work.contract = case_rows(cases, case_floats(cases, taps * channels), channels, taps);
    work.bias = case_floats(cases, channels);
    work.strip = case_floats(cases, CHANNELS * STRIP);
    work.strip_rows = case_rows(cases, work.strip, STRIP, CHANNELS);
    work.mixed = case_floats(cases, taps * pixels);
    KERNEL_CASE(cases, label, multiply_adds(2 * channels * taps * pixels),
                run_pair(cases->kernels, &work));
}

/* One product alone. */
static void strip_case(kernel_cases *cases, const char *label, int64_t rows, int64_t depth,
                       int64_t columns)
{
    const int64_t pitch = columns + SFK_SLACK;
    const float **sources = case_rows(cases, case_floats(cases, depth * pitch), pitch, depth);
    const float **weights = case_rows(cases, case_floats(cases, rows * depth), depth, rows);
    const sfk_strip strip = {.weights = weights,
                             .weight_step = 1,
                             .sources = sources,
                             .depth = depth,
                             .to = case_floats(cases, rows * columns),
                             .to_stride = columns,
                             .rows = rows,
                             .columns = columns,
                             .bias = case_floats(cases, rows),
                             .activation = SFK_RELU};
    KERNEL_CASE(cases, label, multiply_adds(rows * depth * columns),
                cases->kernels->strip_product(&strip));
}

void strip_product_cases(kernel_cases *cases)
{
    pair_case(cases, "pair 64 of 3 taps, 768 pixels", 64, 3, 768);
    pair_case(cases, "pair 64 of 6 taps, 768 pixels", 64, 6, 768);
    pair_case(cases, "pair 128 of 12 taps, 768 pixels", 128, 12, 768);
    pair_case(cases, "pair 256 of 24 taps, 768 pixels", 256, 24, 768);
    pair_case(cases, "pair 512 of 48 taps, 38x38", 512, 48, 1444);
    pair_case(cases, "pair 512 of 48 taps, 7x7", 512, 48, 49);
    pair_case(cases, "pair 64 of 48 taps, 768 pixels", 64, 48, 768);
    pair_case(cases, "pair 256 of 192 taps, 14x14", 256, 192, 196);
    strip_case(cases, "7x7 stem, 64 of 147 taps, 112 pixels", 64, 147, 112);
    strip_case(cases, "1x1 head, 1 of 64, 304 pixels", 1, 64, 304);
}

static void shift_case(kernel_cases *cases, const char *label, int64_t taps, int64_t stride,
                       int64_t width)
{
    const int64_t out_width = (width - 1) / stride + 1;
    float *to = case_floats(cases, out_width);
    const sfk_shift shift = {.from = case_floats(cases, taps * width),
                             .from_stride = width,
                             .taps = taps,
                             .stride = stride,
                             .dilation = 1,
                             .padding = taps / 2,
                             .width = width,
                             .out_width = out_width};
    KERNEL_CASE(cases, label, moves(taps * out_width, out_width),
                cases->kernels->shift_add(to, &shift));
}

void shift_add_cases(kernel_cases *cases)
{
    shift_case(cases, "3 taps, 304 columns", 3, 1, 304);
    shift_case(cases, "3 taps, 56 columns", 3, 1, 56);
    shift_case(cases, "3 taps, 7 columns", 3, 1, 7);
    shift_case(cases, "3 taps, stride 2, 56 columns", 3, 2, 56);
    shift_case(cases, "7 taps, 304 columns", 7, 1, 304);
}

static void depthwise_case(kernel_cases *cases, const char *label, int64_t taps, int64_t width)
{
    const float **rows = case_rows(cases, case_floats(cases, taps * width), width, taps);
    const float *weights = case_floats(cases, taps);
    float *out = case_floats(cases, width);
    KERNEL_CASE(cases, label, multiply_adds(taps * width),
                cases->kernels->weighted_rows(out, rows, weights, taps, width));
}

void weighted_rows_cases(kernel_cases *cases)
{
    depthwise_case(cases, "3x3, 304 columns", 9, 304);
    depthwise_case(cases, "3x3, 14 columns", 9, 14);
    depthwise_case(cases, "7x7, 112 columns", 49, 112);
}

static void row_products_case(kernel_cases *cases, const char *label, int64_t taps, int64_t width)
{
    const float **rows = case_rows(cases, case_floats(cases, taps * width), width, taps);
    const float *row = case_floats(cases, width);
    double *products = case_doubles(cases, taps);
    KERNEL_CASE(cases, label, multiply_adds(taps * width),
                cases->kernels->row_products(products, rows, row, taps, width));
}

void row_products_cases(kernel_cases *cases)
{
    row_products_case(cases, "3x3, 304 columns", 9, 304);
    row_products_case(cases, "3x3, 14 columns", 9, 14);
}

/* Rows of a map as the taps of a convolution see them. */
static void gather_case(kernel_cases *cases, const char *label, int64_t width, int64_t out_width,
                        int64_t step, int64_t tap)
{
    enum { ROWS = 4 };
    const int64_t height = (ROWS - 1) * step + 1;
    sfk_run runs[ROWS];
    for (int64_t r = 0; r < ROWS; r++) {
        runs[r] = (sfk_run){.row = r, .length = out_width};
    }
    const sfk_gather from = {.plane = case_floats(cases, height * width),
                             .height = height,
                             .width = width,
                             .tap_column = tap,
                             .row_step = step,
                             .column_step = step,
                             .first_column = tap < 0 ? (-tap + step - 1) / step : 0,
                             .end_column = smaller(out_width, (width - 1 - tap) / step + 1),
                             .runs = runs,
                             .run_count = ROWS};
    float *to = case_floats(cases, ROWS * out_width);
    KERNEL_CASE(cases, label, moves(ROWS * out_width, ROWS * out_width),
                cases->kernels->gather(to, &from));
}

void gather_cases(kernel_cases *cases)
{
    gather_case(cases, "4 rows of 304, left tap", 304, 304, 1, -1);
    gather_case(cases, "4 rows of 14, right tap", 14, 14, 1, 1);
    gather_case(cases, "4 rows of 224 to 112, stride 2", 224, 112, 2, -3);
}

static void transpose_case(kernel_cases *cases, const char *label, int64_t rows, int64_t columns)
{
    float *to = case_floats(cases, columns * rows);
    const float *from = case_floats(cases, rows * columns);
    KERNEL_CASE(cases, label, moves(rows * columns, rows * columns),
                cases->kernels->transpose(to, rows, from, columns, rows, columns));
}

void transpose_cases(kernel_cases *cases)
{
    transpose_case(cases, "64 x 96", 64, 96);
    transpose_case(cases, "576 x 64", 576, 64);
    transpose_case(cases, "49 x 7", 49, 7);
}
