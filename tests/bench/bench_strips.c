/* SPDX-License-Identifier: BSD-2-Clause */
/* Speed of the two products of rank space on one thread: channels expanded from taps with ReLU, a
 * strip at a time, and contracted at once. Prints the best of many runs. */
#include "kernels.h"

#include "sfconv/context.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define PIXELS 768
#define STRIP 96
#define CHANNELS 64
#define MAX_CHANNELS 512
#define MAX_TAPS 48
/* Rows of weights a power of two apart would fall on the same cache lines. */
#define PAD 16
#define RUNS 2000

typedef struct bench {
    float sources[MAX_TAPS][PIXELS + SFK_SLACK];
    float expand[MAX_CHANNELS][MAX_TAPS];
    float contract[MAX_TAPS][MAX_CHANNELS + PAD];
    float bias[MAX_CHANNELS];
    float strip[CHANNELS][STRIP];
    float mixed[MAX_TAPS][PIXELS];
    const float *source_rows[MAX_TAPS];
    const float *expand_rows[MAX_CHANNELS];
    const float *contract_rows[MAX_TAPS];
    const float *strip_rows[CHANNELS];
} bench;

static void fill(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        values[i] = (float)(i * 2654435761u % 1000) / 500.0f - 1.0f;
    }
}

static void prepare(bench *b)
{
    fill(b->sources[0], sizeof b->sources / sizeof(float));
    fill(b->expand[0], sizeof b->expand / sizeof(float));
    fill(b->contract[0], sizeof b->contract / sizeof(float));
    fill(b->bias, MAX_CHANNELS);
    for (int i = 0; i < MAX_TAPS; i++) {
        b->source_rows[i] = b->sources[i];
        b->contract_rows[i] = b->contract[i];
    }
    for (int c = 0; c < MAX_CHANNELS; c++) {
        b->expand_rows[c] = b->expand[c];
    }
    for (int c = 0; c < CHANNELS; c++) {
        b->strip_rows[c] = b->strip[c];
    }
}

static void run(const sfk_table *kernels, bench *b, int64_t channels, int64_t taps)
{
    for (int64_t first = 0; first < PIXELS; first += STRIP) {
        for (int64_t c = 0; c < channels; c += CHANNELS) {
            const sfk_strip expansion = {.weights = b->expand_rows + c,
                                         .weight_step = 1,
                                         .sources = b->source_rows,
                                         .first = first,
                                         .depth = taps,
                                         .to = b->strip[0],
                                         .to_stride = STRIP,
                                         .rows = CHANNELS,
                                         .columns = STRIP,
                                         .bias = b->bias + c,
                                         .activation = SFK_RELU};
            const sfk_strip contraction = {.weights = b->contract_rows,
                                           .weight_first = c,
                                           .weight_step = 1,
                                           .sources = b->strip_rows,
                                           .depth = CHANNELS,
                                           .to = b->mixed[0] + first,
                                           .to_stride = PIXELS,
                                           .rows = taps,
                                           .columns = STRIP,
                                           .accumulate = c > 0};
            kernels->strip_product(&expansion);
            kernels->strip_product(&contraction);
        }
    }
}

static double seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

int main(void)
{
    static const int64_t sizes[][2] = {{64, 3}, {64, 6}, {128, 12}, {256, 24}, {512, 48}};
    static _Alignas(64) bench b;
    const sfk_table *kernels = sfk_table_for(sfk_best_isa(SFCONV_ISA_BEST));
    prepare(&b);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int64_t channels = sizes[i][0], taps = sizes[i][1];
        double best = 1e9;
        for (int r = 0; r < RUNS; r++) {
            const double begin = seconds();
            run(kernels, &b, channels, taps);
            const double took = seconds() - begin;
            best = took < best ? took : best;
        }
        printf("%4lld channels, %3lld taps: %6.1f GFLOP/s\n", (long long)channels, (long long)taps,
               4e-9 * (double)(PIXELS * channels * taps) / best);
    }
    return EXIT_SUCCESS;
}
