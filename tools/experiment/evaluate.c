/* SPDX-License-Identifier: BSD-2-Clause */
#include "judge.h"

#include <math.h>
#include <stdlib.h>

/* The part of a map that belongs to the image, not to what it was filled up with. */
static sfconv_view image_part(const sfconv_view *map, const struct image *image)
{
    sfconv_view part = *map;
    part.shape[2] = image->height;
    part.shape[3] = image->width;
    return part;
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
    if (!judge_check(judge, sfconv_view_init(&truth, mask->pixels, 4, shape), "mask") ||
        !judge_check(judge,
                     sfconv_overlap_add(judge->model->context, &one, &part, &truth, judge->logit),
                     "mask") ||
        !judge_check(
            judge,
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
    judge_softmax(probability, logits);
    for (int32_t c = 0; c < judge->model->class_count; c++) {
        sums->probabilities[c * set->count + index] = probability[c];
        best =
            logits->data[c * logits->stride[1]] > logits->data[best * logits->stride[1]] ? c : best;
    }
    *score = (struct experiment_image_score){.metric = best == truth ? 1.0 : 0.0,
                                             .truth = truth,
                                             .prediction = best,
                                             .probability = probability[best]};
    return judge_check(judge, sfconv_confusion_add_logits(sums->confusion, logits, &truth),
                       "label");
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
    const bool ok = judge_compute(judge, &image, NULL, &logits) &&
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
        if (!judge_check(judge,
                         sfconv_metric_auc(judge->model->context,
                                           sums->probabilities + c * set->count, sums->labels,
                                           set->count, &auc),
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
    return judge_check(judge, sfconv_confusion_accuracy(sums->confusion, &score->metric),
                       "accuracy") &&
           judge_check(judge, sfconv_confusion_quadratic_kappa(sums->confusion, &score->kappa),
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
    return judge_check(judge,
                       sfconv_confusion_create(&sums->confusion, judge->model->context, classes),
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
    if (!judge_open(&judge, model, error)) {
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
    judge_close(&judge);
    return ok;
}
