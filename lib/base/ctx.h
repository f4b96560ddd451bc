/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_CTX_H
#define SFI_CTX_H

#include "sfconv/context.h"

#include <pthread.h>
#include <stdatomic.h>

#define SFI_ERROR_CAPACITY 512
#define SFI_MAX_WORKERS 256

struct sfk_table;
struct sfi_pool;
struct sfi_error_scope;

struct sfconv_context {
    atomic_int references;
    sfconv_allocate_fn allocate;
    sfconv_release_fn release;
    void *memory_user;
    sfconv_log_fn log;
    void *log_user;
    int32_t workers;
    int32_t isa;
    /* SFCONV_CONVOLUTION_… */
    int32_t convolution;
    sfconv_parallel_for_fn parallel_for;
    void *parallel_user;
    struct sfi_pool *pool;
    /* Set once by api/ when the context is made; base/ never looks inside. */
    const struct sfk_table *kernels;
    pthread_mutex_t error_lock;
    char error[SFI_ERROR_CAPACITY];
    /* Of all threads, the innermost of each before its outer ones. */
    struct sfi_error_scope *scopes;
    /* What the environment asked for in vain, a line each; written while the context is made. */
    char warning[SFI_ERROR_CAPACITY];
};

/* Makes a context from a complete, checked descriptor; `kernels` and `isa` come from the caller. */
sfconv_status sfi_context_create(sfconv_context **context, const sfconv_context_desc *desc,
                                 const struct sfk_table *kernels, int32_t isa);
sfconv_context *sfi_context_retain(sfconv_context *context);
void sfi_context_release(sfconv_context *context);

#endif
