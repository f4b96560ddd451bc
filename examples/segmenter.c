/* SPDX-License-Identifier: BSD-2-Clause */
/* Trains a vessel segmenter on folders of images and masks, or on made angiograms. The work is in
 * tools/experiment; 02_training.c shows a training loop from the inside. */
#include "program.h"

int main(int argc, char **argv)
{
    struct program_options options = {
        .experiment = {.model = SFCONV_MODEL_TINY_SEGMENTER, .method = SFCONV_METHOD_SFCONV},
        .output = "segmenter-output",
        .images = 120,
    };
    return program_main(argc, argv, &options, "segmenter",
                        "Trains a segmenter, judges it on the test images, saves it and draws "
                        "what it finds.",
                        program_work);
}
