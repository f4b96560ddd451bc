/* SPDX-License-Identifier: BSD-2-Clause */
/* sfconv: factorized networks for people with images. One file per command; this one finds the
 * command and says how it went. */
#include "command.h"
#include "program.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the order of a working day. */
static const struct command *const commands[] = {
    &command_info,     &command_spectrum, &command_eval,      &command_predict, &command_stats,
    &command_compress, &command_train,    &command_reproduce, &command_bench,
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static void print_help(void)
{
    printf(
        "usage: sfconv COMMAND [options]\n"
        "Trains, judges, compresses and runs networks of factorized convolutions on images.\n\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        printf("  %-9s %s\n", commands[i]->name, commands[i]->summary);
    }
    printf("\n  --help     this text; sfconv COMMAND --help: the command's options\n"
           "  --version  the version of tool and library\n\n"
           "Exit status: 0 when all went well, 1 for a failure, 2 for a wrong command line.\n");
}

static void print_command_help(const struct command *command)
{
    printf("usage: sfconv %s [options] %s\n%s\n", command->name, command->operands,
           command->summary);
    if (command->details) {
        printf("\n%s\n", command->details);
    }
    printf("\n");
    for (const struct command_option *option = command->options; option->name; option++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", option->name, option->value ? " " : "",
                 option->value ? option->value : "");
        printf("  %-18s %s\n", left, option->help);
    }
    printf("  %-18s %s\n", "--help", "this text");
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static bool wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            return true;
        }
    }
    return false;
}

/* What is written to a full disk or a closed pipe is not well written. */
static bool flush_output(struct image_error *error)
{
    return (fflush(stdout) == 0 && !ferror(stdout)) ||
           image_fail(error, "standard output: %s", strerror(errno));
}

/* The status of a program that has printed a text and does no more. */
static int end_of_text(void)
{
    struct image_error error;
    if (flush_output(&error)) {
        return EXIT_SUCCESS;
    }
    fprintf(stderr, "sfconv: %s\n", error.text);
    return PROGRAM_EXIT_FAILURE;
}

static int run_command(const struct command *command, int argc, char **argv)
{
    struct arguments arguments;
    struct image_error error = {{0}};
    if (wants_help(argc, argv)) {
        print_command_help(command);
        return end_of_text();
    }
    const bool ok = arguments_parse(&arguments, command, argc, argv, &error) &&
                    command->run(&arguments, &error) && flush_output(&error);
    if (ok) {
        return EXIT_SUCCESS;
    }
    fflush(stdout);
    fprintf(stderr, "sfconv %s: %s\n", command->name, error.text);
    return arguments.usage ? PROGRAM_EXIT_USAGE : PROGRAM_EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    /* A file over the limit of the shell is an error like a full disk, not a reason to die. */
    signal(SIGXFSZ, SIG_IGN);
    if (argc < 2) {
        fprintf(stderr, "sfconv: expected a command; see sfconv --help\n");
        return PROGRAM_EXIT_USAGE;
    }
    const bool help = strcmp(argv[1], "help") == 0;
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || (help && argc == 2)) {
        print_help();
        return end_of_text();
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("sfconv %s\n", sfconv_version());
        return end_of_text();
    }
    const char *name = argv[help ? 2 : 1];
    const struct command *command = find_command(name);
    if (!command) {
        fprintf(stderr, "sfconv: there is no command '%s'; see sfconv --help\n", name);
        return PROGRAM_EXIT_USAGE;
    }
    if (help) {
        print_command_help(command);
        return end_of_text();
    }
    return run_command(command, argc - 2, argv + 2);
}
