/* SPDX-License-Identifier: BSD-2-Clause */
#include "rank_bands.h"
#include "rank_quads.h"
#include "rank_tiles.h"
#include "rank_transport.h"

#include "parallel.h"

#include <string.h>

/* Pixels of a task: many strips, and still several tasks on the small maps deep inside a net. One
 * image alone has two tasks on the smallest that are worth it, as 7x7, whose 4 and 3 rows fill no
 * more vectors than all 7. */
#define LEAST_TASK_PIXELS 24
#define MIN_TASK_PIXELS 96
#define MAX_TASK_PIXELS 768
#define TASKS_WANTED 8

static int64_t pixels_wanted(sfi_shape shape)
{
    const int64_t plane = shape.h * shape.w;
    const int64_t half = sfi_max(LEAST_TASK_PIXELS, sfi_ceil_div(plane, 2));
    const int64_t least = shape.n == 1 ? sfi_min(MIN_TASK_PIXELS, half) : MIN_TASK_PIXELS;
    return sfi_max(least, sfi_min(MAX_TASK_PIXELS, plane / TASKS_WANTED));
}

/* A unit's sums start from what it finds, so one sink of it adds to a map at a time. */
static bool is_begun_by_base(const sfi_rank_plan *plan, const sfi_rank_sink *sink)
{
    for (const sfi_rank_sink *other = plan->sinks; other < sink; other++) {
        if (other->base == sink->base && other->consumer == sink->consumer) {
            return true;
        }
    }
    return false;
}

bool sfi_rank_is_direct(const sfi_rank_plan *plan, const sfi_rank_sink *sink,
                        const sfi_rank_maps *maps)
{
    return sfi_rank_waits(sink) ||
           (sink->via == SFI_VIA_NOTHING && maps->taps == 1 && maps->stride == 1 &&
            maps->shift == 0 && maps->residues == 1 && !is_begun_by_base(plan, sink));
}

/* Channels of a task whose map is averaged: so few that several workers need no more memory than
 * the map would, but of quads as many as it is worth it to transform the sources for. */
#define AVERAGED_CHANNELS 64
#define AVERAGED_ELEMENTS 16384
#define LEAST_IN_QUADS 32
#define MOST_IN_QUADS 128

static int64_t averaged_channels(sfi_shape shape, bool quads)
{
    const int64_t least = quads ? LEAST_IN_QUADS : 1;
    const int64_t most = quads ? MOST_IN_QUADS : AVERAGED_CHANNELS;
    const int64_t fit = sfi_max(least, AVERAGED_ELEMENTS / (shape.h * shape.w));
    const int64_t channels = sfi_min(most, sfi_min(fit, shape.c));
    return sfi_ceil_div(channels, SFK_SLACK) * SFK_SLACK;
}

/* Rows of a task, in groups of four: fewer rather than more, as seven tasks are four and three for
 * two workers; but where a task has some of the channels not fewer than are wanted, as all rows of
 * an average are, and points serve longer. */
static int64_t whole_groups(int64_t rows, bool some_channels)
{
    const int64_t groups =
        some_channels ? sfi_ceil_div(rows, SFK_WINOGRAD_TILE) : rows / SFK_WINOGRAD_TILE;
    return sfi_max(1, groups) * SFK_WINOGRAD_TILE;
}

/* Whether two workers would have parts of one image so unequal that it shows, and both halves of
 * the channels are there. */
static bool halves_middle(sfi_shape shape, int64_t tasks)
{
    return shape.n == 1 && tasks > 1 && tasks < 2 * TASKS_WANTED && tasks % 2 == 1 &&
           sfi_ceil_div(shape.c, sfi_rank_quad_channels(shape)) == 2;
}

sfi_rank_cut sfi_rank_cut_of(const sfi_plan *plan, int32_t node)
{
    const sfi_shape shape = plan->steps[node].shape;
    sfi_rank_cut result = {.shape = shape, .plane = shape.h * shape.w};
    for (int32_t i = 0; i < plan->rank.sink_count; i++) {
        const sfi_rank_sink *sink = &plan->rank.sinks[i];
        result.pooled |= sink->base == node && sink->via == SFI_VIA_POOL && !sink->tiled;
    }
    result.channels_per_task = shape.c;
    if (plan->rank.nodes[node].band == SFI_BAND_OF_ROWS) {
        result.row_step = SFK_WINOGRAD_TILE;
        result.most_rows = sfi_rank_band_rows(shape);
        result.row_tasks = result.tasks_per_image = sfi_rank_bands(shape);
        return result;
    }
    int64_t pixels = pixels_wanted(shape);
    const bool quads = plan->rank.nodes[node].quads;
    const bool divided = quads && sfi_rank_divides_channels(shape);
    if (divided) {
        result.channels_per_task = sfi_rank_quad_channels(shape);
        pixels = sfi_rank_quad_pixels(shape, pixels);
    }
    if (sfi_rank_is_averaged(&plan->rank, node)) {
        result.averaged = true;
        result.channels_per_task = averaged_channels(shape, quads);
        pixels = result.plane;
    }
    const int64_t tasks = sfi_ceil_div(shape.h, sfi_ceil_div(pixels, shape.w));
    int64_t rows = sfi_ceil_div(shape.h, tasks);
    rows += result.pooled ? rows % 2 : 0;
    rows = quads ? whole_groups(rows, divided || result.averaged) : rows;
    result.row_step = quads ? SFK_WINOGRAD_TILE : result.pooled ? 2 : 1;
    result.most_rows = rows;
    result.row_tasks = sfi_ceil_div(shape.h, rows);
    result.tasks_per_image = result.row_tasks * sfi_ceil_div(shape.c, result.channels_per_task);
    if (quads && !divided && halves_middle(shape, result.row_tasks)) {
        result.halves_middle = true;
        result.tasks_per_image++;
    }
    return result;
}

int64_t sfi_rank_mixed_stride(const sfi_rank_cut *cut, enum sfi_rank_via via)
{
    const int64_t pixels = via == SFI_VIA_POOL ? cut->most_rows / 2 * (cut->shape.w / 2)
                                               : cut->most_rows * cut->shape.w;
    return sfi_ceil_div(pixels, SFK_SLACK) * SFK_SLACK;
}

const sfi_rank_sink *sfi_rank_next_mixed(const sfi_rank_plan *plan, int32_t node, int32_t *index)
{
    while (*index < 2 * plan->sink_count) {
        const bool pooled = *index >= plan->sink_count;
        const sfi_rank_sink *sink = &plan->sinks[(*index)++ % plan->sink_count];
        if (sink->base == node && sink->via != SFI_VIA_COPY && !sink->tiled &&
            (sink->via == SFI_VIA_POOL) == pooled) {
            return sink;
        }
    }
    return NULL;
}

sfi_rank_mixing sfi_rank_mixing_of(const sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    const sfi_rank_cut cut = sfi_rank_cut_of(plan, node);
    sfi_rank_mixing mixing = {0};
    const sfi_rank_sink *sink;
    int32_t index = 0;
    while ((sink = sfi_rank_next_mixed(&plan->rank, node, &index)) != NULL) {
        const sfi_rank_maps maps = sfi_rank_maps_of(plan, net, sink->consumer);
        const int64_t count = sfi_rank_mixed_count(&maps);
        mixing.sinks++;
        *(sink->via == SFI_VIA_POOL ? &mixing.pooled : &mixing.full) += count;
        if (!sfi_rank_is_direct(&plan->rank, sink, &maps)) {
            mixing.elements += count * sfi_rank_mixed_stride(&cut, sink->via);
        }
    }
    return mixing;
}

static void lay_out_pair(sfi_rank_bench *bench, const sfi_rank_unit *unit,
                         const sfi_rank_mixing *mixing, sfi_shape shape, uintptr_t *at)
{
    const int64_t maps = mixing->full + mixing->pooled;
    bench->mixed_maps = sfi_rank_take(at, maps, sizeof *bench->mixed_maps);
    const int64_t pixels = sfi_rank_stores_runs(unit, mixing, shape)
                               ? sfk_stored_pixels(unit->depth)
                               : SFK_PAIR_PIXELS;
    bench->tiles = sfi_rank_take(at, pixels * (unit->depth + maps), sizeof(float));
}

static void lay_out_strip(sfi_rank_bench *bench, const sfi_rank_mixing *mixing, sfi_shape shape,
                          uintptr_t *at)
{
    const int64_t strip = shape.c * sfi_rank_gathered_pixels(shape.c);
    const int64_t pooled = SFI_RANK_CHANNELS * SFI_RANK_STRIP + SFK_SLACK;
    bench->strip = sfi_rank_take(at, sfi_rank_gathers(mixing, shape) ? strip : 0, sizeof(float));
    bench->pooled = sfi_rank_take(at, mixing->pooled ? pooled : 0, sizeof(float));
    bench->rows = sfi_rank_take(at, SFI_RANK_CHANNELS, sizeof(float *));
    bench->lower_rows = sfi_rank_take(at, SFI_RANK_CHANNELS, sizeof(float *));
    bench->pooled_rows = sfi_rank_take(at, SFI_RANK_CHANNELS, sizeof(float *));
}

int64_t sfi_rank_lay_out(sfi_rank_bench *bench, const sfi_plan *plan, const sfconv_net *net,
                         int32_t node, uintptr_t memory)
{
    const sfi_rank_mixing mixing = sfi_rank_mixing_of(plan, net, node);
    const sfi_shape shape = plan->steps[node].shape;
    sfi_rank_unit unit = {0};
    uintptr_t at = memory;
    if (plan->rank.nodes[node].role == SFI_RANK_UNIT) {
        sfi_rank_unit_of(&unit, &plan->rank, net, node);
    }
    bench->sinks = sfi_rank_take(&at, mixing.sinks, sizeof *bench->sinks);
    bench->mixed = sfi_rank_take(&at, mixing.elements + SFK_SLACK, sizeof(float));
    bench->taps = sfi_rank_take(&at, unit.depth, sizeof(float *));
    bench->residuals = sfi_rank_take(&at, unit.residual_count, sizeof(float *));
    if (unit.band == SFI_BAND_OF_ROWS) {
        sfi_rank_lay_out_band(bench, plan, net, node, &at);
    }
    if (unit.quads) {
        sfi_rank_lay_out_quads(bench, &unit, &at);
        if (mixing.sinks > 0) {
            lay_out_strip(bench, &mixing, shape, &at);
        }
    } else if (sfi_rank_is_pair(&unit)) {
        lay_out_pair(bench, &unit, &mixing, shape, &at);
    } else {
        lay_out_strip(bench, &mixing, shape, &at);
    }
    if (sfi_rank_is_averaged(&plan->rank, node)) {
        bench->averaged = sfi_rank_take(
            &at, averaged_channels(shape, unit.quads) * shape.h * shape.w, sizeof(float));
    }
    if (unit.lines) {
        const sfi_rank_stem stem = sfi_rank_stem_of(plan, net, unit.conv[0]);
        bench->points = sfi_rank_take(&at, sfi_rank_stem_points(&stem), sizeof(float));
        bench->lines = sfi_rank_take(&at, sfi_rank_stem_lines(&stem), sizeof(float));
    }
    return (int64_t)(at - memory);
}

static int64_t maps_elements(const sfi_rank_maps *maps, int64_t images)
{
    return images * maps->image + SFK_SLACK;
}

int64_t sfi_rank_maps_bytes(const sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    const sfi_rank_maps maps = sfi_rank_maps_of(plan, net, node);
    if (plan->rank.nodes[node].role == SFI_RANK_SINK) {
        return 0;
    }
    return maps_elements(&maps, plan->steps[node].shape.n) * (int64_t)sizeof(float);
}

int64_t sfi_rank_mixed_bytes(const sfi_plan *plan, const sfconv_net *net, const sfi_rank_sink *sink)
{
    const sfi_rank_maps maps = sfi_rank_maps_of(plan, net, sink->consumer);
    const sfi_shape in = plan->steps[sink->base].shape;
    if (!sfi_rank_waits(sink)) {
        return 0;
    }
    return (in.n * sfi_rank_mixed_count(&maps) * in.h * in.w + SFK_SLACK) * (int64_t)sizeof(float);
}

int64_t sfi_rank_worker_bytes(const sfi_plan *plan, const sfconv_net *net)
{
    sfi_rank_bench bench;
    int64_t bytes = 0;
    for (int32_t i = 0; i < net->node_count; i++) {
        if (sfi_rank_has_step(&plan->rank, i)) {
            bytes = sfi_max(bytes, sfi_rank_lay_out(&bench, plan, net, i, 0));
            bytes = sfi_max(bytes, sfi_rank_tiles_scratch(plan, net, i));
        }
    }
    return bytes;
}

sfi_rank_bytes sfi_rank_step_bytes(const sfi_plan *plan, const sfconv_net *net, int32_t node)
{
    sfi_rank_bytes bytes = {0, 0};
    if (!sfi_rank_has_step(&plan->rank, node)) {
        return bytes;
    }
    bytes.scratch = plan->rank.worker_bytes * (int64_t)sfi_workers(net->context) +
                    sfi_rank_tiles_shared(plan, net, node) + sfi_rank_waiting_bytes(plan, node);
    for (int32_t i = 0; i < plan->rank.sink_count; i++) {
        const sfi_rank_sink *sink = &plan->rank.sinks[i];
        if (sink->base == node && sfi_rank_waits(sink)) {
            bytes.scratch = sfi_max(bytes.scratch, sfi_rank_transport_bytes(plan, net, sink));
        }
    }
    bytes.folded = sfi_rank_weights_bytes(plan, net, node);
    return bytes;
}

bool sfi_rank_row_is_read(const sfi_rank_maps *maps, int64_t row)
{
    const int64_t residue = (row + maps->padding) % maps->residues;
    for (int64_t tap = 0; tap < maps->reach; tap++) {
        if (tap * maps->spacing % maps->residues == residue) {
            return true;
        }
    }
    return false;
}

void sfi_rank_clear_padding(const sfi_rank_maps *maps, int64_t images, int64_t height,
                            float *target)
{
    const int64_t end = maps->residues * maps->rows - maps->padding;
    for (int64_t map = 0; map < images * maps->count; map++) {
        for (int64_t row = -maps->padding; row < end; row++) {
            if (row < 0 || row >= height) {
                memset(target + map * maps->plane + sfi_rank_row(maps, row), 0,
                       (size_t)maps->width * sizeof *target);
            }
        }
    }
}
