/* SPDX-License-Identifier: BSD-2-Clause */
/* Units whose map is stored and nothing else, by Winograd's F(4, 3) along the columns: four rows of
 * the map at once, whose vertical taps take 6 products in place of 12. */
#include "rank_quads.h"

#include "conv2d.h"
#include "layer_facts.h"
#include "sfconv2d.h"

#define ROWS SFK_WINOGRAD_TILE
#define POINTS SFK_WINOGRAD_WINDOW
/* More elements of a map than a last-level cache holds beside other maps. Wide strips gain by
 * asking for what comes from the last level, too. */
#define FROM_MEMORY 4000000
#define WIDE_STRIP 48
/* Sources for which what the transforms cost is less than what they save. */
#define LEAST_SOURCES 8

/* Whether the vertical half of a convolution has three taps of neighbouring rows. */
static bool is_upright(const sfconv_layer *layer)
{
    const sfi_sfconv2d *conv = sfi_as_const_sfconv2d(layer);
    return conv && conv->desc.kernel[0] == 3 && conv->desc.stride[0] == 1 &&
           conv->desc.dilation[0] == 1;
}

static int64_t sources_of(const sfi_rank_unit *unit)
{
    return unit->depth / 3;
}

/* Points that are no power of two apart do not meet in the same sets of a cache. */
static int64_t point_stride(const sfi_rank_unit *unit)
{
    return sources_of(unit) * SFK_MAX_QUAD_COLUMNS + SFK_SLACK;
}

bool sfi_rank_quads_fit(const sfi_rank_plan *plan, const sfconv_net *net, sfi_shape shape,
                        int32_t node)
{
    sfi_rank_unit unit;
    if (plan->nodes[node].role != SFI_RANK_UNIT || sfi_rank_has_sinks(plan, node) ||
        net->context->convolution == SFCONV_CONVOLUTION_DIRECT) {
        return false;
    }
    sfi_rank_unit_of(&unit, plan, net, node);
    for (int32_t part = 0; part < unit.part_count; part++) {
        if (!is_upright(net->nodes[unit.conv[part]].layer)) {
            return false;
        }
    }
    const int64_t computed = sfi_ceil_div(shape.h, ROWS) * ROWS;
    return sources_of(&unit) >= LEAST_SOURCES && 4 * computed <= 5 * shape.h;
}

int64_t sfi_rank_quads_macs(const sfi_rank_unit *unit, sfi_shape shape)
{
    return shape.n * shape.c * sfi_ceil_div(shape.h, ROWS) * shape.w * (sources_of(unit) * POINTS);
}

void sfi_rank_lay_out_quads(sfi_rank_bench *bench, const sfi_rank_unit *unit, uintptr_t *at)
{
    bench->points = sfi_rank_take(at, POINTS * point_stride(unit), sizeof(float));
}

/* The values of the sources at the points, of four rows from `row` on. */
static void take_points(const sfi_rank_task *task, int64_t row, int64_t column, int64_t columns)
{
    const sfi_rank_job *job = task->job;
    const sfi_shape shape = job->cut.shape;
    for (int64_t k = 0; k < sources_of(&job->unit); k++) {
        job->kernels->quad_points(
            task->bench.points + k * job->kernels->quad_columns, point_stride(&job->unit),
            task->bench.taps[3 * k] + row * shape.w + column, shape.w, shape.h + 2 - row, columns);
    }
}

void sfi_rank_run_quads(const sfi_rank_task *task)
{
    const sfi_rank_job *job = task->job;
    const sfi_shape shape = job->cut.shape;
    const int64_t strip = job->kernels->quad_columns;
    const int64_t near = strip >= WIDE_STRIP ? SFI_RANK_LARGE : FROM_MEMORY;
    sfk_quad quad = {.weights = job->weights.packed,
                     .channels = shape.c,
                     .points = task->bench.points,
                     .point_stride = point_stride(&job->unit),
                     .depth = sources_of(&job->unit),
                     .span = strip,
                     .residuals = task->bench.residuals,
                     .residual_count = job->unit.residual_count,
                     .plane = job->cut.plane,
                     .map = job->map + task->image * shape.c * job->cut.plane,
                     .from_memory = shape.c * job->cut.plane > near,
                     .width = shape.w,
                     .activation = job->unit.activation,
                     .slope = job->unit.slope};
    for (int64_t row = task->first_row; row < task->end_row; row += ROWS) {
        quad.rows = sfi_min(ROWS, task->end_row - row);
        for (int64_t column = 0; column < shape.w; column += strip) {
            quad.first = row * shape.w + column;
            quad.columns = sfi_min(strip, shape.w - column);
            take_points(task, row, column, quad.columns);
            job->kernels->quad_expand(&quad);
        }
    }
}
