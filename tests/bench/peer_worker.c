/* SPDX-License-Identifier: BSD-2-Clause */
/* Times whole networks and single layers on request, so that a harness can run this library beside
 * other engines: `peer_worker THREADS [layers]` reads lines and answers each with one line.
 *
 *   M NAME N BUDGET_us                inference of NAME with batch N: resnet18_dense, resnet18_sf32
 *                                     (rank = in or out channels, the fewer, / 32), unet_…
 *   T NAME N BUDGET_us                a training step: gradients zeroed, forward, loss (softmax or
 *                                     binary cross-entropy), backward, SGD with momentum 0.9
 *   L fwd|train dense|sf N C H r BUDGET_us
 *                                     one 3x3 layer C -> C on H x H, dense or of rank r: forward,
 *                                     or forward and backward to the parameters and the input
 *   P N C H r BUDGET_us               inference of such a layer of rank r, BatchNorm and ReLU
 *   D N C H BUDGET_us                 the same of a depthwise separable layer
 *   R  peak resident kB      F  free what is cached      Q  quit
 *
 * Answer: `OK t1 t2 … # note`, microseconds of each run, or `ERR text`; the bytes of a run in the
 * note are with an input that inference keeps. "layers" as second argument turns rank space off;
 * without it each mode runs by its default engine. */
#include "sfconv/sfconv.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define MIN_RUNS 3
#define MAX_RUNS 300
#define MAX_BATCH 64
#define RATE 1e-3
/* The first node of every net here. */
#define INPUT_NODE 0

/* What one timed run does: forward; forward and backward; or a step of training. */
enum work { INFERENCE, GRADIENTS, STEP };

struct job {
    enum work work;
    sfconv_context *context;
    sfconv_net *net;
    sfconv_shape shape;
    sfconv_run *run;
    int64_t run_bytes;
    sfconv_optimizer *optimizer;
    /* What a step learns: a class for each image, or masks as large as the output. */
    int32_t labels[MAX_BATCH];
    sfconv_view masks;
    uint32_t random;
    double times[MAX_RUNS];
    int count;
    /* The outputs of two inference runs were not the same. */
    bool is_unsteady;
};

static double now_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return 1e6 * (double)time.tv_sec + 1e-3 * (double)time.tv_nsec;
}

/* Of this program alone, where Linux tells: what getrusage says may be the peak of the process that
 * started it. */
static long resident_kb(void)
{
    struct rusage usage;
    char line[128];
    long kb = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && kb == 0 && fgets(line, sizeof line, status)) {
        sscanf(line, "VmHWM: %ld", &kb);
    }
    if (status) {
        fclose(status);
    }
    getrusage(RUSAGE_SELF, &usage);
    return kb > 0 ? kb : usage.ru_maxrss;
}

static int64_t count_of(const sfconv_view *view)
{
    return view->shape[0] * view->shape[1] * view->shape[2] * view->shape[3];
}

static uint32_t draw(struct job *job)
{
    job->random = job->random * 1664525u + 1013904223u;
    return job->random >> 8;
}

/* Numbers of no pattern: writing zeros is faster than writing numbers. */
static void fill(struct job *job, const sfconv_view *view)
{
    const int64_t count = count_of(view);
    for (int64_t i = 0; i < count; i++) {
        view->data[i] = (float)draw(job) / (float)(1u << 23) - 1.0f;
    }
}

static sfconv_status make_targets(struct job *job)
{
    sfconv_view output;
    const sfconv_status status = sfconv_run_output(job->run, 0, &output);
    if (status < 0) {
        return status;
    }
    job->masks = output;
    job->masks.data = malloc((size_t)count_of(&output) * sizeof(float));
    if (!job->masks.data) {
        return SFCONV_ERROR_MEMORY;
    }
    for (int64_t i = 0; i < count_of(&output); i++) {
        job->masks.data[i] = (float)(draw(job) >> 23);
    }
    for (int64_t i = 0; i < job->shape.batch; i++) {
        job->labels[i] = (int32_t)(draw(job) % (uint32_t)output.shape[1]);
    }
    return SFCONV_OK;
}

static sfconv_status prepare(struct job *job, bool layers)
{
    const int32_t mode = job->work == INFERENCE ? SFCONV_MODE_INFERENCE : SFCONV_MODE_TRAINING;
    const sfconv_optimizer_desc sgd = SFCONV_OPTIMIZER_DESC_INIT;
    /* A map that is an output, too, outlives a forward: every run computes the same, with numbers
     * as a network meets them. */
    sfconv_status status =
        job->work == INFERENCE ? sfconv_net_add_output(job->net, INPUT_NODE) : SFCONV_OK;
    if (status < 0 || (status = sfconv_run_create(&job->run, job->net, mode)) < 0) {
        return status;
    }
    if (layers) {
        status = sfconv_run_set_engine(job->run, SFCONV_ENGINE_LAYERS);
    }
    if (status >= 0 && job->work == GRADIENTS) {
        status = sfconv_run_want_input_gradients(job->run, 1);
    }
    if (status < 0 || (status = sfconv_run_bytes(job->run, &job->shape, 1, &job->run_bytes)) < 0 ||
        (status = sfconv_run_reshape(job->run, &job->shape, 1, NULL, 0)) < 0) {
        return status;
    }
    /* Once, as other engines do when they load a network. */
    if (job->work == INFERENCE) {
        return sfconv_run_freeze(job->run, NULL, 0);
    }
    if (job->work != STEP) {
        return status;
    }
    status = sfconv_optimizer_create(&job->optimizer, job->net, &sgd);
    return status < 0 ? status : make_targets(job);
}

/* Once, as other engines do: what is written anew before each run comes from the cache of whoever
 * writes it. */
static sfconv_status feed_input(struct job *job)
{
    sfconv_view view;
    const sfconv_status status = sfconv_run_input(job->run, 0, &view);
    if (status >= 0) {
        fill(job, &view);
    }
    return status;
}

/* Not timed: fresh output gradients, which backward may take apart, where no loss writes them. */
static sfconv_status feed_gradient(struct job *job)
{
    sfconv_view view;
    if (job->work != GRADIENTS) {
        return SFCONV_OK;
    }
    const sfconv_status status = sfconv_run_output_gradient(job->run, 0, &view);
    if (status >= 0) {
        fill(job, &view);
    }
    return status;
}

static sfconv_status loss_of(struct job *job)
{
    sfconv_view output, gradient;
    double value;
    sfconv_status status;
    if ((status = sfconv_run_output(job->run, 0, &output)) < 0 ||
        (status = sfconv_run_output_gradient(job->run, 0, &gradient)) < 0) {
        return status;
    }
    return output.shape[2] > 1
               ? sfconv_loss_bce(job->context, &output, &job->masks, 1.0, &value, &gradient)
               : sfconv_loss_cross_entropy(job->context, &output, job->labels, NULL, &value,
                                           &gradient);
}

static sfconv_status run_once(struct job *job)
{
    sfconv_status status = SFCONV_OK;
    if (job->work != INFERENCE) {
        status = sfconv_run_zero_gradients(job->run);
    }
    if (status < 0 || (status = sfconv_run_forward(job->run)) < 0 || job->work == INFERENCE) {
        return status;
    }
    if (job->work == STEP) {
        status = loss_of(job);
    }
    if (status < 0 || (status = sfconv_run_backward(job->run)) < 0 || job->work != STEP) {
        return status;
    }
    return sfconv_optimizer_step(job->optimizer, job->run, RATE);
}

/* Of the bits of the first output, as FNV-1a has it but a number at a time; 0 in training. */
static uint64_t output_hash(const struct job *job)
{
    uint64_t hash = 0xcbf29ce484222325u;
    sfconv_view view;
    if (job->work != INFERENCE || sfconv_run_output(job->run, 0, &view) < 0) {
        return 0;
    }
    for (int64_t i = 0; i < count_of(&view); i++) {
        uint32_t bits;
        memcpy(&bits, view.data + i, sizeof bits);
        hash = (hash ^ bits) * 0x100000001b3u;
    }
    return hash;
}

static sfconv_status time_runs(struct job *job, double budget_us)
{
    double spent = 0;
    uint64_t first = 0;
    sfconv_status status = feed_input(job);
    /* The first run touches the memory and does not count. */
    for (int i = -1; i < MAX_RUNS && (i < MIN_RUNS || spent < budget_us); i++) {
        status = status < 0 ? status : feed_gradient(job);
        const double begin = now_us();
        if (status < 0 || (status = run_once(job)) < 0) {
            return status;
        }
        if (i >= 0) {
            job->times[i] = now_us() - begin;
            spent += job->times[i];
            job->count = i + 1;
        } else {
            first = output_hash(job);
        }
    }
    job->is_unsteady = output_hash(job) != first;
    return SFCONV_OK;
}

/* "unet_sf32": the network before the line, dense or the divisor of the rank behind it. */
static sfconv_status make_network(struct job *job, const char *name)
{
    sfconv_model_desc desc = SFCONV_MODEL_DESC_INIT;
    const char *variant = strchr(name, '_');
    const bool unet = strncmp(name, "unet_", 5) == 0;
    int divisor = 1;
    if ((!unet && strncmp(name, "resnet18_", 9) != 0) ||
        (strcmp(variant, "_dense") != 0 && sscanf(variant, "_sf%d", &divisor) != 1)) {
        return SFCONV_ERROR_NOT_FOUND;
    }
    desc.model = unet ? SFCONV_MODEL_UNET : SFCONV_MODEL_RESNET18;
    desc.method = divisor > 1 ? SFCONV_METHOD_SFCONV_NO_KL : SFCONV_METHOD_CONV;
    desc.ratio = 1.0 / divisor;
    desc.out_channels = unet ? 1 : 5;
    job->shape.channels = 3;
    job->shape.height = job->shape.width = unet ? 304 : 224;
    return sfconv_model_create(&job->net, job->context, &desc);
}

enum kind { DENSE, FACTORIZED, SEPARABLE };

static sfconv_status make_convolution(struct job *job, sfconv_layer **layer, enum kind kind,
                                      int64_t rank)
{
    sfconv_conv2d_desc dense = SFCONV_CONV2D_DESC_INIT;
    sfconv_sfconv2d_desc desc = SFCONV_SFCONV2D_DESC_INIT;
    dense.in_channels = dense.out_channels = job->shape.channels;
    desc.in_channels = desc.out_channels = job->shape.channels;
    desc.rank = rank;
    return kind == FACTORIZED  ? sfconv_sfconv2d_create(layer, job->context, &desc)
           : kind == SEPARABLE ? sfconv_dsconv2d_create(layer, job->context, &dense)
                               : sfconv_conv2d_create(layer, job->context, &dense);
}

/* Behind `node`, whose place the new one takes. */
static sfconv_status add_layer(struct job *job, const char *name, sfconv_layer *layer,
                               int32_t *node)
{
    const sfconv_status status = sfconv_net_add_layer(job->net, name, layer, node, 1, node);
    sfconv_layer_destroy(layer);
    return status;
}

static sfconv_status add_norm_and_relu(struct job *job, int32_t *node)
{
    sfconv_batchnorm2d_desc norm = SFCONV_BATCHNORM2D_DESC_INIT;
    sfconv_layer *layer = NULL;
    norm.channels = job->shape.channels;
    sfconv_status status = sfconv_batchnorm2d_create(&layer, job->context, &norm);
    if (status < 0 || (status = add_layer(job, "norm", layer, node)) < 0 ||
        (status = sfconv_activation_create(&layer, job->context, SFCONV_ACTIVATION_RELU, 0)) < 0) {
        return status;
    }
    return add_layer(job, "relu", layer, node);
}

static sfconv_status make_layer(struct job *job, enum kind kind, int64_t rank, bool with_norm)
{
    sfconv_layer *layer = NULL;
    int32_t node = 0;
    sfconv_status status = sfconv_net_create(&job->net, job->context);
    if (status < 0 ||
        (status = sfconv_net_add_input(job->net, "x", job->shape.channels, &node)) < 0 ||
        (status = make_convolution(job, &layer, kind, rank)) < 0 ||
        (status = add_layer(job, "y", layer, &node)) < 0 ||
        (with_norm && (status = add_norm_and_relu(job, &node)) < 0)) {
        return status;
    }
    return sfconv_net_add_output(job->net, node);
}

/* Reads a request and makes what it asks for. */
static sfconv_status make(struct job *job, const char *line, double *budget_us)
{
    char name[64], pass[8], kind[8];
    long batch, channels, size, rank;
    if (sscanf(line, "%*1[MT] %63s %ld %lf", name, &batch, budget_us) == 3) {
        job->work = line[0] == 'T' ? STEP : INFERENCE;
        job->shape.batch = batch;
        return job->work == STEP && batch > MAX_BATCH ? SFCONV_ERROR_UNSUPPORTED
                                                      : make_network(job, name);
    }
    if (sscanf(line, "L %7s %7s %ld %ld %ld %ld %lf", pass, kind, &batch, &channels, &size, &rank,
               budget_us) == 7) {
        job->work = strcmp(pass, "train") == 0 ? GRADIENTS : INFERENCE;
        job->shape = (sfconv_shape){batch, channels, size, size};
        return make_layer(job, strcmp(kind, "sf") == 0 ? FACTORIZED : DENSE, rank, false);
    }
    const bool pair =
        sscanf(line, "P %ld %ld %ld %ld %lf", &batch, &channels, &size, &rank, budget_us) == 5;
    if (pair || sscanf(line, "D %ld %ld %ld %lf", &batch, &channels, &size, budget_us) == 4) {
        job->work = INFERENCE;
        job->shape = (sfconv_shape){batch, channels, size, size};
        return make_layer(job, pair ? FACTORIZED : SEPARABLE, pair ? rank : 0, true);
    }
    return SFCONV_ERROR_UNSUPPORTED;
}

/* Those that the plan's forward computes, and those of direct sums. */
struct multiply_adds {
    long long computed;
    long long direct;
};

/* None where the plan does not say. */
static struct multiply_adds count_work(const struct job *job)
{
    size_t length = 0;
    struct multiply_adds count = {0, 0};
    sfconv_run_plan_text(job->run, NULL, 0, &length);
    char *text = malloc(length + 1);
    if (text && sfconv_run_plan_text(job->run, text, length + 1, &length) >= 0) {
        const char *total = strstr(text, "\ntotal forward ");
        if (!total || sscanf(total, " total forward %lld MACs computed, %lld by direct sums",
                             &count.computed, &count.direct) != 2) {
            count = (struct multiply_adds){0, 0};
        }
    }
    free(text);
    return count;
}

static void answer(sfconv_context *context, bool layers, const char *line)
{
    static struct job job;
    double budget_us = 0;
    memset(&job, 0, sizeof job);
    job.context = context;
    sfconv_status status = make(&job, line, &budget_us);
    if (status >= 0) {
        status = prepare(&job, layers);
    }
    if (status >= 0) {
        status = time_runs(&job, budget_us);
    }
    if (status < 0) {
        printf("ERR %s: %s\n", sfconv_status_name(status),
               job.net ? sfconv_context_last_error(context) : "no such request");
    } else if (job.is_unsteady) {
        printf("ERR the same input gave other outputs\n");
    } else {
        const struct multiply_adds work = count_work(&job);
        printf("OK");
        for (int i = 0; i < job.count; i++) {
            printf(" %.1f", job.times[i]);
        }
        printf(" # maxrss %ld kB, run %.1f MB, forward %lld multiply-adds, %lld by direct sums\n",
               resident_kb(), (double)job.run_bytes / 1e6, work.computed, work.direct);
    }
    free(job.masks.data);
    sfconv_optimizer_destroy(job.optimizer);
    sfconv_run_destroy(job.run);
    sfconv_net_destroy(job.net);
}

int main(int argc, char **argv)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *context;
    char line[256];
    desc.workers = argc > 1 ? atoi(argv[1]) : 1;
    const bool layers = argc > 2 && strcmp(argv[2], "layers") == 0;
    if (sfconv_context_create(&context, &desc) < 0) {
        fprintf(stderr, "peer_worker: no context with %d workers\n", desc.workers);
        return EXIT_FAILURE;
    }
    if (*sfconv_context_warning(context)) {
        fprintf(stderr, "peer_worker: %s\n", sfconv_context_warning(context));
    }
    while (fgets(line, sizeof line, stdin) && line[0] != 'Q') {
        if (line[0] == 'R') {
            printf("OK %ld # maxrss kB\n", resident_kb());
        } else if (line[0] == 'F') {
            printf("OK 0 # nothing is kept\n");
        } else {
            answer(context, layers, line);
        }
        fflush(stdout);
    }
    sfconv_context_destroy(context);
    return EXIT_SUCCESS;
}
