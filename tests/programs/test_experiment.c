/* SPDX-License-Identifier: BSD-2-Clause */
#include "scratch.h"

#include "batch.h"
#include "suite.h"

#include <check.h>
#include <math.h>

static struct image_error error;
static sfconv_context *context;

static void open_context(void)
{
    ck_assert_int_eq(sfconv_context_create(&context, NULL), SFCONV_OK);
    scratch_create();
}

static void close_context(void)
{
    sfconv_context_destroy(context);
    scratch_destroy();
}

#define ASSERT_DONE(call) ck_assert_msg((call), "%s", error.text)
#define ASSERT_REFUSED(call, reason)                                                               \
    do {                                                                                           \
        ck_assert(!(call));                                                                        \
        ck_assert_msg(strstr(error.text, reason) != NULL, "%s", error.text);                       \
    } while (0)

static struct image picture(int64_t width, int64_t height, const float *pixels)
{
    struct image image;
    ASSERT_DONE(image_create(&image, width, height, 1, &error));
    memcpy(image.pixels, pixels, (size_t)(width * height) * sizeof *pixels);
    return image;
}

static void add(struct dataset *set, int32_t label, int64_t width, int64_t height,
                const float *pixels, const float *mask_pixels)
{
    struct image image = picture(width, height, pixels);
    struct image mask = {0};
    if (mask_pixels) {
        mask = picture(width, height, mask_pixels);
    }
    ASSERT_DONE(dataset_add(set, "made", label, &image, &mask, &error));
}

static int32_t add_layer(sfconv_net *net, const char *name, sfconv_layer *layer, int32_t input)
{
    int32_t node = -1;
    ck_assert_int_eq(sfconv_net_add_layer(net, name, layer, &input, 1, &node), SFCONV_OK);
    sfconv_layer_destroy(layer);
    return node;
}

static void set_parameter(sfconv_layer *layer, int32_t index, const float *values)
{
    sfconv_parameter_info info = SFCONV_PARAMETER_INFO_INIT;
    ck_assert_int_eq(sfconv_layer_parameter(layer, index, &info), SFCONV_OK);
    memcpy(info.view.data, values, (size_t)sfconv_view_count(&info.view) * sizeof *values);
}

static sfconv_layer *pointwise(int64_t outputs, const float *weights, const float *biases)
{
    sfconv_conv2d_desc desc = SFCONV_CONV2D_DESC_INIT;
    sfconv_layer *layer = NULL;
    desc.in_channels = 1;
    desc.out_channels = outputs;
    desc.kernel[0] = desc.kernel[1] = 1;
    desc.padding[0] = desc.padding[1] = 0;
    desc.has_bias = 1;
    ck_assert_int_eq(sfconv_conv2d_create(&layer, context, &desc), SFCONV_OK);
    set_parameter(layer, 0, weights);
    set_parameter(layer, 1, biases);
    return layer;
}

static sfconv_net *empty_net(int32_t *input)
{
    sfconv_net *net = NULL;
    ck_assert_int_eq(sfconv_net_create(&net, context), SFCONV_OK);
    ck_assert_int_eq(sfconv_net_add_input(net, "image", 1, input), SFCONV_OK);
    return net;
}

/* Marks every pixel above 0.5. What lies beyond the image has the logit 0.25: foreground, if it
 * were looked at. */
static struct experiment_model threshold_model(void)
{
    static const float weight[] = {1.0f};
    static const float bias[] = {0.25f};
    struct experiment_model model = {.context = context,
                                     .segments = true,
                                     .channels = 1,
                                     .threshold = 0.5,
                                     .multiple = 4,
                                     .mean = {0.75f},
                                     .deviation = {1.0f}};
    int32_t node;
    model.net = empty_net(&node);
    node = add_layer(model.net, "point", pointwise(1, weight, bias), node);
    ck_assert_int_eq(sfconv_net_add_output(model.net, node), SFCONV_OK);
    return model;
}

/* Class 1 for images brighter than 0.5 on average, else class 0. */
static struct experiment_model brightness_model(void)
{
    static const float weights[] = {-1.0f, 1.0f};
    static const float biases[] = {0.0f, 0.0f};
    struct experiment_model model = {.context = context,
                                     .channels = 1,
                                     .threshold = 0.5,
                                     .multiple = 1,
                                     .mean = {0.5f},
                                     .deviation = {1.0f},
                                     .class_count = 2};
    sfconv_pool2d_desc desc = SFCONV_POOL2D_DESC_INIT;
    sfconv_layer *pool = NULL;
    int32_t node;
    model.class_names = calloc(2, sizeof *model.class_names);
    ck_assert_ptr_nonnull(model.class_names);
    desc.kind = SFCONV_POOL_GLOBAL_AVERAGE;
    ck_assert_int_eq(sfconv_pool2d_create(&pool, context, &desc), SFCONV_OK);
    model.net = empty_net(&node);
    node = add_layer(model.net, "pool", pool, node);
    node = add_layer(model.net, "point", pointwise(2, weights, biases), node);
    ck_assert_int_eq(sfconv_net_add_output(model.net, node), SFCONV_OK);
    return model;
}

/* ---- batch.h */

START_TEST(measure_is_mean_and_deviation_of_all_pixels)
{
    static const float first[] = {0.0f, 0.5f, 1.0f, 0.5f};
    static const float second[] = {0.25f, 0.75f};
    struct experiment_model model = {.channels = 1};
    struct dataset set = {0};
    add(&set, -1, 2, 2, first, NULL);
    add(&set, -1, 2, 1, second, NULL);
    ASSERT_DONE(batch_measure(&model, &set, &error));
    ck_assert_float_eq_tol(model.mean[0], 0.5f, 1e-6f);
    ck_assert_float_eq_tol(model.deviation[0], sqrtf(0.625f / 6.0f), 1e-6f);
    dataset_destroy(&set);
}
END_TEST

START_TEST(flat_images_have_deviation_one)
{
    static const float flat[] = {0.3f, 0.3f};
    struct experiment_model model = {.channels = 1};
    struct dataset set = {0};
    add(&set, -1, 2, 1, flat, NULL);
    ASSERT_DONE(batch_measure(&model, &set, &error));
    ck_assert_float_eq_tol(model.mean[0], 0.3f, 1e-6f);
    ck_assert_float_eq(model.deviation[0], 1.0f);
    dataset_destroy(&set);
}
END_TEST

START_TEST(image_is_normalized_converted_and_filled_up_with_zeros)
{
    static const float pixels[] = {0.2f, 0.4f, 0.6f};
    static const int64_t shape[] = {2, 3, 2, 4};
    const struct experiment_model model = {
        .channels = 3, .mean = {0.2f, 0.3f, 0.4f}, .deviation = {0.1f, 0.2f, 0.5f}};
    float data[48];
    sfconv_view batch;
    struct image image = picture(3, 1, pixels);
    for (int i = 0; i < 48; i++) {
        data[i] = 9.0f;
    }
    ck_assert_int_eq(sfconv_view_init(&batch, data, 4, shape), SFCONV_OK);
    ASSERT_DONE(batch_put_image(&model, &batch, 1, &image, &error));
    for (int i = 0; i < 24; i++) {
        ck_assert_float_eq(data[i], 9.0f);
    }
    for (int c = 0; c < 3; c++) {
        for (int i = 0; i < 8; i++) {
            const float expected = i < 3 ? (pixels[i] - model.mean[c]) / model.deviation[c] : 0.0f;
            ck_assert_float_eq_tol(data[24 + 8 * c + i], expected, 1e-6f);
        }
    }
    image_destroy(&image);
}
END_TEST

START_TEST(mask_is_filled_up_with_background)
{
    static const float pixels[] = {1.0f, 0.0f, 1.0f, 1.0f};
    static const float expected[] = {1, 0, 0, 1, 1, 0, 0, 0, 0};
    static const int64_t shape[] = {1, 1, 3, 3};
    float data[9];
    sfconv_view batch;
    struct image mask = picture(2, 2, pixels);
    memset(data, 0x7f, sizeof data);
    ck_assert_int_eq(sfconv_view_init(&batch, data, 4, shape), SFCONV_OK);
    batch_put_mask(&batch, 0, &mask);
    for (int i = 0; i < 9; i++) {
        ck_assert_float_eq(data[i], expected[i]);
    }
    image_destroy(&mask);
}
END_TEST

START_TEST(image_larger_than_the_batch_is_refused)
{
    static const float pixels[] = {0, 0, 0};
    static const int64_t shape[] = {1, 1, 2, 2};
    const struct experiment_model model = {.channels = 1, .deviation = {1.0f}};
    float data[4];
    sfconv_view batch;
    struct image image = picture(3, 1, pixels);
    ck_assert_int_eq(sfconv_view_init(&batch, data, 4, shape), SFCONV_OK);
    ASSERT_REFUSED(batch_put_image(&model, &batch, 0, &image, &error), "3x1");
    image_destroy(&image);
}
END_TEST

START_TEST(sizes_are_rounded_to_what_the_network_takes)
{
    const struct experiment_model model = {.multiple = 8};
    static const int64_t cases[][3] = {{1, 0, 8}, {7, 0, 8}, {8, 8, 8}, {9, 8, 16}, {16, 16, 16}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_int_eq(batch_round_down(&model, cases[i][0]), cases[i][1]);
        ck_assert_int_eq(batch_round_up(&model, cases[i][0]), cases[i][2]);
    }
}
END_TEST

/* ---- Scores */

START_TEST(dice_is_the_mean_over_images_without_what_lies_beyond_them)
{
    static const float image[] = {1, 1, 0, 0, 0, 1};
    static const float half_found[] = {1, 0, 0, 0, 1, 1}; /* TP 2, FP 1, FN 1: 2/3 */
    static const float dark[] = {0, 0, 0, 0, 0, 0};
    struct experiment_model model = threshold_model();
    struct experiment_score score;
    struct dataset set = {0};
    add(&set, -1, 3, 2, image, half_found);
    add(&set, -1, 2, 3, dark, dark); /* nothing to find, nothing found: 1 */
    ASSERT_DONE(experiment_evaluate(&score, NULL, &model, &set, &error));
    ck_assert_int_eq(score.images, 2);
    ck_assert_double_eq_tol(score.metric, (2.0 / 3 + 1) / 2, 1e-12);
    ck_assert_double_eq_tol(score.spread, 1.0 / 6, 1e-12);
    ck_assert_double_eq_tol(score.sensitivity, 2.0 / 3, 1e-12);
    ck_assert_double_eq_tol(score.specificity, 8.0 / 9, 1e-12);
    dataset_destroy(&set);
    experiment_model_destroy(&model);
}
END_TEST

START_TEST(accuracy_is_the_part_of_images_whose_class_is_right)
{
    static const float bright[] = {1.0f, 0.5f};
    static const float dark[] = {0.0f, 0.5f};
    struct experiment_model model = brightness_model();
    struct experiment_score score;
    struct dataset set = {0};
    add(&set, 1, 2, 1, bright, NULL);
    add(&set, 1, 1, 2, bright, NULL);
    add(&set, 0, 2, 1, dark, NULL);
    add(&set, 1, 2, 1, dark, NULL);
    ASSERT_DONE(experiment_evaluate(&score, NULL, &model, &set, &error));
    ck_assert_double_eq_tol(score.metric, 0.75, 1e-12);
    /* Two classes: Cohen's kappa, (0.75 - 0.5) / (1 - 0.5). */
    ck_assert_double_eq_tol(score.kappa, 0.5, 1e-12);
    dataset_destroy(&set);
    experiment_model_destroy(&model);
}
END_TEST

START_TEST(nothing_can_be_judged_by_an_empty_set)
{
    struct experiment_model model = brightness_model();
    const struct dataset set = {0};
    struct experiment_score score;
    ASSERT_REFUSED(experiment_evaluate(&score, NULL, &model, &set, &error), "no image");
    experiment_model_destroy(&model);
}
END_TEST

START_TEST(predictions_are_probabilities)
{
    static const float pixels[] = {1.0f, 0.5f, 0.0f, 0.25f, 0.75f};
    struct experiment_model model = threshold_model();
    struct image image = picture(5, 1, pixels);
    struct image probability;
    ASSERT_DONE(experiment_predict(&probability, &model, &image, NULL, &error));
    ck_assert_int_eq(probability.width, 5);
    ck_assert_int_eq(probability.height, 1);
    for (int i = 0; i < 5; i++) {
        ck_assert_float_eq_tol(probability.pixels[i], 1 / (1 + expf(0.5f - pixels[i])), 1e-6f);
    }
    image_destroy(&probability);
    experiment_model_destroy(&model);

    model = brightness_model();
    ASSERT_DONE(experiment_predict(&probability, &model, &image, NULL, &error));
    ck_assert_int_eq(probability.width, 2);
    ck_assert_float_eq_tol(probability.pixels[0], 0.5f, 1e-6f);
    ck_assert_float_eq_tol(probability.pixels[0] + probability.pixels[1], 1.0f, 1e-6f);
    image_destroy(&probability);
    experiment_model_destroy(&model);
    image_destroy(&image);
}
END_TEST

static sfconv_layer *around(int64_t inputs, int64_t outputs, uint64_t seed)
{
    sfconv_conv2d_desc desc = SFCONV_CONV2D_DESC_INIT;
    sfconv_layer *layer = NULL;
    desc.in_channels = inputs;
    desc.out_channels = outputs;
    desc.has_bias = 1;
    ck_assert_int_eq(sfconv_conv2d_create(&layer, context, &desc), SFCONV_OK);
    ck_assert_int_eq(sfconv_layer_initialize(layer, seed), SFCONV_OK);
    return layer;
}

/* Convolution, pooling, convolution, up-sampling, convolution: it sees 1 + 1 + 2 + 2 pixels far,
 * and 2 more where up-sampling interpolates. */
static struct experiment_model pooling_model(int32_t upsampling)
{
    struct experiment_model model = {.context = context,
                                     .segments = true,
                                     .channels = 1,
                                     .threshold = 0.5,
                                     .multiple = 2,
                                     .mean = {0.5f},
                                     .deviation = {0.25f}};
    sfconv_pool2d_desc pool = SFCONV_POOL2D_DESC_INIT;
    sfconv_layer *layer = NULL;
    int32_t node;
    model.net = empty_net(&node);
    node = add_layer(model.net, "first", around(1, 3, 1), node);
    ck_assert_int_eq(sfconv_pool2d_create(&layer, context, &pool), SFCONV_OK);
    node = add_layer(model.net, "pool", layer, node);
    node = add_layer(model.net, "second", around(3, 3, 2), node);
    const int64_t twice[2] = {2, 2};
    ck_assert_int_eq(sfconv_upsample2d_create(&layer, context, upsampling, twice), SFCONV_OK);
    node = add_layer(model.net, "up", layer, node);
    node = add_layer(model.net, "third", around(3, 1, 3), node);
    ck_assert_int_eq(sfconv_net_add_output(model.net, node), SFCONV_OK);
    return model;
}

/* Largest difference between a map in one piece and from tiles. */
static double tiles_differ(const struct experiment_model *model, const struct image *image,
                           int64_t side, int64_t halo)
{
    const struct experiment_tiles tiles = {side, halo};
    struct image whole;
    struct image tiled;
    double largest = 0.0;
    ASSERT_DONE(experiment_predict(&whole, model, image, NULL, &error));
    ASSERT_DONE(experiment_predict(&tiled, model, image, &tiles, &error));
    ck_assert_int_eq(tiled.width, image->width);
    ck_assert_int_eq(tiled.height, image->height);
    for (int64_t i = 0; i < image_pixels(image); i++) {
        largest = fmax(largest, fabs((double)(whole.pixels[i] - tiled.pixels[i])));
    }
    image_destroy(&whole);
    image_destroy(&tiled);
    return largest;
}

START_TEST(tiles_whose_halo_covers_what_the_network_sees_give_the_map_of_the_whole_image)
{
    static const int32_t upsamplings[] = {SFCONV_UPSAMPLE_NEAREST, SFCONV_UPSAMPLE_BILINEAR,
                                          SFCONV_UPSAMPLE_BILINEAR_ALIGNED};
    struct experiment_model model = pooling_model(upsamplings[_i]);
    struct image image;
    ASSERT_DONE(image_create(&image, 37, 29, 1, &error));
    for (int64_t i = 0; i < image_pixels(&image); i++) {
        image.pixels[i] = (float)(i * 7919 % 1000) / 1000.0f;
    }
    for (int64_t side = 3; side < 40; side += 7) {
        ck_assert_double_eq(tiles_differ(&model, &image, side, 8), 0.0);
    }
    /* A test that could not fail would be none: without a halo the seams show. */
    ck_assert_double_gt(tiles_differ(&model, &image, 8, 0), 1e-3);
    image_destroy(&image);
    experiment_model_destroy(&model);
}
END_TEST

/* Around the lit part lies black, which the network never sees. */
START_TEST(field_of_view_is_predicted_alone_and_put_back_in_its_place)
{
    struct experiment_model model = pooling_model(SFCONV_UPSAMPLE_NEAREST);
    struct image inner;
    struct image framed;
    struct image alone;
    struct image whole;
    ASSERT_DONE(image_create(&inner, 40, 40, 1, &error));
    for (int64_t i = 0; i < image_pixels(&inner); i++) {
        inner.pixels[i] = 0.5f + (float)(i * 7919 % 500) / 1000.0f;
    }
    ASSERT_DONE(image_pad(&framed, &inner, 13, 8, 11, 16, 0.0f, &error));
    ASSERT_DONE(experiment_predict(&alone, &model, &inner, NULL, &error));
    model.field_of_view = true;
    ASSERT_DONE(experiment_predict(&whole, &model, &framed, NULL, &error));
    ck_assert_int_eq(whole.width, 64);
    ck_assert_int_eq(whole.height, 64);
    for (int64_t y = 0; y < 64; y++) {
        for (int64_t x = 0; x < 64; x++) {
            const bool inside = x >= 13 && x < 53 && y >= 8 && y < 48;
            const float expected = inside ? alone.pixels[(y - 8) * 40 + x - 13] : 0.0f;
            ck_assert_float_eq(whole.pixels[y * 64 + x], expected);
        }
    }
    image_destroy(&inner);
    image_destroy(&framed);
    image_destroy(&alone);
    image_destroy(&whole);
    experiment_model_destroy(&model);
}
END_TEST

START_TEST(network_that_does_something_else_than_its_model_says_is_refused)
{
    static const float pixels[] = {1.0f, 0.5f};
    struct experiment_model model = brightness_model();
    struct image image = picture(2, 1, pixels);
    struct image probability;
    model.segments = true;
    ASSERT_REFUSED(experiment_predict(&probability, &model, &image, NULL, &error),
                   "expected logits");
    model.segments = false;
    model.class_count = 0;
    ASSERT_REFUSED(experiment_predict(&probability, &model, &image, NULL, &error),
                   "expected logits");
    ck_assert_ptr_null(probability.pixels);
    image_destroy(&image);
    experiment_model_destroy(&model);
}
END_TEST

/* ---- Training */

static const char *const class_names[] = {"dark", "bright"};

static struct dataset two_classes(int64_t count)
{
    struct dataset set = {0};
    ASSERT_DONE(dataset_name_classes(&set, class_names, 2, &error));
    for (int64_t i = 0; i < count; i++) {
        float pixels[16 * 16];
        for (int64_t p = 0; p < 256; p++) {
            pixels[p] = (float)((p * 7 + i * 3) % 11) / 40.0f + (i % 2 == 0 ? 0.0f : 0.6f);
        }
        add(&set, (int32_t)(i % 2), 16, 16, pixels, NULL);
    }
    return set;
}

static struct experiment_options quick_options(void)
{
    struct experiment_options options =
        experiment_options_default(SFCONV_MODEL_TINY_CLASSIFIER, SFCONV_METHOD_SFCONV);
    options.epochs = 5;
    options.batch = 4;
    return options;
}

/* Stops in this epoch, counted from 1, at its first step or at its end. */
struct stop {
    int64_t epoch;
    bool at_end;
    int64_t calls;
};

static bool stop_there(void *user, const struct experiment_progress *progress)
{
    struct stop *stop = user;
    stop->calls++;
    ck_assert(progress->epoch <= stop->epoch);
    ck_assert(!progress->epoch_done || isnan(progress->validation));
    return progress->epoch < stop->epoch || progress->epoch_done != stop->at_end;
}

START_TEST(watch_stops_a_training_and_whole_epochs_are_kept)
{
    const struct experiment_options options = quick_options();
    const struct dataset none = {0};
    struct dataset set = two_classes(8);
    struct stop in_first = {.epoch = 1};
    struct stop after_second = {.epoch = 2, .at_end = true};
    struct experiment_model model;
    ASSERT_REFUSED(
        experiment_train(&model, context, &set, &none, &options, stop_there, &in_first, &error),
        "first epoch");
    ck_assert_int_eq(in_first.calls, 1);
    ck_assert_ptr_null(model.net);
    ASSERT_DONE(experiment_train(&model, context, &set, &none, &options, stop_there, &after_second,
                                 &error));
    ck_assert_int_eq(after_second.calls, 6);
    experiment_model_destroy(&model);
    dataset_destroy(&set);
}
END_TEST

START_TEST(saved_model_predicts_the_same_bits)
{
    static const char *const facts[] = {"trained.on", "made images", NULL};
    const struct experiment_options options = quick_options();
    struct dataset set = two_classes(8);
    struct experiment_model model;
    struct experiment_model loaded;
    struct image image;
    struct image before;
    struct image after;
    const char *path = scratch_path("model.safetensors");
    ASSERT_DONE(experiment_train(&model, context, &set, &set, &options, NULL, NULL, &error));
    ASSERT_DONE(experiment_save(&model, path, facts, &error));
    ASSERT_DONE(experiment_load(&loaded, context, path, &error));
    ck_assert_int_eq(loaded.class_count, 2);
    ck_assert_str_eq(loaded.class_names[0], "dark");
    ck_assert_str_eq(loaded.class_names[1], "bright");
    ck_assert_float_eq(loaded.mean[0], model.mean[0]);
    ck_assert_float_eq(loaded.deviation[0], model.deviation[0]);
    ASSERT_DONE(dataset_get(&image, NULL, &set, 3, &error));
    ASSERT_DONE(experiment_predict(&before, &model, &image, NULL, &error));
    ASSERT_DONE(experiment_predict(&after, &loaded, &image, NULL, &error));
    ck_assert_int_eq(after.width, 2);
    ck_assert_mem_eq(before.pixels, after.pixels, 2 * sizeof(float));
    image_destroy(&image);
    image_destroy(&before);
    image_destroy(&after);
    experiment_model_destroy(&model);
    experiment_model_destroy(&loaded);
    dataset_destroy(&set);
}
END_TEST

START_TEST(training_refuses_what_it_cannot_use)
{
    struct experiment_options options = quick_options();
    const struct dataset none = {0};
    struct dataset set = two_classes(4);
    struct experiment_model model;
    static const float small[] = {0.0f, 1.0f};
    ASSERT_REFUSED(experiment_train(&model, context, &none, &none, &options, NULL, NULL, &error),
                   "classes");
    options.batch = 0;
    ASSERT_REFUSED(experiment_train(&model, context, &set, &none, &options, NULL, NULL, &error),
                   "batch 0");
    options.batch = 4;
    add(&set, 0, 2, 1, small, NULL);
    ASSERT_REFUSED(experiment_train(&model, context, &set, &none, &options, NULL, NULL, &error),
                   "2x1");
    dataset_destroy(&set);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("experiment");
    TCase *tests = tcase_create("experiment");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, open_context, close_context);
    tcase_add_test(tests, measure_is_mean_and_deviation_of_all_pixels);
    tcase_add_test(tests, flat_images_have_deviation_one);
    tcase_add_test(tests, image_is_normalized_converted_and_filled_up_with_zeros);
    tcase_add_test(tests, mask_is_filled_up_with_background);
    tcase_add_test(tests, image_larger_than_the_batch_is_refused);
    tcase_add_test(tests, sizes_are_rounded_to_what_the_network_takes);
    tcase_add_test(tests, dice_is_the_mean_over_images_without_what_lies_beyond_them);
    tcase_add_test(tests, accuracy_is_the_part_of_images_whose_class_is_right);
    tcase_add_test(tests, nothing_can_be_judged_by_an_empty_set);
    tcase_add_test(tests, predictions_are_probabilities);
    tcase_add_loop_test(
        tests, tiles_whose_halo_covers_what_the_network_sees_give_the_map_of_the_whole_image, 0, 3);
    tcase_add_test(tests, field_of_view_is_predicted_alone_and_put_back_in_its_place);
    tcase_add_test(tests, network_that_does_something_else_than_its_model_says_is_refused);
    tcase_add_test(tests, watch_stops_a_training_and_whole_epochs_are_kept);
    tcase_add_test(tests, saved_model_predicts_the_same_bits);
    tcase_add_test(tests, training_refuses_what_it_cannot_use);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
