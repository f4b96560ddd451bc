/* SPDX-License-Identifier: BSD-2-Clause */
/* Shapes of all nodes from those of the inputs. */
#include "error.h"
#include "plan.h"
#include "sizes.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static sfconv_status check_shape(const sfconv_net *net, const sfi_node *node, sfi_shape shape)
{
    const int64_t sizes[] = {shape.n, shape.c, shape.h, shape.w, (int64_t)sizeof(float)};
    int64_t bytes;
    if (shape.n < 1 || shape.c < 1 || shape.h < 1 || shape.w < 1) {
        return sfi_fail(net->context, SFCONV_ERROR_SHAPE,
                        "%s: expected sizes of at least 1, got [%lld, %lld, %lld, %lld]",
                        node->name, (long long)shape.n, (long long)shape.c, (long long)shape.h,
                        (long long)shape.w);
    }
    if (!sfi_product(&bytes, sizes, 5)) {
        return sfi_fail(net->context, SFCONV_ERROR_OVERFLOW,
                        "%s: shape [%lld, %lld, %lld, %lld] overflows", node->name,
                        (long long)shape.n, (long long)shape.c, (long long)shape.h,
                        (long long)shape.w);
    }
    return SFCONV_OK;
}

static sfconv_status set_input_shapes(sfi_plan *plan, const sfconv_net *net,
                                      const sfconv_shape *inputs, int32_t count)
{
    if (count != net->input_count) {
        return sfi_fail(net->context, SFCONV_ERROR_ARGUMENT, "net: expected %d inputs, got %d",
                        net->input_count, count);
    }
    for (int32_t i = 0; i < count; i++) {
        const sfi_node *node = &net->nodes[net->inputs[i]];
        const sfi_shape shape = {inputs[i].batch, inputs[i].channels, inputs[i].height,
                                 inputs[i].width};
        const sfconv_status status = check_shape(net, node, shape);
        if (status < 0) {
            return status;
        }
        if (shape.c != node->channels) {
            return sfi_fail(net->context, SFCONV_ERROR_SHAPE,
                            "%s: expected %lld channels, got %lld", node->name,
                            (long long)node->channels, (long long)shape.c);
        }
        plan->steps[net->inputs[i]] = (sfi_step){
            .shape = shape, .source = net->inputs[i], .spacing = {1, 1}, .multiple = {1, 1}};
    }
    return SFCONV_OK;
}

void sfi_plan_input_shapes(const sfi_plan *plan, const sfi_node *node, sfi_shape *shapes)
{
    for (int32_t i = 0; i < node->input_count; i++) {
        shapes[i] = plan->steps[node->inputs[i]].shape;
    }
}

/* Larger numbers would tell nobody anything. */
#define MAX_MULTIPLE (1 << 16)

static int64_t common_multiple(int64_t a, int64_t b)
{
    int64_t divisor = a;
    for (int64_t rest = b; rest != 0;) {
        const int64_t next = divisor % rest;
        divisor = rest;
        rest = next;
    }
    const int64_t multiple = a / divisor * b;
    return multiple <= MAX_MULTIPLE ? multiple : a;
}

static void note_spacing(sfi_plan *plan, const sfi_node *node, sfi_step *step)
{
    const sfi_layer_class *kind = node->layer->kind;
    const sfi_step *first = &plan->steps[node->inputs[0]];
    step->source = first->source;
    for (int axis = 0; axis < 2; axis++) {
        const double own = kind->spacing ? kind->spacing(node->layer, axis) : 1;
        step->spacing[axis] = first->spacing[axis] * own;
        step->multiple[axis] = 1;
        for (int32_t i = 0; i < node->input_count; i++) {
            step->multiple[axis] =
                common_multiple(step->multiple[axis], plan->steps[node->inputs[i]].multiple[axis]);
        }
        const double spacing = step->spacing[axis];
        if (spacing <= MAX_MULTIPLE && spacing == floor(spacing)) {
            step->multiple[axis] = common_multiple(step->multiple[axis], (int64_t)spacing);
        }
    }
}

static int64_t side(sfi_shape shape, int axis)
{
    return axis == 0 ? shape.h : shape.w;
}

static bool sides_differ(const sfi_shape *in, int32_t count)
{
    bool differ = false;
    for (int32_t i = 1; i < count; i++) {
        differ |= in[i].h != in[0].h || in[i].w != in[0].w;
    }
    return differ;
}

/* Why maps that meet here may differ in size: halved maps were odd. NULL: no such reason. */
#define HINT_CAPACITY 256
static const char *hint_at_size(const sfi_plan *plan, const sfconv_net *net, const sfi_step *step,
                                char text[HINT_CAPACITY])
{
    const sfi_shape input = plan->steps[step->source].shape;
    bool rest = false;
    for (int axis = 0; axis < 2; axis++) {
        rest |= side(input, axis) % step->multiple[axis] != 0;
    }
    snprintf(text, HINT_CAPACITY,
             "expected input '%s' with sides that are multiples of %lld x %lld, by which the net "
             "reduces its maps, got %lld x %lld",
             net->nodes[step->source].name, (long long)step->multiple[0],
             (long long)step->multiple[1], (long long)input.h, (long long)input.w);
    return rest ? text : NULL;
}

static sfconv_status infer_node(sfi_plan *plan, const sfconv_net *net, int32_t index, bool training)
{
    const sfi_node *node = &net->nodes[index];
    const sfi_layer_class *kind = node->layer->kind;
    sfi_step *step = &plan->steps[index];
    sfi_error_scope scope = {.name = node->name};
    char hint[HINT_CAPACITY];
    sfi_shape in[SFI_MAX_INPUTS];
    sfi_plan_input_shapes(plan, node, in);
    note_spacing(plan, node, step);
    if (sides_differ(in, node->input_count)) {
        scope.hint = hint_at_size(plan, net, step, hint);
    }
    sfi_error_enter(net->context, &scope);
    sfconv_status status = kind->infer(node->layer, training, in, node->input_count, &step->shape);
    sfi_error_leave(net->context, &scope);
    if (status >= 0) {
        status = check_shape(net, node, step->shape);
    }
    if (status >= 0 && kind->macs) {
        step->macs = kind->macs(node->layer, in, step->shape);
    }
    return status;
}

sfconv_status sfi_plan_shapes(sfi_plan *plan, const sfconv_net *net, bool training,
                              const sfconv_shape *inputs, int32_t count)
{
    memset(plan->steps, 0, (size_t)net->node_count * sizeof *plan->steps);
    sfconv_status status = set_input_shapes(plan, net, inputs, count);
    for (int32_t i = 0; status >= 0 && i < net->node_count; i++) {
        if (net->nodes[i].layer) {
            status = infer_node(plan, net, i, training);
        }
    }
    return status;
}
