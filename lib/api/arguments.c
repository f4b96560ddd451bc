/* SPDX-License-Identifier: BSD-2-Clause */
#include "arguments.h"

#include <float.h>
#include <string.h>

sfconv_status sfi_refuse_null(sfconv_context *context, const char *call, const char *name)
{
    return context ? sfi_fail(context, SFCONV_ERROR_ARGUMENT, "%s: %s is NULL", call, name)
                   : SFCONV_ERROR_ARGUMENT;
}

sfconv_status sfi_check_path(sfconv_context *context, const char *call, const char *path)
{
    if (!path) {
        return sfi_refuse_null(context, call, "path");
    }
    return path[0] ? SFCONV_OK
                   : sfi_fail(context, SFCONV_ERROR_ARGUMENT, "%s: path is empty", call);
}

sfconv_status sfi_take_desc(sfconv_context *context, const char *call, void *known, size_t bytes,
                            const void *desc)
{
    size_t size;
    if (!desc) {
        return SFCONV_OK;
    }
    memcpy(&size, desc, sizeof size);
    if (size < sizeof size) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                        "%s: struct_size is %zu; set it to the size of the structure", call, size);
    }
    const unsigned char *tail = desc;
    for (size_t i = bytes; i < size; i++) {
        if (tail[i]) {
            return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                            "%s: the descriptor sets fields that this library (%zu bytes) does not "
                            "know (%zu bytes)",
                            call, bytes, size);
        }
    }
    memcpy(known, desc, size < bytes ? size : bytes);
    memcpy(known, &bytes, sizeof bytes);
    return SFCONV_OK;
}

sfconv_status sfi_check_out(sfconv_context *context, const char *call, size_t struct_size,
                            size_t bytes)
{
    if (struct_size < bytes) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                        "%s: struct_size is %zu, expected at least %zu", call, struct_size, bytes);
    }
    return SFCONV_OK;
}

sfconv_status sfi_check_integer(sfconv_context *context, const char *call, const char *name,
                                int64_t value, int64_t min, int64_t max)
{
    if (value < min || value > max) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT, "%s: %s is %lld, expected %lld to %lld",
                        call, name, (long long)value, (long long)min, (long long)max);
    }
    return SFCONV_OK;
}

sfconv_status sfi_check_number(sfconv_context *context, const char *call, const char *name,
                               double value, double min, double max)
{
    if (!(value >= min && value <= max)) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT, "%s: %s is %g, expected %g to %g", call,
                        name, value, min, max);
    }
    return SFCONV_OK;
}

sfconv_status sfi_check_positive(sfconv_context *context, const char *call, const char *name,
                                 double value)
{
    if (!(value > 0.0 && value <= DBL_MAX)) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                        "%s: %s is %g, expected a finite number above 0", call, name, value);
    }
    return SFCONV_OK;
}

sfconv_status sfi_check_not_negative(sfconv_context *context, const char *call, const char *name,
                                     double value)
{
    if (!(value >= 0.0 && value <= DBL_MAX)) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                        "%s: %s is %g, expected a finite number of at least 0", call, name, value);
    }
    return SFCONV_OK;
}

sfconv_status sfi_check_below_one(sfconv_context *context, const char *call, const char *name,
                                  double value)
{
    if (!(value >= 0.0 && value < 1.0)) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                        "%s: %s is %g, expected at least 0 and less than 1", call, name, value);
    }
    return SFCONV_OK;
}

sfconv_status sfi_check_flag(sfconv_context *context, const char *call, const char *name,
                             int32_t value)
{
    return sfi_check_integer(context, call, name, value, 0, 1);
}
