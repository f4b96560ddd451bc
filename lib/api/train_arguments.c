/* SPDX-License-Identifier: BSD-2-Clause */
#include "train_arguments.h"

#include "sizes.h"

#include <float.h>

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

sfconv_status sfi_check_positive(sfconv_context *context, const char *call, const char *name,
                                 double value)
{
    if (!(value > 0.0 && value <= DBL_MAX)) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                        "%s: %s is %g, expected a finite number above 0", call, name, value);
    }
    return SFCONV_OK;
}

sfconv_status sfi_check_not_negative(sfconv_context *context, const char *call, const char *name,
                                     double value)
{
    if (!(value >= 0.0 && value <= DBL_MAX)) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                        "%s: %s is %g, expected a finite number of at least 0", call, name, value);
    }
    return SFCONV_OK;
}

sfconv_status sfi_check_below_one(sfconv_context *context, const char *call, const char *name,
                                  double value)
{
    if (!(value >= 0.0 && value < 1.0)) {
        return sfi_fail(context, SFCONV_ERROR_ARGUMENT,
                        "%s: %s is %g, expected at least 0 and less than 1", call, name, value);
    }
    return SFCONV_OK;
}

sfconv_status sfi_check_flag(sfconv_context *context, const char *call, const char *name,
                             int32_t value)
{
    return sfi_check_integer(context, call, name, value, 0, 1);
}
