/* SPDX-License-Identifier: BSD-2-Clause */
#include "vec.h"

#include <string.h>

SFV_INLINE void spread_tap(float *restrict to, const sfk_shift *shift, int64_t tap, int64_t stride)
{
    /* Output o reads column o·stride + offset; from o = first to end-1 that is inside the row. */
    const int64_t offset = tap * shift->dilation - shift->padding;
    const int64_t last = shift->width - 1 - offset;
    const int64_t first = offset < 0 ? (stride - 1 - offset) / stride : 0;
    const int64_t reach = last >= 0 ? last / stride + 1 : 0;
    const int64_t end = reach < shift->out_width ? reach : shift->out_width;
    if (first >= end) {
        memset(to, 0, (size_t)shift->width * sizeof *to);
        return;
    }
    const int64_t begin = first * stride + offset;
    const int64_t behind = begin + (end - first) * stride;
    memset(to, 0, (size_t)begin * sizeof *to);
    for (int64_t o = first; o + 1 < end; o++) {
        to[o * stride + offset] = shift->from[o];
        for (int64_t i = 1; i < stride; i++) {
            to[o * stride + offset + i] = 0.0f;
        }
    }
    to[(end - 1) * stride + offset] = shift->from[end - 1];
    for (int64_t x = behind - stride + 1; x < shift->width; x++) {
        to[x] = 0.0f;
    }
}

void SFK_NAME(spread_taps)(float *to, const sfk_shift *shift)
{
    for (int64_t tap = 0; tap < shift->taps; tap++) {
        float *row = to + tap * shift->tap_stride;
        if (shift->stride == 1) {
            spread_tap(row, shift, tap, 1);
        } else if (shift->stride == 2) {
            spread_tap(row, shift, tap, 2);
        } else {
            spread_tap(row, shift, tap, shift->stride);
        }
    }
}
