/* SPDX-License-Identifier: BSD-2-Clause */
/* Counts of multiply-adds, and the algorithms that are counted. */
#ifndef SFI_MACS_H
#define SFI_MACS_H

#include <stdint.h>

/* Winograd's F(m, r) makes m outputs of a filter of r taps by m + r - 1 multiplications. */
enum {
    SFI_DIRECT_SUMS = 1 << 0,
    SFI_F_4X4_3X3 = 1 << 1,
    SFI_F_4_4 = 1 << 2,
    SFI_F_4_3 = 1 << 3,
};

typedef struct sfi_macs {
    /* Those that are computed, and those of the same products as direct sums. */
    int64_t computed;
    int64_t direct;
    /* Which of the above compute them, 0: there are none. */
    uint32_t algorithms;
} sfi_macs;

static inline sfi_macs sfi_direct_macs(int64_t count)
{
    return (sfi_macs){count, count, count > 0 ? SFI_DIRECT_SUMS : 0};
}

static inline sfi_macs sfi_macs_sum(sfi_macs a, sfi_macs b)
{
    return (sfi_macs){a.computed + b.computed, a.direct + b.direct, a.algorithms | b.algorithms};
}

#endif
