/* SPDX-License-Identifier: BSD-2-Clause */
/* Prints hashes of what networks compute in training and inference with the best instruction set
 * here, so that two machines can be compared line by line. */
#include "trainings.h"

#include <inttypes.h>
#include <stdio.h>

static const training trainings[] = {
    {SFCONV_MODEL_TINY_CLASSIFIER, SFCONV_METHOD_SFCONV, SFCONV_OPTIMIZER_SGD, 20, 4, 32, 0.25},
    {SFCONV_MODEL_TINY_CLASSIFIER, SFCONV_METHOD_CONV, SFCONV_OPTIMIZER_ADAMW, 5, 3, 29, 0.25},
    {SFCONV_MODEL_TINY_SEGMENTER, SFCONV_METHOD_SFCONV, SFCONV_OPTIMIZER_ADAM, 20, 2, 32, 0.25},
    {SFCONV_MODEL_TINY_SEGMENTER, SFCONV_METHOD_FCONV, SFCONV_OPTIMIZER_ADAM, 5, 2, 24, 0.25},
    {SFCONV_MODEL_TINY_SEGMENTER, SFCONV_METHOD_DPCCONV, SFCONV_OPTIMIZER_SGD, 5, 2, 40, 0.25},
    {SFCONV_MODEL_RESNET18, SFCONV_METHOD_SFCONV, SFCONV_OPTIMIZER_SGD, 2, 2, 33, 1.0 / 32},
    {SFCONV_MODEL_UNET, SFCONV_METHOD_SFCONV, SFCONV_OPTIMIZER_ADAM, 2, 1, 32, 1.0 / 32},
};

START_TEST(bits_of_a_training)
{
    const training *task = &trainings[_i];
    sfconv_context *context = public_context(2, SFCONV_ISA_BEST);
    const hashes got = train(task, context, true);
    ck_assert(isfinite(got.loss) && isfinite(got.regularizer));
    printf("%s by %s, %d steps: outputs %016" PRIx64 ", gradients %016" PRIx64
           ", parameters %016" PRIx64 ", inference %016" PRIx64 ", loss %a, regularizer %a\n",
           sfconv_model_name(task->model), sfconv_method_name(task->method), task->steps,
           got.outputs, got.gradients, got.parameters, got.inferred, got.loss, got.regularizer);
    fflush(stdout);
    sfconv_context_destroy(context);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bits of networks");
    TCase *tests = tcase_create("bits");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, bits_of_a_training, 0, (int)(sizeof trainings / sizeof *trainings));
    suite_add_tcase(suite, tests);
    return run_suite(suite);
}
