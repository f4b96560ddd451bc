/* SPDX-License-Identifier: BSD-2-Clause */
/* The same forward, or step of training, by both engines, and what may lie between them; what it
 * leaves as bits. */
#ifndef TESTS_TRIALS_H
#define TESTS_TRIALS_H

#include "random_nets.h"

static inline sfconv_run *training_with(sfconv_net *net, int32_t engine, sfconv_shape shape)
{
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    ck_assert_int_eq(sfconv_run_set_engine(run, engine), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_want_input_gradients(run, 1), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_reshape(run, &shape, 1, NULL, 0), SFCONV_OK);
    return run;
}

static inline void forward_filled(sfconv_run *run, uint64_t stream)
{
    fill_inputs(run, stream);
    run_forward(run);
}

static inline void step(sfconv_run *run, uint64_t stream)
{
    forward_filled(run, stream);
    ck_assert_int_eq(sfconv_run_zero_gradients(run), SFCONV_OK);
    fill_output_gradients(run, stream + 50);
    run_backward(run);
}

/* The same step by both engines, of two nets that are alike; and by layers of a third, whose
 * weights are shaken: what it differs by is rounding. */
typedef struct trial {
    const char *name;
    int count;
    sfconv_net *nets[3];
    sfconv_run *runs[3];
    bool input_gradients;
    /* Where they do not agree. */
    char fault[200];
} trial;

static inline trial open_pair(const char *name, sfconv_net *one, sfconv_net *two,
                              sfconv_shape shape)
{
    return (trial){.name = name,
                   .count = 2,
                   .nets = {one, two},
                   .runs = {training_with(one, SFCONV_ENGINE_LAYERS, shape),
                            training_with(two, SFCONV_ENGINE_RANK_SPACE, shape)},
                   .input_gradients = true};
}

static inline void close_trial(trial *made)
{
    for (int i = 0; i < made->count; i++) {
        sfconv_run_destroy(made->runs[i]);
        sfconv_net_destroy(made->nets[i]);
    }
}

/* The same tensor of every run. */
typedef struct views {
    sfconv_view of[3];
} views;

/* Distances count in parts of the largest number of the tensor. */
static inline bool views_agree(trial *made, const char *name, const views *all, double tolerance,
                               double noise)
{
    const double distance = distance_of(&all->of[0], &all->of[1]);
    const double largest = largest_of(&all->of[0]);
    const double rounding = made->count == 3 ? 10 * distance_of(&all->of[0], &all->of[2]) : 0;
    snprintf(made->fault, sizeof made->fault, "%s: %s differs by %g of %g, rounding %g", made->name,
             name, distance, largest, rounding);
    return distance <= fmax(tolerance * largest, rounding) + noise;
}

static inline sfconv_view gradient_of(sfconv_run *run, int32_t parameter)
{
    sfconv_view view;
    ck_assert_int_eq(sfconv_run_parameter_gradient(run, parameter, &view), SFCONV_OK);
    return view;
}

/* A gradient that is zero but for rounding, as that of a bias in front of a BatchNorm, has no
 * digits to compare: the largest gradient of the net, times 2e-6, is allowed on top. */
static inline double noise_of(trial *made)
{
    double noise = 0;
    for (int32_t i = 0; i < sfconv_net_parameter_count(made->nets[0]); i++) {
        if (parameter_of(made->nets[0], i).trainable) {
            const sfconv_view gradient = gradient_of(made->runs[0], i);
            noise = fmax(noise, 2e-6 * largest_of(&gradient));
        }
    }
    return noise;
}

/* What `of` gives of every run, for 0 … count - 1. */
static inline bool all_agree(trial *made, const char *name, int32_t count,
                             sfconv_view (*of)(sfconv_run *, int32_t), double tolerance)
{
    bool agree = true;
    views all;
    for (int32_t i = 0; agree && i < count; i++) {
        for (int j = 0; j < made->count; j++) {
            all.of[j] = of(made->runs[j], i);
        }
        agree = views_agree(made, name, &all, tolerance, 0);
    }
    return agree;
}

static inline bool outputs_agree(trial *made, double tolerance)
{
    return all_agree(made, "an output", sfconv_net_output_count(made->nets[0]), output_of,
                     tolerance);
}

static inline bool input_gradients_agree(trial *made, double tolerance)
{
    return all_agree(made, "the gradient of an input", sfconv_net_input_count(made->nets[0]),
                     input_gradient_of, tolerance);
}

static inline bool trial_agrees(trial *made, double outputs, double gradients)
{
    const double noise = noise_of(made);
    bool agree = outputs_agree(made, outputs);
    views all;
    for (int32_t i = 0; agree && i < sfconv_net_parameter_count(made->nets[0]); i++) {
        const sfconv_parameter_info info = parameter_of(made->nets[0], i);
        for (int j = 0; j < made->count; j++) {
            all.of[j] = info.trainable ? gradient_of(made->runs[j], i)
                                       : parameter_of(made->nets[j], i).view;
        }
        agree = views_agree(made, info.name, &all, info.trainable ? gradients : outputs,
                            info.trainable ? noise : 0);
    }
    return agree && (!made->input_gradients || input_gradients_agree(made, gradients));
}

static inline void check_trial(trial *made, double outputs, double gradients)
{
    ck_assert_msg(trial_agrees(made, outputs, gradients), "%s", made->fault);
}

typedef random_net (*net_maker)(sfconv_context *context, uint64_t seed);

static inline sfconv_run *run_of_random(const random_net *made, int32_t mode, int32_t engine)
{
    sfconv_run *run = new_run(made->net, mode);
    ck_assert_int_eq(sfconv_run_set_engine(run, engine), SFCONV_OK);
    if (mode == SFCONV_MODE_TRAINING) {
        ck_assert_int_eq(sfconv_run_want_input_gradients(run, made->input_gradients), SFCONV_OK);
    }
    reshape_random(run, made);
    return run;
}

/* Lays the run out again, in memory that holds the bytes `rest` and is to be freed behind it: what
 * nobody has written must not count. */
static inline void *lend_memory(sfconv_run *run, const random_net *made, int rest)
{
    int64_t bytes;
    ck_assert_int_eq(sfconv_run_bytes(run, made->shapes, made->input_count, &bytes), SFCONV_OK);
    void *memory = aligned_alloc(64, (size_t)(bytes + 63) / 64 * 64);
    ck_assert_ptr_nonnull(memory);
    memset(memory, rest, (size_t)bytes);
    ck_assert_int_eq(sfconv_run_reshape(run, made->shapes, made->input_count, memory, bytes),
                     SFCONV_OK);
    return memory;
}

/* Largest distance, in parts of the largest number. */
static inline double relative_distance(const sfconv_view *a, const sfconv_view *b)
{
    return distance_of(a, b) / worst_of(largest_of(a), 1e-30);
}

static inline void check_engines_agree(sfconv_net *net, sfconv_shape shape, double tolerance,
                                       const char *name)
{
    sfconv_run *layers = new_run_of(net, SFCONV_ENGINE_LAYERS, &shape, 1);
    sfconv_run *ranks = new_run_of(net, SFCONV_ENGINE_RANK_SPACE, &shape, 1);
    forward_filled(layers, 5);
    forward_filled(ranks, 5);
    for (int32_t i = 0; i < sfconv_net_output_count(net); i++) {
        const sfconv_view a = output_of(layers, i), b = output_of(ranks, i);
        const double distance = relative_distance(&a, &b);
        ck_assert_msg(distance <= tolerance, "%s: output %d differs by %g", name, i, distance);
    }
    sfconv_run_destroy(layers);
    sfconv_run_destroy(ranks);
}

/* Where a net cancels so much that a rounding of its weights shows, that is allowed too. */
static inline void check_random_inference(sfconv_context *context, net_maker make, uint64_t seed)
{
    static const int32_t engines[] = {SFCONV_ENGINE_LAYERS, SFCONV_ENGINE_RANK_SPACE,
                                      SFCONV_ENGINE_LAYERS};
    random_net made = make(context, NETS_SEED + seed);
    sfconv_run *runs[3];
    for (int i = 0; i < 3; i++) {
        runs[i] = run_of_random(&made, SFCONV_MODE_INFERENCE, engines[i]);
        if (i == 2) {
            shake_weights(made.net);
        }
        forward_filled(runs[i], 5);
    }
    for (int32_t i = 0; i < sfconv_net_output_count(made.net); i++) {
        const sfconv_view a = output_of(runs[0], i), b = output_of(runs[1], i);
        const sfconv_view c = output_of(runs[2], i);
        const double distance = relative_distance(&a, &b);
        const double allowed = fmax(1e-5, 3 * relative_distance(&a, &c));
        ck_assert_msg(distance <= allowed, "random net %d: output %d differs by %g, allowed %g",
                      (int)seed, i, distance, allowed);
    }
    for (int i = 0; i < 3; i++) {
        sfconv_run_destroy(runs[i]);
    }
    sfconv_net_destroy(made.net);
}

static inline trial open_random(sfconv_context *context, net_maker make, uint64_t seed)
{
    trial made = {.name = "random net", .count = 3};
    for (int i = 0; i < 3; i++) {
        const int32_t engine = i == 1 ? SFCONV_ENGINE_RANK_SPACE : SFCONV_ENGINE_LAYERS;
        const random_net drawn = make(context, NETS_SEED + seed);
        made.nets[i] = drawn.net;
        made.runs[i] = run_of_random(&drawn, SFCONV_MODE_TRAINING, engine);
        made.input_gradients = drawn.input_gradients;
    }
    shake_weights(made.nets[2]);
    return made;
}

static inline bool steps_agree(trial *made, uint64_t stream)
{
    for (int i = 0; i < made->count; i++) {
        step(made->runs[i], stream);
    }
    return trial_agrees(made, 1e-5, 1e-4);
}

/* Outputs agree with every image, gradients with one of `images`: of many values rounding takes one
 * to the other side of a kink now and then, by either engine, and a gradient with it. */
static inline void check_but_for_kinks(trial *made, uint64_t stream, uint64_t images)
{
    bool agree = false;
    for (uint64_t image = 0; !agree && image < images; image++) {
        agree = steps_agree(made, stream + 10 * image);
        ck_assert_msg(agree || outputs_agree(made, 1e-5), "%s", made->fault);
    }
    ck_assert_msg(agree, "%s", made->fault);
}

/* In lent memory that holds the bytes `rest`. */
static inline uint64_t inference_bits(sfconv_context *context, net_maker make, uint64_t seed,
                                      int rest)
{
    random_net made = make(context, NETS_SEED + seed);
    sfconv_run *run = run_of_random(&made, SFCONV_MODE_INFERENCE, SFCONV_ENGINE_RANK_SPACE);
    void *lent = lend_memory(run, &made, rest);
    forward_filled(run, 6);
    const uint64_t bits = hash_outputs(run);
    sfconv_run_destroy(run);
    sfconv_net_destroy(made.net);
    free(lent);
    return bits;
}

/* Of a step and all that it leaves. */
static inline uint64_t training_bits(sfconv_context *context, net_maker make, uint64_t seed,
                                     int rest)
{
    random_net made = make(context, NETS_SEED + seed);
    sfconv_run *run = run_of_random(&made, SFCONV_MODE_TRAINING, SFCONV_ENGINE_RANK_SPACE);
    void *lent = lend_memory(run, &made, rest);
    step(run, 6);
    uint64_t bits = hash_outputs(run) ^ hash_gradients(run) ^ hash_parameters(made.net);
    for (int32_t i = 0; made.input_gradients && i < made.input_count; i++) {
        const sfconv_view input = input_gradient_of(run, i);
        bits = hash_view(bits, &input);
    }
    sfconv_run_destroy(run);
    sfconv_net_destroy(made.net);
    free(lent);
    return bits;
}

#endif
