/* SPDX-License-Identifier: BSD-2-Clause */
#include "vec.h"

#define PANEL (SFV_PANEL_VECTORS * SFV_LANES)
#define TAPS SFK_PANEL_TAPS

typedef sfv panel_sums[SFK_MAX_PANEL_PIXELS][SFV_PANEL_VECTORS];

/* The bias of each lane, 0 behind the last channel. */
SFV_INLINE sfv lanes_of_bias(const sfk_panel_tile *tile, int vector)
{
    const int64_t left = tile->channels - (int64_t)vector * SFV_LANES;
    if (!tile->bias || left <= 0) {
        return sfv_zero();
    }
    const float *bias = tile->bias + vector * SFV_LANES;
    return left >= SFV_LANES ? sfv_load(bias) : sfv_load_part(bias, left);
}

SFV_INLINE void start_sums(panel_sums sums, const sfk_panel_tile *tile, int rows)
{
    SFV_UNROLL
    for (int v = 0; v < SFV_PANEL_VECTORS; v++) {
        const sfv bias = lanes_of_bias(tile, v);
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            sums[m][v] = tile->accumulate ? sfv_load(tile->to + m * PANEL + v * SFV_LANES) : bias;
        }
    }
}

SFV_INLINE void store_sums(const sfk_panel_tile *tile, panel_sums sums, int rows)
{
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        SFV_UNROLL
        for (int v = 0; v < SFV_PANEL_VECTORS; v++) {
            sfv_store(tile->to + m * PANEL + v * SFV_LANES, sums[m][v]);
        }
    }
}

/* The place behind the line that was asked for; from `end` on the same again. */
SFV_INLINE const float *ask(const float *next, const float *end)
{
    __builtin_prefetch(next, 0, 2);
    return next < end ? next + SFK_CACHE_LINE : next;
}

/* `rows` is a constant at every call but that of plain C, so that the arrays become registers. */
SFV_INLINE void run_rows(const sfk_panel_tile *tile, int rows)
{
    panel_sums sums;
    const float *pixels[SFV_PANEL_ROWS];
    const float *weights = tile->weights;
    const float *next = tile->next ? tile->next : tile->weights;
    const float *next_end = tile->next ? tile->next_end : tile->weights;
    start_sums(sums, tile, rows);
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        pixels[m] = tile->pixels + tile->places[m];
    }
#pragma GCC unroll 2
    for (int64_t k = 0; k < tile->depth; k++) {
        const int64_t step = tile->steps[k];
        sfv channels[SFV_PANEL_VECTORS];
        SFV_UNROLL
        for (int v = 0; v < SFV_PANEL_VECTORS; v++) {
            channels[v] = sfv_load(weights + v * SFV_LANES);
        }
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            const sfv pixel = sfv_set1(pixels[m][step]);
            SFV_UNROLL
            for (int v = 0; v < SFV_PANEL_VECTORS; v++) {
                sums[m][v] = sfv_fma(pixel, channels[v], sums[m][v]);
            }
        }
        weights += PANEL;
        next = ask(next, next_end);
    }
    store_sums(tile, sums, rows);
}

void SFK_NAME(panel_tile)(const sfk_panel_tile *tile)
{
#if defined(SFV_PLAIN)
    /* Where no array becomes registers one body serves for all sizes. */
    run_rows(tile, tile->rows);
#else
    switch (tile->rows) {
#if SFV_PANEL_ROWS > 6
    case 8:
        run_rows(tile, 8);
        return;
    case 7:
        run_rows(tile, 7);
        return;
#endif
#if SFV_PANEL_ROWS > 4
    case 6:
        run_rows(tile, 6);
        return;
    case 5:
        run_rows(tile, 5);
        return;
#endif
    case 4:
        run_rows(tile, 4);
        return;
    case 3:
        run_rows(tile, 3);
        return;
    case 2:
        run_rows(tile, 2);
        return;
    default:
        run_rows(tile, 1);
    }
#endif
}

/* Taps t of pixels m that see element p of their row, m + t = p where `ascending`, else
 * m + TAPS - 1 - t = p: an element is loaded once for all of them. */
SFV_INLINE void add_element(panel_sums sums, sfv element, sfv (*channels)[SFV_PANEL_VECTORS], int p,
                            int pixels, bool ascending)
{
    SFV_UNROLL
    for (int i = 0; i < TAPS; i++) {
        const int m = p - i;
        const int t = ascending ? i : TAPS - 1 - i;
        if (m >= 0 && m < pixels) {
            SFV_UNROLL
            for (int v = 0; v < SFV_PANEL_VECTORS; v++) {
                sums[m][v] = sfv_fma(element, channels[t][v], sums[m][v]);
            }
        }
    }
}

/* The elements go by in the order of the taps, so that each sum is the chain of panel_tile. Both
 * `pixels` and `ascending` are constants at every call but those of plain C. */
SFV_INLINE void run_row(const sfk_panel_tile *tile, int pixels, bool ascending)
{
    panel_sums sums;
    const float *weights = tile->weights;
    const float *row = tile->pixels + tile->places[0] - (ascending ? 0 : TAPS - 1);
    const int64_t *steps = tile->steps;
    const int64_t *end = steps + tile->depth;
    const float *next = tile->next ? tile->next : tile->weights;
    const float *next_end = tile->next ? tile->next_end : tile->weights;
    start_sums(sums, tile, pixels);
    while (steps < end) {
        const float *from = row + *steps;
        sfv channels[TAPS][SFV_PANEL_VECTORS];
        SFV_UNROLL
        for (int t = 0; t < TAPS; t++) {
            SFV_UNROLL
            for (int v = 0; v < SFV_PANEL_VECTORS; v++) {
                channels[t][v] = sfv_load(weights + t * PANEL + v * SFV_LANES);
            }
        }
        SFV_UNROLL
        for (int i = 0; i < pixels + TAPS - 1; i++) {
            const int p = ascending ? i : pixels + TAPS - 2 - i;
            add_element(sums, sfv_set1(from[p]), channels, p, pixels, ascending);
        }
        weights += TAPS * PANEL;
        steps += TAPS;
        next = ask(next, next_end);
        SFV_PASS_ON(weights, steps);
    }
    store_sums(tile, sums, pixels);
}

SFV_INLINE void run_pixels(const sfk_panel_tile *tile, int pixels)
{
    if (tile->depth > 0 && tile->steps[1] < tile->steps[0]) {
        run_row(tile, pixels, false);
    } else {
        run_row(tile, pixels, true);
    }
}

void SFK_NAME(panel_row)(const sfk_panel_tile *tile)
{
#if defined(SFV_PLAIN)
    run_pixels(tile, tile->rows);
#else
    switch (tile->rows) {
#if SFV_PANEL_PIXELS > 4
    case 12:
        run_pixels(tile, 12);
        return;
    case 11:
        run_pixels(tile, 11);
        return;
    case 10:
        run_pixels(tile, 10);
        return;
    case 9:
        run_pixels(tile, 9);
        return;
    case 8:
        run_pixels(tile, 8);
        return;
    case 7:
        run_pixels(tile, 7);
        return;
    case 6:
        run_pixels(tile, 6);
        return;
    case 5:
        run_pixels(tile, 5);
        return;
#endif
    case 4:
        run_pixels(tile, 4);
        return;
    case 3:
        run_pixels(tile, 3);
        return;
    case 2:
        run_pixels(tile, 2);
        return;
    default:
        run_pixels(tile, 1);
    }
#endif
}
