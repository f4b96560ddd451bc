/* SPDX-License-Identifier: BSD-2-Clause */
/* Units: both products at once, from the taps to what the sinks mix of the map. Its channels exist
 * in registers alone, unless somebody reads the map or tiles mix it (rank_bands.h); then they are
 * stored in passing. */
#include "rank_work.h"

/* Where the mixed maps go, in the order of their weights. */
static void list_mixed(const sfi_rank_task *task)
{
    sfk_mixed *mixed = task->bench.mixed_maps;
    for (int32_t i = 0; i < task->sink_count; i++) {
        const sfi_rank_open *sink = &task->bench.sinks[i];
        for (int64_t j = 0; j < sink->mixed_count; j++) {
            *mixed++ = (sfk_mixed){.to = sink->to + j * sink->stride,
                                   .start = sink->bias ? sink->bias[j] : 0.0f,
                                   .accumulate = sink->adds};
        }
    }
}

void sfi_rank_run_pairs(const sfi_rank_task *task)
{
    const sfi_rank_job *job = task->job;
    const sfi_rank_bench *bench = &task->bench;
    const sfi_shape shape = job->cut.shape;
    const int64_t rows = job->cut.pooled ? 2 : task->end_row - task->first_row;
    sfk_pair pair = {.weights = job->weights.packed + task->first_channel * (1 + job->unit.depth),
                     .channels = task->end_channel - task->first_channel,
                     .sources = bench->taps,
                     .depth = job->unit.depth,
                     .lower = shape.w,
                     .residuals = bench->residuals,
                     .residual_count = job->unit.residual_count,
                     .plane = task->map_plane,
                     .map = task->map,
                     .mixed = bench->mixed_maps,
                     .mixed_count = job->mixing.full,
                     .pooled = bench->mixed_maps + job->mixing.full,
                     .pooled_count = job->mixing.pooled,
                     .activation = job->unit.activation,
                     .slope = job->unit.slope,
                     .scratch = bench->tiles};
    const bool stores_runs = sfi_rank_stores_runs(&job->unit, &job->mixing, shape);
    list_mixed(task);
    /* Rows that are not pooled are as good as one; the last row of an odd height stands alone. */
    for (int64_t row = task->first_row; row < task->end_row; row += rows) {
        const bool paired = job->cut.pooled && row + 1 < task->end_row;
        pair.rows = paired ? 2 : 1;
        pair.columns = job->cut.pooled ? shape.w : rows * shape.w;
        pair.first = (row - task->map_row) * shape.w;
        pair.mixed_first = (row - task->first_row) * shape.w;
        pair.pooled_first = (row - task->first_row) / 2 * (shape.w / 2);
        if (stores_runs) {
            job->kernels->strip_store(&pair);
        } else {
            job->kernels->strip_pair(&pair);
        }
    }
}
