/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_TILE_COLUMNS_H
#define SFI_TILE_COLUMNS_H

#include "kernels.h"
#include "sizes.h"

/* Columns of the next tile of matrix_tile where `left` are left: two of two vectors rather than
 * one of three and one of one, which loads more than it multiplies. */
static inline int64_t sfi_tile_columns(const sfk_table *kernels, int64_t left)
{
    const int64_t most = kernels->tile_columns;
    const bool leaves_one = left > most && left <= most + kernels->lanes;
    return leaves_one && most > 2 * kernels->lanes ? most - kernels->lanes : sfi_min(most, left);
}

#endif
