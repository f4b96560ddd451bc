/* SPDX-License-Identifier: BSD-2-Clause */
/* A stem of horizontal stride 2 with a 3x3 max pooling of stride 2 behind it: Winograd's F(4, 4)
 * along the rows (docs/mathematics.md), as many vertical taps as there are, and the pooling while
 * rows are in the cache. The full map is never stored, the pooled one is. */
#include "rank_work.h"

/* Tiles of a product, where the rows are not longer: whole vectors for every instruction set and
 * width of tile. */
#define SPAN_TILES 112
/* Channels times points times tiles stay in the second-level cache. */
#define CHANNELS 32

static int64_t round_up(int64_t count)
{
    return sfi_ceil_div(count, SFK_SLACK) * SFK_SLACK;
}

sfi_rank_stem sfi_rank_stem_of(const sfi_plan *plan, const sfconv_net *net, int32_t conv)
{
    const int64_t *weight = net->nodes[conv].layer->parameters[0].shape;
    sfi_rank_stem stem = {.full = plan->steps[conv].shape};
    stem.tiles = sfi_ceil_div(stem.full.w, SFK_LINE_TILE);
    stem.pitch = round_up(stem.tiles);
    stem.depth = weight[1] * weight[2] * SFK_LINE_PHASES;
    stem.pooled_rows = sfi_max(1, SPAN_TILES / (2 * stem.tiles));
    stem.kept_rows = 2 * stem.pooled_rows + 1;
    stem.span = round_up(2 * stem.pooled_rows * stem.tiles);
    stem.channels = sfi_min(CHANNELS, stem.full.c);
    return stem;
}

int64_t sfi_rank_stem_macs(const sfi_plan *plan, const sfconv_net *net, int32_t conv)
{
    const sfi_rank_stem stem = sfi_rank_stem_of(plan, net, conv);
    return stem.full.n * stem.full.c * stem.full.h * stem.tiles * SFK_LINE_POINTS * stem.depth;
}

int64_t sfi_rank_stem_points(const sfi_rank_stem *stem)
{
    return SFK_LINE_POINTS * stem->channels * stem->span + SFK_SLACK;
}

int64_t sfi_rank_stem_lines(const sfi_rank_stem *stem)
{
    return stem->channels * stem->kept_rows * SFK_LINE_TILE * stem->pitch;
}

/* A block of channels of a task. */
typedef struct stem_block {
    const sfi_rank_task *task;
    sfi_rank_stem stem;
    int64_t channel;
    int64_t channels;
} stem_block;

/* Which of the rows that are kept row `row` of the full map is. A division takes as long as a tile
 * of a line, so once for all channels. */
static int64_t slot_of(const sfi_rank_stem *stem, int64_t row)
{
    return row % stem->kept_rows;
}

/* The row in slot `slot` of the block's channel c, by columns of the tiles. */
static float *line_in(const stem_block *block, int64_t c, int64_t slot)
{
    const sfi_rank_stem *stem = &block->stem;
    const int64_t place = c * stem->kept_rows + slot;
    return block->task->bench.lines + place * SFK_LINE_TILE * stem->pitch;
}

/* Rows `first` … of the full map. */
static void make_lines(const stem_block *block, int64_t first, int64_t rows)
{
    const sfi_rank_stem *stem = &block->stem;
    const sfi_rank_job *job = block->task->job;
    float *points = block->task->bench.points;
    const int64_t plane = stem->channels * stem->span;
    for (int64_t f = 0; f < SFK_LINE_POINTS; f++) {
        /* Lines of the points lie in the second-level cache, too short for it to guess the next. */
        const int64_t next = f + 1 < SFK_LINE_POINTS ? f + 1 : 0;
        const sfk_strip product = {.weights = (const float *const *)job->weights.folded.rows +
                                              block->channel,
                                   .weight_first = f * stem->depth,
                                   .weight_step = 1,
                                   .sources = block->task->bench.taps + f * stem->depth,
                                   .first = first * stem->tiles,
                                   .depth = stem->depth,
                                   .next = block->task->bench.taps + next * stem->depth,
                                   .next_first = (next > 0 ? first : first + rows) * stem->tiles,
                                   .to = points + f * plane,
                                   .to_stride = stem->span,
                                   .rows = block->channels,
                                   .columns = rows * stem->tiles};
        job->kernels->strip_product(&product);
    }
    const int64_t first_slot = slot_of(stem, first);
    for (int64_t c = 0; c < block->channels; c++) {
        int64_t slot = first_slot;
        for (int64_t row = 0; row < rows; row++) {
            job->kernels->line_output(line_in(block, c, slot), stem->pitch,
                                      points + c * stem->span + row * stem->tiles, plane,
                                      stem->tiles);
            slot = slot + 1 < stem->kept_rows ? slot + 1 : 0;
        }
    }
}

static void pool_lines(const stem_block *block, int64_t row)
{
    const sfi_rank_job *job = block->task->job;
    const sfi_shape pooled = job->cut.shape;
    const sfi_rank_stem *stem = &block->stem;
    const int64_t first = block->task->image * pooled.c * job->cut.plane + row * pooled.w;
    const sfconv_run *run = job->run;
    uint8_t *cells = run->training ? run->memory + run->plan.steps[job->node].tape + first : NULL;
    float *map = job->map + first;
    const bool has_above = row > 0;
    const bool has_below = 2 * row + 1 < stem->full.h;
    const int64_t above = has_above ? slot_of(stem, 2 * row - 1) : 0;
    const int64_t middle = slot_of(stem, 2 * row);
    const int64_t below = slot_of(stem, 2 * row + 1);
    for (int64_t c = 0; c < block->channels; c++) {
        const int64_t channel = block->channel + c;
        const sfk_line_pool pool = {.rows = {has_above ? line_in(block, c, above) : NULL,
                                             line_in(block, c, middle),
                                             has_below ? line_in(block, c, below) : NULL},
                                    .stride = stem->pitch,
                                    .columns = stem->full.w,
                                    .bias = job->weights.folded.bias[channel],
                                    .activation = job->unit.activation,
                                    .slope = job->unit.slope,
                                    .cells = cells ? cells + channel * job->cut.plane : NULL};
        job->kernels->line_pool(map + channel * job->cut.plane, &pool);
    }
}

void sfi_rank_stem_rows(const sfi_rank_task *task)
{
    const sfi_rank_job *job = task->job;
    stem_block block = {
        .task = task, .stem = sfi_rank_stem_of(&job->run->plan, job->run->net, job->unit.conv[0])};
    const sfi_rank_stem *stem = &block.stem;
    for (; block.channel < stem->full.c; block.channel += stem->channels) {
        block.channels = sfi_min(stem->channels, stem->full.c - block.channel);
        if (task->first_row > 0) {
            make_lines(&block, 2 * task->first_row - 1, 1);
        }
        for (int64_t row = task->first_row; row < task->end_row; row += stem->pooled_rows) {
            const int64_t end = sfi_min(task->end_row, row + stem->pooled_rows);
            make_lines(&block, 2 * row, sfi_min(2 * end, stem->full.h) - 2 * row);
            for (int64_t pooled = row; pooled < end; pooled++) {
                pool_lines(&block, pooled);
            }
        }
    }
}
