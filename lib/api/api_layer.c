/* SPDX-License-Identifier: BSD-2-Clause */
/* The door of layers: what all kinds have in common. */
#include "handles.h"
#include "views.h"

void sfconv_layer_destroy(sfconv_layer *layer)
{
    if (sfi_is_layer(layer)) {
        sfi_layer_release(layer);
    }
}

const char *sfconv_layer_kind(const sfconv_layer *layer)
{
    return sfi_is_layer(layer) ? layer->kind->kind : NULL;
}

sfconv_status sfconv_layer_initialize(sfconv_layer *layer, uint64_t seed)
{
    if (!sfi_is_layer(layer)) {
        return SFCONV_ERROR_ARGUMENT;
    }
    return layer->kind->initialize ? layer->kind->initialize(layer, seed) : SFCONV_OK;
}

int32_t sfconv_layer_parameter_count(const sfconv_layer *layer)
{
    return sfi_is_layer(layer) ? layer->parameter_count : 0;
}

sfconv_status sfconv_layer_parameter(const sfconv_layer *layer, int32_t index,
                                     sfconv_parameter_info *info)
{
    if (!sfi_is_layer(layer)) {
        return SFCONV_ERROR_ARGUMENT;
    }
    if (!info) {
        return sfi_refuse_null(layer->context, __func__, "info");
    }
    const sfconv_status status =
        sfi_check_out(layer->context, __func__, info->struct_size, sizeof *info);
    if (status < 0) {
        return status;
    }
    if (index < 0 || index >= layer->parameter_count) {
        return sfi_fail(layer->context, SFCONV_ERROR_NOT_FOUND,
                        "%s: index is %d, the layer has %d parameters", __func__, (int)index,
                        (int)layer->parameter_count);
    }
    const sfi_parameter *parameter = &layer->parameters[index];
    info->name = parameter->name;
    info->role = parameter->role;
    info->trainable = parameter->role != SFCONV_PARAMETER_BUFFER;
    info->view = sfi_contiguous_view(parameter->data, parameter->rank, parameter->shape);
    return SFCONV_OK;
}
