/* SPDX-License-Identifier: BSD-2-Clause */
#include "layer_class.h"

#include "error.h"
#include "memory.h"
#include "random.h"
#include "sizes.h"

#include <assert.h>
#include <string.h>

sfconv_status sfi_fail_term(sfconv_context *context, const sfi_term *term)
{
    return sfi_fail(context, SFCONV_ERROR_NUMERIC, "%s%sregularizer: %s",
                    term->parameter ? term->parameter : "", term->parameter ? ": " : "",
                    term->reason);
}

sfconv_layer *sfi_layer_new(sfconv_context *context, const sfi_layer_class *kind)
{
    sfconv_layer *layer = sfi_calloc(context, 1, kind->bytes);
    if (!layer) {
        return NULL;
    }
    layer->magic = SFI_LAYER_MAGIC;
    atomic_init(&layer->references, 1);
    layer->kind = kind;
    layer->context = sfi_context_retain(context);
    return layer;
}

sfconv_status sfi_layer_add_parameter(sfconv_layer *layer, const char *name, int32_t role,
                                      int32_t rank, const int64_t *shape)
{
    assert(layer->parameter_count < SFI_MAX_PARAMETERS);
    sfi_parameter *parameter = &layer->parameters[layer->parameter_count];
    int64_t count;
    int64_t bytes;
    if (!sfi_product(&count, shape, rank) || !sfi_mul(&bytes, count, (int64_t)sizeof(float))) {
        return sfi_fail(layer->context, SFCONV_ERROR_OVERFLOW, "%s: its size overflows", name);
    }
    float *data = sfi_calloc(layer->context, (size_t)count, sizeof(float));
    if (!data) {
        return sfi_fail_memory(layer->context, name, (size_t)bytes);
    }
    *parameter =
        (sfi_parameter){.name = name, .role = role, .rank = rank, .count = count, .data = data};
    memcpy(parameter->shape, shape, (size_t)rank * sizeof *shape);
    layer->parameter_count++;
    return SFCONV_OK;
}

sfconv_layer *sfi_layer_retain(sfconv_layer *layer)
{
    atomic_fetch_add_explicit(&layer->references, 1, memory_order_relaxed);
    return layer;
}

void sfi_layer_release(sfconv_layer *layer)
{
    if (!layer || atomic_fetch_sub_explicit(&layer->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (layer->kind->destroy) {
        layer->kind->destroy(layer);
    }
    for (int32_t i = 0; i < layer->parameter_count; i++) {
        sfi_parameter *parameter = &layer->parameters[i];
        sfi_free(layer->context, parameter->data, (size_t)parameter->count * sizeof(float));
    }
    sfconv_context *context = layer->context;
    const size_t bytes = layer->kind->bytes;
    layer->magic = 0;
    sfi_free(context, layer, bytes);
    sfi_context_release(context);
}

void sfi_parameter_uniform(sfi_parameter *parameter, uint64_t seed, double bound)
{
    const sfi_random random = {seed, sfi_random_stream(parameter->name)};
    for (int64_t i = 0; i < parameter->count; i++) {
        const double unit = sfi_random_uniform(random, (uint64_t)i);
        parameter->data[i] = (float)((2.0 * unit - 1.0) * bound);
    }
}

void sfi_parameter_fill(sfi_parameter *parameter, float value)
{
    for (int64_t i = 0; i < parameter->count; i++) {
        parameter->data[i] = value;
    }
}

sfi_layer_macs sfi_layer_count(const sfconv_layer *layer, const sfi_shape *in, sfi_shape out)
{
    const sfi_layer_class *kind = layer->kind;
    if (kind->count) {
        return kind->count(layer, in, out);
    }
    const int64_t macs = kind->macs ? kind->macs(layer, in, out) : 0;
    const int64_t of_input = kind->input_macs ? kind->input_macs(layer, in, out) : macs;
    return (sfi_layer_macs){sfi_direct_macs(macs), sfi_direct_macs(2 * macs - of_input),
                            sfi_direct_macs(of_input)};
}

sfconv_status sfi_infer_unchanged(const sfconv_layer *layer, bool training, const sfi_shape *in,
                                  int32_t count, sfi_shape *out)
{
    (void)layer, (void)training, (void)count;
    *out = in[0];
    return SFCONV_OK;
}

int64_t sfi_window_size(int64_t in, int64_t kernel, int64_t stride, int64_t padding,
                        int64_t dilation)
{
    const int64_t span = dilation * (kernel - 1) + 1;
    const int64_t padded = in + 2 * padding;
    return padded < span ? 0 : (padded - span) / stride + 1;
}
