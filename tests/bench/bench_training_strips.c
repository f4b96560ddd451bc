/* SPDX-License-Identifier: BSD-2-Clause */
/* Speed of the kernels of the way back through rank space on one thread, by the number of taps:
 * sums over pixels against the peak of this processor, measured in the same minute, and the rest
 * in picoseconds for each element that is written. Prints the best of many runs. */
#include "kernels.h"

#include "sfconv/context.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define STRIP 96
#define ROW 304
#define CHANNELS 64
#define MAX_TAPS 384
#define RUNS 60
/* Calls of a run, so that the clock is not what is measured. */
#define MACS_OF_A_RUN 2000000

typedef struct bench {
    const sfk_table *kernels;
    int64_t taps;
    float left[CHANNELS][STRIP + SFK_SLACK];
    float sources[MAX_TAPS][STRIP + SFK_SLACK];
    float right[STRIP * MAX_TAPS];
    float to[CHANNELS * MAX_TAPS];
    float rows[4][ROW + SFK_SLACK];
    float spread[3 * ROW];
    double products[MAX_TAPS * MAX_TAPS];
    double sums[MAX_TAPS];
    const float *left_rows[CHANNELS];
    const float *source_rows[MAX_TAPS];
} bench;

static void fill(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        values[i] = (float)(i * 2654435761u % 1000) / 500.0f - 1.0f;
    }
}

static void prepare(bench *b)
{
    fill(b->left[0], sizeof b->left / sizeof(float));
    fill(b->sources[0], sizeof b->sources / sizeof(float));
    fill(b->right, sizeof b->right / sizeof(float));
    fill(b->rows[0], sizeof b->rows / sizeof(float));
    for (int c = 0; c < CHANNELS; c++) {
        b->left_rows[c] = b->left[c];
    }
    for (int k = 0; k < MAX_TAPS; k++) {
        b->source_rows[k] = b->sources[k];
    }
}

/* A deep full tile that reads the same few elements again and again. */
#define PEAK_DEPTH 1024

static void peak(bench *b)
{
    static const int64_t steps[PEAK_DEPTH];
    b->kernels->matrix_tile(&(sfk_tile){.a = b->left[0],
                                        .a_row = 1,
                                        .b = b->right,
                                        .b_steps = steps,
                                        .c = b->to,
                                        .c_stride = SFK_MAX_COLUMNS,
                                        .rows = b->kernels->tile_rows,
                                        .columns = b->kernels->tile_columns,
                                        .depth = PEAK_DEPTH});
}

static int64_t round_up(int64_t taps)
{
    return (taps + 15) / 16 * 16;
}

static void outer(bench *b)
{
    b->kernels->strip_outer(&(sfk_outer){.left = b->left_rows,
                                         .right = b->right,
                                         .right_stride = round_up(b->taps),
                                         .depth = STRIP,
                                         .to = b->to,
                                         .to_stride = b->taps,
                                         .rows = CHANNELS,
                                         .columns = b->taps});
}

static void moments(bench *b)
{
    b->kernels->moments(b->products, b->sums, b->source_rows, 0, b->taps, STRIP);
}

static void transpose(bench *b)
{
    b->kernels->transpose_taps(b->right, round_up(b->taps), b->source_rows, 0, b->taps, STRIP);
}

static void sum_rows(bench *b)
{
    b->kernels->row_sums(b->sums, b->left_rows, 0, STRIP, CHANNELS);
}

static void spread(bench *b)
{
    b->kernels->spread_taps(b->spread, &(sfk_spread){.from = b->rows[0],
                                                     .to_stride = ROW,
                                                     .taps = 3,
                                                     .stride = 1,
                                                     .dilation = 1,
                                                     .padding = 1,
                                                     .width = ROW,
                                                     .out_width = ROW});
}

static void unpool(bench *b)
{
    b->kernels->unpool_pairs(b->spread, b->spread + ROW, b->rows[0], b->rows[1], b->rows[2], false,
                             ROW);
}

static double seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Seconds of a call at best. `macs`: about what one costs. */
static double best_of(void (*call)(bench *), bench *b, int64_t macs)
{
    const int64_t calls = 1 + MACS_OF_A_RUN / macs;
    double best = 1e9;
    for (int r = 0; r < RUNS; r++) {
        const double begin = seconds();
        for (int64_t i = 0; i < calls; i++) {
            call(b);
        }
        const double took = (seconds() - begin) / (double)calls;
        best = took < best ? took : best;
    }
    return best;
}

static void print_sums(bench *b)
{
    const int64_t peak_macs = PEAK_DEPTH * b->kernels->tile_rows * b->kernels->tile_columns;
    const int64_t outer_macs = CHANNELS * STRIP * b->taps;
    const int64_t moment_macs = b->taps * (b->taps + 1) / 2 * STRIP;
    const double top = 2e-9 * (double)peak_macs / best_of(peak, b, peak_macs);
    const double outer_rate = 2e-9 * (double)outer_macs / best_of(outer, b, outer_macs);
    const double moment_time = best_of(moments, b, 8 * moment_macs);
    const double moment_rate = 2e-9 * (double)moment_macs / moment_time;
    const double transpose_time = best_of(transpose, b, 16 * STRIP * b->taps);
    printf("%4lld taps | %7.1f %3.0f %% | %7.1f %3.0f %% %8.2f | %8.2f\n", (long long)b->taps,
           outer_rate, 100 * outer_rate / top, moment_rate, 200 * moment_rate / top,
           1e9 * moment_time / STRIP, 1e9 * transpose_time / STRIP);
}

static void print_elements(bench *b)
{
    printf("ps an element: row_sums %.0f, spread_taps %.0f, unpool_pairs %.0f\n",
           1e12 * best_of(sum_rows, b, 8 * STRIP * CHANNELS) / (STRIP * CHANNELS),
           1e12 * best_of(spread, b, 16 * ROW) / (3 * ROW),
           1e12 * best_of(unpool, b, 16 * ROW) / (2 * ROW));
}

int main(void)
{
    static const int64_t taps[] = {3, 6, 12, 24, 48, 96, 192, 384};
    static bench b;
    b.kernels = sfk_table_for(sfk_best_isa(SFCONV_ISA_BEST));
    prepare(&b);
    printf("          | strip_outer   | moments                | transpose_taps\n"
           "          | GFLOP/s       | GFLOP/s       ns/pixel | ns/pixel\n");
    for (size_t i = 0; i < sizeof taps / sizeof *taps; i++) {
        b.taps = taps[i];
        print_sums(&b);
    }
    print_elements(&b);
    return EXIT_SUCCESS;
}
