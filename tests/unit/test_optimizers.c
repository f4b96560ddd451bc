/* SPDX-License-Identifier: BSD-2-Clause */
#include "train_support.h"

#include "average.h"
#include "optimizers.h"
#include "random.h"

#include <limits.h>
#include <math.h>

/* A layer that does nothing but hold a parameter of each role; the first is long enough to be cut
 * into several pieces. */
static const struct {
    const char *name;
    int32_t role;
    int64_t count;
} parts[] = {
    {"weight", SFCONV_PARAMETER_WEIGHT, 20000},  {"bias", SFCONV_PARAMETER_BIAS, 7},
    {"q.weight", SFCONV_PARAMETER_FACTOR_Q, 33}, {"p.weight", SFCONV_PARAMETER_FACTOR_P, 9001},
    {"scale", SFCONV_PARAMETER_SCALE, 5},        {"running", SFCONV_PARAMETER_BUFFER, 3},
};

enum { PARTS = 6, TRAINED = 5, BUFFER = 5 };

static sfconv_status infer(const sfconv_layer *layer, bool training, const sfi_shape *in,
                           int32_t count, sfi_shape *out)
{
    (void)layer, (void)training, (void)count;
    *out = in[0];
    return SFCONV_OK;
}

static sfconv_status memory(const sfconv_layer *layer, bool training, const sfi_shape *in,
                            int32_t count, sfi_shape out, sfi_layer_memory *needed)
{
    (void)layer, (void)training, (void)in, (void)count, (void)out, (void)needed;
    return SFCONV_OK;
}

static void pass_nothing(sfconv_layer *layer, const sfi_pass *pass)
{
    (void)layer, (void)pass;
}

static const sfi_layer_class holder = {.kind = "holder",
                                       .min_inputs = 1,
                                       .max_inputs = 1,
                                       .bytes = sizeof(struct sfconv_layer),
                                       .infer = infer,
                                       .memory = memory,
                                       .forward = pass_nothing,
                                       .backward = pass_nothing};

struct training {
    sfconv_context *context;
    sfconv_net *net;
    sfconv_run *run;
};

static float *parameter(const struct training *t, int32_t i)
{
    return t->net->parameters[i].parameter->data;
}

static void fill_gradients(const struct training *t, uint64_t stream)
{
    for (int32_t p = 0; p < TRAINED; p++) {
        const sfi_random random = {77, stream * PARTS + (uint64_t)p};
        for (int64_t i = 0; i < parts[p].count; i++) {
            t->run->gradients[p][i] = (float)sfi_random_normal(random, (uint64_t)i);
        }
    }
}

static sfconv_run *run_of(sfconv_net *net, int32_t mode)
{
    const sfconv_shape shape = {1, 1, 2, 2};
    sfconv_run *run;
    ck_assert_int_eq(sfconv_run_create(&run, net, mode), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_reshape(run, &shape, 1, NULL, 0), SFCONV_OK);
    return run;
}

static sfconv_net *net_of(sfconv_context *context)
{
    sfconv_net *net;
    int32_t node;
    sfconv_layer *layer = sfi_layer_new(context, &holder);
    for (int32_t p = 0; p < PARTS; p++) {
        const sfi_random random = {99, (uint64_t)p};
        ck_assert_int_eq(
            sfi_layer_add_parameter(layer, parts[p].name, parts[p].role, 1, &parts[p].count),
            SFCONV_OK);
        for (int64_t i = 0; i < parts[p].count; i++) {
            layer->parameters[p].data[i] = (float)sfi_random_normal(random, (uint64_t)i);
        }
    }
    ck_assert_int_eq(sfconv_net_create(&net, context), SFCONV_OK);
    ck_assert_int_eq(sfconv_net_add_input(net, "input", 1, &node), SFCONV_OK);
    ck_assert_int_eq(sfconv_net_add_layer(net, "node", layer, &node, 1, &node), SFCONV_OK);
    ck_assert_int_eq(sfconv_net_add_output(net, node), SFCONV_OK);
    sfi_layer_release(layer);
    return net;
}

static struct training start(int32_t workers)
{
    struct training t = {.context = context_of_workers(workers)};
    t.net = net_of(t.context);
    t.run = run_of(t.net, SFCONV_MODE_TRAINING);
    return t;
}

static void finish(struct training *t)
{
    sfconv_run_destroy(t->run);
    sfconv_net_destroy(t->net);
    sfi_context_release(t->context);
}

static sfconv_optimizer *optimizer_of(const struct training *t, const sfconv_optimizer_desc *desc)
{
    sfconv_optimizer *optimizer;
    ck_assert_int_eq(sfconv_optimizer_create(&optimizer, t->net, desc), SFCONV_OK);
    return optimizer;
}

/* One number of torch.optim's SGD, Adam or AdamW, in double. */
struct reference {
    double weight;
    double first;
    double second;
};

static void reference_step(struct reference *r, const sfconv_optimizer_desc *desc, double decay,
                           double gradient, double rate, int step)
{
    double g = gradient;
    if (desc->kind == SFCONV_OPTIMIZER_ADAMW) {
        r->weight -= rate * decay * r->weight;
    } else {
        g += decay * r->weight;
    }
    if (desc->kind == SFCONV_OPTIMIZER_SGD) {
        r->first = step == 1 ? g : desc->momentum * r->first + g;
        r->weight -= rate * (desc->nesterov ? g + desc->momentum * r->first : r->first);
        return;
    }
    r->first = desc->beta1 * r->first + (1 - desc->beta1) * g;
    r->second = desc->beta2 * r->second + (1 - desc->beta2) * g * g;
    const double corrected = r->first / (1 - pow(desc->beta1, step));
    const double root = sqrt(r->second / (1 - pow(desc->beta2, step)));
    r->weight -= rate * corrected / (root + desc->epsilon);
}

static double decay_of_role(const sfconv_optimizer_desc *desc, int32_t role)
{
    const bool factor = role == SFCONV_PARAMETER_FACTOR_P || role == SFCONV_PARAMETER_FACTOR_Q;
    const bool decays = role == SFCONV_PARAMETER_WEIGHT ? 1
                        : factor                        ? desc->decay_factors
                                                        : desc->decay_bias_and_norm;
    return decays ? desc->weight_decay : 0.0;
}

static void check_against_reference(const sfconv_optimizer_desc *desc)
{
    enum { STEPS = 10 };
    static struct reference reference[TRAINED][20000];
    struct training t = start(2);
    float buffer[3];
    sfconv_optimizer *optimizer = optimizer_of(&t, desc);
    memcpy(buffer, parameter(&t, BUFFER), sizeof buffer);
    for (int32_t p = 0; p < TRAINED; p++) {
        for (int64_t i = 0; i < parts[p].count; i++) {
            reference[p][i] = (struct reference){(double)parameter(&t, p)[i], 0, 0};
        }
    }
    for (int step = 1; step <= STEPS; step++) {
        const double rate = 0.05 / step;
        fill_gradients(&t, (uint64_t)step);
        for (int32_t p = 0; p < TRAINED; p++) {
            const double decay = decay_of_role(desc, parts[p].role);
            for (int64_t i = 0; i < parts[p].count; i++) {
                reference_step(&reference[p][i], desc, decay, (double)t.run->gradients[p][i], rate,
                               step);
            }
        }
        ck_assert_int_eq(sfconv_optimizer_step(optimizer, t.run, rate), SFCONV_OK);
        ck_assert_int_eq(sfconv_optimizer_steps(optimizer), step);
    }
    for (int32_t p = 0; p < TRAINED; p++) {
        for (int64_t i = 0; i < parts[p].count; i++) {
            ck_assert_double_eq_tol((double)parameter(&t, p)[i], reference[p][i].weight, 5e-6);
        }
    }
    ck_assert_mem_eq(buffer, parameter(&t, BUFFER), sizeof buffer);
    sfconv_optimizer_destroy(optimizer);
    finish(&t);
}

static sfconv_optimizer_desc desc_of(int32_t kind, double weight_decay)
{
    sfconv_optimizer_desc desc = SFCONV_OPTIMIZER_DESC_INIT;
    desc.kind = kind;
    desc.weight_decay = weight_decay;
    return desc;
}

START_TEST(sgd_follows_torch_without_and_with_momentum_and_nesterov)
{
    sfconv_optimizer_desc desc = desc_of(SFCONV_OPTIMIZER_SGD, 0.1);
    check_against_reference(&desc);
    desc.nesterov = 1;
    check_against_reference(&desc);
    desc.nesterov = 0;
    desc.momentum = 0;
    check_against_reference(&desc);
}
END_TEST

START_TEST(adam_and_adamw_follow_torch)
{
    sfconv_optimizer_desc desc = desc_of(SFCONV_OPTIMIZER_ADAM, 0.1);
    check_against_reference(&desc);
    desc.kind = SFCONV_OPTIMIZER_ADAMW;
    check_against_reference(&desc);
    desc.beta1 = 0;
    desc.beta2 = 0.5;
    desc.epsilon = 0.1;
    check_against_reference(&desc);
}
END_TEST

START_TEST(decay_goes_by_the_role_of_a_parameter)
{
    for (int32_t kind = SFCONV_OPTIMIZER_SGD; kind <= SFCONV_OPTIMIZER_ADAMW; kind++) {
        for (int flags = 0; flags < 4; flags++) {
            sfconv_optimizer_desc desc = desc_of(kind, 0.5);
            desc.decay_factors = flags & 1;
            desc.decay_bias_and_norm = flags >> 1;
            struct training t = start(1);
            sfconv_optimizer *optimizer = optimizer_of(&t, &desc);
            float before[PARTS];
            for (int32_t p = 0; p < PARTS; p++) {
                before[p] = parameter(&t, p)[0];
            }
            sfconv_run_zero_gradients(t.run);
            ck_assert_int_eq(sfconv_optimizer_step(optimizer, t.run, 0.1), SFCONV_OK);
            for (int32_t p = 0; p < PARTS; p++) {
                const bool wanted = p < TRAINED && decay_of_role(&desc, parts[p].role) > 0;
                ck_assert_int_eq(fabsf(parameter(&t, p)[0]) < fabsf(before[p]), wanted);
                ck_assert_int_eq(parameter(&t, p)[0] == before[p], !wanted);
            }
            sfconv_optimizer_destroy(optimizer);
            finish(&t);
        }
    }
}
END_TEST

static void assert_same_parameters(const struct training *a, const struct training *b)
{
    for (int32_t p = 0; p < PARTS; p++) {
        ck_assert_mem_eq(parameter(a, p), parameter(b, p), (size_t)parts[p].count * sizeof(float));
    }
}

START_TEST(a_gradient_that_is_not_finite_is_named_and_changes_nothing)
{
    const float bad[] = {NAN, INFINITY, -INFINITY};
    const sfconv_optimizer_desc desc = desc_of(SFCONV_OPTIMIZER_ADAM, 0.1);
    struct training t = start(2);
    struct training untouched = start(1);
    sfconv_optimizer *optimizer = optimizer_of(&t, &desc);
    double norm = 42;
    for (int i = 0; i < 3; i++) {
        fill_gradients(&t, 1);
        t.run->gradients[3][9000] = bad[i];
        t.run->gradients[4][2] = bad[i];
        ck_assert_int_eq(sfconv_optimizer_step(optimizer, t.run, 0.1), SFCONV_ERROR_NUMERIC);
        ck_assert(last_error_holds(t.context, "node.p.weight"));
        ck_assert_int_eq(sfconv_run_clip_gradients(t.run, 1, &norm), SFCONV_ERROR_NUMERIC);
        ck_assert(last_error_holds(t.context, "node.p.weight"));
        fill_gradients(&untouched, 1);
        ck_assert_mem_eq(t.run->gradients[0], untouched.run->gradients[0], 20000 * sizeof(float));
    }
    ck_assert(norm == 42);
    ck_assert_int_eq(sfconv_optimizer_steps(optimizer), 0);
    for (int32_t i = 0; i < sfi_optimizer_state_count(optimizer); i++) {
        const sfi_state_array state = sfi_optimizer_state(optimizer, i);
        for (int64_t j = 0; j < state.count; j++) {
            ck_assert(state.data[j] == 0);
        }
    }
    assert_same_parameters(&t, &untouched);
    sfconv_optimizer_destroy(optimizer);
    finish(&t);
    finish(&untouched);
}
END_TEST

START_TEST(training_has_the_same_bits_for_any_number_of_workers)
{
    for (int32_t kind = SFCONV_OPTIMIZER_SGD; kind <= SFCONV_OPTIMIZER_ADAMW; kind++) {
        const sfconv_optimizer_desc desc = desc_of(kind, 0.01);
        struct training t[2] = {start(1), start(5)};
        double norm[2];
        for (int k = 0; k < 2; k++) {
            sfconv_optimizer *optimizer = optimizer_of(&t[k], &desc);
            sfconv_average *average;
            ck_assert_int_eq(sfconv_average_create(&average, t[k].net, 0.9), SFCONV_OK);
            for (int step = 0; step < 4; step++) {
                fill_gradients(&t[k], (uint64_t)step);
                ck_assert_int_eq(sfconv_run_clip_gradients(t[k].run, 3, &norm[k]), SFCONV_OK);
                ck_assert_int_eq(sfconv_optimizer_step(optimizer, t[k].run, 0.1), SFCONV_OK);
                ck_assert_int_eq(sfconv_average_update(average), SFCONV_OK);
            }
            ck_assert_int_eq(sfconv_average_swap(average), SFCONV_OK);
            sfconv_average_destroy(average);
            sfconv_optimizer_destroy(optimizer);
        }
        ck_assert(norm[0] == norm[1]);
        assert_same_parameters(&t[0], &t[1]);
        finish(&t[0]);
        finish(&t[1]);
    }
}
END_TEST

START_TEST(an_optimizer_goes_on_from_its_saved_state_as_if_unbroken)
{
    const sfconv_optimizer_desc desc = desc_of(SFCONV_OPTIMIZER_ADAMW, 0.01);
    struct training whole = start(1), broken = start(1);
    sfconv_optimizer *first = optimizer_of(&whole, &desc);
    sfconv_optimizer *second = optimizer_of(&broken, &desc);
    for (int step = 0; step < 6; step++) {
        if (step == 3) {
            sfconv_optimizer *resumed = optimizer_of(&broken, &desc);
            ck_assert_int_eq(sfi_optimizer_state_count(resumed), 2 * TRAINED);
            for (int32_t i = 0; i < 2 * TRAINED; i++) {
                const sfi_state_array from = sfi_optimizer_state(second, i);
                const sfi_state_array to = sfi_optimizer_state(resumed, i);
                ck_assert_str_eq(from.slot, i < TRAINED ? "exp_avg" : "exp_avg_sq");
                ck_assert_str_eq(from.parameter, broken.net->parameters[i % TRAINED].name);
                ck_assert_int_eq(from.count, parts[i % TRAINED].count);
                memcpy(to.data, from.data, (size_t)from.count * sizeof(float));
            }
            resumed->steps = second->steps;
            sfconv_optimizer_destroy(second);
            second = resumed;
        }
        fill_gradients(&whole, (uint64_t)step);
        fill_gradients(&broken, (uint64_t)step);
        ck_assert_int_eq(sfconv_optimizer_step(first, whole.run, 0.1), SFCONV_OK);
        ck_assert_int_eq(sfconv_optimizer_step(second, broken.run, 0.1), SFCONV_OK);
    }
    assert_same_parameters(&whole, &broken);
    sfconv_optimizer_destroy(first);
    sfconv_optimizer_destroy(second);
    finish(&whole);
    finish(&broken);
}
END_TEST

START_TEST(optimizers_refuse_settings_out_of_range)
{
    const sfconv_optimizer_desc sgd = desc_of(SFCONV_OPTIMIZER_SGD, 0);
    const sfconv_optimizer_desc adam = desc_of(SFCONV_OPTIMIZER_ADAM, 0);
    sfconv_optimizer_desc bad[] = {sgd,  sgd,  sgd,  sgd,  sgd, sgd, sgd,
                                   adam, adam, adam, adam, sgd, sgd, sgd};
    struct training t = start(1);
    sfconv_optimizer *optimizer;
    bad[0].kind = 4;
    bad[1].momentum = 1;
    bad[2].momentum = NAN;
    bad[3].nesterov = 1, bad[3].momentum = 0;
    bad[4].nesterov = 2;
    bad[5].weight_decay = -1;
    bad[6].weight_decay = INFINITY;
    bad[7].beta1 = 1;
    bad[8].beta2 = -0.1;
    bad[9].epsilon = 0;
    bad[10].epsilon = NAN;
    bad[11].decay_factors = -1;
    bad[12].decay_bias_and_norm = 2;
    bad[13].struct_size = 0;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        optimizer = (sfconv_optimizer *)&t;
        ck_assert_int_eq(sfconv_optimizer_create(&optimizer, t.net, &bad[i]),
                         SFCONV_ERROR_ARGUMENT);
        ck_assert_ptr_null(optimizer);
    }
    ck_assert_int_eq(sfconv_optimizer_create(NULL, t.net, NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_optimizer_create(&optimizer, NULL, NULL), SFCONV_ERROR_ARGUMENT);
    sfconv_optimizer_destroy(NULL);
    ck_assert_int_eq(sfconv_optimizer_steps(NULL), 0);
    finish(&t);
}
END_TEST

START_TEST(a_step_refuses_rates_and_runs_that_do_not_fit)
{
    const double bad[] = {-0.1, NAN, INFINITY, 1e300};
    struct training t = start(1), other = start(1), untouched = start(1);
    sfconv_optimizer *optimizer = optimizer_of(&t, NULL);
    sfconv_run *inference = run_of(t.net, SFCONV_MODE_INFERENCE);
    sfconv_run *unshaped;
    double norm;
    ck_assert_int_eq(sfconv_run_create(&unshaped, t.net, SFCONV_MODE_TRAINING), SFCONV_OK);
    fill_gradients(&t, 1);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(sfconv_optimizer_step(optimizer, t.run, bad[i]), SFCONV_ERROR_ARGUMENT);
    }
    ck_assert_int_eq(sfconv_optimizer_step(optimizer, other.run, 0.1), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_optimizer_step(optimizer, NULL, 0.1), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_optimizer_step(NULL, t.run, 0.1), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_optimizer_step(optimizer, inference, 0.1), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_optimizer_step(optimizer, unshaped, 0.1), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_run_clip_gradients(inference, 1, &norm), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_run_clip_gradients(unshaped, 1, &norm), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_run_clip_gradients(NULL, 1, &norm), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_run_clip_gradients(t.run, 0, &norm), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_run_clip_gradients(t.run, NAN, &norm), SFCONV_ERROR_ARGUMENT);
    assert_same_parameters(&t, &untouched);
    ck_assert_int_eq(sfconv_optimizer_step(optimizer, t.run, 0), SFCONV_OK);
    assert_same_parameters(&t, &untouched);
    sfconv_run_destroy(inference);
    sfconv_run_destroy(unshaped);
    sfconv_optimizer_destroy(optimizer);
    finish(&t);
    finish(&other);
    finish(&untouched);
}
END_TEST

START_TEST(an_optimizer_refuses_a_net_that_has_grown)
{
    struct training t = start(1);
    sfconv_optimizer *optimizer = optimizer_of(&t, NULL);
    sfconv_average *average;
    const int32_t input = 0;
    const int64_t count = 4;
    int32_t node;
    sfconv_layer *layer = sfi_layer_new(t.context, &holder);
    ck_assert_int_eq(sfconv_average_create(&average, t.net, 0.5), SFCONV_OK);
    ck_assert_int_eq(sfi_layer_add_parameter(layer, "weight", SFCONV_PARAMETER_WEIGHT, 1, &count),
                     SFCONV_OK);
    sfconv_run_destroy(t.run);
    ck_assert_int_eq(sfconv_net_add_layer(t.net, "late", layer, &input, 1, &node), SFCONV_OK);
    sfi_layer_release(layer);
    t.run = run_of(t.net, SFCONV_MODE_TRAINING);
    ck_assert_int_eq(sfconv_optimizer_step(optimizer, t.run, 0.1), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_average_update(average), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_average_swap(average), SFCONV_ERROR_STATE);
    sfconv_average_destroy(average);
    sfconv_optimizer_destroy(optimizer);
    finish(&t);
}
END_TEST

static double norm_of_gradients(const struct training *t)
{
    double sum = 0;
    for (int32_t p = 0; p < TRAINED; p++) {
        for (int64_t i = 0; i < parts[p].count; i++) {
            sum += (double)t->run->gradients[p][i] * (double)t->run->gradients[p][i];
        }
    }
    return sqrt(sum);
}

START_TEST(clipping_brings_the_norm_to_the_limit_and_keeps_the_direction)
{
    struct training t = start(2), before = start(1);
    double norm;
    fill_gradients(&t, 3);
    fill_gradients(&before, 3);
    const double wanted = norm_of_gradients(&t);
    ck_assert_int_eq(sfconv_run_clip_gradients(t.run, 2 * wanted, &norm), SFCONV_OK);
    ck_assert_double_eq_tol(norm, wanted, 1e-12 * wanted);
    for (int32_t p = 0; p < TRAINED; p++) {
        ck_assert_mem_eq(t.run->gradients[p], before.run->gradients[p],
                         (size_t)parts[p].count * sizeof(float));
    }
    ck_assert_int_eq(sfconv_run_clip_gradients(t.run, 0.3, NULL), SFCONV_OK);
    ck_assert_double_le(norm_of_gradients(&t), 0.3);
    ck_assert_double_ge(norm_of_gradients(&t), 0.3 * (1 - 1e-6));
    for (int32_t p = 0; p < TRAINED; p++) {
        const double scaled = (double)before.run->gradients[p][1] * 0.3 / wanted;
        ck_assert_double_eq_tol((double)t.run->gradients[p][1], scaled, 1e-6 * fabs(scaled));
    }
    finish(&t);
    finish(&before);
}
END_TEST

START_TEST(the_average_follows_the_parameters_and_swapping_twice_restores_them)
{
    struct training t = start(1), kept = start(1);
    sfconv_average *average;
    float *weight = parameter(&t, 0);
    float *buffer = parameter(&t, BUFFER);
    ck_assert_int_eq(sfconv_average_create(&average, t.net, 0.75), SFCONV_OK);
    weight[5] = 1, weight[19999] = -8, buffer[0] = 6;
    for (int k = 0; k < 2; k++) {
        ck_assert_int_eq(sfconv_average_update(average), SFCONV_OK);
    }
    ck_assert_int_eq(sfconv_average_swap(average), SFCONV_OK);
    const double old = 0.75 * 0.75;
    ck_assert_double_eq_tol((double)weight[5], old * (double)parameter(&kept, 0)[5] + (1 - old),
                            1e-6);
    ck_assert_double_eq_tol((double)weight[19999],
                            old * (double)parameter(&kept, 0)[19999] - 8 * (1 - old), 1e-6);
    ck_assert(buffer[0] == 6);
    ck_assert(weight[6] == parameter(&kept, 0)[6]);
    ck_assert_int_eq(sfconv_average_update(average), SFCONV_ERROR_STATE);
    ck_assert_int_eq(sfconv_average_swap(average), SFCONV_OK);
    ck_assert(weight[5] == 1 && weight[19999] == -8 && buffer[0] == 6);
    ck_assert_int_eq(sfi_average_state_count(average), PARTS);
    ck_assert_str_eq(sfi_average_state(average, BUFFER).parameter, "node.running");
    ck_assert_str_eq(sfi_average_state(average, BUFFER).slot, "average");
    sfconv_average_destroy(average);
    finish(&t);
    finish(&kept);
}
END_TEST

START_TEST(averages_refuse_decays_out_of_range)
{
    const double bad[] = {1, -0.1, NAN};
    struct training t = start(1);
    sfconv_average *average;
    for (int i = 0; i < 3; i++) {
        average = (sfconv_average *)&t;
        ck_assert_int_eq(sfconv_average_create(&average, t.net, bad[i]), SFCONV_ERROR_ARGUMENT);
        ck_assert_ptr_null(average);
    }
    ck_assert_int_eq(sfconv_average_create(&average, NULL, 0.5), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_average_create(NULL, t.net, 0.5), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_average_update(NULL), SFCONV_ERROR_ARGUMENT);
    ck_assert_int_eq(sfconv_average_swap(NULL), SFCONV_ERROR_ARGUMENT);
    sfconv_average_destroy(NULL);
    finish(&t);
}
END_TEST

START_TEST(an_allocator_that_refuses_leaves_nothing_behind)
{
    struct rationed_memory memory = {INT_MAX, 0};
    sfconv_context *context = context_of_memory(&memory);
    sfconv_net *net = net_of(context);
    const sfconv_optimizer_desc desc = desc_of(SFCONV_OPTIMIZER_ADAM, 0);
    const int held = memory.held;
    for (int served = 0; served < 4; served++) {
        sfconv_optimizer *optimizer = (sfconv_optimizer *)&memory;
        sfconv_average *average = (sfconv_average *)&memory;
        memory.left = served;
        ck_assert_int_eq(sfconv_optimizer_create(&optimizer, net, &desc), SFCONV_ERROR_MEMORY);
        ck_assert_ptr_null(optimizer);
        memory.left = served;
        ck_assert_int_eq(sfconv_average_create(&average, net, 0.5), SFCONV_ERROR_MEMORY);
        ck_assert_ptr_null(average);
        ck_assert_int_eq(memory.held, held);
    }
    sfconv_optimizer *optimizer;
    memory.left = 4;
    ck_assert_int_eq(sfconv_optimizer_create(&optimizer, net, &desc), SFCONV_OK);
    sfconv_optimizer_destroy(optimizer);
    sfconv_net_destroy(net);
    sfi_context_release(context);
    ck_assert_int_eq(memory.held, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("optimizers");
    TCase *tests = tcase_create("optimizers");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, sgd_follows_torch_without_and_with_momentum_and_nesterov);
    tcase_add_test(tests, adam_and_adamw_follow_torch);
    tcase_add_test(tests, decay_goes_by_the_role_of_a_parameter);
    tcase_add_test(tests, a_gradient_that_is_not_finite_is_named_and_changes_nothing);
    tcase_add_test(tests, training_has_the_same_bits_for_any_number_of_workers);
    tcase_add_test(tests, an_optimizer_goes_on_from_its_saved_state_as_if_unbroken);
    tcase_add_test(tests, optimizers_refuse_settings_out_of_range);
    tcase_add_test(tests, a_step_refuses_rates_and_runs_that_do_not_fit);
    tcase_add_test(tests, an_optimizer_refuses_a_net_that_has_grown);
    tcase_add_test(tests, clipping_brings_the_norm_to_the_limit_and_keeps_the_direction);
    tcase_add_test(tests, the_average_follows_the_parameters_and_swapping_twice_restores_them);
    tcase_add_test(tests, averages_refuse_decays_out_of_range);
    tcase_add_test(tests, an_allocator_that_refuses_leaves_nothing_behind);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
