/* SPDX-License-Identifier: BSD-2-Clause */
#include "console.h"
#include "gnuplot.h"
#include "reproduction.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const int32_t all_methods[REPRODUCTION_METHODS] = {
    SFCONV_METHOD_CONV,    SFCONV_METHOD_FCONV,        SFCONV_METHOD_FCONVSN,
    SFCONV_METHOD_DPCCONV, SFCONV_METHOD_SFCONV_NO_KL, SFCONV_METHOD_SFCONV};

static bool add_method(struct reproduction *r, struct arguments *arguments, const char *name,
                       struct image_error *error)
{
    const int32_t method = sfconv_method_from_name(name);
    if (method == 0) {
        return usage_fail(arguments, error, "--methods: there is no method '%s'; see --help", name);
    }
    for (int64_t m = 0; m < r->method_count; m++) {
        if (r->methods[m] == method) {
            return usage_fail(arguments, error, "--methods: %s is named twice", name);
        }
    }
    r->methods[r->method_count++] = method;
    return true;
}

/* Names between commas; without the option all six. */
static bool parse_methods(struct reproduction *r, struct arguments *arguments,
                          struct image_error *error)
{
    const char *list = argument_text(arguments, "methods", NULL);
    char name[64];
    if (!list) {
        memcpy(r->methods, all_methods, sizeof r->methods);
        r->method_count = REPRODUCTION_METHODS;
        return true;
    }
    while (*list) {
        const size_t length = strcspn(list, ",");
        snprintf(name, sizeof name, "%.*s", (int)(length < 63 ? length : 63), list);
        if (!add_method(r, arguments, name, error)) {
            return false;
        }
        list += length + (list[length] == ',');
    }
    return r->method_count > 0 || usage_fail(arguments, error, "--methods: expected names");
}

/* In quotes where a shell would read more than a word in it. */
static void put_word(FILE *stream, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_./,=+:@%";
    if (*word && strspn(word, plain) == strlen(word)) {
        fputs(word, stream);
        return;
    }
    fputc('\'', stream);
    for (; *word; word++) {
        fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, stream);
    }
    fputc('\'', stream);
}

static bool keep_command(struct reproduction *r, const struct arguments *arguments,
                         struct image_error *error)
{
    size_t length;
    FILE *stream = open_memstream(&r->command, &length);
    if (!stream) {
        return image_fail(error, "command line: out of memory");
    }
    fputs("sfconv reproduce ", stream);
    put_word(stream, arguments->operands[0]);
    for (int64_t i = 0; i < arguments->given_count; i++) {
        fprintf(stream, " --%s", arguments->given[i].name);
        if (arguments->given[i].text) {
            fputc(' ', stream);
            put_word(stream, arguments->given[i].text);
        }
    }
    return fclose(stream) == 0 || image_fail(error, "command line: out of memory");
}

static bool parse(struct reproduction *r, struct arguments *arguments, struct image_error *error)
{
    int32_t model = 0;
    r->how.data = arguments->operands[0];
    r->how.output = argument_text(arguments, "output", NULL);
    r->resume = argument_given(arguments, "resume");
    r->plots = !argument_given(arguments, "no-plots");
    r->seed_count = 3;
    if (!r->how.output || !*r->how.output) {
        return usage_fail(arguments, error, "expected --output DIR for report, models and logs");
    }
    if (!training_parse_task(arguments, &model, error)) {
        return false;
    }
    r->segments = experiment_segments(model);
    r->how.experiment = experiment_options_default(model, SFCONV_METHOD_SFCONV);
    r->kl = r->how.experiment.regularizer_weight;
    r->frobenius = experiment_options_default(model, SFCONV_METHOD_FCONV).regularizer_weight;
    return parse_methods(r, arguments, error) &&
           training_parse_numbers(arguments, &r->how.experiment, error) &&
           argument_number(arguments, "kl", true, &r->kl, error) &&
           argument_number(arguments, "frobenius", true, &r->frobenius, error) &&
           argument_integer(arguments, "seeds", 1, REPRODUCTION_MAX_SEEDS, &r->seed_count, error) &&
           training_parse_images(arguments, &r->how, error) && keep_command(r, arguments, error);
}

/* Runs that lie there are not mixed with new ones by mistake. */
static bool check_runs(const struct reproduction *r, struct image_error *error)
{
    for (int64_t i = 0; i < r->run_count && !r->resume; i++) {
        if (access(r->runs[i].folder, F_OK) == 0) {
            return image_fail(error,
                              "%s: a run lies there; --resume goes on with what is there, another "
                              "--output begins anew",
                              r->runs[i].folder);
        }
    }
    return true;
}

static void print_run(const struct reproduction *r, const struct reproduction_run *run)
{
    if (run->state != REPRODUCTION_FINISHED) {
        return;
    }
    printf("%-13s seed %" PRIu64 "  ", sfconv_method_name(run->method), run->seed);
    program_print_score(&run->score, r->segments, r->split.test.count > 0 ? "test" : "validation");
    fflush(stdout);
}

/* What earlier calls have finished. */
static bool read_finished(struct reproduction *r, int64_t *count, struct image_error *error)
{
    struct experiment_model now = {0};
    *count = 0;
    for (int64_t i = 0; i < r->run_count; i++) {
        struct reproduction_run *run = &r->runs[i];
        if (!reproduction_read_results(r, run, error)) {
            return false;
        }
        if (run->state != REPRODUCTION_FINISHED) {
            continue;
        }
        if ((*count == 0 && !experiment_measure(&now, &r->split.train, error)) ||
            !reproduction_check_images(r, run, &now, error)) {
            return false;
        }
        ++*count;
    }
    return true;
}

/* All methods of one seed; the report is written again, to be read while the others go on. */
static bool work_on_seed(struct reproduction *r, int64_t seed_index, int64_t *failed,
                         struct image_error *error)
{
    bool changed = seed_index + 1 == r->seed_count;
    for (int64_t m = 0; m < r->method_count && !console_interrupted(); m++) {
        struct reproduction_run *run = &r->runs[seed_index * r->method_count + m];
        if (run->state == REPRODUCTION_FINISHED) {
            continue;
        }
        if (!reproduction_work(r, run, error)) {
            return false;
        }
        print_run(r, run);
        *failed += run->state == REPRODUCTION_FAILED;
        changed = true;
    }
    return !(changed || console_interrupted()) || reproduction_report(r, error);
}

static bool work(struct reproduction *r, struct image_error *error)
{
    int64_t finished;
    int64_t failed = 0;
    if (!read_finished(r, &finished, error)) {
        return false;
    }
    program_print_sizes(&r->split);
    printf("%" PRId64 " runs, %" PRId64 " finished already\n", r->run_count, finished);
    fflush(stdout);
    console_catch_interrupt();
    for (int64_t s = 0; s < r->seed_count && !console_interrupted(); s++) {
        if (!work_on_seed(r, s, &failed, error)) {
            return false;
        }
    }
    printf("%sthe report is %s/report.html\n",
           console_interrupted() ? "stopped; --resume goes on from there; " : "", r->how.output);
    return failed == 0 ||
           image_fail(error, "%" PRId64 " of %" PRId64 " runs failed; %s/report.html tells why",
                      failed, r->run_count, r->how.output);
}

/* Before anything is trained. */
static bool check_plots(const struct reproduction *r, struct image_error *error)
{
    char version[128];
    struct image_error reason;
    return !r->plots || gnuplot_version(version, sizeof version, &reason) ||
           image_fail(error, "%s; --no-plots makes a report without plots", reason.text);
}

static bool run_reproduce(struct arguments *arguments, struct image_error *error)
{
    struct reproduction r = {0};
    bool ok = parse(&r, arguments, error);
    r.first_seed = r.how.experiment.seed;
    ok = ok && program_check_folder(r.how.output, error) && check_plots(&r, error) &&
         reproduction_plan(&r, error) && check_runs(&r, error) &&
         command_context(&r.context, arguments, error) &&
         program_load(&r.split, &r.how, r.segments, error);
    ok = ok && program_make_folder(r.how.output, error) && work(&r, error);
    reproduction_destroy(&r);
    return ok;
}

static const struct command_option options[] = {
    {"task", "NAME", "classify or segment; must be given"},
    {"output", "DIR", "folder for report, tables and a folder for each run; must be given"},
    {"methods", "LIST", "names between commas; usually all six"},
    {"seeds", "N", "runs of each method; usually 3"},
    {"seed", "N", "the first seed; usually 1"},
    {"kl", "X", "weight of the KL term of sfconv; usually 0.01"},
    {"frobenius", "X", "weight of the Frobenius term of fconv; usually 1e-4"},
    TRAINING_OPTIONS,
    {"no-plots", NULL, "a report without plots, where gnuplot is not there"},
    {"resume", NULL, "go on with what is in --output; runs that are finished are not repeated"},
    COMMAND_OPTION_WORKERS,
    {0},
};

const struct command command_reproduce = {
    .name = "reproduce",
    .operands = "DATA",
    .summary = "Compares the six methods of the paper on one's own images, in a report.",
    .details =
        "Trains each method with several seeds, all with the same split and budget, and judges "
        "each "
        "by the test\nimages once. In --output: report.html, which needs no other file; table.csv, "
        "comparisons.csv, runs.csv,\nimages.csv, curves.csv, spectra.csv and histograms.csv; and a "
        "folder for each run. Methods: conv, fconv,\nfconvsn, dpcconv, sfconv_no_kl, sfconv. "
        "Ctrl-C "
        "keeps what is finished and the state of the run under way.",
    .options = options,
    .least_operands = 1,
    .most_operands = 1,
    .run = run_reproduce,
};
