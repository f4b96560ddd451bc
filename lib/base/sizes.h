/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_SIZES_H
#define SFI_SIZES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sizes are int64_t, never negative, and stay below 2^62 bytes. Each returns false on overflow and
 * then leaves *result alone. */
static inline bool sfi_mul(int64_t *result, int64_t a, int64_t b)
{
    int64_t product;
    if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product) || product > INT64_MAX / 2) {
        return false;
    }
    *result = product;
    return true;
}

static inline bool sfi_add(int64_t *result, int64_t a, int64_t b)
{
    int64_t sum;
    if (a < 0 || b < 0 || __builtin_add_overflow(a, b, &sum) || sum > INT64_MAX / 2) {
        return false;
    }
    *result = sum;
    return true;
}

/* Product of `count` factors. */
static inline bool sfi_product(int64_t *result, const int64_t *factors, int count)
{
    int64_t product = 1;
    for (int i = 0; i < count; i++) {
        if (!sfi_mul(&product, product, factors[i])) {
            return false;
        }
    }
    *result = product;
    return true;
}

/* `bytes` rounded up to the next multiple of 64. */
static inline int64_t sfi_round64(int64_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static inline int64_t sfi_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t sfi_max(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline int64_t sfi_ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Where part `index` of `count` things in `parts` begins, or the one before it ends: parts differ
 * by at most one, the larger ones come first. */
static inline int64_t sfi_part_begin(int64_t count, int64_t parts, int64_t index)
{
    return index * (count / parts) + sfi_min(index, count % parts);
}

/* The same where the larger ones lie among the smaller, so that neighbours of any number have
 * nearly equal shares. */
static inline int64_t sfi_spread_begin(int64_t count, int64_t parts, int64_t index)
{
    return count * index / parts;
}

#endif
