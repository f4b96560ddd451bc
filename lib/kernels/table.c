/* SPDX-License-Identifier: BSD-2-Clause */
#include "tables.h"
#include "vec.h"

#include "sfconv/context.h"

#if defined(SFK_BUILD_AVX512)
#define TABLE_ISA SFCONV_ISA_AVX512
#elif defined(SFK_BUILD_AVX2)
#define TABLE_ISA SFCONV_ISA_AVX2
#elif defined(SFK_BUILD_NEON)
#define TABLE_ISA SFCONV_ISA_NEON
#else
#define TABLE_ISA SFCONV_ISA_REFERENCE
#endif

const sfk_table SFK_NAME(table) = {
    .isa = TABLE_ISA,
    .lanes = SFV_LANES,
    .tile_rows = SFV_TILE_ROWS,
    .tile_columns = SFV_TILE_VECTORS * SFV_LANES,
    .panel_rows = SFV_PANEL_ROWS,
    .panel_pixels = SFV_PANEL_PIXELS,
    .panel_columns = SFV_PANEL_VECTORS * SFV_LANES,
    .quad_columns = SFV_QUAD_COLUMNS,
#define SFK_KERNEL(name, parameters) .name = SFK_NAME(name),
#include "kernel_list.inc"
#undef SFK_KERNEL
};
