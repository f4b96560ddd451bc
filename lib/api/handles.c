/* SPDX-License-Identifier: BSD-2-Clause */
#include "handles.h"

#include <string.h>

sfconv_status sfi_check_shaped(const sfconv_run *run, const char *call)
{
    const sfconv_status status = sfi_check_run(run);
    if (status < 0) {
        return status;
    }
    if (!run->shaped) {
        return sfi_fail(run->context, SFCONV_ERROR_STATE,
                        "%s: the run has no size yet; call sfconv_run_reshape first", call);
    }
    return SFCONV_OK;
}

sfconv_status sfi_check_training(const sfconv_run *run, const char *call)
{
    const sfconv_status status = sfi_check_shaped(run, call);
    if (status < 0) {
        return status;
    }
    if (!run->training) {
        return sfi_fail(run->context, SFCONV_ERROR_STATE,
                        "%s: it is an inference run; create the run with SFCONV_MODE_TRAINING",
                        call);
    }
    return SFCONV_OK;
}

void sfi_fill_view(sfconv_view *view, float *data, int32_t rank, const int64_t *shape)
{
    int64_t stride = 1;
    memset(view, 0, sizeof *view);
    view->data = data;
    view->rank = rank;
    for (int32_t i = rank - 1; i >= 0; i--) {
        view->shape[i] = shape[i];
        view->stride[i] = stride;
        stride *= shape[i];
    }
}

sfconv_status sfi_fill_parameter_info(sfconv_context *context, const char *call, const char *name,
                                      const sfi_parameter *parameter, sfconv_parameter_info *info)
{
    const sfconv_status status = sfi_check_out(context, call, info->struct_size, sizeof *info);
    if (status < 0) {
        return status;
    }
    info->name = name;
    info->role = parameter->role;
    info->trainable = parameter->role != SFCONV_PARAMETER_BUFFER;
    sfi_fill_view(&info->view, parameter->data, parameter->rank, parameter->shape);
    return SFCONV_OK;
}
