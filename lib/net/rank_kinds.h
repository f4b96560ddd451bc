/* SPDX-License-Identifier: BSD-2-Clause */
/* What nodes may be in rank space by the kinds and settings of their layers. */
#ifndef SFI_RANK_KINDS_H
#define SFI_RANK_KINDS_H

#include "conv2d.h"
#include "rank_plan.h"

/* Mixes the channels of each pixel and nothing else. */
bool sfi_rank_is_pointwise(const sfi_conv2d *dense);
/* An activation that units take in. */
bool sfi_rank_is_relu(const sfconv_layer *layer);
/* Sets what a node may be, and the reason where that is nothing; SFI_REASON_APART of what a unit
 * may take in. */
void sfi_rank_judge_kind(sfi_rank_node *self, const sfconv_net *net, const struct sfi_step *steps,
                         int32_t index, bool training);

#endif
