/* SPDX-License-Identifier: BSD-2-Clause */
#include "cuts.h"

#include <math.h>

/* Sums of a tile, one register each; the rest of the registers serves columns and weights. */
#define TILE_SUMS (SFV_TILE_ROWS * SFV_TILE_VECTORS)
/* Vectors side by side in a tile of few rows: enough sums to hide the latency of the multiply-add,
 * few enough to divide a strip. */
#define MAX_VECTORS 6
/* A tile no wider than this takes one vector more. */
#define MAX_JOINED 3
/* Shallow sums: sources that fit the registers beside the sums of one row. With few registers a row
 * has few sums at a time, and its chain is waited for where it is longer than this. */
#define HELD_SOURCES TILE_SUMS
#if SFV_TILE_ROWS > 6
#define MAX_HELD_DEPTH 12
#else
#define MAX_HELD_DEPTH 4
#endif
#define MAX_HELD_VECTORS 4

/* Whether the sources of the next product are asked for: where a step has many multiply-adds to do
 * it between; with few it takes longer than it saves. */
#define ASKS_FOR_NEXT (TILE_SUMS > 16)

/* What a tile needs of its strip, in registers or on the stack: a store could change the strip as
 * far as the compiler knows. */
typedef struct strip_view {
    sfk_strip strip;
    /* Every activated value is at least this. */
    float floor;
} strip_view;

typedef struct tile_place {
    int64_t row;
    int64_t column;
    /* Lanes of the last vector that are wanted, 0 for all. */
    int64_t tail;
} tile_place;

SFV_INLINE int vectors_of(int rows)
{
    const int vectors = TILE_SUMS / rows;
    return vectors < MAX_VECTORS ? vectors : MAX_VECTORS;
}

SFV_INLINE void store_row(float *to, const sfv *sums, sfv floor, int vectors, int64_t tail)
{
    SFV_UNROLL
    for (int v = 0; v < vectors - 1; v++) {
        sfv_store(to + v * SFV_LANES, sfv_max(floor, sums[v]));
    }
    const sfv last = sfv_max(floor, sums[vectors - 1]);
    if (tail) {
        sfv_store_part(to + (vectors - 1) * SFV_LANES, last, tail);
    } else {
        sfv_store(to + (vectors - 1) * SFV_LANES, last);
    }
}

SFV_INLINE void load_row(sfv *sums, const float *to, int vectors, int64_t tail)
{
    SFV_UNROLL
    for (int v = 0; v < vectors - 1; v++) {
        sums[v] = sfv_load(to + v * SFV_LANES);
    }
    to += (vectors - 1) * SFV_LANES;
    sums[vectors - 1] = tail ? sfv_load_part(to, tail) : sfv_load(to);
}

SFV_INLINE void set_row(sfv *sums, sfv start, int vectors)
{
    SFV_UNROLL
    for (int v = 0; v < vectors; v++) {
        sums[v] = start;
    }
}

/* Where the sums of `rows` rows start. */
SFV_INLINE void start_rows(sfv (*sums)[MAX_VECTORS], const sfk_strip *strip, int64_t row,
                           int64_t column, int rows, int vectors, int64_t tail)
{
    if (strip->accumulate) {
        const float *to = strip->to + row * strip->to_stride + column;
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            load_row(sums[m], to + m * strip->to_stride, vectors, tail);
        }
    } else if (strip->bias) {
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            set_row(sums[m], sfv_set1(strip->bias[row + m]), vectors);
        }
    } else {
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            set_row(sums[m], sfv_zero(), vectors);
        }
    }
}

SFV_INLINE void store_rows(const sfk_strip *strip, sfv (*sums)[MAX_VECTORS], int64_t row,
                           int64_t column, sfv floor, int rows, int vectors, int64_t tail)
{
    float *to = strip->to + row * strip->to_stride + column;
    if (tail) {
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            store_row(to + m * strip->to_stride, sums[m], floor, vectors, tail);
        }
        return;
    }
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        store_row(to + m * strip->to_stride, sums[m], floor, vectors, 0);
    }
}

SFV_INLINE void add_residuals(sfv *sums, const sfk_strip *strip, int64_t row, int64_t column,
                              int vectors)
{
    const int64_t at = row * strip->residual_stride + strip->first + column;
    for (int64_t i = 0; i < strip->residual_count; i++) {
        const float *residual = strip->residuals[i] + at;
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            sums[v] = sfv_add(sums[v], sfv_load(residual + v * SFV_LANES));
        }
    }
}

/* One source more in every sum. The shorter side of the tile is loaded first and kept. */
SFV_INLINE void add_source(sfv (*sums)[MAX_VECTORS], const float *const *weights, int64_t at,
                           const float *source, int rows, int vectors)
{
    /* One address a step: compilers else keep an index register for each vector. */
    __asm__("" : "+r"(source));
    sfv kept[SFV_TILE_ROWS];
    if (vectors > rows) {
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            kept[m] = sfv_set1(weights[m][at]);
        }
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            const sfv column = sfv_load(source + v * SFV_LANES);
            SFV_UNROLL
            for (int m = 0; m < rows; m++) {
                sums[m][v] = sfv_fma(kept[m], column, sums[m][v]);
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
        const sfv weight = sfv_set1(weights[m][at]);
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            sums[m][v] = sfv_fma(weight, kept[v], sums[m][v]);
        }
    }
}

/* `count` tiles of `rows` x `vectors` registers, one below the other. Both are constants at every
 * call, so that the arrays become registers. */
SFV_INLINE void run_tiles(const strip_view *view, const tile_place *place, int64_t count, int rows,
                          int vectors)
{
    const sfk_strip strip = view->strip;
    const float floor = view->floor;
    const int64_t first = strip.first + place->column;
    const int64_t tail = place->tail;
    /* Without a next product, lines that come anyway: no branch in the sums. */
    const float *const *next = strip.next ? strip.next : strip.sources;
    const int64_t line = strip.next ? SFK_CACHE_LINE : 0;
    int64_t ahead = (strip.next ? strip.next_first : strip.first) + place->column;
    int64_t row = place->row;
    for (; count > 0; count--, row += rows, ahead += line) {
        sfv sums[SFV_TILE_ROWS][MAX_VECTORS];
        const float *weights[SFV_TILE_ROWS];
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            weights[m] = strip.weights[row + m] + strip.weight_first;
            /* Each in a register of its own, not in a vector of addresses. */
            __asm__("" : "+r"(weights[m]));
        }
        start_rows(sums, &strip, row, place->column, rows, vectors, tail);
        int64_t at = 0;
        for (int64_t k = 0; k < strip.depth; k++, at += strip.weight_step) {
            if (ASKS_FOR_NEXT) {
                __builtin_prefetch(next[k] + ahead);
            }
            add_source(sums, weights, at, strip.sources[k] + first, rows, vectors);
        }
        if (strip.residual_count) {
            SFV_UNROLL
            for (int m = 0; m < rows; m++) {
                add_residuals(sums[m], &strip, row + m, place->column, vectors);
            }
        }
        store_rows(&strip, sums, row, place->column, sfv_set1(floor), rows, vectors, tail);
    }
}

/* The sources stay in registers and the rows pass by, each a short chain. `depth` and `vectors` are
 * constants at every call. */
SFV_INLINE void run_held(const strip_view *view, int64_t column, int64_t tail, int depth,
                         int vectors)
{
    const sfk_strip *strip = &view->strip;
    const float *const *rows = strip->weights;
    const int64_t step = strip->weight_step;
    const sfv floor = sfv_set1(view->floor);
    sfv held[MAX_HELD_DEPTH][MAX_HELD_VECTORS];
    float *to = strip->to + column;
    SFV_UNROLL
    for (int k = 0; k < depth; k++) {
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            held[k][v] = sfv_load(strip->sources[k] + strip->first + column + v * SFV_LANES);
        }
    }
    for (int64_t row = 0; row < strip->rows; row++, to += strip->to_stride) {
        const float *weights = rows[row] + strip->weight_first;
        sfv sums[MAX_HELD_VECTORS];
        set_row(sums, strip->bias ? sfv_set1(strip->bias[row]) : sfv_zero(), vectors);
        SFV_UNROLL
        for (int k = 0; k < depth; k++) {
            const sfv weight = sfv_set1(weights[k * step]);
            SFV_UNROLL
            for (int v = 0; v < vectors; v++) {
                sums[v] = sfv_fma(weight, held[k][v], sums[v]);
            }
        }
        add_residuals(sums, strip, row, column, vectors);
        store_row(to, sums, floor, vectors, tail);
    }
}

SFV_INLINE int held_vectors(int depth)
{
    const int vectors = HELD_SOURCES / depth;
    return vectors < MAX_HELD_VECTORS ? vectors : MAX_HELD_VECTORS;
}

SFV_INLINE void hold_if_fits(const strip_view *view, int64_t column, int64_t tail, int depth,
                             int vectors)
{
    if (depth <= MAX_HELD_DEPTH && vectors <= held_vectors(depth)) {
        run_held(view, column, tail, depth, vectors);
    }
}

#define HOLD(depth, vectors)                                                                       \
    case (depth)*8 + (vectors):                                                                    \
        hold_if_fits(view, column, tail, depth, vectors);                                          \
        break;
#define HOLD_DEPTH(depth) HOLD(depth, 1) HOLD(depth, 2) HOLD(depth, 3) HOLD(depth, 4)

/* The one place where each shape of held sources is compiled. */
static void hold_some(const strip_view *view, int64_t column, int64_t tail, int64_t vectors)
{
    switch (view->strip.depth * 8 + vectors) {
        HOLD_DEPTH(1)
        HOLD_DEPTH(2)
        HOLD_DEPTH(3)
        HOLD_DEPTH(4)
        HOLD_DEPTH(5)
        HOLD_DEPTH(6)
        HOLD_DEPTH(8)
        HOLD_DEPTH(9)
        HOLD_DEPTH(12)
    default:
        break;
    }
}

static bool can_hold(const sfk_strip *strip)
{
    const int64_t depth = strip->depth;
    const bool compiled = (depth >= 1 && depth <= 6) || depth == 8 || depth == 9 || depth == 12;
    return compiled && depth <= MAX_HELD_DEPTH && strip->rows > SFV_TILE_ROWS && !strip->accumulate;
}

SFV_INLINE void tiles_if_fit(const strip_view *view, const tile_place *place, int64_t count,
                             int rows, int vectors)
{
    if (rows <= SFV_TILE_ROWS && vectors <= vectors_of(rows)) {
        run_tiles(view, place, count, rows, vectors);
    }
}

#define TILE(rows, vectors)                                                                        \
    case (rows)*8 + (vectors):                                                                     \
        tiles_if_fit(view, place, count, rows, vectors);                                           \
        break;
#define TILE_ROW(rows)                                                                             \
    TILE(rows, 1) TILE(rows, 2) TILE(rows, 3) TILE(rows, 4) TILE(rows, 5) TILE(rows, 6)

/* The one place where each shape of tile is compiled. */
static void tile_some(const strip_view *view, const tile_place *place, int64_t count, int64_t rows,
                      int64_t vectors)
{
    switch (rows * 8 + vectors) {
        TILE_ROW(1)
        TILE_ROW(2)
        TILE_ROW(3)
        TILE_ROW(4)
        TILE_ROW(5)
        TILE_ROW(6)
        TILE_ROW(7)
        TILE_ROW(8)
    default:
        break;
    }
}

/* All rows of a few columns. */
static void tile_columns(const strip_view *view, const row_cut *cut, int64_t column, int64_t tail,
                         int64_t vectors)
{
    tile_place place = {0, column, tail};
    if (cut->higher) {
        tile_some(view, &place, cut->higher, cut->height + 1, vectors);
        place.row = cut->higher * (cut->height + 1);
    }
    tile_some(view, &place, cut->blocks - cut->higher, cut->height, vectors);
}

/* The strip in tiles that are `vectors` wide. A vector that would be left over joins the last tile,
 * which is the lower for it: a tile of one vector has too few sums, and loads as often as it adds.
 */
static void tile_strip(const strip_view *view)
{
    const sfk_strip *strip = &view->strip;
    row_cut cut = cut_rows(strip->rows, SFV_TILE_ROWS);
    const int64_t vectors = vectors_of((int)(cut.height + (cut.higher > 0)));
    int64_t rest = (strip->columns + SFV_LANES - 1) / SFV_LANES;
    int64_t column = 0;
    while (rest > 0) {
        const bool joins = rest == vectors + 1 && vectors > 1 && vectors <= MAX_JOINED;
        const int64_t count = joins || rest < vectors ? rest : vectors;
        if (joins) {
            cut = cut_rows(strip->rows, TILE_SUMS / count);
        }
        tile_columns(view, &cut, column, rest == count ? strip->columns % SFV_LANES : 0, count);
        column += count * SFV_LANES;
        rest -= count;
    }
}

static void hold_strip(const strip_view *view)
{
    const sfk_strip *strip = &view->strip;
    const int64_t vectors = held_vectors((int)strip->depth);
    for (int64_t column = 0; column < strip->columns; column += vectors * SFV_LANES) {
        const int64_t rest = (strip->columns - column + SFV_LANES - 1) / SFV_LANES;
        const int64_t tail = rest <= vectors ? strip->columns % SFV_LANES : 0;
        hold_some(view, column, tail, rest < vectors ? rest : vectors);
    }
}

static void bend_below_zero(const sfk_strip *strip)
{
    for (int64_t row = 0; row < strip->rows; row++) {
        float *to = strip->to + row * strip->to_stride;
        int64_t x = 0;
        for (; x + SFV_LANES <= strip->columns; x += SFV_LANES) {
            const sfv value = sfv_load(to + x);
            sfv_store(to + x, sfv_max(sfv_mul(sfv_set1(strip->slope), value), value));
        }
        for (; x < strip->columns; x++) {
            const float bent = strip->slope * to[x];
            to[x] = bent > to[x] ? bent : to[x];
        }
    }
}

void SFK_NAME(strip_product)(const sfk_strip *strip)
{
    const strip_view view = {*strip, strip->activation == SFK_RELU ? 0.0f : -INFINITY};
    if (can_hold(strip)) {
        hold_strip(&view);
    } else {
        tile_strip(&view);
    }
    if (strip->activation == SFK_LEAKY_RELU) {
        bend_below_zero(strip);
    }
}
