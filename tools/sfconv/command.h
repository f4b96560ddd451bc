/* SPDX-License-Identifier: BSD-2-Clause */
/* A command of the tool: what it is called, what it takes, what it does. The help, the parser, the
 * manual's test and the completion's test go by these tables. */
#ifndef SFCONV_TOOL_COMMAND_H
#define SFCONV_TOOL_COMMAND_H

#include "experiment.h"

#define COMMAND_MAX_OPTIONS 64

struct command_option {
    const char *name;
    const char *value; /* as the help shows it; NULL: the option is a switch */
    const char *help;
};

/* What stands behind the command's name. */
struct arguments {
    const struct command *command;
    const char *const *operands;
    int64_t operand_count;
    /* The options given, in their order. */
    struct {
        const char *name;
        const char *text; /* NULL for switches */
    } given[COMMAND_MAX_OPTIONS];
    int64_t given_count;
    /* Set where a failure is one of the command line. */
    bool usage;
};

struct command {
    const char *name;
    const char *operands;
    const char *summary;                  /* one line */
    const char *details;                  /* more lines for the command's own help; NULL: none */
    const struct command_option *options; /* ended by a name of NULL */
    int64_t least_operands;
    int64_t most_operands; /* 0: any number */
    bool (*run)(struct arguments *arguments, struct image_error *error);
};

extern const struct command command_bench;
extern const struct command command_compress;
extern const struct command command_eval;
extern const struct command command_info;
extern const struct command command_predict;
extern const struct command command_reproduce;
extern const struct command command_spectrum;
extern const struct command command_stats;
extern const struct command command_train;

/* Sorts operands and options; options may stand anywhere. */
bool arguments_parse(struct arguments *arguments, const struct command *command, int argc,
                     char **argv, struct image_error *error);

/* Whether an option was given. */
bool argument_given(const struct arguments *arguments, const char *name);
/* The last text given for an option, or `otherwise`. */
const char *argument_text(const struct arguments *arguments, const char *name,
                          const char *otherwise);
/* Every text given for an option, at most `capacity` of them. */
bool argument_list(struct arguments *arguments, const char *name, const char **texts,
                   int64_t capacity, int64_t *count, struct image_error *error);
/* Numbers keep their value where the option was not given. */
bool argument_integer(struct arguments *arguments, const char *name, int64_t least, int64_t most,
                      int64_t *value, struct image_error *error);
bool argument_number(struct arguments *arguments, const char *name, bool zero_allowed,
                     double *value, struct image_error *error);
bool argument_name(struct arguments *arguments, const char *name, int32_t (*find)(const char *),
                   int32_t *value, struct image_error *error);
/* Two sizes: "304" for both, or "304x256" as width and height. */
bool argument_parse_size(const char *text, int64_t *width, int64_t *height);
bool argument_size(struct arguments *arguments, const char *name, int64_t *width, int64_t *height,
                   struct image_error *error);

/* Fails for what stands on the command line: exit status 2. */
bool usage_fail(struct arguments *arguments, struct image_error *error, const char *format, ...)
    IMAGE_PRINTF(3, 4);

/* The limit of --max-pixels for the images that are read. */
bool command_limits(struct image_limits *limits, struct arguments *arguments,
                    struct image_error *error);
#define COMMAND_OPTION_MAX_PIXELS                                                                  \
    {                                                                                              \
        "max-pixels", "N", "refuse larger images before they are decoded; usually 67108864"        \
    }

/* Fails for a text of --group-by that is no pattern. */
bool command_check_pattern(struct arguments *arguments, const char *pattern,
                           struct image_error *error);

/* A context with the workers of --workers. */
bool command_context(sfconv_context **context, struct arguments *arguments,
                     struct image_error *error);
#define COMMAND_OPTION_WORKERS                                                                     \
    {                                                                                              \
        "workers", "N", "threads; usually one a processor; results do not depend on it"            \
    }

#endif
