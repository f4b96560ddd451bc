/* SPDX-License-Identifier: BSD-2-Clause */
#include "batch.h"
#include "stopwatch.h"

#include <math.h>
#include <stdlib.h>

/* One run that takes images one after another, reshaped where their size changes. */
struct judge {
    const struct experiment_model *model;
    sfconv_run *run;
    int64_t width;
    int64_t height;
    double seconds;
    double logit; /* above it a pixel is foreground */
    struct image_error *error;
};

static bool check(struct judge *judge, sfconv_status status, const char *what)
{
    return experiment_check(judge->model->context, status, what, judge->error);
}

static bool fit(struct judge *judge, const struct image *image)
{
    const int64_t width = batch_round_up(judge->model, image->width);
    const int64_t height = batch_round_up(judge->model, image->height);
    const sfconv_shape shape = {1, judge->model->channels, height, width};
    if (width == judge->width && height == judge->height) {
        return true;
    }
    judge->width = width;
    judge->height = height;
    return check(judge, sfconv_run_reshape(judge->run, &shape, 1, NULL, 0), "network");
}

static bool open_judge(struct judge *judge, const struct experiment_model *model,
                       struct image_error *error)
{
    *judge = (struct judge){
        .model = model, .logit = log(model->threshold / (1.0 - model->threshold)), .error = error};
    return check(judge, sfconv_run_create(&judge->run, model->net, SFCONV_MODE_INFERENCE),
                 "network");
}

/* A model file may describe a network that does not do what the file says. */
static bool check_output(struct judge *judge, const sfconv_view *logits)
{
    const struct experiment_model *model = judge->model;
    const int64_t channels = model->segments ? 1 : model->class_count;
    const int64_t height = model->segments ? judge->height : 1;
    const int64_t width = model->segments ? judge->width : 1;
    if (logits->shape[1] == channels && logits->shape[2] == height && logits->shape[3] == width) {
        return true;
    }
    return image_fail(
        judge->error, "network: expected logits of %lldx%lldx%lld, got %lldx%lldx%lld",
        (long long)channels, (long long)height, (long long)width, (long long)logits->shape[1],
        (long long)logits->shape[2], (long long)logits->shape[3]);
}

/* Logits of one image. Only the network's own work is timed. */
static bool compute(struct judge *judge, const struct image *image, sfconv_view *logits)
{
    sfconv_view input;
    if (!fit(judge, image) || !check(judge, sfconv_run_input(judge->run, 0, &input), "network") ||
        !batch_put_image(judge->model, &input, 0, image, judge->error)) {
        return false;
    }
    const double start = stopwatch_seconds();
    const sfconv_status status = sfconv_run_forward(judge->run);
    judge->seconds += stopwatch_seconds() - start;
    return check(judge, status, "network") &&
           check(judge, sfconv_run_output(judge->run, 0, logits), "network") &&
           check_output(judge, logits);
}

/* The part of a map that belongs to the image, not to what it was filled up with. */
static sfconv_view image_part(const sfconv_view *map, const struct image *image)
{
    sfconv_view part = *map;
    part.shape[2] = image->height;
    part.shape[3] = image->width;
    return part;
}

struct sums {
    double dice;
    double square;
    sfconv_overlap all;
};

static bool judge_mask(struct judge *judge, const sfconv_view *logits, const struct image *mask,
                       struct sums *sums)
{
    sfconv_overlap one = SFCONV_OVERLAP_INIT;
    sfconv_view truth;
    const sfconv_view part = image_part(logits, mask);
    const int64_t shape[4] = {1, 1, mask->height, mask->width};
    if (!check(judge, sfconv_view_init(&truth, mask->pixels, 4, shape), "mask") ||
        !check(judge, sfconv_overlap_add(judge->model->context, &one, &part, &truth, judge->logit),
               "mask") ||
        !check(judge,
               sfconv_overlap_add(judge->model->context, &sums->all, &part, &truth, judge->logit),
               "mask")) {
        return false;
    }
    const double dice = sfconv_overlap_dice(&one);
    sums->dice += dice;
    sums->square += dice * dice;
    return true;
}

static bool judge_set(struct judge *judge, const struct dataset *set, sfconv_confusion *confusion,
                      struct sums *sums)
{
    for (int64_t i = 0; i < set->count; i++) {
        struct image image;
        struct image mask = {0};
        sfconv_view logits;
        if (!dataset_get(&image, confusion ? NULL : &mask, set, i, judge->error)) {
            return false;
        }
        bool ok = compute(judge, &image, &logits);
        if (ok && confusion) {
            ok = check(judge,
                       sfconv_confusion_add_logits(confusion, &logits, &set->samples[i].label),
                       "label");
        } else if (ok) {
            ok = judge_mask(judge, &logits, &mask, sums);
        }
        image_destroy(&image);
        image_destroy(&mask);
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool score_classes(struct experiment_score *score, struct judge *judge,
                          const sfconv_confusion *confusion)
{
    return check(judge, sfconv_confusion_accuracy(confusion, &score->metric), "accuracy") &&
           check(judge, sfconv_confusion_quadratic_kappa(confusion, &score->kappa), "kappa");
}

static void score_masks(struct experiment_score *score, const struct sums *sums)
{
    const double count = (double)score->images;
    score->metric = sums->dice / count;
    const double variance = sums->square / count - score->metric * score->metric;
    score->spread = variance > 0.0 ? sqrt(variance) : 0.0;
    score->sensitivity = sfconv_overlap_sensitivity(&sums->all);
    score->specificity = sfconv_overlap_specificity(&sums->all);
}

bool experiment_evaluate(struct experiment_score *score, const struct experiment_model *model,
                         const struct dataset *set, struct image_error *error)
{
    struct judge judge;
    struct sums sums = {0.0, 0.0, SFCONV_OVERLAP_INIT};
    sfconv_confusion *confusion = NULL;
    *score = (struct experiment_score){.images = set->count};
    if (set->count == 0) {
        return image_fail(error, "there is no image to judge the network by");
    }
    bool ok = open_judge(&judge, model, error);
    if (ok && !model->segments) {
        ok = check(&judge, sfconv_confusion_create(&confusion, model->context, model->class_count),
                   "classes");
    }
    ok = ok && judge_set(&judge, set, confusion, &sums);
    if (ok && model->segments) {
        score_masks(score, &sums);
    } else if (ok) {
        ok = score_classes(score, &judge, confusion);
    }
    score->images_per_second = judge.seconds > 0.0 ? (double)set->count / judge.seconds : 0.0;
    sfconv_confusion_destroy(confusion);
    sfconv_run_destroy(judge.run);
    return ok;
}

static void sigmoid_map(struct image *probability, const sfconv_view *logits)
{
    for (int64_t y = 0; y < probability->height; y++) {
        const float *row = logits->data + y * logits->stride[2];
        for (int64_t x = 0; x < probability->width; x++) {
            probability->pixels[y * probability->width + x] =
                (float)(1.0 / (1.0 + exp(-(double)row[x])));
        }
    }
}

static void softmax_row(struct image *probability, const sfconv_view *logits)
{
    double sum = 0.0;
    double largest = logits->data[0];
    for (int64_t c = 1; c < probability->width; c++) {
        largest = fmax(largest, logits->data[c * logits->stride[1]]);
    }
    for (int64_t c = 0; c < probability->width; c++) {
        sum += exp(logits->data[c * logits->stride[1]] - largest);
    }
    for (int64_t c = 0; c < probability->width; c++) {
        const double value = exp(logits->data[c * logits->stride[1]] - largest) / sum;
        probability->pixels[c] = (float)value;
    }
}

static bool answer(struct image *probability, struct judge *judge, const struct image *image)
{
    const struct experiment_model *model = judge->model;
    sfconv_view logits;
    if (!compute(judge, image, &logits)) {
        return false;
    }
    const int64_t width = model->segments ? image->width : model->class_count;
    const int64_t height = model->segments ? image->height : 1;
    if (!image_create(probability, width, height, 1, judge->error)) {
        return false;
    }
    if (model->segments) {
        sigmoid_map(probability, &logits);
    } else {
        softmax_row(probability, &logits);
    }
    return true;
}

/* The same by way of the size that the model wants. */
static bool answer_resized(struct image *probability, struct judge *judge,
                           const struct image *image)
{
    struct image sized;
    struct image map = {0};
    const int64_t size = judge->model->size;
    if (!image_resize(&sized, image, size, size, judge->error)) {
        return false;
    }
    bool ok = answer(&map, judge, &sized);
    image_destroy(&sized);
    if (ok && judge->model->segments) {
        ok = image_resize(probability, &map, image->width, image->height, judge->error);
        image_destroy(&map);
    } else if (ok) {
        *probability = map;
    }
    return ok;
}

bool experiment_predict(struct image *probability, const struct experiment_model *model,
                        const struct image *image, struct image_error *error)
{
    struct judge judge;
    const bool fits =
        model->size == 0 || (image->width == model->size && image->height == model->size);
    *probability = (struct image){0};
    const bool ok =
        open_judge(&judge, model, error) &&
        (fits ? answer(probability, &judge, image) : answer_resized(probability, &judge, image));
    sfconv_run_destroy(judge.run);
    return ok;
}
