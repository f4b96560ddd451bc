/* SPDX-License-Identifier: BSD-2-Clause */
/* Ready-made networks at the sizes of their use: what both engines compute is apart by what
 * rounding the weights otherwise would do, and has the same bits everywhere. */
#include "trainings.h"
#include "trials.h"

/* Sanitizers see no more in large maps and take many times as long. */
#ifdef SANITIZED
enum { UNET_SIZE = 96, RESNET_SIZE = 64 };
#else
enum { UNET_SIZE = 304, RESNET_SIZE = 224 };
#endif

/* Of millions of values one or two are so near a kink with most images, not with all. */
#define IMAGES 8

typedef struct network {
    const char *name;
    int32_t model;
    int32_t method;
    double ratio;
    int64_t size;
} network;

static const network networks[] = {
    {"U-Net 1/32", SFCONV_MODEL_UNET, SFCONV_METHOD_SFCONV, 1.0 / 32, UNET_SIZE},
    {"ResNet-18 1/32", SFCONV_MODEL_RESNET18, SFCONV_METHOD_SFCONV, 1.0 / 32, RESNET_SIZE},
    {"U-Net 1/8", SFCONV_MODEL_UNET, SFCONV_METHOD_SFCONV, 1.0 / 8, UNET_SIZE},
    {"ResNet-18 1/4", SFCONV_MODEL_RESNET18, SFCONV_METHOD_SFCONV, 1.0 / 4, RESNET_SIZE},
    {"ResNet-18, FConvSN", SFCONV_MODEL_RESNET18, SFCONV_METHOD_FCONVSN, 1.0 / 8, RESNET_SIZE},
};
#define NETWORK_COUNT ((int)(sizeof networks / sizeof *networks))

START_TEST(inference_agrees_with_the_layer_path)
{
    const network *wanted = &networks[_i];
    const sfconv_shape shape = {1, 3, wanted->size, wanted->size};
    sfconv_context *context = public_context(2, SFCONV_ISA_BEST);
    sfconv_net *net = new_network(context, wanted->model, wanted->method, wanted->ratio);
    settle_statistics(net);
    sfconv_run *layers = forward_of(net, SFCONV_ENGINE_LAYERS, shape);
    sfconv_run *ranks = forward_of(net, SFCONV_ENGINE_RANK_SPACE, shape);
    shake_weights(net);
    sfconv_run *shaken = forward_of(net, SFCONV_ENGINE_LAYERS, shape);
    const sfconv_view a = output_of(layers, 0), b = output_of(ranks, 0), c = output_of(shaken, 0);
    const double distance = distance_of(&a, &b), rounding = distance_of(&a, &c);
    ck_assert_msg(distance <= fmax(1e-5 * largest_of(&a), 3 * rounding),
                  "%s: differs by %g of %g, rounding %g", wanted->name, distance, largest_of(&a),
                  rounding);
    sfconv_run_destroy(layers);
    sfconv_run_destroy(ranks);
    sfconv_run_destroy(shaken);
    sfconv_net_destroy(net);
    sfconv_context_destroy(context);
}
END_TEST

START_TEST(a_step_of_training_agrees_with_the_layer_path)
{
    const network *wanted = &networks[_i];
    const sfconv_shape shape = {2, 3, wanted->size, wanted->size};
    sfconv_context *context = public_context(2, SFCONV_ISA_BEST);
    trial made = {.name = wanted->name, .count = 3, .input_gradients = true};
    for (int i = 0; i < made.count; i++) {
        made.nets[i] = new_network(context, wanted->model, wanted->method, wanted->ratio);
        made.runs[i] = training_with(
            made.nets[i], i == 1 ? SFCONV_ENGINE_RANK_SPACE : SFCONV_ENGINE_LAYERS, shape);
    }
    shake_weights(made.nets[2]);
    check_but_for_kinks(&made, 5, IMAGES);
    close_trial(&made);
    sfconv_context_destroy(context);
}
END_TEST

static const training trainings[] = {
    {SFCONV_MODEL_UNET, SFCONV_METHOD_SFCONV, SFCONV_OPTIMIZER_SGD, 1, 1, UNET_SIZE, 1.0 / 32},
    {SFCONV_MODEL_RESNET18, SFCONV_METHOD_SFCONV, SFCONV_OPTIMIZER_SGD, 1, 2, RESNET_SIZE, 0.25},
    {SFCONV_MODEL_RESNET18, SFCONV_METHOD_CONV, SFCONV_OPTIMIZER_SGD, 1, 1, RESNET_SIZE, 1.0},
    {SFCONV_MODEL_UNET, SFCONV_METHOD_CONV, SFCONV_OPTIMIZER_SGD, 1, 1, 112, 1.0},
};
#define TRAINING_COUNT ((int)(sizeof trainings / sizeof *trainings))

START_TEST(training_gives_the_same_bits_by_every_vector_and_number_of_workers)
{
    const training *task = &trainings[_i];
    const struct {
        int32_t workers;
        int32_t isa;
    } settings[] = {{2, SFCONV_ISA_BEST}, {1, SFCONV_ISA_AVX2}, {7, SFCONV_ISA_BEST}};
    hashes expected = {0};
    for (int i = 0; i < 3; i++) {
        sfconv_context *context =
            convolution_context(settings[i].workers, settings[i].isa, SFCONV_CONVOLUTION_AUTO);
        if (!context) {
            continue;
        }
        const hashes got = train(task, context, false);
        expected = i == 0 ? got : expected;
        ck_assert_msg(memcmp(&got, &expected, sizeof got) == 0, "%s by %s, %d workers",
                      sfconv_model_name(task->model), sfconv_method_name(task->method),
                      (int)settings[i].workers);
        sfconv_context_destroy(context);
    }
    ck_assert(isfinite(expected.loss) && expected.loss > 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("real sizes");
    TCase *tests = tcase_create("real sizes");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, inference_agrees_with_the_layer_path, 0, rounds_of(NETWORK_COUNT));
    tcase_add_loop_test(tests, a_step_of_training_agrees_with_the_layer_path, 0,
                        rounds_of(NETWORK_COUNT));
    tcase_add_loop_test(tests, training_gives_the_same_bits_by_every_vector_and_number_of_workers,
                        0, rounds_of(TRAINING_COUNT));
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
