/* SPDX-License-Identifier: BSD-2-Clause */
/* Speed of the dense convolution against the machine's peak, measured in the same minute:
 *   bench_convolution [batch [threads [isa [rounds [layer [auto|direct|winograd]]]]]]
 * `isa` may be "best"; `layer` is a part of the names wanted, "" for all.
 * With one thread times are processor times, so that a busy machine disturbs less. Rounds visit
 * every shape and pass once; printed are medians. FLOP = 2 * multiply-adds. */
#include "convolution.h"
#include "cpu.h"
#include "kernels.h"
#include "parallel.h"
#include "random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHT, PASSES };
#define MAX_ROUNDS 99
#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

struct layer {
    const char *name;
    int64_t in, out, size;
    int64_t kernel[2];
    int64_t stride;
};

/* In the pairs r = C / 32: Q is 1x3 from C to r, P is 3x1 from r to C. */
static const struct layer layers[] = {
    {"dense 64@304", 64, 64, 304, {3, 3}, 1},  {"dense 128@152", 128, 128, 152, {3, 3}, 1},
    {"dense 256@76", 256, 256, 76, {3, 3}, 1}, {"dense 512@38", 512, 512, 38, {3, 3}, 1},
    {"dense 512@19", 512, 512, 19, {3, 3}, 1}, {"dense 64@56", 64, 64, 56, {3, 3}, 1},
    {"dense 128@28", 128, 128, 28, {3, 3}, 1}, {"dense 256@14", 256, 256, 14, {3, 3}, 1},
    {"dense 512@7", 512, 512, 7, {3, 3}, 1},   {"down 64-128@56", 64, 128, 56, {3, 3}, 2},
    {"stem 3-64@224", 3, 64, 224, {7, 7}, 2},  {"1x1 64-128@56/2", 64, 128, 56, {1, 1}, 2},
    {"Q 64@304", 64, 2, 304, {1, 3}, 1},       {"P 64@304", 2, 64, 304, {3, 1}, 1},
    {"Q 128@152", 128, 4, 152, {1, 3}, 1},     {"P 128@152", 4, 128, 152, {3, 1}, 1},
    {"Q 256@76", 256, 8, 76, {1, 3}, 1},       {"P 256@76", 8, 256, 76, {3, 1}, 1},
    {"Q 512@38", 512, 16, 38, {1, 3}, 1},      {"P 512@38", 16, 512, 38, {3, 1}, 1},
};

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static clockid_t clock_of(const sfconv_context *context)
{
    return sfi_workers(context) == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_value);
    return values[count / 2];
}

/* The peak: deep full tiles that read the same few elements again and again. */
#define PEAK_DEPTH 4096
#define PEAK_CALLS 80

struct peak {
    const sfk_table *kernels;
    float a[SFK_MAX_ROWS];
    float b[SFK_MAX_COLUMNS];
    int64_t steps[PEAK_DEPTH];
};

static void peak_task(void *argument, int64_t index, int32_t worker)
{
    const struct peak *peak = argument;
    float c[SFK_MAX_ROWS * SFK_MAX_COLUMNS];
    const sfk_tile tile = {.a = peak->a,
                           .a_row = 1,
                           .b = peak->b,
                           .b_steps = peak->steps,
                           .c = c,
                           .c_stride = SFK_MAX_COLUMNS,
                           .rows = peak->kernels->tile_rows,
                           .columns = peak->kernels->tile_columns,
                           .depth = PEAK_DEPTH};
    (void)index;
    (void)worker;
    for (int i = 0; i < PEAK_CALLS; i++) {
        peak->kernels->matrix_tile(&tile);
    }
}

static double peak_rate(sfconv_context *context)
{
    struct peak peak = {.kernels = context->kernels};
    const int32_t tasks = 4 * sfi_workers(context);
    const double start = seconds(clock_of(context));
    sfi_parallel_for(context, tasks, peak_task, &peak);
    return 2.0 * PEAK_DEPTH * PEAK_CALLS * tasks * peak.kernels->tile_rows *
           peak.kernels->tile_columns / (seconds(clock_of(context)) - start);
}

static float *random_tensor(int64_t count, uint64_t stream)
{
    float *values = aligned_alloc(64, (size_t)(count * 4 + 63) / 64 * 64);
    if (!values) {
        fprintf(stderr, "bench_convolution: out of memory\n");
        exit(EXIT_FAILURE);
    }
    for (int64_t i = 0; i < count; i++) {
        values[i] = (float)sfi_random_uniform((sfi_random){1, stream}, (uint64_t)i) - 0.5f;
    }
    return values;
}

struct work {
    sfi_conv_shape shape;
    float *x, *weight, *y, *scratch;
    double times[PASSES][MAX_ROUNDS];
};

static void prepare(struct work *work, const struct layer *layer, int64_t batch,
                    sfconv_context *context)
{
    sfi_conv_shape *shape = &work->shape;
    int64_t bytes, most = 64;
    *shape = (sfi_conv_shape){.batch = batch,
                              .in_channels = layer->in,
                              .in_height = layer->size,
                              .in_width = layer->size,
                              .out_channels = layer->out,
                              .kernel = {layer->kernel[0], layer->kernel[1]},
                              .stride = {layer->stride, layer->stride},
                              .padding = {layer->kernel[0] / 2, layer->kernel[1] / 2},
                              .dilation = {1, 1},
                              .groups = 1};
    shape->out_height =
        sfi_conv_output_size(layer->size, layer->kernel[0], layer->stride, shape->padding[0], 1);
    shape->out_width =
        sfi_conv_output_size(layer->size, layer->kernel[1], layer->stride, shape->padding[1], 1);
    sfi_conv_forward_scratch(&bytes, context, shape);
    most = bytes > most ? bytes : most;
    sfi_conv_backward_data_scratch(&bytes, context, shape);
    most = bytes > most ? bytes : most;
    sfi_conv_backward_weight_scratch(&bytes, context, shape);
    most = bytes > most ? bytes : most;
    work->x = random_tensor(batch * layer->in * layer->size * layer->size, 1);
    work->y = random_tensor(batch * layer->out * shape->out_height * shape->out_width, 2);
    work->weight = random_tensor(layer->out * layer->in * layer->kernel[0] * layer->kernel[1], 3);
    work->scratch = random_tensor(most / 4, 4);
}

static double time_pass(sfconv_context *context, struct work *work, int pass)
{
    const double start = seconds(clock_of(context));
    switch (pass) {
    case FORWARD:
        sfi_conv_forward(context, &work->shape, work->x, work->weight, NULL, NULL, NULL, work->y,
                         work->scratch);
        break;
    case BACKWARD_DATA:
        sfi_conv_backward_data(context, &work->shape, work->y, work->weight, work->x, false,
                               work->scratch);
        break;
    default:
        sfi_conv_backward_weight(context, &work->shape, work->x, work->y, work->weight, false,
                                 work->scratch);
    }
    return seconds(clock_of(context)) - start;
}

/* A pass feeds the next with its output, so numbers are brought back to a sane size. */
static void refill(struct work *work, const struct layer *layer)
{
    const int64_t weights = layer->out * layer->in * layer->kernel[0] * layer->kernel[1];
    float *fresh = random_tensor(weights, 3);
    memcpy(work->weight, fresh, (size_t)weights * sizeof *fresh);
    free(fresh);
    const int64_t pixels = work->shape.batch * layer->in * layer->size * layer->size;
    for (int64_t i = 0; i < pixels; i++) {
        work->x[i] = (float)(i % 17) / 17.0f - 0.5f;
    }
}

static void bench_layer(sfconv_context *context, const struct layer *layer, int64_t batch,
                        int rounds)
{
    struct work work;
    double peaks[MAX_ROUNDS];
    int64_t macs = 0;
    prepare(&work, layer, batch, context);
    sfi_conv_macs(&macs, &work.shape);
    for (int round = -1; round < rounds; round++) {
        const int slot = round < 0 ? 0 : round;
        peaks[slot] = peak_rate(context);
        for (int pass = 0; pass < PASSES; pass++) {
            work.times[pass][slot] = time_pass(context, &work, pass);
        }
        refill(&work, layer);
    }
    const double peak = median(peaks, rounds);
    printf("%-16s %7.1f", layer->name, peak * 1e-9);
    for (int pass = 0; pass < PASSES; pass++) {
        const double time = median(work.times[pass], rounds);
        const double rate = 2.0 * (double)macs / time;
        printf(" | %8.3f %6.1f %4.0f%%", time * 1e3, rate * 1e-9, 100 * rate / peak);
    }
    printf("\n");
    fflush(stdout);
    free(work.x);
    free(work.y);
    free(work.weight);
    free(work.scratch);
}

int main(int argc, char **argv)
{
    const int64_t batch = argc > 1 ? atoi(argv[1]) : 1;
    const int32_t threads = argc > 2 ? atoi(argv[2]) : 1;
    const int32_t isa = argc > 3 && strcmp(argv[3], "best") != 0 ? sfi_isa_from_name(argv[3])
                                                                 : sfk_best_isa(SFCONV_ISA_BEST);
    const int rounds = argc > 4 ? atoi(argv[4]) : 5;
    const char *wanted = argc > 5 ? argv[5] : "";
    const char *algorithm = argc > 6 ? argv[6] : "auto";
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *context;
    desc.workers = threads;
    desc.convolution = strcmp(algorithm, "direct") == 0     ? SFCONV_CONVOLUTION_DIRECT
                       : strcmp(algorithm, "winograd") == 0 ? SFCONV_CONVOLUTION_WINOGRAD
                                                            : SFCONV_CONVOLUTION_AUTO;
    if (batch < 1 || threads < 1 || rounds < 1 || rounds > MAX_ROUNDS || !sfk_table_for(isa) ||
        sfi_context_create(&context, &desc, sfk_table_for(isa), isa) < 0) {
        fprintf(stderr,
                "usage: bench_convolution [batch [threads [isa [rounds [layer [algorithm]]]]]]\n");
        return EXIT_FAILURE;
    }
    printf("batch %d, threads %d, %s, %s: ms, GFLOP/s, %% of peak\n", (int)batch, threads,
           sfi_isa_name(isa), algorithm);
    printf("%-16s %7s | %-21s | %-21s | %-21s\n", "layer", "peak", "forward", "data gradient",
           "weight gradient");
    for (int i = 0; i < COUNT(layers); i++) {
        if (strstr(layers[i].name, wanted)) {
            bench_layer(context, &layers[i], batch, rounds);
        }
    }
    sfi_context_release(context);
    return EXIT_SUCCESS;
}
