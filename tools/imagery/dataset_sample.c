/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataset_sample.h"

#include "field_of_view.h"

#include <stddef.h>

/* Up to three different values of an image. */
struct values {
    int count;
    float value[3];
};

static struct values different_values(const struct image *image)
{
    struct values values = {0};
    for (int64_t i = 0; i < image_pixels(image) && values.count < 3; i++) {
        const float pixel = image->pixels[i];
        int k = 0;
        while (k < values.count && values.value[k] != pixel) {
            k++;
        }
        if (k == values.count) {
            values.value[values.count++] = pixel;
        }
    }
    return values;
}

/* The greater of two values becomes 1, the other 0. */
static bool make_binary(struct image *mask, const char *path, struct image_error *error)
{
    const struct values values = different_values(mask);
    if (values.count > 2) {
        return image_fail(error, "%s: a mask has two values, this one has more (%g, %g, %g of 255)",
                          path, values.value[0] * 255.0, values.value[1] * 255.0,
                          values.value[2] * 255.0);
    }
    const float other = values.count == 2 ? values.value[1] : 0;
    const float level = values.value[0] > other ? values.value[0] : other;
    if (level > 0) {
        image_threshold(mask, level);
    }
    return true;
}

/* Brings *image into the given form; it is destroyed on failure. */
static bool fit(struct image *image, int32_t channels, const struct dataset_form *form,
                struct image_error *error)
{
    struct image changed = {0};
    bool fits = true;
    if (channels != 0 && channels != image->channels) {
        fits = image_convert(&changed, image, channels, error);
        image_destroy(image);
        *image = changed;
    }
    if (fits && form->width > 0 && (form->width != image->width || form->height != image->height)) {
        fits = image_resize(&changed, image, form->width, form->height, error);
        image_destroy(image);
        *image = changed;
    }
    return fits;
}

/* As in the file but for being gray and binary. */
static bool read_mask(struct image *mask, const struct image *image,
                      const struct dataset_sample *sample, const struct dataset_form *form,
                      struct image_error *error)
{
    const struct dataset_form as_in_file = {0};
    if (!image_read(mask, sample->mask_path, &form->limits, error)) {
        return false;
    }
    if (mask->width != image->width || mask->height != image->height) {
        return image_fail(error, "%s: %lld x %lld pixels, but its image %s has %lld x %lld",
                          sample->mask_path, (long long)mask->width, (long long)mask->height,
                          sample->path, (long long)image->width, (long long)image->height);
    }
    return fit(mask, 1, &as_in_file, error) && make_binary(mask, sample->mask_path, error);
}

static bool crop(struct image *image, const struct field_of_view *box, struct image_error *error)
{
    struct image cropped;
    const bool done =
        image_crop(&cropped, image, box->left, box->top, box->width, box->height, error);
    image_destroy(image);
    *image = cropped;
    return done;
}

static bool crop_to_field(struct image *image, struct image *mask, struct image_error *error)
{
    struct field_of_view box;
    return field_of_view_find(&box, NULL, image, error) && crop(image, &box, error) &&
           (!mask->pixels || crop(mask, &box, error));
}

static bool pad_to_square(struct image *image, struct image_error *error)
{
    struct image square;
    const bool padded = image_pad_to_square(&square, image, error);
    image_destroy(image);
    *image = square;
    return padded;
}

static bool bring_into_form(struct image *image, struct image *mask,
                            const struct dataset_form *form, struct image_error *error)
{
    if ((form->crop_to_field && !crop_to_field(image, mask, error)) ||
        (form->pad_to_square && !pad_to_square(image, error)) ||
        (form->pad_to_square && mask->pixels && !pad_to_square(mask, error)) ||
        !fit(image, form->channels, form, error)) {
        return false;
    }
    if (mask->pixels) {
        if (!fit(mask, 1, form, error)) {
            return false;
        }
        image_threshold(mask, 0.5f);
    }
    return true;
}

bool dataset_read_sample(struct image *image, struct image *mask,
                         const struct dataset_sample *sample, const struct dataset_form *form,
                         struct image_error *error)
{
    *mask = (struct image){0};
    if (image_read(image, sample->path, &form->limits, error) &&
        (!sample->mask_path || read_mask(mask, image, sample, form, error))) {
        if (bring_into_form(image, mask, form, error)) {
            return true;
        }
        const struct image_error reason = *error;
        image_fail(error, "%s: %s", sample->path, reason.text);
    }
    image_destroy(image);
    image_destroy(mask);
    return false;
}
