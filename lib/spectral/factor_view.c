/* SPDX-License-Identifier: BSD-2-Clause */
#include "factor_view.h"

#include "products.h"
#include "sizes.h"
#include "symmetric.h"
#include "tile_columns.h"

#include <string.h>

/* Rows of M in a chunk, as near as whole inner groups allow: strips of 16 lanes, whole vectors. */
#define CHUNK 96
/* The same for Gram matrices in float, whose chains end with the chunk, and for products in float
 * of rows of M. */
#define GRAM_CHUNK 192
#define ROWS_CHUNK 48

/* Groups that are turned back together: they stay in the nearest cache. */
#define TURNED 8

/* Working room, one after the other. A chunk lies as Mᵀ does: `rank` lines of its rows. */
struct room {
    float *chunk;         /* rank * chunk_rows, and slack for whole vectors */
    float *product;       /* rank * chunk_rows, and slack */
    double *wide;         /* chunk_rows x pitch(rank), or rank x pitch(chunk_rows) */
    double *wide_product; /* pitch(rank) x pitch(chunk_rows) */
    double *sums;         /* pitch(rank) squared */
    float *rows;          /* of a chunk of Gram, in the pitch of symmetric.h, and slack */
    float *row_products;  /* the same, of a chunk of products */
    int64_t *steps;       /* one for each row, or for each column */
};

#define ROOM_BLOCKS 8

/* Groups of `inner` rows in a chunk of about `rows`. */
static int64_t chunk_step(const sfi_factor_view *view, int64_t rows)
{
    return sfi_max(1, rows / view->inner);
}

/* Floats of some groups' rows of M in the pitch of symmetric.h. */
static bool rows_size(int64_t *floats, const sfi_factor_view *view, int64_t groups)
{
    return sfi_mul(floats, groups * view->inner, sfi_symmetric_pitch(view->rank)) &&
           sfi_add(floats, *floats, SFK_SLACK) && *floats < INT64_MAX / 16;
}

static bool room_sizes(const sfi_factor_view *view, int64_t bytes[ROOM_BLOCKS])
{
    const int64_t rank = view->rank;
    const int64_t rows = chunk_step(view, CHUNK) * view->inner;
    const int64_t most = sfi_min(chunk_step(view, GRAM_CHUNK), view->count);
    int64_t lines, wide, square, total, gram, products;
    if (!sfi_mul(&lines, rank, rows) || !sfi_mul(&wide, sfi_pitch(rank), sfi_pitch(rows)) ||
        !sfi_mul(&square, sfi_pitch(rank), sfi_pitch(rank)) ||
        !sfi_mul(&total, wide + square, 8 * (int64_t)sizeof(double)) ||
        !rows_size(&gram, view, most) ||
        !rows_size(&products, view, chunk_step(view, ROWS_CHUNK))) {
        return false;
    }
    lines = (lines + SFK_SLACK) * (int64_t)sizeof(float);
    wide *= (int64_t)sizeof(double);
    square *= (int64_t)sizeof(double);
    gram *= (int64_t)sizeof(float);
    products *= (int64_t)sizeof(float);
    const int64_t steps = sfi_max(most * view->inner, rank) * (int64_t)sizeof(int64_t);
    memcpy(bytes, (int64_t[]){lines, lines, wide, wide, square, gram, products, steps},
           ROOM_BLOCKS * sizeof *bytes);
    return true;
}

bool sfi_view_scratch(int64_t *bytes, const sfi_factor_view *view)
{
    int64_t blocks[ROOM_BLOCKS];
    if (!room_sizes(view, blocks)) {
        return false;
    }
    *bytes = 0;
    for (int i = 0; i < ROOM_BLOCKS; i++) {
        if (!sfi_add(bytes, *bytes, sfi_round64(blocks[i]))) {
            return false;
        }
    }
    return true;
}

static struct room room_in(const sfi_factor_view *view, void *scratch)
{
    int64_t bytes[ROOM_BLOCKS];
    void *blocks[ROOM_BLOCKS];
    unsigned char *next = scratch;
    room_sizes(view, bytes);
    for (int i = 0; i < ROOM_BLOCKS; i++) {
        blocks[i] = next;
        next += sfi_round64(bytes[i]);
    }
    return (struct room){blocks[0], blocks[1], blocks[2], blocks[3],
                         blocks[4], blocks[5], blocks[6], blocks[7]};
}

/* Groups from `first` on as `rank` lines of groups * inner numbers. */
static void load_chunk(const sfk_table *kernels, const sfi_factor_view *view, int64_t first,
                       int64_t groups, float *chunk)
{
    if (view->lying) {
        for (int64_t t = 0; t < view->rank; t++) {
            memcpy(chunk + t * groups, view->weight + t * view->count + first,
                   (size_t)groups * sizeof(float));
        }
        return;
    }
    const int64_t length = view->rank * view->inner;
    kernels->transpose(chunk, groups, view->weight + first * length, length, groups, length);
}

/* The opposite, added to the gradient a few groups at a time; `turned` is room for them. */
static void add_chunk(const sfk_table *kernels, const sfi_factor_view *view, int64_t first,
                      int64_t groups, const float *chunk, float *turned, float *gradient)
{
    if (view->lying) {
        for (int64_t t = 0; t < view->rank; t++) {
            kernels->add_to(gradient + t * view->count + first, chunk + t * groups, groups);
        }
        return;
    }
    const int64_t length = view->rank * view->inner;
    for (int64_t i = 0; i < groups; i += TURNED) {
        const int64_t count = sfi_min(TURNED, groups - i);
        kernels->transpose(turned, length, chunk + i, groups, length, count);
        kernels->add_to(gradient + (first + i) * length, turned, count * length);
    }
}

/* Groups from `first` on as rows of M in double, `pitch` apart, behind whose end nothing changes.
 */
static void load_rows(const sfk_table *kernels, const sfi_factor_view *view, int64_t first,
                      int64_t groups, float *turned, double *rows, int64_t pitch)
{
    const int64_t rank = view->rank;
    const int64_t inner = view->inner;
    const float *source = view->weight + first * rank * inner;
    if (view->lying) {
        kernels->transpose(turned, rank, view->weight + first, view->count, rank, groups);
        source = turned;
    }
    for (int64_t group = 0; group < groups; group++) {
        for (int64_t i = 0; i < inner; i++) {
            double *row = rows + (group * inner + i) * pitch;
            const float *from = source + group * rank * inner + i;
            for (int64_t t = 0; t < rank; t++) {
                row[t] = (double)from[t * inner];
            }
        }
    }
}

void sfi_view_gram(const sfk_table *kernels, const sfi_factor_view *view, double *gram,
                   void *scratch)
{
    const struct room room = room_in(view, scratch);
    const int64_t rank = view->rank;
    const int64_t pitch = sfi_pitch(rank);
    const int64_t step = chunk_step(view, CHUNK);
    memset(room.wide, 0, (size_t)(step * view->inner * pitch) * sizeof(double));
    memset(room.sums, 0, (size_t)(pitch * pitch) * sizeof(double));
    for (int64_t first = 0; first < view->count; first += step) {
        const int64_t groups = sfi_min(step, view->count - first);
        load_rows(kernels, view, first, groups, room.chunk, room.wide, pitch);
        for (int64_t strip = 0; strip < pitch; strip += SFI_STRIP) {
            /* Rows below the strip are its mirror image. */
            for (int64_t top = 0; top < sfi_min(rank, strip + SFI_STRIP); top += SFK_DOUBLE_ROWS) {
                kernels->exact_tile(groups * view->inner, room.wide + top, pitch, room.wide + strip,
                                    pitch, room.sums + top * pitch + strip, pitch);
            }
        }
    }
    for (int64_t i = 0; i < rank; i++) {
        for (int64_t j = i; j < rank; j++) {
            gram[i * rank + j] = gram[j * rank + i] = room.sums[i * pitch + j];
        }
    }
}

/* Groups from `first` on as rows of M, in the pitch of symmetric.h. */
static void load_single_rows(const sfk_table *kernels, const sfi_factor_view *view, int64_t first,
                             int64_t groups, float *rows)
{
    const int64_t rank = view->rank;
    const int64_t pitch = sfi_symmetric_pitch(rank);
    if (view->lying) {
        kernels->transpose(rows, pitch, view->weight + first, view->count, rank, groups);
        return;
    }
    const int64_t length = rank * view->inner;
    for (int64_t group = 0; group < groups; group++) {
        kernels->transpose(rows + group * view->inner * pitch, pitch,
                           view->weight + (first + group) * length, view->inner, rank, view->inner);
    }
}

/* gram += sums: the part on and above the diagonal. */
static void collect_sums(const sfk_table *kernels, int64_t rank, const float *sums, double *gram)
{
    for (int64_t i = 0; i < rank; i++) {
        const int64_t at = i * sfi_symmetric_pitch(rank) + i;
        kernels->add_floats(gram + i * (rank + 1), sums + at, rank - i);
    }
}

void sfi_view_gram_single(const sfk_table *kernels, const sfi_factor_view *view, double *gram,
                          void *scratch)
{
    const struct room room = room_in(view, scratch);
    const int64_t rank = view->rank;
    const int64_t pitch = sfi_symmetric_pitch(rank);
    const int64_t step = sfi_min(chunk_step(view, GRAM_CHUNK), view->count);
    float *sums = (float *)(void *)room.sums;
    memset(gram, 0, (size_t)(rank * rank) * sizeof *gram);
    for (int64_t i = 0; i < step * view->inner; i++) {
        memset(room.rows + i * pitch + rank, 0, (size_t)(pitch - rank) * sizeof(float));
    }
    for (int64_t first = 0; first < view->count; first += step) {
        const int64_t groups = sfi_min(step, view->count - first);
        load_single_rows(kernels, view, first, groups, room.rows);
        sfi_symmetric_multiply(kernels, rank, groups * view->inner, room.rows, room.rows, false,
                               sums, room.steps);
        collect_sums(kernels, rank, sums, gram);
    }
    sfi_symmetric_mirror_double(rank, gram, rank);
}

/* product = core * chunk. The core's rows are `pitch` apart in `sums`. */
static void multiply_double(const sfk_table *kernels, int64_t rank, int64_t columns,
                            const struct room *room)
{
    const int64_t pitch = sfi_pitch(rank);
    const int64_t wide_pitch = sfi_pitch(columns);
    for (int64_t t = 0; t < rank; t++) {
        double *line = room->wide + t * wide_pitch;
        memset(line + columns, 0, (size_t)(wide_pitch - columns) * sizeof(double));
        for (int64_t n = 0; n < columns; n++) {
            line[n] = (double)room->chunk[t * columns + n];
        }
    }
    memset(room->wide_product, 0, (size_t)(pitch * wide_pitch) * sizeof(double));
    for (int64_t strip = 0; strip < wide_pitch; strip += SFI_STRIP) {
        for (int64_t top = 0; top < rank; top += SFK_DOUBLE_ROWS) {
            kernels->double_tile(rank, room->sums + top, pitch, room->wide + strip, wide_pitch,
                                 room->wide_product + top * wide_pitch + strip, wide_pitch);
        }
    }
    for (int64_t t = 0; t < rank; t++) {
        for (int64_t n = 0; n < columns; n++) {
            room->product[t * columns + n] = (float)room->wide_product[t * wide_pitch + n];
        }
    }
}

void sfi_view_add_product(const sfk_table *kernels, const sfi_factor_view *view, const double *core,
                          float *gradient, void *scratch)
{
    const struct room room = room_in(view, scratch);
    const int64_t rank = view->rank;
    const int64_t pitch = sfi_pitch(rank);
    const int64_t step = chunk_step(view, CHUNK);
    memset(room.sums, 0, (size_t)(pitch * pitch) * sizeof(double));
    for (int64_t t = 0; t < rank; t++) {
        memcpy(room.sums + t * pitch, core + t * rank, (size_t)rank * sizeof(double));
    }
    for (int64_t first = 0; first < view->count; first += step) {
        const int64_t groups = sfi_min(step, view->count - first);
        load_chunk(kernels, view, first, groups, room.chunk);
        multiply_double(kernels, rank, groups * view->inner, &room);
        add_chunk(kernels, view, first, groups, room.product, room.chunk, gradient);
    }
}

/* Some columns of a product, in which `all` says what a tile of it does: rows are those of c. */
static void multiply_columns(const sfk_table *kernels, const sfk_tile *all, int64_t rows,
                             int64_t column, int64_t width)
{
    for (int64_t row = 0; row < rows; row += kernels->tile_rows) {
        sfk_tile tile = *all;
        tile.a += row * all->a_row;
        tile.b += column;
        tile.c += row * all->c_stride + column;
        tile.rows = (int32_t)sfi_min(kernels->tile_rows, rows - row);
        tile.columns = (int32_t)width;
        kernels->matrix_tile(&tile);
    }
}

/* lines += core * chunk, `stride` apart. The core is symmetric: its columns serve as rows. */
static void add_lines(const sfk_table *kernels, int64_t rank, int64_t count, const float *core,
                      const struct room *room, float *lines, int64_t stride)
{
    const sfk_tile all = {.a = core,
                          .a_row = 1,
                          .a_step = sfi_symmetric_pitch(rank),
                          .b = room->chunk,
                          .b_steps = room->steps,
                          .c = lines,
                          .c_stride = stride,
                          .accumulate = true,
                          .depth = rank};
    for (int64_t k = 0; k < rank; k++) {
        room->steps[k] = k * count;
    }
    int64_t width;
    for (int64_t column = 0; column < count; column += width) {
        width = sfi_tile_columns(kernels, count - column);
        multiply_columns(kernels, &all, rank, column, width);
    }
}

/* Of Q, which lies: gradient += core * Qᵀ, lines of it. */
static void add_lying_single(const sfk_table *kernels, const sfi_factor_view *view,
                             const float *core, const struct room *room, float *gradient)
{
    for (int64_t first = 0; first < view->count; first += CHUNK) {
        const int64_t columns = sfi_min(CHUNK, view->count - first);
        load_chunk(kernels, view, first, columns, room->chunk);
        add_lines(kernels, view->rank, columns, core, room, gradient + first, view->count);
    }
}

/* row_products = rows of M * core, in the pitch of symmetric.h: the rows of one place of all groups
 * at a time, whose elements are read where they lie. */
static void multiply_rows(const sfk_table *kernels, const sfi_factor_view *view, int64_t first,
                          int64_t groups, const float *core, const struct room *room)
{
    const int64_t rank = view->rank;
    const int64_t inner = view->inner;
    const int64_t pitch = sfi_symmetric_pitch(rank);
    sfk_tile all = {.a_row = rank * inner,
                    .a_step = inner,
                    .b = core,
                    .b_steps = room->steps,
                    .c_stride = inner * pitch,
                    .depth = rank};
    int64_t width;
    for (int64_t column = 0; column < rank; column += width) {
        width = sfi_tile_columns(kernels, rank - column);
        for (int64_t i = 0; i < inner; i++) {
            all.a = view->weight + first * rank * inner + i;
            all.c = room->row_products + i * pitch;
            multiply_columns(kernels, &all, groups, column, width);
        }
    }
}

/* Of P, which stands: gradient += P * core, rows of it. */
static void add_standing_single(const sfk_table *kernels, const sfi_factor_view *view,
                                const float *core, const struct room *room, float *gradient)
{
    const int64_t rank = view->rank;
    const int64_t inner = view->inner;
    const int64_t pitch = sfi_symmetric_pitch(rank);
    const int64_t step = chunk_step(view, ROWS_CHUNK);
    for (int64_t k = 0; k < rank; k++) {
        room->steps[k] = k * pitch;
    }
    for (int64_t first = 0; first < view->count; first += step) {
        const int64_t groups = sfi_min(step, view->count - first);
        multiply_rows(kernels, view, first, groups, core, room);
        for (int64_t group = 0; group < groups; group++) {
            kernels->transpose(room->chunk, inner, room->row_products + group * inner * pitch,
                               pitch, inner, rank);
            kernels->add_to(gradient + (first + group) * rank * inner, room->chunk, rank * inner);
        }
    }
}

void sfi_view_add_product_single(const sfk_table *kernels, const sfi_factor_view *view,
                                 const float *core, float *gradient, void *scratch)
{
    const struct room room = room_in(view, scratch);
    if (view->lying) {
        add_lying_single(kernels, view, core, &room, gradient);
    } else {
        add_standing_single(kernels, view, core, &room, gradient);
    }
}
