/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two directions of an up-sampled sink share: rank_upsample.c widens the mixed maps,
 * rank_upsample_gradient.c is its transpose. */
#ifndef SFI_RANK_UPSAMPLING_H
#define SFI_RANK_UPSAMPLING_H

#include "rank_transport.h"

/* Rows of the mixed maps that one task widens, or makes. */
#define SFI_RANK_UPSAMPLE_ROWS 8

typedef struct sfi_rank_upsampling {
    const sfconv_run *run;
    const sfi_rank_sink *sink;
    sfi_rank_maps maps;
    int32_t which;
    int64_t factor[2];
    sfi_shape in;
    /* Height and width of `in`; set when the job runs. */
    sfi_span span[2];
    int64_t wide;
    int64_t tasks_per_map;
    /* Horizontal offsets, [factor][in.w + 2] with a zero at either end. */
    float *offsets;
    /* Rows of all workers. */
    float *rows;
    int64_t rows_per_worker;
} sfi_rank_upsampling;

/* All but the run, its memory and the size of a worker's rows. */
sfi_rank_upsampling sfi_rank_upsampling_of(const sfi_plan *plan, const sfconv_net *net,
                                           const sfi_rank_sink *sink);
/* Bytes of the offsets and of the rows of all workers. */
int64_t sfi_rank_upsampling_bytes(const sfi_rank_upsampling *job, const sfconv_net *net);
/* Divides the scratch, fills the offsets and runs a task for every SFI_RANK_UPSAMPLE_ROWS rows of
 * every map. */
void sfi_rank_upsampling_run(sfi_rank_upsampling *job, const sfconv_run *run, void *scratch,
                             sfconv_task_fn task);
/* Where column or row k of the mixed map reads its r-th copy from: 0 its own place, below 0 between
 * it and the one before. */
float sfi_rank_upsampling_offset(const sfi_rank_upsampling *job, int axis, int64_t k, int64_t r);

#endif
