/* SPDX-License-Identifier: BSD-2-Clause */
/* Gradients of whole nets drawn at random: chains, branches, sums and joins of any two values,
 * pools, up-sampling, shared layers, several outputs. */
#include "nets.h"

#include <stdio.h>

#define NETS 60
#define STEPS 9
#define CHANNELS 4
#define SIZE 8

/* A net while it grows; every node's shape is known. */
typedef struct growth {
    sfconv_context *context;
    sfconv_net *net;
    sfi_random random;
    uint64_t drawn;
    sfconv_layer *shared;
    int32_t count;
    int64_t channels[STEPS + 2];
    int64_t size[STEPS + 2];
} growth;

static int32_t draw(growth *g, int32_t below)
{
    return (int32_t)sfi_random_below(g->random, g->drawn++, (uint64_t)below);
}

static void enter(growth *g, int64_t channels, int64_t size)
{
    g->channels[g->count] = channels;
    g->size[g->count++] = size;
}

/* Another node of the same size (and channels); the node itself when there is none. */
static int32_t partner(growth *g, int32_t node, bool same_channels)
{
    const int32_t first = draw(g, g->count);
    for (int32_t i = 0; i < g->count; i++) {
        const int32_t other = (first + i) % g->count;
        if (g->size[other] == g->size[node] &&
            (!same_channels || g->channels[other] == g->channels[node])) {
            return other;
        }
    }
    return node;
}

/* Layers that keep one input's shape but for the channels; linear ones alone unless `curved`. */
static sfconv_layer *next_layer(growth *g, int32_t node, bool curved, int64_t *channels)
{
    const int64_t in = g->channels[node];
    const uint64_t seed = g->drawn;
    *channels = in;
    switch (draw(g, curved ? 6 : 3)) {
    case 3:
        return new_batchnorm(g->context, in);
    case 4:
        return new_activation(g->context, SFCONV_ACTIVATION_SILU);
    case 5:
        return new_activation(g->context, SFCONV_ACTIVATION_SIGMOID);
    case 2:
        *channels = CHANNELS;
        return new_dsconv(g->context, in, CHANNELS, seed);
    case 1:
        *channels = CHANNELS;
        return new_sfconv(g->context, in, CHANNELS, 2, SFCONV_REGULARIZER_NONE, 0, seed);
    default:
        *channels = CHANNELS;
        return new_conv(g->context, in, CHANNELS, 1, seed);
    }
}

static void grow(growth *g, int step, bool curved)
{
    char name[16];
    int64_t channels;
    const int32_t node = draw(g, g->count);
    const int32_t choice = draw(g, 10);
    int32_t added;
    snprintf(name, sizeof name, "n%d", step);
    if (choice == 0) {
        put_pair(g->net, name, new_add(g->context), partner(g, node, true), node);
        enter(g, g->channels[node], g->size[node]);
    } else if (choice <= 2) {
        const int32_t other = partner(g, node, false);
        put_pair(g->net, name, new_concat(g->context), other, node);
        enter(g, g->channels[other] + g->channels[node], g->size[node]);
    } else if (choice == 3 && g->size[node] >= 4) {
        put_after(g->net, name, new_pool(g->context, SFCONV_POOL_AVERAGE), node);
        enter(g, g->channels[node], g->size[node] / 2);
    } else if (choice == 4 && g->size[node] <= SIZE) {
        put_after(g->net, name, new_upsample(g->context, 1 + draw(g, 3)), node);
        enter(g, g->channels[node], g->size[node] * 2);
    } else if (choice == 5 && g->channels[node] == CHANNELS) {
        ck_assert_int_eq(sfconv_net_add_layer(g->net, name, g->shared, &node, 1, &added),
                         SFCONV_OK);
        enter(g, CHANNELS, g->size[node]);
    } else {
        sfconv_layer *layer = next_layer(g, node, curved, &channels);
        put_after(g->net, name, layer, node);
        enter(g, channels, g->size[node]);
    }
}

/* Two inputs, STEPS layers, the last and another node for outputs. */
static sfconv_net *random_net(sfconv_context *context, uint64_t stream, bool curved)
{
    growth g = {.context = context, .net = empty_net(context), .random = {NETS_SEED, stream}};
    g.shared = new_conv(context, CHANNELS, CHANNELS, 1, stream);
    put_input(g.net, "x", CHANNELS);
    enter(&g, CHANNELS, SIZE);
    put_input(g.net, "y", CHANNELS);
    enter(&g, CHANNELS, SIZE);
    for (int step = 0; step < STEPS; step++) {
        grow(&g, step, curved);
    }
    put_output(g.net, g.count - 1);
    put_output(g.net, 1 + draw(&g, g.count - 2));
    sfconv_layer_destroy(g.shared);
    return g.net;
}

/* Σ outputs · weights, the weights being those of fill_output_gradients(run, 9). */
static double weighted_sum(sfconv_run *run)
{
    double sum = 0;
    run_forward(run);
    for (int32_t i = 0; i < 2; i++) {
        const sfconv_view out = output_of(run, i), gradient = output_gradient_of(run, i);
        fill_floats(gradient.data, sfconv_view_count(&gradient), 9 + (uint64_t)i);
        sum += dot_of(out.data, gradient.data, sfconv_view_count(&out));
    }
    return sum;
}

/* One tensor that the sum depends on, with its gradient. */
typedef struct leaf {
    char name[32];
    float *values;
    int64_t count;
    float *start;
    float *gradient;
} leaf;

static void add_leaf(leaf *leaves, int32_t *count, const char *name, const sfconv_view *values,
                     const sfconv_view *gradient)
{
    leaf *added = &leaves[(*count)++];
    const size_t bytes = (size_t)sfconv_view_count(values) * sizeof(float);
    snprintf(added->name, sizeof added->name, "%s", name);
    added->values = values->data;
    added->count = sfconv_view_count(values);
    added->start = malloc(bytes);
    added->gradient = malloc(bytes);
    memcpy(added->start, values->data, bytes);
    memcpy(added->gradient, gradient->data, bytes);
}

#define MAX_LEAVES 64

static int32_t take_leaves(sfconv_run *run, leaf *leaves)
{
    const sfconv_net *net = sfconv_run_net(run);
    int32_t count = 0;
    for (int32_t i = 0; i < 2; i++) {
        const sfconv_view in = input_of(run, i), gradient = input_gradient_of(run, i);
        add_leaf(leaves, &count, i ? "y" : "x", &in, &gradient);
    }
    for (int32_t i = 0; i < sfconv_net_parameter_count(net); i++) {
        const sfconv_parameter_info info = parameter_of(net, i);
        sfconv_view gradient;
        if (info.trainable) {
            ck_assert_int_lt(count, MAX_LEAVES);
            ck_assert_int_eq(sfconv_run_parameter_gradient(run, i, &gradient), SFCONV_OK);
            add_leaf(leaves, &count, info.name, &info.view, &gradient);
        }
    }
    return count;
}

/* Difference quotient of the sum along a random direction of one leaf, of width `step` and
 * extrapolated from twice that. */
static double slope_of(sfconv_run *run, const leaf *moved, const float *direction, double step)
{
    double side[4];
    for (int s = 0; s < 4; s++) {
        const double width = step * (s < 2 ? 1 : 2) * (s % 2 ? -1 : 1);
        for (int64_t i = 0; i < moved->count; i++) {
            moved->values[i] = (float)((double)moved->start[i] + width * (double)direction[i]);
        }
        side[s] = weighted_sum(run);
    }
    memcpy(moved->values, moved->start, (size_t)moved->count * sizeof(float));
    const double near = (side[0] - side[1]) / (2 * step);
    const double far = (side[2] - side[3]) / (4 * step);
    return (4 * near - far) / 3;
}

static void check_net(uint64_t stream, bool curved, double step, double tolerance)
{
    sfconv_context *context = public_context(1, SFCONV_ISA_BEST);
    sfconv_net *net = random_net(context, stream, curved);
    sfconv_run *run = new_run(net, SFCONV_MODE_TRAINING);
    leaf leaves[MAX_LEAVES];
    ck_assert_int_eq(sfconv_run_want_input_gradients(run, 1), SFCONV_OK);
    reshape_run(run, 2, SIZE, SIZE);
    fill_inputs(run, stream);
    weighted_sum(run);
    run_backward(run);
    const int32_t count = take_leaves(run, leaves);
    for (int32_t l = 0; l < count; l++) {
        float *direction = malloc((size_t)leaves[l].count * sizeof(float));
        fill_floats(direction, leaves[l].count, 77 + (uint64_t)l);
        const double measured = slope_of(run, &leaves[l], direction, step);
        const double expected = dot_of(leaves[l].gradient, direction, leaves[l].count);
        const double norm = sqrt(dot_of(leaves[l].gradient, leaves[l].gradient, leaves[l].count));
        if (fabs(measured - expected) > tolerance * (norm + 0.05)) {
            ck_abort_msg("seed %u, net %d, %s: difference quotient %.9g, gradient %.9g (norm %g)",
                         NETS_SEED, (int)stream, leaves[l].name, measured, expected, norm);
        }
        free(direction);
        free(leaves[l].start);
        free(leaves[l].gradient);
    }
    sfconv_run_destroy(run);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}

START_TEST(gradients_of_random_linear_nets_are_their_slopes)
{
    /* The sum is linear in each leaf alone, but for the leaf of the shared layer: no width is too
     * large. */
    check_net((uint64_t)_i, false, 0.1, 2e-3);
}
END_TEST

START_TEST(gradients_of_random_curved_nets_are_their_slopes)
{
    check_net((uint64_t)_i + 1000, true, 4e-3, 1e-2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net gradients");
    TCase *tests = tcase_create("net gradients");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, gradients_of_random_linear_nets_are_their_slopes, 0, NETS);
    tcase_add_loop_test(tests, gradients_of_random_curved_nets_are_their_slopes, 0, NETS);
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
