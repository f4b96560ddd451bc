/* SPDX-License-Identifier: BSD-2-Clause */
#include "run.h"

#include "error.h"
#include "memory.h"
#include "random.h"
#include "rank_finish.h"
#include "rank_training.h"
#include "sizes.h"

#include <string.h>

sfconv_status sfi_run_new(sfconv_run **out, sfconv_net *net, int32_t mode)
{
    sfconv_context *context = net->context;
    sfconv_run *run = sfi_calloc(context, 1, sizeof *run);
    *out = NULL;
    if (!run) {
        return sfi_fail_memory(context, "run", sizeof *run);
    }
    run->magic = SFI_RUN_MAGIC;
    run->context = sfi_context_retain(context);
    run->net = sfi_net_retain(net);
    run->training = mode == SFCONV_MODE_TRAINING;
    run->engine = SFCONV_ENGINE_RANK_SPACE;
    atomic_fetch_add(&net->runs, 1);
    run->gradients = sfi_calloc(context, (size_t)net->parameter_count + 1, sizeof(float *));
    if (!run->gradients || !sfi_plan_create(&run->plan, net) || !sfi_plan_create(&run->next, net)) {
        sfi_run_release(run);
        return sfi_fail_memory(context, "run: plan", (size_t)net->node_count * sizeof(sfi_step));
    }
    *out = run;
    return SFCONV_OK;
}

void sfi_run_release(sfconv_run *run)
{
    if (!run) {
        return;
    }
    sfconv_context *context = run->context;
    sfconv_net *net = run->net;
    sfi_run_thaw(run);
    if (run->owned_bytes) {
        sfi_free(context, run->memory, run->owned_bytes);
    }
    sfi_plan_destroy(&run->plan, net);
    sfi_plan_destroy(&run->next, net);
    sfi_free(context, run->gradients, ((size_t)net->parameter_count + 1) * sizeof(float *));
    run->magic = 0;
    sfi_free(context, run, sizeof *run);
    atomic_fetch_sub(&net->runs, 1);
    sfi_net_release(net);
    sfi_context_release(context);
}

static void *at(const sfconv_run *run, int64_t offset)
{
    return offset == SFI_NO_BUFFER ? NULL : run->memory + offset;
}

float *sfi_run_value(const sfconv_run *run, int32_t node)
{
    return at(run, run->plan.steps[run->plan.steps[node].holder].value);
}

float *sfi_run_gradient(const sfconv_run *run, int32_t node)
{
    return at(run, run->plan.steps[node].gradient);
}

static sfi_plan_mode mode_of(const sfconv_run *run)
{
    return (sfi_plan_mode){run->training, run->want_input_gradients,
                           run->engine == SFCONV_ENGINE_RANK_SPACE};
}

sfconv_status sfi_run_bytes(const sfconv_run *run, const sfconv_shape *inputs, int32_t count,
                            int64_t *bytes)
{
    sfi_plan plan;
    if (!sfi_plan_create(&plan, run->net)) {
        return sfi_fail_memory(run->context, "run: plan",
                               (size_t)run->net->node_count * sizeof(sfi_step));
    }
    const sfconv_status status = sfi_plan_make(&plan, run->net, mode_of(run), inputs, count);
    if (status >= 0) {
        *bytes = plan.bytes;
    }
    sfi_plan_destroy(&plan, run->net);
    return status;
}

sfconv_status sfi_run_reshape(sfconv_run *run, const sfconv_shape *inputs, int32_t count,
                              void *memory, int64_t bytes)
{
    sfi_plan *next = &run->next;
    void *owned = NULL;
    const sfconv_status status = sfi_plan_make(next, run->net, mode_of(run), inputs, count);
    if (status < 0) {
        return status;
    }
    if (memory && bytes < next->bytes) {
        return sfi_fail(run->context, SFCONV_ERROR_ARGUMENT,
                        "run: lent memory has %lld bytes, expected %lld", (long long)bytes,
                        (long long)next->bytes);
    }
    if (!memory) {
        owned = sfi_alloc(run->context, (size_t)next->bytes);
        if (!owned) {
            return sfi_fail_memory(run->context, "run", (size_t)next->bytes);
        }
    }
    sfi_run_thaw(run);
    if (run->owned_bytes) {
        sfi_free(run->context, run->memory, run->owned_bytes);
    }
    const sfi_plan former = run->plan;
    run->plan = *next;
    run->next = former;
    run->memory = memory ? memory : owned;
    run->owned_bytes = memory ? 0 : (size_t)run->plan.bytes;
    run->shaped = true;
    run->taped = false;
    run->window = (sfi_image_part){0};
    for (int32_t i = 0; i < run->net->parameter_count; i++) {
        run->gradients[i] = at(run, run->plan.parameter_gradients[i]);
    }
    sfi_run_zero_gradients(run);
    return SFCONV_OK;
}

void sfi_run_zero_gradients(sfconv_run *run)
{
    memset(run->memory + run->plan.gradients_offset, 0, (size_t)run->plan.gradients_bytes);
}

typedef struct node_pass {
    sfi_pass pass;
    sfi_shape in_shape[SFI_MAX_INPUTS];
    const float *in[SFI_MAX_INPUTS];
    float *grad_in[SFI_MAX_INPUTS];
    bool accumulate[SFI_MAX_INPUTS];
    sfi_finish finish;
} node_pass;

static void fill_pass(const sfconv_run *run, int32_t index, node_pass *filled)
{
    const sfi_node *node = &run->net->nodes[index];
    const sfi_step *step = &run->plan.steps[index];
    for (int32_t i = 0; i < node->input_count; i++) {
        filled->in_shape[i] = run->plan.steps[node->inputs[i]].shape;
        filled->in[i] = sfi_run_value(run, node->inputs[i]);
        filled->grad_in[i] = NULL;
        filled->accumulate[i] = false;
    }
    filled->pass = (sfi_pass){
        .context = run->context,
        .training = run->training,
        .seed = run->seed,
        .random_stream = sfi_random_stream(node->name),
        .step = run->step,
        .input_count = node->input_count,
        .in_shape = filled->in_shape,
        .out_shape = step->shape,
        .in_span = {sfi_run_span(run, node->inputs[0], 0), sfi_run_span(run, node->inputs[0], 1)},
        .in = filled->in,
        .out = sfi_run_value(run, index),
        .grad_in = filled->grad_in,
        .accumulate = filled->accumulate,
        .tape = at(run, step->tape),
        .frozen =
            run->is_frozen && step->frozen != SFI_NO_BUFFER ? run->frozen + step->frozen : NULL,
    };
}

/* An output whose gradient the caller does not write then adds nothing. */
static void zero_output_gradients(const sfconv_run *run)
{
    const sfconv_net *net = run->net;
    for (int32_t i = 0; i < net->output_count; i++) {
        const sfi_step *step = &run->plan.steps[net->outputs[i]];
        memset(sfi_run_gradient(run, net->outputs[i]), 0,
               (size_t)sfi_shape_count(step->shape) * sizeof(float));
    }
}

void sfi_run_forward(sfconv_run *run)
{
    const sfi_rank_plan *ranked = &run->plan.rank;
    for (int32_t i = 0; i < run->net->node_count; i++) {
        const sfi_step *step = &run->plan.steps[i];
        node_pass filled;
        if (!sfi_is_computed(run->plan.steps, i)) {
            continue;
        }
        if (sfi_plan_goes_by_layer(&run->plan, run->net, i)) {
            sfconv_layer *layer = run->net->nodes[i].layer;
            fill_pass(run, i, &filled);
            filled.pass.scratch = at(run, step->scratch_forward);
            filled.pass.finish = sfi_rank_fill_finish(run, i, &filled.finish);
            if (filled.pass.finish) {
                filled.pass.out = sfi_run_value(run, ranked->nodes[i].finished_at);
            }
            layer->kind->forward(layer, &filled.pass);
        }
        if (run->training && sfi_rank_is_norm(ranked, run->net, i)) {
            sfi_rank_observe(run, i);
        }
        if (sfi_rank_has_step(ranked, i)) {
            sfi_rank_step(run, i);
        }
    }
    if (run->training) {
        zero_output_gradients(run);
        run->taped = true;
        run->step++;
    }
}

/* In backward order the first reader of a value overwrites its gradient, the others add; an
 * output's gradient was written by the caller, so there all add. A sum in rank space reads when its
 * unit does, and sinks take their gradients back when the turn of the value itself comes. */
bool sfi_rank_gradient_begun(const sfconv_run *run, int32_t target, int32_t user, int32_t input)
{
    const sfconv_net *net = run->net;
    const int32_t turn = user == target ? -1 : sfi_rank_reads_at(&run->plan.rank, user);
    for (int32_t i = 0; i < net->output_count; i++) {
        if (net->outputs[i] == target) {
            return true;
        }
    }
    for (int32_t i = target + 1; i < net->node_count; i++) {
        const int32_t reads_at = sfi_rank_reads_at(&run->plan.rank, i);
        for (int32_t j = 0; run->plan.steps[i].live && j < net->nodes[i].input_count; j++) {
            const bool earlier = reads_at > turn || (i == user && j < input);
            if (net->nodes[i].inputs[j] == target && earlier) {
                return true;
            }
        }
    }
    return false;
}

/* Its consumers wrote the gradient of an input; where it has none that is used, it is zero. */
static void finish_input_gradient(const sfconv_run *run, int32_t input)
{
    const sfi_step *step = &run->plan.steps[input];
    if (!step->live) {
        memset(sfi_run_gradient(run, input), 0,
               (size_t)sfi_shape_count(step->shape) * sizeof(float));
    }
}

static void backward_of_layer(const sfconv_run *run, int32_t index)
{
    const sfi_node *node = &run->net->nodes[index];
    const sfi_step *step = &run->plan.steps[index];
    node_pass filled;
    fill_pass(run, index, &filled);
    for (int32_t j = 0; j < node->input_count; j++) {
        if (run->plan.steps[node->inputs[j]].wants_gradient) {
            filled.grad_in[j] = sfi_run_gradient(run, node->inputs[j]);
            filled.accumulate[j] = sfi_rank_gradient_begun(run, node->inputs[j], index, j);
        }
    }
    filled.pass.step = run->step - 1;
    filled.pass.grad_out = sfi_run_gradient(run, index);
    filled.pass.grad_parameter = run->gradients + node->first_parameter;
    filled.pass.scratch = at(run, step->scratch_backward);
    node->layer->kind->backward(node->layer, &filled.pass);
}

void sfi_run_backward(sfconv_run *run)
{
    const sfi_rank_plan *ranked = &run->plan.rank;
    for (int32_t i = run->net->node_count - 1; i >= 0; i--) {
        const sfi_step *step = &run->plan.steps[i];
        if (step->live && sfi_rank_has_step(ranked, i)) {
            sfi_rank_backward(run, i);
        }
        if (!step->wants_gradient) {
            continue;
        }
        if (!run->net->nodes[i].layer) {
            finish_input_gradient(run, i);
        } else if (sfi_plan_goes_by_layer(&run->plan, run->net, i)) {
            backward_of_layer(run, i);
        } else if (ranked->nodes[i].role == SFI_RANK_SINK) {
            sfi_rank_backward_bias(run, i);
        }
    }
    run->taped = false;
}
