/* SPDX-License-Identifier: BSD-2-Clause */
#include "winograd_source.h"

#include "sizes.h"

#define TILE SFK_WINOGRAD_TILE
#define WINDOW SFK_WINOGRAD_WINDOW

sfi_winograd_grid sfi_winograd_grid_of(const sfi_conv_product *product)
{
    sfi_winograd_grid grid = {.rows = sfi_ceil_div(product->grid.axis[0].size, TILE),
                              .columns = sfi_ceil_div(product->grid.axis[1].size, TILE)};
    grid.image_tiles = grid.rows * grid.columns;
    grid.tiles = product->grid.batch * grid.image_tiles;
    return grid;
}

sfi_tile_run sfi_winograd_run_from(const sfi_winograd_grid *grid, int64_t tile, int64_t most)
{
    const int64_t column = tile % grid->columns;
    const int64_t row = tile / grid->columns;
    return (sfi_tile_run){.image = row / grid->rows,
                          .row = row % grid->rows,
                          .column = column,
                          .count = sfi_min(most, grid->columns - column)};
}

/* The six rows of pixels that a run of tiles sees, zeros outside the image. */
static void gather_patch(const sfk_table *kernels, const sfi_conv_product *product,
                         const sfi_tile_run *tiles, int64_t channel, float *patch)
{
    const sfi_pixel_grid *grid = &product->grid;
    const sfi_pixel_axis *axis = grid->axis;
    const int64_t shift[2] = {sfi_min(axis[0].offset, axis[0].offset + 2 * axis[0].spacing),
                              sfi_min(axis[1].offset, axis[1].offset + 2 * axis[1].spacing)};
    sfk_run rows[WINDOW];
    for (int64_t r = 0; r < WINDOW; r++) {
        rows[r] = (sfk_run){.image = tiles->image,
                            .row = tiles->row * TILE + r,
                            .column = tiles->column * TILE,
                            .length = (tiles->count + 1) * TILE};
    }
    const sfk_gather gather = {
        .plane = product->source + channel * axis[0].source_size * axis[1].source_size,
        .image_stride = grid->image_stride,
        .height = axis[0].source_size,
        .width = axis[1].source_size,
        .tap_row = shift[0],
        .tap_column = shift[1],
        .row_step = 1,
        .column_step = 1,
        .first_column = sfi_max(-shift[1], 0),
        .end_column = sfi_max(axis[1].source_size - shift[1], 0),
        .runs = rows,
        .run_count = WINDOW,
    };
    kernels->gather(patch, &gather);
}

void sfi_winograd_source(const sfk_table *kernels, const sfi_conv_product *product,
                         const sfi_winograd_grid *grid, int64_t channel, int64_t first, int64_t end,
                         float *to, int64_t plane, float *patch)
{
    for (int64_t tile = first; tile < end;) {
        const sfi_tile_run tiles =
            sfi_winograd_run_from(grid, tile, sfi_min(SFK_WINOGRAD_RUN, end - tile));
        gather_patch(kernels, product, &tiles, channel, patch);
        kernels->winograd_input(to + tile - first, plane, patch, (tiles.count + 1) * TILE,
                                tiles.count);
        tile += tiles.count;
    }
}
