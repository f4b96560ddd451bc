/* SPDX-License-Identifier: BSD-2-Clause */
/* Trains a vessel segmenter on folders of images and masks, or on made angiograms. The work is in
 * tools/experiment; 02_training.c shows a training loop from the inside. */
#include "program.h"

static const struct program segmenter = {
    .name = "segmenter",
    .summary =
        "Trains a segmenter, judges it on the test images, saves it and draws what it finds.",
    .takes = PROGRAM_TAKES_TRAINING,
    .task = program_work,
};

int main(int argc, char **argv)
{
    struct program_options options = {
        .experiment = {.model = SFCONV_MODEL_TINY_SEGMENTER, .method = SFCONV_METHOD_SFCONV},
        .output = "segmenter-output",
        .images = 120,
    };
    return program_main(argc, argv, &segmenter, &options);
}
