/* SPDX-License-Identifier: BSD-2-Clause */
/* For kernel bodies only: 16 running sums in double on every machine; pixel p of a
 * whole 16 belongs to sum p % 16. The vectors are the compiler's, as wide as those of vec.h. */
#ifndef SFK_SUMS_H
#define SFK_SUMS_H

#include "vec.h"

#include <string.h>

#define SFD_LANES (SFV_LANES / 2)
#define SFD_PER_16 (SFV_SUMS / SFD_LANES)

typedef double sfd __attribute__((vector_size(SFD_LANES * 8)));
typedef float sfd_floats __attribute__((vector_size(SFD_LANES * 4)));

SFV_INLINE sfd sfd_from_floats(const float *from)
{
    sfd_floats floats;
    memcpy(&floats, from, sizeof floats);
    return __builtin_convertvector(floats, sfd);
}

/* The 16 sums to one: halves are added until one is left. */
SFV_INLINE double sfd_join(const sfd sums[SFD_PER_16])
{
    double lanes[SFV_SUMS];
    memcpy(lanes, sums, sizeof lanes);
    for (int half = SFV_SUMS / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) {
            lanes[i] += lanes[i + half];
        }
    }
    return lanes[0];
}

#endif
