/* SPDX-License-Identifier: BSD-2-Clause */
/* Trains a classifier on folders of classes, or on made fundus photographs of five grades. The work
 * is in tools/experiment; 02_training.c shows a training loop from the inside. */
#include "program.h"

static const struct program classifier = {
    .name = "classifier",
    .summary = "Trains a classifier, judges it on the test images, saves it and shows some of its "
               "answers.",
    .takes = PROGRAM_TAKES_TRAINING,
    .task = program_work,
};

int main(int argc, char **argv)
{
    struct program_options options = {
        .experiment = {.model = SFCONV_MODEL_TINY_CLASSIFIER, .method = SFCONV_METHOD_SFCONV},
        .output = "classifier-output",
        .images = 600,
    };
    return program_main(argc, argv, &classifier, &options);
}
