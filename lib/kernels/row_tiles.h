/* SPDX-License-Identifier: BSD-2-Clause */
/* Arguments of the kernels row_tiles, put_row_tiles and pack_row_tiles. Part of kernels.h. */
#ifndef SFK_ROW_TILES_H
#define SFK_ROW_TILES_H

#include <stdbool.h>
#include <stdint.h>

/* What is mixed of a stored map with three horizontal taps, by Winograd's F(4, 3) along the rows: a
 * tile is four columns of a row of the mixed maps, and the tiles of all rows are numbered on,
 *   to[m·to_plane + y·to_width + x] = start + row x % 4 of Aᵀ · (Σ_c weights[m][i][c] ·
 * points[i][c])_i for the columns x < to_width of tiles first … first + tiles - 1, points being the
 * six values of columns 4·(x / 4) - padding … 4·(x / 4) - padding + 5 of row y, zeros outside of
 * it. Each sum is one chain of fma in the order of c. */
typedef struct sfk_row_tiles {
    /* map[c·plane + y·width + x]; nothing else is read. */
    const float *map;
    int64_t plane;
    int64_t channels;
    int64_t width;
    /* To the left: 0 to 2. */
    int64_t padding;
    int64_t tiles_per_row;
    int64_t first;
    /* At most SFK_MAX_ROW_TILES. */
    int64_t tiles;
    /* As pack_row_tiles leaves them, of packed_rows mixed maps; wanted are `rows` from first_row
     * on. */
    const float *weights;
    int64_t packed_rows;
    int64_t first_row;
    int64_t rows;
    /* Of mixed map 0. */
    float *to;
    int64_t to_plane;
    int64_t to_width;
    /* Where the sums start: at 0, or at what is there. */
    bool accumulate;
    /* The map is too large for a cache: what the next tiles need is asked for meanwhile. */
    bool from_memory;
    /* Or NULL: SFK_ROW_TILES_KEPT(rows) elements, in which the sums over the channels are left for
     * put_row_tiles of the same table; then no map is written. For at most SFK_KEPT_TILES tiles. */
    float *kept;
    /* SFK_ROW_TILES_SCRATCH(rows) elements. */
    float *scratch;
} sfk_row_tiles;

#define SFK_MAX_ROW_TILES 64
/* Channels whose points wait in a cache. */
#define SFK_ROW_TILE_CHANNELS 64

/* As many as the widest vector has lanes. */
#define SFK_KEPT_TILES 16
#define SFK_ROW_TILES_KEPT(rows) (SFK_WINOGRAD_WINDOW * (rows)*SFK_KEPT_TILES)

#define SFK_ROW_TILES_SCRATCH(rows)                                                                \
    (SFK_WINOGRAD_WINDOW * (((rows) + SFK_ROW_TILE_CHANNELS) * SFK_MAX_ROW_TILES + SFK_SLACK))

/* taps[m·row_step + 3·c + t] of mixed maps first_row <= m < end_row: all `rows`, or parts for
 * several calls that share the work. */
typedef struct sfk_row_taps {
    const float *taps;
    int64_t row_step;
    int64_t channels;
    int64_t rows;
    int64_t first_row;
    int64_t end_row;
} sfk_row_taps;

#endif
