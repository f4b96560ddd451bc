/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFCONV_STATUS_H
#define SFCONV_STATUS_H

#include "sfconv/version.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Result of a call. Zero is success, every failure is negative, numbers are never reused.
 * The reason in words, with names and numbers, is kept by the context: sfconv_context_last_error().
 * Since: 0.1
 */
typedef int32_t sfconv_status;

#define SFCONV_OK 0
/** NULL where a pointer is needed, a number out of its range, NaN or infinity as a setting. */
#define SFCONV_ERROR_ARGUMENT (-1)
/** Shapes that do not fit each other, or too small for the kernel. */
#define SFCONV_ERROR_SHAPE (-2)
/** A size whose product does not fit 63 bits or the address space. */
#define SFCONV_ERROR_OVERFLOW (-3)
/** The allocator of the context returned NULL. */
#define SFCONV_ERROR_MEMORY (-4)
/** The object is not in the state the call needs (a run without reshape, a backward in inference).
 */
#define SFCONV_ERROR_STATE (-5)
/** Not a finite number where one is needed (weights with NaN or infinity, a decomposition that does
 * not converge). */
#define SFCONV_ERROR_NUMERIC (-6)
/** The operating system refused to open, read, write or rename a file. */
#define SFCONV_ERROR_IO (-7)
/** The content of a file is not what its format asks for. */
#define SFCONV_ERROR_FORMAT (-8)
/** A name or index that does not exist. */
#define SFCONV_ERROR_NOT_FOUND (-9)
/** Understood, but not offered by this build, this machine or this kind of object. */
#define SFCONV_ERROR_UNSUPPORTED (-10)
/** The caller's callback asked to stop. */
#define SFCONV_ERROR_CANCELLED (-11)

/**
 * Name of a status, "SFCONV_ERROR_SHAPE" for example; "SFCONV_ERROR_UNKNOWN" for a number that is
 * none. Never NULL, static storage. Any thread.
 * Since: 0.1
 */
SFCONV_API const char *sfconv_status_name(sfconv_status status);

#ifdef __cplusplus
}
#endif

#endif
