/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFCONV_VERSION_H
#define SFCONV_VERSION_H

#include <stdint.h>

/** Version of this header. The library's own is sfconv_version(). Since: 0.1 */
#define SFCONV_VERSION_MAJOR 0
#define SFCONV_VERSION_MINOR 1
#define SFCONV_VERSION_PATCH 0
/** Binary interface number; the shared library's SONAME carries it. Since: 0.1 */
#define SFCONV_ABI_NUMBER 1

#if defined(SFCONV_BUILD) && defined(__GNUC__)
#define SFCONV_API __attribute__((visibility("default")))
#else
#define SFCONV_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** Version of the library that is linked, "0.1.0". Static storage, any thread. Since: 0.1 */
SFCONV_API const char *sfconv_version(void);

/** SFCONV_ABI_NUMBER of the library that is linked; compare it with the header's. Since: 0.1 */
SFCONV_API int32_t sfconv_abi_number(void);

#ifdef __cplusplus
}
#endif

#endif
