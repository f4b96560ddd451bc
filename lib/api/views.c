/* SPDX-License-Identifier: BSD-2-Clause */
#include "views.h"

#include <string.h>

#define MAX_RANK 4

/* The same elements as four axes, new ones of size 1 in front. */
static sfconv_view four_axes(const sfconv_view *view)
{
    sfconv_view four = {.data = view->data, .rank = MAX_RANK};
    const int32_t missing = MAX_RANK - view->rank;
    for (int32_t i = 0; i < MAX_RANK; i++) {
        four.shape[i] = i < missing ? 1 : view->shape[i - missing];
        four.stride[i] = i < missing ? 0 : view->stride[i - missing];
    }
    return four;
}

static void copy_row(float *target, int64_t target_stride, const float *source,
                     int64_t source_stride, int64_t count)
{
    if (target_stride == 1 && source_stride == 1) {
        memcpy(target, source, (size_t)count * sizeof(float));
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        target[i * target_stride] = source[i * source_stride];
    }
}

void sfi_copy_view(const sfconv_view *target, const sfconv_view *source)
{
    const sfconv_view to = four_axes(target);
    const sfconv_view from = four_axes(source);
    for (int64_t n = 0; n < to.shape[0]; n++) {
        for (int64_t c = 0; c < to.shape[1]; c++) {
            for (int64_t h = 0; h < to.shape[2]; h++) {
                copy_row(to.data + n * to.stride[0] + c * to.stride[1] + h * to.stride[2],
                         to.stride[3],
                         from.data + n * from.stride[0] + c * from.stride[1] + h * from.stride[2],
                         from.stride[3], to.shape[3]);
            }
        }
    }
}
