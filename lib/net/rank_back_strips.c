/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_back.h"

#include <string.h>

/* Channels of a strip of pixels that follow each other in the map of the base. */
typedef struct back_tile {
    int64_t channel;
    int64_t channels;
    /* First pixel in the image, and the same in the block's mixed maps. */
    int64_t first;
    int64_t offset;
    int64_t columns;
} back_tile;

static void begin_side(const sfi_back_task *task, sfi_back_side *side, int64_t first,
                       int64_t offset, int64_t columns)
{
    const sfi_back_job *job = task->job;
    const sfk_table *kernels = job->kernels;
    if (job->has_unit) {
        kernels->transpose_taps(side->taps, job->tap_pitch, task->bench.taps, first,
                                job->unit.depth, columns);
        kernels->subtract_row(side->taps, job->tap_pitch, job->centre, columns);
    }
    if (job->full.count) {
        kernels->transpose_taps(side->mixed, job->full.pitch, task->bench.full, offset,
                                job->full.count, columns);
    }
}

/* a: the stored map, or made again as in forward. */
static void provide_values(const sfi_back_task *task, sfi_back_side *side, const back_tile *tile)
{
    const sfi_back_job *job = task->job;
    const int64_t plane = job->cut.plane;
    const int64_t before = (task->image * job->cut.shape.c + tile->channel) * plane;
    const float *residuals[SFI_MAX_INPUTS];
    side->value_at = job->map ? tile->first : 0;
    for (int64_t c = 0; c < tile->channels; c++) {
        side->value_rows[c] =
            job->map ? job->map + before + c * plane : side->values + c * SFI_BACK_STRIP;
        side->gradient_rows[c] = side->gradients + c * SFI_BACK_STRIP;
    }
    if (job->map) {
        return;
    }
    for (int32_t i = 0; i < job->unit.residual_count; i++) {
        residuals[i] = sfi_run_value(job->run, job->unit.residual[i]) + before;
    }
    const sfk_strip expansion = {.weights = job->folded.weights + tile->channel,
                                 .weight_step = 1,
                                 .sources = task->bench.taps,
                                 .first = tile->first,
                                 .depth = job->unit.depth,
                                 .residuals = residuals,
                                 .residual_count = job->unit.residual_count,
                                 .residual_stride = plane,
                                 .to = side->values,
                                 .to_stride = SFI_BACK_STRIP,
                                 .rows = tile->channels,
                                 .columns = tile->columns,
                                 .bias = job->folded.bias + tile->channel,
                                 .activation = job->unit.activation,
                                 .slope = job->unit.slope};
    job->kernels->strip_product(&expansion);
}

/* da = Σ Qᵀ·dT over the sinks at full size, and the gradient that readers of the stored map left. A
 * map that no unit makes has its gradient in memory only, or none that is wanted. */
static void pull_gradients(const sfi_back_task *task, const sfi_back_side *side,
                           const back_tile *tile)
{
    const sfi_back_job *job = task->job;
    const int64_t plane = job->cut.plane;
    const int64_t before = (task->image * job->cut.shape.c + tile->channel) * plane + tile->first;
    float *stored = job->gradient ? job->gradient + before : NULL;
    const sfk_strip pull = {.weights = job->full.weights + tile->channel,
                            .weight_step = 1,
                            .sources = task->bench.full,
                            .first = tile->offset,
                            .depth = job->full.count,
                            .to = job->has_unit ? side->gradients : stored,
                            .to_stride = job->has_unit ? SFI_BACK_STRIP : plane,
                            .rows = tile->channels,
                            .columns = tile->columns,
                            .accumulate = !job->has_unit && job->begun};
    if (pull.to) {
        job->kernels->strip_product(&pull);
    }
    for (int64_t c = 0; job->has_unit && stored && c < tile->channels; c++) {
        job->kernels->add_to(side->gradients + c * SFI_BACK_STRIP, stored + c * plane,
                             tile->columns);
    }
}

/* sums[c] += Σ left[c]·rightᵀ over the strip. */
static void add_outer(const sfi_back_task *task, const back_tile *tile, const float *const *left,
                      int64_t left_first, const float *right, int64_t pitch, float *sums,
                      int64_t columns)
{
    const sfk_outer outer = {.left = left,
                             .left_first = left_first,
                             .right = right,
                             .right_stride = pitch,
                             .depth = tile->columns,
                             .to = sums + tile->channel * columns,
                             .to_stride = columns,
                             .rows = tile->channels,
                             .columns = columns,
                             .accumulate = true};
    if (columns > 0) {
        task->job->kernels->strip_outer(&outer);
    }
}

/* dv: what the activation lets through, and its sum over the strip. */
static void pass_activation(const sfi_back_task *task, const sfi_back_side *side,
                            const back_tile *tile)
{
    const sfi_back_job *job = task->job;
    double *sums = task->sums.channel + tile->channel;
    if (job->unit.activation == SFK_IDENTITY) {
        job->kernels->row_sums(sums, side->gradient_rows, 0, tile->columns, tile->channels);
        return;
    }
    const float slope = job->unit.activation == SFK_RELU ? 0.0f : job->unit.slope;
    for (int64_t c = 0; c < tile->channels; c++) {
        job->kernels->mask_gradient(side->gradients + c * SFI_BACK_STRIP,
                                    side->value_rows[c] + side->value_at, slope, sums + c,
                                    tile->columns);
    }
}

/* A sum hands its gradient on to the maps that it took from memory. */
static void give_to_residuals(const sfi_back_task *task, const sfi_back_side *side,
                              const back_tile *tile)
{
    const sfi_back_job *job = task->job;
    const int64_t plane = job->cut.plane;
    for (int32_t i = 0; i < job->unit.residual_count; i++) {
        float *to = job->residual_gradient[i];
        for (int64_t c = 0; to && c < tile->channels; c++) {
            float *row =
                to + (task->image * job->cut.shape.c + tile->channel + c) * plane + tile->first;
            if (job->residual_begun[i]) {
                job->kernels->add_to(row, side->gradient_rows[c], tile->columns);
            } else {
                memcpy(row, side->gradient_rows[c], (size_t)tile->columns * sizeof *row);
            }
        }
    }
}

/* What is summed over the pixels of a, and of dv where a unit makes the map. */
static void sum_tile(const sfi_back_task *task, sfi_back_side *side, const back_tile *tile)
{
    const sfi_back_job *job = task->job;
    const int64_t depth = job->unit.depth;
    add_outer(task, tile, side->value_rows, side->value_at, side->mixed, job->full.pitch,
              task->sums.full, job->full.count);
    if (!job->has_unit) {
        return;
    }
    pass_activation(task, side, tile);
    give_to_residuals(task, side, tile);
    add_outer(task, tile, side->gradient_rows, 0, side->taps, job->tap_pitch, task->sums.taps,
              depth);
    const sfk_strip back = {.weights = job->columns,
                            .weight_first = tile->channel * depth,
                            .weight_step = depth,
                            .sources = side->gradient_rows,
                            .depth = tile->channels,
                            .to = job->tap_gradient + task->image * depth * job->cut.plane +
                                  tile->first,
                            .to_stride = job->cut.plane,
                            .rows = depth,
                            .columns = tile->columns,
                            .accumulate = tile->channel > 0};
    job->kernels->strip_product(&back);
}

static int64_t channels_at(const sfi_back_job *job, int64_t channel)
{
    return sfi_min(SFI_BACK_CHANNELS, job->cut.shape.c - channel);
}

/* Width of the strips that `pixels` are cut into: nearly equal, whole vectors. */
static int64_t strip_width(int64_t pixels)
{
    const int64_t strips = sfi_ceil_div(pixels, SFI_BACK_STRIP);
    return sfi_ceil_div(sfi_ceil_div(pixels, strips), SFK_SLACK) * SFK_SLACK;
}

static void flat_strips(sfi_back_task *task)
{
    const sfi_back_job *job = task->job;
    sfi_back_side *side = &task->bench.sides[0];
    const int64_t begin = task->first_row * job->cut.shape.w;
    const int64_t end = task->end_row * job->cut.shape.w;
    const int64_t strip = strip_width(end - begin);
    for (int64_t first = begin; first < end; first += strip) {
        const int64_t columns = sfi_min(strip, end - first);
        begin_side(task, side, first, first - begin, columns);
        for (int64_t c = 0; c < job->cut.shape.c; c += SFI_BACK_CHANNELS) {
            const back_tile tile = {c, channels_at(job, c), first, first - begin, columns};
            provide_values(task, side, &tile);
            pull_gradients(task, side, &tile);
            sum_tile(task, side, &tile);
        }
    }
}

/* The pooled map of two rows and its sinks: their gradient goes to the winners. */
static void pull_pooled(sfi_back_task *task, const back_tile *upper, const back_tile *pooled)
{
    const sfi_back_job *job = task->job;
    sfi_back_side *side = &task->bench.pooled;
    sfi_back_side *sides = task->bench.sides;
    for (int64_t c = 0; c < upper->channels; c++) {
        float *row = side->values + c * SFI_BACK_STRIP;
        job->kernels->pool_pairs(row, sides[0].value_rows[c] + sides[0].value_at,
                                 sides[1].value_rows[c] + sides[1].value_at, pooled->columns);
        side->value_rows[c] = row;
    }
    add_outer(task, pooled, side->value_rows, 0, side->mixed, job->half.pitch, task->sums.half,
              job->half.count);
    const sfk_strip pull = {.weights = job->half.weights + upper->channel,
                            .weight_step = 1,
                            .sources = task->bench.half,
                            .first = pooled->offset,
                            .depth = job->half.count,
                            .to = side->gradients,
                            .to_stride = SFI_BACK_STRIP,
                            .rows = upper->channels,
                            .columns = pooled->columns};
    job->kernels->strip_product(&pull);
    for (int64_t c = 0; c < upper->channels; c++) {
        job->kernels->unpool_pairs(
            sides[0].gradients + c * SFI_BACK_STRIP, sides[1].gradients + c * SFI_BACK_STRIP,
            sides[0].value_rows[c] + sides[0].value_at, sides[1].value_rows[c] + sides[1].value_at,
            side->gradients + c * SFI_BACK_STRIP, true, upper->columns);
    }
}

/* Two rows, one below the other; the last row of an odd height stands alone. */
static void pair_of_strips(sfi_back_task *task, int64_t row, int64_t x, int64_t columns)
{
    const sfi_back_job *job = task->job;
    sfi_back_side *sides = task->bench.sides;
    const int64_t width = job->cut.shape.w;
    const int64_t rows = sfi_min(2, task->end_row - row);
    const int64_t offset = (row - task->first_row) * width + x;
    const int64_t pooled_at = (row - task->first_row) / 2 * (width / 2) + x / 2;
    for (int64_t i = 0; i < rows; i++) {
        begin_side(task, &sides[i], (row + i) * width + x, offset + i * width, columns);
    }
    if (rows == 2) {
        job->kernels->transpose_taps(task->bench.pooled.mixed, job->half.pitch, task->bench.half,
                                     pooled_at, job->half.count, columns / 2);
    }
    for (int64_t c = 0; c < job->cut.shape.c; c += SFI_BACK_CHANNELS) {
        back_tile tiles[2];
        for (int64_t i = 0; i < rows; i++) {
            tiles[i] = (back_tile){c, channels_at(job, c), (row + i) * width + x,
                                   offset + i * width, columns};
            provide_values(task, &sides[i], &tiles[i]);
            pull_gradients(task, &sides[i], &tiles[i]);
        }
        if (rows == 2) {
            const back_tile pooled = {c, tiles[0].channels, 0, pooled_at, columns / 2};
            pull_pooled(task, &tiles[0], &pooled);
        }
        for (int64_t i = 0; i < rows; i++) {
            sum_tile(task, &sides[i], &tiles[i]);
        }
    }
}

void sfi_back_run_strips(sfi_back_task *task)
{
    const sfi_rank_cut *cut = &task->job->cut;
    if (!cut->pooled) {
        flat_strips(task);
        return;
    }
    const int64_t strip = strip_width(cut->shape.w);
    for (int64_t row = task->first_row; row < task->end_row; row += 2) {
        for (int64_t x = 0; x < cut->shape.w; x += strip) {
            pair_of_strips(task, row, x, sfi_min(strip, cut->shape.w - x));
        }
    }
}
