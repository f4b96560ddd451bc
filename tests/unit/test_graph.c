/* SPDX-License-Identifier: BSD-2-Clause */
/* Nets: nodes, names, parameters, counts, and what building refuses. */
#include "nets.h"

#include "graph.h"

typedef struct facts {
    int32_t nodes;
    int32_t inputs;
    int32_t outputs;
    int32_t parameters;
} facts;

static facts facts_of(const sfconv_net *net)
{
    return (facts){sfconv_net_node_count(net), sfconv_net_input_count(net),
                   sfconv_net_output_count(net), sfconv_net_parameter_count(net)};
}

static void check_unchanged(const sfconv_net *net, facts before)
{
    const facts now = facts_of(net);
    ck_assert_mem_eq(&now, &before, sizeof now);
}

START_TEST(nodes_are_numbered_in_the_order_of_adding_and_found_by_name)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = empty_net(context);
    int32_t found = -1;
    const int32_t x = put_input(net, "x", 3);
    const int32_t conv = put_after(net, "a.conv", new_conv(context, 3, 4, 1, 1), x);
    const int32_t mask = put_input(net, "mask", 1);
    put_output(net, conv);
    ck_assert(x == 0 && conv == 1 && mask == 2);
    ck_assert_int_eq(sfconv_net_node_count(net), 3);
    ck_assert_int_eq(sfconv_net_input_count(net), 2);
    ck_assert_int_eq(sfconv_net_output_count(net), 1);
    ck_assert_str_eq(sfconv_net_node_name(net, 1), "a.conv");
    ck_assert_str_eq(sfconv_layer_kind(sfconv_net_node_layer(net, 1)), "conv2d");
    ck_assert_ptr_null(sfconv_net_node_layer(net, 0));
    ck_assert_ptr_null(sfconv_net_node_layer(net, 3));
    ck_assert_ptr_null(sfconv_net_node_name(net, -1));
    ck_assert_ptr_null(sfconv_net_node_name(net, 3));
    ck_assert_int_eq(sfconv_net_input_channels(net, 1), 1);
    ck_assert_int_eq(sfconv_net_input_channels(net, 2), 0);
    ck_assert_int_eq(sfconv_net_input_channels(net, -1), 0);
    ck_assert_int_eq(sfconv_net_find_node(net, "mask", &found), SFCONV_OK);
    ck_assert_int_eq(found, mask);
    ck_assert_int_eq(sfconv_net_find_node(net, "Mask", &found), SFCONV_ERROR_NOT_FOUND);
    ck_assert_int_eq(found, mask);
    ck_assert(reason_holds(context, "'Mask'"));
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(names_have_1_to_200_bytes_without_control_characters_and_are_taken_once)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = empty_net(context);
    sfconv_layer *layer = new_conv(context, 1, 1, 1, 1);
    char longest[202];
    int32_t node = -5;
    const int32_t x = put_input(net, "x", 1);
    const facts before = facts_of(net);
    memset(longest, 'n', sizeof longest);
    longest[201] = '\0';
    const char *const refused[] = {"", "x", "two\nlines", "tab\t", "del\x7f", longest};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        ck_assert_int_eq(sfconv_net_add_input(net, refused[i], 1, &node), SFCONV_ERROR_ARGUMENT);
        ck_assert_int_eq(sfconv_net_add_layer(net, refused[i], layer, &x, 1, &node),
                         SFCONV_ERROR_ARGUMENT);
        check_unchanged(net, before);
    }
    ck_assert_int_eq(node, -5);
    longest[200] = '\0';
    ck_assert_int_eq(sfconv_net_add_layer(net, longest, layer, &x, 1, &node), SFCONV_OK);
    ck_assert_int_eq(sfconv_net_add_input(net, "Überblick", 1, &node), SFCONV_OK);
    const size_t length = strlen(parameter_of(net, 0).name);
    ck_assert_uint_eq(length, 200 + strlen(".weight"));
    sfconv_layer_destroy(layer);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(no_two_parameters_have_one_name)
{
    /* Node "a" has a parameter "q.weight", node "a.q" a parameter "weight". */
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = empty_net(context);
    sfconv_layer *dense = new_conv(context, 4, 4, 1, 1);
    int32_t node;
    const int32_t x = put_input(net, "x", 4);
    put_after(net, "a", new_sfconv(context, 4, 4, 2, SFCONV_REGULARIZER_NONE, 0, 1), x);
    const facts before = facts_of(net);
    ck_assert_int_eq(sfconv_net_add_layer(net, "a.q", dense, &x, 1, &node), SFCONV_ERROR_ARGUMENT);
    ck_assert(reason_holds(context, "a.q.weight"));
    check_unchanged(net, before);
    ck_assert_int_eq(sfconv_net_add_layer(net, "a.r", dense, &x, 1, &node), SFCONV_OK);
    sfconv_layer_destroy(dense);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(adding_refuses_what_does_not_fit_and_changes_nothing)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_context *other = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = empty_net(context);
    sfconv_layer *conv = new_conv(context, 1, 1, 1, 1);
    sfconv_layer *add = new_add(context);
    sfconv_layer *foreign = new_conv(other, 1, 1, 1, 1);
    int32_t many[17] = {0};
    int32_t node = -5;
    put_input(net, "x", 1);
    const facts before = facts_of(net);
    const int32_t unknown[] = {0, 1};
    const int32_t negative[] = {-1, 0};
    ck_assert_int_eq(sfconv_net_add_layer(net, "n", conv, many, 0, &node), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_net_add_layer(net, "n", conv, many, -1, &node), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_net_add_layer(net, "n", conv, many, 2, &node), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_net_add_layer(net, "n", add, many, 1, &node), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_net_add_layer(net, "n", add, many, 17, &node), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_net_add_layer(net, "n", foreign, many, 1, &node),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert(reason_holds(context, "another context"));
    ck_assert_int_eq(sfconv_net_add_layer(net, "n", add, unknown, 2, &node),
                     SFCONV_ERROR_NOT_FOUND);
    ck_assert_int_eq(sfconv_net_add_layer(net, "n", add, negative, 2, &node),
                     SFCONV_ERROR_NOT_FOUND);
    ck_assert(reason_holds(context, "n: "));
    ck_assert_int_eq(sfconv_net_add_input(net, "n", 0, &node), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_net_add_input(net, "n", -3, &node), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_net_add_output(net, 1), SFCONV_ERROR_NOT_FOUND);
    ck_assert_int_eq(sfconv_net_add_output(net, -1), SFCONV_ERROR_NOT_FOUND);
    check_unchanged(net, before);
    put_output(net, 0);
    ck_assert_int_eq(sfconv_net_add_output(net, 0), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_net_output_count(net), 1);
    ck_assert_int_eq(node, -5);
    ck_assert_int_eq(sfconv_net_add_layer(net, "n", add, many, 16, &node), SFCONV_OK);
    sfconv_layer_destroy(conv);
    sfconv_layer_destroy(add);
    sfconv_layer_destroy(foreign);
    sfconv_net_destroy(net);
    sfconv_context_destroy(other);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(a_net_with_a_run_takes_no_more_nodes)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = empty_net(context);
    sfconv_layer *conv = new_conv(context, 1, 1, 1, 1);
    int32_t node;
    const int32_t x = put_input(net, "x", 1);
    const int32_t y = put_after(net, "y", new_activation(context, SFCONV_ACTIVATION_RELU), x);
    put_output(net, y);
    sfconv_run *first = new_run(net, SFCONV_MODE_INFERENCE);
    sfconv_run *second = new_run(net, SFCONV_MODE_TRAINING);
    const facts before = facts_of(net);
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(sfconv_net_add_input(net, "n", 1, &node), SFCONV_ERROR_STATE);
        ck_assert_int_eq(sfconv_net_add_layer(net, "n", conv, &x, 1, &node), SFCONV_ERROR_STATE);
        ck_assert_int_eq(sfconv_net_add_output(net, x), SFCONV_ERROR_STATE);
        check_unchanged(net, before);
        sfconv_run_destroy(round == 0 ? first : NULL);
    }
    sfconv_run_destroy(second);
    ck_assert_int_eq(sfconv_net_add_layer(net, "n", conv, &x, 1, &node), SFCONV_OK);
    sfconv_layer_destroy(conv);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(a_shared_layer_has_its_parameters_in_the_table_once)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = empty_net(context);
    sfconv_layer *shared = new_conv(context, 2, 2, 1, 1);
    int32_t node, index;
    const int32_t x = put_input(net, "x", 2);
    ck_assert_int_eq(sfconv_net_add_layer(net, "first", shared, &x, 1, &node), SFCONV_OK);
    ck_assert_int_eq(sfconv_net_add_layer(net, "second", shared, &node, 1, &node), SFCONV_OK);
    put_after(net, "third", new_conv(context, 2, 2, 1, 1), node);
    ck_assert_int_eq(sfconv_net_parameter_count(net), 4);
    const char *const names[] = {"first.weight", "first.bias", "third.weight", "third.bias"};
    for (int32_t i = 0; i < 4; i++) {
        ck_assert_str_eq(parameter_of(net, i).name, names[i]);
        ck_assert_int_eq(sfconv_net_find_parameter(net, names[i], &index), SFCONV_OK);
        ck_assert_int_eq(index, i);
    }
    ck_assert_int_eq(sfconv_net_find_parameter(net, "second.weight", &index),
                     SFCONV_ERROR_NOT_FOUND);
    sfconv_layer_destroy(shared);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(parameters_are_told_with_name_role_and_a_view_of_the_layers_own_memory)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = empty_net(context);
    sfconv_parameter_info info = SFCONV_PARAMETER_INFO_INIT;
    const int32_t x = put_input(net, "x", 4);
    const int32_t f =
        put_after(net, "f", new_sfconv(context, 4, 6, 2, SFCONV_REGULARIZER_NONE, 1, 1), x);
    put_after(net, "bn", new_batchnorm(context, 6), f);
    const struct {
        const char *name;
        int32_t role;
        int32_t trainable;
        int64_t count;
    } expected[] = {
        {"f.q.weight", SFCONV_PARAMETER_FACTOR_Q, 1, 2 * 4 * 3},
        {"f.p.weight", SFCONV_PARAMETER_FACTOR_P, 1, 6 * 2 * 3},
        {"f.u", SFCONV_PARAMETER_BUFFER, 0, 6 * 3},
        {"f.v", SFCONV_PARAMETER_BUFFER, 0, 4 * 3},
        {"bn.weight", SFCONV_PARAMETER_SCALE, 1, 6},
        {"bn.bias", SFCONV_PARAMETER_SHIFT, 1, 6},
        {"bn.running_mean", SFCONV_PARAMETER_BUFFER, 0, 6},
        {"bn.running_var", SFCONV_PARAMETER_BUFFER, 0, 6},
    };
    ck_assert_int_eq(sfconv_net_parameter_count(net), 8);
    for (int32_t i = 0; i < 8; i++) {
        info = parameter_of(net, i);
        ck_assert_str_eq(info.name, expected[i].name);
        ck_assert_int_eq(info.role, expected[i].role);
        ck_assert_int_eq(info.trainable, expected[i].trainable);
        ck_assert_int_eq(sfconv_view_count(&info.view), expected[i].count);
    }
    sfconv_parameter_info own = SFCONV_PARAMETER_INFO_INIT;
    ck_assert_int_eq(sfconv_layer_parameter(sfconv_net_node_layer(net, f), 1, &own), SFCONV_OK);
    ck_assert_ptr_eq(own.view.data, parameter_of(net, 1).view.data);
    ck_assert_int_eq(sfconv_net_parameter(net, 8, &info), SFCONV_ERROR_NOT_FOUND);
    ck_assert_int_eq(sfconv_net_parameter(net, -1, &info), SFCONV_ERROR_NOT_FOUND);
    info.struct_size = 8;
    ck_assert_int_eq(sfconv_net_parameter(net, 0, &info), SFCONV_ERROR_ARGUMENT);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(layers_and_context_outlive_their_owners_holds)
{
    sfconv_context *context = public_context(2, SFCONV_ISA_BEST);
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 1);
    const int32_t y = put_after(net, "y", new_conv(context, 1, 1, 1, 1), x);
    put_output(net, y);
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    sfconv_context_destroy(context);
    sfconv_net_destroy(net);
    reshape_run(run, 1, 4, 4);
    fill_inputs(run, 1);
    run_forward(run);
    ck_assert_str_eq(sfconv_net_node_name(sfconv_run_net(run), y), "y");
    sfconv_run_destroy(run);
}
END_TEST

START_TEST(initialization_draws_each_layer_from_the_seed_and_the_nodes_name)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *nets[2];
    for (int n = 0; n < 2; n++) {
        nets[n] = empty_net(context);
        const int32_t x = put_input(nets[n], "x", 2);
        /* One node more in front in the second net: the others draw the same. */
        const int32_t before =
            n ? put_after(nets[n], "extra", new_conv(context, 2, 2, 1, 9), x) : x;
        const int32_t a = put_after(nets[n], "a", new_conv(context, 2, 2, 1, (uint64_t)n), before);
        put_after(nets[n], "b", new_conv(context, 2, 2, 1, (uint64_t)n), a);
        ck_assert_int_eq(sfconv_net_initialize(nets[n], 77), SFCONV_OK);
    }
    for (int32_t i = 0; i < 4; i++) {
        const sfconv_parameter_info one = parameter_of(nets[0], i);
        const sfconv_parameter_info two = parameter_of(nets[1], i + 2);
        ck_assert_mem_eq(one.view.data, two.view.data,
                         (size_t)sfconv_view_count(&one.view) * sizeof(float));
    }
    ck_assert_mem_ne(parameter_of(nets[0], 0).view.data, parameter_of(nets[0], 2).view.data,
                     36 * sizeof(float));
    const uint64_t hash = hash_parameters(nets[0]);
    ck_assert_int_eq(sfconv_net_initialize(nets[0], 78), SFCONV_OK);
    ck_assert_uint_ne(hash_parameters(nets[0]), hash);
    ck_assert_int_eq(sfconv_net_initialize(nets[0], 77), SFCONV_OK);
    ck_assert_uint_eq(hash_parameters(nets[0]), hash);
    sfconv_net_destroy(nets[0]);
    sfconv_net_destroy(nets[1]);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(cost_counts_multiply_adds_parameters_and_bytes_by_hand)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = empty_net(context);
    sfconv_cost cost = SFCONV_COST_INIT;
    const sfconv_shape shape = {2, 3, 10, 12};
    const int32_t x = put_input(net, "x", 3);
    const int32_t a = put_after(net, "a", new_conv(context, 3, 8, 2, 1), x);
    const int32_t bn = put_after(net, "bn", new_batchnorm(context, 8), a);
    const int32_t b =
        put_after(net, "b", new_sfconv(context, 8, 4, 2, SFCONV_REGULARIZER_NONE, 0, 1), bn);
    const int32_t c = put_after(net, "c", new_dsconv(context, 4, 5, 1), b);
    const int32_t d = put_after(net, "d", new_pool(context, SFCONV_POOL_GLOBAL_AVERAGE), c);
    put_output(net, put_after(net, "e", new_linear(context, 5, 7, 1), d));
    ck_assert_int_eq(sfconv_net_cost(net, &shape, 1, &cost), SFCONV_OK);
    /* Maps of 5 x 6 from "a" on. */
    const int64_t dense = 2 * 8 * 5 * 6 * 3 * 9;
    const int64_t factorized = 2 * (2 * 5 * 6 * 8 * 3 + 4 * 5 * 6 * 2 * 3);
    const int64_t separable = 2 * (4 * 5 * 6 * 9 + 5 * 5 * 6 * 4);
    ck_assert_int_eq(cost.macs, dense + factorized + separable + 2 * 7 * 5);
    ck_assert_int_eq(cost.flops, 2 * cost.macs);
    ck_assert_int_eq(cost.parameters, (8 * 3 * 9 + 8) + 16 + (2 * 8 * 3 + 4 * 2 * 3) +
                                          (4 * 9 + 5 * 4) + (7 * 5 + 7));
    const int64_t written = 8 * 30 + 8 * 30 + 4 * 30 + 5 * 30 + 5 + 7;
    ck_assert_int_eq(cost.activation_bytes, 2 * written * (int64_t)sizeof(float));
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(cost_refuses_shapes_that_do_not_fit_with_the_nodes_name)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = empty_net(context);
    sfconv_cost cost = SFCONV_COST_INIT;
    ck_assert_int_eq(sfconv_net_cost(net, &(sfconv_shape){1, 1, 1, 1}, 1, &cost),
                     SFCONV_ERROR_STATE);
    const int32_t x = put_input(net, "x", 3);
    put_output(net, put_after(net, "stem", new_conv(context, 4, 8, 1, 1), x));
    const int64_t huge = INT64_MAX / 8;
    const sfconv_shape shapes[] = {{1, 3, 8, 8},    {1, 2, 8, 8},    {0, 3, 8, 8},
                                   {1, 3, -1, 8},   {huge, 3, 1, 1}, {1, 3, huge, huge},
                                   {1, 3, 1, huge}, {1, 3, 1, 0}};
    const sfconv_status expected[] = {
        SFCONV_ERROR_SHAPE,    SFCONV_ERROR_SHAPE,    SFCONV_ERROR_SHAPE,    SFCONV_ERROR_SHAPE,
        SFCONV_ERROR_OVERFLOW, SFCONV_ERROR_OVERFLOW, SFCONV_ERROR_OVERFLOW, SFCONV_ERROR_SHAPE};
    const sfconv_cost before = cost;
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(sfconv_net_cost(net, &shapes[i], 1, &cost), expected[i]);
        ck_assert(reason_holds(context, i == 0 ? "stem: " : "x: "));
    }
    ck_assert_int_eq(sfconv_net_cost(net, shapes, 2, &cost), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_net_cost(net, shapes, 0, &cost), SFCONV_ERROR_ARGUMENT);
    ck_assert_mem_eq(&cost, &before, sizeof cost);
    cost.struct_size = sizeof(size_t);
    ck_assert_int_eq(sfconv_net_cost(net, shapes, 1, &cost), SFCONV_ERROR_ARGUMENT);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(the_regularizer_of_all_factorized_layers_is_set_at_once)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = empty_net(context);
    double first, second;
    const int32_t x = put_input(net, "x", 4);
    const int32_t a =
        put_after(net, "a", new_sfconv(context, 4, 4, 2, SFCONV_REGULARIZER_NONE, 0, 1), x);
    const int32_t b = put_after(net, "b", new_conv(context, 4, 4, 1, 1), a);
    put_output(net,
               put_after(net, "c", new_sfconv(context, 4, 4, 2, SFCONV_REGULARIZER_NONE, 0, 2), b));
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    reshape_run(run, 1, 4, 4);
    ck_assert_int_eq(sfconv_run_regularize(run, &first), SFCONV_OK);
    ck_assert(first == 0);
    ck_assert_int_eq(sfconv_net_set_regularizer(net, SFCONV_REGULARIZER_KL, 0.5), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_regularize(run, &first), SFCONV_OK);
    ck_assert_int_eq(sfconv_net_set_regularizer(net, SFCONV_REGULARIZER_KL, 1.0), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_regularize(run, &second), SFCONV_OK);
    ck_assert(first > 0);
    ck_assert_double_eq_tol(second, 2 * first, 1e-12);
    ck_assert_int_eq(sfconv_net_set_regularizer(net, 99, 1.0), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_net_set_regularizer(net, SFCONV_REGULARIZER_KL, -1.0),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_net_set_regularizer(net, SFCONV_REGULARIZER_KL, NAN),
                     SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_run_regularize(run, &first), SFCONV_OK);
    ck_assert(first == second);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("graph");
    TCase *tests = tcase_create("graph");
    tcase_add_test(tests, nodes_are_numbered_in_the_order_of_adding_and_found_by_name);
    tcase_add_test(tests, names_have_1_to_200_bytes_without_control_characters_and_are_taken_once);
    tcase_add_test(tests, no_two_parameters_have_one_name);
    tcase_add_test(tests, adding_refuses_what_does_not_fit_and_changes_nothing);
    tcase_add_test(tests, a_net_with_a_run_takes_no_more_nodes);
    tcase_add_test(tests, a_shared_layer_has_its_parameters_in_the_table_once);
    tcase_add_test(tests, parameters_are_told_with_name_role_and_a_view_of_the_layers_own_memory);
    tcase_add_test(tests, layers_and_context_outlive_their_owners_holds);
    tcase_add_test(tests, initialization_draws_each_layer_from_the_seed_and_the_nodes_name);
    tcase_add_test(tests, cost_counts_multiply_adds_parameters_and_bytes_by_hand);
    tcase_add_test(tests, cost_refuses_shapes_that_do_not_fit_with_the_nodes_name);
    tcase_add_test(tests, the_regularizer_of_all_factorized_layers_is_set_at_once);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
