/* SPDX-License-Identifier: BSD-2-Clause */
/* What is mixed of stored maps by Winograd's F(4, 3) along the rows, in inference. */
#ifndef SFI_RANK_TILES_H
#define SFI_RANK_TILES_H

#include "rank_work.h"

/* Whether a sink of a map that is there can be computed so: the consumer has three neighbouring
 * horizontal taps and maps enough for them, and the context does not ask for direct sums. */
bool sfi_rank_tiles_fit(const sfconv_net *net, const sfi_step *steps, const sfi_rank_sink *sink);
/* Whether it is. */
bool sfi_rank_is_tiled(const sfi_rank_plan *plan, const sfconv_net *net, const sfi_step *steps,
                       const sfi_rank_sink *sink);

/* Multiply-adds of such a sink: six for each channel, mixed map and tile. */
int64_t sfi_rank_tiles_macs(const sfi_plan *plan, const sfconv_net *net, const sfi_rank_sink *sink);

/* Packed weights of all such sinks of a base, in elements; 0 where it has none. */
int64_t sfi_rank_tiles_weights(const sfi_plan *plan, const sfconv_net *net, int32_t node);
/* Bytes of a worker's scratch. */
int64_t sfi_rank_tiles_scratch(const sfi_plan *plan, const sfconv_net *net, int32_t node);
/* Bytes of what several workers share, behind the scratch of all. */
int64_t sfi_rank_tiles_shared(const sfi_plan *plan, const sfconv_net *net, int32_t node);

/* Packs the weights of the job's base to where the job has them. */
void sfi_rank_pack_tiles(const sfi_rank_job *job);
/* Serves these sinks of a map that is there, */
void sfi_rank_run_tiles(const sfi_rank_job *job);
/* and of a band, the task's map. */
void sfi_rank_tile_band(const sfi_rank_task *task);

#endif
