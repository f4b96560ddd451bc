/* SPDX-License-Identifier: BSD-2-Clause */
#include "judge.h"

#include "batch.h"
#include "stopwatch.h"

#include <math.h>

bool judge_check(struct judge *judge, sfconv_status status, const char *what)
{
    return experiment_check(judge->model->context, status, what, judge->error);
}

/* From the second image of a size on: for one alone it would not pay. */
static bool freeze(struct judge *judge)
{
    if (judge->frozen) {
        return true;
    }
    judge->frozen = true;
    return judge_check(judge, sfconv_run_freeze(judge->run, NULL, 0), "network");
}

static bool fit(struct judge *judge, const struct image *image)
{
    const int64_t width = batch_round_up(judge->model, image->width);
    const int64_t height = batch_round_up(judge->model, image->height);
    const sfconv_shape shape = {1, judge->model->channels, height, width};
    if (width == judge->width && height == judge->height) {
        return freeze(judge);
    }
    judge->width = width;
    judge->height = height;
    judge->frozen = false;
    return judge_check(judge, sfconv_run_reshape(judge->run, &shape, 1, NULL, 0), "network");
}

/* What depends on the size of the whole image then does what it would do there. */
static bool put_in_place(struct judge *judge, const struct judge_place *place)
{
    return !place || judge_check(judge,
                                 sfconv_run_set_window(judge->run, place->top, place->left,
                                                       batch_round_up(judge->model, place->height),
                                                       batch_round_up(judge->model, place->width)),
                                 "network");
}

bool judge_open(struct judge *judge, const struct experiment_model *model,
                struct image_error *error)
{
    *judge = (struct judge){
        .model = model, .logit = log(model->threshold / (1.0 - model->threshold)), .error = error};
    return judge_check(judge, sfconv_run_create(&judge->run, model->net, SFCONV_MODE_INFERENCE),
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

bool judge_compute(struct judge *judge, const struct image *image, const struct judge_place *place,
                   sfconv_view *logits)
{
    sfconv_view input;
    if (!fit(judge, image) || !put_in_place(judge, place) ||
        !judge_check(judge, sfconv_run_input(judge->run, 0, &input), "network") ||
        !batch_put_image(judge->model, &input, 0, image, judge->error)) {
        return false;
    }
    const double start = stopwatch_seconds();
    const sfconv_status status = sfconv_run_forward(judge->run);
    judge->seconds += stopwatch_seconds() - start;
    return judge_check(judge, status, "network") &&
           judge_check(judge, sfconv_run_output(judge->run, 0, logits), "network") &&
           check_output(judge, logits);
}

void judge_close(struct judge *judge)
{
    sfconv_run_destroy(judge->run);
}

void judge_softmax(float *probability, const sfconv_view *logits)
{
    double sum = 0.0;
    double largest = logits->data[0];
    for (int64_t c = 1; c < logits->shape[1]; c++) {
        /* Not fmax(): gcc 12 for ARM cannot compile it here. */
        const double logit = logits->data[c * logits->stride[1]];
        largest = logit > largest ? logit : largest;
    }
    for (int64_t c = 0; c < logits->shape[1]; c++) {
        sum += exp(logits->data[c * logits->stride[1]] - largest);
    }
    for (int64_t c = 0; c < logits->shape[1]; c++) {
        const double value = exp(logits->data[c * logits->stride[1]] - largest) / sum;
        probability[c] = (float)value;
    }
}
