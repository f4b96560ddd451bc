/* SPDX-License-Identifier: BSD-2-Clause */
/* A training that is broken off and taken up again from its checkpoint ends with the same bits as
 * one that was never disturbed. */
#include <sfconv/sfconv.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 8, SIZE = 32, STEPS = 12, BREAK = 5 };

static const char checkpoint_path[] = "resume.checkpoint";

static void must(sfconv_status status, const sfconv_context *context, const char *what)
{
    if (status < 0) {
        fprintf(stderr, "%s: %s (%s)\n", what, sfconv_context_last_error(context),
                sfconv_status_name(status));
        exit(EXIT_FAILURE);
    }
}

/* All that a step changes. */
struct training {
    sfconv_context *context;
    sfconv_net *net;
    sfconv_run *run;
    sfconv_optimizer *optimizer;
    sfconv_schedule *schedule;
};

static struct training begin(sfconv_context *context)
{
    struct training t = {.context = context};
    sfconv_model_desc model = SFCONV_MODEL_DESC_INIT;
    model.model = SFCONV_MODEL_TINY_CLASSIFIER;
    model.in_channels = 1;
    model.out_channels = 2;
    model.ratio = 1.0 / 8;
    model.regularizer_weight = 0.01;
    must(sfconv_model_create(&t.net, context, &model), context, "net");

    const sfconv_shape shape = {BATCH, 1, SIZE, SIZE};
    must(sfconv_run_create(&t.run, t.net, SFCONV_MODE_TRAINING), context, "run");
    must(sfconv_run_reshape(t.run, &shape, 1, NULL, 0), context, "reshape");

    sfconv_optimizer_desc adam = SFCONV_OPTIMIZER_DESC_INIT;
    adam.kind = SFCONV_OPTIMIZER_ADAM;
    adam.decay_factors = 0;
    must(sfconv_optimizer_create(&t.optimizer, t.net, &adam), context, "optimizer");

    sfconv_schedule_desc cosine = SFCONV_SCHEDULE_DESC_INIT;
    cosine.kind = SFCONV_SCHEDULE_COSINE;
    cosine.rate = 0.003;
    cosine.factor = 0.01;
    cosine.warmup = 2;
    cosine.total = STEPS;
    must(sfconv_schedule_create(&t.schedule, context, &cosine), context, "schedule");
    return t;
}

static void end(struct training *t)
{
    sfconv_schedule_destroy(t->schedule);
    sfconv_optimizer_destroy(t->optimizer);
    sfconv_run_destroy(t->run);
    sfconv_net_destroy(t->net);
}

/* The batch is a function of the step, so a resumed training sees the same images. */
static void draw(const sfconv_view *images, int32_t *labels, int64_t step)
{
    for (int64_t i = 0; i < BATCH; i++) {
        labels[i] = (int32_t)((i + step) % 2);
        for (int64_t p = 0; p < SIZE * SIZE; p++) {
            const int64_t noise = (p * 37 + i * 101 + step * 13) % 97;
            images->data[i * SIZE * SIZE + p] =
                (float)noise / 97.0f + (p / SIZE % 4 < 2 && labels[i] == 1 ? 0.5f : 0.0f);
        }
    }
}

static void train(struct training *t, int64_t first, int64_t last)
{
    sfconv_view images;
    sfconv_view logits;
    sfconv_view gradient;
    must(sfconv_run_input(t->run, 0, &images), t->context, "input");
    must(sfconv_run_output(t->run, 0, &logits), t->context, "output");
    must(sfconv_run_output_gradient(t->run, 0, &gradient), t->context, "gradient");
    for (int64_t step = first; step < last; step++) {
        int32_t labels[BATCH];
        double loss = 0.0;
        double penalty = 0.0;
        double norm = 0.0;
        double rate = 0.0;
        draw(&images, labels, step);
        must(sfconv_run_forward(t->run), t->context, "forward");
        must(sfconv_loss_cross_entropy(t->context, &logits, labels, NULL, &loss, &gradient),
             t->context, "loss");
        must(sfconv_run_zero_gradients(t->run), t->context, "zero");
        must(sfconv_run_backward(t->run), t->context, "backward");
        must(sfconv_run_regularize(t->run, &penalty), t->context, "regularizer");
        must(sfconv_run_clip_gradients(t->run, 5.0, &norm), t->context, "clip");
        must(sfconv_schedule_rate(t->schedule, step, &rate), t->context, "rate");
        must(sfconv_optimizer_step(t->optimizer, t->run, rate), t->context, "step");
        printf("step %2lld  rate %.5f  loss %.4f  penalty %.5f  gradient %.3f\n", (long long)step,
               rate, loss, penalty, norm);
    }
}

/* The position of the loop travels as a text; everything else the library knows. */
static sfconv_checkpoint checkpoint_of(struct training *t, sfconv_metadata *metadata)
{
    sfconv_checkpoint checkpoint = SFCONV_CHECKPOINT_INIT;
    checkpoint.net = t->net;
    checkpoint.optimizer = t->optimizer;
    checkpoint.schedule = t->schedule;
    checkpoint.run = t->run;
    checkpoint.metadata = metadata;
    return checkpoint;
}

static void save(struct training *t, int64_t step)
{
    char text[32];
    sfconv_metadata *metadata = NULL;
    must(sfconv_metadata_create(&metadata, t->context), t->context, "metadata");
    snprintf(text, sizeof text, "%lld", (long long)step);
    must(sfconv_metadata_set(metadata, "loop.step", text), t->context, "metadata");
    const sfconv_checkpoint checkpoint = checkpoint_of(t, metadata);
    must(sfconv_checkpoint_save(&checkpoint, checkpoint_path), t->context, "save");
    sfconv_metadata_destroy(metadata);
}

/* Objects made with the same settings take the saved state over. */
static int64_t load(struct training *t)
{
    sfconv_metadata *metadata = NULL;
    must(sfconv_metadata_create(&metadata, t->context), t->context, "metadata");
    const sfconv_checkpoint checkpoint = checkpoint_of(t, metadata);
    must(sfconv_checkpoint_load(&checkpoint, checkpoint_path), t->context, "load");
    const char *text = sfconv_metadata_get(metadata, "loop.step");
    const int64_t step = text ? strtoll(text, NULL, 10) : 0;
    sfconv_metadata_destroy(metadata);
    return step;
}

static int same_bits(const sfconv_net *a, const sfconv_net *b)
{
    int same = 1;
    for (int32_t i = 0; i < sfconv_net_parameter_count(a); i++) {
        sfconv_parameter_info left = SFCONV_PARAMETER_INFO_INIT;
        sfconv_parameter_info right = SFCONV_PARAMETER_INFO_INIT;
        must(sfconv_net_parameter(a, i, &left), NULL, "parameter");
        must(sfconv_net_parameter(b, i, &right), NULL, "parameter");
        same = same && memcmp(left.view.data, right.view.data,
                              (size_t)sfconv_view_count(&left.view) * sizeof(float)) == 0;
    }
    return same;
}

int main(void)
{
    sfconv_context *context = NULL;
    must(sfconv_context_create(&context, NULL), NULL, "context");

    struct training unbroken = begin(context);
    train(&unbroken, 0, STEPS);

    struct training broken = begin(context);
    train(&broken, 0, BREAK);
    save(&broken, BREAK);
    end(&broken);

    struct training resumed = begin(context);
    const int64_t step = load(&resumed);
    printf("resumed at step %lld\n", (long long)step);
    train(&resumed, step, STEPS);

    const int same = same_bits(unbroken.net, resumed.net);
    printf("%s\n", same ? "same bits" : "other bits");
    end(&resumed);
    end(&unbroken);
    sfconv_context_destroy(context);
    return same ? EXIT_SUCCESS : EXIT_FAILURE;
}
