/* SPDX-License-Identifier: BSD-2-Clause */
/* A network inside a host program: the host's allocator, memory that the host lends, several
 * threads that share one net. */
#include <sfconv/sfconv.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 2, SIZE = 64 };

static void must(sfconv_status status, const sfconv_context *context, const char *what)
{
    if (status < 0) {
        fprintf(stderr, "%s: %s (%s)\n", what, sfconv_context_last_error(context),
                sfconv_status_name(status));
        exit(EXIT_FAILURE);
    }
}

/* The host counts what the library takes. Any thread may ask. */
struct account {
    atomic_size_t bytes;
    atomic_size_t calls;
};

static void *take(void *user, size_t bytes, size_t alignment)
{
    struct account *account = user;
    atomic_fetch_add(&account->bytes, bytes);
    atomic_fetch_add(&account->calls, 1);
    return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void give_back(void *user, void *memory, size_t bytes)
{
    struct account *account = user;
    atomic_fetch_sub(&account->bytes, bytes);
    free(memory);
}

/* One thread: its own run, the net of all. */
struct worker {
    pthread_t thread;
    sfconv_context *context;
    sfconv_net *net;
    const sfconv_shape *shape;
    void *memory;
    int64_t bytes;
    float first_logit;
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    sfconv_run *run = NULL;
    sfconv_view input;
    sfconv_view output;
    must(sfconv_run_create(&run, worker->net, SFCONV_MODE_INFERENCE), worker->context, "run");
    must(sfconv_run_reshape(run, worker->shape, 1, worker->memory, worker->bytes), worker->context,
         "reshape");
    must(sfconv_run_input(run, 0, &input), worker->context, "input");
    must(sfconv_run_output(run, 0, &output), worker->context, "output");
    for (int64_t i = 0; i < sfconv_view_count(&input); i++) {
        input.data[i] = (float)(i % 31) / 31.0f - 0.5f;
    }
    must(sfconv_run_forward(run), worker->context, "forward");
    worker->first_logit = output.data[0];
    sfconv_run_destroy(run);
    return NULL;
}

int main(void)
{
    struct account account = {0};
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    sfconv_context *context = NULL;
    desc.allocate = take;
    desc.release = give_back;
    desc.memory_user = &account;
    must(sfconv_context_create(&context, &desc), NULL, "context");

    sfconv_model_desc model = SFCONV_MODEL_DESC_INIT;
    sfconv_net *net = NULL;
    model.in_channels = 1;
    model.ratio = 1.0 / 8;
    must(sfconv_model_create(&net, context, &model), context, "net");
    printf("net: %zu bytes\n", atomic_load(&account.bytes));

    /* Known before anything is taken; the host reserves it once. */
    const sfconv_shape shape = {1, 1, SIZE, SIZE};
    int64_t bytes = 0;
    must(sfconv_net_run_bytes(net, SFCONV_MODE_INFERENCE, &shape, 1, &bytes), context, "bytes");
    printf("a run of 1x1x%dx%d: %lld bytes\n", SIZE, SIZE, (long long)bytes);

    struct worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        const size_t room = ((size_t)bytes + 63) / 64 * 64;
        workers[i] = (struct worker){.context = context,
                                     .net = net,
                                     .shape = &shape,
                                     .memory = aligned_alloc(64, room),
                                     .bytes = bytes};
        if (!workers[i].memory ||
            pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            fprintf(stderr, "thread %d cannot be started\n", i);
            return EXIT_FAILURE;
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        free(workers[i].memory);
        printf("thread %d: first logit %.6f\n", i, (double)workers[i].first_logit);
    }

    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
    printf("left over: %zu bytes of %zu allocations\n", atomic_load(&account.bytes),
           atomic_load(&account.calls));
    return EXIT_SUCCESS;
}
