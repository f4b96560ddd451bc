/* SPDX-License-Identifier: BSD-2-Clause */
/* The same step of training by both engines, and what may lie between them. */
#ifndef TESTS_TRIALS_H
#define TESTS_TRIALS_H

#include "random_nets.h"

static inline sfconv_run *training_of_sizes(sfconv_net *net, int32_t engine,
                                            const sfconv_shape *shapes, int32_t count)
{
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    ck_assert_int_eq(sfconv_run_set_engine(run, engine), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_want_input_gradients(run, 1), SFCONV_OK);
    ck_assert_int_eq(sfconv_run_reshape(run, shapes, count, NULL, 0), SFCONV_OK);
    return run;
}

static inline sfconv_run *training_with(sfconv_net *net, int32_t engine, sfconv_shape shape)
{
    return training_of_sizes(net, engine, &shape, 1);
}

static inline void step(sfconv_run *run, uint64_t stream)
{
    fill_inputs(run, stream);
    run_forward(run);
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
} trial;

static inline trial open_pair(const char *name, sfconv_net *one, sfconv_net *two,
                              sfconv_shape shape)
{
    return (trial){name,
                   2,
                   {one, two},
                   {training_with(one, SFCONV_ENGINE_LAYERS, shape),
                    training_with(two, SFCONV_ENGINE_RANK_SPACE, shape)}};
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
static inline void check_views(const trial *made, const char *name, const views *all,
                               double tolerance, double noise)
{
    const double distance = distance_of(&all->of[0], &all->of[1]);
    const double largest = largest_of(&all->of[0]);
    const double rounding = made->count == 3 ? 10 * distance_of(&all->of[0], &all->of[2]) : 0;
    ck_assert_msg(distance <= fmax(tolerance * largest, rounding) + noise,
                  "%s: %s differs by %g of %g, rounding %g", made->name, name, distance, largest,
                  rounding);
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

static inline void check_trial(trial *made, double outputs, double gradients)
{
    const double noise = noise_of(made);
    views all;
    for (int32_t i = 0; i < sfconv_net_output_count(made->nets[0]); i++) {
        for (int j = 0; j < made->count; j++) {
            all.of[j] = output_of(made->runs[j], i);
        }
        check_views(made, "an output", &all, outputs, 0);
    }
    for (int32_t i = 0; i < sfconv_net_parameter_count(made->nets[0]); i++) {
        const sfconv_parameter_info info = parameter_of(made->nets[0], i);
        for (int j = 0; j < made->count; j++) {
            all.of[j] = info.trainable ? gradient_of(made->runs[j], i)
                                       : parameter_of(made->nets[j], i).view;
        }
        check_views(made, info.name, &all, info.trainable ? gradients : outputs,
                    info.trainable ? noise : 0);
    }
    for (int32_t i = 0; i < sfconv_net_input_count(made->nets[0]); i++) {
        for (int j = 0; j < made->count; j++) {
            all.of[j] = input_gradient_of(made->runs[j], i);
        }
        check_views(made, "the gradient of an input", &all, gradients, 0);
    }
}

#endif
