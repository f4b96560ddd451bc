/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_back.h"

#include <string.h>

/* Channels of a strip of pixels that follow each other in the map of the base. */
typedef struct back_tile {
    int64_t channel;
    int64_t channels;
    /* In whole vectors; what lies behind the last channel is never read back. */
    int64_t lanes;
    /* First pixel in the image, and the same in the block's mixed maps. */
    int64_t first;
    int64_t offset;
    int64_t pixels;
} back_tile;

static back_tile tile_of(const sfi_back_job *job, int64_t channel, int64_t first, int64_t offset,
                         int64_t pixels)
{
    const int64_t channels = sfi_min(SFI_BACK_CHANNELS, job->cut.shape.c - channel);
    return (back_tile){channel, channels, sfi_back_lanes(channels), first, offset, pixels};
}

/* Where the tile lies in a full-width map. */
static int64_t place_of(const sfi_back_task *task, const back_tile *tile)
{
    const sfi_rank_cut *cut = &task->job->cut;
    return (task->image * cut->shape.c + tile->channel) * cut->plane + tile->first;
}

/* A tile of a map in memory, by pixels. */
static void take_tile(const sfi_back_task *task, const back_tile *tile, const float *map, float *to)
{
    const sfi_back_job *job = task->job;
    job->kernels->transpose(to, SFI_BACK_CHANNELS, map + place_of(task, tile), job->cut.plane,
                            tile->channels, tile->pixels);
}

/* And back: added to the map where `begun`. */
static void give_tile(const sfi_back_task *task, const back_tile *tile, const float *from,
                      float *map, bool begun)
{
    const sfi_back_job *job = task->job;
    const int64_t plane = job->cut.plane;
    float *to = map + place_of(task, tile);
    float *rows = task->bench.rows_of_tile;
    if (!begun) {
        job->kernels->transpose(to, plane, from, SFI_BACK_CHANNELS, tile->pixels, tile->channels);
        return;
    }
    job->kernels->transpose(rows, SFI_BACK_STRIP, from, SFI_BACK_CHANNELS, tile->pixels,
                            tile->channels);
    for (int64_t c = 0; c < tile->channels; c++) {
        job->kernels->add_to(to + c * plane, rows + c * SFI_BACK_STRIP, tile->pixels);
    }
}

/* The taps less their centre, by which the gradient of P is summed. */
static void centre_taps(const sfi_back_task *task, sfi_back_side *side, int64_t first,
                        int64_t pixels)
{
    const sfi_back_job *job = task->job;
    for (int64_t k = 0; k < job->unit.depth; k++) {
        const sfk_normal normal = {.mean = job->centre[k], .scale = 1.0f};
        job->kernels->normalize(side->centred + k * SFI_BACK_STRIP, task->bench.taps[k] + first,
                                &normal, pixels);
        side->centred_rows[k] = side->centred + k * SFI_BACK_STRIP;
    }
}

/* a: the stored map, or made again as in forward. */
static void provide_values(const sfi_back_task *task, const sfi_back_side *side,
                           const back_tile *tile)
{
    const sfi_back_job *job = task->job;
    const float *residuals[SFI_MAX_INPUTS];
    if (job->map) {
        take_tile(task, tile, job->map, side->values);
        return;
    }
    for (int32_t i = 0; i < job->unit.residual_count; i++) {
        float *residual = task->bench.residuals + i * SFI_BACK_TILE;
        take_tile(task, tile, sfi_run_value(job->run, job->unit.residual[i]), residual);
        residuals[i] = residual;
    }
    const sfk_pixels expansion = {.sources = task->bench.taps,
                                  .first = tile->first,
                                  .depth = job->unit.depth,
                                  .weights = job->expansion + tile->channel,
                                  .weight_stride = job->channel_pitch,
                                  .residuals = residuals,
                                  .residual_count = job->unit.residual_count,
                                  .to = side->values,
                                  .stride = SFI_BACK_CHANNELS,
                                  .pixels = tile->pixels,
                                  .channels = tile->lanes,
                                  .bias = job->bias + tile->channel,
                                  .activation = job->unit.activation,
                                  .slope = job->unit.slope};
    job->kernels->pixel_product(&expansion);
}

float sfi_back_slope(const sfi_rank_unit *unit)
{
    switch (unit->activation) {
    case SFK_RELU:
        return 0.0f;
    case SFK_LEAKY_RELU:
        return unit->slope;
    default:
        return 1.0f;
    }
}

/* da = Σ Qᵀ·dT over the sinks at full size, and the gradient that readers of a unit's stored map
 * left; or, where `passed`, dv and its sums: what the activation lets through. */
static void pull_gradients(const sfi_back_task *task, const sfi_back_side *side,
                           const back_tile *tile, bool passed)
{
    const sfi_back_job *job = task->job;
    const bool stored = job->has_unit && job->gradient;
    const sfk_pixels pull = {.sources = task->bench.full,
                             .first = tile->offset,
                             .depth = job->full.count,
                             .weights = job->full.weights + tile->channel,
                             .weight_stride = job->channel_pitch,
                             .to = side->gradients,
                             .stride = SFI_BACK_CHANNELS,
                             .pixels = tile->pixels,
                             .channels = tile->lanes,
                             .accumulate = stored,
                             .slope = sfi_back_slope(&job->unit),
                             .passed = passed ? side->values : NULL,
                             .sums = task->bench.channel_sums};
    if (stored) {
        take_tile(task, tile, job->gradient, side->gradients);
    }
    job->kernels->pixel_product(&pull);
}

/* sums[k][c] = Σ left[k]·right[c] over the strip, added where `begun`. */
static void sum_outer(const sfi_back_task *task, const back_tile *tile, const float *const *left,
                      int64_t left_first, int64_t rows, const float *right, float *sums, bool begun)
{
    const sfi_back_job *job = task->job;
    const sfk_outer outer = {.left = left,
                             .left_first = left_first,
                             .right = right,
                             .right_stride = SFI_BACK_CHANNELS,
                             .depth = tile->pixels,
                             .to = sums + tile->channel,
                             .to_stride = job->channel_pitch,
                             .rows = rows,
                             .columns = tile->lanes,
                             .accumulate = begun};
    if (rows > 0) {
        job->kernels->strip_outer(&outer);
    }
}

/* A sum hands its gradient on to the maps that it took from memory. */
static void give_to_residuals(const sfi_back_task *task, const sfi_back_side *side,
                              const back_tile *tile)
{
    const sfi_back_job *job = task->job;
    for (int32_t i = 0; i < job->unit.residual_count; i++) {
        if (job->residual_gradient[i]) {
            give_tile(task, tile, side->gradients, job->residual_gradient[i],
                      job->residual_begun[i]);
        }
    }
}

/* The gradient of the taps, Wᵀ·dv, one chain over the channels of all tiles. */
static void add_tap_gradients(const sfi_back_task *task, const sfi_back_side *side,
                              const back_tile *tile)
{
    const sfi_back_job *job = task->job;
    const sfk_pull pull = {.from = side->gradients,
                           .from_stride = SFI_BACK_CHANNELS,
                           .pixels = tile->pixels,
                           .channels = tile->channels,
                           .weights = job->contraction + tile->channel * job->tap_pitch,
                           .weight_stride = job->tap_pitch,
                           .to = side->tap_gradient,
                           .to_stride = SFI_BACK_STRIP,
                           .taps = job->unit.depth,
                           .accumulate = tile->channel > 0};
    job->kernels->pull_taps(&pull);
}

/* Of the last tile. */
static void store_tap_gradients(const sfi_back_task *task, const sfi_back_side *side, int64_t first,
                                int64_t pixels)
{
    const sfi_back_job *job = task->job;
    const int64_t depth = job->unit.depth, plane = job->cut.plane;
    float *to = job->tap_gradient + task->image * depth * plane + first;
    for (int64_t k = 0; k < depth; k++) {
        memcpy(to + k * plane, side->tap_gradient + k * SFI_BACK_STRIP,
               (size_t)pixels * sizeof *to);
    }
}

/* What is summed over the pixels of a, and of dv where a unit makes the map. */
static void sum_tile(const sfi_back_task *task, const sfi_back_side *side, const back_tile *tile,
                     bool begun)
{
    const sfi_back_job *job = task->job;
    float *sums = task->bench.channel_sums;
    sum_outer(task, tile, task->bench.full, tile->offset, job->full.count, side->values,
              task->sums.full, begun);
    if (!job->has_unit) {
        if (job->gradient) {
            give_tile(task, tile, side->gradients, job->gradient, job->begun);
        }
        return;
    }
    for (int64_t c = 0; c < tile->channels; c++) {
        task->sums.channel[tile->channel + c] += (double)sums[c];
    }
    memset(sums, 0, SFI_BACK_CHANNELS * sizeof *sums);
    give_to_residuals(task, side, tile);
    sum_outer(task, tile, side->centred_rows, 0, job->unit.depth, side->gradients, task->sums.taps,
              begun);
    add_tap_gradients(task, side, tile);
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
        const int64_t pixels = sfi_min(strip, end - first);
        centre_taps(task, side, first, pixels);
        for (int64_t c = 0; c < job->cut.shape.c; c += SFI_BACK_CHANNELS) {
            const back_tile tile = tile_of(job, c, first, first - begin, pixels);
            provide_values(task, side, &tile);
            if (job->has_unit || job->gradient) {
                pull_gradients(task, side, &tile, job->has_unit);
            }
            sum_tile(task, side, &tile, task->begun);
        }
        task->begun = true;
        if (job->has_unit) {
            store_tap_gradients(task, side, first, pixels);
        }
    }
}

/* The pooled map of two rows and its sinks: their gradient goes to the winners. */
static void pull_pooled(sfi_back_task *task, const back_tile *pooled)
{
    const sfi_back_job *job = task->job;
    const sfi_back_side *sides = task->bench.sides;
    float *values = task->bench.pooled_values;
    float *gradients = task->bench.pooled_gradients;
    const sfk_pixels pull = {.sources = task->bench.half,
                             .first = pooled->offset,
                             .depth = job->half.count,
                             .weights = job->half.weights + pooled->channel,
                             .weight_stride = job->channel_pitch,
                             .to = gradients,
                             .stride = SFI_BACK_CHANNELS,
                             .pixels = pooled->pixels,
                             .channels = pooled->lanes};
    job->kernels->pool_pixels(values, sides[0].values, sides[1].values, SFI_BACK_CHANNELS,
                              pooled->pixels, pooled->lanes);
    sum_outer(task, pooled, task->bench.half, pooled->offset, job->half.count, values,
              task->sums.half, task->half_begun);
    job->kernels->pixel_product(&pull);
    job->kernels->unpool_pixels(sides[0].gradients, sides[1].gradients, sides[0].values,
                                sides[1].values, gradients, SFI_BACK_CHANNELS, pooled->pixels,
                                pooled->lanes);
}

/* Two rows, one below the other; the last row of an odd height stands alone. */
static void pair_of_strips(sfi_back_task *task, int64_t row, int64_t x, int64_t pixels)
{
    const sfi_back_job *job = task->job;
    sfi_back_side *sides = task->bench.sides;
    const int64_t width = job->cut.shape.w;
    const int64_t rows = sfi_min(2, task->end_row - row);
    const int64_t first = row * width + x;
    const int64_t offset = (row - task->first_row) * width + x;
    const int64_t pooled_at = (row - task->first_row) / 2 * (width / 2) + x / 2;
    for (int64_t i = 0; i < rows; i++) {
        centre_taps(task, &sides[i], first + i * width, pixels);
    }
    for (int64_t c = 0; c < job->cut.shape.c; c += SFI_BACK_CHANNELS) {
        back_tile tiles[2];
        for (int64_t i = 0; i < rows; i++) {
            tiles[i] = tile_of(job, c, first + i * width, offset + i * width, pixels);
            provide_values(task, &sides[i], &tiles[i]);
            if (job->has_unit || job->gradient) {
                pull_gradients(task, &sides[i], &tiles[i], false);
            }
        }
        if (rows == 2) {
            const back_tile pooled = tile_of(job, c, 0, pooled_at, pixels / 2);
            pull_pooled(task, &pooled);
        }
        for (int64_t i = 0; i < rows; i++) {
            if (job->has_unit) {
                job->kernels->mask_pixels(sides[i].gradients, sides[i].values,
                                          sfi_back_slope(&job->unit), task->bench.channel_sums,
                                          SFI_BACK_CHANNELS, pixels, tiles[i].lanes);
            }
            sum_tile(task, &sides[i], &tiles[i], task->begun || i > 0);
        }
    }
    task->begun = true;
    task->half_begun |= rows == 2;
    for (int64_t i = 0; i < rows && job->has_unit; i++) {
        store_tap_gradients(task, &sides[i], first + i * width, pixels);
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
