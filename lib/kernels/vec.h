/* SPDX-License-Identifier: BSD-2-Clause */
/* For kernel bodies only: a vector of SFV_LANES floats of the instruction set that is compiled, and
 * the names of its kernels. Every operation acts on each lane alone and rounds once. */
#ifndef SFK_VEC_H
#define SFK_VEC_H

#include "kernels.h"

#define SFK_JOIN_(name, isa) sfk_##name##_##isa
#define SFK_JOIN(name, isa) SFK_JOIN_(name, isa)
/* SFK_NAME(relu) is sfk_relu_avx2 where SFK_ISA is avx2. */
#define SFK_NAME(name) SFK_JOIN(name, SFK_ISA)

#define SFK_KERNEL(name, parameters) void SFK_NAME(name) parameters;
#include "kernel_list.inc"
#undef SFK_KERNEL

/* Before a loop of few turns, whose count is a constant once its function is inlined: its arrays
 * then become registers. Plain C, whose time is that of fmaf(), gains nothing by it and takes
 * compilers three times as long. */
#if defined(SFK_BUILD_REFERENCE) || defined(SFK_BUILD_WIDE)
#define SFV_PLAIN
#if defined(__clang__)
#define SFV_UNROLL _Pragma("clang loop unroll(disable)")
#else
#define SFV_UNROLL _Pragma("GCC unroll 1")
#endif
#elif defined(__clang__)
#define SFV_UNROLL _Pragma("clang loop unroll(full)")
#else
#define SFV_UNROLL _Pragma("GCC unroll 16")
#endif

#define SFV_INLINE static inline __attribute__((always_inline, unused))

#if defined(SFK_BUILD_AVX512)
#include "vec_avx512.h"
#elif defined(SFK_BUILD_AVX2)
#include "vec_avx2.h"
#elif defined(SFK_BUILD_NEON)
#include "vec_neon.h"
#else
#include "vec_reference.h"
#endif

SFV_INLINE sfv sfv_zero(void)
{
    return sfv_set1(0.0f);
}

/* The first `lanes`, all or fewer. */
SFV_INLINE sfv sfv_load_lanes(const float *from, int64_t lanes)
{
    return lanes == SFV_LANES ? sfv_load(from) : sfv_load_part(from, lanes);
}

SFV_INLINE void sfv_store_lanes(float *to, sfv value, int64_t lanes)
{
    if (lanes == SFV_LANES) {
        sfv_store(to, value);
    } else {
        sfv_store_part(to, value, lanes);
    }
}

/* One address each from step to step: compilers else reckon with distances that they keep on the
 * stack. */
#define SFV_PASS_ON(weights, at) __asm__("" : "+r"(weights), "+r"(at))

/* Keeps a value that is used more than once in its register: compilers else read it again. */
#if defined(SFK_BUILD_AVX512) || defined(SFK_BUILD_AVX2)
#define SFV_KEEP(value) __asm__("" : "+v"(value))
#elif defined(SFK_BUILD_NEON)
#define SFV_KEEP(value) __asm__("" : "+w"(value))
#else
#define SFV_KEEP(value) (void)(value)
#endif

/* Even and odd lanes as they are cheapest to get: sfv_in_order() makes sfv_evens() and sfv_odds()
 * of them, and of what is computed from both lane by lane. */
#if !defined(SFV_MIXES_PAIRS)
SFV_INLINE sfv sfv_mixed_evens(sfv a, sfv b)
{
    return sfv_evens(a, b);
}

SFV_INLINE sfv sfv_mixed_odds(sfv a, sfv b)
{
    return sfv_odds(a, b);
}

SFV_INLINE sfv sfv_in_order(sfv mixed)
{
    return mixed;
}
#endif

/* The largest of each two columns of two rows, in the order of sfv_in_order(); a NaN wins. */
SFV_INLINE sfv sfv_pool_pairs(sfv above, sfv above_next, sfv below, sfv below_next)
{
    const sfv first = sfv_max_or_nan(above, below);
    const sfv second = sfv_max_or_nan(above_next, below_next);
    return sfv_max_or_nan(sfv_mixed_evens(first, second), sfv_mixed_odds(first, second));
}

/* The same where there is no NaN. */
SFV_INLINE sfv sfv_pool_numbers(sfv above, sfv above_next, sfv below, sfv below_next)
{
    const sfv first = sfv_max(above, below);
    const sfv second = sfv_max(above_next, below_next);
    return sfv_max(sfv_mixed_evens(first, second), sfv_mixed_odds(first, second));
}

/* Reductions over pixels keep 16 running sums on every machine: pixel p belongs to sum p % 16. */
#define SFV_SUMS 16
#define SFV_PER_16 (SFV_SUMS / SFV_LANES)

/* The 16 sums to one: halves are added until one is left. */
SFV_INLINE float sfv_sum16(const sfv sums[SFV_PER_16])
{
    sfv parts[SFV_PER_16];
    for (int v = 0; v < SFV_PER_16; v++) {
        parts[v] = sums[v];
    }
    for (int half = SFV_PER_16 / 2; half > 0; half /= 2) {
        for (int v = 0; v < half; v++) {
            parts[v] = sfv_add(parts[v], parts[v + half]);
        }
    }
    return sfv_sum_lanes(parts[0]);
}

#endif
