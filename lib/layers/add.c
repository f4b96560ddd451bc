/* SPDX-License-Identifier: BSD-2-Clause */
#include "error.h"
#include "kernels.h"
#include "layer_facts.h"
#include "layer_kinds.h"
#include "parallel.h"
#include "split.h"

#include <string.h>

typedef struct add_job {
    const sfi_pass *pass;
    sfi_split split;
} add_job;

static sfconv_status infer(const sfconv_layer *layer, bool training, const sfi_shape *in,
                           int32_t count, sfi_shape *out)
{
    (void)training;
    for (int32_t i = 1; i < count; i++) {
        if (memcmp(&in[i], &in[0], sizeof in[i]) != 0) {
            return sfi_fail(layer->context, SFCONV_ERROR_SHAPE,
                            "add: expected input %d of the shape of input 0, %lld x %lld x %lld x "
                            "%lld, got %lld x %lld x %lld x %lld",
                            (int)i, (long long)in[0].n, (long long)in[0].c, (long long)in[0].h,
                            (long long)in[0].w, (long long)in[i].n, (long long)in[i].c,
                            (long long)in[i].h, (long long)in[i].w);
        }
    }
    *out = in[0];
    return SFCONV_OK;
}

static void forward_task(void *argument, int64_t index, int32_t worker)
{
    (void)worker;
    const add_job *job = argument;
    const sfi_pass *pass = job->pass;
    const int64_t begin = sfi_split_begin(&job->split, index);
    const int64_t count = sfi_split_end(&job->split, index) - begin;
    float *out = pass->out + begin;
    pass->context->kernels->add(out, pass->in[0] + begin, pass->in[1] + begin, count);
    for (int32_t i = 2; i < pass->input_count; i++) {
        pass->context->kernels->add_to(out, pass->in[i] + begin, count);
    }
}

static void backward_task(void *argument, int64_t index, int32_t worker)
{
    (void)worker;
    const add_job *job = argument;
    const sfi_pass *pass = job->pass;
    const int64_t begin = sfi_split_begin(&job->split, index);
    const int64_t count = sfi_split_end(&job->split, index) - begin;
    const float *grad_out = pass->grad_out + begin;
    for (int32_t i = 0; i < pass->input_count; i++) {
        if (!pass->grad_in[i]) {
            continue;
        }
        float *grad_in = pass->grad_in[i] + begin;
        if (pass->accumulate[i]) {
            pass->context->kernels->add_to(grad_in, grad_out, count);
        } else {
            memcpy(grad_in, grad_out, (size_t)count * sizeof *grad_in);
        }
    }
}

static void forward(sfconv_layer *layer, const sfi_pass *pass)
{
    (void)layer;
    add_job job = {pass, sfi_split_items(sfi_shape_count(pass->out_shape), 1)};
    sfi_parallel_for(pass->context, job.split.tasks, forward_task, &job);
}

static void backward(sfconv_layer *layer, const sfi_pass *pass)
{
    (void)layer;
    add_job job = {pass, sfi_split_items(sfi_shape_count(pass->out_shape), 1)};
    sfi_parallel_for(pass->context, job.split.tasks, backward_task, &job);
}

static const sfi_layer_class kind = {
    .kind = "add",
    .min_inputs = 2,
    .max_inputs = SFI_MAX_INPUTS,
    .bytes = sizeof(sfconv_layer),
    .infer = infer,
    .forward = forward,
    .backward = backward,
};

bool sfi_is_add(const sfconv_layer *layer)
{
    return layer->kind == &kind;
}

sfconv_status sfi_add_new(sfconv_layer **layer, sfconv_context *context)
{
    *layer = sfi_layer_new(context, &kind);
    return *layer ? SFCONV_OK : sfi_fail_memory(context, kind.kind, kind.bytes);
}
