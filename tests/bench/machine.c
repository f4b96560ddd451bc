/* SPDX-License-Identifier: BSD-2-Clause */
#include "machine.h"

#include "cpu.h"

#include "sfconv/context.h"

#include <pthread.h>
#include <stdlib.h>

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median_of(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}

/* Twelve chains hide the latency of the processors of today: five cycles, two begun in each. */
#define CHAINS 12
#define CHAIN_LENGTH 20000
/* Vectors between two looks at the end of a loop over memory. */
#define STRIDE 8
/* Bytes copied or read for one sample. */
#define SAMPLE_BYTES 16777216.0

/* The loops for one kind of vector; each returns something, lest it be left out. */
struct loops {
    int lanes;
    float (*chains)(void);
    float (*copy)(float *to, const float *from, int64_t count);
    float (*read)(const float *from, int64_t count);
};

#define DEFINE_LOOPS(name, attribute, vector, set, fma)                                            \
    attribute static float chains_##name(void)                                                     \
    {                                                                                              \
        const vector factor = set(0.999f), term = set(0.001f);                                     \
        vector sums[CHAINS], sum = set(0.0f);                                                      \
        for (int i = 0; i < CHAINS; i++) {                                                         \
            sums[i] = set((float)i);                                                               \
        }                                                                                          \
        for (int k = 0; k < CHAIN_LENGTH; k++) {                                                   \
            for (int i = 0; i < CHAINS; i++) {                                                     \
                sums[i] = fma(sums[i], factor, term);                                              \
            }                                                                                      \
        }                                                                                          \
        for (int i = 0; i < CHAINS; i++) {                                                         \
            sum = sum + sums[i];                                                                   \
        }                                                                                          \
        return *(float *)&sum;                                                                     \
    }                                                                                              \
    attribute static float copy_##name(float *to, const float *from, int64_t count)                \
    {                                                                                              \
        vector *target = (vector *)to;                                                             \
        const vector *source = (const vector *)from;                                               \
        const int64_t vectors = count / (int64_t)(sizeof(vector) / sizeof *to);                    \
        for (int64_t i = 0; i + STRIDE <= vectors; i += STRIDE) {                                  \
            for (int j = 0; j < STRIDE; j++) {                                                     \
                target[i + j] = source[i + j];                                                     \
            }                                                                                      \
            /* Lest it become a call. */                                                           \
            __asm__ volatile("" ::: "memory");                                                     \
        }                                                                                          \
        return to[0];                                                                              \
    }                                                                                              \
    attribute static float read_##name(const float *from, int64_t count)                           \
    {                                                                                              \
        const vector *source = (const vector *)from;                                               \
        const int64_t vectors = count / (int64_t)(sizeof(vector) / sizeof *from);                  \
        vector sums[STRIDE], sum = set(0.0f);                                                      \
        for (int j = 0; j < STRIDE; j++) {                                                         \
            sums[j] = sum;                                                                         \
        }                                                                                          \
        for (int64_t i = 0; i + STRIDE <= vectors; i += STRIDE) {                                  \
            for (int j = 0; j < STRIDE; j++) {                                                     \
                sums[j] = sums[j] + source[i + j];                                                 \
            }                                                                                      \
        }                                                                                          \
        for (int j = 0; j < STRIDE; j++) {                                                         \
            sum = sum + sums[j];                                                                   \
        }                                                                                          \
        return *(float *)&sum;                                                                     \
    }                                                                                              \
    static const struct loops name##_loops = {(int)(sizeof(vector) / sizeof(float)),               \
                                              chains_##name, copy_##name, read_##name};

#if defined(__x86_64__)
#include <immintrin.h>
DEFINE_LOOPS(avx512, __attribute__((target("avx512f"))), __m512, _mm512_set1_ps, _mm512_fmadd_ps)
DEFINE_LOOPS(avx2, __attribute__((target("avx2,fma"))), __m256, _mm256_set1_ps, _mm256_fmadd_ps)
#elif defined(__aarch64__)
#include <arm_neon.h>
#define NEON_FMA(a, b, c) vfmaq_f32(c, a, b)
DEFINE_LOOPS(neon, , float32x4_t, vdupq_n_f32, NEON_FMA)
#endif

typedef float four __attribute__((vector_size(16), may_alias));
#define FOUR_OF(value) ((four){value, value, value, value})
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
DEFINE_LOOPS(plain, , four, FOUR_OF, MULTIPLY_ADD)

static const struct loops *best_loops(void)
{
#if defined(__x86_64__)
    if (sfi_cpu_has(SFCONV_ISA_AVX512)) {
        return &avx512_loops;
    }
    if (sfi_cpu_has(SFCONV_ISA_AVX2)) {
        return &avx2_loops;
    }
#elif defined(__aarch64__)
    return &neon_loops;
#endif
    return &plain_loops;
}

static volatile float sink;

static double chains_rate(clockid_t clock, int rounds)
{
    const struct loops *loops = best_loops();
    const double begin = seconds_of(clock);
    for (int i = 0; i < rounds; i++) {
        sink = loops->chains();
    }
    const double operations = 2.0 * CHAINS * CHAIN_LENGTH * loops->lanes * rounds;
    return operations / (seconds_of(clock) - begin);
}

double machine_peak(void)
{
    return chains_rate(CLOCK_THREAD_CPUTIME_ID, 10);
}

#define MAX_THREADS 256
/* A tenth of a second or so, so that all run together most of the time. */
#define LONG_ROUNDS 1000

static void *rate_of_thread(void *rate)
{
    *(double *)rate = chains_rate(CLOCK_MONOTONIC, LONG_ROUNDS);
    return NULL;
}

double machine_peak_of_threads(int threads)
{
    pthread_t ids[MAX_THREADS];
    double rates[MAX_THREADS], sum = 0;
    int started = 0;
    while (started < threads && started < MAX_THREADS &&
           pthread_create(&ids[started], NULL, rate_of_thread, &rates[started]) == 0) {
        started++;
    }
    for (int i = 0; i < started; i++) {
        pthread_join(ids[i], NULL);
        sum += rates[i];
    }
    return sum;
}

bool machine_buffer_open(machine_buffer *buffer, int64_t bytes)
{
    /* Whole strides of the widest vectors, and whole halves. */
    const size_t grain = 2 * STRIDE * 64;
    buffer->bytes = (int64_t)((size_t)bytes + grain - 1) / (int64_t)grain * (int64_t)grain;
    buffer->data = aligned_alloc(grain, (size_t)buffer->bytes);
    for (int64_t i = 0; buffer->data && i < buffer->bytes / 4; i++) {
        buffer->data[i] = (float)(i % 1000) / 1000.0f;
    }
    return buffer->data != NULL;
}

void machine_buffer_close(machine_buffer *buffer)
{
    free(buffer->data);
    buffer->data = NULL;
}

static int rounds_for(const machine_buffer *buffer)
{
    const double rounds = SAMPLE_BYTES / (double)buffer->bytes;
    return rounds > 1 ? (int)rounds : 1;
}

double machine_copy_rate(const machine_buffer *buffer)
{
    const struct loops *loops = best_loops();
    const int rounds = rounds_for(buffer);
    const int64_t half = buffer->bytes / 8;
    const double begin = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < rounds; i++) {
        sink = loops->copy(buffer->data + half, buffer->data, half);
    }
    return (double)buffer->bytes * rounds / (seconds_of(CLOCK_THREAD_CPUTIME_ID) - begin);
}

double machine_read_rate(const machine_buffer *buffer)
{
    const struct loops *loops = best_loops();
    const int rounds = rounds_for(buffer);
    const double begin = seconds_of(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < rounds; i++) {
        sink = loops->read(buffer->data, buffer->bytes / 4);
    }
    return (double)buffer->bytes * rounds / (seconds_of(CLOCK_THREAD_CPUTIME_ID) - begin);
}
