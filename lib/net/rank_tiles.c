/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_tiles.h"

#include "layer_facts.h"
#include "parallel.h"
#include "sfconv2d.h"

#define TILE SFK_WINOGRAD_TILE
#define POINTS SFK_WINOGRAD_WINDOW
/* Mixed maps for which what the transforms cost is less than what they save. */
#define LEAST_MAPS 8
/* Tiles of the widest vector; strips are whole vectors, a task's mixed maps whole blocks of rows.
 */
#define VECTOR_TILES 16
#define STRIP_VECTORS (SFK_MAX_ROW_TILES / VECTOR_TILES)
#define LEAST_ROWS 8
/* Channels of a map that are two chains of sums where its tiles are one vector. */
#define CHAINED_CHANNELS 256
#define CHAINS 2
/* Tasks of a part whose sums are put into the maps. */
#define PUTS 2

/* Whether all of the map is there before the base's step mixes anything of it: a pair mixes its own
 * while it makes it. */
static bool is_there(const sfi_rank_node *base)
{
    return base->role != SFI_RANK_UNIT || base->unpooled >= 0 || base->band == SFI_BAND_OF_ALL;
}

static int64_t tiles_of_row(int64_t width)
{
    return sfi_ceil_div(width, TILE);
}

bool sfi_rank_is_tiled(const sfi_rank_plan *plan, const sfconv_net *net, const sfi_step *steps,
                       const sfi_rank_sink *sink)
{
    const sfi_rank_node *base = &plan->nodes[sink->base];
    const bool is_whole = sink->via == SFI_VIA_NOTHING && is_there(base);
    return (is_whole || base->band == SFI_BAND_OF_ROWS) && sfi_rank_tiles_fit(net, steps, sink);
}

bool sfi_rank_tiles_fit(const sfconv_net *net, const sfi_step *steps, const sfi_rank_sink *sink)
{
    const sfi_sfconv2d *conv = sfi_as_const_sfconv2d(net->nodes[sink->consumer].layer);
    if (!conv || (sink->via != SFI_VIA_NOTHING && sink->via != SFI_VIA_POOL) ||
        net->context->convolution == SFCONV_CONVOLUTION_DIRECT) {
        return false;
    }
    const sfconv_sfconv2d_desc *desc = &conv->desc;
    const int64_t width = steps[sink->consumer].shape.w;
    return desc->kernel[1] == 3 && desc->stride[0] == 1 && desc->stride[1] == 1 &&
           desc->dilation[1] == 1 && desc->padding[1] <= 2 && desc->rank >= LEAST_MAPS &&
           4 * TILE * tiles_of_row(width) <= 5 * width;
}

static int64_t rank_of(const sfconv_net *net, const sfi_rank_sink *sink)
{
    return sfi_as_const_sfconv2d(net->nodes[sink->consumer].layer)->desc.rank;
}

/* Of one image. */
static int64_t tiles_of(const sfi_plan *plan, const sfi_rank_sink *sink)
{
    const int64_t height = plan->steps[sink->base].shape.h;
    return (sink->via == SFI_VIA_POOL ? height / 2 : height) *
           tiles_of_row(plan->steps[sink->consumer].shape.w);
}

int64_t sfi_rank_tiles_macs(const sfi_plan *plan, const sfconv_net *net, const sfi_rank_sink *sink)
{
    const sfi_shape shape = plan->steps[sink->base].shape;
    return shape.n * shape.c * tiles_of(plan, sink) * (rank_of(net, sink) * POINTS);
}

/* The base's sink of this kind behind *index, which begins at 0; NULL at the end. */
static const sfi_rank_sink *next_tiled(const sfi_rank_plan *plan, int32_t node, int32_t *index)
{
    while (*index < plan->sink_count) {
        const sfi_rank_sink *sink = &plan->sinks[(*index)++];
        if (sink->base == node && sink->tiled) {
            return sink;
        }
    }
    return NULL;
}

static int64_t weights_of(const sfi_plan *plan, const sfconv_net *net, const sfi_rank_sink *sink)
{
    return rank_of(net, sink) * plan->steps[sink->base].shape.c * POINTS;
}

int64_t sfi_rank_tiles_weights(const sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    const sfi_rank_sink *sink;
    int32_t index = 0;
    int64_t count = 0;
    while ((sink = next_tiled(&plan->rank, node, &index)) != NULL) {
        count += weights_of(plan, net, sink);
    }
    return count;
}

/* Of an element: where few tiles leave no other work for a second worker that is not done by both,
 * the halves of many channels are summed apart, by one worker, too. */
static int64_t chains_of(int64_t tiles, int64_t channels)
{
    return tiles <= SFK_KEPT_TILES && channels >= CHAINED_CHANNELS ? CHAINS : 1;
}

/* Elements of the chains' sums of one image. */
static int64_t kept_of(int64_t tiles, int64_t channels, int64_t rank)
{
    return chains_of(tiles, channels) > 1 ? CHAINS * SFK_ROW_TILES_KEPT(rank) : 0;
}

int64_t sfi_rank_tiles_scratch(const sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    const sfi_rank_sink *sink;
    int32_t index = 0;
    int64_t most = 0;
    while ((sink = next_tiled(&plan->rank, node, &index)) != NULL) {
        const int64_t rank = rank_of(net, sink);
        const int64_t kept = kept_of(tiles_of(plan, sink), plan->steps[node].shape.c, rank);
        most = sfi_max(most, kept + SFK_ROW_TILES_SCRATCH(rank));
    }
    return sfi_round64(most * (int64_t)sizeof(float));
}

int64_t sfi_rank_tiles_shared(const sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    const sfi_shape shape = plan->steps[node].shape;
    const sfi_rank_sink *sink;
    int32_t index = 0;
    int64_t most = 0;
    while ((sink = next_tiled(&plan->rank, node, &index)) != NULL) {
        most = sfi_max(most, kept_of(tiles_of(plan, sink), shape.c, rank_of(net, sink)));
    }
    /* As many images as workers have one each. */
    return shape.n < sfi_workers(net->context)
               ? sfi_round64(shape.n * most * (int64_t)sizeof(float))
               : 0;
}

/* One sink, and how its work is cut: into strips of tiles of one image, of nearly as many vectors
 * each, and where these are fewer than workers into chains of sums, then into parts of the mixed
 * maps. Each chain is the same whoever computes it, so that the cut does not show. */
typedef struct tile_job {
    const sfi_rank_job *job;
    sfi_rank_maps maps;
    /* Of the map that is read. */
    int64_t plane;
    int64_t width;
    int64_t tiles;
    int64_t vectors;
    int64_t strips;
    int64_t chains;
    /* A task has one chain, whose sums wait for the other's. */
    bool apart;
    int64_t parts;
    bool accumulate;
    const float *weights;
    float *target;
    /* [image][part][chain] of sums that wait. */
    float *shared;
} tile_job;

/* What a task has of an image. */
typedef struct tile_task {
    int64_t image;
    int64_t strip;
    int64_t part;
} tile_task;

static sfk_row_tiles work_of(const tile_job *tiled, const tile_task *task)
{
    const sfi_rank_maps *maps = &tiled->maps;
    const int64_t blocks = sfi_ceil_div(maps->count, LEAST_ROWS);
    const int64_t first = VECTOR_TILES * sfi_part_begin(tiled->vectors, tiled->strips, task->strip);
    const int64_t end =
        VECTOR_TILES * sfi_part_begin(tiled->vectors, tiled->strips, task->strip + 1);
    const int64_t first_row = LEAST_ROWS * sfi_part_begin(blocks, tiled->parts, task->part);
    const int64_t end_row =
        sfi_min(maps->count, LEAST_ROWS * sfi_part_begin(blocks, tiled->parts, task->part + 1));
    return (sfk_row_tiles){.plane = tiled->plane,
                           .width = tiled->width,
                           .padding = maps->shift,
                           .tiles_per_row = tiles_of_row(maps->width),
                           .first = first,
                           .tiles = sfi_min(end, tiled->tiles) - first,
                           .packed_rows = maps->count,
                           .first_row = first_row,
                           .rows = end_row - first_row,
                           .to = tiled->target + task->image * maps->image +
                                 maps->padding * maps->width,
                           .to_plane = maps->plane,
                           .to_width = maps->width,
                           .accumulate = tiled->accumulate,
                           .from_memory = tiled->job->cut.shape.c * tiled->plane > SFI_RANK_LARGE};
}

/* Where the sums of a chain of the task lie that several workers share. */
static float *shared_sums(const tile_job *tiled, const tile_task *task, const sfk_row_tiles *work,
                          int64_t chain)
{
    return tiled->shared +
           CHAINS * (task->image * SFK_ROW_TILES_KEPT(tiled->maps.count) +
                     SFK_ROW_TILES_KEPT(work->first_row)) +
           chain * SFK_ROW_TILES_KEPT(work->rows);
}

static void run_chain(const tile_job *tiled, const tile_task *task, int64_t chain,
                      sfk_row_tiles work, float *kept)
{
    const sfi_rank_job *job = tiled->job;
    const sfi_shape shape = job->cut.shape;
    const int64_t half = shape.c / CHAINS / SFK_ROW_TILE_CHANNELS * SFK_ROW_TILE_CHANNELS;
    const int64_t channel = chain * half;
    work.map = job->map + (task->image * shape.c + channel) * job->cut.plane;
    work.channels = (chain + 1 < tiled->chains ? half : shape.c) - channel;
    work.weights = tiled->weights + POINTS * tiled->maps.count * channel;
    work.kept = kept;
    job->kernels->row_tiles(&work);
}

static void run_task(void *argument, int64_t index, int32_t worker)
{
    const tile_job *tiled = argument;
    const sfi_rank_job *job = tiled->job;
    const int64_t turns = tiled->apart ? CHAINS : 1;
    const int64_t chain = index / tiled->parts % turns;
    const tile_task task = {.image = index / tiled->parts / turns / tiled->strips,
                            .strip = index / tiled->parts / turns % tiled->strips,
                            .part = index % tiled->parts};
    sfk_row_tiles work = work_of(tiled, &task);
    work.scratch = (float *)(job->scratch + worker * job->scratch_per_worker);
    if (tiled->apart) {
        run_chain(tiled, &task, chain, work, shared_sums(tiled, &task, &work, chain));
    } else if (tiled->chains > 1) {
        float *first = work.scratch + SFK_ROW_TILES_SCRATCH(work.rows);
        float *second = first + SFK_ROW_TILES_KEPT(work.rows);
        run_chain(tiled, &task, 0, work, first);
        run_chain(tiled, &task, 1, work, second);
        job->kernels->put_row_tiles(&work, first, second, 0, work.rows);
    } else {
        run_chain(tiled, &task, 0, work, NULL);
    }
}

/* Some rows of a part whose chains waited for each other. */
static void put_task(void *argument, int64_t index, int32_t worker)
{
    const tile_job *tiled = argument;
    const tile_task task = {.image = index / PUTS / tiled->parts,
                            .part = index / PUTS % tiled->parts};
    const sfk_row_tiles work = work_of(tiled, &task);
    const int64_t turn = index % PUTS;
    (void)worker;
    tiled->job->kernels->put_row_tiles(
        &work, shared_sums(tiled, &task, &work, 0), shared_sums(tiled, &task, &work, 1),
        sfi_part_begin(work.rows, PUTS, turn), sfi_part_begin(work.rows, PUTS, turn + 1));
}

static void cut_work(tile_job *tiled, int32_t workers)
{
    const sfi_shape shape = tiled->job->cut.shape;
    tiled->vectors = sfi_ceil_div(tiled->tiles, VECTOR_TILES);
    const int64_t wanted = sfi_min(sfi_ceil_div(workers, shape.n), tiled->vectors);
    tiled->strips = sfi_max(sfi_ceil_div(tiled->vectors, STRIP_VECTORS), wanted);
    tiled->chains = chains_of(tiled->tiles, shape.c);
    tiled->apart = tiled->chains > 1 && shape.n < workers;
    const int64_t tasks = shape.n * tiled->strips * (tiled->apart ? CHAINS : 1);
    tiled->parts =
        sfi_max(1, sfi_min(sfi_ceil_div(workers, tasks), tiled->maps.count / LEAST_ROWS));
}

void sfi_rank_run_tiles(const sfi_rank_job *job)
{
    const sfconv_run *run = job->run;
    const int64_t images = job->cut.shape.n;
    const int32_t workers = sfi_workers(run->context);
    const float *weights = job->weights.tiled;
    const sfi_rank_sink *sink;
    int32_t index = 0;
    while ((sink = next_tiled(&run->plan.rank, job->node, &index)) != NULL) {
        tile_job tiled = {.job = job,
                          .maps = sfi_rank_maps_of(&run->plan, run->net, sink->consumer),
                          .plane = job->cut.plane,
                          .width = job->cut.shape.w,
                          .tiles = tiles_of(&run->plan, sink),
                          .accumulate = sink->accumulate,
                          .weights = weights,
                          .target = sfi_rank_target(run, sink->consumer),
                          .shared = (float *)(job->scratch + workers * job->scratch_per_worker)};
        cut_work(&tiled, workers);
        const int64_t turns = tiled.apart ? CHAINS : 1;
        sfi_parallel_for(run->context, images * tiled.strips * turns * tiled.parts, run_task,
                         &tiled);
        if (tiled.apart) {
            sfi_parallel_for(run->context, images * tiled.parts * PUTS, put_task, &tiled);
        }
        weights += weights_of(&run->plan, run->net, sink);
    }
}

/* What a sink takes of a band, or of the pooled one: as many tiles at a time as the kernel can. */
static void tile_rows(const sfi_rank_task *task, const sfi_rank_sink *sink, const float *weights)
{
    const sfi_rank_job *job = task->job;
    const sfconv_run *run = job->run;
    const sfi_rank_maps maps = sfi_rank_maps_of(&run->plan, run->net, sink->consumer);
    const bool pooled = sink->via == SFI_VIA_POOL;
    const int64_t scale = pooled ? 2 : 1;
    const int64_t first_row = task->first_row / scale;
    const int64_t tiles = (task->end_row / scale - first_row) * tiles_of_row(maps.width);
    const int64_t vectors = sfi_ceil_div(tiles, VECTOR_TILES);
    const tile_job tiled = {.job = job,
                            .maps = maps,
                            .plane = pooled ? task->pooled_plane : task->map_plane,
                            .width = job->cut.shape.w / scale,
                            .tiles = tiles,
                            .vectors = vectors,
                            .strips = sfi_ceil_div(vectors, STRIP_VECTORS),
                            .parts = 1,
                            .accumulate = sink->accumulate,
                            .target =
                                sfi_rank_target(run, sink->consumer) + first_row * maps.width};
    for (int64_t strip = 0; strip < tiled.strips; strip++) {
        const tile_task part = {.image = task->image, .strip = strip};
        sfk_row_tiles work = work_of(&tiled, &part);
        work.map = pooled ? task->bench.pooled_band : task->map;
        work.channels = job->cut.shape.c;
        work.weights = weights;
        work.scratch = task->bench.row_tiles;
        job->kernels->row_tiles(&work);
    }
}

void sfi_rank_tile_band(const sfi_rank_task *task)
{
    const sfconv_run *run = task->job->run;
    const float *weights = task->job->weights.tiled;
    const sfi_rank_sink *sink;
    int32_t index = 0;
    while ((sink = next_tiled(&run->plan.rank, task->job->node, &index)) != NULL) {
        tile_rows(task, sink, weights);
        weights += weights_of(&run->plan, run->net, sink);
    }
}

typedef struct pack_job {
    const sfk_table *kernels;
    sfk_row_taps from;
    int64_t rows_per_task;
    float *to;
} pack_job;

static void pack_task(void *argument, int64_t index, int32_t worker)
{
    const pack_job *job = argument;
    sfk_row_taps from = job->from;
    (void)worker;
    from.first_row = index * job->rows_per_task;
    from.end_row = sfi_min(from.rows, from.first_row + job->rows_per_task);
    job->kernels->pack_row_tiles(job->to, &from);
}

void sfi_rank_pack_tiles(const sfi_rank_job *job)
{
    const sfconv_run *run = job->run;
    float *to = job->weights.tiled;
    const sfi_rank_sink *sink;
    int32_t index = 0;
    while ((sink = next_tiled(&run->plan.rank, job->node, &index)) != NULL) {
        const sfi_node *consumer = &run->net->nodes[sink->consumer];
        const int64_t channels = run->plan.steps[sink->base].shape.c;
        const int64_t row_step = 3 * run->plan.steps[consumer->inputs[0]].shape.c;
        pack_job pack = {
            .kernels = job->kernels,
            .from = {.taps = sfi_rank_mixing_weights(consumer->layer) + 3 * sink->channel,
                     .row_step = row_step,
                     .channels = channels,
                     .rows = rank_of(run->net, sink)},
            .rows_per_task = sfi_rank_channels_of_task(POINTS * channels),
            .to = to};
        sfi_parallel_for(run->context, sfi_ceil_div(pack.from.rows, pack.rows_per_task), pack_task,
                         &pack);
        to += weights_of(&run->plan, run->net, sink);
    }
}
