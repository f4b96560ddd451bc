/* SPDX-License-Identifier: BSD-2-Clause */
/* Contexts that compute the same with other workers or instructions. */
#ifndef TESTS_WHO_COMPUTES_H
#define TESTS_WHO_COMPUTES_H

#include "nets.h"

/* Runs the tasks from the last to the first, each as another worker than the one before. */
static inline void run_reversed(void *user, int64_t count, sfconv_task_fn task, void *argument)
{
    const int32_t *workers = user;
    for (int64_t i = count - 1; i >= 0; i--) {
        task(argument, i, (int32_t)(i % *workers));
    }
}

typedef struct setting {
    const char *name;
    int32_t workers;
    int32_t isa;
    bool reversed;
} setting;

/* A context of these settings, which must outlive it, or NULL where the machine lacks the
 * instruction set. */
static inline sfconv_context *context_of(const setting *wanted, int32_t convolution)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *context;
    desc.workers = wanted->workers;
    desc.isa = wanted->isa;
    desc.convolution = convolution;
    desc.parallel_for = wanted->reversed ? run_reversed : NULL;
    desc.parallel_user = (void *)&wanted->workers;
    const sfconv_status status = sfconv_context_create(&context, &desc);
    if (status == SFCONV_ERROR_UNSUPPORTED) {
        return NULL;
    }
    ck_assert_int_eq(status, SFCONV_OK);
    return context;
}

#endif
