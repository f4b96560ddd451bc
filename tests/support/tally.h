/* SPDX-License-Identifier: BSD-2-Clause */
/* An allocator that counts what is in use and refuses the request it is told to. */
#ifndef TESTS_TALLY_H
#define TESTS_TALLY_H

#include "support.h"

#include <stdbool.h>

typedef struct tally {
    atomic_llong bytes;
    atomic_llong peak;
    atomic_llong blocks;
    atomic_llong requests;
    /* Number of the request to refuse, 0 for none. */
    atomic_llong refused_request;
    atomic_bool refused;
} tally;

static inline void *tally_allocate(void *user, size_t bytes, size_t alignment)
{
    tally *self = user;
    if (atomic_fetch_add(&self->requests, 1) + 1 == atomic_load(&self->refused_request)) {
        atomic_store(&self->refused, true);
        return NULL;
    }
    void *memory = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    if (memory) {
        const long long now = atomic_fetch_add(&self->bytes, (long long)bytes) + (long long)bytes;
        long long peak = atomic_load(&self->peak);
        while (now > peak && !atomic_compare_exchange_weak(&self->peak, &peak, now)) {
        }
        atomic_fetch_add(&self->blocks, 1);
    }
    return memory;
}

static inline void tally_release(void *user, void *memory, size_t bytes)
{
    tally *self = user;
    atomic_fetch_sub(&self->bytes, (long long)bytes);
    atomic_fetch_sub(&self->blocks, 1);
    free(memory);
}

/* Refuses request `number`, counted from now on; 0 refuses none. */
static inline void tally_refuse(tally *self, int64_t number)
{
    atomic_store(&self->requests, 0);
    atomic_store(&self->refused_request, number);
    atomic_store(&self->refused, false);
}

static inline bool tally_refused(tally *self)
{
    return atomic_load(&self->refused);
}

static inline int64_t tally_bytes(tally *self)
{
    return atomic_load(&self->bytes);
}

static inline int64_t tally_blocks(tally *self)
{
    return atomic_load(&self->blocks);
}

static inline int64_t tally_requests(tally *self)
{
    return atomic_load(&self->requests);
}

/* The most in use since the last call of this. */
static inline int64_t tally_take_peak(tally *self)
{
    return atomic_exchange(&self->peak, atomic_load(&self->bytes));
}

/* A context that takes its memory from the tally. */
static inline sfconv_context *tally_context(tally *self, int32_t workers, int32_t isa)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *context;
    desc.allocate = tally_allocate;
    desc.release = tally_release;
    desc.memory_user = self;
    desc.workers = workers;
    desc.isa = isa;
    ck_assert_int_eq(sfconv_context_create(&context, &desc), SFCONV_OK);
    return context;
}

#endif
