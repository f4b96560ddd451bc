/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_MODELS_H
#define SFI_MODELS_H

#include "graph.h"

#include "sfconv/model.h"

/* Builds a ready-made network and its description; settings are checked by the caller, but for the
 * number of ranks, which only the network knows, and for weights of more than `most` numbers, for
 * which no memory is taken: ARGUMENT with the reason. */
sfconv_status sfi_model_new(sfconv_net **net, sfconv_context *context,
                            const sfconv_model_desc *desc, int64_t most);

/* Reads a description that sfi_model_new() wrote into `desc`. *ranks is an array of
 * desc->rank_count numbers (NULL for none) that the caller frees with sfi_free(). FORMAT with the
 * reason. */
sfconv_status sfi_model_parse(sfconv_context *context, const char *description,
                              sfconv_model_desc *desc, int64_t **ranks);

#endif
