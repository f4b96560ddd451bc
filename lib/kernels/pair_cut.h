/* SPDX-License-Identifier: BSD-2-Clause */
/* How strip_pair cuts channels into blocks, for which pack_pair lays out their weights. */
#ifndef SFK_PAIR_CUT_H
#define SFK_PAIR_CUT_H

#include "vec.h"

SFV_INLINE int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

SFV_INLINE void store_lanes(float *to, sfv value, int64_t lanes)
{
    if (lanes == SFV_LANES) {
        sfv_store(to, value);
    } else {
        sfv_store_part(to, value, lanes);
    }
}

/* Channels in blocks of nearly equal height: the first `higher` are a row higher. */
typedef struct channel_cut {
    int64_t blocks;
    int64_t height;
    int64_t higher;
} channel_cut;

SFV_INLINE channel_cut cut_channels(int64_t channels, int64_t pooled_count)
{
    const int64_t most = pooled_count > 0 ? SFV_POOLED_ROWS : SFV_PAIR_ROWS;
    const int64_t blocks = (channels + most - 1) / most;
    return (channel_cut){blocks, channels / blocks, channels % blocks};
}

#endif
