/* SPDX-License-Identifier: BSD-2-Clause */
/* The way back through rank space. */
#include "kernel_cases.h"

/* Channels and taps of a strip of 96 pixels: the U-Net's at rank 1/32 and 1/4, ResNet-18's last. */
static const struct strip {
    const char *label;
    int64_t channels;
    int64_t taps;
    int64_t pixels;
} strips[] = {{"64 by 6, 96 pixels", 64, 6, 96},
              {"64 by 12, 96 pixels", 64, 12, 96},
              {"64 by 48, 96 pixels", 64, 48, 96},
              {"64 by 48, 7x7", 64, 48, 49}};

/* Their taps by pixels. */
static const char *const tap_labels[] = {"6 by 96 pixels", "12 by 96 pixels", "48 by 96 pixels",
                                         "48 by 7x7"};

static int64_t whole_vectors(int64_t columns)
{
    return (columns + 15) / 16 * 16;
}

/* Taps times a tile by pixels. */
static const struct tile {
    const char *label;
    int64_t rows, columns, depth;
} tiles[] = {{"1 by 32, 96 pixels", 1, 32, 96},
             {"3 by 32, 96 pixels", 3, 32, 96},
             {"6 by 32, 96 pixels", 6, 32, 96},
             {"48 by 32, 96 pixels", 48, 32, 96}};

static void outer_of_tiles(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(tiles); i++) {
        const int64_t rows = tiles[i].rows, columns = tiles[i].columns, depth = tiles[i].depth;
        const float *left = case_floats(cases, rows * depth);
        const sfk_outer outer = {.left = case_rows(cases, left, depth, rows),
                                 .right = case_floats(cases, depth * whole_vectors(columns)),
                                 .right_stride = whole_vectors(columns),
                                 .depth = depth,
                                 .to = case_floats(cases, rows * columns),
                                 .to_stride = columns,
                                 .rows = rows,
                                 .columns = columns,
                                 .accumulate = true};
        KERNEL_CASE(cases, tiles[i].label, multiply_adds(rows * columns * depth),
                    cases->kernels->strip_outer(&outer));
    }
}

void strip_outer_cases(kernel_cases *cases)
{
    outer_of_tiles(cases);
    for (int64_t i = 0; i < CASE_COUNT(strips); i++) {
        const int64_t rows = strips[i].channels, taps = strips[i].taps, depth = strips[i].pixels;
        const float *left = case_floats(cases, rows * depth);
        const sfk_outer outer = {.left = case_rows(cases, left, depth, rows),
                                 .right = case_floats(cases, depth * whole_vectors(taps)),
                                 .right_stride = whole_vectors(taps),
                                 .depth = depth,
                                 .to = case_floats(cases, rows * taps),
                                 .to_stride = taps,
                                 .rows = rows,
                                 .columns = taps,
                                 .accumulate = true};
        KERNEL_CASE(cases, strips[i].label, multiply_adds(rows * taps * depth),
                    cases->kernels->strip_outer(&outer));
    }
}

void pull_taps_cases(kernel_cases *cases)
{
    enum { CHANNELS = 32 };
    static const struct pull {
        const char *label;
        int64_t taps, pixels;
    } pulls[] = {{"6 taps, 96 pixels", 6, 96},
                 {"12 taps, 80 pixels", 12, 80},
                 {"48 taps, 96 pixels", 48, 96},
                 {"48 taps, 7x7", 48, 49}};
    for (int64_t i = 0; i < CASE_COUNT(pulls); i++) {
        const int64_t taps = pulls[i].taps, pixels = pulls[i].pixels;
        const int64_t pitch = whole_vectors(pixels);
        const sfk_pull pull = {.from = case_floats(cases, CHANNELS * pitch),
                               .from_stride = CHANNELS,
                               .pixels = pixels,
                               .channels = CHANNELS,
                               .weights = case_floats(cases, CHANNELS * whole_vectors(taps)),
                               .weight_stride = whole_vectors(taps),
                               .to = case_floats(cases, taps * pitch),
                               .to_stride = pitch,
                               .taps = taps};
        KERNEL_CASE(cases, pulls[i].label, multiply_adds(taps * pixels * CHANNELS),
                    cases->kernels->pull_taps(&pull));
    }
}

void transpose_taps_cases(kernel_cases *cases)
{
    for (int64_t i = 0; i < CASE_COUNT(strips); i++) {
        const int64_t taps = strips[i].taps, count = strips[i].pixels;
        const int64_t pitch = count + SFK_SLACK, stride = whole_vectors(taps);
        const float **rows = case_rows(cases, case_floats(cases, taps * pitch), pitch, taps);
        float *to = case_floats(cases, count * stride);
        KERNEL_CASE(cases, tap_labels[i], moves(taps * count, stride * count),
                    cases->kernels->transpose_taps(to, stride, rows, 0, taps, count));
    }
}

void spread_taps_cases(kernel_cases *cases)
{
    static const struct spread {
        const char *label;
        int64_t width, stride;
    } spreads[] = {{"3 taps, 304 columns", 304, 1},
                   {"3 taps, 14 columns", 14, 1},
                   {"3 taps, stride 2, 56 columns", 56, 2}};
    for (int64_t i = 0; i < CASE_COUNT(spreads); i++) {
        const int64_t width = spreads[i].width, out_width = (width - 1) / spreads[i].stride + 1;
        float *to = case_floats(cases, 3 * width);
        const sfk_shift spread = {.from = case_floats(cases, out_width),
                                  .tap_stride = width,
                                  .taps = 3,
                                  .stride = spreads[i].stride,
                                  .dilation = 1,
                                  .padding = 1,
                                  .width = width,
                                  .out_width = out_width};
        KERNEL_CASE(cases, spreads[i].label, moves(out_width, 3 * width),
                    cases->kernels->spread_taps(to, &spread));
    }
}

void moments_cases(kernel_cases *cases)
{
    static const struct moment {
        const char *label;
        int64_t taps, count;
    } moments[] = {{"6 taps, 304x8", 6, 304 * 8},
                   {"24 taps, 76x8", 24, 76 * 8},
                   {"48 taps, 38x38", 48, 38 * 38},
                   {"48 taps, 7x7", 48, 49}};
    for (int64_t i = 0; i < CASE_COUNT(moments); i++) {
        const int64_t taps = moments[i].taps, count = moments[i].count;
        const float **in = case_rows(cases, case_floats(cases, taps * count), count, taps);
        double *products = case_doubles(cases, taps * taps);
        double *sums = case_doubles(cases, taps);
        KERNEL_CASE(cases, moments[i].label, double_multiply_adds(taps * (taps + 1) / 2 * count),
                    cases->kernels->moments(products, sums, in, 0, taps, count));
    }
}

/* A row of ResNet-18's stem with one below it: three channels, two parities. */
void lag_products_cases(kernel_cases *cases)
{
    enum { ROWS = 6, COLUMNS = 112, PLANES = 3, PLANE = 2 * COLUMNS + SFK_LAGS };
    const float *left[ROWS];
    for (int64_t m = 0; m < ROWS; m++) {
        left[m] = case_floats(cases, 2 * COLUMNS);
    }
    sfk_lags lags = {.left = left,
                     .left_step = 2,
                     .right = case_floats(cases, PLANES * PLANE),
                     .right_step = 2,
                     .plane = PLANE,
                     .planes = PLANES,
                     .count = COLUMNS,
                     .rows = ROWS,
                     .to = case_doubles(cases, PLANES * ROWS * SFK_LAGS)};
    KERNEL_CASE(cases, "6 rows of 112, 3 planes", multiply_adds(PLANES * ROWS * SFK_LAGS * COLUMNS),
                cases->kernels->lag_products(&lags));
    lags.in_double = true;
    KERNEL_CASE(cases, "6 rows of 112, 3 planes, in double",
                double_multiply_adds(PLANES * ROWS * SFK_LAGS * COLUMNS),
                cases->kernels->lag_products(&lags));
}

/* Half of the windows of a row of 56. */
void add_patches_cases(kernel_cases *cases)
{
    enum { PITCH = 256, ROWS = 7, COUNT = 28 };
    int64_t places[COUNT];
    for (int64_t n = 0; n < COUNT; n++) {
        places[n] = n % 3 * 2 * PITCH + n % 2 * 2 + 8 * n;
    }
    const sfk_patches patches = {.from = case_floats(cases, (ROWS + 4) * PITCH),
                                 .pitch = PITCH,
                                 .rows = ROWS,
                                 .places = places,
                                 .factors = case_floats(cases, COUNT),
                                 .count = COUNT,
                                 .to = case_floats(cases, ROWS * SFK_PATCH_COLUMNS)};
    KERNEL_CASE(cases, "7 rows, 28 patches", multiply_adds(ROWS * SFK_PATCH_COLUMNS * COUNT),
                cases->kernels->add_patches(&patches));
}
