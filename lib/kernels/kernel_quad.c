/* SPDX-License-Identifier: BSD-2-Clause */
#include "cuts.h"
#include "winograd_points.h"

/* Vectors of a tile: with 16 registers two leave room for weights and sources in each step. */
#define WIDE (SFV_PAIR_ROWS > 4 ? 3 : 2)

typedef sfv quad_sums[2 * SFV_PAIR_ROWS][WIDE];

/* Whole vectors of columns; rows of the source behind `rows` are zeros. */
SFV_INLINE void transform_columns(float *to, int64_t to_stride, const float *from,
                                  int64_t from_stride, int64_t rows, int64_t columns)
{
    for (int64_t n = 0; n < columns; n += SFV_LANES) {
        sfv window[WINDOW], points[WINDOW];
        SFV_UNROLL
        for (int i = 0; i < WINDOW; i++) {
            window[i] = i < rows ? sfv_load(from + i * from_stride + n) : sfv_zero();
        }
        transform_window(points, window);
        SFV_UNROLL
        for (int i = 0; i < WINDOW; i++) {
            sfv_store(to + i * to_stride + n, points[i]);
        }
    }
}

/* What a vector has behind the last of four rows is written again with the next four, and behind
 * the last column with the next source. */
static void transform_source(float *points, const float *source, const sfk_quad *quad)
{
    int64_t row = quad->row, column = quad->column;
    for (int64_t n = 0; n < quad->columns; row += TILE) {
        const float *from = source + row * quad->width + column;
        const int64_t columns = smaller(quad->columns - n, quad->width - column);
        const int64_t rows = quad->height + 2 - row;
        if (rows >= WINDOW) {
            transform_columns(points + n, quad->point_stride, from, quad->width, WINDOW, columns);
        } else {
            transform_columns(points + n, quad->point_stride, from, quad->width, rows, columns);
        }
        n += columns;
        column = 0;
    }
}

void SFK_NAME(quad_points)(float *points, const float *const *taps, const sfk_quad *quad)
{
    for (int64_t k = 0; k < quad->depth; k++) {
        transform_source(points + k * quad->span, taps[3 * k], quad);
    }
}

/* Lanes of a vector that lie in one group of four rows. */
typedef struct quad_piece {
    int64_t first;
    int64_t end;
    /* Of lane 0, as if the piece reached so far, in the upper row of a plane. */
    int64_t place;
    /* That exist; more than four are as good as four. */
    int64_t rows;
} quad_piece;

/* Of a strip; those of vector v from before[v] on. */
typedef struct quad_pieces {
    quad_piece all[SFK_MAX_QUAD_COLUMNS];
    int32_t before[SFK_MAX_QUAD_COLUMNS / SFV_LANES + 1];
} quad_pieces;

static void list_pieces(quad_pieces *pieces, const sfk_quad *quad)
{
    int64_t row = quad->row, column = quad->column;
    int32_t count = 0;
    int32_t vector = 0;
    for (int64_t lane = 0, end; lane < quad->columns; lane = end) {
        const int64_t first = lane % SFV_LANES;
        end =
            smaller(smaller(quad->columns, lane + quad->width - column), lane - first + SFV_LANES);
        if (first == 0) {
            pieces->before[vector++] = count;
        }
        pieces->all[count++] = (quad_piece){.first = first,
                                            .end = first + end - lane,
                                            .place = row * quad->width + column - first,
                                            .rows = quad->height - row};
        column += end - lane;
        if (column == quad->width) {
            column = 0;
            row += TILE;
        }
    }
    pieces->before[vector] = count;
}

typedef struct quad_tile {
    sfk_quad quad;
    const quad_pieces *pieces;
    /* Of its first column. */
    int64_t lane;
    /* From block to block of the packed weights. */
    int64_t block;
    /* From what is written to what is asked for. */
    int64_t ahead;
    /* The next. */
    int64_t channel;
    const float *weights;
} quad_tile;

/* Of row m of a block, or of two, of which the other lies `second` behind. */
SFV_INLINE const float *weight_of(const float *weights, int m, int64_t second)
{
    return m < SFV_PAIR_ROWS ? weights + m : weights + second + m - SFV_PAIR_ROWS;
}

/* Σ over the sources at one point, on top of `sums`. */
SFV_INLINE const float *add_products(quad_sums sums, const quad_tile *tile, const float *weights,
                                     int point, int64_t second, int rows, int vectors)
{
    const sfk_quad *quad = &tile->quad;
    const int64_t span = quad->span;
    const float *at = quad->points + point * quad->point_stride + tile->lane;
    for (int64_t k = 0; k < quad->depth; k++) {
        sfv kept[WIDE];
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            kept[v] = sfv_load(at + v * SFV_LANES);
        }
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            const sfv weight = sfv_set1(*weight_of(weights, m, second));
            SFV_UNROLL
            for (int v = 0; v < vectors; v++) {
                sums[m][v] = sfv_fma(weight, kept[v], sums[m][v]);
            }
        }
        weights += SFV_PAIR_ROWS;
        at += span;
        SFV_PASS_ON(weights, at);
    }
    return weights;
}

SFV_INLINE void clear(quad_sums sums, int rows, int vectors)
{
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            sums[m][v] = sfv_zero();
        }
    }
}

/* Sums and differences of what two opposite points have. */
SFV_INLINE const float *take_opposites(quad_sums even, quad_sums odd, const quad_tile *tile,
                                       const float *weights, int point, int64_t second, int rows,
                                       int vectors)
{
    quad_sums above, below;
    clear(above, rows, vectors);
    weights = add_products(above, tile, weights, point, second, rows, vectors);
    clear(below, rows, vectors);
    weights = add_products(below, tile, weights, point + 1, second, rows, vectors);
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            even[m][v] = sfv_add(above[m][v], below[m][v]);
            odd[m][v] = sfv_sub(above[m][v], below[m][v]);
        }
    }
    return weights;
}

/* Of vector v of the tile. */
SFV_INLINE const quad_piece *pieces_of(const quad_tile *tile, int v)
{
    return tile->pieces->all + tile->pieces->before[tile->lane / SFV_LANES + v];
}

SFV_INLINE const quad_piece *end_of(const quad_tile *tile, int v)
{
    return pieces_of(tile, v + 1);
}

/* Of row `row` of four, in maps of such planes. */
SFV_INLINE int64_t place_of(const quad_tile *tile, const quad_piece *piece, int64_t plane,
                            int64_t row)
{
    return tile->channel * plane + piece->place + row * tile->quad.width;
}

SFV_INLINE void add_residuals(quad_sums sums, const quad_tile *tile, int row, int rows, int vectors)
{
    /* Behind the last channel the last is as good. */
    const int64_t last = tile->quad.channels - 1 - tile->channel;
    const int64_t plane = tile->quad.residual_plane;
    for (int64_t i = 0; i < tile->quad.residual_count; i++) {
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            sfv more[2 * SFV_PAIR_ROWS];
            SFV_UNROLL
            for (int m = 0; m < rows; m++) {
                more[m] = sfv_zero();
            }
            const quad_piece *end = end_of(tile, v);
            for (const quad_piece *piece = pieces_of(tile, v); piece < end; piece++) {
                /* Its rows that do not exist are the last again. */
                const int64_t upper = smaller(row, piece->rows - 1);
                const float *from = tile->quad.residuals[i] + place_of(tile, piece, plane, upper);
                SFV_UNROLL
                for (int m = 0; m < rows; m++) {
                    more[m] = sfv_load_onto(more[m], from + smaller(m, last) * plane, piece->first,
                                            piece->end);
                }
            }
            SFV_UNROLL
            for (int m = 0; m < rows; m++) {
                sums[m][v] = sfv_add(sums[m][v], more[m]);
            }
        }
    }
}

SFV_INLINE void activate(quad_sums sums, const sfk_quad *quad, int rows, int vectors)
{
    if (quad->activation == SFK_RELU) {
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            SFV_UNROLL
            for (int v = 0; v < vectors; v++) {
                sums[m][v] = sfv_max(sfv_zero(), sums[m][v]);
            }
        }
    } else if (quad->activation == SFK_LEAKY_RELU) {
        const sfv slope = sfv_set1(quad->slope);
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            SFV_UNROLL
            for (int v = 0; v < vectors; v++) {
                sums[m][v] = sfv_max(sfv_mul(slope, sums[m][v]), sums[m][v]);
            }
        }
    }
}

/* Where all columns lie in the same rows. */
SFV_INLINE void keep_run(const quad_tile *tile, quad_sums sums, int row, int rows, int vectors)
{
    const quad_piece *piece = tile->pieces->all;
    const int64_t channels = row < piece->rows ? tile->quad.channels - tile->channel : 0;
    float *to = tile->quad.map + place_of(tile, piece, tile->quad.plane, row) + tile->lane;
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            const int64_t lanes = tile->quad.columns - tile->lane - v * SFV_LANES;
            if (m < channels) {
                sfv_store_lanes(to + m * tile->quad.plane + v * SFV_LANES, sums[m][v],
                                smaller(SFV_LANES, lanes));
            }
        }
    }
}

SFV_INLINE void keep_pieces(const quad_tile *tile, quad_sums sums, int row, int rows, int vectors)
{
    const int64_t plane = tile->quad.plane;
    const int64_t channels = tile->quad.channels - tile->channel;
    SFV_UNROLL
    for (int v = 0; v < vectors; v++) {
        const quad_piece *end = end_of(tile, v);
        for (const quad_piece *piece = pieces_of(tile, v); piece < end; piece++) {
            if (row >= piece->rows) {
                continue;
            }
            float *to = tile->quad.map + place_of(tile, piece, plane, row);
            SFV_UNROLL
            for (int m = 0; m < rows; m++) {
                if (m < channels) {
                    sfv_store_range(to + m * plane, sums[m][v], piece->first, piece->end);
                }
            }
        }
    }
}

/* What becomes of the sums of row `row`. */
SFV_INLINE void finish_row(const quad_tile *tile, quad_sums sums, int row, int rows, int vectors)
{
    if (tile->quad.residual_count) {
        add_residuals(sums, tile, row, rows, vectors);
    }
    activate(sums, &tile->quad, rows, vectors);
    if (tile->quad.column + tile->quad.columns <= tile->quad.width) {
        keep_run(tile, sums, row, rows, vectors);
    } else {
        keep_pieces(tile, sums, row, rows, vectors);
    }
}

typedef struct quad_parts {
    quad_sums even_a, odd_a, even_b, odd_b;
} quad_parts;

/* Row `row` of four: what the four inner points give to it, and where its sums go on from there. */
SFV_INLINE void start_row(quad_sums sums, const quad_parts *parts, const float *bias,
                          int64_t second, int row, int rows, int vectors)
{
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        const sfv start = sfv_set1(*weight_of(bias, m, second));
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            const sfv even_a = parts->even_a[m][v], odd_a = parts->odd_a[m][v];
            const sfv even_b = parts->even_b[m][v], odd_b = parts->odd_b[m][v];
            const sfv inner[TILE] = {
                sfv_add(even_a, even_b),
                sfv_fma(sfv_set1(POINT_A), odd_a, sfv_mul(sfv_set1(POINT_B), odd_b)),
                sfv_fma(sfv_set1(0.5f), even_a, sfv_mul(sfv_set1(2.0f), even_b)),
                sfv_fma(sfv_set1(CUBE_A), odd_a, sfv_mul(sfv_set1(CUBE_B), odd_b)),
            };
            sums[m][v] = sfv_add(inner[row], start);
        }
    }
}

/* Lines of the map before they are written: each lies in a page of its own. */
SFV_INLINE void ask_for(const quad_tile *tile, int rows, int vectors)
{
    const float *next = tile->quad.map + tile->channel * tile->quad.plane + tile->ahead;
    const quad_piece *end = end_of(tile, vectors - 1);
    for (const quad_piece *piece = pieces_of(tile, 0); piece < end; piece++) {
        SFV_UNROLL
        for (int row = 0; row < TILE; row++) {
            SFV_UNROLL
            for (int m = 0; m < rows; m++) {
                __builtin_prefetch(next + piece->place + piece->first + row * tile->quad.width +
                                       m * tile->quad.plane,
                                   1);
            }
        }
    }
}

/* `rows` channels: one block, or two side by side; rows and vectors are constants at every call. */
SFV_INLINE void run_block(const quad_tile *tile, int rows, int vectors)
{
    const int64_t second = tile->block;
    const float *bias = tile->weights;
    const float *weights = tile->weights + SFV_PAIR_ROWS;
    quad_parts parts;
    quad_sums sums;
    if (tile->quad.from_memory) {
        ask_for(tile, rows, vectors);
    }
    weights = take_opposites(parts.even_a, parts.odd_a, tile, weights, 1, second, rows, vectors);
    weights = take_opposites(parts.even_b, parts.odd_b, tile, weights, 3, second, rows, vectors);
    start_row(sums, &parts, bias, second, 0, rows, vectors);
    weights = add_products(sums, tile, weights, 0, second, rows, vectors);
    finish_row(tile, sums, 0, rows, vectors);
    start_row(sums, &parts, bias, second, 1, rows, vectors);
    finish_row(tile, sums, 1, rows, vectors);
    start_row(sums, &parts, bias, second, 2, rows, vectors);
    finish_row(tile, sums, 2, rows, vectors);
    start_row(sums, &parts, bias, second, 3, rows, vectors);
    add_products(sums, tile, weights, 5, second, rows, vectors);
    finish_row(tile, sums, 3, rows, vectors);
}

/* All channels, a block along all tiles of the strip before the next: its weights stay in the
 * nearest cache, and each row of a channel, a page of its own, is written in one run. */
static void run_strip(const sfk_quad *quad, const quad_pieces *pieces, int64_t block,
                      int64_t vectors)
{
    quad_tile tile = {.quad = *quad, .pieces = pieces, .block = block, .weights = quad->weights};
    /* A tile alone goes through its channels too soon: then what is to the right of it. */
    const bool is_alone = vectors <= WIDE && quad->columns < quad->width;
    tile.ahead = is_alone ? vectors * SFV_LANES : SFV_PAIR_ROWS * quad->plane;
    for (; tile.channel < quad->channels; tile.channel += SFV_PAIR_ROWS) {
        int64_t rest = vectors;
        for (tile.lane = 0; rest > 0;) {
            /* Two of two vectors rather than one of one. */
            const int64_t width = rest == WIDE + 1 ? 2 : smaller(rest, WIDE);
            if (width == 2) {
                run_block(&tile, SFV_PAIR_ROWS, 2);
            } else {
                run_block(&tile, SFV_PAIR_ROWS, WIDE);
            }
            tile.lane += width * SFV_LANES;
            rest -= width;
        }
        tile.weights += block;
    }
}

/* One vector: two blocks of channels at once, as one has too few sums to hide the latency of the
 * multiply-add. */
static void run_vector(const sfk_quad *quad, const quad_pieces *pieces, int64_t block, int64_t lane)
{
    quad_tile tile = {.quad = *quad,
                      .pieces = pieces,
                      .block = block,
                      .lane = lane,
                      .ahead = SFV_LANES,
                      .weights = quad->weights};
    for (; tile.channel + SFV_PAIR_ROWS < quad->channels; tile.channel += 2 * SFV_PAIR_ROWS) {
        run_block(&tile, 2 * SFV_PAIR_ROWS, 1);
        tile.weights += 2 * block;
    }
    if (tile.channel < quad->channels) {
        run_block(&tile, SFV_PAIR_ROWS, 1);
    }
}

void SFK_NAME(quad_expand)(const sfk_quad *quad)
{
    const int64_t block = SFK_QUAD_PACKED(quad->depth) * SFV_PAIR_ROWS;
    const int64_t vectors = (quad->columns + SFV_LANES - 1) / SFV_LANES;
    const int64_t single = vectors == 1 || WIDE == 2 ? vectors % 2 : 0;
    quad_pieces pieces;
    list_pieces(&pieces, quad);
    run_strip(quad, &pieces, block, vectors - single);
    if (single) {
        run_vector(quad, &pieces, block, (vectors - single) * SFV_LANES);
    }
}
