/* SPDX-License-Identifier: BSD-2-Clause */
#include "selection.h"

#include "model_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_CAPACITY 48
#define GROUP_BY "split.group_by"
#define LEFT_OUT "split.left_out.%lld"
#define SEED "split.seed"

bool selection_keep(struct experiment_model *model, const struct experiment_selection *selection,
                    struct image_error *error)
{
    if (!selection) {
        return true;
    }
    model->split_seed = selection->seed;
    model->group_by = selection->group_by ? strdup(selection->group_by) : NULL;
    model->left_out = calloc((size_t)selection->left_out_count + 1, sizeof *model->left_out);
    bool ok = model->left_out && (model->group_by || !selection->group_by);
    for (int64_t i = 0; ok && i < selection->left_out_count; i++) {
        model->left_out[i] = strdup(selection->left_out[i]);
        ok = model->left_out[i] != NULL;
        model->left_out_count = i + ok;
    }
    return ok || image_fail(error, "names of images to leave out: out of memory");
}

bool selection_describe(const struct experiment_model *model, sfconv_metadata *metadata,
                        struct image_error *error)
{
    char name[NAME_CAPACITY];
    bool ok =
        !model->group_by ||
        experiment_check(model->context, sfconv_metadata_set(metadata, GROUP_BY, model->group_by),
                         GROUP_BY, error);
    if (ok && model->split_seed != 0) {
        snprintf(name, sizeof name, "%llu", (unsigned long long)model->split_seed);
        ok = experiment_check(model->context, sfconv_metadata_set(metadata, SEED, name), SEED,
                              error);
    }
    for (int64_t i = 0; ok && i < model->left_out_count; i++) {
        snprintf(name, sizeof name, LEFT_OUT, (long long)i);
        ok = experiment_check(model->context,
                              sfconv_metadata_set(metadata, name, model->left_out[i]), name, error);
    }
    return ok;
}

bool selection_take(struct experiment_model *model, const sfconv_metadata *metadata,
                    const char *path, struct image_error *error)
{
    char name[NAME_CAPACITY];
    int64_t seed = 0;
    if (!model_text_whole(&seed, metadata, SEED, 0, INT64_MAX, path, error)) {
        return false;
    }
    struct experiment_selection selection = {.group_by = sfconv_metadata_get(metadata, GROUP_BY),
                                             .seed = (uint64_t)seed};
    for (int64_t i = 0; i < EXPERIMENT_MAX_LEFT_OUT; i++) {
        snprintf(name, sizeof name, LEFT_OUT, (long long)i);
        selection.left_out[i] = sfconv_metadata_get(metadata, name);
        if (!selection.left_out[i]) {
            break;
        }
        selection.left_out_count = i + 1;
    }
    return selection_keep(model, &selection, error);
}

void selection_destroy(struct experiment_model *model)
{
    for (int64_t i = 0; i < model->left_out_count; i++) {
        free(model->left_out[i]);
    }
    free(model->left_out);
    free(model->group_by);
}
