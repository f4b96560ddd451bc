/* SPDX-License-Identifier: BSD-2-Clause */
#include "average.h"

#include "error.h"
#include "memory.h"

#include <string.h>

static void copy_piece(void *argument, const sfi_piece *piece)
{
    const sfconv_average *average = argument;
    const sfi_parameter *parameter = average->net->parameters[piece->parameter].parameter;
    memcpy(sfi_store_array(&average->state, 0, piece->parameter) + piece->begin,
           parameter->data + piece->begin, (size_t)piece->count * sizeof(float));
}

static void update_piece(void *argument, const sfi_piece *piece)
{
    const sfconv_average *average = argument;
    const sfi_parameter *parameter = average->net->parameters[piece->parameter].parameter;
    if (!sfi_parameter_trainable(parameter)) {
        copy_piece(argument, piece);
        return;
    }
    float *restrict mean = sfi_store_array(&average->state, 0, piece->parameter) + piece->begin;
    const float *restrict weight = parameter->data + piece->begin;
    const double decay = average->decay;
    for (int64_t i = 0; i < piece->count; i++) {
        mean[i] = (float)(decay * (double)mean[i] + (1.0 - decay) * (double)weight[i]);
    }
}

static void swap_piece(void *argument, const sfi_piece *piece)
{
    const sfconv_average *average = argument;
    float *restrict mean = sfi_store_array(&average->state, 0, piece->parameter) + piece->begin;
    float *restrict weight =
        average->net->parameters[piece->parameter].parameter->data + piece->begin;
    for (int64_t i = 0; i < piece->count; i++) {
        const float former = weight[i];
        weight[i] = mean[i];
        mean[i] = former;
    }
}

sfconv_status sfi_average_new(sfconv_average **out, sfconv_net *net, double decay)
{
    sfconv_average *average = sfi_calloc(net->context, 1, sizeof *average);
    *out = NULL;
    if (!average) {
        return sfi_fail_memory(net->context, "average", sizeof *average);
    }
    const sfconv_status status = sfi_store_create(&average->state, net, 1, true);
    if (status < 0) {
        sfi_free(net->context, average, sizeof *average);
        return status;
    }
    average->magic = SFI_AVERAGE_MAGIC;
    average->net = sfi_net_retain(net);
    average->decay = decay;
    sfi_for_each_piece(net, true, copy_piece, average);
    *out = average;
    return SFCONV_OK;
}

void sfi_average_release(sfconv_average *average)
{
    if (!average) {
        return;
    }
    sfconv_net *net = average->net;
    sfi_store_destroy(&average->state);
    average->magic = 0;
    sfi_free(net->context, average, sizeof *average);
    sfi_net_release(net);
}

sfconv_status sfi_average_update(sfconv_average *average)
{
    if (average->exchanged) {
        return sfi_fail(average->net->context, SFCONV_ERROR_STATE,
                        "average: expected the net's own parameters in the net, got the average; "
                        "swap back first");
    }
    const sfconv_status status = sfi_store_check(&average->state, average->net);
    if (status < 0) {
        return status;
    }
    sfi_for_each_piece(average->net, true, update_piece, average);
    return SFCONV_OK;
}

sfconv_status sfi_average_swap(sfconv_average *average)
{
    const sfconv_status status = sfi_store_check(&average->state, average->net);
    if (status < 0) {
        return status;
    }
    sfi_for_each_piece(average->net, true, swap_piece, average);
    average->exchanged = !average->exchanged;
    return SFCONV_OK;
}

static const char *const average_slots[] = {"average"};

int32_t sfi_average_state_count(const sfconv_average *average)
{
    return sfi_store_state_count(&average->state);
}

sfi_state_array sfi_average_state(const sfconv_average *average, int32_t index)
{
    return sfi_store_state(&average->state, average->net, average_slots, index);
}
