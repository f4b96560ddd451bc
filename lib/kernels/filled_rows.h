/* SPDX-License-Identifier: BSD-2-Clause */
/* For row_tiles: maps whose rows the tiles fill, with a column of padding on both sides. Tile t is
 * then the columns 4·t … 4·t + 3 of the whole plane, as if it were one row; only the outermost
 * columns of a window, which may lie in another row, know better. */
#ifndef SFK_FILLED_ROWS_H
#define SFK_FILLED_ROWS_H

#include "tile_points.h"

/* Columns that the windows of a group reach: one to the left, one to the right. */
#define GROUP_WINDOW (TILE * SFV_LANES + 2)

SFV_INLINE bool has_filled_rows(const sfk_row_tiles *strip)
{
    return strip->padding == 1 && strip->to_width == strip->width &&
           strip->width == TILE * strip->tiles_per_row;
}

/* All bits of the tiles that have a neighbour on that side, none of the others. */
typedef struct row_neighbours {
    uint32_t left[SFK_MAX_ROW_TILES];
    uint32_t right[SFK_MAX_ROW_TILES];
} row_neighbours;

static void find_neighbours(row_neighbours *neighbours, const sfk_row_tiles *strip)
{
    int64_t tile = strip->first % strip->tiles_per_row;
    for (int64_t t = 0; t < groups_of(strip) * SFV_LANES; t++) {
        neighbours->left[t] = tile > 0 ? UINT32_MAX : 0;
        tile++;
        neighbours->right[t] = tile < strip->tiles_per_row ? UINT32_MAX : 0;
        tile = tile < strip->tiles_per_row ? tile : 0;
    }
}

/* `from` is the column to the left of the first tile. */
SFV_INLINE void transform_group(float *to, int64_t stride, const float *from, const uint32_t *left,
                                const uint32_t *right)
{
    sfv columns[TILE], in[WINDOW];
    SFV_UNROLL
    for (int v = 0; v < TILE; v++) {
        columns[v] = sfv_load(from + v * SFV_LANES);
        SFV_KEEP(columns[v]);
    }
    sort_columns(in, columns);
    in[4] = sfv_next_lanes(in[0], from[TILE * SFV_LANES]);
    in[5] = sfv_and(sfv_next_lanes(in[1], from[TILE * SFV_LANES + 1]), right);
    in[0] = sfv_and(in[0], left);
    put_points(to, stride, in);
}

/* The same where the windows reach out of the map: `before` columns of them, and all from `end` on,
 * are left out. */
static void transform_outer_group(float *to, int64_t stride, const float *from, int64_t before,
                                  int64_t end, const uint32_t *left, const uint32_t *right)
{
    float window[GROUP_WINDOW] = {0};
    for (int64_t i = before; i < end; i++) {
        window[i] = from[i];
    }
    transform_group(to, stride, window, left, right);
}

static void transform_filled_rows(const sfk_row_tiles *strip, const row_neighbours *neighbours,
                                  int64_t channel, int64_t count, const tile_points *points)
{
    const int64_t ahead = distance_ahead(strip);
    const int64_t tiles = strip->first + strip->tiles;
    const int64_t map_end = (strip->channels - 1) * strip->plane + TILE * tiles +
                            (tiles % strip->tiles_per_row > 0 ? 1 : 0);
    for (int64_t c = 0; c < count; c++) {
        int64_t begin = (channel + c) * strip->plane + TILE * strip->first - 1;
        float *to = points->at + c * points->span;
        for (int64_t tile = 0; tile < points->span; tile += SFV_LANES) {
            const float *from = strip->map + begin;
            const uint32_t *left = neighbours->left + tile;
            const uint32_t *right = neighbours->right + tile;
            SFV_UNROLL
            for (int v = 0; v < TILE; v++) {
                __builtin_prefetch(from + 1 + v * SFV_LANES + ahead);
            }
            if (begin >= 0 && begin + GROUP_WINDOW <= map_end) {
                transform_group(to + tile, points->stride, from, left, right);
            } else {
                transform_outer_group(to + tile, points->stride, from, begin < 0,
                                      smaller(GROUP_WINDOW, map_end - begin), left, right);
            }
            begin += TILE * SFV_LANES;
        }
    }
}

static void put_filled_rows(const sfk_row_tiles *strip, const float *sums, int64_t span)
{
    for (int64_t row = 0; row < strip->rows; row++) {
        float *to = strip->to + (strip->first_row + row) * strip->to_plane + TILE * strip->first;
        int64_t left = TILE * strip->tiles;
        for (int64_t tile = 0; tile < span; tile += SFV_LANES) {
            sfv columns[TILE];
            columns_of_sums(columns, sums + row * span + tile, strip->rows * span);
            SFV_UNROLL
            for (int v = 0; v < TILE; v++) {
                const int64_t lanes = smaller(SFV_LANES, left);
                if (lanes > 0) {
                    sfv value = columns[v];
                    if (strip->accumulate) {
                        value = sfv_add(sfv_load_lanes(to, lanes), value);
                    }
                    sfv_store_lanes(to, value, lanes);
                }
                to += SFV_LANES;
                left -= SFV_LANES;
            }
        }
    }
}

#endif
