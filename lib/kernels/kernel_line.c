/* SPDX-License-Identifier: BSD-2-Clause */
/* Winograd's F(4, 4) along rows, with the points 0, ±1, ±1/2, 2 and infinity; docs/mathematics.md
 * derives the transforms. Lanes run over tiles, so no lane depends on another. */
#include "cuts.h"

#include <string.h>

#define TILE SFK_LINE_TILE
#define POINTS SFK_LINE_POINTS
#define PHASES SFK_LINE_PHASES
/* Columns from tile to tile of the image. */
#define STEP (TILE * PHASES)
/* Tiles that are worked on at once; what a row of them takes stays in the nearest cache. */
#define PIECE 64

/* Column 8t + m of vectors that follow each other becomes lane t of columns[m]. */
SFV_INLINE void split_columns(float (*columns)[PIECE + 32], int64_t tile, const float *from)
{
    sfv halves[2][STEP / 2], quarters[4][STEP / 4];
    for (int i = 0; i < STEP / 2; i++) {
        const sfv low = sfv_load(from + 2 * i * SFV_LANES);
        const sfv high = sfv_load(from + (2 * i + 1) * SFV_LANES);
        halves[0][i] = sfv_evens(low, high);
        halves[1][i] = sfv_odds(low, high);
    }
    for (int half = 0; half < 2; half++) {
        for (int i = 0; i < STEP / 4; i++) {
            quarters[half][i] = sfv_evens(halves[half][2 * i], halves[half][2 * i + 1]);
            quarters[half + 2][i] = sfv_odds(halves[half][2 * i], halves[half][2 * i + 1]);
        }
    }
    for (int i = 0; i < 4; i++) {
        sfv_store(columns[i] + tile, sfv_evens(quarters[i][0], quarters[i][1]));
        sfv_store(columns[i + 4] + tile, sfv_odds(quarters[i][0], quarters[i][1]));
    }
}

/* Values at the points of seven columns d; v and u are their products with z² - 1 and z² - 1/4, e
 * those with both. */
SFV_INLINE void transform_line(sfv out[POINTS], const sfv d[POINTS])
{
    const sfv minus_two = sfv_set1(-2.0f), minus_quarter = sfv_set1(-0.25f), half = sfv_set1(0.5f);
    sfv v[5], u[3], e[3];
    for (int i = 0; i < 5; i++) {
        v[i] = sfv_sub(d[i + 2], d[i]);
    }
    for (int i = 0; i < 3; i++) {
        u[i] = sfv_fma(minus_quarter, d[i + 1], d[i + 3]);
        e[i] = sfv_fma(minus_quarter, v[i], v[i + 2]);
    }
    const sfv low_one = sfv_fma(minus_two, u[0], u[1]);
    const sfv high_one = sfv_fma(minus_two, u[1], u[2]);
    const sfv low_half = sfv_fma(minus_two, v[1], v[2]);
    const sfv high_half = sfv_fma(minus_two, v[2], v[3]);
    out[0] = sfv_fma(minus_two, e[0], e[1]);
    out[1] = sfv_add(high_one, low_one);
    out[2] = sfv_sub(high_one, low_one);
    out[3] = sfv_fma(half, low_half, high_half);
    out[4] = sfv_fma(sfv_set1(-0.5f), low_half, high_half);
    out[5] = e[1];
    out[6] = sfv_fma(minus_two, e[1], e[2]);
}

/* Columns `first` … of the padded row; zeros outside the image. */
SFV_INLINE void fetch_columns(float *to, const sfk_line *line, int64_t first, int64_t count)
{
    const int64_t left = first - line->padding;
    const int64_t begin = smaller(larger(0, -left), count);
    const int64_t end = larger(begin, smaller(count, line->width - left));
    memset(to, 0, (size_t)begin * sizeof *to);
    if (end > begin) {
        memcpy(to + begin, line->from + left + begin, (size_t)(end - begin) * sizeof *to);
    }
    memset(to + end, 0, (size_t)(count - end) * sizeof *to);
}

/* The last vector overlaps the one before it where the count is no multiple. */
SFV_INLINE void put_points(const sfk_line *line, float (*columns)[PIECE + 32], int phase,
                           int64_t first, int64_t count)
{
    float *to = line->to + phase * line->phase_stride + first;
    for (int64_t next = 0; next < count; next += SFV_LANES) {
        const int64_t tile = larger(0, smaller(next, count - SFV_LANES));
        sfv in[POINTS], out[POINTS];
        for (int i = 0; i < POINTS; i++) {
            in[i] = sfv_load(columns[(2 * i + phase) % STEP] + tile + i / TILE);
        }
        transform_line(out, in);
        for (int f = 0; f < POINTS; f++) {
            float *at = to + f * line->point_stride + tile;
            sfv_store_lanes(at, out[f], smaller(count, SFV_LANES));
        }
    }
}

void SFK_NAME(line_input)(const sfk_line *line)
{
    for (int64_t first = 0; first < line->tiles; first += PIECE) {
        const int64_t count = smaller(PIECE, line->tiles - first);
        /* The last tile reads columns of the one behind it. */
        const int64_t wanted = (count + SFV_LANES) / SFV_LANES * SFV_LANES;
        float row[STEP * (PIECE + 16)];
        float columns[STEP][PIECE + 32];
        fetch_columns(row, line, STEP * first, STEP * wanted);
        for (int64_t tile = 0; tile < wanted; tile += SFV_LANES) {
            split_columns(columns, tile, row + STEP * tile);
        }
        for (int m = 0; m < STEP; m++) {
            columns[m][wanted] = 0.0f;
        }
        for (int phase = 0; phase < PHASES; phase++) {
            put_points(line, columns, phase, first, count);
        }
    }
}

/* The columns of a vector of tiles. */
SFV_INLINE void columns_of(sfv columns[TILE], const float *from, int64_t stride)
{
    const sfv half = sfv_set1(0.5f), quarter = sfv_set1(0.25f), eighth = sfv_set1(0.125f);
    sfv in[POINTS];
    for (int f = 0; f < POINTS; f++) {
        in[f] = sfv_load(from + f * stride);
    }
    const sfv sum_one = sfv_add(in[1], in[2]), difference_one = sfv_sub(in[1], in[2]);
    const sfv sum_half = sfv_add(in[3], in[4]), difference_half = sfv_sub(in[3], in[4]);
    columns[0] = sfv_add(sfv_add(in[0], sum_one), sfv_add(sum_half, in[5]));
    columns[1] = sfv_fma(sfv_set1(2.0f), in[5], sfv_fma(half, difference_half, difference_one));
    columns[2] = sfv_fma(sfv_set1(4.0f), in[5], sfv_fma(quarter, sum_half, sum_one));
    columns[3] = sfv_add(sfv_fma(sfv_set1(8.0f), in[5], in[6]),
                         sfv_fma(eighth, difference_half, difference_one));
}

void SFK_NAME(line_output)(float *to, int64_t to_stride, const float *from, int64_t from_stride,
                           int64_t tiles)
{
    for (int64_t tile = 0; tile < tiles; tile += SFV_LANES) {
        sfv columns[TILE];
        columns_of(columns, from + tile, from_stride);
        for (int j = 0; j < TILE; j++) {
            sfv_store(to + j * to_stride + tile, columns[j]);
        }
    }
}

SFV_INLINE void put_some(float *out, sfv value, int64_t left)
{
    if (left > 0) {
        sfv_store_lanes(out, value, smaller(left, SFV_LANES));
    }
}

void SFK_NAME(line_row)(float *to, const float *from, int64_t from_stride, float bias,
                        int64_t columns)
{
    for (int64_t first = 0; first < columns; first += TILE * SFV_LANES) {
        sfv parted[TILE];
        columns_of(parted, from + first / TILE, from_stride);
        const sfv even[2] = {sfv_low_pairs(parted[0], parted[2]),
                             sfv_high_pairs(parted[0], parted[2])};
        const sfv odd[2] = {sfv_low_pairs(parted[1], parted[3]),
                            sfv_high_pairs(parted[1], parted[3])};
        for (int i = 0; i < 2; i++) {
            const int64_t at = first + 2 * i * SFV_LANES;
            const sfv low = sfv_add(sfv_low_pairs(even[i], odd[i]), sfv_set1(bias));
            const sfv high = sfv_add(sfv_high_pairs(even[i], odd[i]), sfv_set1(bias));
            put_some(to + at, low, columns - at);
            put_some(to + at + SFV_LANES, high, columns - at - SFV_LANES);
        }
    }
}

/* The four columns of a vector of tiles; zeros behind the last. */
SFV_INLINE void part_columns(sfv columns[TILE], const float *row, int64_t left)
{
    sfv in[TILE];
    for (int i = 0; i < TILE; i++) {
        in[i] = load_some(row + i * SFV_LANES, left - i * SFV_LANES);
    }
    const sfv even[2] = {sfv_evens(in[0], in[1]), sfv_evens(in[2], in[3])};
    const sfv odd[2] = {sfv_odds(in[0], in[1]), sfv_odds(in[2], in[3])};
    columns[0] = sfv_evens(even[0], even[1]);
    columns[1] = sfv_evens(odd[0], odd[1]);
    columns[2] = sfv_odds(even[0], even[1]);
    columns[3] = sfv_odds(odd[0], odd[1]);
}

void SFK_NAME(line_row_gradient)(float *to, int64_t to_stride, const float *row, int64_t columns)
{
    const sfv half = sfv_set1(0.5f), quarter = sfv_set1(0.25f), eighth = sfv_set1(0.125f);
    const sfv two = sfv_set1(2.0f), four = sfv_set1(4.0f), eight = sfv_set1(8.0f);
    for (int64_t first = 0; first < columns; first += TILE * SFV_LANES) {
        sfv in[TILE];
        part_columns(in, row + first, columns - first);
        const sfv even_one = sfv_add(in[0], in[2]), odd_one = sfv_add(in[1], in[3]);
        const sfv even_half = sfv_fma(quarter, in[2], in[0]);
        const sfv odd_half = sfv_fma(eighth, in[3], sfv_mul(half, in[1]));
        const sfv out[POINTS] = {
            in[0],
            sfv_add(even_one, odd_one),
            sfv_sub(even_one, odd_one),
            sfv_add(even_half, odd_half),
            sfv_sub(even_half, odd_half),
            sfv_fma(eight, in[3], sfv_fma(four, in[2], sfv_fma(two, in[1], in[0]))),
            in[3]};
        for (int f = 0; f < POINTS; f++) {
            sfv_store(to + f * to_stride + first / TILE, out[f]);
        }
    }
}

/* The larger of the rows at each column, [column % 4][1 + tile]; element 0 belongs to the tile in
 * front. */
typedef float column_maxima[TILE][PIECE + 32];

SFV_INLINE void larger_of_rows(column_maxima best, const sfk_line_pool *pool, int64_t first,
                               int64_t count)
{
    for (int j = 0; j < TILE; j++) {
        const float *middle = pool->rows[1] + j * pool->stride + first;
        const float *upper = pool->rows[0] ? pool->rows[0] + j * pool->stride + first : middle;
        const float *lower = pool->rows[2] ? pool->rows[2] + j * pool->stride + first : middle;
        for (int64_t tile = 0; tile < count; tile += SFV_LANES) {
            const sfv outer = sfv_max_or_nan(sfv_load(upper + tile), sfv_load(lower + tile));
            sfv_store(best[j] + 1 + tile, sfv_max_or_nan(sfv_load(middle + tile), outer));
        }
    }
}

/* Of numbers, the activation bends those below 0 and keeps their order. */
SFV_INLINE sfv bias_and_bend(sfv value, const sfk_line_pool *pool)
{
    const sfv sum = sfv_add(value, sfv_set1(pool->bias));
    switch (pool->activation) {
    case SFK_RELU:
        return sfv_max(sfv_zero(), sum);
    case SFK_LEAKY_RELU:
        return sfv_max(sfv_mul(sfv_set1(pool->slope), sum), sum);
    default:
        return sum;
    }
}

/* The columns of a row, [column % 4][1 + tile], with the last of the tile in front; what lies
 * behind the row's end never wins. */
SFV_INLINE void take_line(float (*line)[PIECE + 32], const float *row, const sfk_line_pool *pool,
                          int64_t first, int64_t count)
{
    const float none = -__builtin_inff();
    for (int j = 0; j < TILE; j++) {
        for (int64_t tile = 0; tile < count; tile += SFV_LANES) {
            sfv_store(line[j] + 1 + tile, sfv_load(row + j * pool->stride + first + tile));
        }
    }
    line[3][0] = first > 0 ? row[3 * pool->stride + first - 1] : none;
    for (int64_t column = larger(pool->columns, TILE * first); column < TILE * (first + count);
         column++) {
        line[column % TILE][1 + column / TILE - first] = none;
    }
}

SFV_INLINE void contend(sfv *best, sfv *winners, sfv value, int cell)
{
    *winners = sfv_if_beats(value, *best, sfv_set1((float)cell), *winners);
    *best = sfv_if_beats(value, *best, value, *best);
}

/* Of some tiles; numbers of cells are exact as floats. */
SFV_INLINE void pool_with_cells(float *out, const sfk_line_pool *pool, int64_t first, int64_t count)
{
    const int64_t windows = (pool->columns + 1) / 2;
    float lines[3][TILE][PIECE + 32];
    float numbers[2 * PIECE + 32];
    for (int row = 0; row < 3; row++) {
        if (pool->rows[row]) {
            take_line(lines[row], pool->rows[row], pool, first, count);
        }
    }
    for (int64_t tile = 0; tile < count; tile += SFV_LANES) {
        sfv even = sfv_set1(-__builtin_inff()), odd = even;
        sfv even_cells = sfv_set1(4.0f), odd_cells = even_cells;
        for (int row = 0; row < 3; row++) {
            if (!pool->rows[row]) {
                continue;
            }
            const sfv second = sfv_load(lines[row][1] + 1 + tile);
            contend(&even, &even_cells, sfv_load(lines[row][3] + tile), 3 * row);
            contend(&even, &even_cells, sfv_load(lines[row][0] + 1 + tile), 3 * row + 1);
            contend(&even, &even_cells, second, 3 * row + 2);
            contend(&odd, &odd_cells, second, 3 * row);
            contend(&odd, &odd_cells, sfv_load(lines[row][2] + 1 + tile), 3 * row + 1);
            contend(&odd, &odd_cells, sfv_load(lines[row][3] + 1 + tile), 3 * row + 2);
        }
        const int64_t at = 2 * (first + tile);
        put_some(out + at, bias_and_bend(sfv_low_pairs(even, odd), pool), windows - at);
        put_some(out + at + SFV_LANES, bias_and_bend(sfv_high_pairs(even, odd), pool),
                 windows - at - SFV_LANES);
        sfv_store(numbers + 2 * tile, sfv_low_pairs(even_cells, odd_cells));
        sfv_store(numbers + 2 * tile + SFV_LANES, sfv_high_pairs(even_cells, odd_cells));
    }
    for (int64_t x = 0; x < smaller(2 * count, windows - 2 * first); x++) {
        pool->cells[2 * first + x] = (uint8_t)(int32_t)numbers[x];
    }
}

void SFK_NAME(line_pool)(float *out, const sfk_line_pool *pool)
{
    const float none = -__builtin_inff();
    const int64_t tiles = (pool->columns + TILE - 1) / TILE;
    const int64_t windows = (pool->columns + 1) / 2;
    column_maxima best;
    float before = none;
    for (int64_t first = 0; pool->cells && first < tiles; first += PIECE) {
        pool_with_cells(out, pool, first, smaller(PIECE, tiles - first));
    }
    if (pool->cells) {
        return;
    }
    for (int64_t first = 0; first < tiles; first += PIECE) {
        const int64_t count = smaller(PIECE, tiles - first);
        larger_of_rows(best, pool, first, count);
        best[3][0] = before;
        before = best[3][count];
        for (int64_t column = larger(pool->columns, TILE * first); column < TILE * (first + count);
             column++) {
            best[column % TILE][1 + column / TILE - first] = none;
        }
        for (int64_t tile = 0; tile < count; tile += SFV_LANES) {
            const sfv second = sfv_load(best[1] + 1 + tile);
            const sfv even = sfv_max_or_nan(
                sfv_max_or_nan(sfv_load(best[3] + tile), sfv_load(best[0] + 1 + tile)), second);
            const sfv odd = sfv_max_or_nan(sfv_max_or_nan(second, sfv_load(best[2] + 1 + tile)),
                                           sfv_load(best[3] + 1 + tile));
            const sfv low = bias_and_bend(sfv_low_pairs(even, odd), pool);
            const sfv high = bias_and_bend(sfv_high_pairs(even, odd), pool);
            const int64_t at = 2 * (first + tile);
            put_some(out + at, low, windows - at);
            put_some(out + at + SFV_LANES, high, windows - at - SFV_LANES);
        }
    }
}
