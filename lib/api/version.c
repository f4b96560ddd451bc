/* SPDX-License-Identifier: BSD-2-Clause */
#include "sfconv/version.h"

#define TEXT_(number) #number
#define TEXT(number) TEXT_(number)

const char *sfconv_version(void)
{
    return TEXT(SFCONV_VERSION_MAJOR) "." TEXT(SFCONV_VERSION_MINOR) "." TEXT(SFCONV_VERSION_PATCH);
}

int32_t sfconv_abi_number(void)
{
    return SFCONV_ABI_NUMBER;
}
