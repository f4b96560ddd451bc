/* SPDX-License-Identifier: BSD-2-Clause */
/* What lies between maps and the layers that contract them: which nodes are never computed as such,
 * and the list of sinks. */
#ifndef SFI_RANK_SINKS_H
#define SFI_RANK_SINKS_H

#include "plan.h"

/* Of any plan for this net. */
int32_t sfi_rank_max_sinks(const sfconv_net *net);
/* Concatenations, also of concatenations, up-samplings, 2x2 maximum and average poolings that
 * nobody but sinks reads become virtual; units, users and outputs are known. */
void sfi_rank_find_virtual(sfi_rank_plan *plan, const sfconv_net *net, const sfi_step *steps);
void sfi_rank_list_sinks(sfi_rank_plan *plan, const sfconv_net *net, const sfi_step *steps);

#endif
