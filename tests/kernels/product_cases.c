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

/* The same with lanes over channels: weights as they lie are packed, sums come back by channels. */
typedef struct panelled {
    int64_t channels;
    int64_t pixels;
    /* Of the rows of panel_row, and from row to row; 0: panel_tile. */
    int64_t width;
    int64_t pitch;
    const float *from;
    const int64_t *weight_steps;
    float *panel;
    float *sums;
    float *out;
    sfk_panel_tile tile;
} panelled;

static void run_panel_tiles(const sfk_table *kernels, const panelled *product, sfk_panel_tile tile)
{
    for (int64_t pixel = 0; pixel < product->pixels; pixel += kernels->panel_rows) {
        tile.rows = (int32_t)smaller(kernels->panel_rows, product->pixels - pixel);
        tile.places = product->tile.places + pixel;
        tile.to = product->sums + pixel * kernels->panel_columns;
        kernels->panel_tile(&tile);
    }
}

/* Each row in tiles of nearly equal width. */
static void run_panel_rows(const sfk_table *kernels, const panelled *product, sfk_panel_tile tile)
{
    const int64_t width = product->width;
    const int64_t tiles = (width + kernels->panel_pixels - 1) / kernels->panel_pixels;
    for (int64_t first = 0; first < product->pixels; first += width) {
        for (int64_t i = 0; i < tiles; i++) {
            const int64_t begin = i * width / tiles;
            const int64_t place = first / width * product->pitch + begin;
            tile.places = &place;
            tile.rows = (int32_t)((i + 1) * width / tiles - begin);
            tile.to = product->sums + (first + begin) * kernels->panel_columns;
            kernels->panel_row(&tile);
        }
    }
}

static void run_panels(const sfk_table *kernels, const panelled *product)
{
    const int64_t columns = kernels->panel_columns;
    for (int64_t n = 0; n < product->channels; n += columns) {
        sfk_panel_tile tile = product->tile;
        tile.channels = (int32_t)smaller(columns, product->channels - n);
        for (int64_t m = 0; m < tile.channels; m += SFK_MAX_ROWS) {
            kernels->pack_rows(product->panel + m, columns, product->from + (n + m) * tile.depth,
                               tile.depth, product->weight_steps,
                               smaller(SFK_MAX_ROWS, tile.channels - m), tile.depth);
        }
        if (product->width) {
            run_panel_rows(kernels, product, tile);
        } else {
            run_panel_tiles(kernels, product, tile);
        }
        kernels->transpose(product->out + n * product->pixels, product->pixels, product->sums,
                           columns, product->pixels, tile.channels);
    }
}

static void panel_case(kernel_cases *cases, const char *label, int64_t channels, int64_t pixels,
                       int64_t width, int64_t depth)
{
    enum { TAPS = SFK_PANEL_TAPS };
    float *panel = case_scratch(cases, SFK_MAX_PANEL * depth);
    int64_t *steps = case_steps(cases, pixels, depth);
    const int64_t pitch = width + TAPS - 1;
    for (int64_t k = 0; width && k < depth; k++) {
        steps[k] = k / TAPS * pitch + k % TAPS;
    }
    const panelled product = {.channels = channels,
                              .pixels = pixels,
                              .width = width,
                              .pitch = pitch,
                              .from = case_floats(cases, channels * depth),
                              .weight_steps = case_steps(cases, 1, depth),
                              .panel = panel,
                              .sums = case_scratch(cases, pixels * SFK_MAX_PANEL),
                              .out = case_floats(cases, channels * pixels),
                              .tile = {.pixels = case_floats(cases, pixels * depth),
                                       .steps = steps,
                                       .places = case_steps(cases, 1, pixels),
                                       .weights = panel,
                                       .depth = depth}};
    KERNEL_CASE(cases, label, multiply_adds(channels * pixels * depth),
                run_panels(cases->kernels, &product));
}

void panel_tile_cases(kernel_cases *cases)
{
    panel_case(cases, "64 channels, 392 pixels, 3x3 of 32", 64, 392, 0, 288);
    panel_case(cases, "128 channels, 14x14, 3x3 of 32", 128, 196, 0, 288);
    panel_case(cases, "128 channels, 7x7, 3x3 of 32", 128, 49, 0, 288);
}

void panel_row_cases(kernel_cases *cases)
{
    panel_case(cases, "64 channels, 7x56, 3x3 of 32", 64, 392, 56, 288);
    panel_case(cases, "128 channels, 14x14, 3x3 of 32", 128, 196, 14, 288);
    panel_case(cases, "128 channels, 7x7, 3x3 of 32", 128, 49, 7, 288);
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

/* `channels` made of `taps`, with ReLU, and mixed to as many maps at once, for a row of pixels or
 * for two rows that are pooled and mixed again. */
typedef struct pair {
    sfk_pair_weights weights;
    float *packed;
    /* Each table packs in its own way. */
    const sfk_table *packed_by;
    sfk_pair pair;
} pair;

/* Maps that are mixed for each of three horizontal taps: weights [map][channel][tap]. */
static void mix_for_taps(kernel_cases *cases, sfk_pair_weights *weights)
{
    enum { TAPS = 3 };
    const int64_t maps = weights->mixed_count + weights->pooled_count;
    const float *mix = case_floats(cases, maps * weights->channels);
    const float **rows = case_rows(cases, mix, 0, maps);
    int64_t *steps = case_steps(cases, 0, maps);
    for (int64_t j = 0; j < maps; j++) {
        rows[j] = mix + j / TAPS * weights->channels * TAPS + j % TAPS;
        steps[j] = TAPS;
    }
    weights->mix = rows;
    weights->mix_step = steps;
}

static pair make_pair(kernel_cases *cases, int64_t channels, int64_t taps, int64_t pixels,
                      int64_t rows)
{
    const int64_t pitch = rows * pixels + SFK_SLACK;
    const int64_t pooled = rows == 2 ? taps : 0;
    const int64_t maps = taps + pooled;
    pair work = {.weights = {.channels = channels,
                             .end_channel = channels,
                             .parts = case_part(cases, channels, taps),
                             .part_count = 1,
                             .depth = taps,
                             .bias = case_floats(cases, channels),
                             .mixed_count = taps,
                             .pooled_count = pooled},
                 .packed = case_scratch(cases, (1 + taps + maps) * channels)};
    const int64_t floats = maps * (int64_t)(sizeof(sfk_mixed) / sizeof(float));
    sfk_mixed *mixed = (sfk_mixed *)case_scratch(cases, floats);
    float *to = case_floats(cases, maps * pitch);
    for (int64_t j = 0; j < maps; j++) {
        mixed[j] = (sfk_mixed){.to = to + j * pitch};
    }
    mix_for_taps(cases, &work.weights);
    work.pair =
        (sfk_pair){.weights = work.packed,
                   .channels = channels,
                   .sources = case_rows(cases, case_floats(cases, taps * pitch), pitch, taps),
                   .depth = taps,
                   .columns = pixels,
                   .rows = rows,
                   .lower = pixels,
                   .mixed = mixed,
                   .mixed_count = taps,
                   .pooled = mixed + taps,
                   .pooled_count = pooled,
                   .activation = SFK_RELU,
                   .scratch = case_scratch(cases, SFK_PAIR_PIXELS * (taps + maps))};
    return work;
}

static void pack_for(const sfk_table *kernels, pair *work)
{
    if (work->packed_by != kernels) {
        kernels->pack_pair(work->packed, &work->weights);
        work->packed_by = kernels;
    }
}

static void run_pair(const sfk_table *kernels, pair *work)
{
    pack_for(kernels, work);
    kernels->strip_pair(&work->pair);
}

static void run_store(const sfk_table *kernels, pair *work)
{
    pack_for(kernels, work);
    kernels->strip_store(&work->pair);
}

static void pair_case(kernel_cases *cases, const char *label, int64_t channels, int64_t taps,
                      int64_t pixels, int64_t rows)
{
    pair work = make_pair(cases, channels, taps, pixels, rows);
    const int64_t pooled = rows == 2 ? channels * taps * (pixels / 2) : 0;
    KERNEL_CASE(cases, label, multiply_adds(2 * channels * taps * pixels * rows + pooled),
                run_pair(cases->kernels, &work));
}

void strip_pair_cases(kernel_cases *cases)
{
    pair_case(cases, "64 of 3 taps, 768 pixels", 64, 3, 768, 1);
    pair_case(cases, "64 of 6 taps, 768 pixels", 64, 6, 768, 1);
    pair_case(cases, "128 of 12 taps, 768 pixels", 128, 12, 768, 1);
    pair_case(cases, "256 of 24 taps, 768 pixels", 256, 24, 768, 1);
    pair_case(cases, "512 of 48 taps, 38x38", 512, 48, 1444, 1);
    pair_case(cases, "512 of 48 taps, 7x7", 512, 48, 49, 1);
    pair_case(cases, "64 of 48 taps, 768 pixels", 64, 48, 768, 1);
    pair_case(cases, "256 of 192 taps, 14x14", 256, 192, 196, 1);
    pair_case(cases, "64 of 6 taps, 2x304 pixels, pooled", 64, 6, 304, 2);
    pair_case(cases, "128 of 12 taps, 2x152 pixels, pooled", 128, 12, 152, 2);
    pair_case(cases, "256 of 24 taps, 2x76 pixels, pooled", 256, 24, 76, 2);
    pair_case(cases, "512 of 48 taps, 2x38 pixels, pooled", 512, 48, 38, 2);
}

/* Nothing is mixed: the channels alone, stored in a map. */
static void store_case(kernel_cases *cases, const char *label, int64_t channels, int64_t taps,
                       int64_t pixels, int64_t plane)
{
    pair work = make_pair(cases, channels, taps, pixels, 1);
    work.weights.mixed_count = work.pair.mixed_count = 0;
    work.pair.map = case_floats(cases, channels * plane);
    work.pair.plane = plane;
    work.pair.scratch = case_scratch(cases, sfk_stored_pixels(taps) * taps);
    KERNEL_CASE(cases, label, multiply_adds(channels * taps * pixels),
                run_store(cases->kernels, &work));
}

void strip_store_cases(kernel_cases *cases)
{
    store_case(cases, "64 of 6 taps, 912 of 92416 pixels", 64, 6, 912, 92416);
    store_case(cases, "64 of 48 taps, 912 of 92416 pixels", 64, 48, 912, 92416);
    store_case(cases, "64 of 147 taps, 784 of 12544 pixels", 64, 147, 784, 12544);
    store_case(cases, "256 of 96 taps, 760 of 5776 pixels", 256, 96, 760, 5776);
}

/* The last call of a batch goes on to the product for a pixel: tables have that in common. */
static void pack_and_show(const sfk_table *kernels, const pair *work, bool last)
{
    kernels->pack_pair(work->packed, &work->weights);
    if (last) {
        kernels->strip_pair(&work->pair);
    }
}

static void pack_pair_case(kernel_cases *cases, const char *label, int64_t channels, int64_t taps,
                           int64_t rows)
{
    const pair work = make_pair(cases, channels, taps, 1, rows);
    const int64_t count =
        (1 + taps + work.weights.mixed_count + work.weights.pooled_count) * channels;
    KERNEL_CASE(cases, label, moves(count, count),
                pack_and_show(cases->kernels, &work, calls_left == 1));
}

void pack_pair_cases(kernel_cases *cases)
{
    pack_pair_case(cases, "64 of 6 taps", 64, 6, 1);
    pack_pair_case(cases, "512 of 48 taps", 512, 48, 1);
    pack_pair_case(cases, "512 of 384 taps", 512, 384, 1);
    pack_pair_case(cases, "256 of 24 taps, pooled", 256, 24, 2);
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
    strip_case(cases, "48 of 64, 96 pixels", 48, 64, 96);
    strip_case(cases, "192 of 64, 96 pixels", 192, 64, 96);
    strip_case(cases, "64 of 48, 96 pixels", 64, 48, 96);
    strip_case(cases, "7x7 stem, 64 of 147 taps, 112 pixels", 64, 147, 112);
    strip_case(cases, "1x1 head, 1 of 64, 304 pixels", 1, 64, 304);
}

/* All pixels of a map of `channels`, as few of them as are mixed in one call. */
static void mix_case(kernel_cases *cases, const char *label, int64_t channels, int64_t plane,
                     int64_t columns, int64_t rows)
{
    const int64_t stride = columns + SFK_SLACK;
    const sfk_mix mix = {.weights =
                             case_rows(cases, case_floats(cases, rows * channels), channels, rows),
                         .weight_step = 1,
                         .map = case_floats(cases, channels * plane),
                         .plane = plane,
                         .channels = channels,
                         .columns = columns,
                         .strip = channels > 128 ? 48 : 96,
                         .to = case_floats(cases, rows * stride),
                         .to_stride = stride,
                         .rows = rows,
                         .scratch = case_scratch(cases, channels * 96)};
    KERNEL_CASE(cases, label, multiply_adds(rows * channels * columns),
                cases->kernels->strip_mix(&mix));
}

void strip_mix_cases(kernel_cases *cases)
{
    mix_case(cases, "6 of 64, 304 of 92416 pixels", 64, 92416, 304, 6);
    mix_case(cases, "48 of 64, 912 of 92416 pixels", 64, 92416, 912, 48);
    mix_case(cases, "96 of 256, 760 of 5776 pixels", 256, 5776, 760, 96);
    mix_case(cases, "192 of 512, 190 of 1444 pixels", 512, 1444, 190, 192);
}

static void shift_case(kernel_cases *cases, const char *label, int64_t taps, int64_t stride,
                       int64_t width)
{
    const int64_t out_width = (width - 1) / stride + 1;
    float *to = case_floats(cases, out_width);
    const sfk_shift shift = {.from = case_floats(cases, taps * width),
                             .tap_stride = width,
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
    transpose_case(cases, "128 x 3", 128, 3);
    transpose_case(cases, "3 x 128", 3, 128);
}
