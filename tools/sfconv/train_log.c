/* SPDX-License-Identifier: BSD-2-Clause */
#include "train_log.h"

#include "fields.h"
#include "safe_file.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "epoch,loss,penalty,validation,best,images_per_second\n"
#define JSON_START "{\"epoch\": "

/* The number of the epoch that a line tells of; 0 for none. */
static long long epoch_of(const char *line)
{
    const size_t start = strlen(JSON_START);
    return strtoll(strncmp(line, JSON_START, start) == 0 ? line + start : line, NULL, 10);
}

static bool copy_earlier(FILE *to, const char *path, int64_t epoch, struct image_error *error)
{
    FILE *from = fopen(path, "r");
    char *line = NULL;
    size_t capacity = 0;
    if (!from) {
        return errno == ENOENT || image_fail(error, "%s: %s", path, strerror(errno));
    }
    while (getline(&line, &capacity, from) > 0) {
        const long long number = epoch_of(line);
        if (number > 0 && number < epoch) {
            fputs(line, to);
        }
    }
    free(line);
    fclose(from);
    return true;
}

static void write_csv(FILE *stream, const struct experiment_progress *p)
{
    fprintf(stream, "%" PRId64 ",%.9g,%.9g,", p->epoch, p->loss, p->penalty);
    if (!isnan(p->validation)) {
        fprintf(stream, "%.9g", p->validation);
    }
    fprintf(stream, ",%d,%.1f\n", (int)p->best, p->images_per_second);
}

static void write_json(FILE *stream, const struct experiment_progress *p)
{
    fprintf(stream, JSON_START "%" PRId64 ", \"loss\": ", p->epoch);
    json_number(stream, p->loss);
    fputs(", \"penalty\": ", stream);
    json_number(stream, p->penalty);
    fputs(", \"validation\": ", stream);
    json_number(stream, p->validation);
    fprintf(stream, ", \"best\": %s, \"images_per_second\": %.1f}\n", p->best ? "true" : "false",
            p->images_per_second);
}

static bool add(const char *path, const char *head, const struct experiment_progress *progress,
                void (*write)(FILE *, const struct experiment_progress *),
                struct image_error *error)
{
    struct safe_file file;
    if (!safe_file_open(&file, path, error)) {
        return false;
    }
    fputs(head, file.stream);
    const bool ok = copy_earlier(file.stream, path, progress->epoch, error);
    write(file.stream, progress);
    return safe_file_close(&file, ok, error);
}

bool train_log_add(const struct train_log *log, const struct experiment_progress *progress,
                   struct image_error *error)
{
    return add(log->csv, HEAD, progress, write_csv, error) &&
           add(log->json_lines, "", progress, write_json, error);
}
