/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_bands.h"

#include "rank_quads.h"
#include "rank_tiles.h"
#include "sfconv2d.h"

#define ROWS SFK_WINOGRAD_TILE
/* Maps from which on transforms and the way through a cache cost less than the multiply-adds they
 * save, found by measurement (docs/tried.md): those that a unit reads and mixes where quads
 * make its map, and those that it mixes where they cannot. */
#define LEAST_MAPS 32
#define LEAST_MIXED 20
/* Elements of a band of more than four rows: half of a second-level cache of 1 MB. Four rows of
 * more than LARGEST_BAND would leave any such cache. */
#define MOST_ELEMENTS 131072
#define LARGEST_BAND (4 * MOST_ELEMENTS)
/* Bands of one image, for as many workers, unless they would be of one group of four rows each,
 * which pass all weights for a vector or two. */
#define BANDS_WANTED 8
#define GROUPS_WANTED 2
/* Rows of a map too low to be cut into bands, whose tiles would fill no vectors. */
#define LOW_ROWS 8

/* Planes that are no power of two apart do not meet in the same sets of a cache. */
static int64_t plane_of(int64_t rows, int64_t width)
{
    return (sfi_ceil_div(rows * width, SFK_SLACK) | 1) * SFK_SLACK;
}

/* Maps that tiles mix of the unit's, those of its pooled map by their share of the work: where all
 * of the map waits, nobody pools it. `all` tells whether nobody mixes others. */
static double tiled_maps(const sfi_rank_plan *plan, const sfconv_net *net, const sfi_step *steps,
                         int32_t node, bool waits, bool *all)
{
    double count = 0;
    *all = true;
    for (int32_t i = 0; i < plan->sink_count; i++) {
        const sfi_rank_sink *sink = &plan->sinks[i];
        const bool pooled = sink->via == SFI_VIA_POOL;
        if (sink->base != node) {
            continue;
        }
        if ((pooled && waits) || !sfi_rank_tiles_fit(net, steps, sink)) {
            *all = false;
            continue;
        }
        const sfconv_layer *consumer = net->nodes[sink->consumer].layer;
        const double rank = (double)sfi_as_const_sfconv2d(consumer)->desc.rank;
        count += pooled ? rank / 4 : rank;
    }
    return count;
}

/* Sinks that tiles cannot serve are served by strips of a band that quads have made, or by the
 * pairs that make the map as they go; residuals lie as the map of a pair does. */
enum sfi_rank_band sfi_rank_band_of(const sfi_rank_plan *plan, const sfconv_net *net,
                                    const sfi_step *steps, int32_t node, bool by_quads)
{
    const sfi_rank_node *self = &plan->nodes[node];
    const sfi_shape shape = steps[node].shape;
    const bool waits = self->stored || shape.h <= LOW_ROWS;
    sfi_rank_unit unit;
    bool all;
    const double mixed = tiled_maps(plan, net, steps, node, waits, &all);
    if (self->role != SFI_RANK_UNIT || self->unpooled >= 0 || mixed == 0) {
        return SFI_BAND_NONE;
    }
    sfi_rank_unit_of(&unit, plan, net, node);
    if (by_quads ? mixed + (double)unit.depth / 3 < LEAST_MAPS : mixed < LEAST_MIXED) {
        return SFI_BAND_NONE;
    }
    if (waits) {
        const bool is_near = shape.c * shape.h * shape.w <= SFI_RANK_LARGE;
        return is_near && (all || !by_quads) ? SFI_BAND_OF_ALL : SFI_BAND_NONE;
    }
    const bool is_near = ROWS * shape.c * shape.w <= LARGEST_BAND;
    return is_near && (by_quads || unit.residual_count == 0) ? SFI_BAND_OF_ROWS : SFI_BAND_NONE;
}

int64_t sfi_rank_bands(sfi_shape shape)
{
    const int64_t groups = sfi_ceil_div(shape.h, ROWS);
    const int64_t most = sfi_max(1, MOST_ELEMENTS / (ROWS * shape.c * shape.w));
    const int64_t bands = sfi_ceil_div(groups, most);
    if (shape.n > 1) {
        return bands;
    }
    const int64_t wanted = sfi_max(bands, sfi_min(BANDS_WANTED, groups / GROUPS_WANTED));
    /* Two workers have as many, where there is one more. */
    return sfi_min(groups, wanted + wanted % 2);
}

int64_t sfi_rank_band_rows(sfi_shape shape)
{
    return sfi_ceil_div(sfi_ceil_div(shape.h, ROWS), sfi_rank_bands(shape)) * ROWS;
}

int64_t sfi_rank_waiting_bytes(const sfi_plan *plan, int32_t node)
{
    const sfi_rank_node *self = &plan->rank.nodes[node];
    const int64_t elements = sfi_shape_count(plan->steps[node].shape) + SFK_SLACK;
    const bool waits = self->band == SFI_BAND_OF_ALL && !self->stored;
    return waits ? sfi_round64(elements * (int64_t)sizeof(float)) : 0;
}

static bool is_pooled(const sfi_rank_plan *plan, int32_t node)
{
    bool pooled = false;
    for (int32_t i = 0; i < plan->sink_count; i++) {
        const sfi_rank_sink *sink = &plan->sinks[i];
        pooled |= sink->base == node && sink->tiled && sink->via == SFI_VIA_POOL;
    }
    return pooled;
}

void sfi_rank_lay_out_band(sfi_rank_bench *bench, const sfi_plan *plan, const sfconv_net *net,
                           int32_t node, uintptr_t *at)
{
    const sfi_shape shape = plan->steps[node].shape;
    const int64_t rows = sfi_rank_band_rows(shape);
    const int64_t elements = shape.c * plane_of(rows, shape.w) + SFK_SLACK;
    const int64_t pooled = shape.c * plane_of(rows / 2, shape.w / 2) + SFK_SLACK;
    const bool pools = is_pooled(&plan->rank, node);
    bench->band = sfi_rank_take(at, elements, sizeof(float));
    bench->pooled_band = sfi_rank_take(at, pools ? pooled : 0, sizeof(float));
    bench->row_tiles = sfi_rank_take(at, sfi_rank_tiles_scratch(plan, net, node), 1);
}

static void pool_band(const sfi_rank_task *task)
{
    const sfi_rank_job *job = task->job;
    const int64_t width = job->cut.shape.w;
    const int64_t rows = (task->end_row - task->first_row) / 2;
    for (int64_t c = 0; c < job->cut.shape.c; c++) {
        const float *from = task->map + c * task->map_plane;
        float *to = task->bench.pooled_band + c * task->pooled_plane;
        for (int64_t row = 0; row < rows; row++, from += 2 * width, to += width / 2) {
            job->kernels->pool_pairs(to, from, from + width, width / 2);
        }
    }
}

/* Rows are counted from the first of the task. */
static void open_band(sfi_rank_task *task)
{
    const sfi_rank_job *job = task->job;
    const sfi_shape shape = job->cut.shape;
    const int64_t rows = sfi_rank_band_rows(shape);
    const int64_t before = task->first_row * shape.w;
    task->map = task->bench.band;
    task->map_plane = plane_of(rows, shape.w);
    task->map_row = task->first_row;
    task->pooled_plane = plane_of(rows / 2, shape.w / 2);
    for (int64_t k = 0; k < job->unit.depth; k++) {
        task->bench.taps[k] += before;
    }
    for (int32_t i = 0; i < job->unit.residual_count; i++) {
        task->bench.residuals[i] += before;
    }
}

void sfi_rank_run_band(sfi_rank_task *task)
{
    const sfi_rank_job *job = task->job;
    open_band(task);
    if (job->unit.quads) {
        sfi_rank_run_quads(task);
    } else {
        sfi_rank_run_pairs(task);
    }
    if (is_pooled(&job->run->plan.rank, job->node)) {
        pool_band(task);
    }
    sfi_rank_tile_band(task);
    if (job->unit.quads && task->sink_count > 0) {
        sfi_rank_run_strips(task);
    }
}
