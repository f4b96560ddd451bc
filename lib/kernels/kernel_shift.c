/* SPDX-License-Identifier: BSD-2-Clause */
#include "cuts.h"

#include <string.h>

/* Outputs first … end - 1 read only columns of tap `tap` that lie inside the row. */
typedef struct tap_range {
    const float *from;
    int64_t first;
    int64_t end;
} tap_range;

/* Of a size that is not negative. A division takes as long as the sums of a short row, and strides
 * are 1 or 2. */
SFV_INLINE int64_t divided(int64_t size, int64_t stride)
{
    return stride == 1 ? size : stride == 2 ? size >> 1 : size / stride;
}

SFV_INLINE tap_range range_of(const sfk_shift *shift, int64_t tap)
{
    /* Output x reads column x·stride + offset. */
    const int64_t stride = shift->stride;
    const int64_t offset = tap * shift->dilation - shift->padding;
    const int64_t last = shift->width - 1 - offset;
    tap_range range = {.from = shift->from + tap * shift->tap_stride + offset,
                       .first = offset < 0 ? divided(stride - 1 - offset, stride) : 0,
                       .end = last >= 0 ? divided(last, stride) + 1 : 0};
    range.end = range.end < shift->out_width ? range.end : shift->out_width;
    return range;
}

SFV_INLINE void add_tap(float *restrict to, const tap_range *tap, int64_t stride)
{
    for (int64_t x = tap->first; x < tap->end; x++) {
        to[x] += tap->from[x * stride];
    }
}

/* Output x where not every tap is inside. */
SFV_INLINE float sum_at_edge(float sum, const tap_range taps[3], int64_t x)
{
    for (int tap = 0; tap < 3; tap++) {
        if (x >= taps[tap].first && x < taps[tap].end) {
            sum += taps[tap].from[x];
        }
    }
    return sum;
}

SFV_INLINE sfv sum_inside(sfv sum, const tap_range taps[3], int64_t x, int64_t lanes)
{
    SFV_UNROLL
    for (int tap = 0; tap < 3; tap++) {
        sum = sfv_add(sum, sfv_load_lanes(taps[tap].from + x, lanes));
    }
    return sum;
}

/* Three taps of stride 1, by far the commonest: at once where all are inside. */
SFV_INLINE void add_three(float *restrict to, const tap_range taps[3], int64_t width,
                          bool accumulate)
{
    const int64_t end = taps[2].end;
    int64_t x = 0;
    for (; x < taps[0].first; x++) {
        to[x] = sum_at_edge(accumulate ? to[x] : 0.0f, taps, x);
    }
    for (; x + SFV_LANES <= end; x += SFV_LANES) {
        const sfv start = accumulate ? sfv_load(to + x) : sfv_zero();
        sfv_store(to + x, sum_inside(start, taps, x, SFV_LANES));
    }
    if (x < end) {
        const int64_t lanes = end - x;
        const sfv start = accumulate ? sfv_load_part(to + x, lanes) : sfv_zero();
        sfv_store_part(to + x, sum_inside(start, taps, x, lanes), lanes);
        x = end;
    }
    for (; x < width; x++) {
        to[x] = sum_at_edge(accumulate ? to[x] : 0.0f, taps, x);
    }
}

void SFK_NAME(shift_add)(float *to, const sfk_shift *shift)
{
    if (shift->taps == 3 && shift->stride == 1) {
        const tap_range taps[3] = {range_of(shift, 0), range_of(shift, 1), range_of(shift, 2)};
        if (taps[0].first < taps[2].end) {
            add_three(to, taps, shift->out_width, shift->accumulate);
            return;
        }
    }
    if (!shift->accumulate) {
        memset(to, 0, (size_t)shift->out_width * sizeof *to);
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

void SFK_NAME(pool_pairs)(float *restrict out, const float *restrict upper,
                          const float *restrict lower, int64_t count)
{
    int64_t x = 0;
    for (; x + SFV_LANES <= count; x += SFV_LANES) {
        const float *above = upper + 2 * x;
        const float *below = lower + 2 * x;
        sfv_store(out + x,
                  sfv_in_order(sfv_pool_pairs(sfv_load(above), sfv_load(above + SFV_LANES),
                                              sfv_load(below), sfv_load(below + SFV_LANES))));
    }
    if (x < count) {
        const int64_t left = 2 * (count - x);
        const float *above = upper + 2 * x;
        const float *below = lower + 2 * x;
        const sfv pooled =
            sfv_pool_pairs(load_some(above, left), load_some(above + SFV_LANES, left - SFV_LANES),
                           load_some(below, left), load_some(below + SFV_LANES, left - SFV_LANES));
        sfv_store_part(out + x, sfv_in_order(pooled), count - x);
    }
}
