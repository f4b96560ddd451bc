/* SPDX-License-Identifier: BSD-2-Clause */
#include "command.h"
#include "console.h"
#include "fields.h"
#include "model_file.h"
#include "processors.h"
#include "stopwatch.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#define USUAL_SECONDS 2.0

/* Bytes that a context has taken at a time, and the most of them. */
struct memory {
    atomic_llong now;
    atomic_llong peak;
};

static void *take(void *user, size_t bytes, size_t alignment)
{
    struct memory *memory = user;
    const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    void *result = aligned_alloc(alignment, rounded);
    if (result) {
        const long long now = atomic_fetch_add(&memory->now, (long long)bytes) + (long long)bytes;
        long long peak = atomic_load(&memory->peak);
        while (now > peak && !atomic_compare_exchange_weak(&memory->peak, &peak, now)) {
        }
    }
    return result;
}

static void give_back(void *user, void *pointer, size_t bytes)
{
    struct memory *memory = user;
    atomic_fetch_sub(&memory->now, (long long)bytes);
    free(pointer);
}

struct bench {
    int64_t workers;
    int64_t batch;
    double seconds;
    const char *path;
    struct image_error *error;
};

struct result {
    sfconv_cost cost;
    int64_t peak_bytes; /* weights included; of the counted images only */
    int64_t runs;
    double images_per_second; /* of the median run */
};

static int compare(const void *a, const void *b)
{
    const double left = *(const double *)a;
    const double right = *(const double *)b;
    return (left > right) - (left < right);
}

#define RUNS_MAX 10000

/* What a program does with a batch: an input does not outlive a forward. */
static bool run_images(const struct bench *b, sfconv_context *context, sfconv_run *run,
                       const sfconv_view *images)
{
    return experiment_check(context, sfconv_run_set_input(run, 0, images), b->path, b->error) &&
           experiment_check(context, sfconv_run_forward(run), b->path, b->error);
}

/* Runs until the time is over, after one run that warms up. */
static bool time_runs(const struct bench *b, sfconv_context *context, sfconv_run *run,
                      const sfconv_view *images, struct result *result)
{
    double *times = calloc(RUNS_MAX, sizeof *times);
    bool ok = times || image_fail(b->error, "%s: out of memory", b->path);
    ok = ok && run_images(b, context, run, images);
    const double start = stopwatch_seconds();
    double before = start;
    while (ok && result->runs < RUNS_MAX && (result->runs == 0 || before - start < b->seconds)) {
        ok = run_images(b, context, run, images);
        const double now = stopwatch_seconds();
        times[result->runs++] = now - before;
        before = now;
    }
    if (ok) {
        qsort(times, (size_t)result->runs, sizeof *times, compare);
        result->images_per_second = (double)b->batch / times[result->runs / 2];
    }
    free(times);
    return ok;
}

/* A grey ramp: what matters is that numbers are neither huge nor so small that processors take
 * longer for them. */
static bool make_images(const struct bench *b, const sfconv_view *input, sfconv_view *images)
{
    const int64_t count = sfconv_view_count(input);
    *images = *input;
    images->data = malloc((size_t)count * sizeof *images->data);
    for (int64_t i = 0; images->data && i < count; i++) {
        images->data[i] = (float)(i % 256) / 255.0f;
    }
    return images->data || image_fail(b->error, "%s: out of memory", b->path);
}

static bool measure_net(const struct bench *b, sfconv_context *context, sfconv_net *net,
                        sfconv_shape shape, struct result *result)
{
    sfconv_run *run = NULL;
    sfconv_view input, images = {0};
    const sfconv_shape one = {1, shape.channels, shape.height, shape.width};
    result->cost = (sfconv_cost)SFCONV_COST_INIT;
    bool ok =
        experiment_check(context, sfconv_net_cost(net, &one, 1, &result->cost), b->path,
                         b->error) &&
        experiment_check(context, sfconv_run_create(&run, net, SFCONV_MODE_INFERENCE), b->path,
                         b->error) &&
        experiment_check(context, sfconv_run_reshape(run, &shape, 1, NULL, 0), b->path, b->error) &&
        experiment_check(context, sfconv_run_freeze(run, NULL, 0), b->path, b->error) &&
        experiment_check(context, sfconv_run_input(run, 0, &input), b->path, b->error) &&
        make_images(b, &input, &images) && time_runs(b, context, run, &images, result);
    free(images.data);
    sfconv_run_destroy(run);
    return ok;
}

/* Each network has a context of its own, whose memory is counted. */
static bool open_counted(sfconv_context **context, struct memory *memory, const struct bench *b)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    desc.allocate = take;
    desc.release = give_back;
    desc.memory_user = memory;
    desc.workers = (int32_t)b->workers;
    const sfconv_status status = sfconv_context_create(context, &desc);
    return status >= 0 || image_fail(b->error, "context: %s", sfconv_status_name(status));
}

static bool measure_file(const struct bench *b, sfconv_shape shape, struct result *result)
{
    struct memory memory = {0};
    sfconv_context *context = NULL;
    sfconv_net *net = NULL;
    bool ok = open_counted(&context, &memory, b) &&
              experiment_check(context, sfconv_model_load(&net, NULL, context, b->path), "loading",
                               b->error) &&
              measure_net(b, context, net, shape, result);
    result->peak_bytes = atomic_load(&memory.peak);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
    return ok;
}

/* The same network with dense convolutions; its weights do not matter. */
static bool measure_dense(const struct bench *b, int32_t network, int64_t outputs,
                          sfconv_shape shape, struct result *result)
{
    struct memory memory = {0};
    sfconv_context *context = NULL;
    sfconv_net *net = NULL;
    sfconv_model_desc desc = SFCONV_MODEL_DESC_INIT;
    desc.model = network;
    desc.method = SFCONV_METHOD_CONV;
    desc.in_channels = shape.channels;
    desc.out_channels = outputs;
    bool ok =
        open_counted(&context, &memory, b) &&
        experiment_check(context, sfconv_model_create(&net, context, &desc), b->path, b->error) &&
        measure_net(b, context, net, shape, result);
    result->peak_bytes = atomic_load(&memory.peak);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
    return ok;
}

static void print_row(const char *name, const struct result *r)
{
    char texts[3][32];
    printf("%-12s %14s %18s %16s %12.1f %8" PRId64 "\n", name,
           console_grouped(r->cost.parameters, texts[0], sizeof texts[0]),
           console_grouped(r->cost.macs, texts[1], sizeof texts[1]),
           console_grouped(r->peak_bytes, texts[2], sizeof texts[2]), r->images_per_second,
           r->runs);
}

static void print_json_row(const char *name, const struct result *r)
{
    printf("\"%s\": {\"parameters\": %" PRId64 ", \"macs\": %" PRId64 ", \"peak_bytes\": %" PRId64
           ", \"runs\": %" PRId64 ", \"images_per_second\": ",
           name, r->cost.parameters, r->cost.macs, r->peak_bytes, r->runs);
    json_number(stdout, r->images_per_second);
    printf("}");
}

static void print(const struct bench *b, sfconv_shape shape, const struct result *model,
                  const struct result *dense, bool json)
{
    if (json) {
        printf("{\"file\": ");
        json_text(stdout, b->path);
        printf(", \"width\": %" PRId64 ", \"height\": %" PRId64 ", \"batch\": %" PRId64
               ", \"workers\": %" PRId64 ",\n ",
               shape.width, shape.height, shape.batch, b->workers);
        print_json_row("model", model);
        printf(",\n ");
        print_json_row("dense", dense);
        printf("}\n");
        return;
    }
    printf("%s, batches of %" PRId64 " images of %" PRId64 "x%" PRId64 ", %" PRId64 " worker%s\n",
           b->path, shape.batch, shape.width, shape.height, b->workers, b->workers > 1 ? "s" : "");
    printf("%-12s %14s %18s %16s %12s %8s\n", "", "parameters", "MACs/image", "peak bytes",
           "images/s", "runs");
    print_row("this model", model);
    print_row("dense twin", dense);
    printf("%-12s %14.2f %18.2f %16.2f %12.2f\n", "ratio",
           (double)model->cost.parameters / (double)dense->cost.parameters,
           (double)model->cost.macs / (double)dense->cost.macs,
           (double)model->peak_bytes / (double)dense->peak_bytes,
           model->images_per_second / dense->images_per_second);
}

static bool run_bench(struct arguments *arguments, struct image_error *error)
{
    struct bench b = {.workers = workers_by_default(),
                      .batch = 1,
                      .seconds = USUAL_SECONDS,
                      .path = arguments->operands[0],
                      .error = error};
    struct model_file file;
    struct result model = {0};
    struct result dense = {0};
    int32_t network;
    int32_t method;
    int64_t outputs;
    if (!argument_integer(arguments, "workers", 1, 256, &b.workers, error) ||
        !argument_integer(arguments, "batch", 1, 65536, &b.batch, error) ||
        !argument_number(arguments, "seconds", false, &b.seconds, error) ||
        !model_file_open(&file, arguments, error)) {
        return false;
    }
    sfconv_shape shape = model_file_shape(&file);
    bool ok = model_file_kind(&file, &network, &method, error) &&
              model_file_outputs(&file, &outputs, error);
    model_file_close(&file);
    shape.batch = b.batch;
    ok =
        ok && measure_file(&b, shape, &model) && measure_dense(&b, network, outputs, shape, &dense);
    if (ok) {
        print(&b, shape, &model, &dense, argument_given(arguments, "json"));
    }
    return ok;
}

static const struct command_option options[] = {
    MODEL_FILE_OPTION_SIZE,
    {"batch", "N", "images a run; usually 1"},
    {"seconds", "X", "time to measure each network; usually 2"},
    {"json", NULL, "one JSON object instead of a table"},
    COMMAND_OPTION_WORKERS,
    {0},
};

const struct command command_bench = {
    .name = "bench",
    .operands = "MODEL",
    .summary = "Measures speed and memory of a model on this machine, beside its dense twin.",
    .details = "Images per second of the median run after one that warms up, and the most memory "
               "that the library took at a\ntime, weights and loading included. The dense twin is "
               "the same network with dense convolutions.\nWithout --size the size of the training "
               "is taken, or 304x304.",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .run = run_bench,
};
