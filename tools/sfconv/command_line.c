/* SPDX-License-Identifier: BSD-2-Clause */
#include "command.h"
#include "dataset_groups.h"
#include "parse_text.h"
#include "program.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SIDE 65536

bool usage_fail(struct arguments *arguments, struct image_error *error, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(error->text, sizeof error->text, format, list);
    va_end(list);
    arguments->usage = true;
    return false;
}

static const struct command_option *find_option(const struct command *command, const char *name,
                                                size_t length)
{
    const struct command_option *option = command->options;
    for (; option->name; option++) {
        if (strlen(option->name) == length && strncmp(option->name, name, length) == 0) {
            return option;
        }
    }
    return NULL;
}

/* The option in argv[*place]; its text may be the next word, which is then consumed. */
static bool take_option(struct arguments *arguments, int argc, char **argv, int *place,
                        struct image_error *error)
{
    const char *word = argv[*place] + 2;
    const char *equals = strchr(word, '=');
    const size_t length = equals ? (size_t)(equals - word) : strlen(word);
    const struct command_option *option = find_option(arguments->command, word, length);
    const char *text = equals ? equals + 1 : NULL;
    if (!option) {
        return usage_fail(arguments, error, "--%.*s: no such option; see sfconv %s --help",
                          (int)length, word, arguments->command->name);
    }
    if (!option->value && text) {
        return usage_fail(arguments, error, "--%s: takes no value, got '%s'", option->name, text);
    }
    if (option->value && !text) {
        text = *place + 1 < argc ? argv[++*place] : NULL;
        if (!text) {
            return usage_fail(arguments, error, "--%s: expected %s behind it", option->name,
                              option->value);
        }
    }
    if (arguments->given_count == COMMAND_MAX_OPTIONS) {
        return usage_fail(arguments, error, "more than %d options", COMMAND_MAX_OPTIONS);
    }
    arguments->given[arguments->given_count].name = option->name;
    arguments->given[arguments->given_count++].text = text;
    return true;
}

bool arguments_parse(struct arguments *arguments, const struct command *command, int argc,
                     char **argv, struct image_error *error)
{
    int operands = 0;
    bool only_operands = false;
    *arguments = (struct arguments){.command = command};
    /* Operands move to the front of argv, in their order. */
    for (int i = 0; i < argc; i++) {
        if (!only_operands && strcmp(argv[i], "--") == 0) {
            only_operands = true;
        } else if (only_operands || strncmp(argv[i], "-", 1) != 0 || argv[i][1] == '\0') {
            argv[operands++] = argv[i];
        } else if (argv[i][1] != '-') {
            return usage_fail(arguments, error, "%s: no such option; see sfconv %s --help", argv[i],
                              command->name);
        } else if (!take_option(arguments, argc, argv, &i, error)) {
            return false;
        }
    }
    arguments->operands = (const char *const *)argv;
    arguments->operand_count = operands;
    if (operands < command->least_operands) {
        return usage_fail(arguments, error, "expected %s; see sfconv %s --help", command->operands,
                          command->name);
    }
    if (command->most_operands > 0 && operands > command->most_operands) {
        return usage_fail(arguments, error, "'%s' is one too many: expected %s",
                          argv[command->most_operands], command->operands);
    }
    return true;
}

const char *argument_text(const struct arguments *arguments, const char *name,
                          const char *otherwise)
{
    for (int64_t i = arguments->given_count - 1; i >= 0; i--) {
        if (strcmp(arguments->given[i].name, name) == 0) {
            return arguments->given[i].text ? arguments->given[i].text : "";
        }
    }
    return otherwise;
}

bool argument_given(const struct arguments *arguments, const char *name)
{
    return argument_text(arguments, name, NULL) != NULL;
}

bool argument_list(struct arguments *arguments, const char *name, const char **texts,
                   int64_t capacity, int64_t *count, struct image_error *error)
{
    *count = 0;
    for (int64_t i = 0; i < arguments->given_count; i++) {
        if (strcmp(arguments->given[i].name, name) != 0) {
            continue;
        }
        if (*count == capacity) {
            return usage_fail(arguments, error, "--%s: more than %lld times", name,
                              (long long)capacity);
        }
        texts[(*count)++] = arguments->given[i].text;
    }
    return true;
}

bool argument_integer(struct arguments *arguments, const char *name, int64_t least, int64_t most,
                      int64_t *value, struct image_error *error)
{
    const char *text = argument_text(arguments, name, NULL);
    const bool ok = !text || parse_integer(value, text, least, most, name, error);
    arguments->usage = arguments->usage || !ok;
    return ok;
}

bool argument_number(struct arguments *arguments, const char *name, bool zero_allowed,
                     double *value, struct image_error *error)
{
    const char *text = argument_text(arguments, name, NULL);
    const bool ok = !text || parse_number(value, text, zero_allowed, name, error);
    arguments->usage = arguments->usage || !ok;
    return ok;
}

bool argument_name(struct arguments *arguments, const char *name, int32_t (*find)(const char *),
                   int32_t *value, struct image_error *error)
{
    const char *text = argument_text(arguments, name, NULL);
    const bool ok = !text || parse_name(value, text, name, find, error);
    arguments->usage = arguments->usage || !ok;
    return ok;
}

bool argument_parse_size(const char *text, int64_t *width, int64_t *height)
{
    long long sides[2] = {0, 0};
    int used = 0;
    const int found = sscanf(text, "%lld%nx%lld%n", &sides[0], &used, &sides[1], &used);
    sides[1] = found == 1 ? sides[0] : sides[1];
    if (found < 1 || text[used] || sides[0] < 1 || sides[0] > MAX_SIDE || sides[1] < 1 ||
        sides[1] > MAX_SIDE) {
        return false;
    }
    *width = sides[0];
    *height = sides[1];
    return true;
}

bool argument_size(struct arguments *arguments, const char *name, int64_t *width, int64_t *height,
                   struct image_error *error)
{
    const char *text = argument_text(arguments, name, NULL);
    return !text || argument_parse_size(text, width, height) ||
           usage_fail(arguments, error, "--%s: '%s' is not a size like 304 or 304x256", name, text);
}

bool command_limits(struct image_limits *limits, struct arguments *arguments,
                    struct image_error *error)
{
    *limits = (struct image_limits){.pixels = IMAGE_DEFAULT_PIXELS, .option = "--max-pixels"};
    return argument_integer(arguments, "max-pixels", 1, IMAGE_MAX_PIXELS, &limits->pixels, error);
}

bool command_check_pattern(struct arguments *arguments, const char *pattern,
                           struct image_error *error)
{
    struct image_error reason;
    return !pattern || dataset_check_pattern(pattern, &reason) ||
           usage_fail(arguments, error, "--group-by: %s", reason.text);
}

bool command_context(sfconv_context **context, struct arguments *arguments,
                     struct image_error *error)
{
    struct program_options options = {0};
    int64_t workers = 0;
    if (!argument_integer(arguments, "workers", 1, 256, &workers, error)) {
        return false;
    }
    options.workers = (int32_t)workers;
    return program_context(context, &options, error);
}
