/* SPDX-License-Identifier: BSD-2-Clause */
#include "winograd_boxes.h"

#include "sizes.h"

/* Coefficients of a box that a task keeps in the second-level cache, and the fewest tiles that pay
 * for transforming the weight for each box. */
#define OWN_COEFFICIENTS (INT64_C(25) << 13)
#define OWN_TILES 28
/* Boxes that keep the workers busy. */
#define ENOUGH_BOXES 4
/* Most tiles of a box that tasks share, whose sums of a panel stay in the second-level cache. */
#define SHARED_TILES 128

static void cut(sfi_winograd_boxes *boxes, int64_t most)
{
    const sfi_winograd_grid *grid = &boxes->grid;
    const int64_t images = sfi_max(most / grid->image_tiles, 1);
    const int64_t rows = sfi_min(sfi_max(most / grid->columns, 1), grid->rows);
    const int64_t columns = sfi_min(most, grid->columns);
    boxes->parts[0] = sfi_ceil_div(boxes->batch, images);
    boxes->parts[1] = sfi_ceil_div(grid->rows, rows);
    boxes->parts[2] = sfi_ceil_div(grid->columns, columns);
    boxes->count = boxes->parts[0] * boxes->parts[1] * boxes->parts[2];
    boxes->largest = (sfi_winograd_box){
        .images = sfi_ceil_div(boxes->batch, boxes->parts[0]),
        .rows = sfi_ceil_div(grid->rows, boxes->parts[1]),
        .columns = sfi_ceil_div(grid->columns, boxes->parts[2]),
    };
    boxes->largest.tiles = boxes->largest.images * boxes->largest.rows * boxes->largest.columns;
}

sfi_winograd_boxes sfi_winograd_boxes_of(const sfi_conv_product *product)
{
    sfi_winograd_boxes boxes = {.batch = product->grid.batch,
                                .grid = sfi_winograd_grid_of(product)};
    const int64_t most = OWN_COEFFICIENTS / SFK_WINOGRAD_PLANES / product->source_channels;
    if (most >= OWN_TILES) {
        cut(&boxes, sfi_min(most, SHARED_TILES));
        boxes.own = boxes.count >= ENOUGH_BOXES;
    }
    if (!boxes.own) {
        cut(&boxes, SHARED_TILES);
    }
    return boxes;
}

/* The part with number `index` of `count` in `parts` of nearly equal size. */
static void part_of(int64_t *first, int64_t *size, int64_t count, int64_t parts, int64_t index)
{
    *first = sfi_spread_begin(count, parts, index);
    *size = sfi_spread_begin(count, parts, index + 1) - *first;
}

sfi_winograd_box sfi_winograd_box_number(const sfi_winograd_boxes *boxes, int64_t number)
{
    const int64_t *parts = boxes->parts;
    sfi_winograd_box box;
    part_of(&box.column, &box.columns, boxes->grid.columns, parts[2], number % parts[2]);
    part_of(&box.row, &box.rows, boxes->grid.rows, parts[1], number / parts[2] % parts[1]);
    part_of(&box.image, &box.images, boxes->batch, parts[0], number / parts[2] / parts[1]);
    box.tiles = box.images * box.rows * box.columns;
    return box;
}
