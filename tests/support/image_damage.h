/* SPDX-License-Identifier: BSD-2-Clause */
/* What damaged image files must not do. */
#ifndef TESTS_IMAGE_DAMAGE_H
#define TESTS_IMAGE_DAMAGE_H

#include "image_reading.h"

#include <unistd.h>

/* Of the files that are damaged, at most. */
#define FILE_BYTES 8192

/* Every cut of a whole file is refused with a reason. */
static inline void assert_cuts_refused(const char *name)
{
    unsigned char bytes[FILE_BYTES];
    const size_t count = scratch_read(name, bytes, sizeof bytes);
    ck_assert_uint_gt(count, 20);
    ck_assert_uint_lt(count, sizeof bytes);
    scratch_write("cut", bytes, count);
    for (size_t kept = count; kept-- > 0;) {
        ck_assert_int_eq(truncate(scratch_path("cut"), (off_t)kept), 0);
        const char *reason = reason_for("cut");
        ck_assert_msg(reason[0] != '\0', "%s cut to %zu bytes", name, kept);
    }
}

/* No change of one byte does harm; what is read keeps within the range. */
static inline void assert_changes_harmless(const char *name)
{
    unsigned char bytes[FILE_BYTES];
    const size_t count = scratch_read(name, bytes, sizeof bytes);
    const struct image_limits limits = {.pixels = 1 << 16};
    for (size_t i = 0; i < count; i++) {
        struct image image;
        bytes[i] ^= 0x91;
        scratch_write("changed", bytes, count);
        if (image_read(&image, scratch_path("changed"), &limits, &error)) {
            for (int64_t p = 0; p < image_pixels(&image) * image.channels; p++) {
                ck_assert(image.pixels[p] >= 0 && image.pixels[p] <= 1);
            }
        }
        image_destroy(&image);
        bytes[i] ^= 0x91;
    }
}

/* What libraries print would show up on the standard error of every program. */
static inline void assert_silent(void (*work)(const char *name), const char *name)
{
    const int kept = dup(STDERR_FILENO);
    FILE *heard = tmpfile();
    ck_assert(kept >= 0 && heard);
    fflush(stderr);
    dup2(fileno(heard), STDERR_FILENO);
    work(name);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    ck_assert_int_eq(lseek(fileno(heard), 0, SEEK_END), 0);
    fclose(heard);
}

/* Little-endian. */
static inline void put16(unsigned char *to, unsigned value)
{
    to[0] = (unsigned char)value;
    to[1] = (unsigned char)(value >> 8);
}

#endif
