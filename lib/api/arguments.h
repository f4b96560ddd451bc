/* SPDX-License-Identifier: BSD-2-Clause */
/* How the door doubts: descriptors that may grow, handles that may be closed, numbers that may be
 * NaN. Only api/ includes it. */
#ifndef SFI_ARGUMENTS_H
#define SFI_ARGUMENTS_H

#include "error.h"

#include <stdbool.h>

/* A pointer that is NULL: the reason "CALL: NAME is NULL". */
sfconv_status sfi_refuse_null(sfconv_context *context, const char *call, const char *name);

/* ARGUMENT, with the reason, for a path that is NULL or empty. */
sfconv_status sfi_check_path(sfconv_context *context, const char *call, const char *path);

/*
 * Copies a caller's descriptor of desc->struct_size bytes over `known` (`bytes` long, filled with
 * defaults): fields that the caller's version has not keep their defaults; a tail that this library
 * does not know must be zero. `desc` NULL keeps all defaults. ARGUMENT otherwise, with the reason.
 */
sfconv_status sfi_take_desc(sfconv_context *context, const char *call, void *known, size_t bytes,
                            const void *desc);

/* Whether an output structure's struct_size has room for this version's `bytes`. */
sfconv_status sfi_check_out(sfconv_context *context, const char *call, size_t struct_size,
                            size_t bytes);

/* ARGUMENT with "CALL: NAME is V, expected MIN to MAX" unless min <= value <= max (NaN fails). */
sfconv_status sfi_check_integer(sfconv_context *context, const char *call, const char *name,
                                int64_t value, int64_t min, int64_t max);
sfconv_status sfi_check_number(sfconv_context *context, const char *call, const char *name,
                               double value, double min, double max);

/* ARGUMENT unless the value is finite and above 0, finite and not negative, or 0 <= value < 1. */
sfconv_status sfi_check_positive(sfconv_context *context, const char *call, const char *name,
                                 double value);
sfconv_status sfi_check_not_negative(sfconv_context *context, const char *call, const char *name,
                                     double value);
sfconv_status sfi_check_below_one(sfconv_context *context, const char *call, const char *name,
                                  double value);
/* ARGUMENT unless 0 or 1. */
sfconv_status sfi_check_flag(sfconv_context *context, const char *call, const char *name,
                             int32_t value);

#endif
