/* SPDX-License-Identifier: BSD-2-Clause */
/* A net built by hand and a training loop: tell bright-left from bright-right images. */
#include <sfconv/sfconv.h>

#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 16, SIZE = 12, STEPS = 60 };

static void must(sfconv_status status, const sfconv_context *context, const char *what)
{
    if (status < 0) {
        fprintf(stderr, "%s: %s (%s)\n", what, sfconv_context_last_error(context),
                sfconv_status_name(status));
        exit(EXIT_FAILURE);
    }
}

/* Adds a layer behind `input` and lets go of it: the net keeps its own hold. */
static int32_t add(sfconv_net *net, sfconv_context *context, const char *name, sfconv_layer *layer,
                   int32_t input)
{
    int32_t node = -1;
    must(sfconv_net_add_layer(net, name, layer, &input, 1, &node), context, name);
    sfconv_layer_destroy(layer);
    return node;
}

static sfconv_net *build(sfconv_context *context)
{
    sfconv_net *net = NULL;
    sfconv_layer *layer = NULL;
    int32_t node = -1;
    sfconv_sfconv2d_desc conv = SFCONV_SFCONV2D_DESC_INIT;
    sfconv_batchnorm2d_desc norm = SFCONV_BATCHNORM2D_DESC_INIT;
    sfconv_pool2d_desc pool = SFCONV_POOL2D_DESC_INIT;
    sfconv_linear_desc linear = SFCONV_LINEAR_DESC_INIT;
    must(sfconv_net_create(&net, context), context, "net");
    must(sfconv_net_add_input(net, "image", 1, &node), context, "input");

    conv.in_channels = 1;
    conv.out_channels = 8;
    conv.rank = 2;
    conv.regularizer = SFCONV_REGULARIZER_KL;
    conv.regularizer_weight = 0.01;
    must(sfconv_sfconv2d_create(&layer, context, &conv), context, "conv");
    node = add(net, context, "conv", layer, node);

    norm.channels = 8;
    must(sfconv_batchnorm2d_create(&layer, context, &norm), context, "norm");
    node = add(net, context, "norm", layer, node);

    must(sfconv_activation_create(&layer, context, SFCONV_ACTIVATION_RELU, 0.0), context, "relu");
    node = add(net, context, "relu", layer, node);

    pool.kernel[0] = pool.kernel[1] = pool.stride[0] = pool.stride[1] = 4;
    must(sfconv_pool2d_create(&layer, context, &pool), context, "pool");
    node = add(net, context, "pool", layer, node);

    linear.in_features = 8 * (SIZE / 4) * (SIZE / 4);
    linear.out_features = 2;
    must(sfconv_linear_create(&layer, context, &linear), context, "classes");
    node = add(net, context, "classes", layer, node);

    must(sfconv_net_add_output(net, node), context, "output");
    must(sfconv_net_initialize(net, 7), context, "initialize");
    return net;
}

static void draw(const sfconv_view *images, int32_t *labels)
{
    for (int64_t i = 0; i < BATCH; i++) {
        labels[i] = rand() % 2;
        for (int64_t p = 0; p < SIZE * SIZE; p++) {
            const int bright = (p % SIZE >= SIZE / 2) == (labels[i] == 1);
            images->data[i * SIZE * SIZE + p] =
                (float)(rand() % 1000) / 1000.0f + (bright ? 0.2f : 0.0f);
        }
    }
}

int main(void)
{
    sfconv_context *context = NULL;
    must(sfconv_context_create(&context, NULL), NULL, "context");
    sfconv_net *net = build(context);

    sfconv_run *run = NULL;
    const sfconv_shape shape = {BATCH, 1, SIZE, SIZE};
    must(sfconv_run_create(&run, net, SFCONV_MODE_TRAINING), context, "run");
    must(sfconv_run_reshape(run, &shape, 1, NULL, 0), context, "reshape");
    sfconv_view images;
    sfconv_view logits;
    sfconv_view gradient;
    must(sfconv_run_input(run, 0, &images), context, "input");
    must(sfconv_run_output(run, 0, &logits), context, "output");
    must(sfconv_run_output_gradient(run, 0, &gradient), context, "gradient");

    sfconv_optimizer *optimizer = NULL;
    const sfconv_optimizer_desc sgd = SFCONV_OPTIMIZER_DESC_INIT;
    must(sfconv_optimizer_create(&optimizer, net, &sgd), context, "optimizer");

    for (int step = 1; step <= STEPS; step++) {
        int32_t labels[BATCH];
        double loss = 0.0;
        double penalty = 0.0;
        draw(&images, labels);
        must(sfconv_run_forward(run), context, "forward");
        must(sfconv_loss_cross_entropy(context, &logits, labels, NULL, &loss, &gradient), context,
             "loss");
        must(sfconv_run_zero_gradients(run), context, "zero");
        must(sfconv_run_backward(run), context, "backward");
        must(sfconv_run_regularize(run, &penalty), context, "regularizer");
        must(sfconv_optimizer_step(optimizer, run, 0.05), context, "step");
        if (step % 10 == 0) {
            printf("step %3d  loss %.4f  penalty %.5f\n", step, loss, penalty);
        }
    }

    must(sfconv_net_save(net, "left_or_right.safetensors", NULL), context, "save");
    printf("saved left_or_right.safetensors\n");
    sfconv_optimizer_destroy(optimizer);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
    return EXIT_SUCCESS;
}
