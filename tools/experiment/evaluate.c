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

/* Probabilities of the classes. */
static void softmax(float *probability, const sfconv_view *logits)
{
    double sum = 0.0;
    double largest = logits->data[0];
    for (int64_t c = 1; c < logits->shape[1]; c++) {
        largest = fmax(largest, logits->data[c * logits->stride[1]]);
    }
    for (int64_t c = 0; c < logits->shape[1]; c++) {
        sum += exp(logits->data[c * logits->stride[1]] - largest);
    }
    for (int64_t c = 0; c < logits->shape[1]; c++) {
        const double value = exp(logits->data[c * logits->stride[1]] - largest) / sum;
        probability[c] = (float)value;
    }
}

/* What is gathered over a set. */
struct sums {
    double dice;
    double square;
    double iou;
    sfconv_overlap all;
    sfconv_confusion *confusion; /* NULL for masks */
    float *probabilities;        /* [class][image] */
    int32_t *labels;
};

static bool judge_mask(struct judge *judge, const sfconv_view *logits, const struct image *mask,
                       struct sums *sums, struct experiment_image_score *score)
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
    *score = (struct experiment_image_score){.metric = sfconv_overlap_dice(&one),
                                             .iou = sfconv_overlap_iou(&one),
                                             .sensitivity = sfconv_overlap_sensitivity(&one),
                                             .specificity = sfconv_overlap_specificity(&one),
                                             .truth = -1,
                                             .prediction = -1};
    sums->dice += score->metric;
    sums->square += score->metric * score->metric;
    sums->iou += score->iou;
    return true;
}

static bool judge_class(struct judge *judge, const sfconv_view *logits, const struct dataset *set,
                        int64_t index, struct sums *sums, struct experiment_image_score *score)
{
    float probability[EXPERIMENT_MAX_CLASSES];
    const int32_t truth = set->samples[index].label;
    int32_t best = 0;
    softmax(probability, logits);
    for (int32_t c = 0; c < judge->model->class_count; c++) {
        sums->probabilities[c * set->count + index] = probability[c];
        best =
            logits->data[c * logits->stride[1]] > logits->data[best * logits->stride[1]] ? c : best;
    }
    *score = (struct experiment_image_score){.metric = best == truth ? 1.0 : 0.0,
                                             .truth = truth,
                                             .prediction = best,
                                             .probability = probability[best]};
    return check(judge, sfconv_confusion_add_logits(sums->confusion, logits, &truth), "label");
}

static bool judge_image(struct judge *judge, const struct dataset *set, int64_t index,
                        struct sums *sums, struct experiment_image_score *score)
{
    const bool segments = judge->model->segments;
    struct image image;
    struct image mask = {0};
    sfconv_view logits;
    if (!dataset_get(&image, segments ? &mask : NULL, set, index, judge->error)) {
        return false;
    }
    const bool ok = compute(judge, &image, &logits) &&
                    (segments ? judge_mask(judge, &logits, &mask, sums, score)
                              : judge_class(judge, &logits, set, index, sums, score));
    image_destroy(&image);
    image_destroy(&mask);
    return ok;
}

/* Mean over the classes that occur, but not everywhere; ½ where there is none. */
static bool mean_auc(double *mean, struct judge *judge, const struct dataset *set,
                     const struct sums *sums)
{
    int32_t classes = 0;
    double sum = 0.0;
    for (int32_t c = 0; c < judge->model->class_count; c++) {
        int64_t found = 0;
        double auc;
        for (int64_t i = 0; i < set->count; i++) {
            sums->labels[i] = set->samples[i].label == c;
            found += sums->labels[i];
        }
        if (found == 0 || found == set->count) {
            continue;
        }
        if (!check(judge,
                   sfconv_metric_auc(judge->model->context, sums->probabilities + c * set->count,
                                     sums->labels, set->count, &auc),
                   "AUC")) {
            return false;
        }
        sum += auc;
        classes++;
    }
    *mean = classes > 0 ? sum / classes : 0.5;
    return true;
}

static bool score_classes(struct experiment_score *score, struct judge *judge,
                          const struct dataset *set, const struct sums *sums)
{
    return check(judge, sfconv_confusion_accuracy(sums->confusion, &score->metric), "accuracy") &&
           check(judge, sfconv_confusion_quadratic_kappa(sums->confusion, &score->kappa),
                 "kappa") &&
           mean_auc(&score->auc, judge, set, sums);
}

static void score_masks(struct experiment_score *score, const struct sums *sums)
{
    const double count = (double)score->images;
    score->metric = sums->dice / count;
    const double variance = sums->square / count - score->metric * score->metric;
    score->spread = variance > 0.0 ? sqrt(variance) : 0.0;
    score->iou = sums->iou / count;
    score->sensitivity = sfconv_overlap_sensitivity(&sums->all);
    score->specificity = sfconv_overlap_specificity(&sums->all);
}

static bool open_sums(struct sums *sums, struct judge *judge, const struct dataset *set)
{
    const int32_t classes = judge->model->class_count;
    *sums = (struct sums){.all = SFCONV_OVERLAP_INIT};
    if (judge->model->segments) {
        return true;
    }
    sums->labels = calloc((size_t)set->count, sizeof *sums->labels);
    sums->probabilities = calloc((size_t)(set->count * classes), sizeof *sums->probabilities);
    if (!sums->labels || !sums->probabilities) {
        return image_fail(judge->error, "probabilities: out of memory");
    }
    return check(judge, sfconv_confusion_create(&sums->confusion, judge->model->context, classes),
                 "classes");
}

static void close_sums(struct sums *sums)
{
    sfconv_confusion_destroy(sums->confusion);
    free(sums->probabilities);
    free(sums->labels);
}

bool experiment_evaluate(struct experiment_score *score, struct experiment_image_score *images,
                         const struct experiment_model *model, const struct dataset *set,
                         struct image_error *error)
{
    struct judge judge;
    struct sums sums;
    struct experiment_image_score one;
    *score = (struct experiment_score){.images = set->count};
    if (set->count == 0) {
        return image_fail(error, "there is no image to judge the network by");
    }
    if (!open_judge(&judge, model, error)) {
        return false;
    }
    bool ok = open_sums(&sums, &judge, set);
    for (int64_t i = 0; ok && i < set->count; i++) {
        ok = judge_image(&judge, set, i, &sums, images ? &images[i] : &one);
    }
    if (ok && model->segments) {
        score_masks(score, &sums);
    } else if (ok) {
        ok = score_classes(score, &judge, set, &sums);
    }
    score->images_per_second = judge.seconds > 0.0 ? (double)set->count / judge.seconds : 0.0;
    close_sums(&sums);
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
        softmax(probability->pixels, &logits);
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
