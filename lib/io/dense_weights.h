/* SPDX-License-Identifier: BSD-2-Clause */
/* Dense weights of a file for nets that are factorized: "NAME.weight" becomes "NAME.q.weight" and
 * "NAME.p.weight". */
#ifndef SFI_DENSE_WEIGHTS_H
#define SFI_DENSE_WEIGHTS_H

#include "state.h"

/* The pair of factors that a tensor of the file turns into. */
typedef struct sfi_dense_weight {
    const sfi_file_tensor *dense;
    sfi_state_tensor *q;
    sfi_state_tensor *p;
} sfi_dense_weight;

/* Whether `q` is the first factor of a pair for which the file has a dense weight instead; *weight
 * is that then. */
bool sfi_dense_weight_find(sfi_dense_weight *weight, sfi_state *state, sfi_state_tensor *q,
                           const sfi_file_reader *reader);

/* Whether it fits the factors: OK, or SHAPE or FORMAT with the reason. */
sfconv_status sfi_dense_weight_check(const sfi_dense_weight *weight, const sfi_file_reader *reader);

/* Reads and decomposes it into weight->q->staged and weight->p->staged. IO, NUMERIC, MEMORY,
 * CANCELLED. */
sfconv_status sfi_dense_weight_stage(const sfi_dense_weight *weight, sfi_file_reader *reader,
                                     sfconv_progress_fn progress, void *user);

#endif
