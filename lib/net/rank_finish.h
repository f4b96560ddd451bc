/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef SFI_RANK_FINISH_H
#define SFI_RANK_FINISH_H

#include "run.h"

/* Marks what follows the convolutions of an inference run that are computed by their layers; all
 * other roles are known. */
void sfi_rank_find_finishes(sfi_rank_plan *plan, const sfconv_net *net);
/* Bytes of the normals of a convolution, 0 where no BatchNorm is done by it. */
int64_t sfi_rank_normals_bytes(const sfi_rank_plan *plan, const sfconv_net *net, int32_t conv);
/* What `conv` does to its output, of the present parameters; NULL: nothing. */
const sfi_finish *sfi_rank_fill_finish(const sfconv_run *run, int32_t conv, sfi_finish *finish);

#endif
