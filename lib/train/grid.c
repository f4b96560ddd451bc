/* SPDX-License-Identifier: BSD-2-Clause */
#include "grid.h"

#include "error.h"

#include <math.h>

bool sfi_is_nan(float value)
{
    return value != value;
}

bool sfi_is_not_finite(float value)
{
    return !isfinite(value);
}

bool sfi_is_no_probability(float value)
{
    return !(value >= 0.0f && value <= 1.0f);
}

int64_t sfi_grid_find(const sfi_grid *grid, sfi_refusal_fn refuses)
{
    const int64_t planes = sfi_grid_planes(grid);
    for (int64_t plane = 0; plane < planes; plane++) {
        for (int64_t i = 0; i < grid->shape[2]; i++) {
            const float *row = sfi_grid_row(grid, plane, i);
            for (int64_t j = 0; j < grid->shape[3]; j++) {
                if (refuses(row[j * grid->stride[3]])) {
                    return (plane * grid->shape[2] + i) * grid->shape[3] + j;
                }
            }
        }
    }
    return -1;
}

sfconv_status sfi_grid_check(sfconv_context *context, const char *name, const sfi_grid *grid,
                             sfi_refusal_fn refuses, sfconv_status status, const char *wanted)
{
    const int64_t found = sfi_grid_find(grid, refuses);
    if (found < 0) {
        return SFCONV_OK;
    }
    const int64_t w = found % grid->shape[3];
    const int64_t h = found / grid->shape[3] % grid->shape[2];
    const int64_t plane = found / sfi_grid_plane_size(grid);
    const float value = sfi_grid_row(grid, plane, h)[w * grid->stride[3]];
    return sfi_fail(context, status, "%s[%lld][%lld][%lld][%lld]: expected %s, got %g", name,
                    (long long)(plane / grid->shape[1]), (long long)(plane % grid->shape[1]),
                    (long long)h, (long long)w, wanted, (double)value);
}
