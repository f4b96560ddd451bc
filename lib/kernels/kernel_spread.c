/* SPDX-License-Identifier: BSD-2-Clause */
#include "vec.h"

#include <string.h>

SFV_INLINE void spread_tap(float *restrict to, const sfk_spread *spread, int64_t tap,
                           int64_t stride)
{
    /* Output o reads column o·stride + offset; from o = first to end-1 that is inside the row. */
    const int64_t offset = tap * spread->dilation - spread->padding;
    const int64_t last = spread->width - 1 - offset;
    const int64_t first = offset < 0 ? (stride - 1 - offset) / stride : 0;
    const int64_t reach = last >= 0 ? last / stride + 1 : 0;
    const int64_t end = reach < spread->out_width ? reach : spread->out_width;
    if (first >= end) {
        memset(to, 0, (size_t)spread->width * sizeof *to);
        return;
    }
    const int64_t begin = first * stride + offset;
    const int64_t behind = begin + (end - first) * stride;
    memset(to, 0, (size_t)begin * sizeof *to);
    for (int64_t o = first; o + 1 < end; o++) {
        to[o * stride + offset] = spread->from[o];
        for (int64_t i = 1; i < stride; i++) {
            to[o * stride + offset + i] = 0.0f;
        }
    }
    to[(end - 1) * stride + offset] = spread->from[end - 1];
    for (int64_t x = behind - stride + 1; x < spread->width; x++) {
        to[x] = 0.0f;
    }
}

void SFK_NAME(spread_taps)(float *to, const sfk_spread *spread)
{
    for (int64_t tap = 0; tap < spread->taps; tap++) {
        float *row = to + tap * spread->to_stride;
        if (spread->stride == 1) {
            spread_tap(row, spread, tap, 1);
        } else if (spread->stride == 2) {
            spread_tap(row, spread, tap, 2);
        } else {
            spread_tap(row, spread, tap, spread->stride);
        }
    }
}
