/* SPDX-License-Identifier: BSD-2-Clause */
/* What is mixed of a stored map, by Winograd's F(4, 3) along the rows. */
#include "kernel_cases.h"

#define TILE SFK_WINOGRAD_TILE

/* All tiles of a square map, or as many as a strip has, from packed weights that are numbers. */
static void row_tiles_case(kernel_cases *cases, const char *label, int64_t channels, int64_t size,
                           int64_t rows)
{
    const int64_t plane = size * size;
    const int64_t per_row = (size + TILE - 1) / TILE;
    const int64_t all = size * per_row;
    const int64_t tiles = all < SFK_MAX_ROW_TILES ? all : SFK_MAX_ROW_TILES;
    const sfk_row_tiles strip = {.map = case_floats(cases, channels * plane),
                                 .plane = plane,
                                 .channels = channels,
                                 .width = size,
                                 .padding = 1,
                                 .tiles_per_row = per_row,
                                 .tiles = tiles,
                                 .weights =
                                     case_floats(cases, SFK_WINOGRAD_WINDOW * rows * channels),
                                 .packed_rows = rows,
                                 .rows = rows,
                                 .to = case_floats(cases, rows * plane),
                                 .to_plane = plane,
                                 .to_width = size,
                                 .scratch = case_scratch(cases, SFK_ROW_TILES_SCRATCH(rows))};
    /* As the direct sum would be: half of these are computed. */
    const double pixels = (double)(tiles * size) / (double)per_row;
    KERNEL_CASE(cases, label, multiply_adds((int64_t)(3 * pixels) * rows * channels),
                cases->kernels->row_tiles(&strip));
}

void row_tiles_cases(kernel_cases *cases)
{
    row_tiles_case(cases, "8 of 64 channels, 304x304", 64, 304, 8);
    row_tiles_case(cases, "16 of 64 channels, 56x56", 64, 56, 16);
    row_tiles_case(cases, "32 of 128 channels, 28x28", 128, 28, 32);
    row_tiles_case(cases, "64 of 256 channels, 14x14", 256, 14, 64);
    row_tiles_case(cases, "128 of 512 channels, 7x7", 512, 7, 128);
}

static void put_case(kernel_cases *cases, const char *label, int64_t size, int64_t rows)
{
    const int64_t plane = size * size;
    const int64_t per_row = (size + TILE - 1) / TILE;
    const sfk_row_tiles strip = {.width = size,
                                 .tiles_per_row = per_row,
                                 .tiles = size * per_row,
                                 .rows = rows,
                                 .to = case_floats(cases, rows * plane),
                                 .to_plane = plane,
                                 .to_width = size};
    const float *first = case_floats(cases, SFK_ROW_TILES_KEPT(rows));
    const float *second = case_floats(cases, SFK_ROW_TILES_KEPT(rows));
    KERNEL_CASE(cases, label, moves(2 * SFK_ROW_TILES_KEPT(rows), rows * plane),
                cases->kernels->put_row_tiles(&strip, first, second, 0, rows));
}

void put_row_tiles_cases(kernel_cases *cases)
{
    put_case(cases, "16 maps, 7x7", 7, 16);
    put_case(cases, "128 maps, 7x7", 7, 128);
    put_case(cases, "16 maps, 8x8", 8, 16);
}

void pack_row_tiles_cases(kernel_cases *cases)
{
    enum { CHANNELS = 512, ROWS = 64 };
    const sfk_row_taps from = {.taps = case_floats(cases, 3 * CHANNELS * ROWS),
                               .row_step = 3 * CHANNELS,
                               .channels = CHANNELS,
                               .rows = ROWS,
                               .end_row = ROWS};
    float *to = case_floats(cases, SFK_WINOGRAD_WINDOW * CHANNELS * ROWS);
    KERNEL_CASE(cases, "64 of 512 channels",
                moves(3 * CHANNELS * ROWS, SFK_WINOGRAD_WINDOW * CHANNELS * ROWS),
                cases->kernels->pack_row_tiles(to, &from));
}
