/* SPDX-License-Identifier: BSD-2-Clause */
#include "sfconv/status.h"

const char *sfconv_status_name(sfconv_status status)
{
    switch (status) {
    case SFCONV_OK:
        return "SFCONV_OK";
    case SFCONV_ERROR_ARGUMENT:
        return "SFCONV_ERROR_ARGUMENT";
    case SFCONV_ERROR_SHAPE:
        return "SFCONV_ERROR_SHAPE";
    case SFCONV_ERROR_OVERFLOW:
        return "SFCONV_ERROR_OVERFLOW";
    case SFCONV_ERROR_MEMORY:
        return "SFCONV_ERROR_MEMORY";
    case SFCONV_ERROR_STATE:
        return "SFCONV_ERROR_STATE";
    case SFCONV_ERROR_NUMERIC:
        return "SFCONV_ERROR_NUMERIC";
    case SFCONV_ERROR_IO:
        return "SFCONV_ERROR_IO";
    case SFCONV_ERROR_FORMAT:
        return "SFCONV_ERROR_FORMAT";
    case SFCONV_ERROR_NOT_FOUND:
        return "SFCONV_ERROR_NOT_FOUND";
    case SFCONV_ERROR_UNSUPPORTED:
        return "SFCONV_ERROR_UNSUPPORTED";
    case SFCONV_ERROR_CANCELLED:
        return "SFCONV_ERROR_CANCELLED";
    default:
        return "SFCONV_ERROR_UNKNOWN";
    }
}
