/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_work.h"

#include <string.h>

/* Pixels that follow each other in the map of the base. */
typedef struct pixel_span {
    int64_t first;
    int64_t count;
} pixel_span;

/* Rows of a map lie a plane apart: a tile would find each of them in another page, and in two cache
 * lines. Where they are used often they are brought together first. */
static void bring_together(float *to, int64_t pitch, const float **rows, int64_t count,
                           int64_t first, int64_t pixels)
{
    for (int64_t i = 0; i < count; i++, to += pitch) {
        memcpy(to, rows[i] + first, (size_t)pixels * sizeof *to);
        rows[i] = to;
    }
}

/* The taps of a span, and where it begins in each. */
typedef struct span_taps {
    const float *const *rows;
    int64_t first;
} span_taps;

/* `which`: 0, or 1 for the lower of two rows. */
static span_taps taps_of(const sfi_rank_task *task, pixel_span span, int64_t which)
{
    const sfi_rank_bench *bench = &task->bench;
    const int64_t depth = task->job->unit.depth;
    if (!sfi_rank_copies_taps(&task->job->unit)) {
        return (span_taps){bench->taps, span.first};
    }
    const float **rows = bench->copied + which * depth;
    float *copies = bench->copies + which * depth * SFI_RANK_COPY_PITCH;
    memcpy(rows, bench->taps, (size_t)depth * sizeof *rows);
    bring_together(copies, SFI_RANK_COPY_PITCH, rows, depth, span.first, span.count);
    return (span_taps){rows, 0};
}

/* Channels `channel` … of a span: expanded into `strip`, or into the map where that is stored; or
 * found there. `rows` then points at them, and the result is where the span begins in each. */
static int64_t provide(const sfi_rank_task *task, pixel_span span, int64_t channel, int64_t count,
                       const span_taps *taps, float *strip, const float **rows)
{
    const sfi_rank_job *job = task->job;
    const int64_t plane = job->cut.plane;
    float *map = job->map ? job->map + (task->image * job->cut.shape.c + channel) * plane : NULL;
    for (int64_t c = 0; c < count; c++) {
        rows[c] = map ? map + c * plane : strip + c * SFI_RANK_STRIP;
    }
    if (job->has_unit && !job->unit.lines) {
        const float *residuals[SFI_MAX_INPUTS];
        for (int32_t i = 0; i < job->unit.residual_count; i++) {
            /* The kernel finds residuals and sources at the same distance. */
            residuals[i] = task->bench.residuals[i] + channel * plane + span.first - taps->first;
        }
        const sfk_strip expansion = {.weights = job->folded.weights + channel,
                                     .weight_step = 1,
                                     .sources = taps->rows,
                                     .first = taps->first,
                                     .depth = job->unit.depth,
                                     .residuals = residuals,
                                     .residual_count = job->unit.residual_count,
                                     .residual_stride = plane,
                                     .to = map ? map + span.first : strip,
                                     .to_stride = map ? plane : SFI_RANK_STRIP,
                                     .rows = count,
                                     .columns = span.count,
                                     .bias = job->folded.bias + channel,
                                     .activation = job->unit.activation,
                                     .slope = job->unit.slope};
        job->kernels->strip_product(&expansion);
    }
    return map ? span.first : 0;
}

static void contract(const sfi_rank_task *task, const sfi_rank_open *sink, int64_t channel,
                     int64_t count, const float *const *rows, int64_t first, float *to,
                     int64_t columns)
{
    const bool begins = channel == 0 && !(sink->direct && sink->sink->accumulate &&
                                          sink->sink->via == SFI_VIA_NOTHING);
    const sfk_strip contraction = {.weights = sink->weights,
                                   .weight_first = channel * sink->maps.taps,
                                   .weight_step = sink->maps.taps,
                                   .sources = rows,
                                   .first = first,
                                   .depth = count,
                                   .to = to,
                                   .to_stride = sink->stride,
                                   .rows = sink->mixed_count,
                                   .columns = columns,
                                   .bias = sink->bias,
                                   .accumulate = !begins};
    task->job->kernels->strip_product(&contraction);
}

/* Contractions of a span at full size; `offset` is its place in the task. */
static void contract_span(const sfi_rank_task *task, int64_t channel, int64_t count,
                          const float *const *rows, int64_t first, pixel_span span)
{
    const int64_t task_first = task->first_row * task->job->cut.shape.w;
    const sfi_rank_open *sinks = task->bench.sinks;
    for (int32_t i = 0; i < task->sink_count; i++) {
        if (sinks[i].sink->via != SFI_VIA_POOL) {
            contract(task, &sinks[i], channel, count, rows, first,
                     sinks[i].to + span.first - task_first, span.count);
        }
    }
}

/* How often each channel is used. */
static int64_t rows_mixed(const sfi_rank_task *task)
{
    int64_t count = 0;
    for (int32_t i = 0; i < task->sink_count; i++) {
        count += task->bench.sinks[i].mixed_count;
    }
    return count;
}

static void flat_strips(const sfi_rank_task *task)
{
    const sfi_rank_bench *bench = &task->bench;
    const int64_t width = task->job->cut.shape.w;
    const int64_t channels = task->job->cut.shape.c;
    const int64_t end = task->end_row * width;
    const bool gathers = task->job->map && rows_mixed(task) >= SFI_RANK_DEEP;
    for (int64_t first = task->first_row * width; first < end; first += SFI_RANK_STRIP) {
        const pixel_span span = {first, sfi_min(SFI_RANK_STRIP, end - first)};
        const span_taps taps = taps_of(task, span, 0);
        for (int64_t c = 0; c < channels; c += SFI_RANK_CHANNELS) {
            const int64_t count = sfi_min(SFI_RANK_CHANNELS, channels - c);
            int64_t at = provide(task, span, c, count, &taps, bench->strip, bench->rows);
            if (gathers) {
                bring_together(bench->strip, SFI_RANK_STRIP, bench->rows, count, at, span.count);
                at = 0;
            }
            contract_span(task, c, count, bench->rows, at, span);
        }
    }
}

/* The block of channels of two rows, one below the other, pooled and contracted. */
static void pool_block(const sfi_rank_task *task, int64_t channel, int64_t count, int64_t upper_at,
                       int64_t lower_at, int64_t row, int64_t column, int64_t columns)
{
    const sfi_rank_bench *bench = &task->bench;
    const int64_t width = task->job->cut.shape.w / 2;
    for (int64_t c = 0; c < count; c++) {
        float *pooled = bench->pooled + c * SFI_RANK_STRIP;
        task->job->kernels->pool_pairs(pooled, bench->rows[c] + upper_at,
                                       bench->lower_rows[c] + lower_at, columns);
        bench->pooled_rows[c] = pooled;
    }
    for (int32_t i = 0; i < task->sink_count; i++) {
        const sfi_rank_open *sinks = bench->sinks;
        if (sinks[i].sink->via == SFI_VIA_POOL) {
            float *to = sinks[i].to + (row - task->first_row) / 2 * width + column / 2;
            contract(task, &sinks[i], channel, count, bench->pooled_rows, 0, to, columns);
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
            const span_taps upper_taps = taps_of(task, upper, 0);
            const span_taps lower_taps =
                row + 1 == task->end_row ? upper_taps : taps_of(task, lower, 1);
            for (int64_t c = 0; c < channels; c += SFI_RANK_CHANNELS) {
                const int64_t count = sfi_min(SFI_RANK_CHANNELS, channels - c);
                const int64_t at =
                    provide(task, upper, c, count, &upper_taps, bench->strip, bench->rows);
                contract_span(task, c, count, bench->rows, at, upper);
                if (row + 1 == task->end_row) {
                    continue;
                }
                const int64_t below =
                    provide(task, lower, c, count, &lower_taps, bench->lower, bench->lower_rows);
                contract_span(task, c, count, bench->lower_rows, below, lower);
                pool_block(task, c, count, at, below, row, x, upper.count / 2);
            }
        }
    }
}

void sfi_rank_run_strips(const sfi_rank_task *task)
{
    if (task->job->cut.pooled) {
        paired_strips(task);
    } else {
        flat_strips(task);
    }
}
