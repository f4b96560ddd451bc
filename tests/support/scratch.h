/* SPDX-License-Identifier: BSD-2-Clause */
/* A folder for the files of one test, gone afterwards. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char scratch_folder[64];

static int scratch_remove(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

/* To be given to tcase_add_checked_fixture(). */
static inline void scratch_create(void)
{
    strcpy(scratch_folder, "/tmp/sfconv-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scratch_folder));
}

static inline void scratch_destroy(void)
{
    nftw(scratch_folder, scratch_remove, 8, FTW_DEPTH | FTW_PHYS);
}

/* The path of a file in the folder; valid until the eighth call after this one. */
static inline const char *scratch_path(const char *name)
{
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", scratch_folder, name);
    return path;
}

static inline void scratch_make_folder(const char *name)
{
    ck_assert_int_eq(mkdir(scratch_path(name), 0700), 0);
}

static inline void scratch_write(const char *name, const void *bytes, size_t count)
{
    FILE *file = fopen(scratch_path(name), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

/* Returns the number of bytes, at most `capacity`. */
static inline size_t scratch_read(const char *name, void *bytes, size_t capacity)
{
    FILE *file = fopen(scratch_path(name), "rb");
    ck_assert_ptr_nonnull(file);
    const size_t count = fread(bytes, 1, capacity, file);
    fclose(file);
    return count;
}

#endif
