/* SPDX-License-Identifier: BSD-2-Clause */
/* A run whose input is a window of a larger image: away from the window's edges its outputs are
 * those of the whole image, bit for bit, where up-sampling depends on the size of the whole. */
#include "nets.h"

#define WHOLE_HEIGHT 64
#define WHOLE_WIDTH 80
/* As far as small_unet() sees: five convolutions, two of them among every fourth pixel, and two
 * up-samplings, which see 4 and 2 further; windows begin at multiples of 4. */
#define REACH 24

static const int32_t engines[] = {SFCONV_ENGINE_LAYERS, SFCONV_ENGINE_RANK_SPACE};

static int32_t put_unit(sfconv_net *net, sfconv_context *context, const char *names[2], int64_t in,
                        int64_t out, int32_t before)
{
    const int32_t conv = put_after(
        net, names[0],
        new_sfconv(context, in, out, 2, SFCONV_REGULARIZER_NONE, 0, (uint64_t)(in + out)), before);
    return put_after(net, names[1], new_activation(context, SFCONV_ACTIVATION_RELU), conv);
}

/* Two poolings, two up-samplings with aligned corners, the outer one joined with its skip. */
static sfconv_net *small_unet(sfconv_context *context)
{
    sfconv_net *net = empty_net(context);
    const int32_t x = put_input(net, "x", 1);
    const int32_t skip = put_unit(net, context, (const char *[]){"a", "a.relu"}, 1, 8, x);
    int32_t node = put_after(net, "pool1", new_pool(context, SFCONV_POOL_MAX), skip);
    node = put_unit(net, context, (const char *[]){"b", "b.relu"}, 8, 16, node);
    node = put_after(net, "pool2", new_pool(context, SFCONV_POOL_MAX), node);
    node = put_unit(net, context, (const char *[]){"c", "c.relu"}, 16, 16, node);
    node = put_after(net, "up2", new_upsample(context, SFCONV_UPSAMPLE_BILINEAR_ALIGNED), node);
    node = put_unit(net, context, (const char *[]){"d", "d.relu"}, 16, 8, node);
    node = put_after(net, "up1", new_upsample(context, SFCONV_UPSAMPLE_BILINEAR_ALIGNED), node);
    node = put_pair(net, "concat", new_concat(context), skip, node);
    node = put_unit(net, context, (const char *[]){"e", "e.relu"}, 16, 8, node);
    put_output(net, put_after(net, "f", new_sfconv(context, 8, 1, 1, SFCONV_REGULARIZER_NONE, 0, 9),
                              node));
    return net;
}

typedef struct window {
    int64_t top;
    int64_t left;
    int64_t height;
    int64_t width;
} window;

static const window windows[] = {{0, 0, 56, 64}, {8, 16, 56, 64}, {4, 12, 60, 56}, {0, 0, 64, 80}};
#define WINDOW_COUNT ((int)(sizeof windows / sizeof windows[0]))

static sfconv_run *run_of(sfconv_net *net, int32_t mode, int32_t engine, int64_t height,
                          int64_t width)
{
    sfconv_run *run = new_run(net, mode);
    ck_assert_int_eq(sfconv_run_set_engine(run, engine), SFCONV_OK);
    reshape_run(run, 1, height, width);
    return run;
}

static void copy_window(const sfconv_view *to, const sfconv_view *from, const window *w)
{
    for (int64_t y = 0; y < w->height; y++) {
        memcpy(to->data + y * to->stride[2], from->data + (w->top + y) * from->stride[2] + w->left,
               (size_t)w->width * sizeof(float));
    }
}

/* Whether row or column `at` of the window lies far enough from the edges that are none of the
 * whole. */
static bool is_inside(int64_t at, int64_t size, int64_t start, int64_t whole)
{
    return (start == 0 || at >= REACH) && (start + size == whole || at < size - REACH);
}

static int64_t count_differences(const sfconv_view *part, const sfconv_view *whole, const window *w)
{
    int64_t differences = 0, compared = 0;
    for (int64_t y = 0; y < w->height; y++) {
        for (int64_t x = 0; x < w->width; x++) {
            if (is_inside(y, w->height, w->top, WHOLE_HEIGHT) &&
                is_inside(x, w->width, w->left, WHOLE_WIDTH)) {
                const float a = part->data[y * part->stride[2] + x];
                const float b = whole->data[(w->top + y) * whole->stride[2] + w->left + x];
                differences += memcmp(&a, &b, sizeof a) != 0;
                compared++;
            }
        }
    }
    ck_assert_int_gt(compared, 200);
    return differences;
}

START_TEST(a_window_gives_the_bits_of_the_whole_away_from_its_edges)
{
    const window *w = &windows[_i % WINDOW_COUNT];
    const int32_t engine = engines[_i / WINDOW_COUNT];
    sfconv_context *context = public_context(2, SFCONV_ISA_BEST);
    sfconv_net *net = small_unet(context);
    sfconv_run *whole = run_of(net, SFCONV_MODE_INFERENCE, engine, WHOLE_HEIGHT, WHOLE_WIDTH);
    sfconv_run *part = run_of(net, SFCONV_MODE_INFERENCE, engine, w->height, w->width);
    const bool is_whole = w->height == WHOLE_HEIGHT && w->width == WHOLE_WIDTH;
    sfconv_view image = input_of(whole, 0), crop = input_of(part, 0);
    fill_inputs(whole, 3);
    copy_window(&crop, &image, w);
    run_forward(part);
    sfconv_view alone = output_of(part, 0);
    fill_inputs(whole, 3);
    run_forward(whole);
    sfconv_view expected = output_of(whole, 0);
    /* By itself the window is another image, whose samples lie elsewhere. */
    ck_assert(is_whole == (count_differences(&alone, &expected, w) == 0));

    fill_inputs(whole, 3);
    copy_window(&crop, &image, w);
    ck_assert_int_eq(sfconv_run_set_window(part, w->top, w->left, WHOLE_HEIGHT, WHOLE_WIDTH),
                     SFCONV_OK);
    run_forward(part);
    fill_inputs(whole, 3);
    run_forward(whole);
    ck_assert_int_eq(count_differences(&alone, &expected, w), 0);
    sfconv_run_destroy(whole);
    sfconv_run_destroy(part);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

/* A gradient that begins in the middle comes to the same parameters' gradients. */
START_TEST(backward_of_a_window_is_that_of_the_whole)
{
    const window *w = &windows[1];
    const int32_t engine = engines[_i];
    sfconv_context *context = public_context(2, SFCONV_ISA_BEST);
    sfconv_net *net = small_unet(context);
    sfconv_run *whole = run_of(net, SFCONV_MODE_TRAINING, engine, WHOLE_HEIGHT, WHOLE_WIDTH);
    sfconv_run *part = run_of(net, SFCONV_MODE_TRAINING, engine, w->height, w->width);
    sfconv_view image = input_of(whole, 0), crop = input_of(part, 0);
    fill_inputs(whole, 3);
    copy_window(&crop, &image, w);
    ck_assert_int_eq(sfconv_run_set_window(part, w->top, w->left, WHOLE_HEIGHT, WHOLE_WIDTH),
                     SFCONV_OK);
    run_forward(whole);
    run_forward(part);
    ck_assert_int_eq(sfconv_run_set_window(part, 0, 0, w->height, w->width), SFCONV_ERROR_STATE);
    sfconv_view of_whole = output_gradient_of(whole, 0), of_part = output_gradient_of(part, 0);
    for (int64_t y = REACH; y < w->height - REACH; y++) {
        for (int64_t x = REACH; x < w->width - REACH; x++) {
            of_part.data[y * of_part.stride[2] + x] = 1.0f;
            of_whole.data[(y + w->top) * of_whole.stride[2] + x + w->left] = 1.0f;
        }
    }
    run_backward(whole);
    run_backward(part);
    for (int32_t i = 0; i < sfconv_net_parameter_count(net); i++) {
        sfconv_view a, b;
        ck_assert_int_eq(sfconv_run_parameter_gradient(whole, i, &a), SFCONV_OK);
        ck_assert_int_eq(sfconv_run_parameter_gradient(part, i, &b), SFCONV_OK);
        double largest = 0;
        for (int64_t k = 0; k < sfconv_view_count(&a); k++) {
            largest = fmax(largest, fabs((double)a.data[k]));
        }
        for (int64_t k = 0; k < sfconv_view_count(&a); k++) {
            ck_assert_double_eq_tol(a.data[k], b.data[k], 1e-5 * largest);
        }
    }
    sfconv_run_destroy(whole);
    sfconv_run_destroy(part);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(reshape_makes_the_input_a_whole_again)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = small_unet(context);
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    reshape_run(run, 1, 32, 32);
    const uint64_t whole = forward_hash(run, 1);
    ck_assert_int_eq(sfconv_run_set_window(run, 16, 16, 64, 64), SFCONV_OK);
    ck_assert_uint_ne(forward_hash(run, 1), whole);
    reshape_run(run, 1, 32, 32);
    ck_assert_uint_eq(forward_hash(run, 1), whole);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

static void check_refused(sfconv_run *run, sfconv_context *context, const int64_t w[4],
                          const char *reason)
{
    ck_assert_int_lt(sfconv_run_set_window(run, w[0], w[1], w[2], w[3]), 0);
    ck_assert_str_eq(sfconv_context_last_error(context), reason);
}

START_TEST(a_window_that_cannot_be_is_refused_and_the_former_one_holds)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = small_unet(context);
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    ck_assert_int_eq(sfconv_run_set_window(run, 0, 0, 64, 64), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_run_set_window(NULL, 0, 0, 64, 64), SFCONV_ERROR_ARGUMENT);
    reshape_run(run, 1, 32, 32);
    ck_assert_int_eq(sfconv_run_set_window(run, 16, 16, 64, 64), SFCONV_OK);
    const uint64_t former = forward_hash(run, 1);
    check_refused(run, context, (const int64_t[]){40, 0, 64, 64},
                  "window: 32 rows of input 'x' from 40 do not lie in a whole of 64");
    check_refused(run, context, (const int64_t[]){0, -4, 64, 64},
                  "window: 32 columns of input 'x' from -4 do not lie in a whole of 64");
    check_refused(run, context, (const int64_t[]){0, 0, 64, 0},
                  "window: 32 columns of input 'x' from 0 do not lie in a whole of 0");
    check_refused(run, context, (const int64_t[]){2, 0, 64, 64},
                  "window: 'up2' has 8 rows for 32 of the input, so 2 and 64 do not fall on its "
                  "pixels");
    check_refused(run, context, (const int64_t[]){0, 0, INT64_MAX, 64},
                  "window: a whole of 9223372036854775807 rows overflows");
    ck_assert_uint_eq(forward_hash(run, 1), former);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(inputs_of_two_sizes_are_no_window)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = empty_net(context);
    const int32_t a = put_input(net, "a", 1), b = put_input(net, "b", 1);
    const int32_t up =
        put_after(net, "up", new_upsample(context, SFCONV_UPSAMPLE_BILINEAR_ALIGNED), a);
    put_output(net, put_pair(net, "sum", new_add(context), up, b));
    sfconv_run *run = new_run(net, SFCONV_MODE_INFERENCE);
    const sfconv_shape shapes[] = {{1, 1, 4, 4}, {1, 1, 8, 8}};
    ck_assert_int_eq(sfconv_run_reshape(run, shapes, 2, NULL, 0), SFCONV_OK);
    check_refused(run, context, (const int64_t[]){0, 0, 64, 64},
                  "window: the inputs have 4 and 8 rows, expected one size");
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("window");
    TCase *tests = tcase_create("window");
    tcase_add_loop_test(tests, a_window_gives_the_bits_of_the_whole_away_from_its_edges, 0,
                        2 * WINDOW_COUNT);
    tcase_add_loop_test(tests, backward_of_a_window_is_that_of_the_whole, 0, 2);
    tcase_add_test(tests, reshape_makes_the_input_a_whole_again);
    tcase_add_test(tests, a_window_that_cannot_be_is_refused_and_the_former_one_holds);
    tcase_add_test(tests, inputs_of_two_sizes_are_no_window);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
