/* SPDX-License-Identifier: BSD-2-Clause */
/* What the doors of views and layers refuse, and that a refusal changes nothing. */
#include "support.h"

#include "cpu.h"

#include "sfconv/sfconv.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static sfconv_context *context;

static void open_context(void)
{
    ck_assert_int_eq(sfconv_context_create(&context, NULL), SFCONV_OK);
}

static void close_context(void)
{
    sfconv_context_destroy(context);
}

/* The reason kept last names both texts. */
static void check_reason(const char *call, const char *field)
{
    const char *reason = sfconv_context_last_error(context);
    ck_assert_msg(strstr(reason, call) && strstr(reason, field), "%s, %s: \"%s\"", call, field,
                  reason);
}

START_TEST(questions_about_nothing_have_answers)
{
    char text[4] = "abc";
    sfconv_context_destroy(NULL);
    sfconv_layer_destroy(NULL);
    ck_assert_str_eq(sfconv_context_last_error(NULL), "");
    ck_assert_uint_eq(sfconv_context_copy_last_error(NULL, text, sizeof text), 0);
    ck_assert_str_eq(text, "");
    ck_assert_int_eq(sfconv_context_isa(NULL), 0);
    ck_assert_int_eq(sfconv_context_workers(NULL), 0);
    ck_assert_ptr_null(sfconv_layer_kind(NULL));
    ck_assert_int_eq(sfconv_layer_parameter_count(NULL), 0);
    ck_assert_int_eq(sfconv_sfconv2d_rank(NULL), 0);
    ck_assert_int_eq(sfconv_view_count(NULL), 0);
    ck_assert_str_eq(sfconv_version(), "0.1.0");
    ck_assert_int_eq(sfconv_abi_number(), SFCONV_ABI_NUMBER);
}
END_TEST

START_TEST(views_refuse_what_cannot_be_read)
{
    float data[12];
    const int64_t shape[] = {3, 4};
    const int64_t empty[] = {3, 0};
    const int64_t huge[] = {INT64_C(1) << 40, INT64_C(1) << 40};
    const sfconv_view nothing = {0};
    sfconv_view view = nothing;
    ck_assert_int_eq(sfconv_view_init(NULL, data, 2, shape), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_view_init(&view, NULL, 2, shape), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_view_init(&view, data, 2, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_view_init(&view, data, 0, shape), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_view_init(&view, data, 5, shape), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_view_init(&view, data, 2, empty), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_view_init(&view, data, 2, huge), SFCONV_ERROR_OVERFLOW);
    ck_assert_mem_eq(&view, &nothing, sizeof view);
    ck_assert_int_eq(sfconv_view_init(&view, data, 2, shape), SFCONV_OK);
    ck_assert_int_eq(sfconv_view_count(&view), 12);
    view.stride[0] = -1;
    ck_assert_int_eq(sfconv_view_count(&view), 0);
}
END_TEST

START_TEST(copying_views_follows_strides_and_refuses_other_shapes)
{
    float from[12], to[24] = {0};
    const int64_t shape[] = {3, 4};
    const int64_t other[] = {4, 3};
    sfconv_view source, wrong;
    for (int i = 0; i < 12; i++) {
        from[i] = (float)(i + 1);
    }
    ck_assert_int_eq(sfconv_view_init(&source, from, 2, shape), SFCONV_OK);
    ck_assert_int_eq(sfconv_view_init(&wrong, to, 2, other), SFCONV_OK);
    const sfconv_view target = {to, 2, 0, {3, 4}, {1, 6}};
    const sfconv_view folded = {to, 2, 0, {3, 4}, {0, 1}};
    ck_assert_int_eq(sfconv_view_copy(NULL, &source), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_view_copy(&target, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_view_copy(&folded, &source), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_view_copy(&wrong, &source), SFCONV_ERROR_SHAPE);
    for (int i = 0; i < 24; i++) {
        ck_assert_float_eq(to[i], 0);
    }
    ck_assert_int_eq(sfconv_view_copy(&target, &source), SFCONV_OK);
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 4; j++) {
            ck_assert_float_eq(to[i + 6 * j], from[4 * i + j]);
        }
    }
}
END_TEST

static sfconv_conv2d_desc good_conv2d(void)
{
    sfconv_conv2d_desc desc = SFCONV_CONV2D_DESC_INIT;
    desc.in_channels = 4;
    desc.out_channels = 6;
    return desc;
}

typedef sfconv_status (*create_conv2d_fn)(sfconv_layer **, sfconv_context *,
                                          const sfconv_conv2d_desc *);

static void check_conv2d_refusals(create_conv2d_fn create, const char *call)
{
    enum { FIELDS = 14 };
    const char *const names[FIELDS] = {"in_channels", "out_channels", "kernel[0]",   "kernel[1]",
                                       "stride[0]",   "stride[1]",    "padding[0]",  "padding[1]",
                                       "dilation[0]", "dilation[1]",  "in_channels", "kernel[0]",
                                       "dilation[1]", "padding[0]"};
    for (int field = 0; field < FIELDS; field++) {
        sfconv_conv2d_desc desc = good_conv2d();
        int64_t *const values[FIELDS] = {&desc.in_channels, &desc.out_channels, &desc.kernel[0],
                                         &desc.kernel[1],   &desc.stride[0],    &desc.stride[1],
                                         &desc.padding[0],  &desc.padding[1],   &desc.dilation[0],
                                         &desc.dilation[1], &desc.in_channels,  &desc.kernel[0],
                                         &desc.dilation[1], &desc.padding[0]};
        sfconv_layer *layer = (sfconv_layer *)&desc;
        *values[field] = field >= 10 ? INT64_MAX : field == 6 || field == 7 ? -1 : 0;
        ck_assert_int_eq(create(&layer, context, &desc),
                         field >= 10 ? SFCONV_ERROR_OVERFLOW : SFCONV_ERROR_ARGUMENT);
        ck_assert_ptr_null(layer);
        check_reason(call, names[field]);
    }
    sfconv_conv2d_desc desc = good_conv2d();
    sfconv_layer *layer;
    ck_assert_int_eq(create(NULL, context, &desc), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(create(&layer, NULL, &desc), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(create(&layer, context, NULL), SFCONV_ERROR_ARGUMENT);
    desc.groups = 4;
    ck_assert_int_eq(create(&layer, context, &desc), SFCONV_ERROR_ARGUMENT);
    check_reason(call, "groups");
    desc = good_conv2d();
    desc.has_bias = 2;
    ck_assert_int_eq(create(&layer, context, &desc), SFCONV_ERROR_ARGUMENT);
    check_reason(call, "has_bias");
    desc = good_conv2d();
    desc.reserved = 1;
    ck_assert_int_eq(create(&layer, context, &desc), SFCONV_ERROR_ARGUMENT);
    desc = good_conv2d();
    desc.struct_size = 3;
    ck_assert_int_eq(create(&layer, context, &desc), SFCONV_ERROR_ARGUMENT);
}

START_TEST(convolutions_refuse_settings_out_of_range)
{
    sfconv_layer *layer;
    sfconv_conv2d_desc desc = good_conv2d();
    check_conv2d_refusals(sfconv_conv2d_create, "sfconv_conv2d_create");
    check_conv2d_refusals(sfconv_dsconv2d_create, "sfconv_dsconv2d_create");
    desc.groups = 2;
    ck_assert_int_eq(sfconv_dsconv2d_create(&layer, context, &desc), SFCONV_ERROR_ARGUMENT);
    desc = good_conv2d();
    desc.in_channels = desc.out_channels = INT32_MAX;
    ck_assert_int_eq(sfconv_conv2d_create(&layer, context, &desc), SFCONV_ERROR_OVERFLOW);
    check_reason("weight", "overflows");
}
END_TEST

static sfconv_sfconv2d_desc good_sfconv2d(void)
{
    sfconv_sfconv2d_desc desc = SFCONV_SFCONV2D_DESC_INIT;
    desc.in_channels = 4;
    desc.out_channels = 6;
    desc.rank = 2;
    return desc;
}

static void check_sfconv2d_refused(const sfconv_sfconv2d_desc *desc, sfconv_status status,
                                   const char *field)
{
    sfconv_layer *layer = (sfconv_layer *)&status;
    ck_assert_int_eq(sfconv_sfconv2d_create(&layer, context, desc), status);
    ck_assert_ptr_null(layer);
    check_reason("sfconv_sfconv2d_create", field);
}

START_TEST(factorized_convolutions_refuse_settings_out_of_range)
{
    const double bad_ratios[] = {NAN, INFINITY, -INFINITY, -1};
    sfconv_sfconv2d_desc desc;
    sfconv_layer *layer;
    for (int i = 0; i < 4; i++) {
        desc = good_sfconv2d(), desc.ratio = bad_ratios[i];
        check_sfconv2d_refused(&desc, SFCONV_ERROR_ARGUMENT, "ratio");
        desc = good_sfconv2d(), desc.regularizer_weight = bad_ratios[i];
        check_sfconv2d_refused(&desc, SFCONV_ERROR_ARGUMENT, "weight");
    }
    desc = good_sfconv2d(), desc.in_channels = 0;
    check_sfconv2d_refused(&desc, SFCONV_ERROR_ARGUMENT, "in_channels");
    desc = good_sfconv2d(), desc.out_channels = -6;
    check_sfconv2d_refused(&desc, SFCONV_ERROR_ARGUMENT, "out_channels");
    desc = good_sfconv2d(), desc.kernel[1] = 0;
    check_sfconv2d_refused(&desc, SFCONV_ERROR_ARGUMENT, "kernel[1]");
    desc = good_sfconv2d(), desc.stride[0] = INT64_MAX;
    check_sfconv2d_refused(&desc, SFCONV_ERROR_OVERFLOW, "stride[0]");
    desc = good_sfconv2d(), desc.rank = 13;
    check_sfconv2d_refused(&desc, SFCONV_ERROR_ARGUMENT, "rank is 13, expected 1 to 12");
    desc = good_sfconv2d(), desc.rank = -1;
    check_sfconv2d_refused(&desc, SFCONV_ERROR_ARGUMENT, "rank");
    desc = good_sfconv2d(), desc.rank = 0, desc.ratio = 0;
    check_sfconv2d_refused(&desc, SFCONV_ERROR_ARGUMENT, "ratio");
    desc = good_sfconv2d(), desc.rank = 0, desc.min_rank = 0;
    check_sfconv2d_refused(&desc, SFCONV_ERROR_ARGUMENT, "min_rank");
    desc = good_sfconv2d(), desc.initialization = 3;
    check_sfconv2d_refused(&desc, SFCONV_ERROR_ARGUMENT, "initialization");
    desc = good_sfconv2d(), desc.regularizer = 4;
    check_sfconv2d_refused(&desc, SFCONV_ERROR_ARGUMENT, "regularizer");
    desc = good_sfconv2d(), desc.spectral_norm = -1;
    check_sfconv2d_refused(&desc, SFCONV_ERROR_ARGUMENT, "spectral_norm");
    desc = good_sfconv2d();
    check_sfconv2d_refused(NULL, SFCONV_ERROR_ARGUMENT, "desc");
    ck_assert_int_eq(sfconv_sfconv2d_create(NULL, context, &desc), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_sfconv2d_create(&layer, NULL, &desc), SFCONV_ERROR_ARGUMENT);
    ck_assert_ptr_null(layer);
}
END_TEST

static void check_linear_refused(int64_t in, int64_t out, int32_t bias, sfconv_status status)
{
    sfconv_linear_desc desc = SFCONV_LINEAR_DESC_INIT;
    sfconv_layer *layer = (sfconv_layer *)&desc;
    desc.in_features = in;
    desc.out_features = out;
    desc.has_bias = bias;
    ck_assert_int_eq(sfconv_linear_create(&layer, context, &desc), status);
    ck_assert_ptr_null(layer);
}

static void check_batchnorm_refused(int64_t channels, double epsilon, double momentum,
                                    sfconv_status status)
{
    sfconv_batchnorm2d_desc desc = SFCONV_BATCHNORM2D_DESC_INIT;
    sfconv_layer *layer = (sfconv_layer *)&desc;
    desc.channels = channels;
    desc.epsilon = epsilon;
    desc.momentum = momentum;
    ck_assert_int_eq(sfconv_batchnorm2d_create(&layer, context, &desc), status);
    ck_assert_ptr_null(layer);
}

START_TEST(linear_and_batchnorm_refuse_settings_out_of_range)
{
    sfconv_layer *layer;
    check_linear_refused(0, 1, 0, SFCONV_ERROR_ARGUMENT);
    check_linear_refused(1, -1, 0, SFCONV_ERROR_ARGUMENT);
    check_linear_refused(1, 1, 7, SFCONV_ERROR_ARGUMENT);
    check_linear_refused(INT64_MAX, 1, 0, SFCONV_ERROR_OVERFLOW);
    check_linear_refused(INT32_MAX, INT32_MAX, 0, SFCONV_ERROR_OVERFLOW);
    check_batchnorm_refused(0, 1e-5, 0.1, SFCONV_ERROR_ARGUMENT);
    check_batchnorm_refused(4, 0, 0.1, SFCONV_ERROR_ARGUMENT);
    check_batchnorm_refused(4, NAN, 0.1, SFCONV_ERROR_ARGUMENT);
    check_batchnorm_refused(4, INFINITY, 0.1, SFCONV_ERROR_ARGUMENT);
    check_batchnorm_refused(4, 1e-5, -0.1, SFCONV_ERROR_ARGUMENT);
    check_batchnorm_refused(4, 1e-5, 1.5, SFCONV_ERROR_ARGUMENT);
    check_batchnorm_refused(4, 1e-5, NAN, SFCONV_ERROR_ARGUMENT);
    check_batchnorm_refused(INT64_MAX, 1e-5, 0.1, SFCONV_ERROR_OVERFLOW);
    ck_assert_int_eq(sfconv_linear_create(&layer, context, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_linear_create(NULL, context, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_batchnorm2d_create(&layer, context, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_batchnorm2d_create(NULL, context, NULL), SFCONV_ERROR_ARGUMENT);
}
END_TEST

static void check_pool_refused(int32_t kind, int64_t kernel, int64_t stride, int64_t padding)
{
    sfconv_pool2d_desc desc = SFCONV_POOL2D_DESC_INIT;
    sfconv_layer *layer = (sfconv_layer *)&desc;
    desc.kind = kind;
    desc.kernel[1] = kernel;
    desc.stride[1] = stride;
    desc.padding[1] = padding;
    ck_assert_int_eq(sfconv_pool2d_create(&layer, context, &desc), SFCONV_ERROR_ARGUMENT);
    ck_assert_ptr_null(layer);
}

static void check_upsample_refused(int32_t kind, int64_t height, int64_t width)
{
    const int64_t factor[2] = {height, width};
    sfconv_layer *layer = (sfconv_layer *)&kind;
    ck_assert_int_eq(sfconv_upsample2d_create(&layer, context, kind, factor),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert_ptr_null(layer);
}

START_TEST(pooling_and_upsampling_refuse_settings_out_of_range)
{
    sfconv_layer *layer;
    check_pool_refused(0, 2, 2, 0);
    check_pool_refused(4, 2, 2, 0);
    check_pool_refused(SFCONV_POOL_MAX, 0, 2, 0);
    check_pool_refused(SFCONV_POOL_MAX, 2, 0, 0);
    check_pool_refused(SFCONV_POOL_AVERAGE, 2, 2, -1);
    check_pool_refused(SFCONV_POOL_AVERAGE, 3, 2, 2);
    check_upsample_refused(0, 2, 2);
    check_upsample_refused(4, 2, 2);
    check_upsample_refused(SFCONV_UPSAMPLE_NEAREST, 0, 2);
    check_upsample_refused(SFCONV_UPSAMPLE_NEAREST, 2, 65);
    ck_assert_int_eq(sfconv_pool2d_create(&layer, context, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_upsample2d_create(&layer, context, 1, NULL), SFCONV_ERROR_ARGUMENT);
}
END_TEST

/* Max pooling numbers the cells of a window by int32_t. */
START_TEST(a_pooling_window_of_more_cells_than_there_are_numbers_is_refused)
{
    sfconv_pool2d_desc desc = SFCONV_POOL2D_DESC_INIT;
    sfconv_layer *layer = (sfconv_layer *)&desc;
    desc.kernel[0] = desc.kernel[1] = 100000;
    ck_assert_int_eq(sfconv_pool2d_create(&layer, context, &desc), SFCONV_ERROR_OVERFLOW);
    ck_assert_ptr_null(layer);
    desc.kind = SFCONV_POOL_GLOBAL_AVERAGE;
    ck_assert_int_eq(sfconv_pool2d_create(&layer, context, &desc), SFCONV_OK);
    sfconv_layer_destroy(layer);
}
END_TEST

START_TEST(activations_and_dropout_refuse_settings_out_of_range)
{
    const double slopes[] = {-0.1, 1.1, NAN, INFINITY};
    const double probabilities[] = {-0.1, 1, NAN, INFINITY};
    sfconv_layer *layer;
    for (int i = 0; i < 4; i++) {
        layer = (sfconv_layer *)&layer;
        ck_assert_int_eq(
            sfconv_activation_create(&layer, context, SFCONV_ACTIVATION_LEAKY_RELU, slopes[i]),
            SFCONV_ERROR_ARGUMENT);
        ck_assert_ptr_null(layer);
        ck_assert_int_eq(sfconv_dropout_create(&layer, context, probabilities[i]),
                         SFCONV_ERROR_ARGUMENT);
        ck_assert_int_eq(
            sfconv_activation_create(&layer, context, SFCONV_ACTIVATION_RELU, slopes[i]),
            SFCONV_OK);
        sfconv_layer_destroy(layer);
    }
    ck_assert_int_eq(sfconv_activation_create(&layer, context, 0, 0), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_activation_create(&layer, context, 5, 0), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_activation_create(NULL, context, 1, 0), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_activation_create(&layer, NULL, 1, 0), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_dropout_create(NULL, context, 0.5), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_add_create(NULL, context), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_add_create(&layer, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_concat_create(NULL, context), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_concat_create(&layer, NULL), SFCONV_ERROR_ARGUMENT);
}
END_TEST

static sfconv_layer *make_factorized(void)
{
    const sfconv_sfconv2d_desc desc = good_sfconv2d();
    sfconv_layer *layer;
    ck_assert_int_eq(sfconv_sfconv2d_create(&layer, context, &desc), SFCONV_OK);
    return layer;
}

static sfconv_layer *make_dense(void)
{
    const sfconv_conv2d_desc desc = good_conv2d();
    sfconv_layer *layer;
    ck_assert_int_eq(sfconv_conv2d_create(&layer, context, &desc), SFCONV_OK);
    return layer;
}

START_TEST(every_kind_can_be_made_and_says_what_it_is)
{
    sfconv_batchnorm2d_desc norm = SFCONV_BATCHNORM2D_DESC_INIT;
    const sfconv_pool2d_desc pool = SFCONV_POOL2D_DESC_INIT;
    const sfconv_conv2d_desc conv = good_conv2d();
    const int64_t factor[2] = {2, 3};
    sfconv_linear_desc linear = SFCONV_LINEAR_DESC_INIT;
    sfconv_layer *layers[11];
    const char *const kinds[] = {"conv2d",     "sfconv2d", "dsconv2d",   "batchnorm2d",
                                 "activation", "pool2d",   "upsample2d", "linear",
                                 "dropout",    "add",      "concat"};
    norm.channels = 4;
    linear.in_features = linear.out_features = 3;
    layers[0] = make_dense();
    layers[1] = make_factorized();
    ck_assert_int_eq(sfconv_dsconv2d_create(&layers[2], context, &conv), SFCONV_OK);
    ck_assert_int_eq(sfconv_batchnorm2d_create(&layers[3], context, &norm), SFCONV_OK);
    ck_assert_int_eq(sfconv_activation_create(&layers[4], context, SFCONV_ACTIVATION_SILU, 0),
                     SFCONV_OK);
    ck_assert_int_eq(sfconv_pool2d_create(&layers[5], context, &pool), SFCONV_OK);
    ck_assert_int_eq(
        sfconv_upsample2d_create(&layers[6], context, SFCONV_UPSAMPLE_BILINEAR, factor), SFCONV_OK);
    ck_assert_int_eq(sfconv_linear_create(&layers[7], context, &linear), SFCONV_OK);
    ck_assert_int_eq(sfconv_dropout_create(&layers[8], context, 0.5), SFCONV_OK);
    ck_assert_int_eq(sfconv_add_create(&layers[9], context), SFCONV_OK);
    ck_assert_int_eq(sfconv_concat_create(&layers[10], context), SFCONV_OK);
    for (int i = 0; i < 11; i++) {
        ck_assert_str_eq(sfconv_layer_kind(layers[i]), kinds[i]);
        ck_assert_int_eq(sfconv_layer_initialize(layers[i], 9), SFCONV_OK);
        sfconv_layer_destroy(layers[i]);
    }
}
END_TEST

START_TEST(parameters_are_told_by_index_and_only_where_there_are_any)
{
    sfconv_layer *layer = make_factorized();
    sfconv_parameter_info info = SFCONV_PARAMETER_INFO_INIT;
    ck_assert_int_eq(sfconv_layer_parameter_count(layer), 2);
    ck_assert_int_eq(sfconv_layer_parameter(NULL, 0, &info), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_parameter(layer, 0, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_layer_parameter(layer, 2, &info), SFCONV_ERROR_NOT_FOUND);
    ck_assert_int_eq(sfconv_layer_parameter(layer, -1, &info), SFCONV_ERROR_NOT_FOUND);
    ck_assert_ptr_null(info.name);
    info.struct_size = 8;
    ck_assert_int_eq(sfconv_layer_parameter(layer, 0, &info), SFCONV_ERROR_ARGUMENT);
    info.struct_size = sizeof info;
    ck_assert_int_eq(sfconv_layer_parameter(layer, 0, &info), SFCONV_OK);
    ck_assert_str_eq(info.name, "q.weight");
    ck_assert_int_eq(info.role, SFCONV_PARAMETER_FACTOR_Q);
    ck_assert_int_eq(info.trainable, 1);
    ck_assert_int_eq(info.view.rank, 4);
    ck_assert_int_eq(sfconv_view_count(&info.view), 2 * 4 * 3);
    ck_assert_int_eq(sfconv_layer_initialize(NULL, 1), SFCONV_ERROR_ARGUMENT);
    sfconv_layer_destroy(layer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("arguments");
    TCase *tests = tcase_create("arguments");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, open_context, close_context);
    tcase_add_test(tests, questions_about_nothing_have_answers);
    tcase_add_test(tests, views_refuse_what_cannot_be_read);
    tcase_add_test(tests, copying_views_follows_strides_and_refuses_other_shapes);
    tcase_add_test(tests, convolutions_refuse_settings_out_of_range);
    tcase_add_test(tests, factorized_convolutions_refuse_settings_out_of_range);
    tcase_add_test(tests, linear_and_batchnorm_refuse_settings_out_of_range);
    tcase_add_test(tests, pooling_and_upsampling_refuse_settings_out_of_range);
    tcase_add_test(tests, a_pooling_window_of_more_cells_than_there_are_numbers_is_refused);
    tcase_add_test(tests, activations_and_dropout_refuse_settings_out_of_range);
    tcase_add_test(tests, every_kind_can_be_made_and_says_what_it_is);
    tcase_add_test(tests, parameters_are_told_by_index_and_only_where_there_are_any);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
