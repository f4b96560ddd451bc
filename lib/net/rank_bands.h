/* SPDX-License-Identifier: BSD-2-Clause */
/* Units whose map is mixed by tiles of rows, in inference: with Winograd's F(4, 3) along the rows
 * and, where quads make the map, along the columns, they take half of the multiply-adds of the
 * fused pair, which keeps the map in registers. It waits in between, a band of rows at a time, in
 * the second-level cache; or all of it, where it is small and stored anyway or too low for bands.
 */
#ifndef SFI_RANK_BANDS_H
#define SFI_RANK_BANDS_H

#include "rank_work.h"

/* Whether that is worth it for `node`, a unit whose map quads make or pairs, and what waits. */
enum sfi_rank_band sfi_rank_band_of(const sfi_rank_plan *plan, const sfconv_net *net,
                                    const sfi_step *steps, int32_t node, bool by_quads);

/* Of an image, and the rows of the highest. */
int64_t sfi_rank_bands(sfi_shape shape);
int64_t sfi_rank_band_rows(sfi_shape shape);

/* Of a map that waits as a whole, and that nobody reads, in memory of the step; 0 of others. */
int64_t sfi_rank_waiting_bytes(const sfi_plan *plan, int32_t node);

void sfi_rank_lay_out_band(sfi_rank_bench *bench, const sfi_plan *plan, const sfconv_net *net,
                           int32_t node, uintptr_t *at);

/* The task's rows, of which all sinks take what they mix but those that wait to be moved. */
void sfi_rank_run_band(sfi_rank_task *task);

#endif
