/* SPDX-License-Identifier: BSD-2-Clause */
/* One factorized convolution by itself: forward, backward, the KL term, its spectrum. */
#include <sfconv/sfconv.h>

#include <stdio.h>
#include <stdlib.h>

/* In a small program the first failure may end it; the library itself never does that. */
static void must(sfconv_status status, const sfconv_context *context, const char *what)
{
    if (status < 0) {
        fprintf(stderr, "%s: %s (%s)\n", what, sfconv_context_last_error(context),
                sfconv_status_name(status));
        exit(EXIT_FAILURE);
    }
}

static void fill(const sfconv_view *view, double step)
{
    for (int64_t i = 0; i < sfconv_view_count(view); i++) {
        view->data[i] = (float)((double)(i % 17) * step - 0.5);
    }
}

int main(void)
{
    sfconv_context *context = NULL;
    must(sfconv_context_create(&context, NULL), NULL, "context");

    /* 3x3, 32 -> 64 channels, rank round(1/8 * 32) = 4, with λ = 0.1 for the KL term. */
    sfconv_sfconv2d_desc desc = SFCONV_SFCONV2D_DESC_INIT;
    desc.in_channels = 32;
    desc.out_channels = 64;
    desc.ratio = 1.0 / 8;
    desc.regularizer = SFCONV_REGULARIZER_KL;
    desc.regularizer_weight = 0.1;
    desc.seed = 1;
    sfconv_layer *layer = NULL;
    must(sfconv_sfconv2d_create(&layer, context, &desc), context, "layer");
    printf("rank %lld of at most 96\n", (long long)sfconv_sfconv2d_rank(layer));

    /* A run holds activations and gradients; the layer only parameters. */
    sfconv_run *run = NULL;
    must(sfconv_run_create_for_layer(&run, layer, &desc.in_channels, 1, SFCONV_MODE_TRAINING),
         context, "run");
    const sfconv_shape shape = {2, 32, 20, 20};
    must(sfconv_run_reshape(run, &shape, 1, NULL, 0), context, "reshape");

    sfconv_view input;
    sfconv_view output;
    sfconv_view gradient;
    must(sfconv_run_input(run, 0, &input), context, "input");
    must(sfconv_run_output(run, 0, &output), context, "output");
    must(sfconv_run_output_gradient(run, 0, &gradient), context, "gradient");
    fill(&input, 0.06);
    must(sfconv_run_forward(run), context, "forward");
    printf("output %lldx%lldx%lldx%lld, first value %.4f\n", (long long)output.shape[0],
           (long long)output.shape[1], (long long)output.shape[2], (long long)output.shape[3],
           (double)output.data[0]);

    double penalty = 0.0;
    fill(&gradient, 0.01);
    must(sfconv_run_backward(run), context, "backward");
    must(sfconv_run_regularize(run, &penalty), context, "regularizer");
    printf("λ·KL = %.5f\n", penalty);

    must(sfconv_layer_svd_update(layer, SFCONV_SVD_GRAM), context, "svd");
    sfconv_spectrum spectrum = SFCONV_SPECTRUM_INIT;
    must(sfconv_layer_spectrum(layer, SFCONV_FACTOR_P, &spectrum), context, "spectrum");
    printf("P: %lld singular values, %.3f to %.3f, effective rank %.2f\n",
           (long long)spectrum.count, spectrum.largest, spectrum.smallest, spectrum.effective_rank);

    sfconv_run_destroy(run);
    sfconv_layer_destroy(layer);
    sfconv_context_destroy(context);
    return EXIT_SUCCESS;
}
