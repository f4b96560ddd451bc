/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls of nets, runs, models and files with NULL, and with handles of another kind: refused, and
 * nothing is touched. */
#include "nets.h"

#include <stddef.h>

/* What is no handle: large enough for any, and zero, as an object that was closed. */
typedef union closed_handle {
    max_align_t alignment;
    unsigned char bytes[4096];
} closed_handle;

static closed_handle closed;

typedef struct things {
    sfconv_context *context;
    sfconv_net *net;
    sfconv_layer *layer;
    sfconv_run *run;
    sfconv_view view;
    sfconv_shape shape;
    int32_t zero;
} things;

static things open_things(void)
{
    things t = {.context = public_context(1, SFCONV_ISA_BEST), .shape = {1, 2, 4, 4}};
    t.net = empty_net(t.context);
    const int32_t x = put_input(t.net, "x", 2);
    t.layer = new_conv(t.context, 2, 2, 1, 1);
    int32_t node;
    ck_assert_int_eq(sfconv_net_add_layer(t.net, "a", t.layer, &x, 1, &node), SFCONV_OK);
    put_output(t.net, node);
    t.run = new_run(t.net, SFCONV_MODE_TRAINING);
    reshape_run(t.run, 1, 4, 4);
    return t;
}

static void close_things(things *t)
{
    sfconv_run_destroy(t->run);
    sfconv_layer_destroy(t->layer);
    sfconv_net_destroy(t->net);
    sfconv_context_destroy(t->context);
}

#define REFUSED(call) ck_assert_int_eq((call), SFCONV_ERROR_ARGUMENT)

START_TEST(building_refuses_null)
{
    things t = open_things();
    sfconv_net *net = t.net;
    sfconv_net *fresh = empty_net(t.context);
    int32_t number = 7;
    REFUSED(sfconv_net_create(NULL, t.context));
    REFUSED(sfconv_net_create(&net, NULL));
    ck_assert_ptr_null(net);
    REFUSED(sfconv_net_add_input(fresh, NULL, 1, &number));
    REFUSED(sfconv_net_add_input(fresh, "n", 1, NULL));
    REFUSED(sfconv_net_add_layer(fresh, NULL, t.layer, &t.zero, 1, &number));
    REFUSED(sfconv_net_add_layer(fresh, "n", NULL, &t.zero, 1, &number));
    REFUSED(sfconv_net_add_layer(fresh, "n", t.layer, NULL, 1, &number));
    REFUSED(sfconv_net_add_layer(fresh, "n", t.layer, &t.zero, 1, NULL));
    REFUSED(sfconv_net_find_node(t.net, NULL, &number));
    REFUSED(sfconv_net_find_node(t.net, "x", NULL));
    REFUSED(sfconv_net_find_parameter(t.net, NULL, &number));
    REFUSED(sfconv_net_find_parameter(t.net, "a.weight", NULL));
    REFUSED(sfconv_net_parameter(t.net, 0, NULL));
    REFUSED(sfconv_net_cost(t.net, NULL, 1, &(sfconv_cost)SFCONV_COST_INIT));
    REFUSED(sfconv_net_cost(t.net, &t.shape, 1, NULL));
    ck_assert_int_eq(number, 7);
    ck_assert_int_eq(sfconv_net_node_count(fresh), 0);
    ck_assert(reason_holds(t.context, "NULL"));
    sfconv_net_destroy(fresh);
    close_things(&t);
}
END_TEST

START_TEST(runs_refuse_null)
{
    things t = open_things();
    sfconv_run *run = t.run;
    const int64_t channels = 2;
    int64_t bytes = 7;
    size_t length;
    REFUSED(sfconv_run_create(NULL, t.net, SFCONV_MODE_TRAINING));
    REFUSED(sfconv_run_create_for_layer(NULL, t.layer, &channels, 1, SFCONV_MODE_TRAINING));
    REFUSED(sfconv_run_create_for_layer(&run, t.layer, NULL, 1, SFCONV_MODE_TRAINING));
    ck_assert_ptr_null(run);
    REFUSED(sfconv_net_run_bytes(t.net, SFCONV_MODE_TRAINING, NULL, 1, &bytes));
    REFUSED(sfconv_net_run_bytes(t.net, SFCONV_MODE_TRAINING, &t.shape, 1, NULL));
    REFUSED(sfconv_run_reshape(t.run, NULL, 1, NULL, 0));
    REFUSED(sfconv_run_input(t.run, 0, NULL));
    REFUSED(sfconv_run_set_input(t.run, 0, NULL));
    REFUSED(sfconv_run_output(t.run, 0, NULL));
    REFUSED(sfconv_run_output_gradient(t.run, 0, NULL));
    REFUSED(sfconv_run_input_gradient(t.run, 0, NULL));
    REFUSED(sfconv_run_parameter_gradient(t.run, 0, NULL));
    REFUSED(sfconv_run_plan_text(t.run, NULL, 1, &length));
    REFUSED(sfconv_run_plan_text(t.run, NULL, 0, NULL));
    ck_assert_int_eq(bytes, 7);
    fill_inputs(t.run, 1);
    run_forward(t.run);
    close_things(&t);
}
END_TEST

/* Every call that takes a net, with what is none. */
static void refuse_net(const things *t, sfconv_net *net)
{
    sfconv_run *run = t->run;
    sfconv_optimizer *optimizer = (sfconv_optimizer *)t->run;
    sfconv_average *average = (sfconv_average *)t->run;
    sfconv_cost cost = SFCONV_COST_INIT;
    sfconv_parameter_info info = SFCONV_PARAMETER_INFO_INIT;
    int32_t number;
    int64_t bytes;
    REFUSED(sfconv_net_add_input(net, "n", 1, &number));
    REFUSED(sfconv_net_add_layer(net, "n", t->layer, &t->zero, 1, &number));
    REFUSED(sfconv_net_add_output(net, 0));
    REFUSED(sfconv_net_find_node(net, "x", &number));
    REFUSED(sfconv_net_find_parameter(net, "x", &number));
    REFUSED(sfconv_net_parameter(net, 0, &info));
    REFUSED(sfconv_net_initialize(net, 1));
    REFUSED(sfconv_net_set_regularizer(net, SFCONV_REGULARIZER_KL, 1));
    REFUSED(sfconv_net_cost(net, &t->shape, 1, &cost));
    REFUSED(sfconv_net_run_bytes(net, SFCONV_MODE_TRAINING, &t->shape, 1, &bytes));
    REFUSED(sfconv_run_create(&run, net, SFCONV_MODE_TRAINING));
    REFUSED(sfconv_optimizer_create(&optimizer, net, NULL));
    REFUSED(sfconv_average_create(&average, net, 0.5));
    REFUSED(sfconv_net_save(net, "/nowhere/net", NULL));
    REFUSED(sfconv_net_load(net, "/nowhere/net", 0, NULL, NULL));
    ck_assert(!run && !optimizer && !average);
    ck_assert_int_eq(sfconv_net_node_count(net), 0);
    ck_assert_int_eq(sfconv_net_input_count(net), 0);
    ck_assert_int_eq(sfconv_net_output_count(net), 0);
    ck_assert_int_eq(sfconv_net_parameter_count(net), 0);
    ck_assert_int_eq(sfconv_net_input_channels(net, 0), 0);
    ck_assert_ptr_null(sfconv_net_node_name(net, 0));
    ck_assert_ptr_null(sfconv_net_node_layer(net, 0));
    sfconv_net_destroy(net);
}

START_TEST(what_is_no_net_is_refused)
{
    things t = open_things();
    refuse_net(&t, NULL);
    refuse_net(&t, (sfconv_net *)&closed);
    refuse_net(&t, (sfconv_net *)t.layer);
    refuse_net(&t, (sfconv_net *)t.run);
    close_things(&t);
}
END_TEST

/* Every call that takes a run, with what is none. */
static void refuse_run(const things *t, sfconv_run *run, sfconv_optimizer *optimizer)
{
    sfconv_view view;
    double value = 7;
    int64_t bytes;
    size_t length;
    REFUSED(sfconv_run_reshape(run, &t->shape, 1, NULL, 0));
    REFUSED(sfconv_run_input(run, 0, &view));
    REFUSED(sfconv_run_set_input(run, 0, &view));
    REFUSED(sfconv_run_output(run, 0, &view));
    REFUSED(sfconv_run_output_gradient(run, 0, &view));
    REFUSED(sfconv_run_input_gradient(run, 0, &view));
    REFUSED(sfconv_run_parameter_gradient(run, 0, &view));
    REFUSED(sfconv_run_want_input_gradients(run, 1));
    REFUSED(sfconv_run_forward(run));
    REFUSED(sfconv_run_backward(run));
    REFUSED(sfconv_run_zero_gradients(run));
    REFUSED(sfconv_run_regularize(run, &value));
    REFUSED(sfconv_run_clip_gradients(run, 1, &value));
    REFUSED(sfconv_run_set_seed(run, 1, 1));
    REFUSED(sfconv_run_set_window(run, 0, 0, 4, 4));
    REFUSED(sfconv_run_freeze(run, NULL, 0));
    REFUSED(sfconv_run_frozen_bytes(run, &bytes));
    REFUSED(sfconv_run_thaw(run));
    REFUSED(sfconv_run_plan_text(run, NULL, 0, &length));
    REFUSED(sfconv_optimizer_step(optimizer, run, 0.1));
    ck_assert_uint_eq(sfconv_run_step(run), 0);
    ck_assert_ptr_null(sfconv_run_net(run));
    ck_assert(value == 7);
    sfconv_run_destroy(run);
}

START_TEST(what_is_no_run_is_refused)
{
    things t = open_things();
    sfconv_optimizer *optimizer;
    ck_assert_int_eq(sfconv_optimizer_create(&optimizer, t.net, NULL), SFCONV_OK);
    refuse_run(&t, NULL, optimizer);
    refuse_run(&t, (sfconv_run *)&closed, optimizer);
    refuse_run(&t, (sfconv_run *)t.net, optimizer);
    REFUSED(sfconv_optimizer_step(NULL, t.run, 0.1));
    REFUSED(sfconv_optimizer_step((sfconv_optimizer *)&closed, t.run, 0.1));
    sfconv_optimizer_destroy((sfconv_optimizer *)&closed);
    sfconv_optimizer_destroy(optimizer);
    close_things(&t);
}
END_TEST

START_TEST(what_is_no_layer_is_refused)
{
    things t = open_things();
    sfconv_net *fresh = empty_net(t.context);
    sfconv_run *run = t.run;
    const int64_t channels = 2;
    int32_t number;
    put_input(fresh, "x", 2);
    sfconv_layer *const none[] = {NULL, (sfconv_layer *)&closed, (sfconv_layer *)t.net};
    for (int i = 0; i < 3; i++) {
        REFUSED(sfconv_net_add_layer(fresh, "n", none[i], &t.zero, 1, &number));
        REFUSED(sfconv_run_create_for_layer(&run, none[i], &channels, 1, SFCONV_MODE_TRAINING));
        ck_assert_ptr_null(run);
        ck_assert_ptr_null(sfconv_layer_kind(none[i]));
        ck_assert_int_eq(sfconv_sfconv2d_rank(none[i]), 0);
        sfconv_layer_destroy(none[i]);
    }
    sfconv_net_destroy(fresh);
    close_things(&t);
}
END_TEST

START_TEST(models_and_files_refuse_null)
{
    things t = open_things();
    const sfconv_model_desc desc = SFCONV_MODEL_DESC_INIT;
    sfconv_net *net = t.net;
    sfconv_metadata *metadata = (sfconv_metadata *)&closed;
    sfconv_checkpoint empty = SFCONV_CHECKPOINT_INIT, foreign = SFCONV_CHECKPOINT_INIT;
    REFUSED(sfconv_model_create(NULL, t.context, &desc));
    REFUSED(sfconv_model_create(&net, NULL, &desc));
    ck_assert_ptr_null(net);
    REFUSED(sfconv_model_create(&net, t.context, NULL));
    net = t.net;
    REFUSED(sfconv_model_load(NULL, &metadata, t.context, "/nowhere/net"));
    REFUSED(sfconv_model_load(&net, &metadata, NULL, "/nowhere/net"));
    REFUSED(sfconv_model_load(&net, &metadata, t.context, NULL));
    REFUSED(sfconv_model_load(&net, &metadata, t.context, ""));
    ck_assert(!net && !metadata);
    REFUSED(sfconv_net_save(t.net, NULL, NULL));
    REFUSED(sfconv_net_save(t.net, "", NULL));
    REFUSED(sfconv_net_save(t.net, "/nowhere/net", (sfconv_metadata *)&closed));
    REFUSED(sfconv_net_load(t.net, NULL, 0, NULL, NULL));
    REFUSED(sfconv_net_load(t.net, "", 0, NULL, NULL));
    REFUSED(sfconv_net_load(t.net, "/nowhere/net", 1 << 20, NULL, NULL));
    foreign.net = t.net;
    foreign.optimizer = (sfconv_optimizer *)&closed;
    const sfconv_checkpoint *const bad[] = {NULL, &empty, &foreign};
    for (int i = 0; i < 3; i++) {
        REFUSED(sfconv_checkpoint_save(bad[i], "/nowhere/file"));
        REFUSED(sfconv_checkpoint_load(bad[i], "/nowhere/file"));
    }
    foreign.optimizer = NULL;
    REFUSED(sfconv_checkpoint_save(&foreign, NULL));
    REFUSED(sfconv_checkpoint_load(&foreign, NULL));
    REFUSED(sfconv_metadata_create(NULL, t.context));
    REFUSED(sfconv_metadata_create(&metadata, NULL));
    REFUSED(sfconv_metadata_set(NULL, "a", "b"));
    REFUSED(sfconv_metadata_set((sfconv_metadata *)&closed, "a", "b"));
    ck_assert_int_eq(sfconv_metadata_create(&metadata, t.context), SFCONV_OK);
    REFUSED(sfconv_metadata_set(metadata, NULL, "b"));
    REFUSED(sfconv_metadata_set(metadata, "a", NULL));
    REFUSED(sfconv_metadata_set(metadata, "", "b"));
    REFUSED(sfconv_metadata_set(metadata, "a", "\xff"));
    ck_assert_int_eq(sfconv_metadata_count(metadata), 0);
    ck_assert_int_eq(sfconv_metadata_count(NULL), 0);
    ck_assert_ptr_null(sfconv_metadata_get(metadata, NULL));
    ck_assert_ptr_null(sfconv_metadata_get(NULL, "a"));
    ck_assert_ptr_null(sfconv_metadata_name(metadata, 0));
    ck_assert_ptr_null(sfconv_metadata_name(metadata, -1));
    ck_assert_ptr_null(sfconv_metadata_name(NULL, 0));
    sfconv_metadata_destroy(metadata);
    sfconv_metadata_destroy(NULL);
    close_things(&t);
}
END_TEST

START_TEST(a_context_that_cannot_be_is_refused)
{
    sfconv_context *context = (sfconv_context *)&closed;
    sfconv_context_desc desc = SFCONV_CONTEXT_DESC_INIT;
    REFUSED(sfconv_context_create(NULL, &desc));
    desc.struct_size = 0;
    REFUSED(sfconv_context_create(&context, &desc));
    ck_assert_ptr_null(context);
    sfconv_context_destroy(NULL);
    ck_assert_str_eq(sfconv_context_last_error(NULL), "");
    ck_assert_int_eq(sfconv_context_isa(NULL), 0);
    ck_assert_int_eq(sfconv_context_workers(NULL), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hostile calls");
    TCase *tests = tcase_create("hostile calls");
    tcase_add_test(tests, building_refuses_null);
    tcase_add_test(tests, runs_refuse_null);
    tcase_add_test(tests, what_is_no_net_is_refused);
    tcase_add_test(tests, what_is_no_run_is_refused);
    tcase_add_test(tests, what_is_no_layer_is_refused);
    tcase_add_test(tests, models_and_files_refuse_null);
    tcase_add_test(tests, a_context_that_cannot_be_is_refused);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
