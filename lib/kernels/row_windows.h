/* SPDX-License-Identifier: BSD-2-Clause */
/* For row_tiles: maps of any width. A tile's window is six columns; the inner four, which follow
 * each other in memory, are loaded tile by tile. */
#ifndef SFK_ROW_WINDOWS_H
#define SFK_ROW_WINDOWS_H

#include "tile_points.h"

/* The windows of a group. */
typedef struct row_windows {
    /* Of the second column of the first tile in a plane, and from there to that of each tile, the
     * last of which is the furthest. They may lie outside where the column does not exist. */
    int64_t first;
    int32_t place[SFV_LANES];
    /* All bits of the columns that exist. */
    uint32_t bits[WINDOW][SFV_LANES];
    /* The outer columns are inner ones of the neighbours, or do not exist; whether the first and
     * the last tile have a neighbour outside of the group. */
    bool meet;
    bool has_left;
    bool has_right;
} row_windows;

/* Of tile `tile` of row `row`. */
static void find_window(row_windows *windows, const sfk_row_tiles *strip, int64_t row, int64_t tile,
                        int lane)
{
    const int64_t column = tile * TILE - strip->padding;
    const int64_t place = row * strip->width + column + 1;
    if (lane == 0) {
        windows->first = place;
    }
    windows->place[lane] = (int32_t)(place - windows->first);
    for (int i = 0; i < WINDOW; i++) {
        const bool exists = column + i >= 0 && column + i < strip->width;
        windows->bits[i][lane] = exists ? UINT32_MAX : 0;
    }
}

static void find_windows(row_windows windows[MAX_GROUPS], const sfk_row_tiles *strip)
{
    int64_t row = strip->first / strip->tiles_per_row;
    int64_t tile = strip->first % strip->tiles_per_row;
    for (int64_t g = 0; g < groups_of(strip); g++) {
        const int64_t tiles = smaller(SFV_LANES, strip->tiles - g * SFV_LANES);
        windows[g] = (row_windows){.meet = strip->padding == 1 && strip->to_width == strip->width,
                                   .has_left = tile > 0};
        for (int lane = 0; lane < tiles; lane++) {
            find_window(&windows[g], strip, row, tile, lane);
            tile++;
            if (tile == strip->tiles_per_row) {
                tile = 0;
                row++;
            }
        }
        windows[g].has_right = tiles == SFV_LANES && tile > 0;
        /* Lanes without a tile load as if the row went on, for the last tile has a neighbour where
         * it does. */
        for (int64_t lane = tiles; lane < SFV_LANES; lane++) {
            windows[g].place[lane] = windows[g].place[tiles - 1] + TILE;
        }
    }
}

/* Four columns of each tile, from the second on, or `shift` columns beside these. Where they reach
 * out of the map those that exist are copied first. */
SFV_INLINE void load_columns(sfv columns[TILE], const sfk_row_tiles *strip, int64_t plane,
                             const row_windows *windows, int64_t shift)
{
    const int64_t end = strip->channels * strip->plane;
    const int64_t at = plane + windows->first + shift;
    if (at >= 0 && at + windows->place[SFV_LANES - 1] + TILE <= end) {
        sfv_load_fours(columns, strip->map + at, windows->place);
        return;
    }
    float copy[SFV_LANES * TILE];
    int32_t place[SFV_LANES];
    for (int lane = 0; lane < SFV_LANES; lane++) {
        place[lane] = TILE * lane;
        for (int i = 0; i < TILE; i++) {
            const int64_t from = at + windows->place[lane] + i;
            copy[TILE * lane + i] = from >= 0 && from < end ? strip->map[from] : 0.0f;
        }
    }
    sfv_load_fours(columns, copy, place);
}

/* `meet`, a constant at every call, as in row_windows. */
SFV_INLINE void transform_windows(float *to, int64_t stride, const sfk_row_tiles *strip,
                                  int64_t plane, const row_windows *windows, bool meet)
{
    sfv in[WINDOW];
    if (meet) {
        const float *map = strip->map + plane + windows->first;
        load_columns(in + 1, strip, plane, windows, 0);
        in[0] = sfv_lanes_before(in[TILE], windows->has_left ? map[-1] : 0.0f);
        in[WINDOW - 1] = sfv_next_lanes(
            in[1], windows->has_right ? map[windows->place[SFV_LANES - 1] + TILE] : 0.0f);
    } else {
        sfv right[TILE];
        load_columns(in, strip, plane, windows, -1);
        load_columns(right, strip, plane, windows, 1);
        in[4] = right[2];
        in[5] = right[3];
    }
    SFV_UNROLL
    for (int i = 0; i < WINDOW; i++) {
        in[i] = sfv_and(in[i], windows->bits[i]);
    }
    put_points(to, stride, in);
}

/* A group of tiles of some channels. */
SFV_INLINE void transform_channels(const sfk_row_tiles *strip, const row_windows *group,
                                   int64_t channel, int64_t count, const tile_points *points,
                                   float *to, bool meet)
{
    /* Nobody else's, so that its bits stay in registers. */
    const row_windows windows = *group;
    const int64_t ahead = distance_ahead(strip);
    for (int64_t c = 0; c < count; c++) {
        const int64_t plane = (channel + c) * strip->plane;
        const float *next = strip->map + plane + windows.first + ahead;
        SFV_UNROLL
        for (int v = 0; v < TILE; v++) {
            __builtin_prefetch(next + v * SFV_LANES);
        }
        transform_windows(to + c * points->span, points->stride, strip, plane, &windows, meet);
    }
}

static void transform_rows(const sfk_row_tiles *strip, const row_windows windows[MAX_GROUPS],
                           int64_t channel, int64_t count, const tile_points *points)
{
    for (int64_t g = 0; g < groups_of(strip); g++) {
        float *to = points->at + g * SFV_LANES;
        if (windows[g].meet) {
            transform_channels(strip, &windows[g], channel, count, points, to, true);
        } else {
            transform_channels(strip, &windows[g], channel, count, points, to, false);
        }
    }
}

#endif
