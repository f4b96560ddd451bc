/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_DTYPE_H
#define SFI_DTYPE_H

#include <stdbool.h>
#include <stdint.h>

/* Types of numbers in a safetensors file. */
typedef enum sfi_dtype {
    SFI_DTYPE_F64,
    SFI_DTYPE_F32,
    SFI_DTYPE_F16,
    SFI_DTYPE_BF16,
    SFI_DTYPE_I64,
    SFI_DTYPE_I32,
    SFI_DTYPE_I16,
    SFI_DTYPE_I8,
    SFI_DTYPE_U8,
    SFI_DTYPE_BOOL,
    SFI_DTYPE_COUNT
} sfi_dtype;

/* "F32" … */
const char *sfi_dtype_name(sfi_dtype dtype);
/* Bytes of one number. */
int64_t sfi_dtype_bytes(sfi_dtype dtype);
/* Whether `name` is a known type; *dtype is that then. */
bool sfi_dtype_from_name(sfi_dtype *dtype, const char *name);

/* F64, F32, F16 and BF16: those that sfi_dtype_to_float() takes. */
bool sfi_dtype_is_float(sfi_dtype dtype);
/* Converts `count` little-endian numbers at any alignment: F32 keeps its bits, NaN payloads too;
 * F16 and BF16 are exact, F64 rounds to nearest. */
void sfi_dtype_to_float(sfi_dtype dtype, const unsigned char *bytes, int64_t count, float *out);
/* The opposite for F32. */
void sfi_float_to_bytes(const float *values, int64_t count, unsigned char *bytes);

#endif
