/* SPDX-License-Identifier: BSD-2-Clause */
#include "error.h"
#include "kernels.h"
#include "layer_facts.h"
#include "layer_kinds.h"
#include "parallel.h"
#include "sizes.h"
#include "split.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Position k·factor + r of an up-sampled axis lies at k + offset of the input, -1 < offset < 1, for
 * either alignment: it is interpolated between k and the neighbour on the side of the offset. Where
 * that neighbour lies outside the offset is set to 0, which repeats the edge. */
typedef struct upsample2d {
    sfconv_layer layer;
    int32_t which;
    int64_t factor[2];
} upsample2d;

typedef struct upsample_job {
    const upsample2d *layer;
    const sfi_pass *pass;
    sfi_shape in;
    sfi_shape out;
    sfi_split split;
    /* Bilinear only: horizontal offsets, [factor][in.w + 2] with a zero at either end, and each
     * worker's rows behind them. */
    float *offsets;
    float *rows;
    int64_t rows_per_worker;
} upsample_job;

static bool is_bilinear(const upsample2d *self)
{
    return self->which != SFCONV_UPSAMPLE_NEAREST;
}

static sfconv_status infer(const sfconv_layer *layer, bool training, const sfi_shape *in,
                           int32_t count, sfi_shape *out)
{
    (void)training, (void)count;
    const upsample2d *self = (const upsample2d *)layer;
    const int64_t sizes[] = {
        in->n, in->c, in->h, in->w, self->factor[0], self->factor[1], (int64_t)sizeof(float)};
    int64_t bytes;
    if (!sfi_product(&bytes, sizes, 7)) {
        return sfi_fail(layer->context, SFCONV_ERROR_OVERFLOW,
                        "upsample2d: %lld x %lld times %lld x %lld overflows", (long long)in->h,
                        (long long)in->w, (long long)self->factor[0], (long long)self->factor[1]);
    }
    *out = (sfi_shape){in->n, in->c, in->h * self->factor[0], in->w * self->factor[1]};
    return SFCONV_OK;
}

static double spacing(const sfconv_layer *layer, int axis)
{
    return 1.0 / (double)((const upsample2d *)layer)->factor[axis];
}

static int64_t offset_count(const upsample2d *self, sfi_shape in)
{
    return sfi_round64((in.w + 2) * self->factor[1] * (int64_t)sizeof(float)) /
           (int64_t)sizeof(float);
}

/* Forward: an input row with a neighbour at either end and three widened rows. */
static int64_t forward_row_count(const upsample2d *self, sfi_shape in)
{
    return in.w + 2 + 3 * in.w * self->factor[1];
}

/* Backward: an output row with `factor` zeros at either end. */
static int64_t backward_row_count(const upsample2d *self, sfi_shape in)
{
    return (in.w + 2) * self->factor[1];
}

static bool scratch_bytes(int64_t *bytes, const upsample2d *self, sfi_shape in, int64_t row_count)
{
    int64_t rows;
    return sfi_mul(&rows, row_count, sfi_workers(self->layer.context)) &&
           sfi_add(&rows, rows, offset_count(self, in)) &&
           sfi_mul(bytes, rows, (int64_t)sizeof(float));
}

static sfconv_status memory(const sfconv_layer *layer, bool training, const sfi_shape *in,
                            int32_t count, sfi_shape out, sfi_layer_memory *memory)
{
    (void)count, (void)out;
    const upsample2d *self = (const upsample2d *)layer;
    if (!is_bilinear(self)) {
        return SFCONV_OK;
    }
    int64_t forward_bytes;
    int64_t backward_bytes;
    if (!scratch_bytes(&forward_bytes, self, *in, forward_row_count(self, *in)) ||
        !scratch_bytes(&backward_bytes, self, *in, backward_row_count(self, *in))) {
        return sfi_fail(layer->context, SFCONV_ERROR_OVERFLOW, "upsample2d: its scratch overflows");
    }
    memory->scratch_forward = forward_bytes;
    memory->scratch_backward = training ? backward_bytes : 0;
    return SFCONV_OK;
}

float sfi_upsample2d_offset(int32_t which, int64_t factor, sfi_span in, int64_t k, int64_t r)
{
    double offset = ((double)r + 0.5) / (double)factor - 0.5;
    if (which == SFCONV_UPSAMPLE_BILINEAR_ALIGNED) {
        /* With K the position in the whole: (K·factor + r) · (whole - 1) / (whole·factor - 1) - K
         * without cancellation. */
        const double last = (double)in.whole * (double)factor - 1.0;
        const double ahead =
            (double)r * (double)(in.whole - 1) - (double)(in.start + k) * ((double)factor - 1.0);
        offset = last > 0.0 ? ahead / last : 0.0;
    }
    const bool outside = (k == 0 && offset < 0.0) || (k == in.size - 1 && offset > 0.0);
    return outside ? 0.0f : (float)offset;
}

int64_t sfi_upsample2d_terms(int32_t which, int64_t factor, sfi_span in, int64_t k,
                             int64_t *positions, float *weights)
{
    int64_t count = 0;
    if (which == SFCONV_UPSAMPLE_NEAREST) {
        for (; count < factor; count++) {
            positions[count] = k * factor + count;
            weights[count] = 1.0f;
        }
        return count;
    }
    for (int64_t base = sfi_max(0, k - 1); base < sfi_min(in.size, k + 2); base++) {
        for (int64_t r = 0; r < factor; r++) {
            const float offset = sfi_upsample2d_offset(which, factor, in, base, r);
            const float toward = (float)(k - base) * offset;
            const float weight = base == k ? 1.0f - fabsf(offset) : toward;
            if (weight > 0.0f) {
                positions[count] = base * factor + r;
                weights[count++] = weight;
            }
        }
    }
    return count;
}

static float offset_at(const upsample_job *job, int axis, int64_t k, int64_t r)
{
    return sfi_upsample2d_offset(job->layer->which, job->layer->factor[axis],
                                 job->pass->in_span[axis], k, r);
}

static void fill_offsets(const upsample_job *job)
{
    for (int64_t r = 0; r < job->layer->factor[1]; r++) {
        float *offsets = job->offsets + r * (job->in.w + 2);
        offsets[0] = 0.0f;
        offsets[job->in.w + 1] = 0.0f;
        for (int64_t k = 0; k < job->in.w; k++) {
            offsets[k + 1] = offset_at(job, 1, k, r);
        }
    }
}

static void nearest_plane(const upsample_job *job, const float *in, float *out)
{
    const int64_t width = job->out.w;
    for (int64_t y = 0; y < job->in.h; y++) {
        float *row = out + y * job->layer->factor[0] * width;
        job->pass->context->kernels->repeat_row(row, in + y * job->in.w, job->layer->factor[1],
                                                job->in.w);
        for (int64_t r = 1; r < job->layer->factor[0]; r++) {
            memcpy(row + r * width, row, (size_t)width * sizeof *row);
        }
    }
}

static void nearest_plane_gradient(const upsample_job *job, const float *grad_out, float *grad_in)
{
    const int64_t rows = job->layer->factor[0];
    for (int64_t y = 0; y < job->in.h; y++) {
        job->pass->context->kernels->repeat_row_gradient(
            grad_in + y * job->in.w, grad_out + y * rows * job->out.w, job->out.w, rows,
            job->layer->factor[1], job->pass->accumulate[0], job->in.w);
    }
}

/* Row `y` of the plane, widened, into its place among the three. */
static void widen_row(const upsample_job *job, const float *in, int64_t y, float *rows)
{
    const int64_t width = job->in.w;
    float *padded = rows;
    float *wide = rows + width + 2 + y % 3 * job->out.w;
    memcpy(padded + 1, in + y * width, (size_t)width * sizeof *padded);
    padded[0] = padded[1];
    padded[width + 1] = padded[width];
    job->pass->context->kernels->interpolate_row(wide, padded + 1, job->offsets + 1, width + 2,
                                                 job->layer->factor[1], width);
}

static void bilinear_plane(const upsample_job *job, const float *in, float *out, float *rows)
{
    const int64_t factor = job->layer->factor[0];
    const float *wide = rows + job->in.w + 2;
    widen_row(job, in, 0, rows);
    for (int64_t k = 0; k < job->in.h; k++) {
        if (k + 1 < job->in.h) {
            widen_row(job, in, k + 1, rows);
        }
        for (int64_t r = 0; r < factor; r++) {
            const float offset = offset_at(job, 0, k, r);
            const int64_t other = offset < 0.0f ? k - 1 : offset > 0.0f ? k + 1 : k;
            job->pass->context->kernels->blend_rows(
                out + (k * factor + r) * job->out.w, wide + k % 3 * job->out.w,
                wide + other % 3 * job->out.w, fabsf(offset), false, job->out.w);
        }
    }
}

static void bilinear_plane_gradient(const upsample_job *job, const float *grad_out, float *grad_in,
                                    float *row)
{
    const sfk_table *kernels = job->pass->context->kernels;
    const int64_t factor = job->layer->factor[1];
    const float *rows[SFI_UPSAMPLE_TERMS];
    float weights[SFI_UPSAMPLE_TERMS];
    int64_t positions[SFI_UPSAMPLE_TERMS];
    memset(row, 0, (size_t)factor * sizeof *row);
    memset(row + factor + job->out.w, 0, (size_t)factor * sizeof *row);
    for (int64_t k = 0; k < job->in.h; k++) {
        const int64_t count = sfi_upsample2d_terms(job->layer->which, job->layer->factor[0],
                                                   job->pass->in_span[0], k, positions, weights);
        for (int64_t i = 0; i < count; i++) {
            rows[i] = grad_out + positions[i] * job->out.w;
        }
        kernels->weighted_rows(row + factor, rows, weights, count, job->out.w);
        kernels->interpolate_row_gradient(grad_in + k * job->in.w, row + factor, job->offsets + 1,
                                          job->in.w + 2, factor, job->pass->accumulate[0],
                                          job->in.w);
    }
}

static void forward_task(void *argument, int64_t index, int32_t worker)
{
    const upsample_job *job = argument;
    const int64_t end = sfi_split_end(&job->split, index);
    for (int64_t plane = sfi_split_begin(&job->split, index); plane < end; plane++) {
        const float *in = job->pass->in[0] + plane * job->in.h * job->in.w;
        float *out = job->pass->out + plane * job->out.h * job->out.w;
        if (is_bilinear(job->layer)) {
            bilinear_plane(job, in, out, job->rows + worker * job->rows_per_worker);
        } else {
            nearest_plane(job, in, out);
        }
    }
}

static void backward_task(void *argument, int64_t index, int32_t worker)
{
    const upsample_job *job = argument;
    const int64_t end = sfi_split_end(&job->split, index);
    for (int64_t plane = sfi_split_begin(&job->split, index); plane < end; plane++) {
        const float *grad_out = job->pass->grad_out + plane * job->out.h * job->out.w;
        float *grad_in = job->pass->grad_in[0] + plane * job->in.h * job->in.w;
        if (is_bilinear(job->layer)) {
            bilinear_plane_gradient(job, grad_out, grad_in,
                                    job->rows + worker * job->rows_per_worker);
        } else {
            nearest_plane_gradient(job, grad_out, grad_in);
        }
    }
}

static upsample_job make_job(const sfconv_layer *layer, const sfi_pass *pass)
{
    const upsample2d *self = (const upsample2d *)layer;
    upsample_job job = {.layer = self, .pass = pass, .in = *pass->in_shape, .out = pass->out_shape};
    job.split = sfi_split_items(job.in.n * job.in.c, job.out.h * job.out.w);
    if (is_bilinear(self)) {
        job.offsets = pass->scratch;
        job.rows = job.offsets + offset_count(self, job.in);
        fill_offsets(&job);
    }
    return job;
}

static void forward(sfconv_layer *layer, const sfi_pass *pass)
{
    upsample_job job = make_job(layer, pass);
    job.rows_per_worker = forward_row_count(job.layer, job.in);
    sfi_parallel_for(pass->context, job.split.tasks, forward_task, &job);
}

static void backward(sfconv_layer *layer, const sfi_pass *pass)
{
    if (!pass->grad_in[0]) {
        return;
    }
    upsample_job job = make_job(layer, pass);
    job.rows_per_worker = backward_row_count(job.layer, job.in);
    sfi_parallel_for(pass->context, job.split.tasks, backward_task, &job);
}

static const sfi_layer_class kind = {
    .kind = "upsample2d",
    .min_inputs = 1,
    .max_inputs = 1,
    .bytes = sizeof(upsample2d),
    .infer = infer,
    .spacing = spacing,
    .memory = memory,
    .forward = forward,
    .backward = backward,
};

bool sfi_upsample2d_facts(const sfconv_layer *layer, int32_t *which, int64_t factor[2])
{
    const upsample2d *self = (const upsample2d *)layer;
    if (layer->kind != &kind) {
        return false;
    }
    *which = self->which;
    factor[0] = self->factor[0];
    factor[1] = self->factor[1];
    return true;
}

sfconv_status sfi_upsample2d_new(sfconv_layer **layer, sfconv_context *context, int32_t which,
                                 const int64_t factor[2])
{
    assert(factor[0] <= SFI_UPSAMPLE_FACTOR && factor[1] <= SFI_UPSAMPLE_FACTOR);
    *layer = sfi_layer_new(context, &kind);
    if (!*layer) {
        return sfi_fail_memory(context, kind.kind, kind.bytes);
    }
    upsample2d *self = (upsample2d *)*layer;
    self->which = which;
    self->factor[0] = factor[0];
    self->factor[1] = factor[1];
    return SFCONV_OK;
}
