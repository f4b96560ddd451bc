/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataset.h"

#include "chance.h"
#include "dataset_groups.h"
#include "dataset_sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void sample_destroy(struct dataset_sample *sample)
{
    free(sample->path);
    free(sample->mask_path);
    image_destroy(&sample->image);
    image_destroy(&sample->mask);
}

void dataset_destroy(struct dataset *dataset)
{
    for (int64_t i = 0; i < dataset->count; i++) {
        sample_destroy(&dataset->samples[i]);
    }
    free(dataset->samples);
    for (int32_t c = 0; c < dataset->class_count; c++) {
        free(dataset->class_names[c]);
    }
    free(dataset->class_names);
    *dataset = (struct dataset){0};
}

void dataset_split_destroy(struct dataset_split *split)
{
    dataset_destroy(&split->train);
    dataset_destroy(&split->val);
    dataset_destroy(&split->test);
    *split = (struct dataset_split){0};
}

bool dataset_append(struct dataset *dataset, struct dataset_sample *sample,
                    struct image_error *error)
{
    if (dataset->count == dataset->capacity) {
        const int64_t capacity = dataset->capacity ? 2 * dataset->capacity : 64;
        struct dataset_sample *samples =
            realloc(dataset->samples, (size_t)capacity * sizeof *samples);
        if (!samples) {
            image_fail(error, "%s: out of memory", sample->path ? sample->path : "data set");
            sample_destroy(sample);
            return false;
        }
        dataset->samples = samples;
        dataset->capacity = capacity;
    }
    dataset->samples[dataset->count++] = *sample;
    return true;
}

bool dataset_add(struct dataset *dataset, const char *name, int32_t label, struct image *image,
                 struct image *mask, struct image_error *error)
{
    struct dataset_sample sample = {
        .path = strdup(name), .label = label, .image = *image, .mask = *mask};
    *image = (struct image){0};
    *mask = (struct image){0};
    if (!sample.path) {
        sample_destroy(&sample);
        return image_fail(error, "%s: out of memory", name);
    }
    return dataset_append(dataset, &sample, error);
}

bool dataset_name_classes(struct dataset *dataset, const char *const *names, int32_t count,
                          struct image_error *error)
{
    char **copies = calloc((size_t)count + 1, sizeof *copies);
    bool complete = copies != NULL;
    for (int32_t c = 0; c < count && complete; c++) {
        copies[c] = strdup(names[c]);
        complete = copies[c] != NULL;
    }
    if (!complete) {
        for (int32_t c = 0; copies && c < count; c++) {
            free(copies[c]);
        }
        free(copies);
        return image_fail(error, "names of %d classes: out of memory", (int)count);
    }
    dataset->class_names = copies;
    dataset->class_count = count;
    return true;
}

/* Marks the chosen samples of one class. */
static void choose(bool *chosen, int64_t *numbers, const struct dataset *dataset, int32_t label,
                   double part, uint64_t seed)
{
    struct chance chance = chance_start(seed, (uint64_t)(label + 1));
    int64_t count = 0;
    for (int64_t i = 0; i < dataset->count; i++) {
        if (dataset->samples[i].label == label) {
            numbers[count++] = i;
        }
    }
    chance_shuffle(&chance, numbers, count);
    const int64_t wanted = (int64_t)llround(part * (double)count);
    for (int64_t i = 0; i < wanted; i++) {
        chosen[numbers[i]] = true;
    }
}

static void choose_of_classes(bool *chosen, int64_t *numbers, const struct dataset *dataset,
                              double part, uint64_t seed)
{
    for (int32_t c = dataset->class_count > 0 ? 0 : -1; c < dataset->class_count; c++) {
        choose(chosen, numbers, dataset, c, part, seed);
    }
}

static bool move_chosen(struct dataset *taken, struct dataset *from, const bool *chosen,
                        struct image_error *error)
{
    int64_t wanted = 0;
    for (int64_t i = 0; i < from->count; i++) {
        wanted += chosen[i];
    }
    taken->samples = calloc((size_t)wanted + 1, sizeof *taken->samples);
    if (!taken->samples) {
        return image_fail(error, "split of %lld samples: out of memory", (long long)from->count);
    }
    taken->capacity = wanted + 1;
    int64_t kept = 0;
    for (int64_t i = 0; i < from->count; i++) {
        if (chosen[i]) {
            taken->samples[taken->count++] = from->samples[i];
        } else {
            from->samples[kept++] = from->samples[i];
        }
    }
    from->count = kept;
    return true;
}

bool dataset_take_part(struct dataset *taken, struct dataset *from, double part, uint64_t seed,
                       struct image_error *error)
{
    *taken = (struct dataset){.form = from->form, .group_by = from->group_by};
    if (!(part >= 0 && part <= 1)) {
        return image_fail(error, "part of a data set: expected 0 to 1, got %g", part);
    }
    bool *chosen = calloc((size_t)from->count + 1, sizeof *chosen);
    int64_t *numbers = calloc((size_t)from->count + 1, sizeof *numbers);
    bool done = chosen && numbers;
    if (!done) {
        image_fail(error, "split of %lld samples: out of memory", (long long)from->count);
    } else {
        if (from->group_by) {
            done = dataset_choose_groups(chosen, from, part, seed, error);
        } else {
            choose_of_classes(chosen, numbers, from, part, seed);
        }
        done = done &&
               dataset_name_classes(taken, (const char *const *)from->class_names,
                                    from->class_count, error) &&
               move_chosen(taken, from, chosen, error);
    }
    if (!done) {
        dataset_destroy(taken);
    }
    free(numbers);
    free(chosen);
    return done;
}

const struct dataset_sample *dataset_only_sample(const struct dataset *dataset, int32_t class_index)
{
    const struct dataset_sample *only = NULL;
    for (int64_t i = 0; i < dataset->count; i++) {
        if (dataset->samples[i].label == class_index) {
            if (only) {
                return NULL;
            }
            only = &dataset->samples[i];
        }
    }
    return only;
}

bool dataset_get(struct image *image, struct image *mask, const struct dataset *dataset,
                 int64_t index, struct image_error *error)
{
    struct image unwanted;
    struct image *const mask_out = mask ? mask : &unwanted;
    *image = (struct image){0};
    *mask_out = (struct image){0};
    if (index < 0 || index >= dataset->count) {
        return image_fail(error, "sample %lld of a set of %lld", (long long)index,
                          (long long)dataset->count);
    }
    const struct dataset_sample *sample = &dataset->samples[index];
    bool got;
    if (!sample->image.pixels) {
        got = dataset_read_sample(image, mask_out, sample, &dataset->form, error) ||
              image_advise(error);
    } else {
        got = image_copy(image, &sample->image, error) &&
              (!mask || !sample->mask.pixels || image_copy(mask, &sample->mask, error));
    }
    if (!got) {
        image_destroy(image);
        image_destroy(mask_out);
    } else if (!mask) {
        image_destroy(&unwanted);
    }
    return got;
}
