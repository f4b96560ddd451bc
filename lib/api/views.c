/* SPDX-License-Identifier: BSD-2-Clause */
#include "views.h"

#include "sizes.h"

#include <stdio.h>
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

static sfconv_status check_axis(sfconv_context *context, const char *call, const char *name,
                                const sfconv_view *view, int32_t axis, int64_t *last)
{
    int64_t reach;
    if (view->shape[axis] < 1 || view->stride[axis] < 0) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                        "%s: axis %d of %s has size %lld and stride %lld, expected a size of at "
                        "least 1 and a stride that is not negative",
                        call, (int)axis, name, (long long)view->shape[axis],
                        (long long)view->stride[axis]);
    }
    if (!sfi_mul(&reach, view->shape[axis] - 1, view->stride[axis]) ||
        !sfi_add(last, *last, reach)) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT, "%s: the extent of %s overflows", call,
                        name);
    }
    return SFCONV_OK;
}

sfconv_status sfi_check_view(sfconv_context *context, const char *call, const char *name,
                             const sfconv_view *view)
{
    int64_t last = 0;
    int64_t count;
    if (!view || !view->data) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT, "%s: %s is NULL%s", call, name,
                        view ? " inside" : "");
    }
    if (view->rank < 1 || view->rank > 4) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT, "%s: %s has rank %d, expected 1 to 4", call,
                        name, (int)view->rank);
    }
    for (int32_t axis = 0; axis < view->rank; axis++) {
        const sfconv_status status = check_axis(context, call, name, view, axis, &last);
        if (status < 0) {
            return status;
        }
    }
    if (!sfi_product(&count, view->shape, view->rank) ||
        !sfi_mul(&last, last, (int64_t)sizeof(float))) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT, "%s: the size of %s overflows", call, name);
    }
    return SFCONV_OK;
}

void sfi_put_shape(char text[SFI_SHAPE_TEXT], const sfconv_view *view)
{
    int length = 0;
    for (int32_t axis = 0; axis < view->rank; axis++) {
        length += snprintf(text + length, (size_t)(SFI_SHAPE_TEXT - length), "%s%lld",
                           axis > 0 ? ", " : "[", (long long)view->shape[axis]);
    }
    snprintf(text + length, (size_t)(SFI_SHAPE_TEXT - length), "]");
}

static int64_t size_of_axis(const sfconv_view *view, int32_t axis)
{
    return axis < view->rank ? view->shape[axis] : 1;
}

sfconv_status sfi_check_view_like(sfconv_context *context, const char *call, const char *name,
                                  const sfconv_view *view, const char *model_name,
                                  const sfconv_view *model)
{
    const sfconv_status status = sfi_check_view(context, call, name, view);
    if (status < 0) {
        return status;
    }
    for (int32_t axis = 0; axis < 4; axis++) {
        if (size_of_axis(view, axis) != size_of_axis(model, axis)) {
            return sfi_fail(context, SFCONV_ERROR_SHAPE,
                            "%s: axis %d of %s: expected %lld as in %s, got %lld", call, (int)axis,
                            name, (long long)size_of_axis(model, axis), model_name,
                            (long long)size_of_axis(view, axis));
        }
    }
    return SFCONV_OK;
}

sfconv_status sfi_check_target_like(sfconv_context *context, const char *call, const char *name,
                                    const sfconv_view *view, const char *model_name,
                                    const sfconv_view *model)
{
    const sfconv_status status = sfi_check_view_like(context, call, name, view, model_name, model);
    if (status < 0) {
        return status;
    }
    for (int32_t axis = 0; axis < view->rank; axis++) {
        if (view->shape[axis] > 1 && view->stride[axis] == 0) {
            return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                            "%s: axis %d of %s has stride 0, but its elements are written", call,
                            (int)axis, name);
        }
    }
    return SFCONV_OK;
}

sfconv_status sfi_check_class_logits(sfconv_context *context, const char *call,
                                     const sfconv_view *logits)
{
    const sfconv_status status = sfi_check_view(context, call, "logits", logits);
    if (status < 0) {
        return status;
    }
    if (size_of_axis(logits, 2) != 1 || size_of_axis(logits, 3) != 1) {
        return sfi_fail(context, SFCONV_ERROR_SHAPE,
                        "%s: logits: expected [batch][classes][1][1], got maps of %lld x %lld",
                        call, (long long)size_of_axis(logits, 2),
                        (long long)size_of_axis(logits, 3));
    }
    return SFCONV_OK;
}
