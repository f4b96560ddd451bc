/* SPDX-License-Identifier: BSD-2-Clause */
/* Multiply-adds of rank space, what is summed in double included. */
#ifndef SFI_RANK_COUNTS_H
#define SFI_RANK_COUNTS_H

#include "macs.h"
#include "plan.h"

/* Of the unit that ends in `node`, none where there is no such unit: its map in forward; in
 * backward that map again unless it is stored, and what it is made of. */
sfi_macs sfi_rank_unit_macs(const sfi_plan *plan, const sfconv_net *net, int32_t node);
sfi_macs sfi_rank_unit_backward_macs(const sfi_plan *plan, const sfconv_net *net, int32_t node);

/* Of one sink. */
sfi_macs sfi_rank_sink_macs(const sfi_plan *plan, const sfconv_net *net, const sfi_rank_sink *sink);
sfi_macs sfi_rank_sink_backward_macs(const sfi_plan *plan, const sfconv_net *net,
                                     const sfi_rank_sink *sink);

/* Training: the statistics of a BatchNorm of a unit. */
sfi_macs sfi_rank_observe_macs(const sfi_plan *plan, const sfconv_net *net, int32_t norm);

#endif
