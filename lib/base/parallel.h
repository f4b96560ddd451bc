/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_PARALLEL_H
#define SFI_PARALLEL_H

#include "ctx.h"

/* Runs task(argument, i, worker) for i of 0 … count-1. The split of work into tasks must depend on
 * the problem alone, never on the number of workers: that is what keeps the bits the same.
 * `worker` is below sfi_workers(context) and may index scratch memory of the caller's. A call from
 * inside a task, or while another thread uses the pool, runs on the calling thread alone. */
void sfi_parallel_for(sfconv_context *context, int64_t count, sfconv_task_fn task, void *argument);

static inline int32_t sfi_workers(const sfconv_context *context)
{
    return context->workers;
}

/* Starts the context's own threads: MEMORY, or UNSUPPORTED when the system refuses. */
sfconv_status sfi_pool_create(struct sfi_pool **pool, sfconv_context *context, int32_t threads);
void sfi_pool_destroy(sfconv_context *context, struct sfi_pool *pool);

#endif
