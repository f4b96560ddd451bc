/* SPDX-License-Identifier: BSD-2-Clause */
#include "error.h"
#include "kernels.h"
#include "layer_facts.h"
#include "layer_kinds.h"
#include "parallel.h"
#include "split.h"

#include <string.h>

/* Forward, a task moves some of the output's planes, those that do not lie there already; plane p
 * is channel p % c of image p / c. Backward, it moves planes of one input: the same value may be
 * several inputs, whose gradients then are one memory and add up in the order of the inputs. */
typedef struct concat_job {
    const sfi_pass *pass;
    int64_t plane;
    sfi_split split;
    int32_t input;
    /* Of the output, where the input begins. */
    int64_t first_channel;
} concat_job;

static sfconv_status infer(const sfconv_layer *layer, bool training, const sfi_shape *in,
                           int32_t count, sfi_shape *out)
{
    (void)training;
    sfi_shape joined = in[0];
    for (int32_t i = 1; i < count; i++) {
        if (in[i].n != in[0].n || in[i].h != in[0].h || in[i].w != in[0].w) {
            return sfi_fail(layer->context, SFCONV_ERROR_SHAPE,
                            "concat: expected input %d with the batch and size of input 0, %lld "
                            "and %lld x %lld, got %lld and %lld x %lld",
                            (int)i, (long long)in[0].n, (long long)in[0].h, (long long)in[0].w,
                            (long long)in[i].n, (long long)in[i].h, (long long)in[i].w);
        }
        if (!sfi_add(&joined.c, joined.c, in[i].c)) {
            return sfi_fail(layer->context, SFCONV_ERROR_OVERFLOW,
                            "concat: the sum of the channels overflows");
        }
    }
    int64_t elements;
    const int64_t sizes[] = {joined.n, joined.c, joined.h, joined.w, (int64_t)sizeof(float)};
    if (!sfi_product(&elements, sizes, 5)) {
        return sfi_fail(layer->context, SFCONV_ERROR_OVERFLOW, "concat: the output overflows");
    }
    *out = joined;
    return SFCONV_OK;
}

/* The input that output plane `plane` comes from, and its first element there. */
static int32_t find_input(const concat_job *job, int64_t plane, int64_t *offset)
{
    const sfi_pass *pass = job->pass;
    const int64_t image = plane / pass->out_shape.c;
    int64_t channel = plane % pass->out_shape.c;
    int32_t input = 0;
    while (channel >= pass->in_shape[input].c) {
        channel -= pass->in_shape[input].c;
        input++;
    }
    *offset = (image * pass->in_shape[input].c + channel) * job->plane;
    return input;
}

static void forward_task(void *argument, int64_t index, int32_t worker)
{
    (void)worker;
    const concat_job *job = argument;
    const size_t bytes = (size_t)job->plane * sizeof(float);
    const int64_t end = sfi_split_end(&job->split, index);
    for (int64_t plane = sfi_split_begin(&job->split, index); plane < end; plane++) {
        int64_t offset;
        const int32_t input = find_input(job, plane, &offset);
        const float *from = job->pass->in[input] + offset;
        float *to = job->pass->out + plane * job->plane;
        if (from != to) {
            memcpy(to, from, bytes);
        }
    }
}

static void backward_task(void *argument, int64_t index, int32_t worker)
{
    (void)worker;
    const concat_job *job = argument;
    const sfi_pass *pass = job->pass;
    const int64_t channels = pass->in_shape[job->input].c;
    const int64_t end = sfi_split_end(&job->split, index);
    for (int64_t plane = sfi_split_begin(&job->split, index); plane < end; plane++) {
        const int64_t joined =
            plane / channels * pass->out_shape.c + job->first_channel + plane % channels;
        const float *grad_out = pass->grad_out + joined * job->plane;
        float *grad_in = pass->grad_in[job->input] + plane * job->plane;
        if (pass->accumulate[job->input]) {
            pass->context->kernels->add_to(grad_in, grad_out, job->plane);
        } else {
            memcpy(grad_in, grad_out, (size_t)job->plane * sizeof(float));
        }
    }
}

static void forward(sfconv_layer *layer, const sfi_pass *pass)
{
    (void)layer;
    const sfi_shape out = pass->out_shape;
    concat_job job = {.pass = pass, .plane = out.h * out.w};
    job.split = sfi_split_items(out.n * out.c, job.plane);
    sfi_parallel_for(pass->context, job.split.tasks, forward_task, &job);
}

static void backward(sfconv_layer *layer, const sfi_pass *pass)
{
    (void)layer;
    concat_job job = {.pass = pass, .plane = pass->out_shape.h * pass->out_shape.w};
    for (job.input = 0; job.input < pass->input_count; job.input++) {
        const sfi_shape in = pass->in_shape[job.input];
        job.split = sfi_split_items(in.n * in.c, job.plane);
        if (pass->grad_in[job.input]) {
            sfi_parallel_for(pass->context, job.split.tasks, backward_task, &job);
        }
        job.first_channel += in.c;
    }
}

static const sfi_layer_class kind = {
    .kind = "concat",
    .min_inputs = 2,
    .max_inputs = SFI_MAX_INPUTS,
    .bytes = sizeof(sfconv_layer),
    .infer = infer,
    .forward = forward,
    .backward = backward,
};

bool sfi_is_concat(const sfconv_layer *layer)
{
    return layer->kind == &kind;
}

sfconv_status sfi_concat_new(sfconv_layer **layer, sfconv_context *context)
{
    *layer = sfi_layer_new(context, &kind);
    return *layer ? SFCONV_OK : sfi_fail_memory(context, kind.kind, kind.bytes);
}
