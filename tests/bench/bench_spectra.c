/* SPDX-License-Identifier: BSD-2-Clause */
/* What the spectra of whole networks cost: the KL term of every factor, value and gradient, and the
 * creation of a network whose factors are cut from dense weights.
 *
 *   bench_spectra [WORKERS [ISA]]     prints medians for both networks at 1/32, 1/8 and 1/4
 *   bench_spectra WORKERS ISA serve   answers requests, one a line, so that a driver can measure
 *                                     another program by turns (spectra_ratios.py):
 *     S NETWORK DIVISOR   shapes of the factor matrices: ROWSxCOLS …
 *     T NETWORK DIVISOR   microseconds of 5 evaluations of the KL term
 *     C NETWORK DIVISOR   microseconds of the creation with spectral initialization
 *
 * NETWORK is unet or resnet18, ranks are channels / DIVISOR, WORKERS threads (1), ISA 0: the best.
 */
#include "sfconv/sfconv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUNS 5
#define ROUNDS 9

static double now_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return 1e6 * (double)time.tv_sec + 1e-3 * (double)time.tv_nsec;
}

static void stop_on(sfconv_status status, const sfconv_context *context)
{
    if (status < 0) {
        fprintf(stderr, "bench_spectra: %s: %s\n", sfconv_status_name(status),
                sfconv_context_last_error(context));
        exit(EXIT_FAILURE);
    }
}

static sfconv_net *network(sfconv_context *context, const char *name, int divisor, int32_t method)
{
    sfconv_model_desc desc = SFCONV_MODEL_DESC_INIT;
    sfconv_net *net;
    desc.model = sfconv_model_from_name(name);
    desc.method = method;
    desc.ratio = 1.0 / divisor;
    desc.regularizer_weight = 1e-3;
    stop_on(sfconv_model_create(&net, context, &desc), context);
    return net;
}

/* The KL term does not depend on the size of the images: the smallest will do. */
static sfconv_run *training_run(sfconv_context *context, sfconv_net *net)
{
    const sfconv_shape shape = {1, 3, 64, 64};
    sfconv_run *run;
    stop_on(sfconv_run_create(&run, net, SFCONV_MODE_TRAINING), context);
    stop_on(sfconv_run_reshape(run, &shape, 1, NULL, 0), context);
    return run;
}

static void time_terms(sfconv_context *context, sfconv_run *run, double *times)
{
    double value;
    for (int i = 0; i < RUNS; i++) {
        const double begin = now_us();
        stop_on(sfconv_run_regularize(run, &value), context);
        times[i] = now_us() - begin;
    }
}

static double time_creation(sfconv_context *context, const char *name, int divisor)
{
    const double begin = now_us();
    sfconv_net *net = network(context, name, divisor, SFCONV_METHOD_FCONV);
    const double took = now_us() - begin;
    sfconv_net_destroy(net);
    return took;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_table(sfconv_context *context)
{
    const char *names[] = {"unet", "resnet18"};
    const int divisors[] = {32, 8, 4};
    for (int n = 0; n < 2; n++) {
        for (int d = 0; d < 3; d++) {
            double times[ROUNDS * RUNS];
            sfconv_net *net = network(context, names[n], divisors[d], SFCONV_METHOD_SFCONV);
            sfconv_run *run = training_run(context, net);
            for (int round = 0; round < ROUNDS; round++) {
                time_terms(context, run, times + round * RUNS);
            }
            qsort(times, ROUNDS * RUNS, sizeof *times, compare);
            printf("%-8s 1/%-2d  KL term %8.3f ms\n", names[n], divisors[d],
                   times[ROUNDS * RUNS / 2] / 1e3);
            fflush(stdout);
            sfconv_run_destroy(run);
            sfconv_net_destroy(net);
        }
    }
}

/* Q is measured as its transpose: in·kw rows, as many columns as the rank. */
static void print_shapes(sfconv_net *net)
{
    for (int32_t i = 0; i < sfconv_net_parameter_count(net); i++) {
        sfconv_parameter_info info = SFCONV_PARAMETER_INFO_INIT;
        if (sfconv_net_parameter(net, i, &info) < 0) {
            continue;
        }
        const int64_t *shape = info.view.shape;
        if (info.role == SFCONV_PARAMETER_FACTOR_Q) {
            printf(" %lldx%lld", (long long)(shape[1] * shape[3]), (long long)shape[0]);
        } else if (info.role == SFCONV_PARAMETER_FACTOR_P) {
            printf(" %lldx%lld", (long long)(shape[0] * shape[2]), (long long)shape[1]);
        }
    }
}

static void answer(sfconv_context *context, char request, const char *name, int divisor)
{
    if (request == 'C') {
        printf("OK %.1f\n", time_creation(context, name, divisor));
        return;
    }
    double times[RUNS];
    sfconv_net *net = network(context, name, divisor, SFCONV_METHOD_SFCONV);
    printf("OK");
    if (request == 'S') {
        print_shapes(net);
    } else {
        sfconv_run *run = training_run(context, net);
        time_terms(context, run, times); /* touches the memory */
        time_terms(context, run, times);
        for (int i = 0; i < RUNS; i++) {
            printf(" %.1f", times[i]);
        }
        sfconv_run_destroy(run);
    }
    printf("\n");
    sfconv_net_destroy(net);
}

int main(int argc, char **argv)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *context;
    char line[64];
    char request;
    char name[16];
    int divisor;
    desc.workers = argc > 1 ? atoi(argv[1]) : 1;
    desc.isa = argc > 2 ? atoi(argv[2]) : SFCONV_ISA_BEST;
    if (sfconv_context_create(&context, &desc) < 0) {
        fprintf(stderr, "bench_spectra: no context with %d workers\n", desc.workers);
        return EXIT_FAILURE;
    }
    if (argc <= 3) {
        print_table(context);
    }
    while (argc > 3 && fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "%c %15s %d", &request, name, &divisor) == 3 && divisor > 0 &&
            sfconv_model_from_name(name) != 0) {
            answer(context, request, name, divisor);
        } else {
            printf("ERR expected S, T or C, a network and a divisor\n");
        }
        fflush(stdout);
    }
    sfconv_context_destroy(context);
    return EXIT_SUCCESS;
}
