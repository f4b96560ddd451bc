/* SPDX-License-Identifier: BSD-2-Clause */
#include "depthwise.h"

#include "kernels.h"
#include "parallel.h"
#include "sizes.h"

#include <string.h>

/* Copies of the last rows of a plane that were asked for. In a copy, element c of phase q is column
 * c·step + q - left of the plane, 0 outside it; phases that no tap reads are left out. */
typedef struct row_ring {
    const float *plane;
    int64_t width;
    int64_t step;
    int64_t phases;
    int64_t phase_length;
    int64_t left;
    int64_t slots;
    /* Rows below it have been copied. */
    int64_t next;
    float *rows;
} row_ring;

/* Rows, weights and products of the taps of one kernel, then a ring and a row of results. */
typedef struct tap_bench {
    const float **rows;
    double *products;
    float *weights;
    float *results;
    float *ring;
} tap_bench;

typedef struct depthwise_job {
    const sfi_depthwise *shape;
    const sfk_table *kernels;
    const float *x;
    const float *dy;
    const float *weight;
    float *to;
    bool accumulate;
    unsigned char *scratch;
    int64_t bytes_per_worker;
} depthwise_job;

static void copy_phase(const row_ring *ring, const float *row, int64_t phase, float *to)
{
    const int64_t before = ring->left - phase;
    const int64_t length = ring->phase_length;
    const int64_t begin = sfi_min(length, before > 0 ? sfi_ceil_div(before, ring->step) : 0);
    const int64_t columns = ring->width + before;
    const int64_t end = sfi_min(length, columns > 0 ? sfi_ceil_div(columns, ring->step) : 0);
    memset(to, 0, (size_t)begin * sizeof *to);
    if (ring->step == 1 && begin < end) {
        memcpy(to + begin, row + begin - before, (size_t)(end - begin) * sizeof *to);
    }
    for (int64_t c = begin; c < end && ring->step > 1; c++) {
        to[c] = row[c * ring->step - before];
    }
    for (int64_t c = sfi_max(begin, end); c < length; c++) {
        to[c] = 0.0f;
    }
}

/* Row y of the plane as copied; at most slots-1 above the lowest row that is still in use. */
static const float *ring_row(row_ring *ring, int64_t y)
{
    const int64_t row_length = ring->phases * ring->phase_length;
    for (; ring->next <= y; ring->next++) {
        float *to = ring->rows + ring->next % ring->slots * row_length;
        const float *row = ring->plane + ring->next * ring->width;
        for (int64_t q = 0; q < ring->phases; q++) {
            copy_phase(ring, row, q, to + q * ring->phase_length);
        }
    }
    return ring->rows + y % ring->slots * row_length;
}

/* Distance, in elements of a phase, from the first to the last tap of a row. */
static int64_t reach(const sfi_depthwise *shape)
{
    return (shape->kernel[1] - 1) * shape->dilation[1] / shape->stride[1];
}

static int64_t tap_count(const sfi_depthwise *shape)
{
    return shape->kernel[0] * shape->kernel[1];
}

static row_ring image_ring(const sfi_depthwise *shape)
{
    return (row_ring){
        .width = shape->in[1],
        .step = shape->stride[1],
        .phases = sfi_min(shape->stride[1], (shape->kernel[1] - 1) * shape->dilation[1] + 1),
        .phase_length = shape->out[1] + reach(shape),
        .left = shape->padding[1],
        .slots = sfi_min(shape->in[0], (shape->kernel[0] - 1) * shape->dilation[0] + 1),
    };
}

/* Of the output's gradient, for the gradient by x: zeros of the reach on both sides. */
static row_ring gradient_ring(const sfi_depthwise *shape)
{
    const int64_t rows = (shape->kernel[0] - 1) * shape->dilation[0] / shape->stride[0] + 1;
    return (row_ring){
        .width = shape->out[1],
        .step = 1,
        .phases = 1,
        .phase_length = shape->out[1] + 2 * reach(shape),
        .left = reach(shape),
        .slots = sfi_min(shape->out[0], rows),
    };
}

static bool ring_bytes(int64_t *bytes, const row_ring *ring)
{
    const int64_t sizes[] = {ring->slots, ring->phases, ring->phase_length, (int64_t)sizeof(float)};
    return sfi_product(bytes, sizes, 4);
}

static int64_t result_bytes(const sfi_depthwise *shape)
{
    return sfi_round64((shape->out[1] + reach(shape)) * (int64_t)sizeof(float));
}

static int64_t tap_bytes(const sfi_depthwise *shape, size_t size)
{
    return sfi_round64(tap_count(shape) * (int64_t)size);
}

static bool worker_bytes(int64_t *bytes, const sfi_depthwise *shape)
{
    const row_ring image = image_ring(shape);
    const row_ring gradient = gradient_ring(shape);
    const int64_t tables = tap_bytes(shape, sizeof(const float *)) +
                           tap_bytes(shape, sizeof(double)) + tap_bytes(shape, sizeof(float));
    int64_t image_bytes;
    int64_t gradient_bytes;
    if (!ring_bytes(&image_bytes, &image) || !ring_bytes(&gradient_bytes, &gradient)) {
        return false;
    }
    return sfi_add(bytes, sfi_round64(sfi_max(image_bytes, gradient_bytes)),
                   tables + result_bytes(shape));
}

bool sfi_depthwise_scratch(int64_t *bytes, const sfconv_context *context,
                           const sfi_depthwise *shape)
{
    int64_t each;
    return worker_bytes(&each, shape) && sfi_mul(bytes, each, sfi_workers(context));
}

static tap_bench bench_of(const depthwise_job *job, int32_t worker)
{
    const sfi_depthwise *shape = job->shape;
    unsigned char *at = job->scratch + worker * job->bytes_per_worker;
    tap_bench bench;
    bench.rows = (const float **)(void *)at;
    at += tap_bytes(shape, sizeof *bench.rows);
    bench.products = (double *)(void *)at;
    at += tap_bytes(shape, sizeof *bench.products);
    bench.weights = (float *)(void *)at;
    at += tap_bytes(shape, sizeof *bench.weights);
    bench.results = (float *)(void *)at;
    at += result_bytes(shape);
    bench.ring = (float *)(void *)at;
    return bench;
}

/* The image rows under each tap of output row y, for the kernel rows *first … *end-1 that lie
 * inside the image. */
static void image_taps(const sfi_depthwise *shape, row_ring *ring, int64_t y, const float **rows,
                       int64_t *first, int64_t *end)
{
    const int64_t top = y * shape->stride[0] - shape->padding[0];
    const int64_t dilation = shape->dilation[0];
    const int64_t below = shape->in[0] - top;
    *first = top < 0 ? sfi_min(shape->kernel[0], sfi_ceil_div(-top, dilation)) : 0;
    *end = below > 0 ? sfi_min(shape->kernel[0], sfi_ceil_div(below, dilation)) : 0;
    *end = sfi_max(*first, *end);
    for (int64_t i = *first; i < *end; i++) {
        const float *row = ring_row(ring, top + i * dilation);
        for (int64_t j = 0; j < shape->kernel[1]; j++) {
            const int64_t column = j * shape->dilation[1];
            *rows++ = row + column % ring->step * ring->phase_length + column / ring->step;
        }
    }
}

static void forward_plane(void *argument, int64_t plane, int32_t worker)
{
    const depthwise_job *job = argument;
    const sfi_depthwise *shape = job->shape;
    const tap_bench bench = bench_of(job, worker);
    const float *weight = job->weight + plane % shape->channels * tap_count(shape);
    float *y = job->to + plane * shape->out[0] * shape->out[1];
    row_ring ring = image_ring(shape);
    ring.rows = bench.ring;
    ring.plane = job->x + plane * shape->in[0] * shape->in[1];
    for (int64_t row = 0; row < shape->out[0]; row++) {
        int64_t first;
        int64_t end;
        image_taps(shape, &ring, row, bench.rows, &first, &end);
        job->kernels->weighted_rows(y + row * shape->out[1], bench.rows,
                                    weight + first * shape->kernel[1],
                                    (end - first) * shape->kernel[1], shape->out[1]);
    }
}

/* The taps through which columns q, q + stride, … of padded input row t have an influence, as rows
 * of the gradient; returns their number. */
static int64_t gradient_taps(const sfi_depthwise *shape, row_ring *ring, const float *weight,
                             int64_t t, int64_t q, const tap_bench *bench)
{
    int64_t count = 0;
    for (int64_t i = 0; i < shape->kernel[0]; i++) {
        const int64_t below = t - i * shape->dilation[0];
        const int64_t row = below / shape->stride[0];
        if (below < 0 || below % shape->stride[0] != 0 || row >= shape->out[0]) {
            continue;
        }
        const float *gradient = ring_row(ring, row) + ring->left;
        for (int64_t j = 0; j < shape->kernel[1]; j++) {
            const int64_t column = j * shape->dilation[1];
            if (column % shape->stride[1] == q) {
                bench->rows[count] = gradient - column / shape->stride[1];
                bench->weights[count++] = weight[i * shape->kernel[1] + j];
            }
        }
    }
    return count;
}

/* Takes results of phase q, `count` of them, to their columns of dx; columns behind them have no
 * influence. */
static void spread_results(const sfi_depthwise *shape, const float *results, int64_t count,
                           int64_t q, bool accumulate, float *dx)
{
    const int64_t stride = shape->stride[1];
    const int64_t before = shape->padding[1] - q;
    const int64_t first = before > 0 ? sfi_ceil_div(before, stride) : 0;
    for (int64_t c = first; c * stride - before < shape->in[1]; c++) {
        const float value = c < count ? results[c] : 0.0f;
        float *to = dx + c * stride - before;
        *to = accumulate ? *to + value : value;
    }
}

static void data_plane(void *argument, int64_t plane, int32_t worker)
{
    const depthwise_job *job = argument;
    const sfi_depthwise *shape = job->shape;
    const tap_bench bench = bench_of(job, worker);
    const float *weight = job->weight + plane % shape->channels * tap_count(shape);
    const int64_t count = shape->out[1] + reach(shape);
    float *dx = job->to + plane * shape->in[0] * shape->in[1];
    row_ring ring = gradient_ring(shape);
    ring.rows = bench.ring;
    ring.plane = job->dy + plane * shape->out[0] * shape->out[1];
    for (int64_t row = 0; row < shape->in[0]; row++) {
        /* Each phase by its first column; those behind the row have none. */
        for (int64_t column = 0; column < sfi_min(shape->stride[1], shape->in[1]); column++) {
            const int64_t q = (column + shape->padding[1]) % shape->stride[1];
            const int64_t taps =
                gradient_taps(shape, &ring, weight, row + shape->padding[0], q, &bench);
            job->kernels->weighted_rows(bench.results, bench.rows, bench.weights, taps, count);
            spread_results(shape, bench.results, count, q, job->accumulate,
                           dx + row * shape->in[1]);
        }
    }
}

static void weight_channel(void *argument, int64_t channel, int32_t worker)
{
    const depthwise_job *job = argument;
    const sfi_depthwise *shape = job->shape;
    const tap_bench bench = bench_of(job, worker);
    memset(bench.products, 0, (size_t)tap_count(shape) * sizeof *bench.products);
    for (int64_t n = 0; n < shape->batch; n++) {
        const int64_t plane = n * shape->channels + channel;
        const float *dy = job->dy + plane * shape->out[0] * shape->out[1];
        row_ring ring = image_ring(shape);
        ring.rows = bench.ring;
        ring.plane = job->x + plane * shape->in[0] * shape->in[1];
        for (int64_t row = 0; row < shape->out[0]; row++) {
            int64_t first;
            int64_t end;
            image_taps(shape, &ring, row, bench.rows, &first, &end);
            job->kernels->row_products(bench.products + first * shape->kernel[1], bench.rows,
                                       dy + row * shape->out[1], (end - first) * shape->kernel[1],
                                       shape->out[1]);
        }
    }
    float *dweight = job->to + channel * tap_count(shape);
    for (int64_t t = 0; t < tap_count(shape); t++) {
        dweight[t] += (float)bench.products[t];
    }
}

static depthwise_job make_job(sfconv_context *context, const sfi_depthwise *shape, float *to,
                              void *scratch)
{
    depthwise_job job = {.shape = shape, .kernels = context->kernels, .to = to, .scratch = scratch};
    /* The query has succeeded for this shape. */
    worker_bytes(&job.bytes_per_worker, shape);
    return job;
}

void sfi_depthwise_forward(sfconv_context *context, const sfi_depthwise *shape, const float *x,
                           const float *weight, float *y, void *scratch)
{
    depthwise_job job = make_job(context, shape, y, scratch);
    job.x = x;
    job.weight = weight;
    sfi_parallel_for(context, shape->batch * shape->channels, forward_plane, &job);
}

void sfi_depthwise_backward_data(sfconv_context *context, const sfi_depthwise *shape,
                                 const float *dy, const float *weight, float *dx, bool accumulate,
                                 void *scratch)
{
    depthwise_job job = make_job(context, shape, dx, scratch);
    job.dy = dy;
    job.weight = weight;
    job.accumulate = accumulate;
    sfi_parallel_for(context, shape->batch * shape->channels, data_plane, &job);
}

void sfi_depthwise_backward_weight(sfconv_context *context, const sfi_depthwise *shape,
                                   const float *x, const float *dy, float *dweight, void *scratch)
{
    depthwise_job job = make_job(context, shape, dweight, scratch);
    job.x = x;
    job.dy = dy;
    sfi_parallel_for(context, shape->channels, weight_channel, &job);
}
