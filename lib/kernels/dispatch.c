/* SPDX-License-Identifier: BSD-2-Clause */
#include "cpu.h"
#include "kernels.h"
#include "tables.h"

#include "sfconv/context.h"

#include <stddef.h>

/* Slowest first. */
static const sfk_table *const tables[] = {
    &sfk_table_reference,
#if defined(__x86_64__)
    &sfk_table_avx2,
    &sfk_table_avx512,
#elif defined(__aarch64__)
    &sfk_table_neon,
#endif
};

#define TABLE_COUNT (sizeof tables / sizeof tables[0])

const sfk_table *sfk_table_for(int32_t isa)
{
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        if (tables[i]->isa == isa) {
            return sfi_cpu_has(isa) ? tables[i] : NULL;
        }
    }
    return NULL;
}

int32_t sfk_best_isa(int32_t at_most)
{
    int32_t best = SFCONV_ISA_REFERENCE;
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        const int32_t isa = tables[i]->isa;
        const bool allowed = at_most == SFCONV_ISA_BEST || isa <= at_most;
        if (allowed && sfi_cpu_has(isa)) {
            best = isa;
        }
    }
    return best;
}
