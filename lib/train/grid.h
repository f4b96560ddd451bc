/* SPDX-License-Identifier: BSD-2-Clause */
/* A checked view as four axes: batch, channels, height, width; axes that the view has not are 1
 * long. A plane is one channel of one sample, a row one line of a plane; both are numbered in the
 * order of the axes. */
#ifndef SFI_GRID_H
#define SFI_GRID_H

#include "sfconv/tensor.h"

#include <stdbool.h>

typedef struct sfi_grid {
    float *data;
    int64_t shape[4];
    int64_t stride[4];
} sfi_grid;

static inline sfi_grid sfi_grid_of(const sfconv_view *view)
{
    sfi_grid grid = {view->data, {1, 1, 1, 1}, {0, 0, 0, 0}};
    for (int32_t axis = 0; axis < view->rank; axis++) {
        grid.shape[axis] = view->shape[axis];
        grid.stride[axis] = view->stride[axis];
    }
    return grid;
}

static inline int64_t sfi_grid_planes(const sfi_grid *grid)
{
    return grid->shape[0] * grid->shape[1];
}

static inline int64_t sfi_grid_plane_size(const sfi_grid *grid)
{
    return grid->shape[2] * grid->shape[3];
}

static inline float *sfi_grid_row(const sfi_grid *grid, int64_t plane, int64_t row)
{
    return grid->data + plane / grid->shape[1] * grid->stride[0] +
           plane % grid->shape[1] * grid->stride[1] + row * grid->stride[2];
}

/* Whether a number is refused. */
typedef bool (*sfi_refusal_fn)(float value);

/* Number (in the order of the axes) of the first element that `refuses` refuses, or -1. */
int64_t sfi_grid_find(const sfi_grid *grid, sfi_refusal_fn refuses);

bool sfi_is_nan(float value);
bool sfi_is_not_finite(float value);
bool sfi_is_no_probability(float value);

/* `status` with the reason "NAME[n][c][h][w]: expected WANTED, got V" at the first element that
 * `refuses` refuses; OK when there is none. */
struct sfconv_context;
sfconv_status sfi_grid_check(struct sfconv_context *context, const char *name, const sfi_grid *grid,
                             sfi_refusal_fn refuses, sfconv_status status, const char *wanted);

#endif
