/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctx.h"
#include "memory.h"
#include "parallel.h"

#include <stdlib.h>
#include <string.h>

static void *default_allocate(void *user, size_t bytes, size_t alignment)
{
    (void)user;
    if (bytes > SIZE_MAX - alignment) {
        return NULL;
    }
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
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
