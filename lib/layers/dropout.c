/* SPDX-License-Identifier: BSD-2-Clause */
#include "error.h"
#include "kernels.h"
#include "layer_kinds.h"
#include "parallel.h"
#include "split.h"

#include <math.h>

typedef struct dropout {
    sfconv_layer layer;
    double probability;
} dropout;

/* out = mask(in), or out += mask(in). */
typedef struct dropout_job {
    const dropout *layer;
    const sfi_pass *pass;
    const float *in;
    float *out;
    bool accumulate;
    sfi_split split;
} dropout_job;

/* The mask is its own transpose, and a function of the element's number: backward draws it again
 * instead of keeping it. */
static void mask_task(void *argument, int64_t index, int32_t worker)
{
    (void)worker;
    const dropout_job *job = argument;
    const int64_t begin = sfi_split_begin(&job->split, index);
    const int64_t count = sfi_split_end(&job->split, index) - begin;
    const double probability = job->layer->probability;
    const sfk_mask mask = {
        .seed = job->pass->seed,
        .stream = job->pass->random_stream,
        .first = job->pass->step * (uint64_t)job->split.items + (uint64_t)begin,
        .threshold = (int64_t)ceil(probability * 0x1p53),
        .scale = (float)(1.0 / (1.0 - probability)),
    };
    job->pass->context->kernels->dropout(job->out + begin, job->in + begin, &mask, job->accumulate,
                                         count);
}

static void forward(sfconv_layer *layer, const sfi_pass *pass)
{
    const int64_t count = sfi_shape_count(pass->out_shape);
    dropout_job job = {(const dropout *)layer,   pass, pass->in[0], pass->out, false,
                       sfi_split_items(count, 1)};
    sfi_parallel_for(pass->context, job.split.tasks, mask_task, &job);
}

static void backward(sfconv_layer *layer, const sfi_pass *pass)
{
    const int64_t count = sfi_shape_count(pass->out_shape);
    dropout_job job = {(const dropout *)layer, pass,
                       pass->grad_out,         pass->grad_in[0],
                       pass->accumulate[0],    sfi_split_items(count, 1)};
    if (pass->grad_in[0]) {
        sfi_parallel_for(pass->context, job.split.tasks, mask_task, &job);
    }
}

static const sfi_layer_class kind = {
    .kind = "dropout",
    .min_inputs = 1,
    .max_inputs = 1,
    .bytes = sizeof(dropout),
    .infer = sfi_infer_unchanged,
    .forward = forward,
    .passes_in_inference = true,
    .backward = backward,
};

sfconv_status sfi_dropout_new(sfconv_layer **layer, sfconv_context *context, double probability)
{
    *layer = sfi_layer_new(context, &kind);
    if (!*layer) {
        return sfi_fail_memory(context, kind.kind, kind.bytes);
    }
    ((dropout *)*layer)->probability = probability;
    return SFCONV_OK;
}
