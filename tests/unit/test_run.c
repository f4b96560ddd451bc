/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs: what a net computes forward and backward, whatever its graph looks like. */
#include "nets.h"

#include <pthread.h>
#include <stdio.h>

/* --- Graphs --- */

START_TEST(a_value_added_to_or_joined_with_itself_gives_both_gradients)
{
    for (int32_t workers = 1; workers <= 4; workers += 3) {
        sfconv_context *context = public_context(workers, SFCONV_ISA_BEST);
        sfconv_net *net = empty_net(context);
        const int32_t x = put_input(net, "x", 8);
        put_output(net, put_pair(net, "twice", new_add(context), x, x));
        put_output(net, put_pair(net, "both", new_concat(context), x, x));
        sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
        ck_assert_int_eq(sfconv_run_want_input_gradients(run, 1), SFCONV_OK);
        reshape_run(run, 2, 64, 64);
        const sfconv_view in = input_of(run, 0);
        const int64_t count = sfconv_view_count(&in), half = count / 2;
        for (uint64_t round = 0; round < 30; round++) {
            fill_inputs(run, round);
            run_forward(run);
            const float *sum = output_of(run, 0).data;
            int64_t wrong = 0;
            for (int64_t i = 0; i < count; i++) {
                wrong += sum[i] != 2 * in.data[i];
            }
            ck_assert_int_eq(wrong, 0);
            fill_output_gradients(run, round + 100);
            run_backward(run);
            const float *twice = output_gradient_of(run, 0).data;
            const float *both = output_gradient_of(run, 1).data;
            const float *gradient = input_gradient_of(run, 0).data;
            for (int64_t i = 0; i < count; i++) {
                const float *joined = both + i / half * 2 * half + i % half;
                /* "both" is the later node, so its gradients come first. */
                const float expected = ((joined[0] + joined[half]) + twice[i]) + twice[i];
                wrong += gradient[i] != expected;
            }
            ck_assert_msg(wrong == 0, "%d workers, round %d: %d elements differ", (int)workers,
                          (int)round, (int)wrong);
        }
        sfconv_run_destroy(run);
        sfconv_net_destroy(net);
        sfconv_context_destroy(context);
    }
}
END_TEST

START_TEST(gradients_of_several_consumers_add_from_the_last_node_to_the_first)
{
    /* relu(x) for x > 0 is the identity, so the gradients are those of the outputs, in float. */
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 1);
    const int32_t middle = put_after(net, "m", new_activation(context, SFCONV_ACTIVATION_RELU), x);
    for (int i = 0; i < 5; i++) {
        const char name[] = {'r', (char)('0' + i), '\0'};
        put_output(net,
                   put_after(net, name, new_activation(context, SFCONV_ACTIVATION_RELU), middle));
    }
    put_output(net, middle);
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    ck_assert_int_eq(sfconv_run_want_input_gradients(run, 1), SFCONV_OK);
    reshape_run(run, 1, 3, 3);
    const sfconv_view in = input_of(run, 0);
    for (int i = 0; i < 9; i++) {
        in.data[i] = 1.0f;
    }
    run_forward(run);
    fill_output_gradients(run, 4);
    float expected[9];
    for (int i = 0; i < 9; i++) {
        expected[i] = output_gradient_of(run, 5).data[i];
        for (int32_t output = 4; output >= 0; output--) {
            expected[i] += output_gradient_of(run, output).data[i];
        }
    }
    run_backward(run);
    ck_assert_mem_eq(input_gradient_of(run, 0).data, expected, sizeof expected);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

/* Runs a forward and backward with inputs and output gradients of one stream; the gradient of
 * parameter `index` goes to `gradient`. */
static void gradient_of(sfconv_net *net, int32_t index, float *gradient)
{
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    sfconv_view view;
    reshape_run(run, 2, 6, 6);
    fill_inputs(run, 1);
    run_forward(run);
    fill_output_gradients(run, 2);
    run_backward(run);
    ck_assert_int_eq(sfconv_run_parameter_gradient(run, index, &view), SFCONV_OK);
    memcpy(gradient, view.data, (size_t)sfconv_view_count(&view) * sizeof(float));
    sfconv_run_destroy(run);
}

START_TEST(the_gradient_of_a_shared_layer_is_the_sum_over_its_nodes)
{
    sfconv_context *context = one_worker();
    sfconv_net *nets[2];
    float shared[2 * 2 * 9], first[2 * 2 * 9], second[2 * 2 * 9];
    for (int separate = 0; separate < 2; separate++) {
        sfconv_net *net = nets[separate] = empty_net(context);
        sfconv_layer *layer = new_conv(context, 2, 2, 1, 3);
        int32_t a, b;
        const int32_t x = put_input(net, "x", 2);
        ck_assert_int_eq(sfconv_net_add_layer(net, "a", layer, &x, 1, &a), SFCONV_OK);
        const int32_t s = put_after(net, "s", new_activation(context, SFCONV_ACTIVATION_SILU), a);
        if (separate) {
            b = put_after(net, "b", new_conv(context, 2, 2, 1, 3), s);
        } else {
            ck_assert_int_eq(sfconv_net_add_layer(net, "b", layer, &s, 1, &b), SFCONV_OK);
        }
        put_output(net, b);
        sfconv_layer_destroy(layer);
    }
    gradient_of(nets[0], 0, shared);
    gradient_of(nets[1], 0, first);
    gradient_of(nets[1], 2, second);
    for (int i = 0; i < 2 * 2 * 9; i++) {
        ck_assert_double_eq_tol(shared[i], (double)first[i] + (double)second[i],
                                1e-5 * (1 + fabs(shared[i])));
        ck_assert(fabsf(first[i]) > 1e-6f && fabsf(second[i]) > 1e-6f);
    }
    sfconv_net_destroy(nets[0]);
    sfconv_net_destroy(nets[1]);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(a_shared_layers_regularizer_counts_once)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    sfconv_layer *layer = new_sfconv(context, 4, 4, 2, SFCONV_REGULARIZER_KL, 0, 1);
    int32_t node = put_input(net, "x", 4);
    double value, alone;
    ck_assert_int_eq(sfconv_net_add_layer(net, "a", layer, &node, 1, &node), SFCONV_OK);
    ck_assert_int_eq(sfconv_net_add_layer(net, "b", layer, &node, 1, &node), SFCONV_OK);
    put_output(net, node);
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    sfconv_run *single;
    ck_assert_int_eq(
        sfconv_run_create_for_layer(&single, layer, (int64_t[]){4}, 1, SFCONV_MODE_TRAINING),
        SFCONV_OK);
    reshape_run(run, 1, 4, 4);
    reshape_run(single, 1, 4, 4);
    ck_assert_int_eq(sfconv_run_regularize(run, &value), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_regularize(single, &alone), SFCONV_OK);
    ck_assert(value == alone && value > 0);
    ck_assert_uint_eq(hash_gradients(run), hash_gradients(single));
    sfconv_run_destroy(single);
    sfconv_run_destroy(run);
    sfconv_layer_destroy(layer);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(the_regularizer_refuses_factors_that_have_no_spectrum_and_adds_nothing)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    double value = 7;
    const int32_t x = put_input(net, "x", 4);
    const int32_t a =
        put_after(net, "a", new_sfconv(context, 4, 4, 2, SFCONV_REGULARIZER_KL, 0, 1), x);
    put_output(net,
               put_after(net, "b", new_sfconv(context, 4, 4, 2, SFCONV_REGULARIZER_KL, 0, 2), a));
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    reshape_run(run, 1, 4, 4);
    const uint64_t zero = hash_gradients(run);
    const sfconv_view p = parameter_of(net, 3).view;
    const float kept = p.data[5];
    const float bad[] = {NAN, INFINITY};
    for (int i = 0; i < 2; i++) {
        p.data[5] = bad[i];
        ck_assert_int_eq(sfconv_run_regularize(run, &value), SFCONV_ERROR_NUMERIC);
        ck_assert(reason_holds(context, "b.p.weight"));
    }
    p.data[5] = kept;
    memset(p.data, 0, (size_t)sfconv_view_count(&p) * sizeof(float));
    ck_assert_int_eq(sfconv_run_regularize(run, &value), SFCONV_ERROR_NUMERIC);
    ck_assert_uint_eq(hash_gradients(run), zero);
    ck_assert(value == 7);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(nodes_that_no_output_needs_are_not_computed)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    sfconv_view view;
    const int32_t x = put_input(net, "x", 2);
    const int32_t lonely = put_input(net, "lonely", 2);
    const int32_t a = put_after(net, "a", new_conv(context, 2, 2, 1, 1), x);
    put_after(net, "dead", new_batchnorm(context, 2), a);
    put_output(net, put_after(net, "b", new_conv(context, 2, 2, 1, 1), a));
    ck_assert_int_eq(lonely, 1);
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    ck_assert_int_eq(sfconv_run_want_input_gradients(run, 1), SFCONV_OK);
    reshape_run(run, 1, 4, 4);
    const uint64_t before = hash_parameters(net);
    fill_inputs(run, 1);
    run_forward(run);
    fill_output_gradients(run, 3);
    run_backward(run);
    ck_assert_uint_eq(hash_parameters(net), before);
    int32_t index;
    ck_assert_int_eq(sfconv_net_find_parameter(net, "dead.weight", &index), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_parameter_gradient(run, index, &view), SFCONV_OK);
    ck_assert(view.data[0] == 0 && view.data[1] == 0);
    /* Nothing depends on the lonely input: its gradient is zero. */
    view = input_gradient_of(run, 1);
    for (int64_t i = 0; i < sfconv_view_count(&view); i++) {
        ck_assert(view.data[i] == 0);
    }
    ck_assert_ptr_nonnull(strstr(plan_of(run), "unused  dead"));
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(an_output_in_the_middle_is_kept_and_takes_a_gradient_of_its_own)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 2);
    const int32_t a = put_after(net, "a", new_conv(context, 2, 4, 1, 1), x);
    int32_t end = a;
    for (int i = 0; i < 4; i++) {
        const char name[] = {'c', (char)('0' + i), '\0'};
        end = put_after(net, name, new_conv(context, 4, 4, 1, (uint64_t)i), end);
    }
    put_output(net, end);
    put_output(net, a);
    sfconv_run *inference = new_run(net, SFCONV_MODE_INFERENCE);
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    ck_assert_int_eq(sfconv_run_set_engine(inference, SFCONV_ENGINE_LAYERS), SFCONV_OK);
    reshape_run(inference, 1, 6, 6);
    reshape_run(run, 1, 6, 6);
    ck_assert_uint_eq(forward_hash(inference, 1), forward_hash(run, 1));

    /* The gradients of the first convolution for one output at a time add to those for both. */
    float parts[2][72], sum[72];
    for (int part = 0; part < 3; part++) {
        sfconv_view view;
        ck_assert_int_eq(sfconv_run_zero_gradients(run), SFCONV_OK);
        fill_inputs(run, 1);
        run_forward(run);
        for (int32_t output = 0; output < 2; output++) {
            /* What nobody writes is zero. */
            if (part == output || part == 2) {
                view = output_gradient_of(run, output);
                fill_floats(view.data, sfconv_view_count(&view), (uint64_t)output);
            }
        }
        run_backward(run);
        ck_assert_int_eq(sfconv_run_parameter_gradient(run, 0, &view), SFCONV_OK);
        memcpy(part == 2 ? sum : parts[part], view.data, sizeof sum);
    }
    for (int i = 0; i < 72; i++) {
        ck_assert_double_eq_tol(sum[i], (double)parts[0][i] + (double)parts[1][i],
                                1e-5 * (1 + fabs(sum[i])));
    }
    sfconv_run_destroy(inference);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(an_input_may_be_an_output)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 2);
    put_output(net, x);
    put_output(net, put_after(net, "s", new_activation(context, SFCONV_ACTIVATION_LEAKY_RELU), x));
    for (int32_t mode = SFCONV_MODE_INFERENCE; mode <= SFCONV_MODE_TRAINING; mode++) {
        sfconv_run *run = new_run(net, mode);
        if (mode == SFCONV_MODE_TRAINING) {
            ck_assert_int_eq(sfconv_run_want_input_gradients(run, 1), SFCONV_OK);
        }
        reshape_run(run, 1, 3, 3);
        fill_inputs(run, 1);
        run_forward(run);
        float expected[18];
        fill_floats(expected, 18, 1);
        ck_assert_mem_eq(output_of(run, 0).data, expected, sizeof expected);
        if (mode == SFCONV_MODE_TRAINING) {
            fill_output_gradients(run, 3);
            const float *direct = output_gradient_of(run, 0).data;
            const float *through = output_gradient_of(run, 1).data;
            for (int i = 0; i < 18; i++) {
                expected[i] = direct[i] + through[i] * (expected[i] > 0 ? 1.0f : 0.1f);
            }
            run_backward(run);
            ck_assert_mem_eq(input_gradient_of(run, 0).data, expected, sizeof expected);
        }
        sfconv_run_destroy(run);
    }
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(input_gradients_are_computed_when_wanted_and_change_no_other)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = plain_net(context);
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    sfconv_view view;
    reshape_run(run, 2, 6, 6);
    const uint64_t without = training_hash(run, 1);
    ck_assert_int_eq(sfconv_run_input_gradient(run, 0, &view), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_run_want_input_gradients(run, 1), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_input_gradient(run, 0, &view), SFCONV_ERROR_STATE);
    ck_assert_uint_eq(training_hash(run, 1), without);
    reshape_run(run, 2, 6, 6);
    ck_assert_uint_eq(training_hash(run, 1), without);
    view = input_gradient_of(run, 0);
    ck_assert(all_finite(&view));
    const uint64_t gradient = hash_view(HASH_START, &view);
    /* Overwritten, not added to. */
    training_hash(run, 1);
    ck_assert_uint_eq(hash_view(HASH_START, &view), gradient);
    ck_assert_int_eq(sfconv_run_want_input_gradients(run, 0), SFCONV_OK);
    reshape_run(run, 2, 6, 6);
    ck_assert_int_eq(sfconv_run_input_gradient(run, 0, &view), SFCONV_ERROR_STATE);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(backward_adds_to_parameter_gradients_until_they_are_zeroed)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 2);
    put_output(net, put_after(net, "a", new_conv(context, 2, 2, 1, 1), x));
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    sfconv_view view;
    float once[36];
    reshape_run(run, 1, 5, 5);
    const uint64_t zero = hash_gradients(run);
    ck_assert_int_eq(sfconv_run_parameter_gradient(run, 0, &view), SFCONV_OK);
    for (int round = 1; round <= 2; round++) {
        fill_inputs(run, 1);
        run_forward(run);
        fill_output_gradients(run, 2);
        run_backward(run);
        if (round == 1) {
            memcpy(once, view.data, sizeof once);
        }
    }
    for (int i = 0; i < 36; i++) {
        ck_assert_double_eq_tol(view.data[i], 2.0 * once[i], 1e-5 * (1 + fabs(once[i])));
    }
    ck_assert_int_eq(sfconv_run_zero_gradients(run), SFCONV_OK);
    ck_assert_uint_eq(hash_gradients(run), zero);
    ck_assert_int_eq(sfconv_run_parameter_gradient(run, 2, &view), SFCONV_ERROR_NOT_FOUND);
    ck_assert_int_eq(sfconv_run_parameter_gradient(run, -1, &view), SFCONV_ERROR_NOT_FOUND);
    ck_assert_int_eq(sfconv_run_input(run, 1, &view), SFCONV_ERROR_NOT_FOUND);
    ck_assert_int_eq(sfconv_run_output(run, -1, &view), SFCONV_ERROR_NOT_FOUND);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(buffers_have_no_gradient)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = plain_net(context);
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    sfconv_view view;
    reshape_run(run, 1, 5, 5);
    for (int32_t i = 0; i < sfconv_net_parameter_count(net); i++) {
        const sfconv_parameter_info info = parameter_of(net, i);
        ck_assert_int_eq(sfconv_run_parameter_gradient(run, i, &view),
                         info.trainable ? SFCONV_OK : SFCONV_ERROR_NOT_FOUND);
        ck_assert(!info.trainable || memcmp(view.shape, info.view.shape, sizeof view.shape) == 0);
    }
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(dropout_is_a_function_of_seed_step_and_name)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 4);
    put_output(net, put_after(net, "one", new_dropout(context), x));
    put_output(net, put_after(net, "two", new_dropout(context), x));
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    reshape_run(run, 1, 8, 8);
    ck_assert_int_eq(sfconv_run_set_seed(run, 5, 10), SFCONV_OK);
    const uint64_t first = forward_hash(run, 1);
    sfconv_view one = output_of(run, 0), two = output_of(run, 1);
    ck_assert_mem_ne(one.data, two.data, 256 * sizeof(float));
    run_backward(run);
    const uint64_t second = forward_hash(run, 1);
    run_backward(run);
    ck_assert_uint_ne(first, second);
    ck_assert_uint_eq(sfconv_run_step(run), 12);
    ck_assert_int_eq(sfconv_run_set_seed(run, 5, 10), SFCONV_OK);
    ck_assert_uint_eq(forward_hash(run, 1), first);
    run_backward(run);
    ck_assert_int_eq(sfconv_run_set_seed(run, 6, 10), SFCONV_OK);
    ck_assert_uint_ne(forward_hash(run, 1), first);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(a_run_of_one_layer_is_a_net_of_one_node)
{
    sfconv_context *context = one_worker();
    sfconv_layer *add = new_add(context);
    sfconv_run *run;
    const int64_t channels[17] = {3, 3, 3};
    ck_assert_int_eq(sfconv_run_create_for_layer(&run, add, channels, 3, SFCONV_MODE_INFERENCE),
                     SFCONV_OK);
    sfconv_net *net = sfconv_run_net(run);
    ck_assert_int_eq(sfconv_net_node_count(net), 4);
    ck_assert_str_eq(sfconv_net_node_name(net, 2), "input2");
    ck_assert_str_eq(sfconv_net_node_name(net, 3), "add");
    reshape_run(run, 1, 2, 2);
    forward_hash(run, 1);
    const float sum =
        (input_of(run, 0).data[0] + input_of(run, 1).data[0]) + input_of(run, 2).data[0];
    ck_assert(isfinite(sum));
    sfconv_run_destroy(run);
    const struct {
        int64_t channels;
        int32_t count;
        int32_t mode;
    } refused[] = {{3, 1, 1}, {3, 0, 1}, {3, 17, 1}, {0, 2, 1}, {3, 2, 0}};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const int64_t same[17] = {refused[i].channels, refused[i].channels};
        ck_assert_int_eq(
            sfconv_run_create_for_layer(&run, add, same, refused[i].count, refused[i].mode),
            SFCONV_ERROR_ARGUMENT);
        ck_assert_ptr_null(run);
    }
    sfconv_layer_destroy(add);
    sfconv_context_destroy(context);
}
END_TEST

/* --- Threads --- */

struct reader {
    sfconv_net *net;
    uint64_t stream;
    uint64_t hashes[20];
};

static void *read_net(void *argument)
{
    struct reader *reader = argument;
    sfconv_run *run = new_run(reader->net, SFCONV_MODE_INFERENCE);
    reshape_run(run, 2, 16, 16);
    for (int i = 0; i < 20; i++) {
        reader->hashes[i] = forward_hash(run, reader->stream + (uint64_t)i % 4);
    }
    sfconv_run_destroy(run);
    return NULL;
}

START_TEST(runs_of_one_net_in_two_threads_compute_what_one_thread_does)
{
    sfconv_context *context = public_context(2, SFCONV_ISA_BEST);
    sfconv_net *net = plain_net(context);
    struct reader alone = {.net = net, .stream = 1};
    struct reader pair[2] = {{.net = net, .stream = 1}, {.net = net, .stream = 1}};
    pthread_t threads[2];
    read_net(&alone);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_net, &pair[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        ck_assert_mem_eq(pair[i].hashes, alone.hashes, sizeof alone.hashes);
    }
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run");
    TCase *tests = tcase_create("run");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_value_added_to_or_joined_with_itself_gives_both_gradients);
    tcase_add_test(tests, gradients_of_several_consumers_add_from_the_last_node_to_the_first);
    tcase_add_test(tests, the_gradient_of_a_shared_layer_is_the_sum_over_its_nodes);
    tcase_add_test(tests, a_shared_layers_regularizer_counts_once);
    tcase_add_test(tests, the_regularizer_refuses_factors_that_have_no_spectrum_and_adds_nothing);
    tcase_add_test(tests, nodes_that_no_output_needs_are_not_computed);
    tcase_add_test(tests, an_output_in_the_middle_is_kept_and_takes_a_gradient_of_its_own);
    tcase_add_test(tests, an_input_may_be_an_output);
    tcase_add_test(tests, input_gradients_are_computed_when_wanted_and_change_no_other);
    tcase_add_test(tests, backward_adds_to_parameter_gradients_until_they_are_zeroed);
    tcase_add_test(tests, buffers_have_no_gradient);
    tcase_add_test(tests, dropout_is_a_function_of_seed_step_and_name);
    tcase_add_test(tests, a_run_of_one_layer_is_a_net_of_one_node);
    tcase_add_test(tests, runs_of_one_net_in_two_threads_compute_what_one_thread_does);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
