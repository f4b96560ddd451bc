/* SPDX-License-Identifier: BSD-2-Clause */
#include "gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Why a child could not be started, or how it ended. */
static bool wait_for(pid_t child, struct image_error *error)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            return image_fail(error, "gnuplot: %s", strerror(errno));
        }
    }
    if (WIFSIGNALED(status)) {
        return image_fail(error, "gnuplot: killed by signal %d", WTERMSIG(status));
    }
    return (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
           image_fail(error, "gnuplot: ended with status %d", WEXITSTATUS(status));
}

/* argv[0] is looked for on the PATH; no shell reads any of this. Interrupts from the keyboard go to
 * this program alone: the child gets a process group of its own. */
static bool start(pid_t *child, char *const *argv, const char *input,
                  posix_spawn_file_actions_t *actions, struct image_error *error)
{
    posix_spawnattr_t attributes;
    int status = posix_spawnattr_init(&attributes);
    if (status == 0) {
        status = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
        status = status
                     ? status
                     : posix_spawn_file_actions_addopen(actions, STDIN_FILENO, input, O_RDONLY, 0);
        status =
            status ? status : posix_spawnp(child, argv[0], actions, &attributes, argv, environ);
        posix_spawnattr_destroy(&attributes);
    }
    if (status == ENOENT) {
        return image_fail(error, "gnuplot: there is no such program; install it (gnuplot-nox)");
    }
    return status == 0 || image_fail(error, "gnuplot: %s", strerror(status));
}

/* All that is written there, in one line, as far as it fits. */
static bool read_line(int descriptor, char *line, size_t capacity)
{
    size_t length = 0;
    ssize_t got;
    char byte;
    while ((got = read(descriptor, &byte, 1)) == 1 || (got < 0 && errno == EINTR)) {
        if (got == 1 && byte != '\n' && length + 1 < capacity) {
            line[length++] = byte;
        }
    }
    line[length] = '\0';
    return length > 0;
}

bool gnuplot_version(char *version, size_t capacity, struct image_error *error)
{
    char *const argv[] = {(char[]){"gnuplot"}, (char[]){"--version"}, NULL};
    posix_spawn_file_actions_t actions;
    int ends[2];
    pid_t child;
    if (pipe(ends) != 0) {
        return image_fail(error, "gnuplot: %s", strerror(errno));
    }
    bool ok = posix_spawn_file_actions_init(&actions) == 0;
    if (ok) {
        ok = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO) == 0 &&
             posix_spawn_file_actions_addclose(&actions, ends[0]) == 0 &&
             posix_spawn_file_actions_addclose(&actions, ends[1]) == 0 &&
             start(&child, argv, "/dev/null", &actions, error);
        posix_spawn_file_actions_destroy(&actions);
    }
    close(ends[1]);
    if (ok) {
        const bool answered = read_line(ends[0], version, capacity);
        ok = wait_for(child, error) &&
             (answered || image_fail(error, "gnuplot: it does not tell its version"));
    }
    close(ends[0]);
    return ok;
}

/* gnuplot does not always say that a disk is full. */
static bool check_end(const char *path, const char *name, struct image_error *error)
{
    static const char end[] = "</svg>";
    char tail[32] = "";
    FILE *file = fopen(path, "r");
    if (file) {
        const bool at = fseek(file, -(long)(sizeof tail - 1), SEEK_END) == 0;
        tail[at ? fread(tail, 1, sizeof tail - 1, file) : 0] = '\0';
        fclose(file);
    }
    return strstr(tail, end) || image_fail(error, "%s: gnuplot could not write all of it", name);
}

/* What gnuplot says is kept for the case that it fails: of a plot with one point it warns. */
bool gnuplot_draw(const char *script, const char *picture, const char *name,
                  struct image_error *error)
{
    /* -d: without the settings that a user may have at home. */
    char *const argv[] = {(char[]){"gnuplot"}, (char[]){"-d"}, (char[]){"-"}, NULL};
    posix_spawn_file_actions_t actions;
    struct image_error reason;
    char said[200] = "";
    int ends[2];
    pid_t child;
    if (pipe(ends) != 0) {
        return image_fail(error, "gnuplot: %s", strerror(errno));
    }
    bool ok =
        posix_spawn_file_actions_init(&actions) == 0 || image_fail(error, "gnuplot: out of memory");
    if (ok) {
        ok = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, picture,
                                              O_WRONLY | O_CREAT | O_TRUNC, 0666) == 0 &&
             posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO) == 0 &&
             posix_spawn_file_actions_addclose(&actions, ends[0]) == 0 &&
             posix_spawn_file_actions_addclose(&actions, ends[1]) == 0 &&
             start(&child, argv, script, &actions, error);
        posix_spawn_file_actions_destroy(&actions);
    }
    close(ends[1]);
    if (ok) {
        read_line(ends[0], said, sizeof said);
        ok = wait_for(child, &reason) || image_fail(error, "%s: %s: %s", script, reason.text, said);
    }
    close(ends[0]);
    return ok && check_end(picture, name, error);
}
