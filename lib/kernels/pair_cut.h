/* SPDX-License-Identifier: BSD-2-Clause */
/* How strip_pair cuts channels into blocks, for which pack_pair lays out their weights. */
#ifndef SFK_PAIR_CUT_H
#define SFK_PAIR_CUT_H

#include "cuts.h"

SFV_INLINE row_cut cut_channels(int64_t channels, int64_t pooled_count)
{
    return cut_rows(channels, pooled_count > 0 ? SFV_POOLED_ROWS : SFV_PAIR_ROWS);
}

#endif
