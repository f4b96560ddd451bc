/* SPDX-License-Identifier: BSD-2-Clause */
/* A span is some rows of an image's output. The coefficients of the image rows under it are made
 * for it alone: rows whose numbers agree modulo the vertical stride lie together, so that the tiles
 * of a span follow each other under every vertical tap. At each of the points the sums over
 * channels, parities and vertical taps are then products of rank-space form: coefficients of the
 * weight times those of the image give those of the output; those of its gradient times those of
 * the image, summed over tiles, give those of the weight's gradient. */
#include "convolution_lines.h"

#include "kernels.h"
#include "parallel.h"
#include "sizes.h"

#include <string.h>

#define POINTS SFK_LINE_POINTS
#define PHASES SFK_LINE_PHASES
#define TILE SFK_LINE_TILE
#define TAPS SFK_LINE_TAPS

/* Tiles of a span, where rows are not longer. */
#define SPAN_TILES 112
/* Output channels whose coefficients are there at a time: with a span of them, half of a common
 * second-level cache. */
#define CHANNELS 64
/* Partial sums of the weight's gradient. */
#define SEGMENTS 16

bool sfi_lines_fit(int64_t taps, int64_t stride, int64_t dilation)
{
    const int64_t of_one_parity = sfi_ceil_div(taps, PHASES);
    return stride == PHASES && dilation == 1 && of_one_parity >= 3 && of_one_parity <= TAPS;
}

static bool fits(const sfi_conv_shape *shape)
{
    return shape->groups == 1 && shape->dilation[0] == 1 &&
           sfi_lines_fit(shape->kernel[1], shape->stride[1], shape->dilation[1]);
}

/* Costs in multiply-adds, as the transforms of a tile and of a row of taps take. */
static bool pays(const sfi_conv_shape *shape)
{
    const double tiles =
        (double)(shape->batch * shape->out_height) * (double)sfi_ceil_div(shape->out_width, TILE);
    const double pixels = (double)(shape->batch * shape->out_height) * (double)shape->out_width;
    const double in = (double)shape->in_channels;
    const double out = (double)shape->out_channels;
    const double rows = in * (double)shape->kernel[0];
    return (double)shape->kernel[1] * pixels * rows * out >
           (POINTS * PHASES * tiles + 200) * rows * out +
               (300 * (double)shape->stride[0] * in + 60 * out) * tiles;
}

bool sfi_lines_chosen(const sfconv_context *context, const sfi_conv_shape *shape)
{
    switch (context->convolution) {
    case SFCONV_CONVOLUTION_DIRECT:
        return false;
    case SFCONV_CONVOLUTION_WINOGRAD:
        return fits(shape);
    default:
        return fits(shape) && pays(shape);
    }
}

int64_t sfi_lines_macs(const sfi_conv_shape *shape)
{
    const int64_t tiles = shape->batch * shape->out_height * sfi_ceil_div(shape->out_width, TILE);
    return POINTS * PHASES * tiles * shape->kernel[0] * shape->in_channels * shape->out_channels;
}

/* Values of w0 + w1·z + w2·z² + w3·z³ at the points, over what the other points leave: the product
 * of the distances to them. */
static void transform_taps(const double w[TAPS], double out[POINTS])
{
    const double even_one = w[0] + w[2], odd_one = w[1] + w[3];
    const double even_half = w[0] + w[2] / 4, odd_half = w[1] / 2 + w[3] / 8;
    out[0] = -2 * w[0];
    out[1] = (even_one + odd_one) * (-2.0 / 3);
    out[2] = (even_one - odd_one) * (-2.0 / 9);
    out[3] = (even_half + odd_half) * (16.0 / 9);
    out[4] = (even_half - odd_half) * (16.0 / 15);
    out[5] = (w[0] + 2 * w[1] + 4 * w[2] + 8 * w[3]) * (2.0 / 45);
    out[6] = w[3];
}

/* Its transpose. */
static void gather_taps(const double in[POINTS], double w[TAPS])
{
    const double one = in[1] * (-2.0 / 3), minus_one = in[2] * (-2.0 / 9);
    const double half = in[3] * (16.0 / 9), minus_half = in[4] * (16.0 / 15);
    const double two = in[5] * (2.0 / 45);
    w[0] = (one + minus_one) + (half + minus_half) + two - 2 * in[0];
    w[1] = (one - minus_one) + (half - minus_half) / 2 + 2 * two;
    w[2] = (one + minus_one) + (half + minus_half) / 4 + 4 * two;
    w[3] = (one - minus_one) + (half - minus_half) / 8 + 8 * two + in[6];
}

/* Where coefficient 0 of the taps of one row and parity lies; others are `depth` apart. */
static int64_t place_of(int64_t row, int64_t phase, int64_t height)
{
    return (row / height * PHASES + phase) * height + row % height;
}

void sfi_line_weights(float *to, const float *filter, int64_t in, int64_t height, int64_t width,
                      double factor)
{
    const int64_t depth = in * PHASES * height;
    for (int64_t row = 0; row < in * height; row++, filter += width) {
        for (int64_t phase = 0; phase < PHASES; phase++) {
            float *at = to + place_of(row, phase, height);
            double taps[TAPS] = {0};
            double points[POINTS];
            for (int64_t i = phase; i < width; i += PHASES) {
                taps[i / PHASES] = factor * (double)filter[i];
            }
            transform_taps(taps, points);
            for (int64_t f = 0; f < POINTS; f++) {
                at[f * depth] = (float)points[f];
            }
        }
    }
}

typedef struct line_plan {
    sfi_conv_shape shape;
    /* Of an output row. */
    int64_t tiles;
    /* Output rows of a span, spans of an image and of all, and from channel to channel of a span.
     */
    int64_t rows;
    int64_t image_spans;
    int64_t spans;
    int64_t pitch;
    /* Terms of a sum at a point, and those of the transposed ones rounded up. */
    int64_t depth;
    int64_t depth_pitch;
    /* Image rows under a span, of each residue. */
    int64_t residue_rows;
    int64_t source_plane;
    int64_t channels;
    int64_t segments;
    /* In bytes: coefficients of the weight and their rows; a worker's coefficients of the image,
     * pointers to them, coefficients of the output, and transposed ones. */
    int64_t weights;
    int64_t weight_rows;
    int64_t sources;
    int64_t source_rows;
    int64_t points;
    int64_t point_rows;
    int64_t transposed;
    /* One partial gradient. */
    int64_t partial;
} line_plan;

static int64_t round_up(int64_t count)
{
    return sfi_ceil_div(count, SFK_SLACK) * SFK_SLACK;
}

/* Floats behind a product of extents, as bytes. */
static bool bytes_of(int64_t *bytes, int64_t a, int64_t b, int64_t c)
{
    const int64_t factors[] = {a, b, c};
    int64_t count;
    return sfi_product(&count, factors, 3) && sfi_add(&count, count, 2 * SFK_SLACK) &&
           sfi_mul(bytes, count, (int64_t)sizeof(float)) && sfi_add(bytes, *bytes, 63) &&
           (*bytes = *bytes / 64 * 64) >= 0;
}

static bool make_plan(line_plan *plan, const sfi_conv_shape *shape)
{
    const int64_t height = shape->kernel[0];
    plan->shape = *shape;
    plan->tiles = sfi_ceil_div(shape->out_width, TILE);
    plan->rows = sfi_min(shape->out_height, sfi_max(1, SPAN_TILES / plan->tiles));
    plan->image_spans = sfi_ceil_div(shape->out_height, plan->rows);
    plan->spans = shape->batch * plan->image_spans;
    plan->pitch = round_up(plan->rows * plan->tiles + SFK_SLACK - 1);
    plan->depth = shape->in_channels * PHASES * height;
    plan->depth_pitch = round_up(plan->depth);
    const int64_t source_rows = (plan->rows - 1) * shape->stride[0] + height;
    plan->residue_rows = sfi_ceil_div(source_rows, shape->stride[0]);
    plan->source_plane = sfi_min(shape->stride[0], source_rows) * plan->residue_rows * plan->tiles;
    plan->channels = sfi_min(CHANNELS, shape->out_channels);
    plan->segments = sfi_min(SEGMENTS, plan->spans);
    plan->weight_rows = sfi_round64(shape->out_channels * (int64_t)sizeof(float *));
    plan->source_rows = sfi_round64(POINTS * plan->depth * (int64_t)sizeof(float *));
    plan->point_rows = sfi_round64(plan->channels * (int64_t)sizeof(float *));
    return bytes_of(&plan->weights, POINTS, shape->out_channels, plan->depth) &&
           bytes_of(&plan->sources, POINTS * PHASES, shape->in_channels, plan->source_plane) &&
           bytes_of(&plan->points, POINTS, plan->channels, plan->pitch) &&
           bytes_of(&plan->transposed, 1, plan->rows * plan->tiles, plan->depth_pitch) &&
           bytes_of(&plan->partial, POINTS, shape->out_channels, plan->depth);
}

/* Of one worker, in forward without the transposed coefficients. */
static int64_t area_bytes(const line_plan *plan)
{
    return plan->sources + plan->source_rows + plan->points + plan->point_rows + plan->transposed;
}

bool sfi_lines_forward_scratch(int64_t *bytes, const sfconv_context *context,
                               const sfi_conv_shape *shape)
{
    line_plan plan;
    int64_t areas;
    return make_plan(&plan, shape) && sfi_mul(&areas, sfi_workers(context), area_bytes(&plan)) &&
           sfi_add(bytes, plan.weights, plan.weight_rows) && sfi_add(bytes, *bytes, areas);
}

bool sfi_lines_weight_scratch(int64_t *bytes, const sfconv_context *context,
                              const sfi_conv_shape *shape)
{
    line_plan plan;
    int64_t areas;
    return make_plan(&plan, shape) && sfi_mul(&areas, sfi_workers(context), area_bytes(&plan)) &&
           sfi_mul(bytes, plan.segments, plan.partial) && sfi_add(bytes, *bytes, areas);
}

typedef struct line_run {
    line_plan plan;
    const sfk_table *kernels;
    const float *x;
    unsigned char *areas;
    /* Forward. */
    const float *weight;
    const float *bias;
    const sfi_finish *finish;
    float *y;
    float *weights;
    const float **weight_rows;
    /* Gradient by the weight. */
    const float *dy;
    float *dweight;
    bool accumulate;
    unsigned char *partials;
} line_run;

/* A worker's memory. */
typedef struct line_area {
    float *sources;
    /* Term k at point f: source_rows[f·depth + k]. */
    const float **source_rows;
    /* [point][channel][tile] */
    float *points;
    const float **point_rows;
    float *transposed;
} line_area;

static line_area area_of(const line_run *run, int32_t worker)
{
    const line_plan *plan = &run->plan;
    unsigned char *base = run->areas + worker * area_bytes(plan);
    line_area area;
    area.sources = (float *)base;
    area.source_rows = (const float **)(base += plan->sources);
    area.points = (float *)(base += plan->source_rows);
    area.point_rows = (const float **)(base += plan->points);
    area.transposed = (float *)(base + plan->point_rows);
    return area;
}

typedef struct line_span {
    int64_t image;
    int64_t first_row;
    int64_t rows;
} line_span;

static line_span span_of(const line_plan *plan, int64_t index)
{
    const int64_t first = index % plan->image_spans * plan->rows;
    return (line_span){index / plan->image_spans, first,
                       sfi_min(plan->rows, plan->shape.out_height - first)};
}

static void clear_row(const line_plan *plan, float *to)
{
    const int64_t point = plan->shape.in_channels * PHASES * plan->source_plane;
    for (int64_t f = 0; f < POINTS; f++) {
        for (int64_t phase = 0; phase < PHASES; phase++) {
            memset(to + f * point + phase * plan->source_plane, 0,
                   (size_t)plan->tiles * sizeof *to);
        }
    }
}

/* Coefficients of the image rows under a span; zeros above and below the image. */
static void fill_sources(const line_run *run, const line_span *span, float *sources)
{
    const line_plan *plan = &run->plan;
    const sfi_conv_shape *shape = &plan->shape;
    const int64_t stride = shape->stride[0];
    const int64_t top = span->first_row * stride - shape->padding[0];
    const int64_t count = (span->rows - 1) * stride + shape->kernel[0];
    for (int64_t c = 0; c < shape->in_channels; c++) {
        const float *plane =
            run->x + (span->image * shape->in_channels + c) * shape->in_height * shape->in_width;
        for (int64_t row = 0; row < count; row++) {
            const int64_t place = row % stride * plan->residue_rows + row / stride;
            float *to = sources + c * PHASES * plan->source_plane + place * plan->tiles;
            if (top + row < 0 || top + row >= shape->in_height) {
                clear_row(plan, to);
                continue;
            }
            const sfk_line line = {
                .from = plane + (top + row) * shape->in_width,
                .width = shape->in_width,
                .padding = shape->padding[1],
                .to = to,
                .point_stride = shape->in_channels * PHASES * plan->source_plane,
                .phase_stride = plan->source_plane,
                .tiles = plan->tiles,
            };
            run->kernels->line_input(&line);
        }
    }
}

static void point_at_sources(const line_run *run, const line_area *area)
{
    const line_plan *plan = &run->plan;
    const int64_t height = plan->shape.kernel[0];
    const int64_t stride = plan->shape.stride[0];
    for (int64_t i = 0; i < POINTS * plan->depth; i++) {
        const int64_t tap = i % height;
        const int64_t place = tap % stride * plan->residue_rows + tap / stride;
        area->source_rows[i] =
            area->sources + i / height * plan->source_plane + place * plan->tiles;
    }
}

static int64_t channels_at(const line_plan *plan, int64_t channel)
{
    return sfi_min(plan->channels, plan->shape.out_channels - channel);
}

/* Output rows of some channels from their coefficients. */
static void put_rows(const line_run *run, const line_span *span, int64_t channel,
                     const float *points)
{
    const line_plan *plan = &run->plan;
    const sfi_conv_shape *shape = &plan->shape;
    for (int64_t c = 0; c < channels_at(plan, channel); c++) {
        const int64_t map = span->image * shape->out_channels + channel + c;
        float *y = run->y + (map * shape->out_height + span->first_row) * shape->out_width;
        for (int64_t row = 0; row < span->rows; row++) {
            run->kernels->line_row(y + row * shape->out_width,
                                   points + c * plan->pitch + row * plan->tiles,
                                   plan->channels * plan->pitch,
                                   run->bias ? run->bias[channel + c] : 0.0f, shape->out_width);
        }
        sfi_finish_pixels(run->kernels, run->finish, channel + c, run->y, y - run->y,
                          span->rows * shape->out_width);
    }
}

static void forward_task(void *argument, int64_t index, int32_t worker)
{
    const line_run *run = argument;
    const line_plan *plan = &run->plan;
    const line_span span = span_of(plan, index);
    const line_area area = area_of(run, worker);
    point_at_sources(run, &area);
    fill_sources(run, &span, area.sources);
    for (int64_t channel = 0; channel < plan->shape.out_channels; channel += plan->channels) {
        for (int64_t f = 0; f < POINTS; f++) {
            const sfk_strip product = {.weights = run->weight_rows + channel,
                                       .weight_first = f * plan->depth,
                                       .weight_step = 1,
                                       .sources = area.source_rows + f * plan->depth,
                                       .depth = plan->depth,
                                       .to = area.points + f * plan->channels * plan->pitch,
                                       .to_stride = plan->pitch,
                                       .rows = channels_at(plan, channel),
                                       .columns = span.rows * plan->tiles};
            run->kernels->strip_product(&product);
        }
        put_rows(run, &span, channel, area.points);
    }
}

static void weights_task(void *argument, int64_t channel, int32_t worker)
{
    const line_run *run = argument;
    const sfi_conv_shape *shape = &run->plan.shape;
    float *to = run->weights + channel * POINTS * run->plan.depth;
    (void)worker;
    sfi_line_weights(
        to, run->weight + channel * shape->in_channels * shape->kernel[0] * shape->kernel[1],
        shape->in_channels, shape->kernel[0], shape->kernel[1], 1.0);
    run->weight_rows[channel] = to;
}

void sfi_lines_forward(sfconv_context *context, const sfi_conv_shape *shape, const float *x,
                       const float *weight, const float *bias, const sfi_finish *finish, float *y,
                       void *scratch)
{
    line_run run = {.kernels = context->kernels,
                    .x = x,
                    .weight = weight,
                    .bias = bias,
                    .finish = finish,
                    .y = y};
    make_plan(&run.plan, shape);
    run.weights = scratch;
    run.weight_rows = (const float **)((unsigned char *)scratch + run.plan.weights);
    run.areas = (unsigned char *)scratch + run.plan.weights + run.plan.weight_rows;
    sfi_parallel_for(context, shape->out_channels, weights_task, &run);
    sfi_parallel_for(context, run.plan.spans, forward_task, &run);
}

static float *partial_of(const line_run *run, int64_t segment)
{
    return (float *)(run->partials + segment * run->plan.partial);
}

/* Coefficients of the gradients of some channels. */
static void take_rows(const line_run *run, const line_span *span, int64_t channel,
                      const line_area *area)
{
    const line_plan *plan = &run->plan;
    const sfi_conv_shape *shape = &plan->shape;
    for (int64_t c = 0; c < channels_at(plan, channel); c++) {
        const int64_t map = span->image * shape->out_channels + channel + c;
        const float *dy = run->dy + (map * shape->out_height + span->first_row) * shape->out_width;
        for (int64_t row = 0; row < span->rows; row++) {
            run->kernels->line_row_gradient(area->points + c * plan->pitch + row * plan->tiles,
                                            plan->channels * plan->pitch,
                                            dy + row * shape->out_width, shape->out_width);
        }
        area->point_rows[c] = area->points + c * plan->pitch;
    }
}

/* Adds what a span gives to the sums of its segment. */
static void add_span(const line_run *run, const line_span *span, const line_area *area,
                     float *partial)
{
    const line_plan *plan = &run->plan;
    const int64_t columns = span->rows * plan->tiles;
    fill_sources(run, span, area->sources);
    for (int64_t channel = 0; channel < plan->shape.out_channels; channel += plan->channels) {
        take_rows(run, span, channel, area);
        for (int64_t f = 0; f < POINTS; f++) {
            const sfk_outer outer = {.left = area->point_rows,
                                     .left_first = f * plan->channels * plan->pitch,
                                     .right = area->transposed,
                                     .right_stride = plan->depth_pitch,
                                     .depth = columns,
                                     .to = partial +
                                           (f * plan->shape.out_channels + channel) * plan->depth,
                                     .to_stride = plan->depth,
                                     .rows = channels_at(plan, channel),
                                     .columns = plan->depth,
                                     .accumulate = true};
            run->kernels->transpose_taps(area->transposed, plan->depth_pitch,
                                         area->source_rows + f * plan->depth, 0, plan->depth,
                                         columns);
            run->kernels->strip_outer(&outer);
        }
    }
}

static void segment_task(void *argument, int64_t segment, int32_t worker)
{
    const line_run *run = argument;
    const line_plan *plan = &run->plan;
    const line_area area = area_of(run, worker);
    float *partial = partial_of(run, segment);
    memset(partial, 0, (size_t)plan->partial);
    point_at_sources(run, &area);
    for (int64_t index = segment * plan->spans / plan->segments;
         index < (segment + 1) * plan->spans / plan->segments; index++) {
        const line_span span = span_of(plan, index);
        add_span(run, &span, &area, partial);
    }
}

/* Of one output channel: segments are added in their order, then coefficients become taps. */
static void join_task(void *argument, int64_t channel, int32_t worker)
{
    const line_run *run = argument;
    const line_plan *plan = &run->plan;
    const int64_t height = plan->shape.kernel[0], width = plan->shape.kernel[1];
    const int64_t rows = plan->shape.in_channels * height;
    float *to = run->dweight + channel * rows * width;
    (void)worker;
    for (int64_t row = 0; row < rows; row++, to += width) {
        for (int64_t phase = 0; phase < PHASES; phase++) {
            const int64_t place = channel * plan->depth + place_of(row, phase, height);
            double points[POINTS] = {0};
            double taps[TAPS];
            for (int64_t segment = 0; segment < plan->segments; segment++) {
                for (int64_t f = 0; f < POINTS; f++) {
                    points[f] += (double)partial_of(
                        run, segment)[f * plan->shape.out_channels * plan->depth + place];
                }
            }
            gather_taps(points, taps);
            for (int64_t i = phase; i < width; i += PHASES) {
                const double before = run->accumulate ? (double)to[i] : 0.0;
                to[i] = (float)(before + taps[i / PHASES]);
            }
        }
    }
}

void sfi_lines_weight(sfconv_context *context, const sfi_conv_shape *shape, const float *x,
                      const float *dy, float *dweight, bool accumulate, void *scratch)
{
    line_run run = {.kernels = context->kernels,
                    .x = x,
                    .dy = dy,
                    .dweight = dweight,
                    .accumulate = accumulate,
                    .partials = scratch};
    make_plan(&run.plan, shape);
    run.areas = run.partials + run.plan.segments * run.plan.partial;
    sfi_parallel_for(context, run.plan.segments, segment_task, &run);
    sfi_parallel_for(context, shape->out_channels, join_task, &run);
}
