/* SPDX-License-Identifier: BSD-2-Clause */
#include "reproduction.h"

#include "console.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct reproduction_measure reproduction_measures[REPRODUCTION_MEASURES] = {
    {"dice", "Dice", true, false, offsetof(struct experiment_score, metric)},
    {"iou", "IoU", true, false, offsetof(struct experiment_score, iou)},
    {"sensitivity", "Sensitivity", true, false, offsetof(struct experiment_score, sensitivity)},
    {"specificity", "Specificity", true, false, offsetof(struct experiment_score, specificity)},
    {"accuracy", "Accuracy", false, true, offsetof(struct experiment_score, metric)},
    {"quadratic_kappa", "Quadratic kappa", false, true, offsetof(struct experiment_score, kappa)},
    {"auc", "AUC", false, true, offsetof(struct experiment_score, auc)},
};

bool reproduction_has(const struct reproduction *r, const struct reproduction_measure *measure)
{
    return r->segments ? measure->of_masks : measure->of_classes;
}

double reproduction_value(const struct reproduction_run *run,
                          const struct reproduction_measure *measure)
{
    double value;
    memcpy(&value, (const char *)&run->score + measure->offset, sizeof value);
    return value;
}

struct experiment_options reproduction_options(const struct reproduction *r,
                                               const struct reproduction_run *run)
{
    struct experiment_options options = r->how.experiment;
    options.method = run->method;
    options.seed = run->seed;
    options.regularizer_weight = run->method == SFCONV_METHOD_SFCONV  ? r->kl
                                 : run->method == SFCONV_METHOD_FCONV ? r->frobenius
                                                                      : 0.0;
    return options;
}

const struct reproduction_run *reproduction_find(const struct reproduction *r, int32_t method,
                                                 int64_t seed_index)
{
    for (int64_t m = 0; m < r->method_count; m++) {
        if (r->methods[m] == method) {
            return &r->runs[seed_index * r->method_count + m];
        }
    }
    return NULL;
}

bool reproduction_plan(struct reproduction *r, struct image_error *error)
{
    r->run_count = r->method_count * r->seed_count;
    r->runs = calloc((size_t)r->run_count, sizeof *r->runs);
    if (!r->runs) {
        return image_fail(error, "%" PRId64 " runs: out of memory", r->run_count);
    }
    for (int64_t i = 0; i < r->run_count; i++) {
        struct reproduction_run *run = &r->runs[i];
        char name[64];
        run->method = r->methods[i % r->method_count];
        run->seed = r->first_seed + (uint64_t)(i / r->method_count);
        snprintf(name, sizeof name, "%s-seed-%" PRIu64, sfconv_method_name(run->method), run->seed);
        if (!program_path(run->folder, sizeof run->folder, r->how.output, name, error)) {
            return false;
        }
    }
    return true;
}

static void empty_run(struct reproduction_run *run)
{
    for (int64_t i = 0; i < run->image_count; i++) {
        free(run->image_names[i]);
    }
    free(run->image_names);
    free(run->images);
    free(run->epochs);
    run->image_names = NULL;
    run->images = NULL;
    run->epochs = NULL;
    run->image_count = run->epoch_count = 0;
}

void reproduction_destroy(struct reproduction *r)
{
    for (int64_t i = 0; r->runs && i < r->run_count; i++) {
        empty_run(&r->runs[i]);
    }
    free(r->runs);
    free(r->command);
    dataset_split_destroy(&r->split);
    sfconv_context_destroy(r->context);
    *r = (struct reproduction){0};
}

static bool name_images(struct reproduction_run *run, const struct dataset *set,
                        struct image_error *error)
{
    run->images = calloc((size_t)set->count, sizeof *run->images);
    run->image_names = calloc((size_t)set->count, sizeof *run->image_names);
    for (int64_t i = 0; run->images && run->image_names && i < set->count; i++) {
        run->image_names[i] = strdup(set->samples[i].path);
        if (!run->image_names[i]) {
            break;
        }
        run->image_count = i + 1;
    }
    return run->image_count == set->count || image_fail(error, "results: out of memory");
}

static bool judge(const struct reproduction *r, struct reproduction_run *run,
                  const struct experiment_model *model, struct image_error *error)
{
    const struct dataset *set = program_judged_by(&r->split);
    struct image image;
    if (!name_images(run, set, error) ||
        !experiment_evaluate(&run->score, run->images, model, set, error) ||
        !dataset_get(&image, NULL, set, 0, error)) {
        return false;
    }
    const bool ok = experiment_count(&run->costs, model, image.width, image.height, error);
    image_destroy(&image);
    return ok;
}

/* *done: to the end, not interrupted. */
static bool train_and_judge(struct reproduction *r, struct reproduction_run *run, bool *done,
                            struct image_error *error)
{
    const struct experiment_options options = reproduction_options(r, run);
    struct training_files files;
    struct training_outcome outcome;
    struct experiment_model model = {0};
    char label[64];
    *done = false;
    snprintf(label, sizeof label, "%s seed %" PRIu64, sfconv_method_name(run->method), run->seed);
    if (!program_make_folder(run->folder, error) ||
        !training_name_files(&files, run->folder, error) ||
        !training_work(&model, &outcome, r->context, &options, &files, label,
                       training_exists(&files), &r->split, error)) {
        return false;
    }
    bool ok = true;
    if (!console_interrupted()) {
        ok = judge(r, run, &model, error) && reproduction_write_results(r, run, error);
        *done = ok;
    }
    experiment_model_destroy(&model);
    return ok;
}

bool reproduction_work(struct reproduction *r, struct reproduction_run *run,
                       struct image_error *error)
{
    struct image_error reason = {{0}};
    bool done = false;
    const bool ok = train_and_judge(r, run, &done, &reason);
    empty_run(run);
    if (ok && done) {
        return reproduction_read_results(r, run, error);
    }
    /* Whoever stops before the first epoch is over has no model yet; that is no failure. */
    if (!ok && !console_interrupted()) {
        run->state = REPRODUCTION_FAILED;
        snprintf(run->failure, sizeof run->failure, "%s", reason.text);
        fprintf(stderr, "sfconv reproduce: %s, seed %" PRIu64 ": %s\n",
                sfconv_method_name(run->method), run->seed, reason.text);
    }
    return true;
}
