/* SPDX-License-Identifier: BSD-2-Clause */
/* What is mixed of a stored map with three horizontal taps, by Winograd's F(4, 3) along the rows.
 */
#include "filled_rows.h"
#include "row_pieces.h"

#define CHANNELS SFK_ROW_TILE_CHANNELS
/* Rows of a product, of which the stack holds the addresses. */
#define ROWS_AT_ONCE 64
/* Of a vector each, half of the registers. */
#define HIGH_ROWS (SFV_REGISTERS / 2)

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
static void add_products(const sfk_row_tiles *strip, int64_t channel, int64_t count,
                         const tile_points *points, float *sums)
{
    const float *sources[CHANNELS];
    const float *weights[ROWS_AT_ONCE];
    for (int64_t c = 0; c < count; c++) {
        sources[c] = points->at + c * points->span;
    }
    for (int point = 0; point < WINDOW; point++) {
        const float *at = strip->weights + WINDOW * strip->packed_rows * channel +
                          (point * strip->packed_rows + strip->first_row) * count;
        int64_t row = 0;
        if (points->groups == 1 && count == CHANNELS) {
            row = add_to_vectors(sums + point * strip->rows * points->span,
                                 points->at + point * points->stride, at, strip->rows, channel > 0);
        }
        for (; row < strip->rows; row += ROWS_AT_ONCE) {
            const int64_t rows = smaller(ROWS_AT_ONCE, strip->rows - row);
            for (int64_t m = 0; m < rows; m++) {
                weights[m] = at + (row + m) * count;
            }
            const sfk_strip product = {.weights = weights,
                                       .weight_step = 1,
                                       .sources = sources,
                                       .first = point * points->stride,
                                       .depth = count,
                                       .to = sums + (point * strip->rows + row) * points->span,
                                       .to_stride = points->span,
                                       .rows = rows,
                                       .columns = points->span,
                                       .accumulate = channel > 0};
            SFK_NAME(strip_product)(&product);
        }
    }
}

void SFK_NAME(row_tiles)(const sfk_row_tiles *strip)
{
    const bool is_filled = has_filled_rows(strip);
    const int64_t span = groups_of(strip) * SFV_LANES;
    float *sums = strip->scratch;
    /* Points that are no power of two apart do not meet in the same sets of a cache. */
    const tile_points points = {.at = sums + WINDOW * strip->rows * span,
                                .stride = CHANNELS * span + SFK_SLACK,
                                .span = span,
                                .groups = groups_of(strip)};
    row_neighbours neighbours;
    strip_columns columns;
    if (is_filled) {
        find_neighbours(&neighbours, strip);
    } else {
        find_columns(&columns, strip);
    }
    for (int64_t channel = 0; channel < strip->channels; channel += CHANNELS) {
        const int64_t count = smaller(CHANNELS, strip->channels - channel);
        if (is_filled) {
            transform_filled_rows(strip, &neighbours, channel, count, &points);
        } else {
            transform_rows(strip, &columns, channel, count, &points);
        }
        add_products(strip, channel, count, &points, sums);
    }
    if (is_filled) {
        put_filled_rows(strip, sums, span);
    } else {
        put_rows(strip, sums, span);
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
