/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFK_TABLES_H
#define SFK_TABLES_H

#include "kernels.h"

/* One per instruction set; which exist depends on the processor family of the build. */
extern const sfk_table sfk_table_reference;
extern const sfk_table sfk_table_avx2;
extern const sfk_table sfk_table_avx512;
extern const sfk_table sfk_table_neon;
/* Of the tests alone: the reference with the lanes and tiles of the widest instruction set. */
extern const sfk_table sfk_table_wide;

#endif
