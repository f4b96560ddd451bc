/* SPDX-License-Identifier: BSD-2-Clause */
/* Puts a saved model to work: draws the mask of each image, or names its class. */
#include "image_names.h"
#include "program.h"

#include <stdio.h>

#define PATH_CAPACITY 4096

static bool use_answer(const struct experiment_model *model, struct image *probability,
                       const char *image_path, const char *folder, struct image_error *error)
{
    char path[PATH_CAPACITY];
    if (!model->segments) {
        const int64_t best = program_best_class(probability);
        printf("%s: %s (%.1f %%)\n", image_path, model->class_names[best],
               100.0 * (double)probability->pixels[best]);
        return true;
    }
    image_threshold(probability, (float)model->threshold);
    if (!image_name_output(path, sizeof path, folder, image_path, "mask", error) ||
        !image_write_png(probability, path, error)) {
        return false;
    }
    printf("%s: %s\n", image_path, path);
    return true;
}

static bool answer(struct image *probability, const struct experiment_model *model,
                   const struct image *image, const char *model_path, struct image_error *error)
{
    if (experiment_predict(probability, model, image, NULL, error)) {
        return true;
    }
    const struct image_error reason = *error;
    return image_fail(error, "%s: %s", model_path, reason.text);
}

static bool predict_one(const struct experiment_model *model, const char *path,
                        const struct program_options *options, struct image_error *error)
{
    struct image image = {0};
    struct image probability = {0};
    const bool ok = image_read(&image, path, NULL, error) &&
                    answer(&probability, model, &image, options->operands[0], error) &&
                    use_answer(model, &probability, path, options->output, error);
    image_destroy(&probability);
    image_destroy(&image);
    return ok;
}

static bool predict_all(sfconv_context *context, const struct program_options *options,
                        const char *name, struct image_error *error)
{
    struct experiment_model model;
    (void)name;
    if (!experiment_load(&model, context, options->operands[0], error)) {
        return false;
    }
    bool ok = !model.segments ||
              (image_names_differ(options->operands + 1, options->operand_count - 1, error) &&
               program_make_folder(options->output, error));
    for (int64_t i = 1; ok && i < options->operand_count; i++) {
        ok = predict_one(&model, options->operands[i], options, error);
    }
    experiment_model_destroy(&model);
    return ok;
}

static const struct program predict = {
    .name = "predict",
    .summary = "Draws the masks of images into --output, or prints their classes, as the model "
               "was trained to.",
    .takes = PROGRAM_TAKES_OUTPUT,
    .operands = "MODEL.safetensors IMAGE...",
    .least_operands = 2,
    .task = predict_all,
};

int main(int argc, char **argv)
{
    struct program_options options = {.output = "predict-output"};
    return program_main(argc, argv, &predict, &options);
}
