/* SPDX-License-Identifier: BSD-2-Clause */
#include "dtype.h"

#include <assert.h>
#include <string.h>

static const struct {
    const char *name;
    int64_t bytes;
} dtypes[SFI_DTYPE_COUNT] = {
    [SFI_DTYPE_F64] = {"F64", 8},   [SFI_DTYPE_F32] = {"F32", 4}, [SFI_DTYPE_F16] = {"F16", 2},
    [SFI_DTYPE_BF16] = {"BF16", 2}, [SFI_DTYPE_I64] = {"I64", 8}, [SFI_DTYPE_I32] = {"I32", 4},
    [SFI_DTYPE_I16] = {"I16", 2},   [SFI_DTYPE_I8] = {"I8", 1},   [SFI_DTYPE_U8] = {"U8", 1},
    [SFI_DTYPE_BOOL] = {"BOOL", 1},
};

const char *sfi_dtype_name(sfi_dtype dtype)
{
    return dtypes[dtype].name;
}

int64_t sfi_dtype_bytes(sfi_dtype dtype)
{
    return dtypes[dtype].bytes;
}

bool sfi_dtype_from_name(sfi_dtype *dtype, const char *name)
{
    for (int i = 0; i < SFI_DTYPE_COUNT; i++) {
        if (strcmp(dtypes[i].name, name) == 0) {
            *dtype = (sfi_dtype)i;
            return true;
        }
    }
    return false;
}

bool sfi_dtype_is_float(sfi_dtype dtype)
{
    return dtype <= SFI_DTYPE_BF16;
}

static uint64_t little_endian(const unsigned char *bytes, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count; i++) {
        value |= (uint64_t)bytes[i] << (8 * i);
    }
    return value;
}

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float float_of_half(uint32_t half)
{
    const uint32_t sign = (half & 0x8000u) << 16;
    const uint32_t exponent = half >> 10 & 0x1fu;
    const uint32_t fraction = half & 0x3ffu;
    if (exponent == 0) {
        /* Zero or a multiple of 2^-24: exact, and the sign of zero survives the product. */
        const float magnitude = (float)fraction * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    const uint32_t rebased = exponent == 0x1f ? 0xffu : exponent + (127 - 15);
    return float_of_bits(sign | rebased << 23 | fraction << 13);
}

static float float_of_double_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return (float)value;
}

void sfi_dtype_to_float(sfi_dtype dtype, const unsigned char *bytes, int64_t count, float *out)
{
    assert(sfi_dtype_is_float(dtype));
    switch (dtype) {
    case SFI_DTYPE_F64:
        for (int64_t i = 0; i < count; i++) {
            out[i] = float_of_double_bits(little_endian(bytes + 8 * i, 8));
        }
        break;
    case SFI_DTYPE_F32:
        for (int64_t i = 0; i < count; i++) {
            const uint32_t bits = (uint32_t)little_endian(bytes + 4 * i, 4);
            memcpy(&out[i], &bits, sizeof bits);
        }
        break;
    case SFI_DTYPE_F16:
        for (int64_t i = 0; i < count; i++) {
            out[i] = float_of_half((uint32_t)little_endian(bytes + 2 * i, 2));
        }
        break;
    case SFI_DTYPE_BF16:
        for (int64_t i = 0; i < count; i++) {
            out[i] = float_of_bits((uint32_t)little_endian(bytes + 2 * i, 2) << 16);
        }
        break;
    default:
        break;
    }
}

void sfi_float_to_bytes(const float *values, int64_t count, unsigned char *bytes)
{
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        for (int b = 0; b < 4; b++) {
            bytes[4 * i + b] = (unsigned char)(bits >> (8 * b));
        }
    }
}
