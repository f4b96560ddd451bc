/* SPDX-License-Identifier: BSD-2-Clause */
#include "command.h"
#include "fields.h"
#include "program.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The classes of the folders must be those of the model, in the same order. */
static bool check_classes(const struct experiment_model *model, const struct dataset *set,
                          const char *data, struct image_error *error)
{
    if (!model->segments && set->class_count != model->class_count) {
        return image_fail(error, "%s: its %d classes are not the %d of the model", data,
                          (int)set->class_count, (int)model->class_count);
    }
    for (int32_t i = 0; i < set->class_count; i++) {
        if (strcmp(set->class_names[i], model->class_names[i]) != 0) {
            return image_fail(error, "%s: its class %d is '%s', that of the model '%s'", data,
                              (int)i, set->class_names[i], model->class_names[i]);
        }
    }
    return true;
}

/* All samples in one set that borrows them. */
static bool join(struct dataset *all, const struct dataset_split *split, struct image_error *error)
{
    const struct dataset *const parts[] = {&split->train, &split->val, &split->test};
    *all = split->train;
    all->count = 0;
    all->samples = calloc((size_t)(split->train.count + split->val.count + split->test.count),
                          sizeof *all->samples);
    if (!all->samples) {
        return image_fail(error, "data: out of memory");
    }
    for (int i = 0; i < 3; i++) {
        for (int64_t k = 0; k < parts[i]->count; k++) {
            all->samples[all->count++] = parts[i]->samples[k];
        }
    }
    return true;
}

static bool evaluate(struct experiment_score *score, const char **name,
                     const struct experiment_model *model, const struct dataset_split *split,
                     struct image_error *error)
{
    if (strcmp(*name, "all") == 0) {
        struct dataset all;
        const bool ok =
            join(&all, split, error) && experiment_evaluate(score, NULL, model, &all, error);
        free(all.samples);
        return ok;
    }
    if (strcmp(*name, "test") == 0 && split->test.count == 0) {
        *name = "val";
    }
    const struct dataset *set = strcmp(*name, "train") == 0 ? &split->train
                                : strcmp(*name, "val") == 0 ? &split->val
                                                            : &split->test;
    return experiment_evaluate(score, NULL, model, set, error);
}

/* The split of the training, unless the command line says otherwise: under another one, images that
 * the network was trained on would be among the test images. */
static bool choose_images(struct program_options *how, struct arguments *arguments,
                          const struct experiment_model *model, struct image_error *error)
{
    struct experiment_selection *selection = &how->selection;
    int64_t seed = (int64_t)model->split_seed;
    if (!argument_integer(arguments, "split-seed", 0, INT64_MAX, &seed, error)) {
        return false;
    }
    selection->seed = (uint64_t)seed;
    selection->group_by = argument_text(arguments, "group-by", model->group_by);
    if (selection->group_by && !*selection->group_by) {
        selection->group_by = NULL;
    }
    if (argument_given(arguments, "leave-out")) {
        return argument_list(arguments, "leave-out", selection->left_out, EXPERIMENT_MAX_LEFT_OUT,
                             &selection->left_out_count, error);
    }
    /* Other images than those of the training need not have these names. */
    how->selection_may_miss = true;
    for (int64_t i = 0; i < model->left_out_count; i++) {
        selection->left_out[selection->left_out_count++] = model->left_out[i];
    }
    return true;
}

static void print_choice(const struct program_options *how)
{
    const struct experiment_selection *selection = &how->selection;
    for (int64_t i = 0; how->selection_may_miss && i < selection->left_out_count; i++) {
        printf("%s%s", i == 0 ? "left out, as in the training: " : ", ", selection->left_out[i]);
    }
    printf("%s", how->selection_may_miss && selection->left_out_count > 0 ? "\n" : "");
}

/* Whoever has images of another hospital in one folder wants to see them all judged. */
static void print_split(const struct dataset_split *split, int64_t judged)
{
    if (split->by_chance) {
        printf("split by chance: %" PRId64 " of %" PRId64
               " images are judged; --set all judges by all\n",
               judged, split->train.count + split->val.count + split->test.count);
    }
}

static void print_json(const struct experiment_score *score, bool segments, const char *set,
                       const struct experiment_selection *selection)
{
    printf("{\"set\": \"%s\", \"images\": %" PRId64 ", \"left_out\": [", set, score->images);
    for (int64_t i = 0; i < selection->left_out_count; i++) {
        printf("%s", i == 0 ? "" : ", ");
        json_text(stdout, selection->left_out[i]);
    }
    printf("]");
    const struct {
        const char *name;
        double value;
    } fields[2][5] = {
        {{"accuracy", score->metric}, {"quadratic_kappa", score->kappa}, {"auc", score->auc}},
        {{"dice", score->metric},
         {"dice_deviation", score->spread},
         {"iou", score->iou},
         {"sensitivity", score->sensitivity},
         {"specificity", score->specificity}}};
    for (int i = 0; i < 5 && fields[segments][i].name; i++) {
        printf(", \"%s\": ", fields[segments][i].name);
        json_number(stdout, fields[segments][i].value);
    }
    printf(", \"images_per_second\": ");
    json_number(stdout, score->images_per_second);
    printf("}\n");
}

/* A set of the other task is told as what it is. */
static bool check_task(const struct experiment_model *model, const char *path, const char *data,
                       struct image_error *error)
{
    if (model->segments == dataset_holds_masks(data) || access(data, F_OK) != 0) {
        return true;
    }
    return image_fail(error,
                      model->segments
                          ? "%s: this model draws masks, but %s has no folders images and masks"
                          : "%s: this model names classes, but %s holds images with masks",
                      path, data);
}

static bool judge(const struct experiment_model *model, const struct program_options *how,
                  const char *name, bool json, struct image_error *error)
{
    struct dataset_split split;
    struct experiment_score score;
    if (!program_load(&split, how, model->segments, error)) {
        return false;
    }
    const bool ok = check_classes(model, &split.train, how->data, error) &&
                    evaluate(&score, &name, model, &split, error);
    if (ok && json) {
        print_json(&score, model->segments, name, &how->selection);
    } else if (ok) {
        print_choice(how);
        if (!how->whole) {
            print_split(&split, score.images);
        }
        program_print_score(&score, model->segments, name);
    }
    dataset_split_destroy(&split);
    return ok;
}

static bool run_eval(struct arguments *arguments, struct image_error *error)
{
    static const char *const names[] = {"test", "val", "train", "all"};
    const char *name = argument_text(arguments, "set", "test");
    struct program_options how = {.data = arguments->operands[1]};
    struct experiment_model model;
    sfconv_context *context = NULL;
    bool known = false;
    for (int i = 0; i < 4; i++) {
        known = known || strcmp(name, names[i]) == 0;
    }
    if (!known) {
        return usage_fail(arguments, error, "--set: '%s' is not test, val, train or all", name);
    }
    if (!command_check_pattern(arguments, argument_text(arguments, "group-by", NULL), error) ||
        !command_limits(&how.limits, arguments, error) ||
        !command_context(&context, arguments, error)) {
        return false;
    }
    bool ok = experiment_load(&model, context, arguments->operands[0], error);
    if (ok) {
        how.experiment.size = model.size;
        how.experiment.field_of_view = model.field_of_view;
        how.experiment.pad = model.pad;
        how.lazy = true;
        how.whole = strcmp(name, "all") == 0;
        ok = check_task(&model, arguments->operands[0], how.data, error) &&
             choose_images(&how, arguments, &model, error) &&
             judge(&model, &how, name, argument_given(arguments, "json"), error);
        experiment_model_destroy(&model);
    }
    sfconv_context_destroy(context);
    return ok;
}

static const struct command_option options[] = {
    {"set", "NAME", "test (val where there is none), val, train or all"},
    {"leave-out", "NAME", "drop a file (\"131\" or \"val/images/131\"); may be repeated"},
    {"group-by", "RE", "files that share this part of their names stay in one set; '': none"},
    {"split-seed", "N", "of the split, where the folders fix none; usually as in the training"},
    COMMAND_OPTION_MAX_PIXELS,
    {"json", NULL, "one JSON object instead of a line"},
    COMMAND_OPTION_WORKERS,
    {0},
};

const struct command command_eval = {
    .name = "eval",
    .operands = "MODEL DATA",
    .summary = "Judges a model by a data set: Dice, IoU, or accuracy, kappa, AUC.",
    .details =
        "DATA is a folder as docs/datasets.md shows them. Size, normalization, classes and "
        "threshold come\nfrom the model file, and --leave-out, --group-by and --split-seed of the "
        "training unless they are given\nhere, so that images are split as they were then.",
    .options = options,
    .least_operands = 2,
    .most_operands = 2,
    .run = run_eval,
};
