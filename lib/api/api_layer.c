/* SPDX-License-Identifier: BSD-2-Clause */
/* The door of layers: what all kinds have in common. */
#include "handles.h"

void sfconv_layer_destroy(sfconv_layer *layer)
{
    if (sfi_check_layer(layer) == SFCONV_OK) {
        sfi_layer_release(layer);
    }
}

const char *sfconv_layer_kind(const sfconv_layer *layer)
{
    return sfi_check_layer(layer) == SFCONV_OK ? layer->kind->kind : NULL;
}

sfconv_status sfconv_layer_initialize(sfconv_layer *layer, uint64_t seed)
{
    const sfconv_status status = sfi_check_layer(layer);
    if (status < 0) {
        return status;
    }
    return layer->kind->initialize ? layer->kind->initialize(layer, seed) : SFCONV_OK;
}

int32_t sfconv_layer_parameter_count(const sfconv_layer *layer)
{
    return sfi_check_layer(layer) == SFCONV_OK ? layer->parameter_count : 0;
}

sfconv_status sfconv_layer_parameter(const sfconv_layer *layer, int32_t index,
                                     sfconv_parameter_info *info)
{
    const sfconv_status status = sfi_check_layer(layer);
    if (status < 0) {
        return status;
    }
    if (!info) {
        return sfi_refuse_null(layer->context, __func__, "info");
    }
    if (index < 0 || index >= layer->parameter_count) {
        return sfi_fail(layer->context, SFCONV_ERROR_NOT_FOUND,
                        "%s: index is %d, the layer has %d parameters", __func__, (int)index,
                        (int)layer->parameter_count);
    }
    const sfi_parameter *parameter = &layer->parameters[index];
    return sfi_fill_parameter_info(layer->context, __func__, parameter->name, parameter, info);
}
