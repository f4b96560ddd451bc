/* SPDX-License-Identifier: BSD-2-Clause */
#include "train_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TEXT_CAPACITY 64
#define SETTINGS "loop.settings"
#define HEADER_MAX ((uint64_t)64 << 20)

void train_settings(char text[TRAIN_SETTINGS_CAPACITY], const struct experiment_model *model,
                    const struct dataset *train, const struct experiment_options *options)
{
    /* Mean and deviation stand for the pixels: other images have others. */
    snprintf(text, TRAIN_SETTINGS_CAPACITY,
             "model %s, method %s, rho %.9g, min-rank %lld, kl %.9g, epochs %lld, batch %lld, crop "
             "%lld, size %lld%s%s, rate %.9g, decay %.9g, balance %s, augment %d, validate-every "
             "%lld, seed %llu, images %lld "
             "of mean %.9g and deviation %.9g",
             sfconv_model_name(options->model), sfconv_method_name(options->method), options->ratio,
             (long long)options->min_rank, options->regularizer_weight, (long long)options->epochs,
             (long long)options->batch, (long long)options->crop, (long long)options->size,
             options->field_of_view ? " of the field of view" : "",
             options->pad ? " of squares" : "", options->rate, options->decay,
             experiment_balance_name(options->balance), (int)options->augment,
             (long long)options->validate_every, (unsigned long long)options->seed,
             (long long)train->count, (double)model->mean[0], (double)model->deviation[0]);
}

static int setting_length(const char *setting, const char *separator)
{
    const char *end = strstr(setting, separator);
    return end ? (int)(end - setting) : (int)strlen(setting);
}

bool train_settings_fail(const char *path, const char *started, const char *now,
                         const char *separator, struct image_error *error)
{
    const size_t bytes = strlen(separator);
    const char *then = started; /* the first settings that differ */
    const char *here = now;
    for (size_t i = 0; started[i] && started[i] == now[i]; i++) {
        if (strncmp(started + i, separator, bytes) == 0 &&
            strncmp(now + i, separator, bytes) == 0) {
            then = started + i + bytes;
            here = now + i + bytes;
        }
    }
    return image_fail(error, "%s: was started with %.*s, not with %.*s; the same options go on",
                      path, setting_length(then, separator), then, setting_length(here, separator),
                      here);
}

/* The head of a safetensors file, ended by a NUL and for the caller to free; NULL where it cannot
 * be read. */
static char *read_head(const char *path)
{
    struct stat status;
    unsigned char length[8];
    uint64_t bytes = 0;
    char *head = NULL;
    FILE *file = stat(path, &status) == 0 && S_ISREG(status.st_mode) ? fopen(path, "rb") : NULL;
    if (!file) {
        return NULL;
    }
    if (fread(length, 1, sizeof length, file) == sizeof length) {
        for (int i = 7; i >= 0; i--) {
            bytes = bytes << 8 | length[i];
        }
        head = bytes <= HEADER_MAX ? malloc((size_t)bytes + 1) : NULL;
        const size_t got = head ? fread(head, 1, (size_t)bytes, file) : 0;
        if (head) {
            head[got] = '\0';
        }
    }
    fclose(file);
    return head;
}

bool train_state_recognises(const char *path)
{
    char *head = read_head(path);
    const bool found = head && strstr(head, "\"" SETTINGS "\"");
    free(head);
    return found;
}

/* Before the library finds that a network of other settings has other weights. Settings hold
 * nothing that JSON would escape; whatever else is wrong with the file, the library tells. */
static bool check_settings(const char *path, const char *settings, struct image_error *error)
{
    char *head = read_head(path);
    char *started = head ? strstr(head, "\"" SETTINGS "\"") : NULL;
    started = started ? strchr(started + strlen("\"" SETTINGS "\""), '"') : NULL;
    char *end = started ? strchr(++started, '"') : NULL;
    bool same = true;
    if (end) {
        *end = '\0';
        same = strcmp(started, settings) == 0 ||
               train_settings_fail(path, started, settings, ", ", error);
    }
    free(head);
    return same;
}

static bool put(sfconv_metadata *texts, const char *name, const char *value, const char *path,
                sfconv_context *context, struct image_error *error)
{
    return experiment_check(context, sfconv_metadata_set(texts, name, value), path, error);
}

static bool put_integer(sfconv_metadata *texts, const char *name, int64_t value, const char *path,
                        sfconv_context *context, struct image_error *error)
{
    char text[TEXT_CAPACITY];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return put(texts, name, text, path, context, error);
}

/* In hexadecimal, which keeps every bit. */
static bool put_number(sfconv_metadata *texts, const char *name, double value, const char *path,
                       sfconv_context *context, struct image_error *error)
{
    char text[TEXT_CAPACITY];
    snprintf(text, sizeof text, "%a", value);
    return put(texts, name, text, path, context, error);
}

bool train_state_save(const char *path, sfconv_checkpoint checkpoint,
                      const struct train_position *position, const char *settings,
                      sfconv_context *context, struct image_error *error)
{
    sfconv_metadata *texts = NULL;
    bool ok = experiment_check(context, sfconv_metadata_create(&texts, context), path, error);
    ok = ok && put(texts, SETTINGS, settings, path, context, error) &&
         put_integer(texts, "loop.epoch", position->epoch, path, context, error) &&
         put_integer(texts, "loop.step", position->step, path, context, error) &&
         put_integer(texts, "loop.steps_done", position->steps_done, path, context, error) &&
         put_integer(texts, "loop.best_epoch", position->best_epoch, path, context, error) &&
         put_number(texts, "loop.loss_sum", position->loss_sum, path, context, error) &&
         put_number(texts, "loop.best_metric", position->best_metric, path, context, error);
    checkpoint.metadata = texts;
    /* The library's reason names the file. */
    ok =
        ok && experiment_check(context, sfconv_checkpoint_save(&checkpoint, path), "saving", error);
    sfconv_metadata_destroy(texts);
    return ok;
}

static bool take_number(double *value, const sfconv_metadata *texts, const char *name,
                        const char *path, struct image_error *error)
{
    char *end = NULL;
    const char *text = sfconv_metadata_get(texts, name);
    *value = text ? strtod(text, &end) : 0.0;
    return (text && end != text && *end == '\0') ||
           image_fail(error, "%s: it lacks the number '%s'; is it the state of a training?", path,
                      name);
}

static bool take_integer(int64_t *value, const sfconv_metadata *texts, const char *name,
                         const char *path, struct image_error *error)
{
    double number;
    if (!take_number(&number, texts, name, path, error)) {
        return false;
    }
    if (!(number >= 0.0 && number <= 1e15)) {
        return image_fail(error, "%s: %s is %g, expected a count", path, name, number);
    }
    *value = (int64_t)number;
    return true;
}

static bool take_position(struct train_position *position, const sfconv_metadata *texts,
                          const char *path, struct image_error *error)
{
    return take_integer(&position->epoch, texts, "loop.epoch", path, error) &&
           take_integer(&position->step, texts, "loop.step", path, error) &&
           take_integer(&position->steps_done, texts, "loop.steps_done", path, error) &&
           take_integer(&position->best_epoch, texts, "loop.best_epoch", path, error) &&
           take_number(&position->loss_sum, texts, "loop.loss_sum", path, error) &&
           take_number(&position->best_metric, texts, "loop.best_metric", path, error);
}

bool train_state_load(const char *path, sfconv_checkpoint checkpoint,
                      struct train_position *position, const char *settings,
                      sfconv_context *context, struct image_error *error)
{
    sfconv_metadata *texts = NULL;
    bool ok = check_settings(path, settings, error) &&
              experiment_check(context, sfconv_metadata_create(&texts, context), path, error);
    checkpoint.metadata = texts;
    ok = ok &&
         experiment_check(context, sfconv_checkpoint_load(&checkpoint, path), "loading", error) &&
         take_position(position, texts, path, error);
    sfconv_metadata_destroy(texts);
    return ok;
}
