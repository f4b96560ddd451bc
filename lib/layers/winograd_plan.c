/* SPDX-License-Identifier: BSD-2-Clause */
#include "winograd_plan.h"

#include "sizes.h"

#define PLANES SFK_WINOGRAD_PLANES

/* Tiles are worked on in blocks: their coefficients stay in the last level of the cache, while a
 * round of rows (target channels) is multiplied with them.
 *
 * Coefficients of the source that a block may have, and the tiles that it has at least and at most:
 * with fewer the transform of the weight, which is repeated for each block where there are several
 * rounds, would show. */
#define BLOCK_COEFFICIENTS (INT64_C(1) << 21)
#define LEAST_TILES 96
#define MOST_TILES 384
/* Coefficients of the weight that a round may have, and the rows that it has at least. */
#define ROUND_COEFFICIENTS (INT64_C(5) << 19)
#define LEAST_ROWS 96
/* Of one task: tiles, and rows where there are enough tiles to share and enough channels to hide
 * that so many sums leave the second level, or not. Multiples of the sizes of every matrix tile. */
#define TASK_TILES 48
#define TASK_ROWS 72
#define FEW_ROWS 48
#define ENOUGH_CHUNKS 4
#define ENOUGH_CHANNELS 128
/* Every number of rows of a tile divides it; and the fewest rows of a tile. */
#define TILE_MULTIPLE 24
#define FEWEST_ROWS 4

static int64_t round16(int64_t count)
{
    return sfi_ceil_div(count, 16) * 16;
}

/* Rows of `count` with whole vectors from any element on, an odd number of cache lines apart. */
static int64_t pitch_of(int64_t count)
{
    return (sfi_ceil_div(count + SFK_SLACK, 16) | 1) * 16;
}

static void split_work(sfi_winograd_plan *plan, const sfi_conv_product *product)
{
    plan->channels = product->source_channels;
    plan->rows = product->target_channels;
    plan->grid = sfi_winograd_grid_of(product);
    const int64_t tiles = plan->grid.tiles;
    const int64_t wanted = sfi_min(
        MOST_TILES, sfi_max(LEAST_TILES, BLOCK_COEFFICIENTS / PLANES / sfi_max(plan->channels, 1)));
    plan->blocks = sfi_ceil_div(tiles, wanted);
    plan->block_tiles = round16(sfi_ceil_div(tiles, plan->blocks));
    plan->blocks = sfi_ceil_div(tiles, plan->block_tiles);
    plan->task_tiles = TASK_TILES;
    const bool few =
        plan->block_tiles < ENOUGH_CHUNKS * TASK_TILES || plan->channels < ENOUGH_CHANNELS;
    plan->task_rows = few ? FEW_ROWS : TASK_ROWS;
    const int64_t round_rows =
        sfi_max(LEAST_ROWS, ROUND_COEFFICIENTS / PLANES / sfi_max(plan->channels, 1));
    plan->round_rows =
        sfi_min(sfi_ceil_div(round_rows, plan->task_rows) * plan->task_rows, plan->rows);
    plan->rounds = sfi_ceil_div(plan->rows, plan->round_rows);
}

/* Distance between planes of coefficients of the weight: panels of a tile's rows, for any number of
 * them, each with its slack. */
static bool plane_of_weight(int64_t *plane, int64_t weight_rows, int64_t channels)
{
    const int64_t rows = sfi_ceil_div(weight_rows, TILE_MULTIPLE) * TILE_MULTIPLE;
    if (!sfi_mul(plane, rows, channels) ||
        !sfi_add(plane, *plane, rows / FEWEST_ROWS * SFK_SLACK)) {
        return false;
    }
    *plane = pitch_of(*plane);
    return true;
}

bool sfi_winograd_plan_make(sfi_winograd_plan *plan, const sfi_conv_product *product)
{
    const int64_t item = (int64_t)sizeof(float);
    int64_t source, weight;
    split_work(plan, product);
    plan->source_pitch = pitch_of(plan->block_tiles);
    plan->sum_pitch = pitch_of(plan->task_tiles);
    if (!sfi_mul(&source, plan->channels, plan->source_pitch * PLANES * item) ||
        !plane_of_weight(&plan->weight_plane, plan->round_rows, plan->channels) ||
        !sfi_mul(&weight, plan->weight_plane, PLANES * item)) {
        return false;
    }
    const int64_t sums = PLANES * sfi_min(plan->task_rows, plan->rows) * plan->sum_pitch;
    plan->source_bytes = source;
    plan->weight_bytes = weight;
    plan->sums_bytes = sums * item;
    plan->patch_bytes = sfi_round64(SFI_WINOGRAD_PATCH * item);
    plan->packed_bytes =
        sfi_round64((SFI_WINOGRAD_PACKED * SFI_WINOGRAD_TAPS * SFK_MAX_ROWS + SFK_SLACK) * item);
    plan->steps_bytes = sfi_round64(plan->channels * (int64_t)sizeof(int64_t));
    return true;
}
