/* SPDX-License-Identifier: BSD-2-Clause */
/* For kernel bodies only: running sums in double, as many on every machine; of 16, pixel p of a
 * whole 16 belongs to sum p % 16. The vectors are the compiler's, as wide as those of vec.h. */
#ifndef SFK_SUMS_H
#define SFK_SUMS_H

#include "vec.h"

#include <string.h>

#define SFD_LANES (SFV_LANES / 2)
#define SFD_PER_16 (SFV_SUMS / SFD_LANES)

typedef double sfd __attribute__((vector_size(SFD_LANES * 8)));
typedef float sfd_floats __attribute__((vector_size(SFD_LANES * 4)));

/* x - 0 is x, so that no instruction is left of it. */
SFV_INLINE sfd sfd_set1(double value)
{
    return value - (sfd){0};
}

/* GCC converts eight floats in two halves. */
SFV_INLINE sfd sfd_from_floats(const float *from)
{
#if defined(SFK_BUILD_AVX512)
    return _mm512_cvtps_pd(_mm256_loadu_ps(from));
#else
    sfd_floats floats;
    memcpy(&floats, from, sizeof floats);
    return __builtin_convertvector(floats, sfd);
#endif
}

/* Half 0 or 1 of a vector of floats. Through memory compilers would leave the vector there. */
SFV_INLINE sfd sfd_from_half(sfv value, int half)
{
#if defined(SFK_BUILD_AVX512)
    return _mm512_cvtps_pd(half ? _mm512_extractf32x8_ps(value, 1) : _mm512_castps512_ps256(value));
#elif defined(SFK_BUILD_AVX2)
    return _mm256_cvtps_pd(half ? _mm256_extractf128_ps(value, 1) : _mm256_castps256_ps128(value));
#else
    float lanes[SFV_LANES];
    sfv_store(lanes, value);
    return sfd_from_floats(lanes + half * SFD_LANES);
#endif
}

SFV_INLINE sfd sfd_load(const double *from)
{
    sfd value;
    memcpy(&value, from, sizeof value);
    return value;
}

SFV_INLINE void sfd_store(double *to, sfd value)
{
    memcpy(to, &value, sizeof value);
}

/* a * b + c where a * b is exact, as that of two floats is: then one rounding and two are the same,
 * and the instruction is free where there is one. */
SFV_INLINE sfd sfd_add_exact_product(sfd a, sfd b, sfd c)
{
#if defined(SFK_BUILD_AVX512)
    return _mm512_fmadd_pd(a, b, c);
#elif defined(SFK_BUILD_AVX2)
    return _mm256_fmadd_pd(a, b, c);
#elif defined(SFK_BUILD_NEON)
    return vfmaq_f64(c, a, b);
#else
    return a * b + c;
#endif
}

/* `vectors` of sums, a constant power of two, to one sum: halves are added until one is left. */
SFV_INLINE double sfd_join(const sfd *sums, int vectors)
{
    sfd parts[SFD_PER_16];
    double lanes[SFD_LANES];
    for (int v = 0; v < vectors; v++) {
        parts[v] = sums[v];
    }
    for (int half = vectors / 2; half > 0; half /= 2) {
        for (int v = 0; v < half; v++) {
            parts[v] += parts[v + half];
        }
    }
    sfd_store(lanes, parts[0]);
    for (int half = SFD_LANES / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) {
            lanes[i] += lanes[i + half];
        }
    }
    return lanes[0];
}

#endif
