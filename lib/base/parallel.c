/* SPDX-License-Identifier: BSD-2-Clause */
#include "parallel.h"
#include "memory.h"

#include <stdbool.h>

struct sfi_pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_cond_t done;
    pthread_mutex_t owner;
    uint64_t round;
    bool stop;
    int32_t busy;
    int32_t started;
    int32_t capacity;
    int64_t count;
    atomic_llong next;
    sfconv_task_fn task;
    void *argument;
    struct sfi_worker {
        struct sfi_pool *pool;
        pthread_t thread;
        int32_t index;
    } workers[];
};

static size_t pool_bytes(int32_t threads)
{
    return sizeof(struct sfi_pool) + (size_t)threads * sizeof(struct sfi_worker);
}

static void take_tasks(struct sfi_pool *pool, int32_t worker)
{
    for (;;) {
        const int64_t index = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (index >= pool->count) {
            return;
        }
        pool->task(pool->argument, index, worker);
    }
}

static void *worker_main(void *argument)
{
    struct sfi_worker *self = argument;
    struct sfi_pool *pool = self->pool;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (pool->round == seen && !pool->stop) {
            pthread_cond_wait(&pool->wake, &pool->lock);
        }
        if (pool->stop) {
            break;
        }
        seen = pool->round;
        pthread_mutex_unlock(&pool->lock);
        take_tasks(pool, self->index);
        pthread_mutex_lock(&pool->lock);
        if (--pool->busy == 0) {
            pthread_cond_signal(&pool->done);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

sfconv_status sfi_pool_create(struct sfi_pool **out, sfconv_context *context, int32_t threads)
{
    struct sfi_pool *pool = sfi_calloc(context, 1, pool_bytes(threads));
    *out = NULL;
    if (!pool) {
        return SFCONV_ERROR_MEMORY;
    }
    pool->capacity = threads;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_mutex_init(&pool->owner, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    for (int32_t i = 0; i < threads; i++) {
        struct sfi_worker *worker = &pool->workers[i];
        worker->pool = pool;
        worker->index = i + 1;
        if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0) {
            sfi_pool_destroy(context, pool);
            return SFCONV_ERROR_UNSUPPORTED;
        }
        pool->started++;
    }
    *out = pool;
    return SFCONV_OK;
}

void sfi_pool_destroy(sfconv_context *context, struct sfi_pool *pool)
{
    if (!pool) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    for (int32_t i = 0; i < pool->started; i++) {
        pthread_join(pool->workers[i].thread, NULL);
    }
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->owner);
    pthread_mutex_destroy(&pool->lock);
    sfi_free(context, pool, pool_bytes(pool->capacity));
}

static void run_on_pool(struct sfi_pool *pool, int64_t count, sfconv_task_fn task, void *argument)
{
    pthread_mutex_lock(&pool->lock);
    pool->count = count;
    pool->task = task;
    pool->argument = argument;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    pool->busy = pool->started;
    pool->round++;
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    take_tasks(pool, 0);
    pthread_mutex_lock(&pool->lock);
    while (pool->busy > 0) {
        pthread_cond_wait(&pool->done, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
}

void sfi_parallel_for(sfconv_context *context, int64_t count, sfconv_task_fn task, void *argument)
{
    if (count > 1 && context->workers > 1 && context->parallel_for) {
        context->parallel_for(context->parallel_user, count, task, argument);
        return;
    }
    /* The owner's lock is held by the caller's own thread too when a task calls back in here, and a
     * plain mutex then answers busy: both cases go on alone. */
    if (count > 1 && context->pool && pthread_mutex_trylock(&context->pool->owner) == 0) {
        run_on_pool(context->pool, count, task, argument);
        pthread_mutex_unlock(&context->pool->owner);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        task(argument, i, 0);
    }
}
