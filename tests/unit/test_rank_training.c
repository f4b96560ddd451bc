/* SPDX-License-Identifier: BSD-2-Clause */
/* Training in rank space: outputs, running statistics and gradients of the layer path, the same
 * bits everywhere, less memory. */
#include "tally.h"
#include "trials.h"

#define RANDOM_NETS 200

START_TEST(random_nets_agree_with_the_layer_path)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    for (uint64_t seed = 0; seed < (uint64_t)rounds_of(RANDOM_NETS); seed++) {
        trial made = open_random(context, new_random_net, seed);
        ck_assert_msg(steps_agree(&made, 5), "%d, %s", (int)seed, made.fault);
        close_trial(&made);
    }
    sfconv_context_destroy(context);
}
END_TEST

static const int32_t models[] = {SFCONV_MODEL_RESNET18, SFCONV_MODEL_UNET,
                                 SFCONV_MODEL_TINY_CLASSIFIER, SFCONV_MODEL_TINY_SEGMENTER};

START_TEST(ready_made_networks_agree_with_the_layer_path)
{
    static const int32_t methods[] = {SFCONV_METHOD_SFCONV, SFCONV_METHOD_FCONVSN,
                                      SFCONV_METHOD_CONV, SFCONV_METHOD_DPCCONV};
    sfconv_context *context = public_context(2, SFCONV_ISA_BEST);
    for (int method = 0; method < 4; method++) {
        trial both = open_pair("ready-made network",
                               new_network(context, models[_i], methods[method], 1.0 / 32),
                               new_network(context, models[_i], methods[method], 1.0 / 32),
                               (sfconv_shape){2, 3, 64, 64});
        step(both.runs[0], 5);
        step(both.runs[1], 5);
        check_trial(&both, 1e-4, 1e-4);
        close_trial(&both);
    }
    sfconv_context_destroy(context);
}
END_TEST

static uint64_t bits_of(int32_t workers, int32_t isa, uint64_t seed)
{
    sfconv_context *context = convolution_context(workers, isa, SFCONV_CONVOLUTION_AUTO);
    if (!context) {
        return 0;
    }
    const uint64_t bits = training_bits(context, new_random_net, seed, workers);
    sfconv_context_destroy(context);
    return bits;
}

START_TEST(every_instruction_set_and_number_of_workers_gives_the_same_bits)
{
    static const int32_t workers[] = {1, 2, 3, 5, 8, 16};
    static const int32_t isas[] = {SFCONV_ISA_REFERENCE, SFCONV_ISA_AVX2, SFCONV_ISA_AVX512,
                                   SFCONV_ISA_NEON};
    for (uint64_t seed = 0; seed < 12; seed++) {
        const uint64_t expected = bits_of(1, SFCONV_ISA_BEST, seed);
        for (int i = 0; i < 6; i++) {
            ck_assert_msg(bits_of(workers[i], SFCONV_ISA_BEST, seed) == expected,
                          "random net %d, %d workers", (int)seed, workers[i]);
        }
        for (int i = 0; i < 4; i++) {
            const uint64_t bits = bits_of(1, isas[i], seed);
            ck_assert_msg(bits == 0 || bits == expected, "random net %d, isa %d", (int)seed,
                          isas[i]);
        }
    }
}
END_TEST

START_TEST(memory_is_known_to_the_byte_and_a_step_takes_none)
{
    for (uint64_t seed = 0; seed < (uint64_t)rounds_of(40); seed++) {
        tally memory = {0};
        sfconv_context *context = tally_context(&memory, 1 + (int32_t)seed % 3, SFCONV_ISA_BEST);
        random_net made = new_random_net(context, NETS_SEED + seed);
        sfconv_run *run = new_run(made.net, SFCONV_MODE_TRAINING);
        int64_t told, by_net;
        ck_assert_int_eq(sfconv_net_run_bytes(made.net, SFCONV_MODE_TRAINING, made.shapes,
                                              made.input_count, &by_net),
                         SFCONV_OK);
        ck_assert_int_eq(sfconv_run_bytes(run, made.shapes, made.input_count, &told), SFCONV_OK);
        ck_assert_int_eq(by_net, told);
        ck_assert_int_eq(sfconv_run_want_input_gradients(run, 1), SFCONV_OK);
        ck_assert_int_eq(sfconv_run_bytes(run, made.shapes, made.input_count, &told), SFCONV_OK);
        const int64_t before = tally_bytes(&memory);
        reshape_random(run, &made);
        ck_assert_int_eq(tally_bytes(&memory) - before, told);
        tally_refuse(&memory, 0);
        step(run, 7);
        ck_assert_int_eq(tally_requests(&memory), 0);
        sfconv_run_destroy(run);
        sfconv_net_destroy(made.net);
        sfconv_context_destroy(context);
        ck_assert_int_eq(tally_bytes(&memory), 0);
    }
}
END_TEST

START_TEST(a_factorized_unet_is_trained_without_a_full_map)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = new_network(context, SFCONV_MODEL_UNET, SFCONV_METHOD_SFCONV, 1.0 / 32);
    const sfconv_shape shape = {1, 3, 304, 304};
    int64_t bytes[2];
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    for (int32_t engine = SFCONV_ENGINE_LAYERS; engine <= SFCONV_ENGINE_RANK_SPACE; engine++) {
        ck_assert_int_eq(sfconv_run_set_engine(run, engine), SFCONV_OK);
        ck_assert_int_eq(sfconv_run_bytes(run, &shape, 1, &bytes[engine - 1]), SFCONV_OK);
    }
    ck_assert_int_lt(4 * bytes[1], bytes[0]);
    ck_assert_int_eq(sfconv_run_reshape(run, &shape, 1, NULL, 0), SFCONV_OK);
    const char *text = plan_of(run);
    ck_assert_ptr_nonnull(strstr(text, "training, in rank space\n"));
    ck_assert_ptr_null(strstr(text, "\nlayer "));
    ck_assert_ptr_nonnull(strstr(text, "\nvirtual up1.concat"));
    int stored = 0;
    for (const char *at = text; (at = strstr(at, "stored ")) != NULL; at += 7) {
        stored += strtol(at + 7, NULL, 10) > 0;
    }
    /* Input and output. */
    ck_assert_int_eq(stored, 2);
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

/* A pair with BatchNorm in double: 1 x 3 from CHANNELS to RANK maps, 3 x 1 to WIDE, no padding. */
enum { IMAGES = 2, CHANNELS = 3, RANK = 2, WIDE = 8, SIZE = 14, INNER = SIZE - 2 };

typedef struct reference {
    double middle[IMAGES][RANK][SIZE][INNER];
    double wide[IMAGES][WIDE][INNER][INNER];
    double mean[WIDE];
    double variance[WIDE];
    double p_gradient[WIDE * RANK * 3];
    double scale_gradient[WIDE];
    double middle_gradient[IMAGES][RANK][SIZE][INNER];
    double q_gradient[RANK * CHANNELS * 3];
} reference;

static void refer_forward(reference *r, const float *x, const float *q, const float *p)
{
    memset(r, 0, sizeof *r);
    for (int n = 0; n < IMAGES; n++) {
        for (int t = 0; t < RANK; t++) {
            for (int i = 0; i < SIZE * INNER * CHANNELS * 3; i++) {
                const int k = i % 3, c = i / 3 % CHANNELS, a = i / 3 / CHANNELS % INNER;
                const int y = i / 3 / CHANNELS / INNER;
                r->middle[n][t][y][a] += (double)q[(t * CHANNELS + c) * 3 + k] *
                                         (double)x[((n * CHANNELS + c) * SIZE + y) * SIZE + a + k];
            }
        }
        for (int c = 0; c < WIDE; c++) {
            for (int i = 0; i < INNER * INNER * RANK * 3; i++) {
                const int k = i % 3, t = i / 3 % RANK, a = i / 3 / RANK % INNER;
                const int y = i / 3 / RANK / INNER;
                r->wide[n][c][y][a] +=
                    (double)p[(c * RANK + t) * 3 + k] * r->middle[n][t][y + k][a];
            }
        }
    }
    for (int c = 0; c < WIDE; c++) {
        const double count = IMAGES * INNER * INNER;
        for (int pass = 0; pass < 2; pass++) {
            for (int i = 0; i < IMAGES * INNER * INNER; i++) {
                const double u = r->wide[i / INNER / INNER][c][i / INNER % INNER][i % INNER];
                const double away = u - r->mean[c];
                *(pass ? &r->variance[c] : &r->mean[c]) += (pass ? away * away : u) / count;
            }
            /* The first pass subtracts a mean that is not complete, but adds u alone. */
        }
    }
}

static void refer_backward(reference *r, const float *x, const float *q, const float *p,
                           const float *gradient)
{
    const double count = IMAGES * INNER * INNER;
    (void)q;
    for (int c = 0; c < WIDE; c++) {
        const double inverse = 1 / sqrt(r->variance[c] + 1e-5);
        double sum = 0, product = 0;
        for (int pass = 0; pass < 2; pass++) {
            for (int i = 0; i < IMAGES * INNER * INNER; i++) {
                const int n = i / INNER / INNER, y = i / INNER % INNER, a = i % INNER;
                const double g = (double)gradient[((n * WIDE + c) * INNER + y) * INNER + a];
                const double normal = (r->wide[n][c][y][a] - r->mean[c]) * inverse;
                if (pass == 0) {
                    sum += g;
                    product += g * normal;
                    continue;
                }
                const double du = inverse * (g - sum / count - normal * product / count);
                for (int j = 0; j < RANK * 3; j++) {
                    r->p_gradient[c * RANK * 3 + j] += du * r->middle[n][j / 3][y + j % 3][a];
                    r->middle_gradient[n][j / 3][y + j % 3][a] += du * (double)p[c * RANK * 3 + j];
                }
            }
        }
        r->scale_gradient[c] = product;
    }
    for (int i = 0; i < IMAGES * RANK * SIZE * INNER; i++) {
        const int n = i / INNER / SIZE / RANK, t = i / INNER / SIZE % RANK;
        const int y = i / INNER % SIZE, a = i % INNER;
        for (int j = 0; j < CHANNELS * 3; j++) {
            r->q_gradient[t * CHANNELS * 3 + j] +=
                r->middle_gradient[n][t][y][a] *
                (double)x[((n * CHANNELS + j / 3) * SIZE + y) * SIZE + a + j % 3];
        }
    }
}

static double error_of(const float *found, const double *expected, int count)
{
    double largest = 1e-30, distance = 0;
    for (int i = 0; i < count; i++) {
        largest = worst_of(largest, fabs(expected[i]));
        distance = worst_of(distance, fabs((double)found[i] - expected[i]));
    }
    return distance / largest;
}

static void check_error(const char *name, const float *found, const double *expected, int count,
                        double tolerance)
{
    const double error = error_of(found, expected, count);
    ck_assert_msg(error <= tolerance, "%s: error %g, expected at most %g", name, error, tolerance);
}

static void check_against(const reference *r, sfconv_run *run, double tolerance)
{
    enum { AREA = INNER * INNER, VALUES = IMAGES * WIDE * AREA };
    const sfconv_net *net = sfconv_run_net(run);
    const double *wide = &r->wide[0][0][0][0];
    const double count = IMAGES * AREA;
    double normal[VALUES], running[WIDE];
    for (int i = 0; i < VALUES; i++) {
        const int c = i / AREA % WIDE;
        normal[i] = (wide[i] - r->mean[c]) / sqrt(r->variance[c] + 1e-5);
    }
    for (int c = 0; c < WIDE; c++) {
        running[c] = 0.9 + 0.1 * r->variance[c] * count / (count - 1);
    }
    check_error("output", output_of(run, 0).data, normal, VALUES, tolerance);
    check_error("running variance", parameter_of(net, 5).view.data, running, WIDE, tolerance);
    check_error("gradient of Q", gradient_of(run, 0).data, r->q_gradient, RANK * CHANNELS * 3,
                tolerance);
    check_error("gradient of P", gradient_of(run, 1).data, r->p_gradient, WIDE * RANK * 3,
                tolerance);
    check_error("gradient of the scale", gradient_of(run, 2).data, r->scale_gradient, WIDE,
                tolerance);
}

static sfconv_net *new_shifted_net(sfconv_context *context)
{
    sfconv_sfconv2d_desc desc = SFCONV_SFCONV2D_DESC_INIT;
    sfconv_net *net = empty_net(context);
    sfconv_layer *layer;
    desc.in_channels = CHANNELS;
    desc.out_channels = WIDE;
    desc.rank = RANK;
    desc.padding[0] = desc.padding[1] = 0;
    desc.seed = 3;
    ck_assert_int_eq(sfconv_sfconv2d_create(&layer, context, &desc), SFCONV_OK);
    const int32_t x = put_input(net, "x", CHANNELS);
    const int32_t a = put_after(net, "a", layer, x);
    put_output(net, put_after(net, "b", new_batchnorm(context, WIDE), a));
    return net;
}

/* Inputs that lie `offset` from zero and vary by 1: the variance of u is 1 / offset² of its square.
 * A float of u itself has only 2^-24 · offset of a deviation, so errors of that order are nobody's
 * fault; the squares of float sums would leave 2^-24 · offset². */
START_TEST(a_variance_that_is_tiny_against_the_mean_is_found)
{
    static const double offsets[] = {0, 1e2, 1e3, 1e4};
    static reference expected;
    const double rounding = 0x1p-24 * fmax(offsets[_i], 16);
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    for (int32_t engine = SFCONV_ENGINE_LAYERS; engine <= SFCONV_ENGINE_RANK_SPACE; engine++) {
        sfconv_net *net = new_shifted_net(context);
        sfconv_run *run = training_with(net, engine, (sfconv_shape){IMAGES, CHANNELS, SIZE, SIZE});
        const sfconv_view x = input_of(run, 0), g = output_gradient_of(run, 0);
        float *q = parameter_of(net, 0).view.data, *p = parameter_of(net, 1).view.data;
        fill_inputs(run, 9);
        for (int64_t i = 0; i < sfconv_view_count(&x); i++) {
            x.data[i] += (float)offsets[_i];
        }
        run_forward(run);
        fill_output_gradients(run, 11);
        refer_forward(&expected, x.data, q, p);
        refer_backward(&expected, x.data, q, p, g.data);
        run_backward(run);
        check_against(&expected, run, 16 * rounding);
        sfconv_run_destroy(run);
        sfconv_net_destroy(net);
    }
    sfconv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rank_training");
    TCase *tests = tcase_create("rank_training");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, random_nets_agree_with_the_layer_path);
    tcase_add_loop_test(tests, ready_made_networks_agree_with_the_layer_path, 0, 4);
    tcase_add_test(tests, every_instruction_set_and_number_of_workers_gives_the_same_bits);
    tcase_add_test(tests, memory_is_known_to_the_byte_and_a_step_takes_none);
    tcase_add_test(tests, a_factorized_unet_is_trained_without_a_full_map);
    tcase_add_loop_test(tests, a_variance_that_is_tiny_against_the_mean_is_found, 0, 4);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
