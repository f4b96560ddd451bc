/* SPDX-License-Identifier: BSD-2-Clause */
#include "cuts.h"

#include <stddef.h>
#include <string.h>

/* Outputs of a row are worked on in pieces that stay in the nearest cache while every cell of the
 * window passes over them. */
#define PIECE 128

/* `from` … `to`-1, or none. */
typedef struct span {
    int64_t from;
    int64_t to;
} span;

/* The windows of first … first+count-1, counted from `first`, that have column `j` inside the map.
 */
SFV_INLINE span inside(const sfk_window *window, int64_t j, int64_t first, int64_t count)
{
    const int64_t before = window->padding - j;
    const int64_t last = window->width - 1 + before;
    const int64_t from = before > 0 ? (before + window->stride - 1) / window->stride : 0;
    const int64_t to = last < 0 ? 0 : last / window->stride + 1;
    return (span){larger(from - first, 0), smaller(to - first, count)};
}

/* The columns of the kernel that lie inside the map for any of these windows. */
SFV_INLINE span kernel_columns(const sfk_window *window, int64_t first, int64_t count)
{
    const int64_t left = window->padding - first * window->stride;
    return (span){larger(left - (count - 1) * window->stride, 0),
                  smaller(left + window->width, window->kernel_width)};
}

/* Column of the map under column j of window x. */
SFV_INLINE int64_t column_of(const sfk_window *window, int64_t x, int64_t j)
{
    return x * window->stride - window->padding + j;
}

/* NaN beats all numbers, the first of equals stays. */
SFV_INLINE bool beats(float value, float best)
{
    return !(value <= best) & (best == best);
}

SFV_INLINE void take_larger(float *restrict best, int32_t *restrict cells, const float *restrict in,
                            int64_t stride, span range, int32_t cell)
{
    for (int64_t x = range.from; x < range.to; x++) {
        const float value = in[x * stride];
        const bool takes = beats(value, best[x]);
        best[x] = takes ? value : best[x];
        cells[x] = takes ? cell : cells[x];
    }
}

SFV_INLINE void keep_larger(float *restrict best, const float *restrict in, int64_t stride,
                            span range)
{
    for (int64_t x = range.from; x < range.to; x++) {
        best[x] = beats(in[x * stride], best[x]) ? in[x * stride] : best[x];
    }
}

SFV_INLINE void add_cells(float *restrict sums, const float *restrict in, int64_t stride,
                          span range)
{
    for (int64_t x = range.from; x < range.to; x++) {
        sums[x] += in[x * stride];
    }
}

/* Strides 1 and 2 as constants become vectors. */
SFV_INLINE void max_cell(float *best, int32_t *cells, const float *in, int64_t stride, span range,
                         int32_t cell)
{
    if (!cells) {
        switch (stride) {
        case 1:
            keep_larger(best, in, 1, range);
            return;
        case 2:
            keep_larger(best, in, 2, range);
            return;
        default:
            keep_larger(best, in, stride, range);
            return;
        }
    }
    switch (stride) {
    case 1:
        take_larger(best, cells, in, 1, range, cell);
        return;
    case 2:
        take_larger(best, cells, in, 2, range, cell);
        return;
    default:
        take_larger(best, cells, in, stride, range, cell);
    }
}

/* The first cell of each window that lies inside the map: the winner where all are -infinity. */
SFV_INLINE void first_cells(int32_t *cells, const sfk_window *window, int64_t first, int64_t count)
{
    const int64_t row = window->first_row * window->kernel_width;
    for (int64_t x = 0; x < count; x++) {
        cells[x] = (int32_t)(row + larger(0, -column_of(window, first + x, 0)));
    }
}

SFV_INLINE void store_cells(void *to, bool wide, const int32_t *cells, int64_t first, int64_t count)
{
    if (wide) {
        memcpy((int32_t *)to + first, cells, (size_t)count * sizeof *cells);
        return;
    }
    uint8_t *bytes = (uint8_t *)to + first;
    for (int64_t x = 0; x < count; x++) {
        bytes[x] = (uint8_t)cells[x];
    }
}

/* Small strides and windows go through lines, of which whole vectors are read. */
#define MAX_LINE_STRIDE 2
#define MAX_LINE_KERNEL 16
#define LINE_SIZE (MAX_LINE_STRIDE * (PIECE + SFV_LANES) + MAX_LINE_KERNEL)

SFV_INLINE bool fits_line(const sfk_window *window)
{
    return window->stride <= MAX_LINE_STRIDE && window->kernel_width <= MAX_LINE_KERNEL;
}

/* The cells of windows that follow each other; `stride` is 1 or 2, a constant at every call. */
SFV_INLINE sfv cells_at(const float *line, int64_t stride)
{
    return stride == 1 ? sfv_load(line) : sfv_evens(sfv_load(line), sfv_load(line + SFV_LANES));
}

/* Without cells the rows come first, as they lie, and then the columns of each window. */

/* The larger of all rows at each column under windows first … first+count-1. */
SFV_INLINE void fill_line(float line[LINE_SIZE], const sfk_window *window, int64_t first)
{
    const int64_t left = column_of(window, first, 0);
    const int64_t begin = larger(0, -left);
    const int64_t end = smaller(LINE_SIZE, window->width - left);
    for (int64_t x = 0; x < LINE_SIZE; x++) {
        line[x] = -__builtin_inff();
    }
    for (int64_t i = 0; i < window->end_row - window->first_row; i++) {
        const float *row = window->in + i * window->width + left;
        int64_t x = begin;
        for (; x + SFV_LANES <= end; x += SFV_LANES) {
            sfv_store(line + x, sfv_max_or_nan(sfv_load(row + x), sfv_load(line + x)));
        }
        for (; x < end; x++) {
            line[x] = beats(row[x], line[x]) ? row[x] : line[x];
        }
    }
}

SFV_INLINE void max_of_line(float *out, const float *line, int64_t kernel_width, int64_t stride,
                            int64_t count)
{
    for (int64_t x = 0; x < count; x += SFV_LANES) {
        sfv best = sfv_set1(-__builtin_inff());
        for (int64_t j = 0; j < kernel_width; j++) {
            best = sfv_max_or_nan(cells_at(line + x * stride + j, stride), best);
        }
        if (x + SFV_LANES <= count) {
            sfv_store(out + x, best);
        } else {
            sfv_store_part(out + x, best, count - x);
        }
    }
}

SFV_INLINE void max_piece(float *out, const sfk_window *window, int64_t first, int64_t count)
{
    float line[LINE_SIZE];
    fill_line(line, window, first);
    if (window->stride == 1) {
        max_of_line(out + first, line, window->kernel_width, 1, count);
    } else {
        max_of_line(out + first, line, window->kernel_width, 2, count);
    }
}

/* Columns that whole vectors of cells are read of. */
SFV_INLINE int64_t columns_read(int64_t kernel_width, int64_t stride)
{
    return stride * SFV_LANES + kernel_width - 1;
}

/* Columns left … left+size-1 of the map's row; -infinity outside. */
SFV_INLINE void copy_columns(float *line, const float *row, int64_t left, int64_t width,
                             int64_t size)
{
    const int64_t end = larger(0, smaller(size, width - left));
    int64_t x = 0;
    for (; x < -left && x < size; x++) {
        line[x] = -__builtin_inff();
    }
    for (; x < end; x++) {
        line[x] = row[left + x];
    }
    for (; x < size; x++) {
        line[x] = -__builtin_inff();
    }
}

/* Numbers of the first cells of windows that lie inside the map: the winners where all are
 * -infinity. */
SFV_INLINE sfv first_winners(int64_t first_cell, int64_t left, int64_t stride)
{
    float cells[SFV_LANES];
    if (left >= 0) {
        return sfv_set1((float)first_cell);
    }
    for (int64_t x = 0; x < SFV_LANES; x++) {
        cells[x] = (float)(first_cell + larger(0, -(left + x * stride)));
    }
    return sfv_load(cells);
}

/* Windows from column `left` on: their largest cells, and the numbers of these as floats, which are
 * exact as they fit a byte. What lies outside the map is -infinity and beats nothing. */
SFV_INLINE void find_winners(sfv *best, sfv *winners, const sfk_window *window, int64_t left,
                             int64_t kernel_width, int64_t stride)
{
    const int64_t size = columns_read(kernel_width, stride);
    const bool whole = left >= 0 && left + size <= window->width;
    float line[MAX_LINE_STRIDE * SFV_LANES + MAX_LINE_KERNEL];
    sfv number = sfv_set1((float)(window->first_row * kernel_width));
    *best = sfv_set1(-__builtin_inff());
    *winners = first_winners(window->first_row * kernel_width, left, stride);
    for (int64_t i = window->first_row; i < window->end_row; i++) {
        const float *row = window->in + (i - window->first_row) * window->width;
        const float *from = row + left;
        if (!whole) {
            copy_columns(line, row, left, window->width, size);
            from = line;
        }
        for (int64_t j = 0; j < kernel_width; j++) {
            const sfv value = cells_at(from + j, stride);
            *winners = sfv_if_beats(value, *best, number, *winners);
            *best = sfv_if_beats(value, *best, value, *best);
            number = sfv_add(number, sfv_set1(1.0f));
        }
    }
}

/* `kernel_width` and `stride` are constants where windows are usual. */
SFV_INLINE void winners_piece(float *out, uint8_t *cells, const sfk_window *window, int64_t first,
                              int64_t count, int64_t kernel_width, int64_t stride)
{
    float numbers[PIECE];
    for (int64_t x = 0; x < count; x += SFV_LANES) {
        sfv best, winners;
        find_winners(&best, &winners, window, (first + x) * stride - window->padding, kernel_width,
                     stride);
        sfv_store(numbers + x, winners);
        if (x + SFV_LANES <= count) {
            sfv_store(out + first + x, best);
        } else {
            sfv_store_part(out + first + x, best, count - x);
        }
    }
    for (int64_t x = 0; x < count; x++) {
        cells[first + x] = (uint8_t)(int32_t)numbers[x];
    }
}

SFV_INLINE void piece_with_winners(float *out, uint8_t *cells, const sfk_window *window,
                                   int64_t first, int64_t count)
{
    if (window->stride == 2 && window->kernel_width == 2) {
        winners_piece(out, cells, window, first, count, 2, 2);
    } else if (window->stride == 2 && window->kernel_width == 3) {
        winners_piece(out, cells, window, first, count, 3, 2);
    } else if (window->stride == 2) {
        winners_piece(out, cells, window, first, count, window->kernel_width, 2);
    } else {
        winners_piece(out, cells, window, first, count, window->kernel_width, 1);
    }
}

void SFK_NAME(max_row)(float *out, void *cells, bool wide, const sfk_window *window)
{
    const int64_t kernel_width = window->kernel_width;
    for (int64_t first = 0; first < window->columns; first += PIECE) {
        const int64_t count = smaller(PIECE, window->columns - first);
        if (!cells && fits_line(window)) {
            max_piece(out, window, first, count);
            continue;
        }
        if (cells && !wide && fits_line(window)) {
            piece_with_winners(out, cells, window, first, count);
            continue;
        }
        const span columns = kernel_columns(window, first, count);
        float *best = out + first;
        int32_t winners[PIECE];
        for (int64_t x = 0; x < count; x++) {
            best[x] = -__builtin_inff();
        }
        if (cells) {
            first_cells(winners, window, first, count);
        }
        for (int64_t i = window->first_row; i < window->end_row; i++) {
            const float *row = window->in + (i - window->first_row) * window->width;
            for (int64_t j = columns.from; j < columns.to; j++) {
                max_cell(best, cells ? winners : NULL, row + column_of(window, first, j),
                         window->stride, inside(window, j, first, count),
                         (int32_t)(i * kernel_width + j));
            }
        }
        if (cells) {
            store_cells(cells, wide, winners, first, count);
        }
    }
}

/* Cells of window x that lie inside the map. */
SFV_INLINE float cell_count(const sfk_window *window, int64_t x)
{
    const int64_t left = column_of(window, x, 0);
    const int64_t columns = smaller(left + window->kernel_width, window->width) - larger(left, 0);
    return (float)(columns * (window->end_row - window->first_row));
}

void SFK_NAME(average_row)(float *out, const sfk_window *window)
{
    for (int64_t first = 0; first < window->columns; first += PIECE) {
        const int64_t count = smaller(PIECE, window->columns - first);
        const span columns = kernel_columns(window, first, count);
        float *sums = out + first;
        memset(sums, 0, (size_t)count * sizeof *sums);
        for (int64_t i = window->first_row; i < window->end_row; i++) {
            const float *row = window->in + (i - window->first_row) * window->width;
            for (int64_t j = columns.from; j < columns.to; j++) {
                const float *in = row + column_of(window, first, j);
                const span range = inside(window, j, first, count);
                if (window->stride == 2) {
                    add_cells(sums, in, 2, range);
                } else {
                    add_cells(sums, in, window->stride, range);
                }
            }
        }
        for (int64_t x = 0; x < count; x++) {
            sums[x] /= cell_count(window, first + x);
        }
    }
}

/* `kernel_width` is a constant where it matters: a division would take longer than all the rest. */
SFV_INLINE void add_to_winners(float *grad_in, const float *grad_out, const void *cells, bool wide,
                               const sfk_window *window, int64_t kernel_width)
{
    const uint8_t *bytes = cells;
    const int32_t *words = cells;
    const int32_t width = (int32_t)kernel_width;
    for (int64_t x = 0; x < window->columns; x++) {
        const int32_t cell = wide ? words[x] : bytes[x];
        const int64_t row = cell / width - window->first_row;
        grad_in[row * window->width + column_of(window, x, cell % width)] += grad_out[x];
    }
}

void SFK_NAME(max_row_gradient)(float *grad_in, const float *grad_out, const void *cells, bool wide,
                                const sfk_window *window)
{
    if (!wide && window->kernel_width == 2) {
        add_to_winners(grad_in, grad_out, cells, false, window, 2);
    } else if (!wide && window->kernel_width == 3) {
        add_to_winners(grad_in, grad_out, cells, false, window, 3);
    } else {
        add_to_winners(grad_in, grad_out, cells, wide, window, window->kernel_width);
    }
}

void SFK_NAME(average_row_gradient)(float *grad_in, const float *grad_out, const sfk_window *window)
{
    for (int64_t first = 0; first < window->columns; first += PIECE) {
        const int64_t count = smaller(PIECE, window->columns - first);
        const span columns = kernel_columns(window, first, count);
        float shares[PIECE];
        for (int64_t x = 0; x < count; x++) {
            shares[x] = grad_out[first + x] / cell_count(window, first + x);
        }
        for (int64_t i = window->first_row; i < window->end_row; i++) {
            float *row = grad_in + (i - window->first_row) * window->width;
            for (int64_t j = columns.from; j < columns.to; j++) {
                float *to = row + column_of(window, first, j);
                const span range = inside(window, j, first, count);
                for (int64_t x = range.from; x < range.to; x++) {
                    to[x * window->stride] += shares[x];
                }
            }
        }
    }
}
