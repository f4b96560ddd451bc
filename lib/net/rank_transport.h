/* SPDX-License-Identifier: BSD-2-Clause */
/* What is done to mixed maps on their way to a consumer, and is linear and acts on each channel
 * alike, so that it may come after the mixing: up-sampling, and average pooling. `scratch` has the
 * bytes that the function of the same name says. */
#ifndef SFI_RANK_TRANSPORT_H
#define SFI_RANK_TRANSPORT_H

#include "rank_training.h"

/* Into the consumer's maps, with the shifted taps added. */
int64_t sfi_rank_transport_bytes(const sfi_plan *plan, const sfconv_net *net,
                                 const sfi_rank_sink *sink);
void sfi_rank_transport(const sfconv_run *run, const sfi_rank_sink *sink, void *scratch);
/* Backward: gradients of the mixed maps from those of the consumer's maps. */
int64_t sfi_rank_transport_gradient_bytes(const sfi_plan *plan, const sfconv_net *net,
                                          const sfi_rank_sink *sink);
void sfi_rank_transport_gradient(const sfconv_run *run, const sfi_rank_sink *sink, void *scratch);

/* Those of up-samplings (rank_upsample.c, rank_upsample_gradient.c). */
int64_t sfi_rank_upsample_bytes(const sfi_plan *plan, const sfconv_net *net,
                                const sfi_rank_sink *sink);
void sfi_rank_upsample(const sfconv_run *run, const sfi_rank_sink *sink, void *scratch);
int64_t sfi_rank_upsample_gradient_bytes(const sfi_plan *plan, const sfconv_net *net,
                                         const sfi_rank_sink *sink);
void sfi_rank_upsample_gradient(const sfconv_run *run, const sfi_rank_sink *sink, void *scratch);

/* Those of averages (rank_average.c), as many bytes both ways. */
int64_t sfi_rank_average_bytes(const sfi_plan *plan, const sfconv_net *net,
                               const sfi_rank_sink *sink);
void sfi_rank_average(const sfconv_run *run, const sfi_rank_sink *sink, void *scratch);
void sfi_rank_average_gradient(const sfconv_run *run, const sfi_rank_sink *sink, void *scratch);

#endif
