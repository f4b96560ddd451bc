/* SPDX-License-Identifier: BSD-2-Clause */
#include "error.h"
#include "layer_facts.h"
#include "run.h"
#include "sizes.h"

static const char *const axis_names[2] = {"rows", "columns"};

static int64_t size_of(const sfconv_run *run, int32_t node, int axis)
{
    const sfi_shape shape = run->plan.steps[node].shape;
    return axis == 0 ? shape.h : shape.w;
}

/* The window at the scale of a node's map: its ratio to the input's is that of their sizes. */
sfi_span sfi_run_span(const sfconv_run *run, int32_t node, int axis)
{
    const int64_t size = size_of(run, node, axis);
    const int64_t input = size_of(run, run->net->inputs[0], axis);
    const int64_t whole = run->window.whole[axis];
    return whole == 0
               ? (sfi_span){size, 0, size}
               : (sfi_span){size, run->window.start[axis] * size / input, whole * size / input};
}

static bool depends_on_whole(const sfconv_layer *layer)
{
    int32_t which;
    int64_t factor[2];
    return sfi_upsample2d_facts(layer, &which, factor) && which == SFCONV_UPSAMPLE_BILINEAR_ALIGNED;
}

static sfconv_status check_input(const sfconv_run *run, const sfi_image_part *window, int32_t node,
                                 int axis)
{
    const int64_t start = window->start[axis];
    const int64_t whole = window->whole[axis];
    const int64_t size = size_of(run, node, axis);
    if (start < 0 || start > whole || size > whole - start) {
        return sfi_fail(run->context, SFCONV_ERROR_SHAPE,
                        "window: %lld %s of input '%s' from %lld do not lie in a whole of %lld",
                        (long long)size, axis_names[axis], run->net->nodes[node].name,
                        (long long)start, (long long)whole);
    }
    if (size != size_of(run, run->net->inputs[0], axis)) {
        return sfi_fail(run->context, SFCONV_ERROR_SHAPE,
                        "window: the inputs have %lld and %lld %s, expected one size",
                        (long long)size_of(run, run->net->inputs[0], axis), (long long)size,
                        axis_names[axis]);
    }
    return SFCONV_OK;
}

/* What depends on the whole must know its own place there to the pixel. */
static sfconv_status check_node(const sfconv_run *run, const sfi_image_part *window, int32_t node,
                                int axis)
{
    const int64_t size = size_of(run, run->net->nodes[node].inputs[0], axis);
    const int64_t input = size_of(run, run->net->inputs[0], axis);
    int64_t start;
    int64_t whole;
    if (!sfi_mul(&start, window->start[axis], size) ||
        !sfi_mul(&whole, window->whole[axis], size)) {
        return sfi_fail(run->context, SFCONV_ERROR_OVERFLOW, "window: a whole of %lld %s overflows",
                        (long long)window->whole[axis], axis_names[axis]);
    }
    if (!depends_on_whole(run->net->nodes[node].layer)) {
        return SFCONV_OK;
    }
    if (start % input != 0 || whole % input != 0) {
        return sfi_fail(run->context, SFCONV_ERROR_SHAPE,
                        "window: '%s' has %lld %s for %lld of the input, so %lld and %lld do not "
                        "fall on its pixels",
                        run->net->nodes[node].name, (long long)size, axis_names[axis],
                        (long long)input, (long long)window->start[axis],
                        (long long)window->whole[axis]);
    }
    return SFCONV_OK;
}

sfconv_status sfi_run_set_window(sfconv_run *run, sfi_image_part window)
{
    const sfconv_net *net = run->net;
    sfconv_status status = SFCONV_OK;
    for (int axis = 0; axis < 2; axis++) {
        for (int32_t i = 0; status >= 0 && i < net->input_count; i++) {
            status = check_input(run, &window, net->inputs[i], axis);
        }
        for (int32_t i = 0; status >= 0 && i < net->node_count; i++) {
            if (run->plan.steps[i].live && net->nodes[i].layer) {
                status = check_node(run, &window, i, axis);
            }
        }
    }
    if (status >= 0) {
        run->window = window;
    }
    return status;
}
