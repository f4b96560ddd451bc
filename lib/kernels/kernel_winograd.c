/* SPDX-License-Identifier: BSD-2-Clause */
/* Winograd's F(4x4, 3x3) with the points 0, ±A, ±B and infinity; docs/mathematics.md derives the
 * three transforms. Lanes run over filters or tiles, so no lane depends on another. */
#include "winograd_points.h"

#define TAPS 9

/* A function of its own, not part of the loop over channels: compilers would keep a pointer for
 * each of the 36 planes there, most of them in memory. */
static __attribute__((noinline)) void transform_filters(float *to, int64_t plane, const float *from,
                                                        int64_t step, bool flipped)
{
    const int64_t vertical = flipped ? -3 * step : 3 * step;
    const int64_t horizontal = flipped ? -step : step;
    sfv columns[3][WINDOW];
    from += flipped ? 8 * step : 0;
    SFV_UNROLL
    for (int j = 0; j < 3; j++) {
        const float *tap = from + j * horizontal;
        transform_taps(columns[j], sfv_load(tap), sfv_load(tap + vertical),
                       sfv_load(tap + 2 * vertical));
    }
    SFV_UNROLL
    for (int r = 0; r < WINDOW; r++) {
        sfv row[WINDOW];
        transform_taps(row, columns[0][r], columns[1][r], columns[2][r]);
        SFV_UNROLL
        for (int j = 0; j < WINDOW; j++) {
            sfv_store(to, row[j]);
            to += plane;
        }
    }
}

/* What a vector has too much, the next channel overwrites. */
void SFK_NAME(winograd_weight)(float *to, int64_t plane, const float *from, int64_t step,
                               int64_t channels, bool flipped)
{
    for (int64_t channel = 0; channel < channels; channel++) {
        for (int64_t m = 0; m < step; m += SFV_LANES) {
            transform_filters(to + channel * step + m, plane, from + channel * TAPS * step + m,
                              step, flipped);
        }
    }
}

/* Columns transformed downwards, by their place in the tile: [row][column % 4][tile]. */
typedef float window_rows[WINDOW][TILE][SFK_WINOGRAD_RUN + 16];

/* Column 4t + j of vectors that follow each other becomes lane t of the j-th. */
SFV_INLINE void store_by_place(float (*to)[SFK_WINOGRAD_RUN + 16], int64_t tile, const sfv in[TILE])
{
    const sfv evens[2] = {sfv_evens(in[0], in[1]), sfv_evens(in[2], in[3])};
    const sfv odds[2] = {sfv_odds(in[0], in[1]), sfv_odds(in[2], in[3])};
    sfv_store(to[0] + tile, sfv_evens(evens[0], evens[1]));
    sfv_store(to[1] + tile, sfv_evens(odds[0], odds[1]));
    sfv_store(to[2] + tile, sfv_odds(evens[0], evens[1]));
    sfv_store(to[3] + tile, sfv_odds(odds[0], odds[1]));
}

/* The last tile needs two columns of the next. */
SFV_INLINE void transform_downwards(window_rows rows, const float *from, int64_t pitch,
                                    int64_t count)
{
    for (int64_t tile = 0; tile <= count; tile += SFV_LANES) {
        sfv out[WINDOW][TILE];
        SFV_UNROLL
        for (int v = 0; v < TILE; v++) {
            sfv in[WINDOW], column[WINDOW];
            SFV_UNROLL
            for (int r = 0; r < WINDOW; r++) {
                in[r] = sfv_load(from + r * pitch + tile * TILE + v * SFV_LANES);
            }
            transform_window(column, in);
            SFV_UNROLL
            for (int r = 0; r < WINDOW; r++) {
                out[r][v] = column[r];
            }
        }
        SFV_UNROLL
        for (int r = 0; r < WINDOW; r++) {
            store_by_place(rows[r], tile, out[r]);
        }
    }
}

void SFK_NAME(winograd_input)(float *to, int64_t plane, const float *from, int64_t pitch,
                              int64_t count)
{
    window_rows rows;
    transform_downwards(rows, from, pitch, count);
    SFV_UNROLL
    for (int r = 0; r < WINDOW; r++) {
        for (int64_t tile = 0; tile < count; tile += SFV_LANES) {
            sfv in[WINDOW], out[WINDOW];
            SFV_UNROLL
            for (int j = 0; j < WINDOW; j++) {
                in[j] = sfv_load(rows[r][j % TILE] + tile + j / TILE);
            }
            transform_window(out, in);
            SFV_UNROLL
            for (int j = 0; j < WINDOW; j++) {
                sfv_store(to + (r * WINDOW + j) * plane + tile, out[j]);
            }
        }
    }
}

SFV_INLINE void put_pixels(float *to, sfv value, const sfk_winograd_pixels *pixels, int64_t left)
{
    if (left >= SFV_LANES) {
        sfv_store(to, pixels->accumulate ? sfv_add(sfv_load(to), value) : value);
    } else if (left > 0) {
        const sfv start = pixels->accumulate ? sfv_load_part(to, left) : sfv_zero();
        sfv_store_part(to, pixels->accumulate ? sfv_add(start, value) : value, left);
    }
}

/* Tiles from `tile` on; `columns` holds them transformed downwards. */
SFV_INLINE void put_row(const sfk_winograd_pixels *pixels, int64_t row, int64_t tile,
                        const sfv in[WINDOW])
{
    float *to = pixels->to + row * pixels->to_stride + tile * TILE;
    const int64_t left = pixels->columns - tile * TILE;
    const sfv bias = sfv_set1(pixels->bias);
    sfv out[TILE];
    transform_back(out, in);
    SFV_UNROLL
    for (int j = 0; j < TILE; j++) {
        out[j] = sfv_add(out[j], bias);
    }
    const sfv low[2] = {sfv_low_pairs(out[0], out[2]), sfv_low_pairs(out[1], out[3])};
    const sfv high[2] = {sfv_high_pairs(out[0], out[2]), sfv_high_pairs(out[1], out[3])};
    put_pixels(to, sfv_low_pairs(low[0], low[1]), pixels, left);
    put_pixels(to + SFV_LANES, sfv_high_pairs(low[0], low[1]), pixels, left - SFV_LANES);
    put_pixels(to + 2 * SFV_LANES, sfv_low_pairs(high[0], high[1]), pixels, left - 2 * SFV_LANES);
    put_pixels(to + 3 * SFV_LANES, sfv_high_pairs(high[0], high[1]), pixels, left - 3 * SFV_LANES);
}

void SFK_NAME(winograd_output)(const sfk_winograd_pixels *pixels)
{
    for (int64_t tile = 0; tile * TILE < pixels->columns; tile += SFV_LANES) {
        sfv rows[TILE][WINDOW];
        SFV_UNROLL
        for (int j = 0; j < WINDOW; j++) {
            sfv in[WINDOW], column[TILE];
            SFV_UNROLL
            for (int r = 0; r < WINDOW; r++) {
                in[r] = sfv_load(pixels->from + (r * WINDOW + j) * pixels->plane + tile);
            }
            transform_back(column, in);
            SFV_UNROLL
            for (int r = 0; r < TILE; r++) {
                rows[r][j] = column[r];
            }
        }
        SFV_UNROLL
        for (int r = 0; r < TILE; r++) {
            if (r < pixels->rows) {
                put_row(pixels, r, tile, rows[r]);
            }
        }
    }
}
