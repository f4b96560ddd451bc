/* SPDX-License-Identifier: BSD-2-Clause */
/* Every kernel at the shapes of real layers, once for two visitors: tests/unit/test_kernel_cases.c
 * compares the bits of all tables, tests/bench/bench_kernels.c measures the speed of one.
 *
 * The list of kernels names a function for each: `void relu_cases(kernel_cases *cases)`; a kernel
 * without one does not link. It makes its data and states its cases:
 *
 *     float *out = case_floats(cases, 3136);
 *     const float *in = case_floats(cases, 3136);
 *     KERNEL_CASE(cases, "56x56", moves(3136, 3136), cases->kernels->relu(out, in, 3136));
 */
#ifndef TESTS_KERNEL_CASES_H
#define TESTS_KERNEL_CASES_H

#include "kernels.h"

#include <stddef.h>

#define CASE_COUNT(array) ((int64_t)(sizeof(array) / sizeof(*(array))))

/* What bounds the speed of a call. */
enum kernel_limit { LIMIT_FLOAT_FMA, LIMIT_DOUBLE_FMA, LIMIT_COPY, LIMIT_READ };

typedef struct kernel_work {
    enum kernel_limit limit;
    /* Multiply-adds, or bytes read and written. */
    double amount;
} kernel_work;

static inline kernel_work multiply_adds(int64_t count)
{
    return (kernel_work){LIMIT_FLOAT_FMA, (double)count};
}

static inline kernel_work double_multiply_adds(int64_t count)
{
    return (kernel_work){LIMIT_DOUBLE_FMA, (double)count};
}

/* Floats that are read and written. */
static inline kernel_work moves(int64_t read, int64_t written)
{
    return (kernel_work){written > 0 ? LIMIT_COPY : LIMIT_READ, 4.0 * (double)(read + written)};
}

/* Data of a kernel's cases; what lies behind `used` is slack. */
typedef struct case_block {
    void *data;
    size_t used;
    size_t size;
    bool holds_numbers;
} case_block;

#define MAX_CASE_BLOCKS 200

typedef struct kernel_cases kernel_cases;
struct kernel_cases {
    /* Set by the visitor: the table to call, and how often the next batch calls. */
    const sfk_table *kernels;
    int64_t calls;
    /* Whether there is another batch; called before each. */
    bool (*more)(kernel_cases *cases);
    void *visitor;
    /* The case. */
    const char *kernel;
    const char *label;
    kernel_work work;
    /* Batches of it so far. */
    int64_t batches;
    case_block blocks[MAX_CASE_BLOCKS];
    int block_count;
};

/* `call` may be any statement that calls a kernel of cases->kernels; where results of tables are
 * compared, it starts from the same data for each. */
#define KERNEL_CASE(cases, text, amount_of_work, call)                                             \
    for (kernel_case_begin(cases, text, amount_of_work); kernel_case_more(cases);) {               \
        for (int64_t calls_left = (cases)->calls; calls_left > 0; calls_left--) {                  \
            call;                                                                                  \
        }                                                                                          \
    }

void kernel_case_begin(kernel_cases *cases, const char *label, kernel_work work);
bool kernel_case_more(kernel_cases *cases);

/* Numbers between -1 and 1, aligned to 64 bytes, with SFK_SLACK more behind and in front. Freed
 * behind the kernel's last case. */
float *case_floats(kernel_cases *cases, int64_t count);
double *case_doubles(kernel_cases *cases, int64_t count);
/* Zeros. */
uint8_t *case_bytes(kernel_cases *cases, int64_t count);
/* Zeros with as much slack, for what tables lay out each in its way: no bits are compared. */
float *case_scratch(kernel_cases *cases, int64_t count);
/* rows[i] = first + i·stride; of these no bits are compared. */
const float **case_rows(kernel_cases *cases, const float *first, int64_t stride, int64_t count);
int64_t *case_steps(kernel_cases *cases, int64_t stride, int64_t count);
/* `taps` weights of each channel, and their scales. */
const sfk_pair_part *case_part(kernel_cases *cases, int64_t channels, int64_t taps);

#define SFK_KERNEL(name, parameters) void name##_cases(kernel_cases *cases);
#include "kernel_list.inc"
#undef SFK_KERNEL

/* Visits the cases of every kernel whose name holds `pattern`; "" is in all. Returns their number.
 */
int64_t visit_kernel_cases(kernel_cases *cases, const char *pattern);

#endif
