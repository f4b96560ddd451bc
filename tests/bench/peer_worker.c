/* SPDX-License-Identifier: BSD-2-Clause */
/* Times whole networks and single layers on request, so that a harness can run this library beside
 * other engines: `peer_worker THREADS [layers]` reads lines and answers each with one line.
 *
 *   M NAME N BUDGET_us                inference of NAME with batch N: resnet18_dense, resnet18_sf32
 *                                     (rank = in or out channels, the fewer, / 32), unet_…
 *   L fwd dense|sf N C H r BUDGET_us  one 3x3 layer C -> C on H x H, dense or of rank r
 *   R  peak resident kB      F  free what is cached      Q  quit
 *
 * Answer: `OK t1 t2 … # note`, microseconds of each run, or `ERR text`. "layers" as second argument
 * turns rank space off. */
#include "sfconv/sfconv.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define MIN_RUNS 3
#define MAX_RUNS 300

static double now_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return 1e6 * (double)time.tv_sec + 1e-3 * (double)time.tv_nsec;
}

static long resident_kb(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* Numbers of no pattern: writing zeros is faster than writing numbers. */
static void fill(const sfconv_view *view, uint32_t *state)
{
    const int64_t count = view->shape[0] * view->shape[1] * view->shape[2] * view->shape[3];
    for (int64_t i = 0; i < count; i++) {
        *state = *state * 1664525u + 1013904223u;
        view->data[i] = (float)(*state >> 8) / (float)(1u << 23) - 1.0f;
    }
}

static sfconv_status time_runs(sfconv_run *run, double budget_us)
{
    uint32_t state = 1;
    double spent = 0;
    for (int i = 0; i <= MAX_RUNS && (i <= MIN_RUNS || spent < budget_us); i++) {
        sfconv_view input;
        sfconv_status status = sfconv_run_input(run, 0, &input);
        if (status < 0) {
            return status;
        }
        fill(&input, &state);
        const double begin = now_us();
        status = sfconv_run_forward(run);
        const double took = now_us() - begin;
        if (status < 0) {
            return status;
        }
        if (i == 0) {
            /* The first run touches the memory. */
            printf("OK");
        } else {
            printf(" %.1f", took);
            spent += took;
        }
    }
    return SFCONV_OK;
}

static sfconv_status measure(sfconv_net *net, sfconv_shape shape, int32_t engine, double budget_us)
{
    sfconv_run *run;
    int64_t bytes = 0;
    sfconv_status status = sfconv_run_create(&run, net, SFCONV_MODE_INFERENCE);
    if (status < 0) {
        return status;
    }
    if ((status = sfconv_run_set_engine(run, engine)) < 0 ||
        (status = sfconv_run_bytes(run, &shape, 1, &bytes)) < 0 ||
        (status = sfconv_run_reshape(run, &shape, 1, NULL, 0)) < 0) {
        sfconv_run_destroy(run);
        return status;
    }
    status = time_runs(run, budget_us);
    if (status >= 0) {
        printf(" # maxrss %ld kB, run %.1f MB\n", resident_kb(), (double)bytes / 1e6);
    }
    sfconv_run_destroy(run);
    return status;
}

/* "unet_sf32": the network before the line, dense or the divisor of the rank behind it. */
static sfconv_status make_network(sfconv_net **net, sfconv_context *context, const char *name,
                                  sfconv_shape *shape)
{
    sfconv_model_desc desc = SFCONV_MODEL_DESC_INIT;
    const char *variant = strchr(name, '_');
    const bool unet = strncmp(name, "unet_", 5) == 0;
    int divisor = 1;
    *net = NULL;
    if ((!unet && strncmp(name, "resnet18_", 9) != 0) ||
        (strcmp(variant, "_dense") != 0 && sscanf(variant, "_sf%d", &divisor) != 1)) {
        return SFCONV_ERROR_NOT_FOUND;
    }
    desc.model = unet ? SFCONV_MODEL_UNET : SFCONV_MODEL_RESNET18;
    desc.method = divisor > 1 ? SFCONV_METHOD_SFCONV_NO_KL : SFCONV_METHOD_CONV;
    desc.ratio = 1.0 / divisor;
    desc.out_channels = unet ? 1 : 5;
    shape->channels = 3;
    shape->height = shape->width = unet ? 304 : 224;
    return sfconv_model_create(net, context, &desc);
}

static sfconv_status make_layer(sfconv_net **net, sfconv_context *context, bool factorized,
                                int64_t channels, int64_t rank)
{
    sfconv_conv2d_desc dense = SFCONV_CONV2D_DESC_INIT;
    sfconv_sfconv2d_desc desc = SFCONV_SFCONV2D_DESC_INIT;
    sfconv_layer *layer = NULL;
    int32_t node = 0;
    dense.in_channels = dense.out_channels = desc.in_channels = desc.out_channels = channels;
    desc.rank = rank;
    sfconv_status status = sfconv_net_create(net, context);
    if (status < 0) {
        return status;
    }
    status = factorized ? sfconv_sfconv2d_create(&layer, context, &desc)
                        : sfconv_conv2d_create(&layer, context, &dense);
    if (status < 0 || (status = sfconv_net_add_input(*net, "x", channels, &node)) < 0 ||
        (status = sfconv_net_add_layer(*net, "y", layer, &node, 1, &node)) < 0 ||
        (status = sfconv_net_add_output(*net, node)) < 0) {
        sfconv_net_destroy(*net);
        *net = NULL;
    }
    sfconv_layer_destroy(layer);
    return status;
}

static void answer(sfconv_context *context, int32_t engine, const char *line)
{
    char name[64], pass[8], kind[8];
    long batch, channels, size, rank;
    double budget_us;
    sfconv_shape shape = {0};
    sfconv_net *net = NULL;
    sfconv_status status = SFCONV_ERROR_UNSUPPORTED;
    if (sscanf(line, "M %63s %ld %lf", name, &batch, &budget_us) == 3) {
        shape.batch = batch;
        status = make_network(&net, context, name, &shape);
    } else if (sscanf(line, "L %7s %7s %ld %ld %ld %ld %lf", pass, kind, &batch, &channels, &size,
                      &rank, &budget_us) == 7 &&
               strcmp(pass, "fwd") == 0) {
        shape = (sfconv_shape){batch, channels, size, size};
        status = make_layer(&net, context, strcmp(kind, "sf") == 0, channels, rank);
    }
    if (status >= 0) {
        status = measure(net, shape, engine, budget_us);
    }
    if (status < 0) {
        printf("ERR %s: %s\n", sfconv_status_name(status), sfconv_context_last_error(context));
    }
    sfconv_net_destroy(net);
}

int main(int argc, char **argv)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *context;
    char line[256];
    desc.workers = argc > 1 ? atoi(argv[1]) : 1;
    const int32_t engine = argc > 2 && strcmp(argv[2], "layers") == 0 ? SFCONV_ENGINE_LAYERS
                                                                      : SFCONV_ENGINE_RANK_SPACE;
    if (sfconv_context_create(&context, &desc) < 0) {
        fprintf(stderr, "peer_worker: no context with %d workers\n", desc.workers);
        return EXIT_FAILURE;
    }
    while (fgets(line, sizeof line, stdin) && line[0] != 'Q') {
        if (line[0] == 'R') {
            printf("OK %ld # kB\n", resident_kb());
        } else if (line[0] == 'F') {
            printf("OK 0 # nothing is kept\n");
        } else {
            answer(context, engine, line);
        }
        fflush(stdout);
    }
    sfconv_context_destroy(context);
    return EXIT_SUCCESS;
}
