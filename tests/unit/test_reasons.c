/* SPDX-License-Identifier: BSD-2-Clause */
/* What a refusal says: the log and the last error say the same, and it is enough to do better. */
#include "nets.h"
#include "scratch.h"

#include <pthread.h>

static sfconv_context *context;
static char logged[1024];
static int lines;

static void keep_line(void *user, int32_t level, const char *text)
{
    (void)user, (void)level;
    snprintf(logged, sizeof logged, "%s", text);
    lines++;
}

static void open_context(void)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    desc.log = keep_line;
    ck_assert_int_eq(sfconv_context_create(&context, &desc), SFCONV_OK);
    logged[0] = '\0';
    lines = 0;
}

static void close_context(void)
{
    sfconv_context_destroy(context);
}

static const char *reason(void)
{
    return sfconv_context_last_error(context);
}

static void check_reason(sfconv_status status, sfconv_status expected, const char *text)
{
    ck_assert_int_eq(status, expected);
    ck_assert_str_eq(reason(), text);
    ck_assert_str_eq(logged, text);
    ck_assert_int_eq(lines, 1);
    lines = 0;
}

static sfconv_net *new_model(int32_t model, int32_t method)
{
    sfconv_model_desc desc = SFCONV_MODEL_DESC_INIT;
    sfconv_net *net;
    desc.model = model;
    desc.method = method;
    desc.regularizer_weight = method == SFCONV_METHOD_SFCONV ? 0.01 : 0;
    ck_assert_int_eq(sfconv_model_create(&net, context, &desc), SFCONV_OK);
    return net;
}

static sfconv_status reshape_to(sfconv_run *run, int64_t batch, int64_t height, int64_t width)
{
    const sfconv_shape shape = {batch, 3, height, width};
    return sfconv_run_reshape(run, &shape, 1, NULL, 0);
}

/* Of a map and its half: "sum" takes no size at all. */
static sfconv_run *new_run_of_sum(void)
{
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 2);
    const int32_t halved = put_after(net, "halved", new_conv(context, 2, 2, 2, 1), x);
    put_output(net, put_pair(net, "sum", new_add(context), x, halved));
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    sfconv_net_destroy(net);
    return run;
}

/* --- The log says what the last error says --- */

START_TEST(a_node_is_named_in_the_log_as_in_the_last_error)
{
    sfconv_run *run = new_run_of_sum();
    const sfconv_shape shape = {1, 2, 8, 8};
    check_reason(sfconv_run_reshape(run, &shape, 1, NULL, 0), SFCONV_ERROR_SHAPE,
                 "sum: add: expected input 1 of the shape of input 0, 1 x 2 x 8 x 8, got "
                 "1 x 2 x 4 x 4");
    sfconv_run_destroy(run);
}
END_TEST

/* The parameter of the net's first factorized layer. */
static sfconv_view factor_of(sfconv_net *net, const char *name)
{
    sfconv_parameter_info info = SFCONV_PARAMETER_INFO_INIT;
    for (int32_t i = 0; i < sfconv_net_parameter_count(net); i++) {
        ck_assert_int_eq(sfconv_net_parameter(net, i, &info), SFCONV_OK);
        if (strstr(info.name, name)) {
            return info.view;
        }
    }
    ck_abort_msg("no parameter is called %s", name);
}

START_TEST(a_factor_without_spectrum_is_named_in_the_log_as_in_the_last_error)
{
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 6);
    sfconv_layer *layer = new_sfconv(context, 6, 6, 3, SFCONV_REGULARIZER_KL, 0, 2);
    put_output(net, put_after(net, "pair", layer, x));
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    const sfconv_shape shape = {1, 6, 8, 8};
    ck_assert_int_eq(sfconv_run_reshape(run, &shape, 1, NULL, 0), SFCONV_OK);
    const sfconv_view q = factor_of(net, "q.weight");
    q.data[0] = NAN;
    ck_assert_int_eq(sfconv_run_regularize(run, NULL), SFCONV_ERROR_NUMERIC);
    ck_assert_ptr_nonnull(strstr(reason(), "pair.q.weight"));
    ck_assert_str_eq(logged, reason());
    ck_assert_int_eq(lines, 1);
    ck_assert_int_eq(sfconv_net_initialize(net, 1), SFCONV_OK);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
}
END_TEST

/* Two normalized layers, whose product of factors is zero. */
static sfconv_net *new_net_without_norms(void)
{
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 6);
    const int32_t first = put_after(net, "first", new_sfconv(context, 6, 6, 3, 0, 1, 2), x);
    put_output(net, put_after(net, "last", new_sfconv(context, 6, 6, 3, 0, 1, 3), first));
    for (int32_t i = 0; i < sfconv_net_parameter_count(net); i++) {
        const sfconv_parameter_info info = parameter_of(net, i);
        if (info.role == SFCONV_PARAMETER_FACTOR_P) {
            memset(info.view.data, 0, (size_t)sfconv_view_count(&info.view) * sizeof(float));
        }
    }
    return net;
}

START_TEST(a_forward_that_divides_by_no_norm_has_not_failed)
{
    const int32_t modes[] = {SFCONV_MODE_INFERENCE, SFCONV_MODE_TRAINING};
    const int32_t engines[] = {SFCONV_ENGINE_RANK_SPACE, SFCONV_ENGINE_LAYERS};
    sfconv_net *net = new_net_without_norms();
    sfconv_layer *layer;
    ck_assert_int_eq(sfconv_conv2d_create(&layer, context, NULL), SFCONV_ERROR_ARGUMENT);
    char before[sizeof logged];
    snprintf(before, sizeof before, "%s", reason());
    lines = 0;
    for (int i = 0; i < 4; i++) {
        sfconv_run *run = new_run(net, modes[i % 2]);
        ck_assert_int_eq(sfconv_run_set_engine(run, engines[i / 2]), SFCONV_OK);
        reshape_run(run, 1, 8, 8);
        fill_inputs(run, 1);
        run_forward(run);
        ck_assert_str_eq(reason(), before);
        ck_assert_int_eq(lines, 0);
        sfconv_run_destroy(run);
    }
    sfconv_net_destroy(net);
}
END_TEST

START_TEST(a_layer_without_a_norm_is_composed_to_a_reason)
{
    sfconv_layer *layer = new_sfconv(context, 6, 6, 3, 0, 1, 2);
    sfconv_parameter_info p = SFCONV_PARAMETER_INFO_INIT;
    sfconv_layer *dense;
    ck_assert_int_eq(sfconv_layer_parameter(layer, 1, &p), SFCONV_OK);
    memset(p.view.data, 0, (size_t)sfconv_view_count(&p.view) * sizeof(float));
    check_reason(sfconv_layer_compose(&dense, layer), SFCONV_ERROR_NUMERIC,
                 "spectral norm: expected a positive finite number, got 0");
    ck_assert_ptr_null(dense);
    sfconv_layer_destroy(layer);
}
END_TEST

START_TEST(a_file_is_named_in_the_log_as_in_the_last_error)
{
    scratch_create();
    const char *path = scratch_path("plain.safetensors");
    sfconv_net *net = empty_net(context);
    put_output(net, put_after(net, "a", new_conv(context, 2, 2, 1, 1), put_input(net, "x", 2)));
    ck_assert_int_eq(sfconv_net_save(net, path, NULL), SFCONV_OK);
    sfconv_net_destroy(net);
    ck_assert_int_eq(sfconv_model_load(&net, NULL, context, path), SFCONV_ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(reason(), path));
    ck_assert_str_eq(logged, reason());
    ck_assert_int_eq(lines, 1);
    scratch_destroy();
}
END_TEST

/* Two threads fail at once, one within a node, one without: neither takes the other's name. */
#define FAILURES 2000

static void *fail_without_a_node(void *argument)
{
    (void)argument;
    for (int i = 0; i < FAILURES; i++) {
        sfconv_layer *layer;
        if (sfconv_conv2d_create(&layer, context, NULL) != SFCONV_ERROR_ARGUMENT) {
            return argument;
        }
    }
    return NULL;
}

static int mixed;

static void look_at_line(void *user, int32_t level, const char *text)
{
    (void)user, (void)level;
    if (strstr(text, "conv2d_create") ? strncmp(text, "sfconv_conv2d_create", 20) != 0
                                      : strncmp(text, "sum: add: ", 10) != 0) {
        mixed++;
    }
}

START_TEST(a_reason_names_the_node_of_its_own_thread)
{
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    pthread_t other;
    void *failed;
    desc.log = look_at_line;
    sfconv_context_destroy(context);
    ck_assert_int_eq(sfconv_context_create(&context, &desc), SFCONV_OK);
    sfconv_run *run = new_run_of_sum();
    const sfconv_shape shape = {1, 2, 8, 8};
    ck_assert_int_eq(pthread_create(&other, NULL, fail_without_a_node, &failed), 0);
    for (int i = 0; i < FAILURES; i++) {
        ck_assert_int_eq(sfconv_run_reshape(run, &shape, 1, NULL, 0), SFCONV_ERROR_SHAPE);
    }
    ck_assert_int_eq(pthread_join(other, &failed), 0);
    ck_assert_ptr_null(failed);
    ck_assert_int_eq(mixed, 0);
    sfconv_run_destroy(run);
}
END_TEST

/* --- Sizes that a network cannot take --- */

START_TEST(a_size_that_leaves_a_rest_when_halved_names_the_multiple)
{
    sfconv_net *net = new_model(SFCONV_MODEL_UNET, SFCONV_METHOD_CONV);
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    check_reason(reshape_to(run, 1, 300, 304), SFCONV_ERROR_SHAPE,
                 "up1.concat: concat: expected input 1 with the batch and size of input 0, 1 and "
                 "37 x 38, got 1 and 36 x 38; expected input 'input' with sides that are multiples "
                 "of 16 x 16, by which the net reduces its maps, got 300 x 304");
    /* The last halving alone leaves a rest: 18, 9, 4, 2, 1. */
    ck_assert_int_eq(reshape_to(run, 1, 32, 17), SFCONV_ERROR_SHAPE);
    ck_assert_ptr_nonnull(strstr(reason(), "multiples of 16 x 16"));
    ck_assert_int_eq(reshape_to(run, 1, 32, 48), SFCONV_OK);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    net = new_model(SFCONV_MODEL_TINY_SEGMENTER, SFCONV_METHOD_DPCCONV);
    run = new_run(net, SFCONV_MODE_TRAINING);
    ck_assert_int_eq(reshape_to(run, 1, 36, 32), SFCONV_ERROR_SHAPE);
    ck_assert_ptr_nonnull(strstr(reason(), "multiples of 8 x 8"));
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
}
END_TEST

/* By the convolution's strides of 3 x 1: nothing but the height matters, and the width is right. */
START_TEST(the_multiple_is_that_of_the_strides_that_meet_again)
{
    sfconv_conv2d_desc desc = SFCONV_CONV2D_DESC_INIT;
    sfconv_layer *layer;
    const int64_t factor[2] = {3, 1};
    desc.in_channels = desc.out_channels = 2;
    desc.stride[0] = 3;
    ck_assert_int_eq(sfconv_conv2d_create(&layer, context, &desc), SFCONV_OK);
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "image", 2);
    const int32_t down = put_after(net, "down", layer, x);
    ck_assert_int_eq(sfconv_upsample2d_create(&layer, context, SFCONV_UPSAMPLE_NEAREST, factor),
                     SFCONV_OK);
    const int32_t up = put_after(net, "up", layer, down);
    put_output(net, put_pair(net, "sum", new_add(context), x, up));
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    sfconv_shape shape = {1, 2, 10, 7};
    ck_assert_int_eq(sfconv_run_reshape(run, &shape, 1, NULL, 0), SFCONV_ERROR_SHAPE);
    ck_assert_msg(strstr(reason(), "expected input 'image' with sides that are multiples of 3 x 1"),
                  "%s", reason());
    shape.height = 9;
    ck_assert_int_eq(sfconv_run_reshape(run, &shape, 1, NULL, 0), SFCONV_OK);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
}
END_TEST

START_TEST(maps_that_never_fit_are_not_said_to_fit_at_a_multiple)
{
    sfconv_run *run = new_run_of_sum();
    const sfconv_shape shape = {1, 2, 8, 8};
    ck_assert_int_eq(sfconv_run_reshape(run, &shape, 1, NULL, 0), SFCONV_ERROR_SHAPE);
    ck_assert_ptr_null(strstr(reason(), "multiple"));
    sfconv_run_destroy(run);
}
END_TEST

START_TEST(resnet18_takes_any_size_that_leaves_batchnorm_two_numbers_a_channel)
{
    sfconv_net *net = new_model(SFCONV_MODEL_RESNET18, SFCONV_METHOD_SFCONV);
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    ck_assert_int_eq(reshape_to(run, 1, 1, 1), SFCONV_OK);
    ck_assert_int_eq(reshape_to(run, 1, 31, 75), SFCONV_OK);
    sfconv_run_destroy(run);
    run = new_run(net, SFCONV_MODE_TRAINING);
    ck_assert_int_eq(reshape_to(run, 2, 1, 1), SFCONV_OK);
    ck_assert_int_eq(reshape_to(run, 1, 33, 1), SFCONV_OK);
    ck_assert_int_eq(reshape_to(run, 1, 32, 32), SFCONV_ERROR_SHAPE);
    ck_assert_ptr_nonnull(strstr(reason(), "batchnorm2d"));
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
}
END_TEST

START_TEST(an_input_of_another_shape_is_refused_with_both_shapes)
{
    static float values[3 * 48 * 32];
    const int64_t sizes[] = {1, 3, 48, 32};
    sfconv_view source;
    sfconv_net *net = new_model(SFCONV_MODEL_TINY_SEGMENTER, SFCONV_METHOD_CONV);
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    ck_assert_int_eq(sfconv_view_init(&source, values, 4, sizes), SFCONV_OK);
    check_reason(sfconv_run_set_input(run, 0, &source), SFCONV_ERROR_STATE,
                 "sfconv_run_set_input: the run has no size yet; call sfconv_run_reshape first");
    ck_assert_int_eq(reshape_to(run, 1, 32, 32), SFCONV_OK);
    check_reason(sfconv_run_set_input(run, 0, &source), SFCONV_ERROR_SHAPE,
                 "sfconv_run_set_input: input 'input': expected [1, 3, 32, 32], got "
                 "[1, 3, 48, 32]");
    source.rank = 3;
    check_reason(sfconv_run_set_input(run, 0, &source), SFCONV_ERROR_SHAPE,
                 "sfconv_run_set_input: input 'input': expected [1, 3, 32, 32], got [1, 3, 48]");
    check_reason(sfconv_run_set_input(run, 0, NULL), SFCONV_ERROR_ARGUMENT,
                 "sfconv_run_set_input: source is NULL");
    check_reason(sfconv_run_set_input(run, 1, &source), SFCONV_ERROR_NOT_FOUND,
                 "sfconv_run_set_input: index is 1, there are 1");
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
}
END_TEST

START_TEST(an_input_is_set_whatever_the_strides_of_its_source)
{
    static float values[2 * 4 * 5 * 3];
    sfconv_net *net = empty_net(context);
    put_output(net, put_after(net, "a", new_conv(context, 3, 2, 1, 1), put_input(net, "x", 3)));
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    ck_assert_int_eq(reshape_to(run, 2, 4, 5), SFCONV_OK);
    fill_floats(values, 2 * 4 * 5 * 3, 1);
    /* Channels last, as image libraries have it. */
    const sfconv_view source = {
        .data = values, .rank = 4, .shape = {2, 3, 4, 5}, .stride = {60, 1, 15, 3}};
    ck_assert_int_eq(sfconv_run_set_input(run, 0, &source), SFCONV_OK);
    const sfconv_view input = input_of(run, 0);
    for (int64_t i = 0; i < 2 * 3 * 4 * 5; i++) {
        const int64_t n = i / 60, c = i / 20 % 3, pixel = i % 20;
        ck_assert(input.data[i] == values[n * 60 + pixel * 3 + c]);
    }
    run_forward(run);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reasons");
    TCase *tests = tcase_create("reasons");
    tcase_set_timeout(tests, 120);
    tcase_add_checked_fixture(tests, open_context, close_context);
    tcase_add_test(tests, a_node_is_named_in_the_log_as_in_the_last_error);
    tcase_add_test(tests, a_factor_without_spectrum_is_named_in_the_log_as_in_the_last_error);
    tcase_add_test(tests, a_forward_that_divides_by_no_norm_has_not_failed);
    tcase_add_test(tests, a_layer_without_a_norm_is_composed_to_a_reason);
    tcase_add_test(tests, a_file_is_named_in_the_log_as_in_the_last_error);
    tcase_add_test(tests, a_reason_names_the_node_of_its_own_thread);
    tcase_add_test(tests, a_size_that_leaves_a_rest_when_halved_names_the_multiple);
    tcase_add_test(tests, the_multiple_is_that_of_the_strides_that_meet_again);
    tcase_add_test(tests, maps_that_never_fit_are_not_said_to_fit_at_a_multiple);
    tcase_add_test(tests, resnet18_takes_any_size_that_leaves_batchnorm_two_numbers_a_channel);
    tcase_add_test(tests, an_input_of_another_shape_is_refused_with_both_shapes);
    tcase_add_test(tests, an_input_is_set_whatever_the_strides_of_its_source);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
