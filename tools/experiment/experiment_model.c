/* SPDX-License-Identifier: BSD-2-Clause */
#include "batch.h"
#include "model_text.h"
#include "selection.h"
#include "train_loop.h"
#include "train_state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_CAPACITY 48
#define FIELD_OF_VIEW "field of view"
#define SQUARE "square"

bool experiment_check(const sfconv_context *context, sfconv_status status, const char *what,
                      struct image_error *error)
{
    if (status >= 0) {
        return true;
    }
    const char *reason = sfconv_context_last_error(context);
    return image_fail(error, "%s: %s (%s)", what, reason[0] ? reason : "failed",
                      sfconv_status_name(status));
}

bool experiment_segments(int32_t model)
{
    return model == SFCONV_MODEL_UNET || model == SFCONV_MODEL_TINY_SEGMENTER;
}

int64_t experiment_size_multiple(int32_t model)
{
    switch (model) {
    case SFCONV_MODEL_UNET:
        return 16;
    case SFCONV_MODEL_TINY_SEGMENTER:
        return 8;
    default:
        return 1;
    }
}

const char *experiment_balance_name(enum experiment_balance balance)
{
    static const char *const names[] = {[EXPERIMENT_BALANCE_NONE] = "none",
                                        [EXPERIMENT_BALANCE_WEIGHTS] = "weights",
                                        [EXPERIMENT_BALANCE_SAMPLING] = "sampling"};
    return names[balance];
}

struct experiment_options experiment_options_default(int32_t model, int32_t method)
{
    struct experiment_options options = {
        .model = model,
        .method = method,
        .ratio = 1.0 / 32,
        .min_rank = 1,
        .epochs = 20,
        .batch = experiment_segments(model) ? 4 : 16,
        .rate = 3e-3,
        .augment = true,
        .validate_every = 1,
        .seed = 1,
    };
    if (model == SFCONV_MODEL_TINY_CLASSIFIER || model == SFCONV_MODEL_TINY_SEGMENTER) {
        options.ratio = 1.0 / 8;
        options.min_rank = 2;
    }
    if (method == SFCONV_METHOD_SFCONV) {
        options.regularizer_weight = 0.01;
    } else if (method == SFCONV_METHOD_FCONV) {
        options.regularizer_weight = 1e-4;
    }
    return options;
}

static bool copy_classes(struct experiment_model *model, char *const *names, int32_t count,
                         struct image_error *error)
{
    model->class_names = calloc((size_t)count + 1, sizeof *model->class_names);
    for (int32_t i = 0; model->class_names && i < count; i++) {
        model->class_names[i] = strdup(names[i]);
        if (!model->class_names[i]) {
            return image_fail(error, "classes: out of memory");
        }
        model->class_count = i + 1;
    }
    return model->class_names || image_fail(error, "classes: out of memory");
}

static bool channels_of(const struct dataset *set, int64_t *channels, struct image_error *error)
{
    *channels = 0;
    for (int64_t i = 0; i < set->count; i++) {
        struct image image;
        if (!dataset_get(&image, NULL, set, i, error)) {
            return false;
        }
        *channels = image.channels > *channels ? image.channels : *channels;
        image_destroy(&image);
    }
    return set->count > 0 || image_fail(error, "there is no image to train on");
}

bool experiment_measure(struct experiment_model *model, const struct dataset *set,
                        struct image_error *error)
{
    return channels_of(set, &model->channels, error) && batch_measure(model, set, error);
}

static bool build(struct experiment_model *model, const struct experiment_options *options,
                  struct image_error *error)
{
    sfconv_model_desc desc = SFCONV_MODEL_DESC_INIT;
    desc.model = options->model;
    desc.method = options->method;
    desc.in_channels = model->channels;
    desc.out_channels = model->segments ? 1 : model->class_count;
    desc.ratio = options->ratio;
    desc.min_rank = options->min_rank;
    desc.regularizer_weight = options->regularizer_weight;
    desc.seed = options->seed;
    return experiment_check(model->context, sfconv_model_create(&model->net, model->context, &desc),
                            "network", error);
}

static bool check_options(const struct experiment_options *options, struct image_error *error)
{
    if (options->epochs < 1 || options->batch < 1 || options->crop < 0) {
        return image_fail(error, "epochs %lld, batch %lld and crop %lld: expected at least 1, 1, 0",
                          (long long)options->epochs, (long long)options->batch,
                          (long long)options->crop);
    }
    return true;
}

bool experiment_count(struct experiment_costs *costs, const struct experiment_model *model,
                      int64_t width, int64_t height, struct image_error *error)
{
    sfconv_cost cost = SFCONV_COST_INIT;
    const sfconv_shape shape = {1, model->channels, batch_round_up(model, height),
                                batch_round_up(model, width)};
    if (!experiment_check(model->context, sfconv_net_cost(model->net, &shape, 1, &cost), "counts",
                          error)) {
        return false;
    }
    *costs = (struct experiment_costs){cost.parameters, cost.macs, cost.flops};
    return true;
}

static bool set_text(const struct experiment_model *model, sfconv_metadata *metadata,
                     const char *name, const char *value, struct image_error *error)
{
    return experiment_check(model->context, sfconv_metadata_set(metadata, name, value), name,
                            error);
}

static bool set_number(const struct experiment_model *model, sfconv_metadata *metadata,
                       const char *name, int64_t index, double value, struct image_error *error)
{
    char full[NAME_CAPACITY];
    char text[32];
    snprintf(full, sizeof full, "%s.%lld", name, (long long)index);
    snprintf(text, sizeof text, "%.9g", value);
    return set_text(model, metadata, full, text, error);
}

/* What has no name is left out. */
static bool set_name(const struct experiment_model *model, sfconv_metadata *metadata,
                     const char *name, const char *value, struct image_error *error)
{
    return !value || set_text(model, metadata, name, value, error);
}

static bool describe_classes(const struct experiment_model *model, sfconv_metadata *metadata,
                             struct image_error *error)
{
    char name[NAME_CAPACITY];
    bool ok = true;
    for (int32_t i = 0; ok && i < model->class_count; i++) {
        snprintf(name, sizeof name, "class.%d", i);
        ok = set_text(model, metadata, name, model->class_names[i], error);
    }
    return ok;
}

static bool describe(const struct experiment_model *model, sfconv_metadata *metadata,
                     const char *const *facts, struct image_error *error)
{
    bool ok =
        set_text(model, metadata, "task", model->segments ? "segment" : "classify", error) &&
        set_name(model, metadata, "network", sfconv_model_name(model->network), error) &&
        set_name(model, metadata, "method", sfconv_method_name(model->method), error) &&
        set_number(model, metadata, "input.multiple", 0, (double)model->multiple, error) &&
        set_number(model, metadata, "input.size", 0, (double)model->size, error) &&
        (!model->field_of_view || set_text(model, metadata, "input.crop", FIELD_OF_VIEW, error)) &&
        (!model->pad || set_text(model, metadata, "input.pad", SQUARE, error)) &&
        set_number(model, metadata, "output.threshold", 0, model->threshold, error);
    for (int64_t c = 0; ok && c < model->channels; c++) {
        ok = set_number(model, metadata, "input.mean", c, model->mean[c], error) &&
             set_number(model, metadata, "input.deviation", c, model->deviation[c], error);
    }
    ok = ok && describe_classes(model, metadata, error) &&
         selection_describe(model, metadata, error);
    for (; ok && facts && facts[0]; facts += 2) {
        ok = set_text(model, metadata, facts[0], facts[1], error);
    }
    return ok;
}

/* What could not be saved is refused before the training, not after it. */
static bool check_classes(const struct experiment_model *model, struct image_error *error)
{
    sfconv_metadata *metadata = NULL;
    if (model->segments) {
        return true;
    }
    if (model->class_count < 2 || model->class_count > EXPERIMENT_MAX_CLASSES) {
        return image_fail(error, "a classifier has 2 to %d classes, got %d", EXPERIMENT_MAX_CLASSES,
                          (int)model->class_count);
    }
    const bool ok =
        experiment_check(model->context, sfconv_metadata_create(&metadata, model->context),
                         "classes", error) &&
        describe_classes(model, metadata, error);
    sfconv_metadata_destroy(metadata);
    return ok;
}

bool experiment_train(struct experiment_model *model, sfconv_context *context,
                      const struct dataset *train, const struct dataset *validation,
                      const struct experiment_options *options, experiment_watch watch, void *user,
                      struct image_error *error)
{
    *model = (struct experiment_model){.context = context,
                                       .network = options->model,
                                       .method = options->method,
                                       .segments = experiment_segments(options->model),
                                       .size = options->size,
                                       .field_of_view = options->field_of_view,
                                       .pad = options->pad,
                                       .threshold = 0.5,
                                       .multiple = experiment_size_multiple(options->model)};
    const bool ok = check_options(options, error) &&
                    selection_keep(model, options->selection, error) &&
                    copy_classes(model, train->class_names, train->class_count, error) &&
                    check_classes(model, error) && experiment_measure(model, train, error) &&
                    build(model, options, error) &&
                    experiment_run_training(model, train, validation, options, watch, user, error);
    if (!ok) {
        experiment_model_destroy(model);
    }
    return ok;
}

bool experiment_save(const struct experiment_model *model, const char *path,
                     const char *const *facts, struct image_error *error)
{
    sfconv_metadata *metadata = NULL;
    /* The library's reason names the file. */
    const bool ok =
        experiment_check(model->context, sfconv_metadata_create(&metadata, model->context), path,
                         error) &&
        describe(model, metadata, facts, error) &&
        experiment_check(model->context, sfconv_net_save(model->net, path, metadata), "saving",
                         error);
    sfconv_metadata_destroy(metadata);
    return ok;
}

static bool lacks_number(const char *path, const char *name, struct image_error *error)
{
    return image_fail(error, "%s: it lacks the number '%s'; was it saved by this program?", path,
                      name);
}

static bool get_number(const sfconv_metadata *metadata, const char *name, int64_t index,
                       const char *path, double *value, struct image_error *error)
{
    char full[NAME_CAPACITY];
    char *end = NULL;
    snprintf(full, sizeof full, "%s.%lld", name, (long long)index);
    const char *text = sfconv_metadata_get(metadata, full);
    if (text) {
        *value = strtod(text, &end);
    }
    if (!text || end == text || *end) {
        return lacks_number(path, full, error);
    }
    return true;
}

static bool take_classes(struct experiment_model *model, const sfconv_metadata *metadata,
                         struct image_error *error)
{
    char name[NAME_CAPACITY];
    char *names[EXPERIMENT_MAX_CLASSES];
    int32_t count = 0;
    for (; count < EXPERIMENT_MAX_CLASSES; count++) {
        snprintf(name, sizeof name, "class.%d", count);
        names[count] = (char *)(uintptr_t)sfconv_metadata_get(metadata, name);
        if (!names[count]) {
            break;
        }
    }
    return copy_classes(model, names, count, error);
}

/* A text that is `expected` where it is there. */
static bool take_switch(bool *set, const sfconv_metadata *metadata, const char *name,
                        const char *expected, const char *path, struct image_error *error)
{
    const char *text = sfconv_metadata_get(metadata, name);
    *set = text != NULL;
    return !text || strcmp(text, expected) == 0 ||
           image_fail(error, "%s: %s is '%s', expected '%s'", path, name, text, expected);
}

/* Texts that a file may lack: size, threshold, names of network and method. */
static bool take_form(struct experiment_model *model, const sfconv_metadata *metadata,
                      const char *path, struct image_error *error)
{
    const char *network = sfconv_metadata_get(metadata, "network");
    const char *method = sfconv_metadata_get(metadata, "method");
    model->network = network ? sfconv_model_from_name(network) : 0;
    model->method = method ? sfconv_method_from_name(method) : 0;
    model->threshold = 0.5;
    if (!model_text_size(&model->size, metadata, path, error) ||
        !take_switch(&model->field_of_view, metadata, "input.crop", FIELD_OF_VIEW, path, error) ||
        !take_switch(&model->pad, metadata, "input.pad", SQUARE, path, error)) {
        return false;
    }
    if (sfconv_metadata_get(metadata, "output.threshold.0") &&
        !get_number(metadata, "output.threshold", 0, path, &model->threshold, error)) {
        return false;
    }
    return (model->threshold > 0.0 && model->threshold < 1.0) ||
           image_fail(error, "%s: output.threshold is %g, expected a number between 0 and 1", path,
                      model->threshold);
}

static bool take_description(struct experiment_model *model, const sfconv_metadata *metadata,
                             const char *path, struct image_error *error)
{
    const char *task = sfconv_metadata_get(metadata, "task");
    double value = 0.0;
    model->channels = sfconv_net_input_channels(model->net, 0);
    if (!task || model->channels < 1 || model->channels > EXPERIMENT_MAX_CHANNELS) {
        return image_fail(error, "%s: no model of images that this program saved", path);
    }
    model->segments = strcmp(task, "segment") == 0;
    if (!model->segments && strcmp(task, "classify") != 0) {
        return image_fail(error, "%s: its task is '%s', expected 'segment' or 'classify'", path,
                          task);
    }
    if (!model_text_multiple(&model->multiple, metadata, path, error) ||
        !take_form(model, metadata, path, error)) {
        return false;
    }
    if (model->multiple == 0) {
        return lacks_number(path, MODEL_TEXT_MULTIPLE, error);
    }
    for (int64_t c = 0; c < model->channels; c++) {
        if (!get_number(metadata, "input.mean", c, path, &value, error)) {
            return false;
        }
        model->mean[c] = (float)value;
        if (!isfinite(model->mean[c])) {
            return image_fail(error, "%s: input.mean is %g, expected a finite number", path, value);
        }
        if (!get_number(metadata, "input.deviation", c, path, &value, error)) {
            return false;
        }
        model->deviation[c] = (float)value;
        if (!(model->deviation[c] > 0.0f && isfinite(model->deviation[c]))) {
            return image_fail(error, "%s: input.deviation is %g, expected a finite number above 0",
                              path, value);
        }
    }
    return take_classes(model, metadata, error) && selection_take(model, metadata, path, error);
}

bool experiment_load_net(sfconv_net **net, sfconv_metadata **metadata, sfconv_context *context,
                         const char *path, struct image_error *error)
{
    if (train_state_recognises(path)) {
        *net = NULL;
        *metadata = NULL;
        return image_fail(error,
                          "%s: the state of a training, not a model; its models are "
                          "best.safetensors and last.safetensors beside it",
                          path);
    }
    /* The library's reason names the file. */
    return experiment_check(context, sfconv_model_load(net, metadata, context, path), "loading",
                            error);
}

bool experiment_load(struct experiment_model *model, sfconv_context *context, const char *path,
                     struct image_error *error)
{
    sfconv_metadata *metadata = NULL;
    *model = (struct experiment_model){.context = context};
    const bool ok = experiment_load_net(&model->net, &metadata, context, path, error) &&
                    take_description(model, metadata, path, error);
    sfconv_metadata_destroy(metadata);
    if (!ok) {
        experiment_model_destroy(model);
    }
    return ok;
}

void experiment_model_destroy(struct experiment_model *model)
{
    sfconv_net_destroy(model->net);
    for (int32_t i = 0; i < model->class_count; i++) {
        free(model->class_names[i]);
    }
    free(model->class_names);
    selection_destroy(model);
    *model = (struct experiment_model){0};
}
