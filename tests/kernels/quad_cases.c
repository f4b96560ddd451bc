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

static quad make_quad(kernel_cases *cases, int64_t channels, int64_t depth, int64_t width,
                      int64_t height)
{
    enum { SPAN = SFK_MAX_QUAD_COLUMNS, TILE = SFK_WINOGRAD_TILE };
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
                           .columns = (height + TILE - 1) / TILE * width,
                           .plane = height * width,
                           .width = width,
                           .height = height,
                           .map = case_floats(cases, channels * height * width),
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
                      int64_t width, int64_t height)
{
    quad work = make_quad(cases, channels, depth, width, height);
    KERNEL_CASE(cases, label, multiply_adds(3 * depth * channels * height * width),
                run_quad(cases->kernels, &work));
}

void quad_expand_cases(kernel_cases *cases)
{
    quad_case(cases, "64 of 8 maps, 96 columns", 64, 8, 96, 4);
    quad_case(cases, "64 of 8 maps, 16 columns", 64, 8, 16, 4);
    quad_case(cases, "64 of 16 maps, 56 columns", 64, 16, 56, 4);
    quad_case(cases, "128 of 16 maps, 23 columns", 128, 16, 23, 4);
    quad_case(cases, "256 of 32 maps, 14 columns", 256, 32, 14, 4);
    quad_case(cases, "512 of 128 maps, 7x7", 512, 128, 7, 7);
    quad_case(cases, "512 of 64 maps, 19x19", 512, 64, 19, 19);
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
    const quad work = make_quad(cases, 512, 64, 1, 4);
    const int64_t read = work.weights.depth * work.weights.channels;
    const int64_t written = SFK_QUAD_PACKED(work.quad.depth) * work.weights.channels;
    KERNEL_CASE(cases, "512 of 64 maps", moves(read, written),
                pack_quad_and_show(cases->kernels, &work, calls_left == 1));
}

/* Rows of whole vectors, so that nothing is written behind them. */
static void quad_points_case(kernel_cases *cases, const char *label, int64_t depth, int64_t width,
                             int64_t height)
{
    enum { WINDOW = SFK_WINOGRAD_WINDOW, TILE = SFK_WINOGRAD_TILE };
    const int64_t plane = (height + 2) * width;
    const int64_t columns = height / TILE * width;
    const int64_t stride = depth * columns + SFK_SLACK;
    float *points = case_floats(cases, WINDOW * stride);
    const float *maps = case_floats(cases, 3 * depth * plane);
    const float **taps = case_rows(cases, maps, plane, 3 * depth);
    const sfk_quad work = {.point_stride = stride,
                           .depth = depth,
                           .span = columns,
                           .columns = columns,
                           .width = width,
                           .height = height};
    KERNEL_CASE(cases, label, moves(depth * plane, WINDOW * depth * columns),
                cases->kernels->quad_points(points, taps, &work));
}

void quad_points_cases(kernel_cases *cases)
{
    quad_points_case(cases, "32 maps, 16x4", 32, 16, 4);
    quad_points_case(cases, "64 maps, 16x24", 64, 16, 24);
}
