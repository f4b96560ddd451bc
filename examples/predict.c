/* SPDX-License-Identifier: BSD-2-Clause */
/* Puts a saved model to work: draws the mask of each image, or names its class. */
#include "program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_CAPACITY 4096

/* The name of a file without folder and ending. */
struct stem {
    const char *path;
    const char *text;
    int length;
};

static struct stem stem_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct stem stem = {.path = path, .text = slash ? slash + 1 : path};
    const char *ending = strrchr(stem.text, '.');
    stem.length =
        (int)(ending && ending > stem.text ? (size_t)(ending - stem.text) : strlen(stem.text));
    return stem;
}

static int compare_stems(const void *a, const void *b)
{
    const struct stem *left = a;
    const struct stem *right = b;
    const int shorter = left->length < right->length ? left->length : right->length;
    const int order = memcmp(left->text, right->text, (size_t)shorter);
    return order != 0 ? order : left->length - right->length;
}

/* Images of one name from two folders would overwrite each other's mask. */
static bool check_names(const struct program_options *options, struct image_error *error)
{
    const size_t count = (size_t)options->operand_count - 1;
    struct stem *stems = calloc(count, sizeof *stems);
    bool ok = stems || image_fail(error, "names of images: out of memory");
    for (size_t i = 0; ok && i < count; i++) {
        stems[i] = stem_of(options->operands[i + 1]);
    }
    if (ok) {
        qsort(stems, count, sizeof *stems, compare_stems);
    }
    for (size_t i = 1; ok && i < count; i++) {
        ok = compare_stems(&stems[i - 1], &stems[i]) != 0 ||
             image_fail(error, "%s: its mask would have the same name as that of %s", stems[i].path,
                        stems[i - 1].path);
    }
    free(stems);
    return ok;
}

/* "FOLDER/STEM-mask.png" */
static bool mask_path(char *path, const char *folder, const char *image, struct image_error *error)
{
    const struct stem stem = stem_of(image);
    const int length =
        snprintf(path, PATH_CAPACITY, "%s/%.*s-mask.png", folder, stem.length, stem.text);
    return (length > 0 && length < PATH_CAPACITY) ||
           image_fail(error, "%s: the path of its mask is too long", image);
}

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
    image_threshold(probability, 0.5f);
    if (!mask_path(path, folder, image_path, error) || !image_write_png(probability, path, error)) {
        return false;
    }
    printf("%s: %s\n", image_path, path);
    return true;
}

static bool answer(struct image *probability, const struct experiment_model *model,
                   const struct image *image, const char *model_path, struct image_error *error)
{
    if (experiment_predict(probability, model, image, error)) {
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
              (check_names(options, error) && program_make_folder(options->output, error));
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
