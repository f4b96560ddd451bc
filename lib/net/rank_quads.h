/* SPDX-License-Identifier: BSD-2-Clause */
/* Units by Winograd's F(4, 3) along the columns, in inference. */
#ifndef SFI_RANK_QUADS_H
#define SFI_RANK_QUADS_H

#include "rank_work.h"

/* Whether `node` is a unit that can be computed so: its vertical halves have three taps without
 * stride and maps enough for them, and the context does not ask for direct sums. */
bool sfi_rank_quads_fit(const sfi_rank_plan *plan, const sfconv_net *net, const sfi_step *steps,
                        int32_t node);

void sfi_rank_lay_out_quads(sfi_rank_bench *bench, const sfi_rank_unit *unit, uintptr_t *at);

/* Multiply-adds of a unit: six for each source, column and four rows. */
int64_t sfi_rank_quads_macs(const sfi_rank_unit *unit, sfi_shape shape);

/* Whether groups of four rows follow each other in vectors: where that saves a sixth of them or
 * more. A strip of less gains nothing, as its points lie in the second-level cache and those of a
 * few columns in the first. */
bool sfi_rank_joins_quads(sfi_shape shape);

/* Whether a task has some channels of the map in place of some rows: where groups are joined, and
 * on small maps whose groups of rows share lines of the cache, for which two cores would fight. */
bool sfi_rank_divides_channels(sfi_shape shape);

/* Of a task where it has: channels, and pixels, of which `pixels` were wanted if it had all. */
int64_t sfi_rank_quad_channels(sfi_shape shape);
int64_t sfi_rank_quad_pixels(sfi_shape shape, int64_t pixels);

/* The task's rows of its channels of the map. */
void sfi_rank_run_quads(const sfi_rank_task *task);

#endif
