/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs: the states they go through, their sizes and their memory. */
#include "nets.h"
#include "tally.h"

#include <stdio.h>

/* --- States --- */

START_TEST(a_run_without_size_answers_state)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = plain_net(context);
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    sfconv_view view;
    size_t length = 7;
    double norm = 7;
    ck_assert_int_eq(sfconv_run_forward(run), SFCONV_ERROR_STATE);
    ck_assert(reason_holds(context, "sfconv_run_reshape"));
    ck_assert_int_eq(sfconv_run_backward(run), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_run_zero_gradients(run), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_run_regularize(run, &norm), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_run_clip_gradients(run, 1.0, &norm), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_run_input(run, 0, &view), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_run_output(run, 0, &view), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_run_output_gradient(run, 0, &view), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_run_input_gradient(run, 0, &view), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_run_parameter_gradient(run, 0, &view), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_run_plan_text(run, NULL, 0, &length), SFCONV_ERROR_STATE);
    ck_assert(length == 7 && norm == 7);
    ck_assert_int_eq(sfconv_run_set_seed(run, 1, 2), SFCONV_OK);
    ck_assert_uint_eq(sfconv_run_step(run), 2);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(each_forward_allows_one_backward)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = plain_net(context);
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    reshape_run(run, 2, 5, 5);
    ck_assert_int_eq(sfconv_run_backward(run), SFCONV_ERROR_STATE);
    fill_inputs(run, 1);
    run_forward(run);
    run_forward(run);
    ck_assert_int_eq(sfconv_run_set_seed(run, 1, 1), SFCONV_ERROR_STATE);
    run_backward(run);
    const uint64_t gradients = hash_gradients(run);
    ck_assert_int_eq(sfconv_run_backward(run), SFCONV_ERROR_STATE);
    ck_assert_uint_eq(hash_gradients(run), gradients);
    run_forward(run);
    reshape_run(run, 2, 5, 5);
    ck_assert_int_eq(sfconv_run_backward(run), SFCONV_ERROR_STATE);
    ck_assert_uint_eq(sfconv_run_step(run), 3);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(an_inference_run_has_no_gradients)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = plain_net(context);
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    sfconv_view view;
    reshape_run(run, 1, 5, 5);
    const uint64_t parameters = hash_parameters(net);
    fill_inputs(run, 1);
    run_forward(run);
    ck_assert_uint_eq(sfconv_run_step(run), 0);
    ck_assert_uint_eq(hash_parameters(net), parameters);
    ck_assert_int_eq(sfconv_run_backward(run), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_run_zero_gradients(run), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_run_regularize(run, NULL), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_run_clip_gradients(run, 1.0, NULL), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_run_want_input_gradients(run, 1), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_run_output_gradient(run, 0, &view), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_run_input_gradient(run, 0, &view), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_run_parameter_gradient(run, 0, &view), SFCONV_ERROR_STATE);
    ck_assert(reason_holds(context, "SFCONV_MODE_TRAINING"));
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(a_run_needs_a_mode_an_input_and_an_output)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    sfconv_run *run = (sfconv_run *)context;
    int64_t bytes = 7;
    const sfconv_shape shape = {1, 3, 4, 4};
    ck_assert_int_eq(sfconv_run_create(&run, net, SFCONV_MODE_INFERENCE), SFCONV_ERROR_STATE);
    ck_assert_ptr_null(run);
    const int32_t x = put_input(net, "x", 3);
    ck_assert_int_eq(sfconv_run_create(&run, net, SFCONV_MODE_INFERENCE), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_net_run_bytes(net, SFCONV_MODE_INFERENCE, &shape, 1, &bytes),
                     SFCONV_ERROR_STATE);
    put_output(net, x);
    ck_assert_int_eq(sfconv_run_create(&run, net, 0), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_run_create(&run, net, 3), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_net_run_bytes(net, 3, &shape, 1, &bytes), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(bytes, 7);
    ck_assert_ptr_null(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

/* --- Sizes and memory --- */

START_TEST(reshaping_to_another_size_and_back_gives_the_same_bits)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = plain_net(context);
    for (int32_t mode = SFCONV_MODE_INFERENCE; mode <= SFCONV_MODE_TRAINING; mode++) {
        sfconv_run *run = new_run(net, mode);
        uint64_t (*const hash)(sfconv_run *, uint64_t) =
            mode == SFCONV_MODE_TRAINING ? training_hash : forward_hash;
        reshape_run(run, 2, 7, 9);
        const uint64_t first = hash(run, 1);
        reshape_run(run, 1, 20, 3);
        hash(run, 2);
        reshape_run(run, 3, 4, 4);
        hash(run, 3);
        reshape_run(run, 2, 7, 9);
        ck_assert_uint_eq(hash(run, 1), first);
        sfconv_run_destroy(run);
    }
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(a_failed_reshape_keeps_the_former_size_and_results)
{
    tally memory = {0};
    sfconv_context *context = tally_context(&memory, 1, SFCONV_ISA_BEST);
    sfconv_net *net = plain_net(context);
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    unsigned char *lent = aligned_alloc(64, 128);
    reshape_run(run, 2, 7, 9);
    fill_inputs(run, 1);
    run_forward(run);
    const uint64_t outputs = hash_outputs(run);
    const sfconv_view before = output_of(run, 0);
    const struct {
        sfconv_shape shape;
        int32_t count;
        void *memory;
        int64_t bytes;
        sfconv_status status;
    } refused[] = {
        {{1, 4, 8, 8}, 1, NULL, 0, SFCONV_ERROR_SHAPE},
        {{1, 3, 0, 8}, 1, NULL, 0, SFCONV_ERROR_SHAPE},
        {{1, 3, 1, 1}, 1, NULL, 0, SFCONV_ERROR_SHAPE},
        {{INT64_MAX, 3, 8, 8}, 1, NULL, 0, SFCONV_ERROR_OVERFLOW},
        {{1, 3, 1 << 30, 1 << 28}, 1, NULL, 0, SFCONV_ERROR_OVERFLOW},
        {{1, 3, 8, 8}, 1, NULL, 0, SFCONV_ERROR_MEMORY},
        {{1, 3, 8, 8}, 2, NULL, 0, SFCONV_ERROR_ARGUMENT},
        {{1, 3, 8, 8}, 0, NULL, 0, SFCONV_ERROR_ARGUMENT},
        {{1, 3, 8, 8}, 1, lent, 128, SFCONV_ERROR_ARGUMENT},
        {{1, 3, 8, 8}, 1, lent, -1, SFCONV_ERROR_ARGUMENT},
        {{1, 3, 8, 8}, 1, lent + 4, 1 << 30, SFCONV_ERROR_ARGUMENT},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        tally_refuse(&memory, refused[i].status == SFCONV_ERROR_MEMORY);
        const sfconv_shape shapes[2] = {refused[i].shape, refused[i].shape};
        const sfconv_status status =
            sfconv_run_reshape(run, shapes, refused[i].count, refused[i].memory, refused[i].bytes);
        ck_assert_msg(status == refused[i].status, "case %zu: %s, %s", i,
                      sfconv_status_name(status), sfconv_context_last_error(context));
        const sfconv_view after = output_of(run, 0);
        ck_assert_mem_eq(&after, &before, sizeof after);
        ck_assert_uint_eq(hash_outputs(run), outputs);
    }
    fill_output_gradients(run, 5);
    run_backward(run);
    free(lent);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(lent_memory_of_the_told_size_serves_and_nothing_is_written_round_it)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = plain_net(context);
    const sfconv_shape shape = {2, 3, 7, 9};
    for (int32_t mode = SFCONV_MODE_INFERENCE; mode <= SFCONV_MODE_TRAINING; mode++) {
        uint64_t (*const hash)(sfconv_run *, uint64_t) =
            mode == SFCONV_MODE_TRAINING ? training_hash : forward_hash;
        sfconv_run *own = new_run(net, mode);
        sfconv_run *guest = new_run(net, mode);
        int64_t bytes;
        ck_assert_int_eq(sfconv_net_run_bytes(net, mode, &shape, 1, &bytes), SFCONV_OK);
        ck_assert_int_eq(bytes % 64, 0);
        unsigned char *lent = aligned_alloc(64, (size_t)bytes + 128);
        memset(lent, 0xa5, (size_t)bytes + 128);
        ck_assert_int_eq(sfconv_run_reshape(guest, &shape, 1, lent + 64, bytes - 1),
                         SFCONV_ERROR_ARGUMENT);
        ck_assert_int_eq(sfconv_run_reshape(guest, &shape, 1, lent + 64, bytes), SFCONV_OK);
        reshape_run(own, 2, 7, 9);
        ck_assert_uint_eq(hash(guest, 3), hash(own, 3));
        for (int i = 0; i < 64; i++) {
            ck_assert_int_eq(lent[i], 0xa5);
            ck_assert_int_eq(lent[bytes + 64 + i], 0xa5);
        }
        /* Back to memory of its own, and once more to lent memory. */
        reshape_run(guest, 2, 7, 9);
        ck_assert_uint_eq(hash(guest, 4), hash(own, 4));
        ck_assert_int_eq(sfconv_run_reshape(guest, &shape, 1, lent + 64, bytes), SFCONV_OK);
        sfconv_run_destroy(guest);
        sfconv_run_destroy(own);
        free(lent);
    }
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(inference_keeps_a_chain_of_any_length_in_three_maps)
{
    sfconv_context *context = one_worker();
    sfconv_net *net = empty_net(context);
    const sfconv_shape shape = {1, 4, 32, 32};
    int64_t bytes;
    int32_t x = put_input(net, "x", 4);
    for (int i = 0; i < 10; i++) {
        char name[16];
        snprintf(name, sizeof name, "a%d", i);
        x = put_after(net, name, new_activation(context, SFCONV_ACTIVATION_RELU), x);
    }
    put_output(net, x);
    ck_assert_int_eq(sfconv_net_run_bytes(net, SFCONV_MODE_INFERENCE, &shape, 1, &bytes),
                     SFCONV_OK);
    ck_assert_int_eq(bytes, 3 * 4 * 32 * 32 * (int64_t)sizeof(float));
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("run states");
    TCase *tests = tcase_create("run states");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, a_run_without_size_answers_state);
    tcase_add_test(tests, each_forward_allows_one_backward);
    tcase_add_test(tests, an_inference_run_has_no_gradients);
    tcase_add_test(tests, a_run_needs_a_mode_an_input_and_an_output);
    tcase_add_test(tests, reshaping_to_another_size_and_back_gives_the_same_bits);
    tcase_add_test(tests, a_failed_reshape_keeps_the_former_size_and_results);
    tcase_add_test(tests, lent_memory_of_the_told_size_serves_and_nothing_is_written_round_it);
    tcase_add_test(tests, inference_keeps_a_chain_of_any_length_in_three_maps);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
