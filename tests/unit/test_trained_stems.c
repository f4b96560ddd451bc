/* SPDX-License-Identifier: BSD-2-Clause */
/* Training of a dense stem with BatchNorm and max pooling behind it, whose full-width map rank
 * space never stores: outputs, gradients and running statistics of the layer path. */
#include "nets.h"

#define STEMS 60

/* What the images of a batch have below their noise of ±1. */
enum background { FLAT, IMAGES_APART, ROWS_APART, RAMPS, BACKGROUNDS };

/* Drawn of a seed, or as a ResNet's. */
typedef struct stem {
    sfconv_conv2d_desc conv;
    /* SFCONV_ACTIVATION_…, or none where negative. */
    int32_t activation;
    sfconv_shape shape;
    /* Whether the taps of each channel of a filter sum to zero. */
    bool is_blind;
    enum background background;
    double offset;
} stem;

static int64_t draw(uint64_t seed, uint64_t *index, int64_t below)
{
    const sfi_random random = {NETS_SEED, 500 + seed};
    return (int64_t)(sfi_random_uniform(random, (*index)++) * (double)below);
}

static stem draw_stem(uint64_t seed)
{
    static const int32_t activations[] = {-1, SFCONV_ACTIVATION_RELU, SFCONV_ACTIVATION_LEAKY_RELU};
    stem made = {.conv = SFCONV_CONV2D_DESC_INIT};
    sfconv_conv2d_desc *conv = &made.conv;
    uint64_t at = 0;
    conv->in_channels = 1 + draw(seed, &at, 4);
    conv->out_channels = 1 + draw(seed, &at, 40);
    conv->kernel[0] = 1 + draw(seed, &at, 8);
    conv->kernel[1] = 5 + draw(seed, &at, 4);
    conv->stride[0] = conv->stride[1] = 2;
    conv->padding[0] = draw(seed, &at, conv->kernel[0]);
    conv->padding[1] = draw(seed, &at, conv->kernel[1]);
    conv->has_bias = draw(seed, &at, 2) == 1;
    conv->seed = seed;
    made.activation = activations[draw(seed, &at, 3)];
    made.shape = (sfconv_shape){1 + draw(seed, &at, 3), conv->in_channels,
                                2 * conv->kernel[0] + 8 + draw(seed, &at, 30),
                                2 * conv->kernel[1] + 8 + draw(seed, &at, 90)};
    return made;
}

static stem blind_stem(int64_t padding, enum background background, double offset)
{
    stem made = {.conv = SFCONV_CONV2D_DESC_INIT,
                 .activation = SFCONV_ACTIVATION_RELU,
                 .shape = {8, 3, 39, 39},
                 .is_blind = true,
                 .background = background,
                 .offset = offset};
    made.conv.in_channels = 3;
    made.conv.out_channels = 8;
    made.conv.kernel[0] = made.conv.kernel[1] = 7;
    made.conv.stride[0] = made.conv.stride[1] = 2;
    made.conv.padding[0] = made.conv.padding[1] = padding;
    return made;
}

/* Multiples of 2^-9 whose sums are exact: such filters do not see a background that is flat, and a
 * ramp as a constant. */
static void make_blind(const sfconv_view *weight, int64_t taps)
{
    for (int64_t first = 0; first < sfconv_view_count(weight); first += taps) {
        float sum = 0.0f;
        for (int64_t k = first; k < first + taps - 1; k++) {
            weight->data[k] = rintf(weight->data[k] * 512.0f) / 512.0f;
            sum += weight->data[k];
        }
        weight->data[first + taps - 1] = -sum;
    }
}

static sfconv_net *new_net(sfconv_context *context, const stem *made)
{
    sfconv_pool2d_desc pooling = SFCONV_POOL2D_DESC_INIT;
    sfconv_net *net = empty_net(context);
    sfconv_layer *layer;
    int32_t node = put_input(net, "image", made->conv.in_channels);
    ck_assert_int_eq(sfconv_conv2d_create(&layer, context, &made->conv), SFCONV_OK);
    node = put_after(net, "stem", layer, node);
    node = put_after(net, "norm", new_batchnorm(context, made->conv.out_channels), node);
    if (made->activation >= 0) {
        node = put_after(net, "bent", new_activation(context, made->activation), node);
    }
    pooling.kind = SFCONV_POOL_MAX;
    pooling.kernel[0] = pooling.kernel[1] = 3;
    pooling.padding[0] = pooling.padding[1] = 1;
    ck_assert_int_eq(sfconv_pool2d_create(&layer, context, &pooling), SFCONV_OK);
    node = put_after(net, "pooled", layer, node);
    put_output(net, node);
    put_output(net, put_after(net, "next",
                              new_sfconv(context, made->conv.out_channels, 5, 2,
                                         SFCONV_REGULARIZER_NONE, 0, 3),
                              node));
    /* Scales of both signs. */
    float *scale = parameter_of(net, made->conv.has_bias ? 2 : 1).view.data;
    for (int64_t c = 0; c < made->conv.out_channels; c++) {
        scale[c] = c % 3 ? 1.25f : -0.75f;
    }
    if (made->is_blind) {
        const sfconv_view weight = parameter_of(net, 0).view;
        make_blind(&weight, made->conv.kernel[0] * made->conv.kernel[1]);
    }
    return net;
}

static double background_of(enum background kind, sfconv_shape shape, int64_t element)
{
    const int64_t row = element / shape.width % shape.height;
    switch (kind) {
    case RAMPS:
        return 2.0 * (double)(element % shape.width) / (double)(shape.width - 1) - 1.0;
    case ROWS_APART:
        return 2.0 * (double)row / (double)(shape.height - 1) - 1.0;
    case IMAGES_APART:
        return element / (shape.channels * shape.height * shape.width) % 2 ? 1.0 : -1.0;
    default:
        return 1.0;
    }
}

static sfconv_run *train(sfconv_net *net, int32_t engine, const stem *made)
{
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    ck_assert_int_eq(sfconv_run_set_engine(run, engine), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_reshape(run, &made->shape, 1, NULL, 0), SFCONV_OK);
    fill_inputs(run, 5);
    const sfconv_view image = input_of(run, 0);
    for (int64_t i = 0; i < sfconv_view_count(&image); i++) {
        image.data[i] += (float)(made->offset * background_of(made->background, made->shape, i));
    }
    run_forward(run);
    ck_assert_int_eq(sfconv_run_zero_gradients(run), SFCONV_OK);
    fill_output_gradients(run, 55);
    run_backward(run);
    return run;
}

/* In parts of the largest number; and `noise` is nobody's fault. */
static void check_views(uint64_t seed, const char *name, const sfconv_view views[2],
                        double tolerance, double noise)
{
    const double distance = distance_of(&views[0], &views[1]);
    const double largest = largest_of(&views[0]);
    ck_assert_msg(distance <= tolerance * largest + noise, "stem %d: %s differs by %g of %g",
                  (int)seed, name, distance, largest);
}

static sfconv_view gradient_of(sfconv_run *run, int32_t parameter)
{
    sfconv_view view;
    ck_assert_int_eq(sfconv_run_parameter_gradient(run, parameter, &view), SFCONV_OK);
    return view;
}

/* A gradient that is zero but for rounding, as that of a bias in front of a BatchNorm, has no
 * digits to compare: the largest gradient of the net, times 2e-6, is allowed on top. */
static double noise_of(const sfconv_net *net, sfconv_run *run)
{
    double largest = 0;
    for (int32_t i = 0; i < sfconv_net_parameter_count(net); i++) {
        if (parameter_of(net, i).trainable) {
            const sfconv_view gradient = gradient_of(run, i);
            largest = worst_of(largest, largest_of(&gradient));
        }
    }
    return 2e-6 * largest;
}

static void check_parameters(uint64_t seed, sfconv_net *const nets[2], sfconv_run *const runs[2])
{
    const double noise = noise_of(nets[0], runs[0]);
    for (int32_t i = 0; i < sfconv_net_parameter_count(nets[0]); i++) {
        const sfconv_parameter_info info = parameter_of(nets[0], i);
        const sfconv_view values[2] = {info.view, parameter_of(nets[1], i).view};
        check_views(seed, info.name, values, 1e-5, 0);
        if (info.trainable) {
            const sfconv_view gradients[2] = {gradient_of(runs[0], i), gradient_of(runs[1], i)};
            check_views(seed, info.name, gradients, 1e-4, noise);
        }
    }
}

static void check_plan(uint64_t seed, sfconv_run *run)
{
    const char *text = plan_of(run);
    ck_assert_msg(strstr(text, "\nexpand  pooled ") && strstr(text, "\nfused   stem "),
                  "stem %d\n%s", (int)seed, text);
}

START_TEST(random_stems_agree_with_the_layer_path)
{
    sfconv_context *context = public_context(2, SFCONV_ISA_BEST);
    for (uint64_t seed = 0; seed < STEMS; seed++) {
        const stem made = draw_stem(seed);
        sfconv_net *nets[2] = {new_net(context, &made), new_net(context, &made)};
        sfconv_run *runs[2] = {train(nets[0], SFCONV_ENGINE_LAYERS, &made),
                               train(nets[1], SFCONV_ENGINE_RANK_SPACE, &made)};
        check_plan(seed, runs[1]);
        for (int32_t i = 0; i < 2; i++) {
            const sfconv_view views[2] = {output_of(runs[0], i), output_of(runs[1], i)};
            check_views(seed, "an output", views, 1e-5, 0);
        }
        check_parameters(seed, nets, runs);
        for (int i = 0; i < 2; i++) {
            sfconv_run_destroy(runs[i]);
            sfconv_net_destroy(nets[i]);
        }
    }
    sfconv_context_destroy(context);
}
END_TEST

static uint64_t bits_of(const stem *made, int32_t workers, int32_t isa)
{
    sfconv_context *context = convolution_context(workers, isa, SFCONV_CONVOLUTION_AUTO);
    if (!context) {
        return 0;
    }
    sfconv_net *net = new_net(context, made);
    sfconv_run *run = train(net, SFCONV_ENGINE_RANK_SPACE, made);
    const uint64_t bits = hash_outputs(run) ^ hash_gradients(run) ^ hash_parameters(net);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
    return bits;
}

START_TEST(every_instruction_set_and_number_of_workers_gives_the_same_bits)
{
    static const int32_t isas[] = {SFCONV_ISA_REFERENCE, SFCONV_ISA_AVX2, SFCONV_ISA_AVX512,
                                   SFCONV_ISA_NEON};
    for (uint64_t seed = 0; seed <= 8; seed++) {
        /* The last takes sums in double. */
        const stem made = seed < 8 ? draw_stem(seed) : blind_stem(0, ROWS_APART, 100);
        const uint64_t expected = bits_of(&made, 1, SFCONV_ISA_BEST);
        for (int32_t workers = 2; workers <= 16; workers += workers) {
            ck_assert_msg(bits_of(&made, workers, SFCONV_ISA_BEST) == expected,
                          "stem %d, %d workers", (int)seed, workers);
        }
        for (int i = 0; i < 4; i++) {
            const uint64_t bits = bits_of(&made, 1, isas[i]);
            ck_assert_msg(bits == 0 || bits == expected, "stem %d, isa %d", (int)seed, isas[i]);
        }
    }
}
END_TEST

/* BatchNorm takes away what is added to a whole image that has no padding: the running variance,
 * where sums of squares in float would leave nothing, must not see it. */
START_TEST(statistics_of_an_image_far_from_zero_are_found)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    stem made = draw_stem(1);
    made.conv.padding[0] = made.conv.padding[1] = 0;
    sfconv_view views[2];
    sfconv_net *nets[2];
    sfconv_run *runs[2];
    for (int i = 0; i < 2; i++) {
        made.offset = i ? 4096 : 0;
        nets[i] = new_net(context, &made);
        runs[i] = train(nets[i], SFCONV_ENGINE_RANK_SPACE, &made);
        const int32_t last = made.conv.has_bias ? 5 : 4;
        ck_assert_str_eq(parameter_of(nets[i], last).name, "norm.running_var");
        views[i] = parameter_of(nets[i], last).view;
    }
    /* A float near 4096 has steps of 2^-11, the images those of a uniform ±1. */
    ck_assert_double_lt(distance_of(&views[0], &views[1]), 1e-3 * largest_of(&views[0]));
    for (int i = 0; i < 2; i++) {
        sfconv_run_destroy(runs[i]);
        sfconv_net_destroy(nets[i]);
    }
    sfconv_context_destroy(context);
}
END_TEST

static sfconv_view running_variance_of(const sfconv_net *net)
{
    ck_assert_str_eq(parameter_of(net, 4).name, "norm.running_var");
    return parameter_of(net, 4).view;
}

/* One output pixel, in double. */
static double convolve(const stem *made, const float *image, const float *filter, int64_t y,
                       int64_t x)
{
    const int64_t size = made->shape.height;
    double sum = 0.0;
    for (int64_t k = 0; k < 147; k++) {
        const int64_t row = 2 * y + k % 49 / 7 - made->conv.padding[0];
        const int64_t column = 2 * x + k % 7 - made->conv.padding[1];
        if (row >= 0 && row < size && column >= 0 && column < size) {
            sum += (double)filter[k] * (double)image[(k / 49 * size + row) * size + column];
        }
    }
    return sum;
}

/* What a step leaves in the running variance of a channel, zero before, from sums in double. */
static double expected_variance(const stem *made, const float *images, const float *filter)
{
    const int64_t size = made->shape.height;
    const int64_t out = (size + 2 * made->conv.padding[0] - 7) / 2 + 1;
    const int64_t plane = out * out, values = made->shape.batch * plane;
    const double first = convolve(made, images, filter, 0, 0);
    double sum = 0.0, squares = 0.0;
    for (int64_t i = 0; i < values; i++) {
        const float *image = images + i / plane * 3 * size * size;
        const double away = convolve(made, image, filter, i % plane / out, i % out) - first;
        sum += away;
        squares += away * away;
    }
    return 0.1 * (squares - sum * sum / (double)values) / (double)(values - 1);
}

/* The worst of the channels, in parts of the variance. */
static double error_of_variance(const stem *made, sfconv_net *net, sfconv_run *run)
{
    const sfconv_view image = input_of(run, 0);
    const sfconv_view weight = parameter_of(net, 0).view;
    const sfconv_view variance = running_variance_of(net);
    double worst = 0.0;
    for (int64_t c = 0; c < made->conv.out_channels; c++) {
        const double expected = expected_variance(made, image.data, weight.data + c * 147);
        worst = worst_of(worst, fabs((double)variance.data[c] / expected - 1.0));
    }
    return worst;
}

/* Layers round each output; moments must not be worse where that counts. */
START_TEST(a_variance_far_below_the_spread_of_the_batch_is_as_good_as_that_of_layers)
{
    static const double offsets[] = {3, 10, 30, 100, 1000, 10000};
    sfconv_context *context = public_context(2, SFCONV_ISA_BEST);
    for (int at = 0; at < 6; at++) {
        const stem made = blind_stem(_i % 2 * 3, _i / 2, offsets[at]);
        sfconv_net *nets[2];
        sfconv_run *runs[2];
        double errors[2];
        for (int i = 0; i < 2; i++) {
            nets[i] = new_net(context, &made);
            const sfconv_view variance = running_variance_of(nets[i]);
            memset(variance.data, 0, (size_t)sfconv_view_count(&variance) * sizeof(float));
            runs[i] = train(nets[i], i ? SFCONV_ENGINE_RANK_SPACE : SFCONV_ENGINE_LAYERS, &made);
            errors[i] = error_of_variance(&made, nets[i], runs[i]);
        }
        ck_assert_msg(errors[1] <= errors[0] + 1e-5, "offset %g: %g, layers %g", offsets[at],
                      errors[1], errors[0]);
        /* With more, outputs that are as good as equal change places in the pooling. */
        if (offsets[at] <= 100) {
            const sfconv_view gradients[2] = {gradient_of(runs[0], 0), gradient_of(runs[1], 0)};
            check_views((uint64_t)_i, "the gradient of the weight", gradients, 5e-5, 0);
        }
        for (int i = 0; i < 2; i++) {
            sfconv_run_destroy(runs[i]);
            sfconv_net_destroy(nets[i]);
        }
    }
    sfconv_context_destroy(context);
}
END_TEST

/* Where somebody wants the gradient of the image, or no pooling follows, layers compute. */
START_TEST(a_stem_whose_image_has_a_gradient_goes_by_layers)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    const stem made = draw_stem(2);
    sfconv_net *net = new_net(context, &made);
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    ck_assert_int_eq(sfconv_run_want_input_gradients(run, 1), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_reshape(run, &made.shape, 1, NULL, 0), SFCONV_OK);
    ck_assert_ptr_nonnull(strstr(plan_of(run), "\nlayer   stem "));
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trained_stems");
    TCase *tests = tcase_create("trained_stems");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, random_stems_agree_with_the_layer_path);
    tcase_add_test(tests, every_instruction_set_and_number_of_workers_gives_the_same_bits);
    tcase_add_test(tests, statistics_of_an_image_far_from_zero_are_found);
    tcase_add_loop_test(tests,
                        a_variance_far_below_the_spread_of_the_batch_is_as_good_as_that_of_layers,
                        2 * IMAGES_APART, 2 * BACKGROUNDS);
    tcase_add_test(tests, a_stem_whose_image_has_a_gradient_goes_by_layers);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
