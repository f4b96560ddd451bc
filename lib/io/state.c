/* SPDX-License-Identifier: BSD-2-Clause */
#include "state.h"

#include "error.h"
#include "memory.h"
#include "safetensors_writer.h"
#include "sizes.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void sfi_state_init(sfi_state *state, sfconv_context *context)
{
    *state = (sfi_state){.context = context};
}

void sfi_state_clear(sfi_state *state)
{
    for (size_t i = 0; i < state->count; i++) {
        sfi_free_text(state->context, state->tensors[i].name);
    }
    sfi_free(state->context, state->tensors, state->capacity * sizeof *state->tensors);
    sfi_free(state->context, state->staging, state->staging_bytes);
    sfi_state_init(state, state->context);
}

sfconv_status sfi_state_add(sfi_state *state, const char *prefix, const char *name, int32_t rank,
                            const int64_t *shape, float *data)
{
    const size_t name_bytes = strlen(prefix) + strlen(name) + 1;
    if (!sfi_grow(state->context, (void **)&state->tensors, &state->capacity, state->count + 1,
                  sizeof *state->tensors)) {
        return sfi_fail_memory(state->context, name, sizeof *state->tensors);
    }
    sfi_state_tensor *tensor = &state->tensors[state->count];
    *tensor = (sfi_state_tensor){.rank = rank, .data = data};
    memcpy(tensor->shape, shape, (size_t)rank * sizeof *shape);
    const bool fits = sfi_product(&tensor->count, shape, rank);
    assert(fits);
    (void)fits;
    tensor->name = sfi_alloc(state->context, name_bytes);
    if (!tensor->name) {
        return sfi_fail_memory(state->context, name, name_bytes);
    }
    snprintf(tensor->name, name_bytes, "%s%s", prefix, name);
    state->count++;
    return SFCONV_OK;
}

sfconv_status sfi_state_add_net(sfi_state *state, const sfconv_net *net)
{
    for (int32_t i = 0; i < net->parameter_count; i++) {
        const sfi_net_parameter *entry = &net->parameters[i];
        const sfconv_status status = sfi_state_add(state, "", entry->name, entry->parameter->rank,
                                                   entry->parameter->shape, entry->parameter->data);
        if (status < 0) {
            return status;
        }
    }
    return SFCONV_OK;
}

sfconv_status sfi_state_save(const sfi_state *state, const char *path,
                             const sfconv_metadata *metadata)
{
    sfi_saved_tensor *saved = sfi_calloc(state->context, state->count + 1, sizeof *saved);
    if (!saved) {
        return sfi_fail_memory(state->context, path, state->count * sizeof *saved);
    }
    for (size_t i = 0; i < state->count; i++) {
        const sfi_state_tensor *tensor = &state->tensors[i];
        saved[i] = (sfi_saved_tensor){
            .name = tensor->name,
            .rank = tensor->rank,
            .count = tensor->count,
            .data = tensor->data,
        };
        memcpy(saved[i].shape, tensor->shape, sizeof saved[i].shape);
    }
    const sfconv_status status =
        sfi_file_write(state->context, path, saved, state->count, metadata);
    sfi_free(state->context, saved, (state->count + 1) * sizeof *saved);
    return status;
}
