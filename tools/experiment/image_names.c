/* SPDX-License-Identifier: BSD-2-Clause */
#include "image_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The name of a file without folder and ending. */
struct stem {
    const char *path;
    const char *text;
    int length;
};

static struct stem stem_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    struct stem stem = {.path = path, .text = slash ? slash + 1 : path};
    const char *ending = strrchr(stem.text, '.');
    stem.length =
        (int)(ending && ending > stem.text ? (size_t)(ending - stem.text) : strlen(stem.text));
    return stem;
}

static int compare_stems(const void *a, const void *b)
{
    const struct stem *left = a;
    const struct stem *right = b;
    const int shorter = left->length < right->length ? left->length : right->length;
    const int order = memcmp(left->text, right->text, (size_t)shorter);
    return order != 0 ? order : left->length - right->length;
}

bool image_names_differ(const char *const *paths, int64_t count, struct image_error *error)
{
    struct stem *stems = calloc((size_t)count + 1, sizeof *stems);
    bool ok = stems || image_fail(error, "names of images: out of memory");
    for (int64_t i = 0; ok && i < count; i++) {
        stems[i] = stem_of(paths[i]);
    }
    if (ok) {
        qsort(stems, (size_t)count, sizeof *stems, compare_stems);
    }
    for (int64_t i = 1; ok && i < count; i++) {
        ok = compare_stems(&stems[i - 1], &stems[i]) != 0 ||
             image_fail(error, "%s: its mask would have the same name as that of %s", stems[i].path,
                        stems[i - 1].path);
    }
    free(stems);
    return ok;
}

bool image_name_output(char *path, size_t capacity, const char *folder, const char *image,
                       const char *kind, struct image_error *error)
{
    const struct stem stem = stem_of(image);
    const int length =
        snprintf(path, capacity, "%s/%.*s-%s.png", folder, stem.length, stem.text, kind);
    return (length > 0 && (size_t)length < capacity) ||
           image_fail(error, "%s: the path of its %s is too long", image, kind);
}
