/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of losses, optimizers and metrics share: contexts and views. */
#ifndef TESTS_TRAIN_SUPPORT_H
#define TESTS_TRAIN_SUPPORT_H

#include "support.h"

#include "kernels.h"

#include "sfconv/tensor.h"

#include <stdbool.h>
#include <string.h>

static inline sfconv_context *context_of(int32_t workers, int32_t isa)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *context;
    desc.workers = workers;
    ck_assert_int_eq(sfi_context_create(&context, &desc, sfk_table_for(isa), isa), SFCONV_OK);
    return context;
}

static inline sfconv_context *context_of_workers(int32_t workers)
{
    return context_of(workers, sfk_best_isa(SFCONV_ISA_BEST));
}

/* An allocator that refuses once `left` requests were served; `held` counts blocks in use. */
struct rationed_memory {
    int left;
    int held;
};

static inline void *rationed_allocate(void *user, size_t bytes, size_t alignment)
{
    struct rationed_memory *memory = user;
    if (memory->left == 0) {
        return NULL;
    }
    memory->left--;
    memory->held++;
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static inline void rationed_release(void *user, void *block, size_t bytes)
{
    struct rationed_memory *memory = user;
    (void)bytes;
    memory->held--;
    free(block);
}

static inline sfconv_context *context_of_memory(struct rationed_memory *memory)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *context;
    desc.allocate = rationed_allocate;
    desc.release = rationed_release;
    desc.memory_user = memory;
    ck_assert_int_eq(sfi_context_create(&context, &desc, NULL, SFCONV_ISA_REFERENCE), SFCONV_OK);
    return context;
}

/* A contiguous view of four axes. */
static inline sfconv_view view_of(float *data, int64_t n, int64_t c, int64_t h, int64_t w)
{
    const sfconv_view view = {data, 4, 0, {n, c, h, w}, {c * h * w, h * w, w, 1}};
    return view;
}

static inline bool last_error_holds(sfconv_context *context, const char *text)
{
    return strstr(context->error, text) != NULL;
}

#endif
