/* SPDX-License-Identifier: BSD-2-Clause */
/* What is mixed of a stored map with three horizontal taps, by Winograd's F(4, 3) along the rows.
 */
#include "filled_rows.h"
#include "row_pieces.h"
#include "row_windows.h"

#define CHANNELS SFK_ROW_TILE_CHANNELS
/* Rows of a product, of which the stack holds the addresses. */
#define ROWS_AT_ONCE 64
/* Of tiles: a vector wide, and up to WIDE. */
#define HIGH_ROWS (SFV_REGISTERS / 2)
#define LOW_ROWS 8
#define WIDE 3
/* Of LOW_ROWS. */
#define HAS_TILES (SFV_REGISTERS >= 32)

/* `rows` mixed maps by `vectors`, both constants at every call, of one point and CHANNELS channels,
 * whose weights are a row each. They are used once a strip: those of the next rows come from the
 * second or third level meanwhile. */
SFV_INLINE void add_tile(float *sums, const float *points, int64_t span, const float *weights,
                         bool accumulate, int rows, int vectors)
{
    const float *next = weights + rows * CHANNELS;
    sfv kept[HIGH_ROWS][WIDE];
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            kept[m][v] = accumulate ? sfv_load(sums + m * span + v * SFV_LANES) : sfv_zero();
        }
    }
    for (int64_t c = 0; c < CHANNELS; c++) {
        sfv source[WIDE];
        __builtin_prefetch(next);
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            source[v] = sfv_load(points + v * SFV_LANES);
        }
        SFV_UNROLL
        for (int m = 0; m < rows; m++) {
            const sfv weight = sfv_set1(weights[m * CHANNELS]);
            SFV_UNROLL
            for (int v = 0; v < vectors; v++) {
                kept[m][v] = sfv_fma(weight, source[v], kept[m][v]);
            }
        }
        next += rows;
        points += span;
        weights++;
        SFV_PASS_ON(weights, points);
    }
    SFV_UNROLL
    for (int m = 0; m < rows; m++) {
        SFV_UNROLL
        for (int v = 0; v < vectors; v++) {
            sfv_store(sums + m * span + v * SFV_LANES, kept[m][v]);
        }
    }
}

/* A vector of each row: half of the registers are enough sums to hide the latency of the
 * multiply-add, and no source is loaded as often as for lower tiles. Returns the rows that are
 * done. */
static int64_t add_to_vectors(float *sums, const float *points, const float *weights, int64_t rows,
                              bool accumulate)
{
    int64_t row = 0;
    for (; row + HIGH_ROWS <= rows; row += HIGH_ROWS) {
        add_tile(sums + row * SFV_LANES, points, SFV_LANES, weights + row * CHANNELS, accumulate,
                 HIGH_ROWS, 1);
    }
    /* Where another worker has the other half of sixteen. */
    for (; HIGH_ROWS > LOW_ROWS && row + LOW_ROWS <= rows; row += LOW_ROWS) {
        add_tile(sums + row * SFV_LANES, points, SFV_LANES, weights + row * CHANNELS, accumulate,
                 LOW_ROWS, 1);
    }
    return row;
}

/* The same of more vectors. */
static int64_t add_to_tiles(float *sums, const float *points, int64_t span, const float *weights,
                            int64_t rows, bool accumulate)
{
    int64_t row = 0;
    for (; row + LOW_ROWS <= rows; row += LOW_ROWS) {
        const float *at = weights + row * CHANNELS;
        for (int64_t lane = 0; lane < span;) {
            const int64_t rest = (span - lane) / SFV_LANES;
            float *to = sums + row * span + lane;
            /* Two of two vectors rather than one of one. */
            if (rest == 2 || rest == WIDE + 1) {
                add_tile(to, points + lane, span, at, accumulate, LOW_ROWS, 2);
                lane += 2 * SFV_LANES;
            } else {
                add_tile(to, points + lane, span, at, accumulate, LOW_ROWS, WIDE);
                lane += WIDE * SFV_LANES;
            }
        }
    }
    return row;
}

/* Rows that no tile takes. */
static void add_rest(const sfk_row_tiles *strip, const tile_points *points, int point,
                     const float *weights, int64_t row, int64_t count, bool accumulate, float *sums)
{
    const float *sources[CHANNELS];
    const float *rows[ROWS_AT_ONCE];
    for (int64_t c = 0; c < count; c++) {
        sources[c] = points->at + c * points->span;
    }
    for (; row < strip->rows; row += ROWS_AT_ONCE) {
        const int64_t height = smaller(ROWS_AT_ONCE, strip->rows - row);
        for (int64_t m = 0; m < height; m++) {
            rows[m] = weights + (row + m) * count;
        }
        const sfk_strip product = {.weights = rows,
                                   .weight_step = 1,
                                   .sources = sources,
                                   .first = point * points->stride,
                                   .depth = count,
                                   .to = sums + row * points->span,
                                   .to_stride = points->span,
                                   .rows = height,
                                   .columns = points->span,
                                   .accumulate = accumulate};
        SFK_NAME(strip_product)(&product);
    }
}

/* Adds the products of some channels, at all points. */
static void add_products(const sfk_row_tiles *strip, int64_t channel, int64_t count,
                         const tile_points *points, float *sums)
{
    for (int point = 0; point < WINDOW; point++) {
        const float *weights = strip->weights + WINDOW * strip->packed_rows * channel +
                               (point * strip->packed_rows + strip->first_row) * count;
        const float *at = points->at + point * points->stride;
        float *to = sums + point * strip->rows * points->span;
        int64_t row = 0;
        if (count == CHANNELS && points->span == SFV_LANES) {
            row = add_to_vectors(to, at, weights, strip->rows, channel > 0);
        } else if (count == CHANNELS && HAS_TILES) {
            row = add_to_tiles(to, at, points->span, weights, strip->rows, channel > 0);
        }
        add_rest(strip, points, point, weights, row, count, channel > 0, to);
    }
}

void SFK_NAME(row_tiles)(const sfk_row_tiles *strip)
{
    const bool is_filled = has_filled_rows(strip);
    const int64_t span = groups_of(strip) * SFV_LANES;
    float *sums = strip->kept ? strip->kept : strip->scratch;
    /* Points that are no power of two apart do not meet in the same sets of a cache. */
    const tile_points points = {.at = strip->scratch + WINDOW * strip->rows * span,
                                .stride = CHANNELS * span + SFK_SLACK,
                                .span = span};
    row_neighbours neighbours;
    row_windows windows[MAX_GROUPS];
    if (is_filled) {
        find_neighbours(&neighbours, strip);
    } else {
        find_windows(windows, strip);
    }
    for (int64_t channel = 0; channel < strip->channels; channel += CHANNELS) {
        const int64_t count = smaller(CHANNELS, strip->channels - channel);
        if (is_filled) {
            transform_filled_rows(strip, &neighbours, channel, count, &points);
        } else {
            transform_rows(strip, windows, channel, count, &points);
        }
        add_products(strip, channel, count, &points, sums);
    }
    if (strip->kept) {
        return;
    }
    if (is_filled) {
        put_filled_rows(strip, sums, span);
    } else {
        put_rows(strip, sums, span);
    }
}

void SFK_NAME(put_row_tiles)(const sfk_row_tiles *strip, const float *first, const float *second,
                             int64_t row, int64_t end)
{
    const int64_t span = groups_of(strip) * SFV_LANES;
    const int64_t stride = strip->rows * span;
    row_group places[MAX_GROUPS];
    find_places(places, strip);
    for (; row < end; row++) {
        for (int64_t g = 0; g < groups_of(strip); g++) {
            const int64_t at = row * span + g * SFV_LANES;
            float sums[WINDOW * SFV_LANES];
            SFV_UNROLL
            for (int i = 0; i < WINDOW; i++) {
                sfv_store(sums + i * SFV_LANES, sfv_add(sfv_load(first + at + i * stride),
                                                        sfv_load(second + at + i * stride)));
            }
            put_group(strip, row, places[g], sums, SFV_LANES);
        }
    }
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
