/* SPDX-License-Identifier: BSD-2-Clause */
#include "handles.h"
#include "memory.h"
#include "views.h"

#include "sfconv/net.h"

#include <stdio.h>
#include <string.h>

static sfconv_status check_mode(const sfconv_net *net, const char *call, int32_t mode)
{
    if (mode != SFCONV_MODE_INFERENCE && mode != SFCONV_MODE_TRAINING) {
        return sfi_fail(net->context, SFCONV_ERROR_ARGUMENT,
                        "%s: mode is %d, expected SFCONV_MODE_INFERENCE or _TRAINING", call, mode);
    }
    if (net->input_count == 0 || net->output_count == 0) {
        return sfi_fail(net->context, SFCONV_ERROR_STATE,
                        "%s: the net has %d inputs and %d outputs, needs one of each", call,
                        net->input_count, net->output_count);
    }
    return SFCONV_OK;
}

sfconv_status sfconv_run_create(sfconv_run **run, sfconv_net *net, int32_t mode)
{
    static const char call[] = "sfconv_run_create";
    sfconv_status status = sfi_check_net(net);
    if (run) {
        *run = NULL;
    }
    if (status < 0) {
        return status;
    }
    if (!run) {
        return sfi_refuse_null(net->context, call, "run");
    }
    status = check_mode(net, call, mode);
    return status < 0 ? status : sfi_run_new(run, net, mode);
}

static sfconv_status net_of_layer(sfconv_net *net, sfconv_layer *layer, const int64_t *channels,
                                  int32_t count)
{
    int32_t inputs[SFI_MAX_INPUTS];
    int32_t node;
    sfconv_status status = SFCONV_OK;
    for (int32_t i = 0; status >= 0 && i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "input%d", i);
        status = sfconv_net_add_input(net, name, channels[i], &inputs[i]);
    }
    if (status >= 0) {
        status = sfi_net_add_layer(net, layer->kind->kind, layer, inputs, count, &node);
    }
    return status < 0 ? status : sfi_net_add_output(net, node);
}

sfconv_status sfconv_run_create_for_layer(sfconv_run **run, sfconv_layer *layer,
                                          const int64_t *channels, int32_t count, int32_t mode)
{
    static const char call[] = "sfconv_run_create_for_layer";
    sfconv_net *net = NULL;
    sfconv_status status = sfi_check_layer(layer);
    if (run) {
        *run = NULL;
    }
    if (status < 0) {
        return status;
    }
    if (!run || !channels) {
        return sfi_refuse_null(layer->context, call, run ? "channels" : "run");
    }
    status = sfi_check_integer(layer->context, call, "count", count, 1, SFI_MAX_INPUTS);
    if (status < 0) {
        return status;
    }
    status = sfconv_net_create(&net, layer->context);
    if (status >= 0) {
        status = net_of_layer(net, layer, channels, count);
    }
    if (status >= 0) {
        status = sfconv_run_create(run, net, mode);
    }
    sfconv_net_destroy(net);
    return status;
}

void sfconv_run_destroy(sfconv_run *run)
{
    if (sfi_check_run(run) == SFCONV_OK) {
        sfi_run_release(run);
    }
}

sfconv_net *sfconv_run_net(const sfconv_run *run)
{
    return sfi_check_run(run) < 0 ? NULL : run->net;
}

sfconv_status sfconv_net_run_bytes(const sfconv_net *net, int32_t mode, const sfconv_shape *inputs,
                                   int32_t count, int64_t *bytes)
{
    static const char call[] = "sfconv_net_run_bytes";
    sfi_plan plan;
    sfconv_status status = sfi_check_net(net);
    if (status < 0) {
        return status;
    }
    if (!inputs || !bytes) {
        return sfi_refuse_null(net->context, call, inputs ? "bytes" : "inputs");
    }
    status = check_mode(net, call, mode);
    if (status < 0) {
        return status;
    }
    if (!sfi_plan_create(&plan, net)) {
        return sfi_fail_memory(net->context, call, sizeof(sfi_step));
    }
    const bool training = mode == SFCONV_MODE_TRAINING;
    status = sfi_plan_make(&plan, net, (sfi_plan_mode){training, false, true}, inputs, count);
    if (status >= 0) {
        *bytes = plan.bytes;
    }
    sfi_plan_destroy(&plan, net);
    return status;
}

sfconv_status sfconv_run_set_engine(sfconv_run *run, int32_t engine)
{
    static const char call[] = "sfconv_run_set_engine";
    const sfconv_status status = sfi_check_run(run);
    if (status < 0) {
        return status;
    }
    if (engine != SFCONV_ENGINE_LAYERS && engine != SFCONV_ENGINE_RANK_SPACE) {
        return sfi_fail(run->context, SFCONV_ERROR_ARGUMENT,
                        "%s: engine is %d, expected SFCONV_ENGINE_LAYERS or _RANK_SPACE", call,
                        engine);
    }
    run->engine = engine;
    return SFCONV_OK;
}

sfconv_status sfconv_run_bytes(const sfconv_run *run, const sfconv_shape *inputs, int32_t count,
                               int64_t *bytes)
{
    static const char call[] = "sfconv_run_bytes";
    const sfconv_status status = sfi_check_run(run);
    if (status < 0) {
        return status;
    }
    if (!inputs || !bytes) {
        return sfi_refuse_null(run->context, call, inputs ? "bytes" : "inputs");
    }
    return sfi_run_bytes(run, inputs, count, bytes);
}

sfconv_status sfconv_run_reshape(sfconv_run *run, const sfconv_shape *inputs, int32_t count,
                                 void *memory, int64_t bytes)
{
    static const char call[] = "sfconv_run_reshape";
    const sfconv_status status = sfi_check_run(run);
    if (status < 0) {
        return status;
    }
    if (!inputs) {
        return sfi_refuse_null(run->context, call, "inputs");
    }
    if ((uintptr_t)memory % SFI_ALIGNMENT != 0) {
        return sfi_fail(run->context, SFCONV_ERROR_ARGUMENT,
                        "%s: lent memory is not aligned to %d bytes", call, SFI_ALIGNMENT);
    }
    return sfi_run_reshape(run, inputs, count, memory, bytes);
}

/* Frozen weights are those of one size, and no gradients follow from them. */
static sfconv_status check_freezable(const sfconv_run *run, const char *call)
{
    const sfconv_status status = sfi_check_shaped(run, call);
    if (status >= 0 && run->training) {
        return sfi_fail(run->context, SFCONV_ERROR_STATE, "%s: it is a training run", call);
    }
    return status;
}

sfconv_status sfconv_run_frozen_bytes(const sfconv_run *run, int64_t *bytes)
{
    static const char call[] = "sfconv_run_frozen_bytes";
    const sfconv_status status = check_freezable(run, call);
    if (status < 0) {
        return status;
    }
    if (!bytes) {
        return sfi_refuse_null(run->context, call, "bytes");
    }
    *bytes = run->plan.frozen_bytes;
    return SFCONV_OK;
}

sfconv_status sfconv_run_freeze(sfconv_run *run, void *memory, int64_t bytes)
{
    static const char call[] = "sfconv_run_freeze";
    const sfconv_status status = check_freezable(run, call);
    if (status < 0) {
        return status;
    }
    if ((uintptr_t)memory % SFI_ALIGNMENT != 0) {
        return sfi_fail(run->context, SFCONV_ERROR_ARGUMENT,
                        "%s: lent memory is not aligned to %d bytes", call, SFI_ALIGNMENT);
    }
    return sfi_run_freeze(run, memory, bytes);
}

sfconv_status sfconv_run_thaw(sfconv_run *run)
{
    const sfconv_status status = check_freezable(run, "sfconv_run_thaw");
    if (status >= 0) {
        sfi_run_thaw(run);
    }
    return status;
}

sfconv_status sfconv_run_set_window(sfconv_run *run, int64_t top, int64_t left, int64_t height,
                                    int64_t width)
{
    static const char call[] = "sfconv_run_set_window";
    const sfconv_status status = sfi_check_shaped(run, call);
    if (status < 0) {
        return status;
    }
    if (run->taped) {
        return sfi_fail(run->context, SFCONV_ERROR_STATE, "%s: between forward and backward", call);
    }
    return sfi_run_set_window(run, (sfi_image_part){{top, left}, {height, width}});
}

typedef float *data_of_node(const sfconv_run *run, int32_t node);

/* A view of a node's value or gradient; `index` counts the net's inputs or outputs. */
static sfconv_status view_of(sfconv_run *run, const char *call, bool output, int32_t index,
                             sfconv_view *view, data_of_node *data_of)
{
    const sfconv_status status = sfi_check_shaped(run, call);
    if (status < 0) {
        return status;
    }
    const int32_t *nodes = output ? run->net->outputs : run->net->inputs;
    const int32_t count = output ? run->net->output_count : run->net->input_count;
    if (!view) {
        return sfi_refuse_null(run->context, call, "view");
    }
    if (index < 0 || index >= count) {
        return sfi_fail(run->context, SFCONV_ERROR_NOT_FOUND, "%s: index is %d, there are %d", call,
                        index, count);
    }
    float *data = data_of(run, nodes[index]);
    if (!data) {
        return sfi_fail(run->context, SFCONV_ERROR_STATE,
                        "%s: this run keeps no such gradient (%s)", call,
                        run->training ? "sfconv_run_want_input_gradients asks for it"
                                      : "it is an inference run");
    }
    const sfi_shape shape = run->plan.steps[nodes[index]].shape;
    const int64_t sizes[] = {shape.n, shape.c, shape.h, shape.w};
    sfi_fill_view(view, data, 4, sizes);
    return SFCONV_OK;
}

sfconv_status sfconv_run_input(sfconv_run *run, int32_t index, sfconv_view *view)
{
    return view_of(run, __func__, false, index, view, sfi_run_value);
}

sfconv_status sfconv_run_set_input(sfconv_run *run, int32_t index, const sfconv_view *source)
{
    static const char call[] = "sfconv_run_set_input";
    sfconv_view input;
    sfconv_status status = view_of(run, call, false, index, &input, sfi_run_value);
    if (status < 0 || (status = sfi_check_view(run->context, call, "source", source)) < 0) {
        return status;
    }
    const bool fits =
        source->rank == input.rank && memcmp(source->shape, input.shape, sizeof input.shape) == 0;
    if (!fits) {
        char expected[SFI_SHAPE_TEXT];
        char got[SFI_SHAPE_TEXT];
        sfi_put_shape(expected, &input);
        sfi_put_shape(got, source);
        return sfi_fail(run->context, SFCONV_ERROR_SHAPE, "%s: input '%s': expected %s, got %s",
                        call, run->net->nodes[run->net->inputs[index]].name, expected, got);
    }
    sfi_copy_view(&input, source);
    return SFCONV_OK;
}

sfconv_status sfconv_run_output(sfconv_run *run, int32_t index, sfconv_view *view)
{
    return view_of(run, __func__, true, index, view, sfi_run_value);
}

sfconv_status sfconv_run_output_gradient(sfconv_run *run, int32_t index, sfconv_view *view)
{
    return view_of(run, __func__, true, index, view, sfi_run_gradient);
}

sfconv_status sfconv_run_input_gradient(sfconv_run *run, int32_t index, sfconv_view *view)
{
    return view_of(run, __func__, false, index, view, sfi_run_gradient);
}

sfconv_status sfconv_run_parameter_gradient(sfconv_run *run, int32_t index, sfconv_view *view)
{
    static const char call[] = "sfconv_run_parameter_gradient";
    const sfconv_status status = sfi_check_training(run, call);
    if (status < 0) {
        return status;
    }
    if (!view) {
        return sfi_refuse_null(run->context, call, "view");
    }
    if (index < 0 || index >= run->net->parameter_count || !run->gradients[index]) {
        return sfi_fail(run->context, SFCONV_ERROR_NOT_FOUND,
                        "%s: parameter %d of %d has no gradient", call, index,
                        run->net->parameter_count);
    }
    const sfi_parameter *parameter = run->net->parameters[index].parameter;
    sfi_fill_view(view, run->gradients[index], parameter->rank, parameter->shape);
    return SFCONV_OK;
}

sfconv_status sfconv_run_want_input_gradients(sfconv_run *run, int32_t wanted)
{
    static const char call[] = "sfconv_run_want_input_gradients";
    const sfconv_status status = sfi_check_run(run);
    if (status < 0) {
        return status;
    }
    if (!run->training) {
        return sfi_fail(run->context, SFCONV_ERROR_STATE, "%s: it is an inference run", call);
    }
    run->want_input_gradients = wanted != 0;
    return SFCONV_OK;
}

sfconv_status sfconv_run_forward(sfconv_run *run)
{
    const sfconv_status status = sfi_check_shaped(run, "sfconv_run_forward");
    if (status < 0) {
        return status;
    }
    sfi_run_forward(run);
    return SFCONV_OK;
}

sfconv_status sfconv_run_backward(sfconv_run *run)
{
    static const char call[] = "sfconv_run_backward";
    const sfconv_status status = sfi_check_training(run, call);
    if (status < 0) {
        return status;
    }
    if (!run->taped) {
        return sfi_fail(run->context, SFCONV_ERROR_STATE,
                        "%s: there is no forward before it; each forward allows one backward",
                        call);
    }
    sfi_run_backward(run);
    return SFCONV_OK;
}

sfconv_status sfconv_run_zero_gradients(sfconv_run *run)
{
    const sfconv_status status = sfi_check_training(run, "sfconv_run_zero_gradients");
    if (status < 0) {
        return status;
    }
    sfi_run_zero_gradients(run);
    return SFCONV_OK;
}

sfconv_status sfconv_run_regularize(sfconv_run *run, double *value)
{
    const sfconv_status status = sfi_check_training(run, "sfconv_run_regularize");
    return status < 0 ? status : sfi_run_regularize(run, value);
}

sfconv_status sfconv_run_set_seed(sfconv_run *run, uint64_t seed, uint64_t step)
{
    const sfconv_status status = sfi_check_run(run);
    if (status < 0) {
        return status;
    }
    if (run->taped) {
        return sfi_fail(run->context, SFCONV_ERROR_STATE,
                        "sfconv_run_set_seed: between forward and backward");
    }
    run->seed = seed;
    run->step = step;
    return SFCONV_OK;
}

uint64_t sfconv_run_step(const sfconv_run *run)
{
    return sfi_check_run(run) < 0 ? 0 : run->step;
}

sfconv_status sfconv_run_plan_text(const sfconv_run *run, char *buffer, size_t capacity,
                                   size_t *length)
{
    static const char call[] = "sfconv_run_plan_text";
    const sfconv_status status = sfi_check_shaped(run, call);
    if (status < 0) {
        return status;
    }
    if (!length || (!buffer && capacity > 0)) {
        return sfi_refuse_null(run->context, call, length ? "buffer" : "length");
    }
    *length = sfi_run_describe(run, buffer, capacity);
    return SFCONV_OK;
}
