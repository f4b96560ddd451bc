/* SPDX-License-Identifier: BSD-2-Clause */
#include "vec.h"

#include <string.h>

/* Sources that fit the registers beside one row of sums. */
#if SFV_TILE_ROWS > 6
#define SFV_HELD_DEPTH 12
#else
#define SFV_HELD_DEPTH 6
#endif

/* A tile of `rows` x `vectors` registers from (row, column) of the strip on. Both are constants at
 * every call, so that the arrays become registers; `tail` lanes of the last vector are wanted, 0
 * for all. */
SFV_INLINE void start_sums(sfv (*sums)[SFV_TILE_VECTORS], const sfk_strip *strip, int64_t row,
                           int64_t column, int rows, int vectors, int64_t tail)
{
    const int whole = tail ? vectors - 1 : vectors;
    for (int m = 0; m < rows; m++) {
        const float *to = strip->to + (row + m) * strip->to_stride + column;
        for (int v = 0; v < vectors; v++) {
            if (!strip->accumulate) {
                sums[m][v] = sfv_set1(strip->bias ? strip->bias[row + m] : 0.0f);
            } else if (v < whole) {
                sums[m][v] = sfv_load(to + v * SFV_LANES);
            } else {
                sums[m][v] = sfv_load_part(to + v * SFV_LANES, tail);
            }
        }
    }
}

SFV_INLINE void add_residuals(sfv (*sums)[SFV_TILE_VECTORS], const sfk_strip *strip, int64_t row,
                              int64_t column, int rows, int vectors)
{
    for (int64_t i = 0; i < strip->residual_count; i++) {
        for (int m = 0; m < rows; m++) {
            const float *residual = strip->residuals[i] + (row + m) * strip->residual_stride;
            for (int v = 0; v < vectors; v++) {
                sums[m][v] =
                    sfv_add(sums[m][v], sfv_load(residual + strip->first + column + v * SFV_LANES));
            }
        }
    }
}

SFV_INLINE sfv activate(const sfk_strip *strip, sfv value)
{
    if (strip->activation == SFK_RELU) {
        return sfv_max(sfv_zero(), value);
    }
    if (strip->activation == SFK_LEAKY_RELU) {
        return sfv_max(sfv_mul(sfv_set1(strip->slope), value), value);
    }
    return value;
}

SFV_INLINE void run_tile(const sfk_strip *strip, int64_t row, int64_t column, int rows, int vectors,
                         int64_t tail)
{
    sfv sums[SFV_TILE_ROWS][SFV_TILE_VECTORS];
    const float *weights[SFV_TILE_ROWS];
    const int whole = tail ? vectors - 1 : vectors;
    const int64_t first = strip->first + column;
    const int64_t step = strip->weight_step;
    const int64_t depth = strip->depth;
    const float *const *sources = strip->sources;
    for (int m = 0; m < rows; m++) {
        weights[m] = strip->weights[row + m] + strip->weight_first;
    }
    start_sums(sums, strip, row, column, rows, vectors, tail);
    for (int64_t k = 0; k < depth; k++) {
        const float *source = sources[k] + first;
        /* One address a step: compilers else keep an index register for each vector. */
        __asm__("" : "+r"(source));
        sfv columns[SFV_TILE_VECTORS];
        for (int v = 0; v < vectors; v++) {
            columns[v] = sfv_load(source + v * SFV_LANES);
        }
        for (int m = 0; m < rows; m++) {
            const sfv weight = sfv_set1(weights[m][k * step]);
            for (int v = 0; v < vectors; v++) {
                sums[m][v] = sfv_fma(weight, columns[v], sums[m][v]);
            }
        }
    }
    if (strip->residual_count) {
        add_residuals(sums, strip, row, column, rows, vectors);
    }
    for (int m = 0; m < rows; m++) {
        float *to = strip->to + (row + m) * strip->to_stride + column;
        for (int v = 0; v < vectors; v++) {
            const sfv value = activate(strip, sums[m][v]);
            if (v < whole) {
                sfv_store(to + v * SFV_LANES, value);
            } else {
                sfv_store_part(to + v * SFV_LANES, value, tail);
            }
        }
    }
}

/* Shallow sums: the sources stay in registers and the rows pass by, each a short chain. `depth` and
 * `vectors` are constants at every call. */
SFV_INLINE void run_held(const sfk_strip *strip, int64_t column, int depth, int vectors,
                         int64_t tail)
{
    sfv held[SFV_HELD_DEPTH][SFV_TILE_VECTORS];
    const int whole = tail ? vectors - 1 : vectors;
    for (int k = 0; k < depth; k++) {
        for (int v = 0; v < vectors; v++) {
            held[k][v] = sfv_load(strip->sources[k] + strip->first + column + v * SFV_LANES);
        }
    }
    for (int64_t row = 0; row < strip->rows; row++) {
        const float *weights = strip->weights[row] + strip->weight_first;
        float *to = strip->to + row * strip->to_stride + column;
        sfv sums[1][SFV_TILE_VECTORS];
        for (int v = 0; v < vectors; v++) {
            sums[0][v] = sfv_set1(strip->bias ? strip->bias[row] : 0.0f);
        }
        for (int k = 0; k < depth; k++) {
            const sfv weight = sfv_set1(weights[k * strip->weight_step]);
            for (int v = 0; v < vectors; v++) {
                sums[0][v] = sfv_fma(weight, held[k][v], sums[0][v]);
            }
        }
        if (strip->residual_count) {
            add_residuals(sums, strip, row, column, 1, vectors);
        }
        for (int v = 0; v < vectors; v++) {
            const sfv value = activate(strip, sums[0][v]);
            if (v < whole) {
                sfv_store(to + v * SFV_LANES, value);
            } else {
                sfv_store_part(to + v * SFV_LANES, value, tail);
            }
        }
    }
}

/* Whether run_held() served the strip. */
SFV_INLINE bool hold_sources(const sfk_strip *strip, int64_t column, int vectors, int64_t tail)
{
    if (strip->accumulate || strip->rows <= SFV_TILE_ROWS) {
        return false;
    }
    switch (strip->depth) {
    case 1:
        run_held(strip, column, 1, vectors, tail);
        return true;
    case 2:
        run_held(strip, column, 2, vectors, tail);
        return true;
    case 3:
        run_held(strip, column, 3, vectors, tail);
        return true;
    case 4:
        run_held(strip, column, 4, vectors, tail);
        return true;
    case 6:
        run_held(strip, column, 6, vectors, tail);
        return true;
#if SFV_HELD_DEPTH > 6
    case 8:
        run_held(strip, column, 8, vectors, tail);
        return true;
    case SFV_HELD_DEPTH:
        if (vectors <= 2) {
            run_held(strip, column, SFV_HELD_DEPTH, vectors, tail);
        }
        return vectors <= 2;
#endif
    default:
        return false;
    }
}

/* The rows of the strip in tiles of nearly equal height, `rows` or one less. */
SFV_INLINE void run_vectors(const sfk_strip *strip, int64_t column, int vectors, int64_t tail)
{
    const int64_t tiles = (strip->rows + SFV_TILE_ROWS - 1) / SFV_TILE_ROWS;
    int64_t row = 0;
    if (hold_sources(strip, column, vectors, tail)) {
        return;
    }
    for (int64_t tile = 0; tile < tiles; tile++) {
        const int64_t rows = (strip->rows - row + tiles - tile - 1) / (tiles - tile);
        switch (rows) {
#if SFV_TILE_ROWS > 6
        case 8:
            run_tile(strip, row, column, 8, vectors, tail);
            break;
        case 7:
            run_tile(strip, row, column, 7, vectors, tail);
            break;
#endif
#if SFV_TILE_ROWS > 4
        case 6:
            run_tile(strip, row, column, 6, vectors, tail);
            break;
        case 5:
            run_tile(strip, row, column, 5, vectors, tail);
            break;
#endif
        case 4:
            run_tile(strip, row, column, 4, vectors, tail);
            break;
        case 3:
            run_tile(strip, row, column, 3, vectors, tail);
            break;
        case 2:
            run_tile(strip, row, column, 2, vectors, tail);
            break;
        default:
            run_tile(strip, row, column, 1, vectors, tail);
        }
        row += rows;
    }
}

/* The one place where tiles are compiled, for each number of vectors. */
static void run_some(const sfk_strip *strip, int64_t column, int64_t vectors, int64_t tail)
{
    switch (vectors) {
#if SFV_TILE_VECTORS > 2
    case 3:
        run_vectors(strip, column, 3, tail);
        break;
#endif
    case 2:
        run_vectors(strip, column, 2, tail);
        break;
    default:
        run_vectors(strip, column, 1, tail);
    }
}

void SFK_NAME(strip_product)(const sfk_strip *strip)
{
    const bool held_deep = strip->depth == SFV_HELD_DEPTH && !strip->accumulate;
    const int64_t vectors = held_deep ? 2 : SFV_TILE_VECTORS;
    const int64_t wide = vectors * SFV_LANES;
    int64_t column = 0;
    for (; column + wide <= strip->columns; column += wide) {
        run_some(strip, column, vectors, 0);
    }
    const int64_t rest = strip->columns - column;
    if (rest > 0) {
        run_some(strip, column, (rest + SFV_LANES - 1) / SFV_LANES, rest % SFV_LANES);
    }
}

/* Outputs first … end - 1 read only columns of tap `tap` that lie inside the row. */
typedef struct tap_range {
    const float *from;
    int64_t first;
    int64_t end;
} tap_range;

SFV_INLINE tap_range range_of(const sfk_shift *shift, int64_t tap)
{
    /* Output x reads column x·stride + offset. */
    const int64_t stride = shift->stride;
    const int64_t offset = tap * shift->dilation - shift->padding;
    const int64_t last = shift->width - 1 - offset;
    tap_range range = {.from = shift->from + tap * shift->from_stride + offset,
                       .first = offset < 0 ? (stride - 1 - offset) / stride : 0,
                       .end = last >= 0 ? last / stride + 1 : 0};
    range.end = range.end < shift->out_width ? range.end : shift->out_width;
    return range;
}

SFV_INLINE void add_tap(float *restrict to, const tap_range *tap, int64_t stride)
{
    for (int64_t x = tap->first; x < tap->end; x++) {
        to[x] += tap->from[x * stride];
    }
}

/* Three taps at once where all are inside, by far the commonest; the two ends one by one. */
SFV_INLINE void add_three(float *restrict to, const tap_range taps[3], int64_t stride,
                          bool accumulate)
{
    const int64_t first = taps[0].first;
    const int64_t end = taps[2].end;
    const float *restrict a = taps[0].from;
    const float *restrict b = taps[1].from;
    const float *restrict c = taps[2].from;
    for (int64_t x = first; x < end; x++) {
        const float start = accumulate ? to[x] : 0.0f;
        to[x] = ((start + a[x * stride]) + b[x * stride]) + c[x * stride];
    }
    for (int tap = 0; tap < 3; tap++) {
        const tap_range left = {taps[tap].from, taps[tap].first,
                                taps[tap].end < first ? taps[tap].end : first};
        const tap_range right = {taps[tap].from, taps[tap].first > end ? taps[tap].first : end,
                                 taps[tap].end};
        add_tap(to, &left, stride);
        add_tap(to, &right, stride);
    }
}

void SFK_NAME(shift_add)(float *to, const sfk_shift *shift)
{
    tap_range taps[3];
    if (!shift->accumulate) {
        memset(to, 0, (size_t)shift->out_width * sizeof *to);
    }
    for (int tap = 0; tap < 3 && shift->taps == 3; tap++) {
        taps[tap] = range_of(shift, tap);
    }
    if (shift->taps == 3 && taps[0].first < taps[2].end && shift->stride == 1) {
        add_three(to, taps, 1, shift->accumulate);
        return;
    }
    for (int64_t tap = 0; tap < shift->taps; tap++) {
        const tap_range range = range_of(shift, tap);
        if (shift->stride == 1) {
            add_tap(to, &range, 1);
        } else if (shift->stride == 2) {
            add_tap(to, &range, 2);
        } else {
            add_tap(to, &range, shift->stride);
        }
    }
}

SFV_INLINE sfv pool_vectors(sfv above, sfv above_next, sfv below, sfv below_next)
{
    const sfv first = sfv_max_or_nan(above, below);
    const sfv second = sfv_max_or_nan(above_next, below_next);
    return sfv_max_or_nan(sfv_evens(first, second), sfv_odds(first, second));
}

/* `count` elements, which may be more than a vector or less than one. */
SFV_INLINE sfv load_some(const float *from, int64_t count)
{
    return count >= SFV_LANES ? sfv_load(from)
           : count > 0        ? sfv_load_part(from, count)
                              : sfv_zero();
}

void SFK_NAME(pool_pairs)(float *restrict out, const float *restrict upper,
                          const float *restrict lower, int64_t count)
{
    int64_t x = 0;
    for (; x + SFV_LANES <= count; x += SFV_LANES) {
        const float *above = upper + 2 * x;
        const float *below = lower + 2 * x;
        sfv_store(out + x, pool_vectors(sfv_load(above), sfv_load(above + SFV_LANES),
                                        sfv_load(below), sfv_load(below + SFV_LANES)));
    }
    if (x < count) {
        const int64_t left = 2 * (count - x);
        const float *above = upper + 2 * x;
        const float *below = lower + 2 * x;
        const sfv pooled =
            pool_vectors(load_some(above, left), load_some(above + SFV_LANES, left - SFV_LANES),
                         load_some(below, left), load_some(below + SFV_LANES, left - SFV_LANES));
        sfv_store_part(out + x, pooled, count - x);
    }
}
