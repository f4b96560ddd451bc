/* SPDX-License-Identifier: BSD-2-Clause */
/* For row_tiles: from columns of a map to values at the points of its tiles, and from sums at the
 * points back to columns. A group is as many tiles as a vector has lanes. */
#ifndef SFK_TILE_POINTS_H
#define SFK_TILE_POINTS_H

#include "cuts.h"
#include "winograd_points.h"

#define MAX_GROUPS (SFK_MAX_ROW_TILES / SFV_LANES)
/* What is asked for ahead of a map that some cache holds. */
#define NEAR_CHANNELS 3

/* Those of point i and channel c are at[i·stride + c·span …], those of the groups in a row. */
typedef struct tile_points {
    float *at;
    int64_t stride;
    int64_t span;
} tile_points;

SFV_INLINE int64_t groups_of(const sfk_row_tiles *strip)
{
    return (strip->tiles + SFV_LANES - 1) / SFV_LANES;
}

/* From an element that is read to one that soon will be. */
SFV_INLINE int64_t distance_ahead(const sfk_row_tiles *strip)
{
    return strip->from_memory ? TILE * strip->tiles : NEAR_CHANNELS * strip->plane;
}

/* The first, second … column of each tile, of the columns of all in their order. */
SFV_INLINE void sort_columns(sfv sorted[TILE], const sfv columns[TILE])
{
    const sfv evens[2] = {sfv_evens(columns[0], columns[1]), sfv_evens(columns[2], columns[3])};
    const sfv odds[2] = {sfv_odds(columns[0], columns[1]), sfv_odds(columns[2], columns[3])};
    sorted[0] = sfv_evens(evens[0], evens[1]);
    sorted[1] = sfv_evens(odds[0], odds[1]);
    sorted[2] = sfv_odds(evens[0], evens[1]);
    sorted[3] = sfv_odds(odds[0], odds[1]);
}

/* Of one group and channel. */
SFV_INLINE void put_points(float *to, int64_t stride, const sfv in[WINDOW])
{
    sfv out[WINDOW];
    transform_window(out, in);
    SFV_UNROLL
    for (int i = 0; i < WINDOW; i++) {
        sfv_store(to + i * stride, out[i]);
    }
}

/* The columns of a group of one mixed map, in their order. */
SFV_INLINE void columns_of_sums(sfv columns[TILE], const float *sums, int64_t stride)
{
    sfv in[WINDOW], out[TILE];
    SFV_UNROLL
    for (int i = 0; i < WINDOW; i++) {
        in[i] = sfv_load(sums + i * stride);
    }
    transform_back(out, in);
    const sfv low[2] = {sfv_low_pairs(out[0], out[2]), sfv_low_pairs(out[1], out[3])};
    const sfv high[2] = {sfv_high_pairs(out[0], out[2]), sfv_high_pairs(out[1], out[3])};
    columns[0] = sfv_low_pairs(low[0], low[1]);
    columns[1] = sfv_high_pairs(low[0], low[1]);
    columns[2] = sfv_low_pairs(high[0], high[1]);
    columns[3] = sfv_high_pairs(high[0], high[1]);
}

#endif
