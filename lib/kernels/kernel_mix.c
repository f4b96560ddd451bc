/* SPDX-License-Identifier: BSD-2-Clause */
#include "cuts.h"

/* A tile is some rows of sums, a few vectors of pixels wide, in registers. The channels of its
 * pixels lie side by side in a panel, [channel][pixel of the tile]: in the map they are a plane
 * apart, each in a page of its own and many of them in the same sets of a cache. */
#define TILE_SUMS (SFV_TILE_ROWS * SFV_TILE_VECTORS)
/* A vector that would be left over joins the tile before it, which is the lower for it. */
#define MAX_VECTORS (SFV_TILE_VECTORS + 1)

/* Lines of the map that are asked for while a panel is worked on: as many of each channel as the
 * panel is wide. */
typedef struct lines_ahead {
    const float *next;
    int64_t step;
} lines_ahead;

/* Where a tile lies, and the panel of its pixels. */
typedef struct mix_place {
    const float *panel;
    int64_t row;
    int64_t column;
    /* Lanes of the last vector that are wanted, 0 for all. */
    int64_t tail;
    lines_ahead ahead;
} mix_place;

SFV_INLINE void start_sums(sfv (*sums)[MAX_VECTORS], const sfk_mix *mix, const mix_place *place,
                           int64_t row, int rows, int vectors)
{
    const float *to = mix->to + row * mix->to_stride + place->column;
    SFV_UNROLL
    for (int m = 0; m < rows; m++, to += mix->to_stride) {
        const sfv start = mix->bias ? sfv_set1(mix->bias[row + m]) : sfv_zero();
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            const int64_t lanes = lanes_of_vector(v, vectors, place->tail);
            sums[m][v] = mix->accumulate ? sfv_load_lanes(to + v * SFV_LANES, lanes) : start;
        }
    }
}

SFV_INLINE void store_sums(sfv (*sums)[MAX_VECTORS], const sfk_mix *mix, const mix_place *place,
                           int64_t row, int rows, int vectors)
{
    float *to = mix->to + row * mix->to_stride + place->column;
    SFV_UNROLL
    for (int m = 0; m < rows; m++, to += mix->to_stride) {
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            sfv_store_lanes(to + v * SFV_LANES, sums[m][v],
                            lanes_of_vector(v, vectors, place->tail));
        }
    }
}

/* `count` tiles, one below the other; `rows` and `vectors` are constants at every call. */
SFV_INLINE void run_tiles(const sfk_mix *mix, const mix_place *place, int64_t count, int rows,
                          int vectors)
{
    const int64_t channels = mix->channels;
    const int64_t step = mix->weight_step;
    const float *ahead = place->ahead.next;
    int64_t ahead_step = place->ahead.step;
    int64_t row = place->row;
    for (; count > 0; count--, row += rows) {
        sfv sums[SFV_TILE_ROWS][MAX_VECTORS];
        const float *weights[SFV_TILE_ROWS];
        const float *pixels = place->panel;
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            weights[m] = mix->weights[row + m];
            /* Each in a register of its own, not in a vector of addresses. */
            __asm__("" : "+r"(weights[m]));
        }
        start_sums(sums, mix, place, row, rows, vectors);
        int64_t at = 0;
        for (int64_t c = 0; c < channels; c++, at += step) {
            sfv kept[MAX_VECTORS];
            SFV_UNROLL
            for (int line = 0; line < vectors * SFV_LANES; line += SFK_CACHE_LINE) {
                __builtin_prefetch(ahead + line);
            }
            ahead += ahead_step;
            SFV_UNROLL
            for (int v = 0; v < vectors; v++) {
                kept[v] = sfv_load(pixels + v * SFV_LANES);
            }
            pixels += vectors * SFV_LANES;
            SFV_PASS_ON(pixels, ahead);
            SFV_UNROLL
            for (int m = 0; m < rows; m++) {
                const sfv weight = sfv_set1(weights[m][at]);
                SFV_UNROLL
                for (int v = 0; v < vectors; v++) {
                    sums[m][v] = sfv_fma(weight, kept[v], sums[m][v]);
                }
            }
        }
        /* Once is enough. */
        ahead_step = 0;
        store_sums(sums, mix, place, row, rows, vectors);
    }
}

SFV_INLINE void run_if_compiled(const sfk_mix *mix, const mix_place *place, int64_t count, int rows,
                                int vectors)
{
    if (rows <= SFV_TILE_ROWS && vectors <= MAX_VECTORS && rows * vectors <= TILE_SUMS) {
        run_tiles(mix, place, count, rows, vectors);
    }
}

#define SHAPE(rows, vectors)                                                                       \
    case (rows)*8 + (vectors):                                                                     \
        run_if_compiled(mix, place, count, rows, vectors);                                         \
        break;
#define SHAPES(rows) SHAPE(rows, 1) SHAPE(rows, 2) SHAPE(rows, 3) SHAPE(rows, 4)

/* The one place where each shape of tile is compiled. */
static void run_some(const sfk_mix *mix, const mix_place *place, int64_t count, int64_t rows,
                     int64_t vectors)
{
    switch (rows * 8 + vectors) {
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

/* All rows of a tile's pixels, in tiles of nearly equal height. */
static void run_rows(const sfk_mix *mix, mix_place *place, int64_t vectors)
{
    const row_cut cut = cut_rows(mix->rows, smaller(TILE_SUMS / vectors, SFV_TILE_ROWS));
    place->row = 0;
    if (cut.higher) {
        run_some(mix, place, cut.higher, cut.height + 1, vectors);
        place->row = cut.higher * (cut.height + 1);
        place->ahead.step = 0;
    }
    run_some(mix, place, cut.blocks - cut.higher, cut.height, vectors);
}

/* Vectors of the tile that begins where `rest` of them are left. */
SFV_INLINE int64_t next_vectors(int64_t rest)
{
    return rest <= MAX_VECTORS ? rest : SFV_TILE_VECTORS;
}

/* The strip's pixels into panels, channel by channel, so that each page is looked up once. */
static void bring_together(const sfk_mix *mix, int64_t column, int64_t columns)
{
    const int64_t vectors = (columns + SFV_LANES - 1) / SFV_LANES;
    for (int64_t c = 0; c < mix->channels; c++) {
        const float *from = mix->map + c * mix->plane + column;
        float *panel = mix->scratch;
        for (int64_t rest = vectors, count; rest > 0; rest -= count) {
            count = next_vectors(rest);
            float *to = panel + c * count * SFV_LANES;
            for (int64_t v = 0; v < count; v++) {
                sfv_store(to + v * SFV_LANES, sfv_load(from + v * SFV_LANES));
            }
            panel += mix->channels * count * SFV_LANES;
            from += count * SFV_LANES;
        }
    }
}

/* Strips of nearly equal width, in whole vectors of any machine. */
static int64_t strip_width(const sfk_mix *mix)
{
    const int64_t strips = (mix->columns + mix->strip - 1) / mix->strip;
    const int64_t width = (mix->columns + strips - 1) / strips;
    return (width + SFK_SLACK - 1) / SFK_SLACK * SFK_SLACK;
}

void SFK_NAME(strip_mix)(const sfk_mix *mix)
{
    const sfk_mix view = *mix;
    const int64_t width = mix->columns ? strip_width(mix) : 1;
    for (int64_t column = 0; column < view.columns; column += width) {
        const int64_t columns = smaller(width, view.columns - column);
        int64_t rest = (columns + SFV_LANES - 1) / SFV_LANES;
        mix_place place = {.panel = view.scratch, .column = column};
        bring_together(&view, column, columns);
        while (rest > 0) {
            const int64_t vectors = next_vectors(rest);
            place.ahead = (lines_ahead){view.map + place.column + width, view.plane};
            rest -= vectors;
            place.tail = rest == 0 ? columns % SFV_LANES : 0;
            run_rows(&view, &place, vectors);
            place.panel += view.channels * vectors * SFV_LANES;
            place.column += vectors * SFV_LANES;
        }
    }
}
