/* SPDX-License-Identifier: BSD-2-Clause */
#include "vec.h"

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
    tap_range range = {.from = shift->from + tap * shift->from_stride + offset,
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
