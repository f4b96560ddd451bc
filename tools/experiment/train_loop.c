/* SPDX-License-Identifier: BSD-2-Clause */
#include "train_loop.h"

#include "batch.h"
#include "sample_order.h"
#include "stopwatch.h"
#include "train_state.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Everything that lives as long as one training. */
struct training {
    struct experiment_model *model;
    const struct dataset *train;
    const struct dataset *validation;
    const struct experiment_options *options;
    struct image_error *error;
    sfconv_run *run;
    sfconv_optimizer *optimizer;
    sfconv_schedule *schedule;
    int64_t width; /* of what a step sees */
    int64_t height;
    int64_t image_width; /* of the first image */
    int64_t image_height;
    int64_t *order;
    float *targets;
    int32_t *labels;
    float *class_weights; /* NULL: all the same */
    float *best;
    struct train_position at;
    double penalty;
    char settings[TRAIN_SETTINGS_CAPACITY];
};

static bool check(struct training *t, sfconv_status status, const char *what)
{
    return experiment_check(t->model->context, status, what, t->error);
}

static int64_t parameter_floats(const sfconv_net *net)
{
    int64_t count = 0;
    for (int32_t i = 0; i < sfconv_net_parameter_count(net); i++) {
        sfconv_parameter_info info = SFCONV_PARAMETER_INFO_INIT;
        if (sfconv_net_parameter(net, i, &info) == SFCONV_OK) {
            count += sfconv_view_count(&info.view);
        }
    }
    return count;
}

/* All parameters and buffers of the net to `copy`, or back. */
static void exchange(const sfconv_net *net, float *copy, bool to_net)
{
    for (int32_t i = 0; i < sfconv_net_parameter_count(net); i++) {
        sfconv_parameter_info info = SFCONV_PARAMETER_INFO_INIT;
        if (sfconv_net_parameter(net, i, &info) != SFCONV_OK) {
            continue;
        }
        const size_t count = (size_t)sfconv_view_count(&info.view);
        memcpy(to_net ? info.view.data : copy, to_net ? copy : info.view.data,
               count * sizeof(float));
        copy += count;
    }
}

/* A classifier sees whole images, and those of a batch have one size. */
static bool fit_whole(struct training *t, const struct image *image, const char *path)
{
    if (t->width == 0) {
        t->width = image->width;
        t->height = image->height;
    }
    return (image->width == t->width && image->height == t->height) ||
           image_fail(t->error,
                      "%s: %lldx%lld pixels, the images before have %lldx%lld; --size N brings all "
                      "to one size",
                      path, (long long)image->width, (long long)image->height, (long long)t->width,
                      (long long)t->height);
}

/* Checks the window that the caller asks for, or shrinks it to what the network takes of the image.
 */
static bool fit_window(struct training *t, const struct image *image, const char *path)
{
    const int64_t crop = t->options->crop;
    const int64_t least = crop > 0 ? crop : t->model->multiple;
    if (image->width < least || image->height < least) {
        return image_fail(
            t->error,
            "%s: %lldx%lld pixels are too few for training windows of %lldx%lld; --size N brings "
            "all to one size, or leave it out",
            path, (long long)image->width, (long long)image->height, (long long)least,
            (long long)least);
    }
    const int64_t width = crop > 0 ? crop : batch_round_down(t->model, image->width);
    const int64_t height = crop > 0 ? crop : batch_round_down(t->model, image->height);
    t->width = t->width == 0 || width < t->width ? width : t->width;
    t->height = t->height == 0 || height < t->height ? height : t->height;
    return true;
}

static bool choose_window(struct training *t)
{
    const bool segments = t->model->segments;
    if (segments && t->options->crop % t->model->multiple != 0) {
        return image_fail(t->error, "windows of %lldx%lld pixels: %s takes multiples of %lld",
                          (long long)t->options->crop, (long long)t->options->crop,
                          sfconv_model_name(t->options->model), (long long)t->model->multiple);
    }
    for (int64_t i = 0; i < t->train->count; i++) {
        const char *path = t->train->samples[i].path;
        struct image image;
        if (!dataset_get(&image, NULL, t->train, i, t->error)) {
            return false;
        }
        t->image_width = i == 0 ? image.width : t->image_width;
        t->image_height = i == 0 ? image.height : t->image_height;
        const bool fits = segments ? fit_window(t, &image, path) : fit_whole(t, &image, path);
        image_destroy(&image);
        if (!fits) {
            return false;
        }
    }
    return true;
}

/* One image shows what it looks like itself, not what its class looks like. */
static bool check_classes(struct training *t)
{
    const struct dataset *train = t->train;
    for (int32_t c = 0; c < train->class_count; c++) {
        const struct dataset_sample *only = dataset_only_sample(train, c);
        if (only) {
            return image_fail(t->error,
                              "%s: the only training image of class '%s'; add more or leave it out",
                              only->path, train->class_names[c]);
        }
    }
    return true;
}

/* Mean 1 over the images. */
static bool weigh_classes(struct training *t)
{
    const struct dataset *train = t->train;
    t->class_weights = calloc((size_t)train->class_count, sizeof *t->class_weights);
    if (!t->class_weights) {
        return image_fail(t->error, "training: out of memory");
    }
    for (int64_t i = 0; i < train->count; i++) {
        t->class_weights[train->samples[i].label] += 1.0f;
    }
    for (int32_t c = 0; c < train->class_count; c++) {
        /* A class may have no image where a table lists none of it. */
        const float count = t->class_weights[c];
        t->class_weights[c] =
            count > 0.0f ? (float)train->count / ((float)train->class_count * count) : 0.0f;
    }
    return true;
}

static bool prepare(struct training *t)
{
    const struct experiment_options *options = t->options;
    const int64_t batch = options->batch < t->train->count ? options->batch : t->train->count;
    const int64_t steps = (t->train->count / batch) * options->epochs;
    sfconv_optimizer_desc optimizer = SFCONV_OPTIMIZER_DESC_INIT;
    sfconv_schedule_desc schedule = SFCONV_SCHEDULE_DESC_INIT;
    optimizer.kind = options->decay > 0.0 ? SFCONV_OPTIMIZER_ADAMW : SFCONV_OPTIMIZER_ADAM;
    optimizer.weight_decay = options->decay;
    /* Its regularizer takes the place of the decay. */
    optimizer.decay_factors = options->method != SFCONV_METHOD_FCONV;
    schedule.kind = SFCONV_SCHEDULE_COSINE;
    schedule.rate = options->rate;
    schedule.factor = 0.01;
    schedule.total = steps > 1 ? steps : 2;
    schedule.warmup = schedule.total / 20;
    const sfconv_shape shape = {batch, t->model->channels, t->height, t->width};
    sfconv_net *net = t->model->net;
    if (!check(t, sfconv_run_create(&t->run, net, SFCONV_MODE_TRAINING), "training") ||
        !check(t, sfconv_run_reshape(t->run, &shape, 1, NULL, 0), "training") ||
        !check(t, sfconv_run_set_seed(t->run, options->seed, 0), "training") ||
        !check(t, sfconv_optimizer_create(&t->optimizer, net, &optimizer), "optimizer") ||
        !check(t, sfconv_schedule_create(&t->schedule, t->model->context, &schedule),
               "learning rate")) {
        return false;
    }
    const int64_t pixels = t->model->segments ? t->width * t->height : 1;
    t->order = calloc((size_t)t->train->count, sizeof *t->order);
    t->targets = calloc((size_t)(batch * pixels), sizeof *t->targets);
    t->labels = calloc((size_t)batch, sizeof *t->labels);
    t->best = calloc((size_t)parameter_floats(net), sizeof *t->best);
    if (!t->order || !t->targets || !t->labels || !t->best) {
        return image_fail(t->error, "training: out of memory");
    }
    if (options->balance == EXPERIMENT_BALANCE_WEIGHTS && !weigh_classes(t)) {
        return false;
    }
    t->at = (struct train_position){.epoch = 1, .best_metric = -1.0};
    train_settings(t->settings, t->model, t->train, options);
    return true;
}

static sfconv_checkpoint parts_of(const struct training *t)
{
    sfconv_checkpoint parts = SFCONV_CHECKPOINT_INIT;
    parts.net = t->model->net;
    parts.optimizer = t->optimizer;
    parts.schedule = t->schedule;
    parts.run = t->run;
    return parts;
}

static bool save_state(struct training *t)
{
    const struct experiment_files *files = t->options->files;
    return !files || train_state_save(files->state, parts_of(t), &t->at, t->settings,
                                      t->model->context, t->error);
}

/* The best parameters are those of the model file; then comes the state itself. */
static bool resume(struct training *t)
{
    const struct experiment_files *files = t->options->files;
    if (!files || !files->resume) {
        return true;
    }
    if (!train_state_load(files->state, parts_of(t), &t->at, t->settings, t->model->context,
                          t->error)) {
        return false;
    }
    if (t->at.best_epoch == 0) {
        return true;
    }
    if (!check(t, sfconv_net_load(t->model->net, files->best, 0, NULL, NULL), "best model")) {
        return false;
    }
    exchange(t->model->net, t->best, false);
    return train_state_load(files->state, parts_of(t), &t->at, t->settings, t->model->context,
                            t->error);
}

/* A disk that has no room for the state is found before an epoch was spent on it. What is saved
 * holds nothing yet, and would stand in the way of beginning anew with other options. */
static bool try_saving(struct training *t)
{
    const struct experiment_files *files = t->options->files;
    if (!files || files->resume) {
        return true;
    }
    if (!save_state(t)) {
        return false;
    }
    return remove(files->state) == 0 ||
           image_fail(t->error, "%s: %s", files->state, strerror(errno));
}

/* What the texts of a model file tell of its training. */
static bool save_model(struct training *t, const char *path, const struct experiment_progress *p)
{
    char epoch[32];
    char validation[32];
    char image[64];
    const char *const facts[] = {"training.settings",
                                 t->settings,
                                 "training.epoch",
                                 epoch,
                                 "training.validation",
                                 validation,
                                 "training.image",
                                 image,
                                 NULL};
    snprintf(epoch, sizeof epoch, "%lld", (long long)p->epoch);
    snprintf(validation, sizeof validation, "%.6f", p->validation);
    snprintf(image, sizeof image, "%lldx%lld", (long long)t->image_width,
             (long long)t->image_height);
    return experiment_save(t->model, path, facts, t->error);
}

/* The state comes last: whoever resumes an earlier one writes the same log and models again. */
static bool save_epoch(struct training *t, const struct experiment_progress *p)
{
    const struct experiment_files *files = t->options->files;
    if (!files || ((!files->log || files->log(files->log_user, p, t->error)) &&
                   (!p->best || save_model(t, files->best, p)) && save_model(t, files->last, p) &&
                   save_state(t))) {
        return true;
    }
    const struct image_error reason = *t->error;
    if (p->epoch == 1 && !files->resume) {
        return false;
    }
    return image_fail(t->error, "%s; --resume goes on from the state before, once it can be saved",
                      reason.text);
}

/* Sample `index` of the set to place `place` of the batch. */
static bool put_sample(struct training *t, const sfconv_view *input, const sfconv_view *target,
                       int64_t place, int64_t index, uint64_t draw)
{
    const bool segments = t->model->segments;
    struct augment_options changes = {0};
    struct image image = {0};
    struct image mask = {0};
    if (!dataset_get(&image, segments ? &mask : NULL, t->train, index, t->error)) {
        return false;
    }
    changes.flip_horizontal = changes.flip_vertical = changes.rotate90 = t->options->augment;
    changes.brightness = t->options->augment ? 0.05 : 0.0;
    changes.contrast = t->options->augment ? 0.15 : 0.0;
    changes.crop_width = t->width;
    changes.crop_height = t->height;
    bool ok = augment(&image, segments ? &mask : NULL, &changes, t->options->seed, draw, t->error);
    ok = ok && batch_put_image(t->model, input, place, &image, t->error);
    if (ok && segments) {
        batch_put_mask(target, place, &mask);
    }
    t->labels[place] = t->train->samples[index].label;
    image_destroy(&image);
    image_destroy(&mask);
    return ok;
}

static bool fill_batch(struct training *t, int64_t first, sfconv_view *target)
{
    sfconv_view input;
    if (!check(t, sfconv_run_input(t->run, 0, &input), "training")) {
        return false;
    }
    const bool segments = t->model->segments;
    const int64_t shape[4] = {input.shape[0], 1, segments ? t->height : 1, segments ? t->width : 1};
    if (!check(t, sfconv_view_init(target, t->targets, 4, shape), "training")) {
        return false;
    }
    for (int64_t place = 0; place < input.shape[0]; place++) {
        const uint64_t draw = (uint64_t)(t->at.steps_done * input.shape[0] + place);
        if (!put_sample(t, &input, target, place, t->order[first + place], draw)) {
            return false;
        }
    }
    return true;
}

static bool compute_loss(struct training *t, const sfconv_view *target, double *loss)
{
    sfconv_view logits;
    sfconv_view gradient;
    sfconv_context *context = t->model->context;
    if (!check(t, sfconv_run_output(t->run, 0, &logits), "loss") ||
        !check(t, sfconv_run_output_gradient(t->run, 0, &gradient), "loss")) {
        return false;
    }
    sfconv_cross_entropy_desc weighed = SFCONV_CROSS_ENTROPY_DESC_INIT;
    weighed.class_weights = t->class_weights;
    const sfconv_status status =
        t->model->segments
            ? sfconv_loss_bce_dice(context, &logits, target, 1.0, 1.0, loss, &gradient)
            : sfconv_loss_cross_entropy(context, &logits, t->labels, &weighed, loss, &gradient);
    return check(t, status, "loss");
}

static bool train_step(struct training *t, int64_t first, double *loss)
{
    sfconv_view target;
    double rate;
    *loss = 0.0;
    const bool ok =
        fill_batch(t, first, &target) && check(t, sfconv_run_forward(t->run), "forward") &&
        compute_loss(t, &target, loss) && check(t, sfconv_run_zero_gradients(t->run), "backward") &&
        check(t, sfconv_run_backward(t->run), "backward") &&
        check(t, sfconv_run_regularize(t->run, &t->penalty), "regularizer") &&
        check(t, sfconv_run_clip_gradients(t->run, 5.0, NULL), "gradients") &&
        check(t, sfconv_schedule_rate(t->schedule, t->at.steps_done, &rate), "learning rate") &&
        check(t, sfconv_optimizer_step(t->optimizer, t->run, rate), "optimizer");
    t->at.steps_done++;
    if (ok && !isfinite(*loss + t->penalty)) {
        return image_fail(t->error, "loss %g, penalty %g: not finite (%s)", *loss, t->penalty,
                          sfconv_status_name(SFCONV_ERROR_NUMERIC));
    }
    return ok;
}

/* Puts the place in front of the reason, and behind it what to do. What fails once training goes on
 * is nearly always numbers that grew out of bounds; else it is a file that is read again. */
static bool fail_at(struct training *t, const struct experiment_progress *progress)
{
    const struct experiment_files *files = t->options->files;
    const struct image_error reason = *t->error;
    const char *advice = "";
    if (strstr(reason.text, sfconv_status_name(SFCONV_ERROR_NUMERIC))) {
        advice = "; a smaller --rate keeps numbers in bounds";
    } else if (files && access(files->state, F_OK) == 0) {
        advice = "; then --resume goes on";
    }
    return image_fail(t->error, "training stopped in epoch %lld, step %lld: %s%s",
                      (long long)progress->epoch, (long long)progress->step, reason.text, advice);
}

/* Is the epoch one that is judged? */
static bool validates(const struct training *t, int64_t epoch)
{
    const int64_t every = t->options->validate_every;
    return every <= 1 || epoch % every == 0 || epoch == t->options->epochs;
}

/* Judges the epoch, keeps its parameters if they are the best so far, and moves on to the next. */
static bool finish_epoch(struct training *t, struct experiment_progress *progress)
{
    progress->epoch_done = true;
    progress->best = true;
    progress->validation = NAN;
    if (t->validation->count > 0 && !validates(t, t->at.epoch)) {
        progress->best = false;
    } else if (t->validation->count > 0) {
        struct experiment_score score;
        if (!experiment_evaluate(&score, NULL, t->model, t->validation, t->error)) {
            return false;
        }
        progress->validation = score.metric;
        progress->best = score.metric > t->at.best_metric;
    }
    if (progress->best) {
        t->at.best_metric = progress->validation;
        t->at.best_epoch = t->at.epoch;
        exchange(t->model->net, t->best, false);
    }
    t->at.epoch++;
    t->at.step = 0;
    t->at.loss_sum = 0.0;
    return true;
}

static bool run_steps(struct training *t, struct experiment_progress *progress,
                      experiment_watch watch, void *user, bool *go_on)
{
    const int64_t batch = t->options->batch < t->train->count ? t->options->batch : t->train->count;
    const int64_t first = t->at.step;
    const double start = stopwatch_seconds();
    progress->steps = t->train->count / batch;
    progress->loss = first > 0 ? t->at.loss_sum / (double)first : 0.0;
    if (!sample_order(t->order, t->train, t->options, progress->epoch, t->error)) {
        return false;
    }
    while (t->at.step < progress->steps && *go_on) {
        double loss;
        progress->step = t->at.step + 1;
        if (!train_step(t, t->at.step * batch, &loss)) {
            return fail_at(t, progress);
        }
        t->at.step++;
        t->at.loss_sum += loss;
        progress->loss = t->at.loss_sum / (double)t->at.step;
        progress->penalty = t->penalty;
        progress->images_per_second =
            (double)((t->at.step - first) * batch) / (stopwatch_seconds() - start);
        *go_on = !watch || watch(user, progress);
    }
    return true;
}

static bool run_epoch(struct training *t, experiment_watch watch, void *user, bool *go_on)
{
    struct experiment_progress progress = {.epoch = t->at.epoch, .epochs = t->options->epochs};
    if (!run_steps(t, &progress, watch, user, go_on)) {
        return false;
    }
    if (!*go_on) {
        return save_state(t);
    }
    if (!finish_epoch(t, &progress)) {
        return fail_at(t, &progress);
    }
    *go_on = !watch || watch(user, &progress);
    return save_epoch(t, &progress);
}

/* Too many epochs in a row without a better one? */
static bool out_of_patience(const struct training *t)
{
    return t->options->patience > 0 && validates(t, t->at.epoch - 1) &&
           t->at.epoch - 1 - t->at.best_epoch >= t->options->patience;
}

static void release(struct training *t)
{
    sfconv_schedule_destroy(t->schedule);
    sfconv_optimizer_destroy(t->optimizer);
    sfconv_run_destroy(t->run);
    free(t->order);
    free(t->targets);
    free(t->labels);
    free(t->class_weights);
    free(t->best);
}

bool experiment_run_training(struct experiment_model *model, const struct dataset *train,
                             const struct dataset *validation,
                             const struct experiment_options *options, experiment_watch watch,
                             void *user, struct image_error *error)
{
    struct training t = {.model = model,
                         .train = train,
                         .validation = validation,
                         .options = options,
                         .error = error};
    bool go_on = true;
    bool ok = check_classes(&t) && choose_window(&t) && prepare(&t) && resume(&t) && try_saving(&t);
    while (ok && go_on && t.at.epoch <= options->epochs && !out_of_patience(&t)) {
        ok = run_epoch(&t, watch, user, &go_on);
    }
    if (ok && t.at.best_epoch == 0) {
        ok = image_fail(error, "stopped before the first %s; %s",
                        options->validate_every > 1 ? "validation" : "epoch was over",
                        options->files ? "--resume goes on from there" : "nothing is kept");
    }
    if (ok) {
        exchange(model->net, t.best, true);
    }
    release(&t);
    return ok;
}
