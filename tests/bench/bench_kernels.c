/* SPDX-License-Identifier: BSD-2-Clause */
/* Speed of every kernel at the shapes of real layers, beside what the machine can do at most:
 *   bench_kernels [PATTERN [ISA]]
 * measures the kernels whose name holds PATTERN on one thread by processor time, so that other
 * programs disturb little. Kernels of arithmetic stand beside fused multiply-adds in registers,
 * those that pass over memory beside a loop that copies, or only reads, as many bytes; each sample
 * of a kernel is taken right behind one of its limit, and medians are printed. */
#include "cpu.h"
#include "kernel_cases.h"
#include "machine.h"

#include "sfconv/context.h"

#include <stdio.h>
#include <stdlib.h>

#define SAMPLES 7
/* Seconds of one sample. */
#define SAMPLE 1e-3

typedef struct bench {
    double begin;
    /* Of the sample that runs; below 0: calls are still being counted. */
    int sample;
    double times[SAMPLES];
    double limits[SAMPLES];
    machine_buffer buffer;
} bench;

static double limit_now(const kernel_work *work, const machine_buffer *buffer)
{
    switch (work->limit) {
    case LIMIT_FLOAT_FMA:
        return machine_peak() / 2;
    case LIMIT_DOUBLE_FMA:
        /* A vector holds half as many. */
        return machine_peak() / 4;
    case LIMIT_COPY:
        return machine_copy_rate(buffer);
    default:
        return machine_read_rate(buffer);
    }
}

static bool moves_memory(const kernel_work *work)
{
    return work->limit == LIMIT_COPY || work->limit == LIMIT_READ;
}

static void print_case(const kernel_cases *cases, bench *run)
{
    static const char *const limits[] = {[LIMIT_FLOAT_FMA] = "FMA peak",
                                         [LIMIT_DOUBLE_FMA] = "FMA peak, double",
                                         [LIMIT_COPY] = "copy",
                                         [LIMIT_READ] = "read"};
    const bool memory = moves_memory(&cases->work);
    const double rate = cases->work.amount * (double)cases->calls / median_of(run->times, SAMPLES);
    const double limit = median_of(run->limits, SAMPLES);
    printf("| %-24s | %-38s | %7.1f %-7s | %4.0f %% of %-16s |\n", cases->kernel, cases->label,
           (memory ? rate : 2 * rate) * 1e-9, memory ? "GB/s" : "GFLOP/s", 100 * rate / limit,
           limits[cases->work.limit]);
    fflush(stdout);
}

/* Whether the number of calls is known that take long enough for a sample. */
static bool count_calls(kernel_cases *cases, double took)
{
    if (cases->batches == 0) {
        cases->calls = 1;
        return false;
    }
    if (took >= SAMPLE) {
        return true;
    }
    const double more = took > 0.01 * SAMPLE ? 1.2 * SAMPLE / took : 100;
    cases->calls = (int64_t)((double)cases->calls * more) + 1;
    return false;
}

static void open_buffer(bench *run, const kernel_work *work)
{
    machine_buffer_close(&run->buffer);
    if (!machine_buffer_open(&run->buffer, moves_memory(work) ? (int64_t)work->amount : 1)) {
        fprintf(stderr, "bench_kernels: out of memory\n");
        exit(EXIT_FAILURE);
    }
}

static bool measure(kernel_cases *cases)
{
    bench *run = cases->visitor;
    const double took = seconds_of(CLOCK_THREAD_CPUTIME_ID) - run->begin;
    if (cases->batches == 0) {
        open_buffer(run, &cases->work);
        run->sample = -1;
    }
    if (run->sample >= 0) {
        run->times[run->sample++] = took;
    } else if (count_calls(cases, took)) {
        run->sample = 0;
    }
    if (run->sample == SAMPLES) {
        print_case(cases, run);
        return false;
    }
    if (run->sample >= 0) {
        run->limits[run->sample] = limit_now(&cases->work, &run->buffer);
    }
    run->begin = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    return true;
}

int main(int argc, char **argv)
{
    const char *pattern = argc > 1 ? argv[1] : "";
    const int32_t isa = argc > 2 ? sfi_isa_from_name(argv[2]) : sfk_best_isa(SFCONV_ISA_BEST);
    bench run = {0};
    kernel_cases cases = {.kernels = sfk_table_for(isa), .more = measure, .visitor = &run};
    if (!cases.kernels) {
        fprintf(stderr, "usage: bench_kernels [PATTERN [reference|avx2|avx512|neon]]\n");
        return EXIT_FAILURE;
    }
    printf("FMA peak, GFLOP/s: one thread %.1f, two threads %.1f. Kernels: %s, one thread.\n\n",
           machine_peak_of_threads(1) * 1e-9, machine_peak_of_threads(2) * 1e-9, sfi_isa_name(isa));
    printf("| kernel | shape | rate | share |\n|---|---|---|---|\n");
    if (visit_kernel_cases(&cases, pattern) == 0) {
        fprintf(stderr, "bench_kernels: no kernel's name holds \"%s\"\n", pattern);
        return EXIT_FAILURE;
    }
    machine_buffer_close(&run.buffer);
    return EXIT_SUCCESS;
}
