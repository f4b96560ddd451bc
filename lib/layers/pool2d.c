/* SPDX-License-Identifier: BSD-2-Clause */
#include "error.h"
#include "kernels.h"
#include "layer_facts.h"
#include "layer_kinds.h"
#include "parallel.h"
#include "split.h"

#include <string.h>

typedef struct pool2d {
    sfconv_layer layer;
    int32_t which;
    int64_t kernel[2];
    int64_t stride[2];
    int64_t padding[2];
} pool2d;

/* A task takes some of the planes. */
typedef struct pool_job {
    const pool2d *layer;
    const sfi_pass *pass;
    int64_t in_plane;
    int64_t out_plane;
    sfi_split split;
} pool_job;

static sfconv_status infer(const sfconv_layer *layer, bool training, const sfi_shape *in,
                           int32_t count, sfi_shape *out)
{
    (void)training, (void)count;
    static const char *const axes[2] = {"height", "width"};
    const pool2d *self = (const pool2d *)layer;
    const int64_t size[2] = {in->h, in->w};
    int64_t pooled[2] = {1, 1};
    for (int axis = 0; axis < 2 && self->which != SFCONV_POOL_GLOBAL_AVERAGE; axis++) {
        pooled[axis] = sfi_window_size(size[axis], self->kernel[axis], self->stride[axis],
                                       self->padding[axis], 1);
        if (pooled[axis] < 1) {
            return sfi_fail(layer->context, SFCONV_ERROR_SHAPE,
                            "pool2d: expected a %s of at least %lld, got %lld", axes[axis],
                            (long long)(self->kernel[axis] - 2 * self->padding[axis]),
                            (long long)size[axis]);
        }
    }
    *out = (sfi_shape){in->n, in->c, pooled[0], pooled[1]};
    return SFCONV_OK;
}

static double spacing(const sfconv_layer *layer, int axis)
{
    const pool2d *self = (const pool2d *)layer;
    return self->which == SFCONV_POOL_GLOBAL_AVERAGE ? 1 : (double)self->stride[axis];
}

/* Numbers of cells need more than a byte. */
static bool is_wide(const pool2d *self)
{
    return self->kernel[0] > 256 || self->kernel[1] > 256 / self->kernel[0];
}

static int64_t cell_bytes(const pool2d *self)
{
    return is_wide(self) ? (int64_t)sizeof(int32_t) : 1;
}

/* Max pooling keeps which cell of each window won, mostly a byte a window: less than a quarter of
 * the input that it would have to search again. */
static sfconv_status memory(const sfconv_layer *layer, bool training, const sfi_shape *in,
                            int32_t count, sfi_shape out, sfi_layer_memory *memory)
{
    (void)in, (void)count;
    const pool2d *self = (const pool2d *)layer;
    if (training && self->which == SFCONV_POOL_MAX) {
        memory->tape = sfi_shape_count(out) * cell_bytes(self);
    }
    return SFCONV_OK;
}

int64_t sfi_pool2d_first_row(const sfconv_layer *layer, int64_t row)
{
    const pool2d *self = (const pool2d *)layer;
    return sfi_max(0, row * self->stride[0] - self->padding[0]);
}

sfk_window sfi_pool2d_window(const sfconv_layer *layer, sfi_shape in, sfi_shape out, int64_t row)
{
    const pool2d *self = (const pool2d *)layer;
    const int64_t top = row * self->stride[0] - self->padding[0];
    return (sfk_window){
        .width = in.w,
        .first_row = sfi_max(0, -top),
        .end_row = sfi_min(self->kernel[0], in.h - top),
        .kernel_width = self->kernel[1],
        .stride = self->stride[1],
        .padding = self->padding[1],
        .columns = out.w,
    };
}

static sfk_window window_of(const pool_job *job, int64_t y)
{
    const sfi_pass *pass = job->pass;
    return sfi_pool2d_window(&job->layer->layer, pass->in_shape[0], pass->out_shape, y);
}

static int64_t first_row(const pool_job *job, int64_t y)
{
    return sfi_pool2d_first_row(&job->layer->layer, y);
}

static void *cells_of(const pool_job *job, int64_t plane, int64_t y)
{
    const int64_t first = plane * job->out_plane + y * job->pass->out_shape.w;
    return (unsigned char *)job->pass->tape + first * cell_bytes(job->layer);
}

static void forward_plane(const pool_job *job, int64_t plane)
{
    const sfi_pass *pass = job->pass;
    const sfk_table *kernels = pass->context->kernels;
    const float *in = pass->in[0] + plane * job->in_plane;
    float *out = pass->out + plane * job->out_plane;
    if (job->layer->which == SFCONV_POOL_GLOBAL_AVERAGE) {
        double sum = 0.0;
        kernels->plane_sum(&sum, in, job->in_plane);
        *out = (float)(sum / (double)job->in_plane);
        return;
    }
    for (int64_t y = 0; y < pass->out_shape.h; y++) {
        sfk_window window = window_of(job, y);
        window.in = in + first_row(job, y) * window.width;
        if (job->layer->which == SFCONV_POOL_AVERAGE) {
            kernels->average_row(out + y * window.columns, &window);
        } else {
            void *cells = pass->training ? cells_of(job, plane, y) : NULL;
            kernels->max_row(out + y * window.columns, cells, is_wide(job->layer), &window);
        }
    }
}

static void spread_global(const pool_job *job, float *grad_in, float grad_out, bool accumulate)
{
    const float share = (float)((double)grad_out / (double)job->in_plane);
    for (int64_t i = 0; i < job->in_plane; i++) {
        grad_in[i] = accumulate ? grad_in[i] + share : share;
    }
}

static void backward_plane(const pool_job *job, int64_t plane)
{
    const sfi_pass *pass = job->pass;
    const sfk_table *kernels = pass->context->kernels;
    const float *grad_out = pass->grad_out + plane * job->out_plane;
    float *grad_in = pass->grad_in[0] + plane * job->in_plane;
    if (job->layer->which == SFCONV_POOL_GLOBAL_AVERAGE) {
        spread_global(job, grad_in, *grad_out, pass->accumulate[0]);
        return;
    }
    if (!pass->accumulate[0]) {
        memset(grad_in, 0, (size_t)job->in_plane * sizeof *grad_in);
    }
    for (int64_t y = 0; y < pass->out_shape.h; y++) {
        const sfk_window window = window_of(job, y);
        float *rows = grad_in + first_row(job, y) * window.width;
        const float *from = grad_out + y * window.columns;
        if (job->layer->which == SFCONV_POOL_AVERAGE) {
            kernels->average_row_gradient(rows, from, &window);
        } else {
            kernels->max_row_gradient(rows, from, cells_of(job, plane, y), is_wide(job->layer),
                                      &window);
        }
    }
}

static void forward_task(void *argument, int64_t index, int32_t worker)
{
    (void)worker;
    const pool_job *job = argument;
    const int64_t end = sfi_split_end(&job->split, index);
    for (int64_t plane = sfi_split_begin(&job->split, index); plane < end; plane++) {
        forward_plane(job, plane);
    }
}

static void backward_task(void *argument, int64_t index, int32_t worker)
{
    (void)worker;
    const pool_job *job = argument;
    const int64_t end = sfi_split_end(&job->split, index);
    for (int64_t plane = sfi_split_begin(&job->split, index); plane < end; plane++) {
        backward_plane(job, plane);
    }
}

static pool_job make_job(const sfconv_layer *layer, const sfi_pass *pass)
{
    const sfi_shape in = pass->in_shape[0];
    const int64_t in_plane = in.h * in.w;
    return (pool_job){(const pool2d *)layer, pass, in_plane, pass->out_shape.h * pass->out_shape.w,
                      sfi_split_items(in.n * in.c, in_plane)};
}

static void forward(sfconv_layer *layer, const sfi_pass *pass)
{
    pool_job job = make_job(layer, pass);
    sfi_parallel_for(pass->context, job.split.tasks, forward_task, &job);
}

static void backward(sfconv_layer *layer, const sfi_pass *pass)
{
    pool_job job = make_job(layer, pass);
    if (pass->grad_in[0]) {
        sfi_parallel_for(pass->context, job.split.tasks, backward_task, &job);
    }
}

static const sfi_layer_class kind = {
    .kind = "pool2d",
    .min_inputs = 1,
    .max_inputs = 1,
    .bytes = sizeof(pool2d),
    .infer = infer,
    .spacing = spacing,
    .memory = memory,
    .forward = forward,
    .backward = backward,
};

/* Both axes alike, and a stride of 2. */
static bool halves_by_maximum(const sfconv_layer *layer, int64_t size, int64_t padding)
{
    const pool2d *self = (const pool2d *)layer;
    return layer->kind == &kind && self->which == SFCONV_POOL_MAX && self->kernel[0] == size &&
           self->kernel[1] == size && self->stride[0] == 2 && self->stride[1] == 2 &&
           self->padding[0] == padding && self->padding[1] == padding;
}

static bool pools_by(const sfconv_layer *layer, int32_t which)
{
    return layer->kind == &kind && ((const pool2d *)layer)->which == which;
}

bool sfi_is_average_pool(const sfconv_layer *layer)
{
    return pools_by(layer, SFCONV_POOL_AVERAGE);
}

bool sfi_is_global_average(const sfconv_layer *layer)
{
    return pools_by(layer, SFCONV_POOL_GLOBAL_AVERAGE);
}

bool sfi_is_max_pool_2x2(const sfconv_layer *layer)
{
    return halves_by_maximum(layer, 2, 0);
}

bool sfi_is_max_pool_of_stem(const sfconv_layer *layer)
{
    return halves_by_maximum(layer, 3, 1);
}

sfconv_status sfi_pool2d_new(sfconv_layer **layer, sfconv_context *context,
                             const sfconv_pool2d_desc *desc)
{
    *layer = sfi_layer_new(context, &kind);
    if (!*layer) {
        return sfi_fail_memory(context, kind.kind, kind.bytes);
    }
    pool2d *self = (pool2d *)*layer;
    self->which = desc->kind;
    memcpy(self->kernel, desc->kernel, sizeof self->kernel);
    memcpy(self->stride, desc->stride, sizeof self->stride);
    memcpy(self->padding, desc->padding, sizeof self->padding);
    return SFCONV_OK;
}
