/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataset.h"

#include "dataset_groups.h"
#include "dataset_labels.h"
#include "dataset_sample.h"
#include "folder.h"

#include <stdlib.h>
#include <string.h>

/* Loads the samples below `folder`; `classes` is the part that has set the names, or NULL. */
typedef bool load_part_fn(struct dataset_loader *loader, struct dataset *part, const char *folder,
                          const struct dataset *classes);

/* Loads a whole set and tells whether its parts were fixed. */
typedef bool load_set_fn(struct dataset_loader *loader, struct dataset_split *split,
                         const char *folder, bool *is_split);

struct dataset_options dataset_options_default(void)
{
    return (struct dataset_options){.part_val = 0.15, .part_test = 0.15};
}

static size_t stem_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *ending = strrchr(slash ? slash : path, '.');
    return ending ? (size_t)(ending - path) : strlen(path);
}

/* Whether the end of the path, without the ending of the file, is `name`. */
static bool path_is_named(const char *path, const char *name)
{
    const size_t stem = stem_length(path);
    const size_t length = strlen(name);
    return length <= stem && memcmp(path + stem - length, name, length) == 0 &&
           (length == stem || path[stem - length - 1] == '/');
}

bool dataset_is_left_out(struct dataset_loader *loader, const char *path)
{
    bool left_out = false;
    for (int64_t i = 0; i < loader->options->leave_out_count; i++) {
        if (path_is_named(path, loader->options->leave_out[i])) {
            loader->left_out[i] = true;
            left_out = true;
        }
    }
    return left_out;
}

static bool check_left_out(const struct dataset_loader *loader, const char *folder)
{
    for (int64_t i = 0; i < loader->options->leave_out_count; i++) {
        if (!loader->left_out[i] && !loader->options->leave_out_may_miss) {
            return image_fail(loader->error, "%s: no file \"%s\" to leave out", folder,
                              loader->options->leave_out[i]);
        }
    }
    return true;
}

bool dataset_add_files(struct dataset_loader *loader, struct dataset *part, char *path,
                       char *mask_path, int32_t label)
{
    struct dataset_sample sample = {.path = path, .mask_path = mask_path, .label = label};
    if (!loader->options->lazy &&
        !dataset_read_sample(&sample.image, &sample.mask, &sample, &part->form, loader->error)) {
        free(path);
        free(mask_path);
        return image_advise(loader->error);
    }
    return dataset_append(part, &sample, loader->error);
}

static bool load_one_class(struct dataset_loader *loader, struct dataset *part, const char *folder,
                           int32_t label)
{
    struct folder files;
    if (!folder_images(&files, folder, loader->error)) {
        return false;
    }
    bool loaded = true;
    int64_t used = 0;
    for (int64_t i = 0; i < files.count && loaded; i++) {
        char *path = folder_path(folder, files.names[i]);
        if (!path) {
            loaded = image_fail(loader->error, "%s: out of memory", folder);
        } else if (dataset_is_left_out(loader, path)) {
            free(path);
        } else {
            loaded = dataset_add_files(loader, part, path, NULL, label);
            used++;
        }
    }
    if (loaded && used == 0) {
        loaded = image_fail(loader->error,
                            "%s: a class without an image (%lld other files); put some there or "
                            "remove the folder",
                            folder, (long long)(files.ignored + files.count));
    }
    loader->ignored += files.ignored;
    folder_destroy(&files);
    return loaded;
}

int32_t dataset_class_number(const struct dataset *dataset, const char *name)
{
    for (int32_t c = 0; c < dataset->class_count; c++) {
        if (strcmp(dataset->class_names[c], name) == 0) {
            return c;
        }
    }
    return -1;
}

static bool load_class_folders(struct dataset_loader *loader, struct dataset *part,
                               const char *folder, const struct folder *folders)
{
    bool loaded = true;
    for (int64_t i = 0; i < folders->count && loaded; i++) {
        const int32_t label = dataset_class_number(part, folders->names[i]);
        char *path = folder_path(folder, folders->names[i]);
        if (!path) {
            loaded = image_fail(loader->error, "%s: out of memory", folder);
        } else if (label < 0) {
            loaded = image_fail(loader->error, "%s: a class that the training set lacks", path);
        } else {
            loaded = load_one_class(loader, part, path, label);
        }
        free(path);
    }
    return loaded;
}

static bool load_classes(struct dataset_loader *loader, struct dataset *part, const char *folder,
                         const struct dataset *classes)
{
    struct folder folders;
    if (!folder_folders(&folders, folder, loader->error)) {
        return false;
    }
    loader->ignored += folders.ignored;
    bool loaded;
    if (folders.count == 0 || folders.count > INT32_MAX) {
        loaded =
            image_fail(loader->error, "%s: no folders of classes in it, and no labels.csv", folder);
    } else if (classes) {
        loaded = dataset_name_classes(part, (const char *const *)classes->class_names,
                                      classes->class_count, loader->error);
    } else {
        loaded = dataset_name_classes(part, (const char *const *)folders.names,
                                      (int32_t)folders.count, loader->error);
    }
    loaded = loaded && load_class_folders(loader, part, folder, &folders);
    folder_destroy(&folders);
    return loaded;
}

/* Order of two names without their endings. */
static int compare_stems(const char *a, const char *b)
{
    const size_t length_a = stem_length(a);
    const size_t length_b = stem_length(b);
    const int order = memcmp(a, b, length_a < length_b ? length_a : length_b);
    return order != 0 ? order : (length_a > length_b) - (length_a < length_b);
}

static int compare_stems_of_names(const void *a, const void *b)
{
    return compare_stems(*(char *const *)a, *(char *const *)b);
}

/* The image files of FOLDER/NAME by their stems, which must differ. */
static bool list_stems(struct dataset_loader *loader, struct folder *files, const char *folder)
{
    if (!folder_images(files, folder, loader->error)) {
        return false;
    }
    loader->ignored += files->ignored;
    if (files->count > 0) {
        qsort(files->names, (size_t)files->count, sizeof *files->names, compare_stems_of_names);
    }
    for (int64_t i = 1; i < files->count; i++) {
        if (compare_stems(files->names[i - 1], files->names[i]) == 0) {
            image_fail(loader->error, "%s: %s and %s differ in their endings only", folder,
                       files->names[i - 1], files->names[i]);
            folder_destroy(files);
            return false;
        }
    }
    return true;
}

/* An image without a mask, a mask without an image (one of them NULL), or a pair. */
static bool add_pair(struct dataset_loader *loader, struct dataset *part,
                     const char *const *folders, const char *image, const char *mask)
{
    char *path = image ? folder_path(folders[0], image) : NULL;
    char *mask_path = mask ? folder_path(folders[1], mask) : NULL;
    bool added = true;
    if ((image && !path) || (mask && !mask_path)) {
        added = image_fail(loader->error, "%s: out of memory", folders[0]);
    } else if (dataset_is_left_out(loader, path ? path : mask_path)) {
        added = true;
    } else if (!mask) {
        added = image_fail(loader->error,
                           "%s: an image without a mask in %s; add it or leave the image out", path,
                           folders[1]);
    } else if (!image) {
        added = image_fail(loader->error,
                           "%s: a mask without an image in %s; add it or leave the mask out",
                           mask_path, folders[0]);
    } else {
        return dataset_add_files(loader, part, path, mask_path, -1);
    }
    free(path);
    free(mask_path);
    return added;
}

/* Walks down both lists as a merge does. */
static bool add_pairs(struct dataset_loader *loader, struct dataset *part,
                      const char *const *folders, const struct folder *images,
                      const struct folder *masks)
{
    int64_t i = 0;
    int64_t m = 0;
    while (i < images->count || m < masks->count) {
        const int order = i == images->count  ? 1
                          : m == masks->count ? -1
                                              : compare_stems(images->names[i], masks->names[m]);
        const char *image = order <= 0 ? images->names[i++] : NULL;
        const char *mask = order >= 0 ? masks->names[m++] : NULL;
        if (!add_pair(loader, part, folders, image, mask)) {
            return false;
        }
    }
    if (part->count == 0) {
        return image_fail(loader->error, "%s: no images in it", folders[0]);
    }
    return true;
}

/* Whether FOLDER/NAME is a folder; false as well without memory. */
static bool holds_folder(const char *folder, const char *name)
{
    char *path = folder_path(folder, name);
    const bool there = path && folder_exists(path);
    free(path);
    return there;
}

/* "img" and "gt" are those of ROSE-1. */
static bool holds_images_and_masks(const char *folder)
{
    return (holds_folder(folder, "images") && holds_folder(folder, "masks")) ||
           (holds_folder(folder, "img") && holds_folder(folder, "gt"));
}

bool dataset_holds_masks(const char *folder)
{
    char *train = folder_path(folder, "train");
    char *test = folder_path(folder, "test");
    const bool holds = holds_images_and_masks(folder) || (train && holds_images_and_masks(train)) ||
                       (test && holds_images_and_masks(test));
    free(test);
    free(train);
    return holds;
}

static bool load_pairs(struct dataset_loader *loader, struct dataset *part, const char *folder,
                       const struct dataset *classes)
{
    (void)classes;
    if (folder_exists(folder) && !holds_images_and_masks(folder)) {
        return image_fail(loader->error,
                          "%s: expected images with a mask each, in two folders images and masks "
                          "(or img and gt)",
                          folder);
    }
    const bool short_names = !holds_folder(folder, "images") && holds_folder(folder, "img");
    char *folders[] = {folder_path(folder, short_names ? "img" : "images"),
                       folder_path(folder, short_names ? "gt" : "masks")};
    struct folder images = {0};
    struct folder masks = {0};
    bool loaded = folders[0] && folders[1];
    if (!loaded) {
        image_fail(loader->error, "%s: out of memory", folder);
    }
    loaded = loaded && list_stems(loader, &images, folders[0]) &&
             list_stems(loader, &masks, folders[1]) &&
             add_pairs(loader, part, (const char *const *)folders, &images, &masks);
    folder_destroy(&images);
    folder_destroy(&masks);
    free(folders[0]);
    free(folders[1]);
    return loaded;
}

/* Loads FOLDER/NAME if it is there; `classes` NULL means that it must be. */
static bool load_part(struct dataset_loader *loader, load_part_fn *load, struct dataset *part,
                      const char *folder, const char *name, const struct dataset *classes)
{
    char *path = folder_path(folder, name);
    if (!path) {
        return image_fail(loader->error, "%s: out of memory", folder);
    }
    const bool loaded = (classes && !folder_exists(path)) || load(loader, part, path, classes);
    free(path);
    return loaded;
}

/* A folder test/ that holds folders is no class. */
static bool check_test_alone(const struct dataset_loader *loader, const char *folder)
{
    struct folder folders;
    char *test = holds_folder(folder, "test") ? folder_path(folder, "test") : NULL;
    bool ok = true;
    if (test && folder_folders(&folders, test, loader->error)) {
        ok = folders.count == 0 ||
             image_fail(loader->error,
                        "%s: a folder test without a folder train; %s is a set by itself", folder,
                        test);
        folder_destroy(&folders);
    }
    free(test);
    return ok;
}

static bool load_folders(struct dataset_loader *loader, load_part_fn *load,
                         struct dataset_split *split, const char *folder, bool *is_split)
{
    *is_split = holds_folder(folder, "train");
    if (*is_split) {
        return load_part(loader, load, &split->train, folder, "train", NULL) &&
               load_part(loader, load, &split->val, folder, "val", &split->train) &&
               load_part(loader, load, &split->test, folder, "test", &split->train);
    }
    return check_test_alone(loader, folder) && load(loader, &split->train, folder, NULL);
}

static bool load_set_of_classes(struct dataset_loader *loader, struct dataset_split *split,
                                const char *folder, bool *is_split)
{
    struct label_sources sources;
    if (!label_sources_find(&sources, folder, loader->error)) {
        return false;
    }
    if (!sources.parts[0].table) {
        return load_folders(loader, load_classes, split, folder, is_split);
    }
    *is_split = sources.is_split;
    const bool loaded = dataset_load_labels(loader, split, &sources);
    label_sources_destroy(&sources);
    return loaded;
}

static bool load_set_of_masks(struct dataset_loader *loader, struct dataset_split *split,
                              const char *folder, bool *is_split)
{
    if (holds_folder(folder, "SVC") && holds_folder(folder, "DVC")) {
        return image_fail(loader->error, "%s: several sets in it: name one, %s/SVC or %s/DVC",
                          folder, folder, folder);
    }
    return load_folders(loader, load_pairs, split, folder, is_split);
}

/* One image cannot be on both sides of a split. */
static bool check_single_images(const struct dataset_loader *loader, const struct dataset *dataset)
{
    const struct dataset_options *options = loader->options;
    const bool splits = options->part_val > 0 || options->part_test > 0;
    for (int32_t c = 0; c < dataset->class_count && splits; c++) {
        const struct dataset_sample *only = dataset_only_sample(dataset, c);
        if (only) {
            return image_fail(
                loader->error,
                "%s: the only image of class '%s', a split needs more; add some or leave it out",
                only->path, dataset->class_names[c]);
        }
    }
    return true;
}

static bool split_by_chance(struct dataset_loader *loader, struct dataset_split *split)
{
    const struct dataset_options *options = loader->options;
    return check_single_images(loader, &split->train) &&
           dataset_take_part(&split->test, &split->train, options->part_test, options->seed,
                             loader->error) &&
           dataset_take_part(&split->val, &split->train,
                             options->part_val / (1 - options->part_test), options->seed + 1,
                             loader->error);
}

static bool check_options(const struct dataset_options *options, struct image_error *error)
{
    const struct dataset_form *form = &options->form;
    if ((form->width > 0) != (form->height > 0) || form->width < 0 || form->height < 0) {
        return image_fail(error, "size of a data set: expected two sides or none, got %lld x %lld",
                          (long long)form->width, (long long)form->height);
    }
    if (form->channels != 0 && form->channels != 1 && form->channels != 3) {
        return image_fail(error, "channels of a data set: expected 1 or 3, got %d",
                          (int)form->channels);
    }
    if (options->group_by && !dataset_check_pattern(options->group_by, error)) {
        return false;
    }
    if (!(options->part_val >= 0 && options->part_test >= 0 &&
          options->part_val + options->part_test < 1)) {
        return image_fail(error,
                          "shares of validation and test: expected below 1 together, got %g and %g",
                          options->part_val, options->part_test);
    }
    return true;
}

static bool load_set(struct dataset_split *result, const char *folder, load_set_fn *load,
                     const struct dataset_options *options, struct image_error *error)
{
    const struct dataset_options defaults = dataset_options_default();
    struct dataset_loader loader = {.options = options ? options : &defaults, .error = error};
    bool is_split = false;
    *result = (struct dataset_split){0};
    if (!check_options(loader.options, error)) {
        return false;
    }
    loader.left_out = calloc((size_t)loader.options->leave_out_count + 1, sizeof(bool));
    if (!loader.left_out) {
        return image_fail(error, "%s: out of memory", folder);
    }
    result->train.form = result->val.form = result->test.form = loader.options->form;
    result->train.group_by = loader.options->group_by;
    const bool loaded = load(&loader, result, folder, &is_split) &&
                        (is_split || split_by_chance(&loader, result)) &&
                        check_left_out(&loader, folder);
    result->ignored = loader.ignored;
    result->by_chance = !is_split;
    free(loader.left_out);
    if (!loaded) {
        dataset_split_destroy(result);
    }
    return loaded;
}

bool dataset_load_classes(struct dataset_split *result, const char *folder,
                          const struct dataset_options *options, struct image_error *error)
{
    return load_set(result, folder, load_set_of_classes, options, error);
}

bool dataset_load_masks(struct dataset_split *result, const char *folder,
                        const struct dataset_options *options, struct image_error *error)
{
    return load_set(result, folder, load_set_of_masks, options, error);
}
