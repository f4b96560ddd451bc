/* SPDX-License-Identifier: BSD-2-Clause */
#include "handles.h"
#include "settings.h"
#include "sizes.h"

#include "sfconv/net.h"

sfconv_status sfconv_net_create(sfconv_net **net, sfconv_context *context)
{
    if (!net) {
        return sfi_refuse_null(context, "sfconv_net_create", "net");
    }
    *net = NULL;
    if (!context) {
        return SFCONV_ERROR_ARGUMENT;
    }
    *net = sfi_net_new(context);
    return *net ? SFCONV_OK : sfi_fail_memory(context, "net", sizeof **net);
}

void sfconv_net_destroy(sfconv_net *net)
{
    if (sfi_check_net(net) == SFCONV_OK) {
        sfi_net_release(net);
    }
}

sfconv_status sfconv_net_add_input(sfconv_net *net, const char *name, int64_t channels,
                                   int32_t *node)
{
    static const char call[] = "sfconv_net_add_input";
    sfconv_status status = sfi_check_net(net);
    if (status < 0) {
        return status;
    }
    if (!name || !node) {
        return sfi_refuse_null(net->context, call, name ? "node" : "name");
    }
    status = sfi_check_integer(net->context, call, "channels", channels, 1, INT32_MAX);
    return status < 0 ? status : sfi_net_add_input(net, name, channels, node);
}

sfconv_status sfconv_net_add_layer(sfconv_net *net, const char *name, sfconv_layer *layer,
                                   const int32_t *inputs, int32_t count, int32_t *node)
{
    static const char call[] = "sfconv_net_add_layer";
    const sfconv_status status = sfi_check_net(net);
    if (status < 0) {
        return status;
    }
    if (!name || !inputs || !node) {
        return sfi_refuse_null(net->context, call, !name ? "name" : !inputs ? "inputs" : "node");
    }
    if (sfi_check_layer(layer) < 0) {
        return sfi_fail(net->context, SFCONV_ERROR_ARGUMENT, "%s: layer is NULL or closed", call);
    }
    return sfi_net_add_layer(net, name, layer, inputs, count, node);
}

sfconv_status sfconv_net_add_output(sfconv_net *net, int32_t node)
{
    const sfconv_status status = sfi_check_net(net);
    return status < 0 ? status : sfi_net_add_output(net, node);
}

int32_t sfconv_net_node_count(const sfconv_net *net)
{
    return sfi_check_net(net) < 0 ? 0 : net->node_count;
}

int32_t sfconv_net_input_count(const sfconv_net *net)
{
    return sfi_check_net(net) < 0 ? 0 : net->input_count;
}

int32_t sfconv_net_output_count(const sfconv_net *net)
{
    return sfi_check_net(net) < 0 ? 0 : net->output_count;
}

static const sfi_node *node_or_null(const sfconv_net *net, int32_t node)
{
    const bool exists = sfi_check_net(net) == SFCONV_OK && node >= 0 && node < net->node_count;
    return exists ? &net->nodes[node] : NULL;
}

const char *sfconv_net_node_name(const sfconv_net *net, int32_t node)
{
    const sfi_node *found = node_or_null(net, node);
    return found ? found->name : NULL;
}

sfconv_layer *sfconv_net_node_layer(const sfconv_net *net, int32_t node)
{
    const sfi_node *found = node_or_null(net, node);
    return found ? found->layer : NULL;
}

int64_t sfconv_net_input_channels(const sfconv_net *net, int32_t index)
{
    if (sfi_check_net(net) < 0 || index < 0 || index >= net->input_count) {
        return 0;
    }
    return net->nodes[net->inputs[index]].channels;
}

/* What the two "find" calls share: check, look up, refuse with the name. */
static sfconv_status find_by_name(const sfconv_net *net, const char *name, int32_t *found,
                                  const char *call, const char *what,
                                  int32_t (*find)(const sfconv_net *, const char *))
{
    const sfconv_status status = sfi_check_net(net);
    if (status < 0) {
        return status;
    }
    if (!name || !found) {
        return sfi_refuse_null(net->context, call, name ? what : "name");
    }
    const int32_t index = find(net, name);
    if (index < 0) {
        return sfi_fail(net->context, SFCONV_ERROR_NOT_FOUND, "%s: there is no %s '%s'", call, what,
                        name);
    }
    *found = index;
    return SFCONV_OK;
}

sfconv_status sfconv_net_find_node(const sfconv_net *net, const char *name, int32_t *node)
{
    return find_by_name(net, name, node, "sfconv_net_find_node", "node", sfi_net_find_node);
}

sfconv_status sfconv_net_find_parameter(const sfconv_net *net, const char *name, int32_t *index)
{
    return find_by_name(net, name, index, "sfconv_net_find_parameter", "parameter",
                        sfi_net_find_parameter);
}

int32_t sfconv_net_parameter_count(const sfconv_net *net)
{
    return sfi_check_net(net) < 0 ? 0 : net->parameter_count;
}

sfconv_status sfconv_net_parameter(const sfconv_net *net, int32_t index,
                                   sfconv_parameter_info *info)
{
    static const char call[] = "sfconv_net_parameter";
    const sfconv_status status = sfi_check_net(net);
    if (status < 0) {
        return status;
    }
    if (!info) {
        return sfi_refuse_null(net->context, call, "info");
    }
    if (index < 0 || index >= net->parameter_count) {
        return sfi_fail(net->context, SFCONV_ERROR_NOT_FOUND,
                        "%s: there is no parameter %d, the net has %d", call, index,
                        net->parameter_count);
    }
    return sfi_fill_parameter_info(net->context, call, net->parameters[index].name,
                                   net->parameters[index].parameter, info);
}

sfconv_status sfconv_net_initialize(sfconv_net *net, uint64_t seed)
{
    const sfconv_status status = sfi_check_net(net);
    return status < 0 ? status : sfi_net_initialize(net, seed);
}

sfconv_status sfconv_net_set_regularizer(sfconv_net *net, int32_t regularizer, double weight)
{
    sfconv_status status = sfi_check_net(net);
    if (status >= 0) {
        status = sfi_check_regularizer(net->context, __func__, regularizer, weight);
    }
    for (int32_t i = 0; status >= 0 && i < net->node_count; i++) {
        sfconv_layer *layer = net->nodes[i].layer;
        if (layer && layer->kind->regularizes) {
            status = sfconv_sfconv2d_set_regularizer(layer, regularizer, weight);
        }
    }
    return status;
}

sfconv_status sfconv_net_cost(const sfconv_net *net, const sfconv_shape *inputs, int32_t count,
                              sfconv_cost *cost)
{
    static const char call[] = "sfconv_net_cost";
    sfi_plan plan;
    sfconv_status status = sfi_check_net(net);
    if (status < 0) {
        return status;
    }
    if (!inputs || !cost) {
        return sfi_refuse_null(net->context, call, inputs ? "cost" : "inputs");
    }
    status = sfi_check_out(net->context, call, cost->struct_size, sizeof *cost);
    if (status < 0) {
        return status;
    }
    if (net->node_count == 0) {
        return sfi_fail(net->context, SFCONV_ERROR_STATE, "%s: the net is empty", call);
    }
    if (!sfi_plan_create(&plan, net)) {
        return sfi_fail_memory(net->context, call, sizeof(sfi_step));
    }
    status = sfi_plan_cost(&plan, net, inputs, count, cost);
    sfi_plan_destroy(&plan, net);
    return status;
}
