/* SPDX-License-Identifier: BSD-2-Clause */
#include "vec.h"

#define PANEL (SFV_PANEL_VECTORS * SFV_LANES)

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

SFV_INLINE void start_sums(sfv (*sums)[SFV_PANEL_VECTORS], const sfk_panel_tile *tile, int rows)
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

/* `rows` is a constant at every call, so that the arrays become registers. */
SFV_INLINE void run_rows(const sfk_panel_tile *tile, int rows)
{
    sfv sums[SFV_PANEL_ROWS][SFV_PANEL_VECTORS];
    const float *pixels[SFV_PANEL_ROWS];
    const float *weights = tile->weights;
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
    }
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        SFV_UNROLL
        for (int v = 0; v < SFV_PANEL_VECTORS; v++) {
            sfv_store(tile->to + m * PANEL + v * SFV_LANES, sums[m][v]);
        }
    }
}

void SFK_NAME(panel_tile)(const sfk_panel_tile *tile)
{
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
}
