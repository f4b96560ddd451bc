/* SPDX-License-Identifier: BSD-2-Clause */
/* What follows a convolution pixel by pixel at inference - BatchNorm, a sum with another map, an
 * activation - done to its output while that is in the cache, with the bits of those layers. */
#ifndef SFI_FINISH_H
#define SFI_FINISH_H

#include "kernels.h"

typedef struct sfi_finish {
    /* One for each channel, or NULL. */
    const sfk_normal *normals;
    /* A map of the output's shape, or NULL. */
    const float *addend;
    /* SFK_IDENTITY, SFK_RELU or SFK_LEAKY_RELU. */
    int32_t activation;
    float slope;
} sfi_finish;

/* Elements `place` … of `output`, all of one channel; `finish` may be NULL. */
static inline void sfi_finish_pixels(const sfk_table *kernels, const sfi_finish *finish,
                                     int64_t channel, float *output, int64_t place, int64_t count)
{
    if (finish) {
        const sfk_finish pixels = {
            .normal = finish->normals ? &finish->normals[channel] : NULL,
            .addend = finish->addend ? finish->addend + place : NULL,
            .activation = finish->activation,
            .slope = finish->slope,
        };
        kernels->finish(output + place, &pixels, count);
    }
}

#endif
