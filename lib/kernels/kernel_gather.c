/* SPDX-License-Identifier: BSD-2-Clause */
#include "cuts.h"

/* The next three write whole vectors: what they write too much belongs to the run that follows and
 * is written again, or is slack. */
SFV_INLINE void put_zeros(float *to, int64_t count)
{
    for (int64_t i = 0; i < count; i += SFV_LANES) {
        sfv_store(to + i, sfv_zero());
    }
}

SFV_INLINE void copy(float *to, const float *from, int64_t count)
{
    int64_t i = 0;
    for (; i + SFV_LANES <= count; i += SFV_LANES) {
        sfv_store(to + i, sfv_load(from + i));
    }
    if (i < count) {
        sfv_store(to + i, sfv_load_part(from + i, count - i));
    }
}

/* Every other element. What comes behind the last may not exist. */
SFV_INLINE void copy_pairs(float *to, const float *from, int64_t count)
{
    int64_t i = 0;
    for (; i + SFV_LANES < count; i += SFV_LANES) {
        sfv_store(to + i, sfv_evens(sfv_load(from + 2 * i), sfv_load(from + 2 * i + SFV_LANES)));
    }
    const int64_t left = 2 * (count - i) - 1;
    sfv_store(to + i, sfv_evens(load_some(from + 2 * i, left),
                                load_some(from + 2 * i + SFV_LANES, left - SFV_LANES)));
}

SFV_INLINE void copy_strided(float *to, const float *from, int64_t count, int64_t step)
{
    if (step == 2) {
        copy_pairs(to, from, count);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        to[i] = from[i * step];
    }
}

SFV_INLINE int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* The columns of a run that lie inside the image, zeros around them. */
SFV_INLINE void gather_run(float *to, const sfk_gather *from, const sfk_run *run, const float *row)
{
    const int64_t first = clamp(from->first_column - run->column, 0, run->length);
    const int64_t end = clamp(from->end_column - run->column, first, run->length);
    put_zeros(to, first);
    if (first < end) {
        row += (run->column + first) * from->column_step + from->tap_column;
        if (from->column_step == 1) {
            copy(to + first, row, end - first);
        } else {
            copy_strided(to + first, row, end - first, from->column_step);
        }
    }
    put_zeros(to + end, run->length - end);
}

void SFK_NAME(gather)(float *to, const sfk_gather *from)
{
    for (int64_t r = 0; r < from->run_count; r++) {
        const sfk_run *run = &from->runs[r];
        const int64_t row = run->row * from->row_step + from->tap_row;
        if (row < 0 || row >= from->height) {
            put_zeros(to, run->length);
        } else {
            gather_run(to, from, run,
                       from->plane + run->image * from->image_stride + row * from->width);
        }
        to += run->length;
    }
}
