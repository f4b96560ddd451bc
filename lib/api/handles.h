/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether what a caller gives is a handle of the kind it should be and still open, where that can
 * be seen. Only api/ includes it. */
#ifndef SFI_HANDLES_H
#define SFI_HANDLES_H

#include "arguments.h"
#include "metadata.h"
#include "run.h"

static inline sfconv_status sfi_check_layer(const sfconv_layer *layer)
{
    return layer && layer->magic == SFI_LAYER_MAGIC ? SFCONV_OK : SFCONV_ERROR_ARGUMENT;
}

static inline sfconv_status sfi_check_net(const sfconv_net *net)
{
    return net && net->magic == SFI_NET_MAGIC ? SFCONV_OK : SFCONV_ERROR_ARGUMENT;
}

static inline sfconv_status sfi_check_run(const sfconv_run *run)
{
    return run && run->magic == SFI_RUN_MAGIC ? SFCONV_OK : SFCONV_ERROR_ARGUMENT;
}

static inline sfconv_status sfi_check_metadata(const sfconv_metadata *metadata)
{
    return metadata && metadata->magic == SFI_METADATA_MAGIC ? SFCONV_OK : SFCONV_ERROR_ARGUMENT;
}

/* As sfi_check_run, and a reshape has fixed its size; STATE with the reason otherwise. */
sfconv_status sfi_check_shaped(const sfconv_run *run, const char *call);

/* As sfi_check_shaped, and it is a training run. */
sfconv_status sfi_check_training(const sfconv_run *run, const char *call);

/* Fills a caller's parameter info; name is the layer's or the net's. */
sfconv_status sfi_fill_parameter_info(sfconv_context *context, const char *call, const char *name,
                                      const sfi_parameter *parameter, sfconv_parameter_info *info);

/* A contiguous view of `rank` sizes. */
void sfi_fill_view(sfconv_view *view, float *data, int32_t rank, const int64_t *shape);

#endif
