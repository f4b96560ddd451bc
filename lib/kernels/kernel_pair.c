/* SPDX-License-Identifier: BSD-2-Clause */
/* The sums of a tile stay in registers from the taps to the mixed maps, so that no channel is ever
 * stored unless somebody reads it. */
#include "pair_tile.h"

#define MAX_MAPS 4

/* Mixed maps that are summed side by side: each is a chain of multiply-adds as long as its block is
 * high, and few chains are waited for. As many as find registers beside the block. */
SFV_INLINE int maps_at_once(int rows, int vectors)
{
    const int maps = (SFV_REGISTERS - rows * vectors) / (vectors + 1);
    return maps < 1 ? 1 : maps < MAX_MAPS ? maps : MAX_MAPS;
}

/* A block of channels in `maps` mixed maps, one behind the other; the sums of a map are one chain
 * in the order of the channels. */
SFV_INLINE void mix(float *to, const float *weights, sfv (*channels)[MAX_VECTORS], int rows,
                    int vectors, int maps)
{
    sfv sums[MAX_MAPS * MAX_VECTORS];
    SFV_UNROLL
    for (int v = 0; v < maps * vectors; v++) {
        sums[v] = sfv_load(to + v * SFV_LANES);
    }
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        SFV_UNROLL
        for (int j = 0; j < maps; j++) {
            const sfv weight = sfv_set1(weights[j * rows + m]);
            SFV_UNROLL
            for (int v = 0; v < vectors; v++) {
                sums[j * vectors + v] = sfv_fma(weight, channels[m][v], sums[j * vectors + v]);
            }
        }
    }
    SFV_UNROLL
    for (int v = 0; v < maps * vectors; v++) {
        sfv_store(to + v * SFV_LANES, sums[v]);
    }
}

/* A block that has fewer channels than vectors in one map: its weights are kept, not the sums. */
SFV_INLINE void mix_low(float *to, const float *weights, sfv (*channels)[MAX_VECTORS], int rows,
                        int vectors)
{
    sfv kept[MAX_ROWS];
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        kept[m] = sfv_set1(weights[m]);
    }
    SFV_UNROLL
    for (int v = 0; v < vectors; v++) {
        sfv sum = sfv_load(to + v * SFV_LANES);
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            sum = sfv_fma(kept[m], channels[m][v], sum);
        }
        sfv_store(to + v * SFV_LANES, sum);
    }
}

/* A block of channels in the next `count` maps. */
SFV_INLINE void mix_all(float **maps, const float **weights_of_maps, int64_t count,
                        sfv (*channels)[MAX_VECTORS], int rows, int vectors)
{
    const int several = maps_at_once(rows, vectors);
    float *at = *maps;
    const float *weights = *weights_of_maps;
    int64_t j = 0;
    for (; several > 1 && j + several <= count; j += several) {
        mix(at, weights, channels, rows, vectors, several);
        weights += several * rows;
        at += several * vectors * SFV_LANES;
        SFV_PASS_ON(weights, at);
    }
    for (; j < count; j++) {
        if (vectors > rows) {
            mix_low(at, weights, channels, rows, vectors);
        } else {
            mix(at, weights, channels, rows, vectors, 1);
        }
        weights += rows;
        at += vectors * SFV_LANES;
        SFV_PASS_ON(weights, at);
    }
    *maps = at;
    *weights_of_maps = weights;
}

/* Windows of two rows: one vector of them from two of each row, in the order of sfv_in_order().
 * Lanes that are no window's hold anything. */
SFV_INLINE void pool(sfv (*windows)[MAX_VECTORS], sfv (*sums)[MAX_VECTORS], int rows, int vectors,
                     bool numbers)
{
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        const sfv *upper = sums[m];
        const sfv *lower = sums[m] + vectors;
        const int next = vectors - 1;
        windows[m][0] = numbers ? sfv_pool_numbers(upper[0], upper[next], lower[0], lower[next])
                                : sfv_pool_pairs(upper[0], upper[next], lower[0], lower[next]);
    }
}

/* `count` blocks of `rows` channels, `height` rows of `vectors` of pixels: constants at every
 * call, so that the arrays become registers. Taps, mixed and pooled maps follow each other. */
SFV_INLINE void run_blocks(pair_tile *tile, int64_t channel, int64_t count, int rows, int height,
                           int vectors, bool numbers)
{
    const sfk_pair *pair = &tile->pair;
    const int all = height * vectors;
    const int64_t depth = pair->depth;
    const int64_t mixed_count = pair->mixed_count;
    const int64_t pooled_count = pair->pooled_count;
    float *const taps = tile->taps;
    const float *weights = tile->weights;
    for (; count > 0; count--, channel += rows) {
        sfv sums[MAX_ROWS][MAX_VECTORS];
        start(sums, weights, rows, all);
        weights += rows;
        float *at = taps;
        for (int64_t k = 0; k < depth; k++) {
            multiply_add(sums, weights, at, rows, all);
            weights += rows;
            at += all * SFV_LANES;
            SFV_PASS_ON(weights, at);
        }
        if (pair->residual_count) {
            add_residuals(sums, tile, channel, rows, height, vectors);
        }
        activate(sums, tile, rows, all);
        if (pair->map) {
            keep(tile, sums, channel, rows, height, vectors);
        }
        mix_all(&at, &weights, mixed_count, sums, rows, all);
        if (height == 1) {
            weights += pooled_count * rows;
            continue;
        }
        sfv windows[MAX_ROWS][MAX_VECTORS];
        pool(windows, sums, rows, vectors, numbers);
        mix_all(&at, &weights, pooled_count, windows, rows, 1);
    }
    tile->weights = weights;
}

SFV_INLINE void run_if_compiled(pair_tile *tile, int64_t channel, int64_t count, int rows,
                                int height, int vectors)
{
    const bool flat = height == 1 && rows <= SFV_PAIR_ROWS && vectors <= WIDE;
    const bool paired = height == 2 && rows <= SFV_POOLED_ROWS && vectors <= PAIRED;
    if (paired && !tile->numbers) {
        run_blocks(tile, channel, count, rows, height, vectors, false);
    } else if (flat || paired) {
        run_blocks(tile, channel, count, rows, height, vectors, true);
    }
}

#define SHAPE(rows, height, vectors)                                                               \
    case ((rows)*4 + (height)) * 4 + (vectors):                                                    \
        run_if_compiled(tile, channel, count, rows, height, vectors);                              \
        break;
#define SHAPES(rows)                                                                               \
    SHAPE(rows, 1, 1)                                                                              \
    SHAPE(rows, 1, 2) SHAPE(rows, 1, 3) SHAPE(rows, 2, 1) SHAPE(rows, 2, 2)

/* The one place where each shape of tile is compiled. */
static void run_some(pair_tile *tile, int64_t channel, int64_t count, int64_t rows, int64_t height,
                     int64_t vectors)
{
    switch ((rows * 4 + height) * 4 + vectors) {
        SHAPES(1)
        SHAPES(2)
        SHAPES(3)
        SHAPES(4)
        SHAPES(5)
        SHAPES(6)
        SHAPES(7)
        SHAPES(8)
    default:
        break;
    }
}

SFV_INLINE void load_taps(const pair_tile *tile, int height, int vectors)
{
    const sfk_pair *pair = &tile->pair;
    const int64_t first = pair->first + tile->column;
    float *to = tile->taps;
    for (int64_t k = 0; k < pair->depth; k++) {
        SFV_UNROLL
        for (int row = 0; row < height; row++) {
            const float *from = pair->sources[k] + first + row * pair->lower;
            SFV_UNROLL
            for (int v = 0; v < vectors; v++, to += SFV_LANES) {
                sfv_store(to, sfv_load(from + v * SFV_LANES));
            }
        }
    }
}

SFV_INLINE void start_mixed(const pair_tile *tile, int height, int vectors)
{
    const sfk_pair *pair = &tile->pair;
    float *to = tile->mixed;
    for (int64_t j = 0; j < pair->mixed_count; j++) {
        const sfk_mixed *map = &pair->mixed[j];
        const float *from = map->to + pair->mixed_first;
        const sfv start = sfv_set1(map->start);
        SFV_UNROLL
        for (int v = 0; v < height * vectors; v++, to += SFV_LANES) {
            const int64_t lanes = map->accumulate ? lanes_of(tile, v, vectors) : 0;
            sfv_store(to,
                      lanes > 0 ? sfv_load_lanes(from + place_of(tile, v, vectors), lanes) : start);
        }
    }
    for (int64_t j = 0; height == 2 && j < pair->pooled_count; j++) {
        sfv_store(tile->pooled + j * SFV_LANES, sfv_set1(pair->pooled[j].start));
    }
}

SFV_INLINE void store_mixed(const pair_tile *tile, int height, int vectors)
{
    const sfk_pair *pair = &tile->pair;
    const bool whole = tile->columns == vectors * SFV_LANES;
    const int64_t windows = smaller(SFV_LANES, tile->columns / 2);
    const float *from = tile->mixed;
    for (int64_t j = 0; j < pair->mixed_count; j++) {
        float *to = pair->mixed[j].to + pair->mixed_first;
        SFV_UNROLL
        for (int v = 0; v < height * vectors; v++, from += SFV_LANES) {
            const int64_t lanes = whole ? SFV_LANES : lanes_of(tile, v, vectors);
            if (lanes > 0) {
                sfv_store_lanes(to + place_of(tile, v, vectors), sfv_load(from), lanes);
            }
        }
    }
    for (int64_t j = 0; height == 2 && windows > 0 && j < pair->pooled_count; j++) {
        sfv_store_lanes(pair->pooled[j].to + pair->pooled_first + tile->column / 2,
                        sfv_in_order(sfv_load(tile->pooled + j * SFV_LANES)), windows);
    }
}

/* A channel that is a NaN makes the first mixed map one. */
SFV_INLINE bool finds_nan(const pair_tile *tile, int vectors)
{
    bool found = false;
    SFV_UNROLL
    for (int v = 0; v < 2 * vectors; v++) {
        found |= sfv_has_nan(sfv_load(tile->mixed + v * SFV_LANES));
    }
    return found;
}

SFV_INLINE void run_channels(pair_tile *tile, int height, int vectors)
{
    const sfk_pair *pair = &tile->pair;
    const row_cut cut = tile->cut;
    const int64_t first = cut.higher * (cut.height + 1);
    tile->weights = pair->weights;
    start_mixed(tile, height, vectors);
    if (cut.higher) {
        run_some(tile, 0, cut.higher, cut.height + 1, height, vectors);
    }
    run_some(tile, first, cut.blocks - cut.higher, cut.height, height, vectors);
}

SFV_INLINE void run_tile(pair_tile *tile, int height, int vectors)
{
    const int64_t tap = height * vectors * SFV_LANES;
    tile->mixed = tile->taps + tile->pair.depth * tap;
    tile->pooled = tile->mixed + tile->pair.mixed_count * tap;
    load_taps(tile, height, vectors);
    /* A NaN is looked for in the first mixed map when all channels are mixed. */
    tile->numbers = tile->pair.mixed_count > 0;
    run_channels(tile, height, vectors);
    if (height == 2 && tile->numbers && finds_nan(tile, vectors)) {
        tile->numbers = false;
        run_channels(tile, height, vectors);
    }
    store_mixed(tile, height, vectors);
}

/* Tiles as wide as the registers allow; two of two vectors rather than one of one, which has too
 * few sums to hide the latency of the multiply-add. */
void SFK_NAME(strip_pair)(const sfk_pair *pair)
{
    pair_tile tile = {.pair = *pair,
                      .taps = pair->scratch,
                      .cut = cut_channels(pair->channels, pair->pooled_count)};
    const int64_t most = pair->rows == 2 ? PAIRED : WIDE;
    int64_t rest = (pair->columns + SFV_LANES - 1) / SFV_LANES;
    while (rest > 0) {
        const int64_t vectors = rest == most + 1 && most == WIDE ? 2 : smaller(rest, most);
        tile.columns = smaller(vectors * SFV_LANES, pair->columns - tile.column);
        switch (pair->rows * 4 + vectors) {
        case 4 + 1:
            run_tile(&tile, 1, 1);
            break;
        case 4 + 2:
            run_tile(&tile, 1, 2);
            break;
        case 4 + 3:
            run_tile(&tile, 1, 3);
            break;
        case 8 + 1:
            run_tile(&tile, 2, 1);
            break;
        default:
            run_tile(&tile, 2, 2);
        }
        tile.column += vectors * SFV_LANES;
        rest -= vectors;
    }
}
