/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_work.h"

/* Pixels that follow each other in the map of the base. */
typedef struct pixel_span {
    int64_t first;
    int64_t count;
} pixel_span;

/* Points at channels `channel` … of the stored map from pixel `first` on. */
static void find(const sfi_rank_task *task, int64_t first, int64_t channel, int64_t count,
                 const float **rows)
{
    const int64_t plane = task->map_plane;
    const float *map = task->map + channel * plane + first - task->map_row * task->job->cut.shape.w;
    for (int64_t c = 0; c < count; c++) {
        rows[c] = map + c * plane;
    }
}

static void contract(const sfi_rank_task *task, const sfi_rank_open *sink, int64_t channel,
                     int64_t count, const float *const *rows, float *to, int64_t columns)
{
    const sfk_strip contraction = {.weights = sink->weights,
                                   .weight_first = channel * sink->maps.taps,
                                   .weight_step = sink->maps.taps,
                                   .sources = rows,
                                   .depth = count,
                                   .to = to,
                                   .to_stride = sink->stride,
                                   .rows = sink->mixed_count,
                                   .columns = columns,
                                   .bias = sink->bias,
                                   .accumulate = channel > 0 || sink->adds};
    task->job->kernels->strip_product(&contraction);
}

/* Contractions of a span at full size. */
static void contract_span(const sfi_rank_task *task, int64_t channel, int64_t count,
                          const float *const *rows, pixel_span span)
{
    const int64_t task_first = task->first_row * task->job->cut.shape.w;
    const sfi_rank_open *sinks = task->bench.sinks;
    for (int32_t i = 0; i < task->sink_count; i++) {
        if (sinks[i].sink->via != SFI_VIA_POOL) {
            contract(task, &sinks[i], channel, count, rows, sinks[i].to + span.first - task_first,
                     span.count);
        }
    }
}

/* Strips of a map that is read where it lies. */
static void flat_strips(const sfi_rank_task *task)
{
    const sfi_rank_bench *bench = &task->bench;
    const int64_t width = task->job->cut.shape.w;
    const int64_t channels = task->job->cut.shape.c;
    const int64_t end = task->end_row * width;
    for (int64_t first = task->first_row * width; first < end; first += SFI_RANK_STRIP) {
        const pixel_span span = {first, sfi_min(SFI_RANK_STRIP, end - first)};
        for (int64_t c = 0; c < channels; c += SFI_RANK_CHANNELS) {
            const int64_t count = sfi_min(SFI_RANK_CHANNELS, channels - c);
            find(task, first, c, count, bench->rows);
            contract_span(task, c, count, bench->rows, span);
        }
    }
}

/* The same, of channels that are brought together first. */
static void gathered_strips(const sfi_rank_task *task)
{
    const sfi_rank_job *job = task->job;
    const sfi_shape shape = job->cut.shape;
    for (int32_t i = 0; i < task->sink_count; i++) {
        const sfi_rank_open *sink = &task->bench.sinks[i];
        const sfk_mix mix = {.weights = sink->weights,
                             .weight_step = sink->maps.taps,
                             .map = task->map + (task->first_row - task->map_row) * shape.w,
                             .plane = task->map_plane,
                             .channels = shape.c,
                             .columns = (task->end_row - task->first_row) * shape.w,
                             .strip = sfi_rank_gathered_pixels(shape.c),
                             .to = sink->to,
                             .to_stride = sink->stride,
                             .rows = sink->mixed_count,
                             .bias = sink->bias,
                             .accumulate = sink->adds,
                             .scratch = task->bench.strip};
        job->kernels->strip_mix(&mix);
    }
}

/* The block of channels of two rows, one below the other, pooled and contracted. */
static void pool_block(const sfi_rank_task *task, int64_t channel, int64_t count, int64_t row,
                       int64_t column, int64_t columns)
{
    const sfi_rank_bench *bench = &task->bench;
    const int64_t width = task->job->cut.shape.w / 2;
    for (int64_t c = 0; c < count; c++) {
        float *pooled = bench->pooled + c * SFI_RANK_STRIP;
        task->job->kernels->pool_pairs(pooled, bench->rows[c], bench->lower_rows[c], columns);
        bench->pooled_rows[c] = pooled;
    }
    for (int32_t i = 0; i < task->sink_count; i++) {
        const sfi_rank_open *sinks = bench->sinks;
        if (sinks[i].sink->via == SFI_VIA_POOL) {
            float *to = sinks[i].to + (row - task->first_row) / 2 * width + column / 2;
            contract(task, &sinks[i], channel, count, bench->pooled_rows, to, columns);
        }
    }
}

/* Strips of two rows, one below the other, so that they can be pooled; the last row of an odd
 * height stands alone. */
static void paired_strips(const sfi_rank_task *task)
{
    const sfi_rank_bench *bench = &task->bench;
    const int64_t width = task->job->cut.shape.w;
    const int64_t channels = task->job->cut.shape.c;
    for (int64_t row = task->first_row; row < task->end_row; row += 2) {
        for (int64_t x = 0; x < width; x += SFI_RANK_STRIP) {
            const pixel_span upper = {row * width + x, sfi_min(SFI_RANK_STRIP, width - x)};
            const pixel_span lower = {upper.first + width, upper.count};
            for (int64_t c = 0; c < channels; c += SFI_RANK_CHANNELS) {
                const int64_t count = sfi_min(SFI_RANK_CHANNELS, channels - c);
                find(task, upper.first, c, count, bench->rows);
                contract_span(task, c, count, bench->rows, upper);
                if (row + 1 < task->end_row) {
                    find(task, lower.first, c, count, bench->lower_rows);
                    contract_span(task, c, count, bench->lower_rows, lower);
                    pool_block(task, c, count, row, x, upper.count / 2);
                }
            }
        }
    }
}

void sfi_rank_run_strips(const sfi_rank_task *task)
{
    if (task->job->cut.pooled) {
        paired_strips(task);
    } else if (sfi_rank_gathers(&task->job->mixing, task->job->cut.shape)) {
        gathered_strips(task);
    } else {
        flat_strips(task);
    }
}
