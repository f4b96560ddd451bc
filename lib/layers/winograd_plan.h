/* SPDX-License-Identifier: BSD-2-Clause */
/* How a product by Winograd's F(4x4, 3x3) is cut, and what memory it takes. Every size depends on
 * the problem alone. */
#ifndef SFI_WINOGRAD_PLAN_H
#define SFI_WINOGRAD_PLAN_H

#include "winograd_source.h"

#define SFI_WINOGRAD_TAPS 9
/* Channels of a tile of rows whose filters are packed, and then transformed, at a time. */
#define SFI_WINOGRAD_PACKED 16

typedef struct sfi_winograd_plan {
    int64_t channels;
    int64_t rows;
    sfi_winograd_grid grid;
    int64_t block_tiles;
    int64_t blocks;
    int64_t round_rows;
    int64_t rounds;
    int64_t task_rows;
    int64_t task_tiles;
    /* Between planes of coefficients of the weight; between rows of coefficients of the source, and
     * of sums. */
    int64_t weight_plane;
    int64_t source_pitch;
    int64_t sum_pitch;
    int64_t steps_bytes;
    int64_t source_bytes;
    int64_t weight_bytes;
    int64_t sums_bytes;
    int64_t patch_bytes;
    int64_t packed_bytes;
} sfi_winograd_plan;

/* false when a size overflows. */
bool sfi_winograd_plan_make(sfi_winograd_plan *plan, const sfi_conv_product *product);

#endif
