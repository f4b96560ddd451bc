/* SPDX-License-Identifier: BSD-2-Clause */
#include "augment.h"

#include "chance.h"

/* What chance has chosen for one image and its mask. */
struct choice {
    int64_t left;
    int64_t top;
    int64_t width;
    int64_t height;
    int quarters;
    bool flip_horizontal;
    bool flip_vertical;
};

static struct choice choose(struct chance *chance, const struct image *image,
                            const struct augment_options *options)
{
    struct choice choice = {.width = image->width, .height = image->height};
    if (options->crop_width > 0 && options->crop_height > 0) {
        choice.width = options->crop_width;
        choice.height = options->crop_height;
        choice.left = chance_below(chance, image->width - choice.width + 1);
        choice.top = chance_below(chance, image->height - choice.height + 1);
    }
    choice.flip_horizontal = options->flip_horizontal && chance_happens(chance, 0.5);
    choice.flip_vertical = options->flip_vertical && chance_happens(chance, 0.5);
    if (options->rotate90) {
        const bool square = choice.width == choice.height;
        choice.quarters = (int)(square ? chance_below(chance, 4) : 2 * chance_below(chance, 2));
    }
    return choice;
}

static bool apply(struct image *result, const struct image *source, const struct choice *choice,
                  struct image_error *error)
{
    struct image window;
    if (!image_crop(&window, source, choice->left, choice->top, choice->width, choice->height,
                    error)) {
        *result = (struct image){0};
        return false;
    }
    const bool rotated = image_rotate90(result, &window, choice->quarters, error);
    image_destroy(&window);
    if (rotated && choice->flip_horizontal) {
        image_flip_horizontal(result);
    }
    if (rotated && choice->flip_vertical) {
        image_flip_vertical(result);
    }
    return rotated;
}

static void change_light(struct image *image, double brightness, double contrast)
{
    const int64_t count = image_pixels(image) * image->channels;
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += image->pixels[i];
    }
    const double mean = sum / (double)count;
    for (int64_t i = 0; i < count; i++) {
        const double value = mean + (image->pixels[i] - mean) * contrast + brightness;
        image->pixels[i] = (float)(value < 0 ? 0 : value > 1 ? 1 : value);
    }
}

bool augment(struct image *image, struct image *mask, const struct augment_options *options,
             uint64_t seed, uint64_t index, struct image_error *error)
{
    const bool masked = mask && mask->pixels;
    struct image new_image = {0};
    struct image new_mask = {0};
    if (masked && (mask->width != image->width || mask->height != image->height)) {
        return image_fail(error, "augment: mask of %lld x %lld, image of %lld x %lld",
                          (long long)mask->width, (long long)mask->height, (long long)image->width,
                          (long long)image->height);
    }
    struct chance chance = chance_start(seed, index);
    const struct choice choice = choose(&chance, image, options);
    if (!apply(&new_image, image, &choice, error) ||
        (masked && !apply(&new_mask, mask, &choice, error))) {
        image_destroy(&new_image);
        return false;
    }
    const double brightness = chance_between(&chance, -options->brightness, options->brightness);
    const double contrast = chance_between(&chance, 1 - options->contrast, 1 + options->contrast);
    if (options->brightness != 0 || options->contrast != 0) {
        change_light(&new_image, brightness, contrast);
    }
    image_destroy(image);
    *image = new_image;
    if (masked) {
        image_destroy(mask);
        *mask = new_mask;
    }
    return true;
}
