/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints a hash of what every kernel leaves behind at the shapes of real layers, computed by the
 * best instruction set here, so that two machines can be compared line by line. */
#include "kernel_cases.h"

#include "sfconv/context.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t hash_of(const kernel_cases *cases)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (int i = 0; i < cases->block_count; i++) {
        const case_block *block = &cases->blocks[i];
        const unsigned char *bytes = block->data;
        for (size_t at = 0; block->holds_numbers && at < block->used; at++) {
            hash = (hash ^ bytes[at]) * 0x100000001b3u;
        }
    }
    return hash;
}

static bool call_once(kernel_cases *cases)
{
    cases->calls = 1;
    if (cases->batches == 0) {
        return true;
    }
    printf("%016" PRIx64 " %s, %s\n", hash_of(cases), cases->kernel, cases->label);
    return false;
}

int main(void)
{
    kernel_cases cases = {.kernels = sfk_table_for(sfk_best_isa(SFCONV_ISA_BEST)),
                          .more = call_once};
    return visit_kernel_cases(&cases, "") > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
