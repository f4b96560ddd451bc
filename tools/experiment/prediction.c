/* SPDX-License-Identifier: BSD-2-Clause */
#include "field_of_view.h"
#include "judge.h"

#include <math.h>
#include <string.h>

/* A part of the logits as probabilities at (left, top) of the map. */
static void put_sigmoid(struct image *map, int64_t left, int64_t top, const sfconv_view *logits,
                        int64_t from_x, int64_t from_y, int64_t width, int64_t height)
{
    for (int64_t y = 0; y < height; y++) {
        const float *row = logits->data + (from_y + y) * logits->stride[2] + from_x;
        for (int64_t x = 0; x < width; x++) {
            map->pixels[(top + y) * map->width + left + x] =
                (float)(1.0 / (1.0 + exp(-(double)row[x])));
        }
    }
}

/* One axis of a tile: the part of the image that the network sees, and what of it is kept. */
struct span {
    int64_t seen;
    int64_t seen_size;
    int64_t kept;
    int64_t kept_size;
};

/* Tiles begin at multiples of what the network takes, so that pooling meets the same pixels. */
static struct span span_at(int64_t start, int64_t tile, int64_t halo, int64_t size)
{
    const int64_t end = start + tile < size ? start + tile : size;
    const int64_t seen = start > halo ? start - halo : 0;
    const int64_t seen_end = end + halo < size ? end + halo : size;
    return (struct span){seen, seen_end - seen, start, end - start};
}

static bool answer_tile(struct image *map, struct judge *judge, const struct image *image,
                        struct span x, struct span y)
{
    struct image part;
    sfconv_view logits;
    if (!image_crop(&part, image, x.seen, y.seen, x.seen_size, y.seen_size, judge->error)) {
        return false;
    }
    const struct judge_place place = {x.seen, y.seen, image->width, image->height};
    const bool ok = judge_compute(judge, &part, &place, &logits);
    if (ok) {
        put_sigmoid(map, x.kept, y.kept, &logits, x.kept - x.seen, y.kept - y.seen, x.kept_size,
                    y.kept_size);
    }
    image_destroy(&part);
    return ok;
}

static int64_t round_up(int64_t number, int64_t multiple)
{
    return (number + multiple - 1) / multiple * multiple;
}

/* A map of the size of the image. */
static bool answer_map(struct image *map, struct judge *judge, const struct image *image,
                       const struct experiment_tiles *tiles)
{
    const int64_t multiple = judge->model->multiple;
    const int64_t longest = image->width > image->height ? image->width : image->height;
    const int64_t tile = round_up(tiles && tiles->side > 0 ? tiles->side : longest, multiple);
    const int64_t halo = tiles ? round_up(tiles->halo, multiple) : 0;
    bool ok = image_create(map, image->width, image->height, 1, judge->error);
    for (int64_t y = 0; ok && y < image->height; y += tile) {
        for (int64_t x = 0; ok && x < image->width; x += tile) {
            ok = answer_tile(map, judge, image, span_at(x, tile, halo, image->width),
                             span_at(y, tile, halo, image->height));
        }
    }
    return ok;
}

static bool answer_classes(struct image *probability, struct judge *judge,
                           const struct image *image)
{
    sfconv_view logits;
    if (!judge_compute(judge, image, NULL, &logits) ||
        !image_create(probability, judge->model->class_count, 1, 1, judge->error)) {
        return false;
    }
    judge_softmax(probability->pixels, &logits);
    return true;
}

static bool answer(struct image *probability, struct judge *judge, const struct image *image,
                   const struct experiment_tiles *tiles)
{
    return judge->model->segments ? answer_map(probability, judge, image, tiles)
                                  : answer_classes(probability, judge, image);
}

/* The same by way of the size that the model wants. */
static bool answer_resized(struct image *probability, struct judge *judge,
                           const struct image *image, const struct experiment_tiles *tiles)
{
    struct image sized;
    struct image map = {0};
    const int64_t size = judge->model->size;
    if (size == 0 || (image->width == size && image->height == size)) {
        return answer(probability, judge, image, tiles);
    }
    if (!image_resize(&sized, image, size, size, judge->error)) {
        return false;
    }
    bool ok = answer(&map, judge, &sized, tiles);
    image_destroy(&sized);
    if (ok && judge->model->segments) {
        ok = image_resize(probability, &map, image->width, image->height, judge->error);
        image_destroy(&map);
    } else if (ok) {
        *probability = map;
    }
    return ok;
}

/* The same by way of a square. */
static bool answer_padded(struct image *probability, struct judge *judge, const struct image *image,
                          const struct experiment_tiles *tiles)
{
    struct image square;
    struct image map = {0};
    if (!judge->model->pad || image->width == image->height) {
        return answer_resized(probability, judge, image, tiles);
    }
    if (!image_pad_to_square(&square, image, judge->error)) {
        return false;
    }
    bool ok = answer_resized(&map, judge, &square, tiles);
    const int64_t side = square.width;
    image_destroy(&square);
    if (ok && judge->model->segments) {
        ok = image_crop(probability, &map, (side - image->width) / 2, (side - image->height) / 2,
                        image->width, image->height, judge->error);
        image_destroy(&map);
    } else if (ok) {
        *probability = map;
    }
    return ok;
}

/* Back to its place in the image; there is nothing to find in the border. */
static bool put_back(struct image *probability, const struct image *map, const struct image *image,
                     const struct field_of_view *box, struct image_error *error)
{
    return image_pad(probability, map, box->left, box->top, image->width - box->left - box->width,
                     image->height - box->top - box->height, 0.0f, error);
}

/* The same by way of the field of view. */
static bool answer_in_field(struct image *probability, struct judge *judge,
                            const struct image *image, const struct experiment_tiles *tiles)
{
    struct field_of_view box;
    struct image field;
    struct image map = {0};
    if (!judge->model->field_of_view) {
        return answer_padded(probability, judge, image, tiles);
    }
    if (!field_of_view_find(&box, NULL, image, judge->error) ||
        !image_crop(&field, image, box.left, box.top, box.width, box.height, judge->error)) {
        return false;
    }
    bool ok = answer_padded(&map, judge, &field, tiles);
    image_destroy(&field);
    if (ok && judge->model->segments) {
        ok = put_back(probability, &map, image, &box, judge->error);
        image_destroy(&map);
    } else if (ok) {
        *probability = map;
    }
    return ok;
}

bool experiment_predict(struct image *probability, const struct experiment_model *model,
                        const struct image *image, const struct experiment_tiles *tiles,
                        struct image_error *error)
{
    struct judge judge;
    *probability = (struct image){0};
    const bool ok =
        judge_open(&judge, model, error) && answer_in_field(probability, &judge, image, tiles);
    judge_close(&judge);
    if (!ok) {
        image_destroy(probability);
    }
    return ok;
}

bool experiment_predict_sample(struct image *probability, const struct experiment_model *model,
                               const struct image *image, struct image_error *error)
{
    struct judge judge;
    *probability = (struct image){0};
    const bool ok =
        judge_open(&judge, model, error) && answer_resized(probability, &judge, image, NULL);
    judge_close(&judge);
    if (!ok) {
        image_destroy(probability);
    }
    return ok;
}
