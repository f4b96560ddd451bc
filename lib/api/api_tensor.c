/* SPDX-License-Identifier: BSD-2-Clause */
#include "handles.h"
#include "views.h"

#include "sizes.h"

sfconv_status sfconv_view_init(sfconv_view *view, float *data, int32_t rank, const int64_t *shape)
{
    int64_t bytes = (int64_t)sizeof(float);
    if (!view || !data || !shape || rank < 1 || rank > 4) {
        return SFCONV_ERROR_ARGUMENT;
    }
    for (int32_t i = 0; i < rank; i++) {
        if (shape[i] < 1) {
            return SFCONV_ERROR_ARGUMENT;
        }
    }
    for (int32_t i = 0; i < rank; i++) {
        if (!sfi_mul(&bytes, bytes, shape[i])) {
            return SFCONV_ERROR_OVERFLOW;
        }
    }
    sfi_fill_view(view, data, rank, shape);
    return SFCONV_OK;
}

int64_t sfconv_view_count(const sfconv_view *view)
{
    int64_t count = 0;
    if (sfi_check_view(NULL, __func__, "view", view) == SFCONV_OK) {
        sfi_product(&count, view->shape, view->rank);
    }
    return count;
}

sfconv_status sfconv_view_copy(const sfconv_view *target, const sfconv_view *source)
{
    sfconv_status status;
    if ((status = sfi_check_view(NULL, __func__, "source", source)) < 0 ||
        (status = sfi_check_target_like(NULL, __func__, "target", target, "source", source)) < 0) {
        return status;
    }
    if (target->rank != source->rank) {
        return SFCONV_ERROR_SHAPE;
    }
    sfi_copy_view(target, source);
    return SFCONV_OK;
}
