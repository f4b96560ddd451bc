/* SPDX-License-Identifier: BSD-2-Clause */
/* Every table of kernels that this machine can run, and one more: the bodies with the lanes and
 * tiles of the widest instruction set in plain C, so that their paths are tested everywhere. */
#ifndef TESTS_KERNEL_TABLES_H
#define TESTS_KERNEL_TABLES_H

#include "kernels.h"
#include "tables.h"

#include "sfconv/context.h"

static const int32_t all_isas[] = {SFCONV_ISA_REFERENCE, SFCONV_ISA_AVX2, SFCONV_ISA_AVX512,
                                   SFCONV_ISA_NEON};
#define ISA_COUNT ((int)(sizeof all_isas / sizeof all_isas[0]))
#define TABLE_COUNT (ISA_COUNT + 1)

/* NULL where the processor lacks the instruction set. */
static inline const sfk_table *table_number(int i)
{
    return i < ISA_COUNT ? sfk_table_for(all_isas[i]) : &sfk_table_wide;
}

#endif
