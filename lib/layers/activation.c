/* SPDX-License-Identifier: BSD-2-Clause */
#include "error.h"
#include "kernels.h"
#include "layer_facts.h"
#include "layer_kinds.h"
#include "parallel.h"
#include "split.h"

typedef struct activation {
    sfconv_layer layer;
    int32_t activation;
    float slope;
} activation;

typedef struct activation_job {
    const activation *layer;
    const sfi_pass *pass;
    sfi_split split;
} activation_job;

/* The slope of all but SiLU follows from the output. */
static sfconv_status memory(const sfconv_layer *layer, bool training, const sfi_shape *in,
                            int32_t count, sfi_shape out, sfi_layer_memory *memory)
{
    (void)in, (void)count, (void)out;
    const bool silu = ((const activation *)layer)->activation == SFCONV_ACTIVATION_SILU;
    memory->keeps_inputs = training && silu;
    memory->keeps_output = training && !silu;
    return SFCONV_OK;
}

static void forward_task(void *argument, int64_t index, int32_t worker)
{
    (void)worker;
    const activation_job *job = argument;
    const sfk_table *kernels = job->pass->context->kernels;
    const int64_t begin = sfi_split_begin(&job->split, index);
    const int64_t count = sfi_split_end(&job->split, index) - begin;
    const float *in = job->pass->in[0] + begin;
    float *out = job->pass->out + begin;
    switch (job->layer->activation) {
    case SFCONV_ACTIVATION_RELU:
        kernels->relu(out, in, count);
        break;
    case SFCONV_ACTIVATION_LEAKY_RELU:
        kernels->leaky_relu(out, in, job->layer->slope, count);
        break;
    case SFCONV_ACTIVATION_SILU:
        kernels->silu(out, in, count);
        break;
    default:
        kernels->sigmoid(out, in, count);
    }
}

static void backward_task(void *argument, int64_t index, int32_t worker)
{
    (void)worker;
    const activation_job *job = argument;
    const sfi_pass *pass = job->pass;
    const sfk_table *kernels = pass->context->kernels;
    const bool accumulate = pass->accumulate[0];
    const int64_t begin = sfi_split_begin(&job->split, index);
    const int64_t count = sfi_split_end(&job->split, index) - begin;
    const float *grad_out = pass->grad_out + begin;
    float *grad_in = pass->grad_in[0] + begin;
    switch (job->layer->activation) {
    case SFCONV_ACTIVATION_SILU:
        kernels->silu_gradient(grad_in, pass->in[0] + begin, grad_out, accumulate, count);
        break;
    case SFCONV_ACTIVATION_SIGMOID:
        kernels->sigmoid_gradient(grad_in, pass->out + begin, grad_out, accumulate, count);
        break;
    default:
        kernels->leaky_relu_gradient(grad_in, pass->out + begin, grad_out, job->layer->slope,
                                     accumulate, count);
    }
}

static void forward(sfconv_layer *layer, const sfi_pass *pass)
{
    activation_job job = {(const activation *)layer, pass,
                          sfi_split_items(sfi_shape_count(pass->out_shape), 1)};
    sfi_parallel_for(pass->context, job.split.tasks, forward_task, &job);
}

static void backward(sfconv_layer *layer, const sfi_pass *pass)
{
    activation_job job = {(const activation *)layer, pass,
                          sfi_split_items(sfi_shape_count(pass->out_shape), 1)};
    if (pass->grad_in[0]) {
        sfi_parallel_for(pass->context, job.split.tasks, backward_task, &job);
    }
}

static const sfi_layer_class kind = {
    .kind = "activation",
    .min_inputs = 1,
    .max_inputs = 1,
    .bytes = sizeof(activation),
    .infer = sfi_infer_unchanged,
    .memory = memory,
    .forward = forward,
    .backward = backward,
};

bool sfi_activation_facts(const sfconv_layer *layer, int32_t *which, float *slope)
{
    if (layer->kind != &kind) {
        return false;
    }
    *which = ((const activation *)layer)->activation;
    *slope = ((const activation *)layer)->slope;
    return true;
}

sfconv_status sfi_activation_new(sfconv_layer **layer, sfconv_context *context, int32_t which,
                                 double slope)
{
    *layer = sfi_layer_new(context, &kind);
    if (!*layer) {
        return sfi_fail_memory(context, kind.kind, kind.bytes);
    }
    activation *self = (activation *)*layer;
    self->activation = which;
    /* ReLU is the slope 0 to its gradient. */
    self->slope = which == SFCONV_ACTIVATION_LEAKY_RELU ? (float)slope : 0.0f;
    return SFCONV_OK;
}
