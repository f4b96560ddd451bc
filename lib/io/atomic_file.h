/* SPDX-License-Identifier: BSD-2-Clause */
/* Replaces a file as a whole or not at all: everything goes to a temporary file in the same folder,
 * which takes the name only when it is complete and on the disk. */
#ifndef SFI_ATOMIC_FILE_H
#define SFI_ATOMIC_FILE_H

#include "ctx.h"

typedef struct sfi_atomic_file {
    sfconv_context *context;
    /* As the caller names it, for reasons. */
    const char *path;
    /* What is replaced (behind symbolic links), and what is written meanwhile. */
    char *target;
    char *temporary;
    int descriptor;
} sfi_atomic_file;

/* Begins to replace `path`, which must outlive the file. A file that exists keeps its mode; a new
 * one has 0666 less the process's mask. IO, MEMORY; nothing is left to clean up then. */
sfconv_status sfi_atomic_file_open(sfi_atomic_file *file, sfconv_context *context,
                                   const char *path);
/* IO; sfi_atomic_file_abort() is still due then. */
sfconv_status sfi_atomic_file_write(sfi_atomic_file *file, const void *data, size_t bytes);
/* Flushes to the disk and renames. IO: the earlier file is as it was. Ends the file either way. */
sfconv_status sfi_atomic_file_commit(sfi_atomic_file *file);
/* Drops what was written. */
void sfi_atomic_file_abort(sfi_atomic_file *file);

#endif
