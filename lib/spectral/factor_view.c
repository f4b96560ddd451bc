/* SPDX-License-Identifier: BSD-2-Clause */
#include "factor_view.h"

#include "products.h"
#include "sizes.h"

#include <string.h>

/* Rows of M in a chunk, as near as whole inner groups allow: strips of 16 lanes, whole vectors. */
#define CHUNK 96

/* Working room, one after the other. A chunk lies as Mᵀ does: `rank` lines of its rows. */
struct room {
    float *chunk;         /* rank * chunk_rows, and slack for whole vectors */
    float *product;       /* the same */
    double *wide;         /* chunk_rows x pitch(rank), or rank x pitch(chunk_rows) */
    double *wide_product; /* pitch(rank) x pitch(chunk_rows) */
    double *sums;         /* pitch(rank) squared */
    float *core;          /* rank x rank */
    const float **core_rows;
    const float **chunk_rows;
};

#define ROOM_BLOCKS 8

/* Groups of `inner` rows in a chunk. */
static int64_t chunk_step(const sfi_factor_view *view)
{
    return sfi_max(1, CHUNK / view->inner);
}

static bool room_sizes(const sfi_factor_view *view, int64_t bytes[ROOM_BLOCKS])
{
    const int64_t rank = view->rank;
    const int64_t rows = chunk_step(view) * view->inner;
    int64_t lines, wide, square, total;
    if (!sfi_mul(&lines, rank, rows) || !sfi_mul(&wide, sfi_pitch(rank), sfi_pitch(rows)) ||
        !sfi_mul(&square, sfi_pitch(rank), sfi_pitch(rank)) ||
        !sfi_mul(&total, wide + square, 8 * (int64_t)sizeof(double))) {
        return false;
    }
    lines = (lines + SFK_SLACK) * (int64_t)sizeof(float);
    wide *= (int64_t)sizeof(double);
    square *= (int64_t)sizeof(double);
    const int64_t pointers = rank * (int64_t)sizeof(float *);
    memcpy(bytes, (int64_t[]){lines, lines, wide, wide, square, square / 2, pointers, pointers},
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

/* The opposite, added to the gradient; `turned` is room for another chunk. */
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
    kernels->transpose(turned, length, chunk, groups, length, groups);
    kernels->add_to(gradient + first * length, turned, groups * length);
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
    const int64_t step = chunk_step(view);
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

static void multiply_single(const sfk_table *kernels, int64_t rank, int64_t columns,
                            const struct room *room)
{
    for (int64_t t = 0; t < rank; t++) {
        room->chunk_rows[t] = room->chunk + t * columns;
    }
    const sfk_strip strip = {.weights = room->core_rows,
                             .weight_step = 1,
                             .sources = room->chunk_rows,
                             .depth = rank,
                             .to = room->product,
                             .to_stride = columns,
                             .rows = rank,
                             .columns = columns,
                             .activation = SFK_IDENTITY};
    kernels->strip_product(&strip);
}

/* product = core * chunk; the core's rows are `pitch` apart in `sums`. */
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
                          bool single, float *gradient, void *scratch)
{
    const struct room room = room_in(view, scratch);
    const int64_t rank = view->rank;
    const int64_t pitch = sfi_pitch(rank);
    const int64_t step = chunk_step(view);
    memset(room.sums, 0, (size_t)(pitch * pitch) * sizeof(double));
    for (int64_t t = 0; t < rank; t++) {
        memcpy(room.sums + t * pitch, core + t * rank, (size_t)rank * sizeof(double));
        room.core_rows[t] = room.core + t * rank;
        for (int64_t j = 0; single && j < rank; j++) {
            room.core[t * rank + j] = (float)core[t * rank + j];
        }
    }
    for (int64_t first = 0; first < view->count; first += step) {
        const int64_t groups = sfi_min(step, view->count - first);
        load_chunk(kernels, view, first, groups, room.chunk);
        if (single) {
            multiply_single(kernels, rank, groups * view->inner, &room);
        } else {
            multiply_double(kernels, rank, groups * view->inner, &room);
        }
        add_chunk(kernels, view, first, groups, room.product, room.chunk, gradient);
    }
}
