/* SPDX-License-Identifier: BSD-2-Clause */
#include "pair_tile.h"

/* Pixels between a tile and the lines of the map that are asked for before they are written. */
#define ASKED_AHEAD 96

typedef struct stored_strip {
    pair_tile tile;
    /* Tiles side by side. The channels of a block are written in runs as long as all of them
     * together, since they lie in as many pages of memory. */
    int64_t tiles;
    int64_t channel;
} stored_strip;

/* Lines that are ASKED_AHEAD pixels behind those of tile `t`; behind the strip's last, those of the
 * block of channels below, or of the strip that follows. */
SFV_INLINE void ask_for(const stored_strip *strip, int64_t t, int rows, int vectors)
{
    const sfk_pair *pair = &strip->tile.pair;
    const int64_t width = vectors * SFV_LANES;
    const int64_t pixels = strip->tiles * width;
    const int64_t place = t * width + smaller(ASKED_AHEAD, pixels);
    const bool is_last = strip->channel + rows >= pair->channels;
    int64_t ahead = strip->channel * pair->plane + place;
    if (place >= pixels) {
        ahead += is_last ? -strip->channel * pair->plane : rows * pair->plane - pixels;
    }
    const float *to = pair->map + pair->first + strip->tile.column + ahead;
    SFV_UNROLL
    for (int m = 0; m < rows; m++, to += pair->plane) {
        SFV_UNROLL
        for (int at = 0; at < width; at += SFK_CACHE_LINE) {
            __builtin_prefetch(to + at, 1);
        }
    }
}

/* A block of channels of all tiles of the strip. */
SFV_INLINE void store_block(stored_strip *strip, int rows, int vectors)
{
    pair_tile *tile = &strip->tile;
    const sfk_pair *pair = &tile->pair;
    const int64_t first = tile->column;
    const float *weights = tile->weights;
    const float *taps = tile->taps;
    for (int64_t t = 0; t < strip->tiles; t++) {
        sfv sums[MAX_ROWS][MAX_VECTORS];
        weights = tile->weights;
        tile->column = first;
        ask_for(strip, t, rows, vectors);
        tile->column = first + t * vectors * SFV_LANES;
        start(sums, weights, rows, vectors);
        weights += rows;
        for (int64_t k = 0; k < pair->depth; k++) {
            multiply_add(sums, weights, taps, rows, vectors);
            weights += rows;
            taps += vectors * SFV_LANES;
            SFV_PASS_ON(weights, taps);
        }
        if (pair->residual_count) {
            add_residuals(sums, tile, strip->channel, rows, 1, vectors);
        }
        activate(sums, tile, rows, vectors);
        keep(tile, sums, strip->channel, rows, 1, vectors);
    }
    tile->column = first;
    tile->weights = weights;
    strip->channel += rows;
}

SFV_INLINE void store_if_compiled(stored_strip *strip, int64_t count, int rows, int vectors)
{
    for (; rows <= SFV_PAIR_ROWS && count > 0; count--) {
        store_block(strip, rows, vectors);
    }
}

#define STORED(rows, vectors)                                                                      \
    case (rows)*4 + (vectors):                                                                     \
        store_if_compiled(strip, count, rows, vectors);                                            \
        break;
#define STORED_ROWS(rows) STORED(rows, 1) STORED(rows, 2) STORED(rows, 3)

/* `count` blocks of `rows` channels: the one place where each shape of them is compiled. */
static void store_some(stored_strip *strip, int64_t count, int64_t rows, int64_t vectors)
{
    switch (rows * 4 + vectors) {
        STORED_ROWS(1)
        STORED_ROWS(2)
        STORED_ROWS(3)
        STORED_ROWS(4)
        STORED_ROWS(5)
        STORED_ROWS(6)
        STORED_ROWS(7)
        STORED_ROWS(8)
    default:
        break;
    }
}

/* Tap by tap, as each lies in a page of its own; those of the next strip are asked for. */
static void load_strip(const stored_strip *strip, int64_t vectors)
{
    const sfk_pair *pair = &strip->tile.pair;
    const int64_t width = vectors * SFV_LANES;
    const int64_t first = pair->first + strip->tile.column;
    for (int64_t k = 0; k < pair->depth; k++) {
        const float *from = pair->sources[k] + first;
        float *to = strip->tile.taps + k * width;
        for (int64_t t = 0; t < strip->tiles; t++, to += pair->depth * width, from += width) {
            for (int64_t v = 0; v < width; v += SFV_LANES) {
                __builtin_prefetch(from + strip->tiles * width + v);
                sfv_store(to + v, sfv_load(from + v));
            }
        }
    }
}

/* All channels of `tiles` tiles, of which the last may have fewer columns. */
static void store_tiles(stored_strip *strip, int64_t tiles, int64_t vectors, int64_t columns)
{
    pair_tile *tile = &strip->tile;
    const row_cut cut = cut_channels(tile->pair.channels, 0);
    strip->tiles = tiles;
    strip->channel = 0;
    tile->columns = columns;
    tile->weights = tile->pair.weights;
    load_strip(strip, vectors);
    if (cut.higher) {
        store_some(strip, cut.higher, cut.height + 1, vectors);
    }
    store_some(strip, cut.blocks - cut.higher, cut.height, vectors);
    tile->column += tiles * vectors * SFV_LANES;
}

/* Whole tiles in strips of nearly equal length, then what is left. */
void SFK_NAME(strip_store)(const sfk_pair *pair)
{
    stored_strip strip = {.tile = {.pair = *pair, .taps = pair->scratch}};
    const int64_t width = WIDE * SFV_LANES;
    const int64_t vectors = (pair->columns + SFV_LANES - 1) / SFV_LANES;
    const int64_t most = sfk_stored_pixels(pair->depth) / width;
    /* Two of two vectors rather than one of one, as below. */
    const int64_t tiles =
        vectors % WIDE == 1 && vectors > 1 ? vectors / WIDE - 1 : pair->columns / width;
    const int64_t strips = (tiles + most - 1) / most;
    for (int64_t i = 0; i < strips; i++) {
        store_tiles(&strip, tiles / strips + (i < tiles % strips), WIDE, width);
    }
    while (strip.tile.column < pair->columns) {
        const int64_t left = pair->columns - strip.tile.column;
        const int64_t rest = (left + SFV_LANES - 1) / SFV_LANES;
        const int64_t next = rest > WIDE ? 2 : rest;
        store_tiles(&strip, 1, next, smaller(left, next * SFV_LANES));
    }
}
