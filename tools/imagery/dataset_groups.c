/* SPDX-License-Identifier: BSD-2-Clause */
#include "dataset_groups.h"

#include "chance.h"

#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

/* Part of the name of a file. */
struct key {
    const char *text;
    size_t length;
    int64_t sample;
};

struct groups {
    struct key *keys;
    int64_t *group_of; /* each sample's */
    int64_t *sizes;
    int64_t *order;
    int64_t count;
    int64_t *rest; /* of each class, what is not marked */
};

static bool compile(regex_t *expression, const char *pattern, struct image_error *error)
{
    char reason[256];
    const int status = regcomp(expression, pattern, REG_EXTENDED);
    if (status != 0) {
        regerror(status, expression, reason, sizeof reason);
        return image_fail(error, "pattern '%s': %s", pattern, reason);
    }
    return true;
}

bool dataset_check_pattern(const char *pattern, struct image_error *error)
{
    regex_t expression;
    if (!compile(&expression, pattern, error)) {
        return false;
    }
    regfree(&expression);
    return true;
}

static bool find_key(struct key *key, const regex_t *expression, const char *pattern,
                     const char *path, struct image_error *error)
{
    regmatch_t found[2];
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    if (regexec(expression, name, 2, found, 0) != 0) {
        return image_fail(error, "%s: the pattern '%s' does not fit this name", path, pattern);
    }
    const regmatch_t *match = found[1].rm_so >= 0 ? &found[1] : &found[0];
    key->text = name + match->rm_so;
    key->length = (size_t)(match->rm_eo - match->rm_so);
    return true;
}

static bool find_keys(struct groups *groups, const struct dataset *dataset,
                      struct image_error *error)
{
    regex_t expression;
    bool ok = compile(&expression, dataset->group_by, error);
    if (!ok) {
        return false;
    }
    for (int64_t i = 0; ok && i < dataset->count; i++) {
        groups->keys[i].sample = i;
        ok = find_key(&groups->keys[i], &expression, dataset->group_by, dataset->samples[i].path,
                      error);
    }
    regfree(&expression);
    return ok;
}

static int compare_texts(const struct key *a, const struct key *b)
{
    const size_t shorter = a->length < b->length ? a->length : b->length;
    const int order = memcmp(a->text, b->text, shorter);
    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

static int compare_keys(const void *a, const void *b)
{
    const struct key *left = a;
    const struct key *right = b;
    const int order = compare_texts(left, right);
    return order != 0 ? order : (left->sample > right->sample) - (left->sample < right->sample);
}

/* Groups are numbered in the order of their names. */
static void number_groups(struct groups *groups, const struct dataset *dataset)
{
    qsort(groups->keys, (size_t)dataset->count, sizeof *groups->keys, compare_keys);
    for (int64_t i = 0; i < dataset->count; i++) {
        if (i == 0 || compare_texts(&groups->keys[i - 1], &groups->keys[i]) != 0) {
            groups->count++;
        }
        groups->group_of[groups->keys[i].sample] = groups->count - 1;
        groups->sizes[groups->count - 1]++;
    }
    for (int64_t g = 0; g < groups->count; g++) {
        groups->order[g] = g;
    }
}

/* Whether every class keeps a sample without the group; then its samples leave the rest. */
static bool take_from_rest(struct groups *groups, const struct dataset *dataset, int64_t group)
{
    bool keeps = true;
    for (int64_t i = 0; i < dataset->count; i++) {
        const int32_t label = dataset->samples[i].label;
        if (groups->group_of[i] == group && label >= 0) {
            groups->rest[label]--;
            keeps = keeps && groups->rest[label] > 0;
        }
    }
    for (int64_t i = 0; !keeps && i < dataset->count; i++) {
        const int32_t label = dataset->samples[i].label;
        if (groups->group_of[i] == group && label >= 0) {
            groups->rest[label]++;
        }
    }
    return keeps;
}

/* One group after the other, unless that leads further away from the number wanted. */
static void mark(bool *chosen, struct groups *groups, const struct dataset *dataset, double part)
{
    const int64_t wanted = (int64_t)llround(part * (double)dataset->count);
    int64_t taken = 0;
    for (int64_t g = 0; g < groups->count && taken < wanted; g++) {
        const int64_t group = groups->order[g];
        const int64_t size = groups->sizes[group];
        if (taken + size - wanted > wanted - taken || taken + size == dataset->count ||
            !take_from_rest(groups, dataset, group)) {
            continue;
        }
        taken += size;
        for (int64_t i = 0; i < dataset->count; i++) {
            chosen[i] = chosen[i] || groups->group_of[i] == group;
        }
    }
}

static bool reserve(struct groups *groups, const struct dataset *dataset, struct image_error *error)
{
    const size_t count = (size_t)dataset->count + 1;
    groups->keys = calloc(count, sizeof *groups->keys);
    groups->group_of = calloc(count, sizeof *groups->group_of);
    groups->sizes = calloc(count, sizeof *groups->sizes);
    groups->order = calloc(count, sizeof *groups->order);
    groups->rest = calloc((size_t)dataset->class_count + 1, sizeof *groups->rest);
    return (groups->keys && groups->group_of && groups->sizes && groups->order && groups->rest) ||
           image_fail(error, "groups of %lld samples: out of memory", (long long)dataset->count);
}

bool dataset_choose_groups(bool *chosen, const struct dataset *dataset, double part, uint64_t seed,
                           struct image_error *error)
{
    struct groups groups = {0};
    const bool ok = reserve(&groups, dataset, error) && find_keys(&groups, dataset, error);
    if (ok) {
        struct chance chance = chance_start(seed, 0);
        number_groups(&groups, dataset);
        for (int64_t i = 0; i < dataset->count; i++) {
            if (dataset->samples[i].label >= 0) {
                groups.rest[dataset->samples[i].label]++;
            }
        }
        chance_shuffle(&chance, groups.order, groups.count);
        mark(chosen, &groups, dataset, part);
    }
    free(groups.keys);
    free(groups.group_of);
    free(groups.sizes);
    free(groups.order);
    free(groups.rest);
    return ok;
}
