/* SPDX-License-Identifier: BSD-2-Clause */
#include "parallel.h"
#include "memory.h"

#include <stdbool.h>
#include <unistd.h>

/* A thread that waits looks this often, some tenth of a millisecond, before it sleeps: the next
 * step of a net comes sooner than the system wakes a thread. */
#define LOOKS_AWAKE 4000
/* Bytes between what different threads write all the time. */
#define APART 64

/* `count`, `task` and `argument` belong to the caller while `busy` is 0, and do not change until it
 * is 0 again. A new `round` hands them to the workers. */
struct sfi_pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_cond_t done;
    pthread_mutex_t owner;
    bool stop;
    int32_t looks;
    int32_t started;
    int32_t capacity;
    int64_t count;
    sfconv_task_fn task;
    void *argument;
    /* Stored under the lock, looked at without it. */
    atomic_ullong round;
    char after_round[APART];
    atomic_llong next;
    char after_next[APART];
    /* Workers that have not finished the round. */
    atomic_int busy;
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

static void rest_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static bool round_began(struct sfi_pool *pool, uint64_t seen)
{
    return atomic_load_explicit(&pool->round, memory_order_acquire) != seen;
}

static bool round_ended(struct sfi_pool *pool)
{
    return atomic_load_explicit(&pool->busy, memory_order_acquire) == 0;
}

/* Awake for a while, then asleep. False when the pool ends. */
static bool wait_for_round(struct sfi_pool *pool, uint64_t seen)
{
    for (int32_t i = 0; i < pool->looks; i++) {
        if (round_began(pool, seen)) {
            return true;
        }
        rest_briefly();
    }
    pthread_mutex_lock(&pool->lock);
    while (!round_began(pool, seen) && !pool->stop) {
        pthread_cond_wait(&pool->wake, &pool->lock);
    }
    const bool go_on = !pool->stop;
    pthread_mutex_unlock(&pool->lock);
    return go_on;
}

static void wait_for_workers(struct sfi_pool *pool)
{
    for (int32_t i = 0; i < pool->looks; i++) {
        if (round_ended(pool)) {
            return;
        }
        rest_briefly();
    }
    pthread_mutex_lock(&pool->lock);
    while (!round_ended(pool)) {
        pthread_cond_wait(&pool->done, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
}

static void *worker_main(void *argument)
{
    struct sfi_worker *self = argument;
    struct sfi_pool *pool = self->pool;
    /* No round begins before every worker has finished the one before it, so none is missed. */
    for (uint64_t seen = 0; wait_for_round(pool, seen); seen++) {
        take_tasks(pool, self->index);
        if (atomic_fetch_sub_explicit(&pool->busy, 1, memory_order_acq_rel) == 1) {
            /* The lock: the caller has either seen the end or sleeps already. */
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->lock);
        }
    }
    return NULL;
}

/* Who waits awake takes the core of who works where there are more threads than cores. */
static int32_t looks_awake(int32_t threads)
{
    return threads < sysconf(_SC_NPROCESSORS_ONLN) ? LOOKS_AWAKE : 0;
}

sfconv_status sfi_pool_create(struct sfi_pool **out, sfconv_context *context, int32_t threads)
{
    struct sfi_pool *pool = sfi_calloc(context, 1, pool_bytes(threads));
    *out = NULL;
    if (!pool) {
        return SFCONV_ERROR_MEMORY;
    }
    pool->capacity = threads;
    pool->looks = looks_awake(threads);
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
    pool->count = count;
    pool->task = task;
    pool->argument = argument;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->busy, pool->started, memory_order_relaxed);
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add_explicit(&pool->round, 1, memory_order_release);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    take_tasks(pool, 0);
    wait_for_workers(pool);
}

void sfi_parallel_for(sfconv_context *context, int64_t count, sfconv_task_fn task, void *argument)
{
    if (count > 1 && context->workers > 1 && context->parallel_for) {
        context->parallel_for(context->parallel_user, count, task, argument);
        return;
    }
    /* The owner's lock is held by the caller's own thread too when a task calls back in here, and a
     * plain mutex then answers busy: both cases go on alone. */
    struct sfi_pool *const pool = context->pool;
    if (count > 1 && pool && pthread_mutex_trylock(&pool->owner) == 0) {
        run_on_pool(pool, count, task, argument);
        pthread_mutex_unlock(&pool->owner);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        task(argument, i, 0);
    }
}
