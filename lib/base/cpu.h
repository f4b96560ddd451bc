/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_CPU_H
#define SFI_CPU_H

#include <stdbool.h>
#include <stdint.h>

/* Whether this machine and its operating system run SFCONV_ISA_… `isa`. */
bool sfi_cpu_has(int32_t isa);

/* On which the calling thread may run, 1 at least. */
int32_t sfi_usable_processors(void);

/* On which the calling thread runs; -1 where the system does not say. */
int32_t sfi_current_processor(void);

/* Moves the calling thread to a processor that it may use: not the first of those given, none of
 * the others where there is a choice. It stays where there is none, and may use the same ones as
 * before. */
void sfi_leave_processors(const int32_t *occupied, int32_t count);

/* "reference", "avx2", "avx512", "neon"; NULL for a number that is none. */
const char *sfi_isa_name(int32_t isa);
/* The opposite; -1 for a name that is none. */
int32_t sfi_isa_from_name(const char *name);

#endif
