/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFCONV_CONTEXT_H
#define SFCONV_CONTEXT_H

#include "sfconv/status.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * What all objects of a program share: memory, worker threads, the log and the last error.
 * Every object keeps its context alive; the last one to go frees it, so the order in which a
 * program destroys context and objects does not matter.
 * Thread-safety: one context may serve any number of threads at a time. A child process made by
 * fork() while no other thread was in a call may use and destroy the objects it has copies of; its
 * calls compute on their own thread alone.
 * Since: 0.1
 */
typedef struct sfconv_context sfconv_context;

/** Returns `bytes` (> 0) bytes aligned to `alignment` (a power of two, at most 64), or NULL. May be
 * called from several threads at a time. Since: 0.1 */
typedef void *(*sfconv_allocate_fn)(void *user, size_t bytes, size_t alignment);
/** Gives back what sfconv_allocate_fn returned; `bytes` is what was asked for. Since: 0.1 */
typedef void (*sfconv_release_fn)(void *user, void *memory, size_t bytes);

#define SFCONV_LOG_ERROR 1
#define SFCONV_LOG_WARNING 2
#define SFCONV_LOG_INFO 3
/** Receives a line without newline. May be called from several threads at a time; the text is valid
 * during the call. Since: 0.1 */
typedef void (*sfconv_log_fn)(void *user, int32_t level, const char *text);

/** A piece of work; `worker` is below the `workers` of the context and differs between pieces that
 * run at the same time. Since: 0.1 */
typedef void (*sfconv_task_fn)(void *argument, int64_t index, int32_t worker);
/** Calls task(argument, i, worker) once for each i of 0 … count-1, in any order and on any threads,
 * and returns when all are done. Results never depend on order or number of threads. Since: 0.1 */
typedef void (*sfconv_parallel_for_fn)(void *user, int64_t count, sfconv_task_fn task,
                                       void *argument);

/** Called now and then during long work with the part that is done, 0 to 1; a result other than 0
 * cancels the work, which then returns SFCONV_ERROR_CANCELLED and has changed nothing.
 * Since: 0.1 */
typedef int32_t (*sfconv_progress_fn)(void *user, double part);

#define SFCONV_ISA_BEST 0
#define SFCONV_ISA_REFERENCE 1
#define SFCONV_ISA_AVX2 2
#define SFCONV_ISA_AVX512 3
#define SFCONV_ISA_NEON 4

/** Where the counts of operations promise time, by Winograd's algorithms, elsewhere directly. */
#define SFCONV_CONVOLUTION_AUTO 0
/** Always directly: one multiply-add a term, each rounded once. */
#define SFCONV_CONVOLUTION_DIRECT 1
/** By Winograd's algorithms wherever they apply. */
#define SFCONV_CONVOLUTION_WINOGRAD 2

/**
 * Settings of a context. All but struct_size may stay zero.
 * Since: 0.1
 */
typedef struct sfconv_context_desc {
    /** sizeof(sfconv_context_desc) of the caller; fields behind it take their defaults. */
    size_t struct_size;
    /** Both or none; none: the C library's aligned_alloc and free. */
    sfconv_allocate_fn allocate;
    sfconv_release_fn release;
    void *memory_user;
    /** NULL: no log. */
    sfconv_log_fn log;
    void *log_user;
    /** Threads that take part in a call, the caller's own included: 1 to 256, 0 for 1. Without
     * parallel_for the context starts workers - 1 threads that sleep when idle. */
    int32_t workers;
    /** SFCONV_ISA_…: the widest instruction set to use. The environment variable SFCONV_ISA
     * (reference, avx2, avx512, neon) lowers it further; one that this machine lacks is not used,
     * and sfconv_context_warning() says so. */
    int32_t isa;
    /** NULL: the context's own threads. */
    sfconv_parallel_for_fn parallel_for;
    void *parallel_user;
    /** SFCONV_CONVOLUTION_…: how dense convolutions without dilation and groups are computed: those
     * of 3x3 taps without stride, and their gradients by the input, by F(4x4, 3x3); those of 5 to 8
     * horizontal taps and horizontal stride 2, and their gradients by the weight, by F(4, 4) along
     * rows. In rank space also the vertical halves of factorized ones whose map is stored, by
     * F(4, 3) along columns. Winograd's algorithms take about half the time. On usual data both
     * errors are about 1e-6 of the largest output; docs/mathematics.md bounds those of Winograd's.
     * Each choice has bits of its own, the same on every machine and for any number of workers. The
     * environment variable SFCONV_CONVOLUTION (auto, direct, winograd) takes the place of this
     * setting; another word is not followed, and sfconv_context_warning() says so. Since: 0.1 */
    int32_t convolution;
} sfconv_context_desc;

#define SFCONV_CONTEXT_DESC_INIT                                                                   \
    {                                                                                              \
        sizeof(sfconv_context_desc), NULL, NULL, NULL, NULL, NULL, 1, SFCONV_ISA_BEST, NULL, NULL, \
            SFCONV_CONVOLUTION_AUTO                                                                \
    }

/**
 * Makes a context. `desc` may be NULL: one worker, malloc, no log.
 * Ownership: *context is the caller's, freed by sfconv_context_destroy(); NULL on failure.
 * Errors: ARGUMENT (context NULL, workers out of range, one of allocate/release alone, unknown isa,
 * an unknown tail of desc that is not zero), MEMORY, UNSUPPORTED (isa that this machine lacks,
 * threads that cannot be started). Of a refused desc the reason goes to its log alone.
 * Since: 0.1
 */
SFCONV_API sfconv_status sfconv_context_create(sfconv_context **context,
                                               const sfconv_context_desc *desc);

/** Lets go of the caller's hold; NULL is allowed. Since: 0.1 */
SFCONV_API void sfconv_context_destroy(sfconv_context *context);

/** The reason of the last failed call that had this context or one of its objects; "" before the
 * first, and for NULL. A call whose handle is NULL or of another kind has none, nor has one without
 * a handle (sfconv_view_init(), sfconv_view_copy()): the text is then still that of an earlier
 * failure. Valid until the next failing call; where threads share the context use
 * sfconv_context_copy_last_error(). Since: 0.1 */
SFCONV_API const char *sfconv_context_last_error(const sfconv_context *context);

/** Copies the reason into `buffer` (`capacity` bytes, cut and terminated) and returns the length of
 * the whole text. Any thread. Since: 0.1 */
SFCONV_API size_t sfconv_context_copy_last_error(sfconv_context *context, char *buffer,
                                                 size_t capacity);

/** What the environment asked for when the context was made and did not get, and what is used
 * instead, a line each (no newline at the end): "SFCONV_ISA=neon is not available …; avx2 is used".
 * "" where everything was followed, and for NULL. The log has had the same lines as warnings. Valid
 * as long as the context. Any thread. Since: 0.1 */
SFCONV_API const char *sfconv_context_warning(const sfconv_context *context);

/** Instruction set in use: SFCONV_ISA_…, 0 for NULL. Since: 0.1 */
SFCONV_API int32_t sfconv_context_isa(const sfconv_context *context);

/** Number of workers, 0 for NULL. Since: 0.1 */
SFCONV_API int32_t sfconv_context_workers(const sfconv_context *context);

#ifdef __cplusplus
}
#endif

#endif
