/* SPDX-License-Identifier: BSD-2-Clause */
#include "parameter_pieces.h"

#include "error.h"
#include "memory.h"
#include "parallel.h"

#include <assert.h>

/* Fewer numbers than this are not worth a task. */
#define LEAST_NUMBERS 8192
/* Arrays of a store begin at multiples of 64 bytes. */
#define ALIGNED_FLOATS ((int64_t)(SFI_ALIGNMENT / sizeof(float)))

struct pieces_job {
    const sfconv_net *net;
    bool buffers;
    sfi_chunks chunks;
    sfi_piece_fn work;
    void *argument;
};

static int64_t counted(const sfconv_net *net, int32_t parameter, bool buffers)
{
    const sfi_parameter *tensor = net->parameters[parameter].parameter;
    return buffers || sfi_parameter_trainable(tensor) ? tensor->count : 0;
}

static void chunk_task(void *argument, int64_t index, int32_t worker)
{
    const struct pieces_job *job = argument;
    const int64_t begin = sfi_chunk_begin(&job->chunks, index);
    const int64_t end = sfi_chunk_end(&job->chunks, index);
    int64_t start = 0;
    (void)worker;
    for (int32_t i = 0; i < job->net->parameter_count && start < end; i++) {
        const int64_t count = counted(job->net, i, job->buffers);
        const int64_t from = sfi_max(begin - start, 0);
        const int64_t to = sfi_min(end - start, count);
        if (from < to) {
            const sfi_piece piece = {index, i, from, to - from};
            job->work(job->argument, &piece);
        }
        start += count;
    }
}

void sfi_for_each_piece(const sfconv_net *net, bool buffers, sfi_piece_fn work, void *argument)
{
    int64_t total = 0;
    for (int32_t i = 0; i < net->parameter_count; i++) {
        total += counted(net, i, buffers);
    }
    struct pieces_job job = {net, buffers, sfi_chunks_of(total, LEAST_NUMBERS), work, argument};
    sfi_parallel_for(net->context, job.chunks.count, chunk_task, &job);
}

static int64_t aligned(int64_t count)
{
    return sfi_ceil_div(count, ALIGNED_FLOATS) * ALIGNED_FLOATS;
}

static bool store_bytes(const sfconv_net *net, int32_t slots, bool buffers, int64_t *bytes)
{
    int64_t total = 0;
    for (int32_t i = 0; i < net->parameter_count; i++) {
        if (!sfi_add(&total, total, aligned(counted(net, i, buffers)))) {
            return false;
        }
    }
    return sfi_mul(&total, total, slots) && sfi_mul(bytes, total, (int64_t)sizeof(float));
}

static void share_out(sfi_parameter_store *store, const sfconv_net *net, bool buffers)
{
    float *next = store->block;
    for (int32_t slot = 0; slot < store->slots; slot++) {
        for (int32_t i = 0; i < store->parameter_count; i++) {
            const int64_t count = counted(net, i, buffers);
            store->counts[i] = count;
            store->arrays[slot * store->parameter_count + i] = count ? next : NULL;
            next += aligned(count);
        }
    }
}

sfconv_status sfi_store_create(sfi_parameter_store *store, const sfconv_net *net, int32_t slots,
                               bool buffers)
{
    const size_t parameters = (size_t)net->parameter_count;
    int64_t bytes;
    *store = (sfi_parameter_store){
        .context = net->context, .slots = slots, .parameter_count = net->parameter_count};
    if (!store_bytes(net, slots, buffers, &bytes)) {
        return sfi_fail(net->context, SFCONV_ERROR_OVERFLOW,
                        "state of the parameters: its size overflows");
    }
    if (bytes == 0) {
        return SFCONV_OK;
    }
    store->block_bytes = (size_t)bytes;
    store->counts = sfi_calloc(net->context, parameters, sizeof *store->counts);
    store->arrays = sfi_calloc(net->context, parameters * (size_t)slots, sizeof *store->arrays);
    store->block = sfi_calloc(net->context, 1, store->block_bytes);
    if (!store->counts || !store->arrays || !store->block) {
        sfi_store_destroy(store);
        return sfi_fail_memory(net->context, "state of the parameters", (size_t)bytes);
    }
    share_out(store, net, buffers);
    return SFCONV_OK;
}

void sfi_store_destroy(sfi_parameter_store *store)
{
    const size_t parameters = (size_t)store->parameter_count;
    sfi_free(store->context, store->counts, parameters * sizeof *store->counts);
    sfi_free(store->context, store->arrays,
             parameters * (size_t)store->slots * sizeof *store->arrays);
    sfi_free(store->context, store->block, store->block_bytes);
    *store = (sfi_parameter_store){.context = store->context};
}

sfconv_status sfi_store_check(const sfi_parameter_store *store, const sfconv_net *net)
{
    bool same = store->parameter_count == net->parameter_count;
    for (int32_t i = 0; same && store->block && i < net->parameter_count; i++) {
        same = !store->counts[i] || store->counts[i] == net->parameters[i].parameter->count;
    }
    if (!same) {
        return sfi_fail(net->context, SFCONV_ERROR_STATE,
                        "the net's parameters are no longer those of the time of creation");
    }
    return SFCONV_OK;
}

int32_t sfi_store_state_count(const sfi_parameter_store *store)
{
    int32_t count = 0;
    for (int32_t i = 0; store->block && i < store->parameter_count; i++) {
        count += store->counts[i] > 0;
    }
    return count * store->slots;
}

sfi_state_array sfi_store_state(const sfi_parameter_store *store, const sfconv_net *net,
                                const char *const *slot_names, int32_t index)
{
    const int32_t kept = sfi_store_state_count(store) / store->slots;
    const int32_t slot = index / kept;
    int32_t skip = index % kept;
    int32_t parameter = 0;
    assert(index >= 0 && slot < store->slots);
    while (store->counts[parameter] == 0 || skip-- > 0) {
        parameter++;
    }
    return (sfi_state_array){net->parameters[parameter].name, slot_names[slot],
                             sfi_store_array(store, slot, parameter), store->counts[parameter]};
}
