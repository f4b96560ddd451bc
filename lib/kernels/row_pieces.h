/* SPDX-License-Identifier: BSD-2-Clause */
/* For row_tiles: mixed maps of any width, whose vectors are written in pieces of rows. */
#ifndef SFK_ROW_PIECES_H
#define SFK_ROW_PIECES_H

#include "tile_points.h"

#include <stddef.h>

#define VECTOR_TILES (SFV_LANES / TILE)

/* Lanes of a vector that lie in one row: lane n is the element at place + n. */
typedef struct row_piece {
    int64_t place;
    int32_t first;
    int32_t end;
    /* Their bits. */
    uint32_t lanes;
} row_piece;

/* Columns of tiles that follow each other; those outside of their row belong to no piece. */
typedef struct row_vector {
    row_piece pieces[VECTOR_TILES];
    int32_t count;
    bool is_whole;
} row_vector;

/* Of as many tiles as a vector has lanes. */
typedef row_vector row_group[TILE];

typedef struct tile_place {
    int64_t row;
    int64_t tile;
    /* That are still to come. */
    int64_t left;
} tile_place;

/* Of rows that tiles fill the next row follows the last as if they were one. */
static void add_piece(row_vector *vector, int64_t place, int64_t first, int64_t end)
{
    const uint32_t lanes = (1u << end) - (1u << first);
    row_piece *last = vector->count > 0 ? &vector->pieces[vector->count - 1] : NULL;
    if (last && last->place == place) {
        last->end = (int32_t)end;
        last->lanes |= lanes;
    } else {
        vector->pieces[vector->count++] = (row_piece){
            .place = place, .first = (int32_t)first, .end = (int32_t)end, .lanes = lanes};
    }
}

/* The vector whose first tile is at `at`, which moves on behind its last. */
static void cut_vector(row_vector *vector, const sfk_row_tiles *strip, tile_place *at)
{
    *vector = (row_vector){.count = 0};
    for (int64_t lane = 0; lane < SFV_LANES && at->left > 0;) {
        const int64_t tiles =
            smaller(smaller(strip->tiles_per_row - at->tile, at->left), (SFV_LANES - lane) / TILE);
        const int64_t begin = TILE * at->tile;
        const int64_t end = lane + smaller(TILE * tiles, strip->to_width - begin);
        if (end > lane) {
            add_piece(vector, at->row * strip->to_width + begin - lane, lane, end);
        }
        lane += TILE * tiles;
        at->left -= tiles;
        at->tile += tiles;
        if (at->tile == strip->tiles_per_row) {
            at->tile = 0;
            at->row++;
        }
    }
    vector->is_whole = vector->count == 1 && vector->pieces[0].lanes == (1u << SFV_LANES) - 1;
}

/* Where the columns of the groups lie in a mixed map. */
static void find_places(row_group places[MAX_GROUPS], const sfk_row_tiles *strip)
{
    tile_place at = {.row = strip->first / strip->tiles_per_row,
                     .tile = strip->first % strip->tiles_per_row,
                     .left = strip->tiles};
    for (int64_t tile = 0; tile < strip->tiles; tile += SFV_LANES) {
        for (int v = 0; v < TILE; v++) {
            cut_vector(&places[tile / SFV_LANES][v], strip, &at);
        }
    }
}

/* Zeros where no piece is. */
SFV_INLINE sfv load_pieces(const float *plane, const row_vector *vector)
{
    if (vector->is_whole) {
        return sfv_load(plane + vector->pieces[0].place);
    }
    const row_piece *piece = vector->pieces;
    sfv value = sfv_load_set(sfv_zero(), plane + piece->place, piece->lanes);
    for (int32_t i = 1; i < vector->count; i++) {
        piece++;
        value = sfv_load_set(value, plane + piece->place, piece->lanes);
    }
    return value;
}

SFV_INLINE void store_pieces(float *plane, const row_vector *vector, sfv value, bool accumulate)
{
    if (accumulate) {
        value = sfv_add(load_pieces(plane, vector), value);
    }
    if (vector->is_whole) {
        sfv_store(plane + vector->pieces[0].place, value);
        return;
    }
    for (int32_t i = 0; i < vector->count; i++) {
        const row_piece *piece = &vector->pieces[i];
        sfv_store_range(plane + piece->place, value, piece->first, piece->end);
    }
}

/* A group of one mixed map, whose sums at the points are `stride` apart. */
SFV_INLINE void put_group(const sfk_row_tiles *strip, int64_t row, const row_group places,
                          const float *sums, int64_t stride)
{
    float *to = strip->to + (strip->first_row + row) * strip->to_plane;
    sfv columns[TILE];
    columns_of_sums(columns, sums, stride);
    SFV_UNROLL
    for (int v = 0; v < TILE; v++) {
        store_pieces(to, &places[v], columns[v], strip->accumulate);
    }
}

static void put_rows(const sfk_row_tiles *strip, const float *sums, int64_t span)
{
    row_group places[MAX_GROUPS];
    find_places(places, strip);
    for (int64_t row = 0; row < strip->rows; row++) {
        for (int64_t g = 0; g < groups_of(strip); g++) {
            put_group(strip, row, places[g], sums + row * span + g * SFV_LANES, strip->rows * span);
        }
    }
}

#endif
