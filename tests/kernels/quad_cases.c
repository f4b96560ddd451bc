/* SPDX-License-Identifier: BSD-2-Clause */
/* Four rows of a map at once, by Winograd's F(4, 3) along the columns. */
#include "kernel_cases.h"

/* Four rows of a map at once, from the maps that are its sources to the map. */
typedef struct quad {
    sfk_pair_weights weights;
    float *packed;
    const sfk_table *packed_by;
    sfk_quad quad;
} quad;

static quad make_quad(kernel_cases *cases, int64_t channels, int64_t depth, int64_t columns)
{
    enum { SPAN = SFK_MAX_QUAD_COLUMNS };
    const int64_t taps = 3 * depth;
    quad work = {.weights = {.channels = channels,
                             .end_channel = channels,
                             .parts = case_part(cases, channels, taps),
                             .part_count = 1,
                             .depth = taps,
                             .bias = case_floats(cases, channels)},
                 .packed = case_scratch(cases, SFK_QUAD_PACKED(depth) * channels)};
    work.quad = (sfk_quad){.weights = work.packed,
                           .channels = channels,
                           .points = case_floats(cases, SFK_WINOGRAD_WINDOW * depth * SPAN),
                           .point_stride = depth * SPAN,
                           .depth = depth,
                           .span = SPAN,
                           .rows = SFK_WINOGRAD_TILE,
                           .columns = columns,
                           .plane = SFK_WINOGRAD_TILE * columns,
                           .width = columns,
                           .map = case_floats(cases, channels * SFK_WINOGRAD_TILE * columns),
                           .activation = SFK_RELU};
    return work;
}

static void run_quad(const sfk_table *kernels, quad *work)
{
    if (work->packed_by != kernels) {
        kernels->pack_quad(work->packed, &work->weights);
        work->packed_by = kernels;
    }
    kernels->quad_expand(&work->quad);
}

/* Counted as the direct sum would be: half of these are computed. */
static void quad_case(kernel_cases *cases, const char *label, int64_t channels, int64_t depth,
                      int64_t columns)
{
    quad work = make_quad(cases, channels, depth, columns);
    KERNEL_CASE(cases, label, multiply_adds(3 * depth * channels * SFK_WINOGRAD_TILE * columns),
                run_quad(cases->kernels, &work));
}

void quad_expand_cases(kernel_cases *cases)
{
    quad_case(cases, "64 of 8 maps, 96 columns", 64, 8, 96);
    quad_case(cases, "64 of 8 maps, 16 columns", 64, 8, 16);
    quad_case(cases, "64 of 16 maps, 56 columns", 64, 16, 56);
    quad_case(cases, "128 of 16 maps, 23 columns", 128, 16, 23);
    quad_case(cases, "256 of 32 maps, 14 columns", 256, 32, 14);
    quad_case(cases, "512 of 128 maps, 7 columns", 512, 128, 7);
}

/* As for pairs, the last call goes on to the map. */
static void pack_quad_and_show(const sfk_table *kernels, const quad *work, bool last)
{
    kernels->pack_quad(work->packed, &work->weights);
    if (last) {
        kernels->quad_expand(&work->quad);
    }
}

void pack_quad_cases(kernel_cases *cases)
{
    const quad work = make_quad(cases, 512, 64, 1);
    const int64_t read = work.weights.depth * work.weights.channels;
    const int64_t written = SFK_QUAD_PACKED(work.quad.depth) * work.weights.channels;
    KERNEL_CASE(cases, "512 of 64 maps", moves(read, written),
                pack_quad_and_show(cases->kernels, &work, calls_left == 1));
}

void quad_points_cases(kernel_cases *cases)
{
    enum { COLUMNS = 16, WINDOW = SFK_WINOGRAD_WINDOW };
    const float *from = case_floats(cases, WINDOW * COLUMNS);
    float *to = case_floats(cases, WINDOW * COLUMNS);
    KERNEL_CASE(cases, "16 columns", moves(WINDOW * COLUMNS, WINDOW * COLUMNS),
                cases->kernels->quad_points(to, COLUMNS, from, COLUMNS, WINDOW, COLUMNS));
    KERNEL_CASE(cases, "16 columns of 4 rows", moves(4 * COLUMNS, WINDOW * COLUMNS),
                cases->kernels->quad_points(to, COLUMNS, from, COLUMNS, 4, COLUMNS));
}
