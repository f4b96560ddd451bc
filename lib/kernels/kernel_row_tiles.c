/* SPDX-License-Identifier: BSD-2-Clause */
/* What is mixed of a stored map with three horizontal taps, by Winograd's F(4, 3) along the rows.
 */
#include "cuts.h"
#include "winograd_points.h"

#define CHANNELS SFK_ROW_TILE_CHANNELS
#define MAX_GROUPS (SFK_MAX_ROW_TILES / SFV_LANES)
#define VECTOR_TILES (SFV_LANES / TILE)
/* What is asked for ahead of a map that some cache holds. */
#define NEAR_CHANNELS 3
/* Rows of a product, of which the stack holds the addresses. */
#define ROWS_AT_ONCE 64
/* Of a vector each, half of the registers. */
#define HIGH_ROWS (SFV_REGISTERS / 2)

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

/* How tiles lie in a plane: `per_row` in each row, whose columns begin `shift` to the left of it.
 */
typedef struct tile_grid {
    int64_t per_row;
    int64_t shift;
    int64_t width;
    int64_t row_step;
} tile_grid;

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
static void cut_vector(row_vector *vector, const tile_grid *grid, tile_place *at)
{
    *vector = (row_vector){.count = 0};
    for (int64_t lane = 0; lane < SFV_LANES && at->left > 0;) {
        const int64_t tiles =
            smaller(smaller(grid->per_row - at->tile, at->left), (SFV_LANES - lane) / TILE);
        const int64_t begin = TILE * at->tile - grid->shift;
        const int64_t first = lane + larger(0, -begin);
        const int64_t end = lane + smaller(TILE * tiles, grid->width - begin);
        if (end > first) {
            add_piece(vector, at->row * grid->row_step + begin - lane, first, end);
        }
        lane += TILE * tiles;
        at->left -= tiles;
        at->tile += tiles;
        if (at->tile == grid->per_row) {
            at->tile = 0;
            at->row++;
        }
    }
    vector->is_whole = vector->count == 1 && vector->pieces[0].lanes == (1u << SFV_LANES) - 1;
}

static void cut_groups(row_group groups[MAX_GROUPS], const tile_grid *grid,
                       const sfk_row_tiles *strip)
{
    tile_place at = {.row = strip->first / grid->per_row,
                     .tile = strip->first % grid->per_row,
                     .left = strip->tiles};
    for (int64_t tile = 0; tile < strip->tiles; tile += SFV_LANES) {
        for (int v = 0; v < TILE; v++) {
            cut_vector(&groups[tile / SFV_LANES][v], grid, &at);
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

/* The columns of the tiles, and those of the tiles behind them, of which each needs two. */
typedef struct strip_columns {
    row_group near[MAX_GROUPS];
    row_group far[MAX_GROUPS];
    /* Of groups whose vectors are a piece each. */
    bool is_simple[MAX_GROUPS];
    int64_t groups;
    int64_t span;
    int64_t point_stride;
} strip_columns;

static bool is_simple(const row_group group)
{
    for (int v = 0; v < TILE; v++) {
        if (group[v].count > 1) {
            return false;
        }
    }
    return true;
}

static void find_columns(strip_columns *columns, const sfk_row_tiles *strip)
{
    const tile_grid near = {strip->tiles_per_row, strip->padding, strip->width, strip->width};
    const tile_grid far = {strip->tiles_per_row, strip->padding - TILE, strip->width, strip->width};
    cut_groups(columns->near, &near, strip);
    cut_groups(columns->far, &far, strip);
    columns->groups = (strip->tiles + SFV_LANES - 1) / SFV_LANES;
    for (int64_t g = 0; g < columns->groups; g++) {
        columns->is_simple[g] = is_simple(columns->near[g]) && is_simple(columns->far[g]);
    }
    columns->span = columns->groups * SFV_LANES;
    /* Points that are no power of two apart do not meet in the same sets of a cache. */
    columns->point_stride = CHANNELS * columns->span + SFK_SLACK;
}

SFV_INLINE void ask_for(const float *plane, const row_group group, int64_t ahead)
{
    SFV_UNROLL
    for (int v = 0; v < TILE; v++) {
        __builtin_prefetch(plane + group[v].pieces[0].place + ahead);
    }
}

/* `simple`, a constant at every call: a vector is one piece, and no branch waits for its place. */
SFV_INLINE sfv load_vector(const float *plane, const row_vector *vector, bool simple)
{
    const row_piece *piece = vector->pieces;
    return simple ? sfv_load_set(sfv_zero(), plane + piece->place, piece->lanes)
                  : load_pieces(plane, vector);
}

/* The values at the points of the tiles of one group and channel. */
SFV_INLINE void transform_group(float *to, int64_t point_stride, const float *plane,
                                const row_group near, const row_group far, bool simple)
{
    sfv columns[TILE], behind[TILE], in[WINDOW], out[WINDOW];
    SFV_UNROLL
    for (int v = 0; v < TILE; v++) {
        columns[v] = load_vector(plane, &near[v], simple);
        behind[v] = load_vector(plane, &far[v], simple);
    }
    const sfv evens[2] = {sfv_evens(columns[0], columns[1]), sfv_evens(columns[2], columns[3])};
    const sfv odds[2] = {sfv_odds(columns[0], columns[1]), sfv_odds(columns[2], columns[3])};
    in[0] = sfv_evens(evens[0], evens[1]);
    in[1] = sfv_evens(odds[0], odds[1]);
    in[2] = sfv_odds(evens[0], evens[1]);
    in[3] = sfv_odds(odds[0], odds[1]);
    in[4] = sfv_evens(sfv_evens(behind[0], behind[1]), sfv_evens(behind[2], behind[3]));
    in[5] = sfv_evens(sfv_odds(behind[0], behind[1]), sfv_odds(behind[2], behind[3]));
    transform_window(out, in);
    SFV_UNROLL
    for (int i = 0; i < WINDOW; i++) {
        sfv_store(to + i * point_stride, out[i]);
    }
}

static void transform_channels(const sfk_row_tiles *strip, const strip_columns *columns,
                               int64_t channel, int64_t count, float *points)
{
    const int64_t ahead = strip->from_memory ? TILE * strip->tiles : NEAR_CHANNELS * strip->plane;
    for (int64_t c = 0; c < count; c++) {
        const float *plane = strip->map + (channel + c) * strip->plane;
        for (int64_t g = 0; g < columns->groups; g++) {
            ask_for(plane, columns->near[g], ahead);
            float *to = points + c * columns->span + g * SFV_LANES;
            if (columns->is_simple[g]) {
                transform_group(to, columns->point_stride, plane, columns->near[g], columns->far[g],
                                true);
            } else {
                transform_group(to, columns->point_stride, plane, columns->near[g], columns->far[g],
                                false);
            }
        }
    }
}

/* Rows of a vector each: enough sums to hide the latency of the multiply-add, and no source is
 * loaded as often as for the tiles of strip_product, which are half as high. Returns the rows that
 * are done. Weights, whose rows are CHANNELS long, are used once: those of the next rows come from
 * the second or third level meanwhile. */
static int64_t add_to_vectors(float *sums, const float *points, const float *weights, int64_t rows,
                              bool accumulate)
{
    int64_t row = 0;
    for (; row + HIGH_ROWS <= rows; row += HIGH_ROWS) {
        float *to = sums + row * SFV_LANES;
        const float *at = weights + row * CHANNELS;
        const float *next = at + HIGH_ROWS * CHANNELS;
        const float *source = points;
        sfv kept[HIGH_ROWS];
        SFV_UNROLL
        for (int m = 0; m < HIGH_ROWS; m++) {
            kept[m] = accumulate ? sfv_load(to + m * SFV_LANES) : sfv_zero();
        }
        for (int64_t c = 0; c < CHANNELS; c++) {
            const sfv column = sfv_load(source);
            __builtin_prefetch(next);
            SFV_UNROLL
            for (int m = 0; m < HIGH_ROWS; m++) {
                kept[m] = sfv_fma(sfv_set1(at[m * CHANNELS]), column, kept[m]);
            }
            next += HIGH_ROWS;
            source += SFV_LANES;
            at++;
            SFV_PASS_ON(at, source);
        }
        SFV_UNROLL
        for (int m = 0; m < HIGH_ROWS; m++) {
            sfv_store(to + m * SFV_LANES, kept[m]);
        }
    }
    return row;
}

/* Adds the products of some channels, at all points. */
static void add_products(const sfk_row_tiles *strip, const strip_columns *columns, int64_t channel,
                         int64_t count, const float *points, float *sums)
{
    const float *sources[CHANNELS];
    const float *weights[ROWS_AT_ONCE];
    for (int64_t c = 0; c < count; c++) {
        sources[c] = points + c * columns->span;
    }
    for (int point = 0; point < WINDOW; point++) {
        const float *at = strip->weights + WINDOW * strip->packed_rows * channel +
                          (point * strip->packed_rows + strip->first_row) * count;
        int64_t row = 0;
        if (columns->groups == 1 && count == CHANNELS) {
            row = add_to_vectors(sums + point * strip->rows * columns->span,
                                 points + point * columns->point_stride, at, strip->rows,
                                 channel > 0);
        }
        for (; row < strip->rows; row += ROWS_AT_ONCE) {
            const int64_t rows = smaller(ROWS_AT_ONCE, strip->rows - row);
            for (int64_t m = 0; m < rows; m++) {
                weights[m] = at + (row + m) * count;
            }
            const sfk_strip product = {.weights = weights,
                                       .weight_step = 1,
                                       .sources = sources,
                                       .first = point * columns->point_stride,
                                       .depth = count,
                                       .to = sums + (point * strip->rows + row) * columns->span,
                                       .to_stride = columns->span,
                                       .rows = rows,
                                       .columns = columns->span,
                                       .accumulate = channel > 0};
            SFK_NAME(strip_product)(&product);
        }
    }
}

static void put_rows(const sfk_row_tiles *strip, const strip_columns *columns, const float *sums)
{
    const tile_grid grid = {strip->tiles_per_row, 0, strip->to_width, strip->to_width};
    const int64_t point_stride = strip->rows * columns->span;
    row_group places[MAX_GROUPS];
    cut_groups(places, &grid, strip);
    for (int64_t row = 0; row < strip->rows; row++) {
        float *to = strip->to + (strip->first_row + row) * strip->to_plane;
        for (int64_t g = 0; g < columns->groups; g++) {
            sfv in[WINDOW], out[TILE];
            SFV_UNROLL
            for (int i = 0; i < WINDOW; i++) {
                in[i] = sfv_load(sums + i * point_stride + row * columns->span + g * SFV_LANES);
            }
            transform_back(out, in);
            const sfv low[2] = {sfv_low_pairs(out[0], out[2]), sfv_low_pairs(out[1], out[3])};
            const sfv high[2] = {sfv_high_pairs(out[0], out[2]), sfv_high_pairs(out[1], out[3])};
            const sfv in_order[TILE] = {
                sfv_low_pairs(low[0], low[1]), sfv_high_pairs(low[0], low[1]),
                sfv_low_pairs(high[0], high[1]), sfv_high_pairs(high[0], high[1])};
            SFV_UNROLL
            for (int v = 0; v < TILE; v++) {
                store_pieces(to, &places[g][v], in_order[v], strip->accumulate);
            }
        }
    }
}

void SFK_NAME(row_tiles)(const sfk_row_tiles *strip)
{
    strip_columns columns;
    find_columns(&columns, strip);
    float *sums = strip->scratch;
    float *points = sums + WINDOW * strip->rows * columns.span;
    for (int64_t channel = 0; channel < strip->channels; channel += CHANNELS) {
        const int64_t count = smaller(CHANNELS, strip->channels - channel);
        transform_channels(strip, &columns, channel, count, points);
        add_products(strip, &columns, channel, count, points, sums);
    }
    put_rows(strip, &columns, sums);
}

/* Some taps of one row at the points: to[i · point_stride + c]. */
static void transform_row(float *to, int64_t point_stride, const float *taps, int64_t count)
{
    float by_tap[3][CHANNELS + SFK_SLACK];
    for (int64_t c = 0; c < count; c++) {
        by_tap[0][c] = taps[3 * c];
        by_tap[1][c] = taps[3 * c + 1];
        by_tap[2][c] = taps[3 * c + 2];
    }
    for (int64_t c = 0; c < count; c += SFV_LANES) {
        const int64_t lanes = smaller(SFV_LANES, count - c);
        sfv points[WINDOW];
        transform_taps(points, sfv_load_lanes(by_tap[0] + c, lanes),
                       sfv_load_lanes(by_tap[1] + c, lanes), sfv_load_lanes(by_tap[2] + c, lanes));
        SFV_UNROLL
        for (int i = 0; i < WINDOW; i++) {
            sfv_store_lanes(to + i * point_stride + c, points[i], lanes);
        }
    }
}

void SFK_NAME(pack_row_tiles)(float *to, const sfk_row_taps *from)
{
    for (int64_t channel = 0; channel < from->channels; channel += CHANNELS) {
        const int64_t count = smaller(CHANNELS, from->channels - channel);
        float *chunk = to + WINDOW * from->rows * channel;
        for (int64_t row = from->first_row; row < from->end_row; row++) {
            transform_row(chunk + row * count, from->rows * count,
                          from->taps + row * from->row_step + 3 * channel, count);
        }
    }
}
