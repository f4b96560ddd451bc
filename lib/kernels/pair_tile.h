/* SPDX-License-Identifier: BSD-2-Clause */
/* For the kernels that make the channels of a pair. A tile is a block of channels of a few vectors
 * of pixels in registers. What it reads and adds to - the taps and the mixed maps of its pixels -
 * is copied side by side into the scratch memory first, as all blocks of channels pass over it. */
#ifndef SFK_PAIR_TILE_H
#define SFK_PAIR_TILE_H

#include "pair_cut.h"

#define MAX_ROWS (SFV_PAIR_ROWS > SFV_POOLED_ROWS ? SFV_PAIR_ROWS : SFV_POOLED_ROWS)
/* Vectors of a tile of one row of pixels; of each of two rows. */
#define WIDE 3
#define PAIRED 2
#define MAX_VECTORS (2 * PAIRED)

typedef struct pair_tile {
    sfk_pair pair;
    row_cut cut;
    /* 0. Read anew for each block: kept in a register, it would take the last one. */
    float floor;
    /* Of the strip, and how many of its pixels are the tile's. */
    int64_t column;
    int64_t columns;
    /* Vector v of tap k at taps[k·vectors + v], and so on; rows one behind the other. */
    float *taps;
    float *mixed;
    float *pooled;
    const float *weights;
    /* No channel is a NaN. */
    bool numbers;
} pair_tile;

/* Where vector v of the tile lies in a row of pixels that begins at the strip's first. */
SFV_INLINE int64_t place_of(const pair_tile *tile, int v, int vectors)
{
    return tile->column + v / vectors * tile->pair.lower + v % vectors * SFV_LANES;
}

/* How many lanes of vector v are pixels. */
SFV_INLINE int64_t lanes_of(const pair_tile *tile, int v, int vectors)
{
    return smaller(SFV_LANES, tile->columns - v % vectors * SFV_LANES);
}

/* One source more in every sum of the tile; the fewer of weights and vectors are kept. */
SFV_INLINE void multiply_add(sfv (*sums)[MAX_VECTORS], const float *weights, const float *source,
                             int rows, int vectors)
{
    sfv kept[MAX_ROWS];
    if (vectors > rows) {
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            kept[m] = sfv_set1(weights[m]);
        }
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            const sfv pixels = sfv_load(source + v * SFV_LANES);
            SFV_UNROLL
            for (int m = 0; m < rows; m++) {
                sums[m][v] = sfv_fma(kept[m], pixels, sums[m][v]);
            }
        }
        return;
    }
    SFV_UNROLL
    for (int v = 0; v < vectors; v++) {
        kept[v] = sfv_load(source + v * SFV_LANES);
    }
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        const sfv weight = sfv_set1(weights[m]);
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            sums[m][v] = sfv_fma(weight, kept[v], sums[m][v]);
        }
    }
}

SFV_INLINE void add_residuals(sfv (*sums)[MAX_VECTORS], const pair_tile *tile, int64_t channel,
                              int rows, int height, int vectors)
{
    const sfk_pair *pair = &tile->pair;
    for (int64_t i = 0; i < pair->residual_count; i++) {
        const float *residual = pair->residuals[i] + channel * pair->plane + pair->first;
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            SFV_UNROLL
            for (int v = 0; v < height * vectors; v++) {
                const sfv more = sfv_load(residual + m * pair->plane + place_of(tile, v, vectors));
                sums[m][v] = sfv_add(sums[m][v], more);
            }
        }
    }
}

SFV_INLINE void activate(sfv (*sums)[MAX_VECTORS], const pair_tile *tile, int rows, int vectors)
{
    const sfk_pair *pair = &tile->pair;
    if (pair->activation == SFK_RELU) {
        const sfv floor = sfv_set1(tile->floor);
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            SFV_UNROLL
            for (int v = 0; v < vectors; v++) {
                sums[m][v] = sfv_max(floor, sums[m][v]);
            }
        }
    } else if (pair->activation == SFK_LEAKY_RELU) {
        const sfv slope = sfv_set1(pair->slope);
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            SFV_UNROLL
            for (int v = 0; v < vectors; v++) {
                sums[m][v] = sfv_max(sfv_mul(slope, sums[m][v]), sums[m][v]);
            }
        }
    }
}

SFV_INLINE void keep(const pair_tile *tile, sfv (*sums)[MAX_VECTORS], int64_t channel, int rows,
                     int height, int vectors)
{
    const sfk_pair *pair = &tile->pair;
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        float *to = pair->map + (channel + m) * pair->plane + pair->first;
        SFV_UNROLL
        for (int v = 0; v < height * vectors; v++) {
            const int64_t lanes = lanes_of(tile, v, vectors);
            if (lanes > 0) {
                sfv_store_lanes(to + place_of(tile, v, vectors), sums[m][v], lanes);
            }
        }
    }
}

/* Where the sums of the channels start. */
SFV_INLINE void start(sfv (*sums)[MAX_VECTORS], const float *bias, int rows, int vectors)
{
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        const sfv value = sfv_set1(bias[m]);
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            sums[m][v] = value;
        }
    }
}

#endif
