/* SPDX-License-Identifier: BSD-2-Clause */
#include "graph.h"

#include "error.h"
#include "memory.h"
#include "random.h"

#include <stdio.h>
#include <string.h>

sfconv_net *sfi_net_new(sfconv_context *context)
{
    sfconv_net *net = sfi_calloc(context, 1, sizeof *net);
    if (!net) {
        return NULL;
    }
    net->magic = SFI_NET_MAGIC;
    atomic_init(&net->references, 1);
    atomic_init(&net->runs, 0);
    net->context = sfi_context_retain(context);
    return net;
}

sfconv_net *sfi_net_retain(sfconv_net *net)
{
    atomic_fetch_add_explicit(&net->references, 1, memory_order_relaxed);
    return net;
}

void sfi_net_release(sfconv_net *net)
{
    if (!net || atomic_fetch_sub_explicit(&net->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    sfconv_context *context = net->context;
    for (int32_t i = 0; i < net->node_count; i++) {
        sfi_free_text(context, net->nodes[i].name);
        sfi_layer_release(net->nodes[i].layer);
    }
    for (int32_t i = 0; i < net->parameter_count; i++) {
        sfi_free_text(context, net->parameters[i].name);
    }
    sfi_free(context, net->nodes, net->node_capacity * sizeof *net->nodes);
    sfi_free(context, net->inputs, net->input_capacity * sizeof *net->inputs);
    sfi_free(context, net->outputs, net->output_capacity * sizeof *net->outputs);
    sfi_free(context, net->parameters, net->parameter_capacity * sizeof *net->parameters);
    sfi_free_text(context, net->description);
    net->magic = 0;
    sfi_free(context, net, sizeof *net);
    sfi_context_release(context);
}

int32_t sfi_net_find_node(const sfconv_net *net, const char *name)
{
    for (int32_t i = 0; i < net->node_count; i++) {
        if (strcmp(net->nodes[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

int32_t sfi_net_find_parameter(const sfconv_net *net, const char *name)
{
    for (int32_t i = 0; i < net->parameter_count; i++) {
        if (strcmp(net->parameters[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

int32_t sfi_net_layer_node(const sfconv_net *net, const sfconv_layer *layer)
{
    for (int32_t i = 0; i < net->node_count; i++) {
        if (net->nodes[i].layer == layer) {
            return i;
        }
    }
    return -1;
}

static sfconv_status check_growth(sfconv_net *net, const char *name)
{
    if (atomic_load(&net->runs) > 0) {
        return sfi_fail(net->context, SFCONV_ERROR_STATE,
                        "%s: a run holds the net; destroy its runs before adding to it", name);
    }
    return SFCONV_OK;
}

static sfconv_status check_name(sfconv_net *net, const char *name)
{
    const size_t length = strlen(name);
    if (length == 0 || length > SFI_MAX_NAME) {
        return sfi_fail(net->context, SFCONV_ERROR_ARGUMENT,
                        "node name: expected 1 to %d bytes, got %zu", SFI_MAX_NAME, length);
    }
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f) {
            return sfi_fail(net->context, SFCONV_ERROR_ARGUMENT,
                            "node name: a control character at byte %zu", i);
        }
    }
    if (sfi_net_find_node(net, name) >= 0) {
        return sfi_fail(net->context, SFCONV_ERROR_ARGUMENT, "%s: the name is taken", name);
    }
    return check_growth(net, name);
}

/* Makes room for one more node, so that adding it cannot fail halfway. */
static sfconv_status reserve_node(sfconv_net *net, const char *name, char **copy)
{
    if (!sfi_grow(net->context, (void **)&net->nodes, &net->node_capacity,
                  (size_t)net->node_count + 1, sizeof *net->nodes) ||
        !(*copy = sfi_copy_text(net->context, name))) {
        return sfi_fail_memory(net->context, name, sizeof *net->nodes);
    }
    return SFCONV_OK;
}

sfconv_status sfi_net_add_input(sfconv_net *net, const char *name, int64_t channels, int32_t *node)
{
    char *copy = NULL;
    sfconv_status status = check_name(net, name);
    if (status < 0) {
        return status;
    }
    if (!sfi_grow(net->context, (void **)&net->inputs, &net->input_capacity,
                  (size_t)net->input_count + 1, sizeof *net->inputs)) {
        return sfi_fail_memory(net->context, name, sizeof *net->inputs);
    }
    status = reserve_node(net, name, &copy);
    if (status < 0) {
        return status;
    }
    net->inputs[net->input_count++] = net->node_count;
    net->nodes[net->node_count] = (sfi_node){.name = copy, .channels = channels};
    *node = net->node_count++;
    return SFCONV_OK;
}

static sfconv_status check_inputs(sfconv_net *net, const char *name, const sfconv_layer *layer,
                                  const int32_t *inputs, int32_t count)
{
    const sfi_layer_class *kind = layer->kind;
    if (layer->context != net->context) {
        return sfi_fail(net->context, SFCONV_ERROR_ARGUMENT,
                        "%s: the layer belongs to another context", name);
    }
    if (count < kind->min_inputs || count > kind->max_inputs) {
        return sfi_fail(net->context, SFCONV_ERROR_ARGUMENT, "%s: %s takes %d to %d inputs, got %d",
                        name, kind->kind, kind->min_inputs, kind->max_inputs, count);
    }
    for (int32_t i = 0; i < count; i++) {
        if (inputs[i] < 0 || inputs[i] >= net->node_count) {
            return sfi_fail(net->context, SFCONV_ERROR_NOT_FOUND,
                            "%s: input %d is node %d, the net has %d nodes", name, i, inputs[i],
                            net->node_count);
        }
    }
    return SFCONV_OK;
}

/* Enters parameter `index` of the layer at node `name`. Two nodes may give one full name, "a" with
 * "q.weight" and "a.q" with "weight", which files could not tell apart. */
static sfconv_status add_parameter(sfconv_net *net, const char *name, sfconv_layer *layer,
                                   int32_t index)
{
    char full[SFI_MAX_NAME + 40];
    snprintf(full, sizeof full, "%s.%s", name, layer->parameters[index].name);
    if (sfi_net_find_parameter(net, full) >= 0) {
        return sfi_fail(net->context, SFCONV_ERROR_ARGUMENT,
                        "%s: another node has a parameter of that name", full);
    }
    char *copy = sfi_copy_text(net->context, full);
    if (!copy) {
        return sfi_fail_memory(net->context, full, strlen(full) + 1);
    }
    net->parameters[net->parameter_count++] = (sfi_net_parameter){copy, &layer->parameters[index]};
    return SFCONV_OK;
}

/* Enters the layer's parameters in the table; on failure those entered are taken out again. */
static sfconv_status add_parameters(sfconv_net *net, const char *name, sfconv_layer *layer)
{
    const int32_t first = net->parameter_count;
    if (!sfi_grow(net->context, (void **)&net->parameters, &net->parameter_capacity,
                  (size_t)(first + layer->parameter_count), sizeof *net->parameters)) {
        return sfi_fail_memory(net->context, name, sizeof *net->parameters);
    }
    for (int32_t i = 0; i < layer->parameter_count; i++) {
        const sfconv_status status = add_parameter(net, name, layer, i);
        if (status < 0) {
            while (net->parameter_count > first) {
                sfi_free_text(net->context, net->parameters[--net->parameter_count].name);
            }
            return status;
        }
    }
    return SFCONV_OK;
}

sfconv_status sfi_net_add_layer(sfconv_net *net, const char *name, sfconv_layer *layer,
                                const int32_t *inputs, int32_t count, int32_t *node)
{
    char *copy = NULL;
    sfconv_status status = check_name(net, name);
    if (status >= 0) {
        status = check_inputs(net, name, layer, inputs, count);
    }
    if (status >= 0) {
        status = reserve_node(net, name, &copy);
    }
    if (status < 0) {
        return status;
    }
    const int32_t holder = sfi_net_layer_node(net, layer);
    sfi_node added = {.name = copy, .layer = layer, .input_count = count};
    added.first_parameter = holder >= 0 ? net->nodes[holder].first_parameter : net->parameter_count;
    memcpy(added.inputs, inputs, (size_t)count * sizeof *inputs);
    if (holder < 0) {
        status = add_parameters(net, name, layer);
        if (status < 0) {
            sfi_free_text(net->context, copy);
            return status;
        }
    }
    sfi_layer_retain(layer);
    net->nodes[net->node_count] = added;
    *node = net->node_count++;
    return SFCONV_OK;
}

sfconv_status sfi_net_add_output(sfconv_net *net, int32_t node)
{
    if (node < 0 || node >= net->node_count) {
        return sfi_fail(net->context, SFCONV_ERROR_NOT_FOUND,
                        "output: there is no node %d, the net has %d nodes", node, net->node_count);
    }
    const char *name = net->nodes[node].name;
    const sfconv_status status = check_growth(net, name);
    if (status < 0) {
        return status;
    }
    for (int32_t i = 0; i < net->output_count; i++) {
        if (net->outputs[i] == node) {
            return sfi_fail(net->context, SFCONV_ERROR_ARGUMENT, "%s: is output %d already", name,
                            i);
        }
    }
    if (!sfi_grow(net->context, (void **)&net->outputs, &net->output_capacity,
                  (size_t)net->output_count + 1, sizeof *net->outputs)) {
        return sfi_fail_memory(net->context, name, sizeof *net->outputs);
    }
    net->outputs[net->output_count++] = node;
    return SFCONV_OK;
}

uint64_t sfi_node_seed(uint64_t seed, const char *name)
{
    const sfi_random random = {seed, sfi_random_stream(name)};
    return sfi_random_bits(random, 0);
}

static sfconv_status draw_layers(sfconv_net *net, uint64_t seed)
{
    for (int32_t i = 0; i < net->node_count; i++) {
        const char *name = net->nodes[i].name;
        sfconv_layer *layer = net->nodes[i].layer;
        if (!layer || !layer->kind->initialize || sfi_net_layer_node(net, layer) != i) {
            continue;
        }
        sfi_error_scope scope = {.name = name};
        sfi_error_enter(net->context, &scope);
        const sfconv_status status = layer->kind->initialize(layer, sfi_node_seed(seed, name));
        sfi_error_leave(net->context, &scope);
        if (status < 0) {
            return status;
        }
    }
    return SFCONV_OK;
}

/* Copies all parameters to `block`, or back from it. */
static void copy_parameters(sfconv_net *net, float *block, bool back)
{
    for (int32_t i = 0; i < net->parameter_count; i++) {
        sfi_parameter *parameter = net->parameters[i].parameter;
        const size_t bytes = (size_t)parameter->count * sizeof(float);
        memcpy(back ? parameter->data : block, back ? block : parameter->data, bytes);
        block += parameter->count;
    }
}

sfconv_status sfi_net_initialize(sfconv_net *net, uint64_t seed)
{
    size_t count = 0;
    for (int32_t i = 0; i < net->parameter_count; i++) {
        count += (size_t)net->parameters[i].parameter->count;
    }
    if (count == 0) {
        return SFCONV_OK;
    }
    float *former = sfi_alloc(net->context, count * sizeof(float));
    if (!former) {
        return sfi_fail_memory(net->context, "net", count * sizeof(float));
    }
    copy_parameters(net, former, false);
    const sfconv_status status = draw_layers(net, seed);
    if (status < 0) {
        copy_parameters(net, former, true);
    }
    sfi_free(net->context, former, count * sizeof(float));
    return status;
}
