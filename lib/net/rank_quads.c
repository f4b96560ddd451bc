/* SPDX-License-Identifier: BSD-2-Clause */
/* Units whose map is stored, or waits for tiles of rows (rank_bands.h), by Winograd's F(4, 3) along
 * the columns: four rows of the map at once, whose vertical taps take 6 products in place of 12. */
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

bool sfi_rank_quads_fit(const sfi_rank_plan *plan, const sfconv_net *net, const sfi_step *steps,
                        int32_t node)
{
    const int64_t height = steps[node].shape.h;
    sfi_rank_unit unit;
    if (plan->nodes[node].role != SFI_RANK_UNIT ||
        net->context->convolution == SFCONV_CONVOLUTION_DIRECT) {
        return false;
    }
    sfi_rank_unit_of(&unit, plan, net, node);
    for (int32_t part = 0; part < unit.part_count; part++) {
        if (!is_upright(net->nodes[unit.conv[part]].layer)) {
            return false;
        }
    }
    const int64_t computed = sfi_ceil_div(height, ROWS) * ROWS;
    return sources_of(&unit) >= LEAST_SOURCES && 4 * computed <= 5 * height;
}

int64_t sfi_rank_quads_macs(const sfi_rank_unit *unit, sfi_shape shape)
{
    return shape.n * shape.c * sfi_ceil_div(shape.h, ROWS) * shape.w * (sources_of(unit) * POINTS);
}

void sfi_rank_lay_out_quads(sfi_rank_bench *bench, const sfi_rank_unit *unit, uintptr_t *at)
{
    bench->points = sfi_rank_take(at, POINTS * point_stride(unit), sizeof(float));
}

/* Lanes of the widest vectors. */
#define LANES 16
/* Channels for which it is worth it to transform the sources, and whose weights stay in the
 * second-level cache. */
#define CHANNELS_OF_TASK 128
/* Groups of rows, for more of which it does not matter that they share lines. */
#define FEW_GROUPS 8

bool sfi_rank_joins_quads(sfi_shape shape)
{
    const int64_t groups = sfi_ceil_div(shape.h, ROWS);
    const int64_t apart = groups * sfi_ceil_div(shape.w, LANES);
    return 6 * (apart - sfi_ceil_div(groups * shape.w, LANES)) >= apart;
}

bool sfi_rank_divides_channels(sfi_shape shape)
{
    const bool fills_lines = shape.h * shape.w % SFK_SLACK == 0 && ROWS * shape.w % SFK_SLACK == 0;
    return sfi_rank_joins_quads(shape) ||
           (!fills_lines && sfi_ceil_div(shape.h, ROWS) <= FEW_GROUPS);
}

int64_t sfi_rank_quad_channels(sfi_shape shape)
{
    const int64_t wanted = sfi_max(shape.n == 1 ? 2 : 1, shape.c / CHANNELS_OF_TASK);
    return sfi_ceil_div(sfi_ceil_div(shape.c, wanted), 2 * SFK_QUAD_BLOCK) * 2 * SFK_QUAD_BLOCK;
}

int64_t sfi_rank_quad_pixels(sfi_shape shape, int64_t pixels)
{
    const int64_t tasks = sfi_ceil_div(shape.c, sfi_rank_quad_channels(shape));
    return sfi_max(tasks * pixels, ROWS * SFK_MAX_QUAD_COLUMNS);
}

static void run_strip(const sfi_rank_task *task, sfk_quad *quad, int64_t row, int64_t column,
                      int64_t columns)
{
    quad->row = row;
    quad->column = column;
    quad->columns = columns;
    task->job->kernels->quad_points(task->bench.points, task->bench.taps, quad);
    task->job->kernels->quad_expand(quad);
}

/* Strips of as many whole vectors, one after the other through all rows. */
static void run_joined(const sfi_rank_task *task, sfk_quad *quad)
{
    const sfi_rank_job *job = task->job;
    const int64_t width = job->cut.shape.w;
    const int64_t first = task->first_row - task->map_row;
    const int64_t end = sfi_ceil_div(task->end_row - task->first_row, ROWS) * width;
    const int64_t strips = sfi_ceil_div(end, job->kernels->quad_columns);
    quad->span = sfi_ceil_div(sfi_ceil_div(end, strips), LANES) * LANES;
    for (int64_t n = 0; n < end; n += quad->span) {
        run_strip(task, quad, first + n / width * ROWS, n % width, sfi_min(quad->span, end - n));
    }
}

static void run_by_rows(const sfi_rank_task *task, sfk_quad *quad)
{
    const int64_t width = task->job->cut.shape.w;
    for (int64_t row = task->first_row - task->map_row; row < task->end_row - task->map_row;
         row += ROWS) {
        for (int64_t column = 0; column < width; column += quad->span) {
            run_strip(task, quad, row, column, sfi_min(quad->span, width - column));
        }
    }
}

void sfi_rank_run_quads(const sfi_rank_task *task)
{
    const sfi_rank_job *job = task->job;
    const sfi_shape shape = job->cut.shape;
    const int64_t strip = job->kernels->quad_columns;
    const int64_t near = strip >= WIDE_STRIP ? SFI_RANK_LARGE : FROM_MEMORY;
    const int64_t sources = sources_of(&job->unit);
    sfk_quad quad = {.weights =
                         job->weights.packed + task->first_channel * SFK_QUAD_PACKED(sources),
                     .channels = task->end_channel - task->first_channel,
                     .points = task->bench.points,
                     .point_stride = point_stride(&job->unit),
                     .depth = sources,
                     .span = strip,
                     .residuals = task->bench.residuals,
                     .residual_count = job->unit.residual_count,
                     .residual_plane = job->cut.plane,
                     .plane = task->map_plane,
                     .map = task->map,
                     .from_memory = shape.c * task->map_plane > near,
                     .width = shape.w,
                     .height = shape.h - task->map_row,
                     .activation = job->unit.activation,
                     .slope = job->unit.slope};
    if (sfi_rank_joins_quads(shape)) {
        run_joined(task, &quad);
    } else {
        run_by_rows(task, &quad);
    }
}
