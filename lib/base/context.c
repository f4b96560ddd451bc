/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctx.h"
#include "memory.h"
#include "parallel.h"

#include <stdlib.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

/* Blocks from here on lie in huge pages where the system has them: the channels of a pixel are a
 * plane apart, each in a page of its own, and the tables of pages hold few of the small ones. */
#define HUGE_FROM ((size_t)4 << 20)
#define HUGE_PAGE ((size_t)2 << 20)

static void *default_allocate(void *user, size_t bytes, size_t alignment)
{
    const size_t unit = bytes >= HUGE_FROM ? HUGE_PAGE : alignment;
    (void)user;
    if (bytes > SIZE_MAX - unit) {
        return NULL;
    }
    const size_t rounded = (bytes + unit - 1) / unit * unit;
    void *memory = aligned_alloc(unit, rounded);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (memory && unit == HUGE_PAGE) {
        /* Advice: where it is not taken, small pages serve. */
        (void)madvise(memory, rounded, MADV_HUGEPAGE);
    }
#endif
    return memory;
}

static void default_release(void *user, void *memory, size_t bytes)
{
    (void)user;
    (void)bytes;
    free(memory);
}

sfconv_status sfi_context_create(sfconv_context **out, const sfconv_context_desc *desc,
                                 const struct sfk_table *kernels, int32_t isa)
{
    const sfconv_allocate_fn allocate = desc->allocate ? desc->allocate : default_allocate;
    const sfconv_release_fn release = desc->release ? desc->release : default_release;
    sfconv_context *context = allocate(desc->memory_user, sizeof *context, SFI_ALIGNMENT);
    *out = NULL;
    if (!context) {
        return SFCONV_ERROR_MEMORY;
    }
    memset(context, 0, sizeof *context);
    context->allocate = allocate;
    context->release = release;
    context->memory_user = desc->memory_user;
    context->log = desc->log;
    context->log_user = desc->log_user;
    context->workers = desc->workers > 0 ? desc->workers : 1;
    context->isa = isa;
    context->convolution = desc->convolution;
    context->parallel_for = desc->parallel_for;
    context->parallel_user = desc->parallel_user;
    context->kernels = kernels;
    atomic_init(&context->references, 1);
    if (pthread_mutex_init(&context->error_lock, NULL) != 0) {
        release(desc->memory_user, context, sizeof *context);
        return SFCONV_ERROR_UNSUPPORTED;
    }
    if (!context->parallel_for && context->workers > 1) {
        const sfconv_status status = sfi_pool_create(&context->pool, context, context->workers - 1);
        if (status < 0) {
            sfi_context_release(context);
            return status;
        }
    }
    *out = context;
    return SFCONV_OK;
}

sfconv_context *sfi_context_retain(sfconv_context *context)
{
    atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

void sfi_context_release(sfconv_context *context)
{
    if (atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) != 1) {
        return;
    }
    sfi_pool_destroy(context, context->pool);
    pthread_mutex_destroy(&context->error_lock);
    context->release(context->memory_user, context, sizeof *context);
}
