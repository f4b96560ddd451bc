/* SPDX-License-Identifier: BSD-2-Clause */
#include "parallel.h"
#include "cpu.h"
#include "memory.h"
#include "sizes.h"

#include <sched.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

/* How long a thread that waits looks before it sleeps. A system takes up to a tenth of a
 * millisecond to wake one, as long as some layers take, and between two images a caller often needs
 * no longer than this to bring the next. */
#define NANOSECONDS_AWAKE 1000000
/* From then on whoever else wants the core has it between two readings of the clock. */
#define NANOSECONDS_ALONE 100000
/* The clock is read once for so many looks. */
#define LOOKS_A_READING 32
/* Processors that a worker leaves to others. */
#define MOST_OCCUPIED 64
/* Bytes between what different threads write all the time. */
#define APART 64

/* The gate counts rounds above these: whether the pool ends, whether the round is over, and how
 * many workers are in. */
#define GATE_ROUND (UINT64_C(1) << 34)
#define GATE_STOP (UINT64_C(1) << 33)
#define GATE_CLOSED (UINT64_C(1) << 32)
#define GATE_WORKERS (GATE_CLOSED - 1)

/* `count`, `task` and `argument` belong to the caller while the gate is closed and nobody is in,
 * and to nobody before that. A round begins when the caller opens the gate of the next one. Workers
 * come in while it is open; the caller closes it when no task is left, and waits for those who are
 * in alone, not for one that still sleeps. */
struct sfi_pool {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_cond_t done;
    pthread_mutex_t owner;
    /* That has the threads: a copy of it by fork() has none of them, and locks as they were. */
    pid_t process;
    bool awake;
    int32_t started;
    int32_t capacity;
    int64_t count;
    sfconv_task_fn task;
    void *argument;
    atomic_ullong gate;
    /* Threads that sleep, or look at the gate for the last time before they do. One order of all
     * changes of both: who changes the gate sees them, or they see the change. */
    atomic_int asleep;
    char after_gate[APART];
    /* The caller, without a thread, and the threads. A worker begins with tasks of its own that
     * follow each other, the same in each round of as many: what they wrote in the round before is
     * in the caches of its core. Then it takes those that others have left. */
    struct sfi_worker {
        struct sfi_pool *pool;
        pthread_t thread;
        int32_t index;
        atomic_llong next;
        /* Where it began with the last round. */
        atomic_int processor;
        char after_next[APART];
    } workers[];
};

static size_t pool_bytes(int32_t threads)
{
    return sizeof(struct sfi_pool) + ((size_t)threads + 1) * sizeof(struct sfi_worker);
}

/* The first task of a worker, and of the one behind the last. */
static int64_t first_task(const struct sfi_pool *pool, int32_t worker)
{
    return sfi_part_begin(pool->count, pool->started + 1, worker);
}

static void take_tasks_of(struct sfi_pool *pool, int32_t owner, int32_t worker)
{
    const int64_t end = first_task(pool, owner + 1);
    for (;;) {
        const int64_t index =
            atomic_fetch_add_explicit(&pool->workers[owner].next, 1, memory_order_relaxed);
        if (index >= end) {
            return;
        }
        pool->task(pool->argument, index, worker);
    }
}

static void take_tasks(struct sfi_pool *pool, int32_t worker)
{
    for (int32_t owner = worker; owner <= pool->started; owner++) {
        take_tasks_of(pool, owner, worker);
    }
    for (int32_t owner = 0; owner < worker; owner++) {
        take_tasks_of(pool, owner, worker);
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

static uint64_t gate_of(struct sfi_pool *pool)
{
    return atomic_load(&pool->gate);
}

/* One behind round `seen`, or the end of the pool. */
static bool round_began(struct sfi_pool *pool, uint64_t seen)
{
    return gate_of(pool) / GATE_ROUND != seen;
}

static bool nobody_in(struct sfi_pool *pool, uint64_t unused)
{
    (void)unused;
    return (gate_of(pool) & GATE_WORKERS) == 0;
}

static int64_t nanoseconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Whether `happened` before it is time to sleep. */
static bool look_awake(struct sfi_pool *pool, bool (*happened)(struct sfi_pool *, uint64_t),
                       uint64_t seen)
{
    const int64_t begin = pool->awake ? nanoseconds() : 0;
    int64_t waited = 0;
    do {
        if (waited > NANOSECONDS_ALONE) {
            sched_yield();
        }
        for (int32_t i = 0; i < LOOKS_A_READING; i++) {
            if (happened(pool, seen)) {
                return true;
            }
            rest_briefly();
        }
        waited = pool->awake ? nanoseconds() - begin : NANOSECONDS_AWAKE;
    } while (waited < NANOSECONDS_AWAKE);
    return false;
}

/* Awake for a while, then asleep; who makes it happen signals `condition` under the lock. */
static void wait_until(struct sfi_pool *pool, bool (*happened)(struct sfi_pool *, uint64_t),
                       uint64_t seen, pthread_cond_t *condition)
{
    if (look_awake(pool, happened, seen)) {
        return;
    }
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->asleep, 1);
    while (!happened(pool, seen)) {
        pthread_cond_wait(condition, &pool->lock);
    }
    atomic_fetch_sub(&pool->asleep, 1);
    pthread_mutex_unlock(&pool->lock);
}

/* False: the round is over already. `seen` becomes its number. */
static bool come_in(struct sfi_pool *pool, uint64_t *seen)
{
    unsigned long long gate = gate_of(pool);
    do {
        *seen = gate / GATE_ROUND;
        if (gate & GATE_CLOSED) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&pool->gate, &gate, gate + 1,
                                                    memory_order_acq_rel, memory_order_acquire));
    return true;
}

static void go_out(struct sfi_pool *pool)
{
    const uint64_t before = atomic_fetch_sub_explicit(&pool->gate, 1, memory_order_acq_rel);
    if ((before & GATE_CLOSED) && (before & GATE_WORKERS) == 1) {
        /* The lock: the caller has either seen the last one go or sleeps already. */
        pthread_mutex_lock(&pool->lock);
        pthread_cond_signal(&pool->done);
        pthread_mutex_unlock(&pool->lock);
    }
}

static void note_processor(struct sfi_worker *self, int32_t processor)
{
    atomic_store_explicit(&self->processor, processor, memory_order_relaxed);
}

static int32_t processor_of(const struct sfi_pool *pool, int32_t worker)
{
    return atomic_load_explicit(&pool->workers[worker].processor, memory_order_relaxed);
}

/* A system with few processors that wakes a worker while they are busy leaves it on the caller's
 * for as long as hundreds of rounds take, where it only runs while the caller does not. */
static void leave_caller(struct sfi_worker *self)
{
    const struct sfi_pool *pool = self->pool;
    if (!pool->awake) {
        return;
    }
    const int32_t processor = sfi_current_processor();
    note_processor(self, processor);
    if (processor < 0 || processor != processor_of(pool, 0)) {
        return;
    }
    int32_t occupied[MOST_OCCUPIED];
    int32_t count = 0;
    for (int32_t i = 0; i <= pool->started && count < MOST_OCCUPIED; i++) {
        if (i != self->index) {
            occupied[count++] = processor_of(pool, i);
        }
    }
    sfi_leave_processors(occupied, count);
    note_processor(self, sfi_current_processor());
}

static void *worker_main(void *argument)
{
    struct sfi_worker *self = argument;
    struct sfi_pool *pool = self->pool;
    for (uint64_t seen = 0; !(gate_of(pool) & GATE_STOP);) {
        wait_until(pool, round_began, seen, &pool->wake);
        leave_caller(self);
        if (come_in(pool, &seen)) {
            take_tasks(pool, self->index);
            go_out(pool);
        }
    }
    return NULL;
}

static bool has_its_threads(const struct sfi_pool *pool)
{
    return pool->process == getpid();
}

/* To the gate, for all to see. */
static void begin(struct sfi_pool *pool, uint64_t change)
{
    atomic_fetch_add(&pool->gate, change);
    if (atomic_load(&pool->asleep) > 0 && has_its_threads(pool)) {
        pthread_mutex_lock(&pool->lock);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->lock);
    }
}

sfconv_status sfi_pool_create(struct sfi_pool **out, sfconv_context *context, int32_t threads)
{
    struct sfi_pool *pool = sfi_calloc(context, 1, pool_bytes(threads));
    *out = NULL;
    if (!pool) {
        return SFCONV_ERROR_MEMORY;
    }
    pool->capacity = threads;
    pool->process = getpid();
    /* Who waits awake takes the core of who works where there are more threads than cores. */
    pool->awake = threads < sfi_usable_processors();
    atomic_init(&pool->gate, GATE_CLOSED);
    atomic_init(&pool->asleep, 0);
    atomic_init(&pool->workers[0].processor, -1);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_mutex_init(&pool->owner, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->done, NULL);
    for (int32_t i = 1; i <= threads; i++) {
        struct sfi_worker *worker = &pool->workers[i];
        worker->pool = pool;
        worker->index = i;
        atomic_init(&worker->processor, -1);
        if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0) {
            sfi_pool_destroy(context, pool);
            return SFCONV_ERROR_UNSUPPORTED;
        }
        pool->started++;
    }
    *out = pool;
    return SFCONV_OK;
}

static void end_threads(struct sfi_pool *pool)
{
    begin(pool, GATE_ROUND + GATE_STOP);
    for (int32_t i = 1; i <= pool->started; i++) {
        pthread_join(pool->workers[i].thread, NULL);
    }
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->owner);
    pthread_mutex_destroy(&pool->lock);
}

void sfi_pool_destroy(sfconv_context *context, struct sfi_pool *pool)
{
    if (!pool) {
        return;
    }
    if (has_its_threads(pool)) {
        end_threads(pool);
    }
    sfi_free(context, pool, pool_bytes(pool->capacity));
}

static void run_on_pool(struct sfi_pool *pool, int64_t count, sfconv_task_fn task, void *argument)
{
    note_processor(&pool->workers[0], sfi_current_processor());
    pool->count = count;
    pool->task = task;
    pool->argument = argument;
    for (int32_t i = 0; i <= pool->started; i++) {
        atomic_store_explicit(&pool->workers[i].next, first_task(pool, i), memory_order_relaxed);
    }
    begin(pool, GATE_ROUND - GATE_CLOSED);
    take_tasks(pool, 0);
    atomic_fetch_or_explicit(&pool->gate, GATE_CLOSED, memory_order_acq_rel);
    wait_until(pool, nobody_in, 0, &pool->done);
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
